"""What is known of the shards of a run: which there should be, what files each saw, which are done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from motifgpu.core.errors import StageError
from motifgpu.core.files import shown_path
from motifgpu.store import layout

_NAME = re.compile(r"([0-9]+)-of-([0-9]+)\.json")


@dataclass(frozen=True)
class Shard:
    """One shard of a run.

    Attributes
    ----------
    i, n : int
        Which, counted from 1, of how many.
    files : int
        How many files all shards together have.
    digest : str
        Of the list of these files.
    done : bool
    """

    i: int
    n: int
    files: int
    digest: str
    done: bool = False


def shard_of(shard: tuple[int, int], everything: Sequence[str]) -> Shard:
    """Return what is known of a shard of a list of files."""
    listed = json.dumps([shown_path(path) for path in everything]).encode()
    return Shard(*shard, len(everything), layout.short_digest(listed))


def write_shard(root: Path, shard: Shard) -> None:
    """Write the record of a shard, in place of those of another number of shards.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder = root / layout.SHARDS
    folder.mkdir(exist_ok=True)
    for path in _records(root):
        if not path.name.endswith(f"-of-{shard.n}.json"):
            path.unlink(missing_ok=True)
    layout.write_json(folder / f"{shard.i}-of-{shard.n}.json", {"schema": layout.SCHEMA, **asdict(shard)})


def forget_shards(root: Path) -> None:
    """Remove the records of shards, of which tables were made."""
    for path in _records(root):
        path.unlink(missing_ok=True)


def has_shards(root: Path) -> bool:
    """Say whether shards work or have worked in a folder since its tables were made."""
    return bool(_records(root))


def check_shards(roots: Iterable[Path]) -> None:
    """See that all shards that there should be in some folders are done, and saw the same files.

    Raises
    ------
    StageError
        If one is missing, was not done or saw other files.
    """
    roots = list(roots)
    shards = [shard for root in roots for shard in _read(root)]
    where = ", ".join(map(str, roots))
    for n in sorted({shard.n for shard in shards}):
        of_n = [shard for shard in shards if shard.n == n]
        done = {shard.i for shard in of_n if shard.done}
        missing = [f"{i}/{n}" for i in range(1, n + 1) if i not in done]
        if missing:
            raise StageError(
                "merge",
                f"of {n} shards in {where} {', '.join(missing)} "
                + ("is not done" if len(missing) == 1 else "are not done"),
                f"run the same command with --shard {missing[0]}" + (" and so on" if missing[1:] else ""),
            )
        if len({shard.digest for shard in of_n}) > 1:
            counts = sorted({shard.files for shard in of_n})
            raise StageError(
                "merge",
                f"the {n} shards in {where} saw other files ({' or '.join(map(str, counts))} of them)",
                "run all of them again, which does what is missing",
            )


def _records(root: Path) -> list[Path]:
    folder = root / layout.SHARDS
    return [path for path in sorted(folder.glob("*.json")) if _NAME.fullmatch(path.name)]


def _read(root: Path) -> Iterator[Shard]:
    for path in _records(root):
        found = _NAME.fullmatch(path.name)
        assert found
        shard = Shard(int(found[1]), int(found[2]), 0, "damaged")
        with suppress(StageError, TypeError):
            value = layout.read_json(path)
            del value["schema"]
            shard = Shard(**value)
        yield shard
