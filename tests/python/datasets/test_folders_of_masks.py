"""Folders of 8-bit images that may be masks or use a small part of 0…255 are asked about, as arrays of the same values are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kappaflow.datasets import DataError, open_images
from pictures import rows

Image = pytest.importorskip("PIL.Image")

Pixels = npt.NDArray[np.uint8]
RNG = np.random.default_rng


def masks(classes: int, count: int = 40, step: int = 1) -> Pixels:
    """(count, 16, 16) maps of classes, which are whole areas."""
    coarse = RNG(classes).integers(0, classes, (count, 4, 4)) * step
    return np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2).astype(np.uint8)


def photographs(low: int = 0, high: int = 256, count: int = 40) -> Pixels:
    return RNG(low + high).integers(low, high, (count, 16, 16), dtype=np.uint8)


def save(folder: Path, pixels: Pixels, suffix: str = ".png") -> Path:
    folder.mkdir()
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{number:02}{suffix}")
    return folder


ASKED = {
    "classes": masks(12),
    "classes and the number that marks the rest": np.where(masks(9) == 8, 255, masks(9)).astype(np.uint8),
    "two classes": masks(2),
    "grey levels of classes": masks(5, step=40),
    "dark": photographs(0, 20),
    "a small part of the range": photographs(100, 120),
}
NOT_ASKED = {
    "black and white": masks(2, step=255),
    "photographs": photographs(),
    "a few grey levels over the whole range": masks(4, step=85),
    "dark photographs with a bright one": np.concatenate([photographs(0, 20, 10), photographs(0, 256, 40)]),
}


@pytest.mark.parametrize("name", ASKED)
def test_the_folder_is_asked_about_as_the_array_is(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "set", ASKED[name])
    np.save(tmp_path / "set.npy", ASKED[name])
    with pytest.raises(DataError, match=r"type --range 0,255 \(8-bit pixels\) or --range ") as of_array:
        open_images(tmp_path / "set.npy")
    with pytest.raises(DataError) as of_folder:
        open_images(folder)
    assert str(of_folder.value).replace("set: ", "set.npy: ", 1) == str(of_array.value)


@pytest.mark.parametrize("name", NOT_ASKED)
def test_other_folders_are_read_as_before(name: str, tmp_path: Path) -> None:
    source = open_images(save(tmp_path / "set", NOT_ASKED[name]))
    assert source.provenance.scaling == "8-bit 0…255 mapped to [-1, 1]"
    np.testing.assert_array_equal(rows(source), NOT_ASKED[name].reshape(len(NOT_ASKED[name]), -1) / 127.5 - 1)


@pytest.mark.parametrize("suffix", [".bmp", ".tif", ".gif", ".webp"])
def test_masks_in_other_formats(suffix: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for number, each in enumerate(masks(6)):
        options = {"lossless": True} if suffix == ".webp" else {}
        Image.fromarray(each).save(folder / f"{number}{suffix}", **options)
    with pytest.raises(DataError, match=r"only 6 different values|less than an eighth"):
        open_images(folder)


def test_masks_with_a_palette_and_in_an_archive(tmp_path: Path) -> None:
    palette = [value for k in range(256) for value in (64 * (k & 1), 64 * (k >> 1 & 1), 64 * (k >> 2 & 1))]
    folder = tmp_path / "set"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number, each in enumerate(masks(8)):
            image = Image.fromarray(each, "L").convert("P")
            image.putpalette(palette)
            image.save(folder / f"{number}.png")
            archive.write(folder / f"{number}.png", f"{number}.png")
    for data in (folder, tmp_path / "set.zip"):
        with pytest.raises(DataError, match=r"only 2 different values, as in a mask"):
            open_images(data)


def test_an_answer_is_taken(tmp_path: Path) -> None:
    folder = save(tmp_path / "set", masks(12))
    np.testing.assert_allclose(rows(open_images(folder, range=(0, 11))), masks(12).reshape(40, -1) / 5.5 - 1)
    np.testing.assert_allclose(rows(open_images(folder, range=(0, 255))), masks(12).reshape(40, -1) / 127.5 - 1)
    recipe = open_images(folder, like="diffusers", size=16)  # training scripts know one range alone
    np.testing.assert_allclose(rows(recipe), masks(12).reshape(40, -1) / 127.5 - 1)


def test_masks_among_many_photographs_are_no_masks(tmp_path: Path) -> None:
    both = np.empty((60, 16, 16), dtype=np.uint8)
    both[::2], both[1::2] = masks(6, 30), photographs(count=30)
    assert rows(open_images(save(tmp_path / "set", both))).shape == (60, 256)


def test_a_few_masks_that_are_looked_at_first_are_not_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kappaflow.datasets.image_survey.LOOKED_AT", 2)  # the first and the last
    pixels = np.concatenate([masks(6, 5), photographs(count=30), masks(6, 5)])
    assert rows(open_images(save(tmp_path / "set", pixels))).shape == (40, 256)
