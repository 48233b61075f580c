"""How many images make two linear models agree."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from ...consistency.prediction import Prediction
from .. import look, numbers
from ..document import HOW, Cell, Picture, Prose, Section, Table, rounded
from ..look import ACCENT, GUIDE, INK, Legend, styled
from ..words import count, counted, number, percent, percent_setting, percent_tick, short
from .shared import PROSE, band_name, each_mode_once, line_style, never_enough, panel

#: An answer further than this many times the largest n is left to the table.
_REACH = 100
_RELATIVE_LABEL = "disagreement (relative to unrelated samples)"


def how_many(prediction: Prediction) -> Section:
    """Disagreement against n, and the images that each eigenband needs."""
    return Section(
        name="how-many",
        title="How many images make two linear models agree?",
        contents="How many images?",
        takeaways=(_takeaway(prediction),),
        parts=(
            disagreement_by_n(prediction),
            Prose(PROSE, "bands"),
            band_table(prediction),
            size_table(prediction),
            Prose(PROSE, "disagreement", summary=HOW),
        ),
    )


def _takeaway(prediction: Prediction) -> str:
    row = prediction.reference
    relative = prediction.bands.relative[row]
    disagree = f"With {prediction.reference_n:,} training images each, two linear models disagree"
    if not relative.size:
        return f"{disagree} by {percent(prediction.totals.relative[row])}."
    worst, best = int(np.nanargmax(relative)), int(np.nanargmin(relative))
    if worst == best:
        text = f"{disagree} by {percent(relative[worst])} in {band_name(prediction, worst)}."
    else:
        most, least = (f"{band_name(prediction, band)} ({percent(relative[band])})" for band in (worst, best))
        text = f"{disagree} most in {most} and least in {least}."
    total = prediction.totals.relative
    if len(prediction.n) > 1 and total[-1] > 0 and total[-2] > 0:
        slope = float(np.log(total[-2] / total[-1]) / np.log(prediction.n[-1] / prediction.n[-2]))
        text += (
            f" Between the two largest n, twice as many images divide the total disagreement by {number(2**slope, 2)}."
        )
    return text


# ---------------------------------------------------------------- figure
def disagreement_by_n(prediction: Prediction) -> Picture:
    """Relative disagreement of each band against n."""
    return Picture(
        name="disagreement_by_n",
        caption="Relative disagreement of two linear models against the number of training images; 100 % is as different "
        "as two unrelated samples. The models agree within the tolerance from where a curve crosses the red line. "
        "Hollow markers lie beyond the n that were computed. The dashed line falls as 1/n.",
        alternative="Relative disagreement of two linear models against the number of training images n on logarithmic "
        f"axes: one curve for each of {counted(len(prediction.bands.ranges), 'eigenband')}, one for all modes, and a line "
        "at the tolerance.",
        draw=partial(draw_disagreement_by_n, prediction),
    )


@styled
def draw_disagreement_by_n(prediction: Prediction) -> Figure:
    """Relative disagreement of each band against n, the tolerance, and where each band meets it."""
    figure, ax = panel(4.1)
    look.legend_beside(figure, plot_disagreement_by_n(ax, prediction))
    return figure


def plot_disagreement_by_n(ax: Axes, prediction: Prediction) -> Legend:
    """The same on given axes."""
    n = prediction.n.astype(np.float64)
    bands, total = numbers.positive(prediction.bands.relative), numbers.positive(prediction.totals.relative)
    tolerance = float(prediction.tolerance)
    within = [k for k in prediction.bands.images_needed if k is not None and k <= _REACH * n[-1]]
    x_limits = numbers.log_limits(min([n[0], *within]), max([n[-1], *within]), 0.04)
    low, high = numbers.finite_range(bands, total, np.array([tolerance])) or (0.1, 1.0)
    y_limits = numbers.log_limits(low, high, 0.05)
    look.log_axis(ax.xaxis, *x_limits)
    look.log_axis(ax.yaxis, *y_limits, text=percent_tick)

    handles: list[Line2D] = []
    for index, band in enumerate(prediction.bands.ranges):
        style: dict[str, Any] = {"color": look.band_colour(index), "marker": look.band_marker(index), "ms": 4.5}
        label = band.label.replace("-", "–")
        handles += ax.plot(n, bands[:, index], lw=1.4, label=label, gid=f"band-{index}", **style)
        answer = prediction.bands.images_needed[index]
        if answer is None or not n[-1] < answer <= _REACH * n[-1]:
            continue
        ax.plot(
            [n[-1], answer], [bands[-1, index], tolerance], lw=1.0, ls=":", color=style["color"], gid=f"reach-{index}"
        )
        ax.plot([answer], [tolerance], ls="", mec=style["color"], mfc="white", marker=style["marker"], ms=5.5)
    handles = [*ax.plot(n, total, color=INK, lw=2.4, label="all modes", gid="total", **line_style(n.size)), *handles]
    ax.axhline(tolerance, color=ACCENT, lw=1.1, gid="tolerance")
    handles.append(Line2D([], [], color=ACCENT, lw=1.1, label=f"tolerance {percent_setting(tolerance)}"))
    handles.append(_inverse_guide(ax, n, total, x_limits, y_limits))
    look.mark_size(ax, prediction.reference_n)
    ax.set_xlabel("training images n")
    ax.set_ylabel(_RELATIVE_LABEL)
    return Legend(handles)


def _inverse_guide(
    ax: Axes, n: FloatArray, total: FloatArray, x: tuple[float, float], y: tuple[float, float]
) -> Line2D:
    """Line of slope −1 through the last total: the rate of plain averaging."""
    anchor = float(total[-1]) if np.isfinite(total[-1]) else math.sqrt(y[0] * y[1])
    xs = np.geomspace(*x, 200)
    ys = anchor * n[-1] / xs
    (line,) = ax.plot(
        xs,
        np.where((ys >= y[0]) & (ys <= y[1]), ys, np.nan),
        color=GUIDE,
        lw=1.0,
        ls=(0, (4, 2)),
        label="∝ 1/n",
        zorder=1,
        gid="guide",
    )
    return line


# ---------------------------------------------------------------- tables
def band_table(prediction: Prediction) -> Table:
    """Share of variance, disagreement at the reference n and images needed of each eigenband."""
    total = float(prediction.eigenvalues.sum())
    relative = prediction.bands.relative[prediction.reference]
    shares = []
    for band in prediction.bands.ranges:
        part = prediction.eigenvalues[band.start : band.stop].sum()
        shares.append(float(numbers.ratio(part, np.array(total))) if each_mode_once(prediction) else float("nan"))
    needed = prediction.bands.images_needed
    return Table(
        name="bands",
        caption="Images that each training set needs for two linear models to have a relative disagreement of at most "
        f"{percent_setting(prediction.tolerance)}.",
        columns={
            "Eigenband": [band_name(prediction, index) for index in range(len(shares))],
            "Images needed": [Cell(never_enough(prediction)) if n is None else Cell(count(n), n) for n in needed],
            f"Relative disagreement at n = {prediction.reference_n:,}": [
                rounded(x, percent(float(x))) for x in relative
            ],
            "Share of variance": [rounded(share, percent(share)) for share in shares],
        },
    )


def _kappa_levels(prediction: Prediction) -> list[int]:
    """Three noise levels of the table: the lowest and those nearest to 0.1 and 1."""
    sigma = prediction.noise.sigma
    return sorted({0, *(int(np.argmin(np.abs(np.log(np.maximum(sigma, 1e-300) / x)))) for x in (0.1, 1.0))})


def size_table(prediction: Prediction) -> Table:
    """κ at three noise levels and the disagreement of each n."""
    kappa = {
        f"κ at σ = {short(float(prediction.noise.sigma[k]), 2)}": [
            rounded(float(x)) for x in prediction.noise.kappa[:, k]
        ]
        for k in _kappa_levels(prediction)
    }
    counted = prediction.n_groups
    groups = {} if counted is None else {"groups": [f"{n:,.3g}" for n in counted]}
    return Table(
        name="sizes",
        caption="Renormalised noise κ and disagreement for each number n of training images; the headline is about the "
        "highlighted row. κ is the noise variance that a linear model acts on, see “Why: few images act like extra noise”.",
        columns={
            "n": [f"{int(n):,}" for n in prediction.n],
            **groups,
            **kappa,
            "Squared distance / d": [rounded(float(x)) for x in prediction.totals.disagreement],
            "Relative disagreement": [rounded(float(x), percent(float(x))) for x in prediction.totals.relative],
        },
        marked=prediction.reference,
    )
