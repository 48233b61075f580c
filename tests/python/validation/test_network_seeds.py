"""What orders the seeds: scores of predictors beside the ceiling that a pair's own randomness sets."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kappaflow as kf
from kappaflow._checks import FloatArray
from kappaflow.validation.network.context import Context, make_context
from kappaflow.validation.network.members import PairKind
from kappaflow.validation.network.results import ANOTHER_PAIR, POSTERIOR, TRIVIAL, SeedScore
from kappaflow.validation.network.seeds import posterior_of, predicted_maps, score_seeds
from smooth import SHAPE, smooth

KIND = PairKind("unet", 30, "same")
SEEDS = 200


@pytest.fixture(scope="module")
def context() -> Context:
    return make_context(smooth(120), SHAPE, seeds=SEEDS, laws=["gaussian"])


def pairs(context: Context, amplitude: FloatArray, count: int = 3) -> list[Any]:
    """Pairs whose difference is independent noise with this amplitude, (Z,) or (Z, d), at each seed."""
    rng = np.random.default_rng(7)
    size = (SEEDS, context.population.dimension)
    shape = amplitude if amplitude.ndim == 2 else amplitude[:, None]
    return [
        SimpleNamespace(
            first=SimpleNamespace(samples=np.zeros(size)),
            second=SimpleNamespace(samples=shape * rng.standard_normal(size)),
            repeat=repeat,
        )
        for repeat in range(count)
    ]


def scores(context: Context, made: list[Any], posterior: Any = None) -> dict[str, SeedScore]:
    rows = score_seeds(context, KIND, made, (), (), posterior, predicted_maps(context, posterior, KIND.n))
    return {row.predictor: row for row in rows}


def test_scores_are_spearman_correlations(context: Context) -> None:
    posterior = posterior_of(context).value
    assert posterior is not None
    made = pairs(context, np.exp(np.random.default_rng(1).standard_normal(SEEDS)))
    found = scores(context, made, posterior)
    assert list(found) == [POSTERIOR, TRIVIAL, ANOTHER_PAIR]
    observed = [((two.first.samples - two.second.samples) ** 2).mean(axis=1) for two in made]
    for name, values in ((POSTERIOR, posterior.seeds), (TRIVIAL, posterior.trivial)):
        row = found[name]
        assert row.single == pytest.approx(np.mean([stats.spearmanr(values, each).statistic for each in observed]))
        assert row.mean.value == pytest.approx(stats.spearmanr(values, np.mean(observed, axis=0)).statistic)
        assert row.reliability == pytest.approx(
            np.mean([stats.spearmanr(observed[a], observed[b]).statistic for a, b in ((0, 1), (0, 2), (1, 2))])
        )
        assert row.ceiling == pytest.approx(np.sqrt(row.reliability))
        assert row.pairs == 3
    other = found[ANOTHER_PAIR]
    assert other.pairs == 2
    assert other.single == pytest.approx(np.mean([stats.spearmanr(observed[0], observed[i]).statistic for i in (1, 2)]))


def test_the_predictor_that_is_right_reaches_the_ceiling(context: Context) -> None:
    """Disagreement = a known size times independent χ²: the size itself is the best predictor there can be."""
    posterior = posterior_of(context).value
    assert posterior is not None
    size = np.exp(0.2 * np.random.default_rng(2).standard_normal(SEEDS))
    right = dataclasses.replace(posterior, seeds=size**2)
    row = scores(context, pairs(context, size), right)[POSTERIOR]
    assert row.single == pytest.approx(row.ceiling, abs=0.05)
    assert row.significant
    assert row.tenths == pytest.approx(
        np.exp(2 * 0.2 * 2 * 1.755), rel=0.15
    )  # mean of the top tenth of a normal: 1.755
    wrong = dataclasses.replace(posterior, seeds=-(size**2))
    row = scores(context, pairs(context, size), wrong)[POSTERIOR]
    assert row.single < -0.5
    assert not row.significant


def test_chance_is_not_called_significant(context: Context) -> None:
    posterior = posterior_of(context).value
    found = scores(context, pairs(context, np.ones(SEEDS)), posterior)
    assert not any(row.significant for name, row in found.items() if name != ANOTHER_PAIR)
    assert abs(found[POSTERIOR].reliability) < 0.2


def test_pixel_maps_are_compared_within_a_seed(context: Context) -> None:
    posterior = posterior_of(context).value
    assert posterior is not None
    assert posterior.pixels is not None
    where = np.sqrt(posterior.pixels.reshape(SEEDS, -1))
    row = scores(context, pairs(context, where), posterior)[POSTERIOR]
    flat = scores(context, pairs(context, np.ones(SEEDS)), posterior)[POSTERIOR]
    assert row.pixels > 0.3
    assert abs(flat.pixels) < 0.1


def test_one_pair_has_no_ceiling(context: Context) -> None:
    found = scores(context, pairs(context, np.ones(SEEDS), count=1), posterior_of(context).value)
    assert ANOTHER_PAIR not in found
    assert np.isnan(found[POSTERIOR].reliability)
    assert np.isnan(found[POSTERIOR].ceiling)
    assert score_seeds(context, KIND, [], (), (), None, {}) == []


def test_posterior_is_that_of_the_library(context: Context) -> None:
    found = posterior_of(context)
    assert found.note == ""
    assert found.value is not None
    expected = kf.posterior_variance(context.population, context.noise["seeds"], images=context.images)
    np.testing.assert_allclose(found.value.seeds, expected.seeds, rtol=1e-12)


def test_too_few_images_are_said_to_be(context: Context) -> None:
    few = make_context(smooth(40), SHAPE, seeds=8, laws=["gaussian"])
    found = posterior_of(few)
    assert found.value is None
    assert "left out as a predictor of seeds: images must hold at least 50 distinct images, got 40" in found.note
