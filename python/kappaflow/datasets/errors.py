"""The error of all readers: data or options that cannot be used."""

from __future__ import annotations

__all__ = ["DataError"]


class DataError(ValueError):
    """The data or an option cannot be used. The message names the argument or file, its value and what is allowed."""
