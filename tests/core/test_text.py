from __future__ import annotations

import pytest

from motifgpu.core.text import counted, percent


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0.0 %"),
        (1e-5, "< 0.1 %"),
        (0.0123, "1.2 %"),
        (0.99949, "99.9 %"),
        (0.9999, "> 99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_not_quite_none_and_not_quite_all_are_said_so(share: float, said: str) -> None:
    assert percent(share) == said


def test_one_is_no_plural() -> None:
    assert [counted(n, "motif") for n in (0, 1, 1234)] == ["0 motifs", "1 motif", "1,234 motifs"]
