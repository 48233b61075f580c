"""Which law describes the data: how the samples differ from Gaussian data, and how far each law is off."""

from __future__ import annotations

from functools import partial
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
from ...laws import REGISTRY, law_spec
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section
from ..laws import law_look
from ..look import GUIDE, MUTED, WIDTH, Legend, factor_axis, points, styled
from ..words import capital, number, percent_setting
from .shared import PROSE

_BINS = 48
#: How far the laws' marks stand apart within a band.
_APART = 0.13


def law(prediction: Prediction) -> Section:
    """How far each law is off, and how unequal the images are; the reason for the law alone where nothing was diagnosed."""
    found, spec = prediction.diagnosis, law_spec(prediction.law)
    pictures: list[Picture | Prose] = []
    if found is not None:
        pictures = [
            law_errors(found, prediction.law),
            leverage(found),
            Prose(PROSE, "kurtosis", {"text": _kurtosis(found)}),
        ]
    return Section(
        name="law",
        title="Which law describes the data?",
        contents="Which law?",
        takeaways=(prediction.law_reason if found is None else found.recommendation,),
        parts=(
            Prose(PROSE, "laws", {"law": spec, "laws": tuple(REGISTRY.values())}),
            *pictures,
            Prose(PROSE, "leverage", {"diagnosis": found}, summary=HOW),
        ),
    )


# ---------------------------------------------------------------- errors of the laws
def law_errors(diagnosis: Diagnosis, taken: str) -> Picture:
    """Simulated over predicted variance for each law."""
    return Picture(
        name="law_errors",
        caption=f"How far each law is off on images like these. {diagnosis.training_sets} training sets of {diagnosis.n:,} "
        f"images were drawn {_how_drawn(diagnosis)}. The figure shows the variance over these sets divided by the "
        "variance that each law predicts for them; 1 is perfect. Bars are two standard errors of "
        "the simulation.",
        alternative="Simulated over predicted variance for each eigenband: one panel for each map, one mark for each law with "
        f"a bar of two standard errors, and a stripe that marks agreement within {percent_setting(GOOD)}.",
        draw=partial(draw_law_errors, diagnosis, taken),
    )


def _how_drawn(diagnosis: Diagnosis) -> str:
    source = f"from {diagnosis.profiles:,} of the images"
    if diagnosis.groups == diagnosis.profiles:
        return f"{source} with their mirror images, in pairs without an image in common"
    if diagnosis.groups is not None:
        return f"{source} in {diagnosis.groups:,} groups, in pairs without a group in common"
    if diagnosis.disjoint:
        return f"{source}, in pairs without an image in common, because these are few"
    return f"with replacement {source}"


@styled
def draw_law_errors(diagnosis: Diagnosis, taken: str) -> Figure:
    """Simulated over predicted variance by eigenband for each law, one panel for each map; bars are Monte Carlo errors."""
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    maps = diagnosed_maps(diagnosis)
    panels = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    for ax, label in zip(panels, maps, strict=True):
        legend = plot_law_errors(ax, diagnosis, label, taken)
        ax.set_title(capital(label))
    for ax in panels[1:]:
        ax.set_ylabel("")
    look.legend_beside(figure, legend)
    return figure


def diagnosed_maps(diagnosis: Diagnosis) -> list[str]:
    """Labels of the maps on which the laws were tried."""
    return list(dict.fromkeys(each.question for each in diagnosis.errors))


def plot_law_errors(ax: Axes, diagnosis: Diagnosis, label: str, taken: str) -> Legend:
    """Simulated over predicted variance of one map by eigenband for each law; the ordinate is the same for all maps."""
    spans = [np.exp(each.band[:, None] + 2 * each.band_error[:, None] * np.array([-1, 1])) for each in diagnosis.errors]
    low, high = float(np.min(spans)), float(np.max(spans))
    factor_axis(ax.yaxis, low, high)
    if 1.6 < high / low < 4:  # too narrow for round numbers, too wide for a linear axis
        ax.yaxis.set_major_locator(FixedLocator([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 2.5, 3]))
    column = diagnosed_maps(diagnosis).index(label)
    _law_panel(ax, [each for each in diagnosis.errors if each.question == label], column)
    labels = [band.numbers.replace("-", "–") for band in diagnosis.bands]
    ax.set_xticks(range(len(labels)), labels, rotation=30 if len(labels) > 4 else 0)
    ax.set_xlim(-0.6, len(labels) - 0.4)
    ax.grid(False, axis="x")
    ax.set_xlabel("eigenband: modes")
    ax.set_ylabel("variance, simulated / predicted")
    shown = list(dict.fromkeys(each.law for each in diagnosis.errors))
    handles = [_law_handle(law, taken=law == taken) for law in shown]
    band = Patch(facecolor="#edf3ee", label=f"within {percent_setting(GOOD)}")
    return Legend([*handles, band])


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
    return Line2D([], [], label=law_spec(law).title + (" (used)" if taken else ""), **style)


# ---------------------------------------------------------------- leverage
def leverage(diagnosis: Diagnosis) -> Picture:
    """How much each image weighs."""
    return Picture(
        name="leverage",
        title="How unequal the images are",
        takeaway=_leverage_takeaway(diagnosis),
        caption=f"Leverage of {diagnosis.leverage.size:,} images: how much each image weighs in what a linear model learns, "
        "relative to the average image. The dashed curve is for Gaussian data: a gamma distribution with their mean and "
        "variance.",
        alternative="Histogram of the leverage of the images on a logarithmic axis, with the curve of Gaussian data.",
        draw=partial(draw_leverage, diagnosis),
    )


def _leverage_takeaway(diagnosis: Diagnosis) -> str:
    variance, gaussian = number(diagnosis.leverage_variance, 2), number(diagnosis.leverage_gaussian, 2)
    unequal = diagnosis.leverage_variance / diagnosis.leverage_gaussian
    if unequal > 1.5:
        return (
            f"Your images are more unequal than Gaussian data: their weight (leverage) has variance {variance}, "
            f"{number(unequal, 2)} times that of Gaussian data."
        )
    return (
        f"Your images are about as equal as Gaussian data: their weight (leverage) has variance {variance}; Gaussian data "
        f"have {gaussian}."
    )


@styled
def draw_leverage(diagnosis: Diagnosis) -> Figure:
    """Density of the samples' leverage on a logarithmic axis, with that of Gaussian data.

    The curve is a gamma distribution of mean 1 and the variance of Gaussian data, 2 df2/df1², which is what a weighted
    sum of squares of Gaussian coordinates is close to. Densities are per unit of ln τ.
    """
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    look.legend_beside(figure, plot_leverage(figure.add_subplot(), diagnosis))
    return figure


def plot_leverage(ax: Axes, diagnosis: Diagnosis) -> Legend:
    """The same on given axes."""
    values = numbers.positive(diagnosis.leverage)
    values = values[np.isfinite(values)]
    reach = 4.5 * np.sqrt(diagnosis.leverage_gaussian)
    low, high = min(float(values.min()), float(np.exp(-reach))), max(float(values.max()), float(np.exp(reach)))
    look.log_axis(ax.xaxis, low / 1.08, high * 1.08)
    edges = np.geomspace(float(values.min()) * (1 - 1e-9), float(values.max()) * (1 + 1e-9), _BINS + 1)
    counts, _ = np.histogram(values, edges)
    density = counts / values.size / np.log(edges[1] / edges[0])
    ax.stairs(density, edges, fill=True, color="#c9d7e6", lw=0, gid="samples")
    ax.stairs(density, edges, color="#5b7ea3", lw=0.9)
    x = np.geomspace(low / 1.08, high * 1.08, 600)
    ax.plot(x, _gamma_density(x, diagnosis.leverage_gaussian), color=MUTED, ls=(0, (4, 2)), gid="gaussian-data")
    ax.axvline(1.0, color=GUIDE, lw=0.7, zorder=0)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("leverage τ of an image (1: the average)")
    ax.set_ylabel("density per unit of ln τ")
    handles = [
        Patch(
            facecolor="#c9d7e6",
            edgecolor="#5b7ea3",
            label=f"these images,\nvariance {number(diagnosis.leverage_variance, 2)}",
        ),
        Line2D(
            [],
            [],
            color=MUTED,
            ls=(0, (4, 2)),
            label=f"Gaussian data,\nvariance {number(diagnosis.leverage_gaussian, 2)}",
        ),
    ]
    return Legend(handles)


def _gamma_density(x: FloatArray, variance: float) -> FloatArray:
    """Density of ln τ for τ of a gamma distribution with mean 1."""
    from scipy.special import gammaln

    shape = 1 / variance
    return np.asarray(np.exp(shape * (np.log(x * shape) - x) - gammaln(shape)))


def _kurtosis(diagnosis: Diagnosis) -> str:
    """The kurtosis of the modes in a sentence."""
    values = diagnosis.kurtosis
    values = values[np.isfinite(values)]
    low, middle, high = (number(float(x), 2) for x in np.quantile(values, (0.05, 0.5, 0.95)))
    return (
        f"The kurtosis of a mode, E z⁴/(E z²)², is 3 for Gaussian data. In these images half of the modes lie above "
        f"{middle}, and nine out of ten lie between {low} and {high}."
    )
