"""Images of the seeds at the two ends of a ranking, each with the standard deviation of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..._checks import FloatArray
from ...consistency.prediction import IntArray
from .. import look
from ..arrays import as_drawn, frame, height_ratio, kind_of, pixel_level, show
from ..look import INK, WIDTH

__all__ = ["SeedEnd", "TableEnds", "draw_ends", "table_ends"]

_MAX_COLUMNS = 6  # seeds shown of each end
_TABLE_SEEDS = 6  # and in a table
_MAX_CURVES = 3  # of data that are no images


@dataclass(frozen=True, repr=False)
class SeedEnd:
    """The seeds of one end.

    Attributes
    ----------
    title : above the images
    label : beside curves, and in the names of parts of the figure
    headings : (K,) of each seed, in two lines
    images, pixel_std : (K, *shape)
    """

    title: str
    label: str
    headings: Sequence[str]
    images: FloatArray
    pixel_std: FloatArray


class TableEnds(NamedTuple):
    """Places of the seeds at both ends of a ranking, the extreme ones first, and how many are of each end."""

    places: list[int]
    each: int


def table_ends(order: IntArray) -> TableEnds:
    """The ends of a ranking (Z,) that a table shows."""
    each = max(1, min(_TABLE_SEEDS, order.size // 2))
    return TableEnds([*order[:each].tolist(), *order[::-1][:each].tolist()], each)


def draw_ends(shape: tuple[int, ...], ends: Sequence[SeedEnd], *, image: str) -> Figure:
    """The images of both ends and their standard deviations, on one colour scale; `image` says what the images are."""
    kind = kind_of(shape)
    if kind == "vector":
        return _curves(ends)
    columns = min(max(len(end.headings) for end in ends), _MAX_COLUMNS)
    side = 5.9 / max(columns, 5)
    figure = Figure(figsize=(WIDTH, 4 * side * height_ratio(shape) + 1.5), layout="constrained")
    grid = figure.add_gridspec(len(ends), 1)
    top = max(float(pixel_level(std, kind).max()) for end in ends for std in end.pixel_std[:columns]) or 1.0
    for row, end in enumerate(ends):
        block = figure.add_subfigure(grid[row, 0])
        block.suptitle(end.title, fontsize=10, x=0.01, ha="left")
        places = max(columns, 5)
        axes = block.subplots(2, places + 1, squeeze=False, width_ratios=[1.0] * places + [0.08])
        axes[0, -1].set_axis_off()
        for column in range(places):
            if column >= min(len(end.headings), columns):
                axes[0, column].set_axis_off()
                axes[1, column].set_axis_off()
                continue
            show(axes[0, column], end.images[column], kind)
            frame(axes[1, column])
            level = axes[1, column].imshow(
                pixel_level(end.pixel_std[column], kind),
                cmap=look.deviation_map(),
                vmin=0,
                vmax=top,
                interpolation="nearest",
            )
            axes[0, column].set_title(end.headings[column], fontsize=9, loc="center", pad=4)
        axes[0, 0].set_ylabel(image)
        axes[1, 0].set_ylabel("std")
        bar = block.colorbar(level, cax=axes[1, -1])
        bar.set_label("std of pixel")
        bar.outline.set_linewidth(0.4)
    return figure


def _curves(ends: Sequence[SeedEnd]) -> Figure:
    """Data that are no images: each sample a curve in a band of one standard deviation."""
    columns = min(max(len(end.headings) for end in ends), _MAX_CURVES)
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots(len(ends), columns, sharex=True, sharey=True, squeeze=False)
    for row, end in enumerate(ends):
        for column in range(columns):
            ax = axes[row, column]
            if column >= len(end.headings):
                ax.set_axis_off()
                continue
            mean, std = as_drawn(end.images[column], "vector"), as_drawn(end.pixel_std[column], "vector")
            x = np.arange(mean.size)
            ax.fill_between(x, mean - std, mean + std, color="#f2b26b", alpha=0.7, lw=0)
            ax.plot(x, mean, color=INK, lw=1.0, gid=f"{end.label.split()[0]}-{column}")
            ax.margins(x=0.02)
            ax.set_title(end.headings[column].replace("\n", ", "), fontsize=9)
        axes[row, 0].set_ylabel(end.label)
    for ax in axes[-1]:
        ax.set_xlabel("component")
    return figure
