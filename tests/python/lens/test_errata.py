"""Forms of the renormalised noise and of the variance that circulate, against simulated training sets: the library's hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import brentq

import kappaflow as kf

FloatArray = npt.NDArray[np.float64]
D, SIGMA = 40, 0.5
SPECTRA = {
    "full rank": 2.0 * np.arange(1, D + 1) ** -1.2,
    "rank 25": np.where(np.arange(D) < 25, 1.5 * 0.9 ** np.arange(D), 0.0),
}


def simulated_outputs(values: FloatArray, n: int, x: FloatArray, draws: int) -> FloatArray:
    """(draws, D) outputs μ̂ + Σ̂(Σ̂ + σ²)⁻¹(x − μ̂) of models of n samples each, in mode coordinates, μ = 0."""
    rng = np.random.default_rng(n)
    outputs = []
    for _ in range(draws):
        samples = rng.standard_normal((n, D)) * np.sqrt(values)
        mean = samples.mean(axis=0)
        centred = samples - mean
        covariance = centred.T @ centred / n
        outputs.append(mean + np.linalg.solve(covariance + SIGMA**2 * np.eye(D), covariance @ (x - mean)))
    return np.array(outputs)


@pytest.mark.parametrize("name", SPECTRA)
def test_the_trace_of_the_silverstein_equation_is_normalised(name: str) -> None:
    """κ − σ² = γ κ tr[Σ(Σ + κ)⁻¹] with γ = d/n holds for tr = Tr/d, not for the sum over all modes."""
    values, n, draws = SPECTRA[name], 60, 1500
    x = np.sqrt(values + SIGMA**2)
    outputs = simulated_outputs(values, n, x, draws)
    kappa = float(kf.Splits(kf.Population.from_spectrum(values), n).kappa(noise_variance=SIGMA**2))
    mistaken = float(brentq(lambda k: k - SIGMA**2 - D / n * k * np.sum(values / (values + k)), SIGMA**2, 1e9))
    alive = values > 0
    error = outputs.std(axis=0, ddof=1)[alive] / np.sqrt(draws)
    right = np.abs(outputs.mean(axis=0)[alive] - (x * values / (values + kappa))[alive])
    assert np.all(right < 5 * error + 0.02 * x[alive] * values[alive] / (values[alive] + kappa))
    wrong = np.abs(outputs.mean(axis=0)[alive] - (x * values / (values + mistaken))[alive])
    assert np.median(wrong / error) > 20


@pytest.mark.parametrize("n", [60, 240])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_variance_has_a_part_of_the_mean(name: str, n: int) -> None:
    """κ²/(n − df2) ◇(v) ◇(x − μ) is that of models that know the mean, without exchange; small inputs tell: ◇(x − μ) + 1."""
    values, draws = SPECTRA[name], 3000
    population = kf.Population.from_spectrum(values)
    direction = np.zeros(D)
    direction[:8] = 8**-0.5
    x = np.full(D, 0.05)
    projected = simulated_outputs(values, n, x, draws) @ direction
    variance = float(projected.var(ddof=1))
    slack = 5 * variance * np.sqrt(2 / (draws - 1))  # five standard errors
    splits = kf.Splits(population, n)
    f = splits.denoiser(SIGMA)
    found = float(splits.variance(f, x[None], direction[None])[0, 0])
    assert abs(found - variance) < slack + 2 / n * variance
    kappa = float(splits.kappa(noise_variance=SIGMA**2))
    weight = values / (values + kappa) ** 2
    df2 = float(np.sum(values**2 / (values + kappa) ** 2))
    printed = kappa**2 / (n - df2) * float(weight @ direction**2) * float(weight @ x**2)
    assert printed < 0.5 * variance
    corrected = kappa**2 / (n - df2) * float(weight @ direction**2) * (1 + float(weight @ x**2))
    assert abs(corrected - variance) < slack + 0.05 * variance
