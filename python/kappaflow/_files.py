"""Files that are written whole or not at all: the only place where the package replaces a file on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replaced", "unique_tag", "write_bytes"]


def unique_tag() -> str:
    """Eight hexadecimal digits for the name of a temporary file that no other process takes."""
    return os.urandom(4).hex()


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The name of a new file beside `path`; when the block ends, that file takes the place of `path`.

    The new file exists, is empty, and has the permissions of any new file. Its name keeps the suffix, because some writers choose
    the format by it. If the block raises, `path` is unchanged and the new file is removed.

    Raises
    ------
    OSError
        The file could not be created or moved into place.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", os.fspath(target.parent))
    new = target.with_name(f".{target.stem}.{unique_tag()}.tmp{target.suffix}")
    try:
        new.touch()
        mode = new.stat().st_mode
        yield new
        new.chmod(mode)  # safetensors makes files for their owner alone
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace a file by one with this content, which is on the disk before the old file is removed.

    Raises
    ------
    OSError
        The file could not be written; an earlier file still exists.
    """
    with replaced(path) as new, new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
