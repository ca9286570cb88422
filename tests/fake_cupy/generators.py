"""Random numbers of the stand-in, ``cupy.random``: NumPy's, on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from fake_cupy import counts, surface
from fake_cupy.arrays import check_devices, refuse_host, unwrap, wrap


class Generator:
    """As ``cupy.random.Generator``."""

    def __init__(self, bit_generator: Any = None) -> None:
        self._host = np.random.default_rng(bit_generator)

    def __getattr__(self, name: str) -> Any:
        if not surface.has("cupy.random.Generator", name):
            raise AttributeError(f"'Generator' object has no attribute {name!r}")
        return _drawn("cupy.random.Generator", name, getattr(self._host, name))


def _drawn(home: str, name: str, host: Any) -> Any:
    known = surface.signature(surface.CUPY[home][name])

    def draw(*args: Any, **kwargs: Any) -> Any:
        surface.check_call(f"{home}.{name}", known, args, kwargs)
        refuse_host(f"{home}.{name}", *args, *kwargs.values())
        check_devices(args, list(kwargs.values()))
        counts.launch()
        return wrap(host(*map(unwrap, args), **{key: unwrap(value) for key, value in kwargs.items()}))

    return draw


def default_rng(seed: Any = None) -> Generator:
    """As ``cupy.random.default_rng``."""
    return Generator(seed)


_shared = Generator(0)


def names() -> dict[str, Any]:
    """Return what ``cupy.random`` has and the stand-in can do, by name."""

    def typed(name: str) -> Any:
        # NumPy's generators make float32, its functions of the module do not.
        def draw(*size: Any, dtype: Any = float) -> np.ndarray:
            made: np.ndarray = getattr(_shared._host, name)(size[0] if len(size) == 1 else size or None)
            return np.asarray(made, dtype)

        return draw

    found: dict[str, Any] = {"Generator": Generator, "default_rng": default_rng}
    for name in ("random", "standard_normal", "random_sample"):
        host = typed("random" if name == "random_sample" else name)
        found[name] = _drawn("cupy.random", name, host)
    for name in ("permutation", "shuffle", "normal", "uniform", "poisson", "choice"):
        found[name] = _drawn("cupy.random", name, getattr(_shared._host, name))
    return found
