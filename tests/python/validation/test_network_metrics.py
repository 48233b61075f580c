"""Measuring instruments of pairs of models: correlation, consistency, nearest neighbours."""

from __future__ import annotations

import dataclasses
import itertools
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kappaflow as kf
from kappaflow.bands import Band
from kappaflow.disagreement import Disagreement
from kappaflow.validation import metrics
from kappaflow.validation.metrics import (
    Memorisation,
    association,
    correlate,
    cross_split,
    explained,
    generated_variance,
    memorisation,
    memorised_fraction,
    nearest,
    pixel_disagreement,
)

KINDS: tuple[Any, ...] = ("spearman", "pearson")


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def pairs(count: int, seed: int, correlation: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    z = rng(seed).standard_normal((2, count))
    return z[0], correlation * z[0] + math.sqrt(1 - correlation**2) * z[1]


def test_exports_are_sorted_and_exist() -> None:
    assert sorted(metrics.__all__) == sorted(set(metrics.__all__))
    assert all(hasattr(metrics, name) for name in metrics.__all__)


# ---------------------------------------------------------------- correlation
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("count", [3, 10, 200])
def test_coefficients_are_those_of_scipy(count: int, ties: bool) -> None:
    x, y = pairs(count, count)
    if ties:
        x, y = np.round(2 * x), np.round(2 * y)
    found = [correlate(x, y, kind=kind, replicates=100, permutations=100).value for kind in KINDS]
    np.testing.assert_allclose(found, [stats.spearmanr(x, y)[0], stats.pearsonr(x, y)[0]], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_few_entries_are_tested_against_every_order(kind: Any, ties: bool) -> None:
    x, y = pairs(6, 3)
    if ties:
        x, y = np.round(x), np.round(y)
    coefficient = stats.spearmanr if kind == "spearman" else stats.pearsonr
    observed = abs(coefficient(x, y)[0])
    every = [abs(coefficient(x, np.array(order))[0]) for order in itertools.permutations(y)]
    expected = np.mean(np.array(every) >= observed - 1e-12)
    assert correlate(x, y, kind=kind, permutations=720).p_value == expected


@pytest.mark.parametrize("kind", KINDS)
def test_random_orders_estimate_the_exact_p_value(kind: Any) -> None:
    x, y = pairs(7, 4)
    exact = correlate(x, y, kind=kind, permutations=5040).p_value
    drawn = correlate(x, y, kind=kind, permutations=5039).p_value
    assert 0.02 < exact < 0.9
    assert drawn != exact
    assert drawn * 5040 == pytest.approx(round(drawn * 5040), abs=1e-9)  # (1 + whole number)/(1 + 5039)
    assert abs(drawn - exact) < 4 * math.sqrt(exact * (1 - exact) / 5039) + 1 / 5040


@pytest.mark.parametrize("kind", KINDS)
def test_p_values_are_uniform_without_association(kind: Any) -> None:
    found = [
        correlate(*pairs(15, seed, 0.0), kind=kind, replicates=100, permutations=199, seed=seed).p_value
        for seed in range(400)
    ]
    assert min(found) >= 1 / 200
    assert 0.02 < np.mean(np.array(found) <= 0.05) < 0.085  # standard error 0.011
    assert 0.42 < np.mean(np.array(found) <= 0.5) < 0.58  # standard error 0.025


def test_p_value_of_a_strong_association_is_the_least_that_can_be() -> None:
    x, y = pairs(300, 2, 0.9)
    assert correlate(x, y, replicates=100, permutations=999).p_value == 1e-3


@pytest.mark.parametrize("ties", [False, True])
def test_resampled_coefficients_are_those_of_the_resampled_pairs(ties: bool) -> None:
    x, y = pairs(12, 4)
    if ties:
        x, y = np.round(x), np.round(y)
    chosen = next(association._resamples(12, 50, rng(5)))
    literal = [[stats.spearmanr(x[i], y[i])[0], stats.pearsonr(x[i], y[i])[0]] for i in chosen]
    found = [method(x, y, 50, rng(5)) for method in (association._resampled_spearman, association._resampled_pearson)]
    np.testing.assert_allclose(np.transpose(found), literal, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("kind", "truth"), [("spearman", 6 / math.pi * math.asin(0.3)), ("pearson", 0.6)])
def test_intervals_hold_the_truth(kind: Any, truth: float) -> None:
    """Of normal pairs, whose rank correlation is 6/π arcsin(ρ/2)."""
    found = [correlate(*pairs(40, seed), kind=kind, replicates=400, permutations=100, seed=seed) for seed in range(400)]
    covered = np.mean([c.low <= truth <= c.high for c in found])
    assert 0.915 < covered < 0.985  # nominal 0.95, standard error 0.011
    assert all(-1 <= c.low <= c.value <= c.high <= 1 for c in found)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_and_the_order_of_entries_do_not_matter(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = pairs(30, 6)
    whole = correlate(x, y, kind=kind, replicates=200, permutations=300, seed=9)
    order = rng(7).permutation(30)
    assert correlate(x[order], y[order], kind=kind, replicates=200, permutations=300, seed=9) == whole
    assert correlate(x, y, kind=kind, replicates=200, permutations=300, seed=10) != whole
    monkeypatch.setattr(association, "_BLOCK", 70)
    assert correlate(x, y, kind=kind, replicates=200, permutations=300, seed=9) == whole
    few = correlate(x[:6], y[:6], kind=kind)
    monkeypatch.undo()
    assert correlate(x[:6], y[:6], kind=kind) == few


def test_invariances() -> None:
    x, y = pairs(50, 8)
    rank, straight = (correlate(x, y, kind=kind) for kind in KINDS)
    assert correlate(np.exp(x), y**3) == rank
    moved = correlate(3 * x - 1, 5 * y + 2, kind="pearson")
    np.testing.assert_allclose(
        [moved.value, moved.low, moved.high, moved.p_value],
        [straight.value, straight.low, straight.high, straight.p_value],
        rtol=1e-12,
    )
    for kind, found in zip(KINDS, (rank, straight), strict=True):
        assert correlate(y, x, kind=kind).value == pytest.approx(found.value, rel=1e-14)
        assert correlate(x, -y, kind=kind).value == pytest.approx(-found.value, rel=1e-14)
        assert (found.kind, found.count) == (kind, 50)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_association(kind: Any, sign: int) -> None:
    x = np.arange(10.0)
    found = correlate(x, sign * x, kind=kind)
    np.testing.assert_allclose([found.value, found.low, found.high], sign, rtol=1e-14)
    assert found.p_value <= 2 / 10_001


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_scale_neither_overflows_nor_underflows(scale: float) -> None:
    x, y = pairs(20, 9)
    for kind in KINDS:
        expected, found = correlate(x, y, kind=kind), correlate(scale * x, scale * y, kind=kind)
        np.testing.assert_allclose([found.value, found.low, found.high], [expected.value, expected.low, expected.high])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "constant", [np.zeros(10), np.full(10, 0.1), 1 + 1e-16 * np.arange(10), 0.3 + np.finfo(float).eps * np.arange(10)]
)
def test_a_side_that_does_not_vary_has_no_coefficient(kind: Any, constant: np.ndarray) -> None:
    x = np.arange(10.0)
    for found in (correlate(x, constant, kind=kind), correlate(constant, x, kind=kind)):
        np.testing.assert_array_equal([found.value, found.low, found.high, found.p_value], np.nan)
        assert found.count == 10


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_entries_have_no_coefficient(count: int) -> None:
    found = correlate(np.arange(count, dtype=float), np.arange(count, dtype=float))
    np.testing.assert_array_equal([found.value, found.low, found.high, found.p_value], np.nan)
    assert found.count == count


@pytest.mark.parametrize("kind", KINDS)
def test_constant_resamples_leave_no_interval_where_they_are_many(kind: Any) -> None:
    one, four = np.array([0.0] * 9 + [1.0]), np.array([0.0] * 6 + [1.0] * 4)
    found = correlate(four, np.arange(10.0), kind=kind)  # 0.6¹⁰ + 0.4¹⁰ = 0.6 % of the resamples are constant
    assert 0 < found.low <= found.value <= found.high <= 1
    found = correlate(one, np.arange(10.0), kind=kind)  # a third of them
    np.testing.assert_array_equal([found.low, found.high], np.nan)
    assert found.value > 0
    found = correlate(one, one[::-1], kind=kind)
    assert found.value == pytest.approx(-1 / 9)
    np.testing.assert_array_equal([found.low, found.high], np.nan)
    assert found.p_value == 1.0  # every order has |r| ≥ 1/9


def test_an_outlier_does_not_turn_the_other_resamples_into_rounding() -> None:
    x, y = pairs(12, 10)
    x[0] = 1e9
    found = association._resampled_pearson(x, y, 200, rng(0))
    chosen = next(association._resamples(12, 200, rng(0)))
    without = ~(chosen == 0).any(axis=1)
    assert 40 < without.sum() < 110  # 0.35 of them
    literal = [stats.pearsonr(x[i], y[i])[0] for i in chosen[without]]
    np.testing.assert_allclose(found[without], literal, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([1.0, np.nan, 2.0], [1.0, 2.0, 3.0]), {}, ValueError, r"predicted must be finite, got nan at index \(1,\)"),
        (([1.0, 2.0, 3.0], [1.0, 2.0, np.inf]), {}, ValueError, r"observed must be finite, got inf at index \(2,\)"),
        (([1.0, 2.0], [1.0, 2.0, 3.0]), {}, ValueError, r"same shape \(E,\), got \(2,\) and \(3,\)"),
        ((np.ones((2, 2)), np.ones((2, 2))), {}, ValueError, r"same shape \(E,\), got \(2, 2\)"),
        ((["a"], [1.0]), {}, TypeError, "predicted must be an array of real numbers"),
        (([1.0], [1.0]), {"kind": "kendall"}, ValueError, "kind must be one of 'spearman', 'pearson', got 'kendall'"),
        (([1.0], [1.0]), {"replicates": 99}, ValueError, "replicates must be an integer of at least 100, got 99"),
        (([1.0], [1.0]), {"permutations": 1e4}, TypeError, "permutations must be an integer of at least 100"),
        (([1.0], [1.0]), {"seed": -1}, ValueError, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_correlate_refuses(arguments: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        correlate(*arguments, **options)


# ---------------------------------------------------------------- consistency
def population(dimension: int, seed: int, samples: int = 100) -> kf.Population:
    scale = np.geomspace(2, 0.1, dimension)
    return kf.Population.from_samples(1 + scale * rng(seed).standard_normal((samples, dimension)))


def literal_unrelated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean over ordered pairs of different seeds of the square of each column."""
    count = len(a)
    return np.mean([(a[i] - b[j]) ** 2 for i in range(count) for j in range(count) if i != j], axis=0)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("samples", [100, 4])
@pytest.mark.parametrize("count", [2, 3, 17])
def test_cross_split_is_its_definition(count: int, samples: int, offset: float) -> None:
    known = population(8, 0, samples)
    modes = known.eigenvalues.size
    assert modes == (8 if samples == 100 else 3)
    a = rng(1).standard_normal((count, 8))
    b = a + 0.1 * rng(2).standard_normal((count, 8)) + 0.2
    U = known.eigenvectors
    assert U is not None
    bands = (Band(0, 1), Band(1, modes))
    found = cross_split(a + offset, b + offset, known, bands)
    rtol = 1e-12 if offset == 0 else 1e-8  # the offset itself rounds to 1e-10
    np.testing.assert_allclose(found.seeds, ((a - b) ** 2).sum(axis=1) / 8, rtol=rtol)
    pixels = pixel_disagreement(a + offset, b + offset, known)
    np.testing.assert_allclose(pixels, ((a - b) ** 2).mean(axis=0), rtol=rtol)
    np.testing.assert_allclose(found.modes, (((a - b) @ U) ** 2).mean(axis=0) / 8, rtol=rtol)
    np.testing.assert_allclose(found.unrelated, literal_unrelated(a, b).sum() / 8, rtol=rtol)
    np.testing.assert_allclose(found.unrelated_modes, literal_unrelated(a @ U, b @ U) / 8, rtol=rtol)
    np.testing.assert_allclose(found.bands, [found.modes[0], found.modes[1:].sum()], rtol=1e-14)
    np.testing.assert_allclose(
        found.unrelated_bands, [found.unrelated_modes[0], found.unrelated_modes[1:].sum()], rtol=1e-14
    )
    np.testing.assert_allclose(pixels.mean(), found.seeds.mean(), rtol=1e-14)
    if modes == 8:
        np.testing.assert_allclose(found.modes.sum(), found.seeds.mean(), rtol=1e-12)
        np.testing.assert_allclose(found.unrelated_modes.sum(), found.unrelated, rtol=1e-12)
    else:
        assert found.modes.sum() < 0.9 * found.seeds.mean()  # the rest is outside of the modes


def test_equal_models_differ_by_twice_the_variance_between_seeds() -> None:
    known, a = population(6, 3), rng(4).standard_normal((40, 6))
    found = cross_split(a, a, known)
    assert not found.seeds.any()
    assert not found.modes.any()
    np.testing.assert_allclose(found.unrelated, 2 * a.var(axis=0, ddof=1).mean(), rtol=1e-13)
    np.testing.assert_allclose(found.unrelated_modes, 2 * generated_variance(a, known) / 6, rtol=1e-12)


def test_unrelated_seeds_of_gaussian_models_are_twice_the_trace() -> None:
    values = np.geomspace(3, 0.1, 5)
    known = kf.Population.from_spectrum(values)
    assert known.eigenvectors is None
    a, b = np.sqrt(values) * rng(5).standard_normal((2, 20_000, 5))
    found = cross_split(a, b, known, 2)
    np.testing.assert_allclose(found.unrelated_modes, 2 * values / 5, rtol=0.04)  # standard error 1 %
    np.testing.assert_allclose(found.unrelated, 2 * values.sum() / 5, rtol=0.04)
    np.testing.assert_array_equal(
        found.modes, pixel_disagreement(a, b, known) / 5
    )  # modes are the pixels of a bare spectrum
    assert found.bands.shape == (2,)


def test_opposite_models_with_two_seeds_do_not_cancel() -> None:
    """Unrelated seeds are equal here to 1e-9, while their parts are of order 1."""
    known = kf.Population.from_spectrum([1.0])
    found = cross_split([[1.0], [-1.0]], [[-1.0], [1.0 + 1e-9]], known)
    np.testing.assert_allclose(found.unrelated, ((1e-9) ** 2 + 0) / 2, rtol=1e-6)


def test_images_may_keep_their_shape() -> None:
    images = rng(6).standard_normal((50, 2, 3))
    known = kf.Population.from_samples(images)
    flat, shaped = (cross_split(images[:9].reshape(s), images[9:18].reshape(s), known) for s in ((9, 6), (9, 2, 3)))
    np.testing.assert_array_equal(flat.seeds, shaped.seeds)
    assert pixel_disagreement(images[:9], images[9:18], known).shape == (2, 3)


@pytest.mark.parametrize(
    ("a", "b", "bands", "message"),
    [
        (np.ones((3, 4)), np.ones((2, 4)), None, "a and b must hold the same seeds, got 3 and 2"),
        (np.ones((1, 4)), np.ones((1, 4)), None, "a and b must hold at least 2 seeds, got 1"),
        (np.ones((2, 5)), np.ones((2, 4)), None, r"a must have shape \(B, 4\)"),
        (np.ones((2, 4)), np.full((2, 4), np.nan), None, "b must be finite"),
        (np.ones((2, 4)), np.ones((2, 4)), [(0, 5)], "bands must be .* 0 <= start < stop <= 4"),
    ],
)
def test_cross_split_refuses(a: Any, b: Any, bands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cross_split(a, b, population(4, 0), bands)


def test_pixel_disagreement_refuses() -> None:
    with pytest.raises(ValueError, match="a and b must hold the same seeds, got 3 and 2"):
        pixel_disagreement(np.ones((3, 4)), np.ones((2, 4)), population(4, 0))


def test_an_average_is_that_of_every_field() -> None:
    known = population(4, 0)
    parts = [cross_split(*rng(seed).standard_normal((2, 9, 4)), known, 2) for seed in (1, 2)]
    found = Disagreement.average(parts)
    for field in dataclasses.fields(Disagreement):
        both = [getattr(part, field.name) for part in parts]
        np.testing.assert_allclose(getattr(found, field.name), (both[0] + both[1]) / 2, rtol=1e-15)
    assert found.mean == found.seeds.mean()
    assert found.ratio == found.mean / found.unrelated
    np.testing.assert_array_equal(found.relative_bands, found.bands / found.unrelated_bands)
    assert repr(found) == f"Disagreement({found.mean:.4g}, {found.ratio:.3g} of unrelated seeds, 9 seeds)"
    with pytest.raises(ValueError, match="parts must hold at least one disagreement, got none"):
        Disagreement.average([])


def test_explained_closed_forms() -> None:
    x = 5 + rng(7).standard_normal((20, 3))
    mean = np.broadcast_to(x.mean(axis=0), x.shape)
    assert explained(x, x) == 1
    assert explained(x, mean) == pytest.approx(0, abs=1e-14)
    assert explained(x, 2 * mean - x) == pytest.approx(-3)
    assert explained(x, mean + 0.5 * (x - mean)) == pytest.approx(0.75)


def test_explained_is_the_square_of_the_correlation_for_a_regression() -> None:
    x, y = pairs(60, 11)
    slope, intercept = np.polyfit(x, y, 1)
    found = explained(y[:, None], (slope * x + intercept)[:, None])
    assert found == pytest.approx(stats.pearsonr(x, y)[0] ** 2, rel=1e-12)


@pytest.mark.parametrize("x", [np.full((3, 2), 0.1), np.zeros((4, 1)), np.ones((1, 5)), [[1.0], [1 + 1e-15]]])
def test_explained_of_what_does_not_vary_is_nan(x: Any) -> None:
    assert math.isnan(explained(x, np.asarray(x) + 1))


@pytest.mark.parametrize(
    ("x", "prediction", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 1)), r"same shape \(Z, d\), got \(3, 2\) and \(3, 1\)"),
        (np.ones(3), np.ones(3), r"same shape \(Z, d\), got \(3,\)"),
        (np.empty((0, 2)), np.empty((0, 2)), r"same shape \(Z, d\), got \(0, 2\)"),
        ([[np.inf]], [[1.0]], "x must be finite"),
        ([[1.0]], [[np.nan]], "prediction must be finite"),
    ],
)
def test_explained_refuses(x: Any, prediction: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explained(x, prediction)


@pytest.mark.parametrize("samples", [100, 4])
def test_generated_variance_is_that_of_the_coordinates(samples: int) -> None:
    known, x = population(7, 8, samples), rng(9).standard_normal((30, 7))
    np.testing.assert_allclose(generated_variance(x, known), known.coordinates(x).var(axis=0, ddof=1), rtol=1e-12)


def test_generated_variance_of_the_data_is_their_spectrum() -> None:
    x = rng(10).standard_normal((25, 4))
    np.testing.assert_allclose(
        generated_variance(x, kf.Population.from_samples(x)) * 24 / 25,
        kf.Population.from_samples(x).eigenvalues,
        rtol=1e-12,
    )


def test_generated_variance_refuses() -> None:
    with pytest.raises(ValueError, match="x must hold at least 2 seeds, got 1"):
        generated_variance(np.ones((1, 4)), population(4, 0))
    with pytest.raises(ValueError, match=r"x must have shape \(B, 4\)"):
        generated_variance(np.ones((2, 3)), population(4, 0))


# ---------------------------------------------------------------- neighbours
def literal_nearest(q: np.ndarray, y: np.ndarray, count: int, exclude: bool) -> tuple[np.ndarray, np.ndarray]:
    distances = np.sqrt(((q[:, None] - y) ** 2).sum(axis=2))
    if exclude:
        np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(distances, order, axis=1), order


def least_memory(d: int, count: int) -> int:
    with pytest.raises(ValueError, match="memory must be at least") as caught:
        nearest(np.ones((1, d)), np.ones((count, d)), count=count, memory=1)
    return int(str(caught.value).split("at least ")[1].split()[0])


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("lattice", [False, True])
@pytest.mark.parametrize(("queries", "rows", "d"), [(7, 40, 3), (60, 9, 1), (30, 30, 20), (1, 50, 2)])
def test_nearest_is_the_brute_force(queries: int, rows: int, d: int, lattice: bool, exclude: bool) -> None:
    q, y = 3 + rng(0).standard_normal((queries, d)), 3 + rng(1).standard_normal((rows, d))
    if lattice:  # many exact ties, and rows that occur twice
        q, y = np.round(q), np.round(y)
    if exclude:
        q = y
    for count in (1, 2, 5):
        expected = literal_nearest(q, y, count, exclude)
        least = least_memory(d, count)
        for memory in (2**28, 8 * least, least):
            distances, indices = nearest(q, y, count=count, memory=memory, exclude_self=exclude)
            np.testing.assert_array_equal(indices, expected[1])
            np.testing.assert_allclose(distances, expected[0], rtol=1e-14, atol=0)


def test_all_neighbours_are_found_in_order() -> None:
    q, y = rng(2).standard_normal((4, 6)), rng(3).standard_normal((11, 6))
    distances, indices = nearest(q, y, count=11, memory=least_memory(6, 11))
    np.testing.assert_array_equal(np.sort(indices, axis=1), np.tile(np.arange(11), (4, 1)))
    assert (np.diff(distances, axis=1) >= 0).all()


def test_clusters_where_the_product_form_is_nothing_but_rounding() -> None:
    """Two clusters 1e6 apart, 1e-4 wide: squares of the product are off by 1e-3, those of the distances are 1e-8."""
    centres = np.array([[1e6] * 5, [-1e6] * 5])
    y = np.repeat(centres, 200, axis=0) + 1e-4 * rng(4).random((400, 5))
    q = np.repeat(centres, 10, axis=0) + 1e-4 * rng(5).random((20, 5))
    expected = literal_nearest(q, y, 3, False)
    product = (q**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * q @ y.T
    assert np.mean(product.argmin(axis=1) == expected[1][:, 0]) < 0.5
    for memory in (2**28, 2**14):
        distances, indices = nearest(q, y, count=3, memory=memory)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_allclose(distances, expected[0], rtol=1e-14)


def test_copies_are_at_distance_zero_and_the_first_is_named() -> None:
    y = rng(6).random((30, 8))
    y[20] = y[4]
    distances, indices = nearest(y, y, count=2)
    assert not distances[:, 0].any()
    assert indices[20].tolist() == indices[4].tolist() == [4, 20]
    distances, indices = nearest(y, y, exclude_self=True)
    assert (distances[4, 0], indices[4, 0], distances[20, 0], indices[20, 0]) == (0, 20, 0, 4)
    assert (np.delete(distances[:, 0], [4, 20]) > 0).all()


@pytest.mark.parametrize("scale", [2.0**900, 2.0**-900])
def test_distances_scale_without_overflow(scale: float) -> None:
    q, y = rng(7).standard_normal((5, 4)), rng(8).standard_normal((20, 4))
    plain, scaled = nearest(q, y, count=2), nearest(scale * q, scale * y, count=2)
    np.testing.assert_array_equal(scaled[0], scale * plain[0])
    np.testing.assert_array_equal(scaled[1], plain[1])


@pytest.mark.parametrize("equal", [False, True])
def test_blocks_keep_to_the_memory(equal: bool) -> None:
    """Where all rows are equal, every pair is a candidate."""
    y = rng(9).random((1500, 30))
    if equal:
        y[:] = y[0]
    memory = 2**20
    nearest(y[:5], y)  # what is imported once
    tracemalloc.start()
    try:
        distances, _ = nearest(y, y, count=2, memory=memory, exclude_self=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert distances.any() != equal
    assert peak < memory + 2**18  # the checks and the answer take less than the rest


def test_no_queries() -> None:
    distances, indices = nearest(np.empty((0, 3)), np.ones((4, 3)), count=2)
    assert (distances.shape, indices.shape, indices.dtype) == ((0, 2), (0, 2), np.int64)


@pytest.mark.parametrize(
    ("queries", "data", "options", "error", "message"),
    [
        (np.ones(3), np.ones((2, 3)), {}, ValueError, r"queries must be \(Z, d\) and data \(N, d\)"),
        (np.ones((2, 3)), np.ones((2, 4)), {}, ValueError, r"got \(2, 3\) and \(2, 4\)"),
        (np.ones((2, 3)), np.empty((0, 3)), {}, ValueError, r"with N, d > 0, got \(2, 3\) and \(0, 3\)"),
        ([[np.nan]], [[1.0]], {}, ValueError, "queries must be finite"),
        ([[1.0]], [[np.inf]], {}, ValueError, "data must be finite"),
        ([[1.0]], [[1.0]], {"count": 2}, ValueError, "count must be at most 1, the rows to choose from, got 2"),
        ([[1.0]], [[1.0]], {"exclude_self": True}, ValueError, "count must be at most 0"),
        ([[1.0]], [[1.0]], {"count": 0}, ValueError, "count must be an integer of at least 1, got 0"),
        ([[1.0]], [[1.0]], {"memory": 1.5}, TypeError, "memory must be an integer"),
        ([[1.0], [2.0]], [[1.0], [3.0]], {"exclude_self": True}, ValueError, "exclude_self needs queries that are"),
    ],
)
def test_nearest_refuses(queries: Any, data: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nearest(queries, data, **options)


def test_memorisation_is_its_definition() -> None:
    own, other = np.round(5 * rng(10).random(40), 1), np.round(1 + 5 * rng(11).random(40), 1)
    wins = [(a < b) + 0.5 * (a == b) for a in own for b in other]
    assert any(win == 0.5 for win in wins)
    found = memorisation(own, other)
    assert found.auc == pytest.approx(np.mean(wins), rel=1e-14)
    assert found.ratio == pytest.approx(np.median(own / other), rel=1e-14)
    assert found.auc == pytest.approx(1 - memorisation(other, own).auc, rel=1e-14)
    scaled = memorisation(8 * own, 8 * other)
    assert scaled == found


@pytest.mark.parametrize(
    ("own", "other", "auc", "ratio"),
    [
        ([1.0, 2.0], [3.0, 4.0], 1.0, (1 / 3 + 1 / 2) / 2),
        ([3.0, 4.0], [1.0, 1.0], 0.0, 3.5),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 0.5, 1.0),
        ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0], 1.0, 0.0),
        ([0.0], [0.0], 0.5, 1.0),
        ([1.0, 1.0, 0.0], [0.0, 0.0, 0.0], 1 / 6, math.inf),
    ],
)
def test_memorisation_closed_forms(own: list[float], other: list[float], auc: float, ratio: float) -> None:
    found = memorisation(own, other)
    assert found.auc == pytest.approx(auc)
    assert found.ratio == pytest.approx(ratio)
    assert isinstance(found, Memorisation)


def test_auc_of_exponential_distances() -> None:
    """P(own < other) = a/(a + b) for rates a and b."""
    own, other = rng(12).exponential(1 / 3, 4000), rng(13).exponential(1.0, 4000)
    assert memorisation(own, other).auc == pytest.approx(0.75, abs=0.02)  # standard error 0.005


@pytest.mark.parametrize(
    ("own", "other", "message"),
    [
        ([1.0], [1.0, 2.0], r"same shape \(Z,\), Z > 0, got \(1,\) and \(2,\)"),
        ([], [], r"same shape \(Z,\), Z > 0, got \(0,\)"),
        ([1.0, -1.0], [1.0, 1.0], "own must not be negative, got -1.0 at index 1"),
        ([1.0], [-2.0], "other must not be negative, got -2.0 at index 0"),
        ([np.nan], [1.0], "own must be finite"),
    ],
)
def test_memorisation_refuses(own: Any, other: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        memorisation(np.asarray(own, dtype=float), np.asarray(other, dtype=float))


def test_memorised_fraction_counts_from_the_factor_on() -> None:
    two = np.array([[1.0, 3.0], [1.0, 2.9], [0.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    assert memorised_fraction(two) == 3 / 5
    assert memorised_fraction(two, 2.0) == 4 / 5
    assert memorised_fraction(two, 1.0) == 1
    assert memorised_fraction(16 * two) == 3 / 5


def test_copies_are_memorised_and_new_samples_are_not() -> None:
    data, new = rng(14).standard_normal((50, 40)), rng(15).standard_normal((30, 40))
    copies = data[:30] + 1e-3 * new
    assert memorised_fraction(nearest(copies, data, count=2)[0]) == 1
    assert memorised_fraction(nearest(new, data, count=2)[0]) == 0


@pytest.mark.parametrize(
    ("two", "factor", "message"),
    [
        (np.ones((3, 3)), 3.0, r"two_nearest must have shape \(Z, 2\), Z > 0, got \(3, 3\)"),
        (np.empty((0, 2)), 3.0, r"two_nearest must have shape \(Z, 2\), Z > 0, got \(0, 2\)"),
        ([[-1.0, 1.0]], 3.0, "two_nearest must not be negative, got -1.0"),
        ([[0.0, 1.0], [2.0, 1.0]], 3.0, r"two_nearest must be nearest first, got \[2.0, 1.0\] in row 1"),
        ([[1.0, 2.0]], 0.5, "factor must be at least 1, got 0.5"),
        ([[1.0, 2.0]], np.inf, "factor must be finite and above 0, got inf"),
    ],
)
def test_memorised_fraction_refuses(two: Any, factor: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        memorised_fraction(two, factor)
