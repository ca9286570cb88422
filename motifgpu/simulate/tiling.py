"""A pentagonal tiling whose pentagons are hollow, filled or excluded, as in the paper's Fig. 4."""

from __future__ import annotations

import numpy as np

from motifgpu.simulate import checks, lattice
from motifgpu.simulate.exposure import Exposure, documents_exposure
from motifgpu.simulate.materials import ATOMIC_NUMBERS
from motifgpu.simulate.occupancy import EXCLUDED, PAPER_EXCLUDED, PAPER_FRACTION, occupancy_grid
from motifgpu.simulate.truth import TilingSimulation

# Half the short edge along each axis, in cells: here the angles are 120, 120, 90, 120 and 90 degrees.
_X = (3 - np.sqrt(3)) / 12
# Corners of a cell as (down, right): two where four pentagons meet, four where three do.
_CORNERS = np.array([[0, 0], [0.5, 0.5], [-_X, 0.5 - _X], [_X, 0.5 + _X], [0.5 - _X, _X], [0.5 + _X, -_X]])
# The four pentagons of a cell: where in the 2 x 2 grid of the cell, and the corners around it as (corner,
# cell down, cell right), the ends of the short edge first.
_PENTAGONS = (
    ((0, 0), ((2, 0, 0), (3, 0, 0), (1, 0, 0), (4, 0, 0), (0, 0, 0))),
    ((1, 0), ((5, 0, 0), (4, 0, 0), (1, 0, 0), (2, 1, 0), (0, 1, 0))),
    ((1, 1), ((3, 1, 0), (2, 1, 0), (1, 0, 0), (5, 0, 1), (0, 1, 1))),
    ((0, 1), ((4, 0, 1), (5, 0, 1), (1, 0, 0), (3, 0, 0), (0, 0, 1))),
)


@documents_exposure("a corner")
def tiling(
    grid: np.ndarray | None = None,
    shape: tuple[int, int] = (768, 768),
    *,
    cell: float = 64.0,
    angle: float = 0.0,
    sigma: float = 0.05,
    exponent: float = 1.7,
    disorder: float = 0.0,
    counts: float | None = 30.0,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> TilingSimulation:
    """Simulate a micrograph of the pentagonal tiling of a molybdenum-vanadium-tellurium-niobium oxide.

    A column stands at every pentagon corner. Pentagons are hollow (state 0), filled by a column as bright as
    the corners (state 1, molybdenum or niobium), or hold a vanadium column (`EXCLUDED`). The tiling is the
    mirror-symmetric one among the type-4 monohedral pentagonal tilings (the Cairo tiling), with four
    pentagons in a square cell.

    Parameters
    ----------
    grid : (I, J) array_like of int, optional
        States of the pentagons, 0, 1 or `EXCLUDED`, from `occupancy_grid` for instance. Its middle lies in
        the middle of the image. A site takes half a cell; where the image is larger than the grid, the grid
        repeats. By default the states are independent, with the paper's fractions: 59.4 % hollow, 36.3 %
        filled, 4.3 % excluded.
    shape : (int, int)
        Rows and columns, px.
    cell : float
        Side of the square cell, px: two pentagons. Edges are 0.41 and 0.30 of it.
    angle : float
        Direction of the rows of the grid, degrees counter-clockwise from +col.
    sigma : float
        Standard deviation of a column, in cells.
    exponent : float
        Column intensity is Z to this power.
    disorder : float
        Largest random displacement of a corner, in cells, uniform in a disc; it distorts the pentagons. A
        column inside a pentagon moves with its corners.
    {exposure}

    Returns
    -------
    TilingSimulation
        Its names are ``corner``, ``filled`` and ``excluded``.

    Raises
    ------
    StageError
        If the grid has other states or not two dimensions, or a number is out of range.

    Examples
    --------
    Show a grid of 4 x 4 pentagons, some of them excluded:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> grid = simulate.occupancy_grid(shape=(4, 4), excluded=0.1).grid
    >>> made = simulate.tiling(grid, shape=(128, 128))
    >>> made.corners.shape == (len(made.states), 5, 2)
    True

    Every pentagon in view has the state that the grid gives it:

    >>> bool((made.states == grid[tuple((made.indices % grid.shape).T)]).all())
    True
    """
    exposure = Exposure(counts, gaussian=gaussian, scan=scan)
    shape = checks.image_shape(shape)
    cell = checks.positive(cell, "cell")
    width = checks.positive(sigma, "sigma") * cell
    spread = checks.not_negative(disorder, "disorder") * cell
    rng = np.random.default_rng(seed)
    down, right = cell * lattice.direction(angle - 90), cell * lattice.direction(angle)
    i, j = lattice.covering_indices(down, right, lattice.half_diagonal(shape) + 5 * width + 2 * cell)
    if grid is None:
        states = occupancy_grid(
            shape=(2 * i.shape[0], 2 * i.shape[1]),
            fraction=PAPER_FRACTION,
            excluded=PAPER_EXCLUDED,
            seed=int(rng.integers(2**32)),
        ).grid
    else:
        states = _states(grid)

    # A cell is two sites of the grid, so that its middle may be in the middle of a cell.
    first = 2 * (np.array(states.shape) // 4)
    cells = np.stack([i, j], axis=-1)
    # Corners (I, J, 6, 2) in px; cells at the rim, whose neighbours are missing, lie out of view.
    shifted = cells - (np.array(states.shape) / 2 - first) / 2
    corners = (shifted[:, :, None] + _CORNERS) @ np.stack([down, right]) + lattice.image_centre(shape)
    if spread:
        corners = lattice.displaced(corners.reshape(-1, 2), spread, rng).reshape(corners.shape)
    pentagons, numbers = [], []
    for place, around in _PENTAGONS:
        around_cell = [np.roll(corners[:, :, which], (-a, -b), axis=(0, 1)) for which, a, b in around]
        pentagons.append(np.stack(around_cell, axis=2)[:-1, :-1].reshape(-1, 5, 2))
        numbers.append((2 * cells + place + first)[:-1, :-1].reshape(-1, 2))
    outlines, indices = np.concatenate(pentagons), np.concatenate(numbers)
    centers = outlines.mean(1)
    state = states[tuple((indices % states.shape).T)]

    taken = state != 0
    columns = np.concatenate([corners.reshape(-1, 2), centers[taken]])
    labels = np.concatenate(
        [np.zeros(corners.size // 2, np.int32), np.where(state[taken] == 1, 1, 2).astype(np.int32)]
    )
    vanadium = (ATOMIC_NUMBERS["V"] / ATOMIC_NUMBERS["Mo"]) ** exponent
    heights = np.array([1.0, 1.0, vanadium])[labels]
    recording = exposure.record(shape, columns, heights, width, rng)
    seen = lattice.in_view(columns, shape)
    seen_centers = lattice.in_view(centers, shape)
    return TilingSimulation(
        **recording._asdict(),
        points=columns[seen].astype(np.float32),
        labels=labels[seen],
        names=("corner", "filled", "excluded"),
        occupied=np.ones(len(seen), bool),
        u=right,
        v=-down,
        pixel_size_nm=None,
        centers=centers[seen_centers].astype(np.float32),
        corners=outlines[seen_centers].astype(np.float32),
        states=state[seen_centers],
        indices=indices[seen_centers].astype(np.int32),
        grid=states,
    )


def _states(grid: np.ndarray) -> np.ndarray:
    states = np.asarray(grid)
    if states.ndim != 2 or states.size == 0:
        raise checks.problem(f"the grid has shape {states.shape}", "give one of two dimensions")
    if not np.isin(states, (0, 1, EXCLUDED)).all():
        other = np.setdiff1d(states, (0, 1, EXCLUDED))
        raise checks.problem(f"the grid has the state {other[0]}", f"give 0, 1 or {EXCLUDED} (excluded)")
    return states.astype(np.int8)
