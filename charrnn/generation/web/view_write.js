// The view "Write": the model writes after a prompt.
"use strict";

const REMEDY = "Leave them out, or drop or replace unknown characters.";

class WriteView {
  constructor(network, vocabulary, described) {
    Object.assign(this, { network, vocabulary });
    this.writing = null;
    this.run = 0; // counts the runs, so that an earlier one knows that it must end
    this.isRunning = false;
    this.form = byId("write-form");
    this.prompt = new TextField(byId("prompt"), vocabulary);
    this.prompt.text = described.prompt;
    for (const [name, value] of Object.entries(described.sampler)) byId(name.replace("_", "-")).value = value;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin();
    });
    byId("pause").addEventListener("click", () => (this.isRunning ? this.pause() : this.resume(this.length)));
    byId("step").addEventListener("click", () => this.resume(1));
    byId("copy").addEventListener("click", () => this.copy());
  }

  /** Returns the filters that the form gives now. */
  filters() {
    const names = { temperature: "temperature", topK: "top-k", topP: "top-p", minP: "min-p", epsilon: "epsilon" };
    return Object.fromEntries(Object.entries(names).map(([name, id]) => [name, Number(byId(id).value)]));
  }

  /** The most ids to write in one go. */
  get length() {
    return Number(byId("length").value);
  }

  isValid() {
    const temperature = Number(byId("temperature").value);
    const tooCool = temperature > 0 && temperature < 1e-6;
    byId("temperature").setCustomValidity(tooCool ? "0, or from 0.000001 to 1,000,000" : "");
    byId("top-p").setCustomValidity(Number(byId("top-p").value) > 0 ? "" : "above 0 and at most 1");
    byId("epsilon").setCustomValidity(Number(byId("epsilon").value) < 1 ? "" : "at least 0 and below 1");
    return this.form.reportValidity();
  }

  /** Makes a new text ready, and pauses the one before. Returns false, and says why, if that is not possible. */
  start() {
    if (!this.isValid()) return false;
    this.pause();
    const mode = byId("unknown").value;
    const { ids, unknown, added } = this.vocabulary.begin(this.prompt.text, mode);
    let problem = "";
    if (unknown.length && mode === "refuse") {
      problem = `The prompt has characters that the model never saw: ${listed(unknown)}. ${REMEDY}`;
    } else if (!ids.length) {
      problem = "The prompt is empty: give at least one character, such as a line break.";
    }
    byId("write-status").textContent = problem;
    if (problem) return false;
    const stop = byId("stop").value.replace(/\\n/g, "\n").replace(/\\r/g, "\r").replace(/\\t/g, "\t");
    const stopIds = this.vocabulary.encode(this.vocabulary.read(this.vocabulary.withLineEnds(stop)), "drop");
    if (stopIds.unknown.length) {
      const never = `the model never writes ${listed(stopIds.unknown)}`;
      byId("write-status").textContent = `The stop string can never end a text: ${never}.`;
    }
    const possible = stopIds.unknown.length ? [] : stopIds.ids;
    this.writing = new Writing(this.network, this.vocabulary, ids, possible, Number(byId("seed").value));
    this.shown = 0;
    this.decoder = new TextDecoder();
    const prompt = element("span", { class: "prompt" }, this.vocabulary.decode(ids.slice(added)));
    byId("written").replaceChildren(prompt, document.createTextNode(""));
    return true;
  }

  /** Writes a new text until a pause, its end, or the length in the form. */
  async begin() {
    if (this.start()) await this.advance(this.length);
  }

  /** Writes at most `count` ids more of the text, whatever was said before; begins one if there is none. */
  async resume(count) {
    if (!this.isValid()) return;
    byId("write-status").textContent = "";
    if (this.writing || this.start()) await this.advance(count);
  }

  /** Writes at most `count` ids, after the rest of the prompt. */
  async advance(count) {
    const { writing } = this;
    const run = ++this.run;
    const filters = this.filters();
    const begin = performance.now();
    const before = writing.ids.length;
    let left = count;
    this.setRunning(true);
    const step = () => {
      if (writing.hasReadPrompt && left-- <= 0) return false;
      writing.step(filters);
      return !writing.ended && (!writing.hasReadPrompt || left > 0);
    };
    try {
      await inSlices(step, () => this.show(), () => run === this.run);
    } finally {
      if (run === this.run) this.setRunning(false);
    }
    if (run !== this.run) return;
    const rate = (writing.ids.length - before) / ((performance.now() - begin) / 1000);
    const unit = this.vocabulary.isBytes ? "bytes" : "characters";
    byId("rate").textContent = count > 1 ? `${Math.round(rate)} ${unit} a second` : "";
    if (writing.ended) byId("write-status").textContent = "The text has ended. Write begins a new one.";
    this.showNext();
  }

  pause() {
    this.run++;
    this.setRunning(false);
    this.showNext();
  }

  setRunning(isRunning) {
    this.isRunning = isRunning;
    byId("pause").textContent = isRunning ? "Pause" : "Resume";
  }

  show() {
    const certain = this.writing.certain();
    const ids = certain.slice(this.shown);
    this.shown = certain.length;
    const bytes = () => this.decoder.decode(Uint8Array.from(ids), { stream: true }); // no character is cut in two
    const text = this.vocabulary.isBytes ? bytes() : this.vocabulary.decode(ids);
    const place = byId("written");
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    place.lastChild.appendData(text);
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  /** Shows the probabilities from which the next character is chosen. */
  showNext() {
    if (!this.writing || !this.writing.hasReadPrompt) return;
    const filters = this.filters();
    const logits = Float64Array.from(this.writing.logits);
    if (this.vocabulary.unknownId >= 0) logits[this.vocabulary.unknownId] = NEVER;
    const kept = filtered(logits, filters);
    const scaled = kept.map((value) => value / (filters.temperature || 1e-6));
    showLikeliest(byId("next"), logProbabilities(scaled), this.vocabulary, -1);
  }

  /** The text so far, with its prompt. */
  get text() {
    return this.writing ? byId("written").textContent : "";
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.text);
    } catch (error) {
      // Some browsers have no clipboard for a file: a selection can be copied everywhere.
      getSelection().selectAllChildren(byId("written"));
      document.execCommand("copy");
    }
    byId("write-status").textContent = "The text is copied.";
  }
}
