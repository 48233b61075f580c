"""The amount of disagreement at each size, predicted from pairs at the smaller ones."""

from __future__ import annotations

import dataclasses

import pytest

import toy_networks
from kappaflow.validation.network.amounts import amount_scores
from kappaflow.validation.network.results import Forecast, NetworkPair

SIZES = (100, 300, 900)
FLOOR, DATA, OPTIMISATION = 0.05, 2.0, 0.8


def law(n: int) -> float:
    return 10.0 / n


def pairs() -> list[NetworkPair]:
    """Two pairs of each arm and size whose mean follows the model exactly."""
    made = []
    for n in SIZES:
        for arm, factor in (("same", 9.0), ("different", DATA), ("floor", OPTIMISATION)):
            one = toy_networks.pair("unet", n, arm, passed=True, size=1.0)
            for share in (0.9, 1.1):
                value = share * (FLOOR + factor * law(n))
                apart = dataclasses.replace(one.disagreement, seeds=0 * one.disagreement.seeds + value, unrelated=1.0)
                made.append(dataclasses.replace(one, disagreement=apart))
    return made


def forecasts() -> list[Forecast]:
    rows = []
    for n in SIZES:
        base = toy_networks.pair("unet", n, "same", passed=True, size=1.0)
        for name, value in (("gaussian", 5 * law(n)), ("empirical", law(n)), ("published", 7 * law(n))):
            apart = dataclasses.replace(base.disagreement, seeds=0 * base.disagreement.seeds + value, unrelated=1.0)
            rows.append(Forecast(law=name, n=n, disagreement=apart, gain=toy_networks.S, denoiser=base.denoiser))
    return rows


def test_networks_that_follow_the_model_are_predicted_exactly() -> None:
    from_one, from_two = amount_scores("unet", SIZES, pairs(), forecasts())
    assert (from_one.n, from_one.pilots) == (300, (100,))
    assert (from_two.n, from_two.pilots) == (900, (100, 300))
    assert from_two.observed == pytest.approx(FLOOR + DATA * law(900))
    assert from_two.predicted == pytest.approx(from_two.observed)
    assert from_two.factor == pytest.approx(1.0)
    assert from_two.floor == pytest.approx(FLOOR)
    assert from_two.law == pytest.approx(law(900))  # the most general law
    assert from_one.factor == pytest.approx(1.0, abs=0.05)  # b/c is 0.4 here and 0.38 is assumed


def test_sizes_without_a_pair_of_each_kind_are_no_pilots() -> None:
    no_floor = [pair for pair in pairs() if not (pair.n == 100 and pair.arm == "floor")]
    (only,) = amount_scores("unet", SIZES, no_floor, forecasts())
    assert (only.n, only.pilots) == (900, (300,))
    assert amount_scores("unet", SIZES, [pair for pair in pairs() if pair.arm == "same"], forecasts()) == []
    assert amount_scores("unet", SIZES, pairs(), []) == []
    assert amount_scores("given", (0,), [], []) == []
