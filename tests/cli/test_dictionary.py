"""The command dictionary."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.dictionaries import STRANGERS

from motifgpu import cli, simulate
from motifgpu.dictionary import MotifDictionary


@pytest.fixture
def scans(tmp_path):
    for seed, dopants in ((0, {"W": 0.03}), (1, STRANGERS)):
        truth = simulate.monolayer(
            "MoSe2", shape=(300, 300), counts=30, seed=seed, vacancies=0.05, dopants=dopants
        )
        np.save(tmp_path / f"scan{seed}.npy", truth.image)
    return tmp_path


def test_a_dictionary_is_learned_extended_and_shown_on_the_command_line(scans, capsys):
    file, first, second = (str(scans / name) for name in ("d.motifs", "scan0.npy", "scan1.npy"))
    assert cli.main(["dictionary", "learn", file, first, "-q", "--pixel-size", "0.015", "--json"]) == 0
    learnt = json.loads(capsys.readouterr().out)
    dictionary = MotifDictionary.load(file)
    assert learnt["digest"] == dictionary.digest
    assert [motif["count"] for motif in learnt["motifs"]] == dictionary.counts.tolist()
    assert learnt["sources"] == [first]
    assert cli.main(["dictionary", "learn", file, first, "-q"]) == 1
    assert "exists; extend it, or give another name" in capsys.readouterr().err

    (scans / "bad.npy").write_bytes(b"no image")
    bad = str(scans / "bad.npy")
    assert cli.main(["dictionary", "extend", file, second, bad, "-q", "--json"]) == 3
    longer = json.loads(capsys.readouterr().out)
    assert [failure["source"] for failure in longer["failed"]] == [bad]
    assert longer["sources"] == [first, second]
    assert len(longer["motifs"]) > len(learnt["motifs"])

    assert cli.main(["dictionary", "show", file]) == 0
    shown = capsys.readouterr().out
    assert f"{len(longer['motifs'])} motifs" in shown
    assert "motif 0" in shown


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "d", "scan.npy"], "show: give no micrographs"),
        (["learn", "d"], "learn: give micrographs to learn from"),
        (["learn", "d", "scan.npy", "--motifs", "3"], "a dictionary finds the number of its motifs itself"),
    ],
)
def test_the_command_says_what_it_wants(arguments, text, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["dictionary", *arguments])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err
