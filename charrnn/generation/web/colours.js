// The colours of surprisal and of activation, for light and dark. Brightness alone shows how surprising a character is,
// and blue against orange shows the sign of an activation, so that colour-blind readers see both.
"use strict";

const SURPRISAL_LEVELS = 15; // of half a nat each; the last has all from 7 nats on
const ACTIVATION_LEVELS = 17; // from -1 to 1
const STOPS = {
  light: {
    surprisal: ["#ffffff", "#fff3b8", "#fecb5c", "#fb9a29", "#dd5f0c", "#a83c03", "#662506"],
    activation: ["#08519c", "#4292c6", "#b3d3ea", "#ffffff", "#fdd3a1", "#e8871e", "#a04400"],
  },
  dark: {
    surprisal: ["#161616", "#3d1f08", "#6f3306", "#a85008", "#dd7d1b", "#fbb040", "#fff0a8"],
    activation: ["#8cc8ff", "#3f86c4", "#1d3f5e", "#161616", "#573008", "#b9660f", "#ffb95e"],
  },
};

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Returns the colour at a share, 0 … 1, of the way through the stops, as channels from 0 to 255. */
function between(stops, share) {
  const at = Math.min(share * (stops.length - 1), stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  const [from, to] = [channels(stops[low]), channels(stops[low + 1])];
  return from.map((value, i) => Math.round(value + (to[i] - value) * (at - low)));
}

/** Returns the relative luminance of a colour, as WCAG 2 defines it. */
function luminance(colour) {
  const curve = (share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4);
  const linear = colour.map((value) => curve(value / 255));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

/** Returns the contrast of two colours, 1 … 21. */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Returns background and text colour of each level: black or white text, whichever has the larger contrast. */
function palette(theme, scale) {
  const count = scale === "surprisal" ? SURPRISAL_LEVELS : ACTIVATION_LEVELS;
  return Array.from({ length: count }, (_, level) => {
    const background = between(STOPS[theme][scale], level / (count - 1));
    const [black, white] = [[0, 0, 0], [255, 255, 255]];
    return { background, text: contrast(background, black) >= contrast(background, white) ? black : white };
  });
}

/** Returns the rules of the classes surprisal-0 … and activation-0 …. */
function colourRules() {
  const rgb = (colour) => `rgb(${colour.join(", ")})`;
  const rules = [];
  for (const theme of ["light", "dark"]) {
    for (const scale of ["surprisal", "activation"]) {
      palette(theme, scale).forEach(({ background, text }, level) => {
        const rule = `.${scale}-${level} { background-color: ${rgb(background)}; color: ${rgb(text)}; }`;
        rules.push(`@media (prefers-color-scheme: ${theme}) { ${rule} }`);
      });
    }
  }
  return rules;
}

/** Returns the class of a surprisal in nats; "" for none. */
function surprisalClass(nats) {
  return Number.isNaN(nats) ? "" : `surprisal-${Math.max(0, Math.min(Math.floor(nats * 2), SURPRISAL_LEVELS - 1))}`;
}

/** Returns the class of an activation, -1 … 1. */
function activationClass(value) {
  const share = (Math.max(-1, Math.min(1, value)) + 1) / 2;
  return `activation-${Math.round(share * (ACTIVATION_LEVELS - 1))}`;
}
