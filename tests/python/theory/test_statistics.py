"""The rank correlation that the reports use."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kappaflow._statistics import rank_correlation


def test_rank_correlation_is_pearsons_of_the_ranks() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(50), rng.standard_normal(50)
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    assert rank_correlation(a, b).value == pytest.approx(np.corrcoef(*ranks)[0, 1], rel=1e-13)
    assert rank_correlation(a, np.exp(3 * a)).value == pytest.approx(1, rel=1e-14)
    assert rank_correlation(a, -(a**3)).value == pytest.approx(-1, rel=1e-14)
    assert rank_correlation(a, a + 0.1 * b).p_value < 1e-10 < 0.01 < rank_correlation(a, b).p_value


def test_equal_values_share_a_rank() -> None:
    found = rank_correlation(np.array([1.0, 1.0, 2.0, 3.0]), np.array([2.0, 1.0, 3.0, 4.0]))
    assert found.value == pytest.approx(np.corrcoef([1.5, 1.5, 3, 4], [2, 1, 3, 4])[0, 1], rel=1e-13)


@pytest.mark.parametrize("values", [np.ones(5), np.ones(2), np.empty(0)])
def test_no_correlation_of_equal_or_few_values(values: np.ndarray) -> None:
    assert math.isnan(rank_correlation(values, np.arange(float(len(values)))).value)
    assert math.isnan(rank_correlation(np.arange(float(len(values))), values).p_value)
