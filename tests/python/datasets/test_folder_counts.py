"""Nothing below a folder is left out silently: formats, frames, links, files without a suffix, hidden and special files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from commands import succeed
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows, write_images


def save_frames(path: Path, images: np.ndarray) -> None:
    frames = [Image.fromarray(image) for image in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        path, save_all=True, append_images=frames[1:], **({"lossless": True} if path.suffix == ".webp" else {})
    )


def test_all_formats_of_pillow_are_read(tmp_path: Path) -> None:
    images = random_bytes(8, 6, 6)
    for number, image in enumerate(images):
        kind = ["jfif", "png", "gif", "tga"][number % 4]
        options = {"format": "JPEG", "quality": 100} if kind == "jfif" else {}
        Image.fromarray(image).save(tmp_path / f"{number}.{kind}", **options)
    source = open_images(tmp_path)
    assert (source.count, source.shape) == (8, (6, 6))
    np.testing.assert_allclose(rows(source), images.reshape(8, -1) / 127.5 - 1, atol=0.03)


def test_stacks_of_pages(tmp_path: Path) -> None:
    images = random_bytes(3, 4, 6, 5)
    for number, stack in enumerate(images):
        save_frames(tmp_path / f"set/{number}.tif", stack)
    with pytest.raises(
        DataError, match=r"set: 3 of 3 image files hold several frames \(12 in all; 0.tif holds 4\): type --fr"
    ):
        open_images(tmp_path / "set")
    every = open_images(tmp_path / "set", frames="all")
    np.testing.assert_array_equal(rows(every), images.reshape(12, -1) / 127.5 - 1)
    assert every.provenance.read == "3 image files with 12 frames"
    assert "12 frames of 3 files count as images of their own" in every.provenance.warnings[0]
    first = open_images(tmp_path / "set", frames="first")
    np.testing.assert_array_equal(rows(first), images[:, 0].reshape(3, -1) / 127.5 - 1)
    assert first.provenance.left_out == ("9 further frames (--frames first)",)
    one = open_images(tmp_path / "set/1.tif")
    np.testing.assert_array_equal(rows(one), images[1].reshape(4, -1) / 127.5 - 1)
    part = open_images(tmp_path / "set", frames="all", limit=5)
    assert part.provenance.subset == "5 of 12 images, a random subset (seed 0)"
    assert {row.tobytes() for row in rows(part)} < {row.tobytes() for row in rows(every)}


# --- further cases of the same kind, written before they were run ------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animations_among_single_images(suffix: str, tmp_path: Path) -> None:
    frames = np.repeat(random_bytes(3, 8, 8)[..., None], 3, axis=-1)
    save_frames(tmp_path / f"set/b{suffix}", frames)
    write_images(tmp_path / "set", random_bytes(2, 8, 8, seed=1), ".bmp")
    with pytest.raises(DataError, match=rf"1 of 3 image files hold several frames \(3 in all; b\{suffix} holds 3\)"):
        open_images(tmp_path / "set")
    every = open_images(tmp_path / "set", frames="all", grey=True)
    assert every.count == 5
    np.testing.assert_allclose(rows(every)[:3], frames[..., 0].reshape(3, -1) / 127.5 - 1, atol=0.01)


def test_links_are_followed_and_each_folder_is_read_once(tmp_path: Path) -> None:
    write_images(tmp_path / "store/cats", random_bytes(3, 4, 4))
    write_images(tmp_path / "set/dogs", random_bytes(2, 4, 4, seed=1))
    (tmp_path / "set/cats").symlink_to(tmp_path / "store/cats")
    (tmp_path / "set/dogs/again").symlink_to(tmp_path / "set")
    (tmp_path / "set/gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "set/one.png").symlink_to(tmp_path / "store/cats/image000.png")
    source = open_images(tmp_path / "set")
    assert source.count == 6
    assert source.provenance.read.endswith("by subfolder: not in a subfolder 1, cats 3, dogs 2")
    assert source.provenance.left_out == (
        "1 links that lead nowhere",
        "1 links to folders that are read already (dogs/again)",
    )


def test_files_without_a_suffix_and_with_a_wrong_one(tmp_path: Path) -> None:
    images = random_bytes(4, 5, 5)
    write_images(tmp_path / "set", images)
    for number, name in enumerate(["ab12", "cd34", "image.001", "image003.jpg"]):
        (tmp_path / f"set/image{number:03}.png").rename(tmp_path / "set" / name)
    (tmp_path / "set/LICENSE").write_text("not an image")
    source = open_images(tmp_path / "set")
    np.testing.assert_array_equal(rows(source), images[[0, 1, 3]].reshape(3, -1) / 127.5 - 1)
    assert source.provenance.read == "3 image files, of 5 files in all"
    assert source.provenance.left_out == (
        "1 files without a suffix (not an image format that is read)",
        "1 .001 (images by their contents: give them a suffix such as .png or .jpg to use them)",
    )


def test_what_is_left_out_is_counted_by_suffix_and_reason(tmp_path: Path) -> None:
    write_images(tmp_path / "set", random_bytes(2, 4, 4))
    for suffix, count in {".psd": 3, ".heic": 1, ".npz": 2, ".txt": 2}.items():
        for number in range(count):
            (tmp_path / f"set/{number}{suffix}").write_bytes(b"x")
    (tmp_path / "set/.DS_Store").write_bytes(b"x")
    (tmp_path / "set/.thumbs").mkdir()
    os.mkfifo(tmp_path / "set/pipe.png")
    source = open_images(tmp_path / "set")
    assert source.provenance.read == "2 image files, of 12 files in all"
    assert source.provenance.left_out == (
        "3 .psd (not an image format that is read: convert them to PNG to use them)",
        "2 .npz (array files: name one as DATA to read it)",
        "2 .txt (not an image format that is read)",
        "1 .heic (not an image format that is read: convert them to PNG to use them)",
        "1 hidden files",
        "1 hidden folders",
        "1 pipes and devices",
    )
    assert source.provenance.warnings == ("more files of images or arrays are left out (6) than are read (2)",)


def test_thumbnails_inside_tiff_files_are_no_images(tmp_path: Path) -> None:
    images = random_bytes(2, 8, 8)
    for number, image in enumerate(images):
        with tifffile.TiffWriter(tmp_path / f"{number}.tif") as file:
            file.write(image)
            file.write(image[::2, ::2], subfiletype=1)
    source = open_images(tmp_path)
    np.testing.assert_array_equal(rows(source), images.reshape(2, -1) / 127.5 - 1)
    assert source.provenance.left_out == ("2 previews, thumbnails and masks inside the files",)


def test_frames_of_different_sizes_are_an_error_with_the_remedy(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(random_bytes(8, 8))
        file.write(random_bytes(6, 8))
    with pytest.raises(DataError, match=r"a\.tif: .*size"):
        rows(open_images(tmp_path, frames="all"))
    assert rows(open_images(tmp_path, frames="all", size=4)).shape == (2, 16)


def test_results_in_the_folder_of_the_images_are_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "photos", random_bytes(12, 6, 6))
    monkeypatch.chdir(tmp_path / "photos")
    Path("deep").mkdir()
    for _ in range(2):  # the second run finds the figures of the first
        succeed("predict", ".", "--n", "5", "--seeds", "4", "--out", "deep/results")
        source = open_images(".")
        assert source.count == 12
    assert "results of kappaflow in deep/results" in source.provenance.left_out
    Path("other").mkdir()
    Path("other/options.json").write_text('{"command": "train"}')
    write_images(Path("other"), random_bytes(3, 6, 6))
    assert open_images(".").count == 15
