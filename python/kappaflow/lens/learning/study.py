"""What the page on learning shows for one population: gains, generated variance, emergence times and their exponents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, choice, integer, positive
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...moments import has_variance
from ...population import Population
from ..layout import SpatialLayout
from .emergence import THRESHOLDS, LearningEmergence, PowerLaw, emergence_times, power_law
from .gains import (
    LinearLearner,
    OneLayer,
    Preconditioned,
    TwoLayer,
    converged_variance,
    mode_divergence,
    remaining_mean,
)
from .matrix import joint_learning
from .noise_range import ALL_LEVELS, NoiseRange
from .patches import fourier_spectrum, patch_convolution

__all__ = [
    "ConvolutionCurves",
    "ExponentFit",
    "JointBias",
    "LearnerCurves",
    "LearningStudy",
    "default_learners",
    "learning_study",
]

#: Largest number of modes with emergence times.
_MOST_MODES = 512
#: Largest number of modes for which a bias of its own is studied: that takes their dense eigensystem.
_MOST_JOINT = 1200
_JOINT_TIMES = 33
#: Modes count as learned if λ is at least this multiple of σ₀²; below it, the noise at which sampling ends shows.
_MARGIN = 10.0


@dataclass(frozen=True, repr=False)
class ExponentFit(ShortRepr):
    """α of τ* ∝ λ^−α for one learner, threshold and direction.

    Attributes
    ----------
    threshold : one of :data:`~.emergence.THRESHOLDS`
    direction : +1 where the variance grows, −1 where it shrinks
    modes : number of modes that emerge in this direction
    law : the fit; None where there are fewer than 3 modes, or all have the same eigenvalue
    """

    threshold: str
    direction: int
    modes: int
    law: PowerLaw | None


@dataclass(frozen=True, repr=False)
class LearnerCurves(ShortRepr, Tabular):
    """One linear denoiser during training. As a table, its exponents.

    Attributes
    ----------
    name, title : key and words
    learner : the model
    gains : (T, s) gain of the selected modes at the study's noise level
    log_variance : (T, s) ln of their generated variance
    initial_variance : (s,) generated variance where training starts
    divergence : (T,) KL(generated ‖ data) in nats, summed over the learned modes; it includes the error of the mean
    mean_left : (T,) ‖E x̄ − μ‖/‖μ‖ of generated samples; NaN where the mean is zero
    emergence : threshold → times of the study's emergence modes
    fits : one for each threshold and direction in which modes emerge
    """

    name: str
    title: str
    learner: LinearLearner
    gains: FloatArray
    log_variance: FloatArray
    initial_variance: FloatArray
    divergence: FloatArray
    mean_left: FloatArray
    emergence: Mapping[str, LearningEmergence]
    fits: tuple[ExponentFit, ...]

    def _columns(self) -> Columns:
        return _exponent_columns(self.fits)


@dataclass(frozen=True, repr=False)
class ConvolutionCurves(ShortRepr, Tabular):
    """One convolution during training on images, in M Fourier modes: those of ``LearningStudy.frequency``.

    Attributes
    ----------
    patch : length of the patch; None for a patch that covers the image
    title : words
    emergence : with the geometric threshold, toward the study's target
    final_ratio : (M,) variance in the limit of infinite training time, over that of the data
    fits : one for each direction
    """

    patch: int | None
    title: str
    emergence: LearningEmergence
    final_ratio: FloatArray
    fits: tuple[ExponentFit, ...]

    def _columns(self) -> Columns:
        return {
            "fourier_mode": np.arange(1, self.final_ratio.size + 1),
            "time": self.emergence.times,
            "direction": self.emergence.direction,
            "final_ratio": self.final_ratio,
        }


@dataclass(frozen=True, repr=False)
class JointBias(ShortRepr, Tabular):
    """What a bias of its own changes on data that are not centred, at one noise level.

    Attributes
    ----------
    times : (J,) training times
    deviation : (J,) ‖W − W°‖/‖W°‖, with the weights W° of a layer whose bias is slaved
    """

    times: FloatArray
    deviation: FloatArray

    def _columns(self) -> Columns:
        return {"time": self.times, "deviation": self.deviation}


@dataclass(frozen=True, repr=False)
class LearningStudy(ShortRepr, Tabular):
    """How linear denoisers learn one population; see :func:`learning_study`. As a table, the exponents of all learners.

    Attributes
    ----------
    noise : noise levels of the sampler
    rate : η
    target : "data" or "converged": what modes emerge toward
    exclude : modes that end within this factor of where they start have no emergence time
    eigenvalues : (k,) of the population
    learned : number of modes with variance and λ ≥ 10 σ₀²; only these are judged
    null_modes : number of directions without variance, those outside of the k modes included
    times : (T,) training times
    selected : (s,) indices of the modes with curves
    emergence_modes : (e,) indices of the modes with emergence times
    sigma : noise level of the gains
    learners : one for each model
    convolutions : one for each patch on images; empty otherwise, and where only the constant Fourier mode has variance
    frequency, spectrum : (M,) cycles per image, and the data's power λ̃, of the Fourier modes that convolutions are judged on: those
        of the upper half plane that have variance, without the constant mode; None without convolutions
    null_frequencies : number of Fourier modes of the upper half plane that are left out because they have no variance
    pixels : N, number of pixels that share the weights of a convolution (times channels)
    joint : None where the mean is zero, or there are too many modes
    """

    noise: NoiseRange
    rate: float
    target: str
    exclude: float
    eigenvalues: FloatArray
    learned: int
    null_modes: int
    times: FloatArray
    selected: npt.NDArray[np.intp]
    emergence_modes: npt.NDArray[np.intp]
    sigma: float
    learners: tuple[LearnerCurves, ...]
    convolutions: tuple[ConvolutionCurves, ...]
    frequency: FloatArray | None
    spectrum: FloatArray | None
    null_frequencies: int
    pixels: int
    joint: JointBias | None

    def _columns(self) -> Columns:
        titles = [curves.title for curves in self.learners for _ in curves.fits]
        return {"learner": titles, **_exponent_columns([fit for curves in self.learners for fit in curves.fits])}


def _exponent_columns(fits: Sequence[ExponentFit]) -> Columns:
    nan = float("nan")
    return {
        "threshold": [fit.threshold for fit in fits],
        "direction": [fit.direction for fit in fits],
        "modes": [fit.modes for fit in fits],
        "exponent": [nan if fit.law is None else fit.law.exponent for fit in fits],
        "low": [nan if fit.law is None else fit.law.interval[0] for fit in fits],
        "high": [nan if fit.law is None else fit.law.interval[1] for fit in fits],
        "r_squared": [nan if fit.law is None else fit.law.r_squared for fit in fits],
    }


def default_learners(rate: float = 1.0) -> dict[str, LinearLearner]:
    """The models of a study: title → learner with the learning rate η.

    Raises
    ------
    ValueError
        A rate that is not above 0.
    """
    return {
        "one layer from 0": OneLayer(0.0, rate),
        "one layer from c_skip": OneLayer("skip", rate),
        "two layers from 0.01": TwoLayer(0.01, rate=rate),
        "preconditioned": Preconditioned(rate=rate),
    }


def learning_study(
    population: Population,
    *,
    learners: Mapping[str, LinearLearner] | None = None,
    patches: tuple[int, ...] = (3, 7, 15),
    sigma: float | None = None,
    noise: NoiseRange = ALL_LEVELS,
    target: str = "converged",
    exclude: float = 2.0,
    rate: float = 1.0,
    curves: int = 6,
    points: int = 97,
) -> LearningStudy:
    """How linear denoisers learn a population.

    Parameters
    ----------
    population : of the data; convolutions need images and eigenvectors
    learners : title → model; by default :func:`default_learners`
    patches : odd patch lengths of convolutions on images; those that do not fit into the image are left out
    sigma : noise level of the gains; by default √λ of the middle selected mode
    noise : noise levels of the sampler
    target : whether modes emerge toward the "data" or toward what training has "converged" to
    exclude : factor ≥ 1; modes that end within this factor of where they start have no emergence time
    rate : η of the default learners, of the convolutions and of the layer with a bias of its own
    curves, points : number of modes with curves ≥ 1, and of training times ≥ 2

    Raises
    ------
    TypeError
        Numbers of curves or points that are not integers.
    ValueError
        A population without eigenvalues of at least ten times sigma_min²; values out of range; an unknown target.
    """
    choice("target", target, ("data", "converged"))
    positive("rate", rate)
    integer("points", points, 2)
    values = population.eigenvalues
    learned = np.flatnonzero(has_variance(values) & (values >= _MARGIN * noise.sigma_min**2))
    if learned.size == 0:
        raise ValueError(
            f"population must have eigenvalues of at least {_MARGIN * noise.sigma_min**2:.3g}, ten times sigma_min², got "
            f"{values.max():.3g} at most"
        )
    selected = _even_in_logarithm(values, learned, integer("curves", curves, 1))
    setting = _Setting(
        population=population,
        learned=learned,
        selected=selected,
        emergence_modes=learned if learned.size <= _MOST_MODES else _leading_and_spread(learned, _MOST_MODES),
        times=np.geomspace(1e-2 / values[learned[0]], 1e2 / values[learned[-1]], points) / (2 * rate),
        sigma=float(np.sqrt(values[selected[len(selected) // 2]])) if sigma is None else positive("sigma", sigma),
        noise=noise,
        target=target,
        exclude=exclude,
    )
    models = default_learners(rate) if learners is None else learners
    convolutions = _convolutions(setting, patches, rate)
    return LearningStudy(
        noise=noise,
        rate=float(rate),
        target=target,
        exclude=float(exclude),
        eigenvalues=values,
        learned=int(learned.size),
        null_modes=population.dimension - round(float(population.multiplicity[has_variance(values)].sum())),
        times=setting.times,
        selected=selected,
        emergence_modes=setting.emergence_modes,
        sigma=setting.sigma,
        learners=tuple(_learner(title, model, setting) for title, model in models.items()),
        convolutions=convolutions.curves,
        frequency=convolutions.frequency,
        spectrum=convolutions.spectrum,
        null_frequencies=convolutions.null_frequencies,
        pixels=convolutions.pixels,
        joint=_joint(setting, rate),
    )


@dataclass(frozen=True)
class _Setting:
    """What the parts of a study share; indices of modes and options as in :class:`LearningStudy`."""

    population: Population
    learned: npt.NDArray[np.intp]
    selected: npt.NDArray[np.intp]
    emergence_modes: npt.NDArray[np.intp]
    times: FloatArray
    sigma: float
    noise: NoiseRange
    target: str
    exclude: float


def _even_in_logarithm(values: FloatArray, learned: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Modes at equal steps of ln λ."""
    wanted = np.linspace(np.log(values[learned[0]]), np.log(values[learned[-1]]), count)
    return np.unique(learned[np.argmin(np.abs(np.log(values[learned])[None] - wanted[:, None]), axis=1)])


def _leading_and_spread(learned: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Modes of which the first half has the largest eigenvalues, and the second half is spread evenly over the others."""
    rest = np.linspace(count // 2, learned.size - 1, count - count // 2).round().astype(np.intp)
    return np.asarray(learned[np.unique(np.concatenate([np.arange(count // 2), rest]))])


def _fits(values: FloatArray, emergence: LearningEmergence) -> list[ExponentFit]:
    fits = []
    for direction in (1, -1):
        times = np.where(emergence.direction == direction, emergence.times, np.nan)
        count = int(np.isfinite(times).sum())
        if count:
            fits.append(
                ExponentFit(
                    threshold=emergence.threshold, direction=direction, modes=count, law=power_law(values, times)
                )
            )
    return fits


def _learner(title: str, learner: LinearLearner, setting: _Setting) -> LearnerCurves:
    noise, times = setting.noise, setting.times
    chosen = setting.population.eigenvalues[setting.selected]
    values = setting.population.eigenvalues[setting.emergence_modes]
    distance = _distance(learner, setting)
    emergence = {
        threshold: emergence_times(
            lambda time: learner.log_variance(values, time, noise),
            values if setting.target == "data" else converged_variance(values, noise),
            threshold=threshold,
            exclude=setting.exclude,
            window=(1e-4 * times[0], 1e2 * times[-1]),
        )
        for threshold in THRESHOLDS
    }
    return LearnerCurves(
        name=title.replace(" ", "_"),
        title=title,
        learner=learner,
        gains=learner.gain(chosen, setting.sigma, times[:, None]),
        log_variance=learner.log_variance(chosen, times[:, None], noise),
        initial_variance=np.exp(learner.log_variance(chosen, 0.0, noise)),
        divergence=distance.divergence,
        mean_left=distance.mean_left,
        emergence=emergence,
        fits=tuple(fit for threshold in THRESHOLDS for fit in _fits(values, emergence[threshold])),
    )


class _Distance(NamedTuple):
    """(T,) total KL of the learned modes, and (T,) ‖error of the mean‖/‖μ‖."""

    divergence: FloatArray
    mean_left: FloatArray


def _distance(learner: LinearLearner, setting: _Setting) -> _Distance:
    population, learned, noise, times = setting.population, setting.learned, setting.noise, setting.times
    values, counts = population.eigenvalues, population.multiplicity
    single = bool(np.all(counts == 1))
    size = float(np.linalg.norm(population.mean)) if single else 0.0
    vectors = population.eigenvectors
    inside = np.zeros(values.size)
    if size > 0:
        inside = population.mean if vectors is None else vectors.T @ population.mean
    outside = max(size**2 - float(inside @ inside), 0.0)
    divergence, left = np.empty(times.size), np.full(times.size, np.nan)
    for row, time in enumerate(times):
        variance = learner.log_variance(np.append(values, 0.0), time, noise)
        missing = remaining_mean(variance, noise)
        error = missing[:-1] * inside
        kl = mode_divergence(variance[:-1][learned], values[learned], error[learned])
        divergence[row] = kl @ counts[learned]
        if size > 0:
            left[row] = np.sqrt(error @ error + missing[-1] ** 2 * outside) / size
    return _Distance(divergence, left)


class _Convolutions(NamedTuple):
    """The parts of :class:`LearningStudy` that images have."""

    curves: tuple[ConvolutionCurves, ...] = ()
    frequency: FloatArray | None = None
    spectrum: FloatArray | None = None
    null_frequencies: int = 0
    pixels: int = 0


def _convolutions(setting: _Setting, patches: tuple[int, ...], rate: float) -> _Convolutions:
    population, noise, exclude = setting.population, setting.noise, setting.exclude
    shape = population.shape
    grid = SpatialLayout.of(shape).grid if len(shape) in (2, 3) else ()
    if not grid or min(grid) < 3 or population.eigenvectors is None:
        return _Convolutions()
    power, pixels = fourier_spectrum(population), int(np.prod(shape))
    waves = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in grid), indexing="ij")
    # of m and −m, which have the same power, one; without the constant mode
    half = np.flatnonzero(((waves[0] > 0) | ((waves[0] == 0) & (waves[1] > 0))).ravel())
    kept = half[has_variance(power.ravel())[half]]
    left_out = half.size - kept.size
    if kept.size == 0:
        return _Convolutions(null_frequencies=left_out)
    values = power.ravel()[kept]
    window = (1e-6 / (rate * pixels * power.max()), 1e4 / (rate * pixels * max(values.min(), noise.sigma_min**2)))
    curves = []
    for patch in (*(p for p in patches if p < min(grid)), None):
        law = _convolution_law(power, kept, patch, rate * pixels, noise)
        target = values if setting.target == "data" else law.final
        emergence = emergence_times(law.log_variance, target, exclude=exclude, window=window)
        curves.append(
            ConvolutionCurves(
                patch=patch,
                title="whole image" if patch is None else f"patch {patch} × {patch}",
                emergence=emergence,
                final_ratio=law.final / values,
                fits=tuple(_fits(values, emergence)),
            )
        )
    return _Convolutions(
        curves=tuple(curves),
        frequency=np.hypot(*(wave.ravel()[kept] for wave in waves)),
        spectrum=values,
        null_frequencies=left_out,
        pixels=pixels,
    )


class _ConvolutionLaw(NamedTuple):
    """ln λ̃ of some Fourier modes as a function of training time, and their variance in its limit."""

    log_variance: Callable[[FloatArray], FloatArray]
    final: FloatArray


def _convolution_law(
    power: FloatArray, kept: npt.NDArray[np.intp], patch: int | None, rate: float, noise: NoiseRange
) -> _ConvolutionLaw:
    if patch is None:
        values, layer = power.ravel()[kept], OneLayer(0.0, rate)
        return _ConvolutionLaw(lambda time: layer.log_variance(values, time, noise), converged_variance(values, noise))
    local = patch_convolution(power, patch, rate=rate).at(kept)
    return _ConvolutionLaw(lambda time: local.log_variance(time, noise), np.exp(local.converged_log_variance(noise)))


def _joint(setting: _Setting, rate: float) -> JointBias | None:
    population, sigma = setting.population, setting.sigma
    vectors = population.eigenvectors
    if vectors is None or vectors.shape[1] > _MOST_JOINT or not np.any(population.mean):
        return None
    joint = joint_learning(population, sigma, rate=rate)
    times = np.geomspace(1e-2 / joint.moments[-1], 1e2 / sigma**2, _JOINT_TIMES) / (2 * rate)
    return JointBias(times, np.array([joint.deviation(float(time)) for time in times]))
