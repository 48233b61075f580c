"""The window on architectures: the loss of the best linear denoiser of each, and the law that it generates."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..._checks import FloatArray
from .. import look, numbers
from ..arrays import frame, kind_of, show
from ..document import Picture, Section, Table
from ..look import BAND_COLOURS, GUIDE, INK, MUTED, WIDTH, styled
from ..words import number, percent, short

if TYPE_CHECKING:
    from ...lens.architecture import ArchitectureStudy, Filters, Generated, Locality, Studied

__all__ = ["section"]

_DASHES: dict[str, Any] = {"zero": (0, (4, 1.6)), "scalar": (0, (1, 1.3)), "none": (0, (5, 1.4, 1, 1.4))}


def section(study: ArchitectureStudy) -> Section:
    """Figures, tables and sentences of a study."""
    return Section(
        name="architecture",
        title="Architecture: what its best linear denoiser can do, and what it generates",
        takeaways=_findings(study),
        parts=(
            _losses_picture(study),
            _spectra_picture(study),
            _correlations_picture(study),
            _samples_picture(study),
            _filters_picture(study),
            _law_table(study),
            _loss_table(study),
            _spectrum_table(study),
        ),
    )


# ---------------------------------------------------------------- sentences
def _findings(study: ArchitectureStudy) -> tuple[str, ...]:
    patches = _circular_patches(study)
    findings = [_loss_sentence(study), _bias_sentence(study)]
    if patches:
        findings.append(_law_sentence(study, patches[-1]))
    findings += [_locality_sentence(locality) for locality in study.locality[-1:]]
    findings += _order_sentences(study)
    if len(study.shape) == 1:
        findings.append(f"Samples are treated as cyclic signals of {study.shape[0]} values in the order of the data.")
    return tuple(findings)


def _locality_sentence(locality: Locality) -> str:
    return (
        f"The logarithm of the covariance that {locality.name} generates is a filter no larger than the patch: the share "
        f"beyond it is {number(locality.log_covariance, 2)}. Of the covariance itself {percent(locality.covariance)} lies "
        f"beyond the patch, and of the precision {percent(locality.precision)} (sums of absolute values)."
    )


def _circular_patches(study: ArchitectureStudy) -> list[Studied]:
    return [s for s in study.studied if s.kind == "patch" and s.padding == "circular" and s.generated]


def _loss_sentence(study: ArchitectureStudy) -> str:
    level = int(np.argmin(np.abs(np.log(study.sigma / math.sqrt(study.variance or 1.0)))))
    losses = "; ".join(
        f"{studied.name} {number(float(studied.loss[level]))}" for studied in study.studied if studied.bias == "image"
    )
    return (
        f"Least loss of linear denoisers per pixel value at σ = {short(float(study.sigma[level]))}, near the spread of the "
        f"data: {losses}."
    )


def _bias_sentence(study: ArchitectureStudy) -> str:
    full, scalar, mean = (study.find(n).loss for n in ("convolution", "convolution, scalar bias", "mean image"))
    ratios = numbers.ratio(scalar, full)
    level = int(np.nanargmax(ratios)) if np.isfinite(ratios).any() else 0
    cause = (
        "A linear convolution whose bias is one number for each channel mistakes the structure of the mean image (power "
        f"{number(study.mean_structure)} per pixel value; the variance of the data is {number(study.variance)}) for variance"
    )
    most = float(ratios[level]) - 1
    if not most > 1e-3:
        return f"{cause}: its loss is less than 0.1 % larger at every σ than with a bias image."
    sigma = short(float(study.sigma[level]))
    effect = f"its loss is up to {percent(most)} larger than with a bias image, at σ = {sigma}"
    worse = study.sigma[scalar > mean * (1 + 1e-9)]
    if not worse.size:
        return f"{cause}: {effect}."
    return f"{cause}: {effect}. From σ = {short(float(worse[0]))} on, it is worse than the mean image alone."


def _law_sentence(study: ArchitectureStudy, studied: Studied) -> str:
    assert studied.generated is not None
    share = float(studied.generated.variances.mean()) / (study.variance or math.nan)
    sentence = f"Samples of the linear denoiser with {studied.name} have {percent(share)} of the variance of the data"
    beyond = max(studied.patch) // 2 + 1
    if beyond < len(study.lags):
        data, generated = float(study.autocovariance[beyond]), float(studied.generated.autocovariance[beyond])
        sentence += (
            f"; at lag {beyond}, the first that leads from the centre of the patch out of it, their covariance is "
            f"{number(generated)}, and that of the data is {number(data)}"
        )
    return sentence + "."


def _order_sentences(study: ArchitectureStudy) -> list[str]:
    sentences = []
    first, second = (short(sigma, 2) for sigma in study.commutator_sigma)
    sizes = [f"{percent(size)} for {name}" for name, size in study.commutators if size > 1e-10]
    if sizes:
        sentences.append(
            f"Filters at σ = {first} and {second} do not commute, so the law is an ordered product along the flow: their "
            f"commutator, over their product, is {'; '.join(sizes)}."
        )
    padded = _last_zero(study)
    if padded is not None and padded.generated is not None:
        channels = padded.generated.variances.reshape(-1, study.channels)  # they differ from each other in any law
        worst = channels[:, int(np.argmax(channels.max(axis=0) / channels.min(axis=0)))]
        low, high = float(worst.min()), float(worst.max())
        if high > 1.001 * low:
            sentences.append(
                f"The law of {padded.name} is not stationary: the variance of "
                f"{'a pixel' if study.channels == 1 else 'a channel'} depends on its position and lies between {number(low)} "
                f"and {number(high)}."
            )
    return sentences


def _last_zero(study: ArchitectureStudy) -> Studied | None:
    padded = [s for s in study.studied if s.padding == "zero" and s.generated]
    return padded[-1] if padded else None


# ---------------------------------------------------------------- the look of an architecture
def _look(study: ArchitectureStudy, studied: Studied) -> dict[str, Any]:
    if studied.kind == "mean":
        return {"color": MUTED, "ls": "-", "lw": 1.2}
    sizes = list(dict.fromkeys(s.patch for s in study.studied if s.kind == "patch"))
    if studied.kind == "patch":
        colour = BAND_COLOURS[(0, 1, 4, 5, 6)[sizes.index(studied.patch) % 5]]
        return {"color": colour, "ls": _DASHES["zero"] if studied.padding == "zero" else "-"}
    colour = BAND_COLOURS[3] if studied.kind == "linear" else BAND_COLOURS[2]
    return {"color": colour, "ls": _DASHES.get(studied.bias, "-")}


def _with_law(study: ArchitectureStudy) -> list[tuple[Studied, Generated]]:
    """Architectures that generate more than the mean."""
    return [(s, s.generated) for s in study.studied if s.generated is not None and s.kind != "mean"]


def _legend(figure: Figure, study: ArchitectureStudy, shown: list[Studied], *, data: bool) -> None:
    handles = [Line2D([], [], label=s.name, **_look(study, s)) for s in shown]
    if data:
        handles.insert(0, Line2D([], [], color=INK, marker="o", ms=look.MARKER, lw=0.6, label="data"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=2.6, columnspacing=1.6)


def _curve(ax: Axes, study: ArchitectureStudy, studied: Studied, x: FloatArray, y: FloatArray, gid: str) -> None:
    ax.plot(x, y, gid=f"{gid}-{studied.name}", **_look(study, studied))


# ---------------------------------------------------------------- figures
def _losses_picture(study: ArchitectureStudy) -> Picture:
    return Picture(
        name="architecture_losses",
        title="What an architecture costs",
        caption="Least mean squared error of a linear denoiser of each architecture, at each noise level by itself: "
        "per pixel value (left), and as a multiple of the loss of an unconstrained linear denoiser (right). Dashed: zeros "
        "beyond the edges. Dotted and dash-dotted: the bias is not an image. At small noise the mean image alone leaves the "
        "right axis.",
        alternative=_loss_sentence(study),
        draw=partial(_draw_losses, study),
    )


@styled
def _draw_losses(study: ArchitectureStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    reference = study.find("linear").loss
    multiples = []
    for studied in study.studied:
        _curve(left, study, studied, study.sigma, numbers.positive(studied.loss), "loss")
        multiples.append(numbers.ratio(studied.loss, reference))
        _curve(right, study, studied, study.sigma, multiples[-1], "multiple")
    for ax in (left, right):
        look.log_axis(ax.xaxis, *numbers.log_limits(float(study.sigma.min()), float(study.sigma.max()), 0.02))
        ax.set_xlabel("noise level σ")
    low, high = numbers.finite_range(*(s.loss for s in study.studied)) or (0.1, 1.0)
    look.log_axis(left.yaxis, *numbers.log_limits(low, high))
    # the mean alone is any number of times worse at small noise: the axis is that of the others
    rest = [m for m, studied in zip(multiples, study.studied, strict=True) if studied.kind != "mean"]
    _, top = numbers.finite_range(*rest) or (1.0, 2.0)
    look.factor_axis(right.yaxis, 1.0, top)
    left.set_title("least loss per pixel value")
    right.set_title("over that of a full matrix")
    _legend(figure, study, list(study.studied), data=False)
    return figure


def _spectra_picture(study: ArchitectureStudy) -> Picture:
    return Picture(
        name="architecture_spectra",
        title="Generated spectra",
        caption="Power of a channel, averaged over directions, in the law that the probability flow from "
        f"N(0, {short(study.sigma_max)}²) generates at σ = {short(study.sigma_min)}, and its ratio to that of the data. A "
        "convolution with a bias image keeps the spectrum. A patch smooths the logarithm of the spectrum.",
        alternative=_spectrum_words(study),
        draw=partial(_draw_spectra, study),
    )


def _spectrum_words(study: ArchitectureStudy) -> str:
    words = []
    for studied, law in _with_law(study):
        span = numbers.finite_range(_over_data(study, law))
        if span is not None:
            words.append(f"{studied.name} from {number(span[0])} to {number(span[1])}")
    return f"Generated power over that of the data: {'; '.join(words)}."


@styled
def _draw_spectra(study: ArchitectureStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = _with_law(study)
    for studied, law in shown:
        _curve(left, study, studied, study.frequencies, numbers.positive(law.spectrum), "spectrum")
        _curve(right, study, studied, study.frequencies, _over_data(study, law), "ratio")
    left.plot(
        study.frequencies, numbers.positive(study.spectrum), color=INK, marker="o", ms=look.MARKER, lw=0.6, gid="data"
    )
    right.axhline(1.0, color=INK, lw=0.8, zorder=1)
    for ax in (left, right):
        ax.set_xlabel("frequency, cycles per pixel")
    low, high = numbers.finite_range(study.spectrum, *(g.spectrum for _, g in shown)) or (0.1, 1.0)
    look.log_axis(left.yaxis, *numbers.log_limits(low, high))
    low, high = numbers.finite_range(*(_over_data(study, g) for _, g in shown)) or (0.5, 2.0)
    look.factor_axis(right.yaxis, low, high)
    left.set_title("power of a channel")
    right.set_title("generated / data")
    _legend(figure, study, [s for s, _ in shown], data=True)
    return figure


def _over_data(study: ArchitectureStudy, law: Generated) -> FloatArray:
    """Generated power over that of the data, where the data have more than rounding errors and the end of the flow."""
    floor = max(1e-12 * float(study.spectrum.max()), study.sigma_min**2)
    return numbers.ratio(law.spectrum, np.where(study.spectrum > floor, study.spectrum, 0.0))


def _correlations_picture(study: ArchitectureStudy) -> Picture:
    patches = _circular_patches(study)
    return Picture(
        name="architecture_correlations",
        title="Generated correlations",
        caption="Covariance of two pixels over their distance, averaged over positions, channels and axes. Dotted vertical "
        "lines: the edge of the patch of the same colour. Correlations reach beyond the patch, because sampling applies it "
        "many times, but they are not those of the data.",
        alternative=_law_sentence(study, patches[-1]) if patches else _spectrum_words(study),
        draw=partial(_draw_correlations, study),
    )


@styled
def _draw_correlations(study: ArchitectureStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    ax = figure.subplots()
    shown = _with_law(study)
    scale = study.variance or 1.0
    ax.axhline(0.0, color=GUIDE, lw=0.8, zorder=1)
    for studied in (s for s, _ in shown if s.padding == "circular" and s.patch):
        reach = max(studied.patch) / 2
        if reach < study.lags[-1]:
            ax.axvline(reach, color=_look(study, studied)["color"], lw=0.9, ls=(0, (1, 2)), zorder=1)
    for studied, law in shown:
        _curve(ax, study, studied, study.lags, law.autocovariance / scale, "autocovariance")
    ax.plot(study.lags, study.autocovariance / scale, color=INK, marker="o", ms=look.MARKER, lw=0.6, gid="data")
    ax.set_xlabel("lag, pixels along an axis (around the edges)")
    ax.set_ylabel("covariance / variance of the data")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.margins(x=0.02)
    _legend(figure, study, [s for s, _ in shown], data=True)
    return figure


def _samples_picture(study: ArchitectureStudy) -> Picture:
    kind = kind_of(study.shape)
    return Picture(
        name="architecture_samples",
        title="Samples of each architecture",
        caption="Where the probability flow of each architecture leads from the same noise"
        + (
            " (one noise in each row), pixels in [−1, 1]."
            if kind != "vector"
            else " (three of them, a colour for each)."
        )
        + " All laws are Gaussian; they differ only in the correlations that an architecture can represent.",
        alternative=f"Samples of {', '.join(s.name for s, _ in _with_law(study))} from the same noise.",
        draw=partial(_draw_samples, study),
        raster=kind != "vector",
    )


@styled
def _draw_samples(study: ArchitectureStudy) -> Figure:
    """Samples of each architecture from the same noise: pictures in columns, signals as curves in rows."""
    shown, kind = _with_law(study), kind_of(study.shape)
    if kind == "vector":
        figure = Figure(figsize=(WIDTH, 0.85 * len(shown) + 0.7), layout="constrained")
        axes = figure.subplots(len(shown), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for ax, (studied, law) in zip(axes, shown, strict=True):
            for k, sample in enumerate(law.samples[:3]):
                ax.plot(np.arange(sample.size), sample.reshape(-1), color=BAND_COLOURS[k], lw=1.0)
            ax.set_title(studied.name, fontsize=9, pad=2)
            ax.margins(x=0.01)
        axes[-1].set_xlabel("entry")
        return figure
    count, columns = len(shown[0][1].samples), len(shown)
    tall = min(3.0, study.shape[0] / study.shape[1])
    figure = Figure(figsize=(WIDTH, 0.6 + count * (WIDTH / columns) * tall), layout="constrained")
    grid = figure.subplots(count, columns, squeeze=False)
    for column, (studied, law) in enumerate(shown):
        grid[0, column].set_title(_stacked(studied.name), fontsize=8, loc="center", pad=4)
        for row in range(count):
            show(grid[row, column], law.samples[row], kind)
    return figure


def _stacked(name: str) -> str:
    return name.replace(", ", ",\n").replace("scalar bias", "scalar\nbias").replace("zero padding", "zero\npadding")


def _filters_picture(study: ArchitectureStudy) -> Picture:
    kind = kind_of(study.shape)
    return Picture(
        name="architecture_filters",
        title="Filters over noise levels",
        caption="Weights from a channel to itself (mean over channels) by offset, with the pixel itself in the middle"
        + ("" if kind == "vector" else "; the number under each picture is its largest absolute weight")
        + ". At small noise a filter copies the pixel. At large noise it averages as far as the architecture allows.",
        alternative=_filter_words(study),
        draw=partial(_draw_filters, study),
        raster=kind != "vector",
    )


def _filter_words(study: ArchitectureStudy) -> str:
    words = []
    for filters in study.filters:
        middle = tuple(n // 2 for n in filters.values.shape[1:])
        first, last = (number(float(filters.values[(k, *middle)])) for k in (0, -1))
        words.append(f"{filters.name} from {first} to {last}")
    low, high = (short(float(study.filter_sigma[k]), 2) for k in (0, -1))
    return f"Weight of the pixel itself between σ = {low} and {high}: {'; '.join(words)}."


@styled
def _draw_filters(study: ArchitectureStudy) -> Figure:
    """Weights of a channel on itself over noise levels, each scaled to its largest."""
    rows, columns = len(study.filters), len(study.filter_sigma)
    line = np.squeeze(study.filters[0].values, axis=None).ndim <= 2 and min(study.filters[-1].values.shape[1:]) == 1
    line = line or study.filters[0].values.ndim == 2
    figure = Figure(figsize=(WIDTH, rows * (1.15 if line else 1.3) + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey="row" if line else False)
    for row, filters in enumerate(study.filters):
        for column in range(columns):
            ax = grid[row, column]
            (_filter_line if line else _filter_image)(ax, filters, column)
            if row == 0:
                ax.set_title(f"σ = {short(float(study.filter_sigma[column]), 2)}", loc="center")
        grid[row, 0].set_ylabel(_stacked(filters.name), fontsize=8)
    return figure


def _filter_image(ax: Axes, filters: Filters, column: int) -> None:
    values = filters.values[column]
    values = values.reshape(values.shape[-2:])
    top = float(np.abs(values).max()) or 1.0
    frame(ax)
    ax.imshow(values / top, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_xlabel(f"±{number(top, 2)}", fontsize=8, labelpad=2)


def _filter_line(ax: Axes, filters: Filters, column: int) -> None:
    values = filters.values[column].reshape(-1)
    offsets = np.arange(values.size) - values.size // 2
    ax.axhline(0.0, color=GUIDE, lw=0.6)
    ax.plot(offsets, values, color=BAND_COLOURS[0], lw=1.0, marker="o" if values.size < 12 else "", ms=2.5)
    ax.tick_params(labelsize=8)


# ---------------------------------------------------------------- tables
def _law_table(study: ArchitectureStudy) -> Table:
    variance = study.variance or math.nan
    laws = [s.generated for s in study.studied]
    commutators = dict(study.commutators)
    return Table(
        name="architecture_laws",
        caption="For each architecture: number of weights without biases; pixel variance of the generated law over that of the "
        "data (mean, least and largest over pixel values); share of the mean image that is missing, ‖m − μ‖²/‖μ‖²; relative "
        f"size of the commutator of the filters at σ = {short(study.commutator_sigma[0], 2)} and "
        f"{short(study.commutator_sigma[1], 2)}.",
        columns={
            "architecture": [s.name for s in study.studied],
            "bias": [s.bias for s in study.studied],
            "padding": [s.padding for s in study.studied],
            "weights": [s.weights for s in study.studied],
            "variance": [_cell(g, lambda g: float(g.variances.mean()) / variance) for g in laws],
            "least variance": [_cell(g, lambda g: float(g.variances.min()) / variance) for g in laws],
            "largest variance": [_cell(g, lambda g: float(g.variances.max()) / variance) for g in laws],
            "mean missing": [_cell(g, lambda g: g.mean_missing) for g in laws],
            "commutator": [commutators.get(s.name) for s in study.studied],
        },
        file=True,
    )


def _cell(law: Generated | None, value: Any) -> float | None:
    """A number of a law; None if there is no law, or the number is not finite."""
    if law is None:
        return None
    result = float(value(law))
    return result if math.isfinite(result) else None


def _loss_table(study: ArchitectureStudy) -> Table:
    return Table(
        name="architecture_losses",
        caption="Least loss of a linear denoiser of each architecture at each noise level, per pixel value: E‖D − x₀‖²/d.",
        columns={"sigma": study.sigma.tolist(), **{s.name: s.loss.tolist() for s in study.studied}},
        file=True,
    )


def _spectrum_table(study: ArchitectureStudy) -> Table:
    return Table(
        name="architecture_spectra",
        caption="Power of a channel over radial frequency (cycles per pixel), in the data and in the generated laws, with the "
        "unitary DFT.",
        columns={
            "frequency": study.frequencies.tolist(),
            "data": study.spectrum.tolist(),
            **{s.name: g.spectrum.tolist() for s, g in _with_law(study)},
        },
        file=True,
    )
