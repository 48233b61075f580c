"""The figures of theory against simulation entry by entry: inputs, mode pairs, strata, sampler steps and pixels."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from ..._checks import FloatArray
from .. import look, numbers
from ..arrays import Kind, frame, kind_of, pixel_level
from ..look import GUIDE, INK, MUTED, WIDTH, styled
from ..words import NO_BREAK
from . import marks
from .select import (
    comparisons,
    interval,
    left_out,
    main_law,
    middle,
    ordered_laws,
    spread,
    subjects,
)

if TYPE_CHECKING:
    from ...validation.laws import ComparedLaw
    from ...validation.linear.results import Comparison, Validation

MAX_INPUTS = 200  # inputs drawn; more are thinned evenly in the order of the prediction
MARK = 4.0
STEP_MARKERS = ("s", "^", "v", "P", "X")
_STRATUM_ROW = 0.27


# ---------------------------------------------------------------- by input
@styled
def inhomogeneity(validation: Validation) -> Figure:
    """Disagreement of each input, simulated against predicted, both over the predicted mean over inputs."""
    chosen = subjects(validation, "seeds")
    grid = marks.panels(len(chosen), height=3.05)
    main = main_law(validation)
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        found = [c for c in comparisons(validation, "seeds", main.name) if c.subject == subject]
        drawn: list[FloatArray] = []
        for comparison in found:
            scale = 1 / float(np.mean(comparison.agreement.predicted))
            order = np.argsort(comparison.agreement.predicted, kind="stable")
            x = numbers.positive(comparison.agreement.predicted * scale)
            kept = order[spread(order.size, MAX_INPUTS)]
            marks.simulated_points(
                ax, validation, comparison, x, gid=f"{subject}-simulated-{comparison.n}", scale=scale, chosen=kept,
                color=marks.colour_of(validation, comparison.n), alpha=0.85,
            )  # fmt: skip
            drawn += [x[kept], *(end[kept] * scale for end in interval(validation, comparison))]
        _square(ax, drawn)
        ax.set_title(label[0].upper() + label[1:])
        ax.set_xlabel("predicted / mean")
        ax.set_ylabel("simulated / predicted mean")
    grid.legend(validation, [marks.simulation_handle(), _diagonal_handle()])
    return grid.figure


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
@styled
def scatter(validation: Validation) -> Figure:
    """Variance of mode pairs, simulated against predicted, with the diagonal; one panel for each map."""
    chosen = subjects(validation, "mode_variance")
    grid = marks.panels(len(chosen), height=3.05)
    main = main_law(validation)
    extra: list[Line2D] = []
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        found = [c for c in comparisons(validation, "mode_variance") if c.subject == subject]
        first = {c.n: c for c in found if c.law == main.name}
        count = sum(c.entries.size for c in first.values())
        alpha = min(0.75, max(0.12, 500 / max(count, 1)))
        hidden = 0
        drawn: list[FloatArray] = []
        for law in ordered_laws(validation):
            for comparison in (c for c in found if c.law == law.name):
                x = numbers.positive(comparison.agreement.predicted)
                y = numbers.positive(comparison.agreement.simulated)
                other = first.get(comparison.n)
                if law.name != main.name and other is not None:
                    x = np.where(_apart(x, other.agreement.predicted), x, np.nan)
                else:
                    hidden += int(np.sum(left_out(x, y)))
                style = _cloud_look(validation, law, marks.colour_of(validation, comparison.n), alpha)
                ax.plot(x, y, ls="", gid=f"{subject}-{law.name}-{comparison.n}", **style)
                drawn += [x, y]
                if law.name != main.name and np.isfinite(x).any() and law.title not in [h.get_label() for h in extra]:
                    extra.append(Line2D([], [], ls="", label=law.title, **_cloud_look(validation, law, INK, 1.0)))
        _square(ax, drawn, least=10)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(base=10, numticks=5))
        ax.set_title(label[0].upper() + label[1:])
        ax.set_xlabel("predicted variance")
        ax.set_ylabel("simulated variance")
        if hidden:
            text = f"{hidden:,} without logarithm not shown"
            ax.text(0.98, 0.02, text, transform=ax.transAxes, ha="right", va="bottom", color=MUTED, fontsize=8)
    dot = Line2D([], [], ls="", label=main.title, **_cloud_look(validation, main, INK, 1.0))
    grid.legend(validation, [dot, *extra, _diagonal_handle()])
    return grid.figure


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


# ---------------------------------------------------------------- strata
@styled
def counterfactual(validation: Validation) -> Figure:
    """Disagreement of models of any two strata, sorted: simulated with intervals, predicted, and its limit."""
    found = validation.counterfactual
    if found is None:
        raise ValueError("counterfactual: the validation must have a counterfactual, got None")
    pairs = strata_pairs(validation)
    figure = Figure(figsize=(WIDTH, _STRATUM_ROW * len(pairs) + 1.3), layout="constrained")
    ax = figure.add_subplot()
    everything = (found.simulated, found.interval_low, found.interval_high, *found.predicted.values())
    limits = np.array([found.predicted_limit[i, j] for i, j in pairs])
    look.log_axis(ax.xaxis, *marks.limits_of(*everything, limits))
    for place, (i, j) in enumerate(pairs):
        ends = numbers.positive(np.array([found.interval_low[i, j], found.interval_high[i, j]]))
        ax.plot(ends, [place, place], color=INK, lw=2.0, zorder=3, solid_capstyle="butt")
        if (found.names[i], found.names[j]) == (found.names[0], found.names[0]):
            ax.axhspan(place - 0.5, place + 0.5, color="#eaf1f8", lw=0, zorder=0)
    places = np.arange(len(pairs))
    simulated = numbers.positive(np.array([found.simulated[i, j] for i, j in pairs]))
    ax.plot(numbers.positive(limits), places, ls="", marker="|", ms=9, mew=2.2, color=GUIDE, gid="limit", zorder=2)
    laws = [law for law in ordered_laws(validation) if law.name in found.predicted]
    handles = [Line2D([], [], color=INK, marker="o", ms=4, lw=2.0, label=f"simulation, 95{NO_BREAK}%")]
    for index, law in enumerate(laws):
        predicted = numbers.positive(np.array([found.predicted[law.name][i, j] for i, j in pairs]))
        style: dict[str, Any] = {"marker": "D", "ms": 7.0, "mew": 1.2, "mfc": "none", "mec": "#0072b2"}
        if index:
            style |= {"ms": 5.5, "mec": MUTED, "mew": 0.9, "marker": marks.law_marker(validation, law)}
        ax.plot(predicted, places, ls="", zorder=4 - 0.1 * index, gid=law.name, **style)
        handles.append(Line2D([], [], ls="", label=law.title, **style))
    ax.plot(simulated, places, ls="", marker="o", ms=4, mew=0, color=INK, zorder=5, gid="simulated")
    handles.append(Line2D([], [], ls="", marker="|", ms=9, mew=2.2, color=GUIDE, label="with infinite data"))
    ax.set_yticks(places, [pair_name(found.names[i], found.names[j]) for i, j in pairs])
    ax.set_ylim(-0.6, len(pairs) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set_xlabel("squared distance / d of two models")
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.4)
    return figure


def strata_pairs(validation: Validation) -> list[tuple[int, int]]:
    """Pairs of strata in ascending order of their simulated disagreement."""
    found = validation.counterfactual
    if found is None:
        return []
    pairs = list(combinations_with_replacement(range(len(found.names)), 2))
    return sorted(pairs, key=lambda pair: (float(found.simulated[pair]), pair))


def pair_name(first: str, second: str) -> str:
    """``both top``, ``top against bottom``."""
    return f"both {first}" if first == second else f"{first} against {second}"


# ---------------------------------------------------------------- sampler of finitely many steps
@styled
def steps(validation: Validation) -> Figure:
    """Discretisation error of each step count and finite-data effect by eigenband for each n; below, their ratio."""
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.35, 1])
    errors = validation.step_errors
    counts = sorted({e.steps for e in errors})
    x = np.arange(len(validation.bands), dtype=np.float64)
    for error in errors:
        colour = marks.colour_of(validation, error.n)
        marker = STEP_MARKERS[counts.index(error.steps) % len(STEP_MARKERS)]
        style: dict[str, Any] = {"color": colour, "marker": marker, "ms": 4.5, "lw": 0.8, "ls": (0, (1, 1.6))}
        top.plot(x, numbers.positive(error.discretisation), gid=f"steps-{error.steps}-{error.n}", **style)
        if error.steps == counts[0]:
            top.plot(
                x, numbers.positive(error.finite_data), color=colour, marker="o", ms=MARK, lw=1.6, gid=f"data-{error.n}"
            )
        relative = np.sqrt(numbers.ratio(error.discretisation, error.finite_data))
        bottom.plot(x, numbers.positive(relative), gid=f"ratio-{error.steps}-{error.n}", **style)
    values = [a for e in errors for a in (e.discretisation, e.finite_data)]
    look.log_axis(top.yaxis, *marks.limits_of(*values))
    parts = [np.sqrt(numbers.ratio(e.discretisation, e.finite_data)) for e in errors]
    look.log_axis(bottom.yaxis, *marks.limits_of(*parts, np.ones(1)), text=lambda v: f"{100 * v:.3g} %")
    bottom.axhline(1.0, **marks.GUIDE_LOOK)
    labels = [band.label.replace("-", "–").split(" ")[1] for band in validation.bands]
    bottom.set_xticks(x, labels)
    if len(labels) > 8:
        bottom.tick_params(axis="x", labelrotation=60)
    bottom.set_xlabel("eigenband: modes")
    top.set_ylabel("squared distance / d")
    bottom.set_ylabel("steps / finite data (RMS)")
    extra = [Line2D([], [], color=INK, marker="o", ms=MARK, lw=1.6, label="finite data")]
    extra += [
        Line2D([], [], color=INK, marker=STEP_MARKERS[k % len(STEP_MARKERS)], ms=4.5, lw=0.8, ls=(0, (1, 1.6)),
               label=f"{count} steps")
        for k, count in enumerate(counts)
    ]  # fmt: skip
    look.n_legend(figure, validation.n, extra)
    return figure


# ---------------------------------------------------------------- pixels
@styled
def pixels(validation: Validation) -> Figure:
    """Standard deviation of each pixel for one input, simulated beside predicted, at the middle n; a row for each map."""
    chosen = subjects(validation, "pixels")
    n, laws, kind = middle(validation.n), ordered_laws(validation), kind_of(validation.pixel_shape)
    columns = 1 + len(laws)
    ratio = validation.pixel_shape[0] / validation.pixel_shape[1]
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
    std = np.zeros(int(np.prod(validation.pixel_shape)))
    std[comparison.entries] = np.sqrt(np.maximum(variance, 0.0))
    return pixel_level(std.reshape(validation.pixel_shape), kind)
