// Runs the page's scripts as a page does, one after the other in one scope, but without a page.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const WEB = path.join(__dirname, "../../../charrnn/generation/web");

/** Returns the value of an expression after the scripts, which are source texts. */
function evaluate(sources, expression, globals = {}) {
  const context = vm.createContext({ atob, TextEncoder, TextDecoder, performance, setTimeout, ...globals });
  for (const source of sources) vm.runInContext(source, context);
  return vm.runInContext(expression, context);
}

/** Returns the named functions of the named scripts. */
function load(scripts, names) {
  const sources = scripts.map((name) => fs.readFileSync(path.join(WEB, name), "utf8"));
  return evaluate(sources, `({ ${names.join(", ")} })`);
}

/** Returns a value without the prototypes of the scripts' scope, for comparisons. */
const plain = (value) => JSON.parse(JSON.stringify(value));

module.exports = { evaluate, load, plain };
