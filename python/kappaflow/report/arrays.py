"""How one array of pixels (or of anything else) is drawn in one axes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from .._checks import FloatArray
from .._layout import channel_axis
from .look import GUIDE, INK

Kind = Literal["grey", "colour", "vector"]


def kind_of(shape: tuple[int, ...]) -> Kind:
    """``(h, w)`` and one channel are grey, three channels are colour, channels last or first; all else is drawn as a curve."""
    if len(shape) == 2:
        return "grey"
    axis = channel_axis(shape)
    kinds: dict[int, Kind] = {1: "grey", 3: "colour"}
    return "vector" if axis is None else kinds.get(shape[axis], "vector")


def as_drawn(array: FloatArray, kind: Kind) -> FloatArray:
    """The array as (h, w), (h, w, 3) or, for what is no image, flattened to (d,)."""
    if kind == "vector":
        return array.reshape(-1)
    images = np.moveaxis(array, 0, -1) if channel_axis(array.shape) == 0 else array
    return images[..., 0] if kind == "grey" and images.ndim == 3 else images


def picture(array: FloatArray, kind: Kind) -> FloatArray:
    """Pixels of [-1, 1] clipped to [0, 1], ready for ``imshow``."""
    return np.clip(0.5 + 0.5 * as_drawn(array, kind), 0.0, 1.0)


def signed_picture(array: FloatArray, kind: Kind) -> FloatArray:
    """An eigenmode ready for ``imshow``: grey in [-1, 1] for a diverging map, colour as 0.5 + 0.5 v/max |v|."""
    values = as_drawn(array, kind)
    values = values / (float(np.max(np.abs(values), initial=0.0)) or 1.0)
    return 0.5 + 0.5 * values if kind == "colour" else values


def pixel_level(std: FloatArray, kind: Kind) -> FloatArray:
    """One standard deviation per pixel: the root mean square over the channels of a colour image."""
    values = as_drawn(std, kind)
    return np.sqrt(np.mean(values**2, axis=-1)) if kind == "colour" else values


def frame(ax: Axes) -> None:
    """A hairline frame without ticks around an image."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_in_layout(False)  # it lies on the edge of the axes, which the layout knows already
        spine.set_linewidth(0.4)
        spine.set_color(GUIDE)


def show(ax: Axes, array: FloatArray, kind: Kind, *, signed: bool = False) -> AxesImage | None:
    """Draw an image of [-1, 1] or a signed eigenmode; anything that is no image becomes a curve."""
    if kind == "vector":
        values = array.reshape(-1)
        ax.plot(np.arange(values.size), values, color=INK, lw=1.0)
        ax.axhline(0.0, color=GUIDE, lw=0.5, zorder=0)
        ax.margins(x=0.02)
        return None
    frame(ax)
    if signed:
        return ax.imshow(signed_picture(array, kind), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    return ax.imshow(picture(array, kind), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def height_ratio(shape: tuple[int, ...]) -> float:
    """Height over width of a picture of one array: an image's own up to 3, and 0.8 for a curve."""
    if kind_of(shape) == "vector":
        return 0.8
    height, width = shape[1:] if channel_axis(shape) == 0 else shape[:2]
    return min(3.0, height / width)
