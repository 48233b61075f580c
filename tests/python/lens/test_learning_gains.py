"""Gains of linear learners: closed forms against gradient flows of the weight matrices."""

from __future__ import annotations

import re
from typing import Any

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
)
from learning_cases import POWER_LAW, SPECTRA, flow, loss_gradient, rotation


@SPECTRA
@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_gains_follow_the_gradient_flow_of_the_matrices(values: np.ndarray, sigma: float) -> None:
    """The gradient flow of all entries of the weight matrices, rotated, against one gain for each mode."""
    size = len(values)
    vectors, identity = rotation(size), np.eye(size)
    covariance = (vectors * values) @ vectors.T
    time = 0.7 / values[0]

    def one(w: np.ndarray) -> np.ndarray:
        return -loss_gradient(w, covariance, sigma)

    def tied(p: np.ndarray) -> np.ndarray:
        gradient = loss_gradient(p @ p.T, covariance, sigma)
        return -(gradient + gradient.T) @ p

    def deep(layers: np.ndarray) -> np.ndarray:
        count = len(layers)
        product = [identity]
        for layer in layers:
            product.append(layer @ product[-1])
        gradient, out, after = loss_gradient(product[-1], covariance, sigma), np.empty_like(layers), identity
        for i in range(count - 1, -1, -1):
            out[i] = -after.T @ gradient @ product[i].T
            after = after @ layers[i]
        return out

    def product_of(layers: np.ndarray) -> np.ndarray:
        out = identity
        for layer in layers:
            out = layer @ out
        return out

    cases: list[tuple[LinearLearner, np.ndarray]] = [
        (OneLayer(0.3), flow(one, 0.3 * identity, time)),
        (OneLayer("skip", 2.0), flow(one, 0.25 / (0.25 + sigma**2) * identity, 2 * time)),
    ]
    root = flow(tied, np.sqrt(0.2) * identity, time)
    cases.append((TwoLayer(0.2), root @ root.T))
    cases.append((TwoLayer(0.2, tied=False), product_of(flow(deep, np.stack([np.sqrt(0.2) * identity] * 2), time))))
    for layers in (3, 5):
        start = np.stack([0.2 ** (1 / layers) * identity] * layers)
        cases.append((DeepLinear(layers, 0.2), product_of(flow(deep, start, time))))
    for learner, weights in cases:
        expected = (vectors * learner.gain(values, sigma, time)) @ vectors.T
        np.testing.assert_allclose(weights, expected, atol=3e-12)


def test_preconditioned_gain_follows_its_gradient_flow() -> None:
    """Karras et al.'s preconditioning written out: c_in, c_out, c_skip and the loss weight, F = f from 0."""
    c, value, time = 0.25, 3.0, 0.4
    for sigma in (0.05, 0.7, 20.0):
        skip, c_out, c_in = c / (c + sigma**2), sigma * np.sqrt(c / (c + sigma**2)), 1 / np.sqrt(c + sigma**2)

        def slope(f: np.ndarray, s: float = sigma, k: float = skip, o: float = c_out, i: float = c_in) -> np.ndarray:
            gain = k + o * i * f
            return -2 * (gain * (value + s**2) - value) * o * i / o**2

        f = flow(slope, np.zeros(1), time)[0]
        assert Preconditioned().gain(value, sigma, time) == pytest.approx(skip + c_out * c_in * f, abs=3e-13)


@pytest.mark.parametrize("layers", [2, 3, 5])
@pytest.mark.parametrize("initial", [1e-6, 0.01, 0.5, 1.0, 3.0])
def test_depth_solves_its_equation(layers: int, initial: float) -> None:
    learner, values, sigma = DeepLinear(layers, initial), np.array([10.0, 1.0, 0.01, 1e-13, 0.0]), 0.7
    for time in (0.05, 1.0, 30.0):
        solved = solve_ivp(
            lambda _, w: 2 * layers * w ** (2 - 2 / layers) * (values - (values + sigma**2) * w),
            (0, time),
            np.full(5, initial),
            method="Radau" if time > 1 else "DOP853",
            rtol=1e-12 if time <= 1 else 1e-10,
            atol=1e-14,
        )
        np.testing.assert_allclose(
            learner.gain(values, sigma, time), solved.y[:, -1], rtol=0, atol=3e-12 if time <= 1 else 3e-9
        )
    if layers == 2:
        grid = np.geomspace(1e-3, 1e4, 30)[:, None]
        both = TwoLayer(initial, tied=False).gain(values, sigma, grid)
        np.testing.assert_allclose(learner.gain(values, sigma, grid), both, rtol=1e-11)


def test_two_layers_are_logistic_only_from_balanced_weights_above_zero() -> None:
    """Unbalanced layers (0.5 and 0.1 for the product 0.05) leave the logistic; zero stays zero."""
    value, sigma, times = 1.0, 0.7, np.linspace(0.02, 3, 60)

    def scalar(v: np.ndarray) -> np.ndarray:
        gradient = 2 * ((value + sigma**2) * v[0] * v[1] - value)
        return -gradient * v[::-1]

    balanced = [np.prod(flow(scalar, np.full(2, np.sqrt(0.05)), t)) for t in times]
    unbalanced = [np.prod(flow(scalar, np.array([0.5, 0.1]), t)) for t in times]
    logistic = TwoLayer(0.05, tied=False).gain(value, sigma, times)
    np.testing.assert_allclose(balanced, logistic, atol=1e-12)
    assert np.abs(np.array(unbalanced) - logistic).max() > 0.02
    assert not TwoLayer(0.0).gain(POWER_LAW, 0.5, 1e9).any()
    np.testing.assert_allclose(TwoLayer(0.0).log_variance(POWER_LAW, 1e9), 2 * np.log(0.002))


def test_depth_takes_single_numbers() -> None:
    learner = DeepLinear(3, 0.1)
    alone = learner.gain(1.0, 1.0, 1.0)
    assert alone.shape == ()
    assert float(alone) == learner.gain([1.0, 2.0], [1.0], [1.0])[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NoiseRange(0.0), "sigma_min must be above 0, got 0: before training"),
        (lambda: NoiseRange(-1.0), "sigma_min must be finite and above 0"),
        (lambda: NoiseRange(1.0, 1.0), "sigma_max must be above sigma_min = 1.0"),
        (lambda: OneLayer("zero"), "initial must be a number or 'skip', got 'zero'"),
        (lambda: OneLayer(np.ones(2)), "initial must be one number"),
        (lambda: OneLayer(rate=0), "rate must be finite and above 0"),
        (lambda: TwoLayer(-0.1), "initial must be finite and not negative"),
        (lambda: DeepLinear(3, 0.0), "initial must be finite and above 0"),
        (lambda: DeepLinear(1), "layers must be an integer of at least 2"),
        (lambda: Preconditioned(0.0), "data_variance must be"),
        (lambda: OneLayer().gain(-1.0, 1.0, 1.0), "eigenvalues must not be negative"),
        (lambda: OneLayer().gain(1.0, 0.0, 1.0), "sigma must be above 0"),
        (lambda: OneLayer().log_variance(1.0, -1.0), "time must not be negative"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
