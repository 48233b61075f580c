"""Arrays on disk: safetensors files with a format name, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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

    target = Path(path)
    facts = {"format": format, "version": __version__, **metadata}
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    os.close(handle)
    try:
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, name, metadata=facts)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException as error:
        os.unlink(name)
        number = re.search(r"\(os error (\d+)\)", str(error)) if isinstance(error, SafetensorError) else None
        if number is not None:  # a full disk and its like, which the library wraps
            raise OSError(int(number[1]), os.strerror(int(number[1])), os.fspath(target)) from error
        raise


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


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
