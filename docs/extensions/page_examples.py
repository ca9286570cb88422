"""Sphinx extension that has the examples of pages run by MyST-NB; how they are marked is said in `conf.py`.

Pages keep the plain fences that every reader of Markdown shows. While they are read, those that run
become cells of a notebook, which MyST-NB runs in a kernel that `page_kernel` prepares.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from page_cells import KERNEL, SHELL, as_notebook
from sphinx.application import Sphinx
from sphinx.config import Config


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    if Path(app.env.doc2path(name)).suffix == ".md":
        try:
            source[0] = as_notebook(source[0])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _as_shell(app: Sphinx, tree: nodes.document) -> None:
    """Show cells of a shell as what one types there."""
    for block in tree.findall(nodes.literal_block):
        text = block.astext()
        if text.startswith(f"{SHELL}\n"):
            block["language"] = "sh"
            block.rawsource = text.removeprefix(f"{SHELL}\n")
            block.children = [nodes.Text(block.rawsource)]


def _add_kernel(app: Sphinx, config: Config) -> None:
    """Tell Jupyter of the kernel of the pages."""
    folder = Path(tempfile.mkdtemp(prefix="motifgpu-docs-"))
    there = folder / "kernels" / KERNEL
    there.mkdir(parents=True)
    prepared = f"--IPKernelApp.exec_files={[str(Path(__file__).with_name('page_kernel.py'))]!r}"
    start = [
        sys.executable,
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
        "--log-level=ERROR",
        prepared,
    ]
    about = {"argv": start, "display_name": "Pages of motifgpu", "language": "python"}
    (there / "kernel.json").write_text(json.dumps(about))
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what is done to pages."""
    app.connect("config-inited", _add_kernel)
    app.connect("source-read", _read)
    app.connect("doctree-read", _as_shell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
