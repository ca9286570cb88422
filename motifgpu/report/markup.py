"""Pieces of HTML that several sections are made of."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_QUALITY = 75
_DRAWN = 1.2  # times the size of a JPEG that a PNG may have, for its lines and letters stay clean
_COLORS = 256
_BROAD = 2.0  # times its height that a picture is wide, for it to be moved sideways on a narrow page

Cell = tuple[str, str]  # class, and content as HTML


def encoded(figure: Figure, dpi: float = _DPI) -> tuple[str, bytes]:
    """Return a figure as the end of a file name and the file: PNG of 256 colours, or JPEG where far smaller.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    dpi : float

    Returns
    -------
    ending : {"png", "jpg"}
    data : bytes
    """
    from PIL import Image

    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})  # packed again below
    picture = Image.open(raw).convert("RGB")
    as_png, as_jpeg = io.BytesIO(), io.BytesIO()
    picture.quantize(_COLORS, dither=Image.Dither.NONE).save(as_png, "PNG", optimize=True)
    picture.save(as_jpeg, "JPEG", quality=_QUALITY, optimize=True)
    png, jpeg = as_png.getvalue(), as_jpeg.getvalue()
    return ("png", png) if len(png) <= _DRAWN * len(jpeg) else ("jpg", jpeg)


def data_uri(ending: str, data: bytes) -> str:
    """Return a picture as a data URI."""
    kind = {"png": "image/png", "jpg": "image/jpeg"}[ending]
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(figure: Figure, name: str, caption: str) -> str:
    """Return a figure with its caption and a link that saves it; the link's target is the picture itself."""
    ending, data = encoded(figure)
    text = html.escape(caption)
    width, height = figure.get_size_inches()
    shape = ' class="broad" tabindex="0"' if width > _BROAD * height else ""
    link = f'<a class="save" download="{html.escape(name)}.{ending}" href="#">Save picture</a>'
    return (
        f'<figure><div{shape}><img src="{data_uri(ending, data)}" alt="{text}"></div>'
        f"<figcaption>{text} {link}</figcaption></figure>"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[Cell]]) -> str:
    """Return a table; a cell is its class and its content as HTML. Columns of class "number" align right."""
    rows = [list(row) for row in rows]
    kinds = [kind for kind, _ in rows[0]] if rows else []
    kinds += [""] * (len(list(head := list(head))) - len(kinds))
    top = "".join(
        f'<th scope="col" class="{kind}">{html.escape(name)}</th>'
        for name, kind in zip(head, kinds, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{content}</td>' for kind, content in row) + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll" tabindex="0"><table><thead><tr>'
        f"{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return numbers that stand out, each with its name below."""
    cards = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in pairs
    )
    return f'<dl class="facts">{cards}</dl>'


def pairs(values: Mapping[str, Any]) -> str:
    """Return names and values as a table."""
    return table(
        ("name", "value"), [[("", html.escape(k)), ("wide", html.escape(str(v)))] for k, v in values.items()]
    )


def folded(title: str, content: str) -> str:
    """Return content that opens on a click."""
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"
