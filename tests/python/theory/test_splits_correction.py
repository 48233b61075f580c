"""The order 1/m of expectation and κ: closed forms, exact chi-square integrals, sum rules, drawn training sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

import kappaflow as kf

S = 1 / np.arange(1, 41.0)


def splits_of(eigenvalues: Any, n: int, mean: str = "known", multiplicity: Any = None) -> kf.Splits:
    return kf.Splits(kf.Population.from_spectrum(eigenvalues, multiplicity), n, mean=mean)


def one_sample_variance(m: int, t: float, power: int = 1) -> float:
    """E (w/(w+t)) for w ~ χ²_m/m, or E 1/(w+t) for power 0, by quadrature."""
    chi2 = stats.chi2(m)
    low, high = chi2.ppf(1e-18), chi2.isf(1e-18)
    value, _ = integrate.quad(
        lambda x: (x / m) ** power / (x / m + t) * chi2.pdf(x), low, high, epsrel=1e-13, limit=500
    )
    return float(value)


def dense(splits: kf.Splits, t: float) -> tuple[float, float, np.ndarray]:
    """κ, δ and the correction of x/(x+t), as they are written."""
    s, mult = splits.population.eigenvalues, splits.population.multiplicity
    m = splits.n - 1 if splits.mean == "estimated" else splits.n
    kappa = float(splits.kappa(noise_variance=t))
    r = s / (s + kappa)
    remaining = m - np.sum(mult * r**2)
    delta = float(np.sum(mult * s**2 * kappa / (s + kappa) ** 3) / remaining**2)
    return kappa, delta, (1 - r) * r * (delta - r / remaining)


CASES = [pytest.param(n, mean, id=f"{n}-{mean}") for n in (5, 40, 41, 300) for mean in ("known", "estimated")]


@pytest.mark.parametrize(("n", "mean"), CASES)
def test_corrections_are_the_documented_formulas(n: int, mean: str) -> None:
    splits = splits_of(S, n, mean)
    for t in (1e-4, 0.1, 30.0):
        kappa, delta, exact = dense(splits, t)
        np.testing.assert_allclose(splits.expectation_correction(splits.denoiser(t**0.5)), exact, rtol=1e-9)
        assert splits.kappa_correction(noise_variance=t) == pytest.approx(-kappa * delta, rel=1e-9)


@pytest.mark.parametrize(("n", "mean"), CASES)
def test_a_map_is_the_mixture_of_its_nodes(n: int, mean: str) -> None:
    splits = splits_of(S, n, mean)
    for f in (splits.sampling_map(), splits.sampling_map(0.5, 10.0)):
        parts = [w * dense(splits, t)[2] for w, t in zip(f.weights, f.shifts, strict=True)]
        exact = np.sum(parts, axis=0)
        np.testing.assert_allclose(splits.expectation_correction(f), exact, rtol=1e-8, atol=1e-11 * np.abs(parts).max())


@pytest.mark.parametrize(("n", "mean"), CASES)
def test_gains_and_trace_obey_their_sum_rule(n: int, mean: str) -> None:
    """Σ_k λ/(λ+t) = (eigenvalues) − t Σ 1/(λ+t) holds for every draw, so that it holds between the two corrections.

    With E of the mean of 1/(λ+t) over the m degrees of freedom (n/m)(1+δ)/κ, the gains must add −t n δ/κ to their sum.
    """
    splits = splits_of(S, n, mean)
    for t in (1e-3, 0.1, 30.0):
        kappa = splits.kappa(noise_variance=t)
        delta = -splits.kappa_correction(noise_variance=t) / kappa
        gains = splits.expectation_correction(splits.denoiser(t**0.5))
        assert gains.sum() == pytest.approx(float(-t * n * delta / kappa), rel=1e-9, abs=1e-14 * np.abs(gains).max())


@pytest.mark.parametrize("mean", ["known", "estimated"])
def test_high_noise_limit(mean: str) -> None:
    """E x/(x+t) = E x/t − E x²/t² + …: at order 1/t² the part of order 1/m that κ = t + tr Σ/m does not hold is −s²/m."""
    n = 50
    m = n if mean == "known" else n - 1
    splits = splits_of(S, n, mean)
    for sigma in (1e2, 1e3):
        t = sigma**2 * n / m
        found = splits.expectation_correction(splits.denoiser(sigma)) * m * t**2 / S**2
        np.testing.assert_allclose(found, -1, atol=10 / t)
    assert splits.kappa_correction(noise_variance=1e8) == pytest.approx(
        -np.sum(S**2) * (1e8 * n / m) ** -1 / m**2, rel=1e-6
    )


@pytest.mark.parametrize("t", [0.05, 1.0, 20.0])
def test_one_dimension_against_the_exact_integral(t: float) -> None:
    """What is left is of order 1/m²: a quarter when m doubles, where without the correction it is a half."""
    left, before, trace = [], [], []
    for m in (100, 200, 400):
        splits = splits_of([1.0], m)
        f, exact = splits.denoiser(t**0.5), one_sample_variance(m, t)
        before.append(splits.expectation(f)[0] - exact)
        left.append(before[-1] + splits.expectation_correction(f)[0])
        # m − 1 eigenvalues of the companion matrix are zero
        mean_resolvent = ((m - 1) / t + one_sample_variance(m, t, power=0)) / m
        kappa = float(splits.kappa(noise_variance=t))
        trace.append(mean_resolvent * kappa - 1 + float(splits.kappa_correction(noise_variance=t)) / kappa)
    ratios = np.array(left[:-1]) / np.array(left[1:])
    np.testing.assert_allclose(ratios, 4, rtol=0.15)
    np.testing.assert_allclose(np.array(before[:-1]) / np.array(before[1:]), 2, rtol=0.05)
    assert abs(left[-1]) < 0.05 * abs(before[-1])
    # E g = (1+δ)/κ: δ is of order 1/m², so the rest is of order 1/m³
    np.testing.assert_allclose(np.array(trace[:-1]) / np.array(trace[1:]), 8, rtol=0.15)


def test_one_dimension_of_the_sampling_map() -> None:
    left, before = [], []
    for m in (100, 200):
        splits = splits_of([1.0], m)
        f = splits.sampling_map(0.0, 2.0)
        chi2 = stats.chi2(m)
        exact, _ = integrate.quad(
            lambda x, m=m, chi2=chi2: np.sqrt(x / (x + 4 * m)) * chi2.pdf(x),
            chi2.ppf(1e-17),
            chi2.isf(1e-17),
            epsrel=1e-12,
        )
        before.append(splits.expectation(f)[0] - exact)
        left.append(before[-1] + splits.expectation_correction(f)[0])
    assert abs(left[1]) < 0.05 * abs(before[1])
    assert left[0] / left[1] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("mean", ["known", "estimated"])
@pytest.mark.parametrize("n", [60, 15])
def test_drawn_training_sets_need_the_correction(n: int, mean: str) -> None:
    """20 000 draws in 40 dimensions: the root mean square error of a mode is 4 to 10 standard errors without, 1 with it."""
    pytest.importorskip("torch")
    from kappaflow.maps import Map
    from kappaflow.validation.linear.draws import GaussianSets
    from kappaflow.validation.linear.simulation import simulate
    from kappaflow.validation.linear.statistics import Design

    splits, variances = splits_of(S, n, mean), (0.01, 0.09)
    maps = (Map.denoiser(0.1), Map.denoiser(0.3), Map.sampling(0.0, 1.0))
    inputs, spread = {q.key: np.ones((1, 40)) for q in maps}, {q.key: np.ones(()) for q in maps}
    design = Design(
        n=n,
        groups=200,
        group_size=100,
        maps=maps,
        inputs=inputs,
        spread=spread,
        noise_variances=variances,
        mean=mean,
        seed=20,
    )
    arrays = simulate(design, GaussianSets(splits.population)).arrays

    def z(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return (values.mean(axis=0) - predicted) / (values.std(axis=0, ddof=1) / np.sqrt(len(values)))

    for map_ in maps:
        f = map_.function(splits)
        limit, correction = splits.expectation(f), splits.expectation_correction(f)
        before, after = (
            np.sqrt(np.mean(z(arrays[f"gain/{map_.key}"], gains) ** 2)) for gains in (limit, limit + correction)
        )
        assert before > 4
        assert after < 1.5  # correlated between modes
    kappa = splits.kappa(noise_variance=variances)
    delta = -splits.kappa_correction(noise_variance=variances) / kappa
    scale = n / design.degrees / kappa
    assert np.abs(z(arrays["trace"], scale)).min() > 25
    assert np.abs(z(arrays["trace"], scale * (1 + delta))).max() < 4


@pytest.mark.parametrize("n", [4, 30])
def test_multiplicities_equal_repeated_eigenvalues(n: int) -> None:
    values, counts = np.array([3.0, 0.5, 0.02]), np.array([2, 3, 4])
    atoms, modes = splits_of(values, n, multiplicity=counts), splits_of(np.repeat(values, counts), n)
    f = modes.sampling_map(0.0, 20.0)
    np.testing.assert_allclose(atoms.expectation_correction(f), modes.expectation_correction(f)[[0, 2, 5]], rtol=1e-11)
    np.testing.assert_allclose(
        atoms.kappa_correction(noise_variance=[0.1, 3]), modes.kappa_correction(noise_variance=[0.1, 3]), rtol=1e-12
    )


def test_modes_without_variance_change_nothing() -> None:
    padded, plain = splits_of([2.0, 1.0, 0.0, 0.0], 7), splits_of([2.0, 1.0], 7)
    f = plain.sampling_map(0.3, 20.0)
    found = padded.expectation_correction(f)
    np.testing.assert_allclose(found[:2], plain.expectation_correction(f), rtol=1e-13)
    assert not found[2:].any()
    np.testing.assert_allclose(
        padded.kappa_correction(noise_variance=[0.1]), plain.kappa_correction(noise_variance=[0.1]), rtol=1e-13
    )
    empty = splits_of([0.0, 0.0], 5)
    assert not empty.expectation_correction(empty.denoiser(1.0)).any()
    assert not empty.kappa_correction(noise_variance=[1.0]).any()


@pytest.mark.parametrize("n", [2, 4, 5, 9])
def test_without_noise_there_is_no_correction(n: int) -> None:
    """x/x is 1 for every training set of full rank; with m equal to the rank m − df2 is 0 and was divided by."""
    for mean in ("known", "estimated"):
        splits = splits_of([3.0, 2.0, 1.0, 0.5], n, mean)
        correction = splits.expectation_correction(splits.denoiser(0.0))
        assert np.isfinite(correction).all()
        if (n if mean == "known" else n - 1) >= 4:
            assert not correction.any()
        else:  # the number of non-zero eigenvalues, Σ gains = m, is exact already
            assert correction.sum() == pytest.approx(0, abs=1e-12)


def test_rescaling_the_data_rescales_kappa_alone() -> None:
    one, other = splits_of(S, 30), splits_of(1e6 * S, 30)
    np.testing.assert_allclose(
        other.expectation_correction(other.denoiser(300.0)), one.expectation_correction(one.denoiser(0.3)), rtol=1e-11
    )
    np.testing.assert_allclose(
        other.kappa_correction(noise_variance=9e4), 1e6 * one.kappa_correction(noise_variance=0.09), rtol=1e-11
    )


def test_shapes_and_errors() -> None:
    splits = splits_of(S, 30)
    assert splits.kappa_correction(noise_variance=np.ones((2, 3))).shape == (2, 3)
    assert splits.kappa_correction(noise_variance=1.0).shape == ()
    assert splits.kappa_correction(noise_variance=[]).shape == (0,)
    assert splits.expectation_correction(splits.denoiser(1.0)).shape == (40,)
    with pytest.raises(ValueError, match="noise_variance must be positive, got 0"):
        splits.kappa_correction(noise_variance=[1.0, 0.0])
    with pytest.raises(ValueError, match="noise_variance must be finite, got nan"):
        splits.kappa_correction(noise_variance=np.nan)
    with pytest.raises(TypeError, match="noise_variance must be an array of real numbers"):
        splits.kappa_correction(noise_variance="1")
    with pytest.raises(TypeError):
        splits.expectation_correction(lambda x: x)  # type: ignore[arg-type]
