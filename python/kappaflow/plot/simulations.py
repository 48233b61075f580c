"""Panels of the report on linear models: theory against simulation, strata, and samplers with finitely many steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from .._checks import choice
from ..maps import Map
from ..report.look import Legend
from ..report.validation import entries, modes, select, strata
from ._axes import drawn, target

if TYPE_CHECKING:
    from ..validation.linear.results import Validation

__all__ = ["QUANTITIES", "disagreement_by_stratum", "sampler_steps", "theory_vs_simulation"]


def _validation(result: Any) -> Validation:
    # its class cannot be imported where torch is missing
    if not (hasattr(result, "comparisons") and hasattr(result, "scaling")):
        got = type(result).__name__
        raise TypeError(f"validation must be a Validation, as kappaflow.validation.linear makes, got {got}")
    found: Validation = result
    return found


# ---------------------------------------------------------------- theory against simulation
@dataclass(frozen=True)
class _Panel:
    """One compared quantity: how a map of it is drawn, and which maps there are (identifier → label)."""

    plot: Callable[[Axes, Validation, str], Legend]
    maps: Callable[[Validation], dict[str, str]]


def _maps_of(quantity: str) -> Callable[[Validation], dict[str, str]]:
    return lambda validation: select.subjects(validation, quantity)


def _curve_map(validation: Validation) -> dict[str, str]:
    """The one map of which laws have curves against n."""
    found, curves = select.subjects(validation, "bands"), validation.scaling
    return {key: label for key, label in found.items() if key == curves.subject and curves.disagreement}


_PANELS: Mapping[str, _Panel] = MappingProxyType(
    {
        "kappa": _Panel(
            lambda ax, validation, _: modes.plot_kappa(ax, validation),
            lambda validation: select.subjects(validation, "kappa") if validation.kappa.curves else {},
        ),
        "gains": _Panel(modes.plot_overshrinkage, _maps_of("gains")),
        "mode_disagreement": _Panel(modes.plot_anisotropy, _maps_of("mode_disagreement")),
        "mode_variance": _Panel(entries.plot_scatter, _maps_of("mode_variance")),
        "seeds": _Panel(entries.plot_inhomogeneity, _maps_of("seeds")),
        "bands": _Panel(lambda ax, validation, _: modes.plot_scaling(ax, validation), _curve_map),
    }
)
#: What :func:`theory_vs_simulation` draws.
QUANTITIES = tuple(_PANELS)


def theory_vs_simulation(
    validation: Validation,
    *,
    quantity: str,
    map: Map | str | None = None,
    relative: bool = False,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """A quantity of linear diffusion models as theory predicts it and as simulated training sets have it, for each n.

    Points are the simulation, with bars of 95 %; lines are the laws. A law that cannot be told from the first one is left out.

    ===================== ======================================================================================
    quantity              abscissa and ordinate
    ===================== ======================================================================================
    "kappa"               noise variance σ²; renormalised noise κ(σ²)
    "gains"               mode number; expected gain over the gain with infinite data
    "mode_disagreement"   mode number; part of the mode in the squared distance of two models per dimension
    "mode_variance"       predicted and simulated variance of the entry between two modes, a point for each pair
    "seeds"               predicted and simulated disagreement of an input, over the predicted mean over inputs
    "bands"               training images n; squared distance per dimension in each eigenband
    ===================== ======================================================================================

    Parameters
    ----------
    validation : of linear models
    quantity : what to draw, one of `QUANTITIES`
    map : of which map, or its key such as "map_0" or "denoiser_0.1"; by default the sampling map, the first one where it is not
        there. κ is of no map, and "bands" are of the sampling map alone
    relative : draw simulated over predicted κ, which is 1 where theory holds
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `validation` is no validation of linear models, or `ax` is no Axes.
    ValueError
        An unknown quantity, or one that was not simulated; a map of which it was not simulated; `relative` without κ.
    """
    found = _validation(validation)
    panel = _PANELS[choice("quantity", quantity, QUANTITIES)]
    labels = panel.maps(found)
    if not labels:
        known = ", ".join(repr(name) for name, other in _PANELS.items() if other.maps(found)) or "none"
        raise ValueError(f"quantity must be one that was simulated, {known}, got {quantity!r}")
    key = _chosen_map(labels, map)
    if not relative:
        return drawn(target(ax), lambda axes: panel.plot(axes, found, key), legend=legend)
    if quantity != "kappa":
        raise ValueError(f"quantity must be 'kappa' with relative=True, got {quantity!r}")
    return drawn(target(ax), lambda axes: modes.plot_kappa_ratio(axes, found), legend=legend)


def _chosen_map(labels: Mapping[str, str], wanted: Map | str | None) -> str:
    """The key of the map that is wanted, of those that there are."""
    usual = Map.sampling().key
    if wanted is None:
        return usual if usual in labels else next(iter(labels))
    key = wanted.key if isinstance(wanted, Map) else wanted
    if key not in labels or not key:
        known = ", ".join(repr(name) for name in labels if name)
        allowed = f"one of {known}" if known else "None, because the quantity is of no map"
        raise ValueError(f"map must be {allowed}, got {key!r}")
    return key


# ---------------------------------------------------------------- strata and steps
def disagreement_by_stratum(validation: Validation, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Disagreement of two models whose training sets come from two strata of the data, for each pair of strata.

    The abscissa is the squared distance per dimension, logarithmic, with intervals of 95 % for the simulation; a grey bar marks
    what remains with infinite data. Pairs of strata are in ascending order, and pairs of sets of all images are shaded.

    Parameters
    ----------
    validation : of linear models
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `validation` is no validation of linear models, or `ax` is no Axes.
    ValueError
        No strata were simulated.
    """
    found = _validation(validation)
    if found.counterfactual is None:
        raise ValueError("validation must hold strata, got None in validation.counterfactual")
    return drawn(target(ax), lambda axes: strata.plot_counterfactual(axes, found), legend=legend)


def sampler_steps(
    validation: Validation, *, relative: bool = False, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Error of samplers with finitely many steps by eigenband, beside the effect of finite data, for each n.

    The ordinate is a mean squared distance per dimension, logarithmic. Dotted lines: the sampler and the continuous sampling map of
    the same training set. Solid lines: a model of n images and the model of infinitely many.

    Parameters
    ----------
    validation : of linear models
    relative : draw the square root of the ratio of the two, in percent
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `validation` is no validation of linear models, or `ax` is no Axes.
    ValueError
        No sampler was simulated.
    """
    found = _validation(validation)
    if not found.step_errors:
        raise ValueError("validation must hold samplers with finitely many steps, got none in validation.step_errors")
    draw = strata.plot_step_ratio if relative else strata.plot_step_errors
    return drawn(target(ax), lambda axes: draw(axes, found), legend=legend)
