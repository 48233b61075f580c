"""``"FILE::KEY"`` of archives: folders, files and endings; and archives that are large when unpacked, or damaged."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from containers import encoded, npy, pngs, write_tar, write_zip
from kappaflow import memory
from kappaflow.datasets import DataError, arrays, open_images
from pictures import random_bytes, rows

IMAGES = random_bytes(12, 6, 5, 3)
PIXELS = IMAGES.reshape(12, -1) / 127.5 - 1


def splits(folder: str = "") -> dict[str, bytes]:
    """Eight images of "train", two of them cats, and four of "test"."""
    parts = {f"{folder}train/cat": IMAGES[:2], f"{folder}train/dog": IMAGES[2:8], f"{folder}test/cat": IMAGES[8:]}
    return {name: content for part, images in parts.items() for name, content in pngs(images, f"{part}/").items()}


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_folders(tmp_path: Path, write: object) -> None:
    path = write(tmp_path / ("a.zip" if write is write_zip else "a.tar"), splits("data/"))  # type: ignore[operator]
    assert open_images(path).count == 12
    source = open_images(f"{path}::data/train")
    np.testing.assert_array_equal(rows(source), PIXELS[:8])
    assert source.provenance.what.startswith(f"'data/train' of the archive {path.name}")
    assert source.provenance.left_out == ("4 files not of 'data/train'",)
    np.testing.assert_array_equal(rows(open_images(f"{path}::data/train/cat/")), PIXELS[:2])
    with pytest.raises(
        DataError, match=r"holds no folder, file or ending 'train', but data/ \(12 files\), data/test/ \(4 files\)"
    ):
        open_images(f"{path}::train")
    with pytest.raises(DataError, match=r"did you mean .*::data/train\?"):
        open_images(f"{path}::data/tran")
    with pytest.raises(DataError, match=r"holds no folder, file or ending '\.\./data'"):
        open_images(f"{path}::../data")


def test_files_and_endings_of_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"x.npy": npy(IMAGES), "y.npy": npy(np.arange(12)), **pngs(IMAGES[:3])})
    with pytest.raises(
        DataError, match=r"3 images and 2 \.npy arrays.*type one of them behind an archive, as a\.zip::npy"
    ):
        open_images(path)
    np.testing.assert_array_equal(rows(open_images(f"{path}::x.npy")), PIXELS)
    np.testing.assert_array_equal(rows(open_images(f"{path}::png")), PIXELS[:3])
    with pytest.raises(DataError, match=r"arrays of different (shapes|dtypes)"):
        open_images(f"{path}::npy")


def samples(numbers: range) -> dict[str, bytes]:
    """Samples of WebDataset: an image, its mask and its class."""
    members = {}
    for number in numbers:
        members |= {
            f"{number:03d}.jpg.png": encoded(IMAGES[number]),
            f"{number:03d}.seg.png": encoded(IMAGES[number, ..., 0]),
        }
        members[f"{number:03d}.cls"] = str(number % 3).encode()
    return members


def test_samples_of_several_images(tmp_path: Path) -> None:
    for shard in range(3):
        write_tar(tmp_path / f"a-{shard}.tar", samples(range(4 * shard, 4 * shard + 4)))
    with pytest.raises(DataError, match=r"several images \(\.jpg\.png, \.seg\.png\).*as a-0\.tar::jpg\.png"):
        open_images(tmp_path / "a-0.tar")
    for data in (f"{tmp_path}/a-{{0..2}}.tar::seg.png", f"{tmp_path}::seg.png"):
        source = open_images(data)
        np.testing.assert_array_equal(rows(source), IMAGES[..., 0].reshape(12, -1) / 127.5 - 1)
        assert source.labels is not None
        np.testing.assert_array_equal(source.labels(), np.arange(12) % 3)
        assert "24 files not of 'seg.png'" in source.provenance.left_out
    with pytest.raises(
        DataError, match=r"a-0\.tar: holds no folder, file or ending 'depth\.png', but \.jpg\.png \(4 files\)"
    ):
        open_images(f"{tmp_path}::depth.png")


def test_a_file_of_many_folders_lists_ten(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {f"{n:03d}/a.png": encoded(IMAGES[0]) for n in range(40)})
    with pytest.raises(DataError, match=r"009/ \(1 files\) and 31 more$"):
        open_images(f"{path}::x")


# ---------------------------------------------------------------- size and damage
def test_npz_that_is_large_when_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((100, 100, 100), np.uint8), small=IMAGES)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(memory, "_of_machine", lambda: 1_000_000)
    with pytest.raises(MemoryError, match=r"unpacking the array 'x' of 1,000,128 bytes needs .* save it as \.npy"):
        open_images(f"{path}::x")
    np.testing.assert_array_equal(rows(open_images(f"{path}::small")), PIXELS)


def test_npz_whose_header_is_wrong_or_that_is_damaged(tmp_path: Path) -> None:
    header = npy(np.zeros((3, 3), np.uint8)).replace(b"(3, 3), }", b"(99999999, 99999), }")
    content = header[:8] + (len(header) - 19).to_bytes(2, "little") + header[10:]
    write_zip(tmp_path / "a.npz", {"x.npy": content})
    with pytest.raises(DataError, match=r"declares shape \(99999999, 99999\)|not an .npz file"):
        open_images(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", x=IMAGES)
    damaged = bytearray((tmp_path / "b.npz").read_bytes())
    damaged[400:420] = bytes(20)
    (tmp_path / "b.npz").write_bytes(bytes(damaged))
    with pytest.raises(DataError, match=r"b\.npz: not an \.npz file of numbers that can be read"):
        open_images(tmp_path / "b.npz")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("x.npy", b"")
    with pytest.raises(DataError, match=r"c\.npz: not an \.npz file"):
        open_images(tmp_path / "c.npz")
    with zipfile.ZipFile(tmp_path / "d.npz", "w"):
        pass
    with pytest.raises(DataError, match=r"d\.npz: holds no array"):
        open_images(tmp_path / "d.npz")


def test_pieces_that_are_large_when_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 1000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.zeros((100, 8, 8), np.uint8), chunks=(100, 8, 8), compression="gzip")
        file.create_dataset("y", data=IMAGES)
    with pytest.raises(DataError, match=r"a\.h5: the array 'x' has pieces \(chunks\) of 6,400 bytes.* smaller chunks"):
        open_images(f"{tmp_path / 'a.h5'}::x")
    assert open_images(f"{tmp_path / 'a.h5'}::y").count == 12
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(100, 8, 8), chunks=(100, 8, 8), dtype="uint8")
    with pytest.raises(DataError, match=r"a\.zarr: the array '' has pieces"):
        open_images(tmp_path / "a.zarr")
