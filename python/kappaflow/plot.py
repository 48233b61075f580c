"""Single figures of the reports on Matplotlib axes of your own. ::

    import kappaflow as kf
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    kf.plot.disagreement_by_n(prediction, ax=left)
    kf.plot.theory_vs_simulation(validation, quantity="kappa", ax=right)

Each function draws one panel of a report with the same code as the report, and returns the axes.

* ``ax=None`` draws on the current axes of pyplot. Data that the axes hold already stay in view: call a function twice to lay one
  result over another.
* ``legend=False`` leaves the legend out, for instance where several panels share one.
* Fonts, grids and frames are yours: no global parameter of Matplotlib changes, no title is set, and nothing is saved or closed.
  ``with kf.plot.style():`` gives what is made inside the look of the reports.
* Lines carry the names that they have in the reports: ``[line.get_gid() for line in ax.get_lines()]``.

Conventions are those of the package: σ is a standard deviation and σ² a noise variance, modes are counted from 1 on the page in
the order of descending eigenvalues, a disagreement is a squared distance per dimension, and "relative" divides it by that of
two unrelated samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from matplotlib.axes import Axes
except ImportError as error:
    raise ImportError("kappaflow.plot needs Matplotlib: pip install matplotlib") from error

from ._checks import choice, positive, variance_of
from .consistency.prediction import Prediction
from .maps import Map
from .report import look
from .report.consistency import modes, reasons, sizes
from .report.consistency.seeds import plot_disagreement_of_seeds, plot_seed_ranking
from .report.validation import entries, select
from .report.validation import modes as compared
from .sampling import SIGMA_MAX, SIGMA_MIN
from .splits import Splits

if TYPE_CHECKING:
    from .validation.linear.results import Validation

__all__ = [
    "QUANTITIES",
    "disagreement_by_mode",
    "disagreement_by_n",
    "disagreement_by_seed",
    "kappa",
    "mode_pairs",
    "shrinkage",
    "style",
    "theory_vs_simulation",
]

#: Noise levels at which κ of splits is drawn by default, as many as the report has.
_NOISE_LEVELS = 81


def style() -> AbstractContextManager[None]:
    """A context with the look of the reports (fonts, grids, line widths); on leaving it, Matplotlib is as before. ::

    with kf.plot.style():
        figure, ax = plt.subplots()
        kf.plot.kappa(splits, ax=ax)
    """
    return look.style()


# ---------------------------------------------------------------- axes
def _axes(ax: Any) -> Axes:
    """The axes to draw on: those that are given, else the current ones of pyplot."""
    if ax is None:
        from matplotlib import pyplot

        return pyplot.gca()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one Matplotlib Axes, or None for the current one, got {type(ax).__name__}")
    if ax.name != "rectilinear":
        raise ValueError(f"ax must be rectilinear, got {ax.name} axes")
    return ax


def _drawn(ax: Axes, draw: Callable[[Axes], look.Legend], *, legend: bool) -> Axes:
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


def _prediction(result: Any) -> Prediction:
    if not isinstance(result, Prediction):
        raise TypeError(f"prediction must be a Prediction, as kappaflow.predict makes, got {type(result).__name__}")
    return result


# ---------------------------------------------------------------- noise
def kappa(
    result: Splits | Sequence[Splits] | Prediction,
    *,
    sigma: Any = None,
    noise_variance: Any = None,
    factor: bool = False,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Renormalised noise κ(σ²) against the noise variance σ², a curve for each n.

    Both axes are logarithmic and have the units of the data, squared. The dashed diagonal κ = σ² is the limit of infinite data.

    Parameters
    ----------
    result : splits, several splits of different n, or a prediction, which has noise levels of its own
    sigma, noise_variance : array
        With splits: noise levels σ > 0, or their squares; at most one of the two. By default 81 levels from 0.002 to 80.
    factor : draw κ/σ², which infinite data bring to 1
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        Another kind of result, noise levels together with a prediction, both `sigma` and `noise_variance`, or `ax` is no Axes.
    ValueError
        No splits, or two of one n; noise levels that are not positive; a law that has no single κ, see :meth:`Splits.kappa`.
    """
    curves = _noise_curves(result, sigma, noise_variance)
    draw = reasons.plot_noise_factor if factor else reasons.plot_kappa
    return _drawn(_axes(ax), lambda axes: draw(axes, curves), legend=legend)


def _noise_curves(result: Any, sigma: Any, noise_variance: Any) -> reasons.NoiseCurves:
    """κ of a result at each n."""
    if isinstance(result, Prediction):
        if sigma is not None or noise_variance is not None:
            raise TypeError("sigma and noise_variance are for splits: a prediction has noise levels of its own")
        return reasons.noise_curves(result)
    every = list(result) if isinstance(result, list | tuple) else [result]
    wrong = sorted({type(each).__name__ for each in every if not isinstance(each, Splits)})
    if wrong:
        raise TypeError(f"result must be Splits, a list of Splits or a Prediction, got {', '.join(wrong)}")
    every.sort(key=lambda splits: splits.n)
    n = [splits.n for splits in every]
    if not n or len(set(n)) < len(n):
        raise ValueError(f"result must hold splits of different n, got {', '.join(map(str, n)) or 'none'}")
    if sigma is None and noise_variance is None:
        sigma = np.geomspace(SIGMA_MIN, SIGMA_MAX, _NOISE_LEVELS)
    levels = np.sort(variance_of(sigma, noise_variance, above_zero=True).ravel())
    return reasons.NoiseCurves(n, levels, np.stack([splits.kappa(noise_variance=levels) for splits in every]))


# ---------------------------------------------------------------- modes
def shrinkage(
    prediction: Prediction, *, sigma: float | None = None, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """How much of each mode's amplitude survives the sampling map: its gain over the gain with infinite data, for each n.

    The abscissa is the mode number, logarithmic; the ordinate has no unit, and 1 is no loss. Modes without variance are left out.

    Parameters
    ----------
    prediction : what to draw
    sigma : draw the gain of the denoiser at this noise level instead, between 0 and 1, with that of infinite data dashed; one of
        ``prediction.denoisers.sigma``
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `prediction` is no Prediction, `sigma` is no number, or `ax` is no Axes.
    ValueError
        The prediction has no denoiser at that noise level.
    """
    found = _prediction(prediction)
    if sigma is None:
        return _drawn(_axes(ax), lambda axes: reasons.plot_shrinkage(axes, found), legend=legend)
    levels = found.denoisers.sigma
    same = np.flatnonzero(np.isclose(levels, positive("sigma", sigma), rtol=1e-9, atol=0.0))
    if not same.size:
        known = ", ".join(f"{level:g}" for level in levels) or "none"
        raise ValueError(f"sigma must be a noise level of the prediction's denoisers, {known}, got {sigma}")
    return _drawn(_axes(ax), lambda axes: reasons.plot_denoiser_gain(axes, found, int(same[0])), legend=legend)


def disagreement_by_mode(
    prediction: Prediction, *, relative: bool = True, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """Disagreement of two models along each mode of the sample, for each n.

    The abscissa is the mode number, logarithmic. Modes without variance are left out.

    Parameters
    ----------
    prediction : what to draw
    relative : relative to two unrelated samples, in percent, with the tolerance of the prediction; else the part of each mode in
        the squared distance per dimension, on a logarithmic axis
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `prediction` is no Prediction, or `ax` is no Axes.
    """
    found = _prediction(prediction)
    draw = modes.plot_relative_disagreement_of_modes if relative else modes.plot_disagreement_of_modes
    return _drawn(_axes(ax), lambda axes: draw(axes, found), legend=legend)


def mode_pairs(prediction: Prediction, *, colorbar: bool = True, ax: Axes | None = None) -> Axes:
    """Variance of the sampling map over training sets between modes of the seed and of the image, at the reference n.

    A matrix Var[uₖᵀ f(Σ̂) uₗ] with logarithmic colours: mode l of the seed to the right, mode k of the image downwards, in the
    order of ``prediction.modes.pairs.modes``. Pairs without variance are blank.

    Parameters
    ----------
    prediction : what to draw
    colorbar : whether the axes make room for a colour bar
    ax : axes to draw on, None for the current ones

    Raises
    ------
    TypeError
        `prediction` is no Prediction, or `ax` is no Axes.
    ValueError
        The prediction holds no pairs of modes.
    """
    found = _prediction(prediction)
    if not found.modes.pairs.modes.size:
        raise ValueError("prediction must hold pairs of modes, got none in prediction.modes.pairs")
    return _drawn(_axes(ax), lambda axes: modes.plot_mode_pairs(axes, found, colorbar=colorbar), legend=False)


# ---------------------------------------------------------------- training-set sizes and seeds
def disagreement_by_n(prediction: Prediction, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """Relative disagreement against the number of training images n: a curve for each eigenband and one for all modes.

    Both axes are logarithmic; 100 % is as different as two unrelated samples. A line marks the tolerance, a dashed one the slope
    1/n, and hollow markers where a band meets the tolerance beyond the largest n.

    Parameters
    ----------
    prediction : what to draw
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `prediction` is no Prediction, or `ax` is no Axes.
    """
    found = _prediction(prediction)
    return _drawn(_axes(ax), lambda axes: sizes.plot_disagreement_by_n(axes, found), legend=legend)


def disagreement_by_seed(prediction: Prediction, *, ranking: bool = False, ax: Axes | None = None) -> Axes:
    """Relative disagreement of each seed: a strip of points for each n, with a bar at the median.

    The abscissa is logarithmic, in percent of two unrelated samples. Of more than 240 seeds, 240 are drawn, evenly spread in rank.

    Parameters
    ----------
    prediction : what to draw
    ranking : draw the seeds in order instead: disagreement against rank at the reference n, the two ends named
    ax : axes to draw on, None for the current ones

    Raises
    ------
    TypeError
        `prediction` is no Prediction, or `ax` is no Axes.
    ValueError
        The prediction holds no seeds, because its population does not say where modes point.
    """
    found = _prediction(prediction)
    if not found.seeds.numbers.size:
        raise ValueError(
            "prediction must hold seeds, got none: its population has eigenvalues with multiplicities, "
            "so that the direction of a mode is not known"
        )
    draw = plot_seed_ranking if ranking else plot_disagreement_of_seeds
    return _drawn(_axes(ax), lambda axes: draw(axes, found), legend=False)


# ---------------------------------------------------------------- theory against simulation
@dataclass(frozen=True)
class _Panel:
    """One compared quantity: how a map of it is drawn, and which maps there are (identifier → label)."""

    plot: Callable[[Axes, Validation, str], look.Legend]
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
            lambda ax, validation, _: compared.plot_kappa(ax, validation),
            lambda validation: select.subjects(validation, "kappa") if validation.kappa.curves else {},
        ),
        "gains": _Panel(compared.plot_overshrinkage, _maps_of("gains")),
        "mode_disagreement": _Panel(compared.plot_anisotropy, _maps_of("mode_disagreement")),
        "mode_variance": _Panel(entries.plot_scatter, _maps_of("mode_variance")),
        "seeds": _Panel(entries.plot_inhomogeneity, _maps_of("seeds")),
        "bands": _Panel(lambda ax, validation, _: compared.plot_scaling(ax, validation), _curve_map),
    }
)
#: What :func:`theory_vs_simulation` draws.
QUANTITIES = tuple(_PANELS)


def theory_vs_simulation(
    validation: Validation,
    *,
    quantity: str,
    map: Map | str | None = None,
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
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        `validation` is no validation of linear models, or `ax` is no Axes.
    ValueError
        An unknown quantity, or one that was not simulated; a map of which it was not simulated.
    """
    if not (hasattr(validation, "comparisons") and hasattr(validation, "scaling")):
        got = type(validation).__name__
        raise TypeError(f"validation must be a Validation, as kappaflow.validation.linear makes, got {got}")
    panel = _PANELS[choice("quantity", quantity, QUANTITIES)]
    labels = panel.maps(validation)
    if not labels:
        known = ", ".join(repr(name) for name, other in _PANELS.items() if other.maps(validation)) or "none"
        raise ValueError(f"quantity must be one that was simulated, {known}, got {quantity!r}")
    key = _chosen_map(labels, map)
    return _drawn(_axes(ax), lambda axes: panel.plot(axes, validation, key), legend=legend)


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
