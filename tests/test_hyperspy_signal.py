"""Micrographs as HyperSpy's signals that know their motifs."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import motifgpu
from motifgpu import StageError, simulate

pytest.importorskip("hyperspy", reason="the extra hyperspy is not installed")
from hyperspy.signals import LazySignal2D, Signal2D
from yaml import safe_load

from motifgpu.hyperspy_signal import LazyMotifSignal2D, MotifSignal2D

TRUTH = simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
ROOT = Path(__file__).parents[1]


def signal() -> MotifSignal2D:
    made = MotifSignal2D(TRUTH.image)
    for axis in made.axes_manager.signal_axes:
        axis.scale, axis.units = 0.2, "Å"
    return made


def test_hyperspy_is_told_of_classes_that_are_there() -> None:
    told = safe_load((Path(motifgpu.__file__).parent / "hyperspy_extension.yaml").read_text())
    assert set(told) == {"signals"}
    for name, about in told["signals"].items():
        made = getattr(importlib.import_module(about["module"]), name)
        assert made._signal_type == about["signal_type"] == "motifs"
        assert issubclass(made, LazySignal2D if about["lazy"] else Signal2D)
        assert made._lazy == about["lazy"]
        assert (made._signal_dimension, made._dtype) == (about["signal_dimension"], about["dtype"])


def test_a_signal_finds_its_motifs_and_keeps_them_as_markers() -> None:
    made = signal()
    analysis = made.motifs(structure=False)
    assert analysis.micrograph.pixel_size_nm == pytest.approx(0.02)
    again = made.motifs(structure=False)  # in place of those that are there
    markers = made.metadata.Markers
    assert markers.keys() == ["motif_0", "motif_1"]
    for label in (0, 1):
        offsets = getattr(markers, f"motif_{label}").kwargs["offsets"]
        columns = again.points[again.motifs.labels == label]
        np.testing.assert_allclose(offsets, 0.2 * columns[:, ::-1], rtol=1e-5)  # (x, y), in units of the axes
    other = signal()
    other.motifs(structure=False, mark=False)
    assert not other.metadata.has_item("Markers")
    with pytest.raises(StageError, match=r"give one of them, signal.inav"):
        MotifSignal2D(np.zeros((2, 64, 64))).motifs()


@pytest.mark.slow
def test_hyperspy_makes_such_signals_where_the_package_is_installed(tmp_path: Path) -> None:
    """As installed: HyperSpy reads the entry point, converts signals, and keeps markers in its files."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    there = tmp_path / "motifgpu-0.dist-info"
    there.mkdir()
    lines = [f"{name} = {value}" for name, value in groups["hyperspy.extensions"].items()]
    (there / "entry_points.txt").write_text("\n".join(["[hyperspy.extensions]", *lines]))
    (there / "METADATA").write_text("Metadata-Version: 2.1\nName: motifgpu\nVersion: 0\n")
    np.save(tmp_path / "image.npy", TRUTH.image)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np, hyperspy.api as hs
s = hs.signals.Signal2D(np.load({str(tmp_path / "image.npy")!r}))
s.set_signal_type("motifs")
counts = s.motifs(structure=False).motifs.counts
lazy = s.as_lazy()
assert (lazy.motifs(structure=False).motifs.counts == counts).all()
s.save({str(tmp_path / "marked.hspy")!r})
again = hs.load({str(tmp_path / "marked.hspy")!r})
print(type(s).__name__, type(lazy).__name__, type(again).__name__, *again.metadata.Markers.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    names = [MotifSignal2D.__name__, LazyMotifSignal2D.__name__, MotifSignal2D.__name__]
    assert done.stdout.split() == [*names, "motif_0", "motif_1"]
