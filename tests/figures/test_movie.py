from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from motifgpu import Analysis, Micrograph, StageError, analyze, simulate
from motifgpu.figures.movie import layout_movie
from motifgpu.figures.palette import motif_color
from motifgpu.graph.affinity import affinity_graph
from motifgpu.graph.neighbors import nearest_neighbors
from motifgpu.graph.relaxation import Stage, pca_start, relax

SHORT = (Stage(1, 1, 0, 2, sweeps=6), Stage(5, 1, 2, 5, sweeps=4))


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    truth = simulate.monolayer("MoSe2", (160, 160), counts=30, vacancies=0.05, seed=5)
    return analyze(Micrograph(truth.image, truth.pixel_size_nm), seed=4)


def _frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as movie:
        frames = []
        for number in range(movie.n_frames):
            movie.seek(number)
            frames.append(np.asarray(movie.convert("RGB"), dtype=float) / 255)
    return frames


def _has(frame: np.ndarray, color: str) -> bool:
    return bool((np.abs(frame - to_rgb(color)).max(axis=2) < 0.06).any())


def test_a_movie_shows_the_layout_moving_in_the_colours_of_the_motifs(
    analysis: Analysis, tmp_path: Path
) -> None:
    path = tmp_path / "movie.gif"
    start = pca_start(analysis.moments[analysis.whole])
    labels = analysis.motifs.labels[analysis.whole]
    layout = layout_movie(
        analysis.graph, start, path, labels=labels, stages=SHORT, seed=4, frames=10, frames_per_second=4
    )
    assert np.array_equal(layout, relax(analysis.graph, start, stages=SHORT, seed=4))
    frames = _frames(path)
    assert len(frames) >= 11  # the start, ten sweeps; equal ones at the end may be stored as one
    plots = [frame[50:] for frame in frames]  # without the title, which changes anyhow
    assert all(np.abs(a - b).max() > 0.3 for a, b in pairwise(plots[:11]))
    colors = [motif_color(label) for label in sorted(set(labels.tolist()))]
    assert all(_has(frame, color) for frame in (plots[0], plots[-1]) for color in colors)


def test_the_movie_of_an_analysis_ends_in_its_layout(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motifgpu.figures import movie

    seen = []
    monkeypatch.setattr(movie, "relax", lambda *a, **k: seen.append(relax(*a, **k)) or seen[-1])
    path = analysis.movie(tmp_path / "movie.gif", frames=3, frames_per_second=1)
    assert np.array_equal(seen[0], analysis.layout[analysis.whole])
    assert 3 <= len(_frames(path)) <= 8


def test_more_vertices_than_can_be_drawn(analysis: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "movie.GIF"
    start = pca_start(analysis.moments[analysis.whole])
    layout = layout_movie(analysis.graph, start, path, stages=SHORT[:1], frames=2, limit=10)
    assert np.array_equal(layout, relax(analysis.graph, start, stages=SHORT[:1]))
    assert path.stat().st_size > 0


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_mp4_is_what_every_player_knows(analysis: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "movie.mp4"
    start = pca_start(analysis.moments[analysis.whole])
    layout_movie(analysis.graph, start, path, stages=SHORT, frames=5, frames_per_second=10)
    probe = subprocess.run(["ffmpeg", "-i", path, "-f", "null", "-"], capture_output=True, text=True)
    assert probe.returncode == 0
    assert "h264" in probe.stderr
    assert "yuv420p" in probe.stderr


def test_what_cannot_be_made_is_said(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = pca_start(analysis.moments[analysis.whole])
    with pytest.raises(StageError, match=r"movie: layout\.avi ends in neither \.gif nor \.mp4"):
        layout_movie(analysis.graph, start, tmp_path / "layout.avi")
    monkeypatch.setattr("matplotlib.animation.FFMpegWriter.isAvailable", lambda: False)
    with pytest.raises(StageError, match=r"an \.mp4 needs ffmpeg"):
        layout_movie(analysis.graph, start, tmp_path / "layout.mp4")
    with pytest.raises(StageError, match="movie: labels"):
        layout_movie(analysis.graph, start, tmp_path / "layout.gif", labels=np.zeros(3, int))
    with pytest.raises(StageError, match="movie: frames_per_second is 0"):
        layout_movie(analysis.graph, start, tmp_path / "layout.gif", frames_per_second=0)
    with pytest.raises(StageError, match="start has shape"):
        layout_movie(analysis.graph, start[:5], tmp_path / "layout.gif")
    moments = np.concatenate([analysis.moments[:40], analysis.moments[:40]])
    offsets = np.array([0, 40, 80])
    two = affinity_graph(nearest_neighbors(moments, 5, offsets=offsets), offsets=offsets)
    with pytest.raises(StageError, match="the graph holds 2 micrographs"):
        layout_movie(two, moments[:, :2], tmp_path / "layout.gif")
    with pytest.raises(FileNotFoundError):
        layout_movie(analysis.graph, start, tmp_path / "none" / "a.gif", stages=SHORT, frames=2)
    assert not list(tmp_path.iterdir())
