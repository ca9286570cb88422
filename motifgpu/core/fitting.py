"""Numbers of the fit of columns that its code for the CPU, its kernel and those who call it share."""

from __future__ import annotations

# Half the side of the window a column is fitted in, px of the band's grid; columns stand about 5 px apart.
REACH = 3
# Standard deviation of columns, px of the grid: what it may become, and what is usual.
NARROWEST, USUAL, WIDEST = 0.6, 1.1, 2.5
# Longest move along an axis in a step, px, and least height in that of the median.
LONGEST, LEAST = 0.7, 0.02
# What is added to the normal matrices, where all pixels are known and where some may not be.
RIDGE, RIDGE_UNKNOWN = 1e-6, 1e-4
# What is added to the square by height beside its share, so that nothing known is no division by 0.
LEAST_SQUARE = 1e-3


def ridge(known: object) -> float:
    """Return the share that is added to normal matrices, `known` being None where all pixels are known."""
    return RIDGE if known is None else RIDGE_UNKNOWN
