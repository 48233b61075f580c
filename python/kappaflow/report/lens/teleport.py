"""The window on teleport: how many evaluations the closed form saves, and from which noise level on the solver is needed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...lens.teleport import WAYS, TeleportStudy
from .. import look, numbers
from ..arrays import kind_of, show
from ..document import Picture, Section, Table
from ..look import INK, MUTED, WIDTH, styled
from ..words import number, short

__all__ = ["section"]

_LOOKS: dict[str, dict[str, Any]] = {
    WAYS[0]: {"color": MUTED, "marker": "o"},
    WAYS[1]: {"color": look.BAND_COLOURS[4], "marker": "v"},
    WAYS[2]: {"color": look.BAND_COLOURS[0], "marker": "s"},
    WAYS[3]: {"color": look.BAND_COLOURS[2], "marker": "D"},
}


def section(study: TeleportStudy) -> Section:
    """Findings, figures and tables of a study of teleport."""
    return Section(
        name="teleport",
        title="Teleport",
        takeaways=_findings(study),
        parts=(
            _cost_picture(study),
            _level_picture(study),
            _sample_picture(study),
            _cost_table(study),
            _level_table(study),
        ),
    )


def _findings(study: TeleportStudy) -> tuple[str, ...]:
    plain, jumped, corrected = (study.errors[way] for way in (WAYS[0], WAYS[2], WAYS[3]))
    first = study.plans[0]
    before, after = float(plain[0]), float(jumped[0])
    cost = f"With {study.denoiser} and {2 * first.steps - 1} evaluations"
    if before <= 1e-12 * float(
        np.sqrt(study.eigenvalue)
    ):  # a few points far apart: whatever the way, samples are those points
        return (
            f"{cost}, the samples equal those of {study.reference_steps} steps up to rounding: there is no error to save.",
        )
    if after < 0.98 * before:
        sentences = [
            f"{cost}, one jump from σ = {short(study.sigma_max)} to {number(first.sigma_start)} with all {first.steps} "
            f"steps below it leaves {number(before / after)} times less error than {first.steps} steps from the start "
            f"({number(after)} instead of {number(before)}, root mean square over pixels)."
        ]
    else:
        sentences = [
            f"{cost}, no jump pays: the error is {number(after)} with the best jump and {number(before)} without a jump "
            f"(root mean square over pixels). {_why_no_jump_pays(study)}"
        ]
    levels = ", ".join(f"{number(plan.sigma_start)} for {plan.steps} steps" for plan in study.plans)
    root = float(np.sqrt(study.eigenvalue))
    ratios = [plan.sigma_start / root for plan in study.plans]
    sentences.append(
        f"The best level to jump to is σ′ = {levels}. This is {number(min(ratios), 2)} to {number(max(ratios), 2)} times "
        f"the largest standard deviation of the data, √λ₁ = {number(root)}."
    )
    saved = _saved(study)
    if saved is not None:
        sentences.append(saved)
    better = [plan.steps for plan, a, b in zip(study.plans, corrected, jumped, strict=True) if a < 0.97 * b]
    sentences.append(
        "The correction costs one more evaluation and lowers the error further with "
        + (f"{', '.join(map(str, better))} steps." if better else "none of these numbers of steps.")
    )
    return tuple(sentences)


def _why_no_jump_pays(study: TeleportStudy) -> str:
    if study.starts_far:
        return "The denoiser is not that of a Gaussian with this mean and covariance, not even at high noise."
    return (
        f"Sampling starts at σ = {short(study.sigma_max)}, which is {number(study.sigma_max / np.sqrt(study.eigenvalue))} "
        "times the largest standard deviation of the data: there is no early part to jump over. Start at a higher noise level."
    )


def _saved(study: TeleportStudy) -> str | None:
    """Evaluations that reach the plain sampler's error with most steps."""
    plain, jumped = study.errors[WAYS[0]], study.errors[WAYS[2]]
    fewer = np.flatnonzero(jumped <= plain[-1])
    if not fewer.size or fewer[0] == len(study.plans) - 1:
        return None
    few, many = int(study.evaluations[WAYS[2]][fewer[0]]), int(study.evaluations[WAYS[0]][-1])
    return f"{few} evaluations after a jump are at least as accurate as {many} without one."


def _cost_picture(study: TeleportStudy) -> Picture:
    ends = "; ".join(
        f"{way}: {number(float(each[0]), 2)} to {number(float(each[-1]), 2)}" for way, each in study.errors.items()
    )
    return Picture(
        name="teleport_cost",
        title="Error against evaluations",
        caption=f"Distance between the samples and those of {study.reference_steps} steps from the start: root mean square "
        f"over pixels, mean over {study.seeds} seeds. The level σ′ was chosen on other seeds. “Old grid” saves the steps "
        "above σ′ and leaves the others where they were. “Teleport” puts all steps below σ′.",
        alternative=f"Errors from the fewest to the most evaluations: {ends}.",
        draw=partial(_draw_cost, study),
    )


@styled
def _draw_cost(study: TeleportStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    ax = figure.subplots()
    for way in WAYS:
        ax.plot(
            study.evaluations[way],
            numbers.positive(study.errors[way]),
            label=way,
            ms=5,
            gid=f"way-{way}",
            **_LOOKS[way],
        )
    low, high = numbers.finite_range(*study.errors.values()) or (1e-3, 1.0)
    look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    ax.set_xlabel("evaluations of the denoiser for each sample")
    ax.set_ylabel("error of the samples")
    ax.legend()
    return figure


def _level_picture(study: TeleportStudy) -> Picture:
    chosen = ", ".join(f"σ′ = {number(plan.sigma_start)} with {plan.steps} steps" for plan in study.plans)
    return Picture(
        name="teleport_level",
        title="Where to jump to",
        caption="Error of the samples against the level σ′ of the jump, on the seeds that chose it. Coloured lines: jump "
        "and solver together, measured. Vertical lines: the level that is used. Dashed line: the jump alone, predicted to "
        "first order from the denoiser along the Gaussian path. The left end is no jump.",
        alternative=f"Each curve falls, then rises where the data are no longer Gaussian. Levels that are used: {chosen}.",
        draw=partial(_draw_levels, study),
    )


@styled
def _draw_levels(study: TeleportStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    ax = figure.subplots()
    sigmas = study.plans[0].sigmas
    for plan, colour in zip(study.plans, look.n_colours(len(study.plans)), strict=True):
        ax.plot(plan.sigmas, plan.total_error, color=colour, label=f"{plan.steps} steps", gid=f"steps-{plan.steps}")
        ax.axvline(plan.sigma_start, color=colour, lw=0.8, ls=":")
    jumps = numbers.positive(study.plans[0].jump_error)
    ax.plot(sigmas, jumps, color=INK, ls="--", lw=1.0, label="jump alone, predicted")
    totals = [plan.total_error for plan in study.plans]
    low, high = numbers.finite_range(*totals) or (1e-3, 1.0)
    look.log_axis(ax.xaxis, *numbers.log_limits(float(sigmas[-1]), float(sigmas[0]), 0.02))
    ax.invert_xaxis()
    look.log_axis(ax.yaxis, *numbers.log_limits(low / 5, high))
    ax.set_xlabel("noise level σ′ after the jump (sampling →)")
    ax.set_ylabel("error of the samples")
    ax.legend(loc="best")
    return figure


def _sample_picture(study: TeleportStudy) -> Picture:
    first = study.plans[0]
    return Picture(
        name="teleport_samples",
        title=f"Samples with {first.steps} steps",
        caption=f"Samples of the same seeds, with {study.reference_steps} steps from the start and in each way with "
        f"{first.steps} steps.",
        alternative="; ".join(f"{way}: error {number(float(each[0]), 2)}" for way, each in study.errors.items()),
        draw=partial(_draw_samples, study),
        raster=kind_of(study.shape) != "vector",
    )


@styled
def _draw_samples(study: TeleportStudy) -> Figure:
    kind = kind_of(study.shape)
    count = len(next(iter(study.shown.values())))
    figure = Figure(figsize=(WIDTH, 0.92 * len(study.shown) + 0.2), layout="constrained")
    vectors = kind == "vector"  # rows of one column are compared: on one scale
    axes = figure.subplots(len(study.shown), count, squeeze=False, sharex=vectors, sharey="col" if vectors else False)
    for row, (way, images) in enumerate(study.shown.items()):
        for column, image in enumerate(images):
            show(axes[row, column], image.reshape(study.shape), kind)
            if vectors:
                axes[row, column].locator_params(axis="y", nbins=2)
        axes[row, 0].set_ylabel(way.replace(", ", ",\n"), rotation=0, ha="right", va="center")
    return figure


def _cost_table(study: TeleportStudy) -> Table:
    columns: dict[str, list[float | int | str | None]] = {"steps": [plan.steps for plan in study.plans]}
    columns["sigma_start"] = [plan.sigma_start for plan in study.plans]
    columns["correction_power"] = [plan.power for plan in study.plans]
    for way in WAYS:
        columns[f"{way}, evaluations"] = [int(value) for value in study.evaluations[way]]
        columns[f"{way}, error"] = study.errors[way].tolist()
    return Table(
        name="teleport_cost",
        caption="Evaluations and errors of each way for each number of steps.",
        columns=columns,
        file=True,
    )


def _level_table(study: TeleportStudy) -> Table:
    first = study.plans[0]
    columns: dict[str, list[float]] = {
        "sigma": first.sigmas.tolist(),
        "denoiser_gap": first.denoiser_gap.tolist(),
        "jump_error": first.jump_error.tolist(),
    }
    columns |= {f"total_error_{plan.steps}_steps": plan.total_error.tolist() for plan in study.plans}
    return Table(
        name="teleport_level",
        caption="What each level of the jump costs, on the seeds that chose it. denoiser_gap is the root mean square "
        "difference between the denoiser and that of the Gaussian along the Gaussian path.",
        columns=columns,
        file=True,
    )
