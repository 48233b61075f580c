"""Images for tests of the readers: random ones, files of them, a stand-in for tensors, and all rows that a source gives."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from kappaflow.datasets import ImageSource


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


def deep(*shape: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Random 16-bit values."""
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)


def png_16(pixels: npt.NDArray[np.uint16]) -> bytes:
    """A PNG file of 16 bits for each value, which Pillow cannot write: (H, W, C) with C = 1 to 4."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
