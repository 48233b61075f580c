"""Schedules and closed-form trajectories against ODE solvers, quadrature and Monte Carlo over drawn training sets."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq
from sklearn.datasets import load_digits

import kappaflow as kf
from kappaflow.lens.trajectories.over_splits import mode_spread, outcome_map, split_trajectory, trajectory_covariance
from kappaflow.lens.trajectories.schedules import Schedule
from kappaflow.lens.trajectories.solution import (
    ddim,
    emergence_noise_level,
    outcome_gains,
    sample_law,
    sampler_gains,
    sampling_emergence,
    state_gains,
    trajectory,
)
from kappaflow.lens.trajectories.study import trajectories_study
from kappaflow.report.lens.trajectories import section

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


# ---------------------------------------------------------------- schedules
def test_variance_preserving_schedules_integrate_their_rate() -> None:
    low, high = 0.3, 12.0
    vp, sub = Schedule.vp(low, high), Schedule.sub_vp(low, high)
    for t in (0.05, 0.4, 1.0):
        alpha = np.exp(-0.5 * quad(lambda u: low + u * (high - low), 0, t, epsabs=1e-14)[0])
        assert vp.alpha(t) == pytest.approx(alpha, rel=1e-13)
        assert vp.sigma(t) == pytest.approx(np.sqrt(1 - alpha**2), rel=1e-13)
        assert sub.alpha(t) == pytest.approx(alpha, rel=1e-13)
        assert sub.sigma(t) == pytest.approx(1 - alpha**2, rel=1e-13)


@pytest.mark.parametrize("name", SCHEDULES)
def test_time_of_inverts_the_noise_level(name: str) -> None:
    schedule = SCHEDULES[name][0]
    times = np.linspace(schedule.t_min, schedule.t_max, 23)[:-1]
    assert np.allclose(schedule.time_of(schedule.noise_level(times)), times, rtol=1e-12, atol=1e-15)
    tiny = schedule.noise_level(schedule.t_min) * 1.001 + 1e-7
    assert schedule.noise_level(schedule.time_of(tiny)) == pytest.approx(tiny, rel=1e-9)
    assert schedule.time_of(schedule.noise_level(schedule.t_max)) == schedule.t_max
    above = np.nextafter(float(schedule.noise_level(schedule.t_max)), np.inf)
    assert np.isnan(schedule.time_of(above)) or np.isinf(above)


def test_time_of_agrees_with_closed_forms() -> None:
    level = np.array([0.0, 1e-6, 0.3, 5.0, 100.0])
    assert np.allclose(Schedule.flow().time_of(level), level / (1 + level), rtol=1e-13, atol=0)
    exponent = np.log1p(level**2)
    expected = 2 * exponent / (0.1 + np.sqrt(0.01 + 2 * 19.9 * exponent))
    assert np.allclose(Schedule.vp().time_of(level), expected, rtol=1e-9, atol=0)


def test_grids() -> None:
    ve = Schedule.ve()
    power = ve.grid(18, spacing="power")
    i = np.arange(19)
    karras = (80 ** (1 / 7) + i / 18 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert np.allclose(power, karras, rtol=1e-12)
    assert np.allclose(np.diff(np.log(ve.grid(5, spacing="log"))), np.log(0.002 / 80) / 5)
    assert np.allclose(Schedule.flow().grid(4), [1, 0.75, 0.5, 0.25, 0])
    grid = Schedule.vp().grid(6, spacing="log", stop=1e-3)
    assert grid[0] == 1.0
    assert grid[-1] == 1e-3
    assert np.all(np.diff(grid) < 0)


def test_a_schedule_is_immutable_and_may_be_any() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Schedule.vp().t_max = 2.0  # type: ignore[misc]
    cosine = Schedule("cosine", lambda t: np.cos(0.5 * np.pi * t), lambda t: np.sin(0.5 * np.pi * t), 0.0, 0.99)
    population = some_population(7)
    times = cosine.grid(5, stop=1e-3)
    x = float(cosine.sigma(0.99)) * rng(3).standard_normal((D, 1))
    exact = solve(population, cosine, x, times)[:, :, 0]
    assert (
        np.abs(trajectory(population, cosine, x[:, 0], times).states[:, 0] - exact).max() < 7e-12 * np.abs(exact).max()
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Schedule.ve(1.0, 2.0), r"t_min must be below t_max = 1.0, got 2.0"),
        (lambda: Schedule.ve(-1.0), r"t_max must be finite and above 0, got -1.0"),
        (lambda: Schedule.vp(-0.1), r"beta_min must be finite and not negative, got -0.1"),
        (lambda: Schedule.vp(30.0, 20.0), r"beta_min must not be above beta_max = 20.0, got 30.0"),
        (lambda: Schedule("x", lambda t: 0.5 - t, np.copy, 0.0, 1.0), r"scale must be finite and above 0 \(0 at t_max"),
        (
            lambda: Schedule("x", np.ones_like, lambda t: t - 0.5, 0.0, 1.0),
            r"noise must be finite and above 0 \(0 at t_min",
        ),
        (lambda: Schedule("x", np.ones_like, lambda t: 1 - 0.5 * t, 0.0, 1.0), r"noise/scale must increase with t"),
        (lambda: Schedule.vp().alpha(1.5), r"t must lie between 0.0 and 1.0, got 1.5"),
        (lambda: Schedule.ve().sigma(0.0), r"t must lie between 0.002 and 80.0, got 0.0"),
        (lambda: Schedule.vp().time_of(-1.0), r"noise_level must not be negative, got -1.0"),
        (lambda: Schedule.vp().grid(0), r"steps must be an integer of at least 1, got 0"),
        (lambda: Schedule.vp().grid(4, spacing="odd"), r"spacing must be one of 'time', 'log', 'power', got 'odd'"),
        (lambda: Schedule.vp().grid(4, start=0.1, stop=0.5), r"start must be above stop = 0.5, got 0.1"),
        (lambda: Schedule.vp().grid(4, spacing="log"), r"stop must have a noise level above 0"),
        (lambda: Schedule.flow().grid(4, spacing="power"), r"start must have a finite noise level"),
        (lambda: Schedule.vp().path([0.1, 0.5]), r"times must decrease, as a sampler passes them, got 0.1 before 0.5"),
        (lambda: Schedule.vp().path([]), r"times must be one-dimensional and not empty"),
        (lambda: Schedule.vp().path([0.0]), r"times must start where there is noise, got t = 0.0"),
    ],
)
def test_schedule_errors(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------- states and outcomes
@pytest.mark.parametrize("rank", [D, 7])
@pytest.mark.parametrize("name", SCHEDULES)
def test_trajectory_solves_the_ode(name: str, rank: int) -> None:
    schedule, first, last = SCHEDULES[name]
    population = some_population(rank)
    times = np.geomspace(first, last, 7)
    times[[0, -1]] = first, last
    x = float(schedule.sigma(first)) * rng(2).standard_normal((D, 2))
    found = trajectory(population, schedule, x.T, times)
    exact = solve(population, schedule, x, times)
    scale = np.abs(exact).max()
    assert np.abs(found.states.transpose(0, 2, 1) - exact).max() < (4e-12 if name == "ve" else 7e-12) * scale
    for i, t in enumerate(times):
        outcome = dense_outcome(population, schedule, float(t), exact[i])
        assert np.abs(found.outcomes[i].T - outcome).max() < 4e-11
    assert np.array_equal(found.states[0], x.T) or np.abs(found.states[0] - x.T).max() < 1e-13 * scale


def test_directions_without_variance_belong_to_the_variance_exploding_path() -> None:
    """A sum over the principal components alone misses the noise that the null directions carry down."""
    population, schedule = some_population(7), Schedule.ve()
    times = np.array([80.0, 13.7, 2.3, 0.002])
    x = 80 * rng(4).standard_normal((D, 1))
    exact = solve(population, schedule, x, times)[:, :, 0]
    found = trajectory(population, schedule, x[:, 0], times).states[:, 0]
    u = population.eigenvectors
    assert u is not None
    components = population.mean + (found - population.mean) @ u @ u.T
    right = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
    wrong = np.linalg.norm(components - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert right.max() < 4e-12
    assert wrong[1] > 0.3
    assert wrong[2] > 0.3
    assert wrong[3] < 0.01  # and nobody sees it in the final sample


def test_null_part_is_the_projector_outside_of_the_modes() -> None:
    """(I − UUᵀ)(x_T − α_T μ); with UᵀU it is the zero operator, of the wrong shape, and the ODE is missed."""
    population, (schedule, first, last) = some_population(7), SCHEDULES["vp"]
    times = np.array([first, 0.5, 0.2, last])
    x = float(schedule.sigma(first)) * rng(5).standard_normal((D, 1))
    exact = solve(population, schedule, x, times)[:, :, 0]
    u = population.eigenvectors
    assert u is not None
    start = x[:, 0] - float(schedule.alpha(first)) * population.mean
    psi = state_gains(population.eigenvalues, schedule, times)
    null = state_gains([0.0], schedule, times)
    inside = schedule.alpha(times)[:, None] * population.mean + (psi * (u.T @ start)) @ u.T
    right = inside + null * (start - u @ (u.T @ start))
    assert np.abs(right - exact).max() < 1e-11 * np.abs(exact).max()
    printed = np.eye(7) - u.T @ u
    assert printed.shape == (7, 7)
    assert np.abs(printed).max() < 1e-14
    assert np.abs(inside - exact).max() > 0.1 * np.abs(exact).max()


def test_outcome_is_the_state_less_its_slope() -> None:
    values, schedule = np.array([170.0, 1.0, 0.01, 0.0]), Schedule.ve(80, 0)
    for sigma in (40.0, 3.0, 0.1):
        h = 1e-4
        psi = state_gains(values, schedule, [80.0, sigma * np.exp(h), sigma, sigma * np.exp(-h)])
        slope = (psi[1] - psi[3]) / (2 * h)
        assert np.allclose(outcome_gains(values, schedule, [80.0, sigma])[1], psi[2] - slope, rtol=0, atol=2e-8)
    end = outcome_gains(values, schedule, [80.0, 0.0])[1]
    assert np.allclose(end, np.sqrt(values / (6400 + values)), rtol=1e-15)


def test_pure_noise_at_the_start_of_a_flow_is_exact() -> None:
    population, flow = some_population(7), Schedule.flow()
    x = rng(6).standard_normal((1, D))
    found = trajectory(population, flow, x, [1.0, 0.0])
    assert np.allclose(found.states[0], x, rtol=1e-15, atol=1e-15)
    assert np.allclose(found.outcomes[0], population.mean, rtol=1e-15)
    root = population.apply(x + population.mean, np.sqrt(population.eigenvalues))
    assert np.allclose(found.states[1], root, rtol=1e-13, atol=1e-13)
    assert np.allclose(found.outcomes[1], root, rtol=1e-13, atol=1e-13)


def test_a_population_without_eigenvectors_has_pixels_for_modes() -> None:
    population, schedule = kf.Population.from_spectrum([4.0, 1.0, 0.0]), Schedule.ve()
    found = trajectory(population, schedule, [[80.0, -8.0, 8.0]], [80.0, 1.0])
    assert np.allclose(found.states[1, 0], [80 * np.sqrt(5 / 6404), -8 * np.sqrt(2 / 6401), 0.1], rtol=1e-14)


# ---------------------------------------------------------------- emergence
@pytest.mark.parametrize("fraction", [0.5, 0.9])
def test_emergence_is_where_the_outcome_passes_the_fraction(fraction: float) -> None:
    values = np.array([170.0, 1.0, 0.01, 1e-5])
    for schedule, first, last in SCHEDULES.values():
        found = sampling_emergence(values, schedule, fraction=fraction, start=first, stop=last)
        for k, value in enumerate(values):

            def gap(t: float, value: float = value, schedule: Schedule = schedule, ends: Any = (first, last)) -> float:
                final = outcome_gains([value], schedule, list(ends))[1, 0]
                here = outcome_gains([value], schedule, [ends[0], t])[1, 0] if t < ends[0] else 0.0
                return float(here / final) - fraction

            time = brentq(gap, last * (1 + 1e-9), first * (1 - 1e-12), xtol=1e-14, rtol=1e-13)
            assert found.time[k] == pytest.approx(time, rel=1e-7)
            assert schedule.noise_level(found.time[k]) == pytest.approx(found.noise_level[k], rel=1e-9)


def test_half_emergence_is_at_the_root_of_three_times_the_variance() -> None:
    level = emergence_noise_level([170.0, 1.0, 0.01, 0.0])
    assert np.allclose(level, np.sqrt([510.0, 3.0, 0.03, 0.0]), rtol=1e-15)
    found = sampling_emergence([170.0, 1.0, 0.0], Schedule.ve(80, 0))
    assert found.standard_gain[0] == pytest.approx(80 / np.sqrt(6570), rel=1e-14)  # 0.987: it saturates below 1
    assert found.final_gain.tolist() == [1.0, 1.0, 0.0]
    assert np.isnan(found.time[2])
    late = sampling_emergence([170.0, 1.0], Schedule.ve(80, 0), start=10.0)
    assert np.isnan(late.time[0])
    assert late.time[1] == pytest.approx(np.sqrt(3), rel=1e-12)


# ---------------------------------------------------------------- law of the samples
@pytest.mark.parametrize("rank", [D, 7])
@pytest.mark.parametrize("name", ["ve", "vp"])
def test_sample_law_is_that_of_the_ode(name: str, rank: int) -> None:
    """The flow is affine: its matrix, solved column by column, moves mean and covariance of the start."""
    schedule, first, last = SCHEDULES[name]
    population = some_population(rank)
    starts = np.concatenate([np.zeros((D, 1)), np.eye(D)], axis=1)
    ends = solve(population, schedule, starts, np.array([first, last]))[1]
    offset, matrix = ends[:, 0], ends[:, 1:] - ends[:, :1]
    m, sigma, alpha = rng(7).standard_normal(D), float(schedule.sigma(first)), float(schedule.alpha(first))
    u = population.eigenvectors
    assert u is not None
    law = sample_law(population, schedule, initial_mean=m, start=first, stop=last)
    covariance = sigma**2 * matrix @ matrix.T
    shown = (u * (law.variances - law.null_variance)) @ u.T + law.null_variance * np.eye(D)
    assert np.abs(law.mean - (offset + matrix @ m)).max() < 1e-11 * sigma
    assert np.abs(shown - covariance).max() < 1e-11 * np.abs(covariance).max()
    exact = sample_law(population, schedule, initial="exact", start=first, stop=last)
    noised = matrix @ (sigma**2 * np.eye(D) + alpha**2 * dense(population)) @ matrix.T
    shown = (u * (exact.variances - exact.null_variance)) @ u.T + exact.null_variance * np.eye(D)
    assert np.abs(shown - noised).max() < 1e-11 * np.abs(noised).max()
    assert np.abs(exact.mean - (offset + matrix @ (alpha * population.mean))).max() < 1e-11 * sigma
    assert np.allclose(exact.factors, 1)
    assert exact.frechet_distance() == 0


def test_start_from_noise_loses_variance_and_mean() -> None:
    """Final ≈ μ + Σ^½ (x_T − μ)/σ_T holds for σ_T² ≫ λ only: the printed form has no missing variance and other mean."""
    population = kf.Population.from_covariance(np.diag([170.0, 1.0]), np.array([2.0, -1.0]))
    schedule = Schedule.ve(80, 0)
    law = sample_law(population, schedule)
    assert np.allclose(law.factors, [6400 / 6570, 6400 / 6401], rtol=1e-14)
    assert law.factors[0] == pytest.approx(0.974, abs=5e-4)
    missing = np.abs(law.mean_error / population.coordinates(np.zeros((1, 2)))[0])
    assert missing == pytest.approx(np.sqrt([170 / 6570, 1 / 6401]), rel=1e-13)
    assert missing[0] == pytest.approx(0.16, abs=2e-3)
    x = 80 * rng(8).standard_normal((2, 1))
    exact = solve(population, Schedule.ve(80, 1e-6), x, np.array([80, 1e-6]))[1][:, 0]
    closed = trajectory(population, schedule, x[:, 0], [80.0, 0.0]).states[1, 0]
    printed = population.mean + np.sqrt([170.0, 1.0]) * (x[:, 0] - population.mean) / 80
    assert np.abs(closed - exact).max() < 1e-5  # 1e-6 of noise is left
    assert np.abs(printed - exact)[0] > 0.01 * np.abs(exact[0])


def test_draws_have_the_law() -> None:
    population, draws = some_population(7), 40_000
    law = sample_law(population, Schedule.ve(20, 0.5))
    x = law.draw(draws, seed=9)
    assert np.array_equal(x, law.draw(draws, seed=9))
    u = population.eigenvectors
    assert u is not None
    inside = (x - law.mean) @ u
    outside = (x - law.mean) - inside @ u.T
    assert np.abs(np.mean(inside**2, axis=0) / law.variances - 1).max() < 5 * np.sqrt(2 / draws)
    assert np.mean(outside**2) * D / 5 == pytest.approx(law.null_variance, rel=5 * np.sqrt(2 / (5 * draws)))
    assert np.all(np.abs(x.mean(axis=0) - law.mean) < 5 * x.std(axis=0) / np.sqrt(draws))


# ---------------------------------------------------------------- samplers in steps
def gaussian(population: kf.Population) -> Callable[[np.ndarray, Any], np.ndarray]:
    return lambda x, s: population.apply(x, population.eigenvalues / (population.eigenvalues + s**2))


@pytest.mark.parametrize("name", ["ve", "vp", "sub_vp"])
@pytest.mark.parametrize("rank", [D, 7])
def test_ddim_is_euler_in_the_noise_level(name: str, rank: int) -> None:
    schedule, first, last = SCHEDULES[name]
    population = some_population(rank)
    x = float(schedule.sigma(first)) * rng(10).standard_normal((3, D))
    errors = []
    for steps in (50, 250, 1250):
        times = schedule.grid(steps, stop=last, spacing="power" if name == "ve" else "time")
        states = ddim(gaussian(population), schedule, x, times)
        exact = trajectory(population, schedule, x, times).states[-1]
        errors.append(np.linalg.norm(states[-1] - exact) / np.linalg.norm(exact))
        gains = sampler_gains(population.eigenvalues, schedule.noise_level(times))[-1]
        scale = float(schedule.alpha(last) / schedule.alpha(first))
        c = (x - float(schedule.alpha(first)) * population.mean) @ population.eigenvectors
        inside = (states[-1] - float(schedule.alpha(last)) * population.mean) @ population.eigenvectors
        assert np.abs(inside - scale * gains * c).max() < 1e-11 * max(1.0, np.abs(inside).max())
    orders = np.log(np.divide(errors[:-1], errors[1:])) / np.log(5)
    assert np.all(np.abs(orders - 1) < 0.1)
    assert errors[-1] < 0.01


def test_heun_gains_are_those_of_a_simulation_of_second_order() -> None:
    values = np.array([170.0, 1.0, 0.01, 0.0])
    levels = np.append(Schedule.ve().grid(9, spacing="power"), 0.0)
    x = np.ones(4)
    for a, b in itertools.pairwise(levels):
        slope = (x - values / (values + a**2) * x) / a
        trial = x + (b - a) * slope
        x = trial if b == 0 else x + 0.5 * (b - a) * (slope + (trial - values / (values + b**2) * trial) / b)
    assert np.allclose(sampler_gains(values, levels, method="heun")[-1], x, rtol=1e-13, atol=1e-16)
    ve = Schedule.ve()
    exact = state_gains(values, ve, [80.0, 0.002])[1]
    errors = [
        np.abs(sampler_gains(values, ve.grid(n, spacing="power"), method="heun")[-1] / exact - 1)[:3].max()
        for n in (200, 800)
    ]
    assert np.log(errors[0] / errors[1]) / np.log(4) == pytest.approx(2, abs=0.1)


# ---------------------------------------------------------------- training sets of n samples
@pytest.mark.parametrize(("rank", "n"), [(D, 100), (D, 8), (7, 30)])
def test_outcome_map_is_a_rule_on_the_nodes_of_the_sampling_map(rank: int, n: int) -> None:
    splits = kf.Splits(some_population(rank), n)
    x = np.geomspace(*splits.support(), 200)
    for sigma, top in ((0.0, 80.0), (0.002, 80.0), (1.0, 20.0), (79.0, 80.0), (3.0, 1e8)):
        f, g = splits.sampling_map(sigma, top), outcome_map(splits, sigma, top)
        exact = x / np.sqrt((x + sigma**2) * (x + top**2))
        assert np.abs(g(x) / exact - 1).max() < 1e-12
        assert g.constant == 0
        assert np.array_equal(g.shifts, f.shifts)
        assert g(0.0) == 0
        if 0 < sigma < 20:
            h = 1e-4
            up, down = splits.sampling_map(sigma * np.exp(h), top), splits.sampling_map(sigma * np.exp(-h), top)
            assert np.allclose(g(x), f(x) - (up(x) - down(x)) / (2 * h), rtol=0, atol=2e-8)


@dataclasses.dataclass
class Drawn:
    """Trajectories of models that were trained on drawn sets, (S, draws, d)."""

    population: kf.Population
    initial: np.ndarray
    states: np.ndarray
    outcomes: np.ndarray


def draw_models(dim: int, rank: int, n: int, schedule: Schedule, times: list[float], draws: int, seed: int) -> Drawn:
    """Sample mean and covariance of each drawn training set, and the flow of one seed by its eigensystem."""
    basis = np.linalg.qr(rng(seed).standard_normal((dim, dim)))[0][:, :rank]
    values = 2 / np.arange(1, rank + 1)
    mean = 0.5 * rng(seed + 1).standard_normal(dim)
    population = kf.Population(values, np.ones(rank), dimension=dim, mean=mean, eigenvectors=basis)
    sigma, alpha = schedule.sigma(times), schedule.alpha(times)
    x = sigma[0] * rng(seed + 2).standard_normal((1, dim))
    data = rng(seed + 3).standard_normal((draws, n, rank)) * np.sqrt(values) @ basis.T + mean
    means = data.mean(axis=1)
    data -= means[:, None]
    w, v = np.linalg.eigh(np.matmul(data.transpose(0, 2, 1), data) / n)
    w = np.maximum(w, 0.0)
    c = np.einsum("bij,bi->bj", v, x - alpha[0] * means)
    states, outcomes = [], []
    for a, s in zip(alpha, sigma, strict=True):
        spread = s**2 + w * a**2
        psi = np.sqrt(spread / (sigma[0] ** 2 + w * alpha[0] ** 2))
        share = a * w / spread if s > 0 else np.ones_like(w)
        states.append(a * means + np.einsum("bij,bj->bi", v, psi * c))
        outcomes.append(means + np.einsum("bij,bj->bi", v, share * psi * c))
    return Drawn(population, x, np.array(states), np.array(outcomes))


@pytest.mark.parametrize(
    ("name", "rank", "n", "schedule", "times"),
    [
        ("ve", 30, 90, Schedule.ve(20, 0), [20.0, 5.0, 1.0, 0.2, 0.0]),
        ("vp, rank-deficient", 18, 60, Schedule.vp(), [1.0, 0.6, 0.3, 0.1, 0.0]),
        ("flow from no signal, n < d", 30, 20, Schedule.flow(), [1.0, 0.7, 0.3, 0.1, 0.0]),
    ],
)
def test_whole_trajectory_over_training_sets(
    name: str, rank: int, n: int, schedule: Schedule, times: list[float]
) -> None:
    draws = 2500
    drawn = draw_models(30, rank, n, schedule, times, draws, seed=20)
    splits = kf.Splits(drawn.population, n)
    found = split_trajectory(splits, schedule, drawn.initial, times)
    u = drawn.population.eigenvectors
    assert u is not None
    assert np.array_equal(found.states[0], drawn.initial)
    assert np.all(found.state_variance[0] == 0)
    for predicted, total, std, simulated in (
        (found.states, found.state_variance, found.state_std, drawn.states),
        (found.outcomes, found.outcome_variance, found.outcome_std, drawn.outcomes),
    ):
        for i in range(1 if simulated is drawn.states else 0, len(times)):
            spread = simulated[i].std(axis=0)
            gap = np.abs(predicted[i, 0] - simulated[i].mean(axis=0))
            assert np.all(gap < 5 * spread / np.sqrt(draws) + 1e-6), (name, i)
            assert np.sum(spread**2) == pytest.approx(total[i, 0], rel=0.025), (name, i)
            modes = ((simulated[i] - simulated[i].mean(axis=0)) @ u).std(axis=0)
            assert np.abs(modes / std[i, 0] - 1).max() < 0.07, (name, i)  # 5 standard errors of 2500 draws


def test_covariance_between_noise_levels() -> None:
    times, draws = [20.0, 5.0, 1.0, 0.2, 0.0], 2500
    schedule = Schedule.ve(20, 0)
    drawn = draw_models(30, 30, 90, schedule, times, draws, seed=40)
    splits = kf.Splits(drawn.population, 90)
    u = drawn.population.eigenvectors
    assert u is not None
    v = u[:, [0, 4, 20]].T
    found = split_trajectory(splits, schedule, drawn.initial, times, modes=[0, 4, 20])
    for kind, simulated, std in (
        ("state", drawn.states, found.state_std),
        ("outcome", drawn.outcomes, found.outcome_std),
    ):
        covariance = trajectory_covariance(splits, schedule, drawn.initial, v, times, kind=kind)
        assert covariance.shape == (5, 5, 1, 3)
        assert np.allclose(np.einsum("iibk->ibk", covariance), std**2, rtol=1e-10, atol=1e-25)
        for k in range(3):
            first = 1 if kind == "state" else 0  # all models start at the same state
            simulated_covariance = np.cov(simulated[first:] @ v[k])
            scale = np.sqrt(np.outer(np.diag(simulated_covariance), np.diag(simulated_covariance)))
            # 4 standard errors of a variance from 2500 draws
            assert np.all(np.abs(covariance[first:, first:, 0, k] - simulated_covariance) <= 0.113 * scale)
            correlation = simulated_covariance[-1] / scale[-1]
            predicted = covariance[-1, first:, 0, k] / (std[-1, 0, k] * std[first:, 0, k])
            assert np.abs(correlation - predicted).max() < 5 / np.sqrt(draws)


@pytest.mark.parametrize("schedule", [Schedule.ve(20, 0), Schedule.vp(), Schedule.flow()])
def test_mode_spread_is_the_mean_over_seeds(schedule: Schedule) -> None:
    """The variance is quadratic in x_T: its mean over N(0, σ_T² I) is exactly that over 2d sigma points."""
    population = some_population(7, top=3.0, bottom=0.05)
    times = schedule.grid(4)
    splits = kf.Splits(population, 40)
    found = mode_spread(splits, schedule, times)
    points = float(schedule.sigma(times[0])) * np.sqrt(D) * np.concatenate([np.eye(D), -np.eye(D)])
    each = split_trajectory(splits, schedule, points, times)
    assert np.allclose(found.state_std**2, np.mean(each.state_std**2, axis=1), rtol=1e-6, atol=1e-25)
    assert np.allclose(found.outcome_std**2, np.mean(each.outcome_std**2, axis=1), rtol=1e-6, atol=1e-25)
    rows = schedule.sigma(times[0]) * population.eigenvectors.T + schedule.alpha(times[0]) * population.mean  # type: ignore[union-attr]
    one = split_trajectory(splits, schedule, rows, times, modes=[])
    assert one.state_std.shape == (5, 7, 0)
    shift = schedule.alpha(times)[:, None, None] * population.mean
    states = np.einsum("sbd,db->sb", one.states - shift, population.eigenvectors) / schedule.sigma(times[0])
    assert np.allclose(found.state_gain, states, rtol=0, atol=2e-6)
    outcomes = np.einsum("sbd,db->sb", one.outcomes - population.mean, population.eigenvectors)
    assert np.allclose(found.outcome_gain, outcomes / schedule.sigma(times[0]), rtol=0, atol=2e-6)


def test_many_samples_follow_the_population() -> None:
    population, schedule = some_population(7, top=3.0, bottom=0.05), Schedule.vp()
    times = schedule.grid(6)
    x = rng(11).standard_normal((2, D))
    found = split_trajectory(kf.Splits(population, 10**8), schedule, x, times)
    exact = trajectory(population, schedule, x, times)
    assert np.abs(found.states - exact.states).max() < 1e-5
    assert np.abs(found.outcomes - exact.outcomes).max() < 1e-5
    assert found.state_std.max() < 1e-2
    assert found.outcome_std.max() < 1e-2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, s: state_gains([-1.0], s, [1.0]), r"eigenvalues must not be negative, got -1.0"),
        (lambda p, s: state_gains([[1.0]], s, [1.0]), r"eigenvalues must be one-dimensional"),
        (lambda p, s: trajectory(p, s, np.ones((2, 3)), [1.0, 0.5]), r"initial must have shape"),
        (
            lambda p, s: sampling_emergence([1.0], s, fraction=1.0),
            r"fraction must lie strictly between 0 and 1, got 1.0",
        ),
        (lambda p, s: sampling_emergence([1.0], s, start=0.1, stop=0.2), r"start must be above stop = 0.2, got 0.1"),
        (lambda p, s: sample_law(p, s, initial="other"), r"initial must be one of 'noise', 'exact', got 'other'"),
        (lambda p, s: sample_law(p, s, initial="exact", initial_mean=p.mean), r"initial_mean is for initial='noise'"),
        (lambda p, s: sample_law(p, s, initial_mean=np.ones((2, D))), r"initial_mean must be one image, got 2"),
        (lambda p, s: sample_law(p, s).draw(0, seed=0), r"count must be an integer of at least 1, got 0"),
        (
            lambda p, s: sampler_gains([1.0], [1.0, 2.0]),
            r"noise_levels must be two or more, not negative and decreasing",
        ),
        (lambda p, s: sampler_gains([1.0], [2.0, 1.0], method="x"), r"method must be one of 'euler', 'heun', got 'x'"),
        (lambda p, s: ddim(gaussian(p), Schedule.flow(), np.ones((1, D)), [1.0, 0.5]), r"start where alpha is above 0"),
        (lambda p, s: ddim(gaussian(p), s, np.ones(D), [1.0, 0.5]), r"initial must have shape \(B, d\)"),
        (lambda p, s: outcome_map(kf.Splits(p, 9), 80.0, 80.0), r"sigma must be below sigma_max = 80.0, got 80.0"),
        (
            lambda p, s: split_trajectory(kf.Splits(p, 9), s, p.mean, [1.0], modes=[D]),
            r"modes must be integers between",
        ),
        (
            lambda p, s: trajectory_covariance(kf.Splits(p, 9), s, p.mean, p.mean, [1.0], kind="x"),
            r"kind must be one of 'state', 'outcome', got 'x'",
        ),
        (lambda p, s: trajectories_study(p, n=[]), r"n must hold at least one training-set size"),
        (lambda p, s: trajectories_study(kf.Population.from_spectrum([1.0], [4])), r"modes of multiplicity 1"),
    ],
)
def test_errors(call: Callable[[kf.Population, Schedule], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(some_population(7), Schedule.vp())


def test_type_errors() -> None:
    population: Any = "splits"
    with pytest.raises(TypeError, match="splits must be a Splits, got str"):
        mode_spread(population, Schedule.vp(), [1.0])
    with pytest.raises(TypeError, match="population must be a Population, got str"):
        trajectories_study(population)


# ---------------------------------------------------------------- study and window
def study_population(name: str) -> kf.Population:
    if name == "digits":
        return kf.Population.from_samples(load_digits().images / 8 - 1)
    if name == "colour":
        smooth = rng(12).standard_normal((300, 4, 4, 3)).cumsum(axis=1).cumsum(axis=2)
        return kf.Population.from_samples(0.1 * smooth)
    if name == "vector":  # fewer samples than dimensions
        return kf.Population.from_samples(rng(13).standard_normal((20, 30)) / np.arange(1, 31))
    return kf.Population.from_covariance(np.diag(1 / np.arange(1.0, 7.0)))


@pytest.mark.parametrize("name", ["digits", "colour", "vector", "exact"])
def test_window_of_any_population(name: str) -> None:
    study = trajectories_study(study_population(name), seeds=2, n=[16, 64] if name == "digits" else None)
    shown = section(study)
    names = [picture.name for picture in shown.pictures]
    assert ("trajectories_film" in names) == (name in ("digits", "colour"))
    for picture in shown.pictures:
        figure = picture.draw()
        assert figure.axes
        assert picture.caption
        assert picture.alternative
        if name == "digits":
            figure.draw_without_rendering()
    for table in shown.tables:
        assert len({len(values) for values in table.columns.values()}) == 1
    assert shown.takeaways
    assert not any("nan" in sentence for sentence in shown.takeaways)
    assert any("no variance" in sentence for sentence in shown.takeaways) == (name in ("digits", "vector"))


def test_a_start_at_too_little_noise_is_said() -> None:
    shown = section(trajectories_study(study_population("exact"), sigma_max=0.5, sigma_min=0.0, n=[30]))
    assert any("σ_max is too small for 6 of them" in sentence for sentence in shown.takeaways)


def test_study_holds_what_its_functions_say() -> None:
    population = study_population("digits")
    study = trajectories_study(population, n=[64, 16], seeds=1, modes=3, steps=[5])
    assert study.n == (16, 64)
    assert study.modes.tolist() == [0, 7, 60]
    half = np.sqrt((study.eigenvalues + 0.002**2) * 4 - study.eigenvalues)
    seen = study.eigenvalues > 0
    assert np.allclose(study.emergence.noise_level[seen], half[seen], rtol=1e-13)
    splits = kf.Splits(population, 16)
    final = splits.mean_disagreement(outcome_map(splits, 0.002), input_variance=6400.0, relative=True)
    mean_part = splits.mean_disagreement(  # seeds are centred at 0, not at the mean of the data
        outcome_map(splits, 0.002), input_variance=6400.0 + study.mean_coordinates**2, relative=False
    )
    assert study.relative_spread[0, -1] ** 2 == pytest.approx(float(final), rel=2e-3)
    assert 2 / 64 * np.sum(study.spreads[0].outcome_std[-1] ** 2) == pytest.approx(float(mean_part), rel=1e-10)
    assert np.allclose(study.correlations[:, -1], 1)
    exact = sample_law(population, study.schedule)
    assert np.array_equal(study.law.variances, exact.variances)
    assert [one.steps for one in study.sampler_errors] == [5, 5]


@pytest.mark.parametrize("law", ["elliptical", "empirical"])
def test_other_laws(law: str) -> None:
    """Samples of equal size are elliptical with τ = 1 up to their noise, so that all laws say about the same of Gaussian data."""
    data = rng(14).standard_normal((4000, 8)) / np.arange(1, 9)
    population = kf.Population.from_samples(data, profiles=1000)
    times = [20.0, 1.0, 0.05]
    found = mode_spread(kf.Splits(population, 100, law=law), Schedule.ve(20, 0), times)
    gaussian_law = mode_spread(kf.Splits(population, 100), Schedule.ve(20, 0), times)
    assert np.allclose(found.outcome_gain, gaussian_law.outcome_gain, rtol=0.02)
    assert np.allclose(found.outcome_std, gaussian_law.outcome_std, rtol=0.1)
    assert np.allclose(found.state_std[1:], gaussian_law.state_std[1:], rtol=0.1)
    study = trajectories_study(population, n=[100], law=law, modes=2)
    assert any(law in picture.caption for picture in section(study).pictures)


def test_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs/lens/trajectories.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "trajectories.md", "exec"), {})
    assert "mode 1" in capsys.readouterr().out
