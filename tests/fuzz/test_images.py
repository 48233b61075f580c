"""Damaged image files of every format: the image, an error that names the file, or a skip that is counted."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from PIL import Image, features
from strategies import Damage, cases, damages, guarded

import kappaflow as kf
from kappaflow.datasets import DataError, open_images
from kappaflow.datasets.image_formats import known_formats
from pictures import random_bytes

IMAGES = random_bytes(3, 12, 10, 3)
GREY_16 = IMAGES[..., 0].astype(np.uint16) * 257


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def stack() -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file, IMAGES.transpose(0, 3, 1, 2).astype(np.uint16) * 257, planarconfig="separate", photometric="rgb"
    )
    return file.getvalue()


def contents() -> dict[str, bytes]:
    """Name → the bytes of a file of each format that this Pillow writes, and of some variants."""
    colour, grey = Image.fromarray(IMAGES[0]), Image.fromarray(GREY_16[0])
    frames = [Image.fromarray(image) for image in IMAGES[1:]]
    made = {
        "a.png": saved(colour, "PNG"),
        "palette.png": saved(colour.quantize(16), "PNG"),
        "alpha.png": saved(colour.convert("RGBA"), "PNG"),
        "deep.png": saved(grey, "PNG"),
        "film.png": saved(colour, "PNG", save_all=True, append_images=frames),
        "a.jpg": saved(colour, "JPEG"),
        "turned.jpg": saved(colour, "JPEG", exif=exif()),
        "a.gif": saved(colour, "GIF", save_all=True, append_images=frames),
        "a.bmp": saved(colour, "BMP"),
        "a.tif": saved(colour, "TIFF", save_all=True, append_images=frames),
        "packed.tif": saved(colour, "TIFF", compression="tiff_lzw"),
        "planes.tif": stack(),
        "a.ppm": saved(colour, "PPM"),
        "deep.pgm": saved(grey.convert("I"), "PPM"),
        "a.tga": saved(colour, "TGA", compression="tga_rle"),
        "a.sgi": saved(colour, "SGI"),
        "a.pcx": saved(colour, "PCX"),
        "a.webp": saved(colour, "WEBP", lossless=True),
    }
    if "JPEG2000" in known_formats() and features.check("jpg_2000"):
        made["a.jp2"] = saved(colour, "JPEG2000")
    if "AVIF" in known_formats() and features.check("avif"):
        made["a.avif"] = saved(colour, "AVIF")
    return made


def exif() -> bytes:
    facts = Image.Exif()
    facts[274] = 6
    return facts.tobytes()


FILES = contents()
#: One checksum for each piece of the file covers all pixels.
CHECKED = ("a.png", "deep.png")


def read(folder: Path, name: str, *, skip: bool) -> np.ndarray | None:
    """The rows of the images of a folder; None if a file is refused by its name."""
    skipped: list[str] = []
    try:
        with warnings.catch_warnings(), guarded(), kf.memory_limit("1G"):
            warnings.simplefilter("ignore")  # the libraries warn of what they mend
            source = open_images(
                folder, size=(12, 10), range=(0, 255), frames="all", skip_corrupt=skip, on_skip=skipped.append
            )
            rows = np.concatenate(list(source.batches(7)))
            facts = source.read_provenance()
    except (DataError, kf.NotEnoughMemoryError) as error:
        assert any(word in str(error) for word in (name, "fine.png", folder.name)), error  # noqa: PT017
        return None
    assert rows.shape[1] == source.dimension
    assert np.isfinite(rows).all()
    assert facts.description
    if skipped:
        assert len(skipped) == 1
        assert "cannot be decoded" in " ".join(facts.left_out)
    return rows


@pytest.mark.parametrize("name", FILES)
@cases(30)
@given(damage=damages())
def test_damaged_images(name: str, damage: Damage) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "data")
        folder.mkdir()
        (folder / "fine.png").write_bytes(FILES["a.png"])
        (folder / name).write_bytes(damage.of(FILES[name]))
        rows = read(folder, name, skip=False)
        if rows is not None and name in CHECKED:
            np.testing.assert_array_equal(rows, undamaged(name))
        kept = read(folder, name, skip=True)
        assert kept is None or len(kept) >= 1


KNOWN: dict[str, np.ndarray] = {}


def undamaged(name: str) -> np.ndarray:
    """The rows of the same folder with the file as it was."""
    if name not in KNOWN:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "data")
            folder.mkdir()
            (folder / "fine.png").write_bytes(FILES["a.png"])
            (folder / name).write_bytes(FILES[name])
            rows = read(folder, name, skip=False)
        assert rows is not None
        KNOWN[name] = rows
    return KNOWN[name]


@pytest.mark.parametrize("name", FILES)
def test_undamaged_images(name: str) -> None:
    assert len(undamaged(name)) >= 1
