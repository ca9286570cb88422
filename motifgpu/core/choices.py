"""What arguments that several stages share may be; the first of each is the default."""

SMOOTHINGS = ("auto", "fft", "svd")
LATTICES = ("auto", "none")
METRICS = ("correlation", "euclidean")
BACKENDS = ("auto", "numpy", "cupy")
FIGURES = ("png", "svg", "pdf", "none")  # forms of the files that figures are written to


def either(choices: tuple[str, ...]) -> str:
    """Return choices as a message names them: ``"auto, fft or svd"``."""
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))
