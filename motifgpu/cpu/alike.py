"""An order of rows in which alike ones stand together."""

from __future__ import annotations

import numpy as np

from motifgpu import cpu

SAMPLE, POWERS = 128, 6  # rows and steps by which the widest axis is found


@cpu.compiled(nogil=True, error_model="numpy", fastmath=True)
def _along_widest(rows: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return where some rows lie along the axis of their largest variance, as a sample of them shows it."""
    columns = rows.shape[1]
    step = max(1, which.size // SAMPLE)
    middle, axis = np.zeros(columns, np.float32), np.ones(columns, np.float32)
    for i in range(0, which.size, step):
        middle += rows[which[i]]
    middle /= np.float32((which.size - 1) // step + 1)
    for _ in range(POWERS):
        turned = np.zeros(columns, np.float32)
        for i in range(0, which.size, step):
            row, share = rows[which[i]], np.float32(0)
            for d in range(columns):
                share += (row[d] - middle[d]) * axis[d]
            for d in range(columns):
                turned[d] += share * (row[d] - middle[d])
        axis = turned / max(np.abs(turned).max(), np.float32(1e-30))
    place = np.zeros(which.size, np.float32)
    for i in range(which.size):
        row, share = rows[which[i]], np.float32(0)
        for d in range(columns):
            share += row[d] * axis[d]
        place[i] = share
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
            order[begin:end] = part[np.argsort(_along_widest(rows, part))]
            middle = begin + -(-(end - begin) // 2 // unit) * unit
            parts += [(begin, middle), (middle, end)]
    return order
