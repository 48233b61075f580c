"""The diagnosis of images in groups: the group law on disjoint groups, and beside it what ignoring the groups would cost."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency.diagnosis import FEWEST_GROUPS, diagnosis_to_json
from kappaflow.consistency.experiment import measured
from kappaflow.consistency.law_choice import choose_law


def clips(groups=120, size=5, modes=12, correlation=0.8, seed=0):
    """Groups of correlated Gaussian members."""
    rng = np.random.default_rng(seed)
    shared, own = rng.standard_normal((groups, 1, modes)), rng.standard_normal((groups, size, modes))
    rows = (np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own) * np.arange(1, modes + 1) ** -0.7
    return rows.reshape(-1, modes), np.repeat(np.arange(groups), size)


def test_the_group_law_holds_and_ignoring_groups_is_far_off():
    rows, labels = clips()
    population = kf.Population.from_samples(rows, groups=labels, profiles=len(rows))
    found = kf.diagnose(population, training_sets=200)
    assert (found.law, found.n, found.groups, found.profiles, found.disjoint) == ("empirical", 300, 120, 600, True)
    totals = {(each.law, each.question): each.total for each in found.errors}
    for (law, _), total in totals.items():
        if law == "empirical":
            assert abs(total) < 0.2
        else:
            assert total > np.log(2.5)  # members that correlate by 0.8 are worth about a quarter of their number
    assert "as if images were independent: Gaussian law a factor of" in found.reason
    assert diagnosis_to_json(found)["groups"] == 120
    chosen = choose_law(population)
    assert chosen.law == "empirical"
    assert "images that depend on each other" in chosen.reason


def test_groups_of_independent_images_are_no_groups():
    """With uncorrelated members, all laws hold."""
    rows, labels = clips(correlation=0.0)
    found = kf.diagnose(kf.Population.from_samples(rows, groups=labels, profiles=600), training_sets=200)
    assert all(abs(each.total) < 4 * each.total_error + 0.05 for each in found.errors)


def test_mirror_images():
    images = np.random.default_rng(0).standard_normal((300, 4, 6)) * np.linspace(0.5, 2, 6)
    found = kf.diagnose(kf.Population.from_samples(images, flip=True, profiles=600), training_sets=100)
    assert (found.n, found.groups, found.profiles) == (150, 300, 300)
    mine = [each for each in found.errors if each.law == "empirical"]
    assert all(abs(each.total) < 4 * each.total_error + 0.05 for each in mine)


def test_training_sets_of_a_pair_share_no_group():
    """Members of a group are equal, so a set is a copy of few rows: the map of two disjoint sets of all groups tells them apart."""
    rows, labels = clips(groups=40, size=3, correlation=1.0)
    held = kf.Population.from_samples(rows, groups=labels, profiles=120)
    found = measured(
        held.profiles, 4096, 60, 8, sigmas=(80.0, 0.5), inputs=2, rng=np.random.default_rng(0), groups=held.groups
    )
    assert (found.n, found.disjoint, found.neighbours) == (60, True, None)
    assert [each.independent for each in found.spreads] == [2, 2]
    some = measured(
        held.profiles, 50, 60, 8, sigmas=(80.0, 0.5), inputs=2, rng=np.random.default_rng(0), groups=held.groups
    )
    assert len(some.population.profiles) == 48  # sixteen whole groups of at most fifty images
    np.testing.assert_array_equal(some.population.groups, np.repeat(np.arange(16), 3))
    assert some.n == 24


def test_too_few_groups():
    rows, labels = clips(groups=FEWEST_GROUPS - 1, size=20)
    population = kf.Population.from_samples(rows, groups=labels, profiles=len(rows))
    with pytest.raises(ValueError, match="population must hold at least 8 groups for a diagnosis, got 7"):
        kf.diagnose(population)
    chosen = choose_law(population)
    assert (chosen.law, chosen.diagnosis) == ("empirical", None)
    assert "the images come in 7 groups" in chosen.reason
