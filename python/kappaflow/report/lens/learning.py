"""The window on learning: gains, generated variance and divergence during training, with emergence and convolutions."""

from __future__ import annotations

import math
from functools import partial
from operator import itemgetter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...lens.learning import LearningStudy
from ...lens.linear import wiener_gain
from .. import look, numbers
from ..document import Picture, Section
from ..look import MUTED, WIDTH, styled
from ..words import capital, count, number, percent, short
from .learning_convolutions import convolution_findings, convolution_picture, convolution_table
from .learning_exponents import (
    MODES_THAT,
    emergence_picture,
    exponent_table,
    exponent_words,
    sparse_axis,
    time_table,
    two_digits,
)

__all__ = ["section"]

#: A larger share of the mean that samples lack is explained.
_MUCH_MISSING = 0.02
#: Weights that deviate by a larger share couple the modes.
_COUPLED = 0.01


def section(study: LearningStudy) -> Section:
    """What a study of learning shows."""
    with_convolutions = bool(study.convolutions)
    return Section(
        name="learning",
        title="How linear denoisers learn",
        takeaways=tuple(_findings(study)),
        parts=(
            _weights_picture(study),
            _variance_picture(study),
            emergence_picture(study),
            _divergence_picture(study),
            *([convolution_picture(study)] if with_convolutions else []),
            exponent_table(study),
            time_table(study),
            *([convolution_table(study)] if with_convolutions else []),
        ),
    )


# ---------------------------------------------------------------- sentences
def _findings(study: LearningStudy) -> list[str]:
    return [
        *_exponent_findings(study),
        *_duration_findings(study),
        *_mean_finding(study),
        *_bias_finding(study),
        *convolution_findings(study),
        *_null_finding(study),
    ]


def _exponent_findings(study: LearningStudy) -> list[str]:
    fits = [(fit.law.exponent, curves, fit) for curves in study.learners for fit in curves.fits if fit.law is not None]
    if not fits:
        return []
    ends = [
        f"{two_digits(exponent)} ({curves.title}, {fit.threshold} threshold, modes that {MODES_THAT[fit.direction]})"
        for exponent, curves, fit in (min(fits, key=itemgetter(0)), max(fits, key=itemgetter(0)))
    ]
    return [
        f"Linear denoisers have no single exponent of emergence: on this spectrum α runs from {ends[0]} to {ends[1]}.",
        exponent_words(study, "geometric"),
    ]


def _duration_findings(study: LearningStudy) -> list[str]:
    findings = []
    for curves in study.learners:
        times = curves.emergence["geometric"].times
        if np.isfinite(times).sum() >= 2:
            factor = np.nanmax(times) / np.nanmin(times)
            findings.append(
                f"{capital(curves.title)}: the last mode emerges at {number(factor)} times the training time of the first "
                "(geometric threshold)."
            )
    return findings


def _mean_finding(study: LearningStudy) -> list[str]:
    final = float(study.learners[0].mean_left[-1]) if study.learners else math.nan
    if not math.isfinite(final):
        return []
    finding = (
        f"After training, samples of linear denoisers lack {percent(final)} of the mean, because sampling starts at "
        "N(0, σ_max²), which has mean 0"
    )
    if final <= _MUCH_MISSING:
        return [f"{finding}."]
    spread = f"σ_max = {short(study.noise.sigma_max)} is not large against the spread of the data along their mean"
    return [f"{finding}, and {spread}."]


def _bias_finding(study: LearningStudy) -> list[str]:
    if study.joint is None:
        return []
    worst = int(np.nanargmax(study.joint.deviation))
    deviation = float(study.joint.deviation[worst])
    rule = (
        "Modes learn independently only if the data are centred or the bias is slaved to the weights."
        if deviation > _COUPLED
        else "The bias hardly couples the modes of these data."
    )
    return [
        f"{rule} With a bias of its own, the weights of one layer at σ = {short(study.sigma)} deviate by up to "
        f"{percent(deviation)} of their size (at τ = {number(float(study.joint.times[worst]))})."
    ]


def _null_finding(study: LearningStudy) -> list[str]:
    if not study.null_modes:
        return []
    return [
        f"{count(study.null_modes)} directions have no variance in the data. Generated samples keep a variance of the order "
        "of σ_min² or more there, so these directions are not judged."
    ]


# ---------------------------------------------------------------- figures
def _panels(study: LearningStudy) -> tuple[Figure, list[Axes]]:
    panels = len(study.learners)
    columns = min(panels, 2)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 2.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = [ax for row in grid for ax in row]
    for ax in axes[panels:]:
        ax.set_visible(False)
    for panel, (ax, curves) in enumerate(zip(axes, study.learners, strict=False)):
        ax.set_title(curves.title)
        sparse_axis(ax.xaxis, study.times[0], study.times[-1] * _room(study))
        if panel + columns >= panels:
            ax.set_xlabel("training time τ")
            ax.tick_params(labelbottom=True)
    return figure, axes[:panels]


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


def _weights_picture(study: LearningStudy) -> Picture:
    names = ", ".join(curves.title for curves in study.learners)
    values = study.eigenvalues[study.selected]
    return Picture(
        name="learning_weights",
        title="Weights during training",
        caption=f"Gain of {len(study.selected)} eigenmodes of the data at noise level σ = {short(study.sigma)} over "
        f"training time τ (gradient flow with learning rate η = {short(study.rate)}), in closed form, for linear "
        f"denoisers: {names}. Points on the right: the Wiener gain λ/(λ + σ²), to which all of them converge. One layer "
        "learns at the rate of its input, 2η(λ + σ²). Two layers learn at the rate of the signal, 8ηλ, after a delay that "
        "the size of the initial weights sets.",
        alternative=f"Curves of gain over training time for modes with λ from {number(values.min())} to "
        f"{number(values.max())}.",
        draw=partial(_draw_weights, study),
    )


@styled
def _draw_weights(study: LearningStudy) -> Figure:
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


def _variance_picture(study: LearningStudy) -> Picture:
    return Picture(
        name="learning_variance",
        title="Variance of generated samples during training",
        caption="Variance of the same modes in generated samples: the probability-flow ODE runs from σ = "
        f"{short(study.noise.sigma_max)} to {short(study.noise.sigma_min)} with the denoiser as it is at training time τ. "
        "Points on the right: the data's eigenvalues λ. Where the variance starts depends on the initial weights: from 0 "
        "all modes grow; from the skip connection, modes with λ below σ_data² shrink.",
        alternative="Curves of generated variance over training time; " + _variance_words(study),
        draw=partial(_draw_variance, study),
    )


def _variance_words(study: LearningStudy) -> str:
    starts = []
    for curves in study.learners:
        low, high = float(curves.initial_variance.min()), float(curves.initial_variance.max())
        same = high - low <= 1e-6 * high
        starts.append(f"{curves.title} starts at {number(low)}" + ("" if same else f" to {number(high)}"))
    return "; ".join(starts) + "."


@styled
def _draw_variance(study: LearningStudy) -> Figure:
    """Generated variance of the selected modes against training time, a panel for each learner."""
    figure, axes = _panels(study)
    colours = look.n_colours(len(study.selected))
    goal = study.eigenvalues[study.selected]
    variances = [np.exp(curves.log_variance) for curves in study.learners]
    limits = numbers.finite_range(goal, *variances) or (0.1, 1.0)
    for ax, curves in zip(axes, variances, strict=True):
        look.log_axis(ax.yaxis, *numbers.log_limits(*limits))
        for column, colour in enumerate(colours):
            ax.plot(study.times, curves[:, column], color=colour)
            ax.plot([study.times[-1] * _room(study) ** 0.5], [goal[column]], "o", ms=4, color=colour, mew=0)
        spec = ax.get_subplotspec()
        if spec is not None and spec.is_first_col():
            ax.set_ylabel("generated variance")
    _mode_legend(figure, study, colours, "data")
    return figure


def _divergence_picture(study: LearningStudy) -> Picture:
    return Picture(
        name="learning_divergence",
        title="Distance between generated law and data during training",
        caption=f"Left: KL(generated ‖ data) in nats, summed over the {count(study.learned)} modes whose λ is at least ten "
        "times σ_min². Right: error of the mean of generated samples, ‖E x̄ − μ‖/‖μ‖. Sampling starts at N(0, σ_max²), "
        "which has mean 0: samples lack the same share of a mode's mean as they keep of its initial standard deviation.",
        alternative="Curves of divergence and of the error of the mean over training time; " + _divergence_words(study),
        draw=partial(_draw_divergence, study),
    )


def _divergence_words(study: LearningStudy) -> str:
    ends = [
        f"{curves.title}: from {number(curves.divergence[0])} to {number(curves.divergence[-1])} nats"
        for curves in study.learners
    ]
    return "; ".join(ends) + "."


@styled
def _draw_divergence(study: LearningStudy) -> Figure:
    """Divergence and, where there is a mean, its error against training time."""
    with_mean = any(np.isfinite(c.mean_left).any() for c in study.learners)
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axes = figure.subplots(1, 2 if with_mean else 1, squeeze=False)[0]
    quantities = [("KL in nats", [c.divergence for c in study.learners])]
    if with_mean:
        quantities.append(("error of the mean / ‖μ‖", [c.mean_left for c in study.learners]))
    for ax, (label, curves) in zip(axes, quantities, strict=True):
        sparse_axis(ax.xaxis, study.times[0], study.times[-1])
        look.log_axis(ax.yaxis, *numbers.log_limits(*(numbers.finite_range(*curves) or (0.1, 1.0))))
        for index, curve in enumerate(curves):
            ax.plot(study.times, numbers.positive(curve), color=look.band_colour(index))
        ax.set_xlabel("training time τ")
        ax.set_ylabel(label)
    handles = [Line2D([], [], color=look.band_colour(i), lw=1.5, label=c.title) for i, c in enumerate(study.learners)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, columnspacing=1.6)
    return figure
