// Features that a unit may indicate: a number for each character, and its correlation with each unit.
"use strict";

const PAIRS = { "(": ")", "[": "]", "{": "}", "\u201c": "\u201d", "\u00ab": "\u00bb" };
const BRACKETS = "([{";
const QUOTES = "\u201c\u00ab";

/**
 * Returns 1 for each character inside a pair of the openings, the pair included, and 0 for the others. A straight quote
 * opens and closes. An empty line closes all, so that one forgotten bracket does not spoil the rest of the text.
 */
function insidePairs(characters, openings, straight) {
  const closings = [];
  let atLineStart = false;
  return characters.map((character) => {
    if (character === "\n" && atLineStart) closings.length = 0;
    if (character !== "\r") atLineStart = character === "\n";
    if (closings.length && character === closings[closings.length - 1]) {
      closings.pop();
      return 1;
    }
    if (character === straight) closings.push(straight);
    else if (openings.includes(character)) closings.push(PAIRS[character]);
    return closings.length ? 1 : 0;
  });
}

/** Returns the number of characters since the last line break. */
function linePositions(characters) {
  let position = -1;
  return characters.map((character) => (character === "\n" ? ((position = -1), 0) : ++position));
}

/** Returns 1 for each character in a match of a regular expression, 0 for the others. Throws if it is not one. */
function inMatches(characters, pattern) {
  const expression = new RegExp(pattern, "gmu");
  const starts = [];
  let offset = 0;
  for (const character of characters) {
    starts.push(offset);
    offset += character.length;
  }
  const matched = new Uint8Array(offset);
  for (const match of characters.join("").matchAll(expression)) {
    matched.fill(1, match.index, match.index + match[0].length);
  }
  return starts.map((start) => matched[start]);
}

const FEATURES = {
  line: { name: "position in the line", of: linePositions },
  capitals: { name: "capital letters", of: (characters) => characters.map((each) => (/\p{Lu}/u.test(each) ? 1 : 0)) },
  quotes: { name: "inside quotes", of: (characters) => insidePairs(characters, QUOTES, '"') },
  brackets: { name: "inside brackets", of: (characters) => insidePairs(characters, BRACKETS, "") },
  pattern: { name: "regular expression", of: inMatches },
};

/**
 * Returns Pearson's correlation of each unit with a feature [N], a Float64Array. `positions` [N] says which position of
 * the trace is each character's; 0 if the unit or the feature is constant.
 */
function correlations(trace, positions, feature) {
  const count = positions.length;
  const { numUnits } = trace.network;
  const mean = feature.reduce((a, b) => a + b, 0) / count;
  const sums = new Float64Array(numUnits), squares = new Float64Array(numUnits), products = new Float64Array(numUnits);
  let spread = 0;
  for (let n = 0; n < count; n++) {
    const difference = feature[n] - mean;
    spread += difference * difference;
    const start = positions[n] * numUnits;
    for (let unit = 0; unit < numUnits; unit++) {
      const value = trace.outputs[start + unit];
      sums[unit] += value;
      squares[unit] += value * value;
      products[unit] += value * difference;
    }
  }
  return sums.map((sum, unit) => {
    const variance = squares[unit] - (sum * sum) / count;
    return spread > 0 && variance > 1e-9 * count ? products[unit] / Math.sqrt(variance * spread) : 0;
  });
}

/** Returns a curve [N] as at most `bins` means. */
function condensed(values, bins) {
  const count = Math.min(bins, values.length);
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * values.length) / count), end = Math.floor(((i + 1) * values.length) / count);
    let sum = 0;
    for (let n = start; n < end; n++) sum += values[n];
    return sum / (end - start);
  });
}
