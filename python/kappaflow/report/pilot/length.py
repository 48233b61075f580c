"""The section on the length of the training."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import look, numbers
from ..document import Cell, Mood, Picture, Section, Table, rounded
from ..kinds import ARM_COLOURS, ARM_TITLES
from ..look import FAILED, WIDTH, Legend, legend_below, styled
from ..words import joined, number, percent, percent_tick
from .phrases import networks

if TYPE_CHECKING:
    from ...pilot.results import Pilot, ShorterTraining, TrainingLength

#: How much longer training is asked about.
_TIMES = 3
_IN_WORDS = "three times"
_KINDS = {"different": "everything", "floor": "same_images"}


def length(pilot: Pilot) -> Section | None:
    """What the length of the training does; None if it was not measured."""
    found = pilot.length
    if found is None:
        return None
    return Section(
        name="length",
        title="Does longer training help?",
        contents="Longer training",
        takeaways=length_sentences(pilot, found),
        parts=(
            Picture(
                name="length",
                caption=f"Disagreement of the first pair at n = {found.n:,} after trainings of different length, each with a "
                "learning rate that falls over its own steps. Hollow points fail the gate and count for nothing.",
                alternative=f"Disagreement against the number of training steps at n = {found.n:,}: "
                + joined(
                    [
                        f"{percent(each.same_images)} on the same images after {each.steps:,} steps"
                        for each in found.trainings
                    ]
                )
                + ".",
                draw=partial(draw_length, found),
            ),
            _table(found),
        ),
    )


def length_sentences(pilot: Pilot, found: TrainingLength) -> tuple[str, ...]:
    """What these trainings say about longer ones, and what they do not."""
    kept = [each for each in found.trainings if each.passed]
    if math.isnan(found.exponent):
        return (
            f"Only {len(kept)} of {len(found.trainings)} lengths of training pass the gate, so these pilots do not show what "
            "longer training does.",
        )
    steps = joined([f"{percent(each.same_images)} after {each.steps:,} steps" for each in kept])
    seen = f"Two {networks(pilot)} trained on the same {found.n:,} images disagree by {steps}."
    if found.falls:
        factor = found.factor(_TIMES)
        return (
            f"{seen} If it goes on like this, training {_IN_WORDS} as long multiplies the disagreement on the same images by about "
            f"{number(factor, 2)}, to {percent(factor * kept[-1].same_images)}.",
            f"This rests on one pair of each length and is extrapolated from {len(kept)} lengths.",
        )
    return (
        f"{seen} Within these trainings, longer training makes two networks disagree more: short trainings leave both near the "
        "same simple denoiser.",
        "So these pilots do not show how much longer training would help.",
    )


def _table(found: TrainingLength) -> Table:
    rows = found.trainings
    moods: list[Mood] = ["yes" if row.passed else "no" for row in rows]
    return Table(
        name="length",
        caption=f"Disagreement relative to unrelated seeds after trainings of different length, at n = {found.n:,}.",
        columns={
            "Steps": [Cell(f"{row.steps:,}", row.steps) for row in rows],
            "Gate": [
                Cell("passes" if row.passed else "fails", mood=mood) for row, mood in zip(rows, moods, strict=True)
            ],
            "Everything differs": [rounded(row.everything, percent(row.everything)) for row in rows],
            "Same images": [rounded(row.same_images, percent(row.same_images)) for row in rows],
        },
        words=("Gate",),
        moods=moods,
    )


@styled
def draw_length(found: TrainingLength) -> Figure:
    """Disagreement against the number of steps."""
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    legend = plot_length(figure.add_subplot(), found)
    legend_below(figure, list(legend.handles))
    return figure


def plot_length(ax: Axes, found: TrainingLength) -> Legend:
    """The same on given axes."""
    handles: list[Any] = []
    drawn = []
    for arm, name in _KINDS.items():
        for passed in (True, False):
            rows: list[ShorterTraining] = [each for each in found.trainings if each.passed is passed]
            values = np.array([getattr(each, name) for each in rows])
            steps = [each.steps for each in rows]
            colour = ARM_COLOURS[arm]
            style: dict[str, Any] = {"lw": 1.6, "color": colour} if passed else {"ls": "", "mfc": "none", "mec": FAILED}
            (line,) = ax.plot(steps, values, marker="s" if arm == "different" else "o", ms=4.5, **style)
            line.set_gid(f"{name}-{'passed' if passed else 'failed'}")
            drawn.append(values)
        handles.append(Line2D([], [], color=ARM_COLOURS[arm], marker="s" if arm == "different" else "o", ms=4.5))
        handles[-1].set_label(ARM_TITLES[arm])
    if not all(each.passed for each in found.trainings):
        handles.append(Line2D([], [], ls="", marker="o", ms=4.5, mfc="none", mec=FAILED, label="fails the gate"))
    steps = [each.steps for each in found.trainings]
    look.log_axis(ax.xaxis, *numbers.log_limits(min(steps), max(steps), 0.1))
    ax.set_xticks(steps, [f"{each:,}" for each in steps])
    ax.set_xticks([], minor=True)
    ax.set_ylim(0, 1.15 * max(float(values.max(initial=0.0)) for values in drawn))
    ax.yaxis.set_major_formatter(lambda value, _position: percent_tick(value))
    ax.set_xlabel("steps of the training")
    ax.set_ylabel("disagreement / unrelated seeds")
    return Legend(handles)
