"""Iterables of images: lists, generators, data loaders and datasets, with or without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._image_items import ImageItems
from .._samples import RandomRows
from ..pixel_range import ValueSurvey, choose_scaling
from ..provenance import Provenance
from .arrays import NOT_APPLICABLE, as_array, check_array
from .errors import DataError
from .options import Options
from .source import ImageSource, check_finite, rebatch
from .subset import SUBSET_SEED
from .transform import plan_transform

__all__ = ["open_iterable"]

NAME = "batches"


def as_values(images: object, number: int) -> npt.NDArray[Any]:
    """The images of item `number` as a NumPy array (*shape) or (B, *shape).

    Raises
    ------
    DataError
        It is not an array of real numbers.
    """
    array = as_array(images)
    if array is None:
        raise DataError(f"{NAME}: item {number} is a {type(images).__name__}, not an array of images")
    values = np.asarray(array)
    if values.ndim == 0 or values.dtype.kind not in "buif":
        check_array(values, f"{NAME}: item {number}")
    return values


def open_iterable(data: Iterable[Any], options: Options) -> ImageSource:
    """Source of the images of an iterable whose items are images, batches (B, ...) of images of one shape, or pairs with labels.

    The first items decide how values become pixels. The others are checked while they are read. A `limit` draws its random
    subset from all images: the iterable is read to its end, and the subset is held in memory.

    Raises
    ------
    DataError
        The items or an option cannot be used.
    """
    options.refuse(NAME, **NOT_APPLICABLE, skip_corrupt="leave out such items before")
    items = ImageItems(
        data,
        as_values,
        name=NAME,
        shape=options.shape,
        channels=options.channels,
        error=DataError,
    )
    if not items.head:
        raise DataError(f"{NAME}: the iterable yields no images; at least one is needed")
    image_shape, dtype = items.head[0].shape[1:], items.head[0].dtype
    survey, seen = ValueSurvey(), 0
    for batch in items.head:
        check_finite(batch, np.arange(seen, seen + len(batch)), NAME)
        survey.add(batch)
        seen += len(batch)
    scaling = choose_scaling(survey, dtype, name=NAME, asked=options.range, error=DataError)
    transform = plan_transform(image_shape, options, NAME)
    labels = labels_of(items, options)

    def blocks() -> Iterator[FloatArray]:
        seen = 0
        every = ValueSurvey()
        kept = None if options.limit is None else RandomRows(options.limit)
        for number, batch in enumerate(items):
            if batch.dtype.kind != dtype.kind:
                raise DataError(
                    f"{NAME}: item {number} has dtype {batch.dtype}, but the scaling was decided by the first one: "
                    f"{scaling.text}; all items must be of one kind"
                )
            check_finite(batch, np.arange(seen, seen + len(batch)), NAME)
            scaling.check(batch, NAME, error=DataError)
            every.add(batch)
            seen += len(batch)
            if kept is None:
                yield transform(scaling.apply(batch))
            else:
                kept.add(batch)
        whole = choose_scaling(every, dtype, name=NAME, asked=options.range, error=DataError)
        if whole.ends != scaling.ends:
            raise DataError(
                f"{NAME}: the first images were read as {scaling.text}, all of them would be read as {whole.text}: pass range="
            )
        if kept is not None and (chosen := kept.rows()) is not None:
            yield transform(scaling.apply(chosen))

    unit = "single images" if items.single else "batches"
    provenance = Provenance(
        f"an iterable of {unit}",
        read=f"images {image_shape} {dtype}",
        subset=""
        if options.limit is None
        else f"at most {options.limit:,} images, a random subset of all (seed {SUBSET_SEED})",
        processing=transform.notes,
        scaling=scaling.text,
        pixel_range=scaling.ends,
        warnings=scaling.warnings,
    )
    return ImageSource(
        name=NAME,
        shape=transform.shape_out,
        count=None,
        provenance=provenance,
        reader=lambda rows: rebatch(blocks(), rows),
        labels=labels,
        labels_from="the labels of the items" if options.labels is None else "the labels given",
    )


def labels_of(items: ImageItems, options: Options) -> Callable[[], npt.NDArray[Any]] | None:
    """Function that gives the labels (N,) of the N images read so far, or those that the user gives; None without labels.

    Raises
    ------
    DataError
        Labels are given together with `limit`.
    """
    if options.labels is not None and options.limit is not None:
        raise DataError(f"{NAME}: labels need arrays or files together with limit, got an iterable")
    if options.labels is not None:
        return lambda: np.asarray(options.labels)
    if not items.labelled or options.limit is not None:
        return None
    return lambda: np.array(items.labels, dtype=object)
