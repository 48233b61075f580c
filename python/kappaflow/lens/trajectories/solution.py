r"""Closed-form sampling of a Gaussian model: states and denoiser outcomes along the probability-flow ODE of any schedule.

The optimal linear denoiser acts on each eigenmode alone, so the probability flow does too, and in mode coordinates of a
schedule x_t = α_t x₀ + σ_t z it can be integrated,

.. math::

    x_t = α_t μ + ψ(t, Σ)(x_T − α_T μ), \qquad
    ψ(t, λ) = \sqrt{\frac{σ_t² + λ α_t²}{σ_T² + λ α_T²}}, \qquad
    D_t = μ + ξ(t, Σ)(x_T − α_T μ), \qquad ξ = \frac{α_t λ}{σ_t² + α_t² λ} ψ .

Directions without variance, λ = 0, belong to it: they carry their noise down by ψ(t, 0) = σ_t/σ_T. How the models of
different training sets of n samples spread around this path is in :mod:`.over_splits`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, integer, positive, real_array
from ...models.rows import RowDenoiser
from ...population import Population
from ...sampling import step_gain
from .schedules import Schedule

__all__ = [
    "SampleLaw",
    "SamplingEmergence",
    "Trajectory",
    "ddim",
    "emergence_noise_level",
    "outcome_gains",
    "sample_law",
    "sampler_gains",
    "sampling_emergence",
    "state_gains",
    "trajectory",
]

INITIALS = ("noise", "exact")
METHODS = ("euler", "heun")


def _spectrum(eigenvalues: Any) -> FloatArray:
    values = real_array("eigenvalues", eigenvalues)
    if values.ndim != 1:
        raise ValueError(f"eigenvalues must be one-dimensional, got shape {values.shape}")
    if values.size and values.min() < 0:
        raise ValueError(f"eigenvalues must not be negative, got {values.min()}")
    return values


def state_gains(eigenvalues: Any, schedule: Schedule, times: Any) -> FloatArray:
    """ψ(t, λ) of :mod:`kappaflow.lens.trajectories`, (S, k), for decreasing `times` (S,), the first of which is T.

    It is exact where α_T = 0 too, as at t = 1 of a rectified flow, and at σ_t = 0.
    """
    root = np.sqrt(_spectrum(eigenvalues))
    t = schedule.path(times)
    spread = np.hypot(schedule.sigma(t)[:, None], schedule.alpha(t)[:, None] * root)
    return np.asarray(spread / spread[0])


def outcome_gains(eigenvalues: Any, schedule: Schedule, times: Any) -> FloatArray:
    """ξ(t, λ) = α_t λ/√((σ_t² + α_t² λ)(σ_T² + α_T² λ)), (S, k): the denoiser's outcome on the path, for each mode.

    At σ_t = 0 it is √λ/√(σ_T² + α_T² λ), and 0 for λ = 0.
    """
    root = np.sqrt(_spectrum(eigenvalues))
    t = schedule.path(times)
    signal = schedule.alpha(t)[:, None] * root
    spread = np.hypot(schedule.sigma(t)[:, None], signal)
    share = np.divide(signal, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.asarray(share * (root / spread[0]))


@dataclass(frozen=True)
class Trajectory:
    """Probability flow of some initial states.

    Attributes
    ----------
    times, alpha, sigma : (S,) the path and its schedule, from the initial time down
    states : (S, B, d) x_t; ``states[0]`` are the initial states
    outcomes : (S, B, d) D(x_t; t), what the denoiser takes x₀ to be
    """

    times: FloatArray
    alpha: FloatArray
    sigma: FloatArray
    states: FloatArray
    outcomes: FloatArray


def trajectory(population: Population, schedule: Schedule, initial: Any, times: Any = None) -> Trajectory:
    """States and denoiser outcomes of the Gaussian model of a population, in closed form.

    Parameters
    ----------
    initial : (B, *shape) or (B, d)
        x_T at the first of the times, for instance σ_T times standard normal numbers.
    times : (S,) decreasing, by default 32 even steps in t over the whole schedule

    Returns
    -------
    Trajectory
        Exact to rounding, directions outside of the population's modes included.
    """
    t = schedule.path(schedule.grid(32) if times is None else times)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    start = population.flatten(initial, "initial") - alpha[0] * population.mean
    c = start if population.eigenvectors is None else start @ population.eigenvectors
    psi = state_gains(population.eigenvalues, schedule, t)
    xi = outcome_gains(population.eigenvalues, schedule, t)
    null = state_gains([0.0], schedule, t)[:, 0]
    if population.eigenvectors is None:
        states, outcomes = psi[:, None] * c, xi[:, None] * c
    else:
        states = ((psi - null[:, None])[:, None] * c) @ population.eigenvectors.T
        states += null[:, None, None] * start
        outcomes = (xi[:, None] * c) @ population.eigenvectors.T
    states += alpha[:, None, None] * population.mean
    outcomes += population.mean
    return Trajectory(times=t, alpha=alpha, sigma=sigma, states=states, outcomes=outcomes)


# ---------------------------------------------------------------- order of emergence
def emergence_noise_level(eigenvalues: Any, fraction: float = 0.5, *, end: float = 0.0) -> FloatArray:
    """(k,) noise levels σ̂ at which the denoiser's outcome in a mode is a fraction of what it is at noise level `end`.

    ξ(σ̂)/ξ(end) = √((λ + end²)/(λ + σ̂²)) on every path, whatever its schedule and start, so that σ̂² = (λ + end²)/fraction² − λ:
    √(3λ) for a half at the end of the noise. 0 for λ = 0, where nothing emerges.
    """
    values, share = _spectrum(eigenvalues), _fraction(fraction)
    level = np.sqrt((values + end**2) / share**2 - values)  # above 0, as share < 1
    return np.where(values > 0, level, 0.0)


def _fraction(fraction: float) -> float:
    share = positive("fraction", fraction)
    if share >= 1:
        raise ValueError(f"fraction must lie strictly between 0 and 1, got {fraction}")
    return share


@dataclass(frozen=True)
class SamplingEmergence:
    """When each mode emerges in the denoiser's outcome.

    Attributes
    ----------
    fraction : of the final outcome
    noise_level : (k,) σ̂ where it is reached; 0 where there is no variance
    time : (k,) the schedule's time; NaN where the mode is past the fraction at the start already, or has no variance
    final_gain : (k,) ξ at the end times √(σ_T² + α_T² λ)/√λ, the share of a seed's amplitude that arrives: 1 at no noise
    standard_gain : (k,) ξ at the end times σ_T/√λ: what is left of the data's standard deviation where x_T ~ N(α_T μ, σ_T² I)
    """

    fraction: float
    noise_level: FloatArray
    time: FloatArray
    final_gain: FloatArray
    standard_gain: FloatArray


def sampling_emergence(
    eigenvalues: Any,
    schedule: Schedule,
    *,
    fraction: float = 0.5,
    start: float | None = None,
    stop: float | None = None,
) -> SamplingEmergence:
    """Noise level and time at which each mode's denoiser outcome reaches a fraction of its value at `stop` (`t_min`)."""
    values = _spectrum(eigenvalues)
    first, last = _ends(schedule, start, stop)
    ends = np.array([first, last])
    (top, end), (sigma, _), (alpha, _) = schedule.noise_level(ends), schedule.sigma(ends), schedule.alpha(ends)
    level = emergence_noise_level(values, fraction, end=float(end))
    passed = (level > 0) & (level <= top)
    time = np.where(passed, schedule.time_of(np.where(passed, level, end)), np.nan)
    root = np.sqrt(values)
    seen = np.divide(root, np.hypot(end, root), out=np.zeros_like(root), where=values > 0)
    return SamplingEmergence(
        fraction=float(fraction),
        noise_level=level,
        time=time,
        final_gain=seen,
        standard_gain=np.asarray(seen * sigma / np.hypot(sigma, alpha * root)),
    )


def _ends(schedule: Schedule, start: float | None, stop: float | None) -> tuple[float, float]:
    first = schedule.t_max if start is None else float(start)
    last = schedule.t_min if stop is None else float(stop)
    if not first > last:
        raise ValueError(f"start must be above stop = {last}, got {first}")
    return first, last


# ---------------------------------------------------------------- law of the samples
@dataclass(frozen=True)
class SampleLaw:
    """The Gaussian law of what a sampler ends with.

    Attributes
    ----------
    mean : (d,)
    variances : (k,) of the mode coordinates, which are independent
    null_variance : of every direction outside of the modes
    target : (k,) variances that data noised to that time have, α_t² λ + σ_t²
    target_mean : (d,) α_t μ
    eigenvectors : (d, k), or None where modes are pixels
    """

    mean: FloatArray
    variances: FloatArray
    null_variance: float
    target: FloatArray
    target_mean: FloatArray
    eigenvectors: FloatArray | None

    @property
    def factors(self) -> FloatArray:
        """(k,) variance over that of the target; NaN where the target has none."""
        return np.asarray(
            np.divide(self.variances, self.target, out=np.full(self.target.shape, np.nan), where=self.target > 0)
        )

    @property
    def mean_error(self) -> FloatArray:
        """(k,) coordinates of mean − target mean."""
        gap = self.mean - self.target_mean
        return gap if self.eigenvectors is None else gap @ self.eigenvectors

    def frechet_distance(self) -> float:
        """‖mean error‖² + Σₖ (√variance − √target)², the squared 2-Wasserstein distance to the target."""
        gap = self.mean - self.target_mean
        return float(gap @ gap + np.sum((np.sqrt(self.variances) - np.sqrt(self.target)) ** 2))

    def draw(self, count: int, *, seed: int) -> FloatArray:
        """(count, d) independent samples."""
        z = np.random.default_rng(seed).standard_normal((integer("count", count, 1), self.mean.size))
        if self.eigenvectors is None:
            return np.asarray(self.mean + z * np.sqrt(self.variances))
        null = np.sqrt(self.null_variance)
        inside = (z @ self.eigenvectors) * (np.sqrt(self.variances) - null) @ self.eigenvectors.T
        return np.asarray(self.mean + null * z + inside)


def sample_law(
    population: Population,
    schedule: Schedule,
    *,
    initial: str = "noise",
    initial_mean: Any = None,
    start: float | None = None,
    stop: float | None = None,
) -> SampleLaw:
    """Exact law of x_t at `stop` (`t_min`) where a sampler without discretisation error starts at `start` (`t_max`).

    Parameters
    ----------
    initial : "noise" or "exact"
        "noise": x_T ~ N(m_T, σ_T² I), as samplers start; then x_t ~ N(α_t μ + ψ(m_T − α_T μ), σ_T² ψ²), which at σ = 0 falls
        short of λ by the factor σ_T²/(σ_T² + α_T² λ) and of μₖ by √λ α_T/√(σ_T² + α_T² λ). "exact":
        x_T ~ N(α_T μ, σ_T² I + α_T² Σ), the law of noised data, of which nothing is lost.
    initial_mean : (d,) or one image, m_T, zero by default; for "noise" alone
    """
    choice("initial", initial, INITIALS)
    ends = np.array(_ends(schedule, start, stop))
    alpha, sigma = schedule.alpha(ends), schedule.sigma(ends)
    target = (alpha[1] ** 2) * population.eigenvalues + sigma[1] ** 2
    target_mean = alpha[1] * population.mean
    if initial == "exact":
        if initial_mean is not None:
            raise ValueError("initial_mean is for initial='noise' alone, got it with initial='exact'")
        mean, variances = target_mean, target
    else:
        psi = state_gains(population.eigenvalues, schedule, ends)[1]
        m = np.zeros((1, population.dimension)) if initial_mean is None else initial_mean
        rows = population.flatten(m, "initial_mean")
        if len(rows) != 1:
            raise ValueError(f"initial_mean must be one image, got {len(rows)}")
        # apply() is μ + ψ(Σ)(x − μ); the start is centred at α_T μ
        moved = population.apply(rows + (1 - alpha[0]) * population.mean, psi, null_gain=float(sigma[1] / sigma[0]))
        mean, variances = moved[0] - population.mean + target_mean, (sigma[0] * psi) ** 2
    return SampleLaw(
        mean=mean,
        variances=np.asarray(variances),
        null_variance=float(sigma[1] ** 2),
        target=target,
        target_mean=target_mean,
        eigenvectors=population.eigenvectors,
    )


# ---------------------------------------------------------------- samplers in steps
def sampler_gains(eigenvalues: Any, noise_levels: Any, *, method: str = "euler") -> FloatArray:
    """(S, k) what a sampler in steps makes of ψ, for each mode of a Gaussian model, in x/α: exact, without simulation.

    Parameters
    ----------
    noise_levels : (S,) decreasing σ̂, the first of which is T
    method : "euler" or "heun"
        Euler in σ̂, which is DDIM, or Heun's second-order rule with an Euler step where it ends at no noise (Karras et al.
        2022). A step from a to b multiplies a mode by 1 + (b − a) a/(λ + a²), or by its average with the slope at b.

    Notes
    -----
    Compare with :func:`state_gains` on the same path: the ratio squared is the variance that too few steps lose or add.
    """
    values, level = _spectrum(eigenvalues), real_array("noise_levels", noise_levels)
    choice("method", method, METHODS)
    if level.ndim != 1 or level.size < 2 or level.min() < 0 or not np.all(np.diff(level) < 0):
        raise ValueError(f"noise_levels must be two or more, not negative and decreasing, got {noise_levels!r}")
    gains = np.ones((level.size, values.size))
    for i, (a, b) in enumerate(itertools.pairwise(level)):
        gains[i + 1] = gains[i] * step_gain(values, float(a), float(b), second_order=method == "heun")
    return gains


def ddim(denoiser: RowDenoiser, schedule: Schedule, initial: Any, times: Any) -> FloatArray:
    """(S, B, d) states of deterministic DDIM with any denoiser: Euler's rule for x/α in the noise level σ̂.

    Parameters
    ----------
    denoiser : D(x; σ̂) for x = x₀ + σ̂z, whatever the schedule
    initial : (B, d) x_T at the first of the times
    times : (S,) decreasing; α must be above 0 at the first

    References
    ----------
    Song, Meng and Ermon (2021); x_s = α_s D + σ_s (x_t − α_t D)/σ_t.
    """
    t, x = schedule.path(times), real_array("initial", initial)
    if x.ndim != 2:
        raise ValueError(f"initial must have shape (B, d), got {x.shape}")
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if alpha[0] <= 0:
        raise ValueError(f"times must start where alpha is above 0, got t = {t[0]}: a denoiser has no input there")
    states = [x]
    for i in range(t.size - 1):
        clean = denoiser(x / alpha[i], float(sigma[i] / alpha[i]))
        x = alpha[i + 1] * clean + (sigma[i + 1] / sigma[i]) * (x - alpha[i] * clean)
        states.append(x)
    return np.stack(states)
