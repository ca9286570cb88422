"""An order of rows in which alike ones stand together."""

from __future__ import annotations

import numpy as np

SAMPLE, POWERS = 128, 6  # rows and steps by which the widest axis is found


def _along_widest(rows: np.ndarray) -> np.ndarray:
    """Return where rows lie along the axis of their largest variance, as a sample of them shows it."""
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    sample = sample - sample.mean(axis=0)
    axis = np.ones(rows.shape[1], rows.dtype)
    for _ in range(POWERS):
        axis = (sample @ axis) @ sample
        axis /= max(np.abs(axis).max(), np.float32(1e-30))
    place: np.ndarray = rows @ axis
    return place


def alike_order(rows: np.ndarray, unit: int) -> np.ndarray:
    """Return an order (n,) of rows (n, D) float32: halved along their widest axis, and halves again.

    Parts of up to two units are left as they are; halves begin at a multiple of a unit.
    """
    order = np.arange(rows.shape[0])
    parts = [(0, order.size)]
    while parts:
        begin, end = parts.pop()
        if end - begin > 2 * unit:
            part = order[begin:end]
            order[begin:end] = part[np.argsort(_along_widest(rows[part]))]
            middle = begin + -(-(end - begin) // 2 // unit) * unit
            parts += [(begin, middle), (middle, end)]
    return order
