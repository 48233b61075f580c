"""The data: eigenvalues and leading modes."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...consistency.prediction import Prediction
from ...laws import law_spec
from ...moments import has_variance
from .. import look, numbers
from ..arrays import height_ratio, kind_of, show
from ..document import HOW, Picture, Prose, Section
from ..look import GUIDE, INK, MUTED, WIDTH, Legend, styled
from ..words import capital, counted, number, percent, percent_setting, short
from .shared import PROSE, each_mode_once, line_style, panel, shown_modes

_MODE_COLUMNS = 8  # pictures in a row of the eigenmode figure
_MAX_MODES = 15  # with the mean, two full rows


def data(prediction: Prediction) -> Section:
    """Spectrum, mean and leading modes."""
    modes = eigenmodes(prediction)
    needs_profiles = law_spec(prediction.law).needs_profiles
    return Section(
        name="data",
        title="The data behind these numbers",
        contents="The data",
        takeaways=(_spectrum_takeaway(prediction),),
        parts=(
            spectrum(prediction),
            Prose(PROSE, "spectrum", {"needs_profiles": needs_profiles}),
            Prose(PROSE, "no_eigenmodes") if modes is None else modes,
            Prose(PROSE, "eigenmodes", {"dimension": prediction.mean_image.size}, summary=HOW),
        ),
    )


def _spectrum_takeaway(prediction: Prediction) -> str:
    s = prediction.eigenvalues
    if not s.sum() > 0:
        return "The data have no variance."
    enough = int(np.searchsorted(np.cumsum(s), 0.9 * s.sum())) + 1
    alive = s[has_variance(s)]
    span = f"the eigenvalues span a factor of {number(float(alive.max() / alive.min()), 2)}."
    if not each_mode_once(prediction):
        return capital(span)
    verb = "holds" if enough == 1 else "hold"
    return f"The first {counted(enough, 'mode')} of {s.size:,} {verb} {percent_setting(0.9)} of the variance; {span}"


# ---------------------------------------------------------------- spectrum
def spectrum(prediction: Prediction) -> Picture:
    """Eigenvalues by mode."""
    size = prediction.sample_size
    estimated = "" if size is None else f" Estimated from {size:,} images."
    return Picture(
        name="spectrum",
        caption="Variance of the data along each mode (the eigenvalues of the covariance), largest first. The strip above "
        f"shows the eigenbands.{estimated}",
        alternative=f"Eigenvalues of the {counted(prediction.eigenvalues.size, 'mode')} of the data in descending "
        "order on logarithmic axes, with the eigenbands marked.",
        draw=partial(draw_spectrum, prediction),
    )


@styled
def draw_spectrum(prediction: Prediction) -> Figure:
    """Eigenvalues of the population by mode, the eigenbands, and the renormalised noise at the lowest noise level."""
    figure, ax = panel(3.5)
    plot_spectrum(ax, prediction, width=0.86 * WIDTH)
    return figure


def plot_spectrum(ax: Axes, prediction: Prediction, *, width: float) -> Legend:
    """The same on given axes of so many inches, which decide whether the name of a band fits above it."""
    shown = shown_modes(prediction.eigenvalues.size)
    values = np.where(has_variance(prediction.eigenvalues), prediction.eigenvalues, np.nan)
    low, high = numbers.finite_range(values) or (0.1, 1.0)
    look.mode_axis(ax, values.size)
    look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    ax.plot(shown + 1, values[shown], color=INK, lw=1.6, gid="eigenvalues", **line_style(values.size))
    ax.set_ylabel("eigenvalue s (variance along mode)")
    _band_strip(ax, prediction, width)

    row = prediction.reference
    floor, sigma = float(prediction.noise.kappa[row, 0]), float(prediction.noise.sigma[0])
    if low < floor < high:
        ax.axhline(floor, color=MUTED, lw=1.0, ls=(0, (4, 2)), gid="floor")
        label = f"κ = {number(floor, 2)} at σ = {short(sigma, 2)}, n = {prediction.reference_n:,}"
        ax.annotate(
            label,
            (0.0, floor),
            (6, 4),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            color=MUTED,
            fontsize=9,
            va="bottom",
        )
    hidden = int(np.sum(~np.isfinite(values)))
    if hidden:
        text = f"{hidden} mode{'s' if hidden > 1 else ''} without variance not shown"
        ax.text(0.99, 0.97, text, transform=ax.transAxes, ha="right", va="top", color=MUTED, fontsize=9)
    return Legend()


def _band_strip(ax: Axes, prediction: Prediction, width: float) -> None:
    """Coloured strip above the axes that names the bands; faint edges inside them."""
    left, right = ax.get_xlim()
    inches_per_decade = width / math.log10(right / left)
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
                centre,
                1.055,
                text,
                transform=ax.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=9,
                color=INK,
            )
    ax.text(0.0, 1.14, "eigenbands: modes", transform=ax.transAxes, fontsize=9, color=MUTED, va="bottom")


# ---------------------------------------------------------------- modes
def eigenmodes(prediction: Prediction) -> Picture | None:
    """Mean and leading modes; None if the population has no eigenvectors."""
    if not len(prediction.eigenmodes):
        return None
    return Picture(
        name="eigenmodes",
        title="Mean and leading modes",
        takeaway=_modes_takeaway(prediction),
        caption="The mean and the leading eigenmodes with their share of the variance. The sign of a mode has no "
        "meaning: red and blue, or complementary colours, stand for opposite signs.",
        alternative="The mean and the leading eigenmodes of the data.",
        draw=partial(draw_eigenmodes, prediction),
        raster=kind_of(prediction.shape) != "vector",
    )


def _modes_takeaway(prediction: Prediction) -> str:
    shown = min(len(prediction.eigenmodes), _MAX_MODES)
    total = float(prediction.eigenvalues.sum())
    if not shown or not total > 0 or not each_mode_once(prediction):
        return ""
    share = percent(float(prediction.eigenvalues[:shown].sum()) / total)
    return f"The {counted(shown, 'mode')} shown {'holds' if shown == 1 else 'hold'} {share} of the variance."


@styled
def draw_eigenmodes(prediction: Prediction) -> Figure:
    """The mean and the leading eigenmodes, as pictures or, for data that are no images, as curves."""
    kind = kind_of(prediction.shape)
    shown = min(len(prediction.eigenmodes), _MAX_MODES)
    rows = math.ceil((shown + 1) / (_MODE_COLUMNS if kind != "vector" else 4))
    columns = math.ceil((shown + 1) / rows)
    height = rows * (WIDTH / max(columns, 6) * height_ratio(prediction.shape) + 0.42)
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
