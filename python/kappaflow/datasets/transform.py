"""The effect of the options on images: reshape them, convert colour to grey, resize them by area. All of it is linear."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from .._checks import FloatArray
from .errors import DataError
from .options import Options

__all__ = ["Transform", "plan_transform", "resize_image", "to_grey"]

# ITU-R BT.601 luma, as Pillow's mode "L" has it. The weights sum to 1, so that [-1, 1] stays [-1, 1].
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Layout:
    """Which axes of an image hold its height, its width and its channels; `channel` is None for grey images."""

    height: int
    width: int
    channel: int | None


def find_layout(shape: tuple[int, ...]) -> Layout | None:
    """Axes of images (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4; None for any other shape."""
    if len(shape) == 2:
        return Layout(0, 1, None)
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        return Layout(0, 1, 2)
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return Layout(1, 2, 0)
    return None


@functools.lru_cache(maxsize=256)
def area_weights(length: int, size: int) -> FloatArray:
    """(size, length) matrix of area averaging: row j holds the shares of the old pixels in new pixel j. Rows sum to 1.

    New pixel j covers [j·length/size, (j + 1)·length/size) of the old axis. If `size` divides `length` it is the mean of
    length/size pixels, and the weights have no rounding if that number is a power of two.
    """
    edges = np.arange(size + 1) * (length / size)
    old = np.arange(length)
    overlap = np.minimum(edges[1:, None], old + 1.0) - np.maximum(edges[:-1, None], old)
    weights: FloatArray = np.maximum(overlap, 0.0) * (size / length)
    weights.setflags(write=False)
    return weights


def resize_axes(images: FloatArray, height: int, width: int, size: int) -> FloatArray:
    """Area average: the axes `height` and `width` of the shape become `size` pixels each; values are not rounded to 8 bits."""
    for axis in (height, width):
        weights = area_weights(images.shape[axis], size)
        images = np.moveaxis(np.tensordot(weights, images, axes=(1, axis)), 0, axis)
    return images


def resize_image(image: FloatArray, size: int) -> FloatArray:
    """Resize one image, (H, W) or (H, W, C), to `size` × `size` by area averaging; the aspect ratio is not kept."""
    return image if image.shape[:2] == (size, size) else resize_axes(image, 0, 1, size)


def to_grey(images: FloatArray, channel: int) -> FloatArray:
    """Luma 0.299 R + 0.587 G + 0.114 B along the axis `channel`, which disappears from the shape; not rounded."""
    return np.tensordot(images, np.array(LUMA), axes=(channel, 0))


@dataclass(frozen=True)
class Transform:
    """Maps a batch (B, *shape_in) to rows (B, d) of images of `shape_out`.

    Attributes
    ----------
    shape_in, shape_out : shape of one image before and after
    layout : axes of `shape_in`, if `grey` or `size` needs them
    grey, size : as of :class:`~kappaflow.datasets.options.Options`
    notes : what is done, for the description
    """

    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    layout: Layout | None = None
    grey: bool = False
    size: int | None = None
    notes: tuple[str, ...] = ()

    def __call__(self, images: FloatArray) -> FloatArray:
        images = images.reshape(len(images), *self.shape_in)
        layout = self.layout
        if layout is not None and self.grey and layout.channel is not None:
            axis = layout.channel + 1
            images = to_grey(images, axis) if images.shape[axis] == 3 else images.squeeze(axis)
            layout = Layout(0, 1, None)
        if layout is not None and self.size is not None:
            images = resize_axes(images, layout.height + 1, layout.width + 1, self.size)
        return np.ascontiguousarray(images.reshape(len(images), -1))


def plan_transform(shape: tuple[int, ...], options: Options, name: str) -> Transform:
    """The effect of the options `shape`, `grey` and `size` on images that are stored with this shape.

    Raises
    ------
    DataError
        ``options.shape`` does not multiply to d; `grey` or `size` is set and the images are plain vectors, or none of their
        axes can be recognised as channels; `grey` is set for images with four channels.
    """
    if options.shape is not None:
        if math.prod(options.shape) != math.prod(shape):
            raise DataError(
                f"{name}: shape={options.shape} holds {math.prod(options.shape)} values, "
                f"but one image of shape {shape} holds {math.prod(shape)}"
            )
        shape = options.shape
    if not options.grey and options.size is None:
        return Transform(shape_in=shape, shape_out=shape)
    layout = find_layout(shape)
    if layout is None:
        option = "grey=True" if options.grey else f"size={options.size}"
        raise DataError(
            f"{name}: {option} needs images of shape (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4, "
            f"got {shape}; give shape= for flat vectors"
        )
    out, notes = list(shape), []
    height, width, channels = shape[layout.height], shape[layout.width], 1
    if layout.channel is not None:
        channels = shape[layout.channel]
    if options.grey:
        if channels == 4:
            raise DataError(
                f"{name}: grey=True needs 1 or 3 channels, got images of shape {shape}; drop the alpha channel first"
            )
        if channels == 3:
            notes.append("converted to grey (luma 0.299 R + 0.587 G + 0.114 B)")
        out = [height, width]
    size = options.size
    if size is not None:
        rows, columns = (0, 1) if options.grey else (layout.height, layout.width)
        out[rows] = out[columns] = size
        if (height, width) == (size, size):
            size = None
        else:
            notes.append(f"resized from {height}×{width} to {size}×{size} by area averaging")
    return Transform(
        shape_in=shape, shape_out=tuple(out), layout=layout, grey=options.grey, size=size, notes=tuple(notes)
    )
