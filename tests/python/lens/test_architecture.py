"""Best denoisers of architectures against minimisers of the exact loss and dense least squares."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import kappaflow as kf
from architecture_cases import (
    BIASES,
    SHAPES,
    architectures,
    bias_images,
    covariance,
    exact_loss,
    matrix_and_bias,
    population,
    rng,
    shift_matrices,
    smooth,
)
from kappaflow.lens.architecture import (
    ZERO_PADDING_LIMIT,
    Architecture,
    ConvolutionDenoiser,
    FullLinearDenoiser,
    MeanDenoiser,
    PatchDenoiser,
)
from kappaflow.lens.layout import SpatialLayout
from kappaflow.lens.stationary import SpectralStatistics
from kappaflow.models.rows import RowDenoiser


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
    with pytest.raises(TypeError, match="spectra hold no positions"):
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
