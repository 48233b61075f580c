"""Convolutions in training: gains and laws against the gradient flow of shared weights, and the delay of local patches."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens.learning import (
    OneLayer,
    converged_variance,
    emergence_times,
    fourier_spectrum,
    patch_convolution,
    power_law,
)
from learning_cases import NOISE, POWER_LAW, flow, loss_gradient, population


def circulant_covariance(power: np.ndarray) -> np.ndarray:
    """(N, N) of a stationary process on a grid, by its definition."""
    waves = np.fft.fftn(
        np.eye(power.size).reshape(power.size, *power.shape), axes=range(1, power.ndim + 1), norm="ortho"
    )
    waves = waves.reshape(power.size, power.size)
    return np.real(waves.conj().T @ (power.ravel()[:, None] * waves))


@pytest.mark.parametrize("shape", [(12,), (6, 5)], ids=["1-D", "2-D"])
def test_convolutions_follow_the_gradient_flow_of_shared_weights(shape: tuple[int, ...]) -> None:
    """Gradient flow of the filter's entries, through the matrix that they make, for a local and for a full patch."""
    generator, sigma, time = np.random.default_rng(2), 0.7, 0.03
    power = generator.exponential(size=shape) ** 2
    flipped = power
    for axis in range(power.ndim):
        flipped = np.roll(np.flip(flipped, axis), 1, axis)
    power = power + flipped
    power.flat[0] = 5.0
    power[(0,) * (power.ndim - 1)][..., [2, -2]] = 0.0  # two modes without power
    covariance, count = circulant_covariance(power), power.size
    lengths = (3,) * power.ndim
    axes = [np.arange(n) - n // 2 for n in lengths]
    offsets = [tuple(o) for o in np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, power.ndim)]
    everywhere = [tuple(o) for o in np.ndindex(*shape)]
    for patch, chosen in ((3, offsets), (None, everywhere)):
        index = np.arange(count).reshape(shape)
        shifts = np.zeros((len(chosen), count, count))
        for row, offset in enumerate(chosen):
            shifts[row, np.arange(count), np.roll(index, [-o for o in offset], range(len(shape))).ravel()] = 1.0
        start = np.array([0.4 if not any(offset) else 0.0 for offset in chosen])

        def slope(w: np.ndarray, shifts: np.ndarray = shifts) -> np.ndarray:
            return -np.einsum("sij,ij->s", shifts, loss_gradient(np.tensordot(w, shifts, 1), covariance, sigma))

        weights = flow(slope, start, time)
        kernel = np.zeros(shape)
        for value, offset in zip(weights, chosen, strict=True):
            kernel[tuple(o % n for o, n in zip(offset, shape, strict=True))] = value
        transfer = np.fft.fftn(kernel)
        np.testing.assert_allclose(transfer.imag, 0, atol=1e-12)
        if patch is None:
            gains = OneLayer(0.4, count).gain(power.ravel(), sigma, time)
        else:
            learner = patch_convolution(power, patch, initial=0.4, rate=count)
            gains = learner.gain(sigma, np.array([time]))
            np.testing.assert_allclose(learner.gain(sigma, np.full(count, time)), gains, atol=1e-14)
        np.testing.assert_allclose(transfer.real.ravel(), gains, atol=2e-12)


@pytest.mark.parametrize("shape", [(16,), (6, 9)], ids=["1-D", "2-D"])
def test_patch_law_is_the_integral_of_its_gain(shape: tuple[int, ...]) -> None:
    """Closed form of the patch convolution against quadrature over ln σ, at one time for all modes and one for each."""
    waves = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij")
    power = 20 / np.maximum(sum(w**2 for w in waves), 1.0)
    power.flat[0] = 0.0
    learner = patch_convolution(power, 3, initial=0.1, rate=power.size)
    edges = np.linspace(np.log(NOISE.sigma_min), np.log(NOISE.sigma_max), 25)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = 0.5 * np.diff(edges)
    sigma = np.exp((edges[:-1] + half)[:, None] + half[:, None] * nodes).ravel()
    for time in (0.0, 1e-4, 0.01, 1.0, 1e6):
        gains = learner.gain(sigma[:, None], np.array([time]))
        expected = 2 * (np.log(NOISE.sigma_min) + (half[:, None] * weights).ravel() @ gains)
        log_variance = learner.log_variance(np.array([time]))
        np.testing.assert_allclose(log_variance, expected, atol=4e-13)
        np.testing.assert_allclose(learner.log_variance(np.full(power.size, time)), log_variance, atol=1e-13)
        np.testing.assert_array_equal(learner.log_variance(time), log_variance)
        np.testing.assert_array_equal(learner.at([1, 3]).log_variance(np.array([time])), log_variance[[1, 3]])
    np.testing.assert_allclose(learner.converged_log_variance(), log_variance, atol=1e-9)


def test_a_convolution_has_a_short_repr() -> None:
    assert repr(patch_convolution(np.ones((8, 6)), 3)) == (
        "PatchConvolution(spectrum=array (48,), grid=(8, 6), patch=(3, 3), patch_eigenvalues=array (9,), "
        "responses=array (48, 9), layer=OneLayer(…))"
    )


def test_whole_patch_is_the_full_convolution() -> None:
    power = 20 / np.maximum(np.minimum(np.arange(15), 15 - np.arange(15.0)), 1) ** 2
    local, full = patch_convolution(power, 15, rate=15.0), OneLayer(0.0, 15.0)
    for time in (1e-3, 0.1, 10.0):
        np.testing.assert_allclose(local.log_variance(np.array([time])), full.log_variance(power, time), atol=1e-12)


def test_fourier_spectrum_is_that_of_the_covariance() -> None:
    generator = np.random.default_rng(8)
    for shape in ((5, 4), (5, 4, 3)):
        images = generator.standard_normal((12, *shape)).cumsum(axis=1)
        known = kf.Population.from_samples(images)
        deviations = np.moveaxis(images - images.mean(0), -1, 1) if len(shape) == 3 else images - images.mean(0)
        expected = (np.abs(np.fft.fft2(deviations, norm="ortho")) ** 2).mean(axis=0)
        np.testing.assert_allclose(
            fourier_spectrum(known), expected if expected.ndim == 2 else expected.mean(0), rtol=1e-11
        )


def half_digit(printed: list[float]) -> np.ndarray:
    """Half a unit of the last printed digit, and a tenth of that for a grid of times that is inferred from what is printed."""
    return np.array([0.55 * 10.0 ** -len(str(x).partition(".")[2]) for x in printed])


def test_local_patches_delay_the_modes_that_they_resolve() -> None:
    """λ̃_m = 20/m² on 64 pixels: simultaneous emergence holds below the patch's resolution, and not beyond.

    Times are those at which a geometric grid of 400 times from 1e-5 to 1e5 first shows the crossing, and exact ones.
    """
    power = 20 / np.maximum(np.minimum(np.arange(64), 64 - np.arange(64.0)), 1) ** 2
    modes = [1, 4, 16, 32]
    on_grid = {3: [0.086, 0.091, 1.09, 13.0], 7: [0.041, 0.058, 3.9, 14.6], 15: [0.023, 0.217, 4.1, 14.6]}
    ratios = {3: [0.20, 2.57, 2.48, 0.48], 7: [0.43, 2.82, 0.72, 0.80], 15: [0.71, 1.22, 0.91, 0.96]}
    exact = {}
    grid = np.logspace(-5, 5, 400)
    for patch, expected in on_grid.items():
        learner = patch_convolution(power, patch)
        final = np.exp(learner.converged_log_variance())
        np.testing.assert_allclose((final / power)[modes], ratios[patch], atol=0.00501)
        emergence = emergence_times(learner.log_variance, final, exclude=1.0)
        exact[patch] = emergence.times
        seen = grid[np.searchsorted(grid, emergence.times[modes])]
        assert (np.abs(seen - expected) <= half_digit(expected)).all()
        assert (np.abs(emergence.times[modes] / expected - 1) < 0.065).all()
    full = emergence_times(lambda t: OneLayer().log_variance(power, t), converged_variance(power), exclude=1.0)
    printed = [0.016, 0.258, 3.9, 15.5]
    assert (np.abs(grid[np.searchsorted(grid, full.times[modes])] - printed) <= half_digit(printed)).all()
    local = exact[3]
    assert local[4] / local[1] < 1.06  # power 16 times apart
    assert local[16] / local[1] == pytest.approx(13, rel=0.03)
    assert local[32] / local[1] == pytest.approx(151, rel=0.01)
    fit = power_law(power[1:33], local[1:33])
    assert fit is not None
    assert fit.exponent == pytest.approx(1.05, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: patch_convolution(np.ones(8), 4), "patch must be odd and at most 8"),
        (lambda: patch_convolution(np.ones(8), 9), "patch must be odd and at most 8"),
        (lambda: patch_convolution(np.ones((8, 8)), (3,)), "patch must have 2 lengths"),
        (lambda: patch_convolution(np.arange(8.0), 3), "spectrum must have the same value at m and"),
        (lambda: patch_convolution(-np.ones(8), 3), "spectrum must not be negative"),
        (lambda: patch_convolution(1.0, 3), "spectrum must be an array of at least one axis"),
        (lambda: fourier_spectrum(population(POWER_LAW)), "population must hold images"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
