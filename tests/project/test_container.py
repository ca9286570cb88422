from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.datasets import write_scans

from motifgpu.dataset.results import Run

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
SLURM = DOCKER / "slurm"
DEVICES = "cpu", "cuda12", "cuda13"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the recipes are for Linux")


def section(name: str) -> str:
    """Return the text of every section of the Apptainer recipe that is named so."""
    parts = re.split(r"^%(.+)\n", (DOCKER / "motifgpu.def").read_text(), flags=re.MULTILINE)
    return "".join(body for title, body in zip(parts[1::2], parts[2::2], strict=True) if title == name)


def program(path: Path, text: str) -> None:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


# The recipes


def test_both_recipes_have_the_same_base_device_and_start() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    (again,) = {
        tuple(line.split()) for line in section("arguments").split("\n") if line.startswith("    BASE")
    }
    assert again == (f"BASE={arguments['BASE']}",)
    assert f"DEVICE={arguments['DEVICE']}" in section("arguments")
    entry = re.search(r"^ENTRYPOINT \[(.*)\]$", dockerfile, re.MULTILINE)
    assert entry is not None
    start = " ".join(part.strip(' "') for part in entry[1].split(","))
    assert section("runscript").strip() == f'exec {start} "$@"'


def test_bases_are_named_without_a_registry() -> None:
    named = re.findall(r"^(?:FROM|From:) (\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    named += re.findall(r"^(?:FROM|From:) (.+)$", (DOCKER / "motifgpu.def").read_text(), re.MULTILINE)
    assert set(named) == {"${BASE}", "{{ BASE }}"}
    bases = re.findall(r"BASE=(\S+)", (DOCKER / "Dockerfile").read_text() + section("arguments"))
    assert bases
    assert all(re.fullmatch(r"python:3\.\d+-slim", base) for base in bases)


def test_image_is_not_run_by_root() -> None:
    users = re.findall(r"^USER (\S+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["1000:1000"]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    admitted = {line[1:] for line in ignored if line.startswith("!")}
    copied = {line.split()[0] for line in section("files").strip().split("\n")}
    assert copied == admitted
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("device", DEVICES)
def test_locks_of_the_images_have_what_the_project_declares(device: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "ci" / "locks" / f"image-{device}.txt").read_text()
    locked = set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    wanted = [*project["dependencies"]]
    for extra in ("em", "report", "dask", *([device] if device != "cpu" else [])):
        wanted += project["optional-dependencies"].get(extra, [])
    names = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in wanted}
    assert names <= locked


# How the image starts


@pytest.fixture
def start(tmp_path: Path):
    """Return what calls with-scratch, of an installation and with a scratch folder in tmp_path."""
    (tmp_path / "prefix" / "bin").mkdir(parents=True)
    shutil.copy(DOCKER / "with-scratch", tmp_path / "prefix" / "bin")
    for cache in ("numba", "matplotlib"):
        (tmp_path / "prefix" / "share" / "motifgpu" / cache).mkdir(parents=True)
        (tmp_path / "prefix" / "share" / "motifgpu" / cache / "compiled").write_text(cache)
    (tmp_path / "scratch").mkdir()

    def call(**environment: str) -> dict[str, str]:
        done = subprocess.run(
            [tmp_path / "prefix" / "bin" / "with-scratch", "env"],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "scratch"), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    return call


def test_caches_lie_on_scratch_with_what_the_image_compiled(start, tmp_path: Path) -> None:
    for _ in range(2):
        found = start()
        mine = tmp_path / "scratch" / f"motifgpu-{os.getuid()}"
        assert found["CUPY_CACHE_DIR"] == str(mine / "cupy")
        assert (Path(found["NUMBA_CACHE_DIR"]) / "compiled").read_text() == "numba"
        assert (Path(found["MPLCONFIGDIR"]) / "compiled").read_text() == "matplotlib"
        assert stat.S_IMODE(mine.stat().st_mode) == 0o700
        assert sorted(path.name for path in mine.iterdir()) == ["matplotlib", "numba"]


def test_scratch_is_the_first_folder_that_is_there(start, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    found = start(MOTIFGPU_SCRATCH=str(tmp_path / "absent"), SLURM_TMPDIR=str(tmp_path / "job"))
    assert Path(found["NUMBA_CACHE_DIR"]).is_relative_to(tmp_path / "job")


def test_caches_of_another_are_not_taken(start, tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    planted = tmp_path / "scratch" / f"motifgpu-{os.getuid()}"
    planted.symlink_to(tmp_path / "planted")
    assert not Path(start()["NUMBA_CACHE_DIR"]).is_relative_to(planted)
    assert not any((tmp_path / "planted").iterdir())
    if os.getuid() == 0:
        planted.unlink()
        planted.mkdir()
        os.chown(planted, 12345, 12345)
        assert not Path(start()["NUMBA_CACHE_DIR"]).is_relative_to(planted)


def test_set_caches_and_threads_are_kept(start) -> None:
    found = start(CUPY_CACHE_DIR="/kept", MOTIFGPU_THREADS="3", SLURM_CPUS_PER_TASK="5", OMP_NUM_THREADS="2")
    assert found["CUPY_CACHE_DIR"] == "/kept"
    assert found["MOTIFGPU_THREADS"] == found["NUMBA_NUM_THREADS"] == "3"
    assert found["OMP_NUM_THREADS"] == "2"


def test_threads_are_those_of_the_job(start) -> None:
    assert start(SLURM_CPUS_PER_TASK="5")["MOTIFGPU_THREADS"] == "5"
    assert 1 <= int(start()["OPENBLAS_NUM_THREADS"]) <= len(os.sched_getaffinity(0))


# The cluster kit


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """Return the environment of an array's task, on a cluster of stand-ins that note what they are asked."""
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "scontrol", f'echo "scontrol $*" >>{tmp_path}/asked')
    program(
        tmp_path / "bin" / "apptainer",
        f'echo "apptainer $*" >>{tmp_path}/asked\n'
        f"trap 'echo ended >>{tmp_path}/asked; exit 143' TERM\n"
        'for i in $(seq "${PAUSES:-0}"); do sleep 0.05; done\nexit "${CODE:-0}"',
    )
    (tmp_path / "micrographs").mkdir()
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TMPDIR": "/tmp",
        "MOTIFGPU_IMAGE": "/images/motifgpu.sif",
        "SLURM_ARRAY_JOB_ID": "42",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_ARRAY_TASK_MAX": "10",
    }


def array(folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a task of the array."""
    return subprocess.Popen(
        ["bash", SLURM / "array.sbatch", "micrographs", "out.motif"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_task_of_an_array_takes_its_share(tmp_path: Path, cluster: dict[str, str]) -> None:
    assert array(tmp_path, cluster).wait(20) == 0
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("apptainer run --nv --bind ")
    assert f" /images/motifgpu.sif run {tmp_path}/micrographs -o {tmp_path}/out.motif --shard 3/10\n" in asked
    assert "scontrol" not in asked
    assert array(tmp_path, {**cluster, "SHARES": "25"}).wait(20) == 0
    assert "--shard 3/25\n" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(("code", "good"), [(0, True), (1, False), (3, True), (130, False)])
def test_a_share_fails_unless_it_is_done_but_for_quarantine(
    tmp_path: Path, cluster: dict[str, str], code: int, good: bool
) -> None:
    assert (array(tmp_path, {**cluster, "CODE": str(code)}).wait(20) == 0) == good
    merged = subprocess.run(
        ["bash", SLURM / "merge.sbatch", "out.motif"], cwd=tmp_path, env={**cluster, "CODE": str(code)}
    )
    assert (merged.returncode == 0) == good
    assert "scontrol" not in (tmp_path / "asked").read_text()


def test_task_out_of_time_ends_its_run_and_goes_back(tmp_path: Path, cluster: dict[str, str]) -> None:
    task = array(tmp_path, {**cluster, "PAUSES": "400"})
    for _ in range(400):
        if (tmp_path / "asked").exists():
            break
        signal.sigtimedwait([], 0.02)
    task.send_signal(signal.SIGUSR1)
    assert task.wait(20) == 0
    lines = (tmp_path / "asked").read_text().splitlines()
    assert lines[1:] == ["ended", "scontrol requeue 42_3"]


def test_merge_names_the_run(tmp_path: Path, cluster: dict[str, str]) -> None:
    subprocess.run(["bash", SLURM / "merge.sbatch", "out.motif"], cwd=tmp_path, env=cluster, check=True)
    assert (tmp_path / "asked").read_text().endswith(f" /images/motifgpu.sif merge {tmp_path}/out.motif\n")


@pytest.mark.slow
def test_shares_and_their_merge_are_a_run(tmp_path: Path, cluster: dict[str, str]) -> None:
    write_scans(tmp_path / "micrographs", 3)
    program(
        tmp_path / "bin" / "apptainer",
        f'until [ $1 = /images/motifgpu.sif ]; do shift; done\nexec {sys.executable} -m motifgpu "${{@:2}}"',
    )
    environment = {**os.environ, **cluster, "SLURM_ARRAY_TASK_MAX": "2", "PYTHONPATH": str(ROOT)}
    for task in ("1", "2"):
        assert array(tmp_path, {**environment, "SLURM_ARRAY_TASK_ID": task}).wait(300) == 0
    subprocess.run(["bash", SLURM / "merge.sbatch", "out.motif"], cwd=tmp_path, env=environment, check=True)
    found = Run(tmp_path / "out.motif")
    assert found.about["found"]["micrographs"] == 3
    assert [Path(line["path"]).name for line in found.quarantine] == ["damaged.npy"]


@pytest.mark.parametrize("script", sorted(SLURM.glob("*.sbatch")), ids=lambda path: path.stem)
def test_arguments_are_asked_for(script: Path, tmp_path: Path, cluster: dict[str, str]) -> None:
    done = subprocess.run(["bash", script], cwd=tmp_path, env=cluster, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"usage: sbatch {script.name}" in done.stderr
    assert not (tmp_path / "asked").exists()


def test_array_is_signalled_before_its_time_is_over_and_may_start_again() -> None:
    directives = re.findall(r"^#SBATCH (\S+)", (SLURM / "array.sbatch").read_text(), re.MULTILINE)
    assert {"--requeue", "--signal=B:USR1@120", "--open-mode=append", "--array=1-10"} <= set(directives)


@pytest.fixture
def dask_run():
    """Return the script for Dask as a module."""
    pytest.importorskip("dask_jobqueue", reason="the extra dask is not installed")
    spec = importlib.util.spec_from_file_location("dask_run", SLURM / "dask_run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def workers(**more: object) -> argparse.Namespace:
    """Return the options of a worker's job."""
    given = {"cpus": 6, "gpus": 1, "memory": "20GB", "time": "02:30:00", "python": "image python"}
    return argparse.Namespace(**{**given, "directive": ["--partition=gpu"], **more})


@pytest.mark.slow
def test_job_of_a_dask_worker(dask_run) -> None:
    with dask_run.cluster(workers()) as cluster:
        script = cluster.job_script()
    for directive in ("--cpus-per-task=6", "--gpus=1", "--partition=gpu", "-t 02:30:00"):
        assert f"#SBATCH {directive}\n" in script
    assert "\nimage python -m distributed.cli.dask_worker tcp://" in script
    assert "--nthreads 1 " in script
    assert "--lifetime 145m" in script


@pytest.mark.slow
def test_dask_workers_come_as_jobs_and_compute(dask_run, tmp_path: Path, monkeypatch) -> None:
    import dask
    from distributed import Client

    # As Slurm does, the stand-in keeps the script: dask-jobqueue removes its own.
    program(
        tmp_path / "sbatch",
        f'cp "$1" {tmp_path}/job\nbash {tmp_path}/job >{tmp_path}/log 2>&1 &\n'
        f'echo $! >{tmp_path}/pid\necho "Submitted batch job 7"',
    )
    program(tmp_path / "scancel", f'kill "$(cat {tmp_path}/pid)"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    dask.config.set({"jobqueue.slurm.scheduler-options": {"host": "127.0.0.1", "dashboard_address": ":0"}})
    with dask_run.cluster(workers(python=sys.executable)) as cluster, Client(cluster) as client:
        cluster.scale(jobs=1)
        assert client.submit(lambda: os.environ["MOTIFGPU_THREADS"]).result(60) == "6"


@pytest.mark.parametrize(
    "script",
    [*sorted(SLURM.glob("*.sbatch")), DOCKER / "install", DOCKER / "with-scratch"],
    ids=lambda p: p.name,
)
def test_scripts_parse_and_stop_at_errors(script: Path) -> None:
    text = script.read_text()
    assert re.search(r"^set -eu", text, re.MULTILINE)
    shell = re.match(r"#!(/bin/\w+)\n", text)
    assert shell is not None
    subprocess.run([shell[1], "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)


# The workflows


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_rights_given_one_by_one(workflow: Path) -> None:
    text = workflow.read_text()
    uses = re.findall(r"\buses: *(.+)$", text, re.MULTILINE)
    assert uses
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in uses)
    assert re.search(r"^permissions: \{\}$", text, re.MULTILINE)
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_one_action_is_one_commit_everywhere() -> None:
    pins = {pin for path in WORKFLOWS for pin in re.findall(r"\buses: *(\S+)", path.read_text())}
    assert len(pins) == len({pin.split("@")[0] for pin in pins})


def test_workflows_call_what_exists() -> None:
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    called = set(re.findall(r"(?<![\w./])((?:\.?ci|docker)/[\w./-]+)", text)) | {"run"}
    assert {"ci/gpu", "ci/sbom", "ci/wheels", ".ci/run", "docker/Dockerfile"} <= called
    assert all((ROOT / name).exists() for name in called)


def test_runners_of_ones_own_are_not_for_pull_requests() -> None:
    for path in WORKFLOWS:
        if "self-hosted" in path.read_text():
            assert "pull_request" not in re.sub(r"#.*", "", path.read_text())
