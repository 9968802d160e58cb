// One question of one video on the axis of time, as SVG: tokens as bars, scores as a line, anchors,
// evidence marks, and where the player stands. Colours are those of tempo_lib/figures/style.py.

export const COLOURS = { many: "#d55e00", few: "#8C8C8C", score: "#0173b2", evidence: "#029e73" };
const NAMESPACE = "http://www.w3.org/2000/svg";
const MARGIN = { left: 40, right: 36, top: 14, bottom: 24 };
const HEIGHT = 170;
const MOST_DOTS = 64; // scores with a dot each; more would melt into a band

export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A segment's pictures: data URLs, shared with its neighbours in long films. */
export function picturesOf({ frames, edges }, segment) {
  return frames[Math.floor((segment * frames.length) / (edges.length - 1))] ?? [];
}

function shape(parent, name, attributes, text) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

/** Round seconds for an axis of this length: about seven of them. */
function ticks(first, last) {
  const wanted = (last - first) / 7;
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
  const step = steps.find((one) => one >= wanted) ?? 7200;
  const found = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) found.push(at);
  return found;
}

/** Seconds as 12 s, or 1:02:05 in long videos. */
export function clock(second, last) {
  if (last < 180) return `${Number(second.toFixed(1))} s`;
  const whole = Math.round(second);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
  return last < 3600 ? `${Math.floor(whole / 60)}:${parts[1]}` : `${Math.floor(whole / 3600)}:${parts.join(":")}`;
}

/** The segment that holds a second. */
export function segmentAt(edges, second) {
  let place = edges.findIndex((edge) => edge > second) - 1;
  if (place < -1) place = edges.length - 2;
  return Math.max(0, Math.min(place, edges.length - 2));
}

/** Draws into `svg`; returns (x in pixels) -> second, and a function that moves the playhead. */
export function drawTimeline(svg, { film, row, counts, limits, width, segment }) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("height", HEIGHT);
  const { edges } = film;
  const [first, last] = [edges[0], edges[edges.length - 1]];
  const inner = width - MARGIN.left - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const tall = bottom - MARGIN.top;
  const x = (second) => MARGIN.left + ((second - first) / (last - first)) * inner;
  const top = Math.max(limits.kMax, ...counts, 1);
  const y = (tokens) => bottom - (tokens / top) * tall;
  const text = { fill: "currentColor", "font-size": 12, "font-family": "sans-serif" };

  const relevant = (row.relevant ?? []).flatMap((is, place) => (is ? [place] : []));
  for (const place of relevant) {
    const [left, right] = [x(edges[place]), x(edges[place + 1])];
    shape(svg, "rect", {
      x: left, y: MARGIN.top, width: right - left, height: tall,
      fill: COLOURS.evidence, "fill-opacity": 0.22,
    });
    const middle = (left + right) / 2;
    shape(svg, "path", {
      d: `M${middle - 5} 2h10l-5 9z`, fill: COLOURS.evidence, class: "te-evidence",
    });
  }
  const half = (limits.kMin + limits.kMax) / 2;
  const gap = counts.length <= 150 ? 0.12 : 0;
  counts.forEach((tokens, place) => {
    const [left, right] = [x(edges[place]), x(edges[place + 1])];
    shape(svg, "rect", {
      class: "te-bar", "data-tokens": tokens,
      x: left + ((right - left) * gap) / 2, y: y(tokens),
      width: Math.max((right - left) * (1 - gap), 0.5), height: bottom - y(tokens),
      fill: tokens > half ? COLOURS.many : COLOURS.few,
    });
  });
  for (const limit of new Set([limits.kMin, limits.kMax])) {
    shape(svg, "line", {
      x1: MARGIN.left, x2: width - MARGIN.right, y1: y(limit), y2: y(limit),
      stroke: "currentColor", "stroke-dasharray": "5 3", "stroke-opacity": 0.6,
    });
    shape(svg, "text", { ...text, x: MARGIN.left - 6, y: y(limit) + 4, "text-anchor": "end" }, limit);
  }
  const points = row.scores.map((score, place) => {
    return [x((edges[place] + edges[place + 1]) / 2), bottom - score * tall];
  });
  shape(svg, "polyline", {
    points: points.map((point) => point.join(",")).join(" "),
    fill: "none", stroke: COLOURS.score, "stroke-width": 1.5,
  });
  if (points.length <= MOST_DOTS) {
    points.forEach(([cx, cy]) => shape(svg, "circle", { cx, cy, r: 2.5, fill: COLOURS.score }));
  }
  for (const score of [0, 0.5, 1]) {
    const at = { x: width - MARGIN.right + 6, y: bottom - score * tall + 4 };
    shape(svg, "text", { ...text, ...at }, score);
  }
  shape(svg, "line", {
    x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom, stroke: "currentColor",
  });
  for (const second of ticks(first, last).filter((one) => width > 500 || one % 2 === 0)) {
    const words = clock(second, last);
    if (x(second) + words.length * 4 > width) continue;
    shape(svg, "text", { ...text, x: x(second), y: HEIGHT - 6, "text-anchor": "middle" }, words);
  }
  shape(svg, "rect", {
    class: "te-chosen", x: x(edges[segment]), y: MARGIN.top - 3,
    width: x(edges[segment + 1]) - x(edges[segment]), height: tall + 5,
    fill: "none", stroke: "currentColor", "stroke-width": 2,
  });
  const playhead = shape(svg, "line", {
    class: "te-playhead", y1: MARGIN.top, y2: bottom, stroke: "currentColor", "stroke-width": 1,
  });
  const moveTo = (second) => {
    const at = x(Math.max(first, Math.min(second, last)));
    playhead.setAttribute("x1", at);
    playhead.setAttribute("x2", at);
  };
  return { secondAt: (pixels) => first + ((pixels - MARGIN.left) / inner) * (last - first), moveTo };
}
