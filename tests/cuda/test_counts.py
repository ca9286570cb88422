"""What a batch of micrographs requests of a GPU: launches, waits of the host and bytes that cross, by room.

The bounds are what was measured when they were written: they only ever fall. `print(seen.table())` says which
lines of the source request most.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support.backends import STAND_IN

from motifgpu import simulate
from motifgpu.options import Options
from motifgpu.pipeline import analyze_batch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not STAND_IN, reason="a counter is not installed")]

# Of a batch of micrographs of 128 x 144 px with some 90 columns each, whatever its size, and beside that of
# each micrograph in it: launches, waits, bytes up, bytes down.
BOUNDS = {
    "columns": ((1920, 111, 63500, 0), (16.9, 0.0, 243600, 98700)),
    "core": ((35, 16, 0, 100), (1.4, 0.0, 0, 34100)),
    "cuda": ((97, 18, 198300, 100), (0.9, 0.0, 32900, 15900)),
    "features": ((66, 6, 839300, 100), (0.7, 0.0, 26400, 13500)),
    "graph": ((37, 5, 100, 100), (0.0, 0.0, 600, 100)),
    "motifs": ((13, 0, 0, 0), (0.0, 0.0, 16400, 0)),
    "pipeline": ((5, 4, 0, 100), (0.0, 0.0, 102100, 12500)),
}
IMAGES = [
    simulate.monolayer(shape=(128, 144), vacancies=0.05, counts=30, angle=5.0 * seed, seed=seed).image
    for seed in range(4)
]


def by_room(counter: Counter[str]) -> Counter[str]:
    """Sum what lines requested by room of the package."""
    rooms: Counter[str] = Counter()
    for line, number in counter.items():
        rooms[line.split(":")[0].removesuffix(".py").split("/")[1]] += number
    return rooms


@pytest.mark.parametrize("number", [4, 16])
def test_no_room_requests_more_than_it_did(number: int) -> None:
    from fake_cupy.counts import counted

    images = [image.astype(np.float32) for image in IMAGES] * (number // 4)
    options = Options(backend="cupy")
    analyze_batch(images[:1], options)  # tables that are kept are made here
    with counted() as seen:
        found = analyze_batch(images, options)
    assert not any(isinstance(one, Exception) for one in found)
    for place, name in enumerate(("launches", "waits", "up", "down")):
        for room, measured in by_room(getattr(seen, name)).items():
            once, each = (bound[place] for bound in BOUNDS[room])
            assert measured <= once + number * each, f"{name} of {room}\n{seen.table()}"
