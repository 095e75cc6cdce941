// Writes a text: reads a prompt, then chooses each character and reads it.
"use strict";

/** A text in the making. Its filters may change between two characters. */
class Writing {
  /** `stop` is the ids of a stop string, [] for none; `promptIds` are read first. */
  constructor(network, vocabulary, promptIds, stop, seed) {
    Object.assign(this, { network, vocabulary, promptIds, stop });
    this.ids = []; // after the prompt, without a stop string
    this.position = 0; // ids read so far
    this.state = network.initialState();
    this.logits = new Float64Array(network.size);
    this.noise = new Noise(seed, network.size);
    this.ended = false;
  }

  get hasReadPrompt() {
    return this.position >= this.promptIds.length;
  }

  /** Reads an id of the prompt, or writes the next id. Does nothing after the end of the text. */
  step(filters) {
    if (this.ended) return;
    const reads = !this.hasReadPrompt;
    const id = reads ? this.promptIds[this.position] : this.choice(filters);
    if (!reads && (id === this.vocabulary.endId || this.endsWithStop(id))) {
      this.ids.length -= id === this.vocabulary.endId ? 0 : this.stop.length - 1;
      this.ended = true;
      return;
    }
    if (!reads) this.ids.push(id);
    if (id === this.vocabulary.endId) this.state = this.network.initialState();
    this.state = this.network.advance(id, this.state);
    this.logits = this.network.logits(this.state.map(([output]) => output));
    this.position++;
  }

  choice(filters) {
    const logits = this.logits;
    if (this.vocabulary.unknownId >= 0) logits[this.vocabulary.unknownId] = NEVER;
    return choose(logits, this.noise.at(this.position), filters);
  }

  endsWithStop(id) {
    const before = this.stop.length - 1;
    if (before < 0 || this.ids.length < before || this.stop[before] !== id) return false;
    return this.stop.slice(0, before).every((each, i) => this.ids[this.ids.length - before + i] === each);
  }

  /** Returns the certain ids: all but a possible beginning of the stop string at the end. */
  certain() {
    if (this.ended) return this.ids;
    for (let count = Math.min(this.stop.length - 1, this.ids.length); count > 0; count--) {
      const start = this.ids.length - count;
      if (this.stop.slice(0, count).every((each, i) => this.ids[start + i] === each)) return this.ids.slice(0, start);
    }
    return this.ids;
  }
}
