"""What several sections of the consistency report share: axes of modes and percentages, bands and modes in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..._checks import FloatArray
from ...bands import Band
from ...consistency.prediction import Prediction
from ...moments import has_variance
from ...sample_size import LARGEST_N
from .. import look, numbers
from ..look import WIDTH
from ..words import joined, percent_tick

__all__ = [
    "OVERSHRUNK",
    "PROSE",
    "ModeCurves",
    "band_name",
    "band_names",
    "each_mode_once",
    "kept_gain",
    "line_style",
    "never_enough",
    "panel",
    "percent_axis",
    "shown_modes",
    "sizes_in_words",
]

#: The template of the longer texts.
PROSE = "consistency.html.j2"
#: A mode counts as over-shrunk when it keeps less than this part of its amplitude.
OVERSHRUNK = 0.9
#: Curves go through no more modes than this.
_MAX_MODES_ON_AXIS = 1500


class Panel(NamedTuple):
    """A figure and its axes."""

    figure: Figure
    axes: Axes


def panel(height: float) -> Panel:
    """A figure of full width with one axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return Panel(figure, figure.add_subplot())


@dataclass(frozen=True)
class ModeCurves:
    """A value of each mode at each n.

    Attributes
    ----------
    n : (T,) training-set sizes, ascending
    values : (T, d), NaN for modes that are left out, such as those without variance
    """

    n: Sequence[int]
    values: FloatArray

    @property
    def modes(self) -> int:
        """How many modes there are."""
        return int(self.values.shape[1])

    def draw(self, ax: Axes, name: str) -> None:
        """A line for each n, called ``name-0`` for the first; the axes get no limits or labels."""
        shown = shown_modes(self.modes)
        for index, colour in enumerate(look.n_colours(len(self.n))):
            style = {"color": colour, **line_style(self.modes)}
            ax.plot(shown + 1, self.values[index, shown], gid=f"{name}-{index}", **style)


def shown_modes(modes: int) -> npt.NDArray[np.int64]:
    """Indices of the modes that curves go through: all of them, or where a logarithmic axis can tell them apart."""
    if modes <= _MAX_MODES_ON_AXIS:
        return np.arange(modes)
    return np.unique(np.round(np.geomspace(1, modes, _MAX_MODES_ON_AXIS)).astype(np.int64)) - 1


def percent_axis(axis: Axis) -> None:
    """Ticks of an axis as percentages."""
    axis.set_major_formatter(FuncFormatter(lambda value, _position: percent_tick(value)))


def line_style(count: int) -> dict[str, Any]:
    """Few points get markers, so that a curve of one mode or of one n is still seen."""
    return {"marker": "o", "ms": 3.5} if count <= 12 else {}


def kept_gain(prediction: Prediction) -> FloatArray:
    """(T, d) part of each mode's amplitude that survives, NaN for modes without variance."""
    kept = numbers.ratio(prediction.modes.gain, prediction.modes.gain_ideal)
    return np.where(has_variance(prediction.eigenvalues), kept, np.nan)


def each_mode_once(prediction: Prediction) -> bool:
    """Whether the eigenvalues are listed one by one; where they have multiplicities there are no seeds, and sums over
    the list are no sums over modes."""
    return bool(prediction.seeds.numbers.size)


def never_enough(prediction: Prediction) -> str:
    """What stands for the images needed where no n that can be asked is enough."""
    if prediction.largest_n >= LARGEST_N:
        return "more than any practical n"
    return f"more than {prediction.largest_n:,}"


def band_name(prediction: Prediction, index: int) -> str:
    """``modes 5–16``."""
    return prediction.bands.ranges[index].label.replace("-", "–")


def band_names(prediction: Prediction, indices: list[int]) -> list[str]:
    """Names of some bands, those that touch joined into one."""
    merged: list[Band] = []
    for band in (prediction.bands.ranges[index] for index in indices):
        if merged and merged[-1].stop == band.start:
            merged[-1] = Band(merged[-1].start, band.stop)
        else:
            merged.append(band)
    return [band.label.replace("-", "–") for band in merged]


def sizes_in_words(prediction: Prediction) -> str:
    """``10, 100 and 1,000``."""
    return joined([f"{int(n):,}" for n in prediction.n])
