"""Laws that architectures generate, against solvers of the probability flow, quadrature and dense maps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

import kappaflow as kf
from architecture_cases import (
    SHAPES,
    architectures,
    covariance,
    population,
    ripples,
    rng,
    smooth,
    two_channels,
)
from kappaflow.lens.architecture import (
    Architecture,
    ConvolutionDenoiser,
    FullLinearDenoiser,
    GeneratedLaw,
    PatchDenoiser,
    log_gain_integral,
    non_commutation,
)
from kappaflow.lens.stationary import SpectralStatistics


# ---------------------------------------------------------------- the generated law
@pytest.mark.parametrize(("shape", "rank"), [((9,), None), ((9,), 4), ((4, 4), 5), ((5, 3, 2), None)])
def test_laws_are_where_the_probability_flow_leads(shape: tuple[int, ...], rank: int | None) -> None:
    """Each sample against an ODE solver of its own, through the denoiser's rows; default σ_T and σ₀."""
    p = population(shape, rank=rank)
    noise = rng(6).standard_normal((2, *shape))
    for denoiser in architectures(p, patch=3):

        def velocity(log_sigma: float, flat: np.ndarray, denoiser: Architecture = denoiser) -> np.ndarray:
            x = flat.reshape(2, -1)
            return (x - denoiser(x, float(np.exp(log_sigma)))).ravel()

        start = 80.0 * noise.ravel()
        solved = solve_ivp(velocity, np.log([80.0, 0.002]), start, method="DOP853", rtol=1e-12, atol=1e-13)
        ended = solved.y[:, -1].reshape(2, *shape)
        np.testing.assert_allclose(denoiser.law().from_noise(noise), ended, rtol=4e-10, atol=4e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_moments_of_laws_are_those_of_their_maps(shape: tuple[int, ...]) -> None:
    """Mean, pixel variances, spectra and autocovariance against the dense covariance FFᵀ."""
    p = population(shape, rank=6)
    d = p.dimension
    for denoiser in architectures(p):
        law = denoiser.law(sigma_max=30.0, sigma_min=0.1)
        assert isinstance(law, GeneratedLaw)
        mean = law.from_noise(np.zeros(d))[0].ravel()
        np.testing.assert_allclose(law.mean, mean, atol=1e-14)
        factor = (law.from_noise(np.eye(d)).reshape(d, d) - mean).T
        dense = factor @ factor.T
        np.testing.assert_allclose(law.variances.ravel(), np.diag(dense), atol=1e-12)
        seen = SpectralStatistics.from_population(kf.Population.from_covariance(dense, shape=shape))
        np.testing.assert_allclose(law.spectra, seen.spectra, atol=1e-12)
        np.testing.assert_allclose(law.autocovariance, seen.autocovariance, atol=1e-12)


def test_the_integral_of_gains_is_its_quadrature() -> None:
    for value in (0.0, 1e-6, 1e-3, 0.7, 40.0, 1e4):
        found, _ = quad(lambda t, v=value: v / (v + np.exp(2 * t)), *np.log([0.002, 80.0]), epsabs=1e-12, limit=400)
        assert float(log_gain_integral(value, 80.0, 0.002)) == pytest.approx(found, abs=4e-10)


@pytest.mark.parametrize("p", [smooth(), population((16,), rank=5), population((7, 6)), population((6, 6), rank=9)])
def test_closed_form_of_one_channel_is_the_quadrature_of_its_gains(p: kf.Population) -> None:
    """ln λ̂ₘ = 2 ln σ_T − 2∫(1 − ŵₘ) d ln σ, frequency by frequency."""
    denoiser = PatchDenoiser.fit(p, patch=3)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    low, high = np.log([0.002, 80.0])
    times = low + (high - low) * (nodes + 1) / 2
    gains = np.array([denoiser.transfer(float(np.exp(t)))[..., 0, 0] for t in times])
    assert np.abs(gains.imag).max() < 1e-14
    integral = np.tensordot(weights, 1 - gains.real, 1) * (high - low) / 2
    spectrum = denoiser.law().spectra[..., 0, 0].real
    np.testing.assert_allclose(np.log(spectrum), 2 * high - 2 * integral, atol=4e-10)


def outside(kernel: np.ndarray, reach: int) -> float:
    """Largest entry of a cyclic filter at lags beyond the patch, as a share of the largest one."""
    lags = np.minimum(np.arange(len(kernel)), len(kernel) - np.arange(len(kernel)))
    return float(np.abs(kernel[lags > reach]).max() / np.abs(kernel).max())


@pytest.mark.parametrize("p", [smooth(), ripples()])
def test_the_log_covariance_is_local_and_neither_covariance_nor_precision_is(p: kf.Population) -> None:
    """The talk has patch layers generate "a Gaussian process with a local kernel": the logarithm of the covariance is local."""
    denoiser = PatchDenoiser.fit(p, patch=7)
    spectrum = denoiser.law().spectra[..., 0, 0].real
    logarithm = np.fft.ifft(np.log(spectrum)).real
    assert outside(logarithm, 3) < 8e-15
    np.testing.assert_allclose(logarithm[np.arange(-3, 4)], denoiser.log_covariance(), atol=1e-12)
    assert outside(np.fft.ifft(spectrum).real, 3) > 0.02
    assert outside(np.fft.ifft(1 / spectrum).real, 3) > 0.02


def test_a_patch_loses_what_is_beyond_it_and_local_moments_too() -> None:
    """Neither the variance nor the correlations just outside of the patch are those of the data."""
    p = smooth()
    data = SpectralStatistics.of(p).autocovariance[:, 0, 0]
    made = PatchDenoiser.fit(p, patch=7).law().autocovariance[:, 0, 0]
    assert data[0] == pytest.approx(1.06)
    assert made[0] < 0.99 * data[0]
    assert np.all(made[4:8] < 0.85 * data[4:8])
    assert np.all(np.diff(made[4:8] / data[4:8]) < 0)
    full = ConvolutionDenoiser.fit(p).law(sigma_max=1e6, sigma_min=1e-6)
    spectrum = SpectralStatistics.of(p).spectra[:, 0, 0].real
    np.testing.assert_allclose(np.log(full.spectra[:, 0, 0].real), np.log(spectrum), atol=3e-9)


def test_filters_of_several_channels_do_not_commute() -> None:
    p = two_channels()
    patch, full = PatchDenoiser.fit(p, patch=(5, 1)), ConvolutionDenoiser.fit(p)
    assert non_commutation(full, (0.3, 2.0)) < 1e-14
    assert non_commutation(PatchDenoiser.fit(smooth(), patch=5), (0.3, 2.0)) < 1e-14
    assert non_commutation(patch, (0.3, 2.0)) > 1e-3
    transfer = patch.transfer(1.0)
    assert np.linalg.norm(transfer - transfer.conj().swapaxes(-1, -2)) > 0.01 * np.linalg.norm(transfer)
    # The closed form of one channel, an exponential of the integral, is not the ordered product.
    regression = patch.regression
    exponent = patch._transfer(regression.weights(log_gain_integral(regression.values, 80.0, 0.002)))
    values, vectors = np.linalg.eig(exponent)
    wrong = (vectors * np.exp(values)[..., None, :]) @ np.linalg.inv(vectors) * 0.002
    spectra = patch.law().spectra
    gap = np.linalg.norm(wrong @ wrong.conj().swapaxes(-1, -2) - spectra) / np.linalg.norm(spectra)
    assert gap > 1e-3


def test_zero_padding_is_not_stationary() -> None:
    p = kf.Population.from_covariance(covariance(smooth(24)))  # centred and exactly stationary
    zero, circular = PatchDenoiser.fit(p, patch=5, padding="zero"), PatchDenoiser.fit(p, patch=5)
    assert np.abs(zero.filter(2.0) - circular.filter(2.0)).max() > 1e-3
    assert non_commutation(zero, (0.3, 2.0)) > 1e-3
    variances = zero.law().variances
    assert variances.max() / variances.min() > 1.05
    assert np.ptp(circular.law().variances) < 1e-12


def test_samples_have_the_moments_of_their_law() -> None:
    p = population((5, 3, 2), rank=8)
    for denoiser in architectures(p):
        law = denoiser.law(sigma_min=0.05)
        draws = law.sample(20_000, rng=rng(8))
        assert draws.shape == (20_000, 5, 3, 2)
        spread = np.sqrt(law.variances)
        np.testing.assert_allclose((draws.mean(axis=0) - law.mean.reshape(p.shape)) / spread, 0, atol=5 / 20_000**0.5)
        np.testing.assert_allclose(draws.var(axis=0) / law.variances, 1, atol=6 * (2 / 20_000) ** 0.5)
    np.testing.assert_array_equal(law.sample(2, rng=rng(9)), law.sample(2, rng=rng(9)))


def test_the_linear_law_keeps_what_the_start_leaves() -> None:
    """Variance σ_T²(λ + σ₀²)/(λ + σ_T²), and not all of the mean: for λ = 170 and σ_T = 80, 0.974 and 84 %."""
    p = kf.Population.from_covariance(np.diag([170.0, 1.0]), mean=np.array([5.0, 0.0]))
    law = FullLinearDenoiser(p).law(sigma_max=80.0, sigma_min=1e-6)
    assert law.variances[0] / 170 == pytest.approx(0.974, abs=5e-4)
    assert law.mean[0] / 5 == pytest.approx(1 - np.sqrt(170 / (170 + 6400)), rel=1e-9)
