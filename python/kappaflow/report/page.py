"""A document as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from .._plain_text import plain_text
from .document import Cell, Document, Mood, Picture, Prose, Table, Value
from .look import Format, save
from .words import NO_BREAK, number

__all__ = ["Encoded", "draw", "page", "shown"]

#: The bytes of each figure by name and format.
Encoded = Mapping[str, Mapping[Format, bytes]]
#: Longer tables that have a file are left to it.
_ROWS_SHOWN = 40
#: Words in a cell that are longer make their column wide.
_LONG_WORDS = 40
#: Spaces at which a line must not end: before a per cent sign, and around the equals sign of ``n = 200``.
_TIES = re.compile(r"(?<=\d) (?=%)|(?<=\b\w) (?== \d)|(?<=\b\w =) (?=\d)")


def page(document: Document, figures: Encoded | None = None) -> str:
    """A document as a self-contained HTML page.

    Parameters
    ----------
    document : what to show
    figures : its figures where they have been drawn already, see :func:`draw`

    Returns
    -------
    str
        HTML with inline style and figures; the same document gives the same text.
    """
    drawn = draw(document) if figures is None else figures
    before, _, after = document.title.partition("{source}")
    figures_in = {picture.name: embed(picture, drawn[picture.name]) for picture in document.pictures}
    template = _environment().get_template("page.html.j2")
    return plain_text(template.render(document=document, before=before, after=after, figures=figures_in))


# ---------------------------------------------------------------- figures
def draw(document: Document, *, png: bool = False) -> dict[str, dict[Format, bytes]]:
    """Every figure of a document, drawn once: as SVG, as PNG where it is made of pixels.

    Parameters
    ----------
    document : whose figures to draw
    png : whether every figure is encoded as PNG too

    Returns
    -------
    dict
        name → format → bytes
    """
    encoded: dict[str, dict[Format, bytes]] = {}
    for picture in document.pictures:
        first: Format = "png" if picture.raster else "svg"
        formats = dict.fromkeys([first, "png"] if png else [first])
        encoded[picture.name] = save(picture.draw(), list(formats))
    return encoded


def embed(picture: Picture, encoded: Mapping[Format, bytes]) -> Markup:
    """A figure as an HTML element with its alternative text: an image where it is made of pixels, else inline SVG."""
    if picture.raster:
        data = base64.b64encode(encoded["png"]).decode("ascii")
        return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(Markup(data), picture.alternative)
    return Markup(inline(encoded["svg"].decode("utf-8"), picture.name, picture.alternative))


def inline(svg: str, prefix: str, alternative: str) -> str:
    """An SVG document as an element of an HTML page.

    Identifiers get `prefix`, because a page has one name space for all of its figures, and lose their spaces; prolog,
    metadata, comments and global styles go; the size gives way to that of the page.

    Raises
    ------
    ValueError
        The SVG has no viewBox, without which its size cannot change.
    """
    svg = svg[svg.index("<svg") :]
    for unwanted in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->"):
        svg = re.sub(unwanted, "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="([^"]+)"', lambda match: f' id="{prefix}-' + "-".join(match[1].split()) + '"', svg)
    svg = re.sub(r' xlink:href="#', f' href="#{prefix}-', svg)
    svg = svg.replace(" xlink:href=", " href=").replace("url(#", f"url(#{prefix}-")
    head, body = svg.split(">", 1)
    box = re.search(r' viewBox="[^"]+"', head)
    if box is None:
        raise ValueError(f"inline: the SVG of {prefix} must have a viewBox, got {head!r}")
    body = re.sub(r"\n\s*", "\n", body).strip()
    return f'<svg xmlns="http://www.w3.org/2000/svg"{box[0]} role="img" aria-label="{escape(alternative)}">{body}'


# ---------------------------------------------------------------- tables
@dataclass(frozen=True)
class _ShownCell:
    text: str
    value: float | int | None
    mood: Mood
    css: str


@dataclass(frozen=True)
class _ShownRow:
    css: str
    cells: tuple[_ShownCell, ...]


@dataclass(frozen=True)
class _ShownGroup:
    title: str
    rows: tuple[_ShownRow, ...]


def shown(value: Value) -> str:
    """A value of a table as the page has it: numbers rounded, thousands separated, a dash if there is none."""
    if value is None:
        return "–"
    if isinstance(value, Cell):
        return value.text
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else f"{value:,}"


def _shown_cell(value: Value, *, words: bool) -> _ShownCell:
    cell = value if isinstance(value, Cell) else Cell(shown(value))
    css = "" if not words else "words long" if len(cell.text) > _LONG_WORDS else "words"
    return _ShownCell(text=cell.text, value=cell.value, mood=cell.mood, css=css)


def _groups(table: Table) -> list[_ShownGroup] | None:
    """The rows of a table in their groups, None if they are too many for the page."""
    values = list(zip(*table.columns.values(), strict=True))
    if table.file and len(values) > _ROWS_SHOWN:
        return None
    words = [heading in table.words for heading in table.columns]
    rows = []
    for index, row in enumerate(values):
        css = ["" if table.moods is None else table.moods[index], "marked" if index == table.marked else ""]
        cells = tuple(_shown_cell(value, words=left) for value, left in zip(row, words, strict=True))
        rows.append(_ShownRow(" ".join(filter(None, css)), cells))
    start, groups = 0, []
    for title, size in (table.groups or {"": len(rows)}).items():
        groups.append(_ShownGroup(title, tuple(rows[start : start + size])))
        start += size
    return groups


def tied(text: str) -> str:
    """The text with no-break spaces where a line must not end: ``n = 200`` and ``12 %`` stay together."""
    return _TIES.sub(NO_BREAK, text)


def _summary(table: Table) -> str:
    """The line under which a table is folded: its file where it has one."""
    return table.summary or (f"Table: tables/{table.name}.csv" if table.file else "")


# ---------------------------------------------------------------- templates
@cache
def _environment() -> Environment:
    """The templates: everything is escaped, and an undefined name is an error."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"block": _block, "rows": _groups, "summary": _summary, "tied": tied}
    environment.tests |= {
        "picture": lambda part: isinstance(part, Picture),
        "table": lambda part: isinstance(part, Table),
    }
    return environment


def _template(name: str) -> str:
    return files("kappaflow.report").joinpath("templates", name).read_text(encoding="utf-8")


def _block(prose: Prose) -> Markup:
    """A block of a template of prose as HTML."""
    template = _environment().get_template(f"prose/{prose.template}")
    if prose.block not in template.blocks:
        raise ValueError(
            f"block must be one of {', '.join(sorted(template.blocks))} in {prose.template}, got {prose.block!r}"
        )
    context = template.new_context(dict(prose.context))
    return Markup("".join(template.blocks[prose.block](context)).strip())
