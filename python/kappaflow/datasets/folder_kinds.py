"""Which reader opens a folder: it may hold images, or arrays, or the shards of a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from .errors import DataError
from .folder import open_folder
from .members import StoredFile, is_image_name, leave_out, open_arrays
from .options import Options
from .source import ImageSource
from .tar_files import TAR_SUFFIXES, open_tars

__all__ = ["open_directory"]

#: A kind of files is what a folder holds if there are this many times more of them than of all other kinds.
CLEAR_MAJORITY = 10


def list_files(folder: Path) -> list[Path]:
    """All files in `folder` and below, sorted by their path; names that begin with a dot are left out."""
    files: list[Path] = []
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and not name.endswith(".zarr")]
        files += [Path(directory, name) for name in names if not name.startswith(".")]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def open_shards(folder: Path, paths: Sequence[Path], options: Options) -> ImageSource:
    """Source of the images of the tar archives of a folder.

    Raises
    ------
    DataError
        They or an option cannot be used.
    """
    what = f"{len(paths):,} archives of the folder {folder.name or folder.resolve().name}"
    return open_tars(paths, folder.name or folder.resolve().name, what, options)


def open_array_folder(folder: Path, paths: Sequence[Path], options: Options) -> ImageSource:
    """Source of the images of the .npy files of a folder.

    Raises
    ------
    DataError
        They or an option cannot be used.
    """

    def opener(path: Path) -> Callable[[], IO[bytes]]:
        return lambda: path.open("rb")

    name = folder.name or folder.resolve().name
    members = [
        StoredFile(
            name=path.relative_to(folder).as_posix(), size=path.stat().st_size, open=opener(path), label=None, path=path
        )
        for path in paths
    ]
    return open_arrays(members, name, f"the folder {name}", options)


Reader = Callable[[Path, Sequence[Path], Options], ImageSource]

#: Kind of files → their suffixes, and the reader of a folder of them. A line here adds a kind.
KINDS: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    "tar archives": (TAR_SUFFIXES, open_shards),
    ".npy arrays": ((".npy",), open_array_folder),
}
IMAGES = "images"


def open_directory(folder: Path, options: Options) -> ImageSource:
    """Open a folder by what most of its files are.

    Raises
    ------
    DataError
        There are several kinds of files and none has a clear majority, or the files or an option cannot be used.
    """
    found: dict[str, list[Path]] = {}
    for path in list_files(folder):
        name = path.name.lower()
        for kind, (suffixes, _) in KINDS.items():
            if name.endswith(suffixes):
                found.setdefault(kind, []).append(path)
        if is_image_name(name):
            found.setdefault(IMAGES, []).append(path)
    if not found or set(found) == {IMAGES}:
        return open_folder(folder, options)
    kinds = sorted(found, key=lambda kind: -len(found[kind]))
    others = [f"{len(found[kind]):,} {kind}" for kind in kinds[1:]]
    if sum(len(found[kind]) for kind in kinds[1:]) * CLEAR_MAJORITY > len(found[kinds[0]]):
        raise DataError(
            f"{folder.name or folder.resolve().name}: holds {len(found[kinds[0]]):,} {kinds[0]} and {' and '.join(others)}, "
            "and either may be the data; put those that you mean into a folder of their own"
        )
    if kinds[0] == IMAGES:
        return open_folder(folder, options)
    reader = partial(KINDS[kinds[0]][1], folder, found[kinds[0]])
    return leave_out(reader(options), others)
