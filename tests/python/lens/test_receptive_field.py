"""Receptive fields against dense matrices, Fourier sums, finite differences, Monte Carlo and automatic differentiation."""

from __future__ import annotations

import doctest
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens import layout
from kappaflow.lens.layout import SpatialLayout
from kappaflow.lens.receptive_field import (
    FieldSize,
    collapse_channels,
    degrees_of_freedom,
    difference_receptive_field,
    equivariance_error,
    expected_degrees_of_freedom,
    expected_receptive_field,
    field_size,
    fit_power_law,
    frequencies,
    jacobian_rows,
    lattice_field,
    lattice_spectrum,
    local_equivariance_error,
    power_law_defect,
    power_law_field,
    power_law_field_2d,
    power_law_size,
    power_law_spectrum,
    radial_average,
    receptive_field,
    receptive_field_spread,
    receptive_field_study,
    receptive_field_variance,
    stationary_field,
    stationary_spectrum,
)
from kappaflow.report.lens.receptive_field import section
from kappaflow.report.look import save

SIGMAS = (1e-3, 0.1, 1.0, 30.0)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def full_rank(shape: tuple[int, ...] = (4, 3), seed: int = 0, low: float = 1e-3, high: float = 27.0) -> kf.Population:
    """Not stationary, eigenvalues from `low` to `high`, a mean."""
    d = math.prod(shape)
    basis = np.linalg.qr(rng(seed).standard_normal((d, d)))[0]
    return kf.Population.from_covariance(
        (basis * np.geomspace(high, low, d)) @ basis.T, rng(seed + 1).standard_normal(d), shape=shape
    )


def low_rank(shape: tuple[int, ...] = (4, 3), count: int = 6, seed: int = 2) -> kf.Population:
    """Of fewer samples than dimensions: rank count − 1, eigenvectors (d, rank)."""
    return kf.Population.from_samples(rng(seed).standard_normal((count, *shape)))


def covariance(population: kf.Population) -> np.ndarray:
    u = population.eigenvectors
    return (u * population.eigenvalues) @ u.T


def dense(population: kf.Population, sigma: float) -> np.ndarray:
    s = covariance(population)
    return np.linalg.solve(s + sigma**2 * np.eye(len(s)), s)


def circulant(spectrum: np.ndarray) -> np.ndarray:
    """Σ of a ring or torus by its autocovariance, entry by entry."""
    autocovariance = np.fft.ifftn(spectrum).real
    places = list(np.ndindex(*spectrum.shape))
    return np.array(
        [
            [autocovariance[tuple((np.array(i) - j) % spectrum.shape)] for j in places]
            for i in places
        ]
    )  # fmt: skip


POPULATIONS = [full_rank, low_rank]


# ---------------------------------------------------------------- rows
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_rows_are_those_of_the_dense_jacobian(population: Any, sigma: float) -> None:
    p = population()
    j = dense(p, sigma)
    rows = np.stack([receptive_field(p, sigma, place).ravel() for place in np.ndindex(4, 3)])
    np.testing.assert_allclose(rows, j, atol=1e-12)
    assert degrees_of_freedom(p, sigma) == pytest.approx(np.trace(j), rel=1e-11)


def test_the_field_is_the_derivative_of_the_denoiser() -> None:
    p = full_rank()
    gains = p.eigenvalues / (p.eigenvalues + 0.25)
    shift = np.zeros((2, 12))
    shift[:, 7] = 1e-3, -1e-3
    up, down = p.apply(p.mean + shift, gains)
    np.testing.assert_allclose(receptive_field(p, 0.5, (2, 1)).ravel(), (up - down) / 2e-3, atol=1e-11)


def test_rows_of_any_gains_with_and_without_eigenvectors() -> None:
    p = low_rank()
    u, values = p.eigenvectors, p.eigenvalues
    expected = (u * (np.sqrt(values + 2) - np.sqrt(2))) @ u.T + np.sqrt(2) * np.eye(12)
    np.testing.assert_allclose(
        jacobian_rows(p, np.sqrt(values + 2), np.arange(12), null_gain=math.sqrt(2)), expected, atol=1e-13
    )
    diagonal = kf.Population.from_spectrum([3.0, 1.0])
    np.testing.assert_array_equal(receptive_field(diagonal, 1.0, 1), [0.0, 0.5])


def test_several_noise_levels_at_once() -> None:
    p = full_rank((4, 2, 3))
    sigma = np.array([0.0, 0.3, 2.0])
    for pixel, channels in (((1, 0, 2), "row"), ((1, 0), "grey"), ((1, 0), "energy")):
        together = receptive_field(p, sigma, pixel, channels=channels)
        alone = np.stack([receptive_field(p, float(s), pixel, channels=channels) for s in sigma])
        np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(degrees_of_freedom(p, sigma), [degrees_of_freedom(p, s) for s in sigma], rtol=1e-14)


@pytest.mark.parametrize("shape", [(4, 2, 3), (3, 4, 2)])
def test_channels_are_summed_as_written(shape: tuple[int, ...]) -> None:
    """Last axis or first; grey is the answer of the mean of the channels to a change of all."""
    p = full_rank(shape)
    j = dense(p, 0.7).reshape(*shape, *shape)
    axis = 2 if shape[2] == 3 else 0
    j = np.moveaxis(np.moveaxis(j, 3 + axis, 5), axis, 2)  # (H, W, C, H, W, C)
    grey = sum(j[2, 1, a, :, :, b] for a in range(3) for b in range(3)) / 3
    np.testing.assert_allclose(receptive_field(p, 0.7, (2, 1), channels="grey"), grey, atol=1e-13)
    energy = np.sqrt(sum(j[2, 1, a, :, :, b] ** 2 for a in range(3) for b in range(3)) / 3)
    np.testing.assert_allclose(receptive_field(p, 0.7, (2, 1), channels="energy"), energy, atol=1e-13)
    unit = np.zeros((4, 2))
    unit[2, 1] = 1.0
    for channels in ("grey", "energy"):
        np.testing.assert_allclose(receptive_field(p, 0.0, (2, 1), channels=channels), unit, atol=1e-12)


def test_grids() -> None:
    assert SpatialLayout.of_any((8, 8, 1)).grid == (8, 8)
    assert SpatialLayout.of_any((3, 8, 6)).grid == (8, 6)
    assert SpatialLayout.of_any((2, 5, 7)).grid == (70,)
    assert SpatialLayout.of_any((9,)).centre == (4,)
    grid = SpatialLayout.of_any((3, 8, 6))
    rows = rng(0).standard_normal((2, 144))
    np.testing.assert_array_equal(grid.planes(rows), rows.reshape(2, 3, 8, 6))
    np.testing.assert_array_equal(
        SpatialLayout.of_any((8, 6, 3)).planes(rows), np.moveaxis(rows.reshape(2, 8, 6, 3), 3, 1)
    )
    np.testing.assert_array_equal(SpatialLayout.of_any((8, 6, 1)).entries((2, 3)), [15])


# ---------------------------------------------------------------- limits
def test_low_noise_gives_the_identity_only_where_the_covariance_has_full_rank() -> None:
    """RF → eᵢ as often stated needs λ_min > 0 and σ² ≪ λ_min; else the limit is the projector on the modes."""
    p = full_rank((8, 8))
    for sigma, wanted in ((1e-4, 1e-5), (1e-3, 1e-3)):
        assert np.linalg.norm(dense(p, sigma) - np.eye(64), 2) == pytest.approx(sigma**2 / (1e-3 + sigma**2), rel=1e-6)
        assert np.abs(receptive_field(p, sigma, (3, 3)) - _unit(8, 3, 3)).max() < wanted
    # σ is small, but not against √λ_min = 0.03: no identity
    assert np.linalg.norm(dense(p, 0.1) - np.eye(64), 2) > 0.9

    q = low_rank((8, 8), count=20)  # rank 19 of 64
    j = dense(q, 1e-4)
    projector = np.linalg.pinv(covariance(q), rcond=1e-10, hermitian=True) @ covariance(q)
    np.testing.assert_allclose(j, projector, atol=1e-6)
    assert np.linalg.norm(j - np.eye(64)) / 8 == pytest.approx(math.sqrt(1 - 19 / 64), abs=1e-6)
    assert np.linalg.norm(j - np.eye(64)) / 8 == pytest.approx(0.84, abs=0.005)
    np.testing.assert_allclose(receptive_field(q, 0.0, (3, 4)).ravel(), projector[28], atol=1e-13)
    assert degrees_of_freedom(q, 0.0) == 19
    # neither local nor a shift of the others
    assert np.abs(receptive_field(q, 0.0, (3, 4)) - _unit(8, 3, 4)).max() > 0.5
    assert float(local_equivariance_error(q, 0.0)) > 0.1
    assert float(local_equivariance_error(p, 0.0)) < 1e-24


def _unit(side: int, *place: int) -> np.ndarray:
    unit = np.zeros((side,) * len(place))
    unit[place] = 1.0
    return unit


@pytest.mark.parametrize("population", POPULATIONS)
def test_high_noise_gives_the_covariance_over_noise(population: Any) -> None:
    """The spectral defect is λ₁/(λ₁ + σ²) exactly, over four decades of σ."""
    p = population()
    top, s = float(p.eigenvalues[0]), covariance(p)
    for sigma in np.geomspace(1, 1e4, 5) * math.sqrt(top):
        rows = jacobian_rows(p, p.eigenvalues / (p.eigenvalues + sigma**2), np.arange(12))
        defect = np.linalg.norm(rows - s / sigma**2, 2) / np.linalg.norm(s / sigma**2, 2)
        assert defect == pytest.approx(top / (top + sigma**2), rel=1e-5, abs=1e-15)


def test_a_zero_of_the_eigensolver_is_no_variance_at_no_noise() -> None:
    u = np.linalg.qr(rng(5).standard_normal((6, 6)))[0][:, :2]
    p = kf.Population.from_covariance((u * [2.0, 1.0]) @ u.T)
    assert degrees_of_freedom(p, 0.0) == 2


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_the_jacobian_of_a_posterior_mean_is_the_posterior_covariance_over_the_noise(sigma: float) -> None:
    """A Gaussian mixture and a set of points, rows and columns alike."""
    points = rng(6).standard_normal((9, 4)) * [2.0, 1.0, 0.5, 0.2]
    spread = np.diag([0.3, 0.1, 0.2, 0.05])
    for inner in (np.zeros((4, 4)), spread):
        noisy = inner + sigma**2 * np.eye(4)
        gain = inner @ np.linalg.inv(noisy)

        def posterior(x: np.ndarray, noisy: np.ndarray = noisy, gain: np.ndarray = gain) -> Any:
            away = x[:, None] - points
            exponent = -0.5 * np.einsum("bni,ij,bnj->bn", away, np.linalg.inv(noisy), away)
            weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
            weights /= weights.sum(axis=1, keepdims=True)
            means = points + away @ gain.T
            return weights, means

        def denoiser(x: np.ndarray, _sigma: Any, posterior: Any = posterior) -> np.ndarray:
            weights, means = posterior(x)
            return np.einsum("bn,bni->bi", weights, means)

        data = points[:5]
        x = data + sigma * rng(7).standard_normal((5, 4))
        weights, means = posterior(x)
        centre = np.einsum("bn,bni->bi", weights, means)
        second = np.einsum("bn,bni,bnj->bij", weights, means, means) - np.einsum("bi,bj->bij", centre, centre)
        second += inner - gain @ inner  # covariance within a component
        for direction in ("rows", "columns"):
            found = difference_receptive_field(denoiser, data, sigma, range(4), direction=direction, seed=7)
            np.testing.assert_allclose(found.mean, second.mean(axis=0) / sigma**2, atol=2e-6)
            np.testing.assert_allclose(found.std, second.std(axis=0, ddof=1) / sigma**2, atol=2e-6)
            assert found.count == 5


# ---------------------------------------------------------------- stationary data
@pytest.mark.parametrize("size", [16, 17, (6, 5)])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_fourier_form_is_the_dense_solution(size: Any, sigma: float) -> None:
    spectrum = power_law_spectrum(size, 3.0, 1.7, dc=11.0)
    s = circulant(spectrum)
    first = np.linalg.solve(s + sigma**2 * np.eye(len(s)), s)[0]
    np.testing.assert_allclose(stationary_field(spectrum, sigma).ravel(), first, atol=1e-10)
    p = kf.Population.from_covariance(s, shape=spectrum.shape if spectrum.ndim == 2 else None)
    centre = SpatialLayout.of_any(p.shape).centre
    moved = np.roll(stationary_field(spectrum, sigma), centre, range(spectrum.ndim))
    np.testing.assert_allclose(
        receptive_field(p, sigma, centre if spectrum.ndim == 2 else centre[0]), moved, atol=1e-10
    )


def test_the_stationary_spectrum_is_that_of_the_average_over_shifts() -> None:
    for p in (full_rank((4, 5)), low_rank((4, 5)), low_rank((20,))):
        s, shape = covariance(p), SpatialLayout.of_any(p.shape).grid
        shifts = list(np.ndindex(*shape))
        numbers = np.arange(20).reshape(shape)
        average = np.zeros((20, 20))
        for shift in shifts:
            order = np.roll(numbers, shift, range(len(shape))).ravel()
            average += s[np.ix_(order, order)] / 20
        found = stationary_spectrum(p)
        np.testing.assert_allclose(np.fft.fftn(average[0].reshape(shape)).real, found, atol=1e-12 * found.max())
        assert found.sum() == pytest.approx(p.total_variance, rel=1e-12)
    colour = full_rank((4, 2, 3))
    grey = covariance(colour).reshape(8, 3, 8, 3).sum(axis=(1, 3)) / 3
    p = kf.Population.from_covariance(grey, shape=(4, 2))
    np.testing.assert_allclose(stationary_spectrum(colour), stationary_spectrum(p), rtol=1e-11)
    white = kf.Population.from_spectrum([3.0, 1.0])
    np.testing.assert_array_equal(stationary_spectrum(white), [2.0, 2.0])


def direct_sum(size: int, a: float, terms: int) -> np.ndarray:
    """(1/N) Σ_{|m| ≤ terms} a²/(a² + m²) cos(2πmk/N), with the DC gain 1."""
    m = np.arange(-terms, terms + 1)
    return np.array([np.sum(a**2 / (a**2 + m**2) * np.cos(2 * np.pi * m * k / size)) for k in range(size)]) / size


def test_the_infinite_sum_is_its_closed_form() -> None:
    size, amplitude, sigma = 12, 2.0, 0.7
    a = math.sqrt(amplitude) / sigma
    closed = power_law_field(size, amplitude, sigma, dc=1e300)
    expected = direct_sum(size, a, 200_000)
    expected[0] += 2 * a**2 / 200_000.5 / size  # the rest of the sum at k = 0, to second order
    np.testing.assert_allclose(closed, expected, atol=1e-9)
    finite = power_law_field(size, amplitude, sigma, dc=5.0)
    np.testing.assert_allclose(closed - finite, sigma**2 / (size * (sigma**2 + 5.0)), rtol=1e-12)


def test_the_closed_form_does_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        tiny = power_law_field(64, 1.0, 1e-4, dc=1.0)
        lattice = lattice_field(64, 1.0, 1e-6, dc=1.0)
    assert np.isfinite(tiny).all()
    np.testing.assert_allclose(lattice, np.eye(64)[0], atol=1e-8)


def test_the_lattice_form_is_exact_at_every_noise_and_the_infinite_sum_is_not() -> None:
    """The sinh/cosh form is off by 0.4 % of RF[0] at σN/(2√A) = 154, by 239 % at 0.5; the lattice form by rounding."""
    size, amplitude = 8192, 1.0
    wanted = {154.0: 0.004, 32.0: 0.02, 8.0: 0.086, 2.0: 0.42, 0.5: 2.39}
    for ratio, error in wanted.items():
        sigma = 2 * ratio * math.sqrt(amplitude) / size
        spectrum = power_law_spectrum(size, amplitude, 2.0, dc=amplitude)
        exact = stationary_field(spectrum, sigma)
        printed = power_law_field(size, amplitude, sigma, dc=amplitude)
        found = np.abs(printed - exact).max() / exact[0]
        assert found == pytest.approx(error, rel=0.04)  # to the digits written above
        missing = 2 / math.pi * math.atan(1 / ratio)  # share of the infinite sum beyond N/2
        assert found == pytest.approx(missing / (1 - missing), rel=0.01)
        lattice = stationary_field(lattice_spectrum(size, amplitude, dc=amplitude), sigma)
        assert np.abs(lattice_field(size, amplitude, sigma, dc=amplitude) - lattice).max() < 1e-14 * lattice[0]
    for n in (2, 7, 64, 256):
        for sigma in np.geomspace(1e-3, 1e3, 13):
            for dc in (0.0, 0.5, 40.0):
                exact = stationary_field(lattice_spectrum(n, 3.0, dc=dc), sigma)
                np.testing.assert_allclose(lattice_field(n, 3.0, sigma, dc=dc), exact, atol=2e-15)


def test_at_low_noise_the_infinite_sum_diverges_where_the_field_goes_to_one() -> None:
    size = 64
    for sigma in (1e-2, 1e-3, 1e-4):
        exact = stationary_field(power_law_spectrum(size, 1.0, 2.0, dc=1.0), sigma)[0]
        printed = power_law_field(size, 1.0, sigma, dc=1.0)[0]
        assert printed == pytest.approx(math.pi / (size * sigma), rel=1e-2)
        assert lattice_field(size, 1.0, sigma, dc=1.0)[0] <= 1
        assert exact <= 1
    assert exact == pytest.approx(1.0, abs=1e-4)
    assert printed > 400


def test_the_defect_of_the_infinite_sum() -> None:
    exact = stationary_field(power_law_spectrum(256, 1.0, 2.0, dc=1.0), 0.05)[0]
    defect = exact - power_law_field(256, 1.0, 0.05, dc=1.0)[0]
    assert defect == pytest.approx(-0.0242185, abs=5e-8)
    assert power_law_defect(256, 1.0, 0.05) == pytest.approx(-0.0242182, abs=5e-8)
    for sigma in (0.02, 0.1, 0.4):
        exact = stationary_field(power_law_spectrum(256, 1.0, 2.0, dc=1.0), sigma)[0]
        defect = exact - power_law_field(256, 1.0, sigma, dc=1.0)[0]
        assert power_law_defect(256, 1.0, sigma) == pytest.approx(defect, rel=2e-4)


def test_the_lattice_spectrum_is_the_power_law_at_low_frequency() -> None:
    a, b = lattice_spectrum(4096, 5.0), power_law_spectrum(4096, 5.0, 2.0)
    np.testing.assert_allclose(a[1:40], b[1:40], rtol=4e-4)
    assert a[0] == a[1]
    assert power_law_spectrum(8, 5.0, 2.0, dc=3.0)[0] == 3.0


# ---------------------------------------------------------------- sizes
def test_sizes_of_simple_fields() -> None:
    delta = np.zeros((5, 5))
    delta[2, 2] = 0.7
    assert field_size(delta, (2, 2)) == FieldSize(1.0, 0.0, 0.0, 1.0)
    flat = field_size(np.ones(9), 4)
    assert math.isnan(flat.fwhm)
    assert flat.participation == pytest.approx(9)
    triangle = field_size(np.array([0.0, 1.0, 2.0, 1.0, 0.0]), 2)
    assert triangle.fwhm == pytest.approx(2.0)
    assert triangle.r50 == 0.0
    assert triangle.r90 == pytest.approx(0.8)  # half of the mass at 0, all at 1
    assert triangle.participation == pytest.approx(16 / 6)
    wrapped = field_size(np.array([2.0, 1.0, 0.0, 0.0, 1.0]), 0, circular=True)
    assert wrapped == triangle
    assert field_size(np.array([2.0, 1.0, 0.0, 0.0, 1.0]), 0).r90 == pytest.approx(3.6)  # not around the ring
    assert field_size(-2 * np.array([0.0, 1.0, 2.0, 1.0, 0.0]), 2) == triangle


def test_width_of_a_power_law_field() -> None:
    size, sigma = 8192, 0.1
    exact = stationary_field(power_law_spectrum(size, 1.0, 2.0, dc=1.0), sigma)
    found = field_size(exact, 0, circular=True)
    closed = power_law_size(size, 1.0, sigma, dimensions=1)
    assert closed.fwhm / size == pytest.approx(0.02206, abs=5e-6)
    assert found.fwhm / size == pytest.approx(0.0221, abs=2e-4)
    narrow = stationary_field(power_law_spectrum(size, 1.0, 2.0, dc=1e9), 0.02)
    found, closed = field_size(narrow, 0, circular=True), power_law_size(size, 1.0, 0.02, dimensions=1)
    for name in ("fwhm", "r50", "r90", "participation"):
        assert getattr(found, name) == pytest.approx(getattr(closed, name), rel=0.05), name


def width_slopes(size: int, exponent: float, lengths: np.ndarray) -> np.ndarray:
    """Local slopes of ln FWHM against ln σ at fields that decay over these many pixels."""
    sigma = (2 * np.pi * lengths / size) ** (exponent / 2)
    spectrum = power_law_spectrum(size, 1.0, exponent, dc=1e9)
    widths = [field_size(stationary_field(spectrum, s), 0, circular=True).fwhm for s in sigma]
    return np.diff(np.log(widths)) / np.diff(np.log(sigma))


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_lengths_grow_as_the_noise_to_two_over_the_exponent(exponent: float) -> None:
    """The lattice takes about (pixel/length)^(p−1) from RF[0], and from the slope; lengths are 60 to 600 pixels."""
    slopes = width_slopes(2**16, exponent, np.geomspace(60, 600, 7))
    np.testing.assert_allclose(slopes, 2 / exponent, atol=0.01)
    assert slopes.mean() == pytest.approx(2 / exponent, abs=0.004)


def test_a_shallow_spectrum_comes_to_its_slope_from_below() -> None:
    """p = 1.5: frequencies that a lattice does not have are a (pixel/length)^(p−1) of RF[0], so that 4/3 is far off."""
    slopes = width_slopes(2**16, 1.5, np.geomspace(15, 240, 7))
    assert np.all(np.diff(slopes) > 0)
    assert 1.15 < slopes[0] < slopes[-1] < 1.3
    (far,) = width_slopes(2**20, 1.5, np.array([6000.0, 12000.0]))
    assert far == pytest.approx(4 / 3, abs=0.02)


def test_the_field_in_two_dimensions() -> None:
    size, sigma = 512, 0.1  # ℓ = 8.1 pixels
    spectrum = power_law_spectrum((size, size), 1.0, 2.0, dc=1e9)
    exact = stationary_field(spectrum, sigma)
    r = np.arange(1, 17)
    ratio = exact[0, 1:17] / power_law_field_2d(r, size, 1.0, sigma)
    assert ratio.min() > 0.97
    assert ratio.max() < 1.03
    # the line's exponential is no description of the plane
    line = np.exp(-r / (size * sigma / (2 * np.pi)))
    assert np.ptp(np.log(exact[0, 1:17] / line)) > 1.0
    found, closed = field_size(exact, (0, 0), circular=True), power_law_size(size, 1.0, sigma, dimensions=2)
    assert closed.r50 == pytest.approx(1.26 * size * sigma / (2 * np.pi), rel=3e-3)
    assert math.isnan(closed.fwhm)
    for name, tolerance in (("r50", 0.05), ("r90", 0.06), ("participation", 0.08)):
        assert getattr(found, name) == pytest.approx(getattr(closed, name), rel=tolerance), name


def test_closed_sizes_by_quadrature() -> None:
    from scipy.integrate import quad
    from scipy.special import k0

    size = power_law_size(2 * math.pi, 1.0, 1.0, dimensions=2)  # ℓ = 1
    for radius, share in ((size.r50, 0.5), (size.r90, 0.9)):
        assert quad(lambda t: t * k0(t), 0, radius)[0] == pytest.approx(share, abs=1e-9)
    square = quad(lambda t: 2 * math.pi * t * k0(t) ** 2, 0, 40, limit=200)[0]
    assert (2 * math.pi) ** 2 / square == pytest.approx(size.participation, rel=1e-8)
    line = power_law_size(2 * math.pi, 1.0, 1.0, dimensions=1)
    assert math.exp(-line.fwhm / 2) == pytest.approx(0.5)
    assert 1 - math.exp(-line.r90) == pytest.approx(0.9)
    assert line.participation == 4


# ---------------------------------------------------------------- fits
@pytest.mark.parametrize(("size", "tolerance"), [(64, 1e-10), ((64, 64), 0.03), ((48, 64), 0.04)])
def test_a_power_law_is_found_again(size: Any, tolerance: float) -> None:
    fit = fit_power_law(power_law_spectrum(size, 7.0, 1.8, dc=100.0))
    assert fit.exponent == pytest.approx(1.8, abs=tolerance)
    assert fit.amplitude == pytest.approx(7.0, rel=2 * tolerance)
    assert fit.dc == 100.0
    assert fit.residual < tolerance
    fixed = fit_power_law(power_law_spectrum(size, 7.0, 2.0, dc=100.0), exponent=2.0, low=3)
    assert fixed.exponent == 2.0
    assert fixed.amplitude == pytest.approx(7.0, rel=2 * tolerance)
    assert fixed.frequency.min() >= 3


def test_circles_are_whole() -> None:
    m, mean = radial_average(np.ones((16, 16)))
    assert m[-1] <= 8.5
    np.testing.assert_allclose(mean, 1.0)
    m, _ = radial_average(np.ones(9))
    np.testing.assert_allclose(m, [1, 2, 3, 4])
    np.testing.assert_allclose(frequencies((2, 4)), [[0, 8**0.5 / 4, 8**0.5 / 2, 8**0.5 / 4]] * 1 + [
        [8**0.5 * math.hypot(0.5, f) for f in (0, 0.25, 0.5, 0.25)]
    ])  # fmt: skip


# ---------------------------------------------------------------- equivariance
@pytest.mark.parametrize("sigma", SIGMAS)
def test_fields_of_stationary_data_are_shifts_of_one(sigma: float) -> None:
    for size in (24, (8, 9)):
        spectrum = power_law_spectrum(size, 3.0, 1.7, dc=11.0)
        p = kf.Population.from_covariance(circulant(spectrum), shape=spectrum.shape if spectrum.ndim == 2 else None)
        assert float(local_equivariance_error(p, sigma)) < 1e-22
        assert float(local_equivariance_error(p, sigma, circular=True)) < 1e-22


def slow_equivariance(j: np.ndarray, side: tuple[int, ...], radius: int) -> float:
    """Pixel by pixel, and the projection by least squares over each diagonal."""
    numbers = np.arange(len(j)).reshape(side)
    inside = [i for i in np.ndindex(*side) if all(radius <= a < n - radius for a, n in zip(i, side, strict=True))]
    offsets = [tuple(np.array(o) - radius) for o in np.ndindex(*([2 * radius + 1] * len(side)))]
    above = below = 0.0
    for offset in offsets:
        entries = np.array([j[numbers[i], numbers[tuple(np.array(i) + offset)]] for i in inside])
        ones = np.ones((len(entries), 1))
        best = np.linalg.lstsq(ones, entries, rcond=None)[0]
        above += float(np.sum((entries - best) ** 2))
        below += float(np.sum(entries**2))
    return above / below


@pytest.mark.parametrize("population", POPULATIONS)
def test_equivariance_error_pixel_by_pixel(population: Any) -> None:
    for shape, radius in (((6, 5), 1), ((6, 5), 0), ((15,), 3)):
        p = population(shape)
        sigma = np.array([0.0, 0.3, 5.0])
        found = local_equivariance_error(p, sigma, radius=radius)
        projector = np.linalg.pinv(covariance(p), rcond=1e-10, hermitian=True) @ covariance(p)
        jacobians = [projector, dense(p, 0.3), dense(p, 5.0)]
        slow = [slow_equivariance(j, shape, radius) for j in jacobians]
        np.testing.assert_allclose(found, slow, rtol=1e-7, atol=1e-9)
        assert equivariance_error(dense(p, 0.3), shape, radius=radius) == pytest.approx(found[1], rel=1e-9)


def test_equivariance_error_of_colour_and_around_the_torus() -> None:
    p = full_rank((6, 6, 3))
    j = dense(p, 0.4)
    assert equivariance_error(j, (6, 6, 3)) == pytest.approx(float(local_equivariance_error(p, 0.4)), rel=1e-10)
    around = float(local_equivariance_error(p, 0.4, circular=True))
    assert equivariance_error(j, (6, 6, 3), circular=True) == pytest.approx(around, rel=1e-10)
    assert 0 < around < 1
    every_other = local_equivariance_error(p, 0.4, stride=2)
    assert 0 < float(every_other) < 1
    planes = j.reshape(36, 3, 36, 3)
    assert equivariance_error(planes[:, 0, :, 0], (6, 6)) != pytest.approx(around)


def test_equivariance_error_is_not_monotone() -> None:
    """Amplitudes that differ from place to place: none at σ → 0, some, less, more."""
    rank, side = 64, 64
    x = np.arange(side)
    kernel = np.exp(-((x[:, None] - x) ** 2) / 18.0) + 1e-2 * np.eye(side)
    amplitude = np.exp(0.8 * np.sin(2 * np.pi * x / 17))
    p = kf.Population.from_covariance(amplitude[:, None] * kernel * amplitude)
    sigma = np.geomspace(1e-4, 1e3, 29)
    error = local_equivariance_error(p, sigma)
    assert error[0] < 1e-8
    assert np.any(np.diff(error) < -1e-3)
    assert error[-1] > 0.1
    assert rank == np.sum(p.eigenvalues > 0)


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


# ---------------------------------------------------------------- bad input
def test_bad_input() -> None:
    p, colour = full_rank(), full_rank((4, 2, 3))
    with pytest.raises(ValueError, match="sigma must not be negative"):
        receptive_field(p, -1.0, (0, 0))
    with pytest.raises(ValueError, match="sigma must be a number or one-dimensional"):
        receptive_field(p, np.ones((2, 2)), (0, 0))
    with pytest.raises(ValueError, match=r"pixel must lie within \(4, 3\), got \(4, 0\)"):
        receptive_field(p, 1.0, (4, 0))
    with pytest.raises(ValueError, match="pixel must index positions"):
        receptive_field(p, 1.0, 3)
    with pytest.raises(TypeError, match="pixel must be an integer"):
        receptive_field(p, 1.0, (0.5, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pixel must name a channel"):
        receptive_field(colour, 1.0, (0, 0))
    with pytest.raises(ValueError, match="pixel must name a position"):
        receptive_field(colour, 1.0, (0, 0, 1), channels="grey")
    with pytest.raises(ValueError, match="channels must be one of 'row', 'grey', 'energy'"):
        receptive_field(colour, 1.0, (0, 0), channels="sum")
    with pytest.raises(ValueError, match="gains must have shape"):
        jacobian_rows(p, [1.0], [0])
    with pytest.raises(ValueError, match="entries must lie between 0 and 11"):
        jacobian_rows(p, np.ones(12), [12])
    with pytest.raises(TypeError, match="entries must be integers"):
        jacobian_rows(p, np.ones(12), [0.5])
    with pytest.raises(ValueError, match="multiplicities above 1"):
        jacobian_rows(kf.Population.from_spectrum([2.0, 1.0], [3, 1]), [1.0, 1.0], [0])
    with pytest.raises(ValueError, match="multiplicities above 1"):
        stationary_spectrum(kf.Population.from_spectrum([2.0, 1.0], [3, 1]))
    with pytest.raises(ValueError, match="rows must have shape"):
        collapse_channels(np.ones((2, 5)), (4, 2, 3), "grey")
    with pytest.raises(ValueError, match="pixel must name a channel"):
        receptive_field_variance(kf.Splits(colour, 20), 1.0, (0, 0))


def test_bad_input_of_sizes_and_spectra() -> None:
    p = full_rank()
    with pytest.raises(ValueError, match="field must not vanish at its centre"):
        field_size(np.array([0.0, 1.0]), 0)
    with pytest.raises(ValueError, match="centre must lie within"):
        field_size(np.ones((2, 2)), 0)
    with pytest.raises(ValueError, match="field must have shape"):
        field_size(np.ones((2, 2, 2)), 0)
    with pytest.raises(ValueError, match="radius must leave at least 2 interior pixels"):
        local_equivariance_error(p, 1.0, radius=2)
    with pytest.raises(ValueError, match="radius must fit around"):
        local_equivariance_error(p, 1.0, radius=2, circular=True)
    with pytest.raises(ValueError, match="jacobian must have shape"):
        equivariance_error(np.eye(4), (4, 3))
    with pytest.raises(ValueError, match="spectrum must be the same at m and -m"):
        stationary_field([1.0, 2.0, 3.0], 1.0)
    with pytest.raises(ValueError, match="spectrum must not be negative"):
        stationary_field([1.0, -2.0, -2.0], 1.0)
    with pytest.raises(ValueError, match="sigma must be finite and above 0"):
        stationary_field(np.ones(4), 0.0)
    with pytest.raises(ValueError, match="spectrum must have shape"):
        stationary_field(1.0, 1.0)
    with pytest.raises(ValueError, match="size must be a number of pixels"):
        power_law_spectrum((2, 2, 2), 1.0, 2.0)
    with pytest.raises(ValueError, match="amplitude must be finite and above 0"):
        power_law_field(8, 0.0, 1.0, dc=1.0)
    with pytest.raises(ValueError, match="dc must be finite and not negative"):
        lattice_field(8, 1.0, 1.0, dc=-1.0)
    with pytest.raises(ValueError, match="distance must be positive"):
        power_law_field_2d([0.0], 8, 1.0, 1.0)
    with pytest.raises(ValueError, match="dimensions must be 1 or 2, got 3"):
        power_law_size(8, 1.0, 1.0, dimensions=3)
    with pytest.raises(ValueError, match="spectrum must have variance at 2 or more"):
        fit_power_law(np.zeros((8, 8)))
    with pytest.raises(ValueError, match="spectrum must have shape"):
        radial_average(np.ones(1))


# ---------------------------------------------------------------- study, window and page
def digits() -> kf.Population:
    sklearn = pytest.importorskip("sklearn.datasets")
    return kf.Population.from_samples(sklearn.load_digits().images / 8 - 1)


def colour_patches() -> kf.Population:
    """Like patches of photos: smooth, coloured, fewer samples than dimensions."""
    spectrum = power_law_spectrum((8, 8), 4.0, 2.2, dc=60.0)
    noise = rng(20).standard_normal((100, 3, 8, 8))
    planes = np.fft.ifft2(np.fft.fft2(noise) * np.sqrt(spectrum)).real
    mixed = np.einsum("cd,ndhw->nhwc", [[1.0, 0.3, 0.1], [1.0, -0.1, 0.2], [1.0, 0.0, -0.3]], planes)
    return kf.Population.from_samples(mixed)


def signals() -> kf.Population:
    return kf.Population.from_samples(np.cumsum(rng(21).standard_normal((12, 30)), axis=1))


def tiny() -> kf.Population:
    """Too small for a window or a power law."""
    return kf.Population.from_covariance(np.diag([2.0, 1.0, 0.5]))


@pytest.mark.parametrize("make", [digits, colour_patches, signals, tiny])
def test_studies_and_windows(make: Any) -> None:
    p = make()
    study = receptive_field_study(p)
    view = section(study)
    assert view.name == "receptive-field"
    assert len(view.takeaways) >= 4
    names = {picture.name for picture in view.pictures}
    assert {"receptive_fields", "receptive_field_size", "receptive_field_degrees"} <= names
    assert len(names) == len(view.pictures) <= 5
    for picture in view.pictures:
        assert len(save(picture.draw(), ["png"])["png"]) > 5000
        assert "nan" not in picture.caption + picture.alternative
    for table in view.tables:
        assert len({len(values) for values in table.columns.values()}) == 1
        assert all(math.isfinite(v) for values in table.columns.values() for v in values if isinstance(v, float))
    assert "nan" not in " ".join(view.takeaways)


def test_what_a_study_holds() -> None:
    p = digits()
    study = receptive_field_study(p, sigma=[0.1, 1.0, 10.0], n=(40, 400))
    assert study.rank == 61
    np.testing.assert_allclose(study.degrees, [np.trace(dense(p, s)) for s in (0.1, 1.0, 10.0)], rtol=1e-9)
    assert degrees_of_freedom(p, study.half_sigma) == pytest.approx(61 / 2, rel=1e-9)
    np.testing.assert_allclose(degrees_of_freedom(p, study.shown), 61 * np.array(study.shares), rtol=1e-8)
    assert study.pixels["centre"] == (4, 4)
    assert study.pixels["corner"] == (0, 1)  # (0, 0) is always white
    np.testing.assert_array_equal(study.fields["centre"][2], receptive_field(p, study.shown[2], (4, 4)))
    assert (
        study.sizes["centre"]["participation"][1] == field_size(receptive_field(p, 1.0, (4, 4)), (4, 4)).participation
    )
    splits = kf.Splits(p, 40, population_is="exact")
    np.testing.assert_allclose(study.degrees_n[0], expected_degrees_of_freedom(splits, study.sigma))
    assert study.spread[1, 3] < study.spread[0, 3]
    assert study.identity_defect == pytest.approx(math.sqrt(3 / 64))
    np.testing.assert_allclose(study.equivariance, local_equivariance_error(p, study.sigma, radius=2))
    assert study.colour_share is None
    colour = receptive_field_study(colour_patches(), sigma=[0.5])
    j = dense(colour_patches(), 0.5).reshape(8, 8, 3, 192)[4, 4]
    j = j.reshape(3, 64, 3)
    same = sum(np.sum(j[c, :, c] ** 2) for c in range(3))
    assert colour.colour_share is not None
    assert colour.colour_share[0] == pytest.approx(1 - same / np.sum(j**2), rel=1e-8)


def test_a_stationary_population_follows_its_power_law() -> None:
    spectrum = power_law_spectrum((12, 12), 30.0, 2.0, dc=50.0)
    p = kf.Population.from_covariance(circulant(spectrum), shape=(12, 12))
    study = receptive_field_study(p, n=(50,))
    assert study.fit is not None
    assert study.fit.exponent == pytest.approx(2.0, abs=0.1)
    assert np.nanmax(study.equivariance) < 1e-20
    for measure, values in study.sizes["centre"].items():
        np.testing.assert_allclose(values, study.sizes["stationary"][measure], rtol=1e-7, atol=1e-9)
    assert "shifts of one field to rounding" in " ".join(section(study).takeaways)


def test_bad_studies() -> None:
    with pytest.raises(ValueError, match="population must have eigenmodes"):
        receptive_field_study(kf.Population.from_spectrum([2.0, 1.0]))
    with pytest.raises(ValueError, match="sigma must be ascending noise levels"):
        receptive_field_study(full_rank(), sigma=[1.0, 0.5])
    with pytest.raises(ValueError, match="n must hold at least one"):
        receptive_field_study(full_rank(), n=())
    with pytest.raises(ValueError, match="n must be an integer of at least 2"):
        receptive_field_study(full_rank(), n=(1,))


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs/lens/receptive-field.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "receptive-field.md", "exec"), {})
    assert "degrees of freedom" in capsys.readouterr().out


def test_doctests() -> None:
    result = doctest.testmod(layout)
    assert result.attempted > 0
    assert result.failed == 0
