"""The Silverstein equation and spectral functions in Python: golden values, properties, shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kappaflow as kf

GOLDEN = json.loads((Path(__file__).resolve().parents[2] / "data" / "gaussian.json").read_text())


def numbers(values: Any) -> np.ndarray:
    return np.array(values, dtype=object).astype(np.float64)


# ---------------------------------------------------------------- golden values
def test_golden_kappa() -> None:
    assert len(GOLDEN["kappa"]) == 192
    for case in GOLDEN["kappa"]:
        s, mult = numbers(case["eigenvalues"]), numbers(case["multiplicity"])
        noise, exact = float(case["lambda"]), float(case["kappa"])
        found = float(kf.solve_kappa(s, case["n"], noise_variance=noise, multiplicity=mult))
        # at n = rank and little noise, kappa ~ sqrt(t) and the golden root itself is ill-conditioned
        edge = case["n"] == mult[s > 0].sum() and noise < 1e-9
        assert found == pytest.approx(exact, rel=1e-12 if edge else 1e-13, abs=0), case["name"]


@pytest.mark.parametrize("case", GOLDEN["sampling_map"], ids=lambda case: f"{case['name']}-{case['sigma2']}")
def test_golden_sampling_map(case: dict[str, Any]) -> None:
    s = numbers(case["eigenvalues"])
    descending = np.argsort(-s)  # as a population has them
    splits = kf.Splits(kf.Population.from_spectrum(s), case["n"], mean="known", terms="published")
    f = splits.sampling_map(float(case["sigma2"]) ** 0.5, float(case["sigmaT2"]) ** 0.5, tolerance=1e-14)
    np.testing.assert_allclose(splits.expectation(f), numbers(case["expectation"])[descending], rtol=1e-12)
    variance = numbers(case["variance"])[np.ix_(descending, descending)]
    np.testing.assert_allclose(splits.mode_variance(f), variance, rtol=1e-11)


def test_golden_map_cases_are_all_there() -> None:
    assert len(GOLDEN["sampling_map"]) == 4


# ---------------------------------------------------------------- plain functions
def test_isotropic_closed_form() -> None:
    noise, d, n = np.array([0.0, 1e-8, 0.3, 40.0]), 64, 16
    half = 0.5 * ((1 - d / n) - noise)
    np.testing.assert_allclose(
        kf.solve_kappa([1.0], n, noise_variance=noise, multiplicity=[d]), np.sqrt(half**2 + noise) - half, rtol=1e-14
    )


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (2, 0)])
def test_shapes_follow_the_noise(shape: tuple[int, ...]) -> None:
    noise = np.full(shape, 0.5)
    info = kf.solve_kappa([1.0, 2.0], 5, noise_variance=noise, return_info=True)
    for array in (
        info.noise_variance,
        info.kappa,
        info.derivative,
        info.df1,
        info.residual,
        info.iterations,
        info.certified,
    ):
        assert array.shape == shape
    assert kf.solve_kappa([1.0, 2.0], 5, noise_variance=noise).shape == shape
    assert kf.df1(noise, [1.0, 2.0]).shape == shape
    assert kf.df2(noise, noise, [1.0, 2.0]).shape == shape
    assert kf.spectral_density(noise, [1.0, 2.0], 5).shape == shape


def test_info_is_consistent() -> None:
    s, n = 1 / np.arange(1.0, 101), 40
    noise = np.array([0.2, 0.0, 1e-6])
    info = kf.solve_kappa(s, n, noise_variance=noise, return_info=True)
    kappa = info.kappa
    np.testing.assert_array_equal(info.noise_variance, noise)
    assert info.certified.all()
    assert info.certified.dtype == np.bool_
    assert info.iterations.dtype == np.int64
    assert info.total_terms == 100 * info.iterations.sum()
    assert info.residual.max() < 1e-14
    np.testing.assert_allclose(info.df1, kf.df1(kappa, s), rtol=1e-13)
    np.testing.assert_allclose(info.derivative, n / (n - kf.df2(kappa, kappa, s)), rtol=1e-11)
    np.testing.assert_allclose(kappa * (1 - info.df1 / n), noise, rtol=1e-11, atol=1e-15)
    step = 1e-6
    slope = (kf.solve_kappa(s, n, noise_variance=0.2 + step) - kf.solve_kappa(s, n, noise_variance=0.2 - step)) / (
        2 * step
    )
    assert info.derivative[0] == pytest.approx(slope, rel=1e-8)


def test_degrees_of_freedom_are_direct_sums() -> None:
    s, mult = np.array([4.0, 1.0, 0.0, 1e-9]), np.array([2.0, 3.0, 5.0, 7.0])
    a, b = np.array([[0.0], [1e-5], [1.0]]), np.array([1e-9, 3.0])
    direct = np.array(
        [[(mult[s > 0] * s[s > 0] ** 2 / ((s[s > 0] + x) * (s[s > 0] + y))).sum() for y in b] for x in a.ravel()]
    )
    np.testing.assert_allclose(kf.df2(a, b, s, multiplicity=mult), direct, rtol=1e-14)
    np.testing.assert_allclose(kf.df1(b, s, multiplicity=mult), [(mult * s / (s + k)).sum() for k in b], rtol=1e-14)
    assert kf.df1(0.0, s, multiplicity=mult) == 12


def test_support_and_density_of_marchenko_pastur() -> None:
    for d, n in ((100, 400), (400, 100)):
        low, high = (1 - np.sqrt(d / n)) ** 2, (1 + np.sqrt(d / n)) ** 2
        support = kf.spectral_support([1.0], n, multiplicity=[d])
        np.testing.assert_allclose(support.intervals, [[low, high]], rtol=1e-12)
        assert support.zero_mass == pytest.approx(max(0.0, 1 - n / d), abs=1e-15)
        x = np.linspace(low, high, 22)[1:-1].reshape(4, 5)
        exact = np.sqrt((high - x) * (x - low)) / (2 * np.pi * (d / n) * x)
        np.testing.assert_allclose(kf.spectral_density(x, [1.0], n, multiplicity=[d]), exact, rtol=1e-9)


def test_density_integrates_to_one_over_two_intervals() -> None:
    s, mult, n = [1.0, 20.0], [30, 70], 2000
    intervals = kf.spectral_support(s, n, multiplicity=mult).intervals
    assert isinstance(intervals, np.ndarray)
    assert intervals.shape == (2, 2)
    angle = np.pi * (np.arange(300) + 0.5) / 300
    for (low, high), share in zip(intervals, (0.3, 0.7), strict=True):
        x = 0.5 * (low + high) + 0.5 * (high - low) * np.cos(angle)
        density = kf.spectral_density(x, s, n, multiplicity=mult)
        assert (density * 0.5 * (high - low) * np.sin(angle)).sum() * np.pi / 300 == pytest.approx(share, rel=1e-6)


def test_compressed_spectrum_has_the_same_sums() -> None:
    s = np.concatenate([np.geomspace(1e-6, 3, 4000), np.zeros(10)])
    atoms = kf.compress_spectrum(s)
    values, counts = atoms.eigenvalues, atoms.multiplicity
    assert len(values) < 100
    assert counts.sum() == pytest.approx(4010, rel=1e-13)
    noise = np.geomspace(1e-9, 10, 30)
    np.testing.assert_allclose(
        kf.solve_kappa(values, 500, noise_variance=noise, multiplicity=counts),
        kf.solve_kappa(s, 500, noise_variance=noise),
        rtol=1e-12,
    )


def test_spectral_functions() -> None:
    x = np.geomspace(1e-6, 10, 201)
    np.testing.assert_allclose(kf.denoiser(0.3)(x), x / (x + 0.09), rtol=1e-14)
    f = kf.sampling_map(0.1, 20.0, support=(1e-6, 10))
    np.testing.assert_allclose(f(x), np.sqrt((x + 0.01) / (x + 400)), rtol=1.1e-12)
    assert f(0.0) == f.constant == pytest.approx(0.1 / 20)
    assert f.weights.shape == f.shifts.shape
    np.testing.assert_allclose(f.constant + (f.weights * 2 / (2 + f.shifts)).sum(), f(2.0), rtol=1e-14)
    for alpha in (0.1, 0.5, 0.9):
        power = kf.matrix_power(alpha, support=(1e-6, 10), tolerance=1e-10)
        np.testing.assert_allclose(power(x), x**alpha, rtol=power.error_bound + 2e-14)
        assert power.error_bound <= 1.01e-10
        assert power(0.0) == 0
    f = kf.SpectralFunction(0.5, np.array([1.0]), np.array([2.0]))
    assert f(2.0) == 1.0
    assert "1 nodes" in repr(f)


# ---------------------------------------------------------------- properties
eigenvalue_lists = hnp.arrays(
    np.float64,
    st.integers(1, 30),
    elements=st.one_of(st.just(0.0), st.floats(-12, 6).map(lambda power: 10.0**power)),
)
noises = st.one_of(st.just(0.0), st.floats(-12, 6).map(lambda power: 10.0**power))
sizes = st.integers(1, 60)
property_test = settings(deadline=None, max_examples=100, derandomize=True)


@property_test
@given(eigenvalue_lists, noises, sizes)
def test_every_kappa_is_certified_and_at_least_the_noise(s: np.ndarray, t: float, n: int) -> None:
    info = kf.solve_kappa(s, n, noise_variance=t, return_info=True)
    kappa = info.kappa
    assert info.certified.all()
    assert kappa >= t * (1 - 1e-15)
    assert kappa <= (t + s.sum() / n) * (1 + 1e-14)
    assert info.df1 <= n * (1 + 1e-12)
    assert info.residual <= 1e-12


@property_test
@given(eigenvalue_lists, noises, noises, sizes)
def test_kappa_increases_with_noise(s: np.ndarray, t: float, more: float, n: int) -> None:
    low, high = kf.solve_kappa(s, n, noise_variance=[t, t + more])
    assert low <= high * (1 + 1e-14)
    assert high - low >= more * (1 - 1e-9) - 1e-14 * high


@property_test
@given(eigenvalue_lists, noises, sizes, st.integers(-200, 200))
def test_kappa_scales_with_the_data(s: np.ndarray, t: float, n: int, power: int) -> None:
    scale = 2.0**power
    assert kf.solve_kappa(s * scale, n, noise_variance=t * scale) == pytest.approx(
        float(kf.solve_kappa(s, n, noise_variance=t)) * scale, rel=1e-13, abs=0
    )


@property_test
@given(st.data(), eigenvalue_lists, noises, sizes)
def test_multiplicity_is_repetition(data: st.DataObject, s: np.ndarray, t: float, n: int) -> None:
    counts = data.draw(hnp.arrays(np.int64, s.shape, elements=st.integers(1, 5)))
    repeated = np.repeat(s, counts)
    assume(n != np.count_nonzero(repeated) or t > 1e-6)
    assert kf.solve_kappa(s, n, noise_variance=t, multiplicity=counts) == pytest.approx(
        float(kf.solve_kappa(repeated, n, noise_variance=t)), rel=1e-13, abs=0
    )


@property_test
@given(eigenvalue_lists, noises, sizes)
def test_zeros_change_nothing(s: np.ndarray, t: float, n: int) -> None:
    assert kf.solve_kappa(np.append(s, [0.0, 0.0]), n, noise_variance=t) == kf.solve_kappa(s, n, noise_variance=t)


@pytest.mark.parametrize(
    ("decades", "n", "accuracy"), [(25.0, 200, 1e-10), (25.0, 12, 1e-10), (12.0, 31, 1e-7), (3.0, 20, 1e-10)]
)
def test_density_has_the_right_mass_on_wide_spectra(decades: float, n: int, accuracy: float) -> None:
    """Every interval by Gauss-Chebyshev points in log x, which the density's square-root edges suit.

    Where n is next to the rank the lower edge is almost hard, x^(-1/2), and these points resolve it less well.
    """
    values = 10.0 ** np.linspace(-decades, 0, 30)
    intervals = kf.spectral_support(values, n).intervals
    points = 3000
    angle = (np.arange(points) + 0.5) / points * np.pi
    mass = 0.0
    for low, high in np.log(intervals):
        x = np.exp(0.5 * (low + high) - 0.5 * (high - low) * np.cos(angle))
        density = kf.spectral_density(x, values, n)
        assert density.min() > 0
        mass += float((density * x * np.sin(angle)).sum()) * 0.5 * (high - low) * np.pi / points
    assert mass == pytest.approx(min(n, 30) / 30, rel=accuracy)
