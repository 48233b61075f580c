r"""Teleport: the first, nearly linear part of sampling in one jump, the solver for the rest.

At high noise every denoiser is nearly that of a Gaussian with the data's mean and covariance, whose probability flow is known
exactly, so that the state at σ′ is a linear map of the initial noise. Where the denoiser differs, ΔD = D − D_gauss along the
Gaussian path gives what the jump misses, to first order, in each eigenmode (λ = 0 outside of them)::

    δₖ(σ′) = √(σ′² + λₖ) ∫_σ′^σ_max ΔDₖ(s) / (s √(s² + λₖ)) ds,    which is √(λₖ/(σ′² + λₖ)) δₖ(σ′) in the sample

The saved evaluations are best spent below σ′: by default the grid of all steps is laid out anew from σ′.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, positive, real_array
from ...models.rows import RowDenoiser, evaluate_rows
from ...models.scores import GaussianScore
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN, heun, noise_schedule
from ..linear import flow_gain

__all__ = ["TeleportPlan", "Teleported", "jump", "plan_teleport", "teleport", "typical_error"]

#: How far the local exponent of ΔD against noise is believed.
_POWERS = (0.5, 4.0)
#: Nodes of the Gauss-Legendre rule in ln s for the tail of a power law, good to 1e-12 for tails of four decades.
_NODES = 64
#: Least number of noise levels of the integral along the Gaussian path, of the trapezoidal rule: about 1e-3 over five decades.
_PATH_LEVELS = 96
#: Steps of the reference solver over those of the solver: at second order its own error is 1/64 of the solver's; and the least.
_REFERENCE, _LEAST_REFERENCE = 8, 96


@dataclass(frozen=True)
class Teleported:
    """Samples of the hybrid sampler.

    Attributes
    ----------
    samples : (B, d)
    sigma_start : where the solver took over
    evaluations : of the denoiser, for each sample
    jump_error : root mean square over samples and pixels of what the jump misses in the samples, to first order, from ΔD at
        σ′ alone and the power law above it; of what was missing before the correction where one was asked for
    """

    samples: FloatArray
    sigma_start: float
    evaluations: int
    jump_error: float


@dataclass(frozen=True)
class TeleportPlan:
    """What each σ′ costs in accuracy, measured on some seeds; errors of samples are root mean squares over pixels, mean over seeds.

    Attributes
    ----------
    sigma_start : the best σ′ for so many steps, or the smallest whose jump meets the tolerance
    power : exponent p of ΔD ∝ σ⁻ᵖ above it, for the correction
    sigmas : (S,) descending candidates; the first is sigma_max, which is the plain sampler
    jump_error : (S,) of the jump alone, predicted to first order from the denoiser along the Gaussian path
    total_error : (S,) of jump and solver together, measured against the solver with many steps
    denoiser_gap : (S,) root mean square of ΔD along the Gaussian path
    steps, reference_steps : of the solver, and of the one that it is measured against, 0 where its samples were given
    evaluations : of the denoiser, for each of the seeds that were used
    """

    sigma_start: float
    power: float
    sigmas: FloatArray
    jump_error: FloatArray
    total_error: FloatArray
    denoiser_gap: FloatArray
    steps: int
    reference_steps: int
    evaluations: int


def jump(population: Population, noise: Any, sigma: float, *, sigma_max: float = SIGMA_MAX) -> FloatArray:
    """(B, d) states at σ of the Gaussian probability flow from x_T = `noise` (B, d) at sigma_max.

    μ + √((Σ + σ²)/(Σ + σ_max²)) (x_T − μ), with directions outside of the modes multiplied by σ/σ_max; σ may be 0.
    Raises ValueError unless 0 ≤ σ ≤ sigma_max.
    """
    top = positive("sigma_max", sigma_max)
    if not 0 <= sigma <= top:
        raise ValueError(f"sigma must be between 0 and sigma_max = {top}, got {sigma}")
    gains = flow_gain(population.eigenvalues, sigma, top)
    return population.apply(noise, gains, null_gain=sigma / top, name="noise")


def teleport(
    denoiser: RowDenoiser,
    population: Population,
    noise: Any,
    sigma_start: float,
    *,
    steps: int = 18,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
    correction: float | None = None,
    regrid: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Teleported:
    r"""Jump to σ′ = `sigma_start`, then Heun's method to 0.

    Parameters
    ----------
    denoiser : D(x, σ) of rows (B, d), see :class:`~kappaflow.models.rows.RowDenoiser`
    population : mean and covariance of what it was trained on, in its scale; per condition, and without guidance
    noise : (B, d) x_T = σ_max z
    steps : of the grid: all below σ′ with `regrid`, otherwise only those of the grid from sigma_max that lie below it
    correction : exponent p > 0 of ΔD(s) ≈ ΔD(σ′)(σ′/s)ᵖ above σ′, which is added as δ(σ′) for one evaluation more: 2 where
        σ′² is far above the largest eigenvalue, nearer to 1 below; :func:`plan_teleport` measures it
    progress : called with the fraction done

    Raises
    ------
    ValueError : sigma_start that is not above sigma_min and at most sigma_max; a bad answer of the denoiser
    """
    start, top, low = positive("sigma_start", sigma_start), positive("sigma_max", sigma_max), sigma_min
    if not positive("sigma_min", low) < start <= top:
        raise ValueError(f"sigma_start must be above sigma_min = {low} and at most sigma_max = {top}, got {start}")
    power = 2.0 if correction is None else positive("correction", correction)
    if regrid:
        grid = noise_schedule(steps, start, sigma_min=low)
    else:
        whole = noise_schedule(steps, top, sigma_min=low)
        grid = np.append(start, whole[whole < start])
    x = jump(population, noise, start, sigma_max=top)
    held: list[FloatArray] = [evaluate_rows(denoiser, x, start)]
    evaluations = 2 * (len(grid) - 1) - 1
    missed = _tail(population, held[0] - GaussianScore(population)(x, start), start, top, power)
    values = population.eigenvalues
    in_sample = _linear(population, missed, np.sqrt(values / (values + start**2)), 0.0)
    if correction is not None:
        x = x + missed
        held.clear()
        evaluations += 1

    def answer(state: FloatArray, level: float) -> FloatArray:
        return held.pop() if held else evaluate_rows(denoiser, state, level)  # the first answer is there already

    def visit(level: float, _state: FloatArray) -> None:
        if progress is not None:
            progress((int(np.argmin(np.abs(grid - level)))) / (len(grid) - 1))

    samples = heun(answer, x, grid.tolist(), visit=visit)
    return Teleported(samples, start, evaluations, float(np.sqrt(np.mean(in_sample**2))))


def plan_teleport(
    denoiser: RowDenoiser,
    population: Population,
    noise: Any,
    *,
    steps: int = 8,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
    candidates: int = 16,
    tolerance: float | None = None,
    reference: FloatArray | None = None,
    progress: Callable[[float], None] | None = None,
) -> TeleportPlan:
    r"""Choose σ′ for a solver of so many steps, from some seeds (100 to 200 tell).

    The first-order predictor says what each jump misses; jump and solver together are measured against the plain solver with
    eight times the steps, because seeds between two attractors, which no first order sees, are part of the error.

    Parameters
    ----------
    noise : (B, d) x_T of the seeds
    steps : of the solver below σ′
    candidates : noise levels, equal steps of the logarithm from sigma_max down to half of the data's root mean square
    reference : (B, d) what the denoiser draws from `noise` in many steps, where that is known
    tolerance : take the smallest σ′ whose jump error is at most this, instead of the σ′ of least total error

    Raises
    ------
    ValueError : bad settings; no candidate meets the tolerance
    """
    count, top = integer("candidates", candidates, 4), positive("sigma_max", sigma_max)
    number, rows = integer("steps", steps, 2), real_array("noise", noise)
    lowest = max(0.5 * float(np.sqrt(population.total_variance / population.dimension)), 10 * sigma_min)
    if lowest >= top:
        raise ValueError(f"sigma_max must be above half the data's root mean square, {lowest:.4g}, got {top}")
    sigmas = np.geomspace(top, lowest, count)
    many = max(_REFERENCE * number, _LEAST_REFERENCE)
    before = 0 if reference is not None else 2 * many - 1
    finer = -(-_PATH_LEVELS // (count - 1))  # levels of the integral for each candidate
    path = np.geomspace(top, lowest, finer * (count - 1) + 1)
    work = float(before + path.size + count * (2 * number - 1))  # evaluations
    if reference is None:
        grid = noise_schedule(many, top, sigma_min=sigma_min).tolist()
        reference = heun(lambda x, level: evaluate_rows(denoiser, x, level), rows, grid)
    elif reference.shape != rows.shape:
        raise ValueError(f"reference must have the shape of noise {rows.shape}, got {reference.shape}")
    if progress is not None:
        progress(before / work)
    path_gaps, path_jumps = _along_gaussian_path(denoiser, population, rows, path, top)
    gaps, jumps = path_gaps[::finer], path_jumps[::finer]
    total = np.empty(count)
    for place, start in enumerate(sigmas):
        found = teleport(denoiser, population, rows, start, steps=number, sigma_max=top, sigma_min=sigma_min)
        total[place] = typical_error(found.samples - reference)
        if progress is not None:
            progress((before + path.size + (place + 1) * (2 * number - 1)) / work)
    if tolerance is None:
        best = _least(np.log(sigmas), np.log(np.maximum(total, np.finfo(np.float64).tiny)))  # points are met exactly
    else:
        meets = np.flatnonzero(jumps[1:] <= positive("tolerance", tolerance)) + 1
        if meets.size == 0:
            raise ValueError(
                f"tolerance must be at least {jumps[1:].min():.3g}, the least error of a jump, got {tolerance}"
            )
        best = float(np.log(sigmas[meets[-1]]))
    return TeleportPlan(
        sigma_start=float(np.exp(best)),
        power=_local_power(path, path_gaps, float(np.exp(best))),
        sigmas=sigmas,
        jump_error=jumps,
        total_error=total,
        denoiser_gap=gaps,
        steps=number,
        reference_steps=many if before else 0,
        evaluations=int(work),
    )


def _along_gaussian_path(
    denoiser: RowDenoiser, population: Population, noise: FloatArray, sigmas: FloatArray, top: float
) -> tuple[FloatArray, FloatArray]:
    """At each level (S,): root mean square of ΔD, and the typical size of what a jump to it misses in the samples."""
    values, gaussian = population.eigenvalues, GaussianScore(population)
    gaps, missed, integral = np.empty(sigmas.size), np.empty(sigmas.size), np.zeros_like(noise)
    before = None
    for place, level in enumerate(sigmas):
        x = jump(population, noise, level, sigma_max=top)
        gap = evaluate_rows(denoiser, x, float(level)) - gaussian(x, level)
        gaps[place] = _rms(gap)
        integrand = _linear(population, gap, 1 / np.sqrt(level**2 + values), 1 / level)
        if before is not None:  # trapezoidal rule in ln s
            integral = integral + 0.5 * np.log(sigmas[place - 1] / level) * (before + integrand)
        before = integrand
        missed[place] = typical_error(_linear(population, integral, np.sqrt(values), 0.0))
    return gaps, missed


def _tail(population: Population, gap: FloatArray, start: float, top: float, power: float) -> FloatArray:
    """δ(σ′) for ΔD(s) = ΔD(σ′)(σ′/s)ᵖ above σ′, (B, d)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    length = np.log(top / start)
    s = start * np.exp(0.5 * length * (nodes + 1))
    weight = 0.5 * length * weights * (start / s) ** power
    values = population.eigenvalues[:, None]
    gains = np.sqrt(start**2 + values[:, 0]) * (weight / np.sqrt(s**2 + values)).sum(axis=1)
    return _linear(population, gap, gains, start * float((weight / s).sum()))


def _linear(population: Population, vectors: FloatArray, gains: FloatArray, null_gain: float) -> FloatArray:
    """f(Σ) of vectors that are no points: without the mean."""
    return population.apply(vectors + population.mean, gains, null_gain=null_gain) - population.mean


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def typical_error(differences: FloatArray) -> float:
    """Mean over rows of their root mean square: one seed that falls to another attractor does not outweigh all others."""
    return float(np.mean(np.sqrt(np.mean(differences**2, axis=1))))


def _least(x: FloatArray, y: FloatArray) -> float:
    """Where a parabola through the least point and its neighbours is least; the point itself at an end."""
    place = int(np.argmin(y))
    if place in (0, len(x) - 1):
        return float(x[place])
    near = slice(place - 1, place + 2)
    a, b, _ = np.polyfit(x[near] - x[place], y[near], 2)  # a > 0: the middle is the least
    return float(np.clip(x[place] - b / (2 * a), x[near].min(), x[near].max()))


def _local_power(sigmas: FloatArray, gaps: FloatArray, start: float) -> float:
    """Exponent p of ΔD ∝ σ⁻ᵖ over the factor of three above σ′."""
    near = (sigmas >= start * 0.999) & (sigmas <= 3 * start) & (gaps > 0)
    if near.sum() < 2:
        return 2.0
    slope = np.polyfit(np.log(sigmas[near]), np.log(gaps[near]), 1)[0]
    return float(np.clip(-slope, *_POWERS))
