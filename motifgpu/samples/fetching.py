"""Where a sample lies on this machine, fetched first where it has to be."""

from __future__ import annotations

from pathlib import Path

from motifgpu.core.errors import StageError
from motifgpu.samples.catalogue import SAMPLES


def path(name: str) -> Path:
    """Return the file of a sample.

    Simulated samples come with motifgpu. Real ones are fetched from where their authors publish them, once,
    into the cache folder of the user, and checked against their SHA-256; for that pooch has to be installed.

    Parameters
    ----------
    name : str
        One of `motifgpu.samples.SAMPLES`, which says what each shows and its licence.

    Returns
    -------
    Path

    Raises
    ------
    StageError
        If there is no such sample, pooch is not installed, or the file cannot be had or is another one.

    Examples
    --------
    Analyse a sample:

    >>> import motifgpu
    >>> analysis = motifgpu.analyze(motifgpu.samples.path("MoSe2_defects"), structure=False)
    >>> len(analysis.motifs.counts) > 2
    True
    """
    if name not in SAMPLES:
        raise StageError("samples", f"there is no sample {name!r}", f"choose one of {', '.join(SAMPLES)}")
    sample = SAMPLES[name]
    if not sample.address:
        return Path(__file__).parent / sample.file
    try:
        import pooch
    except ImportError as error:
        raise StageError(
            "samples",
            f"{name} has to be fetched, and pooch cannot be imported ({error})",
            "install it: pip install 'motifgpu[samples]'",
        ) from error
    try:
        found = pooch.retrieve(
            sample.address,
            f"sha256:{sample.sha256}",
            sample.file,
            pooch.os_cache("motifgpu"),
            downloader=pooch.HTTPDownloader(timeout=30),
        )
    except (OSError, ValueError) as error:  # no network, no such file; another file than that of the hash
        raise StageError(
            "samples",
            f"{name} cannot be had from {sample.address} ({error})",
            "check the network; "
            + f"{', '.join(key for key, one in SAMPLES.items() if not one.address)} need none",
        ) from error
    return Path(found)
