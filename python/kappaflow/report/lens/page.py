"""The linear lens as one HTML page that needs nothing beside itself, and on disk with its figures and tables."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..._files import write_bytes
from ..embed import Encoded, picture
from ..look import save
from ..page import environment
from ..words import number
from ..write import write_files
from .window import Table, Window

__all__ = ["encode_windows", "render_lens_page", "table_text", "write_lens_report"]

#: Longer tables are left to their files.
_ROWS_SHOWN = 40


def encode_windows(windows: Sequence[Window]) -> Encoded:
    """Every figure of every window in every format, each drawn once."""
    return {one.name: save(one.draw()) for window in windows for one in window.pictures}


def render_lens_page(
    windows: Sequence[Window],
    *,
    source: str,
    population: str,
    notes: Sequence[str] = (),
    facts: Mapping[str, str],
    figures: Encoded | None = None,
) -> str:
    """The windows as a self-contained HTML page.

    Parameters
    ----------
    windows : in the order of the page
    source : name of the data
    population : what is known of them, a sentence
    notes : what to read first, such as windows that are left out
    facts : rows of the footer as label → text; plain text, escaped here
    figures : the encoded figures where they have been drawn already

    Returns
    -------
    str
        HTML with inline style and figures; the same arguments give the same text.

    Raises
    ------
    ValueError
        No window.
    """
    if not windows:
        raise ValueError("windows must hold at least one window, got none")
    encoded = encode_windows(windows) if figures is None else figures
    drawn = {
        one.name: picture(one.name, encoded[one.name], one.alternative, raster=one.raster)
        for window in windows
        for one in window.pictures
    }
    return (
        environment()
        .get_template("lens.html.j2")
        .render(
            windows=windows, source=source, population=population, notes=list(notes), figures=drawn, facts=dict(facts),
            rows={table.name: _rows(table) for window in windows for table in window.tables},
        )
    )  # fmt: skip


def write_lens_report(
    windows: Sequence[Window],
    directory: str | os.PathLike[str],
    *,
    source: str,
    population: str,
    notes: Sequence[str] = (),
    facts: Mapping[str, str],
) -> Path:
    """Write ``report.html``, ``figures/<name>.svg`` and ``.png`` and ``tables/<name>.csv`` into a directory.

    Parameters as of :func:`render_lens_page`. Every file is written whole or not at all; the page comes last.

    Returns
    -------
    Path
        The page.
    """
    encoded = encode_windows(windows)
    page = render_lens_page(windows, source=source, population=population, notes=notes, facts=facts, figures=encoded)
    folder = Path(directory) / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for window in windows:
        for table in window.tables:
            write_bytes(folder / f"{table.name}.csv", table_text(table).encode("utf-8"))
    return write_files(directory, page, encoded, encoded)


def table_text(table: Table) -> str:
    """A table as CSV: a line of headings, numbers to full precision, nothing where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_exact(value) for value in row] for row in zip(*table.columns.values(), strict=True))
    return buffer.getvalue()


def _exact(value: float | int | str | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else repr(value)


def _rows(table: Table) -> list[list[str]] | None:
    """Cells for people, None where the table is too long for the page."""
    rows = list(zip(*table.columns.values(), strict=True))
    return None if len(rows) > _ROWS_SHOWN else [[_shown(value) for value in row] for row in rows]


def _shown(value: float | int | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else f"{value:,}"
