// Says on the page what the browser lacks, or why the page failed. Written for browsers of any age.
"use strict";

var missing = [];
(function () {
  var needed = {
    "typed arrays": typeof Float64Array !== "undefined" && !!Float64Array.prototype.map,
    "text encoding": typeof TextEncoder !== "undefined" && typeof TextDecoder !== "undefined",
    "base64": typeof atob !== "undefined",
    "Unicode forms": !!String.prototype.normalize,
    "promises": typeof Promise !== "undefined",
    "style sheets from scripts": typeof CSSStyleSheet !== "undefined" && !!CSSStyleSheet.prototype.insertRule,
  };
  try {
    new RegExp("^\\p{Lu}$", "u");
  } catch (error) {
    missing.push("Unicode regular expressions");
  }
  for (var name in needed) if (!needed[name]) missing.push(name);
  var say = function (sentence) {
    document.getElementById("needs").textContent = sentence;
    document.getElementById("needs").hidden = false;
  };
  window.onerror = function (message) {
    say("An error stopped the page (" + message + "): reload it, or open it in a current browser.");
  };
  window.onunhandledrejection = function (event) {
    window.onerror(event.reason); // of an async function
  };
  if (missing.length) {
    say("This browser lacks what the page needs (" + missing.join(", ") + "): open it in a current one.");
  }
})();
