"""Benchmarks are named bench_*.py; real micrographs as in the tests. ``-k paper`` chooses a folder.

With --quick only what is marked ``quick`` runs, smaller where it uses the fixtures `quick` and `seeds`. A run
writes RESULTS.md anew, and one that is not quick the README's table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import results

FOLDER = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("motifgpu")
    group.addoption("--quick", action="store_true", help="the quick benchmarks alone, in under five minutes")
    group.addoption(
        "--full", action="store_true", help="the sizes of the paper, and scaling up to 1e6 columns"
    )
    group.addoption(
        "--seeds", type=int, default=None, help="seeds of each comparison (10, or 2 with --quick)"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        os.environ[results.QUICK] = "1"


@pytest.hookimpl(tryfirst=True)  # before -k is applied
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        item.extra_keyword_matches.update(item.path.parent.relative_to(FOLDER).parts)
    if config.getoption("--quick"):
        left = [item for item in items if not item.get_closest_marker("quick")]
        items[:] = [item for item in items if item.get_closest_marker("quick")]
        config.hook.pytest_deselected(items=left)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.testscollected and not session.config.getoption("collectonly"):
        from benchmarks.page import __main__ as page

        page.main(["--quick"] if session.config.getoption("--quick") else [])


@pytest.fixture(scope="session")
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def seeds(request: pytest.FixtureRequest, quick: bool) -> range:
    return range(request.config.getoption("--seeds") or (2 if quick else 10))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Every library that knows of threads takes one."""
    import numba
    from threadpoolctl import threadpool_limits

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        patch.setenv("MOTIFGPU_THREADS", "1")
        yield
    numba.set_num_threads(threads)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    from tests.support.real_micrographs import folder_or_skip

    return folder_or_skip()
