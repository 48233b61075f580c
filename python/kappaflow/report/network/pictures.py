"""Images and clouds of the report on networks: same-seed grids, scatter by seed, and the matrix of strata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from .. import look, numbers
from ..arrays import kind_of, show
from ..look import INK, WIDTH, styled
from . import select
from .figures import GUIDE_LOOK, arch_panels, legend, size_axis
from .select import ARM_TITLES, arch_title

if TYPE_CHECKING:
    from ...validation.network.results import Gallery, NetworkValidation, StrataMatrix

_LABEL_SHARE = 0.24  # of the width, for the labels of the rows


def shown_galleries(found: NetworkValidation) -> list[Gallery]:
    """Those of the first arm, one for each architecture and n; galleries of other arms stand in the folder of figures only."""
    arm = select.shown_arms(found)[0]
    return [g for g in found.galleries if g.arm == arm]


@styled
def gallery(found: NetworkValidation) -> Figure:
    """For each architecture and n: the same seeds through both networks, both linear models, and their nearest images."""
    chosen = shown_galleries(found)
    kind = kind_of(found.shape)
    count = len(chosen[0].seeds)
    side = WIDTH * (1 - _LABEL_SHARE) / count
    tall = side if kind == "vector" else side * found.shape[0] / found.shape[1]
    heights = [len(g.rows) * tall + 0.55 for g in chosen]
    figure = Figure(figsize=(WIDTH, sum(heights)))
    total, top = sum(heights), 1.0
    for block, height in zip(chosen, heights, strict=True):
        trained = "" if block.trained else ", undertrained"
        size = f", n = {block.n:,}" if block.n else ""
        figure.text(0.005, top - 0.1 / total, f"{arch_title(block.arch)}{size}{trained}", va="top", fontsize=10)
        for row, (label, images) in enumerate(block.rows):
            bottom = top - (0.4 + (row + 1) * tall) / total
            figure.text(0.005, bottom + 0.5 * tall / total, label, va="center", fontsize=8)
            for place in range(count):
                left = _LABEL_SHARE + place * (1 - _LABEL_SHARE) / count
                ax = figure.add_axes((left, bottom, 0.94 * (1 - _LABEL_SHARE) / count, 0.94 * tall / total))
                show(ax, images[place], kind)
                if kind == "vector":
                    ax.set_xticks([])
                    ax.set_yticks([])
        top -= height / total
    return figure


def scatter_sizes(found: NetworkValidation) -> list[int]:
    """Up to three sizes with trained pairs, the largest among them."""
    arm = select.shown_arms(found)[0]
    sizes = [n for n in found.n if any(found.trained_pairs(arch, n, arm) for arch in found.archs)]
    return sizes if len(sizes) <= 3 else [sizes[0], sizes[len(sizes) // 2], sizes[-1]]


def _scatter(found: NetworkValidation, name: str) -> Figure:
    sizes, arm = scatter_sizes(found), select.shown_arms(found)[0]
    figure = Figure(figsize=(WIDTH, 2.6 * len(found.archs) + 0.5), layout="constrained")
    grid = figure.subplots(len(found.archs), len(sizes), squeeze=False)
    for row, arch in enumerate(found.archs):
        for column, n in enumerate(sizes):
            ax = grid[row, column]
            trained = found.trained_pairs(arch, n, arm)
            ax.set_title(f"{arch_title(arch)}, n = {n:,}" if n else arch_title(arch), fontsize=9)
            if not trained:
                ax.set_axis_off()
                ax.text(0.5, 0.5, "undertrained", transform=ax.transAxes, ha="center", color=look.MUTED)
                continue
            observed = np.mean([pair.disagreement.seeds for pair in trained], axis=0)
            if name == "law":
                forecast = found.forecast(select.best_law(found) or "", n)
                assert forecast is not None  # the figure is drawn with forecasts alone
                x, label = forecast.disagreement.seeds, "predicted disagreement"
            else:
                runs = [select.run_by_key(found, pair.runs[0]) for pair in trained]
                x, label = np.mean([run.distance_linear for run in runs], axis=0), "distance² to linear model"
            ax.plot(
                numbers.positive(x),
                numbers.positive(observed),
                ls="",
                marker="o",
                ms=2.6,
                mew=0,
                alpha=0.6,
                color=INK,
                gid=f"{name}-{arch}-{n}",
            )
            _loglog(ax, x, observed)
            if row == len(found.archs) - 1:
                ax.set_xlabel(label)
            if column == 0:
                ax.set_ylabel("observed disagreement")
    return figure


def _loglog(ax: Axes, x: FloatArray, y: FloatArray) -> None:
    for axis, values in ((ax.xaxis, x), (ax.yaxis, y)):
        low, high = numbers.finite_range(values) or (0.1, 1.0)
        if high / low >= 10:
            look.log_axis(axis, low * 0.93, high * 1.07)
        else:
            look.ratio_axis(axis, low * 0.93, high * 1.07, most=3)


@styled
def by_seed(found: NetworkValidation) -> Figure:
    """Observed disagreement of each seed against what the most general law predicts."""
    return _scatter(found, "law")


@styled
def by_distance(found: NetworkValidation) -> Figure:
    """Observed disagreement of each seed against how far the sample lies from its linear prediction."""
    return _scatter(found, "distance")


# ---------------------------------------------------------------- strata
@styled
def strata(found: NetworkValidation) -> Figure:
    """Disagreement of networks of any two strata, of the linear models of the same sets, and predicted."""
    law = select.best_law(found)
    blocks = found.strata
    figure = Figure(figsize=(WIDTH, 3.0 * len(blocks) + 0.3), layout="constrained")
    grid = figure.subplots(len(blocks), 3, squeeze=False)
    top = max(float(np.nanmax(m)) for b in blocks for m in (b.observed, b.linear) if np.isfinite(m).any())
    for row, block in enumerate(blocks):
        matrices = [("networks", block.observed), ("linear models", block.linear)]
        if law in block.predicted and law is not None:
            matrices.append((select.predictor_title(law), block.predicted[law]))
        for column, ax in enumerate(grid[row]):
            if column >= len(matrices):
                ax.set_axis_off()
                continue
            title, values = matrices[column]
            _matrix(ax, block, values, top, labels=column == 0)
            ax.set_title(f"{arch_title(block.arch)}: {title}" if column == 0 else title, fontsize=9)
    return figure


def _matrix(ax: Axes, block: StrataMatrix, values: FloatArray, top: float, *, labels: bool) -> None:
    ax.imshow(values, cmap=look.deviation_map(), vmin=0, vmax=top, interpolation="nearest")
    ax.grid(False)
    places = range(len(block.names))
    for i in places:
        for j in places:
            value = values[i, j]
            text = f"{value:.3f}" if np.isfinite(value) else "–"
            ax.text(j, i, text, ha="center", va="center", fontsize=6.5, color="white" if value > 0.6 * top else INK)
    ax.set_xticks(places, [name.replace(" + ", "\n+ ") for name in block.names], fontsize=7, rotation=40)
    ax.set_yticks(places, block.names if labels else [""] * len(block.names), fontsize=7.5)
    ax.tick_params(length=0)


# ---------------------------------------------------------------- where in the image
@styled
def arms(found: NetworkValidation) -> Figure:
    """Disagreement of each arm over the optimisation floor against n."""
    figure, (axes,) = arch_panels(found, height=2.8)
    handles: dict[str, Line2D] = {}
    drawn = []
    for arch, ax in zip(found.archs, axes, strict=True):
        for arm in select.shown_arms(found):
            ratios, sizes = [], []
            for n in found.n:
                two = [found.trained_pairs(arch, n, name) for name in (arm, "floor")]
                if all(two):
                    values = [np.mean([pair.disagreement.mean for pair in pairs]) for pairs in two]
                    ratios.append(values[0] / values[1])
                    sizes.append(n)
            if sizes:
                (line,) = ax.plot(sizes, ratios, marker="o", ms=4, color=select.ARM_COLOURS[arm], gid=f"{arch}-{arm}")
                handles.setdefault(ARM_TITLES[arm], line)
                drawn.append(np.array(ratios))
        ax.axhline(1.0, **GUIDE_LOOK)
        size_axis(ax.xaxis, found)
        ax.set_xlabel("training images n")
    low, high = numbers.finite_range(*drawn) or (1.0, 2.0)
    for ax in axes:
        look.ratio_axis(ax.yaxis, min(low, 0.9), max(high, 1.2))
    axes[0].set_ylabel("disagreement / floor")
    for label, line in handles.items():
        line.set_label(label)
    legend(figure, list(handles.values()))
    return figure
