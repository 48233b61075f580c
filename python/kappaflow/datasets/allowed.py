"""What readers accept: each door names the kinds of files, the storage and the codecs that it opens, and refuses all others.

A file of data is not trusted. Nothing in it may open another file, load a library or run a program, and nothing may wait for ever.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._listing import listed
from .errors import DataError

__all__ = [
    "require_h5_storage",
    "require_regular",
    "require_zarr_storage",
]

#: Filters of HDF5 that are part of the library or of h5py: gzip, shuffle, checksum, szip, nbit, scale-offset, lzf. For any other,
#: HDF5 would load a plugin.
H5_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
#: Codecs of zarr, by their names in the metadata of format 2 and of format 3. None of them builds Python objects.
ZARR_CODECS = frozenset(
    {
        "blosc",
        "gzip",
        "zlib",
        "zstd",
        "lz4",
        "bz2",
        "lzma",
        "shuffle",
        "delta",
        "crc32",
        "crc32c",
        "adler32",
        "fletcher32",
    }
    | {"bytes", "transpose", "sharding_indexed", "vlen-utf8", "vlen-bytes"}
)


def require_regular(path: Path, name: str) -> None:
    """Refuse what is neither a file nor a folder: a pipe, a device or a socket, which reading could wait for without end.

    Raises
    ------
    DataError
        It is such a thing.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # whoever opens it says why
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
        what = kinds.get(stat.S_IFMT(mode), "neither a file nor a folder")
        raise DataError(f"{name!r} is {what}; only files and folders are read")


def require_h5_storage(array: Any, key: str, name: str) -> Any:
    """An open dataset of HDF5, if all its values are in the file itself and packed by filters that HDF5 brings along.

    Raises
    ------
    DataError
        Its values are in other files, or are put together of other datasets, or a filter would be loaded from a plugin.
    """
    where = f"{name}: the dataset {key!r}"
    if array.file.filename is None or Path(array.file.filename).name != name:
        raise DataError(f"{where} is in another file, to which this one links; name that file")
    if array.external:
        raise DataError(f"{where} keeps its values in other files, which are not opened; save them in the file itself")
    if array.is_virtual:
        raise DataError(f"{where} is virtual: its values are in other datasets or files; save them in the file itself")
    facts = array.id.get_create_plist()
    filters = [int(facts.get_filter(number)[0]) for number in range(facts.get_nfilters())]
    unknown = [str(number) for number in filters if number not in H5_FILTERS]
    if unknown:
        raise DataError(
            f"{where} is packed by the filter {listed(unknown)}, which a plugin would have to unpack; "
            f"{listed(H5_FILTERS.values())} are read"
        )
    return array


def require_zarr_storage(path: Path, metadata: Mapping[str, Any], key: str, name: str) -> None:
    """Refuse a zarr array with codecs that are not in :data:`ZARR_CODECS`, and a store with links or special files.

    Parameters
    ----------
    path : the folder of the store
    metadata : of the array, in format 2 or 3
    key, name : what the array and the store are called in messages

    Raises
    ------
    DataError
        It is such an array or store.
    """
    unknown = sorted(set(codec_names(metadata)) - ZARR_CODECS)
    if unknown:
        raise DataError(
            f"{name}: the array {key!r} is packed by {listed(unknown)}; {listed(sorted(ZARR_CODECS), 20)} are read"
        )
    for folder, folders, files in os.walk(path):
        for each in (*folders, *files):
            place = Path(folder, each)
            mode = place.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                what = "a link" if stat.S_ISLNK(mode) else "a pipe, device or socket"
                raise DataError(
                    f"{name}: {place.relative_to(path)} is {what}, and no zarr store holds such; copy the store"
                )


def codec_names(value: Any, wanted: bool = False) -> Iterable[str]:
    """Names of all codecs in the metadata of an array: the entries "compressor", "filters" and "codecs", and those inside them."""
    if isinstance(value, Mapping):
        name = value.get("id", value.get("name"))
        if wanted and isinstance(name, str):
            yield name
        for key, inner in value.items():
            yield from codec_names(inner, key in ("compressor", "filters", "codecs", "index_codecs"))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from codec_names(inner, wanted)
    elif wanted and isinstance(value, str):
        yield value
