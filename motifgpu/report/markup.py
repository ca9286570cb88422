"""The templates of the pages, in which all text is escaped unless it is HTML already."""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from motifgpu.figures.palette import motif_color, motif_shape
from motifgpu.report.glossary import TERMS
from motifgpu.report.pictures import Picture, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BROAD = 2.0  # times its height that a picture is wide, for it to be moved sideways on a narrow page

Cell = tuple[str, str]  # class of a table's cell, and its content: HTML if it is Markup, else text


@functools.cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("motifgpu.report"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        keep_trailing_newline=True,
    )
    made.globals |= {"color": motif_color, "terms": TERMS, "file": _file}
    made.globals["parts"] = made.get_template("parts.html").module
    return made


def fill(template: str, **values: Any) -> str:
    """Return a template of the folder ``templates`` with values in it.

    Parameters
    ----------
    template : str
        Its name, without ``.html``.
    **values
        What it names; text is escaped, but for `markupsafe.Markup`, which is HTML already.
    """
    made: str = _templates().get_template(f"{template}.html").render(**values)
    return made


def _file(name: str) -> Markup:
    return Markup(resources.files("motifgpu.report").joinpath(name).read_text(encoding="utf-8"))


def chip(label: int) -> Markup:
    """Return a spot in the colour and the shape of a motif."""
    spot = Markup('<span class="chip shape{}" style="background:{}"></span>')
    return spot.format(motif_shape(label), motif_color(label))


def data_uri(ending: str, data: bytes) -> str:
    """Return a picture as a data URI."""
    kind = {"png": "image/png", "jpg": "image/jpeg"}[ending]
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True)
class Still:
    """A figure as it stands on a page.

    Attributes
    ----------
    source : str
        The picture, as a data URI.
    file : str
        Its name when it is saved.
    caption : str
    width : int
        Where there is room for it, px of the page.
    broad : bool
        Whether it is moved sideways on a narrow page.
    """

    source: str
    file: str
    caption: str
    width: int
    broad: bool


def still(drawn: Figure | Picture, name: str, caption: str) -> Still:
    """Return a figure for a page."""
    drawn = drawn if isinstance(drawn, Picture) else draw(drawn)
    ending, data = drawn.for_page()
    width, height = drawn.inches
    broad = width > _BROAD * height
    return Still(data_uri(ending, data), f"{name}.{ending}", caption, drawn.page_width, broad)


class Stills:
    """The figures of a page, each taken once, so that none is forgotten.

    Parameters
    ----------
    drawn : mapping of str to Figure or Picture
    captions : mapping of str to str
        By the name of a figure, or by how it begins.
    left_out : iterable of str
    """

    def __init__(
        self,
        drawn: Mapping[str, Figure | Picture],
        captions: Mapping[str, str],
        left_out: Iterable[str] = (),
    ) -> None:
        skipped = set(left_out)
        self._captions = captions
        self._rest = {name: figure for name, figure in drawn.items() if name not in skipped}

    def take(self, *names: str) -> list[Still]:
        """Return those of the named figures that there are."""
        return [
            still(self._rest.pop(name), name, self._caption(name)) for name in names if name in self._rest
        ]

    def _caption(self, name: str) -> str:
        return next((text for begin, text in self._captions.items() if name.startswith(begin)), name)

    def beginning(self, prefix: str) -> list[Still]:
        """Return those whose names begin so and that were not taken yet."""
        return self.take(*[name for name in self._rest if name.startswith(prefix)])
