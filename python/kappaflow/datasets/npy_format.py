"""The format .npy of NumPy: its header is checked before anything is read, and Python objects are never loaded."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .errors import DataError, fail, reason_of

__all__ = ["NpyHeader", "map_npy", "parse_npy", "read_npy_header"]


@dataclass(frozen=True)
class NpyHeader:
    """What the beginning of a .npy file declares; `start` is the position of the first value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


def read_npy_header(file: IO[bytes], size: int, name: str) -> NpyHeader:
    """The header of a .npy file of `size` bytes.

    Raises
    ------
    DataError
        It is not one of numbers, or it declares another number of values than the file can hold.
    """
    try:
        version = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = reader(file)
    except KeyError as error:
        raise DataError(
            f"{name}: .npy files of version {version[0]}.{version[1]} are not read; 1.0 and 2.0 are"
        ) from error
    except Exception as error:  # NumPy raises ValueError, EOFError, and what the tokenizer raises for a damaged header
        fail(error, f"{name}: not a .npy file of numbers that can be read ({reason_of(error)})")
    if dtype.hasobject:
        raise DataError(
            f"{name}: holds Python objects (a pickle), which are never loaded; save the images as one array of numbers: "
            "np.save(file, np.stack(images))"
        )
    start = file.tell()
    needed = start + dtype.itemsize * int(np.prod(shape, dtype=object))
    if min(shape, default=0) < 0:
        raise DataError(f"{name}: not a .npy file of numbers that can be read (its header declares shape {shape})")
    if needed != size:
        raise DataError(
            f"{name}: its header declares shape {shape} {dtype}, {needed:,} bytes, but it has {size:,} bytes"
        )
    sides = tuple(int(side) for side in shape)
    return NpyHeader(shape=sides, dtype=dtype, fortran=bool(fortran), start=start)


def parse_npy(content: bytes, name: str) -> npt.NDArray[Any]:
    """The array, of the shape that it was saved with, of the bytes of a .npy file, which are not copied.

    Pickles are never loaded.

    Raises
    ------
    DataError
        It is not a .npy file of numbers, or it is damaged.
    """
    header = read_npy_header(io.BytesIO(content), len(content), name)
    values = np.frombuffer(content, header.dtype, offset=header.start)
    return values.reshape(header.shape, order="F" if header.fortran else "C")


def map_npy(path: Path, name: str) -> npt.NDArray[Any]:
    """The array of a .npy file, of the shape that it was saved with, memory-mapped for reading.

    Raises
    ------
    DataError
        It is not a .npy file of numbers, or it is damaged.
    NotEnoughMemoryError
        The file does not fit in the address space of the process.
    """
    try:
        with path.open("rb") as file:
            header = read_npy_header(file, path.stat().st_size, name)
        if 0 in header.shape:
            return np.empty(header.shape, header.dtype)
        order = "F" if header.fortran else "C"
        return np.memmap(path, header.dtype, "r", header.start, header.shape, order)  # type: ignore[call-overload, no-any-return]
    except Exception as error:  # OSError, and ValueError of types that cannot be mapped
        fail(error, f"{name}: not a .npy file of numbers that can be read ({reason_of(error)})")
