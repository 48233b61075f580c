"""The keyword options of :func:`kappaflow.datasets.open_images`, checked once and handed to every reader."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import DataError

__all__ = ["PATCH_DEFAULT", "PATCH_MAX", "PATCH_MIN", "Options", "checked_int"]

PATCH_MIN = 2  # a 1×1 patch has no structure to speak of
PATCH_MAX = 64  # d = 12288 in colour: the largest covariance that a workstation still diagonalises
PATCH_DEFAULT = 16


def checked_int(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int between ``low`` and ``high``; name the option where it is none."""
    allowed = f"at least {low}" if high is None else f"{low} to {high}"
    if isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, {allowed}; got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be a whole number, {allowed}; got {value!r}") from None
    if number < low or (high is not None and number > high):
        raise DataError(f"{name} must be {allowed}; got {number}")
    return number


@dataclass(frozen=True)
class Options:
    """Checked options; ``None`` and ``False`` mean "not asked for"."""

    shape: tuple[int, ...] | None = None  # shape of one image, multiplying to d
    patch: int | None = None  # side P of the patches, PATCH_MIN to PATCH_MAX
    size: int | None = None  # side of the resized images, at least 1
    grey: bool = False  # colour to luma
    limit: int | None = None  # at most this many images, at least 1
    skip_corrupt: bool = False  # leave out files that cannot be decoded
    on_skip: Callable[[str], None] | None = None  # told about each such file, once

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
    ) -> Options:
        """Check ranges and types, whatever the source will be."""
        sides: tuple[int, ...] | None = None
        if shape is not None:
            if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence):
                raise TypeError(f"shape must be a tuple of whole numbers such as (28, 28); got {shape!r}")
            if len(shape) == 0:
                raise DataError("shape must have at least one side; got ()")
            sides = tuple(checked_int("each side of shape", side, 1) for side in shape)
        return cls(
            shape=sides,
            patch=None if patch is None else checked_int("patch", patch, PATCH_MIN, PATCH_MAX),
            size=None if size is None else checked_int("size", size, 1),
            grey=bool(grey),
            limit=None if limit is None else checked_int("limit", limit, 1),
            skip_corrupt=bool(skip_corrupt),
            on_skip=on_skip,
        )

    def refuse(self, source: str, **advice: str) -> None:
        """Raise where an option was asked for that does not apply to ``source``; ``advice`` says why, per option."""
        for option, why in advice.items():
            value = getattr(self, option)
            if value is not None and value is not False:
                raise DataError(f"{option}={value!r} does not apply to {source}: {why}")
