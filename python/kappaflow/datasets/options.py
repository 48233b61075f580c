"""The keyword options of :func:`kappaflow.datasets.open_images`, checked once for all readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .._checks import choice, integer
from ..pixel_range import checked_range
from ..provenance import PixelRange
from .errors import DataError
from .image_decoding import GROUNDS
from .resizing import CROPS, FILTERS, RECIPES, Size

__all__ = ["FRAMES", "LARGEST_SIDE", "PATCH_DEFAULT", "PATCH_MAX", "PATCH_MIN", "Options"]

PATCH_MIN = 2  # a patch of one pixel has no structure
PATCH_MAX = 64  # d = 12288 in colour, about the largest covariance that a workstation can diagonalise
PATCH_DEFAULT = 16
FRAMES = ("all", "first")
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Options:
    """Checked options; ``None`` and ``False`` mean "not given".

    Attributes
    ----------
    shape : shape of one image; its sides multiply to d
    patch : side P of the patches, from PATCH_MIN to PATCH_MAX
    size : height and width of the resized images
    grey : convert colour to luma
    limit : largest number of images, at least 1
    skip_corrupt : leave out files that cannot be decoded, and images of arrays with NaN or infinity
    on_skip : called once with a message for each file that is left out
    range : the stored values of black and white; None if the values decide
    channels : which axis of an image holds its channels, "first" or "last", or their number; None if the shape decides
    key : which array of a file holds the images; None if the arrays decide
    resize, crop : filter, and whether images are cropped to the shape of `size`, as of :func:`~.resizing.plan_resize`
    like : training script whose preparation of images is copied
    alpha : ground of transparent pixels
    frames : which frames of a file are images, "all" or "first"
    progress : called with a step and the share of it that is done
    labels : one label for each image that is stored, or for each image file
    """

    shape: tuple[int, ...] | None = None
    patch: int | None = None
    size: Size | None = None
    grey: bool = False
    limit: int | None = None
    skip_corrupt: bool = False
    on_skip: Callable[[str], None] | None = None
    range: PixelRange | None = None
    channels: str | int | None = None
    key: str | None = None
    resize: str | None = None
    crop: str | None = None
    like: str | None = None
    alpha: str | None = None
    frames: str | None = None
    progress: Callable[[str, float | None], None] | None = None
    labels: Any = None

    @classmethod
    def checked(
        cls,
        *,
        shape: Sequence[int] | None,
        patch: int | None,
        size: int | Sequence[int] | None,
        grey: bool,
        limit: int | None,
        skip_corrupt: bool,
        on_skip: Callable[[str], None] | None,
        range: Sequence[float] | str | None = None,
        channels: str | int | None = None,
        resize: str | None = None,
        crop: str | None = None,
        like: str | None = None,
        alpha: str | None = None,
        frames: str | None = None,
        progress: Callable[[str, float | None], None] | None = None,
        labels: Any = None,
    ) -> Options:
        """Options whose types and ranges are valid. The reader of a source checks whether they suit it.

        Raises
        ------
        TypeError
            An option of the wrong type.
        DataError
            A number out of range, or a shape without sides.
        """
        sides: tuple[int, ...] | None = None
        if shape is not None:
            if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence):
                raise TypeError(f"shape must be a tuple of whole numbers such as (28, 28); got {shape!r}")
            if len(shape) == 0:
                raise DataError("shape must have at least one side; got ()")
            sides = tuple(integer("each side of shape", side, 1, error=DataError) for side in shape)
        words = {"resize": (resize, tuple(FILTERS)), "crop": (crop, CROPS), "like": (like, tuple(RECIPES))}
        words |= {"alpha": (alpha, tuple(GROUNDS)), "frames": (frames, FRAMES)}
        for name, (value, allowed) in words.items():
            if value is not None:
                choice(name, value, allowed, error=DataError)
        for name in ("resize", "crop", "like"):
            if words[name][0] is not None and size is None:
                raise DataError(
                    f"{name} needs size, the size to which images are resized; got {words[name][0]!r} without it"
                )
            if name != "like" and like is not None and words[name][0] is not None:
                raise DataError(f"{name} is set by like={like!r}; got {words[name][0]!r} too")
        return cls(
            shape=sides,
            patch=None if patch is None else integer("patch", patch, PATCH_MIN, PATCH_MAX, error=DataError),
            size=_size(size),
            grey=bool(grey),
            limit=None if limit is None else integer("limit", limit, 1, error=DataError),
            skip_corrupt=bool(skip_corrupt),
            on_skip=on_skip,
            range=checked_range(range, error=DataError),
            channels=_channels(channels),
            resize=resize,
            crop=crop,
            like=like,
            alpha=alpha,
            frames=frames,
            progress=progress,
            labels=labels,
        )

    def refuse(self, source: str, **advice: str) -> None:
        """Raise an error for options that do not apply to `source`.

        Parameters
        ----------
        source : description of the source, for the message
        advice : option → why it does not apply, or what to do instead

        Raises
        ------
        DataError
            One of these options was given.
        """
        for option, why in advice.items():
            value = getattr(self, option)
            if value is not None and value is not False:
                shown = value.height if isinstance(value, Size) and value.height == value.width else value
                raise DataError(
                    f"{option}={shown if isinstance(shown, Size) else repr(shown)} does not apply to {source}: {why}"
                )


def _channels(value: str | int | None) -> str | int | None:
    """The option ``channels``: "first", "last" or a number.

    Raises
    ------
    TypeError
        Neither a word nor a number.
    DataError
        Another word, or a number below 1.
    """
    if value is None:
        return None
    if isinstance(value, str):
        if value not in ("first", "last"):
            raise DataError(f"channels must be 'first', 'last' or the number of channels, got {value!r}")
        return value
    return integer("channels", value, 1, error=DataError)


def _size(value: int | Sequence[int] | None) -> Size | None:
    """The option ``size``: one side of a square, or height and width.

    Raises
    ------
    TypeError
        Neither a whole number nor two of them.
    DataError
        A side out of range.
    """
    if value is None:
        return None
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) == 2:
        height, width = (integer("each side of size", side, 1, LARGEST_SIDE, error=DataError) for side in value)
        return Size(height, width)
    side = integer("size", value, 1, LARGEST_SIDE, error=DataError)
    return Size(side, side)
