// Run once by BokehJS when the two plots are drawn. `source` holds the columns, right and down in units of
// `scale` to a pixel; `mappers` has the colours by what they show; `plots` are the layout and the micrograph.
const section = document.getElementById("linked");
const said = section.querySelector("output");
const picks = [...section.querySelectorAll("button.pick")];
const motif = source.data.motif;
const total = motif.length;
const names = new Map(picks.map((pick) => [Number(pick.dataset.motif), pick.querySelector("span + span").textContent]));
const name = (label) => names.get(label);

function held(indices) {
  const counts = new Map();
  for (const i of indices) counts.set(motif[i], (counts.get(motif[i]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

const whole = new Map(held(motif.map((_, i) => i)));

function say() {
  const indices = source.selected.indices;
  const counts = held(indices);
  const parts = counts.slice(0, 6).map(([label, n]) => `${n.toLocaleString("en")} ${name(label)}`);
  if (counts.length > 6) parts.push(`${counts.length - 6} more motifs`);
  said.textContent = indices.length
    ? `${indices.length.toLocaleString("en")} of ${total.toLocaleString("en")} selected: ${parts.join(", ")}`
    : section.dataset.hint;
  const only = counts.length === 1 && counts[0][1] === whole.get(counts[0][0]) ? counts[0][0] : null;
  for (const pick of picks) pick.setAttribute("aria-pressed", String(Number(pick.dataset.motif) === only));
}

function select(indices) {
  source.selected.indices = indices;
}

function color(kind) {
  const paint = { field: kind, transform: mappers[kind] };
  for (const plot of plots) {
    for (const renderer of plot.renderers) {
      if (renderer.data_source !== source) continue;
      for (const glyph of [renderer.glyph, renderer.selection_glyph]) {
        glyph.fill_color = paint;
        if (plot.name === "micrograph") glyph.line_color = paint;
      }
    }
  }
  section.querySelector(".key").hidden = kind !== "confidence";
}

function csv() {
  const chosen = source.selected.indices.length ? [...source.selected.indices] : [...motif.keys()];
  const { column, down, right, x, y } = source.data;
  const kinds = Object.keys(mappers);
  const heads = ["column", "row_px", "col_px", ...kinds, "layout_x", "layout_y"];
  const lines = chosen
    .sort((a, b) => a - b)
    .map((i) => [column[i], down[i] / scale, right[i] / scale, ...kinds.map((kind) => source.data[kind][i]), x[i], y[i]])
    .map((values) => values.map((value) => Number(value.toPrecision(7))).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([[heads.join(","), ...lines, ""].join("\n")], { type: "text/csv" }));
  link.download = "selected-columns.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

source.selected.properties.indices.change.connect(say);
for (const pick of picks) {
  pick.addEventListener("click", () => {
    const label = Number(pick.dataset.motif);
    const off = pick.getAttribute("aria-pressed") === "true";
    select(off ? [] : [...motif.keys()].filter((i) => motif[i] === label));
  });
}
for (const radio of section.querySelectorAll("input[name=color]")) {
  radio.addEventListener("change", () => color(radio.value));
}
const rings = plots[1].renderers.find((renderer) => renderer.data_source === source);
section.querySelector("input[name=rings]").addEventListener("change", (event) => {
  rings.visible = event.target.checked;
});
section.querySelector("[data-do=clear]").addEventListener("click", () => select([]));
section.querySelector("[data-do=csv]").addEventListener("click", csv);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") select([]);
});
window.linkedView = { source, plots };
