"""Sources of training sets: moments, disjoint splits, pools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.provenance import Provenance
from kappaflow.validation.linear import draws
from kappaflow.validation.linear.draws import DisjointSets, GaussianSets, Pool, ResampledSets, collect_pool

D = 6


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def some_pool(rows: int = 50, seed: int = 1) -> Pool:
    samples = rng(seed).gamma(2.0, size=(rows, D)) @ rng(seed + 1).standard_normal((D, D))
    return collect_pool([samples[:20], samples[20:]], shape=(2, 3), count=rows, most_bytes=10**6)


# ---------------------------------------------------------------- Gaussian
@pytest.mark.parametrize("known_mean", [False, True])
@pytest.mark.parametrize("triangular", [False, True])
def test_both_gaussian_routes_have_the_wishart_moments(
    monkeypatch: pytest.MonkeyPatch, triangular: bool, known_mean: bool
) -> None:
    """E Σ̂ = (m/n) Σ, Var Σ̂_kl = m s_k s_l (1 + δ_kl)/n², and a mean with variance s/n that is independent of Σ̂."""
    monkeypatch.setattr(draws, "_BARTLETT_FROM", 1 if triangular else 100)
    n, count, s = 9, 40_000, np.geomspace(2, 0.1, D)
    sets = GaussianSets(kf.Population.from_spectrum(s))
    mean, rows = sets.batch(n, count, rng(7), known_mean)
    assert rows.shape == (count, sets.rows(n, known_mean), D) == (count, D if triangular else n, D)
    covariance = rows.transpose(0, 2, 1) @ rows / n
    m = n if known_mean else n - 1
    variance = m * np.outer(s, s) * (1 + np.eye(D)) / n**2
    z = (covariance.mean(axis=0) - np.diag(m * s / n)) / np.sqrt(variance / count)
    assert np.abs(z).max() < 4.5
    # the fourth cumulant of Wishart entries is below 12/m of the squared variance
    error = np.sqrt((2 + 12 / m) / count)
    assert np.abs(covariance.var(axis=0, ddof=1) / variance - 1).max() < 4.5 * error
    if known_mean:
        assert not mean.any()
        return
    assert np.abs(mean.mean(axis=0) / np.sqrt(s / n / count)).max() < 4.5
    assert np.abs(np.cov(mean.T) / np.sqrt(np.outer(s, s)) * n - np.eye(D)).max() < 4.5 * np.sqrt(2 / count)
    correlation = np.corrcoef(mean.T**2, np.array([covariance[:, k, k] for k in range(D)]))[:D, D:]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(count)


@pytest.mark.parametrize("n", [4, 100])
@pytest.mark.parametrize("known_mean", [False, True])
def test_a_set_does_not_depend_on_how_many_are_drawn_at_once(n: int, known_mean: bool) -> None:
    for sets in (GaussianSets(kf.Population.from_spectrum(np.arange(1, D + 1.0))), ResampledSets(some_pool())):
        one, generator = sets.batch(n, 5, rng(3), known_mean), rng(3)
        parts = [sets.batch(n, size, generator, known_mean) for size in (2, 1, 2)]
        for whole, pieces in zip(one, zip(*parts, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_rows_are_centred_on_the_sample_mean() -> None:
    generator = rng(2)
    for sets in (GaussianSets(kf.Population.from_spectrum(np.ones(D))), ResampledSets(some_pool())):
        mean, rows = sets.batch(7, 3, generator, False)
        assert np.abs(mean).min() > 0
        np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-13)
        mean, rows = sets.batch(7, 3, generator, True)
        assert not mean.any()
        assert np.abs(rows.mean(axis=1)).max() > 0.01


def test_modes_without_variance_stay_zero() -> None:
    sets = GaussianSets(kf.Population.from_spectrum([2.0, 1.0, 0.0]))
    for n in (3, 50):
        mean, rows = sets.batch(n, 4, rng(0), False)
        assert not mean[:, 2].any()
        assert not rows[:, :, 2].any()


def test_gaussian_sets_need_single_modes() -> None:
    with pytest.raises(ValueError, match=r"population must have no multiplicity above 1 .*, got 3: list equal"):
        GaussianSets(kf.Population.from_spectrum([2.0, 1.0], [1, 3]))


# ---------------------------------------------------------------- resampling and splitting
def test_resampled_sets_are_rows_of_the_pool_with_replacement() -> None:
    pool = some_pool(20)
    _, rows = ResampledSets(pool).batch(30, 200, rng(4), True)
    places = np.array([[np.flatnonzero((pool.coordinates == row).all(axis=1)).item() for row in s] for s in rows])
    counts = np.bincount(places.ravel(), minlength=20)
    expected = places.size / 20
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected)
    assert all(len(np.unique(s)) < 30 for s in places)
    covariance = rows.reshape(-1, D).T @ rows.reshape(-1, D) / places.size
    scale = np.sqrt(np.outer(pool.population.eigenvalues, pool.population.eigenvalues))
    np.testing.assert_allclose(covariance / scale, np.eye(D), atol=0.1)


@pytest.mark.parametrize(("n", "size"), [(5, 10), (7, 7), (25, 2)])
def test_disjoint_sets_of_a_group_share_no_sample(n: int, size: int) -> None:
    pool = some_pool(50)
    sets = DisjointSets(pool)
    sets.check(n, size)
    generator, orders = rng(9), []
    for _ in range(3):
        sets.start_group(n, size, generator)
        batches = [sets.batch(n, count, generator, True)[1] for count in (1, size - 1)]
        rows = np.concatenate(batches).reshape(-1, D)
        places = [np.flatnonzero((pool.coordinates == row).all(axis=1)).item() for row in rows]
        assert len(set(places)) == len(places) == n * size
        orders.append(places)
    assert orders[0] != orders[1] != orders[2]


def test_disjoint_sets_leave_the_pool_alone() -> None:
    pool = some_pool(50)
    before = pool.coordinates.copy()
    for sets in (DisjointSets(pool), ResampledSets(pool)):
        for known in (True, False):
            sets.start_group(10, 5, rng(1))
            _, rows = sets.batch(10, 5, rng(1), known)
            rows *= 0
    np.testing.assert_array_equal(pool.coordinates, before)


def test_disjoint_sets_refuse_what_does_not_fit() -> None:
    sets = DisjointSets(some_pool(50))
    sets.check(25, 2)
    with pytest.raises(ValueError, match="n must be at most 25 for disjoint splits of 50 images, got 26"):
        sets.check(26, 2)
    with pytest.raises(
        ValueError, match="group_size must be at most 5 for disjoint splits of 10 out of 50 images, got 6"
    ):
        sets.check(10, 6)
    with pytest.raises(RuntimeError, match="batch: start_group must come first"):
        sets.batch(10, 1, rng(0), True)


def test_fingerprints_tell_data_apart() -> None:
    pools = [some_pool(50, seed) for seed in (1, 2)]
    prints = {sets.fingerprint() for pool in pools for sets in (ResampledSets(pool), GaussianSets(pool.population))}
    assert len(prints) == 4
    assert ResampledSets(some_pool(50)).fingerprint() == ResampledSets(some_pool(50)).fingerprint()


# ---------------------------------------------------------------- pools
@pytest.mark.parametrize("rows", [4, 40])  # fewer and more than there are pixels
@pytest.mark.parametrize("known_count", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_the_population_of_a_pool_is_exact(rows: int, known_count: bool, dtype: Any) -> None:
    samples = (100 * rng(5).random((rows, D))).astype(dtype)
    batches = iter([samples[:3], samples[3:]])
    pool = collect_pool(
        batches, shape=(2, 3), count=rows if known_count else None, most_bytes=10**6, provenance=Provenance("noise")
    )
    exact = samples.astype(np.float64)
    assert (pool.size, pool.total) == (rows, rows)
    assert (pool.population.shape, pool.population.provenance.what) == ((2, 3), "noise")
    assert pool.coordinates.dtype == np.float64
    np.testing.assert_allclose(pool.population.mean, exact.mean(axis=0), rtol=1e-13)
    vectors = pool.population.eigenvectors
    covariance = (vectors * pool.population.eigenvalues) @ vectors.T
    np.testing.assert_allclose(covariance, np.cov(exact.T, bias=True), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(
        pool.population.reconstruct(pool.coordinates).reshape(rows, D), exact, rtol=1e-11, atol=1e-11
    )
    np.testing.assert_allclose(pool.coordinates.mean(axis=0), 0, atol=1e-11)
    scatter = pool.coordinates.T @ pool.coordinates / rows
    np.testing.assert_allclose(scatter, np.diag(pool.population.eigenvalues), atol=1e-9)


def test_a_pool_that_does_not_fit_is_a_seeded_subset() -> None:
    samples = rng(6).standard_normal((300, D))

    def read(seed: int) -> Pool:
        return collect_pool(np.array_split(samples, 7), shape=(D,), count=300, most_bytes=8 * D * 80 + 5, seed=seed)

    one, again, other = read(1), read(1), read(2)
    assert (one.size, one.total) == (80, 300)
    np.testing.assert_array_equal(one.coordinates, again.coordinates)
    chosen = []
    for pool in (one, other):
        rows = pool.population.reconstruct(pool.coordinates)
        places = np.abs(samples[None] - rows[:, None]).max(axis=2).argmin(axis=1)
        np.testing.assert_allclose(samples[places], rows, atol=1e-12)
        assert (np.diff(places) > 0).all()  # in their order, each once
        chosen.append(places)
    assert (chosen[0] != chosen[1]).any()
    np.testing.assert_allclose(one.population.mean, samples[chosen[0]].mean(axis=0), atol=1e-13)
    assert chosen[0].max() > 250  # from all of them, not the first


def test_pools_do_not_change_what_they_read() -> None:
    samples = rng(6).standard_normal((30, D))
    before = samples.copy()
    for count in (None, 30):
        collect_pool([samples], shape=(D,), count=count, most_bytes=10**6)
        collect_pool([samples[:3]], shape=(D,), count=None if count is None else 3, most_bytes=10**6)
    np.testing.assert_array_equal(samples, before)


def test_pools_that_cannot_be_read() -> None:
    samples = rng(6).standard_normal((30, D))
    with pytest.raises(MemoryError, match="most_bytes must hold at least two samples of 6 values, got 95 bytes"):
        collect_pool([samples], shape=(D,), count=30, most_bytes=95)

    def endless() -> Iterator[np.ndarray]:
        for _ in range(100):
            yield samples
        pytest.fail("read on although memory was full")

    with pytest.raises(MemoryError, match="limit the number of images or allow more memory"):
        collect_pool(endless(), shape=(D,), count=None, most_bytes=8 * D * 100)
    with pytest.raises(ValueError, match="count must be the number of images, got 20 and at least 30 images"):
        collect_pool([samples], shape=(D,), count=20, most_bytes=10**6)
    short = collect_pool([samples], shape=(D,), count=40, most_bytes=10**6)  # some of the files could not be read
    assert (short.size, short.total) == (30, 30)
    for count in (None, 5):
        with pytest.raises(ValueError, match="images must"):
            collect_pool([], shape=(D,), count=count, most_bytes=10**6)
