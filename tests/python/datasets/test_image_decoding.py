"""Decoding single images: from paths, bytes and open files; every bit kept; formats that are read and those that are not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from kappaflow.datasets import DataError
from kappaflow.datasets.image_decoding import decode, read_image
from kappaflow.datasets.image_formats import FORMATS, image_suffixes, is_image_start
from kappaflow.datasets.image_headers import read_header
from pictures import deep, png_16, random_bytes


def encoded(pixels: npt.NDArray[Any], format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=format, **options)
    return stream.getvalue()


def tiff(pixels: npt.NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def values(data: bytes, frame: int = 0) -> npt.NDArray[Any]:
    return next(decode(data, "a", read_header(data, "a"), [frame])).values


def test_paths_bytes_and_open_files_give_the_same_pixels(tmp_path: Path) -> None:
    pixels = random_bytes(5, 7, 3)
    data = encoded(pixels, "PNG")
    (tmp_path / "a.png").write_bytes(data)
    expected = pixels / 127.5 - 1
    stream = io.BytesIO(data)
    stream.seek(3)  # an open file is read from its beginning, wherever it stands
    for file in (tmp_path / "a.png", data, stream, stream):
        np.testing.assert_array_equal(read_image(file, "a"), expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_keeps_16_bits(channels: int) -> None:
    pixels = deep(5, 7, channels)
    image = next(decode(png_16(pixels), "a", read_header(png_16(pixels), "a"), [0]))
    colours = pixels[:, :, 0] if channels < 3 else pixels[:, :, :3]
    np.testing.assert_array_equal(image.values, colours)
    assert image.top == 65535
    if channels in (2, 4):
        assert image.alpha is not None
        np.testing.assert_array_equal(image.alpha, pixels[:, :, -1] / 65535)


TIFF_OPTIONS: list[dict[str, Any]] = [
    {},
    {"byteorder": ">"},
    {"compression": "zlib", "predictor": True},
    {"compression": "zlib", "byteorder": ">"},
    {"planarconfig": "separate"},
]


@pytest.mark.parametrize("options", TIFF_OPTIONS)
def test_tiff_keeps_16_bits_of_colour(options: dict[str, Any]) -> None:
    pixels = deep(5, 7, 3)
    stored = np.moveaxis(pixels, 2, 0) if "planarconfig" in options else pixels
    np.testing.assert_array_equal(values(tiff(stored, photometric="rgb", **options)), pixels)


def test_tiff_of_floats_in_colour_and_stacks_of_imagej() -> None:
    colour = np.random.default_rng(0).random((5, 7, 3)).astype(np.float32)
    np.testing.assert_array_equal(values(tiff(colour, photometric="rgb")), colour)
    with pytest.raises(DataError, match=r"a: pixels must be integers within 0…65535, got float32 values"):
        read_image(tiff(colour, photometric="rgb"), "a")
    stack = random_bytes(6, 5, 7)
    for data in (tiff(stack, imagej=True), tiff(stack), tiff(stack, photometric="minisblack")):
        header = read_header(data, "a")
        assert len(header.frames) == 6
        np.testing.assert_array_equal([image.values for image in decode(data, "a", header, header.frames)], stack)


def test_formats_are_a_list_of_safe_ones() -> None:
    assert not {"EPS", "WMF", "PSD", "ICO", "FITS", "HDF5", "GRIB", "BUFR"} & set(FORMATS)
    assert {".png", ".jfif", ".gif", ".tga", ".jp2", ".webp", ".tif"} <= image_suffixes()
    assert not {".eps", ".psd", ".pdf", ".h5", ".wmf"} & image_suffixes()
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
        read_header(postscript, "a.png")
    assert not is_image_start(postscript[:16])


@pytest.mark.parametrize(
    "format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "QOI", "SGI"]
)
def test_starts_of_files(format: str) -> None:
    if format not in ("JPEG2000",):
        assert is_image_start(encoded(random_bytes(16, 16, 3), format)[:16])
    assert not is_image_start(b"name,label\n0001,3"[:16])


def test_bombs_are_refused_by_their_size() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for side in (10_000, 50_000):
        size = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        with pytest.raises(DataError, match=r"a\.png: an image may have at most 89 million pixels .*make it smaller"):
            read_header(b"\x89PNG\r\n\x1a\n" + size + chunk(b"IDAT", zlib.compress(b"")), "a.png")
