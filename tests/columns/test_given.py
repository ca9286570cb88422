"""Positions, masks and parts of an image that the user gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motifgpu import Analysis, StageError, analyze, cli, find_columns, measure_columns, simulate
from motifgpu.core.namespace import to_numpy

TRUTH = simulate.monolayer("MoSe2", (240, 250), counts=30, vacancies=0.05, divacancies=0.02, seed=7)
IMAGE = TRUTH.image
COLUMNS = find_columns(IMAGE)


def test_given_positions_are_kept_and_measured(xp_array: Callable[[Any], Any]) -> None:
    mixed = np.random.default_rng(0).permutation(len(COLUMNS))
    found = measure_columns(xp_array(IMAGE), xp_array(COLUMNS.points[mixed]))
    np.testing.assert_allclose(to_numpy(found.points), COLUMNS.points, atol=1e-4)
    inner = COLUMNS.occupied & (np.abs(COLUMNS.points - 120) < 100).all(axis=1)
    heights = to_numpy(found.prominence)
    assert np.corrcoef(heights[inner], COLUMNS.prominence[inner])[0, 1] > 0.98
    assert heights[~COLUMNS.occupied].max() < 0.3 * np.median(heights)
    assert found.sigma_px == pytest.approx(COLUMNS.sigma_px, rel=0.1)
    assert to_numpy(found.occupied).all()


def test_they_are_refined_if_asked() -> None:
    inside = (np.abs(TRUTH.points - [120, 125]) < 100).all(axis=1) & TRUTH.occupied
    where = TRUTH.points[inside]
    shaken = where + np.random.default_rng(1).normal(0, 0.7, where.shape)
    order = np.lexsort((shaken[:, 1], shaken[:, 0]))
    found = measure_columns(IMAGE, shaken, refine=True)
    apart = np.hypot(*(found.points[:, None] - where).transpose(2, 0, 1)).min(axis=1)
    assert np.sqrt(np.mean(apart**2)) < 0.3
    np.testing.assert_allclose(measure_columns(IMAGE, shaken).points, shaken[order], atol=1e-4)


def test_columns_are_positions_too() -> None:
    found = measure_columns(IMAGE, COLUMNS)
    assert np.array_equal(found.occupied, COLUMNS.occupied)
    assert np.array_equal(found.probability, COLUMNS.probability)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((0, 2)), "points have shape (0, 2)"),
        (np.zeros((3, 3)), "points have shape (3, 3)"),
        ([[np.nan, 3.0]], "points has 1 of 2 values that are NaN"),
        ([[10.0, 20.0], [10.0, 249.7]], "1 of 2 points, such as (10.0, 249.7), are outside the image"),
        (
            [[10.0, 20.0], [10.1, 20.1]],
            "1 pairs of points, such as that at (10.0, 20.0), are less than 0.5 px",
        ),
    ],
)
def test_bad_points(points: Any, words: str) -> None:
    with pytest.raises(StageError) as error:
        measure_columns(IMAGE, points)
    assert words in str(error.value)


def test_an_analysis_of_given_columns_keeps_what_was_given(tmp_path: Path) -> None:
    chosen = COLUMNS.select(np.arange(len(COLUMNS)) % 7 > 0)
    analysis = analyze(IMAGE, points=chosen.points, structure=False)
    np.testing.assert_allclose(analysis.columns.points, chosen.points, atol=1e-4)
    assert analysis.parameters["points"].startswith(f"{len(chosen)}x2 float32 sha256:")
    again = Analysis.load(analysis.save(tmp_path / "a.zip"))
    assert again.parameters == analysis.parameters
    other = analyze(IMAGE, points=chosen.points + np.float32(0.01), structure=False)
    assert other.parameters["points"] != analysis.parameters["points"]


def test_points_without_data_are_left_out() -> None:
    mask = np.ones(IMAGE.shape, bool)
    mask[:100] = False
    analysis = analyze(IMAGE, points=COLUMNS.points, mask=mask, structure=False)
    assert analysis.points[:, 0].min() > 98
    assert any("given columns stand on no data and were left out" in note for note in analysis.warnings)
    with pytest.raises(StageError, match="none of the 1 given points stands on data"):
        measure_columns(IMAGE, [[50.0, 50.0]], mask=mask)


POLYGON = [(20, 20), (20, 230), (220, 120)]


@pytest.fixture(scope="module")
def whole() -> Analysis:
    return analyze(IMAGE, structure=False)


@pytest.mark.parametrize(
    "region",
    [
        POLYGON,
        pytest.param((30, 200, 40, 240), marks=pytest.mark.slow),
        pytest.param(np.tri(240, 250, dtype=bool), marks=pytest.mark.slow),
    ],
)
def test_a_region_is_analysed_alone(region: Any, whole: Analysis) -> None:
    part = analyze(IMAGE, region=region, pixel_size_nm=0.02, structure=False)
    valid = part.micrograph.valid
    row, col = np.rint(part.columns.points).astype(int).T
    assert valid[row, col].mean() > 0.97
    assert part.area_nm2 == pytest.approx(valid.sum() * 0.02**2)
    assert part.summary()["left_out_px"] == {"outside": int((~valid).sum())}
    apart = np.hypot(*(part.points[:, None] - whole.points).transpose(2, 0, 1))
    assert np.quantile(apart.min(axis=1), 0.9) < 1.0
    share = valid[tuple(np.rint(whole.points).astype(int).clip(0, 239).T)].mean()
    assert len(part.points) == pytest.approx(share * len(whole.points), rel=0.08)
    assert np.array_equal(part.micrograph.image, IMAGE)  # what is outside is still to be seen
    recorded = part.parameters["region"]
    assert isinstance(recorded, str) if isinstance(region, np.ndarray) else len(recorded) == len(region)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ((0, 10), "the region has shape (2,)"),
        ((300, 400, 0, 10), "holds no pixel of the image of (240, 250) px"),
        (np.ones((3, 4), bool), "the region has shape (3, 4) and dtype bool"),
        ((0, 8, 0, 100), "what is data in the image has shape (8, 100)"),
    ],
)
def test_bad_regions(region: Any, words: str) -> None:
    with pytest.raises(StageError) as error:
        analyze(IMAGE, region=region)
    assert words in str(error.value)


@pytest.mark.usefixtures("little_drawn")
def test_the_command_line_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "scan.npy", IMAGE)
    np.save(tmp_path / "mask.npy", np.ones(IMAGE.shape, np.uint8))
    lines = ["row_px,col_px,more", *(f"{row:.3f},{col:.3f},x" for row, col in COLUMNS.points)]
    (tmp_path / "points.csv").write_text("\n".join(lines))
    files = ["--mask", str(tmp_path / "mask.npy"), "--points", str(tmp_path / "points.csv")]
    box = ["--region", "0", "200", "0", "250"]
    out = ["-o", str(tmp_path / "out"), "--json", "-q", "--still"]
    assert cli.main(["analyze", str(tmp_path / "scan.npy"), *files, *box, *out]) == 0
    (found,) = json.loads(capsys.readouterr().out)["analyses"]
    assert found["columns"] == pytest.approx((COLUMNS.points[:, 0] < 199.5).sum(), abs=3)
    assert found["parameters"]["region"] == [0, 200, 0, 250]
    assert found["left_out_px"] == {"outside": 40 * 250}
    two = [str(tmp_path / "scan.npy")] * 2
    assert cli.main(["analyze", *two, *files, *out]) != 0
