// The noise of generation, with the numbers of TensorFlow's stateless generator, so that a seed gives the same text.
"use strict";

const GENERATION = 4; // charrnn's number for this use of random numbers
const BLOCK_CHARS = 128; // characters whose noise has one seed
const PHILOX_FACTORS = [0xd2511f53, 0xcd9e8d57];
const PHILOX_STEPS = [0x9e3779b9, 0xbb67ae85];
const SCRAMBLING_KEY = [0x3ec8f720, 0x02461e29];
const SMALLEST = Math.fround(1e-20);

/** Returns the upper 32 bits of the product of two 32-bit numbers. */
function multiplyHigh(a, b) {
  const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (other >>> 16)) >>> 0;
}

/** Philox 4x32 with 10 rounds (Salmon et al. 2011): counter [4] and key [2] to four random numbers of 32 bits. */
function philox(counter, key) {
  let [a, b, c, d] = counter;
  let [k, l] = key;
  for (let round = 0; round < 10; round++) {
    const next = [
      multiplyHigh(PHILOX_FACTORS[1], c) ^ b ^ k,
      Math.imul(PHILOX_FACTORS[1], c),
      multiplyHigh(PHILOX_FACTORS[0], a) ^ d ^ l,
      Math.imul(PHILOX_FACTORS[0], a),
    ];
    [a, b, c, d] = next;
    k = (k + PHILOX_STEPS[0]) | 0;
    l = (l + PHILOX_STEPS[1]) | 0;
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

/** Random numbers of 32 bits for a seed of two int32 numbers, four to a group. */
class RandomNumbers {
  constructor([first, second]) {
    const mixed = philox([first >>> 0, first < 0 ? -1 : 0, second >>> 0, second < 0 ? -1 : 0], SCRAMBLING_KEY);
    this.key = mixed.slice(0, 2);
    this.counter = mixed.slice(2);
  }

  group(index) {
    return philox([index >>> 0, 0, this.counter[0], this.counter[1]], this.key);
  }
}

/** Returns a seed for a seed and a number, as TensorFlow's stateless_fold_in. */
function foldIn(seed, number) {
  return [new RandomNumbers(seed).group(0)[0] | 0, number];
}

/** The noise of a text: standard Gumbel noise for each position and id. */
class Noise {
  constructor(seed, size) {
    this.seed = seed;
    this.size = size;
    this.start = -1;
  }

  /** Returns the noise [V] of the character at a position, a Float64Array. */
  at(position) {
    const place = position % BLOCK_CHARS;
    if (this.start !== position - place) {
      this.start = position - place;
      this.random = new RandomNumbers(foldIn([this.seed, GENERATION], this.start));
    }
    const noise = new Float64Array(this.size);
    let group = [], at = -1;
    for (let i = 0; i < this.size; i++) {
      const number = place * this.size + i;
      if (number >>> 2 !== at) group = this.random.group((at = number >>> 2));
      const uniform = (group[number & 3] & 0x7fffff) / 0x800000;
      const inner = Math.fround(Math.log(Math.fround(uniform + SMALLEST)));
      noise[i] = -Math.fround(Math.log(Math.fround(SMALLEST - inner)));
    }
    return noise;
  }
}
