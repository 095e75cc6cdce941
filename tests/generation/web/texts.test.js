// Vocabulary, features, colours, stop strings.
"use strict";

const assert = require("node:assert");
const { test } = require("node:test");
const { load, plain } = require("./load.js");

const SCRIPTS = `network.js noise.js sampling.js vocabulary.js writing.js trace.js features.js colours.js elements.js`.split(" ");
const found = load(SCRIPTS, [
  "Vocabulary", "Writing", "FEATURES", "correlations", "condensed", "palette", "contrast", "luminance", "percent",
  "surprisalClass", "activationClass", "longestText", "listed",
]);
const reading = { universal_newlines: false, normalization: "", lowercase: false };
const described = { kind: "characters", characters: [..."\nab é🎭\u0000"], reading, lowers_ascii_only: false, end_of_text: "" };
const vocabulary = (changes = {}) => new found.Vocabulary({ ...described, ...changes });
const bytes = () => vocabulary({ kind: "bytes", characters: [] });

test("a text and its ids", () => {
  assert.deepStrictEqual(plain(vocabulary().encode("a🎭xbxy", "drop")), { ids: [2, 6, 3], unknown: ["x", "y"] });
  assert.deepStrictEqual(plain(vocabulary().encode("axb", "replace").ids), [2, 0, 3]);
  assert.strictEqual(vocabulary().decode([2, 6, 0, 5]), "a🎭\ufffdé");
  assert.deepStrictEqual(plain(bytes().encode("é!", "refuse").ids), [0xc3, 0xa9, 0x21]);
});

test("a typed line break is the model's line end", () => {
  const typed = (characters, text) => vocabulary({ characters: [...characters] }).withLineEnds(text);
  assert.strictEqual(typed("\n\rab", "a\n\nb\r\n"), "a\r\n\r\nb\r\n");
  assert.strictEqual(typed("\rab", "a\nb"), "a\rb");
  assert.strictEqual(typed("\nab", "a\nb\r\n"), "a\nb\r\n");
  assert.strictEqual(bytes().withLineEnds("a\nb"), "a\nb");
});

test("a document begins with the end of the one before", () => {
  const documents = vocabulary({ end_of_text: "\n" });
  assert.deepStrictEqual(plain(documents.begin("ab", "refuse")), { ids: [1, 2, 3], unknown: [], added: 1 });
  assert.deepStrictEqual(plain(documents.begin("\nab", "refuse")), { ids: [1, 2, 3], unknown: [], added: 0 });
  assert.deepStrictEqual(plain(vocabulary().begin("ab", "refuse").ids), [2, 3]);
});

test("the bytes of one character are one cell, and a stray byte is one by itself", () => {
  const cells = bytes().cells([0x61, 0xc3, 0xa9, 0xff, 0xe2, 0x82, 0x62, 0xf0, 0x9f, 0x8e, 0xad, 0xc3]);
  assert.deepStrictEqual(plain(cells.map(({ text, start, end }) => [text, start, end])), [
    ["a", 0, 1], ["é", 1, 3], ["\ufffd", 3, 4], ["\ufffd", 4, 5], ["\ufffd", 5, 6], ["b", 6, 7], ["🎭", 7, 11], ["\ufffd", 11, 12],
  ]);
});

test("an invisible character has a name", () => {
  assert.deepStrictEqual([1, 2, 4, 6, 7, 0].map((id) => vocabulary().nameOf(id)), ["line break", "a", "space", "🎭", "U+0000", "unknown"]);
  assert.deepStrictEqual([0x20, 0x61, 0xc3].map((id) => bytes().nameOf(id)), ["space", "a", "byte c3"]);
});

test("features of a text", () => {
  const of = (key, text, pattern) => Array.from(found.FEATURES[key].of([...text], pattern)).join("");
  assert.strictEqual(of("quotes", 'a "b" c'), "0011100");
  assert.strictEqual(of("quotes", "a “b «c»” d"), "00111111100");
  assert.strictEqual(of("brackets", "a(b[c]d)e"), "011111110");
  assert.strictEqual(of("brackets", "a)b(c\n\nd"), "00011100");
  assert.strictEqual(of("brackets", "(c\r\nd\r\n\r\ne"), "1111111100");
  assert.strictEqual(of("line", "ab\n\ncd"), "010001");
  assert.strictEqual(of("capitals", "aBÉ1"), "0110");
  assert.strictEqual(of("pattern", "🎭ab🎭cab", "ab|c"), "0110111");
  assert.strictEqual(of("pattern", "abc", "x*"), "000");
  assert.throws(() => of("pattern", "a", "("), /Invalid regular expression/);
});

test("correlations are Pearson's", () => {
  const outputs = Float32Array.from([1, 0, 5, 2, 1, 5, 3, 0, 5, 4, 1, 5]); // three units, four positions
  const r = found.correlations({ outputs, network: { numUnits: 3 } }, [0, 1, 2, 3], [1, 2, 3, 4]);
  const signs = found.correlations({ outputs, network: { numUnits: 3 } }, [0, 1, 2, 3], [4, 3, 2, 1]);
  assert.ok(Math.abs(r[0] - 1) < 1e-9 && Math.abs(r[1] - 0.4472135955) < 1e-9 && r[2] === 0);
  assert.ok(Math.abs(signs[0] + 1) < 1e-9);
  const some = found.correlations({ outputs, network: { numUnits: 3 } }, [3, 1], [0, 1]);
  assert.ok(Math.abs(some[0] + 1) < 1e-9 && some[1] === 0);
});

test("a curve is condensed to means", () => {
  assert.deepStrictEqual(plain(found.condensed([1, 3, 5, 7], 2)), [2, 6]);
  assert.deepStrictEqual(plain(found.condensed([1, 2], 240)), [1, 2]);
  assert.deepStrictEqual(plain(found.condensed([], 240)), []);
});

test("text is readable on every colour, and brightness alone orders the surprisals", () => {
  for (const theme of ["light", "dark"]) {
    for (const scale of ["surprisal", "activation"]) {
      for (const { background, text } of found.palette(theme, scale)) assert.ok(found.contrast(background, text) >= 4.5);
    }
    const brightness = found.palette(theme, "surprisal").map(({ background }) => found.luminance(background));
    const steps = brightness.slice(1).map((value, i) => (value - brightness[i]) * (theme === "dark" ? 1 : -1));
    assert.ok(steps.every((step) => step > 0), `${theme}: ${steps}`);
  }
});

test("classes of colours", () => {
  assert.deepStrictEqual([NaN, -1e-9, 0.49, 0.5, 7, 99].map(found.surprisalClass).map((each) => each.slice(-2)), ["", "-0", "-0", "-1", "14", "14"]);
  assert.deepStrictEqual([-1, 0, 1, 1.01].map(found.activationClass).map((each) => each.slice(11)), ["0", "8", "16", "16"]);
});

test("percentages and lists for a person", () => {
  assert.deepStrictEqual([1, 0.12345, 0.0012345, 1e-6].map(found.percent), ["100 %", "12.3 %", "0.12 %", "< 0.01 %"]);
  assert.strictEqual(found.listed([..."abcdefghijkl"]).slice(-14), '"i", "j" and 2 more'.slice(-14));
});

test("a text has room for its outputs", () => {
  assert.strictEqual(found.longestText({ numUnits: 1024 }), 20000);
  assert.strictEqual(found.longestText({ numUnits: 1 << 16 }), 1024);
});

test("a stop string ends a text, and its beginning is held back", () => {
  const ids = [2, 3, 2, 2, 3, 3, 2]; // the network "writes" these
  const size = 8;
  let read = 0;
  const network = {
    size,
    initialState: () => [[0]],
    advance: () => (read++, [[0]]),
    logits: () => Float64Array.from({ length: size }, (_, id) => (id === ids[read - 1] ? 1 : 0)),
  };
  const writing = new found.Writing(network, vocabulary(), [4], [2, 3, 3], 0);
  const filters = { temperature: 0, topK: 0, topP: 1, minP: 0, epsilon: 0 };
  const certain = [];
  while (!writing.ended) {
    writing.step(filters);
    certain.push(writing.certain().length);
  }
  assert.deepStrictEqual(Array.from(writing.ids), [2, 3, 2]);
  assert.deepStrictEqual(certain, [0, 0, 0, 2, 3, 3, 3]);
});
