// Scores in, token counts out, as tempo_lib/allocation does it: held equal by a test, to the token.
// float32 where the library uses float32 (Math.fround), because Eq. 3 and Eq. 4 round down.

const FLAT_RANGE = 1e-8;
const NEIGHBOUR_WEIGHT = 0.5;
const round32 = Math.fround;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

/** Segments by falling value; equal ones earlier segment first. */
function descending(values) {
  return values.map((_, place) => place).sort((a, b) => values[b] - values[a] || a - b);
}

/** The order in which torch adds float32 numbers on x86-64, so that even the last bit is equal. */
function sum32(values) {
  const LANES = 8, ROWS = 4, LEVELS = 4;
  const blocks = Math.floor(values.length / LANES);
  const zeros = () => new Float32Array(LANES * ROWS);
  const levels = Array.from({ length: LEVELS }, zeros);
  const steps = Math.floor(blocks / ROWS);
  const power = Math.max(4, Math.floor(Math.ceil(Math.log2(Math.max(steps, 1))) / LEVELS));
  const add = (to, from, start, count) => {
    for (let i = 0; i < count; i++) to[i] += from[start + i];
  };
  let step = 0;
  while (step + (1 << power) <= steps) {
    for (let i = 0; i < 1 << power; i++, step++) {
      add(levels[0], values, step * LANES * ROWS, LANES * ROWS);
    }
    for (let level = 1; level < LEVELS; level++) {
      add(levels[level], levels[level - 1], 0, LANES * ROWS);
      levels[level - 1].fill(0);
      if (step & (((1 << power) - 1) << (level * power))) break;
    }
  }
  for (; step < steps; step++) add(levels[0], values, step * LANES * ROWS, LANES * ROWS);
  for (let level = 1; level < LEVELS; level++) add(levels[0], levels[level], 0, LANES * ROWS);
  const lanes = levels[0];
  for (let block = steps * ROWS; block < blocks; block++) add(lanes, values, block * LANES, LANES);
  for (let row = 1; row < ROWS; row++) {
    for (let i = 0; i < LANES; i++) lanes[i] += lanes[row * LANES + i];
  }
  let total = 0;
  for (let i = blocks * LANES; i < values.length; i++) total = round32(total + values[i]);
  for (let i = 0; i < LANES; i++) total = round32(total + lanes[i]);
  return total;
}

/** Min-max scaled float32 values with maximum 1; null where all are alike. */
function unitScores(scores) {
  const isSingle = scores.every((score) => round32(score) === score);
  const kept = isSingle ? round32 : (value) => value;
  const half = scores.map((score) => kept(score * 0.5));
  const lowest = least(half);
  const range = kept(most(half) - lowest);
  if (range < FLAT_RANGE / 2) return null;
  return half.map((value) => round32(kept(kept(value - lowest) / range)));
}

function share(unit, order, residual) {
  const total = sum32(Float32Array.from(unit));
  const inOrder = order.map((place) => {
    return Math.floor(round32(residual * round32(unit[place] / total)));
  });
  let given = 0;
  inOrder.forEach((wanted, place) => {
    const before = given;
    given += wanted;
    inOrder[place] = Math.min(wanted, Math.max(residual - before, 0));
  });
  const left = residual - sum(inOrder);
  const extra = new Array(unit.length);
  order.forEach((segment, place) => {
    extra[segment] = inOrder[place] + (place < left ? 1 : 0);
  });
  return extra;
}

function keepSegments(count, kept, tokens) {
  const counts = new Array(count).fill(0);
  kept.forEach((place) => (counts[place] = tokens));
  return counts;
}

/** Adaptive Token Allocation: Algorithm 1 of the paper. */
export function allocate(scores, { budget, kMin, kMax }) {
  const count = scores.length;
  const order = descending(scores);
  const unit = unitScores(scores);
  if (count > budget && (kMin > 0 || unit === null)) {
    return keepSegments(count, order.slice(0, budget), 1);
  }
  if (unit === null) return new Array(count).fill(Math.min(kMax, Math.floor(budget / count)));
  const anchor = count * kMin > budget ? Math.floor(budget / count) : kMin;
  const ideal = unit.map((value) => {
    return Math.min(anchor + Math.floor(round32((kMax - anchor) * value)), kMax);
  });
  if (sum(ideal) <= budget) return ideal;
  const extra = share(unit, order, budget - count * anchor);
  return extra.map((tokens) => Math.min(anchor + tokens, kMax));
}

/** A segment counts for half of its better neighbour, after min-max scaling. */
function smoothed(scores) {
  const lowest = least(scores);
  const spread = most(scores) - lowest;
  const unit = scores.map((s) => (spread < FLAT_RANGE ? 0 : (s - lowest) / spread));
  return unit.map((value, place) => {
    const beside = Math.max(unit[place - 1] ?? 0, unit[place + 1] ?? 0);
    return Math.max(value, NEIGHBOUR_WEIGHT * beside);
  });
}

function uniform(scores, { budget, kMax }) {
  const count = scores.length;
  if (count <= budget) return new Array(count).fill(Math.min(kMax, Math.floor(budget / count)));
  const spaced = Array.from({ length: budget }, (_, place) => {
    return Math.floor(((2 * place + 1) * count) / (2 * Math.max(budget, 1)));
  });
  return keepSegments(count, spaced, 1);
}

function wholeSegments(order, { budget, kMax }) {
  const capacity = Math.min(kMax, budget);
  const fitting = Math.floor(budget / Math.max(capacity, 1));
  return keepSegments(order.length, order.slice(0, fitting), capacity);
}

/** What each policy reads of a question, and its rule; names as `tempo evaluate --variant`. */
export const POLICIES = {
  ata: { label: "ATA (the paper)", reads: "scores", rule: allocate },
  "ata-smooth": {
    label: "ATA, smoothed over neighbours",
    reads: "scores",
    rule: (scores, limits) => allocate(smoothed(scores), limits),
  },
  "ata-logit": { label: "ATA in logit space", reads: "logits", rule: allocate },
  "ata-logit-smooth": {
    label: "ATA in logit space, smoothed",
    reads: "logits",
    rule: (logits, limits) => allocate(smoothed(logits), limits),
  },
  uniform: { label: "uniform", reads: "scores", rule: uniform },
  "top-k": {
    label: "hard top-k",
    reads: "scores",
    rule: (scores, limits) => wholeSegments(descending(scores), limits),
  },
  adversarial: {
    label: "adversarial (lowest scores)",
    reads: "scores",
    rule: (scores, limits) => wholeSegments(descending(scores.map((s) => -s)), limits),
  },
};
