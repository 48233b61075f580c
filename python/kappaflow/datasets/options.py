"""The keyword options of :func:`kappaflow.datasets.open_images`, checked once and handed to every reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._checks import integer
from .errors import DataError

__all__ = ["PATCH_DEFAULT", "PATCH_MAX", "PATCH_MIN", "Options"]

PATCH_MIN = 2  # a 1×1 patch has no structure to speak of
PATCH_MAX = 64  # d = 12288 in colour: the largest covariance that a workstation still diagonalises
PATCH_DEFAULT = 16


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
            sides = tuple(integer("each side of shape", side, 1, error=DataError) for side in shape)
        return cls(
            shape=sides,
            patch=None if patch is None else integer("patch", patch, PATCH_MIN, PATCH_MAX, error=DataError),
            size=None if size is None else integer("size", size, 1, error=DataError),
            grey=bool(grey),
            limit=None if limit is None else integer("limit", limit, 1, error=DataError),
            skip_corrupt=bool(skip_corrupt),
            on_skip=on_skip,
        )

    def refuse(self, source: str, **advice: str) -> None:
        """Raise where an option was asked for that does not apply to ``source``; ``advice`` says why, per option."""
        for option, why in advice.items():
            value = getattr(self, option)
            if value is not None and value is not False:
                raise DataError(f"{option}={value!r} does not apply to {source}: {why}")
