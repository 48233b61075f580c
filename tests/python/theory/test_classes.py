"""Populations by class: each is that of the class alone, read with the range of all images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow import memory
from kappaflow.class_labels import class_labels


def images(seed: int = 1, count: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 3, 4)) * np.linspace(1, 0.1, 12).reshape(3, 4)


def assert_same_population(one: kf.Population, other: kf.Population) -> None:
    assert (one.sample_size, one.shape, one.dimension) == (other.sample_size, other.shape, other.dimension)
    np.testing.assert_allclose(one.eigenvalues, other.eigenvalues, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-14)
    if one.profiles is not None and other.profiles is not None:
        np.testing.assert_allclose(np.abs(one.profiles), np.abs(other.profiles), atol=1e-5)
    assert (one.profiles is None) == (other.profiles is None)


@pytest.mark.parametrize("profiles", [0, 10, 1000])
def test_each_class_is_read_as_if_alone(profiles: int) -> None:
    x, labels = images(), np.random.default_rng(0).choice([3, 10, 2], 90, p=[0.6, 0.3, 0.1])
    found = kf.populations_by_class(x, labels, profiles=profiles)
    assert [one.name for one in found.classes] == ["2", "3", "10"]
    for one in found.classes:
        assert one.population is not None
        assert_same_population(
            one.population, kf.Population.from_samples(x[labels == int(one.name)], profiles=profiles)
        )
        assert one.images == int((labels == int(one.name)).sum())
        assert one.share == one.images / 90
    whole = kf.Population.from_samples(x, profiles=profiles)
    np.testing.assert_array_equal(found.mixture.eigenvalues, whole.eigenvalues)
    np.testing.assert_array_equal(found.mixture.mean, whole.mean)


def test_the_mixture_has_the_covariance_within_and_between_classes() -> None:
    """Law of total covariance: the classes and the mixture are of the same images and the same pixels."""
    x, labels = images(2), np.repeat([0, 1, 2], [50, 25, 15])
    x += labels[:, None, None]
    found = kf.populations_by_class(x, labels)

    def covariance(population: kf.Population) -> np.ndarray:
        assert population.eigenvectors is not None
        return (population.eigenvectors * population.eigenvalues) @ population.eigenvectors.T

    total = np.zeros((12, 12))
    for one in found.classes:
        assert one.population is not None
        apart = one.population.mean - found.mixture.mean
        total += one.share * (covariance(one.population) + np.outer(apart, apart))
    np.testing.assert_allclose(total, covariance(found.mixture), atol=1e-12)


def test_the_values_of_all_images_decide_the_range_of_each_class() -> None:
    rng = np.random.default_rng(3)
    dark, light = rng.integers(0, 2, (30, 3, 4)), rng.integers(0, 256, (30, 3, 4))
    found = kf.populations_by_class(np.concatenate([dark, light]), np.repeat(["dark", "light"], 30))
    population = found["dark"].population
    assert population is not None
    assert_same_population(population, kf.Population.from_samples(dark / 127.5 - 1.0))


FORMS: dict[str, Any] = {
    "texts": np.array(["c", "a", "b"]),
    "bytes": np.array([b"c", b"a", b"b"]),
    "objects": np.array(["c", "a", "b"], dtype=object),
    "uint8": np.array([2, 0, 1], dtype=np.uint8),
    "floats": np.array([2.0, 0.0, 1.0], dtype=np.float32),
    "column": np.array([[2], [0], [1]]),
    "one-hot": np.eye(3)[[2, 0, 1]],
    "one-hot bools": np.eye(3, dtype=bool)[[2, 0, 1]],
    "list": [2, 0, 1],
    "mixed": np.array([2, "0", 1.0], dtype=object),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_labels(form: str) -> None:
    found = class_labels(FORMS[form])
    assert found.numbers.tolist() == [2, 0, 1]
    assert len(found.names) == 3


def test_missing_labels() -> None:
    nothing = [float("nan"), None, "", 1]
    assert class_labels(nothing).numbers.tolist() == [-1, -1, -1, 0]
    assert class_labels(np.array([[0, 0], [0, 1], [1, 0]])).numbers.tolist() == [-1, 1, 0]
    assert class_labels([-1, 5]).names == ("-1", "5")


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0.0, 0.5], ValueError, r"integers, texts or whole floats; got 0\.5 for image 1"),
        ([[1, 1], [0, 1]], ValueError, r"a single 1 and zeros in each row \(one-hot\), got row 0 is \[1, 1\]"),
        ([[0.2, 0.8], [0, 1]], ValueError, r"got row 0 is \[0\.2, 0\.8\]"),
        (np.zeros((2, 2, 2)), ValueError, r"shape \(N,\), or \(N, K\)"),
        (np.array([1j, 2]), TypeError, r"got dtype complex128"),
        ([{}, {}], TypeError, r"got a dict for image 0"),
    ],
)
def test_labels_that_are_no_classes(labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        class_labels(labels)


@pytest.mark.parametrize("count", [89, 91])
def test_labels_of_the_wrong_length(count: int) -> None:
    with pytest.raises(ValueError, match=rf"one label for each of the 9\d images, got {count}|90 images, got {count}"):
        kf.populations_by_class(images(), np.arange(count) % 3)
    with pytest.raises(ValueError, match=rf"images, got {count}"):
        kf.populations_by_class((batch for batch in np.split(images(), 9)), np.arange(count) % 3)


def test_labels_are_needed_and_tell_classes_apart() -> None:
    with pytest.raises(TypeError, match="labels must be given"):
        kf.populations_by_class(images())
    with pytest.raises(ValueError, match="at least 2 classes, got only '7'"):
        kf.populations_by_class(images(), np.full(90, 7))


def test_small_and_equal_classes_are_listed() -> None:
    x = images()
    x[80:85] = x[80]
    labels = np.array(["many"] * 80 + ["equal"] * 5 + ["two"] * 2 + ["one"] + [""] * 2)
    found = kf.populations_by_class(x, labels)
    assert [one.name for one in found.classes] == ["equal", "many", "one", "two"]
    assert found["equal"].problem == "its 5 images are all equal"
    assert found["one"].problem == "it has 1 image, and needs 2"
    assert (found["two"].images, found["two"].problem) == (2, "")
    assert found.without_class == 2
    assert sum(one.share for one in found.classes) == pytest.approx(88 / 90)
    assert any("2 images have no class" in text for text in found.mixture.provenance.warnings)


def test_copies_count_once_within_a_class() -> None:
    x = images(5)
    x[1], x[60] = x[0], x[0]
    found = kf.populations_by_class(x, np.repeat([0, 1], 45))
    assert [one.images for one in found.classes] == [44, 45]
    assert found.mixture.sample_size == 88
    (warning,) = [text for text in found.mixture.provenance.warnings if "several classes" in text]
    assert warning.startswith("1 image stands in several classes (0 and 1)")
    every = kf.populations_by_class(x, np.repeat([0, 1], 45), copies="independent")
    assert [one.images for one in every.classes] == [45, 45]


@pytest.mark.parametrize("flip", [False, True])
def test_groups_and_mirror_images_within_each_class(flip: bool) -> None:
    x, labels = images(7), np.repeat(["a", "b"], [60, 30])
    groups = np.arange(90) // 3
    grouped = kf.populations_by_class(x, labels, groups=None if flip else groups, flip=flip, profiles=500)
    for name in ("a", "b"):
        mine = labels == name
        alone = kf.Population.from_samples(x[mine], groups=None if flip else groups[mine], flip=flip, profiles=500)
        population = grouped[name].population
        assert population is not None
        assert_same_population(population, alone)
        assert (population.group_count, population.versions) == (alone.group_count, alone.versions)
        np.testing.assert_array_equal(population.groups, alone.groups)
        row = next(row for row in kf.answers_by_class(grouped, tolerance=0.3).classes if row.name == name)
        assert row.law == "empirical"
        assert 0 < row.relative[0] < 1
    whole = kf.Population.from_samples(x, groups=None if flip else groups, flip=flip)
    np.testing.assert_array_equal(grouped.mixture.eigenvalues, whole.eigenvalues)


def test_classes_of_one_group_are_listed() -> None:
    found = kf.populations_by_class(images(8), np.repeat(["a", "b"], [60, 30]), groups=np.minimum(np.arange(90), 60))
    assert found["b"].problem == "its 30 images are of one group, and it needs 2"
    with pytest.raises(ValueError, match="one label for each of the 90 samples, got 89"):
        kf.populations_by_class(images(8), np.arange(90) % 2, groups=np.arange(89))


def test_a_thousand_classes() -> None:
    x = np.random.default_rng(0).standard_normal((3000, 4))
    found = kf.populations_by_class(x, np.arange(3000) % 1000)
    assert len(found.classes) == 1000
    assert {one.images for one in found.classes} == {3}
    last = found["999"].population
    assert last is not None
    assert_same_population(last, kf.Population.from_samples(x[999::1000]))
    with pytest.raises(KeyError, match="no class 1000"):
        found[1000]


def test_classes_that_do_not_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_of_machine", lambda: 60_000)
    small = kf.populations_by_class(images(), np.arange(90) % 3)
    assert len(small.classes) == 3
    with pytest.raises(MemoryError, match=r"3 classes of 12 dimensions needs .* are free: use smaller images"):
        kf.populations_by_class(images(count=3000), np.arange(3000) % 3, profiles=3000)
