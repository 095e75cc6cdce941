// Weights, network, noise, choice: small cases that can be checked by hand. Python compares whole models.
"use strict";

const assert = require("node:assert");
const { test } = require("node:test");
const { load, plain } = require("./load.js");

const SCRIPTS = ["weights.js", "network.js", "noise.js", "sampling.js"];
const { decodeTensor, halfValue, multiply, multiplyHigh, philox, filtered, choose, logProbabilities, NEVER } = load(SCRIPTS, [
  "decodeTensor", "halfValue", "multiply", "multiplyHigh", "philox", "filtered", "choose", "logProbabilities", "NEVER",
]);
const all = { temperature: 1, topK: 0, topP: 1, minP: 0, epsilon: 0 };
const kept = (logits, filters) => Array.from(filtered(Float64Array.from(logits), { ...all, ...filters }), (each) => each > NEVER);

test("16-bit floats have their values", () => {
  const values = [0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x3555].map(halfValue);
  assert.deepStrictEqual(values, [0, 1, -2, 65504, 2 ** -24, 2 ** -14, 0.333251953125]);
  assert.ok(Number.isNaN(halfValue(0x7e00)) && halfValue(0xfc00) === -Infinity);
});

test("a tensor of either type is decoded and scaled", () => {
  const halves = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x3800).buffer).toString("base64");
  assert.deepStrictEqual(Array.from(decodeTensor(halves, "half", 4)), [4, -8, 2]);
  const floats = Buffer.from(Float32Array.of(1.25, -3, 1e-10, 7).buffer).toString("base64");
  assert.deepStrictEqual(Array.from(decodeTensor(floats, "float", 1)), Array.from(Float32Array.of(1.25, -3, 1e-10, 7)));
});

test("base64 longer than one part is decoded as a whole", () => {
  const values = Float32Array.from({ length: 300001 }, (_, i) => i);
  const decoded = decodeTensor(Buffer.from(values.buffer).toString("base64"), "float", 1);
  assert.ok(decoded.length === values.length && decoded.every((value, i) => value === i));
});

test("a product is right for any number of rows", () => {
  for (let rows = 1; rows < 10; rows++) {
    const matrix = Float32Array.from({ length: 3 * rows }, (_, i) => (i % 7) - 3);
    const expected = Array.from({ length: rows }, (_, r) => matrix[3 * r] + 2 * matrix[3 * r + 1] - matrix[3 * r + 2]);
    assert.deepStrictEqual(Array.from(multiply(matrix, Float64Array.of(1, 2, -1), new Float64Array(rows))), expected);
  }
});

test("the upper half of a product is exact", () => {
  for (const [a, b] of [[0xffffffff, 0xffffffff], [0xd2511f53, 0x9e3779b9], [0x10000, 0x10000], [3, 5]]) {
    assert.strictEqual(multiplyHigh(a, b), Number((BigInt(a) * BigInt(b)) >> 32n));
  }
});

test("Philox has the published numbers", () => {
  // The known answers of Random123: counter, key, result.
  const pi = [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]];
  assert.deepStrictEqual(plain(philox([0, 0, 0, 0], [0, 0])), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  assert.deepStrictEqual(plain(philox(...pi)), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

test("each filter keeps what it says", () => {
  const logits = [0.5, 0.25, 0.125, 0.0625, 0.0625].map(Math.log);
  assert.deepStrictEqual(kept(logits, {}), [true, true, true, true, true]);
  assert.deepStrictEqual(kept(logits, { topK: 2 }), [true, true, false, false, false]);
  assert.deepStrictEqual(kept(logits, { topK: 9 }), [true, true, true, true, true]);
  assert.deepStrictEqual(kept(logits, { topP: 0.7 }), [true, true, false, false, false]);
  assert.deepStrictEqual(kept(logits, { topP: 0.8 }), [true, true, true, false, false]);
  assert.deepStrictEqual(kept(logits, { topP: 1e-40 }), [true, false, false, false, false]);
  assert.deepStrictEqual(kept(logits, { minP: 0.2 }), [true, true, true, false, false]);
  assert.deepStrictEqual(kept(logits, { epsilon: 0.1 }), [true, true, true, false, false]);
  assert.deepStrictEqual(kept(logits, { epsilon: 0.9 }), [true, false, false, false, false]);
});

test("a filter counts probabilities after the temperature", () => {
  const logits = [0.5, 0.25, 0.25].map(Math.log); // temperature 0.5: 2/3, 1/6, 1/6
  assert.deepStrictEqual(kept(logits, { temperature: 0.5, topP: 0.6 }), [true, false, false]);
  assert.deepStrictEqual(kept(logits, { temperature: 1, topP: 0.6 }), [true, true, true]);
  assert.deepStrictEqual(kept(logits, { temperature: 0.5, epsilon: 0.2 }), [true, false, false]);
});

test("the choice follows the noise, and at temperature 0 the likeliest id", () => {
  const logits = Float64Array.of(1, 3, 2), noise = Float64Array.of(0, 0, 5);
  assert.strictEqual(choose(logits, noise, all), 2);
  assert.strictEqual(choose(logits, noise, { ...all, temperature: 0.1 }), 1);
  assert.strictEqual(choose(logits, noise, { ...all, temperature: 0 }), 1);
  assert.strictEqual(choose(logits, noise, { ...all, topK: 1 }), 1);
});

test("log-probabilities of large logits are finite and sum to 1", () => {
  const found = logProbabilities(Float64Array.of(1000, 999, -1000));
  assert.ok(Math.abs(found.map(Math.exp).reduce((a, b) => a + b) - 1) < 1e-12 && found.every(Number.isFinite));
});
