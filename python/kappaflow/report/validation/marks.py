"""How theory and simulation are drawn, so that each looks the same in every figure of the validation report.

Theory is lines, simulation is points with 95 % bars; laws differ by line style, training-set sizes by colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..._checks import FloatArray
from .. import style
from ..style import INK, MUTED
from .select import interval, is_published, ordered_laws, spread

if TYPE_CHECKING:
    from ...validation.linear import Comparison, Validation
    from ...validation.quantities import Law

#: Colour of each verdict; marks differ in shape as well, for eyes that do not tell these colours apart.
OUTCOME_COLOURS: Mapping[str, str] = MappingProxyType({"agrees": "#1a7f4b", "limit": "#d98e04", "misses": "#b3261e"})
OUTCOME_MARKERS: Mapping[str, str] = MappingProxyType({"agrees": "o", "limit": "s", "misses": "D"})
GUIDE_LOOK: Mapping[str, Any] = MappingProxyType({"color": MUTED, "lw": 1.0, "ls": (0, (1, 1.6))})
PUBLISHED: Mapping[str, Any] = MappingProxyType({"ls": (0, (4, 2)), "lw": 1.1, "alpha": 0.55})
_LAW_STYLES: tuple[Any, ...] = ("-", (0, (6, 1.5, 1, 1.5)), (0, (2.5, 1)))
MARKER = 3.4
MAX_POINTS = 36  # simulated points on one curve; curves go through every entry
_PANEL_HEIGHT = 2.75


def law_look(validation: Validation, law: Law) -> dict[str, Any]:
    """Line style of a law: solid for the first, dashed and lighter for the published one."""
    if is_published(law) and len(validation.laws) > 1:
        return dict(PUBLISHED)
    place = [x.name for x in ordered_laws(validation)].index(law.name)
    return {"ls": _LAW_STYLES[place % len(_LAW_STYLES)], "lw": 1.5, "alpha": 1.0}


def law_marker(validation: Validation, law: Law) -> str:
    """Marker of a law beside the first: a triangle, upwards or downwards, and a cross for the published one."""
    place = [x.name for x in ordered_laws(validation)].index(law.name)
    return "x" if is_published(law) else ("^", "v")[place % 2]


def law_handles(validation: Validation, shown: Sequence[str]) -> list[Line2D]:
    """Legend entries of the laws of those names."""
    return [
        Line2D([], [], color=INK, label=law.title, **law_look(validation, law))
        for law in ordered_laws(validation)
        if law.name in shown
    ]


def simulation_handle() -> Line2D:
    """Legend entry of simulated points."""
    return Line2D([], [], color=INK, marker="o", ms=MARKER, ls="", label=f"simulation, 95{style.NO_BREAK}%")


def thinned(size: int, *, logarithmic: bool = True) -> npt.NDArray[np.int64]:
    """Indices of at most `MAX_POINTS` of `size` entries that a curve's points are drawn at."""
    if size <= MAX_POINTS:
        return np.arange(size)
    if not logarithmic:
        return np.array(spread(size, MAX_POINTS))
    return np.unique(np.round(np.geomspace(1, size, MAX_POINTS)).astype(np.int64)) - 1


def points(ax: Axes, x: FloatArray, y: FloatArray, low: FloatArray, high: FloatArray, *, gid: str, **look: Any) -> None:
    """Points with vertical bars from `low` to `high`; what is NaN is not drawn."""
    colour = look.pop("color", INK)
    ax.vlines(x, low, high, colors=colour, lw=0.9, alpha=look.get("alpha", 1.0), gid=f"{gid}-bars", zorder=3)
    ax.plot(x, y, ls="", color=colour, gid=gid, zorder=3.5, **{"marker": "o", "ms": MARKER, "mew": 0.0, **look})


def simulated_points(
    ax: Axes,
    validation: Validation,
    comparison: Comparison,
    x: FloatArray,
    *,
    gid: str,
    scale: FloatArray | float = 1.0,
    chosen: npt.NDArray[np.int64] | None = None,
    **look: Any,
) -> None:
    """The simulated entries of a comparison, times `scale`, with their 95 % intervals."""
    low, high = interval(validation, comparison)
    arrays = (style.positive(comparison.agreement.simulated), low, high)
    chosen = thinned(x.size) if chosen is None else chosen
    y, low, high = (np.broadcast_to(a * scale, x.shape)[chosen] for a in arrays)
    points(ax, x[chosen], y, low, high, gid=gid, **look)


# ---------------------------------------------------------------- axes
def factor_axis(axis: Any, low: float, high: float) -> None:
    """An axis of ratios around 1 that holds `low` to `high` and 1: linear where all is close to it, else logarithmic."""
    low, high = min(low, 1.0), max(high, 1.0)
    name = "x" if axis.axis_name == "x" else "y"
    if high / low < 1.6:
        pad = max(0.08 * (high - low), 0.004)
        getattr(axis.axes, f"set_{name}lim")(low - pad, high + pad)
        axis.set_major_locator(MaxNLocator(4 if name == "x" else 5, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:.6g}"))
        return
    ratio_axis(axis, low, high)


def ratio_axis(axis: Any, low: float, high: float) -> None:
    """A logarithmic axis from `low` to `high` and little more, with plain numbers on it."""
    name = "x" if axis.axis_name == "x" else "y"
    span = math.log10(high / low)
    getattr(axis.axes, f"set_{name}scale")("log", nonpositive="mask")
    low, high = low * 10 ** (-0.05 * span), high * 10 ** (0.05 * span)
    getattr(axis.axes, f"set_{name}lim")(low, high)
    axis.set_major_locator(FixedLocator(_round_ticks(low, high)) if span < 2.2 else LogLocator(base=10, numticks=5))
    axis.set_minor_locator(LogLocator(base=10, subs=tuple(np.arange(2.0, 10.0)), numticks=12))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _position: ratio_text(value)))


def _round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two positive ones, at most `most` and as many as possible."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps: list[tuple[float, ...]] = [
        tuple(np.round(np.arange(1.0, 10.0, 0.05), 2)), tuple(np.round(np.arange(1.0, 10.0, 0.1), 1)),
        tuple(np.round(np.arange(1.0, 10.0, 0.2), 1)), (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
        (1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,),
    ]  # fmt: skip
    for mantissas in steps:
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas if low <= m * 10.0**e <= high]
        if len(ticks) <= most:
            return ticks
    return ticks


def few_ticks() -> MaxNLocator:
    """Ticks of a small colour bar."""
    return MaxNLocator(3)


def ratio_text(value: float) -> str:
    """``0.5``, ``20``, ``10⁻⁴``."""
    return f"{value:.4g}" if 1e-3 <= value < 1e4 else style.power_of_ten(value)


@dataclass(frozen=True)
class Panels:
    """Panels in rows, with the place of the legend: an empty cell of the grid where there is one, else right of all."""

    figure: Figure
    axes: list[Axes]
    spare: Axes | None

    def legend(self, validation: Validation, extra: Sequence[Line2D]) -> None:
        """Colours of the training-set sizes, then what theory and simulation look like."""
        if self.spare is None:
            style.n_legend(self.figure, validation.n, extra)
            return
        handles = [*style.n_handles(validation.n), *extra]
        self.spare.legend(handles=handles, title="training images n", loc="upper left", alignment="left")


def panels(count: int, *, columns: int = 2, height: float = _PANEL_HEIGHT) -> Panels:
    """A figure of `count` panels, side by side in rows of `columns`."""
    across = min(columns, count)
    rows = math.ceil(count / across)
    figure = Figure(figsize=(style.WIDTH, rows * height + 0.2), layout="constrained")
    grid = figure.subplots(rows, across, squeeze=False).ravel()
    for ax in grid[count:]:
        ax.set_axis_off()
    return Panels(figure, list(grid[:count]), grid[count] if count < grid.size else None)


def colour_of(validation: Validation, n: int) -> str:
    """Colour of a training-set size."""
    return style.n_colours(len(validation.n))[validation.n.index(n)]


def limits_of(*arrays: FloatArray, pad: float = 0.05) -> tuple[float, float]:
    """Limits of a logarithmic axis that holds all positive values."""
    return style.log_limits(*(style.finite_range(*arrays) or (0.1, 1.0)), pad)
