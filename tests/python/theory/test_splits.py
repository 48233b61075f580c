"""Splits against sums written out term by term: expectation, variance, exchange, estimated mean, bands, sample size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.bands import default_bands

D = 9


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def some_population(seed: int = 0) -> kf.Population:
    """Nine dimensions with a rotated basis, a mean and distinct eigenvalues."""
    basis = np.linalg.qr(rng(seed).standard_normal((D, D)))[0]
    covariance = (basis * np.geomspace(3, 0.01, D)) @ basis.T
    return kf.Population.from_covariance(covariance, rng(seed + 1).standard_normal(D), shape=(3, 3))


# ---------------------------------------------------------------- the slow oracle
def nodes(splits: kf.Splits, f: kf.SpectralFunction, far: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and kappa with the node at infinity as a node at a huge shift, so that f has no constant but f(0)."""
    weights = np.append(f.weights, 1 - f.constant - f.weights.sum())
    return weights, splits.kappa(noise_variance=np.append(f.shifts, far))


def oracle(splits: kf.Splits, f: kf.SpectralFunction, g: kf.SpectralFunction) -> tuple[np.ndarray, np.ndarray]:
    """V (k, k) without exchange, and the mean part (k,)."""
    s, mult = splits.population.eigenvalues, splits.population.multiplicity
    m = splits.n - 1 if splits.mean == "estimated" else splits.n
    far = 1e12 * max(float(s.max()), float(f.shifts.max()), float(g.shifts.max()))
    (wf, kf_), (wg, kg) = nodes(splits, f, far), nodes(splits, g, far)
    a = s[:, None, None] / ((s[:, None, None] + kf_[:, None]) * (s[:, None, None] + kg))  # (k, i, j)
    remaining = m - np.einsum("k,kij,k->ij", s, a, mult)
    kernel = np.outer(wf * kf_, wg * kg) / remaining
    v = np.einsum("ij,kij,lij->kl", kernel[:-1, :-1], a[:, :-1, :-1], a[:, :-1, :-1], optimize=True)
    mean = np.einsum("ij,kij->k", kernel, a) * m / splits.n
    if splits.mean == "known" or splits.terms == "published":
        mean = np.zeros_like(s)
    return v, mean


def brute_covariance(
    splits: kf.Splits,
    f: kf.SpectralFunction,
    g: kf.SpectralFunction,
    x: np.ndarray,
    y: np.ndarray,
    v: np.ndarray,
    w: np.ndarray,
) -> float:
    """Cov[v'f x, w'g y] for mode coordinates: sum_kl V_kl (v_k w_k x_l y_l + v_k y_k w_l x_l) + mean."""
    kernel, mean = oracle(splits, f, g)
    total = np.einsum("kl,k,k,l,l->", kernel, v, w, x, y)
    if splits.terms == "full":
        total += np.einsum("kl,k,k,l,l->", kernel, v, y, w, x)
    return float(total + np.einsum("k,k,k->", mean, v, w))


CASES = [
    pytest.param(n, mean, terms, id=f"{n}-{mean}-{terms}")
    for n in (5, 30)
    for mean in ("known", "estimated")
    for terms in ("full", "published")
]


@pytest.mark.parametrize(("n", "mean", "terms"), CASES)
def test_modes_inputs_and_directions(n: int, mean: str, terms: str) -> None:
    population = some_population()
    splits = kf.Splits(population, n, mean=mean, terms=terms)
    f, g = splits.sampling_map(0.0, 20.0), splits.denoiser(0.4)
    x = population.mean + rng(5).standard_normal((3, D))
    y = population.mean + rng(6).standard_normal((3, D))
    v = rng(7).standard_normal((2, D))
    cx, cy, cv = population.coordinates(x), population.coordinates(y), v @ population.eigenvectors
    for one, two in ((f, f), (f, g), (g, f)):
        kernel, _ = oracle(splits, one, two)
        exchange = np.diag(np.diag(kernel)) if terms == "full" else 0.0
        np.testing.assert_allclose(splits.mode_covariance(one, two), kernel + exchange, rtol=1e-10)
        exact = [[brute_covariance(splits, one, two, a, b, c, c) for c in cv] for a, b in zip(cx, cy, strict=True)]
        found = splits.covariance(one, two, x, v, inputs2=y)
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12 * np.abs(exact).max())
    exact = [[brute_covariance(splits, f, f, a, a, c, c) for c in cv] for a in cx]
    np.testing.assert_allclose(splits.variance(f, x, v), exact, rtol=1e-9)
    np.testing.assert_allclose(splits.variance(f, x.reshape(3, 3, 3), v.reshape(2, 3, 3)), exact, rtol=1e-9)
    np.testing.assert_allclose(splits.equal_mode_variance(f), np.diag(splits.mode_variance(f)), rtol=1e-12)
    np.testing.assert_allclose(
        splits.mode_variance(f, [3, 0]), splits.mode_variance(f)[np.ix_([3, 0], [3, 0])], rtol=1e-13
    )


@pytest.mark.parametrize(("n", "mean", "terms"), CASES)
def test_disagreement_is_the_trace(n: int, mean: str, terms: str) -> None:
    population = some_population()
    splits = kf.Splits(population, n, mean=mean, terms=terms)
    f = splits.sampling_map(0.0, 20.0)
    x = population.mean + 20 * rng(5).standard_normal((3, D))
    trace = 2 * splits.variance(f, x, np.eye(D)).sum(axis=1) / D
    np.testing.assert_allclose(splits.disagreement(f, x), trace, rtol=1e-11)
    bands = [(0, 2), range(2, 5), slice(5, D)]
    parts = splits.disagreement(f, x, bands=bands)
    assert parts.shape == (3, 3)
    np.testing.assert_allclose(parts.sum(axis=1), trace, rtol=1e-11)
    np.testing.assert_array_equal(
        splits.disagreement(f, x, bands=3), splits.disagreement(f, x, bands=default_bands(D, 3))
    )
    modes = population.eigenvectors.T
    np.testing.assert_allclose(parts[:, 0], 2 * splits.variance(f, x, modes[:2]).sum(axis=1) / D, rtol=1e-11)
    mean_parts = splits.mean_disagreement(f, input_variance=400.0, bands=bands)
    assert mean_parts.sum() == pytest.approx(float(splits.mean_disagreement(f, input_variance=400.0)), rel=1e-12)


@pytest.mark.parametrize(("n", "mean", "terms"), CASES)
def test_pixel_variance_is_the_diagonal_of_the_dense_covariance(n: int, mean: str, terms: str) -> None:
    population = some_population()
    splits = kf.Splits(population, n, mean=mean, terms=terms)
    f = splits.sampling_map(0.1, 5.0)
    x = rng(5).standard_normal((3, 3))
    u, c = population.eigenvectors, population.coordinates(x)[0]
    kernel, mean_part = oracle(splits, f, f)
    modes = np.diag(kernel @ (c * c) + mean_part)
    if terms == "full":
        modes = modes + kernel * np.outer(c, c)
    dense = u @ modes @ u.T
    found = splits.pixel_variance(f, x)
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found.ravel(), np.diag(dense), rtol=1e-9)
    np.testing.assert_allclose(found.ravel(), splits.variance(f, x, np.eye(D))[0], rtol=1e-11)


def test_pixel_variance_in_mode_coordinates() -> None:
    splits = kf.Splits(kf.Population.from_spectrum([2.0, 1.0, 0.5]), 6)
    f, x = splits.denoiser(0.5), np.array([1.0, -2.0, 0.3])
    np.testing.assert_allclose(splits.pixel_variance(f, x), splits.variance(f, x, np.eye(3))[0], rtol=1e-12)


def test_expected_output_in_pixels() -> None:
    population = some_population()
    splits = kf.Splits(population, 20)
    f = splits.sampling_map(0.5, 10.0)
    x = rng(3).standard_normal((4, 3, 3))
    s, kappa = population.eigenvalues, splits.kappa(noise_variance=f.shifts)
    gain = f.constant + (f.weights * s[:, None] / (s[:, None] + kappa)).sum(axis=1)
    np.testing.assert_allclose(splits.expectation(f), gain, rtol=1e-12)
    exact = population.reconstruct(gain * population.coordinates(x))
    np.testing.assert_allclose(splits.expected_output(f, x), exact, rtol=1e-11, atol=1e-13)
    assert splits.expected_output(f, x[0]).shape == (3, 3)


def test_kappa_with_estimated_mean() -> None:
    population = some_population()
    noise = np.array([[0.0, 0.1], [1.0, 50.0]])
    exact = kf.solve_kappa(population.eigenvalues, 4, noise_variance=noise * 5 / 4)
    np.testing.assert_allclose(kf.Splits(population, 5).kappa(noise_variance=noise), exact, rtol=1e-14)
    known = kf.Splits(population, 5, mean="known").kappa(noise_variance=noise)
    np.testing.assert_allclose(known, kf.solve_kappa(population.eigenvalues, 5, noise_variance=noise), rtol=1e-14)


def test_standard_deviations_and_variances_give_the_same() -> None:
    splits = kf.Splits(some_population(), 12)
    f, sigma = splits.sampling_map(), np.array([[0.0, 0.1], [2.0, 80.0]])
    np.testing.assert_array_equal(splits.kappa(sigma=sigma), splits.kappa(noise_variance=sigma**2))
    np.testing.assert_array_equal(
        splits.kappa_correction(sigma=sigma[1]), splits.kappa_correction(noise_variance=sigma[1] ** 2)
    )
    s = splits.population.eigenvalues
    np.testing.assert_array_equal(kf.solve_kappa(s, 12, sigma=0.3), kf.solve_kappa(s, 12, noise_variance=0.09))
    assert splits.mean_disagreement(f, input_sigma=80.0) == splits.mean_disagreement(f, input_variance=6400.0)
    one, two = splits.mode_disagreement(f, input_sigma=80.0), splits.mode_disagreement(f, input_variance=6400.0)
    np.testing.assert_array_equal(one.part, two.part)
    args: Any = (splits.population, map_to_zero, 0.05)
    assert kf.samples_for(*args, input_sigma=80.0) == kf.samples_for(*args, input_variance=6400.0)


def test_support_is_named() -> None:
    support = kf.Splits(some_population(), 12).support()
    assert 0 < support.low < support.high
    assert tuple(support) == (support.low, support.high)


@pytest.mark.parametrize("terms", ["full", "published"])
def test_mean_disagreement_is_an_average_over_seeds(terms: str) -> None:
    population = some_population()
    splits = kf.Splits(population, 15, terms=terms)
    f = splits.sampling_map(0.0, 20.0)
    for spread in (np.full(D, 400.0), population.eigenvalues + 0.5):
        z = rng(11).standard_normal((100_000, D))
        z = np.concatenate([z, -z]) * np.sqrt(spread / (z * z).mean(axis=0))  # the second moments are exact
        each = splits.disagreement(f, population.reconstruct(z))
        assert each.mean() == pytest.approx(float(splits.mean_disagreement(f, input_variance=spread)), rel=1e-10)
    assert splits.mean_disagreement(f, input_variance=400.0) == pytest.approx(
        float(splits.mean_disagreement(f, input_variance=np.full(D, 400.0))), rel=1e-14
    )


def test_relative_disagreement_lies_between_zero_and_one() -> None:
    population = some_population()
    before = 1.0
    for n in (2, 5, 9, 10, 40, 1000, 10**6):
        splits = kf.Splits(population, n)
        f = splits.sampling_map()
        whole = float(splits.mean_disagreement(f, input_variance=6400.0, relative=True))
        bands = splits.mean_disagreement(f, input_variance=6400.0, bands=[(0, 3), (3, D)], relative=True)
        by_mode = splits.mode_disagreement(f, input_variance=6400.0)
        assert 0 < whole < before
        assert bands.shape == (2,)
        assert (bands > 0).all()
        assert (bands < 1).all()
        assert (by_mode.relative > 0).all()
        assert (by_mode.relative < 1).all()
        assert by_mode.part.sum() == pytest.approx(float(splits.mean_disagreement(f, input_variance=6400.0)), rel=1e-12)
        before = whole
    assert before < 1e-3


def test_relative_disagreement_is_explicit() -> None:
    splits = kf.Splits(kf.Population.from_spectrum([2.0, 1.0, 0.0]), 8)
    f = splits.sampling_map()
    variance = splits.mode_disagreement(f, input_variance=6400.0).part * 3 / 2
    ceiling = variance + splits.expectation(f) ** 2 * 6400
    assert splits.mean_disagreement(f, input_variance=6400.0, relative=True) == pytest.approx(
        variance.sum() / ceiling.sum(), rel=1e-13
    )
    assert (
        splits.mean_disagreement(f, input_variance=6400.0, bands=[(2, 3)], relative=True)[0] == 0
    )  # no variance, no ratio


@pytest.mark.parametrize("terms", ["full", "published"])
@pytest.mark.parametrize("n", [4, 30])
def test_multiplicity_equals_repeated_modes(n: int, terms: str) -> None:
    values, counts = np.array([3.0, 0.5, 0.02]), np.array([2, 3, 4])
    atoms = kf.Splits(kf.Population.from_spectrum(values, counts), n, terms=terms)
    modes = kf.Splits(kf.Population.from_spectrum(np.repeat(values, counts)), n, terms=terms)
    f = modes.sampling_map(0.0, 20.0)
    first = np.array([0, 2, 5])
    np.testing.assert_allclose(atoms.expectation(f), modes.expectation(f)[first], rtol=1e-12)
    np.testing.assert_allclose(atoms.mode_variance(f), modes.mode_variance(f)[np.ix_(first, first)], rtol=1e-11)
    for relative in (False, True):
        assert atoms.mean_disagreement(f, input_variance=400.0, relative=relative) == pytest.approx(
            float(modes.mean_disagreement(f, input_variance=400.0, relative=relative)), rel=1e-11
        )
    one, two = (each.mode_disagreement(f, input_variance=400.0) for each in (atoms, modes))
    np.testing.assert_allclose(one.part, two.part[first], rtol=1e-11)
    np.testing.assert_allclose(one.relative, two.relative[first], rtol=1e-11)


def test_compressed_population_has_the_same_disagreement() -> None:
    population = kf.Population.from_spectrum(np.geomspace(1, 1e-4, 3000))
    small = population.compressed()
    assert len(small.eigenvalues) < 80
    full, few = kf.Splits(population, 500), kf.Splits(small, 500)
    f = full.sampling_map()
    assert few.mean_disagreement(f, input_variance=6400.0) == pytest.approx(
        float(full.mean_disagreement(f, input_variance=6400.0)), rel=1e-9
    )


def test_population_with_fewer_samples_than_dimensions() -> None:
    samples = rng(2).standard_normal((6, 20)) * np.geomspace(1, 0.1, 20)
    low_rank = kf.Population.from_samples(samples)
    centred = samples - samples.mean(axis=0)
    dense = kf.Population.from_covariance(centred.T @ centred / 6, samples.mean(axis=0))
    assert low_rank.eigenvectors.shape == (20, 5)
    x, v = rng(3).standard_normal((2, 20)), rng(4).standard_normal((3, 20))
    for n in (4, 50):
        one, two = kf.Splits(low_rank, n, population_is="exact"), kf.Splits(dense, n)
        f = one.sampling_map(0.3, 10.0)
        np.testing.assert_allclose(one.expected_output(f, x), two.expected_output(f, x), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(one.variance(f, x, v), two.variance(f, x, v), rtol=1e-8)
        np.testing.assert_allclose(one.disagreement(f, x), two.disagreement(f, x), rtol=1e-8)
        np.testing.assert_allclose(one.pixel_variance(f, x[0]), two.pixel_variance(f, x[0]), rtol=1e-8)
        assert one.mean_disagreement(f, input_variance=100.0) == pytest.approx(
            float(two.mean_disagreement(f, input_variance=100.0)), rel=1e-8
        )


def test_trajectory_has_a_positive_covariance_matrix() -> None:
    """Outputs at several noise levels of one schedule: the matrix of their covariances is symmetric and positive."""
    population = some_population()
    splits = kf.Splits(population, 12)
    levels = [0.0, 0.5, 2.0]
    maps = [splits.sampling_map(sigma, 20.0) for sigma in levels]
    x, v = population.mean + 20 * rng(8).standard_normal(D), rng(9).standard_normal(D)
    gram = np.array([[float(splits.covariance(f, g, x, v)[0, 0]) for g in maps] for f in maps])
    np.testing.assert_allclose(gram, gram.T, rtol=1e-9)
    assert np.linalg.eigvalsh(gram)[0] > -1e-10 * gram.max()
    shifted = splits.covariance(maps[0], maps[1], x, v, inputs2=2 * x - population.mean)
    known = kf.Splits(population, 12, mean="known")
    doubled = known.covariance(maps[0], maps[1], x, v, inputs2=2 * x - population.mean)
    np.testing.assert_allclose(doubled, 2 * known.covariance(maps[0], maps[1], x, v), rtol=1e-10)
    assert shifted.shape == (1, 1)


def test_all_variance_vanishes_with_many_samples() -> None:
    population = some_population()
    for n in (10**4, 10**6):
        splits = kf.Splits(population, n)
        f = splits.sampling_map(0.0, 20.0)
        limit = np.sqrt(population.eigenvalues / (population.eigenvalues + 400))
        np.testing.assert_allclose(splits.expectation(f), limit, rtol=20 * D / n)
        assert splits.mode_variance(f).max() * n < 10


def test_repr() -> None:
    assert "n=7, law='gaussian', mean='known'" in repr(kf.Splits(some_population(), 7, mean="known"))


# ---------------------------------------------------------------- sample size
def map_to_zero(splits: kf.Splits) -> kf.SpectralFunction:
    return splits.sampling_map()


@pytest.mark.parametrize("measure", ["relative_disagreement", "disagreement"])
@pytest.mark.parametrize("bands", [None, [(0, 3), (3, D)]])
def test_sample_size_is_a_bracket(measure: str, bands: Any) -> None:
    population = some_population()
    tolerance = 0.01
    answer = kf.samples_for(population, map_to_zero, tolerance, measure=measure, bands=bands, input_variance=6400.0)

    def value(n: int) -> float:
        splits = kf.Splits(population, n)
        relative = measure == "relative_disagreement"
        return float(
            np.max(splits.mean_disagreement(map_to_zero(splits), input_variance=6400.0, bands=bands, relative=relative))
        )

    assert answer.value <= tolerance < answer.value_below
    assert answer.n_below == answer.n - 1
    assert answer.value == pytest.approx(value(answer.n), rel=1e-12)
    assert answer.value_below == pytest.approx(value(answer.n - 1), rel=1e-12)


def test_sample_size_at_the_smallest_n() -> None:
    answer = kf.samples_for(some_population(), map_to_zero, 1e9, measure="disagreement", input_variance=6400.0)
    assert (answer.n, answer.n_below, answer.value_below) == (2, None, None)


def test_sample_size_of_a_custom_measure() -> None:
    answer = kf.samples_for(some_population(), map_to_zero, 1 / 1000, measure=lambda splits, f: 1 / splits.n)
    assert (answer.n, answer.n_below) == (1000, 999)


def test_sample_size_errors() -> None:
    population = some_population()
    with pytest.raises(
        kf.NotReachedError, match=r"tolerance must be at least .* the measure at n = 1000000000000, got"
    ):
        kf.samples_for(population, map_to_zero, 1e-30, input_variance=6400.0)
    with pytest.raises(ValueError, match="tolerance must be finite and above 0, got 0"):
        kf.samples_for(population, map_to_zero, 0, input_variance=6400.0)
    with pytest.raises(ValueError, match="measure must be one of 'disagreement', 'relative_disagreement', got 'x'"):
        kf.samples_for(population, map_to_zero, 0.1, measure="x", input_variance=6400.0)
    with pytest.raises(TypeError, match="the measure 'relative_disagreement' needs input_sigma"):
        kf.samples_for(population, map_to_zero, 0.1)
    with pytest.raises(ValueError, match="population must hold profiles for law='elliptical', got none"):
        kf.samples_for(population, map_to_zero, 0.1, input_variance=1.0, law="elliptical")
