// The views "Read" and "Units": one text, coloured by surprisal or by a unit.
"use strict";

const LISTED_UNITS = 40;

class ReadView {
  constructor(network, vocabulary) {
    Object.assign(this, { network, vocabulary });
    this.trace = null;
    this.run = 0;
    this.shows = "read"; // or "units"
    this.unit = -1;
    this.field = new TextField(byId("text"), vocabulary);
    this.view = new TextView(byId("read-text"), (position) => this.choose(position));
    byId("read-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.read();
    });
    const options = Object.entries(FEATURES).map(([key, { name }]) => element("option", { value: key }, name));
    byId("feature").replaceChildren(...options);
    for (const id of ["feature", "pattern"]) byId(id).addEventListener("input", () => this.listUnits());
    byId("unit").addEventListener("input", () => this.chooseUnit(Number(byId("unit").value) - 1));
    byId("unit").max = network.numUnits;
    byId("units").addEventListener("keydown", (event) => this.onListKey(event));
    for (const [scale, levels] of [["surprisal", SURPRISAL_LEVELS], ["activation", ACTIVATION_LEVELS]]) {
      const swatches = Array.from({ length: levels }, (_, level) => element("span", { class: `${scale}-${level}` }));
      byId(`${scale}-legend`).replaceChildren(...swatches);
    }
  }

  /** Reads the text in the form, and shows it while it is read. */
  async read() {
    const mode = byId("unknown").value;
    const { ids, unknown, added } = this.vocabulary.begin(this.field.text, mode);
    const said = [];
    const refused = unknown.length > 0 && mode === "refuse";
    if (unknown.length) said.push(`The text has characters that the model never saw: ${listed(unknown)}.`);
    if (refused) said.push(REMEDY);
    if (ids.length === added) said.push("The text is empty: give some characters.");
    const most = longestText(this.network);
    if (ids.length > most) said.push(`Only its first ${most.toLocaleString("en")} characters are read.`);
    byId("read-status").textContent = said.join(" ");
    if (refused || ids.length === added) return;
    const run = ++this.run;
    const read = ids.slice(0, most);
    this.trace = new Trace(this.network, read, this.vocabulary.endId);
    this.cells = this.vocabulary.cells(read).slice(added);
    this.view.clear();
    const ofText = ["chosen", "likeliest", "unit-value", "unit-status", "feature-line", "units"];
    for (const id of ofText) byId(id).replaceChildren();
    const { trace, cells } = this;
    let shown = 0;
    const show = () => {
      let end = shown;
      while (end < cells.length && cells[end].end <= trace.done) end++;
      this.view.add(cells.slice(shown, end), (cell) => this.classOf(cell));
      shown = end;
      byId("read-progress").textContent = trace.isDone ? "" : `${Math.floor((100 * trace.done) / read.length)} % read`;
    };
    const step = () => (trace.step(), !trace.isDone);
    await inSlices(step, show, () => run === this.run);
    if (run !== this.run) return;
    this.report();
    if (this.shows === "units") this.listUnits();
  }

  /** Says how surprising the text is as a whole. */
  report() {
    const known = this.trace.surprisals.filter((nats) => !Number.isNaN(nats));
    const mean = known.length ? known.reduce((a, b) => a + b, 0) / known.length : NaN;
    const each = this.vocabulary.isBytes ? "byte" : "character";
    const bits = (mean / Math.LN2).toFixed(3);
    if (known.length) byId("read-progress").textContent = `${mean.toFixed(3)} nats per ${each} (${bits} bits)`;
  }

  /** Returns a cell's surprisal in nats: the sum over its ids. */
  surprisal(cell) {
    return this.trace.surprisals.subarray(cell.start, cell.end).reduce((a, b) => a + b, 0);
  }

  classOf(cell) {
    if (this.shows === "read") return surprisalClass(this.surprisal(cell));
    return this.unit < 0 ? "" : activationClass(this.trace.output(this.unit, cell.end - 1));
  }

  /** Switches between the views: "read" or "units". */
  show(which) {
    this.shows = which;
    if (!this.trace) return;
    if (which === "units") this.listUnits();
    this.view.colour((cell) => this.classOf(cell));
    if (this.view.position >= 0) this.choose(this.view.position);
  }

  choose(position) {
    const cell = this.cells[this.view.indexOf(position)];
    const id = this.trace.ids[position];
    const length = cell.end - cell.start;
    const part = length > 1 ? `, byte ${position - cell.start + 1} of ${length} of ${cell.text}` : "";
    const name = this.vocabulary.nameOf(id) + part;
    if (this.shows === "units") {
      const value = this.unit < 0 ? "" : this.trace.output(this.unit, cell.end - 1).toFixed(2);
      byId("unit-value").textContent = this.unit < 0 ? "" : `${this.nameOfUnit(this.unit)} after ${name}: ${value}`;
      return;
    }
    const logits = this.trace.logitsBefore(position);
    if (!logits) {
      byId("chosen").textContent = `${name}: nothing predicted the first character`;
      byId("likeliest").replaceChildren();
      return;
    }
    const logProbs = logProbabilities(logits);
    const order = showLikeliest(byId("likeliest"), logProbs, this.vocabulary, id);
    const nats = -logProbs[id];
    const rank = `rank ${order.indexOf(id) + 1} of ${order.length}`;
    byId("chosen").textContent = `${name}: ${percent(Math.exp(-nats))}, ${nats.toFixed(2)} nats, ${rank}`;
  }

  nameOfUnit(unit) {
    const place = `unit ${(unit % this.network.units) + 1}`;
    return this.network.numLayers > 1 ? `layer ${Math.floor(unit / this.network.units) + 1}, ${place}` : place;
  }

  /** Sorts the units by what they tell about the chosen feature, and lists the first. */
  listUnits() {
    const key = byId("feature").value;
    byId("pattern-field").hidden = key !== "pattern";
    if (!this.trace || !this.trace.isDone) return;
    const characters = this.cells.map(({ text }) => text);
    const positions = this.cells.map(({ end }) => end - 1);
    let feature;
    try {
      feature = FEATURES[key].of(characters, byId("pattern").value);
    } catch (error) {
      byId("unit-status").textContent = `This is not a regular expression: ${error.message}.`;
      return;
    }
    const highest = Math.max(...condensed(feature, feature.length));
    byId("feature-line").replaceChildren(sparkLine(feature, 0, highest));
    const isConstant = feature.every((value) => value === feature[0]);
    const constant = `The text tells nothing about “${FEATURES[key].name}”: all characters are alike in it.`;
    byId("unit-status").textContent = isConstant ? constant : "";
    byId("units").replaceChildren();
    if (isConstant) return;
    const found = correlations(this.trace, positions, feature);
    const strengths = found.map(Math.abs);
    const order = Array.from(found.keys()).sort((a, b) => strengths[b] - strengths[a] || a - b);
    byId("units").replaceChildren(
      ...order.slice(0, LISTED_UNITS).map((unit) => {
        const line = sparkLine(positions.map((position) => this.trace.output(unit, position)), -1, 1);
        const r = `${found[unit] < 0 ? "−" : "+"}${Math.abs(found[unit]).toFixed(2)}`;
        const label = element("span", {}, `${this.nameOfUnit(unit)} `, element("b", {}, r));
        const button = element("button", { type: "button", "data-unit": unit }, label, line);
        button.addEventListener("click", () => this.chooseUnit(unit));
        return element("li", {}, button);
      }),
    );
    this.chooseUnit(order[0]);
  }

  chooseUnit(unit) {
    if (!(unit >= 0 && unit < this.network.numUnits) || !Number.isInteger(unit)) return;
    this.unit = unit;
    byId("unit").value = unit + 1;
    for (const button of byId("units").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", Number(button.dataset.unit) === unit);
    }
    if (this.shows === "units" && this.trace) this.view.colour((cell) => this.classOf(cell));
    if (this.view.position >= 0) this.choose(this.view.position);
    else byId("unit-value").textContent = "";
  }

  /** The arrow keys go through the list. */
  onListKey(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const buttons = Array.from(byId("units").querySelectorAll("button"));
    const next = buttons[buttons.indexOf(event.target) + way];
    if (!way || !next) return;
    event.preventDefault();
    next.focus();
    next.click();
  }
}
