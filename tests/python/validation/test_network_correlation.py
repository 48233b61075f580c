"""Correlation of predicted and observed numbers: value, interval, permutation test."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from kappaflow.validation.metrics import (
    association,
    correlate,
)
from normal import pairs, rng

KINDS: tuple[Any, ...] = ("spearman", "pearson")


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
