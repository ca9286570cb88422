// A picture's link saves the picture itself, which so stands in the file once.
for (const link of document.querySelectorAll("a.save")) {
  link.href = link.closest("figure").querySelector("img").src;
}
// A click on the head of a table's column sorts its rows by it, and another one the other way round.
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const value = (row, k) => row.cells[k]?.textContent.trim() ?? "";
  const number = (text) => Number.parseFloat(text.replaceAll(",", "").replace(/^[<>] /, ""));
  function sort(k) {
    const down = heads[k].ariaSort === "ascending";
    for (const head of heads) head.ariaSort = "none";
    heads[k].ariaSort = down ? "descending" : "ascending";
    const rows = [...body.rows];
    const numeric = rows.every((row) => value(row, k) === "" || !Number.isNaN(number(value(row, k))));
    const order = (a, b) => {
      const [one, other] = [value(a, k), value(b, k)];
      if (one === "" || other === "") return (one === "") - (other === ""); // what is empty comes last
      const apart = numeric ? number(one) - number(other) : one.localeCompare(other);
      return down ? -apart : apart;
    };
    body.append(...rows.sort(order));
  }
  heads.forEach((head, k) => {
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(k));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sort(k);
    });
  });
}
for (const table of document.querySelectorAll(".scroll table")) sortable(table);

// Of a table below a field, the rows are shown that have every word that is typed there, in any place.
for (const field of document.querySelectorAll("input[name=filter]")) {
  const bar = field.parentElement, rows = [...bar.nextElementSibling.querySelector("tbody").rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, k) => {
      row.hidden = !words.every((word) => texts[k].includes(word));
    });
    const shown = rows.filter((row) => !row.hidden).length;
    bar.querySelector("output").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
}

// The command that makes a page is shown above its table, and copied where the browser lets it be.
for (const button of document.querySelectorAll("button.make")) {
  button.addEventListener("click", () => {
    const around = button.closest("[data-command]");
    const command = `${around.dataset.command} ${button.dataset.name}`;
    const code = document.createElement("code");
    code.textContent = command;
    const said = around.querySelector("output");
    said.replaceChildren("Run, then load this page again: ", code);
    navigator.clipboard?.writeText(command).then(() => said.append(" (copied)"), () => {});
    said.scrollIntoView({ block: "nearest" });
  });
}

// A key that is said on a link follows it.
addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = document.querySelector(`a[data-key="${CSS.escape(event.key)}"]`);
  if (link) location = link.href;
});
