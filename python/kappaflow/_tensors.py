"""Arrays on disk: safetensors files with a format name, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._files import replaced
from ._repr import short_repr
from ._version import __version__

__all__ = ["TensorFile", "digest", "read_tensors", "write_tensors"]


class TensorFile(NamedTuple):
    """Contents of a file: arrays and texts by name."""

    tensors: dict[str, npt.NDArray[Any]]
    metadata: dict[str, str]

    def __repr__(self) -> str:
        return short_repr(self)


def digest(*arrays: npt.NDArray[Any]) -> str:
    """Sixteen hexadecimal digits that identify the contents of arrays: the beginning of their SHA-256."""
    contents = hashlib.sha256()
    for array in arrays:
        contents.update(np.ascontiguousarray(array).view(np.uint8).data)
    return contents.hexdigest()[:16]


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, npt.NDArray[Any]], *, format: str, metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file, whole or not at all; the format and the version of the package join the metadata.

    Raises
    ------
    OSError
        It cannot be written, for example because the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    facts = {"format": format, "version": __version__, **metadata}
    whole = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    with replaced(path) as new:
        try:
            save_file(whole, new, metadata=facts)
        except SafetensorError as error:
            number = re.search(r"\(os error (\d+)\)", str(error))
            if number is None:
                raise
            raise OSError(
                int(number[1]), os.strerror(int(number[1])), os.fspath(path)
            ) from error  # a full disk and its like


def read_tensors(path: str | os.PathLike[str], *, format: str, what: str, of_format: str) -> TensorFile:
    """Tensors and metadata of a safetensors file of this format.

    Parameters
    ----------
    path : the file
    format : the name of the format that its metadata must give
    what, of_format : what the file should be, in the messages for other files and for files of another format

    Raises
    ------
    ValueError
        It is another kind of file, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"path must name {what}, got {os.fspath(path)!r}: {error}") from error
    if metadata.get("format") != format:
        raise ValueError(f"path must name {of_format} of format {format}, got {metadata.get('format')!r}")
    return TensorFile(tensors, metadata)
