"""Arrays on disk: safetensors files with a format, facts and a checksum, written whole or not at all and checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._files import replaced
from ._repr import short_repr
from ._schema import CHECKSUM, FileError, TensorFormat, parse_json
from ._version import __version__

__all__ = ["TensorFile", "damaged", "digest", "read_tensors", "write_tensors"]


class TensorFile(NamedTuple):
    """Contents of a file: arrays and facts by name."""

    tensors: dict[str, npt.NDArray[Any]]
    facts: dict[str, Any]

    def __repr__(self) -> str:
        return short_repr(self)


def digest(*arrays: npt.NDArray[Any]) -> str:
    """Sixteen hexadecimal digits that identify the contents of arrays: the beginning of their SHA-256."""
    contents = hashlib.sha256()
    for array in arrays:
        contents.update(np.ascontiguousarray(array).view(np.uint8).data)
    return contents.hexdigest()[:16]


def _checksum(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """SHA-256 of the metadata without the checksum, and of the name, type, shape and values of every array."""
    contents = hashlib.sha256()
    texts = {name: text for name, text in metadata.items() if name != CHECKSUM}
    arrays = {name: [array.dtype.str, list(array.shape)] for name, array in tensors.items()}
    contents.update(json.dumps([texts, arrays], sort_keys=True).encode())
    for name in sorted(tensors):
        contents.update(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)
    return contents.hexdigest()


def write_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, npt.NDArray[Any]],
    *,
    format: TensorFormat,
    facts: Mapping[str, Any],
) -> None:
    """Write a safetensors file, whole or not at all; the format, the version of the package and a checksum join the facts.

    Raises
    ------
    OSError
        It cannot be written, for example because the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    metadata = {"format": format.name, "version": __version__}
    metadata |= {name: json.dumps(value) for name, value in facts.items()}
    contiguous = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    metadata[CHECKSUM] = _checksum(contiguous, metadata)
    with replaced(path) as new:
        try:
            save_file(contiguous, new, metadata=metadata)
        except SafetensorError as error:
            number = re.search(r"\(os error (\d+)\)", str(error))
            if number is None:
                raise
            raise OSError(
                int(number[1]), os.strerror(int(number[1])), os.fspath(path)
            ) from error  # a full disk and its like


def read_tensors(path: str | os.PathLike[str], format: TensorFormat) -> TensorFile:
    """Arrays and facts of a safetensors file of this format, in which nothing has changed since it was written.

    Raises
    ------
    FileError
        It is another kind of file, or damaged, or changed by another program.
    OSError
        It cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    named = f"path must name {format.what}, got {os.fspath(path)!r}"
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != format.name:
                raise FileError(
                    f"path must name {format.what} of format {format.name}, got {metadata.get('format')!r} in "
                    f"{os.fspath(path)!r}"
                )
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise FileError(f"{named}: {error}", str(error)) from error
    except (TypeError, AttributeError, KeyError, IndexError) as error:  # types of values that NumPy does not have
        raise damaged(path, format, "it holds values of a type that is not read") from error
    try:
        _require_checksum(tensors, metadata)
        facts = {name: _fact(name, metadata) for name in format.facts}
        for name, rule in format.facts.items():
            rule(name, facts[name])
        format.check_arrays(tensors)
    except ValueError as error:
        raise damaged(path, format, str(error)) from error
    return TensorFile(tensors, facts)


def damaged(path: str | os.PathLike[str], format: TensorFormat, reason: str) -> FileError:
    """The error for a file of this format that is not as it should be."""
    return FileError(
        f"path must name {format.what}, got {os.fspath(path)!r}, which is damaged: {reason}; {format.again}", reason
    )


def _require_checksum(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    if CHECKSUM not in metadata:
        raise ValueError("it has no checksum, so another program or an earlier version wrote it")
    if metadata[CHECKSUM] != _checksum(tensors, metadata):
        raise ValueError("its checksum does not match its contents, so they have changed since they were written")


def _fact(name: str, metadata: Mapping[str, str]) -> Any:
    if name not in metadata:
        raise ValueError(f"its metadata must have the field {name!r}")
    try:
        return parse_json(metadata[name])
    except ValueError as error:
        raise ValueError(f"{name} must hold JSON ({error})") from error
