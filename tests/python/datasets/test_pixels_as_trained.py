"""The pixels that are trained on: alpha, depth, orientation, resizing and cropping, the same for files and arrays."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from kappaflow.datasets import DataError, open_images
from pictures import deep, png_16, random_bytes, rows, write_images


def pixels(values: Any, top: float = 255) -> np.ndarray:
    values = np.asarray(values)
    return values.reshape(len(values), -1) / (top / 2) - 1


def test_colours_below_alpha_do_not_come_out(tmp_path: Path) -> None:
    colours, on_white = random_bytes(3, 6, 6, 3), []
    for number, colour in enumerate(colours):
        alpha = np.full((6, 6, 1), 255, np.uint8)
        alpha[:2] = 0
        image = Image.fromarray(np.concatenate([colour, alpha], axis=2))
        image.save(tmp_path / f"{number}.png")
        ground = Image.new("RGBA", image.size, (255,) * 4)
        ground.alpha_composite(image)
        on_white.append(np.asarray(ground.convert("RGB")))
    source = open_images(tmp_path)
    np.testing.assert_allclose(rows(source), pixels(on_white), atol=1e-14)
    assert source.provenance.processing == ("3 images with transparent pixels laid on white",)
    assert "3 of 3 images have transparent pixels" in source.provenance.warnings[0]
    black = open_images(tmp_path, alpha="black")
    assert black.provenance.warnings == ()
    assert rows(black)[0].reshape(6, 6, 3)[:2].max() == -1
    np.testing.assert_array_equal(rows(open_images(tmp_path, alpha="drop")), pixels(colours))


def test_16_bit_colour(tmp_path: Path) -> None:
    images = deep(4, 5, 6, 3)
    for number, image in enumerate(images):
        (tmp_path / f"{number}.png").write_bytes(png_16(image))
    source = open_images(tmp_path)
    np.testing.assert_allclose(rows(source), pixels(images, 65535), atol=1e-14)
    assert "uint16 0…65535" in source.provenance.scaling


def test_resizing_is_that_of_training_scripts(tmp_path: Path) -> None:
    images = random_bytes(5, 48, 48)
    write_images(tmp_path / "set", images)
    by_pillow = [np.asarray(Image.fromarray(image).resize((12, 12), Image.Resampling.BILINEAR)) for image in images]
    np.testing.assert_allclose(rows(open_images(tmp_path / "set", size=12)), pixels(by_pillow), atol=1.01 / 127.5)
    exact = open_images(tmp_path / "set", size=12, like="diffusers")
    np.testing.assert_allclose(rows(exact), pixels(by_pillow), atol=1e-14)
    assert "rounded to 8 bits" in exact.provenance.processing[0]


# --- further cases of the same kind, written before they were run ------------------------------------------------------


def torchvision(image: Image.Image, size: int) -> Image.Image:
    """Resize(size) and CenterCrop(size), as torchvision has them for PIL images."""
    width, height = image.size
    short, long = size, int(size * max(width, height) / min(width, height))
    image = image.resize((short, long) if width <= height else (long, short), Image.Resampling.BILINEAR)
    top, left = round((image.height - size) / 2), round((image.width - size) / 2)
    return image.crop((left, top, left + size, top + size))


def edm(image: Image.Image, size: int) -> Image.Image:
    """The transform center-crop of EDM's dataset_tool.py."""
    array = np.asarray(image)
    crop = min(array.shape[:2])
    array = array[(array.shape[0] - crop) // 2 : (array.shape[0] + crop) // 2]
    array = array[:, (array.shape[1] - crop) // 2 : (array.shape[1] + crop) // 2]
    return Image.fromarray(array).resize((size, size), Image.Resampling.LANCZOS)


def adm(image: Image.Image, size: int) -> Image.Image:
    """center_crop_arr of guided-diffusion, DiT and SiT."""
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    top, left = (image.height - size) // 2, (image.width - size) // 2
    return image.crop((left, top, left + size, top + size))


@pytest.mark.parametrize("script", [torchvision, edm, adm])
@pytest.mark.parametrize("size", [8, 17])
def test_recipes_give_the_bits_of_their_scripts(script: Any, size: int, tmp_path: Path) -> None:
    expected = []
    for number, (height, width) in enumerate([(40, 53), (71, 30), (33, 33), (17, 20), (9, 14), (120, 37)]):
        image = Image.fromarray(random_bytes(height, width, 3, seed=number))
        image.save(tmp_path / f"{number}.png")
        expected.append(np.asarray(script(image, size)))
    like = {torchvision: "diffusers"}.get(script, script.__name__)
    np.testing.assert_allclose(rows(open_images(tmp_path, size=size, like=like)), pixels(expected), atol=1e-14)


@pytest.mark.parametrize("like", ["diffusers", "edm", "adm"])
def test_recipes_treat_arrays_as_they_treat_files(like: str, tmp_path: Path) -> None:
    images = random_bytes(3, 21, 30, 3)
    write_images(tmp_path / "set", images)
    files = rows(open_images(tmp_path / "set", size=8, like=like))
    np.testing.assert_allclose(rows(open_images(images, size=8, like=like)), files, atol=1e-14)
    first = rows(open_images(np.moveaxis(images, 3, 1), size=8, like=like)).reshape(3, 3, 8, 8)
    np.testing.assert_allclose(np.moveaxis(first, 1, 3).reshape(3, -1), files, atol=1e-14)


@pytest.mark.parametrize("filter", ["area", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("crop", ["centre", "none"])
def test_files_and_arrays_are_resized_alike_to_any_size(filter: str, crop: str, tmp_path: Path) -> None:
    images = random_bytes(3, 21, 30, 3)
    write_images(tmp_path / "set", images)
    source = open_images(tmp_path / "set", size=(6, 10), resize=filter, crop=crop)
    assert source.shape == (6, 10, 3)
    np.testing.assert_allclose(
        rows(source), rows(open_images(images, size=(6, 10), resize=filter, crop=crop)), atol=1e-13
    )
    if filter != "area" and crop == "none":
        names = {"bilinear": 2, "bicubic": 3, "lanczos": 1}
        plane = Image.fromarray(images[0, :, :, 0].astype(np.float32)).resize((10, 6), Image.Resampling(names[filter]))
        np.testing.assert_allclose(rows(source)[0].reshape(6, 10, 3)[..., 0], np.asarray(plane) / 127.5 - 1, atol=1e-6)


def test_crops_and_stretches_are_stated(tmp_path: Path) -> None:
    write_images(tmp_path / "set", random_bytes(2, 20, 40))
    crop = open_images(tmp_path / "set", size=10)
    assert crop.provenance.processing == (
        "resized from 20×40 to 10×10 by the bilinear filter, antialiased, cropped at the centre (up to 50% of an image is cut off)",
    )
    stretched = open_images(tmp_path / "set", size=10, crop="none")
    assert "stretches" in stretched.provenance.processing[0]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    image = Image.fromarray(random_bytes(8, 12, 3))
    exif = image.getexif()
    exif[274] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    image.save(tmp_path / "b.tif", exif=exif)
    with Image.open(tmp_path / "a.png") as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
    source = open_images(tmp_path)
    assert source.shape == upright.shape
    np.testing.assert_array_equal(rows(source), pixels([upright, upright]))
    assert source.provenance.processing == ("2 images turned upright as their EXIF orientation says",)


def test_transparency_in_palettes_colour_keys_and_grey(tmp_path: Path) -> None:
    grey = random_bytes(6, 6, seed=3)
    palette = Image.fromarray(random_bytes(6, 6, 3)).quantize(4)
    palette.save(tmp_path / "a.png", transparency=bytes([0, 255, 255, 255]))
    key = Image.new("RGB", (6, 6), (1, 2, 3))
    key.paste((200, 10, 10), (0, 0, 3, 6))
    key.save(tmp_path / "b.png", transparency=(1, 2, 3))
    Image.fromarray(np.dstack([grey, np.where(grey > 99, 255, 0).astype(np.uint8)])).save(tmp_path / "c.png")
    source = open_images(tmp_path)
    assert "3 of 3 images have transparent pixels" in source.provenance.warnings[0]
    first, second, third = rows(source).reshape(3, 6, 6, 3)
    assert (first[np.asarray(palette) == 0] == 1).all()
    assert (second[:, 3:] == 1).all()
    np.testing.assert_array_equal(third[..., 0], np.where(grey > 99, grey / 127.5 - 1, 1))


def test_alpha_of_16_bits_and_of_none(tmp_path: Path) -> None:
    image = deep(4, 5, 4)
    (tmp_path / "a.png").write_bytes(png_16(image))
    cover = image[..., 3:] / 65535
    expected = cover * image[..., :3] + (1 - cover) * 65535
    np.testing.assert_allclose(rows(open_images(tmp_path)), pixels(expected[None], 65535), atol=1e-12)
    opaque = np.dstack([random_bytes(4, 5, 3), np.full((4, 5), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "a.png")
    source = open_images(tmp_path)
    assert (source.provenance.processing, source.provenance.warnings) == (
        ("alpha channel dropped in 1 images, which are opaque",),
        (),
    )


def test_colour_beyond_8_bits_that_is_cut_is_stated(tmp_path: Path) -> None:
    image = deep(4, 5, 3)
    header = struct.pack(">hBBHHHH", 474, 0, 2, 3, 5, 4, 3).ljust(512, b"\0")
    planes = np.moveaxis(image[::-1], 2, 0)  # from the bottom up
    (tmp_path / "a.sgi").write_bytes(header + planes.astype(">u2").tobytes())
    source = open_images(tmp_path)
    assert "1 images store more than 8 bits for each colour" in source.provenance.warnings[0]
    np.testing.assert_allclose(rows(source), pixels(image[None], 65535), atol=0.01)


@pytest.mark.parametrize("largest", [65535, 4095, 1023, 257])
@pytest.mark.parametrize("kind", [b"P3", b"P6"])
def test_colour_of_ppm_keeps_its_bits(kind: bytes, largest: int, tmp_path: Path) -> None:
    image = np.random.default_rng(largest).integers(0, largest + 1, (4, 5, 3))
    image[0, 0], image[0, 1] = 0, largest
    text = " ".join(map(str, image.ravel())).encode() if kind == b"P3" else image.astype(">u2").tobytes()
    (tmp_path / "a.ppm").write_bytes(kind + f"\n# a comment\n5 4\n{largest}\n".encode() + text)
    source = open_images(tmp_path)
    assert source.shape == (4, 5, 3)
    assert source.provenance.warnings == ()
    np.testing.assert_allclose(rows(source), pixels(image[None], largest), atol=2 / 65535)  # rounded to 16 bits


def test_ppm_of_8_bits_and_cut_files_are_as_before(tmp_path: Path) -> None:
    image = random_bytes(4, 5, 3)
    (tmp_path / "a.ppm").write_bytes(b"P6 5 4 255\n" + image.tobytes())
    np.testing.assert_array_equal(rows(open_images(tmp_path)), pixels(image[None], 255))
    (tmp_path / "a.ppm").write_bytes(b"P6 5 4 65535\n" + image.tobytes())  # half of the bytes
    with pytest.raises(DataError, match=r"a\.ppm: "):
        rows(open_images(tmp_path))


def test_tiff_that_only_tifffile_reads(tmp_path: Path) -> None:
    images = deep(2, 5, 6, 3)
    for number, image in enumerate(images):
        tifffile.imwrite(
            tmp_path / f"{number}.tif", np.moveaxis(image, 2, 0), photometric="rgb", planarconfig="separate"
        )
    np.testing.assert_allclose(rows(open_images(tmp_path)), pixels(images, 65535), atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "bilinear"}, r"resize needs size"),
        ({"like": "edm"}, r"like needs size"),
        ({"size": 4, "like": "edm", "crop": "none"}, r"crop is set by like='edm'; got 'none' too"),
        (
            {"size": 4, "resize": "nearest"},
            r"resize must be one of 'area', 'bilinear', 'bicubic', 'lanczos', got 'nearest'",
        ),
        ({"alpha": "red"}, r"alpha must be one of 'drop', 'white', 'black', got 'red'"),
        ({"frames": "last"}, r"frames must be one of 'all', 'first', got 'last'"),
        ({"size": (4, 0)}, r"each side of size must be an integer from 1 to 4096, got 0"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_images(tmp_path / "set", random_bytes(1, 8, 8))
    with pytest.raises(DataError, match=message):
        open_images(tmp_path / "set", **options)
    with pytest.raises(
        DataError,
        match=r"does not apply to array" if {"alpha", "frames"} & set(options) and "must" not in message else message,
    ):
        open_images(random_bytes(1, 8, 8), **options)
