"""Looking through analyses in a browser, one after the other, where what is decided is saved by itself.

The pages are those of the report, served on this machine alone. The address holds a token that opens them
once; what follows is known by a cookie.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from markupsafe import Markup

from motifgpu.analysis import Analysis
from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.dataset.pages import page_folder, reviewed
from motifgpu.dataset.report import render as render_run
from motifgpu.dataset.results import Run
from motifgpu.decisions import write_decisions
from motifgpu.decisions.files import from_toml
from motifgpu.report.markup import fill
from motifgpu.report.page import render
from motifgpu.store import layout

STAGE = "view"
_MOST_BYTES = 16 << 20  # of the decisions that a page sends
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass
class Sheet:
    """One analysis that is looked at.

    Attributes
    ----------
    title : str
    folder : Path
        Where it is saved with what was decided; made when that is needed.
    load : callable
        Returns the analysis.
    strange : float
        How much of it the motifs do not explain, 0 to 1.
    name : str
        What it is called in the run.
    run : Run or None
        Where it is a micrograph of one.
    """

    title: str
    folder: Path
    load: Callable[[], Analysis]
    strange: float = 0.0
    name: str = ""
    run: Run | None = field(default=None, repr=False)
    begun: Analysis | None = field(default=None, repr=False)

    def page(self, place: int, total: int) -> str:
        """Return the page of the analysis as it is now, from which decisions then begin."""
        self.begun = self.load()
        above = Markup(fill("around", place=place, total=total, folder=self.folder))
        return render(self.begun, {}, above=above, save=f"/{place}")

    def keep(self, sent: bytes) -> int:
        """Carry out the decisions made on the page, in place of those that came before; return how many.

        Raises
        ------
        StageError
            If the page was not shown, or they are no decisions.
        """
        if self.begun is None:
            raise StageError(STAGE, "the page was not shown yet", "load it again")
        found = self.begun.apply((*self.begun.decisions, *from_toml(sent, "what the page sent")))
        self.folder.mkdir(parents=True, exist_ok=True)
        found.save(self.folder / layout.ARCHIVE)
        write_decisions(self.folder / layout.DECISIONS, found.decisions)
        return len(found.decisions)


def find_sheets(path: Path) -> list[Sheet]:
    """Return what is to be looked at, the strangest first.

    Parameters
    ----------
    path : Path
        A saved analysis, a folder with one or with folders of them, or the folder of a run, whose micrographs
        are analysed again when they are shown.

    Raises
    ------
    StageError
        If there is no analysis.
    """
    if (path / layout.RUN).exists():
        return _of_run(Run(path))
    name = layout.ARCHIVE
    archives = [path] if path.is_file() else [*path.glob(name), *sorted(path.glob(f"*/{name}"))]
    if not archives:
        raise StageError(
            STAGE,
            f"there is no {name} in {path}",
            "give the folder that analyze (without --no-save) or run wrote to",
        )
    sheets = [
        Sheet(archive.parent.name if path.is_dir() else archive.stem, archive.parent, _loader(archive))
        for archive in archives
    ]
    for sheet in sheets:
        sheet.strange = _strangeness(sheet.folder)
    return sorted(sheets, key=lambda sheet: -sheet.strange)


def _loader(archive: Path) -> Callable[[], Analysis]:
    return lambda: Analysis.load(archive)


def _strangeness(folder: Path) -> float:
    """Return the share of the columns that the motifs do not explain, by the summary beside an analysis."""
    try:
        motifs = json.loads((folder / "summary.json").read_bytes())["motifs"]
        return 1.0 - float(sum(m["fraction"] * m["confidence"] for m in motifs if m["label"] >= 0))
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _of_run(run: Run) -> list[Sheet]:
    def loader(name: str) -> Callable[[], Analysis]:
        return lambda: reviewed(run, name)

    sheets = []
    for row in run.micrographs.select(["micrograph", "source", "title", "explained"]).to_pylist():
        name = row["micrograph"]
        folder, title = page_folder(run, name), f"{row['source']} {row['title']}"
        sheets.append(Sheet(title, folder, loader(name), 1.0 - row["explained"], name, run))
    return sorted(sheets, key=lambda sheet: -sheet.strange)


class Review(ThreadingHTTPServer):
    """A server of pages on this machine alone.

    Parameters
    ----------
    sheets : list of Sheet
    port : int
        0 for any that is free.
    """

    daemon_threads = True

    def __init__(self, sheets: list[Sheet], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.sheets = sheets
        self.token: str | None = secrets.token_urlsafe(24)
        self.cookie = secrets.token_urlsafe(24)
        self.work = threading.Lock()  # one analysis at a time

    @property
    def host(self) -> str:
        """Name and port, as a browser sends them."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def address(self) -> str:
        """Where it is, with the token that opens it once."""
        return f"http://{self.host}/?token={self.token}"

    def index(self) -> str:
        """Return the list of what there is: of a run its report, whose links lead to the pages made here."""
        run = self.sheets[0].run if self.sheets else None
        if run is not None:
            return render_run(run, {sheet.name: f"/{place}" for place, sheet in enumerate(self.sheets)})
        title = f"{len(self.sheets):,} analyses, the strangest first"
        return fill("analyses", title=title, above="", save="", sheets=self.sheets)


class _Handler(BaseHTTPRequestHandler):
    server: Review
    server_version, sys_version = "motifgpu", ""
    timeout = 60

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if self.headers.get("Host") != self.server.host:
            return self._answer(HTTPStatus.FORBIDDEN, "another host")
        given = parse_qs(asked.query).get("token", [""])[0]
        if asked.path == "/" and given:
            return self._let_in(given)
        if not self._known():
            return self._answer(HTTPStatus.FORBIDDEN, "open the address that motifgpu view printed")
        if asked.path == "/":
            return self._work(self.server.index, "text/html")
        sheet = self._sheet(asked.path)
        if sheet is None:
            return self._answer(HTTPStatus.NOT_FOUND, "there is no such page")
        place = int(asked.path[1:])
        return self._work(lambda: sheet.page(place, len(self.server.sheets)), "text/html")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        same = self.headers.get("Host") == self.server.host
        if not (same and self.headers.get("Origin") == f"http://{self.server.host}" and self._known()):
            return self._answer(HTTPStatus.FORBIDDEN, "not from a page of motifgpu view")
        sheet = self._sheet(self.path)
        if sheet is None:
            return self._answer(HTTPStatus.NOT_FOUND, "there is no such page")
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too many decisions at once")
        body = self.rfile.read(int(length))
        return self._work(lambda: str(sheet.keep(body)), "text/plain")

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: an address may hold the token."""

    def _let_in(self, given: str) -> None:
        """Take the token once, and know the browser by a cookie from then on."""
        token, self.server.token = self.server.token, None
        if token is None or not secrets.compare_digest(token.encode(), given.encode()):
            self.server.token = token
            return self._answer(HTTPStatus.FORBIDDEN, "this address was opened before, or is not that one")
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/" if len(self.server.sheets) > 1 else "/0")
        self.send_header("Set-Cookie", f"motifgpu={self.server.cookie}; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _known(self) -> bool:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return False
        given = cookies["motifgpu"].value if "motifgpu" in cookies else ""
        return secrets.compare_digest(given.encode(), self.server.cookie.encode())

    def _sheet(self, path: str) -> Sheet | None:
        name = path[1:]
        inside = name.isdecimal() and len(name) < 9 and int(name) < len(self.server.sheets)
        return self.server.sheets[int(name)] if inside else None

    def _work(self, make: Callable[[], str], kind: str) -> None:
        try:
            with self.server.work:
                text = make()
        except (StageError, MicrographReadError, OSError) as error:
            return self._answer(HTTPStatus.CONFLICT, str(error))
        return self._answer(HTTPStatus.OK, text, kind)

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        data = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(data))),
            ("Content-Security-Policy", _POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
