"""What the sections of the page of results are made of: figures by name, tables, and who measured them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]


class NotMeasured(LookupError):
    """No result file holds the study of this name."""


def figures(results: Results, name: str) -> Any:
    """Return the figures of a study."""
    if name not in results:
        raise NotMeasured(name)
    return results[name]["figures"]


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many decimals, or a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def with_error(pair: dict[str, float | None], digits: int = 2) -> str:
    """Return mean and standard error."""
    error = pair["standard_error"]
    return number(pair["mean"], digits) + ("" if error is None else f" ± {error:.{digits}f}")


def seconds(value: float) -> str:
    """Return a time in the unit that suits it."""
    if value < 1e-3:
        return f"{1e6 * value:.0f} µs"
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def seeds(count: int) -> str:
    """Return how many seeds there were, in words."""
    return "1 seed" if count == 1 else f"{count} seeds"


def span(values: Iterable[float], digits: int = 2) -> str:
    """Return the least and the largest of some numbers."""
    found = list(values)
    low, high = f"{min(found):.{digits}f}", f"{max(found):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def ours_first(methods: dict[str, Any]) -> dict[str, Any]:
    """Return methods in the order of the page: ours, the authors' package, then the others by name."""
    first = ("analyze", "analyze, environments", "motifgpu", "motifgpu, Euclidean", "zernike", "motif-learn")
    order = {name: index for index, name in enumerate(first)}
    return dict(sorted(methods.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def measured_on(results: Results, names: Iterable[str]) -> str:
    """Return a line that says when, where and under what load studies were measured."""
    entries = [results[name] for name in names if name in results]
    if not entries:
        return ""
    days = sorted({entry["date"] for entry in entries})
    machines = sorted({f"{entry['processor']} ({entry['processors']} processors)" for entry in entries})
    line = f"Measured {' to '.join(dict.fromkeys((days[0], days[-1])))} on {', '.join(machines)}"
    loads = [entry["load"] for entry in entries if entry.get("load") is not None]
    if loads and max(loads) > 1.5 * entries[0]["processors"]:
        line += f", shared with other work (load up to {max(loads):.0f})"
    if any(entry.get("quick") for entry in entries):
        line += "; a quick run, of fewer seeds and sizes"
    return f"*{line}.*"


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    key : str
        Name of its conclusion in conclusions.md.
    title : str
    studies : tuple of str
        The studies it is made of; a name ending in * stands for all that begin so.
    write : callable
        From all results to its lines.
    """

    key: str
    title: str
    studies: tuple[str, ...]
    write: Callable[[Results], list[str]]

    def names(self, results: Results) -> list[str]:
        """Return the names of its studies that have been measured."""
        return [
            name
            for name in sorted(results)
            if any(
                name == study or (study.endswith("*") and name.startswith(study[:-1]))
                for study in self.studies
            )
        ]

    def lines(self, results: Results, conclusion: str) -> list[str]:
        """Return the section as Markdown."""
        try:
            body = self.write(results)
        except NotMeasured as missing:
            body = [f"Not measured yet: `{missing.args[0]}`.", ""]
        source = measured_on(results, self.names(results))
        return [f"## {self.title}", "", *body, *([conclusion, ""] if conclusion else []), source, ""]
