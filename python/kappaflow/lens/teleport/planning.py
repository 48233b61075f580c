"""Choice of the noise level σ′ to jump to, from the measured errors of a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..._checks import FloatArray, integer, positive, real_array
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...models.rows import RowDenoiser, evaluate_rows
from ...models.scores import GaussianScore
from ...population import Population
from ...sampling import SIGMA_MAX, heun, noise_schedule
from .jumps import jump, linear_map, lowest_level, root_mean_square, teleport, typical_error

__all__ = ["TeleportPlan", "plan_teleport"]

#: Range in which the fitted exponent of ΔD against noise is believed.
_POWERS = (0.5, 4.0)
#: Exponent where there are too few levels for a fit: that of the far field.
_FAR_POWER = 2.0
#: Least number of noise levels of the integral along the Gaussian path. The trapezoidal rule is then good to about 1e-3 over
#: five decades.
_PATH_LEVELS = 96
#: The reference solver has so many times the steps of the solver, and at least so many: at second order its own error is then
#: 1/64 of the solver's.
_REFERENCE, _LEAST_REFERENCE = 8, 96


@dataclass(frozen=True, repr=False)
class TeleportPlan(ShortRepr, Tabular):
    """Loss of accuracy for each σ′, measured on some seeds.

    Errors of samples are root mean squares over pixels, averaged over seeds.

    Attributes
    ----------
    sigma_start : the best σ′ for this number of steps, or the smallest σ′ whose jump meets the tolerance
    power : exponent p of ΔD ∝ σ⁻ᵖ above it, for the correction
    sigmas : (S,) descending candidates; the first is sigma_max, which is the plain sampler
    jump_error : (S,) of the jump alone, predicted to first order from the denoiser along the Gaussian path
    total_error : (S,) of jump and solver together, compared with the solver with many steps
    denoiser_gap : (S,) root mean square of ΔD along the Gaussian path
    steps : of the solver
    reference_steps : number of steps of the accurate solver, 0 if its samples were given
    evaluations : number of evaluations of the denoiser for each seed
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

    def _columns(self) -> Columns:
        return {
            "sigma": self.sigmas,
            "jump_error": self.jump_error,
            "total_error": self.total_error,
            "denoiser_gap": self.denoiser_gap,
        }


def plan_teleport(
    denoiser: RowDenoiser,
    population: Population,
    noise: Any,
    *,
    steps: int = 8,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float | None = None,
    candidates: int = 16,
    tolerance: float | None = None,
    reference: FloatArray | None = None,
    progress: Callable[[float], None] | None = None,
) -> TeleportPlan:
    r"""Choose σ′ for a solver with a given number of steps, from some seeds; 100 to 200 are enough.

    The error of the jump alone is predicted to first order. That of jump and solver together is measured by comparison with the
    plain solver with eight times the steps, because a first-order estimate does not include seeds that lie between two
    attractors, and these contribute to the error.

    Parameters
    ----------
    denoiser, population : as for :func:`~kappaflow.lens.teleport.teleport`
    noise : (B, d) x_T of the seeds
    steps : number of steps of the solver below σ′
    sigma_max, sigma_min : ends of the grid; by default the lower one is the smallest level that the denoiser knows, at least 0.002
    candidates : number of noise levels to try, evenly spaced in their logarithm from sigma_max down to half of the data's root
        mean square
    tolerance : if given, choose the smallest σ′ whose jump error is at most this, instead of the σ′ of least total error
    reference : (B, d) samples of the denoiser from `noise` with many steps, if they are known
    progress : called with the fraction that is done

    Raises
    ------
    ValueError
        sigma_max is not above half of the data's root mean square, the noise has no rows, the reference has another shape, no
        candidate meets the tolerance, or an output of the denoiser is not valid.
    """
    count, top = integer("candidates", candidates, 4), positive("sigma_max", sigma_max)
    number, rows = integer("steps", steps, 2), real_array("noise", noise)
    low = lowest_level(denoiser, sigma_min)
    lowest = max(0.5 * float(np.sqrt(population.total_variance / population.dimension)), 10 * low)
    if lowest >= top:
        raise ValueError(f"sigma_max must be above half the data's root mean square, {lowest:.4g}, got {top}")
    sigmas = np.geomspace(top, lowest, count)
    many = max(_REFERENCE * number, _LEAST_REFERENCE)
    before = 0 if reference is not None else 2 * many - 1
    finer = -(-_PATH_LEVELS // (count - 1))  # levels of the integral for each candidate
    path = np.geomspace(top, lowest, finer * (count - 1) + 1)
    work = float(before + path.size + count * (2 * number - 1))  # evaluations
    if reference is None:
        grid = noise_schedule(many, top, sigma_min=low).tolist()
        reference = heun(lambda x, level: evaluate_rows(denoiser, x, level), rows, grid)
    elif reference.shape != rows.shape:
        raise ValueError(f"reference must have the shape of noise {rows.shape}, got {reference.shape}")
    if progress is not None:
        progress(before / work)
    along = _along_gaussian_path(denoiser, population, rows, path, top)
    gaps, jumps = along.gaps[::finer], along.missed[::finer]
    total = np.empty(count)
    for i, start in enumerate(sigmas):
        jumped = teleport(denoiser, population, rows, start, steps=number, sigma_max=top, sigma_min=low)
        total[i] = typical_error(jumped.samples - reference)
        if progress is not None:
            progress((before + path.size + (i + 1) * (2 * number - 1)) / work)
    if tolerance is None:
        best = _least(np.log(sigmas), np.log(np.maximum(total, np.finfo(np.float64).tiny)))  # an error can be 0
    else:
        best = _smallest_within(sigmas, jumps, positive("tolerance", tolerance))
    return TeleportPlan(
        sigma_start=float(np.exp(best)),
        power=_local_power(path, along.gaps, float(np.exp(best))),
        sigmas=sigmas,
        jump_error=jumps,
        total_error=total,
        denoiser_gap=gaps,
        steps=number,
        reference_steps=many if before else 0,
        evaluations=int(work),
    )


class _AlongPath(NamedTuple):
    """At each level (S,): root mean square of ΔD, and typical size of what a jump to it misses in the samples."""

    gaps: FloatArray
    missed: FloatArray


def _along_gaussian_path(
    denoiser: RowDenoiser, population: Population, noise: FloatArray, sigmas: FloatArray, top: float
) -> _AlongPath:
    values, gaussian = population.eigenvalues, GaussianScore(population)
    gaps, missed, integral = np.empty(sigmas.size), np.empty(sigmas.size), np.zeros_like(noise)
    before = None
    for i, level in enumerate(sigmas):
        x = jump(population, noise, level, sigma_max=top)
        gap = evaluate_rows(denoiser, x, float(level)) - gaussian(x, level)
        gaps[i] = root_mean_square(gap)
        integrand = linear_map(population, gap, 1 / np.sqrt(level**2 + values), 1 / level)
        if before is not None:  # trapezoidal rule in ln s
            integral = integral + 0.5 * np.log(sigmas[i - 1] / level) * (before + integrand)
        before = integrand
        missed[i] = typical_error(linear_map(population, integral, np.sqrt(values), 0.0))
    return _AlongPath(gaps, missed)


def _smallest_within(sigmas: FloatArray, jumps: FloatArray, tolerance: float) -> float:
    """ln of the smallest σ′ whose jump error is at most the tolerance."""
    meets = np.flatnonzero(jumps[1:] <= tolerance) + 1
    if meets.size == 0:
        raise ValueError(
            f"tolerance must be at least {jumps[1:].min():.3g}, the least error of a jump, got {tolerance}"
        )
    return float(np.log(sigmas[meets[-1]]))


def _least(x: FloatArray, y: FloatArray) -> float:
    """Minimum of a parabola through the least point and its neighbours; the point itself at an end."""
    i = int(np.argmin(y))
    if i in (0, len(x) - 1):
        return float(x[i])
    near = slice(i - 1, i + 2)
    a, b, _ = np.polyfit(x[near] - x[i], y[near], 2)  # a > 0: the middle is the least
    return float(np.clip(x[i] - b / (2 * a), x[near].min(), x[near].max()))


def _local_power(sigmas: FloatArray, gaps: FloatArray, start: float) -> float:
    """Exponent p of ΔD ∝ σ⁻ᵖ over the factor of three above σ′."""
    near = (sigmas >= start * 0.999) & (sigmas <= 3 * start) & (gaps > 0)
    if near.sum() < 2:
        return _FAR_POWER
    slope = np.polyfit(np.log(sigmas[near]), np.log(gaps[near]), 1)[0]
    return float(np.clip(-slope, *_POWERS))
