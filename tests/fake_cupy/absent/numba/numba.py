"""Numba as it is where NumPy is too new for it."""

raise ImportError("Numba needs NumPy 2.5 or less. Got NumPy 2.6.")
