"""Datasets of HDF5 files, read in blocks. Only values in the file itself are read, packed by filters that HDF5 brings along."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .allowed import require_h5_storage
from .arrays import check_chunks, missing_chunks, open_keyed, with_warnings
from .errors import reading
from .keys import StoredArray, choose_array
from .options import Options
from .source import ImageSource

__all__ = ["open_h5"]


def open_h5(path: Path, options: Options) -> ImageSource:
    """Source of the images of one dataset of an HDF5 file, which is read in blocks and open only while it is read.

    Raises
    ------
    ImportError
        h5py is missing.
    DataError
        The file or an option cannot be used.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'{path.name}: reading HDF5 needs h5py: pip install "kappaflow[hdf5]"') from error

    def collect(file: Any) -> list[StoredArray]:
        arrays: list[StoredArray] = []

        def add(key: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.shape is not None:
                arrays.append(StoredArray(key, tuple(item.shape), item.dtype))

        file.visititems(add)
        return arrays

    with reading(f"{path.name}: not an HDF5 file that can be read"), h5py.File(path, "r") as file:
        chosen = choose_array(collect(file), path.name, options.key)
        array = require_h5_storage(file[chosen.key], chosen.key, path.name)
        check_chunks(array, chosen.key, path.name)
        stored = array.id.get_num_chunks() if array.chunks else 0
        missing = missing_chunks(array, stored, path.name)

    @contextlib.contextmanager
    def opener(key: str) -> Iterator[Any]:
        with reading(f"{path.name}: the dataset {key!r} cannot be read"), h5py.File(path, "r") as file:
            yield require_h5_storage(file[key], key, path.name)

    what = f"the dataset {chosen.key!r} of {path.name}"
    return with_warnings(open_keyed(opener, chosen, path.name, options, what), missing)
