// The choice of a character. The filters apply in this order: top-k, top-p, min-p, epsilon.
"use strict";

const NEVER = -1e30; // the logit of a character that must not be chosen
const SMALLEST_P = 1e-30; // a probability that a 32-bit float distinguishes from 0

/** Returns logits [V] with NEVER for the excluded ids. `filters` has temperature, topK, topP, minP and epsilon. */
function filtered(logits, filters) {
  const temperature = filters.temperature > 0 ? filters.temperature : 1;
  const keepFrom = (smallest) => (logits = logits.map((value) => (value >= smallest ? value : NEVER)));
  const ordered = () => Float64Array.from(logits).sort().reverse();
  if (filters.topK > 0 && filters.topK < logits.length) keepFrom(ordered()[filters.topK - 1]);
  if (filters.topP < 1) {
    const sorted = ordered();
    const probabilities = logProbabilities(sorted.map((value) => value / temperature)).map(Math.exp);
    let likelier = 0, count = 0;
    while (count < sorted.length && likelier < Math.max(filters.topP, SMALLEST_P)) likelier += probabilities[count++];
    keepFrom(sorted[count - 1]);
  }
  const largest = () => logits.reduce((a, b) => Math.max(a, b));
  if (filters.minP > 0) keepFrom(largest() + temperature * Math.log(filters.minP));
  if (filters.epsilon > 0) {
    // The least logit of probability epsilon lies below the largest logit by ln(largest probability / epsilon).
    const top = largest();
    const likeliest = logProbabilities(logits.map((value) => value / temperature)).reduce((a, b) => Math.max(a, b));
    keepFrom(Math.min(top + temperature * (Math.log(filters.epsilon) - likeliest), top));
  }
  return logits;
}

/** Returns the id of the largest sum of logit and temperature times noise; temperature 0: the likeliest id. */
function choose(logits, noise, filters) {
  const kept = filtered(logits, filters);
  let best = 0, largest = -Infinity;
  for (let i = 0; i < kept.length; i++) {
    const sum = kept[i] + filters.temperature * noise[i];
    if (sum > largest) [best, largest] = [i, sum];
  }
  return best;
}
