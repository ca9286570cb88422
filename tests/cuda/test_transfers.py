"""What leaves the device, and what goes to it, while a micrograph is analysed: without a GPU, and on one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.backends import STAND_IN
from support.crossings import Crossing, as_on_a_gpu, noted, put

from motifgpu import simulate
from motifgpu.core import device, namespace

# needs Numba, which may refuse the NumPy of the machine with the GPU
analyze = pytest.importorskip("motifgpu.pipeline", exc_type=ImportError).analyze

# Values that may cross: for each column (positions, places of the lattice and what surrounds them, labels,
# layout, intensities of a few components, site by site), for each row and column of the image (windows and
# frequencies along an axis), and for an image (Bragg peaks of its parts, covariances of moments, cosines of
# the smoothing filter).
A_COLUMN, A_SIDE, AN_IMAGE = 140, 60, 70_000
# The largest array that may cross at once, for each column.
AT_ONCE = 8
CHAIN = "pipeline"  # which takes moments to the host, where motifs are found
DRAWN = "motifs.averages"
CUT = "features.cut_patches"  # up goes which samples of cut patches are there, down come moments of those
A_SEARCH = 100_000  # values, for Bragg peaks in an image and its parts
BRAGG = "columns.bragg"  # some 40 coefficients around every candidate for a Bragg peak, of all parts at once
TABLES = "cuda.relaxation"  # of steps and samples, whose size the schedule decides


def micrograph(shape: tuple[int, int]) -> np.ndarray:
    made = simulate.monolayer(shape=shape, vacancies=0.05, divacancies=0.015, dopants={"W": 0.03}, seed=1)
    return made.image.astype(np.float32)


def check(seen: list[Crossing], analysis: Any, shape: tuple[int, int]) -> None:
    """Assert that no image and no patches cross, moments once, and how much does in all."""
    columns, moments = analysis.moments.shape
    whole = [crossing for crossing in seen if crossing.module == CHAIN and crossing.shape[1:] == (moments,)]
    assert len(whole) <= 1 + sum(crossing.upload for crossing in whole) <= 2
    cut = [crossing for crossing in seen if crossing.module == CUT]
    assert sum(crossing.values for crossing in cut if not crossing.upload) <= (moments + 6) * columns / 2
    seen = [crossing for crossing in seen if crossing not in [*whole, *cut] and crossing.module != TABLES]
    of_peaks = [crossing for crossing in seen if crossing.module == BRAGG]
    assert sum(crossing.values for crossing in of_peaks) <= A_SEARCH, of_peaks
    seen = [crossing for crossing in seen if crossing.module != BRAGG]
    # What the mean moments of each motif look like is drawn on the host.
    seen = [crossing for crossing in seen if not (crossing.upload and crossing.module == DRAWN)]
    largest = max(seen, key=lambda crossing: crossing.values)
    table = (moments - 1) ** 2  # a covariance of moments
    assert largest.values <= max(AT_ONCE * columns, table), f"{largest} for {columns} columns"
    grid = shape[0] * shape[1] / 8  # the coarsest grid of the band has more
    for crossing in seen:
        assert crossing.values < grid, f"image-sized: {crossing}"
        assert crossing.shape[:1] != (columns,) or crossing.values <= AT_ONCE * columns, str(crossing)
    total = sum(crossing.values for crossing in seen)
    allowed = A_COLUMN * columns + A_SIDE * sum(shape) + AN_IMAGE
    most = sorted(seen, key=lambda crossing: -crossing.values)[:8]
    assert total <= allowed, f"{total} values, {allowed} allowed; the largest: {most}"


@pytest.mark.parametrize(
    "shape", [(256, 288), pytest.param((512, 600), marks=pytest.mark.slow)], ids=["small", "large"]
)
def test_only_a_few_numbers_a_column_leave_the_device(shape: tuple[int, int]) -> None:
    image = put(micrograph(shape))
    with as_on_a_gpu():
        analyze(image)  # tables that depend on the patch size alone are kept on the device from here on
        with noted() as seen:
            analysis = analyze(image)
    check(seen, analysis, shape)
    assert all(
        namespace.array_namespace(a).__name__ == "array_api_strict"
        for a in (analysis.moments, analysis.layout)
    )


def test_the_way_of_a_gpu_leads_to_the_result_of_the_cpu() -> None:
    image = micrograph((256, 288))
    host = analyze(image, backend="numpy", structure=False)
    with as_on_a_gpu():
        there = analyze(put(image), structure=False)
    np.testing.assert_allclose(there.points._array, host.points, atol=1e-3)
    np.testing.assert_array_equal(there.motifs.labels._array, host.motifs.labels)


@pytest.mark.parametrize("shape", [(256, 288), (128, 144), (264, 66), (264, 38, 38), (264, 10)], ids=str)
def test_images_moments_and_patches_would_be_found(shape: tuple[int, ...]) -> None:
    analysis = SimpleNamespace(moments=np.empty((264, 66)))
    check([Crossing("columns", 1, True, (264, 2))], analysis, (256, 288))
    with pytest.raises(AssertionError):
        check(
            [Crossing("columns", 1, True, (264, 2)), Crossing("columns", 2, False, shape)],
            analysis,
            (256, 288),
        )


def test_what_crosses_is_noted() -> None:
    x = np.arange(6.0).reshape(2, 3)
    with noted() as seen:
        there = namespace.as_like(x, put(np.empty(0)))
        namespace.to_numpy(there)
        namespace.to_numpy(x)  # is there already
    assert [(crossing.shape, crossing.upload) for crossing in seen] == [((2, 3), True), ((2, 3), False)]
    assert seen[0].module.endswith("test_transfers")


@pytest.mark.gpu
def test_only_a_few_numbers_a_column_leave_the_gpu() -> None:
    problem = device.gpu_problem()
    if problem:
        pytest.skip(f"no usable GPU: {problem}")
    import cupy

    shape = (256, 288) if STAND_IN else (512, 600)
    image = cupy.asarray(micrograph(shape))
    analyze(image)
    with noted() as seen:
        analysis = analyze(image)
    # the kernels' own tables of graphs and tiles are among it
    check(seen, analysis, shape)
