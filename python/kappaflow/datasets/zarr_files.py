"""Arrays of zarr stores in local folders, read in blocks. Codecs are those of a list, and none builds Python objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .allowed import require_zarr_storage
from .arrays import check_chunks, missing_chunks, open_keyed, with_warnings
from .errors import DataError, fail, reading, reason_of
from .keys import Chosen, StoredArray, choose_array
from .options import Options
from .source import ImageSource

__all__ = ["open_zarr"]


def open_zarr(path: Path, options: Options) -> ImageSource:
    """Source of the images of a zarr array, or of one array of a zarr group, which is read in blocks.

    Raises
    ------
    ImportError
        zarr is missing.
    DataError
        The store or an option cannot be used.
    """
    try:
        import zarr
    except ImportError as error:
        raise ImportError(f'{path.name}: reading zarr needs zarr: pip install "kappaflow[zarr]"') from error
    arrays: Any
    if not path.is_dir():
        raise DataError(f"{path.name}: a zarr store must be a folder")
    try:
        store = zarr.open(str(path.resolve()), mode="r")  # an absolute path: never the address of another machine
    except Exception as error:  # zarr raises types of its own that differ between its versions 2 and 3
        fail(error, f"{path.name}: not a zarr store that can be read ({reason_of(error)})")
    if hasattr(store, "dtype"):
        if options.key is not None:
            raise DataError(f"{path.name}: is one zarr array without keys, got {options.key!r}")
        chosen, arrays, what = Chosen("", ()), {"": store}, f"the zarr array {path.name}"
    else:
        with reading(f"{path.name}: not a zarr store that can be read"):
            chosen = choose_array(list(zarr_arrays(store)), path.name, options.key)
        arrays, what = store, f"the array {chosen.key!r} of {path.name}"
    for each in (chosen.key, chosen.labels):
        if each is not None:
            require_zarr_storage(path, metadata_of(arrays[each]), each, path.name)
    array = arrays[chosen.key]
    check_chunks(array, chosen.key, path.name)
    with reading(f"{path.name}: not a zarr store that can be read"):
        missing = missing_chunks(array, int(array.nchunks_initialized), path.name)

    @contextlib.contextmanager
    def opener(key: str) -> Iterator[Any]:
        with reading(f"{path.name}: the array {key!r} cannot be read"):
            yield arrays[key]

    return with_warnings(open_keyed(opener, chosen, path.name, options, what), missing)


def zarr_arrays(group: Any, prefix: str = "") -> Iterator[StoredArray]:
    """Key, shape and type of the arrays of a zarr group and of the groups in it."""
    for name, array in group.arrays():
        yield StoredArray(prefix + name, tuple(array.shape), np.dtype(array.dtype))
    for name, inner in group.groups():
        yield from zarr_arrays(inner, f"{prefix}{name}/")


def metadata_of(array: Any) -> Mapping[str, Any]:
    """The metadata of an open array as a dictionary, of zarr 3, or of zarr 2, which has no such object."""
    metadata = getattr(array, "metadata", None)
    if metadata is not None:
        return dict(metadata.to_dict())
    packing = [each.get_config() for each in (array.compressor, *(array.filters or ())) if each is not None]
    return {"filters": packing}
