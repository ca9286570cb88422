"""How the simulated samples were made, and so what is true of them."""

from __future__ import annotations

from collections.abc import Callable

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.simulate.truth import SampleSimulation, Simulation

_MADE: dict[str, Callable[[], Simulation | SampleSimulation]] = {
    "MoSe2_defects": lambda: simulate.monolayer(
        "MoSe2",
        (256, 256),
        angle=11.0,
        vacancies=0.05,
        divacancies=0.015,
        dopants={"W": 0.03},
        counts=30.0,
        seed=0,
    ),
    "MoSe2_twin": lambda: simulate.twin_boundary("MoSe2", (256, 256), counts=30.0, seed=1),
    "perovskite": lambda: simulate.sample("perovskite", seed=2, shape=(256, 256), counts=30.0),
}


def truth(name: str) -> Simulation | SampleSimulation:
    """Return the simulation that a sample is the image of: where its columns are, and what they are.

    Parameters
    ----------
    name : str
        A simulated one of `motifgpu.samples.SAMPLES`.

    Raises
    ------
    StageError
        If nothing is known of it.

    Examples
    --------
    How many columns are in the sample?

    >>> import motifgpu
    >>> made = motifgpu.samples.truth("MoSe2_defects")
    >>> len(made.points) == len(made.labels)
    True
    """
    if name not in _MADE:
        raise StageError(
            "samples", f"the truth of {name!r} is not known", f"choose one of {', '.join(_MADE)}"
        )
    return _MADE[name]()
