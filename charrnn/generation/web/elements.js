// Small helpers for the page's elements. Text goes in as text nodes only, never as markup.
"use strict";

const SLICE_MS = 30; // of computing between two looks at the page's events
const byId = (id) => document.getElementById(id);

/** Returns a new element with attributes and children, which are elements or strings. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A field for text of the model. Browsers turn all line ends in it into "\n". */
class TextField {
  constructor(place, vocabulary) {
    Object.assign(this, { place, vocabulary });
  }

  /** The text with the model's line ends; what the page itself put there comes back unchanged. */
  get text() {
    return this.place.value === this.shown ? this.given : this.vocabulary.withLineEnds(this.place.value);
  }

  set text(given) {
    this.given = given;
    this.place.value = given;
    this.shown = this.place.value;
  }
}

/** Returns a line through values from `low` to `high`, as an SVG element. */
function sparkLine(values, low, high) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 120 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "spark");
  const line = document.createElementNS(space, "polyline");
  const range = high > low ? high - low : 1;
  const points = condensed(values, 240).map((value, i, all) => {
    const x = all.length > 1 ? (120 * i) / (all.length - 1) : 60;
    return `${x.toFixed(1)},${(23 - (22 * (value - low)) / range).toFixed(1)}`;
  });
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

/** Returns a list of characters for a message: the first ten, and the number of the others. */
function listed(characters) {
  const more = characters.length > 10 ? ` and ${characters.length - 10} more` : "";
  return characters.slice(0, 10).map((each) => JSON.stringify(each)).join(", ") + more;
}

/** Returns a probability as a percentage with two or three digits. */
function percent(probability) {
  const value = 100 * probability;
  return `${value >= 99.95 ? "100" : value >= 10 ? value.toFixed(1) : value >= 0.01 ? value.toFixed(2) : "< 0.01"} %`;
}

/** Shows the likeliest ids as bars in a list. `marked` is an id to mark, -1 for none. */
function showLikeliest(list, logProbs, vocabulary, marked, count = 10) {
  const order = Array.from(logProbs.keys()).sort((a, b) => logProbs[b] - logProbs[a]);
  const rows = order.slice(0, count).map((id) => {
    const bar = element("span", { class: "bar" });
    bar.style.width = `${100 * Math.exp(logProbs[id])}%`;
    const name = element("span", { class: "name" }, vocabulary.nameOf(id));
    const value = element("span", {}, percent(Math.exp(logProbs[id])));
    const track = element("span", { class: "track" }, bar);
    return element("li", id === marked ? { class: "marked" } : {}, name, track, value);
  });
  list.replaceChildren(...rows);
  return order;
}

/** Resolves after the page has handled its events. */
function looked() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Calls `step` until it returns false, and `show` after each slice of time; `isWanted` false ends it early. */
async function inSlices(step, show, isWanted) {
  for (let more = true; more && isWanted(); ) {
    const end = performance.now() + SLICE_MS;
    while (more && performance.now() < end) more = step();
    show();
    await looked();
  }
}
