// The widget of a notebook: layout and micrograph linked, and the decisions of a person handed back to Python.
// `model` has `about`, `columns` (float32: row, col, x, y, motif, confidence, typical of each, px), `picture` and
// `palette`; it takes `made`, the decisions, and `selected`, rows of the columns.
const FIELDS = 7, SIDE = 420;

function render({ model, el }) {
  const about = JSON.parse(model.get("about"));
  const palette = model.get("palette");
  const bytes = model.get("columns");
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const total = values.length / FIELDS;
  const column = (k) => Array.from({ length: total }, (_, i) => values[FIELDS * i + k]);
  const [rows, cols, x, y, motif, confidence, typical] = Array.from({ length: FIELDS }, (_, k) => column(k));
  const places = rows.map((row, i) => [row, cols[i]]);
  const view = makeDecisions({
    labels: motif,
    names: about.names,
    motifs: about.motifs,
    typical,
    confidence,
    place: (i) => places[i],
  });
  let selected = [];
  const make = (tag, props = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), props);
    made.append(...children);
    return made;
  };
  const said = make("output"), chips = make("div", { className: "row" });
  const field = make("input", { placeholder: "Name", maxLength: 60, ariaLabel: "Name of what is selected" });
  const patch = make("canvas", { width: SAMPLES, height: SAMPLES, className: "patch" });
  const image = make("img");
  image.src = model.get("picture");
  const pixels = readPicture(image.src, about.width);
  const color = (label) => palette[Math.min(label + 1, palette.length - 1)];
  const number = (value) => value.toLocaleString("en");

  // Where columns are in a canvas: the layout fits it, the micrograph fills it.
  const [low, high] = [x, y].map((v) => [Math.min(...v), Math.max(...v)]).reduce(
    ([a, b], [l, h]) => [[...a, l], [...b, h]], [[], []]);
  const span = Math.max(high[0] - low[0], high[1] - low[1]) || 1;
  const inLayout = x.map((value, i) => [
    SIDE * (0.5 + (0.92 * (value - (low[0] + high[0]) / 2)) / span),
    SIDE * (0.5 - (0.92 * (y[i] - (low[1] + high[1]) / 2)) / span),
  ]);
  const scale = SIDE / about.width;
  const inImage = places.map(([row, col]) => [(col + 0.5) * scale, (row + 0.5) * scale]);
  const layout = plot(inLayout, SIDE, false, "Layout of the columns");
  const micrograph = plot(inImage, about.height * scale, true, "Micrograph with its columns");

  function plot(at, height, over, label) {
    const canvas = make("canvas", { width: 2 * SIDE, height: Math.round(2 * height), tabIndex: 0, ariaLabel: label });
    let path = [];
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * height) / box.height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      path = [place(event)];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!path.length) return;
      path.push(place(event));
      draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const line = path;
      path = [];
      const far = Math.max(...line.map(([a, b]) => Math.hypot(a - line[0][0], b - line[0][1])));
      const found = far < 4 ? nearest(line[0]) : at.flatMap((point, i) => (within(line, point) ? [i] : []));
      const there = found.filter((i) => view.state.labels[i] !== NO_COLUMN);
      select(event.shiftKey ? [...new Set([...selected, ...there])] : there);
    });
    function nearest([a, b]) {
      let best = -1, least = 12;
      at.forEach((point, i) => {
        const apart = Math.hypot(point[0] - a, point[1] - b);
        if (apart < least) [best, least] = [i, apart];
      });
      return best < 0 ? [] : [best];
    }
    function draw() {
      const context = canvas.getContext("2d");
      context.setTransform(2, 0, 0, 2, 0, 0);
      context.clearRect(0, 0, SIDE, height);
      if (over && image.complete && image.naturalWidth) context.drawImage(image, 0, 0, SIDE, height);
      const lit = new Set(selected);
      const radius = over ? Math.max(about.ring * scale, 1.5) : Math.min(Math.max(90 / Math.sqrt(total), 1.5), 4);
      view.state.labels.forEach((label, i) => {
        if (label === NO_COLUMN) return;
        context.globalAlpha = lit.size && !lit.has(i) ? 0.2 : 1;
        context.fillStyle = context.strokeStyle = color(label);
        context.beginPath();
        context.arc(at[i][0], at[i][1], radius, 0, 2 * Math.PI);
        if (over) context.stroke();
        if (!over || lit.has(i)) context.fill();
      });
      context.globalAlpha = 1;
      if (path.length > 1) {
        context.strokeStyle = "#888";
        context.beginPath();
        path.forEach(([a, b]) => context.lineTo(a, b));
        context.stroke();
      }
    }
    return { canvas, draw };
  }

  function within(line, [a, b]) {
    let odd = false;
    line.forEach(([x0, y0], k) => {
      const [x1, y1] = line[(k + 1) % line.length];
      if (y0 > b !== y1 > b && a < x0 + ((b - y0) / (y1 - y0)) * (x1 - x0)) odd = !odd;
    });
    return odd;
  }

  async function select(indices) {
    selected = indices;
    model.set("selected", indices.map((i) => about.rows[i]).sort((a, b) => a - b));
    model.save_changes();
    const held = heldBy(view, indices);
    const sure = indices.reduce((sum, i) => sum + confidence[i], 0) / indices.length;
    const shell = about.complete && usualShell(places, view.state.labels, some(indices), about.shell, view.name);
    said.textContent = indices.length
      ? `${number(indices.length)} of ${number(total)}: ` +
        held.slice(0, 6).map(([label, n]) => `${number(n)} ${view.name(label)}`).join(", ") +
        `; confidence ${sure.toFixed(2)}${shell ? `; beside ${shell}` : ""}`
      : "Draw a line around columns, click on one, or choose a motif. Shift adds.";
    const full = wholeOf(view, held);
    field.value = full.length === 1 && held.length === 1 ? (view.state.names.get(full[0]) ?? "") : "";
    layout.draw();
    micrograph.draw();
    const read = await pixels;
    if (selected === indices) drawPatch(patch, meanPatch(read, some(indices).map((i) => places[i]), about.side));
  }

  function told() {
    model.set("made", view.made.map(({ do: what, motifs, at, columns, names, by }) =>
      ({ do: what, motifs, at, columns, names, by })));
    model.save_changes();
    const counts = [...view.counts()].filter(([label]) => label !== NO_COLUMN);
    counts.sort((a, b) => (a[0] < 0) - (b[0] < 0) || a[0] - b[0]);
    chips.replaceChildren(...counts.map(([label, count]) => {
      const spot = make("span", { className: "spot" });
      spot.style.background = color(label);
      const chip = make("button", { type: "button", textContent: `${view.name(label)} ${number(count)}` });
      chip.dataset.motif = label;
      chip.prepend(spot);
      chip.addEventListener("click", (event) => {
        const own = [...view.state.labels.keys()].filter((i) => view.state.labels[i] === label);
        select(event.shiftKey ? [...new Set([...selected, ...own])] : own);
      });
      return chip;
    }));
    select(selected.filter((i) => view.state.labels[i] !== NO_COLUMN));
  }

  function act(what) {
    if (what === "undo") {
      if (view.made.length) view.undo();
      return told();
    }
    const found = meant(view, what, selected, field.value.trim());
    if (typeof found === "string") {
      said.textContent = found;
      return undefined;
    }
    if (found) view.decide(found);
    return told();
  }

  const buttons = [["name", "Name"], ["merge", "Merge"], ["split", "Split off"], ["wrong", "Wrong motif"],
    ["remove", "No column"], ["undo", "Undo"]].map(([what, text]) => {
    const button = make("button", { type: "button", textContent: text });
    button.dataset.do = what;
    button.addEventListener("click", () => act(what));
    return button;
  });
  field.addEventListener("keydown", (event) => {
    event.stopPropagation(); // a notebook has keys of its own
    if (event.key === "Enter") act("name");
  });
  el.classList.add("motifgpu-widget");
  el.append(
    chips,
    make("div", { className: "row" }, patch, make("div", { className: "acts" }, said,
      make("div", { className: "row" }, field, ...buttons))),
    make("div", { className: "row" }, layout.canvas, micrograph.canvas),
  );
  image.addEventListener("load", micrograph.draw);
  told();
  el.motifgpu = { view, layout: inLayout, micrograph: inImage, canvases: [layout.canvas, micrograph.canvas] };
}
