"""Labels of images: those that the user gives, in memory or in a file of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._npy_files import read_npy
from .._schema import FileError
from ..memory import require_memory
from .allowed import require_h5_storage
from .errors import DataError, fail, reason_of
from .keys import StoredArray, listed_arrays, split_key

__all__ = ["given_labels", "names_label_file", "read_label_file"]

#: Files that hold labels.
SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".txt")


def given_labels(labels: Any, count: int, name: str, unit: str = "images") -> npt.NDArray[Any] | None:
    """The labels (N, ...) that the user gives, one for each of `count` images or files of `name`; None if there are none.

    Raises
    ------
    DataError
        There are more or fewer.
    """
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.ndim == 0 or len(array) != count:
        raise DataError(
            f"labels must hold one label for each of the {count:,} {unit} of {name}, got labels of shape {array.shape}"
        )
    return array


def names_label_file(text: str) -> bool:
    """Whether a text names a file of labels, by its suffix: ``"patients.npy"``, ``"data.npz::labels"``, ``"clips.txt"``."""
    return split_key(text).file.lower().endswith(SUFFIXES)


def read_label_file(text: str, argument: str = "labels") -> npt.NDArray[Any]:
    """The labels (N, ...) in a file of arrays, or the lines of a text: ``"labels.npy"``, ``"train.h5::labels"``, ``"clips.txt"``.

    Messages call them by the name of the `argument`.

    Raises
    ------
    DataError
        There is no such file, it cannot be read, or it holds several arrays that can be the labels.
    ImportError
        h5py is missing.
    """
    file, key = split_key(text)
    path = Path(file)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{argument} must be a file of arrays that exists, such as labels.npy; got {text!r}")
    if suffix not in SUFFIXES:
        raise DataError(f"{argument} must be a file of type {', '.join(SUFFIXES)}, got {text!r}")
    try:
        if suffix == ".txt":
            return np.array(path.read_text(encoding="utf-8").splitlines(), dtype=np.str_)
        if suffix == ".npy":
            require_memory(path.stat().st_size, f"{argument}: reading {path.name}", "save fewer labels")
            return read_npy(path, argument, kinds="biufUS")
        if suffix == ".npz":
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                found = _chosen(archive, archive.files, path.name, key, argument)
                size = archive.zip.getinfo(f"{found}.npy").file_size
                require_memory(2 * size, f"{path.name}: unpacking the array {found!r}", "save fewer labels")
                return np.asarray(archive[found])
        return _read_h5(path, key, argument)
    except FileError as error:
        raise DataError(str(error)) from error
    except Exception as error:  # libraries raise errors of any type for damaged files
        fail(error, f"{argument}: {path.name} cannot be read ({reason_of(error)})")


def _read_h5(path: Path, key: str | None, argument: str) -> npt.NDArray[Any]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'{path.name}: reading HDF5 needs h5py: pip install "kappaflow[hdf5]"') from error
    with h5py.File(path, "r") as file:
        keys: list[str] = []
        file.visititems(lambda name, item: keys.append(name) if isinstance(item, h5py.Dataset) else None)
        found = _chosen(file, keys, path.name, key, argument)
        array = require_h5_storage(file[found], found, path.name)
        require_memory(2 * array.nbytes, f"{path.name}: reading the dataset {found!r}", "save fewer labels")
        return np.asarray(array[()])


def _chosen(arrays: Any, keys: list[str], name: str, wanted: str | None, argument: str) -> str:
    """The key of the labels: the one that the user wants, or the only array of one axis.

    Raises
    ------
    DataError
        There is no such array, or several can be meant.
    """
    if wanted is not None and wanted.strip("/") in keys:
        return wanted.strip("/")
    stored = [StoredArray(key, tuple(arrays[key].shape), arrays[key].dtype) for key in keys]
    flat = [one.key for one in stored if len(one.shape) == 1] or keys
    if wanted is not None or len(flat) != 1:
        what = f"holds no array {wanted!r}" if wanted is not None else "holds several arrays that can be the labels"
        raise DataError(
            f"{argument}: {name} {what}; it holds {listed_arrays(stored)}: type one of them behind the file, as {name}::KEY"
        )
    return flat[0]
