"""The Silverstein equation at the limits of double precision: an answer where there is one, else a clear error."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import kappaflow as kf

SMALLEST = 5e-324


def test_noise_levels_may_lie_three_hundred_decades_apart() -> None:
    s = [1.98e-106, 1.2e-109, 1.2e-109]
    low, high = kf.solve_kappa(s, 4, noise_variance=[1.98e-106, 4e227])
    assert high == 4e227
    assert low == pytest.approx(float(kf.solve_kappa(s, 4, noise_variance=1.98e-106)), rel=1e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1.0, 1e150, 1e290])
def test_answers_have_no_preferred_unit(scale: float) -> None:
    s, t = np.array([3.0, 1.0, 0.25]), np.array([0.0, 1e-6, 0.3, 4.0])
    for n in (2, 3, 7):
        np.testing.assert_allclose(
            kf.solve_kappa(s * scale, n, noise_variance=t * scale),
            kf.solve_kappa(s, n, noise_variance=t) * scale,
            rtol=1e-14,
        )


def test_subnormal_noise_and_kappa() -> None:
    # n = rank: κ² Σ 1/s = n t next to zero
    kappa = kf.solve_kappa([1.0, 0.5], 2, noise_variance=SMALLEST)
    assert kappa == pytest.approx(np.sqrt(4.94065645841246544e-24 * 2 / 3) * 1e-150, rel=1e-12)
    info = kf.solve_kappa([2e-310, 2e-310], 1, noise_variance=0.0, return_info=True)
    assert info.certified
    assert float(info.kappa) == 2e-310


def test_estimated_mean_scales_a_subnormal_noise_without_rounding() -> None:
    population = kf.Population.from_spectrum([1.0, 0.5])
    kappa = kf.Splits(population, 3).kappa(noise_variance=SMALLEST)  # t 3/2 is no double
    assert kappa == pytest.approx(np.sqrt(1.5 * 4.94065645841246544e-24 * 2 / 3) * 1e-150, rel=1e-12)


def test_a_large_noise_does_not_overflow_by_its_number_of_samples() -> None:
    assert kf.solve_kappa([1.0], 1e6, noise_variance=1e305) == 1e305


def test_kappa_beyond_double_precision_is_an_error() -> None:
    with pytest.raises(
        kf.ConvergenceError, match=r"kappa exceeds the range of double precision at noise_variance 1\.7e\+308"
    ):
        kf.solve_kappa([1e299], 1e-9, noise_variance=[1.0, 1.7e308])
    info = kf.solve_kappa([1e299], 1e-9, noise_variance=[1.0, 1.7e308], return_info=True)
    assert info.certified.tolist() == [True, False]


def test_multiplicities_that_are_not_whole_are_counted_exactly() -> None:
    # The doubles 0.1, 0.2 and 0.3 add up to 0.6 + 2.8e-17 (exactly 2**-55): κ(0) is positive and tiny, not 0.
    surplus = 2.0**-55
    counts = np.array([0.1, 0.2, 0.3])
    kappa = kf.solve_kappa([1.0, 2.0, 4.0], 0.6, noise_variance=0.0, multiplicity=counts)
    assert sum(map(Fraction, counts.tolist())) - Fraction(0.6) == Fraction(surplus)
    assert kappa == pytest.approx(surplus / (counts / [1.0, 2.0, 4.0]).sum(), rel=1e-12)


@pytest.mark.parametrize("part", [1e-11, -1e-11, 1e-15, -1e-15])
def test_samples_next_to_the_rank(part: float) -> None:
    """One eigenvalue has a closed form: κ² + κ (s (1 − d/n) − t) − t s = 0."""
    d = 7.3
    n = d * (1 + part)
    for t in (1e-30, 1e-12, 1e-3):
        kappa = float(kf.solve_kappa([1.0], n, noise_variance=t, multiplicity=[d]))
        half = 0.5 * ((n - d) / n - t)
        root = np.hypot(half, np.sqrt(t))
        assert kappa == pytest.approx(t / (half + root) if half > 0 else root - half, rel=1e-14)


@pytest.mark.parametrize("sigma", [1e-160, 1e155])
def test_levels_whose_square_is_no_number_are_refused(sigma: float) -> None:
    allowed = r"must be 0 or between 1\.5e-154 and 1\.3e154"
    with pytest.raises(ValueError, match=f"sigma {allowed}"):
        kf.solve_kappa([1.0], 5, sigma=sigma)
    with pytest.raises(ValueError, match=f"sigma {allowed}"):
        kf.denoiser(sigma)
    with pytest.raises(ValueError, match=f"sigma_max {allowed}"):
        kf.sampling_map(0.0, sigma, support=(0.1, 1.0))


def test_corrections_are_finite_or_an_error() -> None:
    splits = kf.Splits(kf.Population.from_spectrum([1.0, 1.0]), 2, mean="known")
    # n = rank: κδ has the limit 1/(4 Σ 1/s) = 1/8 without noise
    assert splits.kappa_correction(noise_variance=1e-300) == pytest.approx(-0.125, rel=1e-9)
    assert splits.kappa_correction(noise_variance=SMALLEST) == pytest.approx(-0.125, rel=1e-9)
    f = kf.SpectralFunction(0.0, np.full(50, 1.7e308), np.full(50, 1e-4))
    with pytest.raises(kf.ConvergenceError, match="expectation_correction"):
        splits.expectation_correction(f)


def test_the_lowest_edge_is_never_negative() -> None:
    # rank/n − 1 is one unit of rounding: the edge is s (√(d/n) − 1)²
    (low, _), *_ = kf.spectral_support([1.0], 1 - 2.0**-53).intervals
    assert low == pytest.approx((2.0**-54) ** 2, rel=1e-12)


@pytest.mark.parametrize("unit", [1e-250, 1e-170, 1e170, 1e250])
def test_gaps_of_the_support_are_found_in_any_unit(unit: float) -> None:
    one = kf.spectral_support([1.0, 20.0], 100, multiplicity=[5, 5])
    assert len(one.intervals) == 2
    other = kf.spectral_support([unit, 20 * unit], 100, multiplicity=[5, 5])
    np.testing.assert_allclose(other.intervals / unit, one.intervals, rtol=1e-12)


def test_atoms_of_a_spectrum_are_as_accurate_in_any_unit() -> None:
    s = np.geomspace(1, 1e-4, 400)
    for unit in (1e-280, 1e280):
        atoms = kf.compress_spectrum(s * unit)
        assert len(atoms.eigenvalues) < 80
        for kappa in (1e-5, 1e-2, 1.0):
            np.testing.assert_allclose(
                kf.df1(kappa * unit, atoms.eigenvalues, multiplicity=atoms.multiplicity), kf.df1(kappa, s), rtol=2e-14
            )
