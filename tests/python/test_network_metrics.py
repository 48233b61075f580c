"""Instruments for generative models: against slow references, closed forms and their own properties."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kappaflow import Population
from kappaflow.bands import default_bands
from kappaflow.validation.metrics import (
    correlate,
    cross_split,
    explained,
    generated_variance,
    memorisation,
    memorised_fraction,
    nearest,
)

RNG = np.random.default_rng(3)


def outputs(count: int = 12, d: int = 5) -> tuple[np.ndarray, np.ndarray, Population]:
    rng = np.random.default_rng(count * d)
    data = rng.standard_normal((50, d)) * np.arange(1, d + 1) + 7
    a = rng.standard_normal((count, d)) + 3
    return a, a + 0.3 * rng.standard_normal((count, d)), Population.from_samples(data)


def test_cross_split_against_all_pairs() -> None:
    a, b, population = outputs()
    bands = default_bands(5, 3)
    found = cross_split(a, b, population, bands)
    np.testing.assert_allclose(found.seeds, [np.sum((x - y) ** 2) / 5 for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(found.pixels, ((a - b) ** 2).mean(axis=0))
    apart = [np.sum((a[i] - b[j]) ** 2) / 5 for i in range(12) for j in range(12) if i != j]
    assert found.unrelated == pytest.approx(np.mean(apart), rel=1e-12)
    u = population.eigenvectors
    by_mode = np.mean([((a[i] - b[j]) @ u) ** 2 / 5 for i in range(12) for j in range(12) if i != j], axis=0)
    np.testing.assert_allclose(found.unrelated_modes, by_mode, rtol=1e-10)
    np.testing.assert_allclose(found.modes, np.mean(((a - b) @ u) ** 2, axis=0) / 5)
    np.testing.assert_allclose(found.bands, [found.modes[band.start : band.stop].sum() for band in bands])
    assert found.modes.sum() == pytest.approx(found.seeds.mean(), rel=1e-12)
    assert found.unrelated_bands.sum() == pytest.approx(found.unrelated, rel=1e-12)


def test_cross_split_far_from_zero_does_not_cancel() -> None:
    a, b, population = outputs()
    near, far = (
        cross_split(a, b, population, default_bands(5)),
        cross_split(a + 1e8, b + 1e8, population, default_bands(5)),
    )
    assert far.unrelated == pytest.approx(near.unrelated, rel=1e-6)


def test_equal_models_agree_and_swapping_changes_nothing() -> None:
    a, b, population = outputs()
    assert cross_split(a, a, population, default_bands(5)).seeds.max() == 0
    one, other = cross_split(a, b, population, default_bands(5)), cross_split(b, a, population, default_bands(5))
    assert one.unrelated == pytest.approx(other.unrelated, rel=1e-12)
    with pytest.raises(ValueError, match=r"a and b must be \(Z, d\) alike"):
        cross_split(a, b[:3], population, default_bands(5))
    with pytest.raises(ValueError, match=r"a must be \(Z, d\) and not empty"):
        cross_split(a[0], b[0], population, default_bands(5))


def test_explained_share() -> None:
    a, b, _ = outputs()
    assert explained(a, a) == 1.0
    assert explained(a, np.broadcast_to(a.mean(axis=0), a.shape)) == pytest.approx(0.0, abs=1e-12)
    assert explained(a, b) == pytest.approx(1 - np.sum((a - b) ** 2) / np.sum((a - a.mean(axis=0)) ** 2))
    assert np.isnan(explained(np.full((4, 3), 0.1), np.zeros((4, 3))))
    with pytest.raises(ValueError, match="prediction must have the shape of outputs"):
        explained(a, b[:3])


def test_generated_variance_is_that_of_the_modes() -> None:
    _, _, population = outputs()
    drawn = (
        population.mean + RNG.standard_normal((20_000, 5)) * np.sqrt(population.eigenvalues) @ population.eigenvectors.T
    )
    np.testing.assert_allclose(generated_variance(drawn, population), population.eigenvalues, rtol=0.05)
    with pytest.raises(ValueError, match="at least two seeds, got 1"):
        generated_variance(drawn[:1], population)


@pytest.mark.parametrize("memory", [2**28, 4000])
def test_nearest_against_all_distances(memory: int) -> None:
    queries, data = RNG.standard_normal((30, 4)) + 1e3, RNG.standard_normal((57, 4)) + 1e3
    found, which = nearest(queries, data, count=3, memory=memory)
    every = np.linalg.norm(queries[:, None] - data, axis=2)
    np.testing.assert_array_equal(which, np.argsort(every, axis=1, kind="stable")[:, :3])
    np.testing.assert_allclose(found, np.sort(every, axis=1)[:, :3], rtol=1e-9)


def test_nearest_is_exact_where_a_matrix_product_is_not() -> None:
    """Distances of 1e-9 at coordinates of 1: products of rows round at 1e-16 of their squares, the square of 1e-8."""
    base = RNG.standard_normal((1, 6))
    data = np.concatenate([base + 1e-9 * RNG.standard_normal((40, 6)), RNG.standard_normal((40, 6))])
    queries = base + 1e-9 * RNG.standard_normal((10, 6))
    found, which = nearest(queries, data, count=2)
    every = np.linalg.norm(queries[:, None] - data, axis=2)
    np.testing.assert_array_equal(which, np.argsort(every, axis=1)[:, :2])
    np.testing.assert_allclose(found, np.sort(every, axis=1)[:, :2], rtol=1e-5)


def test_nearest_takes_the_lower_index_of_equal_rows_and_all_rows_where_asked() -> None:
    data = np.repeat(RNG.standard_normal((5, 3)), 4, axis=0)
    found, which = nearest(data, data, count=2)
    assert found.max() == 0
    assert which[:, 0].tolist() == [4 * (i // 4) for i in range(20)]
    assert sorted(nearest(data[:1], data, count=20)[1][0].tolist()) == list(range(20))
    with pytest.raises(ValueError, match="count must be at most the 20 rows of data, got 21"):
        nearest(data, data, count=21)
    with pytest.raises(ValueError, match=r"queries and data must be \(Z, d\) and \(n, d\)"):
        nearest(data, data[:, :2])


def test_memorisation_counts_pairs() -> None:
    own, other = RNG.random(9), np.append(RNG.random(8), 0.5)
    pairs = [1.0 if x < y else 0.5 if x == y else 0.0 for x in own for y in other]
    assert memorisation(own, other).auc == pytest.approx(np.mean(pairs))
    assert memorisation(own, own).auc == pytest.approx(0.5)
    assert memorisation(own, own + 2).auc == 1.0
    assert memorisation(2 * other + 1, other + 0.5).ratio == pytest.approx(2.0)
    assert np.isnan(memorisation(own, np.zeros(9)).ratio)
    with pytest.raises(ValueError, match=r"own and other must be \(Z,\) alike"):
        memorisation(own, other[:3])
    with pytest.raises(ValueError, match="distances of at least 0"):
        memorisation(-own, other)


def test_memorised_share() -> None:
    assert memorised_fraction([[0.1, 0.31], [0.2, 0.3], [0.0, 0.0], [0.0, 1.0]]) == pytest.approx(0.75)
    assert memorised_fraction([[0.2, 0.3]], factor=1.2) == 1.0
    with pytest.raises(ValueError, match="ascending"):
        memorised_fraction([[0.3, 0.1]])
    with pytest.raises(ValueError, match=r"distances must be \(Z, 2\)"):
        memorised_fraction([0.3, 0.1])


@pytest.mark.parametrize("kind", ["spearman", "pearson"])
def test_coefficients_are_scipys(kind: str) -> None:
    x = RNG.integers(0, 6, 40).astype(float)  # ties
    y = x + RNG.standard_normal(40)
    reference = stats.spearmanr if kind == "spearman" else stats.pearsonr
    found = correlate(x, y, kind=kind)
    assert found.value == pytest.approx(reference(x, y).statistic, rel=1e-12)
    assert found.low < found.value < found.high
    assert (found.count, found.kind) == (40, kind)


def test_few_entries_are_permuted_in_every_order() -> None:
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 3, 5, 4])
    observed = abs(stats.spearmanr(x, y).statistic)
    share = np.mean(
        [abs(stats.spearmanr(x, np.array(order)).statistic) >= observed - 1e-12 for order in permutations(y)]
    )
    assert correlate(x, y).p_value == pytest.approx(share)


def test_p_values_of_unrelated_numbers_are_uniform() -> None:
    rng = np.random.default_rng(5)
    values = [correlate(*rng.standard_normal((2, 20)), permutations=400, replicates=100).p_value for _ in range(300)]
    assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(200):
        x = rng.standard_normal(100)
        found = correlate(x, 0.6 * x + 0.8 * rng.standard_normal(100), kind="pearson", replicates=400, permutations=100)
        held += found.low <= 0.6 <= found.high
    assert 180 <= held <= 199


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=30), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_spearman_sees_ranks_alone(values: list[int], seed: int) -> None:
    x, y = np.array(values, dtype=float), np.random.default_rng(seed).standard_normal(len(values))
    found, other = (correlate(v, y, replicates=100, permutations=100) for v in (x, np.exp(x)))
    if np.ptp(x) == 0:
        assert np.isnan([found.value, found.low, found.high, found.p_value]).all()
    else:
        assert found.value == pytest.approx(other.value, rel=1e-9, abs=1e-12)
        assert found.p_value == pytest.approx(other.p_value)
        assert -1 <= found.low <= found.high <= 1


def test_what_cannot_be_correlated() -> None:
    assert np.isnan(correlate([1.0, 2.0], [2.0, 1.0]).value)
    assert np.isnan(correlate([0.1] * 7, np.arange(7.0)).p_value)
    with pytest.raises(ValueError, match=r"must be \(E,\) alike"):
        correlate([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="observed must be finite, got nan"):
        correlate([1.0, 2.0, 3.0], [1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match="kind must be one of 'spearman', 'pearson', got 'kendall'"):
        correlate([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], kind="kendall")
