from __future__ import annotations

import sys

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


def test_without_numba_what_a_gpu_has_no_kernel_for_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def twice(x: int) -> int:
        return 2 * x

    monkeypatch.setitem(sys.modules, "numba", None)
    cpu._warn_once.cache_clear()
    assert cpu.compiled(nogil=True)(twice) is cpu.compiled()(twice) is twice
    assert [r.message.split(",")[0] for r in caplog.records] == ["what Numba would compile runs as Python"]
    with pytest.raises(ImportError):
        cpu.compiled(needed=True)
