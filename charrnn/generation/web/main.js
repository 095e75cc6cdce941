// Starts the page: decodes the model, and connects the views.
"use strict";

const READ_AT_FIRST = 1500; // characters of the model's own text

/** Reads the page's data and returns the network and the vocabulary. */
function loadModel(described) {
  const tensor = (name) => {
    const place = byId(`tensor-${name}`);
    const values = decodeTensor(place.textContent.trim(), place.dataset.type, Number(place.dataset.scale));
    place.remove(); // the text takes more memory than the weights
    return values;
  };
  return { network: new Network(described.model, tensor), vocabulary: new Vocabulary(described.vocabulary) };
}

/** Lets the tabs choose what is visible. `show` gets the name of the chosen one. */
function connectTabs(show) {
  const tabs = Array.from(document.querySelectorAll("[role=tab]"));
  const choose = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    show(chosen.dataset.view);
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!way) return;
      const next = tabs[(i + way + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  });
}

function start() {
  const described = JSON.parse(byId("described").textContent);
  for (const rule of colourRules()) document.styleSheets[0].insertRule(rule, document.styleSheets[0].cssRules.length);
  const { network, vocabulary } = loadModel(described);
  byId("unknown").value = described.unknown;
  byId("unknown-field").hidden = vocabulary.isBytes;
  const write = new WriteView(network, vocabulary, described);
  const read = new ReadView(network, vocabulary);
  connectTabs((view) => {
    document.body.dataset.view = view;
    byId("write").hidden = view !== "write";
    byId("reading").hidden = view === "write";
    byId("reading").setAttribute("aria-labelledby", `tab-${view}`);
    byId("read-panel").hidden = view !== "read";
    byId("units-panel").hidden = view !== "units";
    if (view === "write") return;
    if (write.isRunning) write.pause();
    read.show(view);
    if (!read.trace && !read.field.text) {
      read.field.text = Array.from(write.text).slice(0, READ_AT_FIRST).join("");
      if (read.field.text) read.read();
    }
  });
  byId("needs").hidden = true;
  byId("app").hidden = false;
  const moves = !(window.matchMedia && matchMedia("(prefers-reduced-motion: reduce)").matches);
  if (moves) write.begin();
  return { network, vocabulary, write, read };
}

const page = missing.length ? null : start();
