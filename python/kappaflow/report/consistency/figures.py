"""The figures of the report: one function each, from a :class:`~kappaflow.consistency.prediction.Prediction` to a ``Figure``.

Logarithmic axes leave out what they cannot show (a variance of zero, a gain of zero); nothing is shifted or clipped to
make it fit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from ..._checks import FloatArray
from ...consistency.prediction import Prediction, SeedImages
from ...moments import has_variance
from .. import look, numbers
from ..arrays import Kind, as_drawn, frame, kind_of, pixel_level, show
from ..look import ACCENT, GUIDE, INK, MUTED, WIDTH, styled
from ..words import number, percent, percent_setting, short

MAX_COLUMNS = 6  # seeds shown of each kind
MODE_COLUMNS = 8  # pictures in a row of the eigenmode figure
MAX_MODES = 15  # with the mean, two full rows
MAX_POINTS = 240  # seeds drawn in one strip; more are thinned evenly in rank, which keeps the shape
DECADES_SHOWN = 8  # of the mode-pair matrix below its largest entry
REACH = 100  # an answer further than this many times the largest n is left to the table
MAX_MODES_ON_AXIS = 1500
RELATIVE_LABEL = "disagreement (relative to unrelated samples)"


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _shown_modes(prediction: Prediction) -> npt.NDArray[np.int64]:
    """Indices of the modes that curves go through: all of them, or where a logarithmic axis can tell them apart."""
    size = prediction.eigenvalues.size
    if size <= MAX_MODES_ON_AXIS:
        return np.arange(size)
    return np.unique(np.round(np.geomspace(1, size, MAX_MODES_ON_AXIS)).astype(np.int64)) - 1


def _percent_tick(value: float) -> str:
    return f"{100 * value:.3g} %"


def _percent_axis(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _position: _percent_tick(value)))


def _line_style(count: int) -> dict[str, Any]:
    """Few points get markers, so that a curve of one mode or of one n is still seen."""
    return {"marker": "o", "ms": 3.5} if count <= 12 else {}


# ---------------------------------------------------------------- data
@styled
def spectrum(prediction: Prediction) -> Figure:
    """Eigenvalues of the population by mode, the eigenbands, and the renormalised noise at the lowest noise level."""
    figure, ax = _panel(3.5)
    shown = _shown_modes(prediction)
    values = np.where(has_variance(prediction.eigenvalues), prediction.eigenvalues, np.nan)
    low, high = numbers.finite_range(values) or (0.1, 1.0)
    look.mode_axis(ax, values.size)
    look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    ax.plot(shown + 1, values[shown], color=INK, lw=1.6, gid="eigenvalues", **_line_style(values.size))
    ax.set_ylabel("eigenvalue s (variance along mode)")
    _band_strip(ax, prediction)

    row = prediction.reference
    floor, sigma = float(prediction.noise.kappa[row, 0]), float(prediction.noise.sigma[0])
    if low < floor < high:
        ax.axhline(floor, color=MUTED, lw=1.0, ls=(0, (4, 2)), gid="floor")
        label = f"κ = {number(floor, 2)} at σ = {short(sigma, 2)}, n = {prediction.reference_n:,}"
        ax.annotate(
            label, (0.0, floor), (6, 4), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
            color=MUTED, fontsize=9, va="bottom",
        )  # fmt: skip
    hidden = int(np.sum(~np.isfinite(values)))
    if hidden:
        text = f"{hidden} mode{'s' if hidden > 1 else ''} without variance not shown"
        ax.text(0.99, 0.97, text, transform=ax.transAxes, ha="right", va="top", color=MUTED, fontsize=9)
    return figure


def _band_strip(ax: Axes, prediction: Prediction) -> None:
    """Coloured strip above the axes that names the bands; faint edges inside them."""
    left, right = ax.get_xlim()
    inches_per_decade = 0.86 * WIDTH / math.log10(right / left)
    for index, band in enumerate(prediction.bands.ranges):
        start, stop = max(band.start + 0.5, left), min(band.stop + 0.5, right)
        colour = look.band_colour(index)
        ax.axvspan(start, stop, ymin=1.015, ymax=1.04, color=colour, lw=0, clip_on=False)
        if index:
            ax.axvline(start, color=GUIDE, lw=0.6, ls=":", zorder=0)
        text = band.numbers.replace("-", "–")
        if inches_per_decade * math.log10(stop / start) > 0.09 * len(text) + 0.06:
            centre = math.sqrt(start * stop)
            ax.text(
                centre, 1.055, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom",
                fontsize=9, color=INK,
            )  # fmt: skip
    ax.text(0.0, 1.14, "eigenbands: modes", transform=ax.transAxes, fontsize=9, color=MUTED, va="bottom")


@styled
def eigenmodes(prediction: Prediction) -> Figure:
    """The mean and the leading eigenmodes, as pictures or, for data that are no images, as curves."""
    kind = kind_of(prediction.shape)
    shown = min(len(prediction.eigenmodes), MAX_MODES)
    rows = math.ceil((shown + 1) / (MODE_COLUMNS if kind != "vector" else 4))
    columns = math.ceil((shown + 1) / rows)
    height = rows * (WIDTH / max(columns, 6) * _height_ratio(prediction, kind) + 0.42)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    total = float(np.sum(prediction.eigenvalues)) or 1.0
    for index, ax in enumerate(axes):
        if index > shown:
            ax.set_axis_off()
        elif index == 0:
            show(ax, prediction.mean_image, kind)
            ax.set_title("mean", fontsize=9, loc="center", pad=4)
        else:
            show(ax, prediction.eigenmodes[index - 1], kind, signed=True)
            share = percent(float(prediction.eigenvalues[index - 1]) / total)
            ax.set_title(f"mode {index}\n{share}", fontsize=9, loc="center", pad=4)
        if kind == "vector" and index >= (rows - 1) * columns and index <= shown:
            ax.set_xlabel("component")
    return figure


def _height_ratio(prediction: Prediction, kind: Kind) -> float:
    if kind == "vector":
        return 0.8
    return min(3.0, prediction.shape[0] / prediction.shape[1])


# ---------------------------------------------------------------- why: renormalised noise and shrinkage
@styled
def renormalised_noise(prediction: Prediction) -> Figure:
    """κ against the noise variance for each n with the diagonal κ = σ² of infinite data, and the factor κ/σ²."""
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    variance = prediction.noise.sigma**2
    factor = numbers.ratio(prediction.noise.kappa, variance)
    x_low, x_high = numbers.finite_range(variance) or (0.1, 1.0)
    look.log_axis(bottom.xaxis, *numbers.log_limits(x_low, x_high, 0.02))
    low, high = numbers.finite_range(prediction.noise.kappa, variance) or (0.1, 1.0)
    look.log_axis(top.yaxis, *numbers.log_limits(low, high, 0.04))
    low, high = numbers.finite_range(factor, np.ones(1)) or (0.1, 1.0)
    look.log_axis(bottom.yaxis, low / 1.12, high * 1.12 if high > 3 else 3.0)
    x = numbers.positive(variance)
    guide: dict[str, Any] = {"color": MUTED, "lw": 1.1, "ls": (0, (4, 2))}
    top.plot(x, x, gid="diagonal", **guide)
    bottom.axhline(1.0, **guide)
    for index, colour in enumerate(look.n_colours(len(prediction.n))):
        style = {"color": colour, **_line_style(x.size)}
        top.plot(x, numbers.positive(prediction.noise.kappa[index]), gid=f"kappa-{index}", **style)
        bottom.plot(x, numbers.positive(factor[index]), gid=f"factor-{index}", **style)
    top.tick_params(which="both", labelbottom=False)
    top.set_ylabel("renormalised noise κ(σ²)")
    bottom.set_ylabel("factor κ/σ²")
    bottom.set_xlabel("noise variance σ²")
    diagonal = Line2D([], [], **guide, label="κ = σ²\n(infinite data)")
    look.n_legend(figure, prediction.n.tolist(), [diagonal])
    return figure


@styled
def shrinkage(prediction: Prediction) -> Figure:
    """Gain of the sampling map relative to infinite data, and gains of denoisers with and without that effect."""
    chosen = _spread(len(prediction.denoisers.sigma), 3)
    figure = Figure(figsize=(WIDTH, 5.4 if chosen else 3.2), layout="constrained")
    grid = figure.add_gridspec(2 if chosen else 1, max(len(chosen), 1), height_ratios=[1.15, 1] if chosen else [1])
    colours = look.n_colours(len(prediction.n))
    shown = _shown_modes(prediction)
    modes, total = shown + 1, prediction.eigenvalues.size
    marks = _line_style(total)

    top = figure.add_subplot(grid[0, :])
    look.mode_axis(top, total)
    top.axhline(1.0, color=MUTED, lw=1.1, ls=(0, (4, 2)))
    relative = numbers.ratio(prediction.modes.gain, prediction.modes.gain_ideal)
    relative = np.where(has_variance(prediction.eigenvalues), relative, np.nan)
    for index, colour in enumerate(colours):
        top.plot(modes, relative[index, shown], color=colour, gid=f"gain-{index}", **marks)
    top.set_ylim(0, max(1.06, 1.03 * float(np.nanmax(relative, initial=1.0))))
    top.set_ylabel("gain / gain with infinite data")
    top.set_title("Sampling map: how much of each mode's amplitude survives")

    first: Axes | None = None
    for column, level in enumerate(chosen):
        ax = figure.add_subplot(grid[1, column], sharey=first)
        look.mode_axis(ax, total)
        ideal_gain = prediction.denoisers.gain_ideal[level, shown]
        ax.plot(modes, ideal_gain, color=MUTED, lw=1.1, ls=(0, (4, 2)), gid=f"ideal-{column}")
        for index, colour in enumerate(colours):
            gain = prediction.denoisers.gain[level, index, shown]
            ax.plot(modes, gain, color=colour, gid=f"denoiser-{column}-{index}", **marks)
        ax.set_ylim(0, 1.06)
        ax.set_xlabel("mode k")
        ax.set_title(f"Denoiser at σ = {short(float(prediction.denoisers.sigma[level]), 2)}")
        if first is None:
            first = ax
            ax.set_ylabel("gain")
        else:
            ax.tick_params(labelleft=False)
    ideal = Line2D([], [], color=MUTED, lw=1.1, ls=(0, (4, 2)), label="infinite data")
    look.n_legend(figure, prediction.n.tolist(), [ideal])
    return figure


def _spread(size: int, count: int) -> list[int]:
    """At most `count` indices below `size`, spread evenly from the first to the last."""
    return sorted({round(x) for x in np.linspace(0, size - 1, min(count, size))}) if size else []


@styled
def mode_pairs(prediction: Prediction) -> Figure:
    """Variance of the sampling map between pairs of modes at the reference n, logarithmic colours."""
    figure = Figure(figsize=(WIDTH, 5.0), layout="constrained")
    ax = figure.add_subplot()
    values = numbers.positive(prediction.modes.pairs.variance)
    low, high = numbers.finite_range(values) or (0.1, 1.0)
    floor = max(low, high * 10.0**-DECADES_SHOWN)
    norm = LogNorm(floor * (1 - 1e-9), high * (1 + 1e-9))
    image = ax.imshow(np.ma.masked_invalid(values), norm=norm, cmap=look.deviation_map(), interpolation="nearest")
    frame(ax)
    positions, labels = _mode_ticks(prediction.modes.pairs.modes)
    ax.set_xticks(positions, labels)
    ax.set_yticks(positions, labels)
    ax.set_xlabel("mode l of the seed")
    ax.set_ylabel("mode k of the image")
    bar = figure.colorbar(image, ax=ax, shrink=0.85, pad=0.02, extend="min" if low < floor else "neither")
    bar.set_label("variance of the map, Var[uₖᵀ f(Σ̂) uₗ]".replace("uₗ", "u$_l$").replace("uₖ", "u$_k$"))
    bar.outline.set_linewidth(0.4)
    return figure


def _mode_ticks(modes: npt.NDArray[np.int64]) -> tuple[list[int], list[str]]:
    """Positions and 1-based labels of round mode numbers, never closer than a fourteenth of the axis."""
    positions: list[int] = []
    gap = max(1, math.ceil(modes.size / 14))
    numbers = modes + 1
    round_numbers = [m * 10**e for e in range(8) for m in (1, 2, 5) if m * 10**e <= int(numbers.max(initial=1))]
    for wanted in [*round_numbers, int(numbers.max(initial=1))]:
        nearest = int(np.argmin(np.abs(numbers - wanted)))
        if nearest not in positions and all(abs(nearest - other) >= gap for other in positions):
            positions.append(nearest)
    return positions, [f"{int(numbers[k]):,}" for k in positions]


# ---------------------------------------------------------------- the answer: disagreement
@styled
def disagreement_by_n(prediction: Prediction) -> Figure:
    """Relative disagreement of each band against n, the tolerance, and where each band meets it."""
    figure, ax = _panel(4.1)
    n = prediction.n.astype(np.float64)
    bands, total = numbers.positive(prediction.bands.relative), numbers.positive(prediction.totals.relative)
    tolerance = float(prediction.tolerance)
    within = [k for k in prediction.bands.images_needed if k is not None and k <= REACH * n[-1]]
    x_limits = numbers.log_limits(min([n[0], *within]), max([n[-1], *within]), 0.04)
    low, high = numbers.finite_range(bands, total, np.array([tolerance])) or (0.1, 1.0)
    y_limits = numbers.log_limits(low, high, 0.05)
    look.log_axis(ax.xaxis, *x_limits)
    look.log_axis(ax.yaxis, *y_limits, text=_percent_tick)

    handles: list[Line2D] = []
    for index, band in enumerate(prediction.bands.ranges):
        style: dict[str, Any] = {"color": look.band_colour(index), "marker": look.band_marker(index), "ms": 4.5}
        label = band.label.replace("-", "–")
        handles += ax.plot(n, bands[:, index], lw=1.4, label=label, gid=f"band-{index}", **style)
        answer = prediction.bands.images_needed[index]
        if answer is None or not n[-1] < answer <= REACH * n[-1]:
            continue
        ax.plot(
            [n[-1], answer], [bands[-1, index], tolerance], lw=1.0, ls=":", color=style["color"], gid=f"reach-{index}"
        )
        ax.plot([answer], [tolerance], ls="", mec=style["color"], mfc="white", marker=style["marker"], ms=5.5)
    handles = [*ax.plot(n, total, color=INK, lw=2.4, label="all modes", gid="total", **_line_style(n.size)), *handles]
    ax.axhline(tolerance, color=ACCENT, lw=1.1, gid="tolerance")
    handles.append(Line2D([], [], color=ACCENT, lw=1.1, label=f"tolerance {percent_setting(tolerance)}"))
    handles.append(_inverse_guide(ax, n, total, x_limits, y_limits))
    ax.axvline(prediction.reference_n, color=GUIDE, lw=0.8, zorder=0)
    ax.annotate(
        f"n = {prediction.reference_n:,}", (prediction.reference_n, 1.0), (0, 4), xycoords=ax.get_xaxis_transform(),
        textcoords="offset points", ha="center", va="bottom", color=MUTED, fontsize=9,
    )  # fmt: skip
    ax.set_xlabel("training images n")
    ax.set_ylabel(RELATIVE_LABEL)
    figure.legend(handles=handles, loc="outside right upper", alignment="left")
    return figure


def _inverse_guide(
    ax: Axes, n: FloatArray, total: FloatArray, x: tuple[float, float], y: tuple[float, float]
) -> Line2D:
    """Line of slope −1 through the last total: the rate of plain averaging."""
    anchor = float(total[-1]) if np.isfinite(total[-1]) else math.sqrt(y[0] * y[1])
    xs = np.geomspace(*x, 200)
    ys = anchor * n[-1] / xs
    (line,) = ax.plot(
        xs, np.where((ys >= y[0]) & (ys <= y[1]), ys, np.nan), color=GUIDE, lw=1.0, ls=(0, (4, 2)),
        label="∝ 1/n", zorder=1, gid="guide",
    )  # fmt: skip
    return line


@styled
def disagreement_by_mode(prediction: Prediction) -> Figure:
    """Disagreement of each mode for each n: its part of the total, and relative to unrelated samples."""
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    shown = _shown_modes(prediction)
    marks = _line_style(prediction.eigenvalues.size)
    # a mode without variance has nothing to agree on
    alive = has_variance(prediction.eigenvalues)
    relative = np.where(alive, prediction.modes.relative, np.nan)
    parts = np.where(alive, prediction.modes.disagreement, np.nan)
    low, high = numbers.finite_range(parts) or (0.1, 1.0)
    look.mode_axis(bottom, prediction.eigenvalues.size)
    look.log_axis(top.yaxis, *numbers.log_limits(max(low, high * 1e-12), high))
    for index, colour in enumerate(look.n_colours(len(prediction.n))):
        part = numbers.positive(parts[index, shown])
        top.plot(shown + 1, part, color=colour, gid=f"part-{index}", **marks)
        bottom.plot(shown + 1, relative[index, shown], color=colour, gid=f"relative-{index}", **marks)
    top.set_title("Part of the total: where the difference between two models lies")
    top.set_ylabel("squared distance / d")
    top.tick_params(which="both", labelbottom=False)
    bottom.set_title("Relative: how far each mode is from being unrelated")
    bottom.set_ylabel("relative disagreement")
    largest = max(float(np.nanmax(relative, initial=0.0)), prediction.tolerance)
    bottom.set_ylim(0, max(1.06, 1.04 * largest) if largest > 0.5 else 1.12 * largest)
    _percent_axis(bottom.yaxis)
    bottom.axhline(prediction.tolerance, color=ACCENT, lw=1.1, gid="tolerance")
    tolerance = Line2D([], [], color=ACCENT, lw=1.1, label=f"tolerance {percent_setting(prediction.tolerance)}")
    look.n_legend(figure, prediction.n.tolist(), [tolerance])
    return figure


# ---------------------------------------------------------------- seeds
def seed_relative(prediction: Prediction) -> FloatArray:
    """(T, Z) disagreement of each seed relative to two unrelated samples."""
    scale = numbers.ratio(prediction.totals.relative, prediction.totals.disagreement)
    return prediction.seeds.disagreement * scale[:, None]


@styled
def disagreement_by_seed(prediction: Prediction) -> Figure:
    """Spread of the seeds' disagreement for each n, and the ranking of seeds at the reference n."""
    figure = Figure(figsize=(WIDTH, max(3.2, 1.5 + 0.34 * len(prediction.n))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    relative = numbers.positive(seed_relative(prediction))
    low, high = numbers.finite_range(relative) or (0.1, 1.0)
    limits = numbers.log_limits(low, high)
    look.log_axis(left.xaxis, *limits, text=_percent_tick)
    for row, (values, colour) in enumerate(zip(relative, look.n_colours(len(prediction.n)), strict=True)):
        values = np.sort(values[np.isfinite(values)])
        if not values.size:
            continue
        drawn = values[_spread(values.size, MAX_POINTS)]
        # golden-ratio offsets fill the strip evenly without random numbers
        offsets = (np.arange(drawn.size) * 0.6180339887498949) % 1.0 - 0.5
        left.plot(
            drawn, row + 0.5 * offsets, ls="", marker="o", ms=2.6, mew=0, color=colour, alpha=0.55, gid=f"strip-{row}"
        )
        left.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color=INK, lw=1.6, gid=f"median-{row}")
    left.set_yticks(range(len(prediction.n)), [f"{int(k):,}" for k in prediction.n])
    left.set_ylim(-0.6, len(prediction.n) - 0.4)
    left.tick_params(axis="y", length=0)
    left.grid(False, axis="y")
    left.set_ylabel("training images n")
    left.set_xlabel("relative disagreement of a seed")
    left.set_title("Each dot a seed, bar: median")
    _ranking(right, prediction, relative)
    return figure


def _ranking(ax: Axes, prediction: Prediction, relative: FloatArray) -> None:
    """Seeds in order of disagreement at the reference n, the two ends named."""
    row = prediction.reference
    order = np.argsort(prediction.seeds.disagreement[row], kind="stable")
    values = relative[row][order]
    ranks = np.arange(1, values.size + 1)
    colour = look.n_colours(len(prediction.n))[row]
    ax.set_ylim(0, 1.16 * float(np.nanmax(values, initial=0.0)) or 1.0)
    _percent_axis(ax.yaxis)
    marks: dict[str, Any] = {"marker": "o", "ms": 2.6, "mew": 0.0} if values.size <= MAX_POINTS else {}
    ax.plot(ranks, values, color=colour, lw=1.2, gid="ranking", **marks)
    if values.size > 1:
        for rank, offset, align, vertical in ((0, (4, -5), "left", "top"), (-1, (-4, 5), "right", "bottom")):
            ax.annotate(
                f"seed {int(prediction.seeds.numbers[order[rank]])}", (float(ranks[rank]), float(values[rank])), offset,
                textcoords="offset points", ha=align, va=vertical, fontsize=9,
            )  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if values.size <= 4:
        ax.xaxis.set_major_locator(MultipleLocator(1))
    ax.set_xlabel("rank, most consistent first")
    ax.set_title(f"Ranking at n = {prediction.reference_n:,}")


@styled
def seed_images(prediction: Prediction) -> Figure:
    """Predicted samples of the most and the least consistent seeds with the standard deviation of each pixel.

    Raises
    ------
    ValueError
        Where the prediction has no seed images.
    """
    most, least = prediction.seeds.most_consistent, prediction.seeds.least_consistent
    if most is None or least is None:
        raise ValueError("seed_images: most_consistent and least_consistent must be present, got None")
    kind = kind_of(prediction.shape)
    if kind == "vector":
        return _seed_curves(prediction, most, least)
    columns = min(max(len(most.numbers), len(least.numbers)), MAX_COLUMNS)
    side = 5.9 / max(columns, 5)
    height = 4 * side * _height_ratio(prediction, kind) + 1.5
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.add_gridspec(2, 1)
    blocks = [figure.add_subfigure(grid[row, 0]) for row in range(2)]
    top = max(float(pixel_level(s, kind).max()) for group in (most, least) for s in group.pixel_std[:columns]) or 1.0
    for block, group, title in zip(blocks, (most, least), ("Most", "Least"), strict=True):
        block.suptitle(f"{title} consistent seeds", fontsize=10, x=0.01, ha="left")
        places = max(columns, 5)
        axes = block.subplots(2, places + 1, squeeze=False, width_ratios=[1.0] * places + [0.08])
        axes[0, -1].set_axis_off()
        for column in range(places):
            if column >= min(len(group.numbers), columns):
                axes[0, column].set_axis_off()
                axes[1, column].set_axis_off()
                continue
            show(axes[0, column], group.outputs[column], kind)
            frame(axes[1, column])
            level = axes[1, column].imshow(
                pixel_level(group.pixel_std[column], kind), cmap=look.deviation_map(), vmin=0, vmax=top,
                interpolation="nearest",
            )  # fmt: skip
            axes[0, column].set_title(_seed_title(prediction, group, column), fontsize=9, loc="center", pad=4)
        axes[0, 0].set_ylabel("prediction")
        axes[1, 0].set_ylabel("std")
        bar = block.colorbar(level, cax=axes[1, -1])
        bar.set_label("std of pixel")
        bar.outline.set_linewidth(0.4)
    return figure


def _seed_title(prediction: Prediction, group: SeedImages, column: int) -> str:
    """Two lines: the seed's number and its relative disagreement at the reference n."""
    row = prediction.reference
    scale = numbers.ratio(prediction.totals.relative[row], prediction.totals.disagreement[row])
    return f"seed {int(group.numbers[column])}\n{percent(float(group.disagreement[column] * scale))}"


def _seed_curves(prediction: Prediction, most: SeedImages, least: SeedImages) -> Figure:
    """Data that are no images: each sample a curve in a band of one standard deviation."""
    columns = min(max(len(most.numbers), len(least.numbers)), 3)
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
    for row, (group, title) in enumerate(((most, "most"), (least, "least"))):
        for column in range(columns):
            ax = axes[row, column]
            if column >= len(group.numbers):
                ax.set_axis_off()
                continue
            mean = as_drawn(group.outputs[column], "vector")
            std = as_drawn(group.pixel_std[column], "vector")
            x = np.arange(mean.size)
            ax.fill_between(x, mean - std, mean + std, color="#f2b26b", alpha=0.7, lw=0)
            ax.plot(x, mean, color=INK, lw=1.0, gid=f"{title}-{column}")
            ax.margins(x=0.02)
            ax.set_title(_seed_title(prediction, group, column).replace("\n", ", "), fontsize=9)
        axes[row, 0].set_ylabel(f"{title} consistent")
    for ax in axes[1]:
        ax.set_xlabel("component")
    return figure
