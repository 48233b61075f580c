"""Damaged files of every format that datasets reads: images of the right shape, or an error that says which file is wrong.

Formats with checksums give the images that were stored, or say what they leave out.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pyarrow.feather
import pyarrow.parquet
import pytest
import torch
import zarr
from hypothesis import given
from safetensors.numpy import save_file
from strategies import Damage, cases, damages, guarded

import kappaflow as kf
from containers import image_table, npy, pngs, write_arrow, write_dicom, write_tar, write_zip
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes

IMAGES = random_bytes(12, 6, 5, 3)
PIXELS = {row.tobytes() for row in (IMAGES / 127.5 - 1).reshape(12, -1)}


def write_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=IMAGES, chunks=(3, 6, 5, 3), compression="gzip")
        file.create_dataset("y", data=np.arange(12))


def write_volume(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(IMAGES[..., 0].astype(np.int16), np.eye(4)), path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "npy": lambda path: np.save(path, IMAGES),
    "npz": lambda path: np.savez_compressed(path, x=IMAGES, y=np.arange(12)),
    "zip": lambda path: write_zip(path, pngs(IMAGES), packed=True, labels=[["img00000.png", 1]]),
    "tar": lambda path: write_tar(path, {**pngs(IMAGES), "img00000.cls": b"3"}),
    "tar.gz": lambda path: write_tar(path, {f"{n}.npy": npy(image) for n, image in enumerate(IMAGES)}, mode="w:gz"),
    "h5": write_h5,
    "pt": lambda path: torch.save({"x": torch.from_numpy(IMAGES), "y": torch.arange(12)}, path),
    "safetensors": lambda path: save_file({"x": IMAGES, "y": np.arange(12)}, path),
    "parquet": lambda path: pyarrow.parquet.write_table(image_table(IMAGES), path, row_group_size=5),
    "arrow": lambda path: write_arrow(path, image_table(IMAGES)),
    "feather": lambda path: pyarrow.feather.write_feather(image_table(IMAGES), path, chunksize=5, compression="zstd"),
    "nii": write_volume,
    "nii.gz": write_volume,
    "dcm": lambda path: write_dicom(path, IMAGES[0, ..., 0].astype(np.uint16), RescaleSlope=1, RescaleIntercept=-5),
}
#: Formats whose checksums cover the images.
CHECKED = ("npz", "zip")
CONTENTS: dict[str, bytes] = {}


def content_of(kind: str) -> bytes:
    """The bytes of an undamaged file."""
    if kind not in CONTENTS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"data.{kind}")
            WRITERS[kind](path)
            CONTENTS[kind] = path.read_bytes()
    return CONTENTS[kind]


def rows_of(data: object, **options: object) -> list[np.ndarray] | None:
    """The rows of the images; None if the file is refused, in words that name it."""
    try:
        with warnings.catch_warnings(), guarded(), kf.memory_limit("1G"):
            warnings.simplefilter("ignore")  # the libraries warn of what they mend
            source = open_images(data, range=(0, 255), **options)  # type: ignore[arg-type]
            rows, most = [], 200_000
            for batch in source.batches(64):
                assert batch.dtype == np.float64
                assert batch.shape[1] == source.dimension
                assert np.isfinite(batch).all()
                rows += list(batch)[: max(0, 100 - len(rows))]
                most -= len(batch)
                if most < 0:  # a header may declare images without end that take no room
                    break
            if source.labels is not None:
                source.labels()
            assert source.provenance.description
    except (DataError, kf.NotEnoughMemoryError) as error:
        text = str(error)
        assert text
        assert "\x1b" not in text
        assert any(name in text for name in ("data", "img", ".npy", "a.png")), text
        return None
    return rows


@pytest.mark.parametrize("kind", WRITERS)
@cases(40)
@given(damage=damages())
def test_damaged_files(kind: str, damage: Damage) -> None:
    content = content_of(kind)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data", f"data.{kind}")
        path.parent.mkdir()
        path.write_bytes(damage.of(content))
        rows = rows_of(path.parent if kind == "dcm" else path)
        if rows is not None and kind in CHECKED:
            assert {row.tobytes() for row in rows} <= PIXELS
        if kind in ("parquet", "arrow"):
            rows_of(f"{path}::values")


@pytest.fixture(scope="module")
def stores() -> dict[int, Path]:
    """A zarr store of each format."""
    made = {}
    for number in (2, 3):
        path = Path(tempfile.mkdtemp()) / "data.zarr"
        array = zarr.create_array(str(path), shape=IMAGES.shape, chunks=(5, 6, 5, 3), dtype="uint8", zarr_format=number)
        array[:] = IMAGES
        made[number] = path
    return made


@pytest.mark.parametrize("number", [2, 3])
@cases(40)
@given(damage=damages())
def test_damaged_stores(stores: dict[int, Path], number: int, damage: Damage) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "data.zarr")
        shutil.copytree(stores[number], store)
        files = sorted(path for path in store.rglob("*") if path.is_file())
        for path in files[:: max(1, len(damage.edits))]:
            path.write_bytes(damage.of(path.read_bytes()))
        rows_of(store)


@pytest.mark.parametrize("kind", WRITERS)
def test_undamaged_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    path.write_bytes(content_of(kind))
    rows = rows_of(tmp_path if kind == "dcm" else path)
    assert rows is not None
    if kind not in ("nii", "nii.gz", "dcm"):
        assert {row.tobytes() for row in rows} == PIXELS
