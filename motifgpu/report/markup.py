"""Pieces of HTML that several sections are made of."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from motifgpu.figures.palette import motif_color, motif_shape
from motifgpu.report.glossary import explained
from motifgpu.report.pictures import Picture, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BROAD = 2.0  # times its height that a picture is wide, for it to be moved sideways on a narrow page

Cell = tuple[str, str]  # class, and content as HTML


def data_uri(ending: str, data: bytes) -> str:
    """Return a picture as a data URI."""
    kind = {"png": "image/png", "jpg": "image/jpeg"}[ending]
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(drawn: Figure | Picture, name: str, caption: str) -> str:
    """Return a figure with its caption and a link that saves it; the link's target is the picture itself."""
    drawn = drawn if isinstance(drawn, Picture) else draw(drawn)
    ending, data = drawn.for_page()
    text = html.escape(caption)
    width, height = drawn.inches
    shape = ' class="broad" tabindex="0"' if width > _BROAD * height else ""
    link = f'<a class="save" download="{html.escape(name)}.{ending}" href="#">Save picture</a>'
    source = f'src="{data_uri(ending, data)}" width="{drawn.page_width}"'
    return (
        f'<figure><div{shape}><img {source} alt="{text}"></div>'
        f"<figcaption>{text} {link}</figcaption></figure>"
    )


def chip(label: int) -> str:
    """Return a spot in the colour and the shape of a motif."""
    return f'<span class="chip shape{motif_shape(label)}" style="background:{motif_color(label)}"></span>'


def table(head: Iterable[str], rows: Iterable[Iterable[Cell]]) -> str:
    """Return a table; a cell is its class and its content as HTML. Columns of class "number" align right."""
    rows = [list(row) for row in rows]
    kinds = [kind for kind, _ in rows[0]] if rows else []
    kinds += [""] * (len(list(head := list(head))) - len(kinds))
    top = "".join(
        f'<th scope="col" class="{kind}">{explained(name)}</th>'
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
        f"<div><dt>{explained(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in pairs
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
