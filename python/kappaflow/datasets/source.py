"""What every reader returns: a source of batches of images, with the scaling of its pixel values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer
from .errors import DataError

__all__ = [
    "ImageSource",
    "PixelScaling",
    "check_finite",
    "float_scaling",
    "integer_scaling",
    "rebatch",
    "rows_within",
]

BATCH_BYTES = 128 * 2**20  # most bytes in one float64 batch: 4096 rows up to d = 4096, fewer beyond


@dataclass(frozen=True)
class ImageSource:
    """Images as batches of float64 rows; what :func:`open_images` returns.

    Iterating over the source is the same as calling :meth:`batches`. It can be done again and again, and gives the
    same images in the same order, unless the source wraps a one-shot iterator.

    Attributes
    ----------
    name : built-in name, or the name of the file or folder, or ``"array"``, ``"batches"``
    shape : shape of one image: ``(8, 8)``, ``(16, 16, 3)``, or ``(d,)`` for plain vectors
    count : number of images where it is known before reading, else None
    description : what the images are, in plain words, with attribution where the licence asks for it
    scaling : how the stored values were mapped to pixel values
    reader : function of the number of rows that yields the batches; made by the readers of this package
    """

    name: str
    shape: tuple[int, ...]
    count: int | None
    description: str
    scaling: str
    reader: Callable[[int], Iterator[FloatArray]] = field(repr=False, compare=False)

    @property
    def dimension(self) -> int:
        """Number d of pixel values in one image."""
        return math.prod(self.shape)

    @property
    def summary(self) -> str:
        """What the images are and how their pixels were scaled."""
        return self.description if self.scaling in self.description else f"{self.description}; {self.scaling}"

    def batches(self, batch_size: int = 4096) -> Iterator[FloatArray]:
        """Yield the images as ``(B, d)`` arrays: float64, C-contiguous, owned by the caller.

        Parameters
        ----------
        batch_size : most images in one batch, at least 1. A batch is also kept below 128 MiB, so that images with
            d > 4096 come in smaller batches than the default.

        Raises
        ------
        DataError : ``batch_size`` below 1; while reading: values that are not finite, a file that cannot be decoded,
            batches of different shapes, a one-shot iterator asked for a second time
        """
        rows = rows_within(integer("batch_size", batch_size, 1, error=DataError), self.dimension)
        return self.reader(rows)

    def __iter__(self) -> Iterator[FloatArray]:
        return self.batches()


@dataclass(frozen=True)
class PixelScaling:
    """Map of stored values to pixel values: x / divisor − 1, or x itself where ``divisor`` is None."""

    divisor: float | None
    text: str

    def apply(self, values: npt.NDArray[Any]) -> FloatArray:
        """Return a new C-contiguous float64 array of the same shape."""
        pixels = np.array(values, dtype=np.float64, order="C")
        if self.divisor is not None:
            pixels /= self.divisor
            pixels -= 1.0
        return pixels


def integer_scaling(dtype: np.dtype[Any]) -> PixelScaling | None:
    """Scaling that the dtype alone decides: bool, uint8 and uint16 by their full range; None for all others."""
    if dtype.kind == "b":
        return PixelScaling(0.5, "bool False and True mapped to -1 and 1")
    if dtype.kind == "u" and dtype.itemsize <= 2:
        top = int(np.iinfo(dtype).max)
        return PixelScaling(top / 2, f"{dtype.name} 0…{top} mapped to [-1, 1]")
    return None


def float_scaling(dtype: np.dtype[Any], low: float, high: float) -> PixelScaling:
    """Scaling of values of which the smallest and the largest in the whole data set are known.

    Floats within [0, 1] are mapped by 2x − 1. Everything else is used as it is: values with a negative one may be
    in [-1, 1] already, and for values beyond 1 no range can be told from the data.
    """
    span = f"range {low:.6g}…{high:.6g}"
    if dtype.kind == "f" and low >= 0.0 and high <= 1.0:
        return PixelScaling(0.5, f"{dtype.name} values ({span}) mapped from [0, 1] to [-1, 1]")
    return PixelScaling(None, f"{dtype.name} values used as they are ({span})")


def check_finite(images: npt.NDArray[Any], first: int, name: str) -> None:
    """Raise for NaN or infinite values in ``images``, of which the first has the number ``first`` in ``name``."""
    if images.dtype.kind != "f":
        return
    with np.errstate(invalid="ignore"):  # the extremes carry NaN and infinity without an array of booleans
        if math.isfinite(float(images.min())) and math.isfinite(float(images.max())):
            return
    finite = np.isfinite(images.reshape(len(images), -1))
    row = int(np.argmin(finite.all(axis=1)))
    value = images.reshape(len(images), -1)[row, int(np.argmin(finite[row]))]
    raise DataError(f"{name}: image {first + row} (counted from 0) holds {value}; all values must be finite")


def rows_within(batch_size: int, dimension: int) -> int:
    """Rows of a batch: ``batch_size``, or fewer so that the batch stays below ``BATCH_BYTES``."""
    return max(1, min(batch_size, BATCH_BYTES // (8 * dimension)))


def rebatch(blocks: Iterable[FloatArray], rows: int) -> Iterator[FloatArray]:
    """Cut and join blocks of any number of rows into batches of ``rows`` (the last one may be shorter)."""
    pending: FloatArray | None = None
    filled = 0
    for block in blocks:
        start = 0
        while start < len(block):
            if pending is None and len(block) - start >= rows:
                yield block[start : start + rows]
                start += rows
                continue
            if pending is None:
                pending, filled = np.empty((rows, block.shape[1])), 0
            step = min(rows - filled, len(block) - start)
            pending[filled : filled + step] = block[start : start + step]
            start, filled = start + step, filled + step
            if filled == rows:
                yield pending
                pending = None
    if pending is not None:
        yield pending[:filled]
