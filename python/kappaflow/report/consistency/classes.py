"""The answers by class: how many images of each class there are, and how many make two linear models of it agree."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D

from ...consistency.classes import CLASS_NOTE, ClassAnswer, ClassAnswers
from ...consistency.prediction import Prediction
from .. import look, numbers
from ..document import Cell, Mood, Picture, Prose, Section, Table, rounded
from ..look import BAND_COLOURS, GUIDE, INK, MUTED, Legend, styled
from ..words import capital, count, percent, percent_setting
from .shared import PROSE, panel

__all__ = ["classes", "draw_classes", "plot_classes"]

#: Classes that the figure shows, and characters of their names.
_ROWS, _CHARACTERS = 30, 24
#: Classes of which the page says why their number is not known.
_PROBLEMS = 5
_ENOUGH, _TOO_FEW = BAND_COLOURS[0], BAND_COLOURS[1]


def classes(prediction: Prediction) -> Section | None:
    """Images there and images needed of each class; None without classes."""
    answers = prediction.classes
    if answers is None:
        return None
    return Section(
        name="classes",
        title="Does every class agree, and which class needs more images?",
        contents="Classes",
        takeaways=tuple(map(capital, answers.sentences)),
        parts=(
            by_class(answers),
            Prose(PROSE, "classes", {"note": CLASS_NOTE}),
            *_problems(answers),
            class_table(answers),
        ),
    )


def by_class(answers: ClassAnswers) -> Picture:
    """Images there and needed of each class."""
    shown = len(_rows(answers))
    some = (
        f" The {shown} of {len(answers.classes):,} classes that lack most images."
        if shown < len(answers.classes)
        else ""
    )
    return Picture(
        name="classes",
        caption=f"For each class: the images that the data have, and the images of it at which two linear models trained on this "
        f"class alone disagree by at most {percent_setting(answers.tolerance)}. A class has enough if its diamond lies left of its "
        f"dot. Without a diamond the images do not determine how many are needed.{some}",
        alternative=f"Images there and images needed of {shown:,} classes and of all classes together, on a logarithmic axis. "
        f"{sum(row.enough for row in answers.classes):,} of {len(answers.classes):,} classes have enough.",
        draw=partial(draw_classes, answers),
    )


def _rows(answers: ClassAnswers) -> tuple[ClassAnswer, ...]:
    """The classes that the figure shows."""
    return answers.classes if len(answers.classes) <= _ROWS else answers.most_lacking[:_ROWS]


@styled
def draw_classes(answers: ClassAnswers) -> Figure:
    """Images there and needed of each class."""
    figure, ax = panel(1.15 + 0.23 * (len(_rows(answers)) + 1))
    look.legend_below(figure, plot_classes(ax, answers).handles)
    return figure


def plot_classes(ax: Axes, answers: ClassAnswers) -> Legend:
    """The same on given axes."""
    rows = (*_rows(answers), answers.mixture)
    held = np.array([math.nan if row.images is None else row.images for row in rows], dtype=np.float64)
    needed = np.array([math.nan if row.needed is None else row.needed for row in rows], dtype=np.float64)
    low, high = numbers.finite_range(np.maximum(held, 1), needed) or (1.0, 10.0)
    look.log_axis(ax.xaxis, *numbers.log_limits(low, high, 0.06))
    places = np.arange(len(rows))
    enough = np.array([row.enough for row in rows])
    for chosen, colour, name in ((enough, _ENOUGH, "enough"), (~enough, _TOO_FEW, "too-few")):
        known = chosen & np.isfinite(needed)
        ax.hlines(places[known], held[known], needed[known], colors=colour, lw=1.2, gid=f"classes-{name}-lines")
        ax.plot(needed[known], places[known], ls="", marker="D", ms=5, color=colour, gid=f"classes-{name}")
    ax.plot(np.maximum(held, 1), places, ls="", marker="o", ms=5, color=INK, gid="classes-there")
    for place in places[~np.isfinite(needed)].tolist():
        row = rows[place]
        ax.annotate(
            _needed(row, row.needed).text,
            (max(held[place], 1), place),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=MUTED,
            fontsize=8,
        )
    ax.axhline(len(rows) - 1.5, color=GUIDE, lw=0.7)
    names = [_drawable(row.name, place) for place, row in enumerate(rows)]
    ax.set_yticks(places, names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("images of the class")
    marks = (
        ("o", INK, "images there"),
        ("D", _ENOUGH, "needed, and there"),
        ("D", _TOO_FEW, "needed, more than there"),
    )
    return Legend([Line2D([], [], ls="", marker=mark, ms=5, color=colour, label=text) for mark, colour, text in marks])


def _drawable(name: str, place: int) -> str:
    """A name as the font can draw it: shortened, or its row for other scripts."""
    known = get_font(findfont("DejaVu Sans")).get_charmap()
    if not all(ord(character) in known for character in name):
        return f"row {place + 1}"
    short = name if len(name) <= _CHARACTERS else f"{name[: _CHARACTERS - 1]}…"
    return short.replace("$", r"\$")


def class_table(answers: ClassAnswers) -> Table:
    """Every class and the mixture."""
    rows = (*answers.classes, answers.mixture)
    size = int(answers.sizes[answers.reference])
    relative = [float(row.relative[answers.reference]) for row in rows]
    return Table(
        name="classes",
        caption=f"“Relative” is the relative disagreement of two linear models trained on so many images of the class as "
        f"{size:,} images of all classes hold; images needed are those at which it is at most "
        f"{percent_setting(answers.tolerance)}, for all modes together and in every eigenband of the class. “Of all classes” is "
        "the size of a training set of all classes that holds so many images of this class.",
        columns={
            "Class": [row.name for row in rows],
            "Images": [
                Cell("known exactly") if row.images is None else Cell(count(row.images), row.images) for row in rows
            ],
            f"Of n = {size:,}": [int(row.n[answers.reference]) for row in rows],
            "Relative": [rounded(value, percent(value)) for value in relative],
            "Images needed": [_needed(row, row.needed) for row in rows],
            "In every band": [_needed(row, row.in_every_band) for row in rows],
            "More needed": [_or_unknown(row.missing) for row in rows],
            "Of all classes": [_or_unknown(row.of_all) for row in rows],
        },
        moods=[_mood(row) for row in rows],
        small=True,
        unfolded=len(rows) <= _ROWS,
        file=True,
    )


def _needed(row: ClassAnswer, needed: int | None) -> Cell:
    """The images needed, or that they are more than there are."""
    if needed is not None:
        return Cell(count(needed), needed)
    return Cell(f"more than {row.images:,}" if row.law and row.images is not None else "not known")


def _problems(answers: ClassAnswers) -> tuple[Prose, ...]:
    """Why the images needed of some classes are not known."""
    unknown = [row for row in answers.most_lacking if row.problem]
    if not unknown:
        return ()
    shown = [f"Class {row.name}: {row.problem}." for row in unknown[:_PROBLEMS]]
    return (Prose(PROSE, "class_problems", {"problems": shown, "more": len(unknown) - len(shown)}),)


def _or_unknown(value: int | None) -> Cell | None:
    return None if value is None else Cell(count(value), value)


def _mood(row: ClassAnswer) -> Mood:
    if row.needed is None:
        return "partly"
    return "yes" if row.enough else "no"
