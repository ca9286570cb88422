// What a person decides about motifs on the page, and which labels and names follow: as motifgpu.decisions does it.
// `labels` has the motif of each column, `names` what motifs are called that have a name, `motifs` how many numbers
// are taken; `typical` says which columns are most like their motif, `confidence` how sure each is; `place` returns
// where a column is, [row, col] in px.
const NO_MOTIF = -1, NO_COLUMN = -2;

function makeDecisions({ labels, names, motifs, typical, confidence, place }) {
  const state = {};
  const made = [];

  function begin() {
    state.labels = Int32Array.from(labels);
    state.names = new Map(names);
    state.motifs = motifs;
  }

  function name(motif) {
    if (motif < 0) return "unassigned";
    return state.names.get(motif) || `motif ${motif}`;
  }

  function counts() {
    const found = new Map();
    for (const label of state.labels) found.set(label, (found.get(label) ?? 0) + 1);
    return found;
  }

  function called(text) {
    for (const motif of counts().keys()) if (motif >= 0 && name(motif) === text) return motif;
    return null;
  }

  // A column by which a motif is found again.
  function example(motif) {
    let best = -1;
    for (let i = 0; i < state.labels.length; i++) {
      if (state.labels[i] !== motif) continue;
      if (typical[i]) return i;
      if (best < 0 || confidence[i] > confidence[best]) best = i;
    }
    return best;
  }

  const carryOut = {
    rename({ motifs: [motif], names: [text] }) {
      state.names.set(motif, text);
    },
    merge({ motifs: [target, ...others], names: given }) {
      const text = given[0] || state.names.get(target) || others.map((k) => state.names.get(k)).find(Boolean);
      for (const other of others) state.names.delete(other);
      if (text) state.names.set(target, text);
      for (let i = 0; i < state.labels.length; i++) {
        if (others.includes(state.labels[i])) state.labels[i] = target;
      }
    },
    split({ rows, names: [text] }) {
      const motif = state.motifs++;
      if (text) state.names.set(motif, text);
      for (const i of rows) state.labels[i] = motif;
    },
    assign({ rows, motifs: [motif], names: [text] }) {
      let target = NO_MOTIF;
      if (motif !== undefined) target = motif;
      else if (text !== undefined) {
        target = called(text) ?? [...state.names].find(([, known]) => known === text)?.[0] ?? state.motifs++;
        state.names.set(target, text);
      }
      for (const i of rows) state.labels[i] = target;
    },
    remove({ rows }) {
      for (const i of rows) state.labels[i] = NO_COLUMN;
    },
  };

  function decide(what) {
    const decision = { motifs: [], names: [], rows: [], by: "", ...what };
    decision.at = decision.motifs.map((motif) => place(example(motif)));
    decision.columns = decision.rows.map(place);
    made.push(decision);
    carryOut[decision.do](decision);
  }

  function undo() {
    made.pop();
    begin();
    for (const decision of made) carryOut[decision.do](decision);
  }

  begin();
  return { state, made, name, counts, called, decide, undo };
}

// Why a text cannot be the name of a motif, as motifgpu.decisions.decision says it; empty if it can.
function wrongName(text) {
  if (!text) return "Type a name first.";
  if ([...text].length > 60) return "A name has 60 characters at most.";
  if (/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(text)) return "A name has characters that can be printed.";
  return /^(motif \d+|unassigned)$/.test(text) ? "Choose a name that is no number." : "";
}

// What the motifs of some columns are, [motif, columns], the most frequent first; and those that are all of theirs.
function heldBy(view, indices) {
  const counts = new Map();
  for (const i of indices) counts.set(view.state.labels[i], (counts.get(view.state.labels[i]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

function wholeOf(view, held) {
  const all = view.counts();
  return held.filter(([label, n]) => label >= 0 && n === all.get(label)).map(([label]) => label);
}

// The decision that an act on selected columns means, or in words why there is none; null if nothing changes.
function meant(view, what, indices, text) {
  const rows = [...indices].sort((a, b) => a - b);
  const held = heldBy(view, rows);
  const whole = wholeOf(view, held);
  if (!rows.length) return "Select some columns first.";
  if (what === "merge") return whole.length > 1 ? { do: "merge", motifs: whole } : "Select two whole motifs.";
  if (what === "wrong") return { do: "assign", rows };
  if (what === "remove") return { do: "remove", rows };
  if (what === "split") {
    if (held.length > 1 || held[0][0] < 0) return "Select columns of one motif, or name them.";
    if (whole.length) return "All columns of this motif are selected: name it instead.";
    return { do: "split", motifs: [held[0][0]], rows, by: "columns" };
  }
  const wrong = wrongName(text);
  if (wrong) return wrong;
  if (held.length > 1 || !whole.length) return { do: "assign", rows, names: [text] };
  const known = view.called(text);
  if (known === whole[0]) return null;
  if (known !== null) return { do: "merge", motifs: [known, whole[0]] };
  return { do: "rename", motifs: whole, names: [text] };
}

function toToml(decisions, source) {
  const quoted = (text) => JSON.stringify(text).replaceAll("\u007f", "\\u007f");
  const number = (value) => value.toFixed(2).replace(/^-0\.00$/, "0.00");
  const places = (list) => `[${list.map(([row, col]) => `[${number(row)}, ${number(col)}]`).join(", ")}]`;
  const lines = [
    "# What was decided about the motifs of a micrograph, in this order. Places are (row, col) in pixels:",
    "# `at` has a typical column of each of the `motifs`, by which they are found again.",
    `# ${JSON.stringify(source)}`.replaceAll("\u007f", ""),
    'format = "motifgpu decisions"',
    "schema = 1",
  ];
  for (const { do: what, motifs, at, columns, names, by } of decisions) {
    lines.push("", "[[decision]]", `do = ${quoted(what)}`);
    if (motifs.length) lines.push(`motifs = [${motifs.join(", ")}]`, `at = ${places(at)}`);
    if (columns.length) lines.push(`columns = ${places(columns)}`);
    if (names.length) lines.push(`names = [${names.map(quoted).join(", ")}]`);
    if (by) lines.push(`by = ${quoted(by)}`);
  }
  return `${lines.join("\n")}\n`;
}
