"""Panels of the consistency report: noise, modes, sizes, seeds, the data and their law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .._checks import FloatArray, choice, positive, variance_of
from ..consistency.diagnosis import Diagnosis
from ..consistency.prediction import Prediction
from ..maps import Map
from ..moments import has_variance
from ..report.consistency import modes, reasons, sizes
from ..report.consistency.data import plot_spectrum
from ..report.consistency.law import diagnosed_maps, plot_law_errors, plot_leverage
from ..report.consistency.seeds import plot_disagreement_of_seeds, plot_seed_ranking
from ..report.consistency.shared import ModeCurves
from ..report.numbers import ratio
from ..sampling import SIGMA_MAX, SIGMA_MIN
from ..splits import Splits
from ._axes import drawn, target

__all__ = [
    "disagreement_by_mode",
    "disagreement_by_n",
    "disagreement_by_seed",
    "kappa",
    "law_errors",
    "leverage",
    "mode_pairs",
    "shrinkage",
    "spectrum",
]

#: Noise levels at which κ of splits is drawn by default, as many as the report has.
_NOISE_LEVELS = 81


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
    return drawn(target(ax), lambda axes: draw(axes, curves), legend=legend)


def _splits(result: Any) -> list[Splits]:
    """Splits in ascending n."""
    every = list(result) if isinstance(result, list | tuple) else [result]
    wrong = sorted({type(each).__name__ for each in every if not isinstance(each, Splits)})
    if wrong:
        raise TypeError(f"result must be Splits, a list of Splits or a Prediction, got {', '.join(wrong)}")
    every.sort(key=lambda splits: splits.n)
    n = [splits.n for splits in every]
    if not n or len(set(n)) < len(n):
        raise ValueError(f"result must hold splits of different n, got {', '.join(map(str, n)) or 'none'}")
    return every


def _noise_curves(result: Any, sigma: Any, noise_variance: Any) -> reasons.NoiseCurves:
    """κ of a result at each n."""
    if isinstance(result, Prediction):
        if sigma is not None or noise_variance is not None:
            raise TypeError("sigma and noise_variance are for splits: a prediction has noise levels of its own")
        return reasons.noise_curves(result)
    every = _splits(result)
    if sigma is None and noise_variance is None:
        sigma = np.geomspace(SIGMA_MIN, SIGMA_MAX, _NOISE_LEVELS)
    levels = np.sort(variance_of(sigma, noise_variance, above_zero=True).ravel())
    kappas = np.stack([splits.kappa(noise_variance=levels) for splits in every])
    return reasons.NoiseCurves([splits.n for splits in every], levels, kappas)


# ---------------------------------------------------------------- modes
def _eigenvalues(every: Sequence[Splits]) -> FloatArray:
    """Those of the one population of some splits."""
    values = every[0].population.eigenvalues
    if not all(np.array_equal(splits.population.eigenvalues, values) for splits in every):
        raise ValueError("result must hold splits of one population, got different eigenvalues")
    return values


def _mode_curves(every: Sequence[Splits], value: Callable[[Splits], FloatArray]) -> ModeCurves:
    """A value of each mode that has variance."""
    alive = has_variance(_eigenvalues(every))
    values = np.stack([value(splits) for splits in every])
    return ModeCurves([splits.n for splits in every], np.where(alive, values, np.nan))


def shrinkage(
    result: Splits | Sequence[Splits] | Prediction,
    *,
    sigma: float | None = None,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """How much of each mode's amplitude survives the sampling map: its gain over the gain with infinite data, for each n.

    The abscissa is the mode number, logarithmic; the ordinate has no unit, and 1 is no loss. Modes without variance are left out.

    Parameters
    ----------
    result : splits, several splits of one population and different n, or a prediction; with splits, sampling starts at σ = 80
    sigma : draw the gain of the denoiser at this noise level instead, between 0 and 1, with that of infinite data dashed; for a
        prediction one of ``prediction.denoisers.sigma``
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        Another kind of result, `sigma` is no number, or `ax` is no Axes.
    ValueError
        No splits, two of one n, or splits of different populations; a prediction that has no denoiser at that noise level.
    """
    level = None if sigma is None else positive("sigma", sigma)
    if level is None:
        curves = _shrinkage_curves(result)
        return drawn(target(ax), lambda axes: reasons.plot_shrinkage(axes, curves), legend=legend)
    gain, ideal = _denoiser_curves(result, level)
    return drawn(target(ax), lambda axes: reasons.plot_denoiser_gain(axes, gain, ideal), legend=legend)


def _shrinkage_curves(result: Any) -> ModeCurves:
    """Gain of the sampling map over that of infinite data."""
    if isinstance(result, Prediction):
        return reasons.shrinkage_curves(result)
    every = _splits(result)
    ideal = np.asarray(Map.sampling().gain(_eigenvalues(every)))
    return _mode_curves(every, lambda splits: ratio(splits.expectation(splits.sampling_map()), ideal))


def _denoiser_curves(result: Any, sigma: float) -> tuple[ModeCurves, FloatArray]:
    """Gain of the denoiser at a noise level, and with infinite data."""
    if not isinstance(result, Prediction):
        every = _splits(result)
        ideal = np.asarray(Map.denoiser(sigma).gain(_eigenvalues(every)))
        return _mode_curves(every, lambda splits: splits.expectation(splits.denoiser(sigma))), ideal
    levels = result.denoisers.sigma
    same = np.flatnonzero(np.isclose(levels, sigma, rtol=1e-9, atol=0.0))
    if not same.size:
        known = ", ".join(f"{level:g}" for level in levels) or "none"
        raise ValueError(f"sigma must be a noise level of the prediction's denoisers, {known}, got {sigma}")
    place = int(same[0])
    return reasons.denoiser_curves(result, place), result.denoisers.gain_ideal[place]


def disagreement_by_mode(
    result: Splits | Sequence[Splits] | Prediction,
    *,
    relative: bool = True,
    ax: Axes | None = None,
    legend: bool = True,
) -> Axes:
    """Disagreement of two models along each mode of the sample, for each n.

    The abscissa is the mode number, logarithmic. Modes without variance are left out.

    Parameters
    ----------
    result : splits, several splits of one population and different n, or a prediction; with splits, sampling starts at σ = 80
    relative : relative to two unrelated samples, in percent, with the tolerance of a prediction; else the part of each mode in
        the squared distance per dimension, on a logarithmic axis
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        Another kind of result, or `ax` is no Axes.
    ValueError
        No splits, two of one n, or splits of different populations.
    """
    curves, tolerance = _disagreement_curves(result, relative)
    if relative:
        draw = partial(modes.plot_relative_disagreement_of_modes, relative=curves, tolerance=tolerance)
    else:
        draw = partial(modes.plot_disagreement_of_modes, parts=curves)
    return drawn(target(ax), draw, legend=legend)


def _disagreement_curves(result: Any, relative: bool) -> tuple[ModeCurves, float | None]:
    """Disagreement by mode, and the tolerance if there is one."""
    if isinstance(result, Prediction):
        of = modes.relative_disagreement_of_modes if relative else modes.disagreement_of_modes
        return of(result), result.tolerance

    def value(splits: Splits) -> FloatArray:
        found = splits.mode_disagreement(splits.sampling_map(), input_sigma=SIGMA_MAX)
        return found.relative if relative else found.part * splits.population.multiplicity

    return _mode_curves(_splits(result), value), None


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
    return drawn(target(ax), lambda axes: modes.plot_mode_pairs(axes, found, colorbar=colorbar), legend=False)


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
    return drawn(target(ax), lambda axes: sizes.plot_disagreement_by_n(axes, found), legend=legend)


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
    return drawn(target(ax), lambda axes: draw(axes, found), legend=False)


# ---------------------------------------------------------------- the data and their law
def spectrum(prediction: Prediction, *, ax: Axes | None = None) -> Axes:
    """Eigenvalues of the covariance of the data by mode, with the eigenbands in a strip above the axes.

    Both axes are logarithmic; an eigenvalue has the units of the data, squared. A dashed line marks κ at the lowest noise level and
    the reference n where it lies among the eigenvalues. Modes without variance are left out.

    Parameters
    ----------
    prediction : what to draw
    ax : axes to draw on, None for the current ones; they need room for the strip

    Raises
    ------
    TypeError
        `prediction` is no Prediction, or `ax` is no Axes.
    """
    found, axes = _prediction(prediction), target(ax)
    figure = axes.get_figure(root=True)
    width = axes.get_window_extent().width / (1.0 if figure is None else figure.dpi)
    return drawn(axes, lambda axes: plot_spectrum(axes, found, width=width), legend=False)


def _diagnosis(result: Any) -> Diagnosis:
    """A diagnosis, or that of a prediction."""
    found = result.diagnosis if isinstance(result, Prediction) else result
    if isinstance(result, Prediction) and found is None:
        raise ValueError("result must hold a diagnosis, got a prediction without one: its law was given")
    if not isinstance(found, Diagnosis):
        raise TypeError(f"result must be a Diagnosis or a Prediction, got {type(found).__name__}")
    return found


def law_errors(
    result: Diagnosis | Prediction, *, map: Map | str | None = None, ax: Axes | None = None, legend: bool = True
) -> Axes:
    """How far each law is off: variance over resampled training sets over the variance that the law predicts, by eigenband.

    1 is perfect. Bars are two standard errors of the simulation; a stripe marks agreement within 10 %.

    Parameters
    ----------
    result : of :func:`kappaflow.diagnose`, or a prediction whose law was found so
    map : of which map, or its label such as "sampling map"; the first one by default
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend, which says which law is taken

    Raises
    ------
    TypeError
        Another kind of result, or `ax` is no Axes.
    ValueError
        A prediction without a diagnosis; a map on which the laws were not tried.
    """
    found = _diagnosis(result)
    labels = tuple(diagnosed_maps(found))
    label = labels[0] if map is None else choice("map", map.label if isinstance(map, Map) else map, labels)
    taken = result.law
    return drawn(target(ax), lambda axes: plot_law_errors(axes, found, label, taken), legend=legend)


def leverage(result: Diagnosis | Prediction, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """How unequal the images are: density of their leverage τ, beside that of Gaussian data.

    Leverage is how much an image weighs in what a linear model learns, relative to the average. The abscissa is logarithmic, and
    the density is per unit of ln τ.

    Parameters
    ----------
    result : of :func:`kappaflow.diagnose`, or a prediction whose law was found so
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend, which holds the variances

    Raises
    ------
    TypeError
        Another kind of result, or `ax` is no Axes.
    ValueError
        A prediction without a diagnosis.
    """
    found = _diagnosis(result)
    return drawn(target(ax), lambda axes: plot_leverage(axes, found), legend=legend)
