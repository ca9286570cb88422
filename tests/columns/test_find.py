from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.backends import same_home

from motifgpu import StageError, find_columns, simulate
from motifgpu.columns.find import Columns
from motifgpu.columns.matching import Detection, match_points, score_detection
from motifgpu.core.namespace import to_numpy

DEFECTS = {"vacancies": 0.05, "divacancies": 0.015}


def detect(truth: simulate.Simulation, columns: Columns, constant: float = 22.0) -> Detection:
    """Score the columns called occupied against the atoms, off the border, within a third of the spacing."""
    found = to_numpy(columns.points)[to_numpy(columns.occupied)]
    atoms = truth.points[truth.occupied]
    spacing = constant / np.sqrt(3)
    every = np.ones(len(atoms), bool)
    return score_detection(found, atoms, every, truth.image.shape, spacing / 3, 0.25 * constant)


@pytest.mark.parametrize(
    ("material", "counts", "least", "rms"),
    [
        ("MoSe2", 1, 0.97, 0.75),
        ("MoSe2", 3, 0.99, 0.52),
        ("MoSe2", 10, 0.995, 0.32),
        ("MoSe2", 30, 0.995, 0.2),
        ("WS2", 10, 0.95, np.inf),
        ("WS2", 100, 0.97, np.inf),
    ],
)
def test_simulated_monolayers(material: str, counts: float, least: float, rms: float) -> None:
    for seed, defects in ((101, DEFECTS), (102, {})):
        angle = np.random.default_rng(seed).uniform(0, 60)
        truth = simulate.monolayer(material, counts=counts, angle=angle, seed=seed, **defects)
        columns = find_columns(truth.image)
        score = detect(truth, columns)
        assert min(score.precision, score.recall) >= least
        assert score.rms <= rms
        assert columns.sigma_px == pytest.approx(0.137 * 22, rel=0.12)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda x: np.minimum(x, 6), {}),  # saturated: plateaus
        (lambda x: x - 1000, {}),
        (lambda x: x + np.float32(2**20), {}),
        (lambda x: x.astype(np.uint16), {}),
        (lambda x: 1e-30 * x, {}),
        (lambda x: x, {"shape": (230, 410)}),
        (lambda x: x, {"drift": (0.0, 10.0)}),
        (lambda x: x, {"strain": ((0.03, 0.02), (0.0, -0.03))}),
        (lambda x: x, {"dopants": {"V": 0.03, "Te": 0.02}}),
        (lambda x: x, {"scan": 0.5}),
        (lambda x: x, {"background": 0.5}),
        (lambda x: x, {"lattice_constant": 8.0, "shape": (180, 180)}),
        (lambda x: x, {"lattice_constant": 6.0, "shape": (180, 180)}),
        (lambda x: x, {"lattice_constant": 40.0}),
        (lambda x: x, {"lattice_constant": 60.0}),
    ],
)
def test_any_image_of_a_lattice(change: Callable[[np.ndarray], np.ndarray], options: dict[str, Any]) -> None:
    settings = {"counts": 10, "angle": 17, "shape": (320, 320), "seed": 7, **DEFECTS, **options}
    truth = simulate.monolayer(**settings)
    score = detect(truth, find_columns(change(truth.image)), settings.get("lattice_constant", 22.0))
    assert min(score.precision, score.recall) >= 0.995


@pytest.mark.parametrize(("grains", "least"), [((0, 25), 0.985), ((0, 25, 12, 40), 0.98)])
def test_grains(grains: tuple[float, ...], least: float) -> None:
    truth = simulate.monolayer(counts=30, grains=grains, seed=8, **DEFECTS)
    score = detect(truth, find_columns(truth.image))
    assert min(score.precision, score.recall) >= least


def test_empty_sites_are_predicted_and_flagged() -> None:
    truth = simulate.monolayer(counts=10, angle=20, divacancies=0.05, seed=9)
    columns = find_columns(truth.image)
    empty = truth.points[~truth.occupied]
    inside = ((empty > 6) & (empty < 505)).all(1)
    flagged = columns.points[~columns.occupied]
    assert len(match_points(flagged, empty[inside], 4).found) >= 0.95 * inside.sum()
    assert len(match_points(flagged, truth.points[truth.occupied], 4).found) == 0
    # An empty site has no height, one of two missing atoms about half of it.
    heights = columns.prominence[~columns.occupied]
    assert np.abs(heights).max() < 0.3 * np.median(columns.prominence)


def test_prominence_is_the_height_of_the_column() -> None:
    truth = simulate.monolayer(counts=100, angle=5, vacancies=0.1, seed=10)
    columns = find_columns(truth.image)
    match = match_points(columns.points, truth.points, 4)
    height = columns.prominence[match.found]
    label = truth.labels[match.reference]
    clear = ((truth.points[match.reference] > 15) & (truth.points[match.reference] < 496)).all(1)
    for name, wanted in (("Se2", 100.0), ("V_Se", 50.0), ("Mo", 100 * 42**1.7 / (2 * 34**1.7))):
        of_kind = height[(label == truth.names.index(name)) & clear]
        assert np.median(of_kind) == pytest.approx(wanted, rel=0.06)


def tunnelling(seed: int, side: int = 640, gaussian: float = 0.15) -> simulate.DefectSimulation:
    """Return vacancies side by side, as dense as the benchmark has them."""
    number = side**2 / 1024**2
    isolated, clusters, chains = (round(n * number) for n in (80, 40, 50))
    return simulate.stm_lattice(
        (side, side),
        isolated=isolated,
        clusters=clusters,
        chains=chains,
        gaussian=gaussian,
        angle=7.0 * seed,
        seed=seed,
    )


def test_vacancies_side_by_side_are_found() -> None:
    found, wanted, wrong, called = np.zeros(3), np.zeros(3), 0, 0
    for seed in (201, 202, 203):
        truth = tunnelling(seed)
        columns = find_columns(truth.image)
        empty = columns.points[~columns.occupied]
        reached = cKDTree(empty).query(truth.points)[0] < 4
        for kind in (1, 2, 3):
            found[kind - 1] += reached[truth.labels == kind].sum()
            wanted[kind - 1] += (truth.labels == kind).sum()
        wrong += int((cKDTree(truth.points[truth.labels > 0]).query(empty)[0] >= 4).sum())
        called += len(empty)
        score = detect(truth, columns, 16.0)
        assert min(score.precision, score.recall) >= 0.998
    assert (found / wanted).min() >= 0.95
    assert wrong <= 0.05 * called


@pytest.mark.parametrize(("seed", "gaussian"), [(54, 0.15), (60, 0.4)])
def test_wide_columns_have_none_between_them(seed: int, gaussian: float) -> None:
    truth = tunnelling(seed, 800, gaussian)
    columns = find_columns(truth.image)
    away = cKDTree(truth.points).query(columns.points[columns.occupied])[0]
    inner = ((columns.points > 8) & (columns.points < 792)).all(1)[columns.occupied]
    assert (away[inner] > 5).mean() <= 0.002


@pytest.mark.parametrize("amorphous", [False, True])
def test_no_sites_beyond_the_edge_of_a_flake(amorphous: bool) -> None:
    truth = tunnelling(205, 512, 0.0)
    across = (truth.points - 256) @ np.array([np.cos(0.6), np.sin(0.6)])
    atoms = truth.points[truth.occupied & (across < 30)].astype(np.float64)
    rng = np.random.default_rng(0)
    if amorphous:
        strewn = rng.uniform(0, 512, (600, 2))
        atoms = np.vstack([atoms, strewn[(strewn - 256) @ np.array([np.cos(0.6), np.sin(0.6)]) > 42]])
    pixels = np.arange(512)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - atoms[:, axis]) / 4.8) ** 2) for axis in (0, 1))
    columns = find_columns(rows @ cols.T + 0.15 * rng.normal(size=(512, 512)))
    empty = columns.points[~columns.occupied]
    within = (empty - 256) @ np.array([np.cos(0.6), np.sin(0.6)]) < 30 + 16
    true = cKDTree(truth.points[(truth.labels > 0) & (across < 30)]).query(empty)[0] < 4
    inner = truth.points[(truth.labels > 0) & (across < -20)]
    assert (cKDTree(empty).query(inner)[0] < 4).mean() >= 0.9
    assert (~true).sum() <= 0.05 * len(empty)
    assert within.all()
    if not amorphous:
        # Noise in the vacuum may pass for a few columns.
        assert (cKDTree(atoms).query(columns.points[columns.occupied])[0] > 5).mean() <= 0.012


def test_a_row_of_vacancies(xp_array: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(6)
    row, col = (8 + 16 * i.ravel() for i in np.mgrid[:20, :20])
    there = ~((row == 168) & (np.abs(col - 168) <= 16))
    pixels = np.arange(320)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - at) / 4.0) ** 2) for at in (row, col))
    image = (rows * there) @ cols.T + 0.05 * rng.normal(size=(320, 320))
    found = find_columns(xp_array(image.astype(np.float32)))
    points, occupied = to_numpy(found.points), to_numpy(found.occupied)
    sites = np.stack([row, col], axis=1)
    match = match_points(points, sites, 1)
    assert len(points) == len(match.found) == len(sites)
    assert np.array_equal(occupied[match.found], there[match.reference])


def test_backends_agree(xp_array: Callable[[Any], Any]) -> None:
    truth = simulate.monolayer(shape=(140, 180), counts=5, angle=11, seed=2, **DEFECTS)
    image = xp_array(truth.image)
    for method, smoothing in (("auto", "svd"), ("prominence", "fft"), ("radius", "auto")):
        found = find_columns(image, method, smoothing=smoothing)
        wanted = find_columns(truth.image, method, smoothing=smoothing)
        for name in ("points", "prominence", "occupied"):
            assert same_home(getattr(found, name), image)
            assert np.allclose(to_numpy(getattr(found, name)), getattr(wanted, name), atol=1e-3)
        assert to_numpy(found.points).dtype == np.float32
        assert found.sigma_px == pytest.approx(wanted.sigma_px, rel=1e-4)
    truth_with_holes = tunnelling(3, 200)
    found, wanted = find_columns(xp_array(truth_with_holes.image)), find_columns(truth_with_holes.image)
    assert (~wanted.occupied).sum() >= 5
    assert np.array_equal(to_numpy(found.occupied), wanted.occupied)
    assert np.allclose(to_numpy(found.points), wanted.points, atol=1e-3)


def test_selected_columns(xp_array: Callable[[Any], Any]) -> None:
    image = xp_array(simulate.monolayer(shape=(140, 180), counts=5, angle=11, seed=2).image)
    found = find_columns(image)
    half = found.select(found.points[:, 0] > 70)
    assert same_home(half.points, image)
    assert len(half) == int((to_numpy(found.points)[:, 0] > 70).sum())


def test_order_and_frame() -> None:
    columns = find_columns(simulate.monolayer(shape=(200, 260), counts=10, seed=3).image)
    row, col = columns.points.T
    assert np.array_equal(np.lexsort((col, row)), np.arange(len(columns)))
    assert row.min() >= -0.5
    assert row.max() < 199.5
    assert col.max() < 259.5
    assert columns.occupied.dtype == bool


def test_follows_unit_and_orientation() -> None:
    image = simulate.monolayer(shape=(220, 260), counts=10, angle=13, seed=4, **DEFECTS).image
    once = find_columns(image)
    scaled = find_columns(5 * image - 2000)
    assert np.abs(scaled.points - once.points).max() < 1e-2
    assert np.allclose(scaled.prominence, 5 * once.prominence, rtol=1e-2, atol=0.1)
    turned = find_columns(np.rot90(image).copy())
    back = np.stack([turned.points[:, 1], 259 - turned.points[:, 0]], axis=1)
    match = match_points(back, once.points, 0.3)
    assert len(match.found) >= 0.99 * len(once)


def test_displacements_are_followed() -> None:
    rng = np.random.default_rng(0)
    truth = simulate.monolayer(counts=None, angle=13, seed=1)
    moves = rng.normal(0, 0.5, truth.points.shape)
    points = truth.points + moves
    pixels = np.arange(512)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - points[:, axis]) / 3) ** 2) for axis in (0, 1))
    image = rng.poisson(30 * (rows * np.where(truth.sublattice, 1, 0.7)) @ cols.T)
    clear = ((points > 15) & (points < 496)).all(1)
    for smoothing, low, high in (("svd", 0.88, 0.98), ("fft", 0.95, 1.03)):
        found = find_columns(image, smoothing=smoothing).points
        nearest = found[cKDTree(found).query(points)[1]]
        followed = (nearest - truth.points)[clear]
        slope = (followed * moves[clear]).sum() / (moves[clear] ** 2).sum()
        assert low < slope < high


def scattered(counts: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of single atoms without any lattice, and where they are."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(8, 248, (400, 2))
    apart = cKDTree(points).query_pairs(13, output_type="ndarray")
    points = np.delete(points, np.unique(apart[:, 1]), axis=0)
    pixels = np.arange(256)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - points[:, axis]) / 2.5) ** 2) for axis in (0, 1))
    return rng.poisson(counts * (rows @ cols.T + 0.1)), points


def test_pixels_that_take_turns_are_no_columns() -> None:
    row, col = np.indices((512, 512)) * np.pi / 2
    with pytest.raises(StageError, match=r"a period of the lattice is 2\.8 px.*record with smaller pixels"):
        find_columns(np.cos(row) * np.cos(col))


@pytest.mark.parametrize("counts", [10, 100])
def test_without_a_lattice(counts: float) -> None:
    image, points = scattered(counts)
    columns = find_columns(image, lattice="none")
    assert columns.occupied.all()
    score = score_detection(columns.points, points, np.ones(len(points), bool), image.shape, 3, 4)
    assert min(score.precision, score.recall) >= 0.97
    for method in ("auto", "lattice", "radius"):
        with pytest.raises(StageError, match=r'columns: the image has no lattice.*lattice="none"'):
            find_columns(image, method)
    assert len(find_columns(image, "prominence")) > 0


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_one_blob_is_one_column(noise: float) -> None:
    rng = np.random.default_rng(1)
    row, col = np.mgrid[:128, :128]
    blob = np.exp(-((row - 60.3) ** 2 + (col - 70.6) ** 2) / (2 * 4**2))
    columns = find_columns(blob + noise * rng.normal(size=blob.shape), lattice="none")
    assert len(columns) == 1
    assert columns.points[0] == pytest.approx([60.3, 70.6], abs=0.2)
    assert columns.prominence[0] == pytest.approx(1, rel=0.1)
    assert columns.sigma_px == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("method", ["prominence", "radius"])
def test_other_methods(method: str) -> None:
    truth = simulate.monolayer(counts=10, angle=9, seed=11)
    score = detect(truth, find_columns(truth.image, method))
    assert min(score.precision, score.recall) > 0.98


def test_overlapping_columns() -> None:
    rng = np.random.default_rng(5)
    row, col = np.mgrid[9:225:12, 9:225:12]
    points = np.stack([row.ravel(), col.ravel()], axis=1) + rng.uniform(-1, 1, (row.size, 2))
    heights = rng.uniform(0.7, 1.3, len(points))
    pixels = np.arange(234)
    rows, cols = (np.exp(-0.5 * ((pixels[:, None] - points[:, axis]) / 2.9) ** 2) for axis in (0, 1))
    found = find_columns((rows * heights @ cols.T).astype(np.float32) - 0.7, "prominence")
    match = match_points(found.points, points, 1)
    assert len(match.found) == len(points) == len(found)
    inner = ((points > 20) & (points < 214)).all(1)[match.reference]
    assert match.distance[inner].max() < 0.8
    # What lies beyond the window of a fit is the level of its neighbours.
    assert np.abs(found.prominence[match.found] / heights[match.reference] - 1)[inner].max() < 0.15
    assert found.sigma_px == pytest.approx(2.9, rel=0.05)


@pytest.mark.parametrize("method", ["lattice", "prominence", "radius"])
def test_columns_stand_apart(method: str) -> None:
    image = simulate.monolayer(shape=(300, 300), counts=1, angle=7, seed=5, **DEFECTS).image
    points = find_columns(image, method).points
    assert cKDTree(points).query(points, 2)[0][:, 1].min() > 0.4 * 22 / np.sqrt(3)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((0, 0)), "the image has shape (0, 0)"),
        (np.ones((8, 8)), "the image has shape (8, 8); give at least 16 x 16 pixels"),
        (np.full((64, 64), 7), "the image is constant (7)"),
        (np.where(np.eye(64) > 0, np.inf, 1), "the image is constant (1)"),
        (np.full((64, 64), np.inf), "no pixel of the image is data"),
        (np.ones((3, 64, 64)), "the image has shape (3, 64, 64); give an array of 2 dimensions"),
        (np.random.default_rng(0).poisson(3, (256, 256)), "the image shows no structure above its noise"),
        (np.random.default_rng(0).normal(size=(20, 20)), "the image shows no structure above its noise"),
        (np.add.outer(np.arange(64.0), np.arange(64.0)), "the image has no lattice: no three points"),
        (np.indices((64, 64)).sum(0) % 2, "the image has no lattice"),
    ],
)
def test_bad_image(image: np.ndarray, words: str) -> None:
    with pytest.raises(StageError) as error:
        find_columns(image)
    assert str(error.value).startswith("columns: ")
    assert words in str(error.value)


def test_what_is_periodic_and_differs_from_place_to_place_has_no_columns() -> None:
    words = simulate.nothing("text", (384, 384), seed=61)
    with pytest.raises(StageError, match="columns: no part of the image shows its lattice clearly"):
        find_columns(words)
    assert len(find_columns(words, "prominence")) > 0


def test_bad_options() -> None:
    image = simulate.monolayer(shape=(64, 64), seed=1).image
    with pytest.raises(
        StageError, match="there is no method 'best'; choose auto, lattice, prominence or radius"
    ):
        find_columns(image, "best")
    with pytest.raises(StageError, match="there is no smoothing 'svd2'; choose auto, fft or svd"):
        find_columns(image, smoothing="svd2")
    with pytest.raises(StageError, match="there is no lattice 'square'; choose auto or none"):
        find_columns(image, lattice="square")
    with pytest.raises(StageError, match="'radius' needs a lattice"):
        find_columns(image, "radius", lattice="none")
    slope = np.add.outer(np.arange(64.0), np.arange(64.0))
    with pytest.raises(StageError, match="the maxima of the image are too wide for columns"):
        find_columns(slope, "prominence")


@pytest.mark.parametrize("name", ["TiWSe2", "MoSe2_40keV", "MoSe2_80kV"])
def test_published_columns_are_found(name: str, data_folder: Path) -> None:
    folder = data_folder / name
    if name == "TiWSe2":
        reader = pytest.importorskip("rsciio.digitalmicrograph", reason="the extra em is not installed")
        image = reader.file_reader(str(folder / "adf2.dm4"))[0]["data"]
    elif name == "MoSe2_40keV":
        image = np.load(folder / "image.npy")
    else:
        image = pytest.importorskip("tifffile").imread(folder / "image.tif")
    published = np.load(folder / "points_xy.npy")[:, ::-1]
    spacing = np.median(cKDTree(published).query(published, k=2)[0][:, 1])
    columns = find_columns(image)
    found = columns.points[columns.occupied]
    assert np.mean(cKDTree(found).query(published)[0] < spacing / 3) >= 0.97
    within = ((found >= published.min(0)) & (found <= published.max(0))).all(1)
    added = cKDTree(published).query(found[within])[0] >= spacing / 3
    assert added.sum() <= 0.002 * len(published)


def test_an_image_without_noise_has_columns() -> None:
    found = find_columns(simulate.twist_case(0, shape=(400, 400)).image)
    assert len(found) > 100
