"""Trajectories over training sets of n samples against Monte Carlo over sets that are drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens.trajectories import (
    Schedule,
    mode_spread,
    outcome_map,
    split_trajectory,
    trajectory,
    trajectory_covariance,
)
from trajectory_cases import D, rng, some_population


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
