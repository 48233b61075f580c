"""The error of all readers: data or options that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["DataError", "reading", "reason_of"]


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
        raise DataError(f"{what} ({reason_of(error)})") from error


def reason_of(error: Exception) -> str:
    """What a library says of a file that it cannot read, in one line; never its advice to load Python objects."""
    reason = str(error).strip().splitlines()
    if any(word in str(error) for word in ("pickle", "weights_only", "Python objects")):
        return "it holds Python objects (a pickle), which are never loaded, or is damaged"
    return reason[0][:300] if reason else type(error).__name__
