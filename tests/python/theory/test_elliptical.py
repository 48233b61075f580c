"""The elliptical law: against its formulas written out, in its limits, and against drawn training sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import kappaflow as kf
from kappaflow.laws import radial_scales

D, DRAWS, CHUNK = 60, 2000, 250
S = 1 / np.arange(1, D + 1.0)
POPULATION = kf.Population.from_spectrum(S)


def gamma_sizes(shape: float, count: int, seed: int = 3) -> Any:
    sizes = np.random.default_rng(seed).gamma(shape, 1 / shape, count)
    return sizes / sizes.mean()


@dataclass
class Written:
    """Each formula of the law by itself, nodes by root finding, one pair at a time."""

    expectation: Any
    pairs: Any
    gain_covariance: Any  # of the diagonal of f with itself, radial term alone
    mean_term: Any
    excess: Any  # what 1/(1 - q df2) adds to exchange and radial term of equal modes


def written(f: kf.SpectralFunction, s: Any, n: int, tau: Any, *, mean: str) -> Written:
    m = n - 1 if mean == "estimated" else n
    weights, shifts = f.weights, f.shifts * n / m
    if mean == "estimated":  # a node far away stands for the one at infinity
        weights, shifts = np.append(weights, 1 - f.constant - weights.sum()), np.append(shifts, 1e9 * s.max())

    def delta_of(fraction: float) -> float:
        gap = lambda x: float(np.mean(tau * np.exp(x) / (1 + tau * np.exp(x)))) - fraction  # noqa: E731
        return float(np.exp(brentq(gap, -60, 60, xtol=1e-14)))

    def excess(x: float, t: float) -> float:
        fraction = float((s / (s + np.exp(x))).sum()) / m
        if fraction >= 1:
            return -t
        return float(np.exp(x) * np.mean(tau / (1 + tau * delta_of(fraction)))) - t

    kappa = np.array(
        [np.exp(brentq(excess, np.log(1e-12), np.log(1e6 * (t + s.sum())), (t,), xtol=1e-14)) for t in shifts]
    )
    r = np.stack([1 / (1 + tau * delta_of(float((s / (s + k)).sum()) / m)) for k in kappa])
    h = (tau * r).mean(axis=1)
    count = len(f.weights)
    pairs, gains, mean_term = np.zeros((len(s), len(s))), np.zeros((len(s), len(s))), np.zeros(len(s))
    excess = np.zeros(len(s))

    def q(i: int, j: int) -> float:
        return float(np.mean(tau**2 * r[i] * r[j]) / (h[i] * h[j]) / m)

    def rest(i: int, j: int) -> float:
        return 1 - q(i, j) * float((s**2 / ((s + kappa[i]) * (s + kappa[j]))).sum())

    for i in range(len(kappa)):
        for j in range(len(kappa)):
            a = s / ((s + kappa[i]) * (s + kappa[j]))
            scale = weights[i] * weights[j] * kappa[i] * kappa[j]
            ratio = np.mean(tau * r[i] * r[j]) / (r[i].mean() * r[j].mean())
            mean_term += scale * a * ratio / rest(i, j) / n
            if max(i, j) < count:
                pairs += scale * q(i, j) / rest(i, j) * np.outer(a, a) * (1 + np.eye(len(s)))
                own, other = s / (s + kappa[i]) ** 2, s / (s + kappa[j]) ** 2
                radial = scale * (q(i, j) - 1 / m)
                gains += radial * np.outer(own, other) / (rest(i, i) * rest(j, j))
                excess += scale * q(i, j) * a**2 * (1 / rest(i, j) - 1)
                excess += radial * own * other * (1 / (rest(i, i) * rest(j, j)) - 1)
    expectation = f.constant + (f.weights * (s[:, None] / (s[:, None] + kappa[:count]))).sum(axis=1)
    return Written(
        expectation, pairs + np.diag(np.diag(gains)), gains, mean_term if mean == "estimated" else 0 * s, excess
    )


@pytest.mark.parametrize("mean", ["known", "estimated"])
@pytest.mark.parametrize("n", [12, 90])
def test_against_the_law_as_it_is_written(mean: str, n: int) -> None:
    s, tau = 2 * np.arange(1, 21.0) ** -1.3, gamma_sizes(1.0, 400)
    splits = kf.Splits(kf.Population.from_spectrum(s), n, law="elliptical", mean=mean, scales=tau)
    x, v = np.random.default_rng(1).standard_normal((2, 20)), np.random.default_rng(2).standard_normal((3, 20))
    for f in (splits.denoiser(0.3), splits.sampling_map(0.2, 20.0, tolerance=1e-6)):
        law = written(f, s, n, tau, mean=mean)
        np.testing.assert_allclose(splits.expectation(f), law.expectation, rtol=1e-10)
        np.testing.assert_allclose(splits.mode_variance(f), law.pairs, rtol=1e-9)
        np.testing.assert_allclose(splits.equal_mode_variance(f), np.diag(law.pairs), rtol=1e-9)
        np.testing.assert_allclose(splits._law.law.equal_mode_excess(f, f), law.excess, rtol=1e-8)
        # the mode pairs above, off the diagonal through the products of theory.md (16), and gains that move together
        off = law.pairs - np.diag(np.diag(law.pairs))
        kernel = off + np.diag((np.diag(law.pairs) - np.diag(law.gain_covariance)) / 2)
        moving = kernel + law.gain_covariance
        expected = np.array(
            [[(w * w) @ (kernel @ (b * b) + law.mean_term) + (w * b) @ moving @ (w * b) for w in v] for b in x]
        )
        np.testing.assert_allclose(splits.variance(f, x, v), expected, rtol=1e-6)
        modes = splits.variance(f, x, np.eye(20))
        np.testing.assert_allclose(splits.disagreement(f, x), 2 / 20 * modes.sum(axis=1), rtol=1e-9)


def test_kappa_solves_its_equation() -> None:
    tau = gamma_sizes(0.7, 1000)
    splits = kf.Splits(POPULATION, 40, law="elliptical", mean="known", scales=tau)
    t = np.geomspace(1e-8, 1e4, 13)
    kappa = splits.kappa(noise_variance=t)
    h = t / kappa
    delta = np.array([kf.df1(k, S) for k in kappa]).ravel() / (40 * h)
    np.testing.assert_allclose((tau[:, None] / (1 + tau[:, None] * delta)).mean(axis=0), h, rtol=1e-10)
    assert np.all(np.diff(kappa) > 0)
    assert np.all(kappa >= kf.solve_kappa(S, 40, noise_variance=t) * (1 - 1e-12))  # unequal sizes waste samples


def test_equal_sizes_are_the_gaussian_law() -> None:
    for n in (25, 200):
        gaussian = kf.Splits(POPULATION, n)
        equal = kf.Splits(POPULATION, n, law="elliptical", scales=np.full(7, 3.0))
        f = gaussian.sampling_map(0.0, 80.0)
        np.testing.assert_allclose(
            equal.kappa(noise_variance=[1e-4, 1.0]), gaussian.kappa(noise_variance=[1e-4, 1.0]), rtol=1e-10
        )
        np.testing.assert_allclose(equal.expectation(f), gaussian.expectation(f), rtol=1e-10)
        np.testing.assert_allclose(equal.mode_variance(f), gaussian.mode_variance(f), rtol=1e-9)
        x = 80 * np.random.default_rng(n).standard_normal((3, D))
        np.testing.assert_allclose(equal.disagreement(f, x), gaussian.disagreement(f, x), rtol=1e-9)
        np.testing.assert_allclose(
            equal.mean_disagreement(f, input_variance=6400.0),
            gaussian.mean_disagreement(f, input_variance=6400.0),
            rtol=1e-9,
        )


def draw(n: int, shape: float, map_of: Any, x: Any) -> tuple[Any, Any]:
    """(T, D, D) would not fit: sums of f and f², and (T, D) the gains; (T, B, D) outputs with an estimated mean."""
    rng = np.random.default_rng(int(100 * shape) + n)
    first, second, gains, outputs = np.zeros((D, D)), np.zeros((D, D)), [], []
    for _ in range(DRAWS // CHUNK):
        size = rng.gamma(shape, 1 / shape, (CHUNK, n, 1))
        rows = rng.standard_normal((CHUNK, n, D)) * np.sqrt(S * size)
        mean = rows.mean(axis=1, keepdims=True)
        rows -= mean
        values, vectors = np.linalg.eigh(rows.transpose(0, 2, 1) @ rows / n)
        values = np.where(values > 1e-12 * values[:, -1:], values, 0.0)
        matrix = (vectors * map_of(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
        first += matrix.sum(axis=0)
        second += (matrix**2).sum(axis=0)
        gains.append(np.einsum("tkk->tk", matrix))
        outputs.append(mean + (x - mean) @ matrix)
    variance = (second / DRAWS - (first / DRAWS) ** 2) * DRAWS / (DRAWS - 1)
    return variance, (first / DRAWS, np.concatenate(gains), np.concatenate(outputs))


@pytest.mark.parametrize("shape", [1.0, 2.0])
@pytest.mark.parametrize("n", [40, 120])
def test_gamma_sizes_drawn(shape: float, n: int) -> None:
    """2000 training sets whose samples have gamma sizes: where the Gaussian law is off by tens of per cent."""
    splits = kf.Splits(POPULATION, n, law="elliptical", scales=gamma_sizes(shape, 100_000))
    gaussian = kf.Splits(POPULATION, n)
    cases = [
        (splits.denoiser(0.3), lambda e: e / (e + 0.09), 1.0),
        (splits.sampling_map(0.0, 20.0), lambda e: np.sqrt(e / (e + 400.0)), 20.0),
    ]
    for f, exact, scale in cases:
        x = scale * np.random.default_rng(5).standard_normal((3, D))
        variance, (mean, gains, outputs) = draw(n, shape, exact, x)
        predicted = splits.mode_variance(f)
        assert np.median(np.abs(np.diag(mean) / splits.expectation(f) - 1)) < 0.01
        assert variance.sum() == pytest.approx(predicted.sum(), rel=0.03)
        assert np.trace(variance) == pytest.approx(np.trace(predicted), rel=0.05)
        drawn = 2 / D * np.var(outputs, axis=0, ddof=1).sum(axis=1)
        np.testing.assert_allclose(splits.disagreement(f, x), drawn, rtol=0.06)
        off_by = abs(np.log(variance.sum() / gaussian.mode_variance(f).sum()))
        assert off_by > 3 * abs(np.log(variance.sum() / predicted.sum()))
        # gains of different modes move together, by the radial term and nothing else that survives the sum
        covariance = np.cov(gains.T)
        ones = np.ones(D)
        core = splits._law.law._core.covariance(f, f)
        radial = float(core.radial_bilinear(ones[None], ones[None])[0]) - core.radial_diagonal().sum()
        off = covariance.sum() - np.trace(covariance)
        assert off == pytest.approx(radial, rel=0.2)


def test_radial_scales_of_profiles() -> None:
    """In high dimension the data give back the sizes that made them; leave-one-out if the samples are the population."""
    rng = np.random.default_rng(8)
    s, count = np.arange(1, 301.0) ** -0.5, 3000
    tau = gamma_sizes(2.0, count)
    samples = rng.standard_normal((count, 300)) * np.sqrt(s) * np.sqrt(tau)[:, None]
    population = kf.Population.from_samples(samples, profiles=count)
    order = radial_scales(population, np.array([0.05]), population_is="sample")[:, 0]
    assert order.mean() == pytest.approx(1.0, rel=1e-12)
    centred = samples - samples.mean(axis=0)
    assert np.corrcoef(order, tau)[0, 1] > 0.97
    norms = np.einsum("ak,ak->a", centred @ np.linalg.inv(np.cov(samples.T, bias=True) + 0.05 * np.eye(300)), centred)
    np.testing.assert_allclose(
        radial_scales(population, np.array([0.05]), population_is="exact")[:, 0], norms / norms.mean(), rtol=1e-5
    )
    # by hand: each sample against the covariance of the others
    left_out = []
    for a in range(5):
        others = np.delete(centred, a, axis=0)
        inverse = np.linalg.inv(others.T @ others / (count - 1) + 0.05 * count / (count - 1) * np.eye(300))
        left_out.append(centred[a] @ inverse @ centred[a])
    np.testing.assert_allclose(order[:5] / order[0], np.array(left_out) / left_out[0], rtol=5e-3)


def test_estimated_sizes_give_the_law_of_the_given() -> None:
    rng = np.random.default_rng(11)
    s, count = np.arange(1, 201.0) ** -0.7, 20_000
    tau = gamma_sizes(1.5, count)
    population = kf.Population.from_samples(
        rng.standard_normal((count, 200)) * np.sqrt(s) * np.sqrt(tau)[:, None], profiles=count
    )
    exact = kf.Population.from_spectrum(s)
    for n in (100, 400):
        estimated = kf.Splits(population, n, law="elliptical")
        given = kf.Splits(exact, n, law="elliptical", scales=tau)
        f = given.sampling_map(0.0, 80.0)
        # norms fluctuate for Gaussian samples too; that part of their variance is taken out
        assert estimated.mode_variance(f).sum() == pytest.approx(given.mode_variance(f).sum(), rel=0.02)
        gaussian = kf.Splits(population, n).mode_variance(f).sum()
        assert given.mode_variance(f).sum() > 1.1 * gaussian


def test_wrong_scales_are_named() -> None:
    for scales, message in (
        ([-1.0, 2.0], "at least 0"),
        ([0.0, 0.0], "not all 0"),
        ([], "at least 0"),
        ([[1.0]], "at least 0"),
    ):
        with pytest.raises(ValueError, match=f"scales must be a sequence of numbers .*{message}"):
            kf.Splits(POPULATION, 10, law="elliptical", scales=scales)
    with pytest.raises(ValueError, match="scales need law='elliptical', got them with law='gaussian'"):
        kf.Splits(POPULATION, 10, scales=[1.0])
    with pytest.raises(ValueError, match="terms must be 'full' with law='elliptical', got 'published'"):
        kf.Splits(POPULATION, 10, law="elliptical", scales=[1.0], terms="published")
    splits = kf.Splits(POPULATION, 10, law="elliptical", scales=[1.0])
    with pytest.raises(ValueError, match="expectation_correction needs law='gaussian', got 'elliptical'"):
        splits.expectation_correction(splits.denoiser(1.0))
    with pytest.raises(ValueError, match="population must hold profiles for radial scales, got none"):
        radial_scales(POPULATION, np.array([1.0]))
