"""Data as people have them, from the command line: the right variance, or a sentence that says what to do.

The first part are cases that were known; the second part was written before it was run. Of it, images beside masks are read by
their name rather than asked about, and messages named Python's options ("give size="), which the command line now names as its own.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from commands import refuse, succeed
from pictures import png_16, write_images
from smooth import smooth_images

FIELDS = smooth_images(60, 12)
BYTES = np.clip(128 + 40 * FIELDS, 0, 255).round().astype(np.uint8)  # (60, 12, 12)
COLOUR = np.stack([BYTES, 255 - BYTES, np.roll(BYTES, 1, 1)], axis=-1)
#: Sorted by class, each brighter than the one before.
SORTED = np.clip(20 * (np.arange(60) // 6)[:, None, None] + BYTES / 5, 0, 255).astype(np.uint8)


def variance(pixels: np.ndarray) -> float:
    """Total variance of images in [-1, 1]."""
    return float(pixels.reshape(len(pixels), -1).var(axis=0).sum())


def measured(*arguments: object) -> float:
    """The total variance that ``kappaflow moments`` prints."""
    printed = succeed("moments", *arguments, "--out", "population.safetensors", "--overwrite").stdout
    found = re.search(r"total variance ([\d.e+-]+)", printed)
    assert found is not None, printed
    return float(found[1])


def said(*arguments: object) -> str:
    """What ``kappaflow info`` prints, without line breaks."""
    return " ".join(succeed("info", *arguments).stdout.split())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, **arrays: np.ndarray) -> None:
    """Write arrays into a .npy, .npz or .h5 file."""
    if name.endswith(".h5"):
        with h5py.File(name, "w") as file:
            for key, array in arrays.items():
                file[key.replace("__", "/")] = array
    elif name.endswith(".npz"):
        np.savez(name, **arrays)
    else:
        np.save(name, arrays["x"])


TWELVE = np.clip(2048 + 640 * FIELDS, 0, 4095).round().astype(np.uint16)
UNIT = BYTES / 255.0
OF_BYTES = variance(BYTES / 127.5 - 1)

# ---------------------------------------------------------------- known cases
ARRAYS: dict[str, tuple[np.ndarray, tuple[str, ...], float]] = {
    "12 bits in 16": (TWELVE, ("--range", "0,4095"), variance(TWELVE / 2047.5 - 1)),
    **{f"bytes as {kind}": (BYTES.astype(kind), (), OF_BYTES) for kind in ("u1", "i2", "i4", "i8", "f4")},
    "planes in grey": (
        np.moveaxis(COLOUR, 3, 1),
        ("--grey",),
        variance((COLOUR / 127.5 - 1) @ np.array([0.299, 0.587, 0.114])),
    ),
    "unit range": (UNIT, (), OF_BYTES),
    "unit range, a little above": (np.where(UNIT.max() == UNIT, 1 + 1e-7, UNIT), (), OF_BYTES),
    "unit range, a little below": (np.where(UNIT.min() == UNIT, -1e-9, UNIT), (), OF_BYTES),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_variance_of_arrays(name: str) -> None:
    array, options, expected = ARRAYS[name]
    save("x.npy", x=array)
    assert measured("x.npy", *options) == pytest.approx(expected, rel=6e-4)


def test_questions_have_their_answers() -> None:
    save("u12.npy", x=TWELVE)
    assert "type --range 0,4095 (12-bit pixels) or --range 0,65535" in refuse("info", "u12.npy")
    save("planes.npy", x=np.moveaxis(COLOUR, 3, 1))
    assert "in another order, which would mix their pixels" in refuse("info", "planes.npy", "--shape", "12,12,3")
    save("several.npz", train_images=BYTES, test_images=BYTES[:20], train_labels=np.zeros((60, 1)))
    assert "type one of them behind the file, as several.npz::train_images" in refuse("info", "several.npz")
    assert "60" in said("several.npz::train_images")
    save("one.npy", x=BYTES[0])
    assert "is read as 12 images of 12 values: if it is one image" in said("one.npy")
    save("pde.npz", x=np.tile(np.linspace(0, 1, 12), (2, 1)), t=np.arange(60.0), u=BYTES / 127.5 - 1)
    assert "the array 'u' of pde.npz: (60, 12, 12)" in said("pde.npz")
    save("many.h5", **{f"img_{number:05}": image for number, image in enumerate(BYTES)})
    assert len(refuse("info", "many.h5")) < 700


def test_folders_of_many_formats_and_depths(folder: Path) -> None:
    for number, image in enumerate(BYTES):
        suffix, options = ("png", "gif", "tga", "jfif")[number % 4], {}
        if suffix == "jfif":
            options = {"format": "JPEG", "quality": 100}
        write_images(folder / "mixed", image[:0])
        Image.fromarray(image).save(folder / f"mixed/{number:02}.{suffix}", **options)
    assert measured("mixed") == pytest.approx(OF_BYTES, rel=2e-3)
    (folder / "deep").mkdir()
    deep = (COLOUR.astype(int) * 257 + np.random.default_rng(1).integers(-128, 128, COLOUR.shape)).clip(0, 65535)
    for number, image in enumerate(deep.astype(np.uint16)):
        (folder / f"deep/{number:02}.png").write_bytes(png_16(image))
    assert measured("deep") == pytest.approx(variance(deep / 32767.5 - 1), rel=6e-4)
    for number in range(3):
        (folder / "stacks").mkdir(exist_ok=True)
        pages = [Image.fromarray(image) for image in BYTES[20 * number : 20 * number + 20]]
        pages[0].save(folder / f"stacks/{number}.tif", save_all=True, append_images=pages[1:])
    assert "3 of 3 image files hold several frames (60 in all" in refuse("info", "stacks")
    assert measured("stacks", "--frames", "all") == pytest.approx(OF_BYTES, rel=6e-4)


def test_a_subset_of_sorted_images(folder: Path) -> None:
    write_images(folder / "sorted", SORTED)
    assert measured("sorted", "--limit", "30") == pytest.approx(variance(SORTED / 127.5 - 1), rel=0.25)
    assert "30 of 60 images, a random subset (seed 0)" in said("sorted", "--limit", "30")


# ---------------------------------------------------------------- written before they were run
def formats(path: Path) -> None:
    """Each image as a PNG and as a BMP file."""
    write_images(path, COLOUR[:20], ".png")
    write_images(path / "again", COLOUR[:20], ".bmp")


def grey_as_colour(path: Path) -> None:
    """Grey images, the same repeated in three channels, and some in colour."""
    write_images(path / "a", BYTES[:20])
    write_images(path / "b", np.repeat(BYTES[:20, :, :, None], 3, axis=3))
    write_images(path / "c", COLOUR[:5])


def archive(path: Path) -> None:
    """An archive with two folders of the same images."""
    write_images(path.with_suffix(""), COLOUR[:20])
    with zipfile.ZipFile(path, "w") as file:
        for part in ("train", "test"):
            for image in sorted(path.with_suffix("").iterdir()):
                file.write(image, f"{part}/{image.name}")


@pytest.mark.parametrize(
    ("name", "write", "distinct"),
    [("formats", formats, "20 of 40"), ("grey", grey_as_colour, "25 of 45"), ("x.zip", archive, "20 of 40")],
)
def test_copies_stored_in_another_way(name: str, write: Callable[[Path], None], distinct: str, folder: Path) -> None:
    write(folder / name)
    result = succeed("moments", name, "--out", "population.safetensors")
    assert f"distinct: {distinct} images are distinct" in result.stderr


def test_other_types_of_the_same_range() -> None:
    save("half.npy", x=UNIT.astype(np.float16))
    assert measured("half.npy") == pytest.approx(OF_BYTES, rel=2e-3)
    save("deep.h5", images=BYTES.astype(np.uint16))
    assert measured("deep.h5") == pytest.approx(OF_BYTES, rel=6e-4)
    save("signed.npy", x=(BYTES.astype(np.int16) - 128).astype(np.int8))
    assert "--range -128,127 (signed 8-bit pixels)" in refuse("info", "signed.npy")
    assert measured("signed.npy", "--range=-128,127") == pytest.approx(OF_BYTES, rel=6e-4)
    save("bits.npy", x=BYTES > 128)
    assert measured("bits.npy") == pytest.approx(variance(2.0 * (BYTES > 128) - 1), rel=6e-4)


def test_files_that_are_not_seen_at_once(folder: Path) -> None:
    write_images(folder / "deep/down/there", BYTES[:30], ".png")
    for number, path in enumerate(sorted((folder / "deep/down/there").iterdir())):
        path.rename(path.with_suffix(".PNG" if number % 2 else ".Png"))
    (folder / "deep/Thumbs.db").write_bytes(b"x")
    text = said("deep")
    assert "30 image files, of 31 files in all; by subfolder: down 30" in text
    assert "1 .db (not an image format that is read)" in text
    frames = [Image.fromarray(image) for image in BYTES[:4]]
    frames[0].save("film.gif", save_all=True, append_images=frames[1:])
    with zipfile.ZipFile("films.zip", "w") as file:
        file.write("film.gif")
    assert "type --frames all" in refuse("info", "films.zip")


def test_axes_of_length_one_and_shapes_that_do_not_fit() -> None:
    save("first.npy", x=BYTES[:, None])
    save("last.npy", x=BYTES[..., None])
    for name in ("first.npy", "last.npy"):
        assert measured(name) == pytest.approx(OF_BYTES, rel=6e-4)
        assert measured(name, "--size", "12", "--grey") == pytest.approx(OF_BYTES, rel=6e-4)
    line = refuse("info", "first.npy", "--shape", "12,13")
    assert "156 values" in line
    assert "144" in line
    save("two.npy", x=BYTES[:2])
    assert "2 images" in succeed("moments", "two.npy", "--out", "two.safetensors").stdout


def test_arrays_beside_others() -> None:
    save("pair.h5", train__images=BYTES, train__masks=BYTES // 2)
    assert "the dataset 'train/images' of pair.h5" in said("pair.h5")
    assert "left out 1 other array of the file: train/masks (60, 12, 12) uint8" in said("pair.h5")
    save("means.npz", X=BYTES, X_mean=BYTES.mean(axis=0).ravel(), y=np.arange(60))
    assert "the array 'X' of means.npz" in said("means.npz")
    assert "holds no array 'Y'" in refuse("info", "means.npz::Y")
    Path("digits").mkdir()
    assert "./digits exists here, and is not what is read" in said("digits")


def test_subsets_of_archives_files_and_built_in_data(folder: Path) -> None:
    write_images(folder / "sorted", SORTED)
    with zipfile.ZipFile("sorted.zip", "w") as file:
        for path in sorted((folder / "sorted").iterdir()):
            file.write(path, path.name)
    save("sorted.h5", images=SORTED)
    whole = variance(SORTED / 127.5 - 1)
    assert measured("sorted.zip", "--limit", "40") == pytest.approx(whole, rel=0.25)
    assert measured("sorted.h5", "--limit", "40") == pytest.approx(whole, rel=0.25)
    assert measured("digits", "--limit", "300") == pytest.approx(measured("digits"), rel=0.1)


def test_pixels_in_other_colours_and_directions(folder: Path) -> None:
    (folder / "print").mkdir()
    for number, image in enumerate(COLOUR[:10]):
        Image.fromarray(image).convert("CMYK").save(folder / f"print/{number}.tif")
    assert "10 CMYK images converted to RGB without their colour profile" in said("print")
    assert measured("print") == pytest.approx(variance(COLOUR[:10] / 127.5 - 1), rel=0.01)
    (folder / "turned").mkdir()
    wide = BYTES[:10, :8]
    for number, image in enumerate(wide):
        stored = Image.fromarray(np.rot90(image).copy())
        exif = stored.getexif()
        exif[274] = 6  # to be turned clockwise
        stored.save(folder / f"turned/{number}.png", exif=exif)
    assert "10 images turned upright as their EXIF orientation says" in said("turned")
    assert "8×12 (96 dimensions)" in said("turned")
    assert measured("turned") == pytest.approx(variance(wide / 127.5 - 1), rel=6e-4)
    (folder / "palette").mkdir()
    for number, image in enumerate(COLOUR[:10]):
        Image.fromarray(image).quantize(200).save(folder / f"palette/{number}.png")
    assert measured("palette") == pytest.approx(variance(COLOUR[:10] / 127.5 - 1), rel=0.02)


def test_dead_ends_name_a_way_out(folder: Path) -> None:
    assert "is neither a path that exists nor a built-in dataset" in refuse("info", "digitz")
    assert "did you mean 'digits'" in refuse("info", "digitz")
    (folder / "none").mkdir()
    (folder / "none/notes.txt").write_text("x")
    line = refuse("info", "none")
    assert "no images in this folder; it holds 1 .txt" in line
    write_images(folder / "sizes", BYTES[:3])
    write_images(folder / "sizes/small", BYTES[:3, :6, :6])
    assert refuse("info", "sizes").endswith("give --size to resize all to one size")
    save("flat.npy", x=BYTES.reshape(60, -1))
    assert "give --shape for flat vectors, or --channels for other" in refuse("info", "flat.npy", "--grey")
    save("planes.npy", x=np.moveaxis(COLOUR, 3, 1))
    assert "--shape=12,12,3 has the sides of the stored images" in refuse("info", "planes.npy", "--shape", "12,12,3")
