// From text to ids and back, by the rules with which the training text was read.
"use strict";

const REPLACEMENT = "\ufffd";
const NAMES = { " ": "space", "\n": "line break", "\t": "tab", "\r": "carriage return", "\u00a0": "no-break space" };
const INVISIBLE = /^[\p{Cc}\p{Cf}\p{M}\p{Z}\p{Cn}\p{Co}\p{Cs}]$/u;

/** A vocabulary: `described` has kind, characters, reading, lowers_ascii_only and end_of_text. */
class Vocabulary {
  constructor(described) {
    this.isBytes = described.kind === "bytes";
    this.characters = described.characters;
    this.size = this.isBytes ? 256 : this.characters.length + 1;
    this.unknownId = this.isBytes ? -1 : 0;
    this.reading = described.reading;
    this.lowersAsciiOnly = described.lowers_ascii_only;
    this.idOf = new Map(this.characters.map((character, i) => [character, i + 1]));
    // A vocabulary of bytes does not say whether its text had "\r"; most texts have none.
    this.lineEnd = !this.idOf.has("\r") ? "\n" : this.idOf.has("\n") ? "\r\n" : "\r";
    const ends = described.end_of_text !== "";
    this.endId = ends ? this.encode(described.end_of_text, "replace").ids[0] : -1; // -1: the text is not documents
  }

  /** Returns a text that a person typed, where each line break is "\n", with the line ends of the training text. */
  withLineEnds(text) {
    return this.lineEnd === "\n" ? text : text.replace(/\r?\n/g, this.lineEnd);
  }

  /** Returns a text with line ends, Unicode form and case as the model knows them. */
  read(text) {
    if (this.lowersAsciiOnly) return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    const { universal_newlines, normalization, lowercase } = this.reading;
    const normalized = (given) => (normalization ? given.normalize(normalization) : given);
    const read = normalized(universal_newlines ? text.replace(/\r\n?/g, "\n") : text);
    return lowercase ? normalized(read.toLowerCase()) : read;
  }

  /**
   * Returns the ids of a text, and its distinct unknown characters. `unknown` says what happens to these: "refuse"
   * and "drop" leave them out, and "replace" puts the unknown id.
   */
  encode(text, unknown) {
    if (this.isBytes) return { ids: Array.from(new TextEncoder().encode(text)), unknown: [] };
    const ids = [];
    const missing = new Set();
    for (const character of text) {
      const id = this.idOf.get(character);
      if (id === undefined) missing.add(character);
      if (id !== undefined || unknown === "replace") ids.push(id || 0);
    }
    return { ids, unknown: [...missing] };
  }

  /**
   * Returns the ids to read for a prompt or text. A document follows the end of the one before: if the text does not
   * begin with this end, it is added, and `added` is 1; otherwise `added` is 0.
   */
  begin(text, unknown) {
    const encoded = this.encode(this.read(text), unknown);
    const added = this.endId >= 0 && encoded.ids[0] !== this.endId ? 1 : 0;
    if (added) encoded.ids.unshift(this.endId);
    return { ...encoded, added };
  }

  /** Returns the text of ids. */
  decode(ids) {
    if (this.isBytes) return new TextDecoder().decode(Uint8Array.from(ids));
    return ids.map((id) => (id ? this.characters[id - 1] : REPLACEMENT)).join("");
  }

  /**
   * Returns the characters of ids, in each { text, start, end }: the ids from start to end - 1 are the character's.
   * With a vocabulary of bytes a character has up to four, and a byte that is in no character is one by itself.
   */
  cells(ids) {
    if (!this.isBytes) return ids.map((id, i) => ({ text: this.decode([id]), start: i, end: i + 1 }));
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const cells = [];
    for (let start = 0; start < ids.length; ) {
      const first = ids[start];
      const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      let cell = { text: REPLACEMENT, start, end: start + 1 };
      try {
        const text = strict.decode(Uint8Array.from(ids.slice(start, start + length)));
        cell = { text, start, end: start + length };
      } catch (error) {
        // Not UTF-8: the byte stays alone.
      }
      cells.push(cell);
      start = cell.end;
    }
    return cells;
  }

  /** Returns a name of an id for a person: the character, or a word for an invisible one. */
  nameOf(id) {
    if (id === this.unknownId) return "unknown";
    const character = this.isBytes ? String.fromCharCode(id) : this.characters[id - 1];
    if (this.isBytes && id > 126) return `byte ${id.toString(16)}`;
    if (NAMES[character]) return NAMES[character];
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return INVISIBLE.test(character) ? `U+${code}` : character;
  }
}
