"""Former names of public things, which work and warn."""

from __future__ import annotations

import warnings


def warn_renamed(former: str, present: str) -> None:
    """Warn the caller of a property or function that `former` is now called `present`."""
    warnings.warn(f"{former} is now called {present}", DeprecationWarning, stacklevel=3)
