// Decodes the weights in the page: base64 of 16-bit or 32-bit floats, little-endian, each tensor with its scale.
"use strict";

const BASE64_PART = 1 << 20; // characters decoded at a time, a multiple of 4, so that no long copy of all is made

/** Returns the bytes of a base64 text, a Uint8Array. */
function decodeBase64(text) {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let filled = 0;
  for (let start = 0; start < text.length; start += BASE64_PART) {
    const part = atob(text.slice(start, start + BASE64_PART));
    for (let i = 0; i < part.length; i++) bytes[filled++] = part.charCodeAt(i);
  }
  return bytes;
}

/** Returns the value of a 16-bit float, given as its bits. */
function halfValue(bits) {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

let allHalves = null; // the values of the 65,536 16-bit floats

/** Returns a tensor as a Float32Array. `type` is "half" or "float"; each entry is multiplied by `scale`. */
function decodeTensor(text, type, scale) {
  const bytes = decodeBase64(text);
  const width = type === "half" ? 2 : 4;
  const values = new Float32Array(bytes.length / width);
  if (type === "half") {
    allHalves = allHalves || Float32Array.from({ length: 65536 }, (_, bits) => halfValue(bits));
    for (let i = 0, k = 0; i < values.length; i++, k += 2) {
      values[i] = scale * allHalves[bytes[k] | (bytes[k + 1] << 8)];
    }
  } else {
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < values.length; i++) values[i] = scale * view.getFloat32(4 * i, true);
  }
  return values;
}
