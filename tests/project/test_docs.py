from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import motifgpu
from motifgpu import simulate

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
WRITTEN = {"generated", "auto_gallery"}  # folders of pages that the build writes
FOLDERS = ("motifgpu", "kernels", "tests", "benchmarks", "docs", "docker", "ci")
# What a page names and the repository does not hold: where the wheel has the kernels, and what is built.
ELSEWHERE = {"motifgpu/kernels", "docs/generated"}


def part(path: str) -> ModuleType:
    """Return one of the modules that build the documentation."""
    spec = importlib.util.spec_from_file_location(f"docs_{Path(path).stem}", DOCS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


examples = part("extensions/page_cells.py")
kernel = part("extensions/page_kernel.py")

PAGE = """# A page

```python
value = 2
```

Text with `code`.

```{figure} picture.png
```

<!-- not run: needs a GPU -->
```sh
exit 1
```

- in a list

  ```python
  value *= 3
  open("written", "w").write(str(value))
  ```

```text
not code
```

```sh
grep -q 6 written
```
"""


def test_blocks_are_found_with_their_lines_and_marks() -> None:
    found = list(examples.blocks(PAGE))
    assert [(block.language, block.not_run) for block in found] == [
        ("python", ""),
        ("sh", "needs a GPU"),
        ("python", ""),
        ("sh", ""),
    ]
    lines = PAGE.splitlines()
    for block in found:
        assert lines[block.line - 1].strip() == block.code.splitlines()[0]


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("```python\nx = 1\n", "not closed"),
        ("<!-- not run: a reason -->\n\n```python\nx = 1\n```\n", "line before"),
        ("<!-- not run: a reason -->\n```text\nx\n```\n", "line before"),
        ("```{code-block} python\nx = 1\n```\n", "plain fence"),
    ],
)
def test_marks_that_say_nothing_are_refused(page: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        list(examples.blocks(page))


@pytest.mark.parametrize("page", ["- a list\n\n  ```python\n  x = 1\n  ```\n", "~~~python\nx = 1\n~~~\n"])
def test_an_example_that_would_be_no_cell_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"line \d: an example that runs stands at the margin"):
        examples.as_notebook(page)


def test_examples_that_run_are_cells_and_all_else_stays() -> None:
    page = PAGE.replace("- in a list\n\n", "").replace("\n  ", "\n")
    made = examples.as_notebook(page)
    assert made.startswith(
        f"---\nfile_format: mystnb\nkernelspec:\n  name: {examples.KERNEL}\n---\n# A page\n"
    )
    assert made.count("```{code-cell} ipython3\n") == 3
    assert made.count(f"```{{code-cell}} ipython3\n{examples.SHELL}\ngrep") == 1
    assert "<!-- not run: needs a GPU -->\n```sh\nexit 1\n```\n" in made
    assert "```text\nnot code\n```\n" in made
    plain = "# Another\n\n<!-- not run: needs a GPU -->\n```sh\nexit 1\n```\n"
    assert examples.as_notebook(plain) == plain


def test_a_shell_block_shows_what_it_prints_and_fails_where_a_command_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kernel.shell("", "echo one\necho two >&2\n")
    assert capsys.readouterr().out == "one\n"
    with pytest.raises(RuntimeError, match="exit code 1: why"):
        kernel.shell("", "echo why >&2\nfalse | true\necho never\n")
    assert "never" not in capsys.readouterr().out


@pytest.mark.slow
def test_pages_are_run_and_show_what_came_of_it(tmp_path: Path) -> None:
    pytest.importorskip("myst_nb")
    (tmp_path / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(DOCS / 'extensions')!r})\n"
        "extensions = ['myst_nb', 'page_examples']\nnb_execution_mode = 'force'\n"
        "nb_execution_raise_on_error = True\n"
    )
    page = tmp_path / "index.md"
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "text", str(tmp_path), str(tmp_path / "out")]
    page.write_text("# A page\n\n```python\nvalue = 41 + 1\nvalue\n```\n\n```sh\nls scan.tif\n```\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "index.txt").read_text()
    assert "\n   42\n" in text
    assert text.count("scan.tif") == 2  # the command and its output
    assert examples.SHELL not in text
    page.write_text("# A page\n\n```sh\nfalse\n```\n")
    assert subprocess.run(command, capture_output=True, text=True).returncode


def test_pages_begin_with_micrographs_that_state_their_pixel_size(tmp_path: Path) -> None:
    kernel.write_scans(tmp_path)
    for name in ("scan.tif", "other.tif", "scans/first.tif"):
        read = motifgpu.read(tmp_path / name)
        assert read.shape == (256, 256)
        assert read.pixel_size_nm == pytest.approx(0.329 / 22, rel=0.01)


def test_every_page_marks_its_examples_properly() -> None:
    pages = [path for path in DOCS.rglob("*.md") if not WRITTEN & set(path.parts)]
    assert pages
    assert sum("{code-cell}" in examples.as_notebook(page.read_text(encoding="utf-8")) for page in pages) > 10


def test_numbers_of_pages_are_those_of_the_result_files() -> None:
    pytest.importorskip("sphinx")
    measured = part("extensions/measured.py").measured
    results = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text())
    assert measured("decisions/columns ,") == f"{results['decisions']['figures']['columns']:,}"
    for wrong in (
        "decisions/nothing d",
        "nothing/columns d",
        "decisions/edit_seconds d",
        "decisions/columns x y",
    ):
        with pytest.raises(ValueError, match=r"cpu.json has no number"):
            measured(wrong)


def test_the_page_to_cite_is_the_citation_file() -> None:
    page, file = ((path).read_text() for path in (DOCS / "reference" / "citation.md", ROOT / "CITATION.cff"))
    for kind in ("title", "journal", "volume", "year", "doi"):
        [said] = re.findall(rf"^  {kind} += \{{(.*)\}},$", page, re.MULTILINE)
        assert f"\n  {kind}: {said}\n" in file
    names = re.findall(r"family-names: ([^,]+), given-names: ([^}]+)", file)
    assert " and ".join(f"{family}, {given}" for family, given in names) in page


def written_by_hand() -> list[Path]:
    """Return the Markdown pages of the repository that describe it as it is now."""
    names = ("README.md", "CONTRIBUTING.md", "docker/README.md", "kernels/README.md")
    others = [ROOT / name for name in names]
    return others + [path for path in DOCS.rglob("*.md") if not WRITTEN & set(path.parts)]


def lacking_paths(text: str) -> list[str]:
    """Return the paths of this repository between backticks or in commands that lead nowhere."""
    named = re.findall(rf"(?<![\w/.<-])(?:{'|'.join(FOLDERS)})/[\w./-]+(?![\w./<*{{-])", text)
    paths = {path.rstrip("./") for path in named}
    paths |= {f"benchmarks/{name}" for name in re.findall(r"`((?:paper/|peers/)?bench_\w+\.py)`", text)}
    return sorted(path for path in paths - ELSEWHERE if not (ROOT / path).exists())


def lacking_modules(text: str) -> list[str]:
    """Return the dotted names below `motifgpu` that lead to no module and no name in one."""
    return sorted(
        name
        for name in set(re.findall(r"(?<![\w/])motifgpu(?:\.[A-Za-z_]\w*)+", text))
        if not _leads_somewhere(name.split("."), ROOT)
    )


def _leads_somewhere(parts: list[str], folder: Path) -> bool:
    here, *rest = parts
    if (folder / here).is_dir():
        return not rest or _leads_somewhere(rest, folder / here)
    module = folder / f"{here}.py"
    homes, wanted = ([module], rest) if module.exists() else (sorted(folder.glob("__init__.py*")), parts)
    return not wanted or any(
        re.search(rf"(?<![.\w]){wanted[0]}\b", home.read_text("utf-8")) for home in homes
    )


def test_nothing_is_named_that_does_not_exist() -> None:
    planted = "`motifgpu/graph.py`, `bench_nothing.py`, `tests/<room>/test_x.py`, `kernels/relaxation.cu`."
    assert lacking_paths(planted) == ["benchmarks/bench_nothing.py", "motifgpu/graph.py"]
    planted = (
        "motifgpu.graph.relaxation.Stage motifgpu.graph.nothing motifgpu.relaxation.relax motifgpu.relax"
    )
    assert lacking_modules(planted) == ["motifgpu.graph.nothing", "motifgpu.relaxation.relax"]
    sources = list((ROOT / "motifgpu").rglob("*.py")) + list((ROOT / "kernels").glob("*.cu*"))
    for page in [*written_by_hand(), *sources]:
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"motifgpu\.(def|sif)\b", "", text)  # files of docker
        assert not lacking_paths(text), page
        assert not lacking_modules(text), page


def test_contributing_leads_to_what_it_names() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = re.findall(r"`(motifgpu/[\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", text)
    assert places
    for path, names in places:
        defined = re.findall(r"^(?:def|class) (\w+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert set(re.findall(r"\w+", names)) <= set(defined), path
    rooms = {path.stem for path in (ROOT / "motifgpu").iterdir() if path.suffix in ("", ".py")}
    below = re.findall(rf"`((?:{'|'.join(sorted(rooms))})\.\w[\w.]*)`", text)
    assert below
    assert not lacking_modules(" ".join(f"motifgpu.{name}" for name in below))


def test_every_public_name_is_in_the_reference_once() -> None:
    text = (DOCS / "reference" / "api.md").read_text()
    listed = re.findall(r"^   (\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(set(motifgpu.__all__) - {"__version__", "samples", "simulate"})
    text = (DOCS / "reference" / "simulate.md").read_text()
    listed = re.findall(r"^   (\w+)$", text, re.MULTILINE)
    tables = {"ATOMIC_NUMBERS", "EXCLUDED", "MATERIALS", "NOTHING", "SAMPLES", "STACKINGS", "TWIST_CASES"}
    assert sorted(listed) == sorted(set(simulate.__all__) - tables)


def monolayer() -> np.ndarray:
    return simulate.monolayer("MoSe2", (256, 256), seed=0).image


@pytest.mark.parametrize(
    "call",
    [
        lambda image: motifgpu.analyze(np.ones_like(image)),
        lambda image: motifgpu.analyze(np.random.default_rng(0).poisson(3, image.shape)),
        lambda image: motifgpu.analyze(np.full_like(image, np.nan)),
        lambda image: motifgpu.estimate_patch_size(image[:60, :60]),
        lambda image: motifgpu.analyze(image[:60, :60]),
        lambda image: motifgpu.analyze(image, patch_size=250),
        lambda image: motifgpu.analyze(image, n_neighbors=500),
        lambda image: motifgpu.analyze(image, n_motifs=500),
    ],
)
def test_troubleshooting_has_the_message(call: Any) -> None:
    text = (DOCS / "start" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+: [^`]+)` \|", text, re.MULTILINE)
    assert rows
    with pytest.raises(motifgpu.StageError) as caught:
        call(monolayer())
    fitting = [row for row in rows if re.search(re.escape(row).replace("…", ".*"), str(caught.value))]
    assert len(fitting) == 1, str(caught.value)


def test_the_command_line_is_described_whole() -> None:
    pytest.importorskip("sphinx")
    from motifgpu.cli import command_parsers, make_parser

    written = part("extensions/command_line.py")
    for name, parser in command_parsers(make_parser()).items():
        text = "\n".join(written.command_lines(name, parser))
        assert f"## `{name}`" in text
        wanted = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
        assert all(option in text for action in wanted for option in action.option_strings)
        assert len(re.findall(r"^: ", text, re.MULTILINE)) == len(wanted)
        assert "%(" not in text


def test_the_build_script_says_what_it_does() -> None:
    done = subprocess.run([sys.executable, DOCS / "build", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--quick" in done.stdout
