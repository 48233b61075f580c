"""The result of every reader: a source of batches of images that records where they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer
from .._listing import listed
from .._repr import ShortRepr
from ..class_labels import ClassLabels, class_labels
from ..provenance import Provenance
from .errors import DataError
from .subfolders import GIVE_LABELS, subfolder_classes

__all__ = ["BROKEN", "ImageSource", "check_finite", "rebatch", "rows_within"]

#: Largest size of a float64 batch: 4096 rows for d up to 4096, fewer beyond.
BATCH_BYTES = 128 * 2**20


#: What is left out with `skip_corrupt`, until reading shows how many files that are.
BROKEN = "files that cannot be decoded"


@dataclass(frozen=True, repr=False)
class ImageSource(ShortRepr):
    """Images as batches of float64 rows; the result of :func:`~kappaflow.datasets.open_images`.

    Iterating over the source is the same as calling :meth:`batches`. Every iteration yields the same images in the same
    order. A source that wraps a one-shot iterator can be read only once.

    Attributes
    ----------
    name : the built-in name, or the name of the file or folder, or ``"array"``, ``"batches"``
    shape : shape of one image: ``(8, 8)``, ``(16, 16, 3)``, or ``(d,)`` for plain vectors
    count : number of images if it is known before reading, else None
    provenance : what was read, with attribution if the licence requires it, what was left out, and how values became pixels
    reader : function that takes the number of rows of a batch and yields the batches; readers of this package make it
    labels : function that gives the labels (N,), integers or texts, of the images that `reader` yields, in their order;
        None if the data have no labels. None among them means that an image has none.
    labels_from : where these labels come from, in words
    broken : function that gives the names of the files that could not be decoded so far and are left out; None if none may be
    names : function that gives the names of the files of these images, in their order; None if the images are not files
    groups : function that gives a label (N,) for each image: images of equal labels belong together; None if they are independent
    flip : whether models are trained with random horizontal flips
    """

    name: str
    shape: tuple[int, ...]
    count: int | None
    provenance: Provenance
    reader: Callable[[int], Iterator[FloatArray]] = field(repr=False, compare=False)
    labels: Callable[[], npt.NDArray[Any]] | None = field(default=None, repr=False, compare=False)
    names: Callable[[], Sequence[str]] | None = field(default=None, repr=False, compare=False)
    labels_from: str = field(default="the labels of the data", repr=False, compare=False)
    groups: Callable[[], npt.NDArray[Any]] | None = field(default=None, repr=False, compare=False)
    flip: bool = False
    broken: Callable[[], Collection[str]] | None = field(default=None, repr=False, compare=False)

    def read_provenance(self) -> Provenance:
        """The provenance after all images were read: how many files could not be decoded, and some of their names."""
        if self.broken is None:
            return self.provenance
        names = sorted(self.broken())
        text = f"{len(names):,} file{'s' * (len(names) > 1)} that cannot be decoded ({listed(names)})"
        others = [part for part in self.provenance.left_out if part != BROKEN]
        return replace(self.provenance, left_out=(text, *others) if names else tuple(others))

    @property
    def dimension(self) -> int:
        """Number d of pixel values in one image."""
        return math.prod(self.shape)

    def batches(self, batch_size: int = 4096) -> Iterator[FloatArray]:
        """Yield the images as (B, d) arrays: float64, C-contiguous, owned by the caller.

        Parameters
        ----------
        batch_size : largest number of images in a batch, at least 1. A batch is also kept below 128 MiB, so that images
            with d > 4096 come in smaller batches.

        Raises
        ------
        TypeError
            `batch_size` is not an integer.
        DataError
            `batch_size` is below 1. While reading: values that are not finite, a file that cannot be decoded, batches of
            different shapes, or a one-shot iterator that was read before.
        """
        rows = rows_within(integer("batch_size", batch_size, 1, error=DataError), self.dimension)
        return self.reader(rows)

    def class_labels(self) -> ClassLabels:
        """The classes of the images, in their order: those of `labels`, or the subfolders of the files.

        If files may be left out because they are corrupt, the labels of such files are left out after they were read.

        Raises
        ------
        DataError
            The images have neither labels nor subfolders, or these are no classes.
        TypeError
            Labels that are neither integers, texts nor whole floats.
        """
        if self.labels is not None:
            return class_labels(self.labels(), origin=self.labels_from, error=DataError)
        if self.names is not None:
            return class_labels(
                subfolder_classes(self.names(), self.name), origin="the subfolders", name="subfolders", error=DataError
            )
        raise DataError(f"{self.name}: has no labels, so that its images have no classes: {GIVE_LABELS}")

    def __iter__(self) -> Iterator[FloatArray]:
        return self.batches()


def check_finite(images: npt.NDArray[Any], numbers: npt.NDArray[np.int64], name: str, remedy: str = "") -> None:
    """Check that all values are finite.

    Parameters
    ----------
    images : (B, ...) a batch
    numbers : (B,) numbers of its images in the dataset
    name : name of the dataset in messages
    remedy : what users can do, the end of the message

    Raises
    ------
    DataError
        NaN or infinity; the message gives the number of the image.
    """
    if images.dtype.kind != "f" or not images.size:
        return
    with np.errstate(invalid="ignore"):  # the extremes carry NaN and infinity without an array of booleans
        if math.isfinite(float(images.min())) and math.isfinite(float(images.max())):
            return
    finite = np.isfinite(images.reshape(len(images), -1))
    row = int(np.argmin(finite.all(axis=1)))
    value = images.reshape(len(images), -1)[row, int(np.argmin(finite[row]))]
    raise DataError(
        f"{name}: image {numbers[row]} (counted from 0) holds {value}; all values must be finite"
        + (f"; {remedy}" if remedy else "")
    )


def rows_within(batch_size: int, dimension: int) -> int:
    """Rows of a batch: `batch_size`, or as many as stay below :data:`BATCH_BYTES`."""
    return max(1, min(batch_size, BATCH_BYTES // (8 * dimension)))


def rebatch(blocks: Iterable[FloatArray], rows: int) -> Iterator[FloatArray]:
    """Cut and join blocks of any number of rows into batches (rows, d); the last one may be shorter."""
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
