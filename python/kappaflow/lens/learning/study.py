"""Learning dynamics of linear denoisers on one population: weights, generated variance, emergence and its exponents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, choice, integer, positive
from ...moments import has_variance
from ...population import Population
from ..layout import SpatialLayout
from .emergence import THRESHOLDS, LearningEmergence, PowerLaw, emergence_times, power_law
from .gains import (
    LinearLearner,
    NoiseRange,
    OneLayer,
    Preconditioned,
    TwoLayer,
    converged_variance,
    mode_divergence,
    remaining_mean,
)
from .matrix import joint_learning
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

_MOST_MODES = 512  # modes with emergence times
_MOST_JOINT = 1200  # modes up to which a bias of its own is looked at: it takes their dense eigensystem
_JOINT_TIMES = 33
_MARGIN = 10.0  # modes count as learned from this multiple of σ₀² on: below, the sampler's last noise shows


@dataclass(frozen=True)
class ExponentFit:
    """α of τ* ∝ λ^−α for one learner, threshold and direction.

    Attributes
    ----------
    threshold : of :data:`~.emergence.THRESHOLDS`
    direction : +1 where variance grows, −1 where it shrinks
    modes : number of modes that emerge in this direction
    law : the fit; None for fewer than 3 modes or one eigenvalue alone
    """

    threshold: str
    direction: int
    modes: int
    law: PowerLaw | None


@dataclass(frozen=True)
class LearnerCurves:
    """One linear denoiser in training.

    Attributes
    ----------
    name, title : key and words
    learner : the model
    gains : (T, s) gain of the selected modes at the study's noise level
    log_variance : (T, s) ln of their generated variance
    initial_variance : (s,) where they start
    divergence : (T,) KL(generated ‖ data) in nats, summed over the learned modes, error of the mean included
    mean_left : (T,) ‖E x̄ − μ‖/‖μ‖ of generated samples; NaN for a mean of zero
    emergence : threshold → times of the study's emergence modes
    fits : for each threshold and direction in which modes emerge
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


@dataclass(frozen=True)
class ConvolutionCurves:
    """One convolution in training on images; M = the Fourier modes of the upper half plane but the constant one.

    Attributes
    ----------
    patch : length of the patch; None for one that covers the image
    title : words
    emergence : geometric threshold, toward what it converges to
    final_ratio : (M,) variance after training without end over the data's
    fits : for each direction
    """

    patch: int | None
    title: str
    emergence: LearningEmergence
    final_ratio: FloatArray
    fits: tuple[ExponentFit, ...]


@dataclass(frozen=True)
class JointBias:
    """A bias of its own on data that are not centred, at one noise level.

    Attributes
    ----------
    times : (J,) training times
    deviation : (J,) ‖W − W°‖/‖W°‖, W° the weights with a slaved bias
    """

    times: FloatArray
    deviation: FloatArray


@dataclass(frozen=True)
class LearningStudy:
    """What :func:`learning_study` finds.

    Attributes
    ----------
    noise : noise levels that samples pass
    rate : η
    target : "data" or "converged": what modes emerge toward
    exclude : modes that end within this factor of where they start are left out of emergence
    eigenvalues : (k,) of the population
    learned : number of modes with λ ≥ 10 σ₀², the only ones that are judged
    null_modes : directions without variance, outside of the k modes too
    times : (T,) training times
    selected : (s,) numbers of the modes with curves, from 0
    emergence_modes : (e,) numbers of the modes with emergence times
    sigma : noise level of the gains
    learners : one for each model
    convolutions : for images; empty otherwise
    frequency, spectrum : (M,) cycles per image and data's power λ̃ of the Fourier modes; None without convolutions
    pixels : N, pixels that share the weights of a convolution (times channels)
    joint : None for a mean of zero or too many modes
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
    pixels: int
    joint: JointBias | None


def default_learners(rate: float = 1.0) -> dict[str, LinearLearner]:
    """The models of a study: title → learner."""
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
    noise: NoiseRange = NoiseRange(),  # noqa: B008
    target: str = "converged",
    exclude: float = 2.0,
    rate: float = 1.0,
    curves: int = 6,
    points: int = 97,
) -> LearningStudy:
    """Learning of linear denoisers on a population.

    Parameters
    ----------
    learners : title → model; :func:`default_learners` unless given
    patches : odd patch lengths of convolutions on images; those longer than the image are left out
    sigma : noise level of the gains; √λ of the middle selected mode unless given
    noise : noise levels that samples pass
    target : modes emerge toward the "data" or toward what training has "converged" to
    exclude : factor within which modes end where they start, and are left out
    rate : η of the default learners, of the convolutions and of the joint bias
    curves, points : number of modes with curves, and of training times
    """
    choice("target", target, ("data", "converged"))
    positive("rate", rate)
    integer("points", points, 2)
    values = population.eigenvalues
    learned = np.flatnonzero(values >= _MARGIN * noise.sigma_min**2)
    if learned.size == 0:
        raise ValueError(
            f"population must have eigenvalues of at least {_MARGIN * noise.sigma_min**2:.3g}, ten times sigma_min², got "
            f"{values.max():.3g} at most"
        )
    selected = _spread(values, learned, integer("curves", curves, 1))
    level = float(np.sqrt(values[selected[len(selected) // 2]])) if sigma is None else positive("sigma", sigma)
    times = np.geomspace(1e-2 / values[learned[0]], 1e2 / values[learned[-1]], points) / (2 * rate)
    rows = learned if learned.size <= _MOST_MODES else _ranks(learned, _MOST_MODES)
    models = default_learners(rate) if learners is None else learners
    found = tuple(
        _learner(title, model, population, learned, selected, rows, times, level, noise, target, exclude)
        for title, model in models.items()
    )
    frequency, spectrum, pixels, convolutions = _convolutions(population, patches, noise, target, exclude, rate)
    null = population.dimension - round(float(population.multiplicity[has_variance(values)].sum()))
    return LearningStudy(
        noise, float(rate), target, float(exclude), values, int(learned.size), null, times, selected, rows, level, found,
        convolutions, frequency, spectrum, pixels, _joint(population, level, times, rate),
    )  # fmt: skip


def _spread(values: FloatArray, learned: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Modes at equal steps of ln λ."""
    wanted = np.linspace(np.log(values[learned[0]]), np.log(values[learned[-1]]), count)
    return np.unique(learned[np.argmin(np.abs(np.log(values[learned])[None] - wanted[:, None]), axis=1)])


def _ranks(learned: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Half of the modes first in rank, half spread evenly over the rest."""
    rest = np.linspace(count // 2, learned.size - 1, count - count // 2).round().astype(np.intp)
    return np.asarray(learned[np.unique(np.concatenate([np.arange(count // 2), rest]))])


def _fits(values: FloatArray, found: LearningEmergence) -> list[ExponentFit]:
    out = []
    for direction in (1, -1):
        times = np.where(found.direction == direction, found.times, np.nan)
        count = int(np.isfinite(times).sum())
        if count:
            out.append(ExponentFit(found.threshold, direction, count, power_law(values, times)))
    return out


def _learner(
    title: str,
    learner: LinearLearner,
    population: Population,
    learned: npt.NDArray[np.intp],
    selected: npt.NDArray[np.intp],
    rows: npt.NDArray[np.intp],
    times: FloatArray,
    sigma: float,
    noise: NoiseRange,
    target: str,
    exclude: float,
) -> LearnerCurves:
    values = population.eigenvalues
    divergence, left = _divergence_and_mean(learner, population, learned, times, noise)
    goal = values[rows] if target == "data" else converged_variance(values[rows], noise)
    window = (1e-4 * times[0], 1e2 * times[-1])
    emergence = {
        threshold: emergence_times(
            lambda time: learner.log_variance(values[rows], time, noise), goal,
            threshold=threshold, exclude=exclude, window=window,
        )
        for threshold in THRESHOLDS
    }  # fmt: skip
    fits = [fit for threshold in THRESHOLDS for fit in _fits(values[rows], emergence[threshold])]
    return LearnerCurves(
        title.replace(" ", "_"),
        title,
        learner,
        learner.gain(values[selected], sigma, times[:, None]),
        learner.log_variance(values[selected], times[:, None], noise),
        np.exp(learner.log_variance(values[selected], 0.0, noise)),
        divergence,
        left,
        emergence,
        tuple(fits),
    )


def _divergence_and_mean(
    learner: LinearLearner,
    population: Population,
    learned: npt.NDArray[np.intp],
    times: FloatArray,
    noise: NoiseRange,
) -> tuple[FloatArray, FloatArray]:
    """Total KL of the learned modes (T,) and ‖error of the mean‖/‖μ‖ (T,)."""
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
    return divergence, left


def _convolutions(
    population: Population, patches: tuple[int, ...], noise: NoiseRange, target: str, exclude: float, rate: float
) -> tuple[FloatArray | None, FloatArray | None, int, tuple[ConvolutionCurves, ...]]:
    shape = population.shape
    grid = SpatialLayout.of(shape).grid if len(shape) in (2, 3) else ()
    if not grid or min(grid) < 3 or population.eigenvectors is None:
        return None, None, 0, ()
    power, pixels = fourier_spectrum(population), int(np.prod(shape))
    waves = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in grid), indexing="ij")
    # of m and −m, which have the same power, one; without the constant mode
    kept = np.flatnonzero(((waves[0] > 0) | ((waves[0] == 0) & (waves[1] > 0))).ravel())
    values = power.ravel()[kept]
    window = (1e-6 / (rate * pixels * power.max()), 1e4 / (rate * pixels * max(values.min(), noise.sigma_min**2)))
    out = []
    for patch in (*(p for p in patches if p < min(grid)), None):
        law, final = _convolution(power, kept, patch, rate * pixels, noise)
        found = emergence_times(law, values if target == "data" else final, exclude=exclude, window=window)
        ratio = np.divide(final, values, out=np.full(values.shape, np.nan), where=values > 0)
        name = "whole image" if patch is None else f"patch {patch} × {patch}"
        out.append(ConvolutionCurves(patch, name, found, ratio, tuple(_fits(values, found))))
    return np.hypot(*(w.ravel()[kept] for w in waves)), values, pixels, tuple(out)


def _convolution(
    power: FloatArray, kept: npt.NDArray[np.intp], patch: int | None, rate: float, noise: NoiseRange
) -> tuple[Callable[[FloatArray], FloatArray], FloatArray]:
    """ln λ̃ of the kept Fourier modes as a function of time, and their variance in the end."""
    if patch is None:
        values, layer = power.ravel()[kept], OneLayer(0.0, rate)
        return lambda time: layer.log_variance(values, time, noise), converged_variance(values, noise)
    local = patch_convolution(power, patch, rate=rate).at(kept)
    return lambda time: local.log_variance(time, noise), np.exp(local.converged_log_variance(noise))


def _joint(population: Population, sigma: float, times: FloatArray, rate: float) -> JointBias | None:
    vectors = population.eigenvectors
    if vectors is None or vectors.shape[1] > _MOST_JOINT or not np.any(population.mean):
        return None
    joint = joint_learning(population, sigma, rate=rate)
    chosen = np.geomspace(1e-2 / joint.moments[-1], 1e2 / sigma**2, _JOINT_TIMES) / (2 * rate)
    return JointBias(chosen, np.array([joint.deviation(float(t)) for t in chosen]))
