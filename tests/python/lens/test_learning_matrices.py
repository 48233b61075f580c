"""Weights of one layer from any start, by gradient descent and with a bias of its own, against matrix exponentials and loops."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

import kappaflow as kf
from kappaflow.lens.learning import (
    OneLayer,
    gradient_descent,
    joint_learning,
    largest_step,
    weights_during_training,
)
from kappaflow.lens.linear import wiener_gain
from learning_cases import POWER_LAW, SPECTRA, flow, loss_gradient, population, rotation


@SPECTRA
def test_any_initial_weights_and_gradient_descent(values: np.ndarray) -> None:
    known, sigma = population(values), 0.6
    vectors, d = rotation(len(values)), len(values)
    covariance = (vectors * values) @ vectors.T
    start = np.random.default_rng(11).standard_normal((d, d))
    moment = covariance + sigma**2 * np.eye(d)
    optimum = np.linalg.solve(moment, covariance).T
    evolved = weights_during_training(known, start, sigma, 0.02, rate=1.5)
    np.testing.assert_allclose(evolved, optimum + (start - optimum) @ expm(-2 * 1.5 * 0.02 * moment), atol=5e-13)
    step, weights = 0.9 * largest_step(known, sigma), start
    for _ in range(25):
        weights = weights - step * loss_gradient(weights, covariance, sigma)
    np.testing.assert_allclose(gradient_descent(known, start, sigma, 25, step=step), weights, atol=1e-14)
    np.testing.assert_allclose(gradient_descent(known, start, sigma, 0, step=step), start, atol=1e-14)
    grown = [
        np.linalg.norm(gradient_descent(known, start, sigma, 2000, step=f * largest_step(known, sigma)) - optimum)
        for f in (0.98, 1.02)
    ]
    assert grown[0] < np.linalg.norm(start - optimum) < 1e6 < grown[1]


@SPECTRA
def test_a_bias_of_its_own_couples_the_modes(values: np.ndarray) -> None:
    """Joint gradient flow of weights and bias on uncentred data; the law for each mode is what centred data have."""
    d, sigma = len(values), 0.8
    mean = 2 * np.random.default_rng(3).standard_normal(d)
    known = population(values, mean)
    vectors = rotation(d)
    covariance = (vectors * values) @ vectors.T
    second = np.block(
        [[covariance + sigma**2 * np.eye(d) + np.outer(mean, mean), mean[:, None]], [mean[None], np.ones((1, 1))]]
    )
    target = np.hstack([covariance + np.outer(mean, mean), mean[:, None]])
    joint, worst = joint_learning(known, sigma), 0.0
    for time in (1e-3, 0.02, 0.3, 5.0):
        together = np.linalg.solve(second, target.T).T @ (np.eye(d + 1) - expm(-2 * time * second))
        weights, bias = joint.weights(time)
        np.testing.assert_allclose(weights, together[:, :-1], atol=2e-12)
        np.testing.assert_allclose(bias, together[:, -1], atol=2e-12)
        alone = (vectors * OneLayer().gain(values, sigma, time)) @ vectors.T
        deviation = np.linalg.norm(together[:, :-1] - alone) / np.linalg.norm(alone)
        assert joint.deviation(time) == pytest.approx(deviation, rel=1e-9)
        worst = max(worst, deviation)
    short = flow(lambda v: -2 * (v @ second - target), np.zeros((d, d + 1)), 0.02)
    np.testing.assert_allclose(np.hstack([m.reshape(d, -1) for m in joint.weights(0.02)]), short, atol=6e-13)
    assert worst > 0.5
    centred = joint_learning(population(values), sigma)
    assert max(centred.deviation(t) for t in (1e-3, 0.3, 5.0)) < 1e-12
    weights, bias = joint.weights(1e7)
    np.testing.assert_array_equal(joint.weights(1e7).bias, bias)
    np.testing.assert_array_equal(joint.weights(1e7).weights, weights)
    np.testing.assert_allclose(
        weights, (vectors * wiener_gain(values, noise_variance=sigma**2)) @ vectors.T, atol=1e-11
    )
    np.testing.assert_allclose(bias, mean - weights @ mean, atol=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: joint_learning(kf.Population.from_spectrum([2.0, 1.0]), 1.0), "population must have eigenvectors"),
        (lambda: weights_during_training(population(POWER_LAW), np.eye(3), 1.0, 1.0), "initial must have shape"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_results_have_a_short_repr() -> None:
    joint = joint_learning(population(POWER_LAW, np.ones(12)), 0.8)
    assert repr(joint).startswith("JointLearning(basis=array (12, 12), eigenvalues=array (12,), moments=array (13,), ")
    assert np.isnan(joint.deviation(0.0))
