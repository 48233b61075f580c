"""Why models of few images disagree: renormalised noise, and over-shrinkage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from ...consistency.prediction import Prediction
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section
from ..look import MUTED, WIDTH, Legend, styled
from ..words import counted, number, percent, percent_setting, short
from .shared import (
    OVERSHRUNK,
    PROSE,
    ModeCurves,
    kept_gain,
    line_style,
    shown_modes,
    sizes_in_words,
)

#: The look of infinite data.
_INFINITE: Mapping[str, Any] = MappingProxyType({"color": MUTED, "lw": 1.1, "ls": (0, (4, 2))})


def noise(prediction: Prediction) -> Section:
    """κ against the noise variance."""
    return Section(
        name="noise",
        title="Why: few images act like extra noise",
        contents="Why: noise",
        takeaways=(_noise_takeaway(prediction),),
        parts=(
            renormalised_noise(prediction),
            Prose(PROSE, "renormalised_noise"),
            Prose(PROSE, "silverstein", summary=HOW),
        ),
    )


def _noise_takeaway(prediction: Prediction) -> str:
    row = prediction.reference
    sigma, kappa = float(prediction.noise.sigma[0]), float(prediction.noise.kappa[row, 0])
    factor = float(numbers.ratio(np.array(kappa), np.array(sigma**2)))
    return (
        f"At the lowest noise level, σ = {short(sigma, 2)}, a linear model trained on {prediction.reference_n:,} images treats "
        f"noise of variance {short(sigma**2)} as if its variance were {number(kappa)}, {number(factor)} times as much."
    )


def renormalised_noise(prediction: Prediction) -> Picture:
    """κ and its factor for each n."""
    return Picture(
        name="renormalised_noise",
        caption="Top: the noise variance κ that a linear model trained on n images acts on, against the true noise variance "
        "σ² (the noise level σ is its standard deviation). Bottom: their ratio. The dashed line is for infinite data.",
        alternative="Renormalised noise κ against noise variance σ², and their ratio, one curve for each n = "
        f"{sizes_in_words(prediction)}, with the line κ = σ² of infinite data.",
        draw=partial(draw_renormalised_noise, prediction),
    )


@styled
def draw_renormalised_noise(prediction: Prediction) -> Figure:
    """κ against the noise variance for each n with the diagonal κ = σ² of infinite data, and the factor κ/σ²."""
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    curves = noise_curves(prediction)
    legend = plot_kappa(top, curves)
    plot_noise_factor(bottom, curves)
    look.stacked(top)
    look.legend_beside(figure, legend)
    return figure


@dataclass(frozen=True)
class NoiseCurves:
    """κ at each n.

    Attributes
    ----------
    n : (T,) training-set sizes, ascending
    noise_variance : (S,) noise variances σ², ascending
    kappa : (T, S)
    """

    n: Sequence[int]
    noise_variance: FloatArray
    kappa: FloatArray


def noise_curves(prediction: Prediction) -> NoiseCurves:
    """Those of a prediction."""
    return NoiseCurves(prediction.n.tolist(), prediction.noise.sigma**2, prediction.noise.kappa)


def _noise_axis(ax: Axes, variance: FloatArray) -> FloatArray:
    """Logarithmic abscissa of noise variances, and where they lie on it."""
    low, high = numbers.finite_range(variance) or (0.1, 1.0)
    look.log_axis(ax.xaxis, *numbers.log_limits(low, high, 0.02))
    ax.set_xlabel("noise variance σ²")
    return numbers.positive(variance)


def plot_kappa(ax: Axes, curves: NoiseCurves) -> Legend:
    """κ against the noise variance for each n, with the diagonal κ = σ² of infinite data."""
    x = _noise_axis(ax, curves.noise_variance)
    low, high = numbers.finite_range(curves.kappa, curves.noise_variance) or (0.1, 1.0)
    look.log_axis(ax.yaxis, *numbers.log_limits(low, high, 0.04))
    ax.plot(x, x, gid="diagonal", **_INFINITE)
    for index, colour in enumerate(look.n_colours(len(curves.n))):
        style = {"color": colour, **line_style(x.size)}
        ax.plot(x, numbers.positive(curves.kappa[index]), gid=f"kappa-{index}", **style)
    ax.set_ylabel("renormalised noise κ(σ²)")
    return look.n_legend(curves.n, [Line2D([], [], **_INFINITE, label="κ = σ²\n(infinite data)")])


def plot_noise_factor(ax: Axes, curves: NoiseCurves) -> Legend:
    """κ/σ² against the noise variance for each n, with the line 1 of infinite data."""
    factor = numbers.ratio(curves.kappa, curves.noise_variance)
    x = _noise_axis(ax, curves.noise_variance)
    low, high = numbers.finite_range(factor, np.ones(1)) or (0.1, 1.0)
    look.log_axis(ax.yaxis, low / 1.12, high * 1.12 if high > 3 else 3.0)
    ax.axhline(1.0, **_INFINITE)
    for index, colour in enumerate(look.n_colours(len(curves.n))):
        style = {"color": colour, **line_style(x.size)}
        ax.plot(x, numbers.positive(factor[index]), gid=f"factor-{index}", **style)
    ax.set_ylabel("factor κ/σ²")
    return look.n_legend(curves.n, [Line2D([], [], **_INFINITE, label="infinite data")])


# ---------------------------------------------------------------- shrinkage
def shrinkage(prediction: Prediction) -> Section:
    """Gains of the sampling map and of denoisers."""
    return Section(
        name="shrinkage",
        title="Why: fine detail is over-shrunk",
        contents="Why: shrinkage",
        takeaways=(_shrinkage_takeaway(prediction),),
        parts=(
            gains(prediction),
            Prose(PROSE, "shrinkage"),
            Prose(PROSE, "gains", {"sigma_max": prediction.sigma_max}, summary=HOW),
        ),
    )


def _shrinkage_takeaway(prediction: Prediction) -> str:
    kept = kept_gain(prediction)[prediction.reference]
    alive = int(np.sum(np.isfinite(kept)))
    if not alive:
        return "No mode has any variance."
    weak, worst = int(np.sum(kept < OVERSHRUNK)), int(np.nanargmin(kept))
    return (
        f"In a linear model trained on {prediction.reference_n:,} images, {weak:,} of {counted(alive, 'mode')} "
        f"{'loses' if weak == 1 else 'lose'} more than {percent_setting(1 - OVERSHRUNK)} of the amplitude; "
        f"mode {worst + 1:,} loses most and keeps {percent(kept[worst])}."
    )


def gains(prediction: Prediction) -> Picture:
    """Gain of each mode for each n."""
    return Picture(
        name="shrinkage",
        caption="Top: the factor by which sampling scales each mode (its gain) in a linear model, relative to infinite data; "
        "1 means no loss. Bottom: gain of a single denoising step at noise level σ; the dashed line is for infinite data.",
        alternative="Gain of each mode with n images relative to infinite data for the sampling map, and gains of "
        f"denoisers, one curve for each n = {sizes_in_words(prediction)}.",
        draw=partial(draw_gains, prediction),
    )


@styled
def draw_gains(prediction: Prediction) -> Figure:
    """Gain of the sampling map relative to infinite data, and gains of denoisers with and without that effect."""
    chosen = numbers.spread(len(prediction.denoisers.sigma), 3)
    figure = Figure(figsize=(WIDTH, 5.4 if chosen else 3.2), layout="constrained")
    grid = figure.add_gridspec(2 if chosen else 1, max(len(chosen), 1), height_ratios=[1.15, 1] if chosen else [1])
    top = figure.add_subplot(grid[0, :])
    legend = plot_shrinkage(top, shrinkage_curves(prediction))
    top.set_title("Sampling map: how much of each mode's amplitude survives")
    first: Axes | None = None
    for column, level in enumerate(chosen):
        ax = figure.add_subplot(grid[1, column], sharey=first)
        ideal = prediction.denoisers.gain_ideal[level]
        plot_denoiser_gain(ax, denoiser_curves(prediction, level), ideal, column)
        ax.set_xlabel("mode k")
        ax.set_title(f"Denoiser at σ = {short(float(prediction.denoisers.sigma[level]), 2)}")
        if first is None:
            first = ax
        else:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
    look.legend_beside(figure, legend)
    return figure


def shrinkage_curves(prediction: Prediction) -> ModeCurves:
    """Gain of the sampling map relative to infinite data."""
    return ModeCurves(prediction.n.tolist(), kept_gain(prediction))


def plot_shrinkage(ax: Axes, relative: ModeCurves) -> Legend:
    """Gain relative to infinite data by mode for each n."""
    look.mode_axis(ax, relative.modes)
    ax.axhline(1.0, **_INFINITE)
    relative.draw(ax, "gain")
    ax.set_ylim(0, max(1.06, 1.03 * float(np.nanmax(relative.values, initial=1.0))))
    ax.set_ylabel("gain / gain with infinite data")
    return _gain_legend(relative)


def denoiser_curves(prediction: Prediction, level: int) -> ModeCurves:
    """Gain of the denoiser of a noise level, counted from 0."""
    return ModeCurves(prediction.n.tolist(), prediction.denoisers.gain[level])


def plot_denoiser_gain(ax: Axes, gain: ModeCurves, ideal: FloatArray, column: int = 0) -> Legend:
    """Gain of a denoiser by mode for each n, and with infinite data."""
    shown = shown_modes(gain.modes)
    look.mode_axis(ax, gain.modes)
    ax.plot(shown + 1, ideal[shown], gid=f"ideal-{column}", **_INFINITE)
    gain.draw(ax, f"denoiser-{column}")
    ax.set_ylim(0, 1.06)
    ax.set_ylabel("gain")
    return _gain_legend(gain)


def _gain_legend(curves: ModeCurves) -> Legend:
    return look.n_legend(curves.n, [Line2D([], [], **_INFINITE, label="infinite data")])
