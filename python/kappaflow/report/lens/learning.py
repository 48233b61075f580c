"""The window on learning: weights, generated variance and divergence during training, with emergence and convolutions."""

from __future__ import annotations

import math
from functools import partial

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
from .learning_exponents import MODES_THAT, emergence_picture, exponent_table, exponent_words, sparse_axis, time_table

__all__ = ["section"]


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
    out = []
    laws = [(f.law.exponent, c.title, f) for c in study.learners for f in c.fits if f.law is not None]
    if laws:
        low, high = min(laws, key=lambda x: x[0]), max(laws, key=lambda x: x[0])
        out.append(
            f"The exponent of emergence is no constant of linear learning: from {low[0]:.2f} ({low[1]}, "
            f"{low[2].threshold} threshold, modes that {MODES_THAT[low[2].direction]}) to {high[0]:.2f} ({high[1]}, "
            f"{high[2].threshold}, modes that {MODES_THAT[high[2].direction]}) on this spectrum."
        )
        out.append(exponent_words(study, "geometric"))
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
    out += convolution_findings(study)
    if study.null_modes:
        out.append(
            f"{count(study.null_modes)} directions have no variance in the data; generated samples keep variance of "
            "order σ_min² or more there, so that they are not judged."
        )
    return out


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
        sparse_axis(ax.xaxis, study.times[0], study.times[-1] * _room(study))
        if place + columns >= count:
            ax.set_xlabel("training time τ")
            ax.tick_params(labelbottom=True)
    return figure, axes[:count]


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
    names = ", ".join(c.title for c in study.learners)
    return Picture(
        name="learning_weights",
        title="Weights during training",
        caption=f"Gain of {len(study.selected)} eigenmodes of the data at noise level σ = {short(study.sigma)} "
        f"against training time τ (gradient flow, learning rate η = {short(study.rate)}), in closed form for: "
        f"{names}. Points at the right are the Wiener gain λ/(λ + σ²), which all of them converge to. A layer "
        "learns at the rate of its input, 2η(λ + σ²); two layers learn at the rate of the signal, ηλ times 8, "
        "after a delay that the size of the start sets.",
        alternative="Curves of gain against training time; " + _weights_words(study),
        draw=partial(_draw_weights, study),
    )


def _weights_words(study: LearningStudy) -> str:
    values = study.eigenvalues[study.selected]
    return f"modes with λ from {number(values.min())} to {number(values.max())}."


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
        caption="Variance of the same modes in samples of the probability-flow ODE with the denoiser as it is at "
        f"training time τ, from σ = {short(study.noise.sigma_max)} to {short(study.noise.sigma_min)}. Points at "
        "the right: the data's eigenvalues λ. Where training starts depends on the initial weights: from 0 all "
        "modes grow, from the skip connection modes with λ below σ_data² shrink.",
        alternative="Curves of variance against training time; " + _variance_words(study),
        draw=partial(_draw_variance, study),
    )


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


@styled
def _draw_variance(study: LearningStudy) -> Figure:
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


def _divergence_picture(study: LearningStudy) -> Picture:
    return Picture(
        name="learning_divergence",
        title="Distance of generated law and data during training",
        caption=f"Left: KL(generated ‖ data) in nats, summed over the {count(study.learned)} modes with λ of at "
        "least ten times σ_min². Right: error of the mean of generated samples, ‖E x̄ − μ‖/‖μ‖, of a sampler "
        "that starts at N(0, σ_max²): the variance that the denoiser keeps from there is a part of the mean that "
        "it misses.",
        alternative="Curves of divergence and of the mean's error against training time; " + _divergence_words(study),
        draw=partial(_draw_divergence, study),
    )


def _divergence_words(study: LearningStudy) -> str:
    parts = [f"{c.title}: {number(c.divergence[0])} to {number(c.divergence[-1])} nats" for c in study.learners]
    return "; ".join(parts) + "."


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
