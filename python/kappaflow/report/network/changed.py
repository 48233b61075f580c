"""The sections on what is changed on purpose: strata of the data, modes of the seeds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from ..._statistics import rank_correlation
from .. import look
from ..document import Picture, Section, figure_section
from ..kinds import arch_panels, arch_title, where
from ..look import GUIDE_LOOK, INK, WIDTH, legend_below, styled
from ..words import number
from . import select
from .axes import n_handles, quotient
from .phrases import alternative

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation, StrataMatrix


def strata(found: NetworkValidation) -> Section | None:
    """Training sets of different strata."""
    law = select.best_law(found)
    if not any(np.isfinite(block.observed).any() for block in found.strata):
        return None
    return figure_section(
        "strata",
        "Training sets that differ on purpose",
        "Strata",
        _strata_words(found, law),
        Picture(
            name="strata",
            caption=(
                "Squared distance per dimension between models trained on any two strata along a principal component and "
                "sampled from the same seeds. The diagonal compares two disjoint sets of one stratum. A dash marks an "
                "undertrained run."
            ),
            alternative=alternative(
                found, "Matrices of the disagreement between models of any two strata: networks, linear models, theory"
            ),
            draw=partial(draw_strata, found),
            raster=True,
        ),
    )


def _strata_words(found: NetworkValidation, law: str | None) -> list[str]:
    parts = []
    for block in found.strata:
        upper = np.triu_indices(len(block.names))
        seen = np.isfinite(block.observed[upper])
        if seen.sum() > 2 and law in block.predicted and law is not None:
            rank = rank_correlation(block.observed[upper][seen], block.predicted[law][upper][seen]).value
            parts.append(
                f"{where(block.arch, block.n)}: networks of i.i.d. sets disagree by {number(float(block.observed[0, 0]), 2)}, "
                f"networks of strata along component {block.component + 1} by up to "
                f"{number(float(np.nanmax(block.observed)), 2)}; their rank correlation with the prediction is {rank:.2f}."
            )
    return parts


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


@styled
def draw_strata(found: NetworkValidation) -> Figure:
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


def manipulations(found: NetworkValidation) -> Section | None:
    """Noise with modes switched off or doubled."""
    arm = select.shown_arms(found)[0]
    if not any(m.arm == arm for m in found.manipulations):
        return None
    return figure_section(
        "manipulations",
        "Changing modes of the seeds",
        "Noise",
        _manipulation_words(found, arm),
        Picture(
            name="manipulations",
            caption=(
                "Disagreement when the top modes (which hold half of the variance) or the bottom modes (the weaker half of "
                "all modes) of the initial noise are switched off or doubled, divided by that of the unchanged seeds."
            ),
            alternative=alternative(
                found, "Disagreement with modes of the seeds switched off or doubled, relative to unchanged seeds"
            ),
            draw=partial(draw_manipulations, found),
        ),
    )


def _manipulation_words(found: NetworkValidation, arm: str) -> list[str]:
    parts = []
    for arch in found.setup.archs:
        n = next((n for n in reversed(found.setup.n) if found.trained_pairs(arch, n, arm)), None)
        rows = {(m.part, m.factor): m for m in found.manipulations if (m.arch, m.n, m.arm) == (arch, n, arm)}
        for part in ("top", "bottom"):
            if (part, 0.0) in rows and (part, 1.0) in rows:
                ratio, linear = (
                    quotient(getattr(rows[part, 0.0], side), getattr(rows[part, 1.0], side))
                    for side in ("observed", "linear")
                )
                parts.append(
                    f"{arch_title(arch)}: without the {part} modes of the seeds, networks disagree {number(ratio, 2)} times as "
                    f"much as with them, and linear models {number(linear, 2)} times as much."
                )
    return parts


@styled
def draw_manipulations(found: NetworkValidation) -> Figure:
    """Disagreement with some modes of the seeds suppressed or doubled, over that of the seeds as they are."""
    arm = select.shown_arms(found)[0]
    figure, (axes,) = arch_panels(found.setup.archs, height=3.3)
    colours = look.n_colours(len(found.setup.n))
    law = select.best_law(found)
    kinds = list(dict.fromkeys((m.part, m.factor) for m in found.manipulations if m.factor != 1))
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        for place, (part, factor) in enumerate(kinds):
            for step, (n, colour) in enumerate(zip(found.setup.n, colours, strict=True)):
                rows = {
                    m.factor: m for m in found.manipulations if (m.arch, m.n, m.arm, m.part) == (arch, n, arm, part)
                }
                if factor not in rows or 1.0 not in rows:
                    continue
                changed, plain = rows[factor], rows[1.0]
                x = place + 0.22 * (step - (len(found.setup.n) - 1) / 2)
                style: dict[str, Any] = {"ls": "", "color": colour}
                ax.plot(
                    [x],
                    [quotient(changed.observed, plain.observed)],
                    marker="o",
                    ms=5,
                    gid=f"{arch}-{part}-{factor:g}-{n}",
                    **style,
                )
                ax.plot([x], [quotient(changed.linear, plain.linear)], marker="x", ms=4, **style)
                if law in changed.predicted and law is not None:
                    y = quotient(changed.predicted[law], plain.predicted[law])
                    ax.plot([x], [y], marker="_", ms=9, mew=1.6, **style)
        ax.axhline(1.0, **GUIDE_LOOK)
        ax.set_xticks(
            range(len(kinds)), [f"{part}\n{'off' if factor == 0 else f'× {factor:g}'}" for part, factor in kinds]
        )
        ax.set_ylim(bottom=0)
    axes[0].set_ylabel("disagreement / unchanged seeds")
    handles = n_handles(found)
    for marker, label in (("o", "networks"), ("x", "linear models of the same splits"), ("_", "theory")):
        handles.append(Line2D([], [], ls="", color=INK, marker=marker, label=label))
    legend_below(figure, handles)
    return figure
