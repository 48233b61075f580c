"""Axes of arrays and of the items of iterables: single images stay whole, other orders of axes are noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows
from smooth import smooth_images

GREY = np.clip(128 + 40 * smooth_images(60, 12), 0, 255).round().astype(np.uint8)
PLANES = np.stack([GREY, 255 - GREY, np.roll(GREY, 1, 1)], axis=1)  # (60, 3, 12, 12)
LAST = np.moveaxis(PLANES, 1, 3)


# ---------------------------------------------------------------- items of iterables
class Labelled:
    """A dataset of torch: a length and items (image, label), and no iteration."""

    def __len__(self) -> int:
        return len(PLANES)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if not 0 <= index < 60:
            raise RuntimeError("no such item")
        return PLANES[index], index % 10


def loader(batch: int, images: np.ndarray = PLANES) -> Iterator[list[np.ndarray]]:
    for start in range(0, 60, batch):
        yield [images[start : start + batch], np.arange(start, start + batch)]


SINGLE: dict[str, tuple[Any, np.ndarray]] = {
    "list of (H, W)": (list(GREY), GREY),
    "generator of (H, W)": (iter(GREY), GREY),
    "list of (C, H, W)": (list(PLANES), PLANES),
    "list of (H, W, C)": (list(LAST), LAST),
    "not square": (list(GREY[:, :9]), GREY[:, :9]),
    "vectors": (list(GREY.reshape(60, 144)), GREY.reshape(60, 144)),
    "dataset with labels": (Labelled(), PLANES),
    "loader with labels": (loader(16), PLANES),
    "grey loader with labels, equal batches": (loader(12, GREY), GREY),
    "dictionaries": ([{"pixel_values": image, "label": 3} for image in PLANES], PLANES),
    "batches, one shorter": ([GREY[:25], GREY[25:50], GREY[50:]], GREY),
}


@pytest.mark.parametrize("name", SINGLE)
def test_items_are_single_images_or_batches(name: str) -> None:
    items, images = SINGLE[name]
    items = list(items) if isinstance(items, Iterator) else items
    source = open_images(iter(items) if name.startswith("generator") else items)
    assert source.shape == images.shape[1:]
    np.testing.assert_array_equal(rows(source), images.reshape(60, -1) / 127.5 - 1)
    population = kf.Population.from_samples(items)
    assert (population.sample_size, population.shape) == (60, images.shape[1:])
    expected = kf.Population.from_samples(images / 127.5 - 1).total_variance
    assert population.total_variance == pytest.approx(expected, rel=1e-9)


def test_items_that_can_be_images_or_batches_are_asked() -> None:
    flat = np.random.default_rng(0).standard_normal((60, 144))
    pieces = [flat[:20], flat[20:40], flat[40:]]
    message = (
        r"items of shape \(20, 144\) can be images of this shape or batches of 20 images of shape \(144,\): pass shape="
    )
    with pytest.raises(DataError, match=message):
        open_images(pieces)
    with pytest.raises(ValueError, match=message):
        kf.Population.from_samples(pieces)
    np.testing.assert_array_equal(rows(open_images(pieces, shape=(144,))), flat)
    assert kf.Population.from_samples(pieces, shape=(12, 12)).sample_size == 60
    latents = list(np.random.default_rng(0).standard_normal((60, 16, 8, 8)))
    with pytest.raises(DataError, match=r"images of this shape or batches of 16 images of shape \(8, 8\)"):
        open_images(latents)
    assert open_images(latents, channels=16).shape == (16, 8, 8)
    assert kf.Population.from_samples(latents, shape=(16, 8, 8)).sample_size == 60


# ---------------------------------------------------------------- arrays
@pytest.mark.parametrize(
    ("images", "shape", "order"),
    [(PLANES, (12, 12, 3), "0, 2, 3, 1"), (LAST, (3, 12, 12), "0, 3, 1, 2"), (GREY[:, :9], (12, 9), "0, 2, 1")],
)
def test_a_shape_in_another_order_is_refused(images: np.ndarray, shape: tuple[int, ...], order: str) -> None:
    with pytest.raises(DataError, match=rf"in another order, .* images\.transpose\({order}\)"):
        open_images(images, shape=shape)
    assert open_images(images, shape=images.shape[1:]).shape == images.shape[1:]
    assert open_images(images, shape=(1, *images.shape[1:])).count == 60


def test_flat_images_of_planes() -> None:
    """As CIFAR stores them: three planes behind each other."""
    flat = PLANES.reshape(60, -1)
    with pytest.raises(DataError, match=r"type --shape 3,12,12 \(in Python: .*; --channels last .*keeps \(12, 12, 3\)"):
        open_images(flat, shape=(12, 12, 3), size=6)
    assert open_images(flat, shape=(12, 12, 3), channels="last").shape == (12, 12, 3)
    small = open_images(flat, shape=(3, 12, 12), size=6, resize="area")
    expected = (PLANES / 127.5 - 1).reshape(60, 3, 6, 2, 6, 2).mean((3, 5))
    np.testing.assert_allclose(rows(small), expected.reshape(60, -1), atol=1e-13)
    with pytest.raises(DataError, match=r"type --shape 12,12,3 "):
        open_images(LAST.reshape(60, -1), shape=(3, 12, 12))


def test_many_images_are_not_taken_for_one_high_image() -> None:
    """Neighbouring images are alike and columns are not, but no image is 500 pixels high and 6 wide."""
    rng = np.random.default_rng(0)
    film = rng.standard_normal((1, 6, 8)) + np.cumsum(0.1 * rng.standard_normal((500, 6, 8)), axis=0)
    assert open_images(film).count == 500


@pytest.mark.parametrize("images", [np.moveaxis(GREY, 0, 2), np.moveaxis(GREY[:, :9], 0, 2), np.moveaxis(LAST, 0, 3)])
def test_images_along_the_last_axis_are_noticed(images: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "last.npy", images)
    with pytest.raises(
        DataError, match=r"last\.npy: its 60 images seem to lie along the last axis .*moveaxis\(images, -1, 0\)"
    ):
        open_images(tmp_path / "last.npy")
    assert open_images(tmp_path / "last.npy", shape=images.shape[1:]).count == len(images)


@pytest.mark.parametrize("image", [GREY[0], LAST[0], PLANES[0]])
def test_one_image_is_noticed(image: np.ndarray) -> None:
    (warning,) = open_images(image).provenance.warnings
    assert f"the array of shape {image.shape} is read as {len(image)} images of" in warning


@pytest.mark.parametrize("images", [GREY, PLANES, LAST, random_bytes(50, 6, 20), GREY.reshape(60, 144)])
def test_usual_arrays_raise_no_doubt(images: np.ndarray) -> None:
    assert open_images(images).provenance.warnings == ()


def test_channels() -> None:
    latents = np.random.default_rng(0).standard_normal((20, 8, 6, 6))
    assert open_images(latents, channels=8, size=3).shape == (8, 3, 3)
    assert open_images(latents, channels="first", size=3).shape == (8, 3, 3)
    assert open_images(np.moveaxis(latents, 1, 3), channels="last", size=3).shape == (3, 3, 8)
    with pytest.raises(
        DataError, match=r"channels=5 needs images \(C, H, W\) or \(H, W, C\) with such an axis, got \(8, 6, 6\)"
    ):
        open_images(latents, channels=5)
    with pytest.raises(DataError, match="channels must be 'first', 'last' or the number of channels, got 'middle'"):
        open_images(latents, channels="middle")
