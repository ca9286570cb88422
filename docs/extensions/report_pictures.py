"""Sphinx extension that analyses the micrograph of `motifgpu demo` for the pages that show the results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.application import Sphinx
from sphinx.config import Config

if TYPE_CHECKING:
    from motifgpu import Analysis

_FOLDER = "generated"
_CORNER = 200, 200  # of the micrograph, shown on the first page, px
_PANELS = "micrograph", "columns", "layout"
_STYLES = {"light": "default", "dark": "dark_background"}


def draw_panels(analysis: Analysis, mode: str, folder: Path) -> None:
    """Draw a corner of a micrograph as it is and labelled, and its layout.

    Parameters
    ----------
    analysis : Analysis
    mode : str
        "light" or "dark", the background of the page.
    folder : Path
        Gets a square picture of each.
    """
    import matplotlib.pyplot as plt

    from motifgpu.figures import display_range

    height, width = _CORNER
    image = analysis.micrograph.image
    low, high = display_range(image)
    for name in _PANELS:
        with plt.style.context(_STYLES[mode]):
            figure = plt.figure(figsize=(3.6, 3.6))
            ax = figure.add_axes((0.005, 0.005, 0.99, 0.99))
            if name == "layout":
                analysis.plot.layout(ax)
                ax.get_legend().remove()
                ax.margins(0.08)
            else:
                ax.imshow(image, cmap="gray", vmin=low, vmax=high)
                if name == "columns":
                    analysis.plot.micrograph(ax)
                ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
            ax.set(title="", xticks=[], yticks=[], xlabel="", ylabel="")
            figure.savefig(folder / f"{name}-{mode}.png", dpi=160, transparent=True)
            plt.close(figure)


def make(app: Sphinx, config: Config) -> None:
    """Write the report of the demonstration and the picture of the first page, unless they are there."""
    from motifgpu import demo

    folder = Path(app.srcdir) / _FOLDER
    if folder.exists():
        return
    _, analysis = demo.simulated()
    analysis.report(folder / "report")
    for mode in _STYLES:
        draw_panels(analysis, mode, folder)
    # Beside the pages, as it is.
    page = folder / "beside" / "demo"
    page.mkdir(parents=True)
    (folder / "report" / "report.html").rename(page / "report.html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Have the pictures made when the settings are known."""
    # Before the folder beside the pages is searched for.
    app.connect("config-inited", make, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
