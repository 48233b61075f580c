"""Populations and schedules of the tests of trajectories, with dense solutions to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import kappaflow as kf
from kappaflow.lens.trajectories import (
    Schedule,
)

D = 12


SCHEDULES: dict[str, tuple[Schedule, float, float]] = {  # schedule, first and last time
    "ve": (Schedule.ve(), 80.0, 0.002),
    "vp": (Schedule.vp(), 1.0, 1e-3),
    "sub_vp": (Schedule.sub_vp(), 1.0, 1e-2),
    "flow": (Schedule.flow(), 1.0, 1e-3),
}


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def some_population(rank: int, seed: int = 0, top: float = 170.0, bottom: float = 0.01, dim: int = D) -> kf.Population:
    """Eigenvalues over several decades in a random basis, with a mean that leaves the modes' span too."""
    basis = np.linalg.qr(rng(seed).standard_normal((dim, dim)))[0][:, :rank]
    values = np.geomspace(top, bottom, rank)
    return kf.Population(
        values, np.ones(rank), dimension=dim, mean=rng(seed + 1).standard_normal(dim), eigenvectors=basis
    )


def dense(population: kf.Population) -> np.ndarray:
    u = population.eigenvectors
    assert u is not None
    return (u * population.eigenvalues) @ u.T


def dense_outcome(population: kf.Population, schedule: Schedule, t: float, x: np.ndarray) -> np.ndarray:
    """E[x₀ | x_t = x] by a dense solve, from the joint Gaussian law of x₀ and x_t; x is (d,) or (d, B)."""
    alpha, sigma, cov = float(schedule.alpha(t)), float(schedule.sigma(t)), dense(population)
    mean = population.mean if x.ndim == 1 else population.mean[:, None]
    noised = alpha**2 * cov + sigma**2 * np.eye(len(cov))
    return np.asarray(mean + alpha * cov @ np.linalg.solve(noised, x - alpha * mean))


def velocity(population: kf.Population, schedule: Schedule) -> Callable[[float, np.ndarray], np.ndarray]:
    """dx/dt = α' E[x₀ | x] + σ' E[z | x], derivatives of the schedule by complex steps (exact to rounding)."""

    def of(t: float, flat: np.ndarray) -> np.ndarray:
        x = flat.reshape(population.dimension, -1)
        z: Any = np.asarray(t + 1e-30j)
        rates = [float(np.imag(np.asarray(f(z) + 0j)) / 1e-30) for f in (schedule.scale, schedule.noise)]
        clean = dense_outcome(population, schedule, t, x)
        noise = (x - float(schedule.alpha(t)) * clean) / float(schedule.sigma(t))
        return np.asarray(rates[0] * clean + rates[1] * noise).ravel()

    return of


def solve(population: kf.Population, schedule: Schedule, x: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(S, d, B) states by DOP853."""
    answer = solve_ivp(
        velocity(population, schedule), (times[0], times[-1]), x.ravel(), "DOP853", times, rtol=1e-13, atol=1e-14
    )
    assert answer.success
    return np.asarray(answer.y.T.reshape(len(times), *x.shape))


def gaussian(population: kf.Population) -> Callable[[np.ndarray, Any], np.ndarray]:
    return lambda x, s: population.apply(x, population.eigenvalues / (population.eigenvalues + s**2))
