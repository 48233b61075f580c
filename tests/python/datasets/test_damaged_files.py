"""Files with a few wrong bytes: every reader gives images or an error that says what is wrong with which file."""

from __future__ import annotations

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
from safetensors.numpy import save_file

from containers import image_table, pngs, write_arrow, write_dicom, write_tar, write_zip
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes

IMAGES = random_bytes(12, 6, 5, 3)
MUTATIONS = 25


def write_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=IMAGES, chunks=(3, 6, 5, 3), compression="gzip")


def write_dicom_slice(path: Path) -> None:
    write_dicom(path, IMAGES[0, ..., 0].astype(np.uint16), RescaleSlope=1, RescaleIntercept=-5)


WRITERS: dict[str, Callable[[Path], object]] = {
    "npz": lambda path: np.savez_compressed(path, x=IMAGES),
    "zip": lambda path: write_zip(path, pngs(IMAGES), packed=True),
    "tar": lambda path: write_tar(path, pngs(IMAGES)),
    "tar.gz": lambda path: write_tar(path, pngs(IMAGES), mode="w:gz"),
    "h5": write_h5,
    "pt": lambda path: torch.save(torch.from_numpy(IMAGES), path),
    "safetensors": lambda path: save_file({"x": IMAGES}, path),
    "parquet": lambda path: pyarrow.parquet.write_table(image_table(IMAGES), path, row_group_size=5),
    "arrow": lambda path: write_arrow(path, image_table(IMAGES)),
    "feather": lambda path: pyarrow.feather.write_feather(image_table(IMAGES), path, chunksize=5, compression="zstd"),
    "nii": lambda path: nibabel.save(nibabel.Nifti1Image(IMAGES[..., 0].astype(np.int16), np.eye(4)), path),
    "nii.gz": lambda path: nibabel.save(nibabel.Nifti1Image(IMAGES[..., 0].astype(np.int16), np.eye(4)), path),
    "dcm": write_dicom_slice,
}


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    """The content with up to three of its places overwritten, and sometimes cut off."""
    changed = bytearray(content)
    for _ in range(int(generator.integers(1, 4))):
        place = int(generator.integers(len(changed)))
        kinds = (generator.bytes(1), generator.bytes(4), b"\xff" * 8, b"\0" * 8)
        new = kinds[int(generator.integers(len(kinds)))]
        changed[place : place + len(new)] = new
    return bytes(changed[: int(generator.integers(len(changed))) if generator.random() < 0.1 else None])


@pytest.mark.parametrize("kind", WRITERS)
def test_a_few_wrong_bytes(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / f"data.{kind}"
    WRITERS[kind](path)
    content, generator, refused = path.read_bytes(), np.random.default_rng(4), 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(content, generator))
        for data in (
            (folder,) if kind == "dcm" else (path, f"{path}::values") if kind in ("parquet", "arrow") else (path,)
        ):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the libraries warn of what they mend
                    source = open_images(data, range=(0, 255))
                    list(source)
                    if source.labels is not None:
                        source.labels()
            except DataError as error:
                assert any(name in str(error) for name in ("data", "img")), error  # noqa: PT017
                refused += 1
    assert refused > 0


def test_pieces_that_are_missing_are_a_warning(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("x", IMAGES.shape, np.uint8, chunks=(4, 6, 5, 3))
        array[:4] = IMAGES[:4]
    source = open_images(tmp_path / "a.h5")
    assert (
        "2 of the 3 pieces (chunks) of a.h5 are not stored and are read as 0: either" in source.provenance.warnings[-1]
    )
    whole = zarr.create_array(str(tmp_path / "a.zarr"), shape=IMAGES.shape, chunks=(4, 6, 5, 3), dtype="uint8")
    whole[:] = IMAGES
    assert not open_images(tmp_path / "a.zarr").provenance.warnings
    pieces = sorted(path for path in (tmp_path / "a.zarr" / "c").rglob("*") if path.is_file())
    pieces[0].unlink()
    source = open_images(tmp_path / "a.zarr")
    assert "1 of the 3 pieces (chunks) of a.zarr are not stored" in source.provenance.warnings[-1]
    pieces[1].write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"a\.zarr: the array '' cannot be read"):
        open_images(tmp_path / "a.zarr")
