from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dictionaries import columns, learned

from motifgpu.core.errors import StageError
from motifgpu.dictionary import MotifDictionary


def test_saved_and_loaded_it_is_the_same(tmp_path):
    dictionary = learned().renamed({0: "Mo", 1: "Se2"})
    path = dictionary.save(tmp_path / "mose2.motifs")
    assert path == tmp_path / "mose2.motifs"
    copy = MotifDictionary.load(path)
    assert copy.names == dictionary.names == ("Mo", "Se2", "motif 2", "motif 3", "motif 4")
    assert copy.digest == dictionary.digest == learned().digest
    assert copy.provenance == dictionary.provenance
    assert copy.counts.tolist() == dictionary.counts.tolist()
    own = columns(10, 5, grains=(0.0, 60.0)).moments
    a, b = dictionary.assign(own), copy.assign(own)
    for name in ("labels", "environments", "confidence", "strangeness"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
    again = dictionary.save(tmp_path / "again")
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "mose2.motifs"]


def test_names_and_arrays_of_the_file_are_those_of_schema_1(tmp_path):
    """They are part of the digest, so they stay whatever the fields of a dictionary are called."""
    dictionary = learned()
    with np.load(dictionary.save(tmp_path / "d")) as archive:
        held = dict(archive)
    [chapter], model = dictionary.chapters, dictionary.chapters[0].model
    [split] = model.splits
    wanted = {
        "surroundings.keys": dictionary.environments.keys,
        "chapter0.first": 0,
        "chapter0.own_sites": 1,
        "chapter0.model.order": 10,
        "chapter0.model.means": model.means,
        "chapter0.model.gaps": model.gaps,
        "chapter0.model.slope": model.slope,
        "chapter0.model.split0": [split.sublattice, split.other, split.border, split.above, split.of_unit],
        "chapter0.model.split0_weights": split.weights,
        "counts": dictionary.counts,
    }
    for name in ("means", "spans", "scales", "limits", "floors", "ring_means", "ring_spreads"):
        wanted[f"chapter0.patterns.{name}"] = getattr(chapter.patterns, name)
    for k in range(2):
        for name, mixture, rows in (
            ("chapter0.model", model.mixtures[k], [model.components[k]]),
            ("surroundings", dictionary.environments.mixtures[k], []),
        ):
            numbers = mixture.weights, mixture.means[:, 0], mixture.covariances[:, 0, 0], *rows
            wanted[f"{name}.mixture{k}"] = np.array(numbers)
            wanted[f"{name}.mixture{k}_criterion"] = mixture.criterion
        wanted[f"chapter0.patterns.ring{k}"] = chapter.patterns.rings[k]
        wanted[f"surroundings.weights{k}"] = dictionary.environments.weights[k]
    assert set(held) == {"about", *wanted}
    for name, value in wanted.items():
        np.testing.assert_array_equal(held[name], value, err_msg=name, strict=True)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = learned().save(tmp_path / "d")
    old = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        learned(30).save(path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def _pickled(path: Path, good: bytes) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", buffer.getvalue())


def _other_schema(path: Path, good: bytes) -> None:
    with np.load(io.BytesIO(good)) as archive:
        arrays = dict(archive)
    text = arrays["about"].tobytes().replace(b'"schema": 1', b'"schema": 9')
    arrays["about"] = np.frombuffer(text, np.uint8)
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _changed(path: Path, good: bytes) -> None:
    with np.load(io.BytesIO(good)) as archive:
        arrays = dict(archive)
    arrays["chapter0.model.means"] = arrays["chapter0.model.means"] * 1.01
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _deflated(path: Path, good: bytes) -> None:
    with np.load(io.BytesIO(good)) as archive, open(path, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **archive, more=np.zeros(10**7))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_deflated, "motifgpu writes such files without compression"),
        (lambda path, good: path.write_bytes(b""), "is no motif dictionary or is damaged"),
        (lambda path, good: path.write_bytes(b"PK\x03\x04 nonsense"), "is no motif dictionary or is damaged"),
        (lambda path, good: path.write_bytes(good[: len(good) // 2]), "is no motif dictionary or is damaged"),
        (lambda path, good: path.write_text("# Motifs"), "is no motif dictionary or is damaged"),
        (_pickled, "is no motif dictionary or is damaged"),
        (_other_schema, "has schema 9 and this version reads schema 1; read it with the version"),
        (_changed, "is damaged: its contents are not those that were saved"),
    ],
)
def test_a_bad_file_is_refused_in_words(tmp_path, damage, text):
    path = learned().save(tmp_path / "d")
    damage(path, path.read_bytes())
    with pytest.raises(StageError, match=r"^dictionary: ") as caught:
        MotifDictionary.load(path)
    assert text in str(caught.value)


def test_mutated_files_are_refused_or_the_same(tmp_path):
    good = learned().save(tmp_path / "d").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(80):
        data = bytearray(good)
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(0, 256)
        (tmp_path / "bad").write_bytes(data)
        try:
            loaded = MotifDictionary.load(tmp_path / "bad")
        except StageError:
            continue
        assert loaded.digest == learned().digest


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        MotifDictionary.load(tmp_path / "none")
