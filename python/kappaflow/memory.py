"""One budget of memory for the process, which every allocation that grows with the input asks before it is made.

The budget is what the machine has left: available memory, the limits of the control groups of the process, the limits of its
address space and data (``ulimit``), and the limit of :func:`memory_limit`, which the option ``--memory`` sets.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["NotEnoughMemoryError", "available_memory", "memory_limit", "memory_size", "require_memory", "shown_size"]

#: The smallest limit that can be set. Below it, imports of libraries alone do not fit.
LEAST_LIMIT = 16 * 2**20
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_PROCESS, _CGROUPS = Path("/proc/self"), Path("/sys/fs/cgroup")
#: A limit of a control group of version 1 above this means that there is none.
_NO_LIMIT = 2**60
#: What users can do about data that are too large.
FEWER_OR_SMALLER = (
    "use fewer images with --limit (in Python limit=) or smaller ones with --size (in Python size=), or free memory"
)


class NotEnoughMemoryError(MemoryError):
    """An allocation does not fit in the budget and was not made. The message says how much it needs and what to do."""


class _Limit(NamedTuple):
    """A limit in bytes, and the bytes that the process used when it was set."""

    bytes: int
    before: int


class _Free(NamedTuple):
    """Bytes that are free for use, and whether it is the limit of :func:`memory_limit` that leaves no more."""

    bytes: int
    limited: bool


# The memory of a process is one for all of its threads, and so is the limit.
_limits: list[_Limit] = []


def memory_size(name: str, value: int | str) -> int:
    """Bytes of a size such as ``"8G"``, ``"500 MiB"``, ``"1.5G"`` or a number of bytes; units are powers of 1024.

    Raises
    ------
    ValueError
        Another text, or a size below 16 MiB.
    TypeError
        Neither a text nor a whole number.

    Examples
    --------
    >>> memory_size("memory", "8G"), memory_size("memory", "500 MiB")
    (8589934592, 524288000)
    """
    expected = f"{name} must be a size of at least {shown_size(LEAST_LIMIT)} such as 8G or 500M, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(expected)
    match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([KMGT]?)(?:iB|B)?\s*", str(value), re.IGNORECASE)
    size = 0 if match is None else int(float(match[1]) * _UNITS[match[2].upper()])
    if size < LEAST_LIMIT:
        raise ValueError(expected)
    return size


def shown_size(size: float) -> str:
    """A number of bytes in words.

    >>> shown_size(8 * 2**30), shown_size(16 * 2**20), shown_size(12)
    ('8.0 GiB', '16.0 MiB', '12 bytes')
    """
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{math.ceil(size):,} bytes"


@contextmanager
def memory_limit(limit: int | str | None) -> Iterator[None]:
    """A block in which the process may take `limit` bytes more than it uses at the beginning; None sets no limit.

    Whatever would take more is refused with a :class:`NotEnoughMemoryError` before it is allocated. The limit holds for all
    threads. Of limits inside one another, the smallest holds.

    Parameters
    ----------
    limit : a number of bytes, or a size such as ``"8G"``

    Raises
    ------
    ValueError
        A size that cannot be read, or one below 16 MiB.
    TypeError
        Neither a text nor a whole number.

    Examples
    --------
    >>> import kappaflow as kf
    >>> with kf.memory_limit("64M"):
    ...     kf.Moments(5000)
    Traceback (most recent call last):
    kappaflow.memory.NotEnoughMemoryError: a covariance of 5,000 dimensions needs 762.9 MiB ...
    """
    if limit is None:
        yield
        return
    own = _Limit(memory_size("memory", limit), _used() or 0)
    _limits.append(own)
    try:
        yield
    finally:
        _limits.remove(own)


def available_memory() -> int | None:
    """Bytes of memory that are free for use by this process, None if the system does not report it."""
    free = _free()
    return None if free is None else free.bytes


def require_memory(need: float, what: str, instead: str = FEWER_OR_SMALLER) -> None:
    """Check that `need` bytes are free, before they are allocated.

    Parameters
    ----------
    need : bytes at the peak, in addition to what is used already
    what : what needs them, the beginning of the message
    instead : what users can do

    Raises
    ------
    NotEnoughMemoryError
        They are not; the message says how much is needed and how much is free.
    """
    free = _free()
    if free is None or need <= free.bytes:
        return
    of, more = "", ""
    if free.limited:
        limit = min(_limits, key=lambda limit: limit.bytes)
        of, more = (
            f" of the limit of {shown_size(limit.bytes)}",
            "; or allow more with --memory (in Python memory_limit)",
        )
    raise NotEnoughMemoryError(
        f"{what} needs {shown_size(need)} of memory, {shown_size(free.bytes)}{of} are free: {instead}{more}"
    )


def _free() -> _Free | None:
    """What is free, None if it is not known."""
    parts = [part for part in (_of_machine(), *_of_groups(), *_of_process()) if part is not None]
    used = _used() or 0
    own = [limit.bytes - max(0, used - limit.before) for limit in _limits]
    if not parts and not own:
        return None
    free = min(parts + own)
    return _Free(max(0, free), bool(own) and min(own) == free)


def _lines(path: Path) -> list[str]:
    """The lines of a file of the system, none if there is no such file."""
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _kilobytes(path: Path, *names: str) -> int | None:
    """The sum of the lines ``name: … kB`` of a file of the system in bytes; None if one is missing."""
    known = dict(line.split(":", 1) for line in _lines(path) if ":" in line)
    try:
        return sum(1024 * int(known[name].split()[0]) for name in names)
    except (KeyError, ValueError, IndexError):
        return None


def _used() -> int | None:
    """Bytes of memory of this process that no file holds, None if the system does not report it."""
    return _kilobytes(_PROCESS / "status", "RssAnon", "RssShmem")


def _of_machine() -> int | None:
    """Linux: available without swapping, page cache included."""
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable")


def _of_process() -> Iterator[int]:
    """What the limits of address space and data leave."""
    if sys.platform == "win32":
        return
    import resource  # lazy: resource is missing on Windows

    for limit, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most = resource.getrlimit(limit)[0]
        used = None if most == resource.RLIM_INFINITY else _kilobytes(_PROCESS / "status", name)
        if used is not None:
            yield most - used


def _number(path: Path) -> int | None:
    """The whole number that a file of the system holds; None for others."""
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _of_groups() -> Iterator[int]:
    """What the control groups of this process leave, whose page cache counts as free."""
    for line in _lines(_PROCESS / "cgroup"):
        _, controllers, inside = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            root, most, now, cache = _CGROUPS, "memory.max", "memory.current", "inactive_file "
        elif "memory" in controllers.split(","):
            root, most, now, cache = (
                *(_CGROUPS / "memory", "memory.limit_in_bytes"),
                *("memory.usage_in_bytes", "total_inactive_file "),
            )
        else:
            continue
        place = PurePosixPath(os.path.normpath("/" + inside))
        for group in (place, *place.parents):
            folder = root / str(group).lstrip("/")
            limit, used = _number(folder / most), _number(folder / now)
            if limit is None or used is None or limit > _NO_LIMIT:
                continue
            idle = next((line for line in _lines(folder / "memory.stat") if line.startswith(cache)), f"{cache}0")
            yield limit - used + int(idle.split()[1])
