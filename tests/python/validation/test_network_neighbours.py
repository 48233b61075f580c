"""Nearest neighbours and memorisation."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from kappaflow.validation.metrics import (
    Memorisation,
    memorisation,
    memorised_fraction,
    nearest,
)
from normal import rng


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
