"""Which axis of an image holds its channels, and which its columns: one rule for all parts of the package."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["channel_axis", "mirror_images", "width_axis"]

_CHANNELS = (1, 3, 4)


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """2 for (H, W, C), 0 for (C, H, W) with C of 1, 3 or 4; None for any other shape. If both are possible, it is 2.

    >>> channel_axis((8, 8, 3)), channel_axis((3, 8, 8)), channel_axis((8, 8))
    (2, 0, None)
    """
    if len(shape) != 3:
        return None
    return next((axis for axis in (2, 0) if shape[axis] in _CHANNELS), None)


def width_axis(shape: tuple[int, ...]) -> int:
    """The axis of an image that counts its columns, along which a mirror image is flipped.

    Raises
    ------
    ValueError
        A vector, which has no columns.

    >>> width_axis((8, 16, 3)), width_axis((3, 8, 16)), width_axis((8, 16))
    (1, 2, 1)
    """
    if len(shape) < 2:
        raise ValueError(f"shape must have at least 2 axes for mirror images, got {shape}: give shape=(height, width)")
    return len(shape) - (2 if channel_axis(shape) == 2 else 1)


def mirror_images(rows: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Flat images (B, d) of a shape, each with its mirror image behind it: (2B, d).

    Raises
    ------
    ValueError
        Images are vectors.
    """
    images = rows.reshape(len(rows), *shape)
    mirrored = np.flip(images, axis=1 + width_axis(shape)).reshape(rows.shape)
    return np.stack([rows, mirrored], axis=1).reshape(-1, rows.shape[1])
