"""Receptive fields over training sets of n samples against Monte Carlo over sets that are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens.receptive_field import (
    degrees_of_freedom,
    expected_degrees_of_freedom,
    expected_receptive_field,
    receptive_field,
    receptive_field_spread,
    receptive_field_variance,
)
from receptive_field_cases import full_rank, low_rank, rng


# ---------------------------------------------------------------- finite training sets
def drawn_jacobians(p: kf.Population, n: int, sigma: float, draws: int, seed: int) -> np.ndarray:
    """(draws, d, d) of sample covariances about the sample mean, with divisor n."""
    root = p.eigenvectors * np.sqrt(p.eigenvalues)
    generator, found = rng(seed), []
    for _ in range(draws // 500):
        z = generator.standard_normal((500, n, root.shape[1]))
        x = z @ root.T
        x -= x.mean(axis=1, keepdims=True)
        s = x.transpose(0, 2, 1) @ x / n
        found.append(np.linalg.solve(s + sigma**2 * np.eye(len(root)), s))
    return np.concatenate(found)


@pytest.mark.parametrize(("population", "n", "sigma"), [("full", 60, 0.5), ("full", 60, 1.5), ("low", 40, 0.5)])
def test_fields_of_drawn_training_sets(population: str, n: int, sigma: float) -> None:
    p = full_rank((3, 2), low=0.05, high=4.0) if population == "full" else low_rank((3, 2), count=5)
    p = kf.Population(p.eigenvalues, p.multiplicity, dimension=6, eigenvectors=p.eigenvectors, shape=(3, 2))
    j = drawn_jacobians(p, n, sigma, 10_000, seed=11)
    splits = kf.Splits(p, n)
    error = j[:, 3].std(axis=0) / 100
    mean = j[:, 3].mean(axis=0)
    corrected = expected_receptive_field(splits, sigma, (1, 1), next_order=True).ravel()
    assert np.all(np.abs(corrected - mean) < 5 * error + 2 / n**2)
    plain = expected_receptive_field(splits, sigma, (1, 1)).ravel()
    np.testing.assert_allclose(plain, mean, atol=1.5 / n)
    # a finite training set is not the population
    assert np.abs(receptive_field(p, sigma, (1, 1)).ravel() - mean).max() > 5 * error.max()
    variance = receptive_field_variance(splits, sigma, (1, 1)).ravel()
    np.testing.assert_allclose(variance, j[:, 3].var(axis=0), rtol=0.06, atol=2e-5)
    trace = np.trace(j, axis1=1, axis2=2)
    assert expected_degrees_of_freedom(splits, sigma, next_order=True) == pytest.approx(trace.mean(), rel=2e-3)
    spread = receptive_field_spread(splits, sigma, (1, 1))
    assert spread == pytest.approx(math.sqrt(variance.sum()) / np.linalg.norm(plain), rel=1e-7)


def test_the_matrix_alone_is_left_of_an_estimated_mean() -> None:
    """About the sample mean Σ̂ is a covariance of n − 1 samples about a known one, times (n − 1)/n."""
    p, n, sigma = full_rank((4, 3)), 30, 0.4
    found = receptive_field_variance(kf.Splits(p, n), sigma, (2, 1))
    known = kf.Splits(p, n - 1, mean="known")
    scaled = receptive_field_variance(known, sigma * math.sqrt(n / (n - 1)), (2, 1))
    np.testing.assert_allclose(found, scaled, rtol=1e-6)
    units = np.eye(12)
    direct = known.variance(known.denoiser(sigma), p.mean + units[7], units)[0].reshape(4, 3)
    np.testing.assert_allclose(receptive_field_variance(known, sigma, (2, 1)), direct, rtol=1e-6)


def test_expected_fields_are_those_at_the_renormalised_noise() -> None:
    p = low_rank((4, 3))
    splits = kf.Splits(p, 20, population_is="exact")
    kappa = float(splits.kappa(noise_variance=0.25))
    assert kappa > 0.25
    np.testing.assert_allclose(
        expected_receptive_field(splits, 0.5, (1, 2)), receptive_field(p, math.sqrt(kappa), (1, 2)), atol=1e-11
    )
    levels = np.array([0.5, 1.0])
    found = expected_degrees_of_freedom(splits, levels)
    np.testing.assert_allclose(
        found, degrees_of_freedom(p, np.sqrt(splits.kappa(noise_variance=levels**2))), rtol=1e-10
    )
    few = kf.Splits(full_rank((4, 3)), 5)
    assert float(expected_degrees_of_freedom(few, 1e-4)) < 5
