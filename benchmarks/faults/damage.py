"""Bits flipped, files cut short and files deleted, over all kinds of files that a run keeps."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.stores import contents, make, values, write_inputs
from motifgpu import check
from motifgpu.core.errors import StageError
from motifgpu.store import layout


def _kinds(root: Path) -> dict[str, list[Path]]:
    """Return the files of a run by their kind, which is their folder or their own name."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and parts[0] not in (layout.LOCKS, "sample.motif"):
            kinds.setdefault(parts[0], []).append(path)
    return kinds


def _harmed(root: Path, how: str, moment: random.Random) -> str:
    """Damage one file, or delete a file or a folder, and say which."""
    kinds = _kinds(root)
    kind = moment.choice(sorted(kinds))
    path = moment.choice(kinds[kind])
    said = path.relative_to(root).as_posix()
    data = bytearray(path.read_bytes())
    if how == "flip" and data:
        bit = moment.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        return f"{said} bit {bit}"
    if how == "cut" and data:
        path.write_bytes(data[: moment.randrange(len(data))])
        return f"{said} cut to {path.stat().st_size} of {len(data)} bytes"
    if (root / kind).is_dir() and moment.random() < 0.3:
        shutil.rmtree(root / kind)
        return f"{kind}/ deleted"
    path.unlink()
    return f"{said} deleted"


def cases(flips: int, cuts: int) -> Iterator[tuple[str, int]]:
    """Yield how a store is damaged, and a seed."""
    yield from (("flip", seed) for seed in range(flips))
    yield from (("cut" if seed % 2 else "delete", seed) for seed in range(cuts))


def campaign(folder: Path, flips: int, cuts: int) -> dict[str, Any]:
    """Damage copies of a run and see that nothing else is read, and that one rerun repairs it.

    Returns
    -------
    dict
        How often each outcome was seen, and every failure in words.
    """
    inputs = write_inputs(folder / "in")
    whole = make(inputs, folder / "whole").path
    right, said = contents(whole), values(whole)
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for how, seed in cases(flips, cuts):
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(whole, out)
        what = _harmed(out, how, random.Random(f"{how} {seed}"))
        try:
            outcomes[how + ": " + _outcome(out, said)] += 1
            make(inputs, out)
            now = contents(out)
            other = sorted(name for name in {*right, *now} if right.get(name) != now.get(name))
            if other:
                failures.append(f"{what}: after a rerun other are {', '.join(other)}")
            if left := check(out).damage:
                failures.append(f"{what}: after a rerun check says {left}")
        except Exception as error:  # every one is a failure, whatever it is
            failures.append(f"{what}: {type(error).__name__}: {error}")
    return {"cases": flips + cuts, "outcomes": dict(sorted(outcomes.items())), "failures": failures}


def _outcome(out: Path, right: dict[str, Any]) -> str:
    """Return what is seen of a damaged run.

    Raises
    ------
    AssertionError
        If something else is read without a word.
    """
    found = values(out)
    wrong = [name for name in right if not isinstance(found[name], StageError) and found[name] != right[name]]
    assert not wrong, f"silently other: {wrong}"
    refused = [name for name in right if isinstance(found[name], StageError)]
    try:
        noticed = bool(check(out).damage)
    except StageError:
        noticed = True
    if refused:
        assert noticed, f"refused and not noticed by check: {refused}"
        return "refused and noticed"
    return "noticed, values as they were" if noticed else "without effect"
