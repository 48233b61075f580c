"""Verdicts on synthetic data: false alarms, power, coverage of the intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from kappaflow.validation.metrics import FALSE_ALARM, Agreement, agreement, describe_factor, mean_interval
from kappaflow.validation.metrics.agreement import _log_noise

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

#: Estimates of 1. χ² with 3 degrees of freedom is the variance estimate of the smallest group, four training sets.
NOISE: dict[str, Draw] = {
    "normal": lambda rng, shape: 1 + 0.2 * rng.standard_normal(shape),
    "chi2-24": lambda rng, shape: rng.chisquare(24, shape) / 24,
    "chi2-3": lambda rng, shape: rng.chisquare(3, shape) / 3,
}
TRUTH = np.geomspace(5, 1e-4, 20)


def groups_of(noise: str, count: int, shared: float, seed: int, entries: int = 20) -> np.ndarray:
    """(G, E) estimates of the truth, of which a part of the noise is shared by all entries."""
    rng = np.random.default_rng(seed)
    draw = NOISE[noise]
    own, common = draw(rng, (count, entries)), draw(rng, (count, 1))
    return (1 + (1 - shared) * (own - 1) + shared * (common - 1)) * TRUTH[:entries]


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("count", [10, 40])
@pytest.mark.parametrize("noise", NOISE)
def test_true_predictions_are_not_called_misses(noise: str, count: int, shared: float) -> None:
    """300 verdicts with one false alarm in 10⁴ each; and the 95 % interval holds the truth in 95 %."""
    found = [
        agreement(groups_of(noise, count, shared, seed), TRUTH, allowance=0.0, predicted_total=TRUTH.sum())
        for seed in range(300)
    ]
    assert Counter(a.outcome for a in found) == {"agrees": 300}
    covered = np.mean([a.ratio_interval[0] <= 1 <= a.ratio_interval[1] for a in found])
    assert 0.91 <= covered <= 0.985  # the standard error of 300 trials is 0.0126; skewed groups lose another 0.015


@pytest.mark.parametrize("noise", NOISE)
def test_false_alarms_of_the_total_are_as_rare_as_stated(noise: str) -> None:
    """A million trials of the rule for one number: Student's t of the logarithm. Of the number itself it was 26 in 10⁴."""
    rng, count = np.random.default_rng(3), 10
    values = NOISE[noise](rng, (1_000_000, count))
    mean = values.mean(axis=1)
    t = np.log(mean) / (values.std(axis=1, ddof=1) / np.sqrt(count) / mean)
    rate = np.mean(np.abs(t) > stats.t.isf(FALSE_ALARM / 2, count - 1))
    assert 0.2 * FALSE_ALARM < rate < 3 * FALSE_ALARM


def test_one_entry_is_a_t_test() -> None:
    """For one entry the logarithmic rule and that of the total are the same."""
    values = groups_of("chi2-24", 12, 0.0, 5, entries=1)
    reach = stats.t.isf(FALSE_ALARM / 2, 11) * values.std(ddof=1) / np.sqrt(12) / values.mean()
    for factor, outcome in ((np.exp(reach * 0.999), "agrees"), (np.exp(reach * 1.001), "misses")):
        for predicted in (values.mean() * factor, values.mean() / factor):
            assert agreement(values, np.array([predicted]), allowance=0.0).outcome == outcome


@pytest.mark.parametrize("weights", [[1.0], [1.0] * 8, [1.0] + [0.1] * 10, [1.0, 0.5, 0.25, 0.01]], ids=str)
def test_the_threshold_of_the_typical_entry_is_a_quantile(weights: list[float]) -> None:
    """With many groups: one in 10⁴ of sums of χ² variables with these weights, of which there are four million."""
    count, entries, rng = 2000, len(weights), np.random.default_rng(12)
    columns = np.linalg.qr(rng.standard_normal((count, entries + 1)))[0]
    columns = np.linalg.qr(columns - columns.mean(axis=0))[0][:, :entries]
    noise, threshold = _log_noise(columns * np.sqrt(np.array(weights) * (count - 1) * count * entries))
    assert noise**2 == pytest.approx(sum(weights), rel=1e-10)
    drawn = sum(weight * rng.chisquare(1, 4_000_000) for weight in weights)
    assert threshold**2 == pytest.approx(float(np.quantile(drawn, 1 - FALSE_ALARM)), rel=0.04)


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("factor", [1.1, 1 / 1.1, 2.0])
def test_wrong_totals_are_flagged(noise: str, factor: float) -> None:
    """Ten per cent with errors of 1.2 % at most: twice the 4.3 errors that one false alarm in 10⁴ takes."""
    rng = np.random.default_rng(8)
    for _ in range(30):
        values = np.mean([NOISE[noise](rng, (40, 20)) for _ in range(40)], axis=0) * TRUTH
        found = agreement(values, factor * TRUTH, allowance=1e-3)
        assert found.outcome == "misses"
        assert found.factor == pytest.approx(max(factor, 1 / factor), rel=0.1)
        assert not found.ratio_interval[0] <= 1 <= found.ratio_interval[1]


@pytest.mark.parametrize("noise", NOISE)
def test_a_wrong_pattern_with_the_right_total_is_flagged(noise: str) -> None:
    rng = np.random.default_rng(9)
    tilt = np.geomspace(0.7, 1.4, 20)
    wrong = TRUTH * tilt * TRUTH.sum() / (TRUTH * tilt).sum()
    for _ in range(30):
        values = np.mean([NOISE[noise](rng, (40, 20)) for _ in range(10)], axis=0) * TRUTH
        found = agreement(values, wrong, allowance=1e-3)
        assert found.outcome == "misses"
        assert found.ratio == pytest.approx(1, abs=0.1)
        assert found.log_error > 3 * found.log_noise
        # a wrong pattern in the small entries alone, which the total does not see
        small = np.where(np.arange(20) < 10, TRUTH, 1.5 * TRUTH)
        assert agreement(values, small, allowance=1e-3).outcome == "misses"


def test_limit_needs_an_allowance() -> None:
    values = (1 + 1e-4 * np.random.default_rng(4).standard_normal((20, 5))) * TRUTH[:5]
    off = 1.01 * TRUTH[:5]
    assert agreement(values, off, allowance=0.0).outcome == "misses"
    assert agreement(values, off, allowance=0.005).outcome == "misses"
    limit = agreement(values, off, allowance=0.011)
    assert limit.outcome == "limit"
    assert "agrees to the order 1/m, here 0.011, that the limit of many samples neglects" in limit.sentence()
    assert agreement(values, TRUTH[:5], allowance=0.011).outcome == "agrees"


def test_numbers_are_what_they_say() -> None:
    values = groups_of("chi2-24", 25, 0.3, 1)
    predicted = 1.2 * TRUTH
    found = agreement(values, predicted, allowance=0.25)
    mean = values.mean(axis=0)
    np.testing.assert_array_equal(found.simulated, mean)
    np.testing.assert_allclose(found.standard_error, values.std(axis=0, ddof=1) / 5, rtol=1e-13)
    assert found.ratio == pytest.approx(mean.sum() / predicted.sum(), rel=1e-13)
    assert found.log_error == pytest.approx(np.sqrt(np.mean(np.log(mean / predicted) ** 2)), rel=1e-13)
    assert found.log_noise == pytest.approx(np.sqrt(np.mean((found.standard_error / mean) ** 2)), rel=1e-12)
    sums = values.sum(axis=1)
    assert found.ratio_interval == tuple(float(end) for end in mean_interval(sums / predicted.sum()))
    reach = stats.t.isf(0.025, 24) * sums.std(ddof=1) / 5 / sums.mean()  # Student's t, to which the bootstrap is close
    np.testing.assert_allclose(np.log(found.ratio_interval) - np.log(found.ratio), [-reach, reach], rtol=0.25)
    assert (found.left_out, found.allowance) == (0, 0.25)
    # totals over more than the entries replace the sums
    other = agreement(values, predicted, allowance=0.25, totals=3 * sums, predicted_total=3 * TRUTH.sum())
    assert other.ratio == pytest.approx(mean.sum() / TRUTH.sum(), rel=1e-13)
    assert other.log_error == found.log_error


def test_entries_without_a_logarithm_are_left_out() -> None:
    values = groups_of("normal", 20, 0.0, 2, entries=4)
    values[:, 1] *= -1
    predicted = TRUTH[:4].copy()
    predicted[2] = 0.0
    found = agreement(values, predicted, allowance=0.0)
    assert found.left_out == 2
    assert found.log_error == pytest.approx(
        np.sqrt(np.mean(np.log(values.mean(axis=0)[[0, 3]] / TRUTH[[0, 3]]) ** 2)), rel=1e-12
    )


def test_constant_and_negative_simulations() -> None:
    constant = np.ones((10, 3))
    exact = agreement(constant, np.ones(3), allowance=0.0)
    assert (exact.outcome, exact.log_noise, exact.ratio_interval) == ("agrees", 0.0, (1.0, 1.0))
    assert agreement(constant, np.full(3, 1.1), allowance=0.0).outcome == "misses"
    negative = agreement(-constant, np.ones(3), allowance=0.0)
    assert (negative.outcome, negative.factor, negative.left_out) == ("misses", np.inf, 3)
    noisy = np.random.default_rng(0).standard_normal((10, 1))
    noisy -= noisy.mean() + 0.01  # a small covariance with a large error may come out negative
    assert agreement(noisy, np.array([0.01]), allowance=0.0).outcome == "agrees"


def test_the_order_of_groups_and_entries_and_the_unit_do_not_matter() -> None:
    values = groups_of("chi2-3", 15, 0.3, 6)
    one = agreement(values, TRUTH, allowance=0.01)
    rng = np.random.default_rng(1)
    g, e = rng.permutation(15), rng.permutation(20)
    for other in (
        agreement(values[g][:, e], TRUTH[e], allowance=0.01),
        agreement(1e-30 * values, 1e-30 * TRUTH, allowance=0.01),
    ):
        numbers = ("ratio", "log_error", "log_noise")
        np.testing.assert_allclose([getattr(other, n) for n in numbers], [getattr(one, n) for n in numbers], rtol=1e-11)
        np.testing.assert_allclose(other.ratio_interval, one.ratio_interval, rtol=1e-11)
        assert other.outcome == one.outcome


@pytest.mark.parametrize("noise", ["normal", "chi2-24", "chi2-3"])
@pytest.mark.parametrize("count", [10, 40])
def test_intervals_hold_the_truth(noise: str, count: int) -> None:
    values = NOISE[noise](np.random.default_rng(2), (4000, count))
    low, high = mean_interval(values)
    assert 0.93 < np.mean((low < 1) & (high > 1)) < 0.96
    if noise == "normal" and count == 10:  # percentiles of the resampled mean would not do
        weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), 500) / count
        plain = np.quantile(values @ weights.T, [0.025, 0.975], axis=1)
        assert np.mean((plain[0] < 1) & (plain[1] > 1)) < 0.92


def test_intervals_of_signed_and_of_equal_groups() -> None:
    low, high = mean_interval(np.array([[1.0, -2.0, 0.5], [2.0, 2.0, 2.0]]))
    assert low[0] < -1 / 6 < high[0]
    assert (low[1], high[1]) == (2.0, 2.0)


def test_sentences() -> None:
    values = groups_of("chi2-24", 40, 0.0, 3)
    assert agreement(values, TRUTH, allowance=0.0).sentence().startswith("agrees within Monte Carlo error: simulated/")
    assert agreement(values, TRUTH / 3, allowance=0.0).sentence().startswith("misses by a factor of ")
    assert describe_factor(1.032) == "3.2 %"
    assert describe_factor(2.34) == "a factor of 2.3"


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"groups": np.ones((9, 2))}, "groups must be at least 10 for an interval, got 9"),
    ({"groups": np.ones(10)}, r"groups must be \(G, E\) and predicted \(E,\), got \(10,\) and \(2,\)"),
    ({"predicted": np.ones(3)}, r"groups must be \(G, E\) and predicted \(E,\), got \(10, 2\) and \(3,\)"),
    ({"groups": np.ones((10, 0)), "predicted": np.ones(0)}, r"got \(10, 0\) and \(0,\)"),
    ({"predicted": np.zeros(2)}, "predicted must have a positive total, got 0"),
    ({"predicted_total": -1.0}, "predicted must have a positive total, got -1"),
    ({"groups": np.full((10, 2), np.nan)}, "groups must be finite, got nan"),
    ({"predicted": np.array([1.0, np.inf])}, "predicted must be finite, got inf"),
]


@pytest.mark.parametrize(("changes", "message"), ERRORS, ids=[message for _, message in ERRORS])
def test_errors(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"groups": np.ones((10, 2)), "predicted": np.ones(2), "allowance": 0.0} | changes
    with pytest.raises(ValueError, match=message):
        agreement(**arguments)
    assert isinstance(agreement(np.ones((10, 2)), np.ones(2), allowance=0.0), Agreement)
