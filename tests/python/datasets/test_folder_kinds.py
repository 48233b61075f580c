"""Folders that hold arrays or archives: which reader opens them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from containers import pngs, write_tar
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows, write_images

IMAGES = random_bytes(30, 6, 5, 3)
PIXELS = IMAGES.reshape(30, -1) / 127.5 - 1


def save(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    for name, array in arrays.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, array, allow_pickle=True)
    return folder


def test_one_image_per_file(tmp_path: Path) -> None:
    folder = save(tmp_path / "arrays", {f"class{n // 10}/{n:03d}.npy": image for n, image in enumerate(IMAGES)})
    source = open_images(folder)
    assert (source.name, source.shape, source.count) == ("arrays", (6, 5, 3), 30)
    assert "the folder arrays, 30 arrays (one image each): (30, 6, 5, 3) uint8" in source.provenance.description
    np.testing.assert_array_equal(rows(source, 7), PIXELS)


def test_one_stack_per_file(tmp_path: Path) -> None:
    folder = save(tmp_path / "arrays", {"a.npy": IMAGES[:7], "b.npy": IMAGES[7:8], "c.npy": IMAGES[8:]})
    source = open_images(folder)
    assert (source.shape, source.count) == ((6, 5, 3), 30)
    np.testing.assert_array_equal(rows(source, 7), PIXELS)
    limited = rows(open_images(folder, limit=9))
    np.testing.assert_array_equal(limited, rows(open_images(IMAGES, limit=9)))


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(9, 7), (9, 7)], (2, (9, 7))),  # grey images
        ([(9,), (9,)], (2, (9,))),  # vectors
        ([(3, 9, 7), (3, 9, 7)], (2, (3, 9, 7))),  # channels first
        ([(3, 9, 7)], (3, (9, 7))),  # a single file is a stack
        ([(5, 9, 7), (4, 9, 7)], (9, (9, 7))),  # stacks of different lengths
        ([(5, 9, 7, 3), (5, 9, 7, 3)], (10, (9, 7, 3))),
    ],
)
def test_what_an_array_holds(
    tmp_path: Path, shapes: list[tuple[int, ...]], expected: tuple[int, tuple[int, ...]]
) -> None:
    source = open_images(
        save(tmp_path / "x", {f"{n}.npy": random_bytes(*shape, seed=n) for n, shape in enumerate(shapes)})
    )
    assert (source.count, source.shape) == expected


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            [(8, 9, 7), (8, 9, 7)],
            r"0\.npy of shape \(8, 9, 7\) can be one image or a stack of images of shape \(9, 7\)",
        ),
        (
            [(8, 9), (7, 9)],
            r"0\.npy of shape \(8, 9\) can be images of different sizes or a stack of images of shape \(9,\)",
        ),
        ([(8, 9, 7), (8, 9, 6)], r"arrays of different shapes: 0\.npy is \(8, 9, 7\), 1\.npy is \(8, 9, 6\)"),
        ([(), ()], r"x: (array|images)"),
    ],
)
def test_open_questions_are_asked(tmp_path: Path, shapes: list[tuple[int, ...]], message: str) -> None:
    folder = save(tmp_path / "x", {f"{n}.npy": np.zeros(shape) for n, shape in enumerate(shapes)})
    with pytest.raises(DataError, match=message):
        open_images(folder)


def test_previews_beside_arrays_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = save(tmp_path / "x", {f"{n:03d}.npy": image for n, image in enumerate(IMAGES)})
    write_images(folder / "previews", IMAGES[:2])
    source = open_images(folder)
    assert source.count == 30
    assert source.provenance.left_out == ("2 .png (images: put them into a folder of their own to read them)",)


def test_folders_of_arrays_follow_links_and_count_what_they_leave_out(tmp_path: Path) -> None:
    folder = save(tmp_path / "x", {f"a/{n:03d}.npy": image for n, image in enumerate(IMAGES[:20])})
    save(tmp_path / "store", {f"{n:03d}.npy": image for n, image in enumerate(IMAGES[20:])})
    (folder / "b").symlink_to(tmp_path / "store")
    (folder / "a/again").symlink_to(folder)
    (folder / "README.txt").write_text("frames")
    (folder / "copy.zarr").mkdir()
    save(folder / "copy.zarr", {"part.npy": IMAGES[0]})
    (folder / ".cache").write_text("")
    source = open_images(folder)
    np.testing.assert_array_equal(rows(source, 7), PIXELS)
    assert source.provenance.left_out == (
        "1 .txt (not an image format that is read)",
        "1 .zarr (array files: name one as DATA to read it)",
        "1 hidden files",
        "1 links to folders that are read already (a/again)",
    )


def test_images_without_a_suffix_beside_an_array_are_the_data(tmp_path: Path) -> None:
    write_images(tmp_path / "x", IMAGES)
    for path in sorted((tmp_path / "x").iterdir()):
        path.rename(path.with_suffix(""))
    save(tmp_path / "x", {"labels.npy": np.arange(30)})
    source = open_images(tmp_path / "x")
    np.testing.assert_array_equal(rows(source), PIXELS)
    assert source.provenance.left_out == ("1 .npy (array files: name one as DATA to read it)",)


def test_images_with_labels_beside_them_are_images(tmp_path: Path) -> None:
    write_images(tmp_path / "x", IMAGES)
    save(tmp_path / "x", {"labels.npy": np.arange(30)})
    assert open_images(tmp_path / "x").count == 30


def test_no_clear_majority(tmp_path: Path) -> None:
    write_images(tmp_path / "x", IMAGES[:9])
    save(tmp_path / "x", {f"{n:03d}.npy": image for n, image in enumerate(IMAGES)})
    write_tar(tmp_path / "x" / "a.tar", pngs(IMAGES))
    with pytest.raises(DataError, match=r"x: holds 30 \.npy arrays and 9 images and 1 tar archives, and either may be"):
        open_images(tmp_path / "x")


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    folder = save(tmp_path / "x", {"a.npy": np.zeros((4, 4)), "b.npy": np.array([[{}]], object)})
    with pytest.raises(DataError, match=r"b\.npy: holds Python objects \(a pickle\), which are never loaded"):
        open_images(folder)


def test_file_cut_short(tmp_path: Path) -> None:
    folder = save(tmp_path / "x", {"a.npy": np.zeros((4, 4)), "b.npy": np.zeros((4, 4))})
    (folder / "b.npy").write_bytes((folder / "b.npy").read_bytes()[:-3])
    with pytest.raises(
        DataError, match=r"b\.npy: its header declares shape \(4, 4\) float64, 256 bytes, but it has 253"
    ):
        open_images(folder)
