"""Samples: those that come with the package, and those that are fetched."""

from __future__ import annotations

import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import motifgpu
from motifgpu import StageError, read, samples
from motifgpu.samples import fetching

OURS = [name for name, sample in samples.SAMPLES.items() if not sample.address]
FETCHED = [name for name, sample in samples.SAMPLES.items() if sample.address]


@pytest.mark.parametrize("name", OURS)
def test_what_comes_with_the_package_is_what_it_is_said_to_be(name: str) -> None:
    made, found = samples.truth(name), read(samples.path(name))
    np.testing.assert_array_equal(found.image, made.image)
    assert found.pixel_size_nm == pytest.approx(made.pixel_size_nm)
    assert samples.SAMPLES[name].about.startswith("simulated: ")


def test_the_wheel_stays_small() -> None:
    files = list(Path(samples.__file__).parent.glob("*.tif"))
    assert sorted(file.name for file in files) == sorted(samples.SAMPLES[name].file for name in OURS)
    assert sum(file.stat().st_size for file in files) < 150_000


def test_what_is_fetched_has_a_fixed_address_a_free_licence_and_a_checksum() -> None:
    for name in FETCHED:
        sample = samples.SAMPLES[name]
        assert sample.address.startswith("https://")
        assert len(bytes.fromhex(sample.sha256)) == 32
        assert sample.licence.startswith(("MIT", "BSD", "CC0", "CC BY"))
        assert sample.about.startswith("measured: ")


def test_what_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match="there is no sample 'gold'; choose one of MoSe2_defects"):
        samples.path("gold")
    with pytest.raises(StageError, match="truth of 'DyScO3' is not known; choose one of MoSe2_defects"):
        samples.truth("DyScO3")
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(StageError, match=r"pooch cannot be imported .*; install it: .*motifgpu\[samples\]"):
        samples.path("DyScO3")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A server in place of the authors' with the files that it has by path, and an empty cache."""
    pytest.importorskip("pooch", reason="the extra samples is not installed")
    files: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = files.get(self.path.removeprefix("/"))
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    content = samples.path("perovskite").read_bytes()
    there = {
        name: replace(samples.SAMPLES["DyScO3"], file=f"{name}.tif", address=address + name, sha256=digest)
        for name, digest in (("one", hashlib.sha256(content).hexdigest()), ("other", "0" * 64))
    }
    monkeypatch.setattr(fetching, "SAMPLES", {**samples.SAMPLES, **there})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files |= {"one": content, "other": content}
    yield files
    server.shutdown()
    server.server_close()


def test_a_sample_is_fetched_once_and_checked(store: dict[str, bytes], tmp_path: Path) -> None:
    path = samples.path("one")
    assert path.is_relative_to(tmp_path)
    store.clear()
    assert samples.path("one") == path  # without asking again
    assert motifgpu.read(path).shape == (256, 256)
    path.unlink()
    said = r"one cannot be had .*404.*; check the network; MoSe2_defects, .* need none"
    with pytest.raises(StageError, match=said):
        samples.path("one")


def test_another_file_under_the_address_is_refused(store: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"other cannot be had .*hash"):
        samples.path("other")
    assert not list(tmp_path.rglob("other.tif"))
