// Answers questions to an exported page without a browser: node ask.js model.html '{"logits": […]}'.
"use strict";

const fs = require("node:fs");
const { evaluate } = require("./load.js");

const html = fs.readFileSync(process.argv[2], "utf8");
const asked = JSON.parse(process.argv[3]);
const places = {};
for (const [, id, rest, text] of html.matchAll(/<script type="[^"]+" id="([^"]+)"([^>]*)>([^<]*)<\/script>/g)) {
  const dataset = Object.fromEntries(Array.from(rest.matchAll(/data-(\w+)="([^"]*)"/g), ([, name, value]) => [name, value]));
  places[id] = { textContent: text, dataset, remove() {} };
}
const scripts = Array.from(html.matchAll(/<script>([^]*?)<\/script>/g), ([, source]) => source);
const withoutViews = scripts.slice(1, -1); // the first looks at the browser, and the last starts the page
const loads = scripts.at(-1).replace(/^const page = .*$/m, ""); // without the start
const document = { getElementById: (id) => places[id] };
const found = evaluate([...withoutViews, loads], "({ loadModel, Noise, Writing, Trace })", { document });
const described = JSON.parse(places.described.textContent);
const { network, vocabulary } = found.loadModel(described);

const answers = {
  /** The logits after each of the ids. */
  logits(ids) {
    let state = network.initialState();
    return ids.map((id) => Array.from(network.logits((state = network.advance(id, state)).map(([h]) => h))));
  },
  noise: ({ seed, size, positions }) => positions.map((position) => Array.from(new found.Noise(seed, size).at(position))),
  texts: (texts) =>
    texts.map(({ prompt, stop, seed, count, filters, unknown }) => {
      const stops = vocabulary.encode(vocabulary.read(stop), "drop").ids;
      const writing = new found.Writing(network, vocabulary, vocabulary.begin(prompt, unknown).ids, stops, seed);
      while (!writing.ended && writing.ids.length < count) writing.step(filters);
      return vocabulary.decode(writing.ids);
    }),
  /** The surprisals of a text, and the outputs of all units after each of its ids. */
  trace(text) {
    const trace = new found.Trace(network, vocabulary.begin(text, "replace").ids, vocabulary.endId);
    while (!trace.isDone) trace.step();
    return { surprisals: Array.from(trace.surprisals), outputs: Array.from(trace.outputs) };
  },
  read: (texts) => texts.map((text) => vocabulary.read(text)),
  ids: (texts) => texts.map((text) => vocabulary.encode(vocabulary.read(text), "replace").ids),
  described: () => described,
  milliseconds({ ids }) {
    answers.logits(ids);
    const begin = performance.now();
    answers.logits(ids);
    return (performance.now() - begin) / ids.length;
  },
};
process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(asked).map(([name, what]) => [name, answers[name](what)]))));
