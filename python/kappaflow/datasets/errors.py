"""The error of all readers: data or options that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["DataError", "reading"]


class DataError(ValueError):
    """The data or an option cannot be used. The message names the argument or file, its value and what is allowed."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """A context in which a library reads a file: whatever it raises for a damaged file becomes a DataError.

    Parameters
    ----------
    what : the file and what is wrong with it, such as "a.h5: not an HDF5 file that can be read"; the reason follows in brackets

    Raises
    ------
    DataError
        The library failed.
    """
    try:
        yield
    except (DataError, ImportError, MemoryError):
        raise
    except Exception as error:  # libraries raise errors of any type for damaged files
        reason = str(error).strip().splitlines()
        raise DataError(f"{what} ({reason[0][:300] if reason else type(error).__name__})") from error
