"""Arrays, tensors and array files: every source of the same images agrees; channels, resizing; every error."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from kappaflow.datasets import DataError, open_images
from kappaflow.pixel_range import ValueSurvey
from pictures import Tensor, random_bytes, rows, write_images


def test_all_sources_of_the_same_images_agree(tmp_path: Path) -> None:
    images = random_bytes(11, 6, 5, 3)
    np.save(tmp_path / "images.npy", images)
    np.savez(tmp_path / "one.npz", pictures=images)
    np.savez(tmp_path / "many.npz", labels=np.arange(11), images=images)
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        file.create_dataset("train/pictures", data=images, chunks=(4, 6, 5, 3), compression="gzip")
    with h5py.File(tmp_path / "many.hdf5", "w") as file:
        file["x"], file["labels"] = images, np.arange(11)
    write_images(tmp_path / "folder", images)
    names = ["images.npy", "one.npz", "many.npz", "deep.h5", "many.hdf5", "folder"]
    sources = [open_images(tmp_path / name) for name in names]
    assert [source.name for source in sources] == names
    sources += [open_images(str(tmp_path / "folder")), open_images(images)]
    sources += [open_images(np.load(tmp_path / "images.npy", mmap_mode="r")), open_images(Tensor(images))]
    sources += [open_images([images[:4], Tensor(images[4:])])]
    expected = images.reshape(11, -1) / 127.5 - 1
    for source in sources:
        assert source.shape == (6, 5, 3)
        assert source.count == (None if source.name == "batches" else 11)
        assert "[-1, 1]" in source.provenance.scaling
        np.testing.assert_array_equal(rows(source, 4), expected)
        np.testing.assert_array_equal(rows(source), expected)


def test_arrays_that_slice_themselves_are_read_in_blocks(tmp_path: Path) -> None:
    images = random_bytes(5, 3, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        source = open_images(file.create_dataset("a", data=images))
        np.testing.assert_array_equal(rows(source), images.reshape(5, 9) / 127.5 - 1)


def test_zarr(tmp_path: Path) -> None:
    images = random_bytes(5, 3, 3)
    zarr.save_array(str(tmp_path / "a.zarr"), images)
    np.testing.assert_array_equal(rows(open_images(tmp_path / "a.zarr")), images.reshape(5, 9) / 127.5 - 1)


def test_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    values = torch.linspace(-1, 1, 24).reshape(2, 3, 4).requires_grad_()
    np.testing.assert_array_equal(rows(open_images(values)), values.detach().numpy().reshape(2, 12))
    assert open_images(values.to(torch.bfloat16)).shape == (3, 4)


def test_bfloat16_and_dlpack() -> None:
    values = np.array([[-1.0, 0.5]], np.float32)
    np.testing.assert_array_equal(rows(open_images(Tensor(values, dtype="torch.bfloat16"))), values)

    class Capsule:
        def __dlpack__(self, **options: Any) -> Any:
            return values.__dlpack__(**options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return values.__dlpack_device__()

    np.testing.assert_array_equal(rows(open_images(Capsule())), values)


def test_memmap_is_not_loaded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kappaflow.datasets.arrays.BATCH_BYTES", 2**20)
    images = np.lib.format.open_memmap(tmp_path / "big.npy", mode="w+", dtype=np.float32, shape=(8000, 500))
    images[:] = 0.5  # 16 MB in the file, 32 MB as float64
    del images
    tracemalloc.start()
    total = 0
    for batch in open_images(tmp_path / "big.npy").batches(200):
        total += len(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 8000
    assert peak < 8e6


def test_an_array_of_30_gb_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening takes no longer for a larger array, and a limit reads the images that it draws."""
    monkeypatch.setattr("kappaflow.datasets.arrays.SURVEYED_BYTES", 2**22)
    looked_at: list[int] = []
    add = ValueSurvey.add
    monkeypatch.setattr(ValueSurvey, "add", lambda self, values: (looked_at.append(values.nbytes), add(self, values)))
    image = random_bytes(1, 64, 64, 3)
    large = np.broadcast_to(image, (2_450_000, 64, 64, 3))  # one image in memory
    source = open_images(large)
    assert (source.count, large.nbytes > 30e9) == (2_450_000, True)
    assert len(looked_at) == 64
    assert sum(looked_at) <= 2**22
    np.testing.assert_array_equal(rows(open_images(large, limit=3)), np.repeat(image.reshape(1, -1) / 127.5 - 1, 3, 0))
    np.testing.assert_array_equal(next(iter(source.batches(2))), np.repeat(image.reshape(1, -1) / 127.5 - 1, 2, 0))


def test_shape_limit_and_channel_layouts() -> None:
    images = random_bytes(7, 6, 5, 3)
    source = open_images(images.reshape(7, -1), shape=(6, 5, 3), limit=5)
    assert (source.shape, source.count) == ((6, 5, 3), 5)
    assert "5 of 7 images, a random subset (seed 0)" in source.provenance.description
    chosen = np.sort(np.random.default_rng(0).choice(7, 5, replace=False, shuffle=False))
    np.testing.assert_array_equal(rows(source), images[chosen].reshape(5, -1) / 127.5 - 1)
    assert open_images(images, limit=50).count == 7
    last = open_images(images, grey=True, size=2)
    first = open_images(np.moveaxis(images, 3, 1), grey=True, size=2)
    assert last.shape == first.shape == (2, 2)
    np.testing.assert_allclose(rows(last), rows(first), atol=1e-15)
    colour_first = open_images(np.moveaxis(images, 3, 1), size=2)
    assert colour_first.shape == (3, 2, 2)
    expected = np.moveaxis(rows(open_images(images, size=2)).reshape(7, 2, 2, 3), 3, 1).reshape(7, -1)
    np.testing.assert_allclose(rows(colour_first), expected, atol=1e-15)


def test_grey_is_luma_and_leaves_grey_images_alone() -> None:
    images = random_bytes(3, 4, 4, 3)
    luma = (images @ np.array([0.299, 0.587, 0.114])) / 127.5 - 1
    source = open_images(images, grey=True)
    assert "luma" in source.provenance.description
    np.testing.assert_allclose(rows(source), luma.reshape(3, -1), atol=1e-14)
    np.testing.assert_array_equal(rows(open_images(images[..., 0], grey=True)), rows(open_images(images[..., 0])))
    assert open_images(images[..., :1], grey=True).shape == (4, 4)


@pytest.mark.parametrize("size", [1, 3, 5, 7, 14, 20])
def test_resize_is_an_area_average(size: int) -> None:
    images = random_bytes(2, 15, 15)
    source = open_images(images, size=size, resize="area", crop="none")
    resized = rows(source).reshape(2, size, size)
    assert source.shape == (size, size)
    assert "resized from 15×15" in source.provenance.description
    np.testing.assert_allclose(resized.mean(axis=(1, 2)), images.mean(axis=(1, 2)) / 127.5 - 1, atol=1e-13)
    # reference: repeat every pixel `size` times along both axes, then the new pixels are plain means of 15×15 blocks
    fine = np.kron(images / 127.5 - 1, np.ones((1, size, size)))
    blocks = fine.reshape(2, size, 15, size, 15).mean(axis=(2, 4))
    np.testing.assert_allclose(resized, blocks, atol=1e-13)


def test_resize_keeps_pieces_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are full although their unresized images are read in smaller blocks."""
    monkeypatch.setattr("kappaflow.datasets.arrays.BATCH_BYTES", 2 * 8 * 64 * 3)
    source = open_images(random_bytes(20, 8, 8), size=2)
    assert [len(batch) for batch in source.batches(10)] == [10, 10]


# ---------------------------------------------------------------- arrays that cannot be used
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.array(3.0), r"at least two dimensions, the first of which counts images; got shape \(\)"),
        (np.float64(3.0), r"at least two dimensions"),
        (np.zeros(5), r"at least two dimensions, the first of which counts images; got shape \(5,\)"),
        (np.array([[None, "x"]], object), r"must be bool, integer or float numbers; got dtype object"),
        (np.zeros((2, 2), complex), r"must be bool, integer or float numbers; got dtype complex128"),
        (np.array([["a", "b"]]), r"must be bool, integer or float numbers; got dtype <U1"),
        (np.zeros((0, 4)), r"the array is empty, its shape is \(0, 4\)"),
        (np.zeros((4, 0)), r"the array is empty, its shape is \(4, 0\)"),
        (np.ma.masked_equal(np.eye(3), 0), r"a masked array has missing values"),
    ],
)
def test_arrays_that_cannot_be_used(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_images(data)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_in_arrays_and_files(value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kappaflow.datasets.arrays.BATCH_BYTES", 8 * 4 * 4)  # blocks of two images
    images = np.zeros((9, 2, 2), np.float32)
    images[5, 1, 0] = images[7, 0, 0] = value
    message = rf"image 5 \(counted from 0\) holds {value}; all values must be finite"
    with pytest.raises(DataError, match="array: " + message):
        open_images(images)
    np.save(tmp_path / "bad.npy", images)
    with pytest.raises(DataError, match=r"bad\.npy: " + message):
        open_images(tmp_path / "bad.npy")
    with pytest.raises(DataError, match="array: " + message):  # the range is that of all images
        open_images(images, limit=5)


@pytest.mark.parametrize("data", [3, None, b"digits", {"a": np.zeros((2, 2))}, {1, 2}, object()])
def test_types_that_are_never_read(data: Any) -> None:
    with pytest.raises(TypeError, match=r"images cannot be read from a \w+; pass a path, an array or batches"):
        open_images(data)


def test_sparse_matrices_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"a sparse \w+ is not read; pass its \.toarray\(\)"):
        open_images(sparse.eye_array(3, format="csr"))


# ---------------------------------------------------------------- files that cannot be used
def test_missing_paths_and_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'mnist' is neither a path .* \(digits, mnist5k, patches, faces\); did you mean"
    ):
        open_images("mnist")
    with pytest.raises(DataError, match=r"did you mean 'digits'\?"):
        open_images("Digit")
    with pytest.raises(DataError, match=r"nowhere\.npy' is neither a path that exists nor a built-in dataset"):
        open_images(tmp_path / "nowhere.npy")


def test_several_arrays_in_one_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", train=np.zeros((2, 2)), test=np.zeros((2, 2)))
    with pytest.raises(
        DataError,
        match=r"two\.npz: holds several arrays .*: test \(2, 2\) float64, train .*; type .* two\.npz::test",
    ):
        open_images(tmp_path / "two.npz")
    with h5py.File(tmp_path / "none.h5", "w"):
        pass
    with pytest.raises(DataError, match=r"none\.h5: holds no array"):
        open_images(tmp_path / "none.h5")


@pytest.mark.parametrize("name", ["bad.npy", "bad.npz", "bad.h5"])
def test_damaged_array_files(name: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / name).write_bytes(b"these are not the bytes of an array file")
    with pytest.raises(DataError, match=rf"{name}: not an? \S+ file .*can be read"):
        open_images(tmp_path / name)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([[None, 1]], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"objects\.npy: holds Python objects \(a pickle\), which are never loaded"):
        open_images(tmp_path / "objects.npy")
    np.savez(tmp_path / "objects.npz", images=np.array([[None, 1]], object))
    with pytest.raises(
        DataError, match=r"objects\.npz, array 'images': holds Python objects \(a pickle\), which are never"
    ):
        open_images(tmp_path / "objects.npz")


def test_files_of_other_types(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"weights\.bin': files of this type cannot be read; folders of images"):
        open_images(tmp_path / "weights.bin")
    write_images(tmp_path, random_bytes(1, 4, 4))
    with pytest.raises(DataError, match=r"image000\.png' is a single image; give the folder"):
        open_images(tmp_path / "image000.png")


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("h5py", "a.h5", r"needs h5py: pip install \"kappaflow\[hdf5\]\""),
        ("zarr", "a.zarr", r"needs zarr: pip install \"kappaflow\[zarr\]\""),
        ("PIL", "folder", r"needs Pillow: pip install \"kappaflow\[images\]\""),
    ],
)
def test_missing_packages_for_files(
    module: str, name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "folder", random_bytes(1, 4, 4))
    (tmp_path / "a.h5").touch()
    (tmp_path / "a.zarr").mkdir()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        open_images(tmp_path / name)
