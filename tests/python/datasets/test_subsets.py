"""``limit`` is a random subset of every kind of data: data sorted by class or by time keep their variance and their range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image

from kappaflow.datasets import DataError, open_images
from kappaflow.datasets.arrays import open_array
from kappaflow.datasets.options import Options
from kappaflow.datasets.subset import read_chosen, subset
from pictures import random_bytes, rows, write_images

RNG = np.random.default_rng(0)


def variance(images: np.ndarray) -> float:
    """Total variance of rows."""
    return float(images.var(axis=0).sum())


def sorted_by_class(dtype: type = np.float32) -> np.ndarray:
    """(300, 5, 5): ten classes of 30 images, each brighter than the one before; values from 0 to 1."""
    levels = 0.09 * (np.arange(300) // 30)[:, None, None] + 0.1 * RNG.random((300, 5, 5))
    return levels.astype(dtype)


# ---------------------------------------------------------------- data sorted by class: an array, a folder, a stream
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".zarr"])
def test_subset_of_a_file_sorted_by_class(suffix: str, tmp_path: Path) -> None:
    images = sorted_by_class()
    path = tmp_path / f"sorted{suffix}"
    if suffix == ".npy":
        np.save(path, images)
    elif suffix == ".npz":
        np.savez(path, images=images)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["images"] = images
    else:
        zarr.save_array(str(path), images)
    whole, part = open_images(path), open_images(path, limit=100)
    assert part.provenance.subset == "100 of 300 images, a random subset (seed 0)"
    assert part.provenance.scaling == whole.provenance.scaling
    assert (whole.provenance.subset, part.count) == ("", 100)
    assert variance(rows(part)) == pytest.approx(variance(rows(whole)), rel=0.1)
    chosen = np.sort(np.random.default_rng(0).choice(300, 100, replace=False, shuffle=False))
    np.testing.assert_array_equal(rows(part, 7), rows(whole)[chosen])


def test_subset_of_a_folder_sorted_by_class(tmp_path: Path) -> None:
    images = np.round(255 * sorted_by_class()).astype(np.uint8)
    for number, image in enumerate(images):
        path = tmp_path / f"imgs/c{number // 30}/{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    whole, part = open_images(tmp_path / "imgs"), open_images(tmp_path / "imgs", limit=60)
    assert part.provenance.subset == "60 of 300 images, a random subset (seed 0)"
    assert part.provenance.read.startswith("300 image files; by subfolder: c0 30, c1 30, ")
    assert part.count == 60
    assert variance(rows(part)) == pytest.approx(variance(rows(whole)), rel=0.15)
    np.testing.assert_array_equal(rows(part), rows(open_images(tmp_path / "imgs", limit=60)))
    assert open_images(tmp_path / "imgs", limit=300).provenance.subset == ""


def test_subset_of_a_stream_sorted_by_class() -> None:
    images = sorted_by_class()

    def loader() -> Iterator[np.ndarray]:
        for start in range(0, 300, 16):
            yield images[start : start + 16]

    part = open_images(loader(), limit=100)
    assert part.provenance.subset == "at most 100 images, a random subset of all (seed 0)"
    found = rows(part)
    assert found.shape == (100, 25)
    pixels = 2 * images.reshape(300, -1).astype(np.float64) - 1
    assert variance(found) == pytest.approx(variance(pixels), rel=0.1)
    place = {row.tobytes(): number for number, row in enumerate(pixels)}
    numbers = [place[row.tobytes()] for row in found]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 100


# ---------------------------------------------------------------- further cases: drift in time, a range met late, broken files
def test_subset_of_images_that_drift_in_time(tmp_path: Path) -> None:
    """A microscope that becomes brighter: the first tenth has a hundredth of the variance of the drift."""
    drift = np.linspace(-1, 1, 1000)[:, None] + 0.01 * RNG.standard_normal((1000, 9))
    np.save(tmp_path / "drift.npy", drift)
    found = rows(open_images(tmp_path / "drift.npy", limit=100))
    assert variance(found) == pytest.approx(variance(drift), rel=0.2)
    assert np.abs(found.mean()) < 0.2


def test_range_is_that_of_all_images_also_for_a_subset() -> None:
    """The one image that exceeds 1 is not in the subset; without it the values would be mapped by 2x − 1."""
    images = RNG.uniform(0, 1, (50, 4))
    outside = int(np.setdiff1d(np.arange(50), np.random.default_rng(0).choice(50, 10, replace=False, shuffle=False))[0])
    images[outside, 0] = 1.5
    found = rows(open_images(images, limit=10))
    assert all(any(np.array_equal(row, image) for image in images) for row in found)


def test_subset_of_a_folder_with_broken_files(tmp_path: Path) -> None:
    """Other random files replace those that cannot be decoded: the number is kept."""
    images = random_bytes(40, 16, 16, 3)
    write_images(tmp_path / "set", images)
    broken = sorted((tmp_path / "set").iterdir())[::4]
    for path in broken:
        path.write_bytes(path.read_bytes()[:300])
    source = open_images(tmp_path / "set", limit=20, skip_corrupt=True)
    found = rows(source)
    assert len(found) == 20
    good = {row.tobytes() for row in np.delete(images, np.arange(0, 40, 4), axis=0).reshape(30, -1) / 127.5 - 1}
    assert len({row.tobytes() for row in found} & good) == 20
    np.testing.assert_array_equal(found, rows(source))
    assert "20 of 40 images, a random subset (seed 0)" in source.provenance.subset
    with pytest.raises(DataError, match="corrupt"):
        rows(open_images(tmp_path / "set", limit=35))


@pytest.mark.parametrize("make", [np.asarray, lambda array: Blocks(array)])
def test_chosen_images_dense_and_sparse(make: Callable[[np.ndarray], object]) -> None:
    images = random_bytes(500, 3)
    for limit in (1, 3, 400):
        chosen = subset(500, limit)
        assert chosen is not None
        np.testing.assert_array_equal(read_chosen(make(images), chosen), images[chosen])
    assert subset(10, 10) is None
    assert subset(10, None) is None


class Blocks:
    """An array that only gives slices, as files do."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape = array.shape

    def __getitem__(self, key: slice) -> np.ndarray:
        assert isinstance(key, slice)
        return self._array[key]


def test_labels_of_a_subset_are_those_of_its_images() -> None:
    images = np.arange(60, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    classes = np.arange(60) // 6
    source = open_array(lambda: nullcontext(images), "array", Options(limit=10), "an array", labels=lambda: classes)
    assert source.labels is not None
    numbers = np.round((rows(source)[:, 0] + 1) * 127.5).astype(int)
    np.testing.assert_array_equal(source.labels(), classes[numbers])
