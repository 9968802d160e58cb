// The front-loading explorer: memory position x segment, brushed; what the kept memories still tell.

import { COLOURS, element, picturesOf } from "./timeline.js";

const EDGE = { left: 34, top: 30, bottom: 18 };
const ENDS = {
  all: () => true,
  head: (place, size) => place < size,
  tail: (place, size, capacity) => place >= capacity - size,
  every: (place, size, capacity) => {
    const found = Array.from({ length: size }, (_, n) => Math.floor(((2 * n + 1) * capacity) / (2 * size)));
    return found.includes(place);
  },
};

/** Softmax: how the candidates share what likelihood they have. */
function shares(logs) {
  const top = Math.max(...logs);
  const raised = logs.map((log) => Math.exp(log - top));
  const total = raised.reduce((a, b) => a + b, 0);
  return raised.map((one) => one / total);
}

/** The saved effect whose positions differ least from those that are wanted. */
function nearest(effects, wanted) {
  const apart = ({ positions }) => wanted.filter((isKept, place) => isKept !== positions.includes(place)).length;
  return effects.reduce((best, one) => (apart(one) < apart(best) ? one : best));
}

/** `keep` asks a model about rows of 0 and 1, one per segment; without it, saved effects are shown. */
export function mountGrid(root, data, keep = null) {
  const { effects: saved, film } = data;
  const capacity = saved.capacity;
  const count = saved.scores.length;
  const [whole] = saved.effects;
  const [lowest, highest] = [Math.min(...saved.scores), Math.max(...saved.scores)];
  const rows = (test) => saved.scores.map(() => Array.from({ length: capacity }, (_, place) => test(place)));
  const state = {
    kept: rows(() => true), effect: whole, place: 0, anchor: null, isSame: true,
    segment: saved.scores.indexOf(highest), isBusy: false, isStale: false, began: 0,
  };
  const parts = buildGrid(root, data, keep !== null);
  const canvas = parts.canvas;

  /** First and last segment and position under the brush. */
  function area() {
    const { segment, place, anchor } = state;
    const from = anchor ?? { segment, place };
    const ends = (a, b) => [Math.min(a, b), Math.max(a, b)];
    return [state.isSame ? [0, count - 1] : ends(from.segment, segment), ends(from.place, place)];
  }

  function draw() {
    const width = Math.max(240, canvas.parentElement.clientWidth || 640);
    const tall = Math.max(3, Math.min(10, Math.floor(320 / capacity)));
    const height = EDGE.top + tall * capacity + EDGE.bottom;
    const density = window.devicePixelRatio || 1;
    Object.assign(canvas, { width: width * density, height: height * density });
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(density, density);
    const ink = getComputedStyle(canvas).color;
    const wide = (width - EDGE.left) / count;
    const gap = Math.min(wide, tall) > 5 ? 1 : 0;
    const x = (segment) => EDGE.left + segment * wide;
    const y = (place) => EDGE.top + place * tall;
    state.kept.forEach((row, segment) => row.forEach((isKept, place) => {
      pen.globalAlpha = isKept ? 1 : 0.16;
      pen.fillStyle = isKept ? COLOURS.many : ink;
      pen.fillRect(x(segment), y(place), wide - gap, tall - gap);
    }));
    pen.globalAlpha = 1;
    pen.fillStyle = COLOURS.score;
    saved.scores.forEach((score, segment) => {
      const high = (22 * (score - lowest)) / (highest - lowest || 1);
      pen.fillRect(x(segment), EDGE.top - 4 - high, Math.max(1, wide - gap), high);
    });
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    const [[left, right], [top, bottom]] = area();
    pen.strokeRect(x(left), y(top), x(right + 1) - x(left), y(bottom + 1) - y(top));
    pen.strokeRect(x(state.segment), EDGE.top - 28, wide, height - EDGE.bottom - EDGE.top + 28);
    pen.fillStyle = ink;
    pen.font = "12px sans-serif";
    pen.textAlign = "right";
    [[1, EDGE.top + 9], [capacity, height - EDGE.bottom]].forEach(([place, at]) => pen.fillText(place, EDGE.left - 5, at));
    pen.fillText("score", EDGE.left - 3, EDGE.top - 8);
    pen.textAlign = "left";
    pen.fillText(film.timestamps[0], EDGE.left, height - 4);
    pen.textAlign = "right";
    if (count > 1) pen.fillText(film.timestamps[count - 1], width - 2, height - 4);
    state.at = (event) => {
      const bounds = canvas.getBoundingClientRect();
      const inside = (value, most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
      return { segment: inside((event.clientX - bounds.left - EDGE.left) / wide, count),
        place: inside((event.clientY - bounds.top - EDGE.top) / tall, capacity) };
    };
  }

  function change() {
    if (keep) ask();
    else {
      const found = nearest(saved.effects, state.kept[0]);
      const isExact = found.positions.length === state.kept[0].filter(Boolean).length
        && found.positions.every((place) => state.kept[0][place]);
      state.kept = rows((place) => found.positions.includes(place));
      show(found, isExact ? "" : `not recorded; the nearest that is: ${found.name}`);
    }
    draw();
  }

  function ask() {
    if ((state.isStale = state.isBusy)) return;
    Object.assign(state, { isBusy: true, began: performance.now() });
    parts.status.textContent = "Computing ...";
    keep(state.kept.map((row) => row.map(Number).join("")));
  }

  function show(effect, note = "") {
    const seconds = ((performance.now() - state.began) / 1000).toFixed(2);
    const took = state.isBusy ? `answered in ${seconds} s` : note || effect.name;
    Object.assign(state, { effect, isBusy: false });
    if (state.isStale) return ask();
    parts.choice.value = String(saved.effects.indexOf(effect));
    parts.status.textContent = `${effect.num_kept} of ${count * capacity} memories kept; ${took}`;
    parts.answer.textContent = effect.text || "(nothing)";
    const [before, now] = [whole, effect].map((one) => shares(one.log_likelihoods));
    parts.candidates.replaceChildren(...saved.candidates.map((words, n) => {
      const bar = (share, kind) => element("div", { class: `te-share te-${kind}`, style: `width:${100 * share}%` });
      return element("tr", { class: now[n] === Math.max(...now) ? "te-best" : "" },
        element("th", { scope: "row" }, words, bar(now[n], "now"), bar(before[n], "whole")),
        ...[[effect, now], [whole, before]].map(([one, share]) => element("td", {},
          `${share[n].toFixed(2)} (${one.log_likelihoods[n].toFixed(1)})`)));
    }));
    return showSegment();
  }

  function showSegment() {
    const { segment, place, effect } = state;
    const pictures = picturesOf(film, segment);
    parts.picture.hidden = !pictures.length;
    if (pictures.length) parts.picture.src = pictures[Math.floor(pictures.length / 2)];
    parts.picture.alt = `frame of segment ${segment + 1}`;
    const words = `segment ${segment + 1} of ${count}, ${film.timestamps[segment]}, score ${saved.scores[segment].toFixed(3)}`;
    parts.place.textContent = `${words}; keeps ${state.kept[segment].filter(Boolean).length} of ${capacity}`;
    const isKept = state.kept[segment][place] ? "kept" : "left out";
    canvas.setAttribute("aria-label", `memories: ${words}, position ${place + 1}: ${isKept}`);
    const names = Object.keys(whole.readings);
    parts.readings.hidden = !names.length;
    parts.lines.replaceChildren(...names.map((name) => {
      const [all, now] = [whole.readings[name], effect.readings[name]];
      const same = all.filter((value, n) => value === now[n]).length;
      return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, now[segment] || "nothing"),
        element("td", {}, all[segment]), element("td", {}, `${same} of ${count}`));
    }));
  }

  function brush() {
    const [[left, right], [top, bottom]] = area();
    const value = !state.kept[(state.anchor ?? state).segment][(state.anchor ?? state).place];
    for (let segment = left; segment <= right; segment++) {
      for (let place = top; place <= bottom; place++) state.kept[segment][place] = value;
    }
    state.anchor = null;
    change();
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    Object.assign(state, state.at(event), { anchor: state.at(event) });
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!state.anchor || !event.buttons) return;
    Object.assign(state, state.at(event));
    draw();
  });
  canvas.addEventListener("pointerup", () => state.anchor && (brush(), showSegment()));
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      if (event.shiftKey) state.anchor ??= { segment: state.segment, place: state.place };
      else state.anchor = null;
      const [across, down] = moves[event.key];
      state.segment = Math.max(0, Math.min(count - 1, state.segment + across));
      state.place = Math.max(0, Math.min(capacity - 1, state.place + down));
    } else if (event.key === " " || event.key === "Enter") brush();
    else return;
    event.preventDefault();
    event.stopPropagation(); // notebooks have keys of their own
    draw();
    showSegment();
  });
  const choose = (name) => {
    const size = Number(parts.size.value);
    parts.sizeShown.textContent = size;
    state.kept = rows((place) => ENDS[name](place, size, capacity));
    change();
    showSegment();
  };
  let last = "head";
  Object.entries(parts.ends).forEach(([name, button]) => button.addEventListener("click", () => {
    last = name === "all" ? last : name;
    choose(name);
  }));
  parts.size.addEventListener("input", () => choose(last));
  parts.same.addEventListener("change", (event) => {
    state.isSame = event.target.checked;
    draw();
  });
  parts.choice.addEventListener("change", (event) => {
    const { positions } = saved.effects[Number(event.target.value)];
    state.kept = rows((place) => positions.includes(place));
    change();
  });
  const observer = new ResizeObserver(draw);
  draw();
  show(whole);
  observer.observe(canvas.parentElement);
  return {
    show,
    say(words) {
      Object.assign(state, { isBusy: false, isStale: false });
      parts.status.textContent = words;
    },
    destroy: () => observer.disconnect(),
  };
}

let numGrids = 0;

/** The grid's parts, built once. */
function buildGrid(root, { effects: saved, film, missing }, isLive) {
  const prefix = `tg${(numGrids += 1)}`;
  const parts = { ends: {} };
  const table = (heads, body) => element("table", {}, element("thead", {}, element("tr", {},
    ...heads.map((words) => element("th", { scope: "col" }, words)))), body);
  for (const name of Object.keys(ENDS)) parts.ends[name] = element("button", { type: "button" }, name);
  const middle = Math.max(1, Math.floor(saved.capacity / 4));
  parts.size = element("input", { type: "range", id: `${prefix}-size`, min: 1, max: saved.capacity, value: middle });
  parts.sizeShown = element("output", { for: `${prefix}-size` }, middle);
  parts.same = element("input", { type: "checkbox", id: `${prefix}-same`, checked: "", disabled: isLive ? null : "" });
  parts.choice = element("select", { id: `${prefix}-choice` },
    ...saved.effects.map((one, place) => element("option", { value: place }, one.name)));
  const recorded = element("div", { class: "te-choice", hidden: isLive ? "" : null },
    element("label", { for: `${prefix}-choice` }, "recorded"), parts.choice);
  parts.canvas = element("canvas", { class: "te-grid", tabindex: 0, role: "application" });
  parts.status = element("span", { class: "te-status", role: "status" });
  parts.answer = element("strong", { class: "te-answered" });
  parts.candidates = element("tbody");
  parts.lines = element("tbody");
  parts.picture = element("img", { class: "te-picture", alt: "", hidden: "" });
  parts.place = element("span", { class: "te-place" });
  parts.readings = element("div", { class: "te-readings" },
    table(["probes read", "kept memories", "all memories", "segments read as from all"], parts.lines));
  const problems = [...(missing ?? []), ...(film.missing ?? [])];
  root.classList.add("te-explorer");
  root.replaceChildren(
    element("p", { class: "te-problems", role: "note" }, problems.length ? `${problems.join(". ")}.` : ""),
    element("p", { class: "te-options" }, saved.question),
    element("div", { class: "te-row" }, element("span", {}, "keep"), ...Object.values(parts.ends),
      element("div", { class: "te-slider" }, element("label", { for: `${prefix}-size` }, "this many"), parts.size, parts.sizeShown),
      element("label", { for: `${prefix}-same` }, parts.same, " same positions in every segment"), recorded),
    element("div", { class: "te-plot" }, parts.canvas),
    element("p", { class: "te-legend" }, element("span", {}, "down: memory position, across: segment"),
      ...[["many", "kept"], ["score", "relevance score, min to max"]].map(([key, words]) => element("span", {},
        element("i", { style: `background:${COLOURS[key]}` }), words)),
      element("span", {}, "drag, or Shift with arrow keys and Space: brush")),
    element("p", {}, "Answer: ", parts.answer, " ", parts.status),
    table(["candidate answers: share of likelihood (log)", "kept memories", "all memories"], parts.candidates),
    element("div", { class: "te-top" }, element("div", { class: "te-player" }, parts.picture),
      element("div", { class: "te-controls" }, parts.place, parts.readings)));
  return parts;
}
