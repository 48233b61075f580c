"""The section that says how much of the disagreement is due to the images, and how much to the training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import look, numbers
from ..document import Picture, Section, figure_section
from ..kinds import ARM_COLOURS
from ..look import INK, MARKER, WIDTH, Legend, styled
from ..words import joined, percent, percent_tick
from .curve import shown_curve
from .phrases import networks

if TYPE_CHECKING:
    from ...pilot.results import Pilot

#: Share of the disagreement from which on the training rules it.
RULES = 0.5


def training_rules(pilot: Pilot) -> bool:
    """Whether more than half of the disagreement at the n of the answer remains on the same images."""
    return pilot.halves.optimisation_share > RULES


def floor_is_measured(pilot: Pilot) -> bool:
    """Whether a pilot has two trainings on the same images; if none has, what is said of them is that of other networks."""
    return any(len(size.same_images) for size in pilot.sizes)


def images_can_remove(pilot: Pilot) -> float:
    """The share of the disagreement at the n of the answer that goes away with any number of images."""
    return max(0.0, 1 - pilot.amount.fit.floor / pilot.halves.everything.value)


def split(pilot: Pilot) -> Section:
    """Two trainings on the same images beside two runs that differ in everything."""
    ends = list(dict.fromkeys([pilot.curve[0].n, pilot.halves.n]))
    shares = joined([f"{percent(pilot.at(n).optimisation_share)} at n = {n:,}" for n in ends])
    return figure_section(
        "split",
        "Is it the images or the training?",
        "Images or training?",
        split_sentences(pilot),
        Picture(
            name="split",
            caption="Share of the disagreement that remains if both networks are trained on the same images: what the training "
            "itself leaves open (grey). The rest is due to the images (orange). Points are the means of the pilots.",
            alternative=f"Share of the disagreement that remains on the same images, against the number of training images n: "
            f"{shares}.",
            draw=partial(draw_split, pilot),
        ),
    )


def split_sentences(pilot: Pilot) -> list[str]:
    """What remains on the same images, and what more images can change."""
    there = pilot.halves
    rules = training_rules(pilot)
    why = (
        "so most of it is there with the same images too" if rules else "so most of it comes from the choice of images"
    )
    where = f"n = {there.n:,}"
    known = (
        f"At {where}"
        if floor_is_measured(pilot)
        else f"No pilot has two trainings on the same images. If these networks are like others that were measured: at {where}"
    )
    return [
        f"{known}, two {networks(pilot)} trained on the same images disagree by about "
        f"{percent(there.same_images.value)}. That is {percent(there.optimisation_share)} of the disagreement if everything "
        f"differs, {why}.",
        f"More images alone can take away at most about {percent(images_can_remove(pilot))} of the disagreement at this n.",
    ]


@styled
def draw_split(pilot: Pilot) -> Figure:
    """Share of the disagreement on the same images against n."""
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    plot_split(figure.add_subplot(), pilot)
    return figure


def plot_split(ax: Axes, pilot: Pilot) -> Legend:
    """The same on given axes."""
    shown = shown_curve(pilot)
    n = np.array([each.n for each in shown], dtype=np.float64)
    share = np.array([each.optimisation_share for each in shown])
    ax.fill_between(n, 0, share, color=ARM_COLOURS["floor"], alpha=0.25, lw=0)
    ax.fill_between(n, share, 1, color=ARM_COLOURS["different"], alpha=0.25, lw=0)
    ax.plot(n, share, color=INK, lw=1.4, gid="share")
    measured = [size for size in pilot.sizes if len(size.same_images)]
    sizes = [size.n for size in measured]
    observed = [float(np.mean(size.same_images) / np.mean(size.everything)) for size in measured]
    ax.plot(sizes, np.minimum(observed, 1.0), ls="", marker="o", ms=MARKER + 1, color=INK, gid="share-observed")
    limits = numbers.log_limits(n[0], n[-1], 0.03)
    look.log_axis(ax.xaxis, *limits)
    for height, text in ((0.06, "the training"), (0.94, "the images")):
        ax.annotate(text, (n[0], height), (5, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], [percent_tick(value) for value in (0, 0.25, 0.5, 0.75, 1)])
    ax.grid(False)
    look.mark_size(ax, pilot.halves.n)
    ax.set_xlabel("training images n")
    ax.set_ylabel("share of the disagreement")
    return Legend()
