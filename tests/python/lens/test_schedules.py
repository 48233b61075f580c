"""Noise schedules: their rates, their inverse, their grids, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad

from kappaflow.lens.trajectories import (
    Schedule,
    trajectory,
)
from trajectory_cases import SCHEDULES, D, rng, solve, some_population


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
        (
            lambda: Schedule("x", lambda t: 0.5 - t, np.copy, 0.0, 1.0),
            r"scale must be finite and above 0 \(0 only at t_max",
        ),
        (
            lambda: Schedule("x", np.ones_like, lambda t: t - 0.5, 0.0, 1.0),
            r"noise must be finite and above 0 \(0 only at t_min",
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
        (lambda: Schedule.vp().path([0.0]), r"times must start at a noise level above 0, got t = 0.0"),
    ],
)
def test_schedule_errors(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
