"""Doubts about the axes of stored images: another order of axes, images along the last axis, one image read as several."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .options import Options

__all__ = ["check_order", "doubts_about_axes"]

CHANNELS = (1, 3, 4)
#: Images are at most so many times higher than wide.
LONGEST = 8
#: So many images, and entries of the last axis, are looked at.
LOOKED_AT = 256
#: Neighbours whose mean square difference is below this share of that of unrelated values are alike; above, unrelated.
ALIKE, UNRELATED = 0.75, 0.9


def check_order(stored: tuple[int, ...], wanted: tuple[int, ...], name: str) -> None:
    """Refuse a shape of one image that has the stored sides in another order: a reshape would mix its pixels.

    Raises
    ------
    DataError
        The shape is a permutation of the stored one.
    """
    sides, asked = [side for side in stored if side != 1], [side for side in wanted if side != 1]
    if sides == asked or sorted(sides) != sorted(asked):
        return
    left, axes = list(range(len(sides))), []
    for side in asked:
        axes.append(next(axis for axis in left if sides[axis] == side))
        left.remove(axes[-1])
    order = ", ".join(str(axis + 1) for axis in axes)
    raise DataError(
        f"{name}: shape={wanted} has the sides of the stored images {stored} in another order, which would mix their pixels: "
        f"leave it out to read them as they are stored, or exchange the axes first, images.transpose(0, {order})"
    )


def unlike(values: npt.NDArray[Any], axis: int) -> float:
    """Mean square difference of neighbours along an axis, over that of unrelated values along it: 1 for independent ones."""
    values = _of_order_one(values)
    unrelated = 2.0 * float(np.mean(np.var(values, axis=axis)))
    return float(np.mean(np.diff(values, axis=axis) ** 2)) / unrelated if unrelated > 0 else 0.0


def _of_order_one(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Finite values divided by the largest magnitude, as double-precision numbers: their squares do not overflow."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return np.asarray(values, dtype=np.float64) / (largest if 0 < largest < np.inf else 1.0)


def doubts_about_axes(array: Any, options: Options, name: str) -> tuple[str, ...]:
    """Warnings about the axes of an array (N, ...); a `shape` or `channels` that the user gave removes most doubts.

    Raises
    ------
    DataError
        Images lie along the last axis; flat images have another order of axes than the `shape` that was given.
    """
    shape = tuple(int(side) for side in array.shape)
    if options.shape is not None:
        if len(shape) == 2 and options.channels is None:
            _check_planes(array, options.shape, name)
        return ()
    if options.channels is None and len(shape) in (3, 4) and shape[0] > 1:
        _check_last_axis(array, shape, name)
    if len(shape) not in (2, 3) or not _may_be_one(shape):
        return ()
    rest = f"{shape[1]} values" if len(shape) == 2 else f"shape {shape[1:]}"
    return (
        f"the array of shape {shape} is read as {shape[0]} images of {rest}: if it is one image, put all images into one array "
        "(N, ...) whose first axis counts them",
    )


def _may_be_one(shape: tuple[int, ...]) -> bool:
    """Whether an array (N, W) or (N, H, W) may be one image: square, or with 3 or 4 channels."""
    if len(shape) == 2:
        return shape[0] == shape[1]
    first, height, last = shape
    colour_last = last in CHANNELS[1:] and 1 / 4 <= first / height <= 4 and height > 4
    return colour_last or (first in CHANNELS[1:] and last not in CHANNELS)


def _check_last_axis(array: Any, shape: tuple[int, ...], name: str) -> None:
    """Refuse (H, W, N) and (H, W, C, N): neighbours along the first axis are alike, those along the last are not."""
    if shape[-1] < 8 or shape[0] > LONGEST * shape[1]:
        return
    colour = len(shape) == 4 and shape[0] == shape[1] and shape[2] in CHANNELS
    part = np.asarray(array[:LOOKED_AT])[..., :LOOKED_AT].astype(np.float64)
    if len(shape) == 4 and not colour:
        return
    if unlike(part, 0) < ALIKE and unlike(part, part.ndim - 1) > UNRELATED:
        sides = ", ".join(map(str, shape[1:]))
        raise DataError(
            f"{name}: its {shape[-1]} images seem to lie along the last axis of {shape}: exchange the axes first, "
            f"numpy.moveaxis(images, -1, 0); if the images are of shape ({sides}), type --shape {sides.replace(' ', '')} "
            f"(in Python: shape=({sides}))"
        )


def _check_planes(array: Any, shape: tuple[int, ...], name: str) -> None:
    """Refuse flat images whose channels are stored as planes if the shape has them last, and the other way round."""
    if len(shape) != 3 or math.prod(shape) != array.shape[1] or (shape[0] in CHANNELS) == (shape[2] in CHANNELS):
        return
    last = shape[2] in CHANNELS
    other = (shape[2], *shape[:2]) if last else (*shape[1:], shape[0])
    part = _of_order_one(np.asarray(array[:LOOKED_AT]))

    def roughness(sides: tuple[int, ...]) -> float:
        images = part.reshape(len(part), *sides)
        first = 1 if sides[2] in CHANNELS else 2
        return sum(float(np.mean(np.diff(images, axis=axis) ** 2)) for axis in (first, first + 1))

    if roughness(other) < ALIKE * roughness(shape):
        typed, where = ",".join(map(str, other)), "last" if last else "first"
        raise DataError(
            f"{name}: flat images of shape {shape} would differ much more from pixel to pixel than those of shape {other}: "
            f"type --shape {typed} (in Python: shape={other}); --channels {where} (in Python: channels={where!r}) keeps {shape}"
        )
