"""On which modes two linear models disagree, and how modes leak into each other."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from ...consistency.prediction import Prediction
from ...moments import has_variance
from .. import look, numbers
from ..arrays import frame
from ..document import HOW, Picture, Prose, Section
from ..look import ACCENT, WIDTH, Legend, styled
from ..words import counted, number, percent, percent_setting
from .shared import (
    PROSE,
    ModeCurves,
    percent_axis,
    sizes_in_words,
)

#: Decades of the mode-pair matrix below its largest entry that are shown.
_DECADES_SHOWN = 8


def where(prediction: Prediction) -> Section:
    """Disagreement by mode."""
    return Section(
        name="where",
        title="On which patterns do two linear models disagree?",
        contents="Which patterns?",
        takeaways=(_mode_takeaway(prediction),),
        parts=(
            disagreement_by_mode(prediction),
            Prose(PROSE, "two_panels"),
            Prose(PROSE, "mode_variance", {"sigma_max": prediction.sigma_max}, summary=HOW),
        ),
    )


def _mode_takeaway(prediction: Prediction) -> str:
    row = prediction.reference
    relative = np.where(has_variance(prediction.eigenvalues), prediction.modes.relative[row], np.nan)
    alive = np.isfinite(relative)
    if not alive.any():
        return "No mode has any variance."
    worst = int(np.nanargmax(relative))
    agree = int(np.sum(relative[alive] <= prediction.tolerance))
    text = (
        f"With {prediction.reference_n:,} training images each, two linear models agree within "
        f"{percent_setting(prediction.tolerance)} in {agree:,} of {counted(int(alive.sum()), 'mode')}. They disagree most in "
        f"mode {worst + 1:,} ({percent(relative[worst])})."
    )
    part = prediction.modes.disagreement[row]
    if np.isfinite(part).all() and part.sum() > 0:
        half = int(np.searchsorted(np.cumsum(np.sort(part)[::-1]), 0.5 * part.sum())) + 1
        text += f" {counted(half, 'mode')} {'holds' if half == 1 else 'hold'} half of the total squared distance."
    return text


def disagreement_by_mode(prediction: Prediction) -> Picture:
    """Disagreement of each mode for each n."""
    return Picture(
        name="disagreement_by_mode",
        caption="Top: squared distance between two linear models along each mode; the modes add up to the total. Bottom: "
        "the same relative to unrelated samples. Modes further to the right are weaker; in images they are finer detail.",
        alternative="Two panels against the mode number: squared distance and relative disagreement of two linear models "
        f"in each mode, one curve for each n = {sizes_in_words(prediction)}.",
        draw=partial(draw_disagreement_by_mode, prediction),
    )


@styled
def draw_disagreement_by_mode(prediction: Prediction) -> Figure:
    """Disagreement of each mode for each n: its part of the total, and relative to unrelated samples."""
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    plot_disagreement_of_modes(top, disagreement_of_modes(prediction))
    legend = plot_relative_disagreement_of_modes(
        bottom, relative_disagreement_of_modes(prediction), prediction.tolerance
    )
    top.set_title("Part of the total: where the difference between two linear models lies")
    bottom.set_title("Relative: how far each mode is from being unrelated")
    look.stacked(top)
    look.legend_beside(figure, legend)
    return figure


def _of_modes(prediction: Prediction, values: FloatArray) -> ModeCurves:
    """Values by mode; a mode without variance has nothing to agree on."""
    return ModeCurves(prediction.n.tolist(), np.where(has_variance(prediction.eigenvalues), values, np.nan))


def disagreement_of_modes(prediction: Prediction) -> ModeCurves:
    """The part of each mode in the squared distance of two models."""
    return _of_modes(prediction, prediction.modes.disagreement)


def relative_disagreement_of_modes(prediction: Prediction) -> ModeCurves:
    """The disagreement of each mode relative to unrelated samples."""
    return _of_modes(prediction, prediction.modes.relative)


def plot_disagreement_of_modes(ax: Axes, parts: ModeCurves) -> Legend:
    """The part of each mode in the squared distance of two models for each n."""
    low, high = numbers.finite_range(parts.values) or (0.1, 1.0)
    look.mode_axis(ax, parts.modes)
    look.log_axis(ax.yaxis, *numbers.log_limits(max(low, high * 1e-12), high))
    replace(parts, values=numbers.positive(parts.values)).draw(ax, "part")
    ax.set_ylabel("squared distance / d")
    return look.n_legend(parts.n)


def plot_relative_disagreement_of_modes(ax: Axes, relative: ModeCurves, tolerance: float | None) -> Legend:
    """The disagreement of each mode relative to unrelated samples for each n, and the tolerance if there is one."""
    look.mode_axis(ax, relative.modes)
    relative.draw(ax, "relative")
    ax.set_ylabel("relative disagreement")
    largest = max(float(np.nanmax(relative.values, initial=0.0)), tolerance or 0.0)
    ax.set_ylim(0, max(1.06, 1.04 * largest) if largest > 0.5 else 1.12 * largest or 1.0)
    percent_axis(ax.yaxis)
    if tolerance is None:
        return look.n_legend(relative.n)
    ax.axhline(tolerance, color=ACCENT, lw=1.1, gid="tolerance")
    line = Line2D([], [], color=ACCENT, lw=1.1, label=f"tolerance {percent_setting(tolerance)}")
    return look.n_legend(relative.n, [line])


# ---------------------------------------------------------------- pairs of modes
def pairs(prediction: Prediction) -> Section | None:
    """How much modes of the seed leak into other modes of the image; None if no pair was computed."""
    if not prediction.modes.pairs.modes.size:
        return None
    return Section(
        name="pairs",
        title="Why: modes leak into each other",
        contents="Why: pairs of modes",
        takeaways=(_pair_takeaway(prediction),),
        parts=(mode_pairs(prediction), Prose(PROSE, "leaks"), Prose(PROSE, "pair_variance", summary=HOW)),
    )


def _pair_takeaway(prediction: Prediction) -> str:
    values = prediction.modes.pairs.variance
    if not values.size or not np.nanmax(values) > 0:
        return "The sampling map does not vary between training sets."
    k, j = np.unravel_index(int(np.nanargmax(values)), values.shape)
    image, seed = (int(prediction.modes.pairs.modes[int(i)]) + 1 for i in (k, j))
    return (
        f"In linear models, the path from mode {seed} of the seed to mode {image} of the image varies most between training "
        f"sets: its standard deviation is {number(float(values[k, j]) ** 0.5, 2)}."
    )


def mode_pairs(prediction: Prediction) -> Picture:
    """Variance between pairs of modes at the reference n."""
    at = f"n = {prediction.reference_n:,}"
    return Picture(
        name="mode_pairs",
        caption="Variance, between training sets, of the path from mode l of the seed to mode k of the image at "
        f"{at}. Darker means more; each step of the colour scale is a power of ten. Blank entries have no variance.",
        alternative=f"Matrix of the variance of the sampling map between modes of the seed and of the image at {at}, "
        "logarithmic colours.",
        draw=partial(draw_mode_pairs, prediction),
        raster=True,
    )


@styled
def draw_mode_pairs(prediction: Prediction) -> Figure:
    """Variance of the sampling map between pairs of modes at the reference n, logarithmic colours."""
    figure = Figure(figsize=(WIDTH, 5.0), layout="constrained")
    plot_mode_pairs(figure.add_subplot(), prediction)
    return figure


def plot_mode_pairs(ax: Axes, prediction: Prediction, *, colorbar: bool = True) -> Legend:
    """The same on given axes, which make room for the colour bar."""
    values = numbers.positive(prediction.modes.pairs.variance)
    low, high = numbers.finite_range(values) or (0.1, 1.0)
    floor = max(low, high * 10.0**-_DECADES_SHOWN)
    norm = LogNorm(floor * (1 - 1e-9), high * (1 + 1e-9))
    image = ax.imshow(np.ma.masked_invalid(values), norm=norm, cmap=look.deviation_map(), interpolation="nearest")
    frame(ax)
    positions, labels = _mode_ticks(prediction.modes.pairs.modes)
    ax.set_xticks(positions, labels)
    ax.set_yticks(positions, labels)
    ax.set_xlabel("mode l of the seed")
    ax.set_ylabel("mode k of the image")
    figure = ax.get_figure(root=False)
    if colorbar and figure is not None:
        bar = figure.colorbar(image, ax=ax, shrink=0.85, pad=0.02, extend="min" if low < floor else "neither")
        look.log_bar(bar, "variance of the map, Var[uₖᵀ f(Σ̂) uₗ]".replace("uₗ", "u$_l$").replace("uₖ", "u$_k$"))
    return Legend()


def _mode_ticks(modes: npt.NDArray[np.int64]) -> tuple[list[int], list[str]]:
    """Positions and 1-based labels of round mode numbers, never closer than a fourteenth of the axis."""
    positions: list[int] = []
    gap = max(1, math.ceil(modes.size / 14))
    numbers = modes + 1
    round_numbers = [m * 10**e for e in range(8) for m in (1, 2, 5) if m * 10**e <= int(numbers.max(initial=1))]
    for wanted in [*round_numbers, int(numbers.max(initial=1))]:
        nearest = int(np.argmin(np.abs(numbers - wanted)))
        if nearest not in positions and all(abs(nearest - other) >= gap for other in positions):
            positions.append(nearest)
    return positions, [f"{int(numbers[k]):,}" for k in positions]
