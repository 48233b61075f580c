"""Axes, guides and legends that figures of the report on networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .. import look, numbers
from ..look import INK
from ..words import plain_number
from .select import predictor_colour, predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation

THEORY: dict[str, Any] = {"color": INK, "lw": 1.4, "ls": (0, (5, 2))}


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
