"""The law that a learner generates: closed forms against quadrature, the probability flow and expansions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from kappaflow.lens.learning import (
    DeepLinear,
    LinearLearner,
    NoiseRange,
    OneLayer,
    Preconditioned,
    TwoLayer,
    converged_variance,
    log_variance_by_quadrature,
    mode_divergence,
    remaining_mean,
)
from learning_cases import DEFICIENT, NOISE, POWER_LAW, SPECTRA, TIMES


def independent_log_variance(learner: LinearLearner, values: np.ndarray, time: float, noise: NoiseRange) -> np.ndarray:
    """Gauss-Legendre on panels of ln σ, other nodes than the package's."""
    edges = np.linspace(np.log(noise.sigma_min), np.log(noise.sigma_max), 25)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = 0.5 * np.diff(edges)
    sigma = np.exp((edges[:-1] + half)[:, None] + half[:, None] * nodes).ravel()
    gains = learner.gain(values[:, None], sigma, time)
    return 2 * (np.log(noise.sigma_min) + gains @ (half[:, None] * weights).ravel())


LEARNERS: list[tuple[LinearLearner, float]] = [
    (OneLayer(0.0), 2e-14),
    (OneLayer(0.3), 2e-14),
    (OneLayer(1.0), 3e-14),
    (OneLayer(-2.0), 5e-14),
    (OneLayer("skip"), 1e-14),
    (OneLayer("skip", 0.5, data_variance=4.0), 2e-14),
    (TwoLayer(0.01), 7e-15),
    (TwoLayer(0.5, tied=False, rate=3.0), 2e-14),
    (TwoLayer(1.0), 3e-14),
    (Preconditioned(), 4e-14),
    (DeepLinear(3, 0.1), 1e-13),
]


@SPECTRA
@pytest.mark.parametrize(("learner", "tolerance"), LEARNERS, ids=lambda x: str(x)[:34])
def test_generated_variance_is_the_integral_of_the_gain(
    learner: LinearLearner, tolerance: float, values: np.ndarray
) -> None:
    for time in TIMES:
        expected = independent_log_variance(learner, values, time, NOISE)
        np.testing.assert_allclose(learner.log_variance(values, time, NOISE), expected, rtol=0, atol=tolerance)
    both = learner.log_variance(values, TIMES[:, None])
    assert both.shape == (len(TIMES), len(values))
    np.testing.assert_allclose(
        log_variance_by_quadrature(learner, values, TIMES[:, None]), both, rtol=0, atol=10 * tolerance
    )


def test_generated_law_is_that_of_the_probability_flow() -> None:
    """Samples moved by an ODE solver from σ_max to σ_min: variance and mean, one mode at a time."""
    mean, value, time = 3.0, 2.0, 0.05
    for learner in (OneLayer(0.2), TwoLayer(0.1), Preconditioned()):
        solved = solve_ivp(
            lambda t, x, model=learner: (x - mean) * (1 - model.gain(value, np.exp(t), time)),
            (np.log(80), np.log(0.002)),
            np.array([0.0, 80.0]),
            method="DOP853",
            rtol=1e-12,
            atol=1e-14,
        )
        at_mean, at_sd = solved.y[:, -1]
        log_variance = learner.log_variance(value, time)
        assert at_sd - at_mean == pytest.approx(np.exp(0.5 * log_variance), rel=1e-10)
        assert (mean - at_mean) / mean == pytest.approx(remaining_mean(log_variance), rel=1e-10)


def test_limits_and_scales_that_overflow_a_naive_form() -> None:
    start = {0.0: 4e-6, 0.1: 3.3e-5, 0.5: 0.16, 1.0: 6400.0}
    for initial, variance in start.items():
        exact = 80.0**2 * (0.002 / 80) ** (2 * (1 - initial))
        np.testing.assert_allclose(np.exp(OneLayer(initial).log_variance(POWER_LAW, 0.0)), exact, rtol=1e-12)
        assert exact == pytest.approx(variance, rel=0.02)
    skip = np.exp(OneLayer("skip").log_variance(POWER_LAW, 0.0))
    np.testing.assert_allclose(skip, converged_variance(0.25), rtol=1e-12)
    for learner in (OneLayer("skip"), OneLayer(0.3), TwoLayer(0.1), Preconditioned()):
        late = learner.log_variance(np.append(POWER_LAW, 0.003), np.array([[5e3], [1e9], [1e300]]))
        assert np.isfinite(late).all()
        np.testing.assert_allclose(
            late[1:], np.log(converged_variance(np.append(POWER_LAW, 0.003)))[None].repeat(2, 0), rtol=1e-9
        )
        tiny = NoiseRange(1e-9, 1e3)
        every = learner.log_variance(np.append(DEFICIENT, 1e-30), np.geomspace(1e-30, 1e30, 40)[:, None], tiny)
        assert np.isfinite(every).all()
        early = learner.log_variance(DEFICIENT, np.array([[0.0], [1e-250], [5e-324]]), tiny)
        np.testing.assert_allclose(early[1:], early[:1].repeat(2, 0), rtol=1e-12)
    # q = 1: one plateau e^−γ/(2ητ) for all modes that have not been reached
    plateau = np.exp(OneLayer(1.0).log_variance(np.array([1e-3, 1e-5, 0.0]), 0.01))
    np.testing.assert_allclose(plateau, np.exp(-np.euler_gamma) / 0.02, rtol=1e-3)


@SPECTRA
def test_small_noise_expansion(values: np.ndarray) -> None:
    """ln λ̃/λ ≈ (1 − q)e^−y[γ + ln(yσ₀²/λ)] + E₁(y), y = 2ητλ, for σ₀² ≪ λ ≪ σ_T²."""
    from scipy.special import exp1

    noise, some, q = NoiseRange(1e-7, 1e7), values[values > 1e-3], 0.4
    for y in (0.2, 1.0, 3.0):
        log_ratio = OneLayer(q).log_variance(some, y / (2 * some), noise) - np.log(some)
        expected = (1 - q) * np.exp(-y) * (np.euler_gamma + np.log(y * noise.sigma_min**2 / some)) + exp1(y)
        np.testing.assert_allclose(log_ratio, expected, atol=1e-9)


def test_nodes_over_noise_levels_integrate_over_their_logarithm() -> None:
    """∫ σ d ln σ = σ_T − σ₀ and ∫ d ln σ = ln σ_T/σ₀."""
    nodes = NoiseRange(0.1, 30.0).quadrature()
    assert nodes.sigma.shape == nodes.weights.shape
    assert nodes.sigma @ nodes.weights == pytest.approx(29.9, rel=1e-13)
    assert nodes.weights.sum() == pytest.approx(np.log(300), rel=1e-13)
    assert np.all(np.diff(nodes.sigma) > 0)


def test_divergence_is_that_of_gaussians() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        made, value, error = generator.uniform(0.1, 3, 3)
        x = np.linspace(-40, 40, 400_001)
        p = np.exp(-((x - error) ** 2) / (2 * made)) / np.sqrt(2 * np.pi * made)
        log_ratio = -((x - error) ** 2) / (2 * made) + x**2 / (2 * value) - 0.5 * np.log(made / value)
        integral = float(np.sum(p * log_ratio) * (x[1] - x[0]))
        assert mode_divergence(np.log(made), value, error) == pytest.approx(integral, abs=1e-10)
    assert mode_divergence(0.0, 1.0) == 0
    assert mode_divergence(0.0, 0.0) == np.inf
