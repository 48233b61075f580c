"""The sections on noise levels, modes and training-set sizes: each with its figure and what the figure says.

Logarithmic axes leave out what they cannot show; nothing is shifted or clipped to make it fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section, figure_section
from ..look import GUIDE, WIDTH, Legend, styled
from ..words import capital, number, percent, short
from . import marks
from .phrases import PROSE, each_size, log_ratio, main_comparisons, rough, spreads, times, typically_off
from .select import (
    comparisons,
    curve_laws,
    differs,
    distinct_laws,
    interval,
    main_law,
    map_subjects,
    middle,
    ordered_laws,
    quantity_names,
    subjects,
)

if TYPE_CHECKING:
    from ...validation.linear.results import Comparison, Validation


# ---------------------------------------------------------------- renormalised noise
def kappa(validation: Validation) -> Section | None:
    """Renormalised noise, where it was simulated."""
    if "kappa" not in quantity_names(validation) or not validation.kappa:
        return None
    each = each_size(validation)
    return figure_section(
        "kappa",
        "Few images act like extra noise: κ",
        "Noise",
        _kappa_takeaway(validation),
        Picture(
            name="kappa",
            caption=(
                "Renormalised noise κ against noise variance σ². Lines are the theory, points are the simulation with 95 % "
                f"intervals. Bottom: simulated over predicted ({main_law(validation).title}). Dotted lines: infinite data."
            ),
            alternative=f"Renormalised noise against noise variance: predicted lines, simulated points {each}, and their ratio.",
            draw=partial(draw_kappa, validation),
        ),
        Prose(PROSE, "kappa", {"coincidences": coincidences(validation)}, summary=HOW),
    )


def _kappa_takeaway(validation: Validation) -> str:
    found = main_comparisons(validation, "kappa")
    if not found:
        return ""
    parts = []
    for comparison in (found[0], found[-1]) if len(found) > 1 else found:
        deviation = np.abs(log_ratio(comparison))
        if not np.isfinite(deviation).any():
            continue
        place = int(np.nanargmax(deviation))
        ratio = float(comparison.agreement.simulated[place] / comparison.agreement.predicted[place])
        sigma = short(math.sqrt(float(comparison.entries[place])), 2)
        parts.append(f"{times(ratio)} the predicted one at n = {comparison.n:,} (σ = {sigma})")
    return f"Where the simulated κ is furthest from the theory, it is {' and '.join(parts)}." if parts else ""


@styled
def draw_kappa(validation: Validation) -> Figure:
    """κ against σ² for each n: theory and simulation; below, simulated over predicted with intervals."""
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    legend = plot_kappa(top, validation)
    plot_kappa_ratio(bottom, validation)
    look.stacked(top)
    look.legend_beside(figure, legend)
    return figure


def _kappa_comparisons(validation: Validation) -> list[Comparison]:
    """Those of κ under the first law that has a curve of it."""
    return comparisons(validation, "kappa", curve_laws(validation, validation.kappa.curves)[0].name)


def _noise_axis(ax: Axes, validation: Validation) -> None:
    look.log_axis(ax.xaxis, *marks.limits_of(validation.kappa.noise_variances, pad=0.02))
    ax.set_xlabel("noise variance σ²")


def plot_kappa(ax: Axes, validation: Validation) -> Legend:
    """κ against σ² for each n: theory, simulation with intervals, and the diagonal of infinite data."""
    grid, curves = validation.kappa.noise_variances, validation.kappa.curves
    simulated = [c.agreement.simulated for c in comparisons(validation, "kappa")]
    _noise_axis(ax, validation)
    look.log_axis(ax.yaxis, *marks.limits_of(grid, *curves.values(), *simulated, pad=0.04))
    ax.plot(grid, grid, gid="diagonal", **marks.GUIDE_LOOK)
    shown = distinct_laws(validation, curves)
    for law in shown:
        for row, n in enumerate(validation.setup.n):
            style = {**marks.law_look(validation, law), "color": marks.colour_of(validation, n)}
            ax.plot(grid, numbers.positive(curves[law.name][row]), gid=f"{law.name}-{n}", **style)
    for comparison in _kappa_comparisons(validation):
        x, colour = numbers.positive(comparison.entries), marks.colour_of(validation, comparison.n)
        marks.simulated_points(ax, validation, comparison, x, gid=f"simulated-{comparison.n}", color=colour)
    ax.set_ylabel("renormalised noise κ(σ²)")
    diagonal = Line2D([], [], label="κ = σ²\n(infinite data)", **marks.GUIDE_LOOK)
    names = [law.name for law in shown]
    extra = [*marks.law_handles(validation, names), marks.simulation_handle(), diagonal]
    return look.n_legend(validation.setup.n, extra)


def plot_kappa_ratio(ax: Axes, validation: Validation) -> Legend:
    """Simulated over predicted κ against σ² for each n, with intervals."""
    _noise_axis(ax, validation)
    ax.axhline(1.0, **marks.GUIDE_LOOK)
    ends: list[FloatArray] = []
    for comparison in _kappa_comparisons(validation):
        x, colour = numbers.positive(comparison.entries), marks.colour_of(validation, comparison.n)
        result = comparison.agreement
        scale = numbers.ratio(np.ones(x.size), result.predicted)
        marks.simulated_points(ax, validation, comparison, x, gid=f"ratio-{comparison.n}", scale=scale, color=colour)
        ax.plot(x, numbers.ratio(result.simulated, result.predicted), color=colour, lw=0.7)
        ends += [array * scale for array in interval(validation, comparison)]
    look.factor_axis(ax.yaxis, *(numbers.finite_range(*ends) or (0.5, 2.0)))
    ax.set_ylabel("simulated / predicted")
    return look.n_legend(validation.setup.n, [marks.simulation_handle()])


def coincidences(validation: Validation) -> str:
    """Equal images in one training set make an eigenvalue zero, on which an average of inverses hangs."""
    small = [n for n in validation.setup.n if n <= validation.data.eigenvalues.size]
    if validation.setup.sampling != "resample" or validation.data.pool_size is None or not small:
        return ""
    pairs = small[0] * (small[0] - 1) / (2 * validation.data.pool_size)
    return (
        f"In {small[0]:,} images drawn with replacement from {validation.data.pool_size:,}, {number(pairs, 2)} pairs are equal on "
        "average. Where n is at most the number of modes, such a pair makes one eigenvalue of Σ̂ zero, and at low noise its "
        "1/σ² outweighs all others. The simulated κ is then far below the κ that theory predicts, which is for images that "
        "never repeat."
    )


# ---------------------------------------------------------------- by mode
def overshrinkage(validation: Validation) -> Section | None:
    """Expected gains of modes, where they were simulated."""
    if "gains" not in quantity_names(validation):
        return None
    each = each_size(validation)
    return figure_section(
        "overshrinkage",
        "Over-shrinkage: expected gain of each mode",
        "Shrinkage",
        _overshrinkage_takeaway(validation),
        Picture(
            name="overshrinkage",
            caption=(
                "Expected gain of each mode divided by its gain with infinite data; 1 means no loss. Lines are the theory, points "
                "are the simulation with 95 % intervals (at some modes only, where there are many). A law whose curve cannot be "
                "told from that of the first law is not drawn."
            ),
            alternative=(
                f"Gain of each mode relative to infinite data: predicted lines and simulated points {each}, one panel for each "
                "map."
            ),
            draw=partial(draw_overshrinkage, validation),
        ),
        Prose(PROSE, "overshrinkage", summary=HOW),
    )


def _overshrinkage_takeaway(validation: Validation) -> str:
    chosen = overshrinkage_subjects(validation)
    if not chosen:
        return ""
    subject, label = next(iter(chosen.items()))
    comparison = main_comparisons(validation, "gains", subject)[0]
    question = next(q for q in validation.setup.maps if q.key == subject)
    ideal = np.asarray(question.gain(validation.data.eigenvalues), dtype=np.float64)[comparison.entries]
    kept = numbers.ratio(comparison.agreement.simulated, ideal)
    if not np.isfinite(kept).any():
        return ""
    place = int(np.nanargmin(kept))
    predicted = float(comparison.agreement.predicted[place] / ideal[place])
    text = (
        f"With {comparison.n:,} images, mode {int(comparison.entries[place]) + 1:,} of the {label} loses most: it keeps "
        f"{percent(float(kept[place]))} of its gain in the simulation and {percent(predicted)} in theory."
    )
    off = float(np.nanmedian(np.abs(log_ratio(comparison))))
    return f"{text} For the typical mode (median), the theory is off by {typically_off(off)}."


def overshrinkage_subjects(validation: Validation) -> dict[str, str]:
    """Identifier → label of the maps whose gains are drawn."""
    return map_subjects(validation, "gains") or subjects(validation, "gains")


@styled
def draw_overshrinkage(validation: Validation) -> Figure:
    """Expected gain over the gain with infinite data by mode, for the sampling map and each denoiser."""
    chosen = overshrinkage_subjects(validation)
    grid = marks.panels(len(chosen))
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        plot_overshrinkage(ax, validation, subject)
        ax.set_title(capital(label))
    _name_first_of_rows(grid.axes)
    grid.legend(overshrinkage_legend(validation, chosen))
    return grid.figure


def plot_overshrinkage(ax: Axes, validation: Validation, subject: str) -> Legend:
    """Expected gain of one map over its gain with infinite data by mode: theory and simulation for each n."""
    question = next(q for q in validation.setup.maps if q.key == subject)
    ideal = np.asarray(question.gain(validation.data.eigenvalues), dtype=np.float64)
    found = [c for c in comparisons(validation, "gains") if c.subject == subject]

    def relative(comparison: Comparison) -> FloatArray:
        return numbers.ratio(np.ones(comparison.entries.size), ideal[comparison.entries])

    _by_mode(ax, validation, found, relative)
    ax.axhline(1.0, zorder=1, **marks.GUIDE_LOOK)
    ends = [array * relative(c) for c in found for array in (*_thinned_ends(validation, c), c.agreement.predicted)]
    low, high = numbers.finite_range(*ends) or (0.0, 1.0)
    if high > 3.0:
        look.log_axis(ax.yaxis, *numbers.log_limits(low, max(high, 1.0)))
    else:
        ax.set_ylim(0, max(1.06, 1.04 * high))
    ax.set_xlabel("mode k")
    ax.set_ylabel("gain / gain with infinite data")
    return overshrinkage_legend(validation, [subject])


def overshrinkage_legend(validation: Validation, chosen: Iterable[str]) -> Legend:
    """The legend of some maps together."""
    extra = [*_by_mode_handles(validation, "gains", chosen), Line2D([], [], label="infinite data", **marks.GUIDE_LOOK)]
    return look.n_legend(validation.setup.n, extra)


def anisotropy_subjects(validation: Validation) -> dict[str, str]:
    """The denoisers of lowest and highest noise and the final sampling map, as far as they are there."""
    found = subjects(validation, "mode_disagreement")
    denoisers = sorted((q for q in validation.setup.maps if q.kind == "denoiser" and q.key in found), key=_noise)
    ends = [denoisers[0], denoisers[-1]] if len(denoisers) > 1 else denoisers
    final = [q for q in validation.setup.maps if q.kind == "sampling_map" and q.sigma == 0 and q.key in found]
    return {q.key: q.label for q in (*ends, *final)} or found


def _noise(question: Any) -> float:
    return float(question.sigma)


def anisotropy(validation: Validation) -> Section | None:
    """Disagreement by mode, where it was simulated."""
    if "mode_disagreement" not in quantity_names(validation):
        return None
    each = each_size(validation)
    return figure_section(
        "anisotropy",
        "Anisotropy: in which modes do models disagree?",
        "Modes",
        _anisotropy_takeaway(validation),
        Picture(
            name="anisotropy",
            caption=(
                "Squared distance between two models along each mode of the output, averaged over inputs: for the denoiser at low "
                "and at high noise, and for the finished sample. Lines are the theory, points are the simulation with 95 % "
                "intervals."
            ),
            alternative=(
                f"Disagreement by mode of the output on logarithmic axes: predicted lines and simulated points {each}, one "
                "panel for each map."
            ),
            draw=partial(draw_anisotropy, validation),
        ),
        Prose(PROSE, "anisotropy", summary=HOW),
    )


def _anisotropy_takeaway(validation: Validation) -> str:
    parts = [
        f"{each.label}: {rough(each.factor)} ({each.order:.2f})"
        for each in spreads(validation, "mode_disagreement", anisotropy_subjects(validation))
    ]
    if not parts:
        return ""
    return (
        f"At n = {middle(validation.setup.n):,}, the simulated disagreement of one mode is up to this many times that of another "
        f"(in brackets: rank correlation with the theory): {'; '.join(parts)}."
    )


@styled
def draw_anisotropy(validation: Validation) -> Figure:
    """Mean disagreement by output mode at low and high noise of the denoiser and for the sampling map."""
    chosen = anisotropy_subjects(validation)
    grid = marks.panels(len(chosen))
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        plot_anisotropy(ax, validation, subject)
        ax.set_title(capital(label))
    _name_first_of_rows(grid.axes)
    grid.legend(anisotropy_legend(validation, chosen))
    return grid.figure


def plot_anisotropy(ax: Axes, validation: Validation, subject: str) -> Legend:
    """Mean disagreement of one map by output mode: theory and simulation for each n."""
    found = [c for c in comparisons(validation, "mode_disagreement") if c.subject == subject]
    _by_mode(ax, validation, found, lambda _comparison: 1.0)
    values = [x for c in found for x in (c.agreement.predicted, *_thinned_ends(validation, c))]
    look.log_axis(ax.yaxis, *marks.limits_of(*values))
    ax.set_xlabel("mode k of the output")
    ax.set_ylabel("squared distance / d")
    return anisotropy_legend(validation, [subject])


def anisotropy_legend(validation: Validation, chosen: Iterable[str]) -> Legend:
    """The legend of some maps together."""
    return look.n_legend(validation.setup.n, _by_mode_handles(validation, "mode_disagreement", chosen))


def _thinned_ends(validation: Validation, comparison: Comparison) -> tuple[FloatArray, FloatArray]:
    """Ends of the intervals that are drawn; NaN elsewhere."""
    low, high = interval(validation, comparison)
    drawn = np.zeros(low.size, dtype=np.bool_)
    drawn[marks.thinned(low.size)] = True
    return np.where(drawn, low, np.nan), np.where(drawn, high, np.nan)


def _distinct(validation: Validation, found: list[Comparison]) -> list[Comparison]:
    """Comparisons whose prediction is a curve of its own: all of the main law, of others where they differ from it."""
    main = main_law(validation).name
    first = {c.n: c.agreement.predicted for c in found if c.law == main}
    return [
        c
        for law in ordered_laws(validation)
        for c in found
        if c.law == law.name and (c.law == main or c.n not in first or differs(c.agreement.predicted, first[c.n]))
    ]


def _by_mode_handles(validation: Validation, quantity: str, chosen: Iterable[str]) -> list[Line2D]:
    """Legend entries of theory and simulation of some maps."""
    groups = [[c for c in comparisons(validation, quantity) if c.subject == subject] for subject in chosen]
    shown = sorted({c.law for group in groups for c in _distinct(validation, group)})
    return [*marks.law_handles(validation, shown), marks.simulation_handle()]


def _by_mode(ax: Axes, validation: Validation, found: list[Comparison], scale: Any) -> None:
    """Theory and simulation of one map by mode."""
    look.mode_axis(ax, validation.data.eigenvalues.size)
    laws = {law.name: law for law in validation.setup.laws}
    for comparison in _distinct(validation, found):
        predicted = comparison.agreement.predicted
        style = marks.law_look(validation, laws[comparison.law])
        few: dict[str, Any] = {"marker": "_", "ms": 9} if predicted.size <= 3 else {}
        ax.plot(
            comparison.entries + 1,
            numbers.positive(predicted * scale(comparison)),
            gid=f"{comparison.subject}-{comparison.law}-{comparison.n}",
            color=marks.colour_of(validation, comparison.n),
            **style,
            **few,
        )
    for comparison in (c for c in found if c.law == main_law(validation).name):
        x = np.asarray(comparison.entries + 1, dtype=np.float64)
        marks.simulated_points(
            ax,
            validation,
            comparison,
            x,
            gid=f"{comparison.subject}-simulated-{comparison.n}",
            scale=scale(comparison),
            color=marks.colour_of(validation, comparison.n),
        )


def _name_first_of_rows(axes: list[Axes]) -> None:
    """Leave the name of the ordinate to the panel where a row begins."""
    for ax in axes:
        spec = ax.get_subplotspec()
        if spec is not None and not spec.is_first_col():
            ax.set_ylabel("")


# ---------------------------------------------------------------- by n
def scaling(validation: Validation) -> Section | None:
    """Disagreement by n, where a law has a curve of it."""
    if "bands" not in quantity_names(validation) or not validation.scaling.disagreement:
        return None
    return figure_section(
        "scaling",
        "Scaling: how fast does disagreement fall with n?",
        "Sizes",
        _scaling_takeaway(validation),
        Picture(
            name="scaling",
            caption=(
                "Disagreement of the finished samples in each eigenband (mean over inputs) against the number of training images. "
                "Lines are the theory, also for n that were not simulated; markers are the simulation with 95 % intervals. The "
                "dotted line falls as 1/n."
            ),
            alternative=(
                "Disagreement of each eigenband against n on logarithmic axes: predicted curves and simulated points with "
                "intervals."
            ),
            draw=partial(draw_scaling, validation),
        ),
        Prose(PROSE, "scaling", summary=HOW),
    )


def _scaling_takeaway(validation: Validation) -> str:
    found = main_comparisons(validation, "bands", validation.scaling.subject)
    if not found:
        return ""
    first, last = found[0].agreement, found[-1].agreement
    if len(found) == 1:
        return f"At n = {found[0].n:,}, the simulated disagreement of all bands together is {times(first.ratio)} the predicted one."
    simulated = float(numbers.ratio(first.simulated.sum(), last.simulated.sum()))
    predicted = float(numbers.ratio(first.predicted.sum(), last.predicted.sum()))
    if not (math.isfinite(simulated) and math.isfinite(predicted)):
        return ""
    return (
        f"From n = {found[0].n:,} to {found[-1].n:,}, the disagreement falls by a factor of {rough(simulated)} in the simulation "
        f"and {rough(predicted)} in theory (1/n would give {rough(found[-1].n / found[0].n)})."
    )


@styled
def draw_scaling(validation: Validation) -> Figure:
    """Disagreement by eigenband against n: predicted curves, simulated points with intervals, and 1/n."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    look.legend_beside(figure, plot_scaling(figure.add_subplot(), validation))
    return figure


def plot_scaling(ax: Axes, validation: Validation) -> Legend:
    """The same on given axes."""
    curves = validation.scaling
    main = curve_laws(validation, curves.disagreement)[0]
    found = [c for c in comparisons(validation, "bands", main.name) if c.subject == curves.subject]
    simulated = [end for c in found for end in interval(validation, c)]
    n_values = [curves.n, np.array(validation.setup.n, dtype=np.float64)]
    look.log_axis(ax.xaxis, *marks.limits_of(*n_values, pad=0.03))
    limits = marks.limits_of(*curves.disagreement.values(), *simulated)
    look.log_axis(ax.yaxis, *limits)
    shown, handles = distinct_laws(validation, curves.disagreement), []
    for law in shown:
        for index in range(len(validation.setup.bands)):
            style = {**marks.law_look(validation, law), "color": look.band_colour(index)}
            values = numbers.positive(curves.disagreement[law.name][:, index])
            ax.plot(curves.n, values, gid=f"{law.name}-{index}", **style)
    for index, band in enumerate(validation.setup.bands):
        colour, marker = look.band_colour(index), look.band_marker(index)
        arrays = [
            (c.n, numbers.positive(c.agreement.simulated)[index], *(e[index] for e in interval(validation, c)))
            for c in found
        ]
        if arrays:
            x, y, low, high = (np.array(column, dtype=np.float64) for column in zip(*arrays, strict=True))
            look.points(ax, x, y, low, high, gid=f"simulated-{index}", color=colour, marker=marker, ms=4.5)
        label = band.label.replace("-", "–")
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4.5, lw=1.4, label=label))
    handles.append(_inverse_guide(ax, curves.n, curves.disagreement[main.name], limits))
    handles += marks.law_handles(validation, [law.name for law in shown]) if len(shown) > 1 else []
    ax.set_xlabel("training images n")
    ax.set_ylabel("squared distance / d in the band")
    return Legend(handles, "eigenbands")


def _inverse_guide(ax: Axes, n: FloatArray, values: FloatArray, limits: tuple[float, float]) -> Line2D:
    """Slope −1 through the end of the largest band, a little above it: the rate of plain averaging."""
    last = numbers.finite_range(values[-1])
    anchor = 1.6 * last[1] if last else math.sqrt(limits[0] * limits[1])
    ys = anchor * n[-1] / n
    (line,) = ax.plot(
        n,
        np.where((ys >= limits[0]) & (ys <= limits[1]), ys, np.nan),
        color=GUIDE,
        lw=1.0,
        ls=(0, (1, 1.6)),
        label="∝ 1/n",
        zorder=1,
        gid="guide",
    )
    return line
