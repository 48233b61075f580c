"""Resizing and cropping as training scripts do them: antialiased filters as in Pillow, as matrices of weights in float64.

A resize is linear and acts on rows and columns apart. It is two matrices, and a crop picks some of their rows. The recipes of
training scripts call Pillow itself, whose results are rounded to 8 bits after each pass.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr, short_repr
from ..memory import require_memory
from .image_formats import import_pillow

__all__ = ["CROPS", "FILTERS", "RECIPES", "PillowResizer", "Recipe", "Resizer", "Size", "plan_resize"]

CROPS = ("centre", "none")
#: Values of uint8 or wider that are turned into float64 at a time.
BLOCK_VALUES = 2**22


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}×{self.width}"


class Filter(NamedTuple):
    """A filter of Pillow: its half width in pixels of the coarser grid, and its shape."""

    support: float
    shape: Callable[[FloatArray], FloatArray]

    def __repr__(self) -> str:
        return short_repr(self)


def _bicubic(x: FloatArray) -> FloatArray:
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1.0, (((x - 5) * x + 8) * x - 4) * -0.5  # Keys' cubic, a = −1/2
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


FILTERS: dict[str, Filter | None] = {
    "area": None,
    "bilinear": Filter(1.0, lambda x: np.maximum(1.0 - np.abs(x), 0.0)),
    "bicubic": Filter(2.0, _bicubic),
    "lanczos": Filter(3.0, lambda x: np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)),
}


class Recipe(NamedTuple):
    """How a training script resizes: its filter, whether it crops first, and whether it halves with boxes before the filter.

    All of them resize the short side, crop the centre, drop alpha and round to 8 bits. ``flips``: the script mirrors images at
    random unless an option switches this off.
    """

    filter: str
    crop_first: bool
    halves: bool
    flips: bool
    script: str


#: Training scripts whose preparation of images can be asked for by name.
RECIPES = {
    "diffusers": Recipe(
        "bilinear",
        crop_first=False,
        halves=False,
        flips=False,
        script="diffusers' examples and torchvision: Resize, CenterCrop",
    ),
    "edm": Recipe(
        "lanczos",
        crop_first=True,
        halves=False,
        flips=False,
        script="EDM's dataset_tool with --transform=center-crop",
    ),
    "adm": Recipe(
        "bicubic",
        crop_first=False,
        halves=True,
        flips=True,
        script="center_crop_arr of ADM, DiT and SiT, and EDM2's center-crop-dhariwal",
    ),
}


#: Products of so many steps are computed in one thread: for one image, BLAS threads cost more than they save, up to ten times.
ONE_THREAD = 2**18
#: Up to this number of pixels, an image is resized without asking for memory, which takes as long.
MANY_PIXELS = 2**22
#: More planes than those of one image.
MANY_PLANES = 4


def area_weights(length: int, size: int, rows: range) -> FloatArray:
    """(R, length) rows of the (size, length) matrix of area averaging: row j holds the shares of the old pixels in new pixel j.

    New pixel j covers [j·length/size, (j + 1)·length/size) of the old axis. If `size` divides `length` it is the mean of
    length/size pixels, and the weights have no rounding if that number is a power of two. Rows sum to 1.
    """
    edges = np.arange(rows.start, rows.stop + 1) * (length / size)
    old = np.arange(length)
    overlap = np.minimum(edges[1:, None], old + 1.0) - np.maximum(edges[:-1, None], old)
    weights: FloatArray = np.maximum(overlap, 0.0) * (size / length)
    return weights


def filter_weights(length: int, size: int, kernel: Filter, rows: range) -> FloatArray:
    """(R, length) rows of the (size, length) matrix of a filter, widened by length/size where that exceeds 1: nothing aliases.

    New pixel j has its centre at c = (j + 1/2)·length/size, and old pixel i the weight f((i + 1/2 − c) / max(length/size, 1)),
    for the i that Pillow takes: those from ⌊c − w + 1/2⌋ up to ⌊c + w + 1/2⌋, w the widened half width. Rows sum to 1.
    """
    scale = length / size
    wide = max(scale, 1.0)
    centre = ((np.arange(rows.start, rows.stop) + 0.5) * scale)[:, None]
    reach = kernel.support * wide
    old = np.arange(length)[None, :]
    first = np.maximum(np.trunc(centre - reach + 0.5), 0)
    last = np.minimum(np.trunc(centre + reach + 0.5), length)
    weights = np.where((old >= first) & (old < last), kernel.shape((old + 0.5 - centre) / wide), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@functools.lru_cache(maxsize=128)
def axis_weights(length: int, size: int, name: str, start: int, count: int) -> FloatArray | None:
    """Rows `start` to `start` + `count` of the (size, length) weights of a filter; None if they change nothing."""
    if length == size:
        return None if count == size else frozen(np.eye(count, size, start))
    kernel, rows = FILTERS[name], range(start, start + count)
    require_memory(4 * 8 * count * length, f"resizing {length:,} pixels to {size:,}", "use smaller images")
    return frozen(area_weights(length, size, rows) if kernel is None else filter_weights(length, size, kernel, rows))


def frozen(weights: FloatArray) -> FloatArray:
    """The same array (size, length), which nobody can change."""
    weights.setflags(write=False)
    return weights


@dataclass(frozen=True, repr=False)
class Resizer(ShortRepr):
    """The way from images (h, w) to images (H, W), in float64.

    Attributes
    ----------
    rows, columns : weights of the rows (H, h) and of the columns (W, w); None leaves an axis as it is
    kept : share of the area of the stored image that remains
    """

    rows: FloatArray | None
    columns: FloatArray | None
    kept: float

    def __call__(self, planes: npt.NDArray[Any]) -> FloatArray:
        """Resize planes (M, h, w) of stored values to float64 (M, H, W)."""
        if self.columns is not None:
            planes = _columns(planes, self.columns)
        if self.rows is not None:
            planes = _rows(planes.astype(np.float64, copy=False), self.rows)
        return planes.astype(np.float64, copy=False)


def _rows(planes: FloatArray, weights: FloatArray) -> FloatArray:
    """(H, h) times planes (M, h, W); a few columns at a time, see :data:`ONE_THREAD`."""
    step = max(1, ONE_THREAD // weights.size)
    if len(planes) > MANY_PLANES or planes.shape[2] <= step:
        return np.asarray(weights @ planes)
    starts = range(0, planes.shape[2], step)
    return np.concatenate([weights @ planes[:, :, start : start + step] for start in starts], axis=2)


def _columns(planes: npt.NDArray[Any], weights: FloatArray) -> FloatArray:
    """Planes (M, h, w) times (W, w) transposed; a few rows at a time, so that large images never stand in float64 whole."""
    count, height, width = planes.shape
    if planes.dtype == np.float64:
        return np.asarray(planes @ weights.T)
    out = np.empty((count, height, len(weights)))
    step = max(1, min(BLOCK_VALUES // width, ONE_THREAD // weights.size))
    for plane in range(count):
        for row in range(0, height, step):
            out[plane, row : row + step] = planes[plane, row : row + step].astype(np.float64) @ weights.T
    return out


class Window(NamedTuple):
    """Rows and columns of an image that are used."""

    rows: slice
    columns: slice


@dataclass(frozen=True)
class PillowResizer:
    """The way of a training script, with Pillow.

    Attributes
    ----------
    window : rows and columns of the stored image that are used
    steps : sizes to which the window is resized, one after the other, each with the name of Pillow's filter
    corner, size : the part of the result that is kept: its first row and column, its height and width
    kept : share of the area of the stored image that remains
    """

    window: Window
    steps: tuple[tuple[Size, str], ...]
    corner: tuple[int, int]
    size: Size
    kept: float

    def __call__(self, planes: npt.NDArray[Any]) -> FloatArray:
        """Resize planes (M, h, w) of stored values to float64 (M, H, W); those of uint8 are rounded as Pillow does."""
        module = import_pillow()
        top, left = self.corner
        largest = max(size.height * size.width for size, _ in self.steps)
        if largest > MANY_PIXELS:
            require_memory(16 * largest, f"resizing an image to {largest:,} pixels", "use images of another shape")
        out = np.empty((len(planes), *self.size))
        for plane, resized in zip(planes[:, self.window[0], self.window[1]], out, strict=True):
            stored = plane if plane.dtype == np.uint8 else plane.astype(np.float32)
            image = module.fromarray(np.ascontiguousarray(stored))
            for size, filter in self.steps:
                image = image.resize((size.width, size.height), module.Resampling[filter.upper()])
            resized[...] = np.asarray(image)[top : top + self.size.height, left : left + self.size.width]
        return out


def covering(height: int, width: int, size: Size) -> Size:
    """The size to which an image is resized, keeping its shape, so that it covers `size`: torchvision's rule for the short side."""
    if height * size.width >= width * size.height:
        return Size(max(size.height, int(size.width * height / width)), size.width)
    return Size(size.height, max(size.width, int(size.height * width / height)))


def crop_window(height: int, width: int, size: Size) -> Window:
    """The largest window of the shape of `size` at the centre, its rows and columns: EDM's rule, in whole pixels."""
    if height * size.width >= width * size.height:
        tall, wide = min(height, max(1, round(width * size.height / size.width))), width
    else:
        tall, wide = height, min(width, max(1, round(height * size.width / size.height)))
    top, left = (height - tall) // 2, (width - wide) // 2
    return Window(slice(top, top + tall), slice(left, left + wide))


@functools.lru_cache(maxsize=64)
def plan_resize(
    height: int, width: int, size: Size, filter: str, crop: str, recipe: str | None
) -> Resizer | PillowResizer:
    """The resize of images (height, width) to `size`.

    Parameters
    ----------
    height, width : size of the stored images
    size : size of the result
    filter : one of :data:`FILTERS`
    crop : ``"centre"``: the image is resized, keeping its shape, until it covers `size`, and its centre is kept; ``"none"``: each
        axis is resized to its new length
    recipe : one of :data:`RECIPES`, which sets `filter` and `crop`, or None

    Returns
    -------
    Resizer or PillowResizer
        It takes planes (M, height, width).
    """
    if recipe is not None:
        return _by_recipe(height, width, size, RECIPES[recipe])
    if crop == "none":
        rows = axis_weights(height, size.height, filter, 0, size.height)
        return Resizer(rows=rows, columns=axis_weights(width, size.width, filter, 0, size.width), kept=1.0)
    cover = covering(height, width, size)
    top, left = _centre(cover, size)
    return Resizer(
        rows=axis_weights(height, cover.height, filter, top, size.height),
        columns=axis_weights(width, cover.width, filter, left, size.width),
        kept=_share(size, cover),
    )


def _centre(cover: Size, size: Size) -> tuple[int, int]:
    """First row and column of the centre, as torchvision's CenterCrop rounds them."""
    return round((cover.height - size.height) / 2), round((cover.width - size.width) / 2)


def _share(size: Size, cover: Size) -> float:
    return size.height * size.width / (cover.height * cover.width)


def _by_recipe(height: int, width: int, size: Size, recipe: Recipe) -> PillowResizer:
    whole = Window(slice(0, height), slice(0, width))
    if recipe.crop_first:
        window = crop_window(height, width, size)
        kept = (window.rows.stop - window.rows.start) * (window.columns.stop - window.columns.start) / (height * width)
        return PillowResizer(window=window, steps=((size, recipe.filter),), corner=(0, 0), size=size, kept=kept)
    if not recipe.halves:
        cover = covering(height, width, size)
        corner = _centre(cover, size)
        return PillowResizer(
            window=whole, steps=((cover, recipe.filter),), corner=corner, size=size, kept=_share(size, cover)
        )
    steps, here = [], Size(height, width)
    while here.height >= 2 * size.height and here.width >= 2 * size.width:
        here = Size(here.height // 2, here.width // 2)
        steps.append((here, "box"))
    scale = max(size.height / here.height, size.width / here.width)
    cover = Size(max(size.height, round(here.height * scale)), max(size.width, round(here.width * scale)))
    corner = ((cover.height - size.height) // 2, (cover.width - size.width) // 2)
    return PillowResizer(
        window=whole, steps=(*steps, (cover, recipe.filter)), corner=corner, size=size, kept=_share(size, cover)
    )
