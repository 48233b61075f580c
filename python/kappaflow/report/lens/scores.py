"""The window on scores: which closed form denoises best at each noise level, and how much of a denoiser it explains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from ...lens.scores import MEAN, SAMPLES, Fraction, ScoresStudy
from .. import look, numbers
from ..arrays import kind_of, show
from ..document import Picture, Section, Table
from ..look import INK, MUTED, WIDTH, styled
from ..words import number, percent, short

__all__ = ["section"]

_LAW_TITLES = {"data": "x = sample + σz", "noise": "x = σz", "trajectory": "x on the sampler's path"}
#: Where most of a denoiser counts as explained.
_EXPLAINED = 0.01
#: Fraction of squared error below which rates at high noise are taken for their limits.
_FAR = 1e-4
#: Losses that differ by less, or by less than two standard errors, are not told apart.
_NO_MATTER = 1e-3


def section(study: ScoresStudy) -> Section:
    """Findings, figures and tables of a study of scores."""
    return Section(
        name="scores",
        title="Scores",
        takeaways=_findings(study),
        parts=(
            _loss_picture(study),
            _fraction_picture(study),
            _law_picture(study),
            _film_picture(study),
            _loss_table(study),
            _fraction_table(study),
        ),
    )


def _closed_forms(study: ScoresStudy) -> list[str]:
    return [name for name in study.losses if name != "network"]


def _look(study: ScoresStudy, name: str) -> dict[str, Any]:
    if name == "network":
        return {"color": INK, "lw": 2.0}
    if name == MEAN:
        return {"color": MUTED, "lw": 1.2}
    place = [other for other in _closed_forms(study) if other != MEAN].index(name)
    return {"color": look.band_colour(place), "marker": look.band_marker(place), "ms": look.MARKER}


def _reference(study: ScoresStudy) -> str:
    return "the network" if study.reference == "network" else "the exact score of the training samples"


def _best(study: ScoresStudy) -> list[str]:
    """The closed form of least loss at each level; the Gaussian unless better by a thousandth and two standard errors."""
    names = _closed_forms(study)
    ratios = [study.losses[name].over(study.losses["Gaussian"]) for name in names]
    best = np.argmin([each.ratio for each in ratios], axis=0)
    found = []
    for place, i in enumerate(best):
        ratio, error = ratios[i].ratio[place], ratios[i].error[place]
        found.append(names[i] if 1 - ratio > max(_NO_MATTER, 2 * error) else "Gaussian")
    return found


# ---------------------------------------------------------------- sentences
def _judged(study: ScoresStudy) -> str:
    """The samples that scores are judged on, in words."""
    if study.repeated == 0:
        return f"{study.count:,} samples that no score has seen"
    return f"{study.count:,} held-out samples, of which {study.repeated:,} equal a training sample"


def _findings(study: ScoresStudy) -> tuple[str, ...]:
    best = _best(study)
    runs: list[list[int]] = []
    for place, name in enumerate(best):
        if runs and best[runs[-1][-1]] == name:
            runs[-1].append(place)
        else:
            runs.append([place])
    said = "; ".join(
        f"{best[run[0]]} at σ = {number(study.sigmas[run[0]])}"
        + (f" to {number(study.sigmas[run[-1]])}" if len(run) > 1 else "")
        for run in runs
    )
    sentences = [
        f"On {_judged(study)}, the closed form that denoises best is: {said}. All were "
        f"made from {study.training:,} others; a form other than the Gaussian is named only where it is better by more "
        "than two standard errors."
    ]
    middle = int(np.argmax(study.losses[SAMPLES].loss / study.losses["Gaussian"].loss))
    ratio = float(study.losses[SAMPLES].loss[middle] / study.losses["Gaussian"].loss[middle])
    if ratio > 1.05:
        sentences.append(
            f"The exact score of the training samples memorises: at σ = {number(study.sigmas[middle])} its loss on "
            f"held-out samples is {number(ratio)} times that of the Gaussian."
        )
    fraction = study.fractions["data"]["Gaussian"]
    told = _reference(study)
    below = np.flatnonzero(~(fraction.score_ratio_of_means <= _EXPLAINED))
    first = int(below[-1]) + 1 if below.size else 0
    if first < study.sigmas.size and np.isfinite(fraction.denoiser_ratio_of_means[first]):
        sentences.append(
            f"The Gaussian explains more than {percent(1 - _EXPLAINED)} of the squared score of {told} from σ = "
            f"{number(study.sigmas[first])} on. At that level it leaves "
            f"{percent(float(fraction.denoiser_ratio_of_means[first]))} of the squared denoiser unexplained, which is what "
            "the samples show (ratios of means)."
        )
    slope = _far_slope(study, fraction)
    if slope is not None and study.reference == SAMPLES:
        sentences.append(
            f"At the highest noise levels, the squared error of the Gaussian's score relative to the squared score falls as "
            f"σ^{short(slope, 2).replace('-', '−')}; theory has −6 for skewed and −8 for symmetric data."
        )
    return tuple(sentences)


def _far_slope(study: ScoresStudy, fraction: Fraction) -> float | None:
    """Slope of the last three levels, None if the errors are rounding."""
    values = fraction.score_ratio_of_means[-3:]
    if values.size < 3 or values.min() < 1e-26 or not values[0] < _FAR:  # rounding, or not far enough
        return None
    return float(np.polyfit(np.log(study.sigmas[-3:]), np.log(values), 1)[0])


# ---------------------------------------------------------------- figures
def _noise_axis(ax: Any, study: ScoresStudy) -> None:
    low, high = float(study.sigmas[0]), float(study.sigmas[-1])
    look.log_axis(ax.xaxis, *numbers.log_limits(low, high, 0.02))
    ax.set_xlabel("noise level σ")


def _loss_picture(study: ScoresStudy) -> Picture:
    best = _best(study)
    ratios = {name: one.loss / study.losses["Gaussian"].loss for name, one in study.losses.items()}
    listed = ", ".join(
        f"{name} {number(float(each[0]))} and {number(float(each.min()))}"
        for name, each in ratios.items()
        if name != "Gaussian"
    )
    return Picture(
        name="scores_loss",
        title="Which score denoises unseen samples best",
        caption="Mean squared error per pixel of each denoiser on held-out samples with noise, divided by that of the "
        "Gaussian. All denoisers get the same samples and noise; bars are two standard errors of the ratio. Below 1, a "
        "denoiser is better than mean and covariance allow.",
        alternative=f"Losses relative to the Gaussian's, at σ = {number(study.sigmas[0])} and at their lowest: {listed}. "
        f"Of the closed forms, {best[0]} is best at the lowest noise and {best[-1]} at the highest.",
        draw=partial(_draw_loss, study),
    )


@styled
def _draw_loss(study: ScoresStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    ax = figure.subplots()
    reference = study.losses["Gaussian"]
    shown = []
    for name, one in study.losses.items():
        quotient = one.over(reference)
        ratio, error = quotient.ratio, quotient.error
        style = _look(study, name)
        ax.plot(study.sigmas, ratio, label=name, gid=f"loss-{name}", **style)
        ax.vlines(study.sigmas, ratio - 2 * error, ratio + 2 * error, colors=style["color"], lw=0.8)
        if name != MEAN:
            shown.append(ratio)
    _noise_axis(ax, study)
    low, high = numbers.finite_range(*shown) or (0.5, 2.0)
    look.factor_axis(ax.yaxis, low / 1.05, min(high * 1.05, 100.0))
    ax.set_ylabel("loss over that of the Gaussian")
    figure.legend(loc="outside lower center", ncols=5)
    return figure


def _fraction_picture(study: ScoresStudy) -> Picture:
    fraction = study.fractions["data"]["Gaussian"]
    place = study.sigmas.size // 2
    return Picture(
        name="scores_fraction",
        title=f"How much of {_reference(study)} is explained",
        caption="Fraction of squared error at x = sample + σz, for samples of the training part. Left: fraction for "
        "scores, which at high noise are mostly the noise itself, so every approximation looks good. Right: fraction for "
        "denoisers. Lines are means of ratios, thin dashed lines ratios of means.",
        alternative=f"At σ = {number(study.sigmas[place])} the Gaussian leaves "
        f"{percent(float(fraction.score_mean_of_ratios[place]))} of the squared score and "
        f"{percent(float(fraction.denoiser_mean_of_ratios[place]))} of the squared denoiser unexplained.",
        draw=partial(_draw_fractions, study),
    )


@styled
def _draw_fractions(study: ScoresStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    for ax, kind in zip(figure.subplots(1, 2), ("score", "denoiser"), strict=True):
        shown = []
        for name, one in study.fractions["data"].items():
            mean, total = getattr(one, f"{kind}_mean_of_ratios"), getattr(one, f"{kind}_ratio_of_means")
            style = _look(study, name)
            ax.plot(study.sigmas, numbers.positive(mean), label=name, gid=f"{kind}-{name}", **style)
            ax.plot(study.sigmas, numbers.positive(total), color=style["color"], ls="--", lw=0.7)
            shown += [mean, total]
        _noise_axis(ax, study)
        low, high = numbers.finite_range(*shown) or (1e-6, 1.0)
        look.log_axis(ax.yaxis, *numbers.log_limits(max(low, 1e-16 * high), high))
        ax.set_title(f"{kind}s")
    figure.axes[0].set_ylabel("fraction of squared error")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def _law_picture(study: ScoresStudy) -> Picture:
    values = {law: float(each["Gaussian"].denoiser_mean_of_ratios[0]) for law, each in study.fractions.items()}
    listed = ", ".join(f"{percent(value)} for {_LAW_TITLES[law]}" for law, value in values.items())
    return Picture(
        name="scores_law",
        title="How much depends on x",
        caption="The same fraction (denoisers, means of ratios) for three laws of x: noised samples, noise alone (which "
        "no sampler meets at low noise), and the states of the explained denoiser's own sampler. A fraction says little "
        "unless the law of x is given with it.",
        alternative=f"Fraction that the Gaussian leaves unexplained at the lowest noise level: {listed}.",
        draw=partial(_draw_laws, study),
    )


@styled
def _draw_laws(study: ScoresStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    axes = figure.subplots(1, len(study.fractions), sharey=True)
    every = [one.denoiser_mean_of_ratios for each in study.fractions.values() for one in each.values()]
    low, high = numbers.finite_range(*every) or (1e-6, 1.0)
    for ax, (law, each) in zip(axes, study.fractions.items(), strict=True):
        for name, one in each.items():
            ax.plot(
                study.sigmas,
                numbers.positive(one.denoiser_mean_of_ratios),
                label=name,
                gid=f"{law}-{name}",
                **_look(study, name),
            )
        _noise_axis(ax, study)
        ax.set_title(_LAW_TITLES[law])
    look.log_axis(axes[0].yaxis, *numbers.log_limits(max(low, 1e-16 * high), high))
    axes[0].set_ylabel("fraction of squared denoiser")
    handles: list[Line2D]
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def _film_picture(study: ScoresStudy) -> Picture:
    errors = {name: float(np.sqrt(np.mean((each[-1] - study.film_clean) ** 2))) for name, each in study.film.items()}
    listed = ", ".join(f"{name} {number(value, 2)}" for name, value in errors.items())
    return Picture(
        name="scores_film",
        title="One unseen sample, denoised",
        caption="A held-out sample with less and less noise (top row), and what each denoiser makes of it. The first row "
        "ends with the sample itself"
        + ("; it is dashed behind the answers, which share one scale." if kind_of(study.shape) == "vector" else "."),
        alternative=f"Root mean square error at σ = {number(study.film_levels[-1])}: {listed}.",
        draw=partial(_draw_film, study),
        raster=kind_of(study.shape) != "vector",
    )


@styled
def _draw_film(study: ScoresStudy) -> Figure:
    kind = kind_of(study.shape)
    rows: Mapping[str, FloatArray] = {"with noise": study.film_noised, **study.film}
    columns = study.film_levels.size + 1
    figure = Figure(figsize=(WIDTH, 1.08 * len(rows) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (name, images) in enumerate(rows.items()):
        for column in range(columns):
            ax = axes[row, column]
            if column < columns - 1:
                show(ax, images[column].reshape(study.shape), kind)
                if row == 0:
                    ax.set_title(f"σ = {number(study.film_levels[column], 2)}")
            elif row == 0:
                show(ax, study.film_clean.reshape(study.shape), kind)
                ax.set_title("clean")
            else:
                ax.set_axis_off()
        axes[row, 0].set_ylabel(
            name.replace("training samples", "training\nsamples"), rotation=0, ha="right", va="center"
        )
    if kind == "vector":
        _plain_curves(axes, study)
    return figure


def _plain_curves(axes: Any, study: ScoresStudy) -> None:
    """One scale for all answers, which the clean sample is drawn behind; numbers at the clean sample alone."""
    answers = np.concatenate([study.film_clean[None], *study.film.values()])
    low, high = float(answers.min()), float(answers.max())
    pad = 0.06 * (high - low) or 1.0
    for (row, column), ax in np.ndenumerate(axes):
        if not ax.axison:
            continue
        if row > 0 or column == axes.shape[1] - 1:
            ax.set_ylim(low - pad, high + pad)
        if row > 0:
            ax.plot(np.arange(study.film_clean.size), study.film_clean, color=MUTED, lw=0.8, ls="--", zorder=1.5)
        if row > 0 or column < axes.shape[1] - 1:
            ax.tick_params(labelbottom=False, labelleft=False)


# ---------------------------------------------------------------- tables
def _loss_table(study: ScoresStudy) -> Table:
    columns: dict[str, list[float]] = {"sigma": study.sigmas.tolist()}
    for name, one in study.losses.items():
        columns[name], columns[f"{name}, standard error"] = one.loss.tolist(), one.error.tolist()
    return Table(
        name="scores_loss",
        caption=f"Denoising loss per pixel on {study.count:,} held-out samples.",
        columns=columns,
        file=True,
    )


def _fraction_table(study: ScoresStudy) -> Table:
    names = ("score_mean_of_ratios", "score_ratio_of_means", "denoiser_mean_of_ratios", "denoiser_ratio_of_means")
    columns: dict[str, list[Any]] = {"x": [], "sigma": [], "approximation": []}
    columns |= {name: [] for name in names} | {f"{name}_standard_error": [] for name in names}
    for law, each in study.fractions.items():
        for approximation, one in each.items():
            columns["x"] += [law] * study.sigmas.size
            columns["sigma"] += study.sigmas.tolist()
            columns["approximation"] += [approximation] * study.sigmas.size
            for name in names:
                columns[name] += getattr(one, name).tolist()
                columns[f"{name}_standard_error"] += one.errors[name].tolist()
    return Table(
        name="scores_fraction",
        caption=f"Fraction of squared error of each score against {study.reference}, for three laws of x.",
        columns=columns,
        file=True,
    )
