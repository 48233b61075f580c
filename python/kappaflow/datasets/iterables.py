"""Iterables of batches: lists of arrays, generators and data loaders."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._samples import RandomRows
from ..provenance import Provenance
from .arrays import NOT_APPLICABLE, as_array, check_array
from .errors import DataError
from .options import Options
from .source import ImageSource, PixelScaling, check_finite, integer_scaling, rebatch
from .subset import SUBSET_SEED
from .transform import plan_transform

__all__ = ["open_iterable"]


def as_batch(item: object, number: int, name: str) -> npt.NDArray[Any]:
    """Batch `number` as a NumPy array (B, ...); B may be 0.

    Raises
    ------
    DataError
        It is not an array of real numbers.
    """
    if isinstance(item, (tuple, list, dict)):
        raise DataError(
            f"{name}: batch {number} is a {type(item).__name__}; every batch must be one array (B, ...) of images "
            "(for a loader that yields images and labels: (images for images, _ in loader))"
        )
    array = as_array(item)
    if array is None:
        raise DataError(f"{name}: batch {number} is a {type(item).__name__}, not an array (B, ...) of images")
    batch = np.asarray(array)
    if batch.ndim == 0 or len(batch) > 0 or batch.dtype.kind not in "buif":
        check_array(batch, f"{name}: batch {number}")
    return batch


def dtype_scaling(dtype: np.dtype[Any]) -> PixelScaling:
    """Scaling by dtype alone, because the range of later values is unknown."""
    if dtype.kind == "f":
        return PixelScaling(None, "float values used as they are")
    return integer_scaling(dtype) or PixelScaling(None, f"{dtype.name} values used as they are")


class Replay:
    """Yields the batches from the first one on. If `data` is its own iterator, this is possible only once.

    The beginning is read immediately, up to the first batch with images, whose shape and dtype apply to all batches.

    Raises
    ------
    DataError
        There are no images, or a one-shot iterator is read for the second time.
    """

    def __init__(self, data: Iterable[Any], name: str) -> None:
        self.data = data
        self.name = name
        iterator = iter(data)
        self.one_shot = iterator is data
        head = []  # empty batches and the first that holds images
        for number, item in enumerate(iterator):
            head.append(as_batch(item, number, name))
            if len(head[-1]):
                break
        else:
            raise DataError(f"{name}: the iterable yields no images; at least one is needed")
        self.image_shape: tuple[int, ...] = head[-1].shape[1:]
        self.dtype = head[-1].dtype
        self.rest: Iterator[Any] | None = itertools.chain(head, iterator) if self.one_shot else None

    def __iter__(self) -> Iterator[Any]:
        if not self.one_shot:
            return iter(self.data)
        if self.rest is None:
            raise DataError(
                f"{self.name}: a one-shot iterator can be read only once; "
                "pass a list of batches, or an object whose __iter__ starts again"
            )
        rest, self.rest = self.rest, None
        return rest


def open_iterable(data: Iterable[Any], options: Options) -> ImageSource:
    """Source of the images of an iterable whose items are arrays or tensors (B, ...) with images of one shape.

    A `limit` draws its random subset from all images: the iterable is read to its end, and the subset is held in memory.
    """
    name = "batches"
    options.refuse(name, **NOT_APPLICABLE)
    replay = Replay(data, name)
    image_shape = replay.image_shape
    scaling = dtype_scaling(replay.dtype)
    transform = plan_transform(image_shape, options, name)

    def blocks() -> Iterator[FloatArray]:
        seen = 0
        kept = None if options.limit is None else RandomRows(options.limit)
        for number, item in enumerate(replay):
            batch = as_batch(item, number, name)
            if not len(batch):
                continue
            if batch.shape[1:] != image_shape:
                raise DataError(
                    f"{name}: batch {number} holds images of shape {batch.shape[1:]}, "
                    f"the first batch of {image_shape}; all must be the same"
                )
            if dtype_scaling(batch.dtype) != scaling:
                raise DataError(
                    f"{name}: batch {number} has dtype {batch.dtype}, but the scaling was decided by the first batch: "
                    f"{scaling.text}; all batches must be of one kind"
                )
            check_finite(batch, seen, name)
            seen += len(batch)
            if kept is None:
                yield transform(scaling.apply(batch))
            else:
                kept.add(batch)
        if kept is not None and (chosen := kept.rows()) is not None:
            yield transform(scaling.apply(chosen))

    provenance = Provenance(
        "an iterable of batches",
        read=f"images {image_shape} {replay.dtype}",
        subset=""
        if options.limit is None
        else f"at most {options.limit:,} images, a random subset of all (seed {SUBSET_SEED})",
        processing=transform.notes,
        scaling=scaling.text,
        pixel_range=scaling.ends,
    )
    return ImageSource(
        name=name,
        shape=transform.shape_out,
        count=None,
        provenance=provenance,
        reader=lambda rows: rebatch(blocks(), rows),
    )
