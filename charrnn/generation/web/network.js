// The network: ids in, logits out. V ids, H units, G gates; the gate order and the equations are Keras's.
"use strict";

/**
 * Multiplies a matrix [R, C], row by row in a Float32Array, by a vector [C]; writes the result into `out` [R].
 * Four rows share each entry of the vector. That is the fastest of the simple forms.
 */
function multiply(matrix, vector, out) {
  const columns = vector.length;
  const rows = out.length;
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    let p = row * columns, q = p + columns, r = q + columns, s = r + columns;
    let a = 0, b = 0, c = 0, d = 0;
    for (let i = 0; i < columns; i++) {
      const value = vector[i];
      a += matrix[p++] * value;
      b += matrix[q++] * value;
      c += matrix[r++] * value;
      d += matrix[s++] * value;
    }
    out[row] = a;
    out[row + 1] = b;
    out[row + 2] = c;
    out[row + 3] = d;
  }
  for (; row < rows; row++) {
    let a = 0;
    for (let i = 0, p = row * columns; i < columns; i++) a += matrix[p++] * vector[i];
    out[row] = a;
  }
  return out;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// Each cell: (x [G·H], the projected input; a [G·H], the recurrent product without bias; state; layer) -> new state.
const CELLS = {
  gru: {
    gates: 3,
    states: 1,
    step(x, a, [before], layer) {
      const size = before.length;
      const after = new Float64Array(size);
      for (let i = 0, j = size, k = 2 * size; i < size; i++, j++, k++) {
        const z = sigmoid(x[i] + a[i] + layer.recurrentBias[i]);
        const r = sigmoid(x[j] + a[j] + layer.recurrentBias[j]);
        const g = Math.tanh(x[k] + r * (a[k] + layer.recurrentBias[k]));
        after[i] = z * before[i] + (1 - z) * g;
      }
      return [after];
    },
  },
  lstm: {
    gates: 4,
    states: 2,
    step(x, a, [before, cellBefore]) {
      const size = before.length;
      const after = new Float64Array(size);
      const cell = new Float64Array(size);
      for (let i = 0, f = size, g = 2 * size, o = 3 * size; i < size; i++, f++, g++, o++) {
        cell[i] = sigmoid(x[f] + a[f]) * cellBefore[i] + sigmoid(x[i] + a[i]) * Math.tanh(x[g] + a[g]);
        after[i] = sigmoid(x[o] + a[o]) * Math.tanh(cell[i]);
      }
      return [after, cell];
    },
  },
  rnn: {
    gates: 1,
    states: 1,
    step(x, a) {
      return [Float64Array.from(a, (value, i) => Math.tanh(x[i] + value))];
    },
  },
};

/** A trained network. `model` describes it, and `tensor(name)` returns its weights; html_page.py writes both. */
class Network {
  constructor(model, tensor) {
    this.size = model.vocabulary_size;
    this.units = model.units;
    this.numLayers = model.num_layers;
    this.skip = model.skip_connections;
    this.keep = model.keep; // for each state the share of the old one that zoneout keeps; [] for no zoneout
    this.cell = CELLS[model.cell];
    this.table = model.has_table ? tensor("table") : null; // [V, G·H]: embedding, input kernel and bias in one
    this.embedding = this.table ? null : tensor("embedding"); // [V, E]
    this.projected = new Map(); // rows of the table, computed when an id comes for the first time
    this.layers = Array.from({ length: this.numLayers }, (_, i) => ({
      input: i || !this.table ? tensor(`layer_${i}.input`) : null, // [G·H, H]
      bias: i || !this.table ? tensor(`layer_${i}.bias`) : null, // [G·H]
      recurrent: tensor(`layer_${i}.recurrent`), // [G·H, H]
      recurrentBias: model.cell === "gru" ? tensor(`layer_${i}.recurrent_bias`) : null, // [G·H]
    }));
    this.outputKernel = tensor("output.kernel"); // [V, H], divided by the model's temperature, as its bias is
    this.outputBias = tensor("output.bias"); // [V]
    this.product = new Float64Array(this.cell.gates * this.units);
    this.input = new Float64Array(this.cell.gates * this.units);
  }

  /** The number of units in all layers. */
  get numUnits() {
    return this.numLayers * this.units;
  }

  /** Returns the zero state: for each layer its [h], or [h, c] of an LSTM. */
  initialState() {
    return this.layers.map(() => Array.from({ length: this.cell.states }, () => new Float64Array(this.units)));
  }

  /** Reads an id. Returns the new state, and leaves the given one as it is. */
  advance(id, state) {
    let below = null;
    return this.layers.map((layer, i) => {
      const x = i ? this.project(layer, below, this.input) : this.inputOf(id);
      let after = this.cell.step(x, multiply(layer.recurrent, state[i][0], this.product), state[i], layer);
      if (this.keep.length) {
        const mixed = (old, s) => (value, u) => this.keep[s] * old[u] + (1 - this.keep[s]) * value;
        after = after.map((values, s) => values.map(mixed(state[i][s], s)));
      }
      below = this.upwards(i, after[0], below);
      return after;
    });
  }

  /** Returns the logits [V] of the next id, a Float64Array, for each layer's output [H]. */
  logits(outputs) {
    let below = null;
    outputs.forEach((output, i) => (below = this.upwards(i, output, below)));
    const logits = multiply(this.outputKernel, below, new Float64Array(this.size));
    for (let i = 0; i < logits.length; i++) logits[i] += this.outputBias[i];
    return logits;
  }

  /** Returns the input of the layer above layer i, or of the readout. */
  upwards(i, output, below) {
    return this.skip && i ? output.map((value, u) => value + below[u]) : output;
  }

  /** Returns the projected input [G·H] of an id. */
  inputOf(id) {
    const width = this.product.length;
    if (this.table) return this.table.subarray(id * width, (id + 1) * width);
    if (!this.projected.has(id)) {
      const size = this.embedding.length / this.size;
      const embedded = Float64Array.from(this.embedding.subarray(id * size, (id + 1) * size));
      this.projected.set(id, this.project(this.layers[0], embedded, new Float64Array(width)));
    }
    return this.projected.get(id);
  }

  project(layer, vector, out) {
    multiply(layer.input, vector, out);
    for (let i = 0; i < out.length; i++) out[i] += layer.bias[i];
    return out;
  }
}

/** Returns ln p of each id, a Float64Array [V], for logits [V]. */
function logProbabilities(logits) {
  let largest = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > largest) largest = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - largest);
  const total = largest + Math.log(sum);
  return logits.map((value) => value - total);
}
