"""Figures as parts of a page: inline SVG without clashing identifiers, or a PNG data URI."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Generic, TypeVar

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from .._files import write_bytes
from . import look
from .page import inline

#: The bytes of each figure by name and format.
Encoded = dict[str, dict[look.Format, bytes]]
#: What a report is about.
Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Drawing(Generic[Subject]):
    """A figure of a report.

    Attributes
    ----------
    draw : the function that draws it
    raster : whether the page embeds it as PNG, for figures made of pixels
    """

    draw: Callable[[Subject], Figure]
    raster: bool = False


def encode_each(subject: Subject, drawings: Mapping[str, Drawing[Subject]], names: Iterable[str]) -> Encoded:
    """The named figures of any report in every format, each drawn once."""
    return {name: look.save(drawings[name].draw(subject), ["svg", "png"]) for name in names}


def picture(name: str, encoded: Mapping[look.Format, bytes], alternative: str, *, raster: bool) -> Markup:
    """A figure as an HTML element with its alternative text: its PNG where it is made of pixels, else its SVG."""
    if raster:
        data = base64.b64encode(encoded["png"]).decode("ascii")
        return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(Markup(data), alternative)
    return Markup(inline(encoded["svg"].decode("utf-8"), name, alternative))


_FORMATS: tuple[look.Format, ...] = ("svg", "png")


@dataclass(frozen=True)
class Quantity:
    """A number with the words around it; `raw` is the unrounded value for the ``data`` element, empty for words."""

    label: str
    text: str
    raw: str
    hint: str


@dataclass(frozen=True)
class Cell:
    """A table cell: rounded text and unrounded value."""

    text: str
    raw: str


@dataclass(frozen=True)
class Row:
    """A table row: its header and its cells."""

    header: str
    cells: tuple[Cell, ...]


def environment() -> Environment:
    """The templates of all reports: everything is escaped, and an undefined name is an error."""
    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _template(name: str) -> str:
    return files("kappaflow.report").joinpath("templates", name).read_text(encoding="utf-8")


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
