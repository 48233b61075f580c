"""Axes that are given or current, and how a panel is drawn on them without a trace elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..report import look

__all__ = ["drawn", "style", "target"]


def style() -> AbstractContextManager[None]:
    """A context with the look of the reports (fonts, grids, line widths); on leaving it, Matplotlib is as before. ::

    with kf.plot.style():
        figure, ax = plt.subplots()
        kf.plot.kappa(splits, ax=ax)
    """
    return look.style()


def target(ax: Any) -> Axes:
    """The axes to draw on: those that are given, else the current ones of pyplot."""
    if ax is None:
        from matplotlib import pyplot

        return pyplot.gca()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one Matplotlib Axes, or None for the current one, got {type(ax).__name__}")
    if ax.name != "rectilinear":
        raise ValueError(f"ax must be rectilinear, got {ax.name} axes")
    return ax


def drawn(ax: Axes, draw: Callable[[Axes], look.Legend], *, legend: bool) -> Axes:
    """Draw a panel and its legend; what the axes hold already stays in view."""
    held = (*ax.get_xlim(), *ax.get_ylim()) if ax.has_data() and not ax.images else ()
    smallest = ax.dataLim.minposx, ax.dataLim.minposy
    found = draw(ax)
    if held and not ax.images:
        ax.set_xlim(*_union(ax.get_xlim(), held[:2], smallest[0] if ax.get_xscale() == "log" else None))
        ax.set_ylim(*_union(ax.get_ylim(), held[2:], smallest[1] if ax.get_yscale() == "log" else None))
    if legend and found.handles:
        ax.legend(handles=list(found.handles), title=found.title, alignment="left")
    return ax


def _union(limits: Iterable[float], former: Iterable[float], smallest: float | None) -> list[float]:
    """Limits that hold both ranges; on a logarithmic axis the smallest positive value stands for what is not positive."""
    ends = [end if smallest is None or end > 0 else smallest for end in former]
    both = [*limits, *(end for end in ends if np.isfinite(end))]
    return [min(both), max(both)]
