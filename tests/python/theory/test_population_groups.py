"""Images that belong together: labels, whole groups as profiles, files, and the laws that refuse them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency.law_choice import choose_law
from kappaflow.groups import draw_groups, group_numbers, images_of_groups, uncorrelated_rows

ROWS = np.random.default_rng(0).standard_normal((120, 6)) + np.repeat(
    np.random.default_rng(1).standard_normal((30, 6)), 4, axis=0
)
LABELS = np.repeat(np.arange(30), 4)


def test_labels_are_numbered_in_the_order_of_the_images():
    for labels in (["b", "a", "b", "c"], np.array([7, -1, 7, 3]), np.array(["b", "a", "b", "c"], dtype=object)):
        found = group_numbers(labels)
        assert found.numbers.tolist() == [0, 1, 0, 2]
        assert found.count == 3
        assert not found.independent
    assert group_numbers(range(5)).independent


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros(120), TypeError, "groups must hold integers or strings, one for each image, got dtype float64"),
        (np.zeros((120, 1), dtype=int), ValueError, r"groups must have shape \(N,\), .* got shape \(120, 1\)"),
        (np.zeros(120, dtype=int), ValueError, "groups must hold at least 2 different labels, got 1"),
        (LABELS[:-1], ValueError, "one label for each of the 120 samples, got 119 labels"),
        (np.arange(121), ValueError, "one label for each of the 120 samples, got 121 labels"),
    ],
)
def test_labels_that_do_not_fit(labels, error, message):
    with pytest.raises(error, match=message):
        kf.Population.from_samples(ROWS, groups=labels)
    with pytest.raises(error, match=message):  # the number of images of a stream is known at its end
        kf.Population.from_samples((ROWS[i : i + 50] for i in range(0, 120, 50)), groups=labels)


def test_members_are_stored_next_to_each_other():
    order = np.random.default_rng(2).permutation(120)
    names = np.array([f"patient {label}" for label in LABELS])[order]
    population = kf.Population.from_samples(ROWS[order], groups=names, profiles=120)
    assert population.group_count == 30
    assert population.group_size == 4
    assert population.groups.tolist() == LABELS.tolist()
    assert images_of_groups(population, 7) == 28
    assert "from 120 samples in 30 groups" in repr(population)
    images = population.mean + population.profiles @ population.eigenvectors.T
    first = {name: ROWS[order][names == name] for name in dict.fromkeys(names)}
    np.testing.assert_allclose(images, np.concatenate(list(first.values())), atol=1e-5)


def test_a_subset_holds_whole_groups_also_of_a_stream():
    order = np.random.default_rng(3).permutation(120)
    whole = kf.Population.from_samples(ROWS[order], groups=LABELS[order], profiles=40)
    batches = (ROWS[order][i : i + 7] for i in range(0, 120, 7))
    streamed = kf.Population.from_samples(batches, groups=LABELS[order], profiles=40)
    assert whole.profiles.shape == (40, 6)
    assert whole.groups.tolist() == np.repeat(np.arange(10), 4).tolist()
    assert whole.group_count == 30
    assert whole.group_size == 4
    np.testing.assert_allclose(streamed.profiles, whole.profiles, atol=1e-5)
    assert kf.Population.from_samples(ROWS, groups=LABELS).group_count == 30


def test_large_groups_are_kept_as_often_as_small_ones():
    labels = group_numbers(np.concatenate([np.repeat(np.arange(50), 1), np.repeat(np.arange(50, 100), 9)]))
    kept = draw_groups(labels, 100)
    assert len(np.unique(labels.numbers[kept])) == 20
    assert all(kept[labels.numbers == number].all() for number in np.unique(labels.numbers[kept]))


def test_different_labels_are_independent_images():
    plain = kf.Population.from_samples(ROWS, profiles=50)
    labelled = kf.Population.from_samples(ROWS, profiles=50, groups=[f"image {i}" for i in range(120)])
    assert labelled.group_count is None
    assert labelled.groups is None
    np.testing.assert_array_equal(labelled.profiles, plain.profiles)
    assert labelled.independent is labelled


def test_groups_are_kept_by_files_copies_and_pickles(tmp_path):
    population = kf.Population.from_samples(ROWS, groups=LABELS, profiles=60)
    population.save(tmp_path / "p.safetensors")
    copies = (
        kf.Population.load(tmp_path / "p.safetensors"),
        population.replace(provenance=kf.Provenance("x")),
        pickle.loads(pickle.dumps(population)),
    )
    for copy in copies:
        np.testing.assert_array_equal(copy.groups, population.groups)
        assert copy.group_count == 30
    small = population.compressed()
    assert small.groups is None
    assert small.group_count == 30
    with pytest.raises(ValueError, match="groups must hold one integer for each of the 10 profiles"):
        population.replace(profiles=population.profiles[:10])
    with pytest.raises(ValueError, match="groups must number the profiles from 0 without gaps"):
        population.replace(groups=population.groups[::-1])


@pytest.mark.parametrize("options", [{}, {"law": "elliptical"}, {"terms": "published"}])
def test_laws_of_independent_images_refuse_groups(options):
    population = kf.Population.from_samples(ROWS, groups=LABELS, profiles=120)
    message = "law must be 'empirical' for a population of images in groups, 30 of them, got '(gaussian|elliptical)'"
    with pytest.raises(ValueError, match=message):
        kf.Splits(population, 40, **options)
    with pytest.raises(ValueError, match="law must be 'empirical'"):
        kf.Splits(population, 40, law="elliptical", scales=[1.0, 2.0])


def test_rows_of_a_group_are_orthogonal_and_span_what_its_members_span():
    population = kf.Population.from_samples(np.repeat(ROWS[::4], 4, axis=0), groups=LABELS, profiles=120)
    found = uncorrelated_rows(population.profiles, population.groups, population.eigenvalues)
    assert found.rows.shape == (30, 6)  # copies are one row
    assert found.fraction == 0.25
    np.testing.assert_allclose(np.abs(found.rows), np.abs(population.profiles[::4]), rtol=1e-4, atol=1e-5)
    assert population.independent.sample_size == 30
    mixed = kf.Population.from_samples(ROWS, groups=LABELS, profiles=120)
    rows = mixed.independent.profiles.astype(float)
    np.testing.assert_allclose(rows.T @ rows, mixed.profiles.astype(float).T @ mixed.profiles, atol=1e-3)


def test_auto_is_the_law_that_takes_groups():
    population = kf.Population.from_samples(ROWS, groups=LABELS, profiles=120)
    choice = choose_law(population)
    assert choice.law == "empirical"
    assert "it is the law for images that depend on each other" in choice.reason
    assert choice.diagnosis.groups == 30
    with pytest.raises(ValueError, match="population must hold profiles for law='empirical', got none"):
        choose_law(kf.Population.from_samples(ROWS, groups=LABELS))


def test_a_training_set_has_more_than_one_group():
    population = kf.Population.from_samples(ROWS, groups=LABELS, profiles=120)
    with pytest.raises(ValueError, match="n must exceed the mean size of a group with estimated mean, got 4"):
        kf.Splits(population, 4, law="empirical", population_is="exact")
    loose = kf.samples_for(
        population,
        lambda splits: splits.denoiser(1.0),
        10.0,
        law="empirical",
        population_is="exact",
        input_variance=1.0,
    )
    assert loose.n == 5
