"""The window on architectures: what the best denoiser of each costs, and the law that it generates."""

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
    from ...lens.architecture import ArchitectureStudy, Filters, Generated, Studied

__all__ = ["section"]

_DASHES: dict[str, Any] = {"zero": (0, (4, 1.6)), "scalar": (0, (1, 1.3)), "none": (0, (5, 1.4, 1, 1.4))}


def section(study: ArchitectureStudy) -> Section:
    """Figures, tables and sentences of a study."""
    return Section(
        name="architecture",
        title="Architecture: what its best denoiser can do, and what it generates",
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
    said = [_said_of_losses(study), _said_of_biases(study)]
    patches = _circular_patches(study)
    if patches:
        said.append(_said_of_law(study, patches[-1]))
    said += [
        f"The logarithm of the covariance that {one.name} generates is a filter no larger than the patch "
        f"(share beyond it {number(one.log_covariance, 2)}); of its covariance {percent(one.covariance)} lies beyond, "
        f"of its precision {percent(one.precision)} (sums of absolute values)."
        for one in study.locality[-1:]
    ]
    said += _said_of_order(study)
    if len(study.shape) == 1:
        said.append(f"Samples are taken as cyclic signals of {study.shape[0]} values in the order that they have.")
    return tuple(said)


def _circular_patches(study: ArchitectureStudy) -> list[Studied]:
    return [s for s in study.studied if s.kind == "patch" and s.padding == "circular" and s.generated]


def _said_of_losses(study: ArchitectureStudy) -> str:
    place = int(np.argmin(np.abs(np.log(study.sigma / math.sqrt(study.variance or 1.0)))))
    shown = [s for s in study.studied if s.bias == "image"]
    listed = ", ".join(f"{s.name} {number(float(s.loss[place]))}" for s in shown)
    return (
        f"Least loss per pixel value at σ = {short(float(study.sigma[place]))}, near the spread of the data: {listed}."
    )


def _said_of_biases(study: ArchitectureStudy) -> str:
    full, scalar, mean = (study.find(n).loss for n in ("convolution", "convolution, scalar bias", "mean image"))
    ratios = numbers.ratio(scalar, full)
    place = int(np.nanargmax(ratios)) if np.isfinite(ratios).any() else 0
    said = (
        "A bias of one number for each channel makes a convolution take the structure of the mean image (power "
        f"{number(study.mean_structure)} per pixel value; variance of the data {number(study.variance)}) for "
        "variance: "
    )
    most = float(ratios[place]) - 1
    if not most > 1e-3:
        return said + "its loss grows by less than 0.1 % at every σ."
    sigma = short(float(study.sigma[place]))
    said += f"its loss grows by up to {percent(most)} over that with a bias image, at σ = {sigma}"
    worse = study.sigma[scalar > mean * (1 + 1e-9)]
    if not worse.size:
        return said + "."
    return said + f"; from σ = {short(float(worse[0]))} on it is worse than the mean image alone."


def _said_of_law(study: ArchitectureStudy, one: Studied) -> str:
    assert one.generated is not None
    share = float(one.generated.variances.mean()) / (study.variance or math.nan)
    said = f"Samples of {one.name} have {percent(share)} of the variance of the data"
    beyond = max(one.patch) // 2 + 1
    if beyond < len(study.lags):
        data, made = float(study.autocovariance[beyond]), float(one.generated.autocovariance[beyond])
        said += (
            f"; at lag {beyond}, the first beyond the patch from its centre, their covariance is {number(made)} "
            f"where that of the data is {number(data)}"
        )
    return said + "."


def _said_of_order(study: ArchitectureStudy) -> list[str]:
    said = []
    first, second = (short(s, 2) for s in study.commutator_sigma)
    moved = [(name, size) for name, size in study.commutators if size > 1e-10]
    if moved:
        listed = ", ".join(f"{percent(size)} for {name}" for name, size in moved)
        said.append(
            f"Filters at σ = {first} and {second} do not commute, so that the law is an ordered product along the "
            f"flow: their commutator, over their product, is {listed}."
        )
    one = _last_zero(study)
    if one is not None and one.generated is not None:
        channels = one.generated.variances.reshape(-1, study.channels)  # they differ from each other in any law
        worst = channels[:, int(np.argmax(channels.max(axis=0) / channels.min(axis=0)))]
        low, high = float(worst.min()), float(worst.max())
        if high > 1.001 * low:
            said.append(
                f"What {one.name} generates is not stationary: the variance of "
                f"{'a pixel' if study.channels == 1 else 'a channel'} depends on position, from {number(low)} to "
                f"{number(high)}."
            )
    return said


def _last_zero(study: ArchitectureStudy) -> Studied | None:
    found = [s for s in study.studied if s.padding == "zero" and s.generated]
    return found[-1] if found else None


# ---------------------------------------------------------------- the look of an architecture
def _look(study: ArchitectureStudy, one: Studied) -> dict[str, Any]:
    if one.kind == "mean":
        return {"color": MUTED, "ls": "-", "lw": 1.2}
    sizes = list(dict.fromkeys(s.patch for s in study.studied if s.kind == "patch"))
    if one.kind == "patch":
        colour = BAND_COLOURS[(0, 1, 4, 5, 6)[sizes.index(one.patch) % 5]]
        return {"color": colour, "ls": _DASHES["zero"] if one.padding == "zero" else "-"}
    colour = BAND_COLOURS[3] if one.kind == "linear" else BAND_COLOURS[2]
    return {"color": colour, "ls": _DASHES.get(one.bias, "-")}


def _with_law(study: ArchitectureStudy) -> list[tuple[Studied, Generated]]:
    """Architectures that generate more than the mean."""
    return [(s, s.generated) for s in study.studied if s.generated is not None and s.kind != "mean"]


def _legend(figure: Figure, study: ArchitectureStudy, shown: list[Studied], *, data: bool) -> None:
    handles = [Line2D([], [], label=s.name, **_look(study, s)) for s in shown]
    if data:
        handles.insert(0, Line2D([], [], color=INK, marker="o", ms=look.MARKER, lw=0.6, label="data"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=2.6, columnspacing=1.6)


def _curve(ax: Axes, study: ArchitectureStudy, one: Studied, x: FloatArray, y: FloatArray, gid: str) -> None:
    ax.plot(x, y, gid=f"{gid}-{one.name}", **_look(study, one))


# ---------------------------------------------------------------- figures
def _losses_picture(study: ArchitectureStudy) -> Picture:
    return Picture(
        name="architecture_losses",
        title="What an architecture costs",
        caption="Least mean squared error of a denoiser of each architecture, separately at each noise level, "
        "per pixel value and as a multiple of the loss of an unconstrained linear denoiser. Dashed lines: zeros "
        "beyond the edges. Dotted and dash-dotted: a bias that is no image. The mean image alone leaves the "
        "right axis at small noise.",
        alternative=_said_of_losses(study),
        draw=partial(_draw_losses, study),
    )


@styled
def _draw_losses(study: ArchitectureStudy) -> Figure:
    """Least loss over noise levels, and as a multiple of that of an unconstrained matrix."""
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    reference = study.find("linear").loss
    multiples = []
    for one in study.studied:
        _curve(left, study, one, study.sigma, numbers.positive(one.loss), "loss")
        multiples.append(numbers.ratio(one.loss, reference))
        _curve(right, study, one, study.sigma, multiples[-1], "multiple")
    for ax in (left, right):
        look.log_axis(ax.xaxis, *numbers.log_limits(float(study.sigma.min()), float(study.sigma.max()), 0.02))
        ax.set_xlabel("noise level σ")
    low, high = numbers.finite_range(*(s.loss for s in study.studied)) or (0.1, 1.0)
    look.log_axis(left.yaxis, *numbers.log_limits(low, high))
    # the mean alone is any number of times worse at small noise: the axis is that of the others
    rest = [m for m, one in zip(multiples, study.studied, strict=True) if one.kind != "mean"]
    _, top = numbers.finite_range(*rest) or (1.0, 2.0)
    look.factor_axis(right.yaxis, 1.0, top)
    left.set_title("least loss per pixel value")
    right.set_title("over that of a full matrix")
    _legend(figure, study, list(study.studied), data=False)
    return figure


def _spectra_picture(study: ArchitectureStudy) -> Picture:
    return Picture(
        name="architecture_spectra",
        title="Spectra that are generated",
        caption=f"Power of a channel, averaged over directions, in the law at σ = {short(study.sigma_min)} of "
        f"the probability flow from N(0, {short(study.sigma_max)}²), and its ratio to the data. A convolution "
        "with a bias image keeps the spectrum; a patch smooths its logarithm.",
        alternative=_spectrum_words(study),
        draw=partial(_draw_spectra, study),
    )


def _spectrum_words(study: ArchitectureStudy) -> str:
    words = []
    for one, law in _with_law(study):
        span = numbers.finite_range(_over_data(study, law))
        if span is not None:
            words.append(f"{one.name} from {number(span[0])} to {number(span[1])}")
    return f"Generated power over that of the data: {'; '.join(words)}."


@styled
def _draw_spectra(study: ArchitectureStudy) -> Figure:
    """Power over radial frequency, generated and of the data, and their ratio."""
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = _with_law(study)
    for one, law in shown:
        _curve(left, study, one, study.frequencies, numbers.positive(law.spectrum), "spectrum")
        _curve(right, study, one, study.frequencies, _over_data(study, law), "ratio")
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
        title="Correlations that are generated",
        caption="Covariance of two pixels at a distance, averaged over positions, channels and axes. Dotted "
        "upright lines: the edge of the patch in their colour. Correlations reach beyond a patch, because "
        "sampling applies it many times, but they are not those of the data.",
        alternative=_said_of_law(study, patches[-1]) if patches else _spectrum_words(study),
        draw=partial(_draw_correlations, study),
    )


@styled
def _draw_correlations(study: ArchitectureStudy) -> Figure:
    """Covariance at each lag, as a share of the variance of the data."""
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    ax = figure.subplots()
    shown = _with_law(study)
    scale = study.variance or 1.0
    ax.axhline(0.0, color=GUIDE, lw=0.8, zorder=1)
    for one in (s for s, _ in shown if s.padding == "circular" and s.patch):
        reach = max(one.patch) / 2
        if reach < study.lags[-1]:
            ax.axvline(reach, color=_look(study, one)["color"], lw=0.9, ls=(0, (1, 2)), zorder=1)
    for one, law in shown:
        _curve(ax, study, one, study.lags, law.autocovariance / scale, "autocovariance")
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
        + (" (a row), pixels in [−1, 1]." if kind != "vector" else ": three starts, a colour each.")
        + " All laws are Gaussian: what differs is only which correlations an architecture can hold.",
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
        for ax, (one, law) in zip(axes, shown, strict=True):
            for k, sample in enumerate(law.samples[:3]):
                ax.plot(np.arange(sample.size), sample.reshape(-1), color=BAND_COLOURS[k], lw=1.0)
            ax.set_title(one.name, fontsize=9, pad=2)
            ax.margins(x=0.01)
        axes[-1].set_xlabel("place")
        return figure
    count, columns = len(shown[0][1].samples), len(shown)
    tall = min(3.0, study.shape[0] / study.shape[1])
    figure = Figure(figsize=(WIDTH, 0.6 + count * (WIDTH / columns) * tall), layout="constrained")
    grid = figure.subplots(count, columns, squeeze=False)
    for column, (one, law) in enumerate(shown):
        grid[0, column].set_title(_stacked(one.name), fontsize=8, loc="center", pad=4)
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
        caption="Weights of a channel on itself (mean over channels) by offset, the pixel itself in the middle"
        + ("" if kind == "vector" else "; under each picture its largest absolute weight")
        + ". At small noise a filter copies the pixel; at large noise it averages as far as the architecture "
        "lets it.",
        alternative=_filter_words(study),
        draw=partial(_draw_filters, study),
        raster=kind != "vector",
    )


def _filter_words(study: ArchitectureStudy) -> str:
    words = []
    for one in study.filters:
        middle = tuple(n // 2 for n in one.values.shape[1:])
        first, last = (number(float(one.values[(k, *middle)])) for k in (0, -1))
        words.append(f"{one.name} from {first} to {last}")
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
    for row, one in enumerate(study.filters):
        for column in range(columns):
            ax = grid[row, column]
            (_filter_line if line else _filter_image)(ax, one, column)
            if row == 0:
                ax.set_title(f"σ = {short(float(study.filter_sigma[column]), 2)}", loc="center")
        grid[row, 0].set_ylabel(_stacked(one.name), fontsize=8)
    return figure


def _filter_image(ax: Axes, one: Filters, column: int) -> None:
    values = one.values[column]
    values = values.reshape(values.shape[-2:])
    top = float(np.abs(values).max()) or 1.0
    frame(ax)
    ax.imshow(values / top, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_xlabel(f"±{number(top, 2)}", fontsize=8, labelpad=2)


def _filter_line(ax: Axes, one: Filters, column: int) -> None:
    values = one.values[column].reshape(-1)
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
        caption="Architectures: weights without biases; pixel variance of the generated law over that of the "
        "data, mean, least and largest over pixel values; share of the mean image that is missing, ‖m − "
        f"μ‖²/‖μ‖²; relative size of the commutator of filters at σ = {short(study.commutator_sigma[0], 2)} and "
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
    """A number of a law; None where there is no law, or no number."""
    if law is None:
        return None
    found = float(value(law))
    return found if math.isfinite(found) else None


def _loss_table(study: ArchitectureStudy) -> Table:
    return Table(
        name="architecture_losses",
        caption="Least loss E‖D − x₀‖²/d of each architecture at each noise level, per pixel value.",
        columns={"sigma": study.sigma.tolist(), **{s.name: s.loss.tolist() for s in study.studied}},
        file=True,
    )


def _spectrum_table(study: ArchitectureStudy) -> Table:
    return Table(
        name="architecture_spectra",
        caption="Power of a channel over radial frequency (cycles per pixel): data and generated laws; unitary DFT.",
        columns={
            "frequency": study.frequencies.tolist(),
            "data": study.spectrum.tolist(),
            **{s.name: g.spectrum.tolist() for s, g in _with_law(study)},
        },
        file=True,
    )
