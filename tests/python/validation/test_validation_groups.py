"""Training sets of whole groups, and of images with their mirror images, in a validation of linear models."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.validation.laws import chosen_laws
from kappaflow.validation.linear.draws import DisjointSets, ResampledSets, collect_pool
from kappaflow.validation.linear.experiment import validate_linear

SIZES = (1, 4, 2, 3, 5, 3)  # of six groups: 18 images


def unequal(flip=False):
    """A pool of six groups whose images do not stand next to each other; the first value of an image is the group's number."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(6), SIZES))
    samples = rng.standard_normal((18, 8))
    pool = collect_pool([samples], shape=(2, 4), count=18, most_bytes=10**6, groups=labels, flip=flip, profiles=100)
    return samples, labels, pool


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("known_mean", [False, True])
def test_sets_have_the_mean_and_covariance_of_whole_groups(flip, known_mean):
    samples, labels, pool = unequal(flip)
    names = list(dict.fromkeys(labels.tolist()))  # in the order of first appearance, as groups are numbered
    chosen = np.array([[0, 3], [5, 1], [2, 2]])
    batch = pool.sets(chosen, 6, known_mean)
    assert batch.rows.shape[1] == pool.rows_of(6) == 2 * 5 * (1 + flip)
    for groups, mean, rows in zip(chosen, batch.means, batch.rows, strict=True):
        members = np.concatenate([samples[labels == names[group]] for group in groups])
        if flip:
            members = np.concatenate([members, members.reshape(-1, 2, 4)[:, :, ::-1].reshape(-1, 8)])
        own = (members - pool.population.mean) @ pool.population.eigenvectors
        centre = np.zeros(own.shape[1]) if known_mean else own.mean(axis=0)
        np.testing.assert_allclose(mean, centre, atol=1e-12)
        np.testing.assert_allclose(rows.T @ rows / 6, (own - centre).T @ (own - centre) / len(own), atol=1e-12)


def test_sizes_are_those_of_whole_groups():
    *_, pool = unequal()
    assert (pool.units, pool.size, pool.population.group_size) == (6, 18, 3.0)
    assert [pool.nearest(n) for n in (2, 6, 7, 8, 17)] == [6, 6, 6, 9, 18]
    *_, flipped = unequal(flip=True)
    assert (flipped.units, flipped.size, len(flipped.coordinates)) == (6, 18, 36)
    assert [flipped.groups_of(n) for n in (6, 9)] == [2, 3]


def test_disjoint_sets_share_no_group():
    _, labels, pool = unequal()
    sets, rng = DisjointSets(pool), np.random.default_rng(1)
    group = np.searchsorted(pool.starts, np.arange(18), side="right") - 1
    for _ in range(5):
        sets.start_group(9, 2, rng)
        batch = sets.batch(9, 2, rng, True)
        held = []
        for rows in batch.rows:
            total = int((np.abs(rows).sum(axis=1) > 0).sum())
            images = rows[:total] / np.sqrt(9 / total)
            near = [int(np.argmin(np.abs(pool.coordinates - image).sum(axis=1))) for image in images]
            held.append(set(group[near].tolist()))
            assert len(held[-1]) == 3
        assert not held[0] & held[1]
    with pytest.raises(ValueError, match="n must be at most 9 for disjoint splits of 18 images, got 12"):
        sets.check(12, 2)
    with pytest.raises(
        ValueError, match="group_size must be at most 3 for disjoint splits of 6 out of 18 images, got 4"
    ):
        sets.check(6, 4)
    assert len(labels) == 18


def test_independent_images_are_drawn_as_before():
    samples = np.random.default_rng(0).standard_normal((30, 6))
    pool = collect_pool([samples], shape=(6,), count=30, most_bytes=10**6)
    assert (pool.starts, pool.units, pool.nearest(7), pool.rows_of(7)) == (None, 30, 7, 7)
    drawn = ResampledSets(pool).batch(7, 2, np.random.default_rng(5), True).rows
    np.testing.assert_array_equal(drawn, pool.coordinates[np.random.default_rng(5).integers(0, 30, (2, 7))])


def test_groups_must_fit_into_memory():
    labels = np.repeat(np.arange(10), 2)
    with pytest.raises(MemoryError, match=r"memory holds 10 of 20 images, which breaks groups apart: .* limit"):
        collect_pool(
            [np.random.default_rng(0).standard_normal((20, 6))],
            shape=(6,),
            count=20,
            most_bytes=8 * 60,
            groups=labels,
        )


def test_only_laws_for_groups_are_compared():
    assert [law.name for law in chosen_laws(None, profiles=True, groups=True)] == ["empirical"]
    assert chosen_laws(None, profiles=False, groups=True) == []
    with pytest.raises(
        ValueError, match="laws must be 'empirical' for images in groups and for mirror images, got 'gau"
    ):
        chosen_laws(["gaussian"], profiles=True, groups=True)


@pytest.mark.parametrize("sampling", [ResampledSets, DisjointSets])
def test_the_group_law_agrees_with_simulated_models(sampling):
    """400 groups of 1 to 4 images that correlate by 0.7; the law without groups would be about 2 times off."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(400), rng.integers(1, 5, 400))
    shared, own = rng.standard_normal((400, 12)), rng.standard_normal((len(labels), 12))
    samples = (np.sqrt(0.7) * shared[labels] + np.sqrt(0.3) * own) * np.arange(1, 13) ** -0.7
    pool = collect_pool(
        [samples], shape=(12,), count=len(labels), most_bytes=10**7, groups=labels, profiles=len(labels)
    )
    found = validate_linear(sampling(pool), [100], draws=400, inputs=4, steps=(), denoiser_sigmas=(0.5,), seed=4)
    size = pool.population.group_size
    assert found.setup.n == (round(round(100 / size) * size),)
    bands = [each for each in found.comparisons if each.quantity == "bands"]
    assert {each.law for each in bands} == {"empirical"}
    for each in bands:
        assert each.agreement.simulated.sum() / each.agreement.predicted.sum() == pytest.approx(1, abs=0.08)
    alone = kf.Population.from_samples(samples, profiles=len(samples))
    ignored = kf.Splits(alone, found.setup.n[0], law="empirical")
    grouped = kf.Splits(pool.population, found.setup.n[0], law="empirical")
    f = grouped.sampling_map()
    assert grouped.mean_disagreement(f, input_sigma=80.0) > 1.5 * ignored.mean_disagreement(f, input_sigma=80.0)
    assert any("400 groups" in note for note in found.notes)
    assert found.counterfactual is None


def test_few_groups_are_said_to_be_few():
    _, _, pool = unequal()
    found = validate_linear(ResampledSets(pool), [9], draws=40, inputs=1, steps=(), trajectory_sigma=0, seed=4)
    assert any("only 6 groups for 8 modes" in note and "disjoint" in note for note in found.notes)
