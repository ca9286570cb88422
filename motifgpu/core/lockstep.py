"""What is asked of a device for several images at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from motifgpu.core.namespace import Array


def together(function: Callable[[Sequence[tuple[Any, ...]]], Sequence[Any]]) -> Callable[..., Any]:
    """Return a function of what is asked for one image, from one that answers for several.

    Parameters
    ----------
    function : callable
        Takes the arguments of every image and returns an answer for each.
    """

    @functools.wraps(function)
    def ask(*arguments: Any) -> Any:
        return function([arguments])[0]

    return ask


def stacked(arrays: Sequence[Array]) -> Array:
    """Return arrays (...) of several images as one (b, ...)."""
    return arrays[0][None, ...]


def parts(stack: Array, limits: Sequence[int] | None = None) -> list[Array]:
    """Return the arrays of several images: (b, ...) one by one, or (n, ...) between limits (b + 1,)."""
    if limits is None:
        return [stack[k, ...] for k in range(stack.shape[0])]
    return [stack[int(a) : int(b), ...] for a, b in pairwise(limits)]
