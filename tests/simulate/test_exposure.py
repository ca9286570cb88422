from __future__ import annotations

import inspect

import pytest

from motifgpu import simulate


@pytest.mark.parametrize(
    "name",
    [
        "bilayer",
        "crystal_p4m",
        "monolayer",
        "patches",
        "stacking_boundary",
        "stm_lattice",
        "tiling",
        "twin_boundary",
        "twist_case",
    ],
)
def test_help_describes_every_parameter_in_the_order_of_the_signature(name: str) -> None:
    function = getattr(simulate, name)
    text = inspect.getdoc(function)
    assert text is not None
    assert "{" + "exposure}" not in text
    section = text.partition("Parameters\n----------\n")[2].partition("\n\nReturns")[0]
    heads = [line.partition(" : ")[0] for line in section.splitlines() if line[0] != " "]
    described = [parameter for head in heads for parameter in head.split(", ")]
    assert described == list(inspect.signature(function).parameters)
    assert all(len(line) <= 106 for line in section.splitlines())
