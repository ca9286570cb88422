from __future__ import annotations

from pathlib import Path

from motifgpu.dataset import schedule


def test_batches_are_bounded_and_shared(tmp_path: Path) -> None:
    small = [str(write) for write in (tmp_path / f"{k}" for k in range(40))]
    for path in small:
        Path(path).write_bytes(b"x")
    assert [len(batch) for batch in schedule.batches(small, 4, 2)] == [4] * 10
    assert {len(batch) for batch in schedule.batches(small, 64, 4)} == {2}
    assert [len(batch) for batch in schedule.batches(small[:3], 64, 1)] == [1, 1, 1]
    assert schedule.batches([], 4, 2) == []
    with open(small[1], "wb") as large:
        large.truncate(schedule.MOST_BYTES)
    assert [len(batch) for batch in schedule.batches(small, 4, 1)][:2] == [1, 1]
