"""The keyword options of :func:`kappaflow.datasets.open_images`, checked once for all readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._checks import integer
from ..pixel_range import checked_range
from ..provenance import PixelRange
from .errors import DataError

__all__ = ["PATCH_DEFAULT", "PATCH_MAX", "PATCH_MIN", "Options"]

PATCH_MIN = 2  # a patch of one pixel has no structure
PATCH_MAX = 64  # d = 12288 in colour, about the largest covariance that a workstation can diagonalise
PATCH_DEFAULT = 16


@dataclass(frozen=True)
class Options:
    """Checked options; ``None`` and ``False`` mean "not given".

    Attributes
    ----------
    shape : shape of one image; its sides multiply to d
    patch : side P of the patches, from PATCH_MIN to PATCH_MAX
    size : side of the resized images, at least 1
    grey : convert colour to luma
    limit : largest number of images, at least 1
    skip_corrupt : leave out files that cannot be decoded
    on_skip : called once with a message for each file that is left out
    range : the stored values of black and white; None if the values decide
    channels : which axis of an image holds its channels, "first" or "last", or their number; None if the shape decides
    key : which array of a file holds the images; None if the arrays decide
    """

    shape: tuple[int, ...] | None = None
    patch: int | None = None
    size: int | None = None
    grey: bool = False
    limit: int | None = None
    skip_corrupt: bool = False
    on_skip: Callable[[str], None] | None = None
    range: PixelRange | None = None
    channels: str | int | None = None
    key: str | None = None

    @classmethod
    def checked(
        cls,
        *,
        shape: Sequence[int] | None,
        patch: int | None,
        size: int | None,
        grey: bool,
        limit: int | None,
        skip_corrupt: bool,
        on_skip: Callable[[str], None] | None,
        range: Sequence[float] | str | None = None,
        channels: str | int | None = None,
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
        return cls(
            shape=sides,
            patch=None if patch is None else integer("patch", patch, PATCH_MIN, PATCH_MAX, error=DataError),
            size=None if size is None else integer("size", size, 1, error=DataError),
            grey=bool(grey),
            limit=None if limit is None else integer("limit", limit, 1, error=DataError),
            skip_corrupt=bool(skip_corrupt),
            on_skip=on_skip,
            range=checked_range(range, error=DataError),
            channels=_channels(channels),
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
                raise DataError(f"{option}={value!r} does not apply to {source}: {why}")


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
