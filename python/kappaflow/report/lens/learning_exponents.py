"""Emergence times of modes during training and their exponents: sentences, figure and tables of the window on learning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from ..._checks import FloatArray
from ...lens.learning import THRESHOLDS, ExponentFit, LearningStudy
from .. import look, numbers
from ..document import Picture, Table
from ..look import MUTED, WIDTH, styled
from ..words import power_of_ten, short

__all__ = [
    "MODES_THAT",
    "emergence_picture",
    "exponent_table",
    "exponent_text",
    "exponent_words",
    "sparse_axis",
    "time_table",
    "two_digits",
]

#: What the variance does in each direction.
MODES_THAT = {1: "grow", -1: "shrink"}
_FILL: dict[int, Literal["full", "none"]] = {1: "full", -1: "none"}


# ---------------------------------------------------------------- sentences
def two_digits(value: float) -> str:
    """A number with two digits after the point."""
    return f"{value:.2f}".replace("-", "−")


def exponent_text(fit: ExponentFit) -> str:
    """α with its interval."""
    if fit.law is None:
        return "no fit"
    low, high = fit.law.interval
    return f"{two_digits(fit.law.exponent)} ({two_digits(low)} to {two_digits(high)})"


def exponent_words(study: LearningStudy, threshold: str) -> str:
    """The exponents of all learners for one threshold."""
    parts = []
    for curves in study.learners:
        fits = [
            f"{exponent_text(fit)} for the {fit.modes} modes that {MODES_THAT[fit.direction]}"
            for fit in curves.fits
            if fit.threshold == threshold and fit.law is not None
        ]
        if fits:
            parts.append(f"{curves.title}: {' and '.join(fits)}")
    exponents = "; ".join(parts) if parts else "too few modes for a fit"
    return f"Exponents α for the {threshold} threshold (with 95 % intervals): {exponents}."


# ---------------------------------------------------------------- figures
def emergence_picture(study: LearningStudy) -> Picture:
    """Emergence times over eigenvalues for each threshold, with fits."""
    return Picture(
        name="learning_emergence",
        title="When modes emerge, and the exponent",
        caption="Training time τ* at which the variance of a mode first crosses a mean of the variance that it starts with "
        "and the one that it goes to: the harmonic, geometric or arithmetic mean. Filled marks are modes that grow, hollow "
        "marks modes that shrink; lines are fits of τ* ∝ λ^−α. The exponent of one learner differs from threshold to "
        "threshold, so α means nothing without threshold and direction. Modes that end within a factor "
        f"{short(study.exclude)} of where they start are left out.",
        alternative=exponent_words(study, "geometric"),
        draw=partial(_draw_emergence, study),
    )


@styled
def _draw_emergence(study: LearningStudy) -> Figure:
    """A panel for each threshold."""
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    axes = figure.subplots(1, len(THRESHOLDS), sharey=True, squeeze=False)[0]
    values = study.eigenvalues[study.emergence_modes]
    every = [c.emergence[t].times for c in study.learners for t in THRESHOLDS]
    times = numbers.finite_range(*every) or (0.1, 1.0)
    ways: set[int] = set()
    for ax, threshold in zip(axes, THRESHOLDS, strict=True):
        sparse_axis(ax.xaxis, *numbers.log_limits(values.min(), values.max()))
        look.log_axis(ax.yaxis, *numbers.log_limits(*times), text=power_of_ten)
        for index, curves in enumerate(study.learners):
            colour, emergence = look.band_colour(index), curves.emergence[threshold]
            for fit in curves.fits:
                if fit.threshold != threshold:
                    continue
                ways.add(fit.direction)
                rows = np.flatnonzero((emergence.direction == fit.direction) & np.isfinite(emergence.times))
                rows = rows[_few(np.log(values[rows]), 24)]
                ax.plot(
                    values[rows],
                    emergence.times[rows],
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
        Line2D(
            [], [], ls="", color=MUTED, marker="o", ms=4, fillstyle=_FILL[way], label=f"modes that {MODES_THAT[way]}"
        )
        for way in sorted(ways, reverse=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.6)
    return figure


def sparse_axis(axis: Any, low: float, high: float) -> None:
    """A logarithmic axis of a narrow panel: at most five decades have a label."""
    look.log_axis(axis, low, high, text=power_of_ten)
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, math.ceil((last - first + 1) / 5))
    axis.set_major_locator(FixedLocator([10.0**e for e in range(first, last + 1) if e % step == 0]))


def _few(logarithms: FloatArray, count: int) -> npt.NDArray[np.intp]:
    """Indices of at most `count` entries, spread about evenly in their logarithm."""
    if logarithms.size <= count:
        return np.arange(logarithms.size)
    wanted = np.linspace(logarithms.min(), logarithms.max(), count)
    return np.unique(np.argmin(np.abs(logarithms[None] - wanted[:, None]), axis=1))


def _fit_line(ax: Axes, fit: ExponentFit, colour: str) -> None:
    if fit.law is None:
        return
    ends = np.array(fit.law.eigenvalue_range)
    ax.plot(ends, np.exp(fit.law.intercept) * ends**-fit.law.exponent, color=colour, lw=0.9, zorder=1.5)


# ---------------------------------------------------------------- tables
def exponent_table(study: LearningStudy) -> Table:
    """Every exponent with its interval."""
    rows = [(c.title, f) for c in study.learners for f in c.fits]
    laws = [f.law for _, f in rows]
    return Table(
        name="learning_exponents",
        caption="Exponent α of τ* ∝ λ^−α for each learner, threshold and direction, with the 95 % interval of the "
        "least-squares fit, the share of variance that the fit explains, and the range of eigenvalues. These times come from "
        "theory and do not scatter: the intervals measure how curved the relation is.",
        columns={
            "learner": [title for title, _ in rows],
            "threshold": [f.threshold for _, f in rows],
            "modes that": [MODES_THAT[f.direction] for _, f in rows],
            "modes": [f.modes for _, f in rows],
            "α": [None if law is None else law.exponent for law in laws],
            "low": [None if law is None else law.interval[0] for law in laws],
            "high": [None if law is None else law.interval[1] for law in laws],
            "R²": [None if law is None or math.isnan(law.r_squared) else law.r_squared for law in laws],
            "smallest λ": [None if law is None else law.eigenvalue_range[0] for law in laws],
            "largest λ": [None if law is None else law.eigenvalue_range[1] for law in laws],
        },
        file=True,
    )


def time_table(study: LearningStudy) -> Table:
    """Emergence times of every mode."""
    columns: dict[str, Sequence[float | None]] = {
        "mode": [int(k) + 1 for k in study.emergence_modes],
        "λ": [float(x) for x in study.eigenvalues[study.emergence_modes]],
    }
    for curves in study.learners:
        for threshold in THRESHOLDS:
            columns[f"{curves.title}, {threshold}"] = numbers.finite_or_none(curves.emergence[threshold].times)
    return Table(
        name="learning_times",
        caption=f"Emergence time τ* of each mode (learning rate {short(study.rate)}, toward the {study.target} "
        "variance). Empty where the mode ends close to where it starts, or does not cross the threshold.",
        columns=columns,
        file=True,
    )
