"""The sections on where networks differ: by mode, by eigenband and by seed."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from ..._statistics import rank_correlation
from .. import look, numbers
from ..document import Picture, Section, figure_section
from ..kinds import ARM_TITLES, arch_panels, arch_title, where
from ..look import GUIDE_LOOK, INK, WIDTH, legend_below, styled
from ..words import number, percent
from . import select
from .axes import n_handles, size_axis
from .phrases import alternative, p_words, scatter_sizes, two_digits

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation


def variance(found: NetworkValidation) -> Section | None:
    """Generated variance by mode."""
    if not select.shown_pairs(found):
        return None
    return figure_section(
        "variance",
        "Generated variance by mode",
        "Variance",
        _variance_words(found),
        Picture(
            name="variance",
            caption=(
                "Variance of the samples over seeds along each mode, divided by the variance of all images; below 1 is "
                "over-shrinkage. Shown are networks, linear models of the same training sets, and the expected linear model."
            ),
            alternative=alternative(
                found,
                "Generated variance by mode relative to the variance of the images: networks, linear models and theory",
            ),
            draw=partial(draw_variance, found),
        ),
    )


def _variance_words(found: NetworkValidation) -> list[str]:
    kept = np.flatnonzero(select.alive(found))
    half = kept[kept.size // 2 :]
    parts = []
    for arch in found.setup.archs:
        for n in (found.setup.n[0], found.setup.n[-1]) if len(found.setup.n) > 1 else found.setup.n:
            runs = select.trained_runs(found, arch, n)
            if runs:
                ratio = (
                    np.mean([run.variance.generated[half].sum() for run in runs]) / found.data.eigenvalues[half].sum()
                )
                linear = np.mean([run.variance.linear[half].sum() for run in runs]) / found.data.eigenvalues[half].sum()
                parts.append(
                    f"{where(arch, n)}: in the weaker half of the modes, samples have {percent(float(ratio))} of the variance "
                    f"of the images; samples of linear models of the same sets have {percent(float(linear))}."
                )
    return parts


@styled
def draw_variance(found: NetworkValidation) -> Figure:
    """Generated variance by mode over the variance of all images: networks, linear models of their sets, theory."""
    figure, (axes,) = arch_panels(found.setup.archs, height=3.5)
    kept = select.alive(found)
    modes = np.flatnonzero(kept) + 1
    s = found.data.eigenvalues[kept]
    colours = look.n_colours(len(found.setup.n))
    law = select.best_law(found)
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        for n, colour in zip(found.setup.n, colours, strict=True):
            runs = select.trained_runs(found, arch, n)
            if runs:
                y = np.mean([run.variance.generated[kept] for run in runs], axis=0) / s
                linear = np.mean([run.variance.linear[kept] for run in runs], axis=0) / s
                ax.plot(modes, numbers.positive(y), color=colour, lw=1.5, gid=f"network-{arch}-{n}")
                ax.plot(modes, numbers.positive(linear), color=colour, lw=0, marker=".", ms=3, gid=f"linear-{arch}-{n}")
                drawn += [y, linear]
            forecast = found.forecast(law, n) if law else None
            if forecast is not None:
                y = (forecast.gain[kept] * found.setup.sigma_max) ** 2 / s
                ax.plot(modes, numbers.positive(y), color=colour, lw=1.1, ls=(0, (5, 2)), gid=f"theory-{arch}-{n}")
                drawn.append(y)
        ax.axhline(1.0, **GUIDE_LOOK)
        look.mode_axis(ax, int(modes[-1]))
    low, high = numbers.finite_range(*drawn) or (0.5, 2.0)
    for ax in axes:
        look.log_axis(ax.yaxis, *numbers.log_limits(max(low, 1e-2), min(max(high, 1.2), 1e2)))
    axes[0].set_ylabel("generated variance / variance of images")
    handles = [
        *n_handles(found),
        Line2D([], [], color=INK, lw=1.5, label="networks"),
        Line2D([], [], color=INK, lw=0, marker=".", label="linear models of the same sets"),
        Line2D([], [], color=INK, lw=1.1, ls=(0, (5, 2)), label="theory, expected"),
    ]
    legend_below(figure, handles)
    return figure


def bands(found: NetworkValidation) -> Section | None:
    """Disagreement by eigenband."""
    arm = select.shown_arms(found)[0]
    if not select.shown_pairs(found):
        return None
    return figure_section(
        "bands",
        "Which eigenbands agree first?",
        "Eigenbands",
        _band_words(found, arm),
        Picture(
            name="bands",
            caption=(
                "Disagreement in each eigenband, divided by that of unrelated seeds in the same band; pairs of networks: "
                f"{ARM_TITLES[arm]}. Dashed lines: theory of linear models. Dotted line: 1/n."
            ),
            alternative=alternative(
                found, "Relative disagreement by eigenband against the number of training images: networks and theory"
            ),
            draw=partial(draw_bands, found),
        ),
    )


def _band_words(found: NetworkValidation, arm: str) -> list[str]:
    parts = []
    for arch in found.setup.archs:
        sizes, values = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.relative_bands)
        if sizes.size:
            last = values[-1]
            order = rank_correlation(np.arange(last.size), last).value
            parts.append(
                f"{where(arch, int(sizes[-1]))}: relative disagreement is {number(float(last[0]), 2)} in the "
                f"strongest eigenband and {number(float(last[-1]), 2)} in the weakest"
                + (f" (rank correlation with the order of the bands: {order:.2f})." if math.isfinite(order) else ".")
            )
    return parts


@styled
def draw_bands(found: NetworkValidation) -> Figure:
    """Disagreement by eigenband against n: networks whose data alone differ, theory, and a guide of slope −1."""
    arms = select.shown_arms(found)
    arm = arms[0]
    figure, (axes,) = arch_panels(found.setup.archs, height=3.7)
    law = select.best_law(found)
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        x, values = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.relative_bands)
        for place, _ in enumerate(found.setup.bands):
            colour, marker = look.band_colour(place), look.band_marker(place)
            if x.size:
                y = numbers.positive(values[:, place])
                ax.plot(np.maximum(x, 1), y, color=colour, marker=marker, ms=4, gid=f"{arch}-band-{place}")
                drawn.append(values[:, place])
            forecasts = [f for f in found.forecasts if f.law == law]
            if forecasts:
                y = np.array([f.disagreement.relative_bands[place] for f in forecasts])
                ax.plot(
                    [f.n for f in forecasts],
                    numbers.positive(y),
                    color=colour,
                    lw=1.0,
                    ls=(0, (5, 2)),
                    marker="_" if len(forecasts) == 1 else "",
                    ms=14,
                    gid=f"{arch}-theory-{place}",
                )
                drawn.append(y)
        if len(found.setup.n) > 1 and drawn:
            ends = np.array([found.setup.n[0], found.setup.n[-1]], dtype=float)
            start = (numbers.finite_range(*drawn) or (0.1, 1.0))[1]
            ax.plot(ends, start * ends[0] / ends, gid=f"{arch}-guide", **GUIDE_LOOK)
        size_axis(ax.xaxis, found)
        ax.set_xlabel("training images n")
    low, high = numbers.finite_range(*drawn) or (0.01, 1.0)
    for ax in axes:
        look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    axes[0].set_ylabel("disagreement / unrelated, by eigenband")
    handles = [
        Line2D([], [], color=look.band_colour(i), marker=look.band_marker(i), ms=4, label=band.label)
        for i, band in enumerate(found.setup.bands)
    ]
    handles += [
        Line2D([], [], color=INK, lw=1.0, ls=(0, (5, 2)), label="theory"),
        Line2D([], [], label="1/n", **GUIDE_LOOK),
    ]
    legend_below(figure, handles)
    return figure


def by_seed(found: NetworkValidation) -> Section | None:
    """Disagreement by seed beside a law."""
    arm = select.shown_arms(found)[0]
    law = select.best_law(found)
    if law is None or not select.shown_pairs(found):
        return None
    return figure_section(
        "by_seed",
        "Seed by seed: predicted and observed",
        "Seed by seed",
        _seed_words(found, arm, law),
        Picture(
            name="by_seed",
            caption=(
                "Each point is a seed: observed disagreement of the networks (mean over pairs) against the disagreement that "
                "the law predicts for linear models. The correlations are in the table below, with bootstrap intervals over "
                "seeds and a permutation test."
            ),
            alternative=alternative(
                found, "Scatter plot of observed against predicted disagreement, one point for each seed"
            ),
            draw=partial(draw_by_seed, found),
            raster=True,
        ),
    )


def _seed_words(found: NetworkValidation, arm: str, law: str) -> str:
    rows = [p for p in found.predictor_scores if p.arm == arm and p.predictor == law and p.n in scatter_sizes(found)]
    values = [
        f"{where(p.arch, p.n)}: {two_digits(p.seeds.value)} ({two_digits(p.seeds.low)} to {two_digits(p.seeds.high)}, "
        f"p = {p_words(p.seeds.p_value)})"
        for p in rows
    ]
    words = "Rank correlation (Spearman) of predicted and observed disagreement over seeds, with 95 % intervals"
    return f"{words}. {'; '.join(values)}." if values else ""


@styled
def draw_by_seed(found: NetworkValidation) -> Figure:
    """Observed disagreement of each seed against what the most general law predicts."""
    return _scatter(found, "law")


def by_distance(found: NetworkValidation) -> Section | None:
    """Disagreement by seed against the distance to the linear model."""
    arm = select.shown_arms(found)[0]
    if not select.shown_pairs(found):
        return None
    return figure_section(
        "by_distance",
        "Are samples near the linear model more consistent?",
        "Distance to linear",
        _distance_words(found, arm),
        Picture(
            name="by_distance",
            caption=(
                "Each point is a seed: disagreement of the networks against the squared distance between the sample and what "
                "the linear model of its own training set draws."
            ),
            alternative=alternative(
                found,
                "Scatter plot of disagreement against the distance of the sample to its linear prediction, one point for each "
                "seed",
            ),
            draw=partial(draw_by_distance, found),
            raster=True,
        ),
    )


def _distance_words(found: NetworkValidation, arm: str) -> str:
    parts = []
    for arch in found.setup.archs:
        for n in scatter_sizes(found):
            trained = found.trained_pairs(arch, n, arm)
            if trained:
                runs = [select.run_by_key(found, pair.runs[0]) for pair in trained]
                x = np.mean([run.linear_fit.distance for run in runs], axis=0)
                y = np.mean([pair.disagreement.seeds for pair in trained], axis=0)
                rank = rank_correlation(x, y)
                if math.isfinite(rank.value):
                    parts.append(f"{where(arch, n)}: {rank.value:.2f} (p = {p_words(rank.p_value)})")
    words = "Rank correlation (Spearman) over seeds of disagreement with distance to the linear model"
    return f"{words}. {'; '.join(parts)}." if parts else ""


def _scatter(found: NetworkValidation, name: str) -> Figure:
    sizes, arm = scatter_sizes(found), select.shown_arms(found)[0]
    figure = Figure(figsize=(WIDTH, 2.6 * len(found.setup.archs) + 0.5), layout="constrained")
    grid = figure.subplots(len(found.setup.archs), len(sizes), squeeze=False)
    for row, arch in enumerate(found.setup.archs):
        for column, n in enumerate(sizes):
            ax = grid[row, column]
            trained = found.trained_pairs(arch, n, arm)
            ax.set_title(f"{arch_title(arch)}, n = {n:,}" if n else arch_title(arch), fontsize=9)
            if not trained:
                ax.set_axis_off()
                ax.text(0.5, 0.5, "undertrained", transform=ax.transAxes, ha="center", color=look.MUTED)
                continue
            observed = np.mean([pair.disagreement.seeds for pair in trained], axis=0)
            if name == "law":
                forecast = found.forecast(select.best_law(found) or "", n)
                assert forecast is not None  # the figure is drawn with forecasts alone
                x, label = forecast.disagreement.seeds, "predicted disagreement"
            else:
                runs = [select.run_by_key(found, pair.runs[0]) for pair in trained]
                x, label = np.mean([run.linear_fit.distance for run in runs], axis=0), "distance² to linear model"
            ax.plot(
                numbers.positive(x),
                numbers.positive(observed),
                ls="",
                marker="o",
                ms=2.6,
                mew=0,
                alpha=0.6,
                color=INK,
                gid=f"{name}-{arch}-{n}",
            )
            _loglog(ax, x, observed)
            if row == len(found.setup.archs) - 1:
                ax.set_xlabel(label)
            if column == 0:
                ax.set_ylabel("observed disagreement")
    return figure


def _loglog(ax: Axes, x: FloatArray, y: FloatArray) -> None:
    for axis, values in ((ax.xaxis, x), (ax.yaxis, y)):
        low, high = numbers.finite_range(values) or (0.1, 1.0)
        if high / low >= 10:
            look.log_axis(axis, low * 0.93, high * 1.07)
        else:
            look.ratio_axis(axis, low * 0.93, high * 1.07, most=3)


@styled
def draw_by_distance(found: NetworkValidation) -> Figure:
    """Observed disagreement of each seed against how far the sample lies from its linear prediction."""
    return _scatter(found, "distance")
