"""Lattice animals: the exact expected number of components of a random grid."""

from __future__ import annotations

from collections.abc import Iterable

STEPS = {
    4: ((1, 0), (0, 1), (-1, 0), (0, -1)),
    6: ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, -1)),
}
Animal = frozenset[tuple[int, int]]


def placed(cells: Iterable[tuple[int, int]]) -> Animal:
    """Move an animal so that its least row and column are 0."""
    cells = list(cells)
    i, j = min(a for a, _ in cells), min(b for _, b in cells)
    return frozenset((a - i, b - j) for a, b in cells)


def perimeter(animal: Animal, neighborhood: int) -> set[tuple[int, int]]:
    """Return the cells that touch an animal."""
    return {(i + a, j + b) for i, j in animal for a, b in STEPS[neighborhood]} - animal


def animals(size: int, neighborhood: int) -> list[set[Animal]]:
    """Return all fixed animals of 1 to `size` cells."""
    result = [{placed([(0, 0)])}]
    while len(result) < size:
        result.append(
            {placed([*animal, cell]) for animal in result[-1] for cell in perimeter(animal, neighborhood)}
        )
    return result


def expected_components(shape: tuple[int, int], p: float, size: int, neighborhood: int) -> list[float]:
    """Return how many components of 1 to `size` cells, not at the rim, a random grid has on average."""
    result = []
    for kinds in animals(size, neighborhood):
        total = 0.0
        for animal in kinds:
            around = perimeter(animal, neighborhood)
            every = around | animal
            tall = max(i for i, _ in every) - min(i for i, _ in every) + 1
            wide = max(j for _, j in every) - min(j for _, j in every) + 1
            places = max(shape[0] - tall + 1, 0) * max(shape[1] - wide + 1, 0)
            total += places * p ** len(animal) * (1 - p) ** len(around)
        result.append(total)
    return result
