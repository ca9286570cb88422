"""Exact nearest neighbours on a GPU: launches ``kernels/neighbors.cu``."""

from __future__ import annotations

import functools
import logging
from itertools import pairwise
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
FEWEST = 33  # tiles of a graph from which on some are left out
CONSTANTS = {"TILE": TILE, "THREADS": THREADS, "SLACK": SLACK, "FEWEST": FEWEST}
EIGHT = 8  # values of a chunk of 16 bytes
# How scores are computed: by products on tensor cores, by products in float32, by differences. What one does
# not prove is left to the next.
FORMS = {"tensor": {"TENSOR": 1}, "product": dict[str, int](), "difference": {"DIFFERENCE": 1}}
IN_FLOAT32 = "product", "difference"
PIVOTS, ORDERED = (
    64,
    2**14,
)  # alike rows share tiles in graphs of so many rows: those nearest to one of the pivots
SAMPLE = 150  # rows on which tensor cores are tried

_log = logging.getLogger("motifgpu")


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
        chunks = 2 * -(-dimensions // EIGHT)
        product = 4 * TILE * (padded + 2 * depth + 3)
        self.shared = {
            "tensor": TILE * (3 * 16 * chunks + 4 * 5) + 4 * (THREADS + 5),
            "product": product,
            "difference": product,
        }
        loader.check_shared(
            STAGE, product, f"a search over {dimensions} values per row", "give fewer values per row"
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
            "CHUNKS": chunks,
            "LISTED": listed,
            "CAPACITY": self.capacity,
            "K": k,
            "UNIT": int(unit),
            "VALUE": "double" if namespace.dtype_name(x) == "float64" else "float",
            "INDEX": loader.index_type(
                max(self.positions * max(padded, 4 * chunks), self.n * max(k, dimensions))
            ),
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

    def lay_out(self, row_of: Array, form: str) -> tuple[Array, Array, Array]:
        """Return rows at positions as a form takes them, half their squared norms, and their numbers."""
        positions = row_of.shape[0]
        half_norm = self.empty((positions,), self.xp.float32)
        if form == "tensor":
            name, shape, dtype = "split_rows", (positions, 4 * int(self.constants["CHUNKS"])), self.xp.uint32
        else:
            name, shape, dtype = "lay_out", (int(self.constants["DIM"]), positions), self.xp.float32
        values = self.empty(shape, dtype)
        arguments = (self.rows, row_of, values, half_norm, np.int32(positions))
        self.launch(name, -(-positions // THREADS), *arguments, **FORMS[form])
        return values, half_norm, row_of

    def all_rows(self) -> tuple[Array, np.ndarray]:
        """Return the row at every position, -1 for padding, and the graph of every tile."""
        graph = np.repeat(np.arange(self.tiles_of_graph.size), self.tiles_of_graph)
        first = self.offsets[graph] + (np.arange(graph.size) - self.first_tile[graph]) * TILE
        steps = self.xp.arange(TILE, dtype=self.xp.int32, device=namespace.device(self.like))
        rows = self.device(first)[:, None] + steps[None, :]
        rows = self.xp.where(rows < self.device(self.offsets[graph + 1])[:, None], rows, -1)
        return self.xp.reshape(rows, (-1,)), graph

    def fits(self, form: str) -> bool:
        """Say whether a block of the current device has the shared memory for a form."""
        return bool(self.shared[form] <= loader.current_device().shared_bytes)

    def put_alike_together(self) -> None:
        """Order the rows of large graphs so that alike ones share tiles, which changes no result."""
        xp = self.xp
        for graph in np.flatnonzero(np.diff(self.offsets) >= ORDERED).tolist():
            begin, end = (int(at) for at in self.offsets[graph : graph + 2])
            pivots = self.rows[begin : end : -(-(end - begin) // PIVOTS), :]
            lengths = 0.5 * xp.sum(pivots * pivots, axis=1)
            step = max(1, namespace.block_size(xp) // PIVOTS)
            nearest = [
                xp.argmax(self.rows[at : min(at + step, end), :] @ pivots.T - lengths, axis=1)
                for at in range(begin, end, step)
            ]
            order = xp.argsort(xp.concat(nearest), stable=True) + begin
            first = int(self.first_tile[graph]) * TILE
            self.row_of[first : first + end - begin] = xp.astype(order, xp.int32)

    def balls(self) -> tuple[Array, Array]:
        """Return the centre (D, tiles) and the radius (tiles,) of the ball about the rows of every tile."""
        tiles = self.positions // TILE
        centres = self.empty((self.rows.shape[1], tiles), self.xp.float32)
        radii = self.empty((tiles,), self.xp.float32)
        shared = 4 * (self.rows.shape[1] + THREADS // 32)
        self.launch("balls", tiles, self.rows, self.row_of, centres, radii, shared=shared, **FORMS["tensor"])
        return centres, radii

    def run(self, *forms: str) -> None:
        """Search in these forms, each for the rows that the one before did not prove."""
        if forms[0] == "tensor":
            self.put_alike_together()
        columns = self.lay_out(self.row_of, forms[0])
        again = self.pass_over(forms[0], columns, columns, self.graph_of_tile)
        for before, form in pairwise(forms):
            if again.size == 0:
                return
            if before == "tensor":  # the other two have one layout
                columns = self.lay_out(self.row_of, form)
            rows, graph_of_tile = self.packed(again)
            parts = []
            for start in range(0, graph_of_tile.size, self.group):
                part = slice(start, start + self.group)
                queries = self.lay_out(self.device(rows[start * TILE : (start + self.group) * TILE]), form)
                parts.append(self.pass_over(form, columns, queries, graph_of_tile[part]))
            again = np.concatenate(parts)

    def packed(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return some rows at positions of their own, -1 for padding, and the graph of every tile."""
        graph = np.searchsorted(self.offsets, rows, side="right") - 1
        counts = np.bincount(graph, minlength=self.tiles_of_graph.size)
        tiles = -(-counts // TILE)
        place = np.arange(rows.size) - (np.cumsum(counts) - counts)[graph]
        place += ((np.cumsum(tiles) - tiles) * TILE)[graph]
        placed = np.full(int(tiles.sum()) * TILE, -1)
        placed[place] = rows
        return placed, np.repeat(np.arange(tiles.size), tiles)

    def pass_over(
        self,
        form: str,
        columns: tuple[Array, Array, Array],
        queries: tuple[Array, Array, Array],
        graph_of_tile: np.ndarray,
    ) -> np.ndarray:
        """Search all tiles of queries, a group that fits the memory at a time; return the unproven rows."""
        values, half_norm, rows = queries
        constants = FORMS[form]
        arguments: tuple[Any, ...]
        unproven = self.empty(rows.shape, self.xp.int32)
        slots = min(self.group, graph_of_tile.size) * TILE
        scores = self.empty((slots, self.capacity), self.xp.float32)
        listed = self.empty((slots, self.capacity), self.xp.int32)
        found = self.empty((slots,), self.xp.int32)
        if form == "tensor":  # queries are all rows
            balls, self.visited = self.balls(), self.empty((graph_of_tile.size,), self.xp.int32)
        for start in range(0, graph_of_tile.size, self.group):
            graph = graph_of_tile[start : start + self.group]
            tiles = np.stack(
                [
                    np.arange(start, start + graph.size) * TILE,
                    self.first_tile[graph] * TILE,
                    self.tiles_of_graph[graph],
                ]
            )
            lists = (self.device(tiles), scores, listed, found)
            if form == "tensor":
                visited = self.visited[start : start + graph.size]
                tiles_of_all = np.int32(self.positions // TILE)
                name, arguments = "shortlist_tensor", (*columns, *balls, tiles_of_all, *lists, visited)
            else:
                width, all_of_them = np.int32(rows.shape[0]), np.int32(self.positions)
                name, arguments = "shortlist", (values, rows, width, *columns, all_of_them, *lists)
            self.launch(name, graph.size, *arguments, shared=self.shared[form], **constants)
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
        if form == "difference":
            return np.empty(0, np.int64)
        where = self.xp.nonzero(unproven)[0]
        return namespace.to_numpy(self.xp.take(rows, where)).astype(np.int64)


@functools.lru_cache(maxsize=64)
def _sample(dimensions: int) -> np.ndarray:
    """Return rows of three clusters, wide, close and so close that products do not tell their rows apart."""
    rng = np.random.default_rng(0)
    width = np.repeat([1.0, 0.1, 1e-4], SAMPLE // 3)[:, None]
    rows = rng.normal(size=(3, dimensions)).repeat(SAMPLE // 3, axis=0)
    return (rows + width * rng.normal(size=rows.shape)).astype(np.float32)


_agreed: dict[tuple[str, int, int], bool] = {}  # by device, values in a row and neighbours


def tensor_cores_agree(like: Array, k: int) -> bool:
    """Say whether the search on the tensor cores of this device gives the bits of the one in float32.

    It is tried when it is first needed on a kind of device, on rows of as many values as those of `like`.
    """
    device, dimensions = loader.current_device(), int(like.shape[1])
    key = device.name, dimensions, k
    if key not in _agreed:
        sample, ends = namespace.from_numpy(_sample(dimensions), like), np.array([0, SAMPLE])
        mine, wanted = (_Search(sample, k, ends, unit=True) for _ in range(2))
        mine.run(*FORMS)
        wanted.run(*IN_FLOAT32)
        same = (mine.indices == wanted.indices) & (mine.distances == wanted.distances)
        _agreed[key] = bool(mine.xp.all(same))
        if not _agreed[key]:
            _log.warning(
                "neighbors: the tensor cores of %s find other neighbours than float32 in rows of %d values, "
                "and are not used",
                device.name,
                dimensions,
            )
    return _agreed[key]


def nearest(x: Array, k: int, offsets: np.ndarray, unit: bool = True) -> tuple[Array, Array]:
    """Return the k nearest rows of each row within its graph, and half their squared distances.

    Parameters
    ----------
    x : (N, D) float32 or float64 array on the device
        Finite rows; with `unit` False, of values below 8.
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
    x = loader.dense(x, x.dtype)
    search = _Search(x, k, offsets, unit)
    usable = loader.current_device().tensor_cores and search.fits("tensor") and tensor_cores_agree(x, k)
    search.run(*(FORMS if usable else IN_FLOAT32))
    return search.indices, search.distances
