"""Stands in for cupy.cuda.nvrtc, see ``fake_cupy``."""


def getVersion() -> tuple[int, int]:
    """Return the version of the compiler."""
    return 13, 0
