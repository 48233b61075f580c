"""Everything that the page on teleport shows: error against evaluations, with and without a jump over the first steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..._checks import FloatArray, integer, integers, positive
from ..._progress import StepProgress
from ..._progress import steps as named_steps
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...models.rows import KnownLevels, RowDenoiser, evaluate_rows, known_levels
from ...models.scores import MixtureScore, distinct_rows
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN, heun, noise_schedule
from .jumps import teleport, typical_error
from .planning import TeleportPlan, plan_teleport

__all__ = ["WAYS", "NamedDenoiser", "TeleportStudy", "mixture_of_data", "teleport_study"]

#: Ways to sample, in the order of the figures.
WAYS = ("from σ_max", "teleport, old grid", "teleport", "teleport, corrected")
#: Seeds whose samples are kept for the pictures.
_SHOWN = 8
#: Gaussians that stand for the data, at most, and distinct samples for each, at least.
_COMPONENTS, _PER_COMPONENT = 10, 20
#: A jump pays only where sampling starts at so many times the largest standard deviation of the data, or above.
_FAR = 2.0


@dataclass(frozen=True, repr=False)
class TeleportStudy(ShortRepr, Tabular):
    """The hybrid sampler with one denoiser, for several numbers of steps.

    Attributes
    ----------
    shape : of one sample
    denoiser : name of the denoiser, shown to people
    eigenvalue : the largest of the population
    sigma_max : noise level at which sampling starts
    calibration, seeds : number of seeds from which σ′ was chosen, and of other seeds, on which errors are measured
    plans : one for each number of steps
    evaluations, errors : way → (N,) evaluations of the denoiser for each sample, and distances from samples with many steps
        (root mean squares over pixels, averaged over seeds)
    reference_steps : number of these many steps
    shown : way → (Z, d) samples of a few seeds with the fewest steps; also "many steps"
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

    @property
    def starts_far(self) -> bool:
        """Whether sampling starts far above the data, so that there is a nearly linear part to jump over."""
        return self.sigma_max >= _FAR * float(np.sqrt(self.eigenvalue))

    def _columns(self) -> Columns:
        columns: dict[str, Any] = {
            "steps": [plan.steps for plan in self.plans],
            "sigma_start": [plan.sigma_start for plan in self.plans],
            "power": [plan.power for plan in self.plans],
        }
        for way in self.errors:
            columns[f"{way}, evaluations"], columns[f"{way}, error"] = self.evaluations[way], self.errors[way]
        return columns


class NamedDenoiser(NamedTuple):
    """A denoiser with its name.

    Attributes
    ----------
    denoiser : D(x, σ) of rows
    name : shown to people
    """

    denoiser: RowDenoiser
    name: str


def mixture_of_data(samples: FloatArray, *, seed: int = 0) -> NamedDenoiser:
    """A denoiser that represents the data if there is no network: the exact denoiser of up to ten Gaussians fitted to them.

    There are fewer Gaussians if there are fewer than 20 distinct samples for each.

    Parameters
    ----------
    samples : (N, d)
    seed : of the clusters

    Raises
    ------
    ValueError
        There are no samples, or an entry is NaN or infinite.
    """
    count = max(1, min(_COMPONENTS, distinct_rows(samples) // _PER_COMPONENT))
    gaussians = "1 Gaussian" if count == 1 else f"{count} Gaussians"
    return NamedDenoiser(
        MixtureScore.fit(samples, count, seed=seed), f"the exact denoiser of {gaussians} fitted to the data"
    )


def teleport_study(
    denoiser: RowDenoiser,
    population: Population,
    *,
    name: str,
    steps: Sequence[int] = (6, 8, 12, 18),
    seeds: int = 64,
    sigma_max: float = SIGMA_MAX,
    seed: int = 0,
    progress: StepProgress = None,
) -> TeleportStudy:
    """Choose σ′ from some seeds for each number of steps, and measure every way of sampling on as many other seeds.

    Parameters
    ----------
    denoiser : of rows (B, d). The sampler stays within the noise levels that it knows, if it says which; see
        :func:`~kappaflow.models.rows.known_levels`
    population : mean and covariance of its data
    name : of the denoiser, shown to people
    steps : numbers of steps of the solver
    seeds : number of seeds for the choice, and of other seeds for the errors
    sigma_max, seed : standard deviation, at most that which the denoiser knows, and seed of the initial noise
    progress : True for a progress bar, or a function that is called with a step and the fraction that is done

    Raises
    ------
    ValueError
        There is no number of steps or one below 2, there are fewer than 2 seeds, sigma_max is not above half of the data's root
        mean square, or an output of the denoiser is not valid.
    """
    numbers = sorted(set(integers("steps", steps, 2, what="number of steps")))
    if not numbers:
        raise ValueError("steps must hold at least one number of steps, got none")
    count, known = integer("seeds", seeds, 2), known_levels(denoiser)
    ends = KnownLevels(max(known.low, SIGMA_MIN), min(known.high, positive("sigma_max", sigma_max)))
    low, top = ends
    z = top * np.random.default_rng(seed).standard_normal((2 * count, population.dimension))
    many = max(8 * numbers[-1], 96)
    with named_steps(progress, "teleport") as report:
        report("many steps, to measure against", 0.0)
        truth = heun(
            lambda x, level: evaluate_rows(denoiser, x, level), z, noise_schedule(many, top, sigma_min=low).tolist()
        )
        plans = []
        evaluations: dict[str, list[int]] = {way: [] for way in WAYS}
        errors: dict[str, list[float]] = {way: [] for way in WAYS}
        shown: dict[str, FloatArray] = {}
        for i, number in enumerate(numbers):
            report(f"{number} steps", (i + 1) / (len(numbers) + 1))
            plan = plan_teleport(
                denoiser, population, z[:count], steps=number, sigma_max=top, sigma_min=low, reference=truth[:count]
            )
            plans.append(plan)
            for way in WAYS:
                drawn = _sample(denoiser, population, z[count:], plan, way, ends)
                evaluations[way].append(drawn.evaluations)
                errors[way].append(typical_error(drawn.samples - truth[count:]))
                if i == 0:
                    shown[way] = drawn.samples[:_SHOWN]
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


class _Drawn(NamedTuple):
    """Samples (B, d), and evaluations of the denoiser for each of them."""

    samples: FloatArray
    evaluations: int


def _sample(
    denoiser: RowDenoiser, population: Population, noise: FloatArray, plan: TeleportPlan, way: str, ends: KnownLevels
) -> _Drawn:
    """Samples of one way."""
    if way == WAYS[0]:
        grid: Any = noise_schedule(plan.steps, ends.high, sigma_min=ends.low).tolist()
        samples = heun(lambda x, level: evaluate_rows(denoiser, x, level), noise, grid)
        return _Drawn(samples, 2 * plan.steps - 1)
    jumped = teleport(
        denoiser,
        population,
        noise,
        plan.sigma_start,
        steps=plan.steps,
        sigma_max=ends.high,
        sigma_min=ends.low,
        regrid=way != WAYS[1],
        correction=plan.power if way == WAYS[3] else None,
    )
    return _Drawn(jumped.samples, jumped.evaluations)
