"""Containers of images for tests of their readers: encoded images, and archives written member by member."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def encoded(image: np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, **options)
    return file.getvalue()


def npy(array: np.ndarray, **options: Any) -> bytes:
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def pngs(images: np.ndarray, prefix: str = "img", suffix: str = ".png") -> dict[str, bytes]:
    """Name → PNG of each image."""
    return {f"{prefix}{number:05d}{suffix}": encoded(image) for number, image in enumerate(images)}


def write_zip(path: Path, members: Mapping[str, bytes], *, packed: bool = False, labels: Any = None) -> Path:
    """A zip archive with these members and, if given, the labels as StyleGAN's ``dataset.json``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if labels is not None:
            archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return path


def write_tar(
    path: Path, members: Mapping[str, bytes], others: Iterable[tarfile.TarInfo] = (), mode: str = "w"
) -> Path:
    """A tar archive with these members, and headers of others that have no content, such as links."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return path


def write_dicom(path: Path, pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: Any) -> Path:
    """A DICOM file of one slice (H, W), of frames (N, H, W) or, in bytes, of colour (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = syntax
    colour = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    data.SamplesPerPixel, data.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    if pixels.ndim == 3 and not colour:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.Modality, data.SeriesInstanceUID = "CT", "1.2.3"
    data.PixelData = pixels.tobytes()
    for key, value in elements.items():
        setattr(data, key, value)
    data["PixelData"].VR = "OW" if data.BitsAllocated > 8 else "OB"
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def image_table(images: Any) -> pa.Table:
    """Encoded images as Hugging Face stores them, their numbers as labels, and their values as lists."""
    encodings = [{"bytes": encoded(image), "path": None} for image in images]
    values = [image.ravel().tolist() for image in images]
    return pa.table({"image": encodings, "label": list(range(len(images))), "values": values})


def write_arrow(path: Path, table: pa.Table) -> None:
    """A stream of record batches of five rows."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
