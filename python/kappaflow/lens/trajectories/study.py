"""Everything that the page on trajectories shows, for one population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, integer, integers, positive
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...laws import DEFAULT_LAW, law_spec
from ...moments import has_variance
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN
from ...splits import Splits
from .emergence import SamplingEmergence, sampling_emergence
from .probability_flow import Trajectory, outcome_gains, state_gains, trajectory
from .sample_law import SampleLaw, sample_law
from .samplers import METHODS, sampler_gains
from .schedules import Schedule
from .training_sets import ModeSpread, mode_spread, trajectory_covariance

__all__ = ["SamplerError", "TrajectoriesStudy", "trajectories_study"]

_CURVE_POINTS = 97
_SPREAD_POINTS = 25
_CORRELATION_POINTS = 13
_CORRELATION_SEEDS = 8
_FILM_POINTS = 7


@dataclass(frozen=True, repr=False)
class SamplerError(ShortRepr, Tabular):
    """How a finite number of steps changes the variance of each mode of a Gaussian model.

    Attributes
    ----------
    method : "euler" (DDIM) or "heun"
    steps : number of steps, on the "power" grid of noise levels
    factors : (k,) variance of its samples divided by that of the exact ODE
    """

    method: str
    steps: int
    factors: FloatArray

    def _columns(self) -> Columns:
        return {"mode": np.arange(1, self.factors.size + 1), "factor": self.factors}


@dataclass(frozen=True, repr=False)
class TrajectoriesStudy(Tabular):
    """Sampling by the Gaussian model of a population, and by models of n samples.

    Attributes
    ----------
    shape : of one sample
    eigenvalues, mean_coordinates : (k,) of the population, uₖᵀμ
    modes : (M,) indices of the modes that are shown individually
    schedule : of the curves: variance exploding, so that time is the noise level
    noise_levels : (S,) of the curves, decreasing
    state_gains, outcome_gains : (S, M) ψ, and ξ in units of √λ/σ_T, the share of the standard deviation that has emerged
    emergence : at half of the final outcome, for all modes
    emergence_times : name of a schedule → (k,) time at which each mode emerges, divided by `t_max`
    film : a few seeds at a few noise levels
    law, exact_law : laws of samples that start from N(0, σ_T² I), and of samples that start from the law of noised data
    sampler_errors : by method and steps
    n : training-set sizes, ascending
    law_name : law of the splits
    spread_levels : (L,) noise levels of the spread
    spreads : one for each n, of all modes
    relative_spread : (len(n), L) root mean square difference of the outcomes of two models, divided by that of two unrelated
        outcomes
    correlation_levels : (C,) noise levels
    correlations : (len(n), C, M) correlation over training sets between the deviation of a mode's outcome at each level and its
        deviation at the end, pooled over seeds
    """

    shape: tuple[int, ...]
    eigenvalues: FloatArray
    mean_coordinates: FloatArray
    modes: npt.NDArray[np.int64]
    schedule: Schedule
    noise_levels: FloatArray
    state_gains: FloatArray
    outcome_gains: FloatArray
    emergence: SamplingEmergence
    emergence_times: dict[str, FloatArray]
    film: Trajectory
    law: SampleLaw
    exact_law: SampleLaw
    sampler_errors: tuple[SamplerError, ...]
    n: tuple[int, ...]
    law_name: str
    spread_levels: FloatArray
    spreads: tuple[ModeSpread, ...]
    relative_spread: FloatArray
    correlation_levels: FloatArray
    correlations: FloatArray

    def _columns(self) -> Columns:
        """One row for each mode."""
        return {
            "mode": np.arange(1, self.eigenvalues.size + 1),
            "eigenvalue": self.eigenvalues,
            "mean": self.mean_coordinates,
            "emergence_noise_level": self.emergence.noise_level,
            **{f"emergence_time, {name}": times for name, times in self.emergence_times.items()},
            **{f"variance, {error.method} {error.steps} steps": error.factors for error in self.sampler_errors},
        }

    def __repr__(self) -> str:
        sizes = ", ".join(str(n) for n in self.n)
        return (
            f"TrajectoriesStudy(shape={self.shape}, {self.eigenvalues.size} modes, n = {sizes}, {self.law_name} law, "
            f"{self.noise_levels.size} noise levels)"
        )


def trajectories_study(
    population: Population,
    *,
    n: Sequence[int] | None = None,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
    modes: int = 6,
    seeds: int = 3,
    steps: Sequence[int] = (10, 18, 50),
    law: str = DEFAULT_LAW,
    seed: int = 0,
) -> TrajectoriesStudy:
    """Closed-form trajectories of a population, and their spread over training sets.

    Parameters
    ----------
    population : with modes of multiplicity 1
    n : training-set sizes; by default a 16th, a quarter and all of the population's samples, or d, 4d and 16d if it is exact
    sigma_max, sigma_min : noise levels at which sampling starts and ends
    modes : number of modes that are shown individually, evenly spaced in the logarithm of their index
    seeds : number of initial states that are followed
    steps : numbers of steps of the samplers whose errors are shown
    law : of :class:`~kappaflow.Splits`
    seed : seed of the initial states

    Raises
    ------
    TypeError
        `population` is not a Population.
    ValueError
        Multiplicities are above 1, noise levels are out of order, there is no training-set size or one below 2, or no modes,
        seeds or steps.
    """
    if not isinstance(population, Population):
        raise TypeError(f"population must be a Population, got {type(population).__name__}")
    values = population.eigenvalues
    if np.any(population.multiplicity != 1):
        raise ValueError("population must have modes of multiplicity 1, got higher ones")
    schedule = Schedule.ve(positive("sigma_max", sigma_max), sigma_min)
    shown = _shown_modes(values, integer("modes", modes, 1))
    levels = schedule.grid(_CURVE_POINTS - 1, spacing="log", stop=_bottom(schedule))
    film_levels = _film_levels(values, schedule)
    rng = np.random.default_rng(seed)
    initial = sigma_max * rng.standard_normal((integer("seeds", seeds, 1), population.dimension))
    sizes = _sizes(population, n)
    spread_levels = schedule.grid(_SPREAD_POINTS - 1, spacing="log", stop=_bottom(schedule))
    correlation_levels = schedule.grid(_CORRELATION_POINTS - 1, spacing="log", stop=_bottom(schedule))
    splits = [Splits(population, size, law=law) for size in sizes]
    spreads = tuple(mode_spread(ensemble, schedule, spread_levels) for ensemble in splits)
    several = sigma_max * rng.standard_normal((_CORRELATION_SEEDS, population.dimension))
    root = np.sqrt(values[shown])
    return TrajectoriesStudy(
        shape=population.shape,
        eigenvalues=values,
        mean_coordinates=-population.coordinates(np.zeros((1, population.dimension)))[0],
        modes=shown,
        schedule=schedule,
        noise_levels=levels,
        state_gains=state_gains(values[shown], schedule, levels),
        outcome_gains=outcome_gains(values[shown], schedule, levels) * sigma_max / root,
        emergence=sampling_emergence(values, schedule),
        emergence_times=_emergence_times(values),
        film=trajectory(population, schedule, initial, film_levels),
        law=sample_law(population, schedule),
        exact_law=sample_law(population, schedule, initial="exact"),
        sampler_errors=_sampler_errors(values, schedule, steps),
        n=sizes,
        law_name=law_spec(law).name,
        spread_levels=spread_levels,
        spreads=spreads,
        relative_spread=np.stack([_relative(spread) for spread in spreads]),
        correlation_levels=correlation_levels,
        correlations=np.stack(
            [_correlations(ensemble, schedule, several, shown, correlation_levels) for ensemble in splits]
        ),
    )


def _bottom(schedule: Schedule) -> float:
    """End of the curves: a logarithmic axis has no room for no noise."""
    return schedule.t_min if schedule.t_min > 0 else 1e-5 * schedule.t_max


def _shown_modes(values: FloatArray, count: int) -> npt.NDArray[np.int64]:
    """Indices of modes with variance, evenly spaced in the logarithm of their number."""
    top = int(has_variance(values).sum())
    return np.unique(np.round(np.geomspace(1, top, min(count, top))).astype(np.int64)) - 1


def _film_levels(values: FloatArray, schedule: Schedule) -> FloatArray:
    """Start and end, and between them the noise levels around which the modes emerge."""
    high = min(4 * float(np.sqrt(values[0])), 0.5 * schedule.t_max)
    low = max(0.1 * float(np.sqrt(values.sum() / values.size)), 2 * schedule.t_min, 1e-3 * high)
    if low >= high:
        return schedule.grid(_FILM_POINTS - 1, spacing="power")
    return np.concatenate([[schedule.t_max], np.geomspace(high, low, _FILM_POINTS - 2), [schedule.t_min]])


def _sizes(population: Population, n: Sequence[int] | None) -> tuple[int, ...]:
    if n is None:
        held, d = population.sample_size, population.dimension
        chosen = [d, 4 * d, 16 * d] if held is None else [held // 16, held // 4, held]
        return tuple(sorted({max(size, 8 if held is None else min(8, held)) for size in chosen}))
    sizes = tuple(sorted(set(integers("n", n, 2, what="training-set size"))))
    if not sizes:
        raise ValueError("n must hold at least one training-set size, got none")
    return sizes


def _emergence_times(values: FloatArray) -> dict[str, FloatArray]:
    schedules = (Schedule.vp(), Schedule.sub_vp(), Schedule.flow())
    return {each.name: sampling_emergence(values, each).time / each.t_max for each in schedules}


def _sampler_errors(values: FloatArray, schedule: Schedule, steps: Sequence[int]) -> tuple[SamplerError, ...]:
    exact = state_gains(values, schedule, [schedule.t_max, schedule.t_min])[1]
    errors = []
    for method in METHODS:
        for count in steps:
            gains = sampler_gains(values, schedule.grid(count, spacing="power"), method=method)[-1]
            factors = np.divide(gains, exact, out=np.full(exact.shape, np.nan), where=exact > 0) ** 2
            errors.append(SamplerError(method, int(count), factors))
    return tuple(errors)


def _relative(spread: ModeSpread) -> FloatArray:
    """Root of E‖difference‖² of two models' outcomes for the same seed, over that of two models and two unrelated seeds."""
    variance = np.sum(spread.outcome_std**2, axis=1)
    signal = np.sum((spread.outcome_gain * spread.noise_level[0]) ** 2, axis=1)
    return np.asarray(np.sqrt(variance / (variance + signal)))


def _correlations(splits: Splits, schedule: Schedule, initial: Any, shown: Any, levels: FloatArray) -> FloatArray:
    population = splits.population
    vectors = np.eye(population.dimension) if population.eigenvectors is None else population.eigenvectors
    covariance = trajectory_covariance(splits, schedule, initial, vectors[:, shown].T, levels, kind="outcome")
    pooled = covariance.sum(axis=2)
    std = np.sqrt(np.diagonal(pooled).T)
    return np.asarray(pooled[-1] / (std[-1] * std))
