"""Best denoisers of architectures against minimisers of the exact loss, their laws against ODE solvers and quadrature."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import minimize

import kappaflow as kf
from kappaflow.lens.architecture.generated import GeneratedLaw
from kappaflow.lens.architecture.optimal import (
    ZERO_PADDING_LIMIT,
    Architecture,
    ConvolutionDenoiser,
    FullLinearDenoiser,
    MeanDenoiser,
    PatchDenoiser,
    log_gain_integral,
    non_commutation,
)
from kappaflow.lens.architecture.study import architecture_study
from kappaflow.lens.layout import SpatialLayout
from kappaflow.lens.stationary import SpectralStatistics
from kappaflow.models.rows import RowDenoiser

SHAPES = [(12,), (5, 4), (5, 3, 2)]
BIASES = ["image", "scalar", "none"]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def population(shape: tuple[int, ...], seed: int = 0, rank: int | None = None) -> kf.Population:
    """A law without any symmetry, power-law spectrum, of full rank or not."""
    d = int(np.prod(shape))
    draw = rng(seed)
    basis = np.linalg.qr(draw.standard_normal((d, d)))[0]
    spectrum = np.arange(1, d + 1.0) ** -1.2 * (np.arange(d) < (rank or d))
    return kf.Population.from_covariance((basis * spectrum) @ basis.T, 0.4 * draw.standard_normal(d), shape=shape)


def smooth(size: int = 64, length: float = 6.0) -> kf.Population:
    """A stationary signal whose correlations fall off with a length, and a mean that is not flat."""
    lags = np.minimum(np.arange(size), size - np.arange(size))
    first = np.exp(-lags / length) + 0.06 * (lags == 0)
    covariance = first[(np.arange(size)[:, None] - np.arange(size)) % size]
    return kf.Population.from_covariance(covariance, np.sin(2 * np.pi * np.arange(size) / size))


def ripples() -> kf.Population:
    """Twenty smoothed random signals on 64 places: rank 20, and not stationary."""
    waves = np.fft.fft(rng(11).standard_normal((20, 64)), axis=1) * np.exp(-np.abs(np.fft.fftfreq(64)) * 16)
    signals = np.fft.ifft(waves, axis=1).real
    return kf.Population.from_covariance(signals.T @ signals / 20, rng(12).standard_normal(64))


def covariance(p: kf.Population) -> np.ndarray:
    assert p.eigenvectors is not None
    return (p.eigenvectors * p.eigenvalues) @ p.eigenvectors.T


def architectures(p: kf.Population, patch: Any = 3) -> list[Architecture]:
    fits: list[Architecture] = [MeanDenoiser.fit(p), FullLinearDenoiser(p)]
    fits += [ConvolutionDenoiser.fit(p, bias=b) for b in BIASES]
    fits += [PatchDenoiser.fit(p, patch=patch, padding=q, bias=b) for q in ("circular", "zero") for b in BIASES]
    return fits


def matrix_and_bias(denoiser: Architecture, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    d = denoiser.layout.dimension
    bias = denoiser(np.zeros((1, d)), sigma)[0]
    return (denoiser(np.eye(d), sigma) - bias).T, bias


def exact_loss(w: np.ndarray, b: np.ndarray, p: kf.Population, sigma: float) -> float:
    """Tr (W−I)Σ(W−I)ᵀ + σ² Tr WWᵀ + ‖(W−I)μ + b‖², of dense matrices."""
    gap = w - np.eye(len(w))
    return float(np.sum(gap @ covariance(p) * gap) + sigma**2 * np.sum(w**2) + np.sum((gap @ p.mean + b) ** 2))


def shift_matrices(layout: SpatialLayout, sizes: tuple[int, ...] | None, padding: str) -> list[np.ndarray]:
    """One matrix for each weight of a convolution, written as loops over pixels; None for a filter as wide as the image."""
    grid, c = layout.grid, layout.channels
    ranges = [range(n) for n in grid] if sizes is None else [range(-(n // 2), n // 2 + 1) for n in sizes]
    index = np.arange(layout.dimension).reshape(*grid, c)
    found = []
    for offset in itertools.product(*ranges):
        for into, out in itertools.product(range(c), range(c)):
            m = np.zeros((layout.dimension,) * 2)
            for place in itertools.product(*(range(n) for n in grid)):
                other = [i + o for i, o in zip(place, offset, strict=True)]
                if padding == "zero" and any(not 0 <= j < n for j, n in zip(other, grid, strict=True)):
                    continue
                there = tuple(j % n for j, n in zip(other, grid, strict=True))
                m[index[(*place, out)], index[(*there, into)]] = 1
            found.append(m)
    return found


def bias_images(layout: SpatialLayout, bias: str) -> np.ndarray:
    d, c = layout.dimension, layout.channels
    if bias == "image":
        return np.eye(d)
    return np.tile(np.eye(c), (layout.positions, 1)).T if bias == "scalar" else np.zeros((0, d))


def bfgs(p: kf.Population, sizes: tuple[int, ...] | None, padding: str, bias: str, sigma: float) -> Any:
    """(W, b) of least exact loss among convolutions, found by BFGS with its gradient, from zero."""
    layout = SpatialLayout.of(p.shape)
    basis, images = np.array(shift_matrices(layout, sizes, padding)), bias_images(layout, bias)
    sigma_matrix, eye, k = covariance(p), np.eye(layout.dimension), len(basis)
    flat = basis.reshape(k, -1)

    def build(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (t[:k] @ flat).reshape(eye.shape), t[k:] @ images

    def loss(t: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = build(t)
        gap = w - eye
        residual = gap @ p.mean + b
        slope = 2 * (gap @ sigma_matrix + sigma**2 * w + np.outer(residual, p.mean))
        return exact_loss(w, b, p, sigma), np.concatenate([flat @ slope.ravel(), images @ (2 * residual)])

    t = np.zeros(k + len(images))
    for _ in range(3):  # a fresh metric where rounding of the loss has stopped the line search
        t = minimize(loss, t, jac=True, method="BFGS", options={"gtol": 1e-12, "maxiter": 3000}).x
    return build(t)


# ---------------------------------------------------------------- statistics
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [5, 300])
def test_spectra_of_samples_and_of_their_population_agree(shape: tuple[int, ...], count: int) -> None:
    """Fewer samples than dimensions, and more."""
    samples = rng(3).standard_normal((count, *shape)) + rng(4).standard_normal(shape)
    direct = SpectralStatistics.from_samples(samples)
    p = kf.Population.from_samples(samples)
    through = SpectralStatistics.from_population(p)
    flat = SpectralStatistics.from_samples(samples.reshape(count, -1), shape=shape)
    for other in (through, flat):
        np.testing.assert_allclose(other.spectra, direct.spectra, atol=1e-13)
        np.testing.assert_allclose(other.mean, direct.mean, atol=1e-14)
    assert direct.total_variance == pytest.approx(p.total_variance, rel=1e-12)
    layout, c = direct.layout, direct.layout.channels
    images = (samples - samples.mean(axis=0)).reshape(count, *layout.grid, c)
    lag = tuple(range(1, len(layout.grid) + 1))
    shifted = np.roll(images, [-x for x in lag], axis=layout.axes)  # x_{i+δ}
    expected = shifted.reshape(-1, c).T @ images.reshape(-1, c) / count / layout.positions
    np.testing.assert_allclose(direct.autocovariance[lag], expected, atol=1e-13)


def test_modes_that_are_pixels() -> None:
    p = kf.Population.from_spectrum(np.arange(1, 9.0) ** -1.0)
    expected = kf.Population.from_covariance(np.diag(p.eigenvalues))
    for mine, dense in zip(architectures(p), architectures(expected), strict=True):
        x = rng(0).standard_normal((3, 8))
        np.testing.assert_allclose(mine(x, 0.5), dense(x, 0.5), atol=1e-13)
        np.testing.assert_allclose(mine.law().variances, dense.law().variances, rtol=1e-9)


# ---------------------------------------------------------------- the optimum
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize(("shape", "rank"), [((12,), None), ((12,), 5), ((5, 3, 2), None), ((5, 3, 2), 7)])
def test_full_convolution_is_the_bfgs_optimum(shape: tuple[int, ...], rank: int | None, bias: str) -> None:
    p = population(shape, rank=rank)
    w, b = bfgs(p, None, "circular", bias, 0.5)
    mine = matrix_and_bias(ConvolutionDenoiser.fit(p, bias=bias), 0.5)
    np.testing.assert_allclose(mine[0], w, atol=3e-9)
    np.testing.assert_allclose(mine[1], b, atol=3e-9)


def least_squares(
    p: kf.Population, sizes: tuple[int, ...] | None, padding: str, bias: str, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """(W, b) of least exact loss by one dense least-squares problem: no iteration, no line search."""
    layout = SpatialLayout.of(p.shape)
    assert p.eigenvectors is not None
    basis, images = np.array(shift_matrices(layout, sizes, padding)), bias_images(layout, bias)
    root, d = p.eigenvectors * np.sqrt(p.eigenvalues), layout.dimension
    columns = [np.concatenate([(m @ root).ravel(), sigma * m.ravel(), m @ p.mean]) for m in basis]
    columns += [np.concatenate([np.zeros(root.size + d * d), image]) for image in images]
    target = np.concatenate([root.ravel(), np.zeros(d * d), p.mean])
    t = np.linalg.lstsq(np.array(columns).T, target, rcond=None)[0]
    return np.tensordot(t[: len(basis)], basis, 1), t[len(basis) :] @ images


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("sigma", [0.05, 3.0])
@pytest.mark.parametrize(("shape", "rank"), [((12,), 5), ((5, 3, 2), None)])
def test_all_filters_solve_the_dense_least_squares_problem(
    shape: tuple[int, ...], rank: int | None, sigma: float, bias: str
) -> None:
    p = population(shape, rank=rank)
    patch = (3,) if len(shape) == 1 else (3, 3)
    fits = [(None, "circular", ConvolutionDenoiser.fit(p, bias=bias))]
    fits += [(patch, q, PatchDenoiser.fit(p, patch=patch, padding=q, bias=bias)) for q in ("circular", "zero")]
    for sizes, padding, denoiser in fits:
        expected, mine = least_squares(p, sizes, padding, bias, sigma), matrix_and_bias(denoiser, sigma)
        np.testing.assert_allclose(mine[0], expected[0], atol=1e-11)
        np.testing.assert_allclose(mine[1], expected[1], atol=1e-11)


@pytest.mark.parametrize("bias", ["scalar", "none"])
def test_covariance_alone_is_not_the_optimum_without_a_bias_image(bias: str) -> None:
    """The talk's "linear convolutions learn the stationary covariance" needs a bias image or centred data."""
    p = population((12,))
    w, _ = bfgs(p, None, "circular", bias, 0.5)
    talk, _ = matrix_and_bias(ConvolutionDenoiser.fit(p, bias="image"), 0.5)
    right, _ = matrix_and_bias(ConvolutionDenoiser.fit(p, bias=bias), 0.5)
    assert np.abs(right - w).max() < 3e-9
    assert np.abs(talk - w).max() > 0.01
    centred = kf.Population.from_covariance(covariance(p))
    for denoiser in (ConvolutionDenoiser.fit(centred, bias=b) for b in BIASES):
        np.testing.assert_allclose(matrix_and_bias(denoiser, 0.5)[0], talk, atol=1e-13)


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("padding", ["circular", "zero"])
@pytest.mark.parametrize(
    ("shape", "patch", "rank"), [((12,), (5,), None), ((5, 4), (3, 3), 6), ((5, 3, 2), (1, 3), None)]
)
def test_patch_is_the_bfgs_optimum(
    shape: tuple[int, ...], patch: tuple[int, ...], rank: int | None, padding: str, bias: str
) -> None:
    p = population(shape, rank=rank)
    w, b = bfgs(p, patch, padding, bias, 0.5)
    mine = matrix_and_bias(PatchDenoiser.fit(p, patch=patch, padding=padding, bias=bias), 0.5)
    np.testing.assert_allclose(mine[0], w, atol=4e-9)
    np.testing.assert_allclose(mine[1], b, atol=4e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [None, 4])
def test_losses_are_those_of_the_maps(shape: tuple[int, ...], rank: int | None) -> None:
    """Closed forms against the quadratic form of dense matrices, at every σ."""
    p = population(shape, rank=rank)
    sigmas = np.array([0.01, 0.3, 2.0, 20.0])
    for denoiser in architectures(p):
        assert isinstance(denoiser, RowDenoiser)
        dense = [exact_loss(*matrix_and_bias(denoiser, s), p, s) for s in sigmas]
        np.testing.assert_allclose(denoiser.loss(sigmas), dense, rtol=1e-10, atol=1e-14)
        assert denoiser.loss(0.3).shape == ()


def test_more_freedom_is_less_loss() -> None:
    for p in (population((5, 5)), population((6, 5, 3), rank=20), smooth()):
        sigmas = np.geomspace(0.02, 50, 9)
        ladder: list[Architecture] = [MeanDenoiser.fit(p), PatchDenoiser.fit(p, patch=3), PatchDenoiser.fit(p, patch=5)]
        ladder += [ConvolutionDenoiser.fit(p), FullLinearDenoiser(p)]
        losses = np.array([denoiser.loss(sigmas) for denoiser in ladder])
        assert np.all(np.diff(losses, axis=0) <= 1e-12 * losses[:-1])
        for padding in ("circular", "zero"):
            by_bias = [PatchDenoiser.fit(p, patch=3, padding=padding, bias=b).loss(sigmas) for b in BIASES]
            assert np.all(np.diff(by_bias, axis=0) >= -1e-12)


def test_a_bias_of_one_number_can_be_worse_than_the_mean_image() -> None:
    """It cannot even add the mean image, so that no order is due between the two."""
    p = smooth()
    assert ConvolutionDenoiser.fit(p, bias="scalar").loss(20.0) > 1.2 * MeanDenoiser.fit(p).loss(20.0)


def test_samples_do_as_well_as_their_population() -> None:
    samples = rng(5).standard_normal((40, 5, 4)).cumsum(axis=1)
    p = kf.Population.from_samples(samples)
    for padding, bias in itertools.product(("circular", "zero"), BIASES):
        a = PatchDenoiser.fit(samples, patch=3, padding=padding, bias=bias)
        b = PatchDenoiser.fit(p, patch=3, padding=padding, bias=bias)
        np.testing.assert_allclose(a.filter(0.3), b.filter(0.3), atol=1e-11)
    statistics = SpectralStatistics.from_samples(samples)
    np.testing.assert_allclose(
        PatchDenoiser.fit(statistics, patch=3).filter(0.3), PatchDenoiser.fit(p, patch=3).filter(0.3), atol=1e-11
    )


def test_a_patch_as_large_as_the_image_is_the_full_convolution() -> None:
    for shape in ((11,), (5, 3), (5, 3, 2)):
        p = population(shape)
        for bias in BIASES:
            patch = PatchDenoiser.fit(p, patch=shape[:2], bias=bias)
            full = ConvolutionDenoiser.fit(p, bias=bias)
            np.testing.assert_allclose(patch.transfer(0.4), full.transfer(0.4), atol=1e-12)
            x = rng(1).standard_normal((2, *shape))
            np.testing.assert_allclose(patch.law().from_noise(x), full.law().from_noise(x), atol=1e-8)


def test_the_patch_is_no_truncation_of_the_full_filter() -> None:
    p = smooth()
    patch, full = PatchDenoiser.fit(p, patch=7), ConvolutionDenoiser.fit(p)
    kept = full.filter(2.0)[np.arange(-3, 4), 0, 0]
    weights = patch.filter(2.0)[:, 0, 0]
    assert np.abs(kept - weights).max() > 1e-3
    truncated = sum(k * m for k, m in zip(kept, shift_matrices(patch.layout, (7,), "circular"), strict=True))
    excess = exact_loss(truncated, p.mean - truncated @ p.mean, p, 2.0) / patch.loss(2.0)
    assert excess > 1.0001


@pytest.mark.parametrize("bias", BIASES)
def test_a_filter_is_what_is_applied(bias: str) -> None:
    p = population((5, 4, 2))
    full = ConvolutionDenoiser.fit(p, bias=bias)
    w, _ = matrix_and_bias(full, 0.7)
    total = np.tensordot(full.filter(0.7).ravel(), np.array(shift_matrices(full.layout, None, "circular")), 1)
    np.testing.assert_allclose(total, w, atol=1e-13)
    for padding in ("circular", "zero"):
        patch = PatchDenoiser.fit(p, patch=3, padding=padding, bias=bias)
        w, _ = matrix_and_bias(patch, 0.7)
        matrices = np.array(shift_matrices(patch.layout, (3, 3), padding))
        np.testing.assert_allclose(np.tensordot(patch.filter(0.7).ravel(), matrices, 1), w, atol=1e-13)
        if padding == "zero":
            np.testing.assert_allclose(patch.matrix(0.7), w, atol=1e-13)


def test_a_noise_level_for_each_row() -> None:
    p = population((4, 4))
    x, sigmas = rng(2).standard_normal((3, 4, 4)), np.array([0.5, 2.0, 0.5])
    for denoiser in architectures(p):
        together = denoiser(x, sigmas)
        apart = np.concatenate([denoiser(x[i], s) for i, s in enumerate(sigmas)])
        np.testing.assert_allclose(together, apart, atol=1e-14)


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


def two_channels(size: int = 24) -> kf.Population:
    """An exactly stationary signal of two channels, one of which leads the other."""
    draw = rng(7)
    mixing = np.fft.fft(draw.standard_normal((size, 2, 2)) * np.exp(-np.arange(size) / 3)[:, None, None], axis=0)
    spectra = mixing @ mixing.conj().swapaxes(-1, -2) + 0.05 * np.eye(2)
    lags = np.fft.ifft(spectra, axis=0).real
    gaps = (np.arange(size)[:, None] - np.arange(size)) % size
    dense = lags[gaps].swapaxes(1, 2).reshape(2 * size, 2 * size)
    return kf.Population.from_covariance(0.5 * (dense + dense.T), shape=(size, 1, 2))


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


# ---------------------------------------------------------------- the study and its window
def digits() -> kf.Population:
    from sklearn.datasets import load_digits

    return kf.Population.from_samples(load_digits().images / 8 - 1)


def colours() -> kf.Population:
    """Smooth colour pictures, fewer than they have pixels."""
    noise = rng(13).standard_normal((60, 8, 6, 3)).cumsum(axis=1).cumsum(axis=2)
    return kf.Population.from_samples(noise / np.abs(noise).max() @ np.array([[1, 0.5, 0.2], [0, 1, 0.4], [0, 0, 1]]))


def vectors() -> kf.Population:
    return kf.Population.from_samples(rng(14).standard_normal((25, 40)).cumsum(axis=1))


POPULATIONS = {
    "digits": digits, "colours": colours, "vectors": vectors,
    "two channels": two_channels, "spectrum": lambda: kf.Population.from_spectrum([3.0, 1.0, 0.5, 0.0]),
    "pair": lambda: kf.Population.from_covariance(np.eye(2)),
}  # fmt: skip


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_study_fills_its_window(name: str) -> None:
    pytest.importorskip("matplotlib")
    if name == "digits":
        pytest.importorskip("sklearn")
    from kappaflow.report.lens.architecture import section

    p = POPULATIONS[name]()
    study = architecture_study(p)
    shown = section(study)
    assert shown.name == "architecture"
    assert len(shown.pictures) == 5
    assert len(shown.tables) == 3
    assert all(text and "nan" not in text and "inf " not in text for text in shown.takeaways)
    for table in shown.tables:
        assert len({len(values) for values in table.columns.values()}) == 1
    for picture in shown.pictures:
        assert "nan" not in picture.alternative
        figure = picture.draw()
        figure.draw_without_rendering()
        assert all(ax.has_data() for ax in figure.axes)


def test_a_study_holds_what_its_parts_say() -> None:
    p = colours()
    study = architecture_study(p, patches=(3,), sigma=[0.1, 1.0], samples=2, seed=5)
    denoiser = PatchDenoiser.fit(p, patch=3, padding="zero")
    one = study.find("patch 3, zero padding")
    np.testing.assert_allclose(one.loss, denoiser.loss(np.array([0.1, 1.0])) / p.dimension)
    assert one.generated is not None
    assert one.weights == 81
    noise = rng(5).standard_normal((2, p.dimension))
    np.testing.assert_allclose(one.generated.samples, denoiser.law().from_noise(noise))
    assert study.variance == pytest.approx(p.total_variance / p.dimension)
    power = np.einsum("...aa->...", SpectralStatistics.of(p).spectra).real / 3
    assert study.spectrum[0] == pytest.approx(power[0, 0])
    assert study.autocovariance[0] == pytest.approx(study.variance)
    assert study.frequencies[0] == 0
    assert study.locality == ()
    assert dict(study.commutators)["convolution"] < 1e-13
    assert dict(study.commutators)["patch 3"] > 1e-4
    with pytest.raises(KeyError, match="name must be one of mean image"):
        study.find("transformer")


def test_a_study_refuses_even_patches_and_leaves_out_what_holds_the_image() -> None:
    with pytest.raises(ValueError, match="patches must be odd"):
        architecture_study(vectors(), patches=(4,))
    names = [s.name for s in architecture_study(kf.Population.from_covariance(np.eye(9), shape=(3, 3))).studied]
    assert not any("patch" in name for name in names)


def test_the_example_of_the_page_runs() -> None:
    page = (Path(__file__).parents[3] / "docs/lens/architecture.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "architecture.md", "exec"), {})


# ---------------------------------------------------------------- errors
def test_bad_input_is_refused() -> None:
    p = population((5, 4))
    denoiser = ConvolutionDenoiser.fit(p)
    with pytest.raises(ValueError, match="patch must have odd sizes"):
        PatchDenoiser.fit(p, patch=2)
    with pytest.raises(ValueError, match=r"patch must not be larger than the image \(5, 4\), got 5"):
        PatchDenoiser.fit(p, patch=5, padding="zero")
    with pytest.raises(ValueError, match="patch must be one integer or 2 of them"):
        PatchDenoiser.fit(p, patch=(3, 3, 3))
    with pytest.raises(TypeError, match="patch must be an integer"):
        PatchDenoiser.fit(p, patch=3.0)
    with pytest.raises(ValueError, match="padding must be one of"):
        PatchDenoiser.fit(p, patch=3, padding="reflect")
    with pytest.raises(ValueError, match="bias must be one of"):
        ConvolutionDenoiser.fit(p, bias="free")
    with pytest.raises(TypeError, match="spectra know nothing of positions"):
        PatchDenoiser.fit(SpectralStatistics.of(p), patch=3, padding="zero")
    with pytest.raises(ValueError, match="sigma must hold noise levels above 0"):
        denoiser.loss([1.0, 0.0])
    with pytest.raises(ValueError, match=r"sigma must be a number or have shape \(2,\)"):
        denoiser(np.zeros((2, 20)), [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="x must have shape"):
        denoiser(np.zeros((2, 19)), 1.0)
    with pytest.raises(ValueError, match="sigma_min must be below sigma_max"):
        denoiser.law(sigma_max=1.0, sigma_min=1.0)
    with pytest.raises(ValueError, match="count must be"):
        denoiser.law().sample(0, rng=rng(0))
    with pytest.raises(ValueError, match="noise must have shape"):
        denoiser.law().from_noise(np.zeros(3))
    with pytest.raises(ValueError, match="log_covariance needs circular padding and one channel"):
        PatchDenoiser.fit(population((5, 3, 2)), patch=3).log_covariance()
    with pytest.raises(ValueError, match="padding must be 'circular' for a transfer function"):
        PatchDenoiser.fit(p, patch=3, padding="zero").transfer(1.0)
    with pytest.raises(ValueError, match="padding must be 'zero' for a matrix"):
        PatchDenoiser.fit(p, patch=3).matrix(1.0)


def test_bad_data_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape must be \(N,\), \(H, W\), \(H, W, C\) or \(C, H, W\)"):
        SpectralStatistics.from_samples(np.zeros((3, 2, 2, 2, 2)))
    with pytest.raises(ValueError, match="samples must have shape"):
        SpectralStatistics.from_samples(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="shape must hold the 4 values of a sample"):
        SpectralStatistics.from_samples(np.zeros((3, 4)), shape=(2, 3))
    with pytest.raises(ValueError, match="population must have no multiplicities above 1"):
        SpectralStatistics.of(kf.Population.from_spectrum([1.0, 0.5], [2, 3]))
    with pytest.raises(ValueError, match="shape must be left out for a population"):
        PatchDenoiser.fit(population((12,)), patch=3, padding="zero", shape=(3, 4))
    large = rng(0).standard_normal((3, ZERO_PADDING_LIMIT + 1))
    denoiser = PatchDenoiser.fit(large, patch=3, padding="zero")
    with pytest.raises(ValueError, match=f"up to {ZERO_PADDING_LIMIT} pixel values"):
        denoiser.law()
