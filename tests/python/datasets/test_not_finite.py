"""Images with NaN or infinity: an error that gives the number and the way out, or left out, named and counted."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from commands import refuse, succeed
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows

IMAGES = np.random.default_rng(0).uniform(-1, 1, (40, 6, 5))
IMAGES[3, 2, 1], IMAGES[17], IMAGES[39, 0] = np.nan, np.inf, -np.inf
GOOD = np.delete(IMAGES, [3, 17, 39], axis=0).reshape(37, -1)


def save(path: Path, kind: str) -> Any:
    """The images as data of one kind."""
    if kind == ".npy":
        np.save(path / "x.npy", IMAGES)
    elif kind == ".h5":
        with h5py.File(path / "x.h5", "w") as file:
            file["images"] = IMAGES
    elif kind == ".npz":
        np.savez(path / "x.npz", images=IMAGES)
    elif kind == ".zarr":
        pytest.importorskip("zarr").save(str(path / "x.zarr"), IMAGES)
    elif kind == ".safetensors":
        pytest.importorskip("safetensors.numpy").save_file({"images": IMAGES}, path / "x.safetensors")
    elif kind == ".pt":
        torch = pytest.importorskip("torch")
        torch.save({"images": torch.from_numpy(IMAGES)}, path / "x.pt")
    elif kind == ".zip":
        with zipfile.ZipFile(path / "x.zip", "w") as archive:
            for number, image in enumerate(IMAGES):
                stream = io.BytesIO()
                np.save(stream, image)
                archive.writestr(f"{number:02}.npy", stream.getvalue())
    elif kind == "folder":
        (path / "xfolder").mkdir()
        for number, image in enumerate(IMAGES):
            np.save(path / f"xfolder/{number:02}.npy", image)
    return IMAGES if kind == "array" else path / f"x{kind}"


@pytest.mark.parametrize("kind", ["array", ".npy", ".npz", ".h5", ".zarr", ".safetensors", ".pt", ".zip", "folder"])
def test_images_with_nan_are_left_out_and_counted(kind: str, tmp_path: Path) -> None:
    data = save(tmp_path, kind)
    message = r"image 3 \(counted from 0\) holds nan; .*; skip_corrupt=True leaves such images out"
    with pytest.raises(DataError, match=message):
        open_images(data)
    source = open_images(data, skip_corrupt=True, labels=np.arange(40))
    assert source.count == 37
    np.testing.assert_array_equal(rows(source, 7), GOOD)
    assert source.provenance.left_out == ("3 images with NaN or infinity (number 3, 17, 39, counted from 0)",)
    assert source.labels is not None
    np.testing.assert_array_equal(source.labels(), np.delete(np.arange(40), [3, 17, 39]))
    if kind == "folder":
        assert source.names is not None
        assert [*source.names()][2:4] == ["02.npy", "04.npy"]
    part = open_images(data, skip_corrupt=True, limit=9)
    assert part.provenance.subset == "9 of 37 images, a random subset (seed 0)"
    chosen = np.sort(np.random.default_rng(0).choice(37, 9, replace=False, shuffle=False))
    np.testing.assert_array_equal(rows(part), GOOD[chosen])


def test_large_arrays_are_looked_at_whole_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kappaflow.datasets.arrays.SURVEYED_BYTES", 2**12)
    monkeypatch.setattr("kappaflow.datasets.arrays.SURVEYED_BLOCKS", 3)
    images = np.random.default_rng(1).uniform(-1, 1, (4000, 6))
    images[1001] = np.nan  # in none of the parts that decide the range
    images[3990:, 0] = np.nan
    source = open_images(images, skip_corrupt=True)
    np.testing.assert_array_equal(rows(source), np.delete(images[:3990], 1001, axis=0))
    assert source.provenance.left_out == (
        "11 images with NaN or infinity (number 1001, 3990, 3991, 3992, 3993, 3994, 3995, 3996, 3997, 3998 and 1 more, counted "
        "from 0)",
    )


def test_the_number_of_an_image_of_a_subset_is_that_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kappaflow.datasets.arrays.SURVEYED_BYTES", 2**12)
    monkeypatch.setattr("kappaflow.datasets.arrays.SURVEYED_BLOCKS", 3)
    images = np.random.default_rng(1).uniform(-1, 1, (4000, 6))
    images[1001] = np.nan
    with pytest.raises(DataError, match=r"array: image 1001 \(counted from 0\) holds nan"):
        rows(open_images(images, limit=3999))


def test_nothing_is_left_and_nothing_is_left_out() -> None:
    with pytest.raises(DataError, match="array: each of its 5 images holds NaN or infinity"):
        open_images(np.full((5, 4), np.nan), skip_corrupt=True)
    whole = open_images(random_bytes(5, 4, 4), skip_corrupt=True)
    assert (whole.count, whole.provenance.left_out) == (5, ())
    with pytest.raises(DataError, match="skip_corrupt=True does not apply to batches: leave out such items before"):
        open_images(iter([IMAGES]), skip_corrupt=True)


def test_the_way_out_on_the_command_line(tmp_path: Path) -> None:
    data = save(tmp_path, ".npy")
    assert refuse("info", data).endswith("all values must be finite; --skip-corrupt leaves such images out")
    assert "3 images with NaN or infinity" in " ".join(succeed("info", data, "--skip-corrupt").stdout.split())
    result = succeed("moments", data, "--skip-corrupt", "--out", tmp_path / "p.safetensors")
    assert "left out: 3 images with NaN or infinity (number 3, 17, 39, counted from 0)" in result.stderr
    assert "37 images, 30 dimensions" in result.stdout
