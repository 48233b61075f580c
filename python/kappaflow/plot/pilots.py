"""Panels of the report of pilots: how much two networks disagree at any number of images."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from ..pilot.results import Pilot
from ..report.pilot.curve import plot_curve
from ..report.pilot.split import plot_split
from ._axes import drawn, target

__all__ = ["disagreement_from_pilots"]


def _pilot(result: Any) -> Pilot:
    if not isinstance(result, Pilot):
        raise TypeError(f"pilot must be a Pilot, as kappaflow.pilot.assemble_pilot makes, got {type(result).__name__}")
    return result


def disagreement_from_pilots(pilot: Pilot, *, share: bool = False, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Disagreement of two networks against the number of training images, as a few small trainings predict it.

    Both axes are logarithmic, and disagreement is relative to unrelated seeds. The band should hold the truth in 80 % of the cases,
    points are the trained pairs, and the dashed line is the law for linear models. A dotted line shows what any number of images
    leaves.

    Parameters
    ----------
    pilot : of networks of one kind
    share : draw the share of the disagreement that remains if both networks have the same images; the ordinate is then linear
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `pilot` is no pilot, or `ax` is no Axes.
    ValueError
        `ax` is not rectilinear.
    """
    found = _pilot(pilot)
    draw = plot_split if share else plot_curve
    return drawn(target(ax), lambda axes: draw(axes, found), legend=legend)
