"""Arrays in .npz archives of NumPy. One is loaded into memory, after its size was checked. Pickles are never read."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..memory import require_memory
from .arrays import open_keyed
from .errors import reading
from .keys import StoredArray, choose_array
from .npy_format import read_npy_header
from .options import Options
from .source import ImageSource

__all__ = ["open_npz"]

SUFFIX = ".npy"


def npz_arrays(archive: Any) -> list[StoredArray]:
    """Key, shape and type of the arrays of an open .npz archive, read from their headers."""
    arrays = []
    for member in archive.zip.namelist():
        if member.endswith(SUFFIX):
            with archive.zip.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
            arrays.append(StoredArray(member.removesuffix(SUFFIX), shape, dtype))
    return arrays


def load_array(archive: Any, key: str, name: str) -> npt.NDArray[Any]:
    """One array of an open archive, of the shape that it was saved with.

    Raises
    ------
    DataError
        It holds Python objects, its header does not fit its size, or it takes more than half of the free memory.
    """
    info = archive.zip.getinfo(key + SUFFIX)
    with archive.zip.open(info) as file:
        read_npy_header(file, info.file_size, f"{name}, array {key!r}")
    require_memory(
        2 * info.file_size,
        f"{name}: unpacking the array {key!r} of {info.file_size:,} bytes",
        "save it as .npy, which is read in pieces, if you trust the file",
    )
    array: npt.NDArray[Any] = archive[key]
    return array


def open_npz(path: Path, options: Options) -> ImageSource:
    """Source of the images of one array of an .npz archive, which is loaded into memory.

    Raises
    ------
    DataError
        The file or an option cannot be used.
    """
    with (
        reading(f"{path.name}: not an .npz file of numbers that can be read"),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        chosen = choose_array(npz_arrays(archive), path.name, options.key)
        wanted = [key for key in (chosen.key, chosen.labels) if key is not None]
        arrays = {key: load_array(archive, key, path.name) for key in wanted}
    what = f"the array {chosen.key!r} of {path.name}"
    return open_keyed(lambda key: contextlib.nullcontext(arrays[key]), chosen, path.name, options, what)
