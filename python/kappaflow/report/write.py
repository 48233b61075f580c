"""The report on disk: each file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from .._files import write_bytes
from ..consistency.prediction import Prediction
from .embed import DRAWINGS, Encoded, encode
from .look import Format
from .page import render_page

_FORMATS: tuple[Format, ...] = ("svg", "png")


def write_report(prediction: Prediction, directory: str | os.PathLike[str], *, facts: Mapping[str, str]) -> Path:
    """Write ``report.html`` and ``figures/<name>.svg`` and ``.png`` into a directory, which is made if need be.

    Files are written as :func:`write_files` does it.

    Parameters
    ----------
    prediction : what to show
    directory : where to write
    facts : rows of the page's footer, see :func:`~kappaflow.report.render_page`

    Returns
    -------
    Path
        The page.
    """
    figures = encode(prediction)
    page = render_page(prediction, facts=facts, figures=figures)
    return write_files(directory, page, figures, DRAWINGS)


def write_files(directory: str | os.PathLike[str], page: str, figures: Encoded, names: Iterable[str]) -> Path:
    """Write a page as ``report.html`` and its figures beside it into a directory, which is made if need be.

    The page is written last, so that a page on disk always has its figures. Every file is written beside its place
    and moved there; whatever interrupts, no half-written file and no temporary file remains. Figures of an earlier
    report that this one does not have are removed.

    Parameters
    ----------
    directory : where to write
    page : HTML
    figures : the encoded figures of this report
    names : every figure that reports of this kind may have

    Returns
    -------
    Path
        The page.
    """
    target = Path(directory)
    folder = target / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for kind in _FORMATS:
            path = folder / f"{name}.{kind}"
            if name in figures:
                write_bytes(path, figures[name][kind])
            else:
                path.unlink(missing_ok=True)
    report = target / "report.html"
    write_bytes(report, page.encode("utf-8"))
    return report
