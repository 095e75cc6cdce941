// A text on the page, character by character: coloured by classes, chosen by pointer or keys.
"use strict";

/** Shows cells (see Vocabulary.cells) in an element. `onChoose` gets the position that a person chooses. */
class TextView {
  constructor(place, onChoose) {
    Object.assign(this, { place, onChoose });
    this.clear();
    const chosen = (event) => {
      const index = this.spans.indexOf(event.target);
      if (index >= 0) this.choose(this.cells[index].start);
    };
    place.addEventListener("pointerover", chosen);
    place.addEventListener("click", chosen);
    place.addEventListener("keydown", (event) => this.onKey(event));
  }

  clear() {
    this.cells = [];
    this.spans = [];
    this.position = -1;
    this.line = null;
    this.place.replaceChildren();
  }

  /** Adds cells at the end, each with its class. Each line is an element, so that a browser lays out few of them. */
  add(cells, classOf) {
    for (const cell of cells) {
      const isControl = cell.text < " " && !"\n\t".includes(cell.text);
      const glyph = isControl ? String.fromCharCode(0x2400 + cell.text.charCodeAt(0)) : cell.text; // its symbol
      const span = element("span", { class: this.fullClass(cell, classOf) }, glyph);
      if (!this.line) this.place.append((this.line = element("div", { class: "line" })));
      this.line.append(span);
      if (cell.text === "\n") this.line = null;
      this.cells.push(cell);
      this.spans.push(span);
    }
  }

  /** Gives each character its class again. */
  colour(classOf) {
    this.cells.forEach((cell, i) => {
      this.spans[i].className = this.fullClass(cell, classOf);
    });
    if (this.position >= 0) this.spans[this.indexOf(this.position)].classList.add("chosen");
  }

  fullClass(cell, classOf) {
    return `${classOf(cell)} ${cell.text === "\n" ? "break" : ""}`;
  }

  /** Returns the index of the cell with a position; cells are in order. */
  indexOf(position) {
    let low = 0, high = this.cells.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.cells[middle].start <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Chooses a position; scrolls to it if `scrolls`. */
  choose(position, scrolls = false) {
    if (!this.cells.length) return;
    const last = this.cells[this.cells.length - 1].end - 1;
    const wanted = Math.max(this.cells[0].start, Math.min(position, last));
    if (this.position >= 0) this.spans[this.indexOf(this.position)].classList.remove("chosen");
    this.position = wanted;
    const span = this.spans[this.indexOf(wanted)];
    span.classList.add("chosen");
    if (scrolls) span.scrollIntoView({ block: "nearest" });
    this.onChoose(wanted);
  }

  onKey(event) {
    const at = this.position;
    const index = at < 0 ? -1 : this.indexOf(at);
    const moves = {
      ArrowRight: () => at + 1,
      ArrowLeft: () => at - 1,
      ArrowDown: () => this.beside(index, 1),
      ArrowUp: () => this.beside(index, -1),
      Home: () => 0,
      End: () => Infinity,
    };
    if (!moves[event.key] || event.ctrlKey || event.altKey || event.metaKey || !this.cells.length) return;
    event.preventDefault();
    this.choose(moves[event.key](), true);
  }

  /** Returns the position in the next line (way 1) or the one before (way -1) that is nearest to a cell's column. */
  beside(index, way) {
    if (index < 0) return 0;
    const from = this.spans[index].getBoundingClientRect();
    let best = index, distance = Infinity, line = null;
    for (let i = index + way; i >= 0 && i < this.spans.length; i += way) {
      const box = this.spans[i].getClientRects()[0];
      if (!box || Math.abs(box.top - from.top) < box.height / 2) continue;
      if (line === null) line = box.top;
      else if (Math.abs(box.top - line) > box.height / 2) break;
      if (Math.abs(box.left - from.left) < distance) [best, distance] = [i, Math.abs(box.left - from.left)];
    }
    return this.cells[best].start;
  }
}
