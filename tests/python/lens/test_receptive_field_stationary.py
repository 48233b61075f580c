"""Receptive fields of stationary data and of power laws against dense solutions, sums and quadrature; their sizes and fits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens.layout import SpatialLayout
from kappaflow.lens.receptive_field import (
    FieldSize,
    equivariance_error,
    field_size,
    fit_power_law,
    frequencies,
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
    stationary_field,
    stationary_spectrum,
)
from receptive_field_cases import SIGMAS, circulant, covariance, full_rank, low_rank


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
    average = radial_average(np.ones((16, 16)))
    assert average.frequency[-1] <= 8.5
    np.testing.assert_allclose(average.variance, 1.0)
    np.testing.assert_allclose(radial_average(np.ones(9)).frequency, [1, 2, 3, 4])
    first = [0, 8**0.5 / 4, 8**0.5 / 2, 8**0.5 / 4]
    second = [8**0.5 * math.hypot(0.5, f) for f in (0, 0.25, 0.5, 0.25)]
    np.testing.assert_allclose(frequencies((2, 4)), [first, second])


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
