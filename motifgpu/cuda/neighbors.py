"""Exact nearest neighbours on a GPU: launches ``kernels/neighbors.cu``."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_spread
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.cuda import loader

STAGE = "neighbors"
TILE = 128  # rows and columns of a tile of scores
THREADS = 256
SLACK = 32  # entries a buffer may hold above its list before it is cut
MEMORY = 2**30  # bytes that the buffers of candidates may use beside one laid-out copy of the rows
MOST = 64  # neighbours
CONSTANTS = {"TILE": TILE, "THREADS": THREADS, "SLACK": SLACK}


def _depth(dimensions: int, listed: int) -> int:
    """Return the slice depth that pads `dimensions` least.

    Other depths than these were seen to spill registers, and 8 with the longest lists and 64-bit positions.
    """
    return min((8, 6) if listed <= 64 else (6,), key=lambda depth: -dimensions % depth)


def _listed(k: int) -> int:
    """Return the length of the shortlist for k neighbours: at least 8 more, in multiples of a warp."""
    return -(-(k + 8) // 32) * 32


class _Search:
    """One call: the constants its kernels share and the graphs' rows laid out in tiles."""

    def __init__(self, x: Array, k: int, offsets: np.ndarray, unit: bool) -> None:
        self.xp, self.like = namespace.array_namespace(x), x
        self.n, dimensions = x.shape
        listed = _listed(k)
        depth = _depth(dimensions, listed)
        padded = -(-dimensions // depth) * depth
        self.capacity = listed + SLACK + TILE
        self.shared = 4 * TILE * (padded + 2 * depth + 3)
        loader.check_shared(
            STAGE, self.shared, f"a search over {dimensions} values per row", "give fewer values per row"
        )
        counts = np.diff(offsets)
        tiles = -(-counts // TILE)
        self.first_tile = np.concatenate([[0], np.cumsum(tiles)])
        self.tiles_of_graph, self.offsets = tiles, offsets
        self.positions = int(self.first_tile[-1]) * TILE
        self.constants: dict[str, int | str] = {
            **CONSTANTS,
            "D": dimensions,
            "DIM": padded,
            "DEPTH": depth,
            "LISTED": listed,
            "CAPACITY": self.capacity,
            "K": k,
            "UNIT": int(unit),
            "VALUE": "double" if namespace.dtype_name(x) == "float64" else "float",
            "INDEX": loader.index_type(max(self.positions * padded, self.n * max(k, dimensions))),
        }
        self.group = max(1, min(MEMORY // 8, 2**31 - 1) // (TILE * self.capacity))
        self.row_of, self.graph_of_tile = self.all_rows()
        self.rows = self.shifted_rows(x)
        self.indices = self.empty((self.n, k), self.xp.int32)
        self.distances = self.empty((self.n, k), self.xp.float32)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.empty(shape, dtype=dtype, device=namespace.device(self.like))

    def device(self, a: np.ndarray) -> Array:
        return namespace.from_numpy(np.ascontiguousarray(a, dtype=np.int32), self.like)

    def launch(self, name: str, blocks: int, *args: Any, shared: int = 0, **constants: int) -> None:
        loader.kernel(STAGE, name, **self.constants, **constants)((blocks,), (THREADS,), args, shared)

    def shifted_rows(self, x: Array) -> Array:
        """Return the rows, centred and of norm 1 if requested, minus a centre of their graph."""
        graphs, dimensions = self.tiles_of_graph.size, x.shape[1]
        rows = self.empty((self.n, dimensions), self.xp.float32)
        where = namespace.device(self.like)
        centre = self.xp.zeros((graphs, dimensions), dtype=self.xp.float64, device=where)
        graph_of_tile = self.device(self.graph_of_tile)
        spread = self.empty((self.n,), self.xp.float32)
        shift = (x, centre, self.row_of, graph_of_tile, rows, spread, np.int32(self.positions))
        blocks = -(-self.positions * 32 // THREADS)
        self.launch("shift_rows", blocks, *shift)
        self.launch("centres", graphs, rows, self.device(self.offsets), centre, shared=8 * THREADS)
        self.launch("shift_rows", blocks, *shift)
        check_spread(spread, STAGE)
        return rows

    def lay_out(self, row_of: Array) -> tuple[Array, Array, Array]:
        """Return the rows at these positions in columns, half their squared norms, and which they are."""
        positions = row_of.shape[0]
        columns = self.empty((int(self.constants["DIM"]), positions), self.xp.float32)
        half_norm = self.empty((positions,), self.xp.float32)
        arguments = (self.rows, row_of, columns, half_norm, np.int32(positions))
        self.launch("lay_out", -(-positions // THREADS), *arguments)
        return columns, half_norm, row_of

    def all_rows(self) -> tuple[Array, np.ndarray]:
        """Return the row at every position, -1 for padding, and the graph of every tile."""
        graph = np.repeat(np.arange(self.tiles_of_graph.size), self.tiles_of_graph)
        first = self.offsets[graph] + (np.arange(graph.size) - self.first_tile[graph]) * TILE
        steps = self.xp.arange(TILE, dtype=self.xp.int32, device=namespace.device(self.like))
        rows = self.device(first)[:, None] + steps[None, :]
        rows = self.xp.where(rows < self.device(self.offsets[graph + 1])[:, None], rows, -1)
        return self.xp.reshape(rows, (-1,)), graph

    def run(self) -> None:
        """Search by products, then by differences for the rows whose result is not proven."""
        columns, graph = self.lay_out(self.row_of), self.graph_of_tile
        unproven = self.pass_over(columns, columns, graph)
        again = namespace.to_numpy(self.xp.nonzero(unproven)[0])
        if again.size == 0:
            return
        graph_again = graph[again // TILE]
        counts = np.bincount(graph_again, minlength=self.tiles_of_graph.size)
        tiles = -(-counts // TILE)
        place = np.arange(again.size) - (np.cumsum(counts) - counts)[graph_again]
        place += ((np.cumsum(tiles) - tiles) * TILE)[graph_again]
        local = again - self.first_tile[graph_again] * TILE
        rows = np.full(int(tiles.sum()) * TILE, -1)
        rows[place] = self.offsets[graph_again] + local
        graph_of_tile = np.repeat(np.arange(tiles.size), tiles)
        for start in range(0, graph_of_tile.size, self.group):
            part = slice(start, start + self.group)
            queries = self.lay_out(self.device(rows[start * TILE : (start + self.group) * TILE]))
            self.pass_over(columns, queries, graph_of_tile[part], DIFFERENCE=1)

    def pass_over(
        self,
        columns: tuple[Array, Array, Array],
        queries: tuple[Array, Array, Array],
        graph_of_tile: np.ndarray,
        **constants: int,
    ) -> Array:
        """Search all tiles of queries, a group that fits the memory at a time; return which are unproven."""
        values, half_norm, rows = queries
        unproven = self.empty(rows.shape, self.xp.int32)
        slots = min(self.group, graph_of_tile.size) * TILE
        scores = self.empty((slots, self.capacity), self.xp.float32)
        listed = self.empty((slots, self.capacity), self.xp.int32)
        found = self.empty((slots,), self.xp.int32)
        for start in range(0, graph_of_tile.size, self.group):
            graph = graph_of_tile[start : start + self.group]
            tiles = np.stack(
                [
                    np.arange(start, start + graph.size) * TILE,
                    self.first_tile[graph] * TILE,
                    self.tiles_of_graph[graph],
                ]
            )
            self.launch(
                "shortlist",
                graph.size,
                values,
                rows,
                np.int32(rows.shape[0]),
                *columns,
                np.int32(self.positions),
                self.device(tiles),
                scores,
                listed,
                found,
                shared=self.shared,
                **constants,
            )
            self.launch(
                "refine",
                -(-graph.size * TILE * 32 // THREADS),
                self.rows,
                half_norm,
                rows,
                scores,
                listed,
                found,
                self.indices,
                self.distances,
                unproven,
                np.int32(start * TILE),
                np.int32(graph.size * TILE),
                **constants,
            )
        return unproven


def nearest(x: Array, k: int, offsets: np.ndarray, unit: bool = True) -> tuple[Array, Array]:
    """Return the k nearest rows of each row within its graph, and half their squared distances.

    Parameters
    ----------
    x : (N, D) float32 or float64 array on the device
        Finite rows.
    k : int
        From 1 to 64, less than the rows of every graph.
    offsets : (m + 1,) int array on the host
        Where each graph begins and ends.
    unit : bool
        Whether rows are centred and of norm 1 before, so that the result is one less their correlation.

    Returns
    -------
    indices (N, k) int32, distances (N, k) float32

    Raises
    ------
    StageError
        If rows that are to be of norm 1 are constant, k is above 64, or a row is too long for the shared
        memory of a block.
    """
    if k > MOST:
        raise StageError(
            STAGE, f"k is {k} and the search on a GPU goes to {MOST}", "give a smaller k, or a NumPy array"
        )
    search = _Search(loader.dense(x, x.dtype), k, offsets, unit)
    search.run()
    return search.indices, search.distances
