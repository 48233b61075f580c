"""The sections that hold theory against simulation entry by entry: inputs, mode pairs, pixels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from ..._checks import FloatArray
from .. import look, numbers
from ..arrays import Kind, frame, kind_of, pixel_level
from ..document import HOW, Picture, Prose, Section, figure_section
from ..look import INK, MUTED, WIDTH, Legend, styled
from ..words import capital
from . import marks
from .phrases import PROSE, each_size, main_comparisons, rough, spreads, times, typically_off
from .select import comparisons, interval, left_out, main_law, middle, ordered_laws, quantity_names, subjects

if TYPE_CHECKING:
    from ...validation.laws import ComparedLaw
    from ...validation.linear.results import Comparison, Validation

MAX_INPUTS = 200  # inputs drawn; more are thinned evenly in the order of the prediction


# ---------------------------------------------------------------- by input
def inhomogeneity(validation: Validation) -> Section | None:
    """Disagreement by input, where it was simulated."""
    if "seeds" not in quantity_names(validation):
        return None
    each = each_size(validation)
    return figure_section(
        "inhomogeneity",
        "Inhomogeneity: on which inputs do models disagree?",
        "Inputs",
        _inhomogeneity_takeaway(validation),
        Picture(
            name="inhomogeneity",
            caption=(
                "Each point is one input at one n: its simulated disagreement with a 95 % interval against the disagreement that "
                f"the {main_law(validation).title} predicts, both divided by the predicted mean over inputs at that n. On the "
                "dotted line the two are equal. A cloud along a line parallel to it has the wrong size and the right order."
            ),
            alternative=(
                f"Simulated against predicted disagreement of each input, relative to the mean, {each}, with the "
                "diagonal, one panel for each map."
            ),
            draw=partial(draw_inhomogeneity, validation),
        ),
        Prose(PROSE, "inhomogeneity", {"inputs": len(validation.setup.input_seeds)}, summary=HOW),
    )


def _inhomogeneity_takeaway(validation: Validation) -> str:
    parts = [
        f"{each.label}: {rough(each.factor)} ({each.order:.2f})"
        for each in spreads(validation, "seeds", subjects(validation, "seeds"))
    ]
    if not parts:
        return ""
    return (
        f"At n = {middle(validation.setup.n):,}, the simulated disagreement on one input is up to this many times that on "
        f"another (in brackets: rank correlation with the theory): {'; '.join(parts)}."
    )


@styled
def draw_inhomogeneity(validation: Validation) -> Figure:
    """Disagreement of each input, simulated against predicted, both over the predicted mean over inputs."""
    chosen = subjects(validation, "seeds")
    grid = marks.panels(len(chosen), height=3.05)
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        legend = plot_inhomogeneity(ax, validation, subject)
        ax.set_title(capital(label))
    grid.legend(legend)
    return grid.figure


def plot_inhomogeneity(ax: Axes, validation: Validation, subject: str) -> Legend:
    """The same for one map on given axes."""
    drawn: list[FloatArray] = []
    for comparison in comparisons(validation, "seeds", main_law(validation).name):
        if comparison.subject != subject:
            continue
        scale = 1 / float(np.mean(comparison.agreement.predicted))
        order = np.argsort(comparison.agreement.predicted, kind="stable")
        x = numbers.positive(comparison.agreement.predicted * scale)
        kept = order[numbers.spread(order.size, MAX_INPUTS)]
        marks.simulated_points(
            ax,
            validation,
            comparison,
            x,
            gid=f"{subject}-simulated-{comparison.n}",
            scale=scale,
            chosen=kept,
            color=marks.colour_of(validation, comparison.n),
            alpha=0.85,
        )
        drawn += [x[kept], *(end[kept] * scale for end in interval(validation, comparison))]
    _square(ax, drawn)
    ax.set_xlabel("predicted / mean")
    ax.set_ylabel("simulated / predicted mean")
    return look.n_legend(validation.setup.n, [marks.simulation_handle(), _diagonal_handle()])


def _square(ax: Axes, drawn: list[FloatArray], *, least: float = 1.15) -> None:
    """The same range on both logarithmic axes, and the diagonal."""
    low, high = numbers.finite_range(*drawn) or (0.5, 2.0)
    if high / low < least:
        middle_value = (low * high) ** 0.5
        low, high = middle_value / least**0.5, middle_value * least**0.5
    for axis in (ax.xaxis, ax.yaxis):
        _tight_log_axis(axis, low, high)
    ax.plot(ax.get_xlim(), ax.get_xlim(), scalex=False, scaley=False, zorder=1, **marks.GUIDE_LOOK)


def _tight_log_axis(axis: Any, low: float, high: float) -> None:
    """A logarithmic axis that is as narrow as its values where they are within a decade."""
    if high / low >= 10:
        look.log_axis(axis, *numbers.log_limits(low, high))
    else:
        look.ratio_axis(axis, low, high)


def _diagonal_handle() -> Line2D:
    return Line2D([], [], label="simulated =\npredicted", **marks.GUIDE_LOOK)


# ---------------------------------------------------------------- by pair of modes
def scatter(validation: Validation) -> Section | None:
    """Variance of mode pairs, where it was simulated."""
    if "mode_variance" not in quantity_names(validation):
        return None
    each = each_size(validation)
    return figure_section(
        "scatter",
        "Every pair of modes",
        "Mode pairs",
        _scatter_takeaway(validation),
        Picture(
            name="scatter",
            caption=_scatter_caption(validation),
            alternative=(
                f"Simulated against predicted variance of mode pairs {each} on logarithmic axes, with the diagonal, one panel for "
                "each map."
            ),
            draw=partial(draw_scatter, validation),
            raster=True,
        ),
        Prose(PROSE, "scatter", summary=HOW),
    )


def _scatter_takeaway(validation: Validation) -> str:
    found = main_comparisons(validation, "mode_variance")
    if not found:
        return ""
    worst = max(found, key=lambda c: c.agreement.log_error)
    best = min(found, key=lambda c: c.agreement.log_error)
    kinds = [(worst, "at most")] if worst is best else [(best, "between"), (worst, "and")]
    text = " ".join(f"{word} {typically_off(c.agreement.log_error)} ({c.label}, n = {c.n:,})" for c, word in kinds)
    noise = [c.agreement.log_noise for c in found]
    return (
        f"For the typical mode pair, the theory is off by {text}; Monte Carlo error alone gives "
        f"{typically_off(min(noise))} to {typically_off(max(noise))}."
    )


def _scatter_caption(validation: Validation) -> str:
    text = (
        "Simulated against predicted variance of the entry between two modes: one point for each pair of up to 32 modes and "
        "each n, darker where there are many points."
    )
    if len(validation.setup.laws) > 1:
        text += (
            f" Other laws are drawn only where they differ from the {main_law(validation).title} by more than 5 %; for the "
            "published law these are the pairs of a mode with itself."
        )
    return text


@styled
def draw_scatter(validation: Validation) -> Figure:
    """Variance of mode pairs, simulated against predicted, with the diagonal; one panel for each map."""
    chosen = subjects(validation, "mode_variance")
    grid = marks.panels(len(chosen), height=3.05)
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        plot_scatter(ax, validation, subject)
        ax.set_title(capital(label))
    grid.legend(scatter_legend(validation, chosen))
    return grid.figure


def plot_scatter(ax: Axes, validation: Validation, subject: str) -> Legend:
    """The same for one map on given axes."""
    clouds = _clouds(validation, subject)
    main = main_law(validation)
    count = sum(cloud.x.size for cloud in clouds if cloud.law is main)
    alpha = min(0.75, max(0.12, 500 / max(count, 1)))
    for cloud in clouds:
        style = _cloud_look(validation, cloud.law, marks.colour_of(validation, cloud.n), alpha)
        ax.plot(cloud.x, cloud.y, ls="", gid=f"{subject}-{cloud.law.name}-{cloud.n}", **style)
    _square(ax, [end for cloud in clouds for end in (cloud.x, cloud.y)], least=10)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(base=10, numticks=5))
    ax.set_xlabel("predicted variance")
    ax.set_ylabel("simulated variance")
    hidden = sum(int(np.sum(left_out(cloud.x, cloud.y))) for cloud in clouds if cloud.whole)
    if hidden:
        text = f"{hidden:,} without logarithm not shown"
        ax.text(0.98, 0.02, text, transform=ax.transAxes, ha="right", va="bottom", color=MUTED, fontsize=8)
    return scatter_legend(validation, [subject])


class _Cloud(NamedTuple):
    """Mode pairs of one law and n: predicted and simulated variance."""

    law: ComparedLaw
    n: int
    x: FloatArray
    y: FloatArray
    whole: bool  # rather than the pairs alone that differ from the main law


def _clouds(validation: Validation, subject: str) -> list[_Cloud]:
    """The mode pairs of one map; NaN where a law does not differ from the main one."""
    main = main_law(validation)
    found = [c for c in comparisons(validation, "mode_variance") if c.subject == subject]
    first = {c.n: c.agreement.predicted for c in found if c.law == main.name}
    clouds = []
    for law in ordered_laws(validation):
        for comparison in (c for c in found if c.law == law.name):
            x, y = numbers.positive(comparison.agreement.predicted), numbers.positive(comparison.agreement.simulated)
            whole = law is main or comparison.n not in first
            if not whole:
                x = np.where(_apart(x, first[comparison.n]), x, np.nan)
            clouds.append(_Cloud(law=law, n=comparison.n, x=x, y=y, whole=whole))
    return clouds


def scatter_legend(validation: Validation, chosen: Iterable[str]) -> Legend:
    """The legend of some maps together: laws that have points there."""
    main = main_law(validation)
    clouds = [cloud for subject in chosen for cloud in _clouds(validation, subject)]
    shown = {cloud.law.name for cloud in clouds if np.isfinite(cloud.x).any()} | {main.name}
    entries = [
        Line2D([], [], ls="", label=law.title, **_cloud_look(validation, law, INK, 1.0))
        for law in ordered_laws(validation)
        if law.name in shown
    ]
    return look.n_legend(validation.setup.n, [*entries, _diagonal_handle()])


def _apart(a: FloatArray, b: FloatArray) -> Any:
    """Entries of two laws that differ visibly."""
    return np.abs(np.log(numbers.positive(numbers.ratio(a, b)))) > 0.05


def _cloud_look(validation: Validation, law: ComparedLaw, colour: str, alpha: float) -> dict[str, Any]:
    if law is main_law(validation):
        return {"marker": "o", "ms": 2.4, "mew": 0.0, "mfc": colour, "alpha": alpha}
    return {
        "marker": marks.law_marker(validation, law),
        "ms": 3.2,
        "mew": 0.7,
        "mec": colour,
        "mfc": "none",
        "alpha": min(1.0, 0.7 + alpha),
    }


# ---------------------------------------------------------------- pixels
def pixels(validation: Validation) -> Section | None:
    """Variance by pixel, where samples are images."""
    if "pixels" not in quantity_names(validation) or kind_of(validation.data.shape) == "vector":
        return None
    return figure_section(
        "pixels",
        "Where in the image do models disagree?",
        "Pixels",
        _pixels_takeaway(validation),
        Picture(
            name="pixels",
            caption=(
                "Standard deviation of each pixel over training sets for the first input, simulated beside predicted, with one "
                "colour scale for each row. For colour images it is the root mean square over channels. Pixels that no training "
                "set changes are blank."
            ),
            alternative=(
                "Standard deviation of each pixel for one input as images, simulated beside predicted, one row for each map."
            ),
            draw=partial(draw_pixels, validation),
            raster=True,
        ),
        Prose(PROSE, "pixels", summary=HOW),
    )


def _pixels_takeaway(validation: Validation) -> str:
    n = middle(validation.setup.n)
    found = [c for c in main_comparisons(validation, "pixels") if c.n == n]
    if not found:
        return ""
    first, *rest = found
    parts = [f"{times(first.agreement.ratio)} the predicted one ({first.label})"]
    parts += [f"{times(c.agreement.ratio)} ({c.label})" for c in rest]
    return f"At n = {n:,}, the simulated variance of all pixels together is {', '.join(parts)}."


@styled
def draw_pixels(validation: Validation) -> Figure:
    """Standard deviation of each pixel for one input, simulated beside predicted, at the middle n; a row for each map."""
    chosen = subjects(validation, "pixels")
    n, laws, kind = middle(validation.setup.n), ordered_laws(validation), kind_of(validation.data.shape)
    columns = 1 + len(laws)
    ratio = validation.data.shape[0] / validation.data.shape[1]
    side = min(1.45, 5.6 / columns)
    height = len(chosen) * (side * min(ratio, 3.0) + 0.28) + 0.55
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(len(chosen), columns, squeeze=False)
    for row, (subject, label) in zip(axes, chosen.items(), strict=True):
        found = [validation.find("pixels", law.name, n, subject) for law in laws]
        first = next(c for c in found if c is not None)
        pictures: list[FloatArray | None] = [_pixel_image(validation, first, first.agreement.simulated, kind)]
        pictures += [None if c is None else _pixel_image(validation, c, c.agreement.predicted, kind) for c in found]
        top = max(float(np.nanmax(p, initial=0.0)) for p in pictures if p is not None) or 1.0
        for ax, values in zip(row, pictures, strict=True):
            frame(ax)
            if values is None:
                ax.set_axis_off()
            else:
                image = ax.imshow(values, cmap=look.deviation_map(), vmin=0, vmax=top, interpolation="nearest")
        bar = figure.colorbar(image, ax=list(row), shrink=0.9, pad=0.02, aspect=12)
        bar.outline.set_linewidth(0.4)
        bar.locator = marks.few_ticks()
        bar.update_ticks()
        row[0].set_ylabel(label.replace("sampling map to", "map to").replace(", ", "\n"), fontsize=9)
    for ax, title in zip(axes[0], ("simulated", *(law.title for law in laws)), strict=True):
        ax.set_title(title, loc="center", fontsize=9.5)
    return figure


def _pixel_image(validation: Validation, comparison: Comparison, variance: FloatArray, kind: Kind) -> FloatArray:
    """Standard deviation as an image, root mean square over channels; pixels that do not vary are zero."""
    std = np.zeros(int(np.prod(validation.data.shape)))
    std[comparison.entries] = np.sqrt(np.maximum(variance, 0.0))
    return pixel_level(std.reshape(validation.data.shape), kind)
