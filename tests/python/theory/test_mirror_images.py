"""Training with random horizontal flips: each image and its mirror image form a group, and sizes count images."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf


def images(count=40, shape=(4, 6), seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, *shape)) * np.linspace(
        0.5, 2.0, shape[1 if len(shape) == 2 or shape[2] < 4 else 2]
    )


def turned(x, axis):
    """Each image and, behind it, its mirror image."""
    return np.stack([x, np.flip(x, axis=axis)], axis=1).reshape(-1, *x.shape[1:])


@pytest.mark.parametrize(
    ("shape", "axis"), [((4, 6), 2), ((4, 5, 3), 2), ((3, 4, 5), 3)], ids=["grey", "last", "first"]
)
def test_the_population_is_that_of_images_and_mirror_images_in_pairs(shape, axis):
    x = images(shape=(4, 6)) if shape == (4, 6) else np.random.default_rng(1).standard_normal((40, *shape))
    flipped = kf.Population.from_samples(x, flip=True, profiles=80)
    pairs = kf.Population.from_samples(turned(x, axis), groups=np.repeat(np.arange(40), 2), profiles=80)
    assert (flipped.sample_size, flipped.group_count, flipped.versions, flipped.group_size) == (40, 40, 2, 1.0)
    assert (pairs.sample_size, pairs.group_count, pairs.versions, pairs.group_size) == (80, 40, 1, 2.0)
    np.testing.assert_allclose(flipped.eigenvalues, pairs.eigenvalues, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(flipped.mean, pairs.mean, atol=1e-15)
    image = flipped.mean.reshape(shape)
    np.testing.assert_allclose(image, np.flip(image, axis=axis - 1), atol=1e-14)
    np.testing.assert_array_equal(flipped.groups, pairs.groups)
    sizes = np.abs(flipped.profiles)
    np.testing.assert_allclose(sizes, np.abs(pairs.profiles), atol=2e-5 * sizes.max())


@pytest.mark.parametrize("population_is", ["exact", "sample"])
def test_n_counts_images_without_their_mirror_images(population_is):
    x = images(60)
    flipped = kf.Population.from_samples(x, flip=True, profiles=120)
    pairs = kf.Population.from_samples(turned(x, 2), groups=np.repeat(np.arange(60), 2), profiles=120)
    seeds = 20 * np.random.default_rng(3).standard_normal((5, 24))
    one = kf.Splits(flipped, 25, law="empirical", population_is=population_is)
    two = kf.Splits(pairs, 50, law="empirical", population_is=population_is)
    f, g = one.sampling_map(0.1, 20.0), two.sampling_map(0.1, 20.0)
    np.testing.assert_allclose(one.expectation(f), two.expectation(g), rtol=1e-9)
    np.testing.assert_allclose(one.disagreement(f, seeds), two.disagreement(g, seeds), rtol=1e-5)


def test_against_linear_models_trained_with_flips():
    """The images are their own population; 600 training sets of 30 images and their mirror images are drawn from them."""
    rng, x = np.random.default_rng(5), images(400)
    flipped = kf.Population.from_samples(x, flip=True, profiles=800)
    seeds, top, rows = 20 * rng.standard_normal((6, 24)), 20.0, turned(x, 2).reshape(400, 2, 24)
    outputs = []
    for _ in range(600):
        drawn = rows[rng.integers(0, 400, 30)].reshape(-1, 24)
        mean = drawn.mean(axis=0)
        values, vectors = np.linalg.eigh((drawn - mean).T @ (drawn - mean) / len(drawn))
        gain = np.sqrt(np.maximum(values, 0) / (np.maximum(values, 0) + top**2))
        outputs.append(mean + ((seeds - mean) @ vectors * gain) @ vectors.T)
    simulated = 2 * np.var(outputs, axis=0, ddof=1).mean(axis=1)
    splits = kf.Splits(flipped, 30, law="empirical", population_is="exact")
    predicted = splits.disagreement(splits.sampling_map(0.0, top), seeds)
    assert simulated.mean() / predicted.mean() == pytest.approx(1, abs=0.05)
    alone = kf.Splits(kf.Population.from_samples(x, profiles=400), 30, law="empirical", population_is="exact")
    without = alone.disagreement(alone.sampling_map(0.0, top), seeds)
    assert without.mean() > 1.2 * simulated.mean()  # flips are worth images


def test_profiles_are_whole_pairs_and_labels_stay_together():
    x, labels = images(30), np.repeat(np.arange(10), 3)
    some = kf.Population.from_samples(x, flip=True, profiles=21)
    assert len(some.profiles) == 22
    np.testing.assert_array_equal(some.groups, np.repeat(np.arange(11), 2))
    grouped = kf.Population.from_samples(x, flip=True, groups=labels, profiles=60)
    np.testing.assert_array_equal(grouped.groups, np.repeat(np.arange(10), 6))
    assert (grouped.group_count, grouped.sample_size, grouped.group_size) == (10, 30, 3.0)
    assert repr(grouped).endswith("from 30 samples in 10 groups with their mirror images)")


def test_copies_and_mirror_images_in_the_data_count_once():
    x = images(30)
    doubled = np.concatenate([x, x[:4], x[10:15, :, ::-1]])
    flipped = kf.Population.from_samples(doubled, flip=True, profiles=100)
    assert (flipped.sample_size, flipped.group_count) == (30, 30)
    assert any("an image and its mirror image count as one" in text for text in flipped.provenance.warnings)
    whole = kf.Population.from_samples(np.concatenate([x, x[:, :, ::-1]]), flip=True, profiles=200)
    answers = []
    for population in (kf.Population.from_samples(x, flip=True, profiles=200), whole):
        assert population.independent.sample_size == 60
        splits = kf.Splits(population, 10, law="empirical")
        answers.append(splits.mean_disagreement(splits.sampling_map(), input_sigma=80.0))
    assert answers[1] == pytest.approx(answers[0], rel=1e-9)  # nothing new was added
    plain = kf.Population.from_samples(doubled)
    assert plain.sample_size == 35
    assert any("--flip" in text for text in plain.provenance.warnings)


def test_a_saved_population_keeps_its_mirror_images(tmp_path):
    flipped = kf.Population.from_samples(images(), flip=True, profiles=40)
    flipped.save(tmp_path / "a.safetensors")
    again = kf.Population.load(tmp_path / "a.safetensors")
    assert (again.versions, again.sample_size, again.group_count) == (2, 40, 40)


def test_vectors_have_no_mirror_image():
    with pytest.raises(ValueError, match=r"shape must have at least 2 axes for mirror images, got \(6,\)"):
        kf.Population.from_samples(np.random.default_rng(0).standard_normal((10, 6)), flip=True)
    given = kf.Population.from_samples(np.random.default_rng(0).standard_normal((10, 6)), flip=True, shape=(2, 3))
    assert given.versions == 2


def test_as_many_images_as_symmetric_modes():
    """At n = 8, symmetric and antisymmetric images of 4×4 pixels meet the edge where their smallest eigenvalue vanishes."""
    rng = np.random.default_rng(0)
    scenes = rng.uniform(60, 190, (40, 1, 4, 4))
    x = np.concatenate([np.clip(scene + 20 * rng.standard_normal((3, 4, 4)), 0, 255) for scene in scenes]) / 127.5 - 1
    flipped = kf.Population.from_samples(x, flip=True, profiles=240)
    relative = []
    for n in (6, 8, 10):
        splits = kf.Splits(flipped, n, law="empirical")
        relative.append(splits.mean_disagreement(splits.sampling_map(), input_sigma=80.0, relative=True))
    assert relative[0] > relative[1] > relative[2] > 0.1


def test_other_laws_refuse_mirror_images():
    with pytest.raises(ValueError, match="law must be 'empirical'"):
        kf.Splits(kf.Population.from_samples(images(), flip=True), 10)


def test_the_closed_form_is_the_gaussian_law_of_half_as_many_directions():
    """Rows of two orthogonal members stand for each pair: n images are n v M'/M = 2n of them."""
    flipped = kf.Population.from_samples(images(60), flip=True, profiles=120)
    splits = kf.Splits.in_closed_form(flipped, 25)
    other = flipped.independent
    held = len(other.profiles) / 120
    expected = kf.Splits(other, round(50 * held))
    assert 50 * held == pytest.approx(round(50 * held))
    f = splits.sampling_map(0.1, 20.0)
    np.testing.assert_allclose(splits.expectation(f), expected.expectation(f), rtol=1e-10)
    plain = kf.Population.from_samples(images(60))
    np.testing.assert_array_equal(
        kf.Splits.in_closed_form(plain, 25).expectation(f), kf.Splits(plain, 25).expectation(f)
    )
