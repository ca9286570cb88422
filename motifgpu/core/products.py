"""Matrix products of which every row has the same bits, whatever the other rows are.

BLAS gives other bits for other shapes. So rows are multiplied in tiles of a fixed number, the last one
padded. On a processor a tile is one register panel of a BLAS kernel, the rows along its vector lanes, so that
a row has the same bits in every place of its tile: in tiles of 24, 32 or 192 float32 bits differ.
"""

from __future__ import annotations

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array

TILE = 16


def row_products(x: Array, weights: Array, tile: int = TILE) -> Array:
    """Return the products x @ weights.T, each row with the same bits whatever the others are.

    Parameters
    ----------
    x : (n, m) array
    weights : (k, m) array
        On the host, or of the dtype and on the device of `x`.
    tile : int
        Rows of a tile, the same wherever bits are to agree. Tiles of the usual size are multiplied many at a
        time; larger ones, which keep a GPU busy, one after another.

    Returns
    -------
    (n, k) array
        Of the dtype and on the device of `x`; its bits hold for a given number of BLAS threads.
    """
    xp = namespace.array_namespace(x)
    if isinstance(weights, np.ndarray):
        weights = np.ascontiguousarray(weights, dtype=namespace.dtype_name(x))
        weights = namespace.from_numpy(weights, x)
    (n, m), where = x.shape, namespace.device(x)
    result = xp.empty((n, weights.shape[0]), dtype=x.dtype, device=where)
    step = max(namespace.block_size(xp) // (tile * m), 1) * tile if tile == TILE else tile
    for begin in range(0, n, step):
        rows = x[begin : min(begin + step, n), :]
        count = rows.shape[0]
        if count % tile:
            empty = xp.zeros((-count % tile, m), dtype=x.dtype, device=where)
            rows = xp.concat([rows, empty], axis=0)
        tiles = xp.reshape(rows, (-1, tile, m) if tile == TILE else (tile, m))
        by_tile = xp.matrix_transpose(xp.matmul(weights, xp.matrix_transpose(tiles)))
        result[begin : begin + count, :] = xp.reshape(by_tile, (rows.shape[0], result.shape[1]))[:count, :]
    return result
