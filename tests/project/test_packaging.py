from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, GROUPS = TABLES["project"], TABLES["dependency-groups"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = sorted((ROOT / "ci" / "locks").glob("*.txt"))
# What `import motifgpu` leaves until it is used.
HEAVY = (
    "cupy",
    "dask",
    "matplotlib",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "skimage",
    "sklearn",
    "zarr",
)


def ci_wheels() -> dict[str, object]:
    """Return what the script that tries the wheel defines."""
    names: dict[str, object] = {"__name__": "ci_wheels", "__file__": str(ROOT / "ci" / "wheels")}
    exec(compile((ROOT / "ci" / "wheels").read_text(), "ci/wheels", "exec"), names)
    return names


def test_import_is_quick_and_brings_nothing_heavy() -> None:
    code = "import motifgpu, sys, time; print(time.process_time(), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *modules = done.stdout.split()
    assert not set(HEAVY) & set(modules)
    assert float(seconds) < 0.2  # of CPU time, Python's own start included


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_are_hashed_and_name_no_index(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index" not in text
    blocks = [b for b in text.split("\n") if b and not b.startswith((" ", "#"))]
    assert blocks
    assert text.count("--hash=sha256:") >= len(blocks)


def test_the_recipe_for_conda_has_the_requirements_of_the_project() -> None:
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load((ROOT / "ci" / "conda" / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == PROJECT["version"]
    needs, about = recipe["requirements"], recipe["about"]
    assert needs["run"][0] == needs["host"][0] == f"python {PROJECT['requires-python']}"
    named = {"matplotlib-base": "matplotlib", "hyperspy-base": "hyperspy"}  # without their interfaces

    def plain(requirement: str) -> str:
        name, _, bound = requirement.partition(" ")
        return named.get(name, name) + bound

    assert sorted(map(plain, needs["run"][1:])) == sorted(PROJECT["dependencies"])
    optional = {re.sub(r"\[.*?\]", "", one) for name in EXTRAS.keys() - {"all"} for one in EXTRAS[name]}
    assert set(map(plain, needs["run_constraints"])) <= optional
    assert plain(needs["host"][-1]) in TABLES["build-system"]["requires"]
    [command] = recipe["build"]["python"]["entry_points"]
    assert command == "motifgpu = " + PROJECT["scripts"]["motifgpu"]
    assert (about["license"], about["summary"]) == (PROJECT["license"], PROJECT["description"])
    for path in recipe["source"]["filter"]:
        assert (ROOT / path.removesuffix("/**")).exists()


def test_every_lock_is_written_by_the_script() -> None:
    script = (ROOT / "ci" / "lock").read_text()
    written = set(re.findall(r"^compile(?:_list|_group)? ([\w-]+)", script, re.MULTILINE))
    written |= {"image-cuda12", "image-cuda13"}  # in a loop
    assert {lock.stem for lock in LOCKS} == written


def requirements(names: list[str]) -> set[str]:
    """Return the packages that requirements name, without versions and markers."""
    return {re.split(r"[^\w.-]", name)[0].lower().replace("_", "-") for name in names}


def test_every_extra_is_tried() -> None:
    assert set(EXTRAS) == set(ci_wheels()["BRINGS"])


def test_what_developers_need_is_no_extra() -> None:
    assert {"test", "lint", "dev", "docs", "bench"} <= set(GROUPS)
    assert not set(GROUPS) & set(EXTRAS)


def test_extra_all_holds_every_extra_but_cuda() -> None:
    (whole,) = EXTRAS["all"]
    held = re.fullmatch(r"motifgpu\[(.*)\]", whole)
    assert held is not None
    assert set(held[1].split(",")) == {name for name in EXTRAS if not name.startswith(("cuda", "all"))}


@pytest.mark.parametrize(
    ("lock", "groups"),
    [
        ("core", []),
        ("dev", ["test", "lint"]),
        ("docs", ["test", "lint", "docs"]),
        ("bench", ["test", "lint", "bench"]),
        ("napari", ["test"]),
        ("gpu", ["test"]),
        ("recipes", ["recipes"]),
        ("release", ["release"]),
    ],
)
def test_locks_have_what_the_groups_name(lock: str, groups: list[str]) -> None:
    wanted = set() if lock in groups else requirements(PROJECT["dependencies"])
    for group in groups:
        wanted |= requirements(GROUPS[group])
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "ci" / "locks" / f"{lock}.txt").read_text(), re.MULTILINE)
    assert wanted <= set(locked)


def test_every_python_that_is_declared_is_tested() -> None:
    tested = re.findall(r'"(3\.\d+)"', (ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert f">={tested[0]}" == PROJECT["requires-python"]
    declared = re.findall(r":: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert set(declared) == set(tested)


def test_citation_names_this_version_and_the_paper() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^cff-version: 1\.2\.0$", text, re.MULTILINE)
    version = re.search(r"^version: (\S+)$", text, re.MULTILINE)
    assert version is not None
    assert PROJECT["version"].removesuffix(".dev0") == version[1]
    doi = re.search(r"^  doi: (\S+)$", text, re.MULTILINE)
    assert doi is not None
    assert PROJECT["urls"]["Paper"].endswith(doi[1])
    assert f"license: {PROJECT['license']}\n" in text
