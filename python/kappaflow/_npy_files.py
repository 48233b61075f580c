"""Arrays of numbers in .npy files from elsewhere. Nothing in them is unpickled, and nothing is read that the file does not hold."""

from __future__ import annotations

import math
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._schema import FileError

__all__ = ["read_npy"]


def read_npy(path: Path, name: str, *, kinds: str = "fiub") -> npt.NDArray[Any]:
    """The array of numbers or texts in a .npy file; messages call it `name`.

    Parameters
    ----------
    path : the file
    name : what messages call its contents
    kinds : kinds of values that are allowed, as ``numpy.dtype.kind`` calls them

    Raises
    ------
    FileError
        It is another kind of file, damaged, shorter than its header says, or holds Python objects.
    OSError
        It cannot be read.
    """
    refused = f"{name} must be a .npy file of numbers, got {path.name!r}"
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileError(f"{refused}, which is no regular file")
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(
                version
            )
            if read is None:
                raise ValueError(f"the version {version} of its header is not read")
            stored, _, dtype = read(file)
            size, held = math.prod(stored) * dtype.itemsize, path.stat().st_size - file.tell()
        if dtype.hasobject:
            raise ValueError("it holds Python objects (a pickle), which are never loaded")
        if dtype.kind not in kinds:
            raise FileError(
                f"{name} must be a .npy file of {'numbers' if 'U' not in kinds else 'numbers or texts'}, got {dtype}"
            )
        if min(stored, default=0) < 0 or size > held:
            raise ValueError(f"its header promises an array of shape {stored}, but {held} bytes follow")
        return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
    except (FileError, OSError, MemoryError):
        raise
    except Exception as error:  # NumPy raises errors of any type for damaged headers, such as those of tokenize
        raise FileError(f"{refused}: {error}") from error
