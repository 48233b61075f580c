"""The error that every reader of this package raises for data or options it cannot use."""

from __future__ import annotations

__all__ = ["DataError"]


class DataError(ValueError):
    """The data or an option cannot be used; the message names the argument or file, its value and what is allowed."""
