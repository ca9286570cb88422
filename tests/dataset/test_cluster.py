"""Runs on a Dask cluster of processes, whose workers and scheduler may die."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dask_cluster import RUN, Cluster
from support.datasets import KILLS, done, start, tables, wait_until

from motifgpu import dataset
from motifgpu.core.errors import StageError
from motifgpu.dataset import cluster as cluster_module
from motifgpu.dataset.cluster import connect
from motifgpu.dataset.results import Run

pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")


@pytest.fixture
def cluster(many_scans: Path, tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path, many_scans)
    yield found
    found.close()


def test_a_client_gives_the_same_bytes(
    scans: Path, undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    monkeypatch.setenv("MOTIFGPU_THREADS", "1")  # as the workers, which are threads here, set it
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        run = dataset.run(scans, tmp_path / "o", client=client)
    assert tables(run.path) == tables(undisturbed.path)


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes_and_survives_a_worker(
    many_scans: Path, many_tables: dict[str, bytes], cluster: Cluster, tmp_path: Path
) -> None:
    process = start(RUN, many_scans, tmp_path / "o", cluster.file)
    wait_until(lambda: done(tmp_path / "o") >= 1)
    cluster.kill_a_worker()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert tables(tmp_path / "o") == many_tables


def test_wrong_addresses_and_options(many_scans: Path, tmp_path: Path) -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(StageError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9 "),
    ):
        connect("tcp://127.0.0.1:9")
    with pytest.raises(StageError, match="workers is 3 and there is a client"):
        dataset.run(many_scans, tmp_path / "o", client=object(), workers=3)  # type: ignore[arg-type]
    assert dask.base.get_scheduler() is None  # what Dask computes later does not wait for it


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_killing_workers_at_random(
    many_scans: Path, many_tables: dict[str, bytes], cluster: Cluster, tmp_path: Path, seed: int
) -> None:
    moment = random.Random(seed)
    process = start(RUN, many_scans, tmp_path / "o", cluster.file)
    goal = moment.randrange(0, 4)
    wait_until(lambda: (tmp_path / "o" / "run.json").exists() and done(tmp_path / "o") >= goal)
    time.sleep(moment.random())
    cluster.kill_a_worker()
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert tables(tmp_path / "o") == many_tables


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_killing_the_scheduler_ends_the_run_and_a_rerun_completes(
    many_scans: Path, many_tables: dict[str, bytes], cluster: Cluster, tmp_path: Path, seed: int
) -> None:
    moment = random.Random(seed)
    out = tmp_path / "o"
    process = start(RUN, many_scans, out, cluster.file)
    goal = moment.randrange(0, 3)
    wait_until(lambda: (out / "run.json").exists() and done(out) >= goal)
    time.sleep(moment.random() * 0.2)
    cluster.scheduler.kill()
    _, errors = process.communicate(timeout=120)
    if process.returncode:
        assert process.returncode == 5, errors
        assert "the scheduler of the Dask cluster is gone; start a cluster" in errors
        assert Run(out).about["state"] == "stopped"
    cluster.close()
    run = dataset.run(many_scans, out, workers=1)
    assert tables(run.path) == many_tables


@pytest.mark.slow
def test_a_file_that_kills_its_worker_ends_in_quarantine(
    many_scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'POISON' in os.environ and 'pytest' not in ' '.join(sys.orig_argv):\n"
        "    from motifgpu.dataset import tasks\n"
        "    real = tasks.read_file\n"
        "    def read_file(path, *rest, **more):\n"
        "        if path == os.environ['POISON']:\n"
        "            os.kill(os.getpid(), 9)\n"
        "        return real(path, *rest, **more)\n"
        "    tasks.read_file = read_file\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    cluster = Cluster(tmp_path, many_scans)
    try:
        with connect(str(cluster.file)) as client:
            run = dataset.run(many_scans, tmp_path / "o", client=client)
    finally:
        cluster.close()
    reasons = {Path(line["path"]).name: line["reason"] for line in run.quarantine}
    assert sorted(reasons) == ["damaged.npy", "scan03.npz"]
    assert reasons["scan03.npz"].startswith("the process that analysed it died")


@pytest.fixture
def client() -> Iterator[object]:
    """A client whose one worker is a thread of this process."""
    from distributed import Client

    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as found:
        yield found


def test_a_worker_of_another_version_is_refused(
    scans: Path, client: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cluster_module._ours

    def ours() -> dict[str, str | None]:
        mine = threading.current_thread() is threading.main_thread()
        return real() if mine else {**real(), "motifgpu": "0.0.9", "numpy": "1.0"}

    monkeypatch.setattr(cluster_module, "_ours", ours)
    with pytest.raises(
        StageError, match=r"a worker of the Dask cluster, .*: motifgpu 0\.0\.9, not .*, numpy"
    ):
        dataset.run(scans, tmp_path / "o", client=client)  # type: ignore[arg-type]
    assert list((tmp_path / "o" / "files").iterdir()) == []


def test_a_result_that_was_lost_is_computed_again(
    scans: Path, undisturbed: Run, client: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import CancelledError, Future

    real, lost = Future.result, []

    def result(self: Future, timeout: float | None = None) -> object:
        if len(lost) < 2:
            lost.append(self.key)
            raise [CancelledError(self.key), TimeoutError()][len(lost) - 1]
        return real(self, timeout)

    monkeypatch.setattr(Future, "result", result)
    run = dataset.run(scans, tmp_path / "o", client=client)  # type: ignore[arg-type]
    assert len(lost) == 2
    assert tables(run.path) == tables(undisturbed.path)


def test_what_workers_lack_and_a_closed_client_are_named(
    scans: Path, client: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'rsciio'")

    with monkeypatch.context() as patch:
        patch.setattr(cluster_module, "process", lacking)
        with pytest.raises(StageError, match="workers of the Dask cluster cannot work: ModuleNotFoundError"):
            dataset.run(scans, tmp_path / "o", client=client)  # type: ignore[arg-type]
    client.close()  # type: ignore[attr-defined]
    with pytest.raises(StageError, match="the client of the Dask cluster was closed"):
        dataset.run(scans, tmp_path / "o", client=client)  # type: ignore[arg-type]
