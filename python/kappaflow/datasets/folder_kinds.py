"""Which reader opens a folder: it may hold images, or arrays, or the shards of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from .dicom_files import DICOM_SUFFIXES, is_dicom_start, open_dicom_folder
from .errors import DataError
from .finding import walk_folder
from .folder import open_folder
from .members import StoredFile, leave_out, open_arrays
from .nifti_files import NIFTI_SUFFIXES, open_nifti_folder
from .options import Options
from .source import ImageSource
from .tables import TABLE_SUFFIXES, is_saved_dataset, open_saved_dataset, open_table_folder
from .tar_files import TAR_SUFFIXES, open_tars

__all__ = ["open_directory"]

#: A kind of files is what a folder holds if there are this many times more of them than of all other kinds.
CLEAR_MAJORITY = 10


def open_shards(folder: Path, names: Sequence[str], options: Options) -> ImageSource:
    """Source of the images of the tar archives of a folder.

    Raises
    ------
    DataError
        They or an option cannot be used.
    """
    what = f"{len(names):,} archives of the folder {folder.name or folder.resolve().name}"
    return open_tars([folder / name for name in names], folder.name or folder.resolve().name, what, options)


def open_array_folder(folder: Path, names: Sequence[str], options: Options) -> ImageSource:
    """Source of the images of the .npy files of a folder.

    Raises
    ------
    DataError
        They or an option cannot be used.
    """

    def opener(path: Path) -> Callable[[], IO[bytes]]:
        return lambda: path.open("rb")

    title = folder.name or folder.resolve().name
    members = [
        StoredFile(name=name, size=path.stat().st_size, open=opener(path), label=None, path=path)
        for name, path in ((name, folder / name) for name in names)
    ]
    return open_arrays(members, title, f"the folder {title}", options)


Reader = Callable[[Path, Sequence[str], Options], ImageSource]
TARS, TABLES, VOLUMES, DICOM, IMAGES = "tar archives", "tables", "NIfTI volumes", "DICOM files", "images"

#: Kind of files → their suffixes, and the reader of a folder of them. A line here adds a kind.
KINDS: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    TARS: (TAR_SUFFIXES, open_shards),
    TABLES: (TABLE_SUFFIXES, open_table_folder),
    VOLUMES: (NIFTI_SUFFIXES, open_nifti_folder),
    DICOM: (DICOM_SUFFIXES, open_dicom_folder),
    ".npy arrays": ((".npy",), open_array_folder),
}


def is_dicom(path: Path) -> bool:
    """Whether a file of any name is a DICOM file by its first bytes; False if it may not be opened."""
    try:
        with path.open("rb") as file:
            return is_dicom_start(file.read(132))
    except OSError:
        return False


def open_directory(folder: Path, options: Options) -> ImageSource:
    """Open a folder by what most of its files are.

    Raises
    ------
    DataError
        There are several kinds of files and none has a clear majority, or the files or an option cannot be used.
    """
    if is_saved_dataset(folder):
        return open_saved_dataset(folder, options)
    contents = walk_folder(folder)
    names = {IMAGES: contents.images}
    for kind, (suffixes, _) in KINDS.items():
        names[kind] = [name for name in contents.files if name.lower().endswith(suffixes)]
    if not any(names.values()):
        names[DICOM] = [name for name in contents.files if is_dicom(folder / name)]
    kinds = sorted((kind for kind in names if names[kind]), key=lambda kind: -len(names[kind])) or [IMAGES]
    counts = [len(names[kind]) for kind in kinds]
    if sum(counts[1:]) * CLEAR_MAJORITY > counts[0]:
        texts = [f"{count:,} {kind}" for count, kind in zip(counts, kinds, strict=True)]
        raise DataError(
            f"{folder.name or folder.resolve().name}: holds {' and '.join(texts)}, and either may be the data; put those that "
            "you mean into a folder of their own"
        )
    if options.key is not None and kinds[0] not in (TABLES, VOLUMES, TARS):
        raise DataError(
            f"{folder.name or folder.resolve().name}: a folder of {kinds[0]} has no parts with names, got {options.key!r}"
        )
    if kinds[0] == IMAGES:
        return open_folder(contents, options)
    read = names[kinds[0]]
    source = KINDS[kinds[0]][1](folder, read, options)
    return leave_out(source, contents.left_out(read), contents.warnings(read))
