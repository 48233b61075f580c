"""The window on learning: weights, generated variance, emergence times with their exponents, divergence, convolutions."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from ..._checks import FloatArray
from ...lens.learning import THRESHOLDS, ConvolutionCurves, ExponentFit, LearnerCurves, LearningStudy
from ...lens.linear import wiener_gain
from .. import look, numbers
from ..document import Picture, Section, Table
from ..look import GUIDE, MUTED, WIDTH, styled
from ..words import capital, count, number, percent, power_of_ten, short

__all__ = ["convolutions", "divergence", "emergence", "section", "variance", "weights"]

_WAY = {1: "grow", -1: "shrink"}
_FILL: dict[int, Literal["full", "none"]] = {1: "full", -1: "none"}


def section(study: LearningStudy) -> Section:
    """What a study of learning shows."""
    names = ", ".join(c.title for c in study.learners)
    pictures = [
        Picture(
            name="learning_weights",
            title="Weights during training",
            caption=f"Gain of {len(study.selected)} eigenmodes of the data at noise level σ = {short(study.sigma)} "
            f"against training time τ (gradient flow, learning rate η = {short(study.rate)}), in closed form for: "
            f"{names}. Points at the right are the Wiener gain λ/(λ + σ²), which all of them converge to. A layer "
            "learns at the rate of its input, 2η(λ + σ²); two layers learn at the rate of the signal, ηλ times 8, "
            "after a delay that the size of the start sets.",
            alternative="Curves of gain against training time; " + _weights_words(study),
            draw=lambda: weights(study),
        ),
        Picture(
            name="learning_variance",
            title="Variance of generated samples during training",
            caption="Variance of the same modes in samples of the probability-flow ODE with the denoiser as it is at "
            f"training time τ, from σ = {short(study.noise.sigma_max)} to {short(study.noise.sigma_min)}. Points at "
            "the right: the data's eigenvalues λ. Where training starts depends on the initial weights: from 0 all "
            "modes grow, from the skip connection modes with λ below σ_data² shrink.",
            alternative="Curves of variance against training time; " + _variance_words(study),
            draw=lambda: variance(study),
        ),
        Picture(
            name="learning_emergence",
            title="When modes emerge, and the exponent",
            caption="First training time τ* at which the variance of a mode crosses the harmonic, geometric or "
            "arithmetic mean of where it starts and where it goes, against λ; filled marks grow, hollow ones shrink. "
            "Lines are fits of τ* ∝ λ^−α. The same learner has another exponent under each threshold, so that α "
            f"means nothing without threshold and direction. Modes that end within a factor {short(study.exclude)} "
            "of where they start are left out.",
            alternative=_exponent_words(study, "geometric"),
            draw=lambda: emergence(study),
        ),
        Picture(
            name="learning_divergence",
            title="Distance of generated law and data during training",
            caption=f"Left: KL(generated ‖ data) in nats, summed over the {count(study.learned)} modes with λ of at "
            "least ten times σ_min². Right: error of the mean of generated samples, ‖E x̄ − μ‖/‖μ‖, of a sampler "
            "that starts at N(0, σ_max²): the variance that the denoiser keeps from there is a part of the mean that "
            "it misses.",
            alternative="Curves of divergence and of the mean's error against training time; "
            + _divergence_words(study),
            draw=lambda: divergence(study),
        ),
    ]
    if study.convolutions:
        pictures.append(
            Picture(
                name="learning_convolutions",
                title="Convolutions: emergence and final variance by frequency",
                caption="Linear circular convolutions that start at 0, one filter for all pixels and channels. Left: "
                "emergence time (geometric threshold, toward what the convolution converges to) against spatial "
                "frequency. Modes below the resolution of a patch emerge at about the same time; those beyond it do "
                "not. Right: variance after training without end, over the data's: a local patch learns neither the "
                "data's variance nor its covariance.",
                alternative=_convolution_words(study),
                draw=lambda: convolutions(study),
            )
        )
    tables = [_exponent_table(study), _mode_table(study)]
    if study.convolutions:
        tables.append(_convolution_table(study))
    return Section(
        name="learning",
        title="How linear denoisers learn",
        takeaways=tuple(_findings(study)),
        parts=(*pictures, *tables),
    )


# ---------------------------------------------------------------- words
def _alpha(fit: ExponentFit) -> str:
    if fit.law is None:
        return "no fit"
    low, high = fit.law.interval
    return f"{fit.law.exponent:.2f} ({low:.2f} to {high:.2f})"


def _of(curves: LearnerCurves, threshold: str) -> list[ExponentFit]:
    return [f for f in curves.fits if f.threshold == threshold and f.law is not None]


def _exponent_words(study: LearningStudy, threshold: str) -> str:
    parts = []
    for curves in study.learners:
        fits = [f"{_alpha(f)} for the {f.modes} modes that {_WAY[f.direction]}" for f in _of(curves, threshold)]
        if fits:
            parts.append(f"{curves.title}: {' and '.join(fits)}")
    return (
        f"Exponents α under the {threshold} threshold: "
        + ("; ".join(parts) if parts else "too few modes for a fit")
        + "."
    )


def _weights_words(study: LearningStudy) -> str:
    values = study.eigenvalues[study.selected]
    return f"modes with λ from {number(values.min())} to {number(values.max())}."


def _variance_words(study: LearningStudy) -> str:
    starts = [
        f"{c.title} starts at {number(c.initial_variance.min())}"
        + (
            ""
            if np.ptp(c.initial_variance) <= 1e-6 * c.initial_variance.max()
            else f" to {number(c.initial_variance.max())}"
        )
        for c in study.learners
    ]
    return "; ".join(starts) + "."


def _divergence_words(study: LearningStudy) -> str:
    parts = [f"{c.title}: {number(c.divergence[0])} to {number(c.divergence[-1])} nats" for c in study.learners]
    return "; ".join(parts) + "."


def _convolution_words(study: LearningStudy) -> str:
    parts = []
    for curves in study.convolutions:
        ratio = curves.final_ratio[np.isfinite(curves.final_ratio)]
        if ratio.size:
            span = f"{short(float(ratio.min()))} to {short(float(ratio.max()))}"
            parts.append(f"{curves.title}: final variance {span} times the data's")
    return "; ".join(parts) + "."


def _findings(study: LearningStudy) -> list[str]:
    out = []
    laws = [(f.law.exponent, c.title, f) for c in study.learners for f in c.fits if f.law is not None]
    if laws:
        low, high = min(laws, key=lambda x: x[0]), max(laws, key=lambda x: x[0])
        out.append(
            f"The exponent of emergence is no constant of linear learning: from {low[0]:.2f} ({low[1]}, "
            f"{low[2].threshold} threshold, modes that {_WAY[low[2].direction]}) to {high[0]:.2f} ({high[1]}, "
            f"{high[2].threshold}, modes that {_WAY[high[2].direction]}) on this spectrum."
        )
        out.append(_exponent_words(study, "geometric"))
    for curves in study.learners:
        times = curves.emergence["geometric"].times
        if np.isfinite(times).sum() >= 2:
            first, last = np.nanmin(times), np.nanmax(times)
            out.append(
                f"{capital(curves.title)}: the last mode emerges {number(last / first)} times "
                "later than the first (geometric threshold)."
            )
    final = study.learners[0].mean_left[-1] if study.learners else math.nan
    if np.isfinite(final):
        out.append(
            f"A sampler that starts at N(0, σ_max²) with σ_max = {short(study.noise.sigma_max)} misses "
            f"{percent(float(final))} of the mean after training: {short(study.noise.sigma_max)} is not large "
            "against the variance along the mean, and the starting point lacks it."
            if final > 0.02
            else f"After training the sampler misses {percent(float(final))} of the mean, as it starts at N(0, σ_max²)."
        )
    if study.joint is not None:
        worst = int(np.nanargmax(study.joint.deviation))
        off = float(study.joint.deviation[worst])
        rule = (
            "Modes learn independently only on centred data or with the bias slaved to the weights: with"
            if off > 0.01
            else "The bias hardly couples the modes of these data: with"
        )
        out.append(
            f"{rule} a bias of its own, weights at σ = {short(study.sigma)} are off by up to {percent(off)} of their "
            f"size (at τ = {number(float(study.joint.times[worst]))})."
        )
    out += [_convolution_finding(study, c) for c in study.convolutions if c.patch is not None]
    if study.null_modes:
        out.append(
            f"{count(study.null_modes)} directions have no variance in the data; generated samples keep variance of "
            "order σ_min² or more there, so that they are not judged."
        )
    return out


def _convolution_finding(study: LearningStudy, curves: ConvolutionCurves) -> str:
    times, frequency = curves.emergence.times, study.frequency
    assert frequency is not None
    ratio = curves.final_ratio[np.isfinite(curves.final_ratio)]
    alphas = [f"α = {_alpha(f)} for modes that {_WAY[f.direction]}" for f in curves.fits if f.law is not None]
    text = (
        f"Convolution, {curves.title}: variance of Fourier modes ends between {number(ratio.min())} and "
        f"{number(ratio.max())} times the data's"
    )
    found = np.isfinite(times)
    if found.sum() >= 2:
        order = np.argsort(frequency[found])
        ordered = times[found][order]
        text += f"; the highest frequency emerges {number(ordered[-1] / ordered[0])} times later than the lowest"
    return text + (f" ({'; '.join(alphas)})." if alphas else ".")


# ---------------------------------------------------------------- figures
def _panels(study: LearningStudy) -> tuple[Figure, list[Axes]]:
    count = len(study.learners)
    columns = min(count, 2)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 2.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = [ax for row in grid for ax in row]
    for ax in axes[count:]:
        ax.set_visible(False)
    for place, (ax, curves) in enumerate(zip(axes, study.learners, strict=False)):
        ax.set_title(curves.title)
        _sparse(ax.xaxis, study.times[0], study.times[-1] * _room(study))
        if place + columns >= count:
            ax.set_xlabel("training time τ")
            ax.tick_params(labelbottom=True)
    return figure, axes[:count]


def _sparse(axis: Any, low: float, high: float) -> None:
    """A logarithmic axis of a narrow panel: at most five decades have a label."""
    look.log_axis(axis, low, high, text=power_of_ten)
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, math.ceil((last - first + 1) / 5))
    axis.set_major_locator(FixedLocator([10.0**e for e in range(first, last + 1) if e % step == 0]))


def _room(study: LearningStudy) -> float:
    """Room right of the curves, as a factor of time, for the points that they converge to."""
    return float((study.times[-1] / study.times[0]) ** 0.04)


def _mode_legend(figure: Figure, study: LearningStudy, colours: list[str], last: str) -> None:
    handles = [
        Line2D([], [], color=colour, lw=2.2, label=number(float(study.eigenvalues[k]), 2))
        for k, colour in zip(study.selected, colours, strict=True)
    ]
    handles.append(Line2D([], [], ls="", marker="o", ms=4, color=MUTED, label=last))
    figure.legend(handles=handles, title="eigenvalue λ", loc="outside right upper", alignment="left")


@styled
def weights(study: LearningStudy) -> Figure:
    """Gains of the selected modes against training time, a panel for each learner."""
    figure, axes = _panels(study)
    colours = look.n_colours(len(study.selected))
    goal = wiener_gain(study.eigenvalues[study.selected], noise_variance=study.sigma**2)
    for ax, curves in zip(axes, study.learners, strict=True):
        for column, colour in enumerate(colours):
            ax.plot(study.times, curves.gains[:, column], color=colour)
            ax.plot([study.times[-1] * _room(study) ** 0.5], [goal[column]], "o", ms=4, color=colour, mew=0)
        spec = ax.get_subplotspec()
        if spec is not None and spec.is_first_col():
            ax.set_ylabel(f"gain at σ = {short(study.sigma)}")
    _mode_legend(figure, study, colours, "converged")
    return figure


@styled
def variance(study: LearningStudy) -> Figure:
    """Generated variance of the selected modes against training time, a panel for each learner."""
    figure, axes = _panels(study)
    colours = look.n_colours(len(study.selected))
    goal = study.eigenvalues[study.selected]
    made = [np.exp(c.log_variance) for c in study.learners]
    limits = numbers.finite_range(goal, *made) or (0.1, 1.0)
    for ax, curves in zip(axes, made, strict=True):
        look.log_axis(ax.yaxis, *numbers.log_limits(*limits))
        for column, colour in enumerate(colours):
            ax.plot(study.times, curves[:, column], color=colour)
            ax.plot([study.times[-1] * _room(study) ** 0.5], [goal[column]], "o", ms=4, color=colour, mew=0)
        spec = ax.get_subplotspec()
        if spec is not None and spec.is_first_col():
            ax.set_ylabel("generated variance")
    _mode_legend(figure, study, colours, "data")
    return figure


@styled
def emergence(study: LearningStudy) -> Figure:
    """Emergence times against eigenvalues with fits, a panel for each threshold."""
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    axes = figure.subplots(1, len(THRESHOLDS), sharey=True, squeeze=False)[0]
    values = study.eigenvalues[study.emergence_modes]
    every = [c.emergence[t].times for c in study.learners for t in THRESHOLDS]
    times = numbers.finite_range(*every) or (0.1, 1.0)
    ways: set[int] = set()
    for ax, threshold in zip(axes, THRESHOLDS, strict=True):
        _sparse(ax.xaxis, *numbers.log_limits(values.min(), values.max()))
        look.log_axis(ax.yaxis, *numbers.log_limits(*times), text=power_of_ten)
        for index, curves in enumerate(study.learners):
            colour, found = look.band_colour(index), curves.emergence[threshold]
            for fit in curves.fits:
                if fit.threshold != threshold:
                    continue
                ways.add(fit.direction)
                rows = np.flatnonzero((found.direction == fit.direction) & np.isfinite(found.times))
                rows = rows[_few(np.log(values[rows]), 24)]
                ax.plot(
                    values[rows],
                    found.times[rows],
                    ls="",
                    marker=look.band_marker(index),
                    ms=3.6,
                    color=colour,
                    fillstyle=_FILL[fit.direction],
                    mew=0.8,
                    alpha=0.9,
                )
                _fit_line(ax, fit, colour)
        ax.set_title(f"{threshold} mean")
        ax.set_xlabel("eigenvalue λ")
    axes[0].set_ylabel("emergence time τ*")
    handles = [
        Line2D([], [], color=look.band_colour(i), marker=look.band_marker(i), ms=4, lw=1, label=c.title)
        for i, c in enumerate(study.learners)
    ]
    handles += [
        Line2D([], [], ls="", color=MUTED, marker="o", ms=4, fillstyle=_FILL[way], label=f"modes that {_WAY[way]}")
        for way in sorted(ways, reverse=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.6)
    return figure


def _few(logarithms: FloatArray, count: int) -> npt.NDArray[np.intp]:
    """Places of at most `count` entries, about evenly spread in their logarithm."""
    if logarithms.size <= count:
        return np.arange(logarithms.size)
    wanted = np.linspace(logarithms.min(), logarithms.max(), count)
    return np.unique(np.argmin(np.abs(logarithms[None] - wanted[:, None]), axis=1))


def _fit_line(ax: Axes, fit: ExponentFit, colour: str) -> None:
    if fit.law is None:
        return
    ends = np.array(fit.law.eigenvalue_range)
    ax.plot(ends, np.exp(fit.law.intercept) * ends**-fit.law.exponent, color=colour, lw=0.9, zorder=1.5)


@styled
def divergence(study: LearningStudy) -> Figure:
    """Divergence and, where there is a mean, its error against training time."""
    with_mean = any(np.isfinite(c.mean_left).any() for c in study.learners)
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.subplots(1, 2 if with_mean else 1, squeeze=False)[0]
    quantities = [("KL in nats", [c.divergence for c in study.learners])]
    if with_mean:
        quantities.append(("error of the mean / ‖μ‖", [c.mean_left for c in study.learners]))
    for ax, (label, curves) in zip(axes, quantities, strict=True):
        _sparse(ax.xaxis, study.times[0], study.times[-1])
        look.log_axis(ax.yaxis, *numbers.log_limits(*(numbers.finite_range(*curves) or (0.1, 1.0))))
        for index, curve in enumerate(curves):
            ax.plot(study.times, numbers.positive(curve), color=look.band_colour(index))
        ax.set_xlabel("training time τ")
        ax.set_ylabel(label)
    handles = [Line2D([], [], color=look.band_colour(i), lw=1.5, label=c.title) for i, c in enumerate(study.learners)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, columnspacing=1.6)
    return figure


@styled
def convolutions(study: LearningStudy) -> Figure:
    """Emergence time and final variance ratio of convolutions against spatial frequency."""
    frequency = study.frequency
    if frequency is None:
        raise ValueError("study must hold convolutions, got none: they take images")
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    times = numbers.finite_range(*(c.emergence.times for c in study.convolutions)) or (0.1, 1.0)
    ratios = numbers.finite_range(*(c.final_ratio for c in study.convolutions)) or (0.5, 2.0)
    for ax in (left, right):
        look.log_axis(ax.xaxis, *numbers.log_limits(frequency.min(), frequency.max(), 0.03))
        ax.set_xlabel("cycles per image")
    look.log_axis(left.yaxis, *numbers.log_limits(*times), text=power_of_ten)
    look.log_axis(right.yaxis, *numbers.log_limits(min(ratios[0], 1.0), max(ratios[1], 1.0)))
    for index, curves in enumerate(study.convolutions):
        style = {"ls": "", "marker": look.band_marker(index), "ms": 3.0, "mew": 0.0, "alpha": 0.75}
        left.plot(frequency, curves.emergence.times, color=look.band_colour(index), **style)
        right.plot(frequency, numbers.positive(curves.final_ratio), color=look.band_colour(index), **style)
    right.axhline(1.0, color=GUIDE, lw=0.9, zorder=1)
    left.set_ylabel("emergence time τ*")
    right.set_ylabel("final variance / data's")
    handles = [
        Line2D([], [], ls="", marker=look.band_marker(i), ms=4, color=look.band_colour(i), label=c.title)
        for i, c in enumerate(study.convolutions)
    ]
    handles.append(Line2D([], [], color=GUIDE, lw=0.9, label="the data's variance"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.6)
    return figure


# ---------------------------------------------------------------- tables
def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _exponent_table(study: LearningStudy) -> Table:
    rows = [(c.title, f) for c in study.learners for f in c.fits]
    laws = [f.law for _, f in rows]
    return Table(
        name="learning_exponents",
        caption="Exponent α of τ* ∝ λ^−α for each learner, threshold and direction, with the 95 % interval of least "
        "squares, the share of variance that the fit explains, and the eigenvalues of the fit. Intervals measure how "
        "curved the relation is.",
        columns={
            "learner": [title for title, _ in rows],
            "threshold": [f.threshold for _, f in rows],
            "modes that": [_WAY[f.direction] for _, f in rows],
            "modes": [f.modes for _, f in rows],
            "α": [None if law is None else law.exponent for law in laws],
            "low": [None if law is None else law.interval[0] for law in laws],
            "high": [None if law is None else law.interval[1] for law in laws],
            "R²": [None if law is None else _number(law.r_squared) for law in laws],
            "smallest λ": [None if law is None else law.eigenvalue_range[0] for law in laws],
            "largest λ": [None if law is None else law.eigenvalue_range[1] for law in laws],
        },
        file=True,
    )


def _mode_table(study: LearningStudy) -> Table:
    columns: dict[str, list[float | int | str | None]] = {
        "mode": [int(k) + 1 for k in study.emergence_modes],
        "λ": [float(x) for x in study.eigenvalues[study.emergence_modes]],
    }
    for curves in study.learners:
        for threshold in THRESHOLDS:
            columns[f"{curves.title}, {threshold}"] = [_number(t) for t in curves.emergence[threshold].times]
    return Table(
        name="learning_times",
        caption=f"Emergence time τ* of each mode (learning rate {short(study.rate)}, toward the {study.target} "
        "variance); empty where the mode ends close to where it starts, or does not cross.",
        columns=columns,
        file=True,
    )


def _convolution_table(study: LearningStudy) -> Table:
    assert study.frequency is not None
    assert study.spectrum is not None
    order = np.argsort(study.frequency, kind="stable")
    columns: dict[str, list[float | int | str | None]] = {
        "cycles per image": [float(x) for x in study.frequency[order]],
        "data's power": [float(x) for x in study.spectrum[order]],
    }
    for curves in study.convolutions:
        columns[f"τ*, {curves.title}"] = [_number(t) for t in curves.emergence.times[order]]
        columns[f"final / data's, {curves.title}"] = [_number(t) for t in curves.final_ratio[order]]
    return Table(
        name="learning_convolutions",
        caption="Fourier modes (one of m and −m, without the constant one): the data's power, emergence time under "
        "the geometric threshold, and variance after training without end over the data's, for each patch.",
        columns=columns,
        file=True,
    )
