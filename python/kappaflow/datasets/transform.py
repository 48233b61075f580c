"""The effect of the options on images: reshape them, convert colour to grey, resize and crop them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._checks import FloatArray
from .._repr import ShortRepr
from .axes import check_order
from .errors import DataError
from .options import Options
from .resizing import RECIPES, PillowResizer, Resizer, Size, plan_resize

__all__ = ["Transform", "describe_resize", "plan_transform", "resizer_for", "to_grey"]

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


def given_layout(shape: tuple[int, ...], channels: str | int, name: str) -> Layout:
    """Axes of images (H, W, C) or (C, H, W) whose channels are first, last, or the axis of so many values.

    Raises
    ------
    DataError
        There is no such axis.
    """
    where = channels
    if isinstance(channels, int) and len(shape) == 3 and channels in (shape[0], shape[2]):
        where = "last" if shape[2] == channels else "first"
    if len(shape) != 3 or where not in ("first", "last"):
        raise DataError(
            f"{name}: channels={channels!r} needs images (C, H, W) or (H, W, C) with such an axis, got {shape}"
        )
    return Layout(1, 2, 0) if where == "first" else Layout(0, 1, 2)


def to_grey(images: FloatArray, channel: int) -> FloatArray:
    """Luma 0.299 R + 0.587 G + 0.114 B along the axis `channel`, which disappears from the shape; not rounded."""
    return np.tensordot(images, np.array(LUMA), axes=(channel, 0))


def resizer_for(height: int, width: int, options: Options) -> Resizer | PillowResizer | None:
    """The resize that the options ask for, of images of this size; None without the option `size`."""
    if options.size is None:
        return None
    return plan_resize(
        height, width, options.size, options.resize or "bilinear", options.crop or "centre", options.like
    )


def describe_resize(sizes: Sequence[Size], options: Options) -> str:
    """What resizing does to images of these sizes, in words; nothing if it does nothing."""
    size = options.size
    if size is None or set(sizes) <= {size}:
        return ""
    before = f"{sizes[0]}" if len(set(sizes)) == 1 else f"{len(set(sizes)):,} different sizes"
    kept = min(plan.kept for one in set(sizes) if (plan := resizer_for(one.height, one.width, options)) is not None)
    stretched = [one for one in set(sizes) if abs(one.height * size.width - one.width * size.height) > max(size)]
    if options.like is not None:
        recipe = RECIPES[options.like]
        text = f"resized from {before} to {size} as {recipe.script} do: {recipe.filter}, antialiased, rounded to 8 bits"
    else:
        filter = options.resize or "bilinear"
        how = "area averaging" if filter == "area" else f"the {filter} filter, antialiased"
        text = f"resized from {before} to {size} by {how}"
    if kept < 1:
        return f"{text}, cropped at the centre (up to {1 - kept:.0%} of an image is cut off)"
    return f"{text}, each axis by itself, which stretches {len(stretched)} sizes" if stretched else text


@dataclass(frozen=True, repr=False)
class Transform(ShortRepr):
    """Maps a batch (B, *shape_in) to rows (B, d) of images of `shape_out`.

    Attributes
    ----------
    shape_in, shape_out : shape of one image before and after
    layout : axes of `shape_in`, if `grey` or `size` needs them
    grey : whether colour becomes luma
    resizer : the resize of each plane, None without one
    notes : what is done, for the description
    """

    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    layout: Layout | None = None
    grey: bool = False
    resizer: Resizer | PillowResizer | None = None
    notes: tuple[str, ...] = ()

    def __call__(self, images: FloatArray) -> FloatArray:
        images = images.reshape(len(images), *self.shape_in)
        layout = self.layout
        if layout is not None and self.grey and layout.channel is not None:
            axis = layout.channel + 1
            images = to_grey(images, axis) if images.shape[axis] == 3 else images.squeeze(axis)
            layout = Layout(0, 1, None)
        if layout is not None and self.resizer is not None:
            images = resize_batch(images, layout, self.resizer)
        return np.ascontiguousarray(images.reshape(len(images), -1))


def resize_batch(images: FloatArray, layout: Layout, resizer: Resizer | PillowResizer) -> FloatArray:
    """Resize a batch (B, *shape) of pixels in [-1, 1]; a resizer that rounds to 8 bits takes them as 0…255.

    Raises
    ------
    DataError
        They are not in [-1, 1], and the resizer rounds.
    """
    count = len(images)
    if layout.channel == 2:
        images = np.moveaxis(images, 3, 1)
    planes = images.reshape(-1, *images.shape[-2:])
    if isinstance(resizer, PillowResizer):
        if np.abs(planes).max() > 1.01:
            raise DataError(
                f"like needs pixels in [-1, 1], which it rounds to 8 bits; got {planes.min():.4g}…{planes.max():.4g}"
            )
        planes = resizer(np.rint((planes + 1.0) * 127.5).clip(0, 255).astype(np.uint8)) / 127.5 - 1.0
    else:
        planes = resizer(planes)
    out = planes.reshape(count, *images.shape[1:-2], *planes.shape[1:])
    return np.moveaxis(out, 1, 3) if layout.channel == 2 else out


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
        check_order(shape, options.shape, name)
        shape = options.shape
    given = None if options.channels is None else given_layout(shape, options.channels, name)
    if not options.grey and options.size is None:
        return Transform(shape_in=shape, shape_out=shape)
    layout = given or find_layout(shape)
    if layout is None:
        option = "grey=True" if options.grey else f"size={options.size.height if options.size else None}"
        raise DataError(
            f"{name}: {option} needs images of shape (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4, "
            f"got {shape}; give shape= for flat vectors, or channels= for other numbers of channels"
        )
    out, notes = list(shape), []
    height, width, channels = shape[layout.height], shape[layout.width], 1
    if layout.channel is not None:
        channels = shape[layout.channel]
    if options.grey:
        if channels not in (1, 3):
            raise DataError(
                f"{name}: grey=True needs 1 or 3 channels, got images of shape {shape}; drop the alpha channel first"
            )
        if channels == 3:
            notes.append("converted to grey (luma 0.299 R + 0.587 G + 0.114 B)")
        out = [height, width]
    size, resizer = options.size, resizer_for(height, width, options)
    if size is not None:
        rows, columns = (0, 1) if options.grey else (layout.height, layout.width)
        out[rows], out[columns] = size
        notes += [text] if (text := describe_resize([Size(height, width)], options)) else []
        if (height, width) == size:
            resizer = None
    return Transform(
        shape_in=shape, shape_out=tuple(out), layout=layout, grey=options.grey, resizer=resizer, notes=tuple(notes)
    )
