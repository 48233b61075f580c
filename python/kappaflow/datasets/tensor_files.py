"""Tensors in files of PyTorch (.pt, .pth) and of safetensors. Nothing is unpickled but tensors and plain containers of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._listing import listed
from .._repr import ShortRepr
from .._schema import FileError
from .._torch_files import load_torch
from .arrays import as_array, open_keyed
from .errors import DataError, fail, reason_of
from .keys import StoredArray, choose_array
from .options import Options
from .source import ImageSource

__all__ = ["is_tensor_file", "open_pt", "open_safetensors"]

HEADER_BYTES = 100 * 2**20  # as the safetensors library allows
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


class Brain16:
    """bfloat16 values (N, ...), stored as the upper halves of float32, which slices become."""

    def __init__(self, bits: npt.NDArray[np.uint16]) -> None:
        self.bits, self.shape, self.dtype = bits, bits.shape, np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, index: Any) -> npt.NDArray[np.float32]:
        wide = np.asarray(self.bits[index]).astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32)


@dataclass(frozen=True, repr=False)
class TensorEntry(ShortRepr):
    """One tensor of a safetensors file: its type, its shape, and where its bytes begin and end in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def read_header(path: Path) -> dict[str, Any]:
    """The JSON at the beginning of a safetensors file.

    Raises
    ------
    ValueError
        There is none.
    """
    if not path.is_file():
        raise ValueError("it is no file")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(HEADER_BYTES, size - 8):
            raise ValueError("its header does not fit in the file")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no dictionary")
    return {**header, "": length}


def saved_format(header: Mapping[str, Any]) -> str:
    """The format of a file that kappaflow saved, such as a population; else nothing."""
    facts = header.get("__metadata__")
    name = str(facts.get("format", "")) if isinstance(facts, dict) else ""
    return name if name.startswith("kappaflow-") else ""


def is_tensor_file(path: Path) -> bool:
    """Whether the file is one of safetensors that another program saved."""
    try:
        return not saved_format(read_header(path))
    except (OSError, ValueError, RecursionError):
        return False


def read_entries(path: Path) -> Mapping[str, TensorEntry]:
    """Name → tensor, from the header of a safetensors file.

    Raises
    ------
    DataError
        The header is damaged, or declares tensors beyond the end of the file, or the file is one that kappaflow saved.
    """
    size = path.stat().st_size
    try:
        header = read_header(path)
        length, saved = header.pop(""), saved_format(header)
        header.pop("__metadata__", None)
        entries = {
            str(name): TensorEntry(
                dtype=entry["dtype"],
                shape=tuple(int(side) for side in entry["shape"]),
                start=8 + length + int(entry["data_offsets"][0]),
                stop=8 + length + int(entry["data_offsets"][1]),
            )
            for name, entry in header.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DataError(f"{path.name}: not a safetensors file that can be read ({error})") from error
    if saved:
        raise DataError(
            f"{path.name}: is no file of images but one that kappaflow saved ({saved}); open a population with "
            "Population.load"
        )
    for name, entry in entries.items():
        width = np.dtype(DTYPES[entry.dtype]).itemsize if entry.dtype in DTYPES else None
        values = int(np.prod(entry.shape, dtype=object))
        if not 8 + length <= entry.start <= entry.stop <= size or min(entry.shape, default=0) < 0:
            raise DataError(f"{path.name}: the tensor {name!r} lies outside the file, which is damaged")
        if width is not None and values * width != entry.stop - entry.start:
            raise DataError(
                f"{path.name}: the tensor {name!r} has another number of bytes than its shape {entry.shape}"
            )
    return entries


def open_safetensors(path: Path, options: Options) -> ImageSource:
    """Source of the images of one tensor of a safetensors file, which is memory-mapped.

    Raises
    ------
    DataError
        The file or an option cannot be used.
    """
    entries = read_entries(path)
    stored = [StoredArray(name, one.shape, np.dtype(DTYPES.get(one.dtype, object))) for name, one in entries.items()]
    chosen = choose_array(stored, path.name, options.key)
    for key in (chosen.key, chosen.labels):
        if key is not None and entries[key].dtype not in DTYPES:
            raise DataError(f"{path.name}: tensors of type {entries[key].dtype} are not read; {listed(DTYPES)} are")

    def opener(key: str) -> contextlib.AbstractContextManager[Any]:
        entry = entries[key]
        if 0 in entry.shape:
            return contextlib.nullcontext(np.empty(entry.shape, DTYPES[entry.dtype]))
        mapped = np.memmap(path, DTYPES[entry.dtype], "r", entry.start, entry.shape)
        return contextlib.nullcontext(Brain16(mapped) if entry.dtype == "BF16" else mapped)

    return open_keyed(opener, chosen, path.name, options, f"the tensor {chosen.key!r} of {path.name}")


# --- PyTorch ----------------------------------------------------------------------------------------------------------


class NamedTensor(NamedTuple):
    """A tensor, and its name in a file."""

    name: str
    tensor: Any


def tensors_in(value: Any, name: str = "") -> Iterator[NamedTensor]:
    """Name and tensor of all tensors in dictionaries, lists and tuples: "train/images", "0"."""
    if isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        pairs = [(str(number), item) for number, item in enumerate(value)]
    else:
        if callable(getattr(value, "detach", None)):
            yield NamedTensor(name=name, tensor=value)
        return
    for key, item in pairs:
        yield from tensors_in(item, f"{name}/{key}" if name else key)


def load_tensors(path: Path) -> dict[str, Any]:
    """Name → tensor, of a file of ``torch.save``; the name is empty if the file is one tensor.

    Raises
    ------
    ImportError
        torch is missing, or a version that can be made to run code in a file.
    DataError
        The file holds other Python objects, or is damaged.
    """
    try:
        content = load_torch(path)
    except ModuleNotFoundError as error:
        raise ImportError(f'{path.name}: reading tensors needs torch: pip install "kappaflow[validation]"') from error
    except ImportError as error:
        raise ImportError(f"{path.name}: {error}") from error
    except FileError as error:
        raise DataError(f"{path.name}: {error}; save the images by torch.save(images, file) or as .npy") from error
    except (MemoryError, OSError) as error:
        fail(error, f"{path.name}: not a file of tensors that can be read ({reason_of(error)})")
    return dict(tensors_in(content))


def open_pt(path: Path, options: Options) -> ImageSource:
    """Source of the images of one tensor of a file of ``torch.save``, which is memory-mapped.

    Raises
    ------
    ImportError
        torch is missing.
    DataError
        The file or an option cannot be used.
    """
    tensors = load_tensors(path)
    stored = [StoredArray(name, tuple(one.shape), numpy_type(one)) for name, one in tensors.items()]
    chosen = choose_array(stored, path.name, options.key)
    key, tensor = chosen.key, tensors[chosen.key]
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized:
        raise DataError(
            f"{path.name}: sparse and quantised tensors are not read; save tensor.to_dense() or .dequantize()"
        )
    what = f"the tensor {key!r} of {path.name}" if key else f"the tensor file {path.name}"
    return open_keyed(lambda key: contextlib.nullcontext(as_array(tensors[key])), chosen, path.name, options, what)


def numpy_type(tensor: Any) -> np.dtype[Any]:
    """The type of a tensor's values; float32 for the floats that NumPy does not know."""
    try:
        return np.dtype(str(tensor.dtype).removeprefix("torch."))
    except TypeError:
        return np.dtype(np.float32)
