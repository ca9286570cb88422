"""Looking through analyses: who may, and what is saved."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import report_page

from motifgpu import Analysis, StageError, analyze, run, simulate
from motifgpu.review import Review, find_sheets
from motifgpu.store.layout import ARCHIVE, DECISIONS

RENAME = '[[decision]]\ndo = "rename"\nmotifs = [0]\nnames = ["Mo"]\n'


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    made = simulate.monolayer("MoSe2", (140, 140), lattice_constant=16.0, vacancies=0.1, seed=1)
    return analyze(made.image, structure=False)


@pytest.fixture
def out(analysis: Analysis, tmp_path: Path) -> Path:
    for name, confidence in (("a<b>", 0.9), ("strange", 0.2)):
        (tmp_path / name).mkdir()
        analysis.save(tmp_path / name / ARCHIVE)
        summary = f'{{"motifs": [{{"label": 0, "fraction": 1.0, "confidence": {confidence}}}]}}'
        (tmp_path / name / "summary.json").write_text(summary)
    return tmp_path


@pytest.fixture
def server(out: Path) -> Iterator[Review]:
    with Review(find_sheets(out)) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(
    server: Review, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    link.request(method, path, body, {"Host": server.host} | headers)
    answer = link.getresponse()
    found = answer.status, answer.read().decode(), dict(answer.getheaders())
    link.close()
    return found


def enter(server: Review) -> str:
    status, _, headers = ask(server, f"/?token={server.token}")
    assert status == 303
    assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
    return headers["Set-Cookie"].partition(";")[0]


def test_only_who_has_the_address_may_look_and_once(server: Review) -> None:
    assert server.server_address[0] == "127.0.0.1"
    token = server.token
    for path in ("/", "/0", "/?token=", "/?token=wrong", "/0?token=wrong"):
        assert ask(server, path)[0] == 403
    cookie = enter(server)
    assert ask(server, f"/?token={token}")[0] == 403
    assert ask(server, "/?token=None")[0] == 403
    assert ask(server, "/", Cookie="motifgpu=wrong")[0] == 403
    status, text, headers = ask(server, "/", Cookie=cookie)
    assert status == 200
    assert text.index("strange") < text.index("a&lt;b&gt;")  # the strangest first
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert ask(server, "/", Cookie=cookie, Host="evil.example")[0] == 403
    for path in ("/2", "/-1", "/../etc/passwd", "/%2e%2e", "/0/x", "/99999999999"):
        assert ask(server, path, Cookie=cookie)[0] == 404


def test_decisions_are_saved_and_undone(server: Review, out: Path, analysis: Analysis) -> None:
    cookie, origin = enter(server), f"http://{server.host}"
    folder = out / "strange"
    before = (folder / ARCHIVE).read_bytes()
    assert ask(server, "/0", "POST", RENAME, Cookie=cookie)[0] == 403  # from no page
    assert ask(server, "/0", "POST", RENAME, Cookie=cookie, Origin="http://evil.example")[0] == 403
    assert ask(server, "/0", "POST", RENAME, Origin=origin)[0] == 403
    assert ask(server, "/0", "POST", RENAME, Cookie=cookie, Origin=origin)[0] == 409  # not shown yet
    status, page, _ = ask(server, "/0", Cookie=cookie)
    assert status == 200
    assert 'data-save="/0"' in page
    assert ask(server, "/0", "POST", "no toml", Cookie=cookie, Origin=origin)[0] == 409
    assert (folder / ARCHIVE).read_bytes() == before
    assert ask(server, "/0", "POST", RENAME, Cookie=cookie, Origin=origin)[:2] == (200, "1")
    assert Analysis.load(folder / ARCHIVE).motifs.name(0) == "Mo"
    assert analysis.apply(folder / DECISIONS).motifs.name(0) == "Mo"
    assert ask(server, "/0", "POST", "", Cookie=cookie, Origin=origin)[:2] == (200, "0")  # all undone
    assert Analysis.load(folder / ARCHIVE).motifs.name(0) == "motif 0"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no analysis\.zip .* give the folder that analyze"):
        find_sheets(tmp_path)


@pytest.mark.slow
def test_a_run_is_looked_through_and_nothing_leaves_its_folder(tmp_path: Path) -> None:
    made = simulate.monolayer("MoSe2", (128, 128), lattice_constant=16.0, seed=1)
    (tmp_path / "scans").mkdir()
    np.save(tmp_path / "scans" / "one.npy", made.image)
    run(tmp_path / "scans", tmp_path / "run", workers=1, structure=False)
    [sheet] = find_sheets(tmp_path / "run")
    assert "one" in sheet.title
    sheet.page(0, 1)
    sheet.keep(RENAME.encode())
    [again] = find_sheets(tmp_path / "run")
    assert again.load().motifs.name(0) == "Mo"
    folder = sheet.folder
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StageError, match=r"leads out of the run|link"):
        find_sheets(tmp_path / "run")


@pytest.mark.slow
def test_a_reviewer_names_motifs_and_goes_on(server: Review, out: Path) -> None:
    pytest.importorskip("bokeh", reason="the linked view is made with Bokeh (extra: report)")
    with report_page.browser() as browser:
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.goto(server.address)
        page.click("li a")
        page.wait_for_function("window.linkedView !== undefined")
        for motif, name in ((0, "Mo"), (1, "Se2")):
            page.click(f'button[data-motif="{motif}"]')
            page.fill("input[name=called]", name)
            page.press("input[name=called]", "Enter")
        page.wait_for_function(
            "document.querySelector('[data-say=made]').textContent === '2 decisions, saved'"
        )
        assert Analysis.load(out / "strange" / ARCHIVE).motifs.names[:2] == ("Mo", "Se2")
        page.click("body", position={"x": 2, "y": 2})
        page.keyboard.press("n")
        page.wait_for_url("**/1")
        page.wait_for_function("window.linkedView !== undefined")
        assert [line for line in errors if "favicon" not in line] == []
