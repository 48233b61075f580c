"""Closed-form trajectories, emergence, laws of samples and steps of samplers against ODE solvers and quadrature."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import kappaflow as kf
from kappaflow.lens.trajectories import (
    Schedule,
    ddim,
    emergence_noise_level,
    mode_spread,
    outcome_gains,
    outcome_map,
    sample_law,
    sampler_gains,
    sampling_emergence,
    split_trajectory,
    state_gains,
    trajectories_study,
    trajectory,
    trajectory_covariance,
)
from trajectory_cases import SCHEDULES, D, dense, dense_outcome, gaussian, rng, solve, some_population


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
        (
            lambda p, s: sample_law(p, s, initial="exact", initial_mean=p.mean),
            r"initial_mean is only for initial='noise'",
        ),
        (lambda p, s: sample_law(p, s, initial_mean=np.ones((2, D))), r"initial_mean must be one image, got 2"),
        (lambda p, s: sample_law(p, s).draw(0, seed=0), r"count must be an integer of at least 1, got 0"),
        (
            lambda p, s: sampler_gains([1.0], [1.0, 2.0]),
            r"noise_levels must be two or more, not negative and decreasing",
        ),
        (lambda p, s: sampler_gains([1.0], [2.0, 1.0], method="x"), r"method must be one of 'euler', 'heun', got 'x'"),
        (lambda p, s: ddim(gaussian(p), Schedule.flow(), np.ones((1, D)), [1.0, 0.5]), r"start at alpha above 0"),
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


def test_bad_answers_of_a_denoiser_are_refused_by_ddim() -> None:
    schedule, x = Schedule.ve(20, 0), np.ones((2, D))
    with pytest.raises(ValueError, match=r"denoiser must return the shape of its input \(2, 12\), got \(2, 3\)"):
        ddim(lambda y, sigma: y[:, :3], schedule, x, [20.0, 1.0])
    with pytest.raises(ValueError, match="denoiser must be finite, got NaN or infinity at noise level 20"):
        ddim(lambda y, sigma: y * np.nan, schedule, x, [20.0, 1.0])
    with pytest.raises(ValueError, match=r"x must hold at least one row, got shape \(0, 12\)"):
        ddim(lambda y, sigma: y, schedule, x[:0], [20.0, 1.0])


def test_no_seeds_have_no_trajectory_and_no_error() -> None:
    path = trajectory(some_population(7), Schedule.vp(), np.empty((0, D)), [1.0, 0.5])
    assert path.states.shape == path.outcomes.shape == (2, 0, D)


def test_results_have_a_short_repr_and_a_table() -> None:
    population, schedule = some_population(7), Schedule.vp()
    assert repr(schedule) == "Schedule('variance preserving', t_min=0, t_max=1)"
    law = sample_law(population, schedule)
    assert repr(law).startswith("SampleLaw(mean=array (12,), variances=array (7,), null_variance=")
    pytest.importorskip("pandas")
    table = law.to_dataframe()
    assert list(table.columns) == ["mode", "variance", "target", "factor", "mean_error"]
    np.testing.assert_array_equal(table["factor"], law.factors)
    when = sampling_emergence(population.eigenvalues, schedule)
    np.testing.assert_array_equal(when.to_dataframe()["time"], when.time)
