"""TIFF files written byte by byte from the standard (TIFF 6.0), so that no reader's idea of it is in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
ORIENTATION, SAMPLES, PLANES, SUBFILE, OLD_SUBFILE = 274, 277, 284, 254, 255
COLOR_MAP, EXTRA_SAMPLES, SUB_IFDS, SAMPLE_FORMAT, DESCRIPTION = 320, 338, 330, 339, 270
SUBSAMPLING = 530
_OFFSETS, _ROWS, _COUNTS = 273, 278, 279
_LONG = (WIDTH, LENGTH, SUBFILE, SUB_IFDS, _OFFSETS, _ROWS, _COUNTS)


@dataclass
class Directory:
    """A directory: its tags, the bytes of its strips (one for each plane) and those below it."""

    tags: dict[int, int | Sequence[int] | bytes]
    strips: Sequence[bytes]
    below: Sequence[Directory] = ()
    _at: int = field(default=0, init=False)


def tiff(*pages: Directory, order: str = "<") -> bytes:
    """Return the file; `order` is ``<`` (II) or ``>`` (MM)."""
    body = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 0))
    link = 4
    for page in pages:
        for one in (*page.below, page):
            at_link = _put(body, one, order)
        struct.pack_into(f"{order}I", body, link, page._at)
        link = at_link
    return bytes(body)


def _put(body: bytearray, page: Directory, order: str) -> int:
    """Append a directory with its strips and return where the offset of the next one stands."""
    offsets = []
    for strip in page.strips:
        offsets.append(len(body))
        body += strip + b"\0" * (len(strip) % 2)
    tags = {
        **page.tags,
        _OFFSETS: offsets,
        _COUNTS: [len(strip) for strip in page.strips],
        _ROWS: page.tags[LENGTH],
    }
    if page.below:
        tags[SUB_IFDS] = [one._at for one in page.below]
    entries = []
    for tag, given in sorted(tags.items()):
        if isinstance(given, bytes):
            kind, count, content = 2, len(given) + 1, given + b"\0"
        else:
            values = [given] if isinstance(given, int) else list(given)
            kind, letter = (4, "I") if tag in _LONG else (3, "H")
            count, content = len(values), struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(content) > 4:
            at = len(body)
            body += content + b"\0" * (len(content) % 2)
            content = struct.pack(f"{order}I", at)
        entries.append(struct.pack(f"{order}HHI", tag, kind, count) + content.ljust(4, b"\0"))
    page._at = len(body)
    body += struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    return len(body) - 4
