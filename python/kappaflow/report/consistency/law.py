"""The section "Which law?": how the samples differ from Gaussian data, and how far each law is off, drawn and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from ..._checks import FloatArray
from ...consistency.diagnosis import Diagnosis
from ...consistency.experiment import LawError
from ...consistency.prediction import Prediction
from ...consistency.rule import GOOD
from ...laws import law_spec
from .. import look, numbers
from ..laws import law_look
from ..look import GUIDE, MUTED, WIDTH, factor_axis, points, styled
from ..words import number, percent_setting

__all__ = ["kurtosis_words", "law_alternatives", "law_errors", "law_takeaways", "leverage"]

_BINS = 48
#: How far the laws' marks stand apart within a band.
_APART = 0.13


def _diagnosis(prediction: Prediction, figure: str) -> Diagnosis:
    if prediction.diagnosis is None:
        raise ValueError(f"{figure}: diagnosis must be present, got None")
    return prediction.diagnosis


@styled
def leverage(prediction: Prediction) -> Figure:
    """Density of the samples' leverage on a logarithmic axis, with that of Gaussian data.

    The curve is a gamma distribution of mean 1 and the variance of Gaussian data, 2 df2/df1², which is what a weighted
    sum of squares of Gaussian coordinates is close to. Densities are per unit of ln τ.

    Raises
    ------
    ValueError
        Where the prediction has no diagnosis.
    """
    found = _diagnosis(prediction, "leverage")
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    ax = figure.add_subplot()
    values = numbers.positive(found.leverage)
    values = values[np.isfinite(values)]
    reach = 4.5 * np.sqrt(found.leverage_gaussian)
    low, high = min(float(values.min()), float(np.exp(-reach))), max(float(values.max()), float(np.exp(reach)))
    look.log_axis(ax.xaxis, low / 1.08, high * 1.08)
    edges = np.geomspace(float(values.min()) * (1 - 1e-9), float(values.max()) * (1 + 1e-9), _BINS + 1)
    counts, _ = np.histogram(values, edges)
    density = counts / values.size / np.log(edges[1] / edges[0])
    ax.stairs(density, edges, fill=True, color="#c9d7e6", lw=0, gid="samples")
    ax.stairs(density, edges, color="#5b7ea3", lw=0.9)
    x = np.geomspace(low / 1.08, high * 1.08, 600)
    ax.plot(x, _gamma_density(x, found.leverage_gaussian), color=MUTED, ls=(0, (4, 2)), gid="gaussian-data")
    ax.axvline(1.0, color=GUIDE, lw=0.7, zorder=0)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("leverage τ of an image (1: the average)")
    ax.set_ylabel("density per unit of ln τ")
    handles = [
        Patch(
            facecolor="#c9d7e6",
            edgecolor="#5b7ea3",
            label=f"these images,\nvariance {number(found.leverage_variance, 2)}",
        ),
        Line2D(
            [], [], color=MUTED, ls=(0, (4, 2)), label=f"Gaussian data,\nvariance {number(found.leverage_gaussian, 2)}"
        ),
    ]
    figure.legend(handles=handles, loc="outside right upper", alignment="left")
    return figure


def _gamma_density(x: FloatArray, variance: float) -> FloatArray:
    """Density of ln τ for τ of a gamma distribution with mean 1."""
    from scipy.special import gammaln

    shape = 1 / variance
    return np.asarray(np.exp(shape * (np.log(x * shape) - x) - gammaln(shape)))


@styled
def law_errors(prediction: Prediction) -> Figure:
    """Simulated over predicted variance by eigenband for each law, one panel for each map; bars are Monte Carlo errors.

    Raises
    ------
    ValueError
        Where the prediction has no diagnosis.
    """
    found = _diagnosis(prediction, "law_errors")
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    questions = list(dict.fromkeys(each.question for each in found.errors))
    panels = figure.subplots(1, len(questions), sharey=True, squeeze=False)[0]
    spans = [np.exp(each.band[:, None] + 2 * each.band_error[:, None] * np.array([-1, 1])) for each in found.errors]
    low, high = float(np.min(spans)), float(np.max(spans))
    factor_axis(panels[0].yaxis, low, high)
    if 1.6 < high / low < 4:  # too narrow for round numbers, too wide for a linear axis
        panels[0].yaxis.set_major_locator(FixedLocator([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 2.5, 3]))
    for column, (ax, question) in enumerate(zip(panels, questions, strict=True)):
        _law_panel(ax, [each for each in found.errors if each.question == question], column)
        ax.set_title(question[0].upper() + question[1:])
        labels = [band.numbers.replace("-", "–") for band in found.bands]
        ax.set_xticks(range(len(labels)), labels, rotation=30 if len(labels) > 4 else 0)
        ax.set_xlim(-0.6, len(labels) - 0.4)
        ax.grid(False, axis="x")
        ax.set_xlabel("eigenband: modes")
    panels[0].set_ylabel("variance, simulated / predicted")
    shown = list(dict.fromkeys(each.law for each in found.errors))
    handles = [_law_handle(law, taken=law == prediction.law) for law in shown]
    band = Patch(facecolor="#edf3ee", label=f"within {percent_setting(GOOD)}")
    figure.legend(handles=[*handles, band], loc="outside right upper", alignment="left")
    return figure


def _law_panel(ax: Axes, errors: list[LawError], column: int) -> None:
    """One map: a mark with a bar of two standard errors for each law and band, side by side."""
    ax.axhspan(1 / (1 + GOOD), 1 + GOOD, color="#edf3ee", lw=0, zorder=0)
    ax.axhline(1.0, color=GUIDE, lw=0.8, zorder=0.5)
    for place, each in enumerate(errors):
        x = np.arange(each.band.size, dtype=np.float64) + _APART * (place - 0.5 * (len(errors) - 1)) * 2
        low, middle, high = (np.exp(each.band + step * each.band_error) for step in (-2, 0, 2))
        drawn = law_look(each.law)
        points(ax, x, middle, low, high, gid=f"{each.law}-{column}", color=drawn.colour, marker=drawn.marker, ms=4.2)


def _law_handle(law: str, *, taken: bool) -> Line2D:
    drawn = law_look(law)
    style: dict[str, Any] = {"color": drawn.colour, "marker": drawn.marker, "ms": 4.2, "ls": "", "mew": 0.0}
    return Line2D([], [], label=law_spec(law).title + (" (taken)" if taken else ""), **style)


# ---------------------------------------------------------------- in words
def law_takeaways(prediction: Prediction) -> dict[str, str]:
    """What the figures of this section show; the reason for the law where there is no diagnosis."""
    found = prediction.diagnosis
    if found is None:
        return {"law_errors": prediction.law_reason, "leverage": ""}
    unequal = found.leverage_variance / found.leverage_gaussian
    if unequal > 1.5:
        text = (
            f"Your images are more unequal than Gaussian data: how much they weigh varies with variance "
            f"{number(found.leverage_variance, 2)}, {number(unequal, 2)} times that of Gaussian data."
        )
    else:
        text = (
            f"Your images weigh about as equally as Gaussian data: variance {number(found.leverage_variance, 2)}, for "
            f"Gaussian data {number(found.leverage_gaussian, 2)}."
        )
    return {"law_errors": found.recommendation, "leverage": text}


def kurtosis_words(prediction: Prediction) -> str:
    """The kurtosis of the modes in a sentence, empty where there is no diagnosis."""
    if prediction.diagnosis is None:
        return ""
    values = prediction.diagnosis.kurtosis
    values = values[np.isfinite(values)]
    low, middle, high = (number(float(x), 2) for x in np.quantile(values, (0.05, 0.5, 0.95)))
    return (
        f"The kurtosis of a mode, E z⁴/(E z²)², is 3 for Gaussian data. In these images half of the modes lie above "
        f"{middle}, and nine out of ten between {low} and {high}."
    )


def law_alternatives(prediction: Prediction) -> dict[str, str]:
    """One sentence on what each figure of this section draws."""
    return {
        "law_errors": "Simulated over predicted variance against the eigenband, one mark for each law with a bar of two "
        f"standard errors, one panel for each map; a stripe marks agreement within {percent_setting(GOOD)}.",
        "leverage": "Histogram of the leverage of each image, logarithmic axis, with the curve of Gaussian data.",
    }
