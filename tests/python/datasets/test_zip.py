"""Zip archives: images and arrays, labels, members left out, and archives made to do harm."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from containers import encoded, npy, pngs, write_zip
from kappaflow.datasets import DataError, members, open_images
from pictures import random_bytes, rows

IMAGES = random_bytes(12, 6, 5, 3)
PIXELS = IMAGES.reshape(12, -1) / 127.5 - 1


def test_images_in_the_order_of_their_names(tmp_path: Path) -> None:
    files = dict(reversed(pngs(IMAGES, "00000/img").items()))
    source = open_images(write_zip(tmp_path / "data.zip", files))
    assert (source.name, source.shape, source.count, source.labels) == ("data.zip", (6, 5, 3), 12, None)
    assert source.provenance.description.startswith("the archive data.zip: 12 image files; ")
    np.testing.assert_array_equal(rows(source, 5), PIXELS)
    np.testing.assert_array_equal(rows(source), PIXELS)


@pytest.mark.parametrize("packed", [False, True])
def test_stylegan_labels(tmp_path: Path, packed: bool) -> None:
    files = pngs(IMAGES, "00000/img")
    labels = [[name, number % 3] for number, name in enumerate(files)]
    source = open_images(write_zip(tmp_path / "data.zip", files, packed=packed, labels=labels[::-1]))
    assert source.labels is not None
    np.testing.assert_array_equal(source.labels(), np.arange(12) % 3)
    np.testing.assert_array_equal(rows(source), PIXELS)


@pytest.mark.parametrize("labels", [[], [[f"img{n:05d}.png", [0.1, 0.2]] for n in range(12)]])
def test_no_labels_for_all_images(tmp_path: Path, labels: list[object]) -> None:
    assert open_images(write_zip(tmp_path / "data.zip", pngs(IMAGES), labels=labels)).labels is None


def test_images_without_a_label(tmp_path: Path) -> None:
    labels = [["img00000.png", 1], ["img00002.png", 3]]
    source = open_images(write_zip(tmp_path / "data.zip", pngs(IMAGES), labels=labels))
    assert source.labels is not None
    assert source.labels().tolist() == [1, None, 3, *[None] * 9]
    assert source.class_labels().without_class == 10


def test_damaged_labels(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {**pngs(IMAGES), "dataset.json": b'{"labels": [1, 2]}'})
    with pytest.raises(DataError, match=r"data\.zip: dataset\.json must be of the form"):
        open_images(path)


def test_other_members_are_counted(tmp_path: Path) -> None:
    files = {**pngs(IMAGES), "README.txt": b"x", "a/b.txt": b"y", "LICENSE": b"z", "__MACOSX/._img.png": b"?"}
    source = open_images(write_zip(tmp_path / "data.zip", files))
    assert source.count == 12
    assert source.provenance.left_out == ("2 files .txt", "1 file without suffix", "1 file .png")


def test_arrays_one_image_each_and_stacks(tmp_path: Path) -> None:
    single = write_zip(tmp_path / "a.zip", {f"{n:03d}.npy": npy(image) for n, image in enumerate(IMAGES)}, packed=True)
    stacks = write_zip(tmp_path / "b.zip", {"0.npy": npy(IMAGES[:5]), "1.npy": npy(np.asfortranarray(IMAGES[5:]))})
    for path, text in ((single, "12 arrays (one image each)"), (stacks, "2 arrays (stacks of images)")):
        source = open_images(path)
        assert (source.shape, source.count) == ((6, 5, 3), 12)
        assert text in source.provenance.what
        np.testing.assert_array_equal(rows(source, 5), PIXELS)


def test_options_apply(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", pngs(IMAGES))
    np.testing.assert_allclose(
        rows(open_images(path, size=3, grey=True)), rows(open_images(IMAGES, size=3, grey=True)), rtol=0, atol=1e-14
    )
    bad = write_zip(tmp_path / "bad.zip", {**pngs(IMAGES), "img99.png": encoded(IMAGES[0])[:60]})
    skipped: list[str] = []
    source = open_images(bad, skip_corrupt=True, on_skip=skipped.append)
    np.testing.assert_array_equal(rows(source), PIXELS)
    assert len(skipped) == 1
    assert skipped[0].startswith("img99.png")


# ---------------------------------------------------------------- refused
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"data\.zip: no images; .*\.npy files can be read$"),
        ({"a.csv": b"1", "b.csv": b"2"}, r"data\.zip: no images; .*; it holds 2 files \.csv"),
        ({"a.png": b"x", "b.npy": b"y"}, r"holds 1 images and 1 \.npy arrays"),
        ({"a.png": encoded(IMAGES[0]), "b.png": encoded(IMAGES[0, :3])}, r"images of different sizes: a\.png is 5×6"),
        ({"a.npy": npy(np.zeros((3, 4))), "b.npy": npy(np.zeros((3, 5)))}, r"a\.npy is \(3, 4\), b\.npy is \(3, 5\)"),
        ({"a.npy": npy(np.zeros(3)), "b.npy": npy(np.zeros(3, "f4"))}, r"a\.npy is float64, b\.npy is float32"),
        (dict.fromkeys(["a.npy", "b.npy"], npy(np.zeros((9, 5, 5)))), r"give shape=\(9, 5, 5\) or shape=\(5, 5\)"),
        ({"a.npy": npy(np.array([{"a": 1}], object))}, r"a\.npy: holds Python objects \(a pickle\), which are never"),
        ({"a.npy": b"\x93NUMPY\x01\x00"}, r"a\.npy: not a \.npy file of numbers"),
        ({"a.npy": npy(np.zeros((4, 4)))[:-8]}, r"header declares shape \(4, 4\) float64, 256 bytes, but it has 248"),
    ],
)
def test_refused(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(open_images(write_zip(tmp_path / "data.zip", files)))


@pytest.mark.parametrize("shape", [(9, 4, 4), (4, 4)])
def test_shape_decides_what_an_array_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    arrays = random_bytes(3, 9, 4, 4)
    path = write_zip(tmp_path / "data.zip", {f"{n}.npy": npy(array) for n, array in enumerate(arrays)})
    source = open_images(path, shape=shape)
    assert source.shape == shape
    np.testing.assert_array_equal(rows(source).ravel(), arrays.ravel() / 127.5 - 1)


def test_not_a_zip(tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"data\.zip: not a zip archive that can be read"):
        open_images(tmp_path / "data.zip")


# ---------------------------------------------------------------- harm
def test_names_that_leave_the_archive_are_only_names(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    names = ("../out.png", "/tmp/out.png", "C:\\out.png", "a/../../out.png", "\x1b[2Jout.png")
    path = write_zip(inside / "data.zip", {name: encoded(image) for name, image in zip(names, IMAGES, strict=False)})
    source = open_images(path)
    assert len(rows(source)) == 5
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["data.zip"]
    path = write_zip(tmp_path / "bad.zip", {"\x1b[2Jout.png": b"bad"})
    with pytest.raises(DataError, match=r"^\?\[2Jout\.png"):
        open_images(path)


def test_declared_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "IMAGE_BYTES", 10_000)
    path = write_zip(tmp_path / "data.zip", {"a.png": encoded(IMAGES[0]) + bytes(20_000)}, packed=True)
    assert path.stat().st_size < 1000
    with pytest.raises(
        DataError, match=r"a\.png: takes 20,\d{3} bytes when unpacked, and at most 10,000 are .* unpack the"
    ):
        open_images(path)


def test_bomb_that_declares_little(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"a.npy": npy(np.zeros((2, 500, 500)))}, packed=True)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # the sizes when unpacked, in both headers
        struct.pack_into("<I", content, content.index(mark) + offset, 1000)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy: .*Bad CRC-32"):
        list(open_images(path))


def test_array_whose_header_declares_terabytes(tmp_path: Path) -> None:
    header = npy(np.zeros((4, 4))).replace(b"(4, 4), }          ", b"(1000000000000, 4),}"[:19])
    path = write_zip(tmp_path / "data.zip", {"a.npy": header})
    with pytest.raises(DataError, match=r"a\.npy: (its header declares|not a \.npy)"):
        open_images(path)


def test_pixels_of_a_bomb(tmp_path: Path) -> None:
    png = bytearray(encoded(np.zeros((1, 1), np.uint8)))
    struct.pack_into(">II", png, 16, 60_000, 60_000)
    struct.pack_into(">I", png, 29, zlib.crc32(png[12:29]))
    with pytest.raises(DataError, match=r"a\.png: .*pixels"):
        open_images(write_zip(tmp_path / "data.zip", {"a.png": bytes(png)}))


def test_encrypted_members(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", pngs(IMAGES[:2]))
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.zip: 1 of its 2 members need a password; unpack it first"):
        open_images(path)


def test_damaged_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", pngs(IMAGES[:2]))
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"img00000\.png: cannot be read from data\.zip \(Bad CRC-32"):
        open_images(path)
