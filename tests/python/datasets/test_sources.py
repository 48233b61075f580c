"""Sources of images: batches, frozen options, the scaling of pixel values, iterables of batches; every error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kappaflow.datasets import DataError, open_images
from kappaflow.datasets import source as source_module
from pictures import random_bytes, rows


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10, 11, 4096])
def test_batch_size_does_not_change_the_images(batch_size: int) -> None:
    images = random_bytes(10, 4, 5)
    source = open_images(images)
    assert (source.shape, source.count, source.dimension) == ((4, 5), 10, 20)
    np.testing.assert_array_equal(rows(source, batch_size), images.reshape(10, 20) / 127.5 - 1)
    sizes = [len(batch) for batch in source.batches(batch_size)]
    assert all(size == batch_size for size in sizes[:-1])


def test_source_is_iterable_again_and_never_aliases_the_data() -> None:
    images = np.linspace(-1, 1, 24).reshape(6, 4)
    source = open_images(images)
    first = np.concatenate(list(source))
    for batch in source:
        batch[:] = 7.0
    np.testing.assert_array_equal(first, images)
    np.testing.assert_array_equal(rows(source), images)


def test_source_is_frozen_and_passes_through() -> None:
    source = open_images(random_bytes(3, 4))
    assert open_images(source) is source
    with pytest.raises(AttributeError):
        source.name = "other"  # type: ignore[misc]
    with pytest.raises(DataError, match=r"limit=2 does not apply to an ImageSource"):
        open_images(source, limit=2)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batch_size_below_one(batch_size: int) -> None:
    with pytest.raises(DataError, match=f"batch_size must be an integer of at least 1, got {batch_size}"):
        open_images(random_bytes(3, 4)).batches(batch_size)


def test_batch_size_of_a_wrong_type() -> None:
    with pytest.raises(TypeError, match=r"batch_size must be an integer of at least 1, got 2\.5"):
        open_images(random_bytes(3, 4)).batches(2.5)  # type: ignore[arg-type]


def test_large_images_come_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "BATCH_BYTES", 8 * 20 * 4)
    source = open_images(random_bytes(10, 20))
    assert [len(batch) for batch in source.batches()] == [4, 4, 2]


# ---------------------------------------------------------------- scaling of pixel values
@pytest.mark.parametrize(
    ("images", "expected", "text"),
    [
        (np.array([[0, 51, 255]], np.uint8), [-1, -0.6, 1], "uint8 0…255 mapped to [-1, 1]"),
        (np.array([[0, 13107, 65535]], np.uint16), [-1, -0.6, 1], "uint16 0…65535 mapped to [-1, 1]"),
        (np.array([[False, True]]), [-1, 1], "bool False and True mapped to -1 and 1"),
        (np.array([[0.0, 0.25, 1.0]]), [-1, -0.5, 1], "float64 values (range 0…1) mapped from [0, 1] to [-1, 1]"),
        (np.array([[-0.5, 0.5]], np.float32), [-0.5, 0.5], "float32 values used as they are (range -0.5…0.5)"),
        (np.array([[-1.5, 3.0]], np.float16), [-1.5, 3], "float16 values used as they are (range -1.5…3)"),
        (np.array([[0.0, 255.0]], ">f8"), [-1, 1], "float64 whole numbers 0…255 mapped to [-1, 1]"),
        (np.array([[0, 255]], np.int64), [-1, 1], "int64 whole numbers 0…255 mapped to [-1, 1]"),
        (np.array([[-1, 1]], np.int8), [-1, 1], "int8 values used as they are (range -1…1)"),
        (np.array([[0, 60]], np.uint32), [-1, -9 / 17], "uint32 whole numbers 0…255 mapped to [-1, 1]"),
    ],
)
def test_scaling_of_arrays(images: np.ndarray, expected: list[float], text: str) -> None:
    source = open_images(images)
    np.testing.assert_allclose(rows(source)[0], expected, rtol=0, atol=1e-15)
    assert source.provenance.scaling == text


def test_scaling_is_decided_once_for_the_whole_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "BATCH_BYTES", 8 * 4 * 4)
    monkeypatch.setattr("kappaflow.datasets.arrays.BATCH_BYTES", 8 * 4 * 4)  # blocks of two images
    images = np.random.default_rng(1).uniform(0, 1, (9, 4))
    images[8, 3] = -0.75
    np.testing.assert_array_equal(rows(open_images(images)), images)
    assert all(any(np.array_equal(row, image) for image in images) for row in rows(open_images(images, limit=1)))


def test_scaling_of_iterables_is_that_of_arrays() -> None:
    images = np.random.default_rng(2).uniform(0, 1, (6, 4))
    source = open_images([images[:4], images[4:].astype(np.float32)])
    assert "mapped from [0, 1] to [-1, 1]" in source.provenance.scaling
    np.testing.assert_allclose(rows(source), 2 * images - 1, atol=1e-6)
    np.testing.assert_array_equal(rows(open_images([np.array([[0, 255]], np.uint8)])), [[-1, 1]])


def test_an_iterable_whose_later_values_have_another_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kappaflow._image_items.HEAD_ITEMS", 2)
    images = np.random.default_rng(2).uniform(0, 1, (6, 5, 5))
    images[5, 0, 0] = -0.5
    with pytest.raises(
        DataError, match=r"holds values from -0.5 to .* but the first values were read as .*--range LOW,HIGH"
    ):
        rows(open_images(iter(images)))
    np.testing.assert_array_equal(rows(open_images(iter(images), range=(-1, 1))), images.reshape(6, 25))


# ---------------------------------------------------------------- iterables
def test_iterables_of_batches_are_cut_and_joined() -> None:
    images = random_bytes(20, 3, 3)
    pieces = [images[:0], images[:1], images[1:12], images[12:12], images[12:]]
    source = open_images(pieces)
    assert (source.name, source.shape, source.count) == ("batches", (3, 3), None)
    for _ in range(2):
        assert [len(batch) for batch in source.batches(6)] == [6, 6, 6, 2]
        np.testing.assert_array_equal(rows(source, 6), images.reshape(20, 9) / 127.5 - 1)
    limited = open_images(pieces, limit=5, shape=(9,))
    assert limited.shape == (9,)
    assert len(rows(limited)) == 5
    assert {row.tobytes() for row in rows(limited)} < {row.tobytes() for row in images.reshape(20, 9) / 127.5 - 1}


def test_one_shot_iterators_are_read_once() -> None:
    images = random_bytes(9, 4)
    source = open_images(iter([images[:0], images[:4], images[4:]]))
    np.testing.assert_array_equal(rows(source), images / 127.5 - 1)
    with pytest.raises(DataError, match=r"one-shot iterator can be read only once; pass a list"):
        next(source.batches())


def test_limit_reads_an_iterator_to_its_end() -> None:
    """A random subset of all images needs all of them; only about twice the subset is held."""
    taken = []

    def loader() -> Iterator[np.ndarray]:
        for number in range(100):
            taken.append(number)
            yield random_bytes(4, 2)

    assert len(rows(open_images(loader(), limit=6, shape=(2,)))) == 6
    assert taken == list(range(100))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"the iterable yields no images"),
        (iter(()), r"the iterable yields no images"),
        ([np.zeros((0, 3))], r"the iterable yields no images"),
        ([np.zeros((1, 3)), np.zeros((2, 4))], r"batch 1 holds images of shape \(4,\), the first batch of \(3,\)"),
        ([np.zeros((2, 3)), np.zeros((1, 3), np.uint8)], r"item 1 has dtype uint8, but the scaling was decided by"),
        ([(np.zeros(2),)], r"item 0 is a tuple of 1; an item must be an array of images, or \(images, labels\)"),
        ([[1.0, 2.0], [3.0, 4.0]], r"item 0 is a list of 2; an item must be an array of images"),
        ([{"label": 3}], r"item 0 is a dictionary of label; its images must be under one of image, images"),
        (["a"], r"item 0 is a str, not an array"),
        ([np.array(3.0)], r"item 0: images must be an array \(N, \.\.\.\) of at least two dimensions"),
        ([np.zeros((2, 3), complex)], r"item 0: images must be bool, integer or float numbers; got dtype complex128"),
    ],
)
def test_iterables_that_cannot_be_used(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows(open_images(data))


def test_not_finite_in_iterables() -> None:
    pieces = [np.zeros((4, 3)), np.zeros((4, 3))]
    pieces[1][2, 1] = np.nan
    with pytest.raises(DataError, match=r"batches: image 6 \(counted from 0\) holds nan"):
        rows(open_images(pieces, shape=(3,)))


# ---------------------------------------------------------------- options
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (5, 5)}, r"shape=\(5, 5\) holds 25 values, but one image of shape \(12,\) holds 12"),
        ({"shape": ()}, r"shape must have at least one side"),
        ({"shape": (3, 0)}, r"each side of shape must be an integer of at least 1, got 0"),
        ({"limit": 0}, r"limit must be an integer of at least 1, got 0"),
        ({"size": 0}, r"size must be an integer from 1 to 4096, got 0"),
        ({"size": 2}, r"size=2 needs images of shape .* got \(12,\); give shape= for flat vectors"),
        ({"grey": True}, r"grey=True needs images of shape .* got \(12,\)"),
        ({"grey": True, "shape": (3, 1, 4)}, r"grey=True needs 1 or 3 channels, got images of shape \(3, 1, 4\)"),
        ({"patch": 8}, r"patch=8 does not apply to array: it is for the built-in 'patches' only"),
        ({"patch": 1}, r"patch must be an integer from 2 to 64, got 1"),
        ({"patch": 65}, r"patch must be an integer from 2 to 64, got 65"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_images(random_bytes(4, 12), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 1.5}, r"limit must be an integer of at least 1, got 1\.5"),
        ({"limit": True}, r"limit must be an integer of at least 1, got True"),
        ({"patch": "8"}, r"patch must be an integer from 2 to 64, got '8'"),
        ({"shape": 12}, r"shape must be a tuple of whole numbers"),
        ({"shape": "12"}, r"shape must be a tuple of whole numbers"),
    ],
)
def test_options_of_a_wrong_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        open_images(random_bytes(4, 12), **options)
