"""What a report is made of. All reports are a :class:`Document`; only :mod:`.page` and :mod:`.write` know HTML and files.

A report is a function ``build(result, *, facts) -> Document`` that puts its sections in order. A section is a function
from the result to a :class:`Section`, or to None if the result has no data for it; a figure is a function from the
result to a :class:`Picture`, which stands beside the function that draws it and says everything about it: name, caption,
alternative text. To add a figure, write these two functions and name the first in its section: nothing else lists it. ::

    @styled                                       # from ..look: one look for all figures
    def draw_spectrum(prediction) -> Figure: ...

    def spectrum(prediction) -> Picture:
        return Picture(
            name="spectrum",                      # figures/spectrum.svg, and #figure-spectrum on the page
            caption="Variance of the data along each mode.",
            alternative=f"Eigenvalues of {prediction.eigenvalues.size} modes.",
            draw=partial(draw_spectrum, prediction),
        )

    def data(prediction) -> Section:
        return Section(
            name="data",                          # #data on the page
            title="What the data look like",
            contents="The data",                  # in the list at the top; the title where it is left out
            takeaways=(f"The first mode holds {share} of the variance.",),
            parts=(spectrum(prediction), Prose("consistency.html.j2", "data"), modes_table(prediction)),
        )

    def build(prediction, *, facts) -> Document:
        sections = (data(prediction), seeds(prediction))
        return Document(kind="Consistency report", source=prediction.source, ..., sections=present(sections))

A panel that users should also have on axes of their own (:mod:`kappaflow.plot`) is a function ``plot_spectrum(ax, prediction) ->
Legend``, which ``draw_spectrum`` calls.

The parts of a section come in the order of the page: a :class:`Picture`, a :class:`Table` or :class:`Prose`. Prose is a
block of a template in ``report/templates/prose``, for text that is longer than a sentence or has formulas in it: ::

    {% block data %}
    <p>The faster the curve falls, the fewer images fix its head.</p>
    {% endblock %}

Names are used on the page and on disk, so that a document refuses two figures, two tables or two sections of one name.
Every text is plain text and is escaped; only the blocks of templates are HTML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure

from .words import number

__all__ = [
    "HOW",
    "Cell",
    "Document",
    "Mood",
    "Picture",
    "Prose",
    "Section",
    "Table",
    "Tile",
    "Value",
    "figure_section",
    "present",
    "rounded",
]

#: The line under which derivations are folded.
HOW = "How is this computed?"
#: How a verdict is coloured: "yes", "partly", "no", or not at all.
Mood = Literal["yes", "partly", "no", ""]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Cell:
    """A table cell whose text is rounded or chosen by hand.

    Attributes
    ----------
    text : what the page shows
    value : the unrounded number, in the page's ``data`` element and in files; None for words
    mood : colour of a mark before the text
    """

    text: str
    value: float | int | None = None
    mood: Mood = ""


def rounded(value: float, text: str = "", *, digits: int = 3) -> Cell:
    """A number as a cell, rounded to `digits` or as `text` says; a dash without a value where it is not finite."""
    return Cell(text or number(value, digits), float(value) if math.isfinite(value) else None)


#: What a table holds: numbers are rounded for the page and exact in files, None is a dash on the page and empty in files.
Value = float | int | str | Cell | None


@dataclass(frozen=True)
class Picture:
    """A figure with everything that is said about it.

    Attributes
    ----------
    name : of its file and anchor: letters, digits, underscores
    caption : what it shows and how to read it
    alternative : what a reader who cannot see it needs to know, with the numbers that matter
    draw : draws it (a function under :func:`.look.styled`)
    title : heading above it, none where the heading of the section is enough
    takeaway : a sentence with the number that matters, between heading and figure
    raster : whether it is made of pixels and embedded as PNG
    """

    name: str
    caption: str
    alternative: str
    draw: Callable[[], Figure]
    title: str = ""
    takeaway: str = ""
    raster: bool = False


@dataclass(frozen=True)
class Table:
    """Columns of equal length; the first one heads the rows.

    Attributes
    ----------
    name : of its file
    caption : what it holds, with units and conventions
    columns : heading → values
    words : headings of columns of words, which are set from the left
    groups : heading → number of rows, in order, where rows come in groups
    moods : one for each row, None for none
    marked : the row that is highlighted, counted from 0
    summary : where given, the table is folded under this line
    unfolded : whether it is open at first
    small : whether it is set small, for tables of many columns
    file : whether ``tables/<name>.csv`` is written; the page then leaves out tables that are long
    """

    name: str
    caption: str
    columns: Mapping[str, Sequence[Value]]
    words: Sequence[str] = ()
    groups: Mapping[str, int] = field(default_factory=dict)
    moods: Sequence[Mood] | None = None
    marked: int | None = None
    summary: str = ""
    unfolded: bool = False
    small: bool = False
    file: bool = False

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"columns of table {self.name!r} must have one length, got {sorted(lengths)}")
        (rows,) = lengths
        if self.groups and sum(self.groups.values()) != rows:
            raise ValueError(f"groups of table {self.name!r} must have {rows} rows, got {sum(self.groups.values())}")
        if self.moods is not None and len(self.moods) != rows:
            raise ValueError(f"moods of table {self.name!r} must be {rows}, got {len(self.moods)}")
        strangers = set(self.words) - set(self.columns)
        if strangers:
            raise ValueError(f"words of table {self.name!r} must be headings of columns, got {sorted(strangers)}")


@dataclass(frozen=True)
class Prose:
    """A block of a template in ``report/templates/prose``.

    Attributes
    ----------
    template : file name of the template
    block : name of the block
    context : what the block calls its values; they are escaped
    summary : where given, the block is folded under this line
    """

    template: str
    block: str
    context: Mapping[str, object] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Section:
    """One subject on the page.

    Attributes
    ----------
    name : its anchor
    title : heading
    takeaways : sentences with numbers, the most important first; a single one is a paragraph, several are a list
    parts : figures, tables and prose in the order of the page
    contents : its line in the list of contents; the title where it is left out
    """

    name: str
    title: str
    takeaways: tuple[str, ...] = ()
    parts: tuple[Picture | Table | Prose, ...] = ()
    contents: str = ""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Its figures in order."""
        return tuple(part for part in self.parts if isinstance(part, Picture))

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables in order."""
        return tuple(part for part in self.parts if isinstance(part, Table))


@dataclass(frozen=True)
class Tile:
    """A number in large type below the answer; `value` is the unrounded one, None for words."""

    label: str
    text: str
    hint: str
    value: float | int | None = None


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes
    ----------
    kind : what it is, such as "Consistency report"
    source : name of the data
    title : heading, in which ``{source}`` stands for the name of the data
    mood : colour of the answer
    answer : the result in one sentence
    introduction : what follows the answer
    tiles : the numbers of the answer
    notes : caveats that a reader must see first
    notes_title : their heading
    sections : in the order of the page
    facts : label → text of how the report was made, such as version and command
    """

    kind: str
    source: str
    title: str
    mood: Mood
    answer: str
    sections: tuple[Section, ...]
    introduction: tuple[Prose, ...] = ()
    tiles: tuple[Tile, ...] = ()
    notes: tuple[str, ...] = ()
    notes_title: str = "Read this first"
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.sections:
            raise ValueError("sections must hold at least one section, got none")
        for kind, names in (
            ("sections", [section.name for section in self.sections]),
            ("pictures", [picture.name for picture in self.pictures]),
            ("tables", [table.name for table in self.tables]),
        ):
            wrong = [name for name in names if not _NAME.fullmatch(name)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if wrong or twice:
                what = (
                    f"letters, digits, - and _ alone, got {wrong[0]!r}"
                    if wrong
                    else f"different, got {twice[0]!r} twice"
                )
                raise ValueError(f"names of {kind} must be {what}")

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The figures of all sections in order."""
        return tuple(picture for section in self.sections for picture in section.pictures)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of all sections in order."""
        return tuple(table for section in self.sections for table in section.tables)


def figure_section(
    name: str, title: str, contents: str, takeaway: str | Sequence[str], *parts: Picture | Table | Prose
) -> Section:
    """A section of one figure, with what it shows in a sentence or several where there are any."""
    sentences = (takeaway,) if isinstance(takeaway, str) else takeaway
    return Section(name=name, title=title, takeaways=tuple(filter(None, sentences)), parts=parts, contents=contents)


def present(sections: Iterable[Section | None]) -> tuple[Section, ...]:
    """The sections that were built: a section without data is None."""
    return tuple(section for section in sections if section is not None)
