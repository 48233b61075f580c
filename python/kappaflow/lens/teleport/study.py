"""Everything that the page on teleport shows: error against evaluations, with the first steps in one jump and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, positive
from ...models.rows import RowDenoiser, evaluate_rows
from ...population import Population
from ...sampling import SIGMA_MAX, heun, noise_schedule
from .jumps import TeleportPlan, plan_teleport, teleport, typical_error

__all__ = ["WAYS", "TeleportStudy", "teleport_study"]

#: Ways to sample, in the order of the figures.
WAYS = ("from σ_max", "teleport, old grid", "teleport", "teleport, corrected")
_SHOWN = 8


@dataclass(frozen=True)
class TeleportStudy:
    """The hybrid sampler with one denoiser, for several numbers of steps.

    Attributes
    ----------
    shape : of one sample
    denoiser : what it is
    eigenvalue : the largest of the population
    sigma_max : where sampling starts
    calibration, seeds : seeds that chose σ′, and others that the errors are of
    plans : for each number of steps
    evaluations, errors : way → (N,) evaluations of the denoiser for each sample, and errors (root mean squares over pixels, mean
        over seeds) against many steps
    reference_steps : of what they are measured against
    shown : way → (Z, d) samples of a few seeds with the fewest steps, and "many steps"
    """

    shape: tuple[int, ...]
    denoiser: str
    eigenvalue: float
    sigma_max: float
    calibration: int
    seeds: int
    plans: tuple[TeleportPlan, ...]
    evaluations: Mapping[str, FloatArray]
    errors: Mapping[str, FloatArray]
    reference_steps: int
    shown: Mapping[str, FloatArray]


def teleport_study(
    denoiser: RowDenoiser,
    population: Population,
    *,
    name: str,
    steps: Sequence[int] = (6, 8, 12, 18),
    seeds: int = 64,
    sigma_max: float = SIGMA_MAX,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> TeleportStudy:
    """Choose σ′ on some seeds for each number of steps, and measure every way of sampling on as many others.

    Parameters
    ----------
    denoiser : of rows (B, d)
    population : mean and covariance of its data
    name : what the denoiser is, for people
    steps : of the solver, ascending
    seeds : for the choice, and again for the errors
    sigma_max, seed : of the initial noise
    progress : called with a step and the fraction done

    Raises
    ------
    ValueError : bad settings; a bad answer of the denoiser
    """
    numbers = sorted({integer("steps", number, 2) for number in steps})
    if not numbers:
        raise ValueError("steps must hold at least one number of steps, got none")
    count, top = integer("seeds", seeds, 2), positive("sigma_max", sigma_max)
    told = (lambda step, fraction: None) if progress is None else progress
    z = top * np.random.default_rng(seed).standard_normal((2 * count, population.dimension))
    many = max(8 * numbers[-1], 96)
    told("many steps, to measure against", 0.0)
    truth = heun(lambda x, level: evaluate_rows(denoiser, x, level), z, noise_schedule(many, top).tolist())
    plans = []
    evaluations: dict[str, list[int]] = {way: [] for way in WAYS}
    errors: dict[str, list[float]] = {way: [] for way in WAYS}
    shown: dict[str, FloatArray] = {}
    for place, number in enumerate(numbers):
        told(f"{number} steps", (place + 1) / (len(numbers) + 1))
        plan = plan_teleport(denoiser, population, z[:count], steps=number, sigma_max=top, reference=truth[:count])
        plans.append(plan)
        for way in WAYS:
            samples, used = _sample(denoiser, population, z[count:], plan, way, top)
            evaluations[way].append(used)
            errors[way].append(typical_error(samples - truth[count:]))
            if place == 0:
                shown[way] = samples[:_SHOWN]
    return TeleportStudy(
        shape=population.shape,
        denoiser=name,
        eigenvalue=float(population.eigenvalues[0]),
        sigma_max=top,
        calibration=count,
        seeds=count,
        plans=tuple(plans),
        evaluations={way: np.array(each, dtype=np.float64) for way, each in evaluations.items()},
        errors={way: np.array(each) for way, each in errors.items()},
        reference_steps=many,
        shown={"many steps": truth[count : count + _SHOWN], **shown},
    )


def _sample(
    denoiser: RowDenoiser, population: Population, noise: FloatArray, plan: TeleportPlan, way: str, top: float
) -> tuple[FloatArray, int]:
    """Samples and evaluations of one way."""
    if way == WAYS[0]:
        grid: Any = noise_schedule(plan.steps, top).tolist()
        return heun(lambda x, level: evaluate_rows(denoiser, x, level), noise, grid), 2 * plan.steps - 1
    found = teleport(
        denoiser, population, noise, plan.sigma_start, steps=plan.steps, sigma_max=top,
        regrid=way != WAYS[1], correction=plan.power if way == WAYS[3] else None,
    )  # fmt: skip
    return found.samples, found.evaluations
