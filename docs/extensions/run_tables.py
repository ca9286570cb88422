"""Sphinx extension whose directive ``run-table`` lists the fields of a table of a run, from its schema."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class RunTable(SphinxDirective):
    """The fields of one table: name, type, unit and meaning."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the list."""
        from motifgpu.store import tables

        lines = ["| field | type | unit | is |", "|---|---|---|---|"]
        for field in getattr(tables, self.arguments[0]):
            said = {key.decode(): text.decode() for key, text in field.metadata.items()}
            lines.append(f"| `{field.name}` | {field.type} | {said['unit']} | {said['about']} |")
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("run-table", RunTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
