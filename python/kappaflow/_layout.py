"""Which axis of an image holds its channels: one rule for networks, receptive fields and the command line."""

from __future__ import annotations

__all__ = ["channel_axis"]

_CHANNELS = (1, 3, 4)


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """2 for (H, W, C), 0 for (C, H, W) with C of 1, 3 or 4; None for any other shape. If both are possible, it is 2.

    >>> channel_axis((8, 8, 3)), channel_axis((3, 8, 8)), channel_axis((8, 8))
    (2, 0, None)
    """
    if len(shape) != 3:
        return None
    return next((axis for axis in (2, 0) if shape[axis] in _CHANNELS), None)
