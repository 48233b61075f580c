"""What a window of the lens shows: sentences, figures and tables, whatever it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

__all__ = ["Picture", "Table", "Window"]


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes
    ----------
    name : of its file and anchor, letters, digits and underscores
    title : heading
    caption : what it shows and how to read it, plain text
    alternative : what a reader who cannot see it needs to know, with the numbers that matter
    draw : draws it (a function under ``look.styled``)
    raster : whether it is made of pixels
    """

    name: str
    title: str
    caption: str
    alternative: str
    draw: Callable[[], Figure]
    raster: bool = False


@dataclass(frozen=True)
class Table:
    """Columns of equal length, numbers or words; written as CSV in full, and shown on the page where it is short.

    Attributes
    ----------
    name : of its file
    caption : what it holds, with units and conventions
    columns : heading → values; None where there is no value
    """

    name: str
    caption: str
    columns: Mapping[str, Sequence[float | int | str | None]]


@dataclass(frozen=True)
class Window:
    """One subject on the page.

    Attributes
    ----------
    name : as the command line has it, such as "receptive-field"
    title : heading
    findings : sentences with numbers, the most important first, plain text
    pictures, tables : in order
    """

    name: str
    title: str
    findings: tuple[str, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
