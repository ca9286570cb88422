"""Grids of occupancies whose window entropies are known."""

from __future__ import annotations

import functools

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from motifgpu.core.checks import check_integer
from motifgpu.simulate import checks
from motifgpu.simulate.truth import OccupancySimulation

EXCLUDED = -1
# Of the pentagons of the paper's Fig. 4, 59.4 % are hollow, 36.3 % filled and 4.3 % excluded.
PAPER_FRACTION, PAPER_EXCLUDED = 0.363 / (0.363 + 0.594), 0.043
_MODELS = {"bernoulli": PAPER_FRACTION, "ordered": 0.25, "ising": 0.5}  # and their default fractions
_SWEEPS = 100  # cluster updates from a random start
_CIRCUMFERENCE = 12  # sites around the cylinder of the transfer matrix


def occupancy_grid(
    model: str = "bernoulli",
    shape: tuple[int, int] = (64, 64),
    *,
    fraction: float | None = None,
    coupling: float | None = None,
    excluded: float = 0.0,
    seed: int = 0,
) -> OccupancySimulation:
    """Simulate a grid of occupied and empty sites with known entropies of its 2 x 2 and 4 x 4 windows.

    Parameters
    ----------
    model : {"bernoulli", "ordered", "ising"}
        Independent sites; perfect 3:1 order, a square superlattice of every second row and column; or the
        Ising model without a field on a torus, sampled by Swendsen-Wang cluster updates.
    shape : (int, int)
        Rows and columns of the grid; even numbers for ``"ordered"``.
    fraction : float, optional
        Fraction of ones: any for ``"bernoulli"`` (the paper's 0.379 by default), 0.25 (the default) or 0.75
        for ``"ordered"``; ``"ising"`` has 0.5.
    coupling : float, optional
        For ``"ising"``, and only there: the coupling J / kT of nearest sites, positive where equal neighbours
        are favoured; 0.4407 is critical.
    excluded : float
        Fraction of sites that are then excluded, independently.
    seed : int

    Returns
    -------
    OccupancySimulation

    Raises
    ------
    StageError
        If the model is unknown, or a number is out of range or not of this model.

    Notes
    -----
    Entropies in nats: 4 h(p) and 16 h(p) for independent sites, ln 4 for perfect order (windows that slide by
    one site), and by transfer matrix for the Ising model, see `ising_window_probabilities`.

    Examples
    --------
    Perfect order leaves four kinds of 2 x 2 windows, so an entropy of ln 4; independent sites have more:

    >>> from motifgpu import simulate
    >>> ordered = simulate.occupancy_grid("ordered")
    >>> independent = simulate.occupancy_grid("bernoulli", fraction=0.25)
    >>> round(ordered.entropy_level2, 2), round(independent.entropy_level2, 2)
    (1.39, 2.25)
    >>> float(ordered.grid.mean())
    0.25
    """
    checks.choice(model, "model", tuple(_MODELS))
    shape = checks.image_shape(shape)
    p = _MODELS[model] if fraction is None else checks.fraction(fraction, "fraction")
    checks.fraction(excluded, "excluded")
    if coupling is not None and model != "ising":
        raise checks.problem(
            f"coupling is {coupling} for the model {model!r}", "leave it out, or choose 'ising'"
        )
    rng = np.random.default_rng(seed)
    level2: float
    level3: float
    if model == "bernoulli":
        grid = (rng.random(shape) < p).astype(np.int8)
        level2, level3 = (sites * _binary_entropy(p) for sites in (4, 16))
    elif model == "ordered":
        if p not in (0.25, 0.75) or shape[0] % 2 or shape[1] % 2:
            raise checks.problem(
                f"fraction is {p} and shape {shape} for the model 'ordered'",
                "give the fraction 0.25 or 0.75 and even numbers of rows and columns",
            )
        row, col = rng.integers(0, 2, 2)
        grid = np.full(shape, int(p > 0.5), np.int8)
        grid[row::2, col::2] = int(p < 0.5)
        level2 = level3 = np.log(4)
    else:
        if coupling is None or fraction not in (None, 0.5):
            raise checks.problem(
                f"coupling is {coupling} and fraction {fraction} for the model 'ising'",
                "give a coupling, and leave the fraction out: it is 0.5",
            )
        coupling = float(coupling)
        if coupling < 0 and (shape[0] % 2 or shape[1] % 2):
            raise checks.problem(
                f"shape is {shape} for the negative coupling {coupling}",
                "give even numbers, or order does not close on the torus",
            )
        level2, level3 = (_entropy(ising_window_probabilities(coupling, side)) for side in (2, 4))
        grid = _swendsen_wang(shape, coupling, rng)
    if excluded:
        grid[rng.random(shape) < excluded] = EXCLUDED
    return OccupancySimulation(grid, p, float(level2), float(level3))


def _entropy(probabilities: np.ndarray) -> float:
    seen = probabilities[probabilities > 0]
    return float(-(seen * np.log(seen)).sum())


def _binary_entropy(p: float) -> float:
    return _entropy(np.array([p, 1 - p]))


def _swendsen_wang(shape: tuple[int, int], coupling: float, rng: np.random.Generator) -> np.ndarray:
    """Sample the Ising model on a torus: satisfied bonds join sites to clusters, which flip as a whole."""
    site = np.arange(shape[0] * shape[1]).reshape(shape)
    first = np.concatenate([site, site], axis=None)
    second = np.concatenate([np.roll(site, -1, 0), np.roll(site, -1, 1)], axis=None)
    joined = -np.expm1(-2 * abs(coupling))
    spins = rng.integers(0, 2, site.size, dtype=np.int8)
    for _ in range(_SWEEPS):
        satisfied = (spins[first] == spins[second]) == (coupling > 0)
        bond = satisfied & (rng.random(len(first)) < joined)
        graph = coo_array((bond[bond], (first[bond], second[bond])), shape=(site.size, site.size))
        number, cluster = connected_components(graph, directed=False)
        spins ^= rng.integers(0, 2, number, dtype=np.int8)[cluster]
    return spins.reshape(shape)


@functools.lru_cache(maxsize=16)
def ising_window_probabilities(coupling: float, side: int) -> np.ndarray:
    """Return the probabilities of all states of a square window of the Ising model without a field.

    The window lies on a cylinder of unlimited length and a circumference of twelve sites. Up to a coupling
    of 0.3 either way, entropies of 2 x 2 and 4 x 4 windows differ from those on the plane by 2e-4 and 1e-3;
    near and above the critical one by some per cent.

    Parameters
    ----------
    coupling : float
        J / kT of nearest sites, -10 to 10.
    side : int
        Side of the window, 1 to 4 sites.

    Returns
    -------
    (2**(side*side),) float64 ndarray
        Read-only. Bit ``side * row + col`` of the index is the state of that site.

    Raises
    ------
    StageError
        If `side` or `coupling` is out of range.

    Examples
    --------
    Without coupling all 16 states of a 2 x 2 window are equally probable; coupling favours equal neighbours:

    >>> from motifgpu import simulate
    >>> simulate.ising_window_probabilities(0.0, 2).round(4).tolist() == [0.0625] * 16
    True
    >>> probabilities = simulate.ising_window_probabilities(0.3, 2)
    >>> bool(probabilities[0b0000] > probabilities[0b0011] > probabilities[0b0110])
    True
    """
    if not -10 <= coupling <= 10:
        raise checks.problem(f"coupling is {coupling}", "give a number from -10 to 10")
    side = check_integer(side, "simulate", "side", 1, 4)
    length = _CIRCUMFERENCE
    bits = (np.arange(2**length)[:, None] >> np.arange(length)) & 1
    spins = 2 * bits - 1
    within = np.exp(coupling * (spins * np.roll(spins, 1, axis=1)).sum(1) / 2 - abs(coupling) * length / 2)
    same, other = np.exp(coupling - abs(coupling)), np.exp(-coupling - abs(coupling))

    def transfer(states: np.ndarray) -> np.ndarray:
        """Apply the symmetric transfer matrix to vectors (..., 2**length)."""
        result = states * within
        for bit in range(length):
            pair = result.reshape(*states.shape[:-1], 2 ** (length - 1 - bit), 2, 2**bit)
            low, high = pair[..., 0, :], pair[..., 1, :]
            result = np.stack([same * low + other * high, other * low + same * high], axis=-2)
            result = result.reshape(states.shape)
        weighted: np.ndarray = result * within
        return weighted

    leading = np.ones(2**length)
    for _ in range(2000):  # power iteration
        step = transfer(leading)
        step /= np.linalg.norm(step)
        if np.abs(step - leading).max() < 1e-13:
            break
        leading = step

    def rows(number: int) -> np.ndarray:
        """Return weights (states of `number` window rows, state of the ring after them)."""
        weights = leading[None, :]
        for _ in range(number):
            split = np.zeros((len(weights), 2**side, 2 ** (length - side), 2**side))
            state = np.arange(2**side)  # the window is in the low bits
            split[:, state, :, state] = np.moveaxis(weights.reshape(len(weights), -1, 2**side), 2, 0)
            weights = transfer(split.reshape(-1, 2**length))
        return weights.reshape(len(weights), -1, 2**side)

    after = (side - 1) // 2
    joint = np.einsum("hob,cob->hbc", rows(side - 1 - after), rows(after), optimize=True)
    result: np.ndarray = joint.reshape((2**side,) * side).transpose().reshape(-1)
    result /= result.sum()
    result.flags.writeable = False
    return result
