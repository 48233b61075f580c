"""Convolutions during training: sentences, figure and table that the window on learning has for images."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...lens.learning import ConvolutionCurves, LearningStudy
from .. import look, numbers
from ..document import Picture, Table
from ..look import GUIDE, WIDTH, styled
from ..words import count, number, power_of_ten, short
from .learning_exponents import MODES_THAT, exponent_text

__all__ = ["convolution_findings", "convolution_picture", "convolution_table"]


# ---------------------------------------------------------------- sentences
def convolution_findings(study: LearningStudy) -> list[str]:
    """A sentence for each convolution with a local patch, and one on the Fourier modes that are left out."""
    findings = [_convolution_finding(study, curves) for curves in study.convolutions if curves.patch is not None]
    return [*findings, *_left_out(study)]


def _left_out(study: LearningStudy) -> list[str]:
    if study.null_frequencies == 0:
        return []
    if study.spectrum is None:
        return ["Convolutions are left out: no Fourier mode but the constant one has variance in the data."]
    modes = study.null_frequencies + study.spectrum.size
    return [
        f"{count(study.null_frequencies)} of {count(modes)} Fourier modes have no variance in the data, so convolutions are "
        "not judged on them."
    ]


def _convolution_finding(study: LearningStudy, curves: ConvolutionCurves) -> str:
    times, frequency = curves.emergence.times, study.frequency
    assert frequency is not None
    ratio = curves.final_ratio
    sentence = (
        f"Linear convolution, {curves.title}: the variance of Fourier modes ends between {number(ratio.min())} and "
        f"{number(ratio.max())} times that of the data"
    )
    emerged = np.isfinite(times)
    if emerged.sum() >= 2:
        ordered = times[emerged][np.argsort(frequency[emerged])]
        factor = number(ordered[-1] / ordered[0])
        sentence += f"; the highest frequency emerges at {factor} times the training time of the lowest"
    exponents = [
        f"α = {exponent_text(fit)} for modes that {MODES_THAT[fit.direction]}"
        for fit in curves.fits
        if fit.law is not None
    ]
    return sentence + (f" ({'; '.join(exponents)})." if exponents else ".")


def _convolution_words(study: LearningStudy) -> str:
    parts = []
    for curves in study.convolutions:
        ratio = curves.final_ratio
        span = f"{short(float(ratio.min()))} and {short(float(ratio.max()))}"
        parts.append(f"{curves.title}: final variance between {span} times that of the data")
    return "; ".join(parts) + "."


# ---------------------------------------------------------------- figures
def convolution_picture(study: LearningStudy) -> Picture:
    """Emergence time and final variance of Fourier modes by frequency."""
    return Picture(
        name="learning_convolutions",
        title="Convolutions: emergence and final variance by frequency",
        caption="Linear circular convolutions that start at 0, with one filter for all pixels and channels. Left: "
        f"emergence time over spatial frequency (geometric threshold, toward the {study.target} variance). Modes whose "
        "frequency is below the resolution of a patch emerge at about the same time; modes beyond it do not. Right: variance "
        "after training without end, over that of the data. A local patch learns neither the variance nor the covariance of "
        "the data.",
        alternative=_convolution_words(study),
        draw=partial(_draw_convolutions, study),
    )


@styled
def _draw_convolutions(study: LearningStudy) -> Figure:
    frequency = study.frequency
    assert frequency is not None  # there are convolutions
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    times = numbers.finite_range(*(c.emergence.times for c in study.convolutions)) or (0.1, 1.0)
    ratios = numbers.finite_range(*(c.final_ratio for c in study.convolutions)) or (0.5, 2.0)
    for ax in (left, right):
        look.log_axis(ax.xaxis, *numbers.log_limits(frequency.min(), frequency.max(), 0.03))
        ax.set_xlabel("cycles per image")
    look.log_axis(left.yaxis, *numbers.log_limits(*times), text=power_of_ten)
    look.log_axis(right.yaxis, *numbers.log_limits(min(ratios[0], 1.0), max(ratios[1], 1.0)))
    for index, curves in enumerate(study.convolutions):
        style = {"ls": "", "marker": look.band_marker(index), "ms": 3.0, "mew": 0.0, "alpha": 0.75}
        left.plot(frequency, curves.emergence.times, color=look.band_colour(index), **style)
        right.plot(frequency, numbers.positive(curves.final_ratio), color=look.band_colour(index), **style)
    right.axhline(1.0, color=GUIDE, lw=0.9, zorder=1)
    left.set_ylabel("emergence time τ*")
    right.set_ylabel("final variance / data's")
    handles = [
        Line2D([], [], ls="", marker=look.band_marker(i), ms=4, color=look.band_colour(i), label=c.title)
        for i, c in enumerate(study.convolutions)
    ]
    handles.append(Line2D([], [], color=GUIDE, lw=0.9, label="the data's variance"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.6)
    return figure


# ---------------------------------------------------------------- tables
def convolution_table(study: LearningStudy) -> Table:
    """Every Fourier mode of every convolution."""
    assert study.frequency is not None
    assert study.spectrum is not None
    order = np.argsort(study.frequency, kind="stable")
    columns: dict[str, list[float | None]] = {
        "cycles per image": [float(x) for x in study.frequency[order]],
        "data's power": [float(x) for x in study.spectrum[order]],
    }
    for curves in study.convolutions:
        columns[f"τ*, {curves.title}"] = numbers.finite_or_none(curves.emergence.times[order])
        columns[f"final / data's, {curves.title}"] = numbers.finite_or_none(curves.final_ratio[order])
    return Table(
        name="learning_convolutions",
        caption="Fourier modes of the upper half plane that have variance, without the constant one: power of the data, and "
        "for each patch the emergence time with the geometric threshold and the variance after training without end over "
        "that of the data.",
        columns=columns,
        file=True,
    )
