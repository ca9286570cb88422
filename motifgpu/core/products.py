"""Matrix products of which every row has the same bits, whatever the other rows are.

BLAS gives other bits for other shapes. So rows are multiplied in tiles of a fixed number, the last one
padded. On a processor a tile is one register panel of a BLAS kernel, the rows along its vector lanes, so that
a row has the same bits in every place of its tile: in tiles of 24, 32 or 192 float32 bits differ.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array

TILE = 16  # rows


def in_tiles(x: Array, xp: ModuleType, tile: int = TILE) -> Array:
    """Return rows (n, m) in tiles (t, tile, m), the last one padded with zeros.

    Tiles of another size than usual, such as keep a GPU busy, are multiplied one after another: they are
    given at most `tile` rows and return (tile, m).
    """
    n, m = x.shape
    if n % tile:
        empty = xp.zeros((-n % tile, m), dtype=x.dtype, device=namespace.device(x))
        x = xp.concat([x, empty], axis=0)
    return xp.reshape(x, (-1, tile, m) if tile == TILE else (tile, m))


def tile_products(tiles: Array, weights: Array, xp: ModuleType) -> Array:
    """Return the products (..., tile, k) of the rows of tiles (..., tile, m) with weights (k, m)."""
    return xp.matrix_transpose(xp.matmul(weights, xp.matrix_transpose(tiles)))


def row_products(x: Array, weights: np.ndarray) -> Array:
    """Return the products (n, k) of rows (n, m) with weights (k, m) that are on the host.

    Each row has the same bits whatever the others are, for a given number of BLAS threads.
    """
    xp = namespace.array_namespace(x)
    there = namespace.as_like(np.ascontiguousarray(weights), x)
    (n, m), k = x.shape, weights.shape[0]
    result = xp.empty((n, k), dtype=x.dtype, device=namespace.device(x))
    step = max(namespace.block_size(xp) // (TILE * m), 1) * TILE
    for begin in range(0, n, step):
        end = min(begin + step, n)
        tiles = in_tiles(x[begin:end, :], xp)
        products = tile_products(tiles, there, xp)
        result[begin:end, :] = xp.reshape(products, (tiles.shape[0] * TILE, k))[: end - begin, :]
    return result
