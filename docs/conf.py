"""Sphinx configuration of the documentation; `docs/build` builds it.

How the examples in pages are run
---------------------------------
MyST-NB runs every ```` ```python ```` and ```` ```sh ```` block of every Markdown page and shows below
it what came of it; the build fails where one fails. The blocks of a page run in order, in one namespace
and one scratch folder, which holds

    scan.tif, other.tif     simulated MoSe2 monolayers with defects, 256 x 256 px, with their pixel size
    scans/                  three more of them

so a page may begin with ``analysis = motifgpu.analyze("scan.tif")`` after ``import motifgpu``. Shell
blocks are run by `bash -eu` with `motifgpu` on the path. What the last line of a Python block is, such
as an analysis or a figure, is shown; a semicolon after it hides it. An example that cannot run has, in
the line before its fence, the reason::

    <!-- not run: needs a GPU -->

Blocks of other languages (`text`, `toml`, `console`) are never run. A page should take less than 20 s;
no block may take more than `nb_execution_timeout`. `extensions/page_examples.py` makes cells of the
blocks.

Formulas are written between dollar signs and become MathML, so no page needs a network.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from numpydoc import xref

import motifgpu

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))

project = "motifgpu"
author = "The motifgpu developers"
copyright = f"2026, {author}"  # shown at the foot of every page
release = version = metadata.version("motifgpu")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "command_line",
    "mathml",
    "measured",
    "page_examples",
    "public_names",
    "report_pictures",
    "run_tables",
]
exclude_patterns = ["gallery", "extensions", "auto_gallery/**/*.ipynb", "generated"]
templates_path = ["_templates"]
nitpicky = True
default_role = "name"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist", "substitution"]
myst_substitutions = {"version": release}
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_timeout = 120  # s, of a block
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say types, shapes and units
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {name: f"motifgpu.{name}" for name in motifgpu.__all__ if name[0].isupper()}
xref.DEFAULT_LINKS.clear()  # they lead into the manuals of Python and NumPy, which are not fetched

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "subsection_order": [
        f"gallery/{section}"
        for section in ("one_micrograph", "defects", "structure", "moire", "datasets", "inside")
    ],
    "abort_on_example_error": True,
    "download_all_examples": False,
    "doc_module": ("motifgpu",),
    "backreferences_dir": "reference/generated/examples",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,  # its pages fetch scripts
    "min_reported_time": 1,
}
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings hold what cannot be pickled

html_theme = "pydata_sphinx_theme"
html_title = "motifgpu"
html_static_path = ["_static"]
html_extra_path = ["generated/beside"]  # the report of the demonstration
html_css_files = ["motifgpu.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_exclude = ".linenos, .gp, .go"
