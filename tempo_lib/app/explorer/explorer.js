// The explorer: player, timelines, controls. `mount` serves the notebook's widget and the web page.

import { POLICIES } from "./allocate.js";
import { COLOURS, clock, drawTimeline, element, picturesOf, segmentAt } from "./timeline.js";

const SCHEMES = { head: "head (the paper)", tail: "tail", merge: "merge" };
const TABLE_COLUMNS = ["track", "question", "policy", "scheme", "segment", "start_seconds",
  "stop_seconds", "timestamp", "score", "tokens", "relevant"];

let numMounted = 0;

export function mount(root, data, host = {}) {
  const prefix = `te${(numMounted += 1)}`;
  const state = startState(data);
  const parts = build(root, prefix, data);
  let tracks = [];

  const limits = (track = state.tracks[0]) => {
    const budget = Math.max(0, track?.budget ?? state.budget);
    const kMax = Math.max(1, Math.min(state.kMax, data.capacity));
    return { budget, kMax, kMin: Math.max(0, Math.min(state.kMin, kMax)) };
  };
  const film = () => data.films[data.rows[state.tracks[0].row].film];
  const lastSecond = () => film().edges[film().edges.length - 1];

  function allocation(track) {
    const row = data.rows[track.row];
    const policy = POLICIES[track.policy];
    if (!row[policy.reads]) {
      return { counts: row.scores.map(() => 0), problem: `${policy.label}: this record has no logits` };
    }
    return { counts: policy.rule(row[policy.reads], limits(track)), problem: "" };
  }

  function draw() {
    tracks.forEach((made) => made.box.remove());
    tracks = state.tracks.map((track, place) => {
      const found = allocation(track);
      const made = { ...makeTrack(track, place, found), ...found, track };
      parts.tracks.append(made.box);
      return made;
    });
    redraw();
    showProblems();
  }

  function redraw() {
    for (const made of tracks) {
      const width = Math.max(280, Math.floor(made.svg.parentElement.clientWidth || 640));
      const row = data.rows[made.track.row];
      Object.assign(made, drawTimeline(made.svg, {
        film: data.films[row.film], row, counts: made.counts, limits: limits(made.track), width,
        segment: state.segment,
      }));
      made.moveTo(state.second);
    }
    showSegment();
  }

  function makeTrack(track, place, { counts }) {
    const row = data.rows[track.row];
    const used = counts.reduce((a, b) => a + b, 0);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "te-timeline");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "slider");
    svg.setAttribute("aria-label", `Segments of the video under: ${row.question}`);
    svg.setAttribute("aria-valuemin", 1);
    svg.setAttribute("aria-valuemax", counts.length);
    svg.addEventListener("keydown", pressed);
    svg.addEventListener("click", (event) => seek(tracks[place].secondAt(inside(svg, event))));
    svg.addEventListener("pointermove", (event) => hover(event, place));
    svg.addEventListener("pointerleave", () => (parts.tip.hidden = true));
    const gauge = element("div", {
      class: "te-gauge", role: "meter", "aria-valuemin": 0, "aria-valuemax": limits(track).budget,
      "aria-valuenow": used, "aria-label": "memory tokens used of the budget",
    }, element("div", { class: "te-fill", style: `width:${percent(used, limits(track).budget)}%` }));
    const words = element("span", { class: "te-used" }, `${used} of ${limits(track).budget} tokens`);
    const pick = (key, options) => choice(`${prefix}-${key}${place}`, key, options, track[key], (value) => {
      track[key] = key === "row" ? Number(value) : value;
      if (key === "row") track.budget = null;
      if (key === "row" && place === 0) changeFilm();
      draw();
    });
    const questions = Object.fromEntries(data.rows.flatMap((one, number) => {
      const fits = place === 0 || one.film === data.rows[state.tracks[0].row].film;
      const own = one.budget === null ? "" : ` (budget ${one.budget})`;
      return fits ? [[number, one.question.split("\n")[0] + own]] : [];
    }));
    const policies = Object.fromEntries(Object.entries(POLICIES).map(([k, v]) => [k, v.label]));
    const box = element("section", { class: "te-track" },
      element("div", { class: "te-row" },
        pick("row", questions), pick("policy", policies), pick("scheme", SCHEMES)),
      predictionLine(row, track, counts),
      element("div", { class: "te-row te-budget" }, gauge, words),
      element("div", { class: "te-plot" }, svg));
    return { box, svg };
  }

  function predictionLine(row, track, counts) {
    const line = element("p", { class: "te-prediction" });
    const [, ...options] = row.question.split("\n");
    if (options.length) line.append(element("span", { class: "te-options" }, options.join("   ")));
    if (row.prediction === null) return line;
    const verdict = row.correct === null ? "" : row.correct ? " \u2714 right" : " \u2718 wrong";
    line.append(element("strong", {}, "Prediction: "), row.prediction || "(nothing)", verdict);
    if (row.answer && !row.correct) line.append(` (answer: ${row.answer})`);
    const same = row.scheme === track.scheme && String(row.counts) === String(counts);
    if (!same) {
      const total = row.counts.reduce((a, b) => a + b, 0);
      line.append(element("em", {}, ` from ${total} tokens of the recorded allocation, not these`));
      if (host.ask) {
        const again = () => ask(row.question, { row: track.row, counts, scheme: track.scheme });
        line.append(" ", element("button", { type: "button", onclick: again }, "Answer from these"));
      }
    }
    return line;
  }

  function ask(question, options = {}) {
    parts.status.textContent = "Computing ...";
    host.ask({ question, budget: limits().budget, ...options });
  }

  function seek(second) {
    state.second = Math.max(film().edges[0], Math.min(second, lastSecond()));
    state.segment = segmentAt(film().edges, state.second);
    if (parts.video.src && !parts.video.hidden) parts.video.currentTime = Math.max(0, state.second);
    redraw();
    if (host.onSeek) host.onSeek(state.second);
  }

  function seekSegment(place) {
    const bounded = Math.max(0, Math.min(place, film().edges.length - 2));
    seek((film().edges[bounded] + film().edges[bounded + 1]) / 2);
  }

  function pressed(event) {
    const last = film().edges.length - 2;
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 8, PageDown: -8 };
    if (event.key in moves) seekSegment(state.segment + moves[event.key]);
    else if (event.key === "Home") seekSegment(0);
    else if (event.key === "End") seekSegment(last);
    else return;
    event.preventDefault();
    event.stopPropagation(); // notebooks move between cells on arrow keys
  }

  function hover(event, place) {
    const made = tracks[place];
    const segment = segmentAt(film().edges, made.secondAt(inside(made.svg, event)));
    const pictures = picturesOf(film(), segment).map((src) => element("img", { src, alt: "" }));
    parts.tip.replaceChildren(element("div", { class: "te-pictures" }, ...pictures),
      ...describe(made, segment).map((words) => element("div", {}, words)));
    parts.tip.hidden = false;
    const bounds = root.getBoundingClientRect();
    const left = Math.min(event.clientX - bounds.left + 12, bounds.width - parts.tip.offsetWidth - 4);
    parts.tip.style.left = `${Math.max(0, left)}px`;
    parts.tip.style.top = `${event.clientY - bounds.top + 16}px`;
  }

  function describe(made, segment) {
    const row = data.rows[made.track.row];
    const found = [`segment ${segment + 1} of ${made.counts.length}, ${film().timestamps[segment]}`,
      `score ${row.scores[segment].toFixed(3)}, ${made.counts[segment]} tokens`];
    return row.relevant?.[segment] ? [...found, "holds evidence"] : found;
  }

  function showSegment() {
    const { segment } = state;
    for (const made of tracks) {
      made.svg.setAttribute("aria-valuenow", segment + 1);
      made.svg.setAttribute("aria-valuetext", describe(made, segment).join(", "));
    }
    const pictures = picturesOf(film(), segment);
    const hasVideo = !!parts.video.src && !parts.video.hidden;
    parts.picture.hidden = hasVideo || !pictures.length;
    if (pictures.length) parts.picture.src = pictures[Math.floor(pictures.length / 2)];
    parts.picture.alt = `frame of segment ${segment + 1}`;
    const [start, stop] = [film().edges[segment], film().edges[segment + 1]];
    parts.place.textContent =
      `Segment ${segment + 1} of ${film().edges.length - 1}: ` +
      `${clock(start, lastSecond())} to ${clock(stop, lastSecond())}, read as ${film().timestamps[segment]}`;
    parts.memories.replaceChildren(...tracks.map((made) => memoryLine(made, segment)));
  }

  /** Which of a segment's memory tokens are kept: the first, the last, or all merged into a few. */
  function memoryLine(made, segment) {
    const kept = made.counts[segment];
    const { scheme } = made.track;
    const cells = Array.from({ length: Math.min(data.capacity, 128) }, (_, place) => {
      const isKept = { head: place < kept, tail: place >= data.capacity - kept, merge: kept > 0 }[scheme];
      return element("i", { class: isKept ? `te-cell te-kept te-${scheme}` : "te-cell" });
    });
    const words = scheme === "merge" ? `${data.capacity} memories merged into ${kept}`
      : `keeps the ${scheme === "head" ? "first" : "last"} ${kept} of ${data.capacity} memories`;
    const score = data.rows[made.track.row].scores[segment].toFixed(3);
    return element("div", { class: "te-memories" }, element("span", {}, `score ${score}, ${words}`),
      element("span", { class: "te-cells", "aria-hidden": "true" }, ...cells));
  }

  function showProblems() {
    parts.legend.querySelector("[data-of=evidence]").hidden = !tracks.some((made) => {
      return data.rows[made.track.row].relevant?.some(Boolean);
    });
    const { kMin, kMax } = limits();
    const problems = tracks.map((made) => made.problem).filter(Boolean);
    if (state.kMin > kMax) problems.push(`k_min ${state.kMin} exceeds k_max ${kMax}: taken as ${kMin}`);
    const count = film().edges.length - 1;
    if (kMin > 0 && count * kMin > limits().budget) {
      problems.push(`${count} anchors of ${kMin} do not fit ${limits().budget} tokens: they shrink`);
    }
    const all = [...new Set([...(data.missing ?? []), ...(film().missing ?? []), ...problems])];
    parts.problems.textContent = all.join(". ") + (all.length ? "." : "");
    for (const key of ["budget", "kMin", "kMax"]) parts.outputs[key].textContent = state[key];
  }

  function changeFilm() {
    const shared = data.rows[state.tracks[0].row].film;
    state.tracks = state.tracks.filter((track) => data.rows[track.row].film === shared);
    const { segment, second } = startState({ ...data, show: [state.tracks[0].row] });
    Object.assign(state, { segment, second });
    fitSliders();
    showVideo();
  }

  function fitSliders() {
    const count = film().edges.length - 1;
    parts.inputs.budget.max = Math.max(count * data.capacity, data.limits.budget);
    for (const input of [parts.inputs.kMin, parts.inputs.kMax]) input.max = data.capacity;
    for (const key of ["budget", "kMin", "kMax"]) parts.inputs[key].value = state[key];
  }

  function showVideo() {
    const url = film().video ?? host.videoUrl?.(data.rows[state.tracks[0].row].film) ?? null;
    if (url && parts.video.getAttribute("src") !== url) {
      parts.video.setAttribute("src", url);
      parts.video.addEventListener("loadedmetadata", () => (parts.video.currentTime = state.second), {
        once: true,
      });
    }
    parts.video.hidden = !url;
  }

  function compare() {
    const [first] = state.tracks;
    if (state.tracks.length > 1) state.tracks.length = 1;
    else {
      const partner = data.rows.findIndex((row, place) => {
        return place !== first.row && row.film === data.rows[first.row].film;
      });
      const policy = partner < 0 && first.policy !== "uniform" ? "uniform" : first.policy;
      state.tracks.push({ ...first, row: partner < 0 ? first.row : partner, policy });
    }
    parts.compare.setAttribute("aria-pressed", state.tracks.length > 1);
    draw();
  }

  for (const key of ["budget", "kMin", "kMax"]) {
    parts.inputs[key].addEventListener("input", (event) => {
      state[key] = Number(event.target.value);
      if (key === "budget") state.tracks.forEach((track) => (track.budget = null));
      draw();
    });
  }
  parts.compare.addEventListener("click", compare);
  parts.reset.addEventListener("click", () => {
    Object.assign(state, startState(data), { segment: state.segment, second: state.second });
    parts.compare.setAttribute("aria-pressed", "false");
    fitSliders();
    draw();
  });
  const films = () => tracks.map((made) => data.films[data.rows[made.track.row].film]);
  parts.saves.CSV.addEventListener("click", () => saveTable(data, tracks, films()));
  parts.saves.SVG.addEventListener("click", () => save("explorer.svg", asSvg(data, tracks)));
  parts.saves.PNG.addEventListener("click", () => savePicture(asSvg(data, tracks)));
  parts.video.addEventListener("error", () => {
    parts.video.hidden = true; // no codec: the frames stand in
    showSegment();
  });
  parts.video.addEventListener("timeupdate", () => {
    if (parts.video.seeking || parts.video.paused) return;
    state.second = parts.video.currentTime;
    const segment = segmentAt(film().edges, state.second);
    tracks.forEach((made) => made.moveTo(state.second));
    if (segment !== state.segment) {
      state.segment = segment;
      redraw();
    }
  });
  parts.previous.addEventListener("click", () => seekSegment(state.segment - 1));
  parts.next.addEventListener("click", () => seekSegment(state.segment + 1));
  parts.asking.hidden = !host.ask;
  const submit = () => parts.question.value.trim() && ask(parts.question.value.trim());
  parts.submit.addEventListener("click", submit);
  parts.question.addEventListener("keydown", (event) => {
    event.stopPropagation(); // keys of a notebook, which sends no form either
    if (event.key === "Enter") submit();
  });

  const observer = new ResizeObserver(() => data.rows.length && redraw());
  function start() {
    if (!data.rows.length) {
      parts.problems.textContent = (data.missing ?? ["no question yet"]).join(". ") + ".";
      parts.whole.hidden = true;
      return;
    }
    parts.whole.hidden = false;
    fitSliders();
    showVideo();
    draw();
    observer.observe(parts.tracks);
  }
  start();

  return {
    update(fresh, message = "") {
      const { segment, second } = state;
      const isSame = data.rows.length > 0 && fresh.films[0]?.video === data.films[0]?.video;
      data = fresh;
      parts.status.textContent = message;
      Object.assign(state, startState(data), isSame ? { segment, second } : {});
      parts.compare.setAttribute("aria-pressed", state.tracks.length > 1);
      start();
    },
    showVideo,
    seek,
    say: (words) => (parts.status.textContent = words),
    destroy: () => observer.disconnect(),
  };
}

function startState(data) {
  const { budget, k_min: kMin, k_max: kMax } = data.limits;
  const first = data.rows[data.show?.[0] ?? 0];
  const film = data.films[first?.film];
  const tracks = (data.show ?? [0]).filter((row) => data.rows[row]).map((row) => {
    const { scheme, budget: own } = data.rows[row];
    return { row, policy: "ata", scheme, budget: own };
  });
  // Begin where most tokens went.
  const counts = first?.counts ?? first?.scores ?? [0];
  const segment = counts.indexOf(Math.max(...counts));
  const edges = film?.edges ?? [0, 0];
  return { tracks, budget: tracks[0]?.budget ?? budget, kMin, kMax, segment, second: (edges[segment] + edges[segment + 1]) / 2 };
}

/** The page's parts, built once; what they show changes. */
function build(root, prefix, data) {
  const parts = { inputs: {}, outputs: {}, saves: {} };
  const slider = (key, label, least) => {
    const id = `${prefix}-${key}`;
    parts.inputs[key] = element("input", { type: "range", id, min: least, step: 1 });
    parts.outputs[key] = element("output", { for: id });
    return element("div", { class: "te-slider" },
      element("label", { for: id }, label), parts.inputs[key], parts.outputs[key]);
  };
  const button = (label, options = {}) => element("button", { type: "button", ...options }, label);
  parts.video = element("video", {
    controls: "", muted: "", playsinline: "", hidden: "", preload: "auto", "aria-label": "the video",
  });
  parts.picture = element("img", { class: "te-picture", alt: "", hidden: "" });
  parts.previous = button("\u25C0", { "aria-label": "previous segment" });
  parts.next = button("\u25B6", { "aria-label": "next segment" });
  parts.place = element("span", { class: "te-place", "aria-live": "polite" });
  parts.memories = element("div", {});
  parts.compare = button("Compare", { "aria-pressed": "false" });
  parts.reset = button("Reset");
  for (const kind of ["PNG", "SVG", "CSV"]) {
    parts.saves[kind] = button(kind, { "aria-label": `save as ${kind}` });
  }
  parts.tracks = element("div", { class: "te-tracks" });
  parts.question = element("input", {
    type: "text", id: `${prefix}-question`, placeholder: "Another question about this video",
    "aria-label": "another question about this video",
  });
  parts.status = element("span", { role: "status" });
  parts.submit = button("Ask");
  parts.asking = element("div", { class: "te-row te-asking" }, parts.question, parts.submit, parts.status);
  parts.problems = element("p", { class: "te-problems", role: "status" });
  parts.tip = element("div", { class: "te-tip", hidden: "", "aria-hidden": "true" });
  parts.legend = element("p", { class: "te-legend" },
    ...[["many", "many tokens"], ["few", "few tokens"], ["score", "relevance score (right axis)"],
      ["evidence", "\u25BC segment with evidence"]].map(([key, words]) => element("span", { "data-of": key },
      element("i", { style: `background:${COLOURS[key]}` }), words)),
    element("span", {}, "- - k_min, k_max"));
  parts.whole = element("div", { class: "te-whole" },
    element("div", { class: "te-top" },
      element("div", { class: "te-player" }, parts.video, parts.picture,
        element("div", { class: "te-row" }, parts.previous, parts.next)),
      element("div", { class: "te-controls" },
        slider("budget", "budget (tokens)", 0), slider("kMin", "k_min (anchor)", 0),
        slider("kMax", "k_max (capacity)", 1),
        element("div", { class: "te-row" }, parts.compare, parts.reset,
          element("span", {}, "Save:"), ...Object.values(parts.saves)),
        parts.place, parts.memories)),
    parts.tracks, parts.legend, parts.asking);
  root.classList.add("te-explorer");
  root.replaceChildren(
    ...(data.title ? [element("h3", {}, data.title)] : []), parts.problems, parts.whole, parts.tip);
  return parts;
}

function choice(id, key, options, chosen, changed) {
  const words = { row: "question", policy: "policy", scheme: "scheme" }[key];
  const select = element("select", { id, onchange: (event) => changed(event.target.value) },
    ...Object.entries(options).map(([value, label]) => element("option", { value }, label)));
  select.value = String(chosen);
  return element("div", { class: `te-choice te-of-${key}` }, element("label", { for: id }, words), select);
}

const percent = (part, whole) => (whole > 0 ? Math.min(100, (100 * part) / whole) : 0);

/** Where the pointer is, in the units of the drawing. */
function inside(svg, event) {
  const bounds = svg.getBoundingClientRect();
  return ((event.clientX - bounds.left) * svg.viewBox.baseVal.width) / bounds.width;
}

function save(name, text, kind = "image/svg+xml") {
  const url = text instanceof Blob ? URL.createObjectURL(text)
    : URL.createObjectURL(new Blob([text], { type: kind }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** One row per track and segment; what spreadsheets would run as a formula is quoted as text. */
function saveTable(data, tracks, films) {
  const field = (value) => {
    const text = String(value ?? "");
    const tame = /^[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
    return /[",\n]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
  };
  const rows = tracks.flatMap((made, number) => made.counts.map((tokens, place) => {
    const row = data.rows[made.track.row];
    const { edges, timestamps } = films[number];
    return [number + 1, row.question, made.track.policy, made.track.scheme, place + 1, edges[place],
      edges[place + 1], timestamps[place], row.scores[place], tokens, row.relevant?.[place]];
  }));
  const lines = [TABLE_COLUMNS, ...rows].map((row) => row.map(field).join(","));
  save("explorer.csv", `${lines.join("\n")}\n`, "text/csv");
}

/** The timelines below each other, black on white, as one SVG text. */
function asSvg(data, tracks) {
  const width = Math.max(...tracks.map((made) => made.svg.viewBox.baseVal.width));
  const whole = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const tall = tracks[0].svg.viewBox.baseVal.height + 26;
  whole.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  for (const [key, value] of Object.entries({ width, height: tall * tracks.length })) {
    whole.setAttribute(key, value);
  }
  whole.setAttribute("style", "color:#222222;background:white");
  tracks.forEach((made, place) => {
    const row = data.rows[made.track.row];
    const used = made.counts.reduce((a, b) => a + b, 0);
    const label = document.createElementNS("http://www.w3.org/2000/svg", "text");
    for (const [key, value] of Object.entries({ x: 8, y: tall * place + 16, "font-size": 13,
      "font-family": "sans-serif", fill: "#222222" })) label.setAttribute(key, value);
    label.textContent = `${row.question.split("\n")[0]} (${POLICIES[made.track.policy].label}, ${used} tokens)`;
    const copy = made.svg.cloneNode(true);
    for (const [key, value] of Object.entries({ y: tall * place + 26, width, height: tall - 26 })) {
      copy.setAttribute(key, value);
    }
    whole.append(label, copy);
  });
  return new XMLSerializer().serializeToString(whole);
}

function savePicture(svg) {
  const image = new Image();
  image.onload = () => {
    const canvas = element("canvas", { width: image.width * 2, height: image.height * 2 });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "white";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save("explorer.png", blob));
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
}
