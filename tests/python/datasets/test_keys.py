"""Files of several arrays: which one is read, how another is named, what is said about the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from kappaflow.cli.options import Data
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows, write_images

IMAGES = random_bytes(30, 12, 12)
EXPECTED = IMAGES.reshape(30, -1) / 127.5 - 1


def archive(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "file.npz", **arrays)
    return folder / "file.npz"


@pytest.mark.parametrize(
    ("key", "others"),
    [
        ("latents", {"labels": np.arange(30)}),
        ("u", {"x": np.tile(np.linspace(0, 1, 12), (2, 1)), "t": np.arange(30.0)}),  # the grid is no image
        ("pixels", {"onehot": np.eye(30)[:, :10], "names": np.array(["a"] * 30)}),
        ("images", {"preview": IMAGES[:4]}),
        ("frames", {"ids": np.arange(30)[:, None]}),
    ],
)
def test_the_only_array_of_images_is_read(key: str, others: dict[str, Any], tmp_path: Path) -> None:
    source = open_images(archive(tmp_path, **{key: IMAGES}, **others))
    np.testing.assert_array_equal(rows(source), EXPECTED)
    assert source.provenance.what == f"the array {key!r} of file.npz"
    (left_out,) = source.provenance.left_out
    assert left_out.startswith(f"{len(others)} other array")
    assert all(name in left_out for name in others)


def test_several_arrays_of_images_are_asked(tmp_path: Path) -> None:
    labels = np.zeros((30, 1))
    path = archive(tmp_path, train_images=IMAGES, test_images=IMAGES[:6], train_labels=labels, test_labels=labels[:6])
    message = (
        r"file\.npz: holds several arrays that can be the images: train_images \(30, 12, 12\) uint8, "
        r"test_images \(6, 12, 12\) uint8; type one of them behind the file, as file\.npz::train_images"
    )
    with pytest.raises(DataError, match=message):
        open_images(path)
    np.testing.assert_array_equal(rows(open_images(f"{path}::train_images")), EXPECTED)
    np.testing.assert_array_equal(rows(open_images(Path(f"{path}::test_images"))), EXPECTED[:6])
    with pytest.raises(DataError, match=r"no array 'train_image', but .*; did you mean file\.npz::train_images\?"):
        open_images(f"{path}::train_image")


def test_flat_images_beside_one_hot_labels(tmp_path: Path) -> None:
    """Both have two axes: the usual name decides, or the user."""
    flat = IMAGES.reshape(30, -1)
    np.testing.assert_array_equal(rows(open_images(archive(tmp_path, X=flat, y=np.eye(30)[:, :10]))), EXPECTED)
    path = archive(tmp_path, pixels=flat, y=np.eye(30)[:, :10])
    with pytest.raises(DataError, match=r"pixels \(30, 144\) uint8, y \(30, 10\) float64; type .*::pixels"):
        open_images(path)
    assert open_images(f"{path}::pixels").shape == (144,)


def test_hdf5_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["train/images"], file["train/labels"] = IMAGES, np.arange(30)
        file["test/images"] = IMAGES[:9]
    with pytest.raises(DataError, match=r"type one of them behind the file, as a\.h5::train/images"):
        open_images(path)
    for key in ("train/images", "/train/images"):
        np.testing.assert_array_equal(rows(open_images(f"{path}::{key}")), EXPECTED)


def test_hdf5_of_one_image_each_is_a_short_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for number in range(40):
            file[f"image{number:02d}"] = IMAGES[number % 30]
    with pytest.raises(DataError, match=r"image09 .* and 30 more; type") as caught:
        open_images(tmp_path / "many.h5")
    assert len(str(caught.value)) < 600


def add(group: Any, key: str, images: np.ndarray) -> None:
    group.create_array(key, shape=images.shape, chunks=(7, *images.shape[1:]), dtype=images.dtype)[...] = images


@pytest.mark.parametrize("name", ["a.zarr", "no-suffix"])
def test_zarr_groups_in_groups(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    group = zarr.open_group(str(path), mode="w")
    inner = group.create_group("train").create_group("set")
    add(inner, "images", IMAGES)
    source = open_images(path)
    np.testing.assert_array_equal(rows(source), EXPECTED)
    assert source.provenance.what == f"the array 'train/set/images' of {name}"
    np.testing.assert_array_equal(rows(open_images(f"{path}::train/set/images")), EXPECTED)
    add(inner, "masks", IMAGES)
    np.testing.assert_array_equal(rows(open_images(path)), EXPECTED)  # the usual name
    add(inner, "images2", IMAGES[:, None])
    assert open_images(path).provenance.left_out[0].startswith("2 other arrays of the file: train/set/images2 (30, 1, ")


def test_scales_of_one_picture_are_asked(tmp_path: Path) -> None:
    """Arrays '0' and '1', as OME-zarr stores them."""
    group = zarr.open_group(str(tmp_path / "ome.zarr"), mode="w")
    for key, images in (("0", IMAGES), ("1", IMAGES[:, ::2, ::2])):
        add(group, key, images)
    with pytest.raises(DataError, match=r"0 \(30, 12, 12\) uint8, 1 \(30, 6, 6\) uint8; type .*ome\.zarr::0"):
        open_images(tmp_path / "ome.zarr")
    assert open_images(f"{tmp_path / 'ome.zarr'}::1").shape == (6, 6)


def test_keys_of_files_without_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    with pytest.raises(DataError, match=r"a\.npy' has no parts with names, got 'images'; \.npz, \.h5"):
        open_images(f"{tmp_path / 'a.npy'}::images")
    with pytest.raises(DataError, match=r"none\.npz' is neither a path that exists"):
        open_images(f"{tmp_path / 'none.npz'}::images")


@pytest.mark.parametrize("name", ["faces", "digits"])
def test_a_local_folder_beside_a_built_in_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_images(name).provenance.warnings == ()
    write_images(tmp_path / name, IMAGES)
    built_in = open_images(name)
    assert built_in.count != 30
    (warning,) = built_in.provenance.warnings
    assert warning.startswith(f"./{name} exists here, and is not what is read: write ./{name} to read it")
    np.testing.assert_array_equal(rows(open_images(f"./{name}")), EXPECTED)


def test_names_of_results() -> None:
    assert Data("a/b.npz::train/images").name == "b-train-images"
