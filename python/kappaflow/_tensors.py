"""Arrays on disk: safetensors files with a format name, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._files import replaced
from ._version import __version__

__all__ = ["digest", "read_tensors", "write_tensors"]


def digest(*arrays: npt.NDArray[Any]) -> str:
    """Sixteen hexadecimal digits that tell the contents of arrays from others."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).view(np.uint8).data)
    return found.hexdigest()[:16]


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, npt.NDArray[Any]], *, format: str, metadata: Mapping[str, str]
) -> None:
    """Write beside `path`, then move into place; the format and the version join the metadata. OSError where that fails."""
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


def read_tensors(
    path: str | os.PathLike[str], *, format: str, what: str, of_format: str
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Tensors and metadata of a file of this format; ValueError for any other, naming `what`, or what `of_format`, it must be."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"path must name {what}, got {os.fspath(path)!r}: {error}") from error
    if metadata.get("format") != format:
        raise ValueError(f"path must name {of_format} of format {format}, got {metadata.get('format')!r}")
    return tensors, metadata
