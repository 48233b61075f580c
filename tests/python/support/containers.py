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
from PIL import Image


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
