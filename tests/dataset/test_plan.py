"""What a plan of a run says, from headers and a few analyses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motifgpu import dataset, simulate
from motifgpu.dataset.plan import _carried_over, _peak, _pixels, plan_run
from motifgpu.io.formats import announced


def _image(side: int, seed: int = 0) -> np.ndarray:
    return simulate.monolayer(shape=(side, side), lattice_constant=16.0, vacancies=0.05, seed=seed).image


def test_headers_say_the_pixels_whatever_the_bytes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((30, 40)))
    np.savez_compressed(tmp_path / "b.npz", one=np.zeros((300, 400)), two=np.zeros((10, 20)))
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(tmp_path / "c.png")
    (tmp_path / "d.npy").write_bytes(b"no array" * 100)
    (tmp_path / "e.dm4").write_bytes(bytes(4000))
    assert [announced(tmp_path / name) for name in ("a.npy", "c.png", "d.npy", "e.dm4", "f.doc")] == [
        [(30, 40)], [(50, 60)], [], [], []
    ]  # fmt: skip
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    sizes = np.array([Path(path).stat().st_size for path in files])
    found = _pixels(files, sizes)
    assert found[:3].tolist() == [1200, 120_200, 3000]
    assert found[3] == pytest.approx(sizes[3] * 1200 / sizes[0])  # as other files of its kind
    assert found[4] == 1000


def test_what_a_few_take_is_carried_over_to_all() -> None:
    pixels = np.array([1e5, 1e5, 1e5, 4e5, 4e5, 1.6e6])
    probed = np.array([1e5, 4e5, 1.6e6])
    taken = 0.3 + 2e-6 * probed
    assert _carried_over(probed, taken, pixels) == pytest.approx(0.3 * 6 + 2e-6 * pixels.sum())
    assert _peak(probed[:1], pixels) > _peak(probed, pixels) + 1e6  # of a large one that was not tried
    assert _carried_over(np.full(3, 1e5), [1.0, 2.0, 3.0], np.full(9, 1e5)) == pytest.approx(18)


@pytest.mark.slow
def test_a_folder_of_all_sizes_is_planned(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for seed, side in enumerate((128, 128, 128, 128, 160, 160, 200, 512)):
        np.savez_compressed(tmp_path / "in" / f"{seed}.npz", image=_image(side, seed))
    plan = plan_run(tmp_path / "in", workers=1)
    run = dataset.run(tmp_path / "in", tmp_path / "out", workers=1)
    found = run.about["found"]
    assert plan.pixels == sum(row["height_px"] * row["width_px"] for row in run.micrographs.to_pylist())
    assert plan.largest == 512 * 512
    assert plan.columns == pytest.approx(found["columns"], rel=0.1)
    kept = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert 0.5 < plan.store_bytes / kept < 2
