"""The same 200 images in every container, type, layout and depth: the same population, or an error that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import nibabel
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

import kappaflow as kf
from containers import encoded, npy, write_dicom, write_tar, write_zip
from kappaflow.datasets import DataError, open_images
from pictures import png_16

COUNT = 200


def pictures() -> np.ndarray:
    """Smooth colour images (200, 6, 5, 3) of 8 bits that use the whole range."""
    generator = np.random.default_rng(7)
    waves = np.cumsum(generator.normal(size=(COUNT, 6, 5, 3)), axis=1)
    scaled = (waves - waves.min()) / np.ptp(waves) * 255
    return np.round(scaled).astype(np.uint8)


IMAGES = pictures()
PIXELS = IMAGES / 127.5 - 1

# Type of the stored values → the values that mean the same pixels.
TYPES: dict[str, Callable[[], np.ndarray]] = {
    "uint8": lambda: IMAGES,
    "int64 of 8 bits": lambda: IMAGES.astype(np.int64),
    "float32 in [0, 255]": lambda: IMAGES.astype(np.float32),
    "uint16": lambda: IMAGES.astype(np.uint16) * 257,
    "float64 in [0, 1]": lambda: IMAGES / 255,
    "float32 in [-1, 1]": lambda: PIXELS.astype(np.float32),
    "float64 in [-1, 1]": lambda: PIXELS,
    "float16 in [-1, 1]": lambda: PIXELS.astype(np.float16),
}


def npy_file(path: Path, values: np.ndarray) -> Path:
    np.save(path / "a.npy", values)
    return path / "a.npy"


def fortran_file(path: Path, values: np.ndarray) -> Path:
    np.save(path / "f.npy", np.asfortranarray(values))
    return path / "f.npy"


def npz_file(path: Path, values: np.ndarray) -> Path:
    np.savez_compressed(path / "a.npz", images=values)
    return path / "a.npz"


def h5_file(path: Path, values: np.ndarray) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        file.create_dataset("images", data=values, chunks=(7, *values.shape[1:]), compression="gzip")
    return path / "a.h5"


def zarr_store(path: Path, values: np.ndarray) -> Path:
    zarr.save_array(str(path / "a.zarr"), values)
    return path / "a.zarr"


def pt_file(path: Path, values: np.ndarray) -> Path:
    torch.save({"images": torch.from_numpy(np.array(values))}, path / "a.pt")
    return path / "a.pt"


def safetensors_file(path: Path, values: np.ndarray) -> Path:
    save_file({"images": np.ascontiguousarray(values)}, path / "a.safetensors")
    return path / "a.safetensors"


def one_npy_each(path: Path, values: np.ndarray) -> Path:
    (path / "each").mkdir(exist_ok=True)
    for number, image in enumerate(values):
        np.save(path / "each" / f"{number:03d}.npy", image)
    return path / "each"


def stacks_of_npy(path: Path, values: np.ndarray) -> Path:
    (path / "stacks").mkdir(exist_ok=True)
    np.save(path / "stacks" / "0.npy", values[:70])
    np.save(path / "stacks" / "1.npy", values[70:])
    return path / "stacks"


def zip_of_npy(path: Path, values: np.ndarray) -> Path:
    return write_zip(path / "n.zip", {f"{n:03d}.npy": npy(image) for n, image in enumerate(values)}, packed=True)


def tar_of_npy(path: Path, values: np.ndarray) -> Path:
    return write_tar(path / "n.tar", {f"{n:03d}.npy": npy(image) for n, image in enumerate(values)})


def lists(values: np.ndarray) -> pa.Table:
    array = pa.array(values.reshape(-1))
    for side in values.shape[:0:-1]:
        array = pa.FixedSizeListArray.from_arrays(array, side)
    return pa.table({"images": array})


def parquet_file(path: Path, values: np.ndarray) -> Path:
    pyarrow.parquet.write_table(lists(values), path / "a.parquet", row_group_size=33)
    return path / "a.parquet"


def arrow_file(path: Path, values: np.ndarray) -> Path:
    table = lists(values)
    with pa.OSFile(str(path / "a.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=41)
    return path / "a.arrow"


class Stored(NamedTuple):
    """Stored values, the place of each value of an image (H, W, C) in them, and their rounding."""

    values: np.ndarray
    order: np.ndarray
    rounding: float


ARRAYS = (
    *(npy_file, fortran_file, npz_file, h5_file, zarr_store, pt_file, safetensors_file),
    *(one_npy_each, stacks_of_npy, zip_of_npy, tar_of_npy, parquet_file, arrow_file),
)


EXACT = kf.Population.from_samples(open_images(IMAGES), profiles=0)


def check(data: object, rounding: float = 0.0, *, order: np.ndarray | None = None, **options: Any) -> None:
    """`data` gives the images in their order and thus the population: mean, eigenvalues and number of images.

    `order` are the places that the values of an image (H, W, C) have in the rows of `data`; None if they stay where they are.
    """
    source = open_images(data, **options)
    found = np.concatenate(list(source.batches(64)))
    order = np.arange(PIXELS[0].size) if order is None else order
    np.testing.assert_allclose(found, PIXELS.reshape(COUNT, -1)[:, order], rtol=0, atol=rounding + 1e-15)
    population = kf.Population.from_samples(source, profiles=0)
    assert population.sample_size == COUNT
    assert population.mean is not None
    np.testing.assert_allclose(population.mean, EXACT.mean[order], rtol=0, atol=rounding + 1e-14)
    # rounding moves no eigenvalue by more than the norm of the change of the covariance
    bound = 4 * rounding * np.sqrt(EXACT.dimension * EXACT.total_variance) + 1e-12
    np.testing.assert_allclose(population.eigenvalues, EXACT.eigenvalues, rtol=0, atol=bound)


def stored(channels: str, kind: str) -> Stored:
    """The images in one type and layout, the places of their values, and the rounding of the type."""
    values, order = TYPES[kind](), np.arange(PIXELS[0].size).reshape(PIXELS.shape[1:])
    if channels == "first":
        values, order = np.moveaxis(values, 3, 1), np.moveaxis(order, 2, 0)
    if channels == "flat":
        values = values.reshape(COUNT, -1)
    return Stored(values, order.reshape(-1), {"float16": 5e-4, "float32": 1e-7}.get(kind.split()[0], 0.0))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("write", ARRAYS, ids=lambda write: write.__name__)
def test_types(tmp_path: Path, write: Callable[[Path, np.ndarray], Path], kind: str) -> None:
    values, order, rounding = stored("last", kind)
    check(write(tmp_path, values), rounding, order=order)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float64 in [-1, 1]"])
@pytest.mark.parametrize("channels", ["first", "flat"])
@pytest.mark.parametrize("write", ARRAYS, ids=lambda write: write.__name__)
def test_layouts(tmp_path: Path, write: Callable[[Path, np.ndarray], Path], channels: str, kind: str) -> None:
    values, order, rounding = stored(channels, kind)
    check(write(tmp_path, values), rounding, order=order, **({"shape": (6, 5, 3)} if channels == "flat" else {}))


@pytest.mark.parametrize("write", ARRAYS, ids=lambda write: write.__name__)
def test_10_bits_in_16_are_asked_about_in_every_container(
    tmp_path: Path, write: Callable[[Path, np.ndarray], Path]
) -> None:
    values = IMAGES.astype(np.uint16) * 4
    path = write(tmp_path, values)
    with pytest.raises(DataError, match=r"range"):
        open_images(path)
    check(path, range=(0, 1020))


# ---------------------------------------------------------------- published layouts of .npz
def test_medmnist_and_cifar(tmp_path: Path) -> None:
    few = IMAGES[:20]
    medmnist = {"train_images": IMAGES, "val_images": few, "test_images": few}
    medmnist |= {
        name.replace("images", "labels"): np.zeros((len(part), 1), np.uint8) for name, part in medmnist.items()
    }
    np.savez(tmp_path / "medmnist.npz", **medmnist)
    with pytest.raises(DataError, match=r"train_images \(200, 6, 5, 3\) uint8.*medmnist\.npz::train_images"):
        open_images(tmp_path / "medmnist.npz")
    check(f"{tmp_path / 'medmnist.npz'}::train_images")
    np.savez_compressed(
        tmp_path / "keras.npz", x_train=IMAGES, y_train=np.zeros(COUNT, int), x_test=few, y_test=np.zeros(20)
    )
    check(f"{tmp_path / 'keras.npz'}::x_train")
    flat = np.moveaxis(IMAGES, 3, 1).reshape(COUNT, -1)
    names = np.array([f"image_{number}.png" for number in range(COUNT)])
    np.savez(tmp_path / "batch.npz", data=flat, labels=np.zeros(COUNT, np.int64), filenames=names)
    order = np.moveaxis(np.arange(90).reshape(6, 5, 3), 2, 0).reshape(-1)
    check(tmp_path / "batch.npz", order=order, shape=(3, 6, 5))


# ---------------------------------------------------------------- encoded images
def image_folder(path: Path, files: dict[str, bytes]) -> object:
    folder = path / "images"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def image_zip(path: Path, files: dict[str, bytes]) -> object:
    return write_zip(path / "i.zip", files)


def image_tar(path: Path, files: dict[str, bytes]) -> object:
    return write_tar(path / "i.tar.gz", files, mode="w:gz")


def image_shards(path: Path, files: dict[str, bytes]) -> object:
    names = list(files)
    for shard in range(4):
        write_tar(path / f"s{shard}.tar", {name: files[name] for name in names[50 * shard : 50 * shard + 50]})
    return str(path / "s{0..3}.tar")


def image_parquet(path: Path, files: dict[str, bytes]) -> object:
    images = [{"bytes": content, "path": name} for name, content in files.items()]
    pyarrow.parquet.write_table(pa.table({"image": images}), path / "i.parquet", row_group_size=30)
    return path / "i.parquet"


def saved_dataset(path: Path, files: dict[str, bytes]) -> object:
    folder = path / "saved"
    folder.mkdir(exist_ok=True)
    table = pa.table({"image": [{"bytes": content, "path": None} for content in files.values()]})
    with pa.OSFile(str(folder / "data.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=77)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    return folder


BOXES = (image_folder, image_zip, image_tar, image_shards, image_parquet, saved_dataset)


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box.__name__)
@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_encoded_images(tmp_path: Path, box: Callable[[Path, dict[str, bytes]], object], format: str) -> None:
    suffix = "." + format.lower()
    check(box(tmp_path, {f"{n:03d}{suffix}": encoded(image, format) for n, image in enumerate(IMAGES)}))


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box.__name__)
def test_grey_images_of_16_bits(tmp_path: Path, box: Callable[[Path, dict[str, bytes]], object]) -> None:
    grey = IMAGES[..., 0].astype(np.uint16) * 257
    source = open_images(box(tmp_path, {f"{n:03d}.png": png_16(image[..., None]) for n, image in enumerate(grey)}))
    np.testing.assert_allclose(np.concatenate(list(source)), PIXELS[..., 0].reshape(COUNT, -1), rtol=0, atol=1e-15)


def test_slices_of_a_volume_and_of_dicom_files(tmp_path: Path) -> None:
    grey = IMAGES[..., 0]
    expected = PIXELS[..., 0].reshape(COUNT, -1)
    stored = np.moveaxis(grey.astype(np.int16) * 4 - 1000, 0, 2)[::-1].swapaxes(0, 1)
    nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "a.nii.gz")
    found = np.concatenate(list(open_images(tmp_path / "a.nii.gz", range=(-1000, 20))))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    for number, image in enumerate(grey):
        facts = {"InstanceNumber": number, "RescaleSlope": 2, "RescaleIntercept": -100}
        write_dicom(tmp_path / "slices" / f"{number}.dcm", image.astype(np.uint16), **facts)
    found = np.concatenate(list(open_images(tmp_path / "slices", range=(-100, 410))))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box.__name__)
def test_colour_images_of_16_bits(tmp_path: Path, box: Callable[[Path, dict[str, bytes]], object]) -> None:
    deep = TYPES["uint16"]()
    check(box(tmp_path, {f"{n:03d}.png": png_16(image) for n, image in enumerate(deep)}))


@pytest.mark.parametrize("box", BOXES[1:], ids=lambda box: box.__name__)
def test_jpeg_is_decoded_alike(tmp_path: Path, box: Callable[[Path, dict[str, bytes]], object]) -> None:
    files = {f"{n:03d}.jpg": encoded(image, "JPEG", quality=95) for n, image in enumerate(IMAGES)}
    expected = np.concatenate(list(open_images(image_folder(tmp_path, files))))
    np.testing.assert_array_equal(np.concatenate(list(open_images(box(tmp_path, files)))), expected)
    assert 0.01 < np.abs(expected - PIXELS.reshape(COUNT, -1)).mean() < 0.1  # small images lose much of their colour


# ---------------------------------------------------------------- any shapes
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(2, 9),
    sides=st.tuples(st.integers(2, 6), st.integers(2, 6), st.sampled_from([1, 3])),
    seed=st.integers(0, 99),
)
def test_any_array_is_the_same_in_all_containers(
    tmp_path_factory: pytest.TempPathFactory, count: int, sides: tuple[int, int, int], seed: int
) -> None:
    values = np.random.default_rng(seed).uniform(-1, 1, (count, *sides))
    expected = values.reshape(count, -1)
    for write in (npz_file, pt_file, safetensors_file, one_npy_each, zip_of_npy, tar_of_npy, parquet_file, arrow_file):
        found = np.concatenate(list(open_images(write(tmp_path_factory.mktemp("x"), values))))
        np.testing.assert_array_equal(found, expected, err_msg=write.__name__)
