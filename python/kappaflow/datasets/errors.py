"""The error of all readers: data or options that cannot be used."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from .._plain_text import plain_text
from ..memory import FEWER_OR_SMALLER, NotEnoughMemoryError

__all__ = ["DataError", "fail", "reading", "reason_of"]


class DataError(ValueError):
    """The data or an option cannot be used. The message names the argument or file, its value and what is allowed.

    Names that came from outside are in it as :func:`~kappaflow._plain_text.plain_text` shows them.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(plain_text(each) if isinstance(each, str) else each for each in args))


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
    except Exception as error:  # libraries raise errors of any type for damaged files
        fail(error, f"{what} ({reason_of(error)})")


def fail(error: Exception, message: str) -> NoReturn:
    """Raise what a library's error about a file means: the file cannot be read, or memory ran out, or a package is missing.

    Raises
    ------
    DataError
        With the message.
    NotEnoughMemoryError
        Memory or address space ran out.
    ImportError
        A package is missing.
    """
    if isinstance(error, (DataError, ImportError, NotEnoughMemoryError)):
        raise error
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        where = message.partition(": ")[0]
        raise NotEnoughMemoryError(f"{where}: memory ran out ({reason_of(error)}): {FEWER_OR_SMALLER}") from error
    raise DataError(message) from error


def reason_of(error: Exception) -> str:
    """What a library says of a file that it cannot read, in one line; never its advice to load Python objects."""
    reason = str(error).strip().splitlines()
    if any(word in str(error) for word in ("pickle", "weights_only", "Python objects")):
        return "it holds Python objects (a pickle), which are never loaded, or is damaged"
    return plain_text(reason[0])[:300] if reason else type(error).__name__
