"""Axes, guides and legends that figures of the report on networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import look, numbers
from ..kinds import arch_title
from ..look import GUIDE, INK, WIDTH
from ..words import plain_number
from .select import predictor_colour, predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation

FAILED = "#9aa0a6"
GUIDE_LOOK: dict[str, Any] = {"color": GUIDE, "lw": 1.0, "ls": (0, (1, 1.6))}
THEORY: dict[str, Any] = {"color": INK, "lw": 1.4, "ls": (0, (5, 2))}


class ArchPanels(NamedTuple):
    """A figure and its axes, [row][column]."""

    figure: Figure
    axes: list[list[Axes]]


def arch_panels(found: NetworkValidation, *, height: float = 3.0, rows: int = 1) -> ArchPanels:
    """One column of panels for each architecture, `rows` below each other."""
    count = len(found.setup.archs)
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, count, squeeze=False, sharey="row", sharex="col" if rows > 1 else False)
    for column, arch in enumerate(found.setup.archs):
        grid[0, column].set_title(arch_title(arch))
    return ArchPanels(figure, [list(row) for row in grid])


def size_axis(axis: Any, found: NetworkValidation) -> None:
    """Logarithmic axis of training-set sizes with a tick at each of them."""
    sizes = [max(n, 1) for n in found.setup.n]
    look.log_axis(axis, *numbers.log_limits(min(sizes), max(sizes), 0.1), text=plain_number)
    axis.set_ticks(sizes, _size_labels(found))
    axis.set_ticks([], minor=True)


def size_places(ax: Axes, found: NetworkValidation) -> None:
    """Abscissa with one place for each size, at 0, 1, …: values of several predictors stand side by side there."""
    ax.set_xticks(range(len(found.setup.n)), _size_labels(found))
    ax.set_xlim(-0.6, len(found.setup.n) - 0.4)


def _size_labels(found: NetworkValidation) -> list[str]:
    return [f"{n:,}" if n else "not known" for n in found.setup.n]


def predictor_handles(names: Sequence[str]) -> list[Line2D]:
    """Legend entries of predictors."""
    return [
        Line2D([], [], ls="", marker="o", color=predictor_colour(name), label=predictor_title(name)) for name in names
    ]


def quotient(value: float, of: float) -> float:
    """NaN where there is nothing to divide by."""
    return value / of if of > 0 else float("nan")


def n_handles(found: NetworkValidation) -> list[Line2D]:
    """Legend entries of the sizes; none where they are not known."""
    return look.n_handles(found.setup.n) if any(found.setup.n) else []


def legend(figure: Figure, handles: list[Line2D], *, columns: int = 4) -> None:
    """Below all axes, where it covers nothing."""
    figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), columnspacing=1.4)
