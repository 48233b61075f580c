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
from matplotlib.ticker import MaxNLocator

from ..._checks import FloatArray
from .. import look, numbers
from ..look import INK, MARKER, MUTED, Legend, points
from ..words import NO_BREAK
from .select import interval, is_published, ordered_laws

if TYPE_CHECKING:
    from ...validation.laws import ComparedLaw
    from ...validation.linear.results import Comparison, Validation

#: Colour of each verdict; marks differ in shape as well, for eyes that do not tell these colours apart.
OUTCOME_COLOURS: Mapping[str, str] = MappingProxyType(
    {"agrees": "#1a7f4b", "limit": "#d98e04", "small": "#8a6d1f", "misses": "#b3261e"}
)
OUTCOME_MARKERS: Mapping[str, str] = MappingProxyType({"agrees": "o", "limit": "s", "small": "p", "misses": "D"})
GUIDE_LOOK: Mapping[str, Any] = MappingProxyType({"color": MUTED, "lw": 1.0, "ls": (0, (1, 1.6))})
PUBLISHED: Mapping[str, Any] = MappingProxyType({"ls": (0, (4, 2)), "lw": 1.1, "alpha": 0.55})
_LAW_STYLES: tuple[Any, ...] = ("-", (0, (6, 1.5, 1, 1.5)), (0, (2.5, 1)))
MAX_POINTS = 36  # simulated points on one curve; curves go through every entry
_PANEL_HEIGHT = 2.75


def law_look(validation: Validation, law: ComparedLaw) -> dict[str, Any]:
    """Line style of a law: solid for the first, dashed and lighter for the published one."""
    if is_published(law) and len(validation.setup.laws) > 1:
        return dict(PUBLISHED)
    place = [x.name for x in ordered_laws(validation)].index(law.name)
    return {"ls": _LAW_STYLES[place % len(_LAW_STYLES)], "lw": 1.5, "alpha": 1.0}


def law_marker(validation: Validation, law: ComparedLaw) -> str:
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
    return Line2D([], [], color=INK, marker="o", ms=MARKER, ls="", label=f"simulation, 95{NO_BREAK}%")


def thinned(size: int, *, logarithmic: bool = True) -> npt.NDArray[np.int64]:
    """Indices of at most `MAX_POINTS` of `size` entries that a curve's points are drawn at."""
    if size <= MAX_POINTS:
        return np.arange(size)
    if not logarithmic:
        return np.array(numbers.spread(size, MAX_POINTS))
    return np.unique(np.round(np.geomspace(1, size, MAX_POINTS)).astype(np.int64)) - 1


def simulated_points(
    ax: Axes,
    validation: Validation,
    comparison: Comparison,
    x: FloatArray,
    *,
    gid: str,
    scale: FloatArray | float = 1.0,
    chosen: npt.NDArray[np.int64] | None = None,
    **style: Any,
) -> None:
    """The simulated entries of a comparison, times `scale`, with their 95 % intervals."""
    low, high = interval(validation, comparison)
    arrays = (numbers.positive(comparison.agreement.simulated), low, high)
    chosen = thinned(x.size) if chosen is None else chosen
    y, low, high = (np.broadcast_to(a * scale, x.shape)[chosen] for a in arrays)
    points(ax, x[chosen], y, low, high, gid=gid, **style)


# ---------------------------------------------------------------- axes
def few_ticks() -> MaxNLocator:
    """Ticks of a small colour bar."""
    return MaxNLocator(3)


@dataclass(frozen=True)
class Panels:
    """Panels in rows, with the place of the legend: an empty cell of the grid where there is one, else right of all."""

    figure: Figure
    axes: list[Axes]
    spare: Axes | None

    def legend(self, legend: Legend) -> None:
        """Put a legend where it covers nothing."""
        if self.spare is None:
            look.legend_beside(self.figure, legend)
            return
        self.spare.legend(handles=list(legend.handles), title=legend.title, loc="upper left", alignment="left")


def panels(count: int, *, columns: int = 2, height: float = _PANEL_HEIGHT) -> Panels:
    """A figure of `count` panels, side by side in rows of `columns`."""
    across = min(columns, count)
    rows = math.ceil(count / across)
    figure = Figure(figsize=(look.WIDTH, rows * height + 0.2), layout="constrained")
    grid = figure.subplots(rows, across, squeeze=False).ravel()
    for ax in grid[count:]:
        ax.set_axis_off()
    return Panels(figure, list(grid[:count]), grid[count] if count < grid.size else None)


def colour_of(validation: Validation, n: int) -> str:
    """Colour of a training-set size."""
    return look.n_colours(len(validation.setup.n))[validation.setup.n.index(n)]


def limits_of(*arrays: FloatArray, pad: float = 0.05) -> numbers.Range:
    """Limits of a logarithmic axis that holds all positive values."""
    return numbers.log_limits(*(numbers.finite_range(*arrays) or (0.1, 1.0)), pad)
