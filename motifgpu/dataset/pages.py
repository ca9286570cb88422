"""The pages of single micrographs of a run, which are made when they are wanted."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from motifgpu.analysis import Analysis
from motifgpu.core.errors import StageError
from motifgpu.core.files import readable
from motifgpu.dataset.reanalyze import reanalyze
from motifgpu.report.folder import write_report
from motifgpu.store import layout
from motifgpu.store.read import RunFolder


def page_folder(run: RunFolder, micrograph: str) -> Path:
    """Return the folder of the page of one micrograph, which may not be there yet.

    Raises
    ------
    StageError
        If there is none of this name, or the folder is a link to another place.
    """
    folder = run.path / layout.PAGES / run.find(micrograph).key
    if not folder.resolve().is_relative_to(run.path.resolve()):
        raise StageError(layout.STAGE, f"{folder} leads out of the run", "remove that link")
    return folder


def reviewed(run: RunFolder, micrograph: str) -> Analysis:
    """Return the analysis of one micrograph, with what was decided of it in ``motifgpu view``.

    Raises
    ------
    StageError, MicrographReadError
        As of `motifgpu.Run.analysis`.
    """
    archive = page_folder(run, micrograph) / layout.ARCHIVE
    return Analysis.load(archive) if archive.exists() else reanalyze(run, micrograph)


def write_page(run: RunFolder, micrograph: str, figures: str = "png") -> Path:
    """Write the page of one micrograph and return its path; errors are those of `reviewed`."""
    back = Markup('<p class="where"><a href="../../{}">{}</a></p>').format(
        layout.REPORT, readable(run.path.absolute().name)
    )
    found, folder = reviewed(run, micrograph), page_folder(run, micrograph)
    return write_report(found, folder, linked=True, figures=figures, above=back)
