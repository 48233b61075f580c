"""Files that belong to a folder: what a file names is opened, replaced or removed only if it lies in the folder itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from ._schema import FileError

__all__ = ["file_inside", "is_regular", "require_inside"]


def require_inside(path: Path, folder: Path) -> Path:
    """The path, which must lie in the folder even after all links below the folder are followed. It need not exist.

    The folder itself may be a link: the user names it.

    Raises
    ------
    FileError
        It leads out of the folder.
    """
    home, real = os.path.realpath(folder), os.path.realpath(path)
    if os.path.commonpath([home, real]) != home:
        raise FileError(
            f"{str(path)!r} must lie in the folder {str(folder)!r}, got a link or a name that leads out of it"
        )
    return path


def file_inside(folder: Path, name: str) -> Path | None:
    """The regular file of a folder that a file in it names with /; None if there is none, or if it lies elsewhere."""
    parts = PurePosixPath(name)
    if "\0" in name or "\\" in name or parts.is_absolute() or not parts.parts or ".." in parts.parts:
        return None
    path = folder.joinpath(*parts.parts)
    try:
        require_inside(path, folder)
        return path if is_regular(path) else None
    except (FileError, OSError, ValueError):
        return None


def is_regular(path: Path) -> bool:
    """Whether there is a file of that name that is no link, pipe, device or folder."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
