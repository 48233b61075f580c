"""Folders of images: formats, modes, sizes, corrupt files; every error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows, write_images


def test_folder_is_sorted_and_recursive(tmp_path: Path) -> None:
    images = random_bytes(4, 5, 7)
    for image, name in zip(images, ["a/x.png", "a/y/z.bmp", "b.PGM", "c.tiff"], strict=True):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "set" / name, format={"PGM": "PPM"}.get(name[-3:]))
    (tmp_path / "set/notes.txt").write_text("not an image")
    (tmp_path / "set/.hidden").mkdir()
    (tmp_path / "set/.hidden/d.png").write_bytes(b"not read")
    (tmp_path / "set/._b.png").write_bytes(b"not read")
    source = open_images(tmp_path / "set")
    assert (source.name, source.shape, source.count) == ("set", (5, 7), 4)
    assert source.provenance.scaling == "8-bit 0…255 mapped to [-1, 1]"
    np.testing.assert_array_equal(rows(source, 3), images.reshape(4, -1) / 127.5 - 1)
    assert [len(batch) for batch in source.batches(3)] == [3, 1]
    some = rows(open_images(tmp_path / "set", limit=2))
    np.testing.assert_array_equal(
        some, rows(source)[np.sort(np.random.default_rng(0).choice(4, 2, replace=False, shuffle=False))]
    )


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".ppm", ".tif"])
def test_folder_formats(suffix: str, tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 15, dtype=np.uint8)[:, None, None], (16, 16, 3))
    write_images(tmp_path / "set", np.ascontiguousarray(ramp)[None], suffix, quality=95)
    source = open_images(tmp_path / "set")
    assert source.shape == (16, 16, 3)
    np.testing.assert_allclose(rows(source)[0], ramp.reshape(-1) / 127.5 - 1, atol=0.04)


def test_folder_modes(tmp_path: Path) -> None:
    colour = random_bytes(8, 8, 3)
    grey = random_bytes(8, 8, seed=1)
    deep = np.random.default_rng(2).integers(0, 65536, (8, 8), dtype=np.uint16)
    palette = Image.fromarray(colour).quantize(8)
    Image.fromarray(colour).save(tmp_path / "a_rgb.png")
    Image.fromarray(np.dstack([colour, grey])).save(tmp_path / "b_rgba.png")
    palette.save(tmp_path / "c_palette.png", transparency=bytes([0, 255, 128, 0, 9, 7, 5, 3]))
    Image.fromarray(grey).save(tmp_path / "d_grey.png")
    Image.fromarray(np.dstack([grey, grey])).save(tmp_path / "e_grey_alpha.png")
    Image.fromarray(deep).save(tmp_path / "f_deep.png")
    Image.fromarray(deep).save(tmp_path / "g_deep.tiff")
    Image.fromarray(grey > 127).save(tmp_path / "h_bit.png")
    source = open_images(tmp_path, alpha="drop")
    assert source.shape == (8, 8, 3)
    assert source.provenance.scaling == "8-bit 0…255 mapped to [-1, 1], uint16 0…65535 mapped to [-1, 1]"
    assert "alpha dropped in 3 images" in source.provenance.description
    assert "5 grey images repeated in three channels" in source.provenance.description
    repeated = [np.repeat(image[:, :, None], 3, axis=2) for image in (grey, grey, deep, deep, 255 * (grey > 127))]
    expected = [colour, colour, np.asarray(palette.convert("RGB")), *repeated]
    tops = [255, 255, 255, 255, 255, 65535, 65535, 255]
    for row, image, top in zip(rows(source), expected, tops, strict=True):
        np.testing.assert_array_equal(row, image.reshape(-1) / (top / 2) - 1)
    as_grey = open_images(tmp_path, grey=True, alpha="drop")
    assert as_grey.shape == (8, 8)
    assert "3 colour images converted to grey" in as_grey.provenance.description
    np.testing.assert_allclose(rows(as_grey)[0], (colour @ [0.299, 0.587, 0.114]).reshape(-1) / 127.5 - 1, atol=1e-14)
    np.testing.assert_array_equal(rows(as_grey)[5], deep.reshape(-1) / 32767.5 - 1)


def test_folder_resize_agrees_with_arrays(tmp_path: Path) -> None:
    images = random_bytes(3, 12, 9, 3)
    write_images(tmp_path / "set", images)
    source = open_images(tmp_path / "set", size=4)
    assert source.shape == (4, 4, 3)
    assert "resized from 12×9 to 4×4" in source.provenance.description
    np.testing.assert_allclose(rows(source), rows(open_images(images, size=4)), atol=1e-14)


def test_images_of_different_sizes(tmp_path: Path) -> None:
    write_images(tmp_path / "set", random_bytes(2, 8, 6))
    Image.fromarray(random_bytes(5, 7)).save(tmp_path / "set" / "other.png")
    with pytest.raises(
        DataError, match=r"image000\.png is 6×8, other\.png is 7×5 \(width×height\); give size= to resize"
    ):
        open_images(tmp_path / "set")
    source = open_images(tmp_path / "set", size=4)
    assert rows(source).shape == (3, 16)
    assert "resized from 2 different sizes to 4×4" in source.provenance.description
    assert open_images(tmp_path / "set", limit=1).shape in {(8, 6), (5, 7)}


def test_folders_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.txt").touch()
    with pytest.raises(
        DataError,
        match=r"empty: no images in this folder; it holds 1 \.txt \(not an image format that is read\); \.bmp",
    ):
        open_images(tmp_path / "empty")


@pytest.mark.parametrize("option", [{"patch": 8}, {"shape": (8, 8)}])
def test_options_that_do_not_apply_to_folders(option: dict[str, Any], tmp_path: Path) -> None:
    write_images(tmp_path / "set", random_bytes(1, 8, 8))
    with pytest.raises(DataError, match=r"does not apply to the folder set"):
        open_images(tmp_path / "set", **option)


def test_corrupt_images(tmp_path: Path) -> None:
    images = random_bytes(4, 16, 16, 3)
    write_images(tmp_path / "set", images)
    truncated = tmp_path / "set/image001.png"
    truncated.write_bytes(truncated.read_bytes()[:400])
    with pytest.raises(
        DataError, match=r"image001\.png: the image is corrupt .*skip_corrupt=True leaves such files out"
    ):
        rows(open_images(tmp_path / "set"))
    (tmp_path / "set/image003.png").write_bytes(b"no header")
    with pytest.raises(DataError, match=r"image003\.png: cannot be read as an image"):
        open_images(tmp_path / "set")

    skipped: list[str] = []
    source = open_images(tmp_path / "set", skip_corrupt=True, on_skip=skipped.append)
    assert source.count is None
    assert "left out: files that cannot be decoded" in source.provenance.description
    for _ in range(2):
        np.testing.assert_array_equal(rows(source), images[[0, 2]].reshape(2, -1) / 127.5 - 1)
    assert [message.split(":")[0] for message in skipped] == ["image003.png", "image001.png"]
    some = rows(open_images(tmp_path / "set", skip_corrupt=True, limit=2))
    assert {row.tobytes() for row in some} == {row.tobytes() for row in images[[0, 2]].reshape(2, -1) / 127.5 - 1}


def test_folders_with_corrupt_images_only(tmp_path: Path) -> None:
    write_images(tmp_path / "set", random_bytes(2, 16, 16, 3))
    for path in (tmp_path / "set").iterdir():
        path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"set: none of its 2 images can be decoded"):
        rows(open_images(tmp_path / "set", skip_corrupt=True))
    for path in (tmp_path / "set").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"set: none of its 2 image files can be read"):
        open_images(tmp_path / "set", skip_corrupt=True)


def test_pixels_without_a_fixed_range(tmp_path: Path) -> None:
    """Floats and wide integers are read as the values of all files say, as arrays are."""
    ramp = np.linspace(0, 1, 32, dtype=np.float32).reshape(2, 4, 4)
    for number, image in enumerate(ramp):
        Image.fromarray(image).save(tmp_path / f"{number}.tif")
    source = open_images(tmp_path)
    np.testing.assert_allclose(rows(source), 2 * ramp.reshape(2, -1) - 1, atol=1e-7)
    assert "float32 values (range 0…1) mapped from [0, 1]" in source.provenance.scaling
    np.testing.assert_allclose(rows(open_images(tmp_path, range=(0, 2))), ramp.reshape(2, -1) - 1, atol=1e-7)
    for number, image in enumerate(ramp):
        Image.fromarray((4095 * image).astype(np.uint16)).save(tmp_path / f"{number}.tif")
    with pytest.raises(DataError, match=r"type --range 0,4095 \(12-bit pixels\) or --range 0,65535"):
        open_images(tmp_path)
    (tmp_path / "1.tif").unlink()
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "0.tif")
    with pytest.raises(DataError, match=r"int32 values are 70000…70000"):
        open_images(tmp_path)
