"""Kinds of plane lattices, their fixed setting, and the integer matrices that keep them."""

from __future__ import annotations

import itertools

import numpy as np

# Lengths within this share and angles within so many degrees count as equal: drift of 4 % passes.
_LENGTH, _ANGLE = 0.07, 4.5


def angle_between(u: np.ndarray, v: np.ndarray) -> float:
    """Return the angle from `u` to `v`, both (row, col), counter-clockwise as displayed, 0 to 360 degrees."""
    turn = np.arctan2(-v[0], v[1]) - np.arctan2(-u[0], u[1])
    return float(np.rad2deg(turn) % 360)


def reduced(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shortest basis of the lattice that `a` and `b` span (Gauss reduction), shorter one first."""
    for _ in range(100):
        if np.dot(a, a) > np.dot(b, b):
            a, b = b, a
        step = round(float(np.dot(a, b) / np.dot(a, a)))
        if step == 0:
            break
        b = b - step * a
    return a, b


def kind_of(u: np.ndarray, v: np.ndarray) -> str:
    """Return the kind of the lattice with the reduced basis `u`, `v`.

    Returns
    -------
    {"hexagonal", "square", "rectangular", "centred rectangular", "oblique"}
    """
    short, long = sorted((float(np.hypot(*u)), float(np.hypot(*v))))
    angle = angle_between(u, v) % 180
    acute = min(angle, 180 - angle)
    equal = long - short <= _LENGTH * short
    if abs(acute - 90) <= _ANGLE:
        return "square" if equal else "rectangular"
    if equal:
        return "hexagonal" if abs(acute - 60) <= _ANGLE else "centred rectangular"
    # The longer vector ends above the middle of the shorter one: the other primitive cell of a centred
    # lattice.
    along = abs(float(np.dot(u, v))) / short**2
    return "centred rectangular" if abs(along - 0.5) <= _LENGTH else "oblique"


def standard_setting(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the fixed choice of basis of the lattice with the reduced basis `a`, `b`, and its kind.

    `u` is the short lattice vector nearest to +col, `v` lies counter-clockwise from it as displayed, at 120
    degrees where the lattice is hexagonal.
    """
    kind = kind_of(a, b)
    short = [a, -a, b, -b]
    if kind == "hexagonal":
        c = a - b if np.dot(a, b) > 0 else a + b
        short += [c, -c]
    column = np.array([0.0, 1.0])

    def turn(vector: np.ndarray) -> float:
        angle = angle_between(column, vector)
        return angle if angle < 180 else angle - 360

    u = min(short, key=lambda vector: (round(abs(turn(vector)), 6), -turn(vector)))
    wanted = 120.0 if kind == "hexagonal" else 90.0
    others = [w for w in short if 20 < angle_between(u, w) < 160]
    v = min(others, key=lambda vector: abs(angle_between(u, vector) - wanted))
    return u, v, kind


def metric(kind: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the Gram matrix of the basis with the lengths and angles that its kind makes equal set equal."""
    gram = np.array([[u @ u, u @ v], [u @ v, v @ v]], float)
    equal: np.ndarray
    if kind == "hexagonal":
        equal = (gram[0, 0] + gram[1, 1]) / 2 * np.array([[1.0, -0.5], [-0.5, 1.0]])
        return equal
    if kind == "square":
        equal = np.trace(gram) / 2 * np.eye(2)
        return equal
    if kind == "rectangular":
        return np.diag(np.diag(gram))
    if kind == "centred rectangular":
        if abs(np.sqrt(gram[0, 0]) - np.sqrt(gram[1, 1])) <= _LENGTH * np.sqrt(gram.diagonal().min()):
            gram[0, 0] = gram[1, 1] = np.trace(gram) / 2
        else:
            shorter = int(gram[1, 1] < gram[0, 0])
            gram[0, 1] = gram[1, 0] = np.sign(gram[0, 1]) * gram[shorter, shorter] / 2
    return gram


def holohedry(gram: np.ndarray) -> np.ndarray:
    """Return the integer matrices (g, 2, 2) that keep the metric `gram`, the identity first.

    A matrix M takes the lattice coordinates of a point to those of its image: 12 matrices for a hexagonal
    lattice, 8 for a square one, 4 for rectangular ones and 2 otherwise.
    """
    kept = []
    for entries in itertools.product((-1, 0, 1), repeat=4):
        m = np.array(entries).reshape(2, 2)
        if (
            abs(round(float(np.linalg.det(m)))) == 1
            and np.abs(m.T @ gram @ m - gram).max() < 1e-6 * gram.max()
        ):
            kept.append(m)
    kept.sort(key=lambda m: (not np.array_equal(m, np.eye(2)), -np.linalg.det(m), tuple(m.ravel())))
    return np.array(kept)
