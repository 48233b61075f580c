"""On which seeds linear models agree: their ranking, and what they become."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from ..._checks import FloatArray
from ..._statistics import rank_correlation
from ...consistency.network_words import NETWORK_SEED_CORRELATION
from ...consistency.prediction import Prediction, SeedImages
from .. import look, numbers
from ..arrays import kind_of
from ..document import HOW, Picture, Prose, Section, Table, rounded
from ..look import INK, WIDTH, Legend, styled
from ..words import counted, number, percent, percent_tick
from .ends import SeedEnd, draw_ends, table_ends
from .headline import seed_spread
from .shared import PROSE, percent_axis, sizes_in_words

_MAX_POINTS = 240  # seeds drawn in one strip; more are thinned evenly in rank, which keeps the shape


def seeds(prediction: Prediction) -> Section:
    """Disagreement by seed, the images of the two ends, and their table."""
    known = bool(prediction.seeds.numbers.size)
    parts: list[Picture | Table | Prose] = []
    if known:
        parts += [disagreement_by_seed(prediction), _about_seeds(prediction)]
        images = seed_images(prediction)
        parts += [Prose(PROSE, "no_seed_images") if images is None else images, seed_table(prediction)]
    else:
        parts += [Prose(PROSE, "no_seeds"), _about_seeds(prediction)]
    return Section(
        name="seeds",
        title="On which seeds do two linear models agree?",
        contents="Which seeds?",
        takeaways=(_takeaway(prediction),) if known else (),
        parts=(*parts, Prose(PROSE, "seed_disagreement", summary=HOW)),
    )


def _about_seeds(prediction: Prediction) -> Prose:
    low, high = (f"{value:.2f}".replace("-", "−") for value in NETWORK_SEED_CORRELATION)
    return Prose(PROSE, "seeds", {"low": low, "high": high, "ranked": prediction.seeds.networks is not None})


def _takeaway(prediction: Prediction) -> str:
    text = seed_spread(prediction) or "Two linear models disagree equally on all seeds that were examined."
    row = prediction.reference
    if len(prediction.n) < 2 or prediction.seeds.numbers.size < 3:
        return text
    other = 0 if row else len(prediction.n) - 1
    agreement = rank_correlation(prediction.seeds.disagreement[row], prediction.seeds.disagreement[other]).value
    if math.isnan(agreement):
        return text
    word = "nearly the same" if agreement > 0.9 else "similar" if agreement > 0.6 else "different"
    return (
        f"{text} The order of the seeds is {word} at n = {int(prediction.n[other]):,} "
        f"(rank correlation {agreement:.2f})."
    )


# ---------------------------------------------------------------- ranking
def disagreement_by_seed(prediction: Prediction) -> Picture:
    """Disagreement of every seed for each n, and their ranking."""
    count, at = prediction.seeds.numbers.size, f"at n = {prediction.reference_n:,}"
    return Picture(
        name="disagreement_by_seed",
        caption=f"Left: relative disagreement of two linear models on {counted(count, 'seed')} for each number of training "
        f"images. Right: the same seeds in order of disagreement {at}.",
        alternative=f"Left: relative disagreement of two linear models on {counted(count, 'seed')}, one strip "
        f"for each n = {sizes_in_words(prediction)}. Right: the seeds in order of disagreement {at}.",
        draw=partial(draw_disagreement_by_seed, prediction),
    )


def seed_relative(prediction: Prediction) -> FloatArray:
    """(T, Z) disagreement of each seed relative to two unrelated samples."""
    scale = numbers.ratio(prediction.totals.relative, prediction.totals.disagreement)
    return prediction.seeds.disagreement * scale[:, None]


@styled
def draw_disagreement_by_seed(prediction: Prediction) -> Figure:
    """Spread of the seeds' disagreement for each n, and the ranking of seeds at the reference n."""
    figure = Figure(figsize=(WIDTH, max(3.2, 1.5 + 0.34 * len(prediction.n))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    plot_disagreement_of_seeds(left, prediction)
    plot_seed_ranking(right, prediction)
    left.set_title("Each dot a seed, bar: median")
    right.set_title(f"Ranking at n = {prediction.reference_n:,}")
    return figure


def plot_disagreement_of_seeds(ax: Axes, prediction: Prediction) -> Legend:
    """A strip of seeds for each n at their relative disagreement, with the median."""
    relative = numbers.positive(seed_relative(prediction))
    low, high = numbers.finite_range(relative) or (0.1, 1.0)
    limits = numbers.log_limits(low, high)
    look.log_axis(ax.xaxis, *limits, text=percent_tick)
    for row, (values, colour) in enumerate(zip(relative, look.n_colours(len(prediction.n)), strict=True)):
        values = np.sort(values[np.isfinite(values)])
        if not values.size:
            continue
        drawn = values[numbers.spread(values.size, _MAX_POINTS)]
        # golden-ratio offsets fill the strip evenly without random numbers
        offsets = (np.arange(drawn.size) * 0.6180339887498949) % 1.0 - 0.5
        ax.plot(
            drawn, row + 0.5 * offsets, ls="", marker="o", ms=2.6, mew=0, color=colour, alpha=0.55, gid=f"strip-{row}"
        )
        ax.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color=INK, lw=1.6, gid=f"median-{row}")
    ax.set_yticks(range(len(prediction.n)), [f"{int(k):,}" for k in prediction.n])
    ax.set_ylim(-0.6, len(prediction.n) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set_ylabel("training images n")
    ax.set_xlabel("relative disagreement of a seed")
    return Legend()


def plot_seed_ranking(ax: Axes, prediction: Prediction) -> Legend:
    """Seeds in order of disagreement at the reference n, the two ends named."""
    row = prediction.reference
    relative = numbers.positive(seed_relative(prediction))
    order = np.argsort(prediction.seeds.disagreement[row], kind="stable")
    values = relative[row][order]
    ranks = np.arange(1, values.size + 1)
    colour = look.n_colours(len(prediction.n))[row]
    ax.set_ylim(0, 1.16 * float(np.nanmax(values, initial=0.0)) or 1.0)
    percent_axis(ax.yaxis)
    marks: dict[str, Any] = {"marker": "o", "ms": 2.6, "mew": 0.0} if values.size <= _MAX_POINTS else {}
    ax.plot(ranks, values, color=colour, lw=1.2, gid="ranking", **marks)
    if values.size > 1:
        for rank, offset, align, vertical in ((0, (4, -5), "left", "top"), (-1, (-4, 5), "right", "bottom")):
            ax.annotate(
                f"seed {int(prediction.seeds.numbers[order[rank]])}",
                (float(ranks[rank]), float(values[rank])),
                offset,
                textcoords="offset points",
                ha=align,
                va=vertical,
                fontsize=9,
            )
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if values.size <= 4:
        ax.xaxis.set_major_locator(MultipleLocator(1))
    ax.set_xlabel("rank, most consistent first")
    return Legend()


# ---------------------------------------------------------------- images
def seed_images(prediction: Prediction) -> Picture | None:
    """Predicted samples of the two ends; None if there are none."""
    most, least = prediction.seeds.most_consistent, prediction.seeds.least_consistent
    if most is None or least is None or not len(most.numbers) or not len(least.numbers):
        return None
    return Picture(
        name="seed_images",
        title="What these seeds become",
        takeaway=_image_takeaway(prediction, most, least),
        caption="Predicted samples of linear models, and how much they vary between training sets (std: standard deviation, "
        "on one colour scale). Percentages are relative disagreements. A network's sample may share the layout and the "
        "colours of these images; do not expect it to share their objects. Values outside −1 to 1 are clipped.",
        alternative="Predicted samples of the most and the least consistent seeds at n = "
        f"{prediction.reference_n:,}, each with the standard deviation of its pixels or components over training sets.",
        draw=partial(draw_seed_images, prediction, most, least),
        raster=kind_of(prediction.shape) != "vector",
    )


def _image_takeaway(prediction: Prediction, most: SeedImages, least: SeedImages) -> str:
    low, high = (float(np.sqrt(np.mean(group.pixel_std[end] ** 2))) for group, end in ((most, 0), (least, -1)))
    part = "pixel" if len(prediction.shape) > 1 else "component"
    return (
        f"From one training set to another, a {part} of a linear model's image varies by {number(high, 2)} for seed "
        f"{int(least.numbers[-1])} and by {number(low, 2)} for seed {int(most.numbers[0])} (standard deviation)."
    )


@styled
def draw_seed_images(prediction: Prediction, most: SeedImages, least: SeedImages) -> Figure:
    """Predicted samples of the most and the least consistent seeds with the standard deviation of each pixel."""
    ends = [
        SeedEnd(
            title=f"{word.capitalize()} consistent seeds",
            label=f"{word} consistent",
            headings=[_seed_title(prediction, group, column) for column in range(len(group.numbers))],
            images=group.outputs,
            pixel_std=group.pixel_std,
        )
        for word, group in (("most", most), ("least", least))
    ]
    return draw_ends(prediction.shape, ends, image="prediction")


def _seed_title(prediction: Prediction, group: SeedImages, column: int) -> str:
    """Two lines: the seed's number and its relative disagreement at the reference n."""
    row = prediction.reference
    scale = numbers.ratio(prediction.totals.relative[row], prediction.totals.disagreement[row])
    return f"seed {int(group.numbers[column])}\n{percent(float(group.disagreement[column] * scale))}"


# ---------------------------------------------------------------- table
def seed_table(prediction: Prediction) -> Table:
    """The seeds at each end of the ranking at the reference n."""
    row = prediction.reference
    absolute, relative = prediction.seeds.disagreement[row], seed_relative(prediction)[row]
    order = np.argsort(absolute, kind="stable")
    shown, ends = table_ends(order)
    return Table(
        name="seeds",
        caption=f"The most and the least consistent seeds of two linear models at n = {prediction.reference_n:,}, the most "
        "extreme first in each group.",
        columns={
            "Seed": [str(int(prediction.seeds.numbers[k])) for k in shown],
            "Squared distance / d": [rounded(float(absolute[k])) for k in shown],
            "Relative disagreement": [rounded(float(relative[k]), percent(float(relative[k]))) for k in shown],
        },
        groups={"Most consistent": ends, "Least consistent": ends},
    )
