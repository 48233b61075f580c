"""The sections that hold laws against networks: order, size, and denoisers by noise level."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from .. import look, numbers
from ..document import Mood, Picture, Section, Table, figure_section, rounded
from ..kinds import ARM_TITLES, arch_panels, where
from ..look import GUIDE_LOOK, INK, legend_below, styled
from ..words import number
from . import select
from .axes import n_handles, predictor_handles, size_places
from .phrases import alternative, finite_mean, mostly, p_words, two_digits
from .select import predictor_colour, predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation, PredictorScore


_MOODS: dict[bool | None, Mood] = {True: "yes", None: "partly", False: "no"}


def predictors(found: NetworkValidation) -> Section | None:
    """Rank correlations of every predictor."""
    arm = select.shown_arms(found)[0]
    if not found.predictor_scores:
        return None
    return figure_section(
        "predictors",
        "Which law predicts networks best?",
        "Which law?",
        _predictor_words(found, arm),
        Picture(
            name="predictors",
            caption=(
                "Rank correlation (Spearman) of predicted and observed disagreement with 95 % bootstrap intervals. Top: over "
                "modes, relative to unrelated seeds in each mode. Bottom: over seeds. Over modes, the disagreement itself "
                "follows the variance of the modes whatever causes it; its correlation, which the table gives, says little. "
                "Linear models of the very same splits know more than any law: they know what networks and linear models "
                "share in one split."
            ),
            alternative=alternative(
                found,
                "Rank correlations of predicted and observed disagreement over modes and over seeds, with intervals",
            ),
            draw=partial(draw_predictors, found),
        ),
        _predictor_table(found),
    )


def _predictor_words(found: NetworkValidation, arm: str) -> list[str]:
    means, ordering = [], {}
    for name in select.predictors(found):
        rows = [p for p in found.predictor_scores if p.predictor == name and p.arm == arm]
        values = [[p.relative.value for p in rows], [p.seeds.value for p in rows]]
        if rows:
            means.append((name, finite_mean(values[0]), finite_mean(values[1])))
            ordering[name] = mostly(p.seeds.beats_chance for p in rows)
    laws = [entry for entry in means if entry[0] != "linear" and math.isfinite(entry[2])]
    if not laws:
        return []
    best = max(laws, key=lambda entry: entry[2])
    seeds = (
        f"Of the laws, the {predictor_title(best[0])} orders seeds best."
        if ordering[best[0]]
        else "No law orders the seeds better than chance."
    )
    rest = "; ".join(
        f"{predictor_title(name)} {two_digits(modes)} and {two_digits(seeds)}" for name, modes, seeds in means
    )
    floor = finite_mean(
        [p.relative.value for p in found.predictor_scores if p.arm == "floor" and p.predictor == best[0]]
    )
    sentences = [
        seeds,
        f"Mean rank correlation over modes (relative) and over seeds: {rest}.",
    ]
    if math.isfinite(floor):
        same = "For two networks trained on the same data, which the theory does not describe"
        sentences.append(f"{same}, the rank correlation over modes is {floor:.2f}.")
    return sentences


def _predictor_table(found: NetworkValidation) -> Table:
    rows = [score for score in found.predictor_scores if score.arm != "floor"]  # of which no law speaks
    return Table(
        name="predictions",
        caption="Correlation of predicted and observed disagreement, for each kind of pair and each predictor. Relative: each "
        "mode's disagreement is divided by that of unrelated seeds. The interval (bootstrap) and p (permutation test) belong "
        "to the Spearman correlation over seeds.",
        columns={
            "Networks": [f"{where(row.arch, row.n)}, {ARM_TITLES[row.arm]}" for row in rows],
            "Predictor": [predictor_title(row.predictor) for row in rows],
            "Modes, Spearman": [rounded(row.modes.value, digits=2) for row in rows],
            "Relative, Spearman": [rounded(row.relative.value, digits=2) for row in rows],
            "Linear pairs reach": [_reach(row) for row in rows],
            "Relative, Pearson of logs": [rounded(row.relative_pearson.value, digits=2) for row in rows],
            "Seeds, Spearman": [rounded(row.seeds.value, digits=2) for row in rows],
            "95 % interval": [f"{two_digits(row.seeds.low)} to {two_digits(row.seeds.high)}" for row in rows],
            "p": [p_words(row.seeds.p_value) for row in rows],
            "Seeds, Pearson of logs": [rounded(row.seeds_pearson.value, digits=2) for row in rows],
            "Observed / predicted": [rounded(row.factor, digits=2) for row in rows],
        },
        words=("Predictor",),
        moods=[_mood(row) for row in rows],
        summary=f"Table of all {len(rows)} predictions",
        small=True,
    )


def _reach(row: PredictorScore) -> str:
    """``0.61 to 0.80``, a dash if it is not known."""
    return f"{row.reach.low:.2f} to {row.reach.high:.2f}" if math.isfinite(row.reach.low) else "–"


def _mood(row: PredictorScore) -> Mood:
    return _MOODS[row.reach.verdict(row.relative.value)]


@styled
def draw_predictors(found: NetworkValidation) -> Figure:
    """Spearman correlation of predicted and observed disagreement, over modes (relative) and over seeds, for every predictor."""
    names = select.predictors(found)
    arms = select.shown_arms(found)
    figure, (top, bottom) = arch_panels(found.setup.archs, rows=2, height=2.8)
    spread = 0.5 / max(1, len(names) * len(arms))
    for arch, *axes in zip(found.setup.archs, top, bottom, strict=True):
        for ax, level in zip(axes, ("relative", "seeds"), strict=True):
            for place, n in enumerate(found.setup.n):
                for step, (arm, name) in enumerate((arm, name) for arm in arms for name in names):
                    row = select.prediction_of(found, arch, n, arm, name)
                    if row is None:
                        continue
                    value = getattr(row, level)
                    x = place + spread * (step - (len(names) * len(arms) - 1) / 2) * 1.6
                    style: dict[str, Any] = {"color": predictor_colour(name)}
                    ax.vlines(x, value.low, value.high, lw=1.0, **style)
                    ax.plot(
                        [x],
                        [value.value],
                        ls="",
                        marker="s" if arm == "different" else "o",
                        ms=4,
                        gid=f"{level}-{arch}-{n}-{arm}-{name}",
                        **style,
                    )
            ax.axhline(0.0, **GUIDE_LOOK)
            size_places(ax, found)
        axes[1].set_xlabel("training images n")
    top[0].set_ylabel("rank correlation\nover modes, relative")
    bottom[0].set_ylabel("rank correlation\nover seeds")
    handles = predictor_handles(names)
    handles += [
        Line2D([], [], ls="", marker="s" if arm == "different" else "o", mfc="none", color=INK, label=ARM_TITLES[arm])
        for arm in arms
    ]
    legend_below(figure, handles)
    return figure


def factors(found: NetworkValidation) -> Section | None:
    """Observed over predicted disagreement."""
    arm = select.shown_arms(found)[0]
    law = select.best_law(found)
    if not found.predictor_scores:
        return None
    return figure_section(
        "factors",
        "How much more do networks disagree than predicted?",
        "Magnitude",
        _factor_words(found, arm, law),
        Picture(
            name="factors",
            caption=(
                "Observed disagreement in each eigenband, divided by what the law predicts for linear models; 1 is as "
                "predicted. Dashed lines: divided by that of the linear models of the same splits."
            ),
            alternative=alternative(found, "Observed divided by predicted disagreement for each eigenband"),
            draw=partial(draw_factors, found),
        ),
    )


def _factor_words(found: NetworkValidation, arm: str, law: str | None) -> str:
    rows = [p for p in found.predictor_scores if p.arm == arm and p.predictor == law]
    factors = [f"{where(p.arch, p.n)}: {number(p.factor, 2)}" for p in rows]
    words = "How many times as much networks disagree as predicted for linear models"
    return f"{words}. {'; '.join(factors)}." if factors else ""


@styled
def draw_factors(found: NetworkValidation) -> Figure:
    """Observed over predicted disagreement by eigenband, for each n, of the best law and the linear models."""
    arm = select.shown_arms(found)[0]
    figure, (axes,) = arch_panels(found.setup.archs, height=3.1)
    names = [name for name in ("linear", select.best_law(found)) if name in select.predictors(found)]
    colours = look.n_colours(len(found.setup.n))
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        for n, colour in zip(found.setup.n, colours, strict=True):
            for name in names:
                row = select.prediction_of(found, arch, n, arm, str(name))
                if row is not None:
                    style: dict[str, Any] = (
                        {"marker": "o", "ms": 4} if name != "linear" else {"ls": (0, (2, 1.5)), "lw": 1.0}
                    )
                    y = numbers.positive(row.factor_bands)
                    ax.plot(range(len(found.setup.bands)), y, color=colour, gid=f"{arch}-{n}-{name}", **style)
                    drawn.append(y)
        ax.axhline(1.0, **GUIDE_LOOK)
        ax.set_xticks(range(len(found.setup.bands)), [band.numbers for band in found.setup.bands])
        ax.set_xlabel("modes of the eigenband")
    low, high = numbers.finite_range(*drawn) or (0.5, 2.0)
    for ax in axes:
        look.ratio_axis(ax.yaxis, min(low, 0.8), max(high, 1.25))
    axes[0].set_ylabel("observed / predicted")
    handles = n_handles(found)
    for name in names:
        dashes: Any = (0, (2, 1.5)) if name == "linear" else "-"
        marker = None if name == "linear" else "o"
        handles.append(Line2D([], [], color=INK, ls=dashes, marker=marker, ms=4, label=predictor_title(str(name))))
    legend_below(figure, handles)
    return figure


def denoisers(found: NetworkValidation) -> Section | None:
    """Denoisers by noise level."""
    arm = select.shown_arms(found)[0]
    law = select.best_law(found)
    if law is None or not select.shown_pairs(found):
        return None
    return figure_section(
        "denoisers",
        "Denoisers by noise level",
        "Denoisers",
        _denoiser_words(found, arm, law),
        Picture(
            name="denoisers",
            caption=(
                "Mean squared distance per dimension between what the two networks make of the same noisy images, and the "
                "prediction for linear denoisers."
            ),
            alternative=alternative(
                found, "Squared distance between two denoisers against noise level, observed and predicted"
            ),
            draw=partial(draw_denoisers, found),
        ),
    )


def _denoiser_words(found: NetworkValidation, arm: str, law: str | None) -> list[str]:
    parts = []
    for arch in found.setup.archs:
        n = next((n for n in reversed(found.setup.n) if found.trained_pairs(arch, n, arm)), None)
        forecast = None if n is None or law is None else found.forecast(law, n)
        if n is not None and forecast is not None:
            trained = found.trained_pairs(arch, n, arm)
            ratio = np.mean([pair.denoiser for pair in trained], axis=0) / forecast.denoiser
            low, high = (number(float(v), 2) for v in (ratio.min(), ratio.max()))
            parts.append(
                f"{where(arch, n)}: denoisers disagree {low} to {high} times as much as predicted for linear ones, depending "
                "on the noise level."
            )
    return parts


@styled
def draw_denoisers(found: NetworkValidation) -> Figure:
    """Disagreement of the denoisers themselves against the noise level, observed and predicted."""
    arm = select.shown_arms(found)[0]
    figure, (axes,) = arch_panels(found.setup.archs, height=3.2)
    colours, law = look.n_colours(len(found.setup.n)), select.best_law(found)
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        for n, colour in zip(found.setup.n, colours, strict=True):
            trained = found.trained_pairs(arch, n, arm)
            sigma = found.pairs[0].sigma
            if trained:
                y = np.mean([pair.denoiser for pair in trained], axis=0)
                ax.plot(sigma, numbers.positive(y), color=colour, marker="o", ms=4, gid=f"{arch}-{n}")
                drawn.append(y)
            forecast = found.forecast(law, n) if law else None
            if forecast is not None:
                ax.plot(
                    sigma,
                    numbers.positive(forecast.denoiser),
                    color=colour,
                    lw=1.1,
                    ls=(0, (5, 2)),
                    gid=f"{arch}-{n}-theory",
                )
                drawn.append(forecast.denoiser)
            look.log_axis(ax.xaxis, *numbers.log_limits(float(sigma[0]), float(sigma[-1])))
        ax.set_xlabel("noise level σ")
    low, high = numbers.finite_range(*drawn) or (0.01, 1.0)
    for ax in axes:
        look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    axes[0].set_ylabel("squared distance of denoised images")
    handles = [*n_handles(found), Line2D([], [], color=INK, marker="o", ms=4, label="networks")]
    handles.append(Line2D([], [], color=INK, lw=1.1, ls=(0, (5, 2)), label="theory"))
    legend_below(figure, handles, columns=6)
    return figure
