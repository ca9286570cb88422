from __future__ import annotations

import numba
import pytest

from motifgpu import cpu


def test_a_function_is_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(x: int) -> int:
        return 2 * x

    # What Numba has left where the package is installed read-only and there is no home.
    monkeypatch.setattr("numba.core.caching.CompileResultCacheImpl._locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(twice)
    assert cpu.compiled()(twice)(3) == 6
