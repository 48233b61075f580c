"""Predictions for images in groups and with mirror images: every number against simulated models or the group law itself."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.bands import Band
from kappaflow.consistency.needed import images_needed, largest_n
from kappaflow.consistency.predict import default_sizes, predict
from kappaflow.datasets import open_images
from kappaflow.profiles import fewer_profiles
from kappaflow.sample_size import smallest_training_set

TOP = 80.0


@cache
def digits():
    """(1797, 64) in random order."""
    x = np.concatenate(list(open_images("digits").batches()))
    return x[np.random.default_rng(0).permutation(len(x))]


def clips(images, frames=5, seed=1):
    """(G, frames, 64): a digit with other noise in each frame."""
    noise = np.random.default_rng(seed).standard_normal((len(images), frames, 64))
    return np.clip(images[:, None, :] + 0.2 * noise, -1, 1)


def flipped(groups):
    """(G, 2m, 64): with the mirror image of each member."""
    images = groups.reshape(*groups.shape[:2], 8, 8)
    return np.concatenate([images, images[..., ::-1]], axis=1).reshape(len(groups), -1, 64)


@cache
def population(kind):
    if kind == "flips":
        return kf.Population.from_samples(digits()[:900].reshape(-1, 8, 8), flip=True, profiles=4000)
    rows, labels = clips(digits()[:300]).reshape(-1, 8, 8), np.repeat(np.arange(300), 5)
    return kf.Population.from_samples(rows, groups=labels, flip=kind == "flipped clips", profiles=4000)


def world(kind):
    """Groups of all digits, which training sets are drawn from."""
    if kind == "flips":
        return flipped(digits()[:, None, :])
    frames = clips(digits(), seed=2)
    return flipped(frames) if kind == "flipped clips" else frames


@pytest.mark.parametrize("kind", ["flips", "clips", "flipped clips"])
def test_against_models_trained_on_other_groups(kind):
    """300 training sets of all digits, against predictions from 300 clips, or 900 digits, of them."""
    data, pool, rng = population(kind), world(kind), np.random.default_rng(3)
    size = data.group_size
    seeds = TOP * np.stack([np.random.default_rng(seed).standard_normal(64) for seed in range(64)])
    prediction = predict(data, source="x", n=[round(20 * size), round(100 * size)], seeds=range(64), bands=3)
    for index, groups in enumerate((20, 100)):
        outputs = []
        for _ in range(300):
            drawn = pool[rng.integers(0, len(pool), groups)].reshape(-1, 64)
            mean = drawn.mean(axis=0)
            values, vectors = np.linalg.eigh((drawn - mean).T @ (drawn - mean) / len(drawn))
            gain = np.sqrt(np.maximum(values, 0) / (np.maximum(values, 0) + TOP**2))
            outputs.append(mean + ((seeds - mean) @ vectors * gain) @ vectors.T)
        by_seed = 2 * np.var(outputs, axis=0, ddof=1).mean(axis=1)
        predicted = prediction.seeds.disagreement[index]
        assert by_seed.mean() / predicted.mean() == pytest.approx(1, abs=0.05)
        assert np.corrcoef(by_seed, predicted)[0, 1] > 0.95
        splits = kf.Splits(data, int(prediction.n[index]), law="empirical")
        bands = splits.disagreement(splits.sampling_map(), seeds, bands=3).mean(axis=0)
        modes = 2 * np.var((np.array(outputs) - np.mean(outputs, axis=0)) @ data.eigenvectors, axis=0, ddof=1).mean(
            axis=0
        )
        edges = prediction.bands.ranges
        simulated = [modes[band.start : band.stop].sum() / 64 for band in edges]
        np.testing.assert_allclose(simulated, bands, rtol=0.12)


def test_sizes_are_those_of_whole_groups():
    assert default_sizes(population("clips")) == [50, 150, 500, 750, 1500]
    assert default_sizes(population("flips")) == [10, 30, 100, 300, 450, 900]
    few = kf.Population.from_samples(clips(digits()[:3], 100).reshape(-1, 64), groups=np.repeat(np.arange(3), 100))
    assert default_sizes(few) == [200, 300]
    assert (smallest_training_set(few), smallest_training_set(population("flips"))) == (101, 2)
    with pytest.raises(ValueError, match="n must be at least 6, more than one group of 5 images on average, got 5"):
        predict(population("clips"), source="x", n=[5, 100])


@pytest.mark.parametrize("kind", ["flips", "clips"])
def test_the_images_needed_are_those_of_the_group_law(kind):
    """Within 2 %, as the Gaussian law is corrected by a ratio at a few n."""
    data, bands = population(kind), [Band(0, 4), Band(0, 64)]
    found = images_needed(data, bands, TOP, 0.1, law="empirical")

    def measure(n, band):
        splits = kf.Splits(data, n, law="empirical")
        f = splits.sampling_map(0.0, TOP)
        return splits.mean_disagreement(f, input_sigma=TOP, bands=[band], relative=True)[0]

    for band, answer in zip(bands, found, strict=True):
        near = 1 + 0.02 * answer.n
        assert measure(round(answer.n + near), band) < 0.1 < measure(round(answer.n - near), band)
    assert largest_n(data) == 10**12


def test_the_gain_with_infinite_data_is_the_limit_of_the_law():
    data = population("clips")
    prediction = predict(data, source="x", n=[150], seeds=[0])
    far = kf.Splits(data, 10**7, law="empirical")
    np.testing.assert_allclose(prediction.modes.gain_ideal, far.expectation(far.sampling_map(0.0, TOP)), rtol=1e-3)


def test_kappa_is_that_of_the_independent_samples():
    data = population("clips")
    prediction = predict(data, source="x", n=[150], seeds=[0])
    held = len(data.independent.profiles) / len(data.profiles)
    stand_in = kf.Splits(data.independent, round(150 * held), law="elliptical")
    assert 150 * held == pytest.approx(round(150 * held), abs=0.5)
    expected = stand_in.kappa(noise_variance=prediction.noise.sigma**2)
    np.testing.assert_allclose(prediction.noise.kappa[0], expected, rtol=0.01)


def test_what_the_numbers_are_about_is_said():
    prediction = predict(population("flipped clips"), source="x", n=[150], seeds=[0])
    notes = " ".join(prediction.notes)
    for text in ("300 groups of 5 on average", "models of new groups", "random horizontal flips", "in 300 groups."):
        assert text in notes
    assert (prediction.group_count, prediction.versions) == (300, 2)
    np.testing.assert_allclose(prediction.n_groups, [30])
    assert prediction.reference_images == "150 images (30 groups)"
    only = predict(population("flips"), source="x", n=[150], seeds=[0])
    assert (only.group_count, only.versions, only.n_groups) == (None, 2, None)
    assert "the law for images that depend on each other" in only.law_reason


def test_mode_pairs_from_fewer_groups():
    data = population("clips")
    some = fewer_profiles(data, 3, 1)
    assert len(some.profiles) == 500
    np.testing.assert_array_equal(some.groups, np.repeat(np.arange(100), 5))
    rows = data.profiles[data.groups % 3 == 1].astype(float)
    np.testing.assert_allclose(np.mean(some.profiles.astype(float) ** 2, axis=0), data.eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(some.profiles / some.profiles[:1], rows / rows[:1], rtol=1e-3)
    kf.Splits(some, 150, law="empirical").mode_variance(kf.Splits(some, 150, law="empirical").sampling_map(), [0, 1])
    with pytest.raises(ValueError, match="population must hold profiles"):
        fewer_profiles(data.replace(profiles=None, groups=None), 2)
