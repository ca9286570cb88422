// Run once by BokehJS when the two plots are drawn. `source` holds the columns, right and down in units of
// `scale` to a pixel; `mappers` has the colours by what they show; `plots` are the layout and the micrograph.
const section = document.getElementById("linked");
const find = (what) => section.querySelector(what);
const about = JSON.parse(section.dataset.about);
const said = find("output");
const box = find(".picks");
const field = find("input[name=called]");
const data = source.data;
const drawn = data.motif.length; // columns; those that are not drawn have the numbers from here on
const undrawn = readUndrawn(about.undrawn);
const total = drawn + undrawn.number;
const places = [
  ...[...data.motif.keys()].map((i) => [data.down[i] / scale, data.right[i] / scale]),
  ...[...undrawn.row].map((row, i) => [row, undrawn.col[i]]),
];
const confidence = Float32Array.from([...data.confidence, ...undrawn.confidence]);
const number = (value) => value.toLocaleString("en");
const view = makeDecisions({
  labels: [...data.motif, ...undrawn.motif],
  names: about.names,
  motifs: about.motifs,
  typical: data.typical,
  confidence,
  place: (i) => places[i],
});
const { state, name } = view;
const hidden = new Set();
const dots = plots[0].renderers.find((renderer) => renderer.data_source === source);
const rings = plots[1].renderers.find((renderer) => renderer.data_source === source);
const picture = plots[1].renderers.find((renderer) => renderer.glyph.type === "ImageURL");
const pixels = readPicture(picture.data_source.data.url[0], about.width);
const discs = plots[0].renderers.find((renderer) => renderer.name === "discs");
const MOST_CHIPS = 40; // of environments
let colored = "motif";
let usual = new Set(); // motifs of many columns, whose rings are faint
let saved = 0; // decisions that are in a file

function shown(indices) {
  return indices.filter((i) => state.labels[i] !== NO_COLUMN && !hidden.has(state.labels[i]));
}

let besides = []; // what is selected and not drawn
let choosing = false;
let shift = false;

function chosenNow() {
  return [...source.selected.indices, ...besides];
}

function select(indices) {
  besides = indices.filter((i) => i >= drawn);
  choosing = true;
  source.selected.indices = indices.filter((i) => i < drawn);
  choosing = false;
  say();
}

// A line or a box was drawn on a plot, and Bokeh has selected the columns that are drawn.
function drawnAround({ geometry, final }, x, y) {
  if (!final || !undrawn.number) return;
  const found = enclosed(geometry, x, y).map((i) => i + drawn);
  besides = shift ? [...new Set([...besides, ...found])] : found;
  say();
}

function say() {
  const indices = chosenNow();
  const visible = shown(indices);
  if (visible.length < indices.length) {
    select(visible); // which says it again
    return;
  }
  const counts = heldBy(view, indices);
  const parts = counts.slice(0, 6).map(([label, n]) => `${number(n)} ${name(label)}`);
  if (counts.length > 6) parts.push(`${counts.length - 6} more motifs`);
  said.textContent = indices.length
    ? `${number(indices.length)} of ${number(total)} selected: ${parts.join(", ")}`
    : section.dataset.hint;
  const full = wholeOf(view, counts);
  const only = full.length === counts.length ? full : [];
  for (const pick of box.querySelectorAll(".pick")) {
    pick.setAttribute("aria-pressed", String(only.includes(Number(pick.dataset.motif))));
  }
  for (const button of section.querySelectorAll("[data-needs]")) {
    button.disabled = button.dataset.needs === "two" ? full.length < 2 : !indices.length;
  }
  if (document.activeElement !== field) {
    field.value = full.length === 1 && only.length === 1 ? (state.names.get(full[0]) ?? "") : "";
  }
  describe(indices);
}

let described = 0;
async function describe(indices) {
  const chosen = some(indices);
  const sure = indices.reduce((sum, i) => sum + confidence[i], 0) / indices.length;
  const complete = about.complete || undrawn.number > 0;
  const shell = complete && usualShell(places, state.labels, chosen, about.shell, name);
  find("[data-say=shell]").textContent = shell || "–";
  find("[data-say=confidence]").textContent = indices.length ? sure.toFixed(2) : "–";
  const turn = ++described;
  const read = await pixels;
  if (turn !== described) return; // another selection came meanwhile
  drawPatch(find("canvas"), meanPatch(read, chosen.map((i) => places[i]), about.side));
}

function color(kind) {
  colored = kind;
  discs.glyph.fill_color = { field: kind };
  legend();
  const paint = { field: kind, transform: mappers[kind] };
  for (const renderer of [dots, rings]) {
    for (const glyph of [renderer.glyph, renderer.selection_glyph]) {
      glyph.fill_color = paint;
      if (renderer === rings) glyph.line_color = paint;
    }
  }
  find(".key").hidden = kind !== "confidence";
}

function paintOf(label, kind = "motif") {
  const { palette, low } = mappers[kind];
  return palette[Math.min(Math.max(label - Math.ceil(low), 0), palette.length - 1)];
}

// The colour of a place in a palette, which BokehJS may hold as a number.
function css(value) {
  return typeof value === "string" ? value : `#${(value >>> 8).toString(16).padStart(6, "0")}`;
}

// A button that selects the columns of a label, in its colour.
function picker(kind, label, count, called) {
  const pick = document.createElement("button");
  pick.type = "button";
  pick.className = "pick";
  pick.dataset[kind] = label;
  const dot = document.createElement("span");
  dot.className = `chip shape${kind === "motif" ? Math.max(Math.floor(label / 8), 0) % 5 : 0}`;
  dot.style.background = css(paintOf(label, kind));
  const text = document.createElement("span");
  text.textContent = called;
  const small = document.createElement("small");
  small.textContent = number(count);
  pick.append(dot, text, " ", small);
  pick.addEventListener("click", (event) => {
    const value = (i) => (kind === "motif" ? state.labels[i] : data[kind][i]);
    const own = [...state.labels.keys()].filter((i) => value(i) === label);
    const chosen = chosenNow();
    const rest = event.shiftKey ? chosen.filter((i) => value(i) !== label) : [];
    const on = pick.getAttribute("aria-pressed") === "true" && (event.shiftKey || chosen.length === own.length);
    select(on ? rest : [...rest, ...own]);
  });
  return pick;
}

function chip(label, count) {
  const group = document.createElement("span");
  const pick = picker("motif", label, count, name(label));
  const eye = document.createElement("button");
  eye.type = "button";
  eye.className = "eye";
  eye.dataset.hide = label;
  eye.setAttribute("aria-pressed", String(hidden.has(label)));
  eye.title = eye.ariaLabel = `${hidden.has(label) ? "Show" : "Hide"} ${name(label)}`;
  eye.textContent = hidden.has(label) ? "show" : "hide";
  eye.addEventListener("click", () => {
    if (!hidden.delete(label)) hidden.add(label);
    redraw();
    box.querySelector(`[data-hide="${label}"]`).focus();
  });
  group.className = "motif";
  group.append(pick, eye);
  return group;
}

// The buttons of motifs, and of what else the columns are coloured by.
function legend() {
  const counts = [...view.counts()].filter(([label]) => label !== NO_COLUMN);
  counts.sort((a, b) => (a[0] < 0) - (b[0] < 0) || a[0] - b[0]);
  box.replaceChildren(...counts.map(([label, count]) => chip(label, count)));
  const others = find(".others");
  others.hidden = colored === "motif" || colored === "confidence";
  if (others.hidden) return;
  const found = new Map();
  state.labels.subarray(0, drawn).forEach((label, i) => {
    if (label === NO_COLUMN) return;
    const own = found.get(data[colored][i]) ?? [0, label];
    found.set(data[colored][i], [own[0] + 1, own[1]]);
  });
  const rows = [...found].sort((a, b) => b[1][0] - a[1][0]);
  const none = colored === "domain" ? "at a boundary" : "none";
  others.replaceChildren(
    ...rows.slice(0, MOST_CHIPS).map(([label, [count, motif]]) => {
      const of = colored === "environment" ? ` (${name(motif)})` : "";
      return picker(colored, label, count, label < 0 ? none : `${colored} ${label}${of}`);
    }),
    rows.length > MOST_CHIPS ? `and ${rows.length - MOST_CHIPS} more` : "",
  );
}

// Bring all that is shown up to date after a decision, or after a motif was hidden.
function redraw() {
  legend();
  const labels = state.labels.subarray(0, drawn);
  data.motif = Int32Array.from(labels, (label) => Math.max(label, NO_MOTIF));
  data.called = Array.from(labels, name);
  const visible = Float32Array.from(labels, (label) => (label === NO_COLUMN || hidden.has(label) ? 0 : 1));
  data.dot = visible;
  data.faint = visible.map((value) => value * 0.25);
  data.ring = visible.map((value, i) => value * about.rings[usual.has(state.labels[i]) ? 0 : 1]);
  source.change.emit();
  const motifOf = new Map(); // of each environment
  labels.forEach((label, i) => motifOf.set(data.environment[i], label));
  const own = discs.data_source.data;
  own.motif = Array.from(own.environment_of, (one) => css(paintOf(motifOf.get(one) ?? NO_MOTIF)));
  discs.data_source.change.emit();
  find("[data-do=undo]").disabled = !view.made.length;
  find("[data-do=save]").disabled = !view.made.length;
  tellSaved();
  say();
}

function decided(what) {
  view.decide(what);
  usual = usualMotifs();
  redraw();
  store();
}

// Hand the decisions to `motifgpu view`, where the page is from there, one after the other.
let storing = Promise.resolve();
function store() {
  const address = document.body.dataset.save;
  if (!address) return;
  const length = view.made.length;
  const text = toToml(view.made, about.source);
  storing = storing.then(async () => {
    try {
      const answer = await fetch(address, { method: "POST", body: text });
      if (!answer.ok) throw new Error(await answer.text());
      saved = length;
      tellSaved();
    } catch (error) {
      said.textContent = `Not saved: ${error.message}`;
    }
  });
}

function tellSaved() {
  const length = view.made.length;
  const text = `${length} decision${length === 1 ? "" : "s"}, ${length === saved ? "saved" : "not saved"}`;
  find("[data-say=made]").textContent = length ? text : "";
}

function usualMotifs() {
  return new Set([...view.counts()].filter(([, n]) => n > about.common * total).map(([label]) => label));
}

function act(what) {
  const found = meant(view, what, chosenNow(), field.value.trim());
  if (typeof found === "string") {
    said.textContent = found;
    return;
  }
  if (what === "name") field.blur();
  if (found) decided(found);
}

const acts = {
  name: () => act("name"),
  merge: () => act("merge"),
  split: () => act("split"),
  wrong: () => act("wrong"),
  remove: () => act("remove"),
  undo() {
    view.undo();
    if (view.made.length < saved) saved = view.made.length ? -1 : 0; // the file has one that is no more
    usual = usualMotifs();
    redraw();
    store();
  },
  save() {
    download(toToml(view.made, about.source), "application/toml", `${about.stem}-decisions.toml`);
    saved = view.made.length;
    redraw();
    said.textContent = `Saved. To carry them out: motifgpu edit ${folder()} --apply ${about.stem}-decisions.toml`;
  },
  zoom() {
    const chosen = source.selected.indices.length ? source.selected.indices : [...data.motif.keys()];
    frame(plots[0], chosen.map((i) => [data.x[i], data.y[i]]), false);
    frame(plots[1], chosen.map((i) => [data.right[i], data.down[i]]), true);
  },
  clear() {
    select([]);
  },
  csv,
};

// Show places (x, y) in a plot whose pixels are as wide as they are high.
function frame(plot, points, down) {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of points) {
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [low, high] = [Math.min(low, y), Math.max(high, y)];
  }
  const least = plot === plots[1] ? 3 * about.side * scale : 1e-3 * Math.abs(right) + 1;
  const ratio = plot.inner_height / plot.inner_width;
  const half = 0.55 * Math.max(right - left, (high - low) / ratio, least);
  const [x, y] = [(left + right) / 2, (low + high) / 2];
  const tall = (down ? -1 : 1) * half * ratio;
  plot.x_range.setv({ start: x - half, end: x + half });
  plot.y_range.setv({ start: y - tall, end: y + tall });
}

// The folder of this page as a shell takes it, where the page is a file.
function folder() {
  if (location.protocol !== "file:") return "FOLDER";
  const path = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "").replace(/^\/(?=[A-Za-z]:)/, "");
  return /^[\w./:-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function download(text, type, file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A text in a cell of a CSV, in quotes, with an apostrophe where a spreadsheet would compute it.
function cell(text) {
  const inert = /^[ \u00a0]*[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

// The selected columns with the fields of columns.csv, and first the row there, as it would be after what was decided.
function csv() {
  const chosen = source.selected.indices.length ? [...source.selected.indices] : [...data.motif.keys()];
  const heads = ["column", ...about.fields];
  const special = {
    row_px: (i) => data.down[i] / scale,
    col_px: (i) => data.right[i] / scale,
    row_nm: (i) => (about.nm ? data.down[i] : ""),
    col_nm: (i) => (about.nm ? data.right[i] : ""),
    layout_x: (i) => data.x[i],
    layout_y: (i) => data.y[i],
    occupied: (i) => Boolean(data.occupied[i]),
    whole: (i) => Boolean(data.whole[i]),
    name: (i) => cell(state.names.get(state.labels[i]) ?? ""),
  };
  const said = (value) => (typeof value === "number" ? Number(value.toPrecision(7)) : value);
  const lines = chosen
    .sort((a, b) => a - b)
    .filter((i) => state.labels[i] !== NO_COLUMN)
    .map((i) => heads.map((head) => said(special[head]?.(i) ?? data[head][i])).join(","));
  download([heads.join(","), ...lines, ""].join("\n"), "text/csv", "selected-columns.csv");
}

source.selected.properties.indices.change.connect(() => {
  if (choosing) return;
  if (!shift) besides = [];
  say();
});
const onGeometry = (x, y) => (event) => drawnAround(event, x, y);
plots[0].on_event("selectiongeometry", onGeometry(undrawn.x, undrawn.y));
plots[1].on_event("selectiongeometry", onGeometry(...["col", "row"].map((k) => undrawn[k].map((x) => x * scale))));
for (const what of ["keydown", "keyup", "pointerdown", "pointerup"]) {
  addEventListener(what, (event) => { shift = event.shiftKey; }, true);
}
for (const radio of section.querySelectorAll("input[name=color]")) {
  radio.addEventListener("change", () => color(radio.value));
}
find("input[name=rings]").addEventListener("change", (event) => {
  rings.visible = event.target.checked;
});
for (const button of section.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => acts[button.dataset.do]());
}
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter") acts.name();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") select([]);
  const undo = (event.ctrlKey || event.metaKey) && event.key === "z" && document.activeElement !== field;
  if (undo && view.made.length) {
    event.preventDefault();
    acts.undo();
  }
});
window.addEventListener("beforeunload", (event) => {
  if (view.made.length !== saved) event.preventDefault();
});
usual = usualMotifs();
redraw();
window.linkedView = { source, plots, decisions: view, canvas: find("canvas") };
