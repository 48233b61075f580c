"""A document on disk: each file whole or not at all."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from pathlib import Path

from .._files import write_bytes
from .._files_inside import file_inside
from .document import Cell, Document, Table, Value
from .look import Format
from .page import draw, page

__all__ = ["table_text", "write"]

_FORMATS: tuple[Format, ...] = ("svg", "png")


def write(document: Document, directory: str | os.PathLike[str], *, png: bool = False) -> Path:
    """Write ``report.html``, ``figures/<name>`` and ``tables/<name>.csv`` into a directory, which is made if need be.

    Figures are SVG, those that are made of pixels PNG. The page is written last, so that a page on disk always has its
    figures; whatever interrupts, no half-written file remains. Figures and tables that the earlier page in this
    directory had and this one has not are removed, unless a link leads out of the directory.

    Parameters
    ----------
    document : what to write
    directory : where to write
    png : whether every figure is written as PNG too

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OSError
        A file could not be written.
    """
    target = Path(directory)
    figures = draw(document, png=png)
    text = page(document, figures)
    contents = {
        f"figures/{name}.{format}": content for name, each in figures.items() for format, content in each.items()
    }
    contents |= {f"tables/{table.name}.csv": table_text(table).encode() for table in document.tables if table.file}
    report = target / "report.html"
    former = _files_of(report)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    write_bytes(report, text.encode())
    for name in former - contents.keys():
        file = file_inside(target, name)
        if file is not None:
            file.unlink(missing_ok=True)
    return report


def _files_of(report: Path) -> set[str]:
    """Files that an earlier page may have beside it: those of its figures and tables."""
    if not report.is_file():
        return set()
    text = report.read_text(encoding="utf-8", errors="replace")
    figures = re.findall(r'<figure id="figure-([A-Za-z][\w-]*)"', text)
    tables = re.findall(r"<summary>Table: tables/([A-Za-z][\w-]*)\.csv</summary>", text)
    return {f"figures/{name}.{format}" for name in figures for format in _FORMATS} | {
        f"tables/{name}.csv" for name in tables
    }


def table_text(table: Table) -> str:
    """A table as CSV: a line of headings, numbers to full precision, nothing if there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_exact(value) for value in row] for row in zip(*table.columns.values(), strict=True))
    return buffer.getvalue()


def _exact(value: Value) -> str:
    if isinstance(value, Cell):
        value = value.text if value.value is None else value.value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else repr(value)
