// Reads a text with the network, and keeps the surprisal of each id and the output of each unit.
"use strict";

const MOST_IDS = 20000; // of a text
const MOST_BYTES = 1 << 28; // of the outputs that a trace keeps

/** Returns the most ids of a text that a page reads with this network. */
function longestText(network) {
  return Math.max(1, Math.min(MOST_IDS, Math.floor(MOST_BYTES / (4 * network.numUnits))));
}

/** The reading of ids [T] with an endId between documents (-1: none): surprisals [T], and outputs [T, L·H]. */
class Trace {
  constructor(network, ids, endId) {
    Object.assign(this, { network, ids, endId });
    this.surprisals = new Float64Array(ids.length).fill(NaN); // nats; NaN: nothing predicted the id
    this.outputs = new Float32Array(ids.length * network.numUnits);
    this.done = 0; // ids read so far
    this.state = network.initialState();
  }

  get isDone() {
    return this.done >= this.ids.length;
  }

  /** Reads the next id. */
  step() {
    const t = this.done;
    const id = this.ids[t];
    if (t > 0) this.surprisals[t] = -logProbabilities(this.logitsBefore(t))[id];
    if (id === this.endId) this.state = this.network.initialState();
    this.state = this.network.advance(id, this.state);
    this.state.forEach(([output], i) => this.outputs.set(output, t * this.network.numUnits + i * this.network.units));
    this.done++;
  }

  /** Returns the logits [V] that predicted the id at position t, or null if nothing predicted it. */
  logitsBefore(t) {
    if (t < 1 || t > this.done) return null;
    const { units, numUnits, numLayers } = this.network;
    const start = (t - 1) * numUnits;
    const layer = (_, i) => Float64Array.from(this.outputs.subarray(start + i * units, start + (i + 1) * units));
    return this.network.logits(Array.from({ length: numLayers }, layer));
  }

  /** Returns a unit's output at position t. Units are counted through all layers. */
  output(unit, t) {
    return this.outputs[t * this.network.numUnits + unit];
  }
}
