"""Files of ``torch.save``: the one place where they are read. Nothing in them is unpickled but tensors and plain containers."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from ._schema import FileError

__all__ = ["LEAST_TORCH", "load_torch", "require_safe_torch"]

#: First version in which weights_only=True reads nothing but tensors and plain containers (CVE-2025-32434).
LEAST_TORCH = (2, 6)


def require_safe_torch(version: str) -> None:
    """Check that this version of torch reads nothing but tensors.

    Raises
    ------
    ImportError
        It is older than 2.6, or no version.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < LEAST_TORCH:
        least = ".".join(map(str, LEAST_TORCH))
        raise ImportError(
            f"files of torch.save need torch {least} or later, got {version}, which can be made to run code in a file: "
            'pip install -U "kappaflow[validation]", or save the array as .npy'
        )


def load_torch(path: Path) -> Any:
    """The tensors and plain containers in a file of ``torch.save``, on the CPU, and memory-mapped where the format allows it.

    Raises
    ------
    ImportError
        torch is missing (then it is a ModuleNotFoundError), or older than 2.6.
    FileError
        The file holds other Python objects, is damaged, or has compressed members, with which a small file could fill the memory.
    OSError, MemoryError
        It cannot be read.
    """
    import torch  # lazy: torch

    require_safe_torch(str(torch.__version__))
    try:
        packed = _compressed(path)
        if packed == 0:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if packed is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # UnpicklingError, RuntimeError of damaged archives, EOFError, …
        raise FileError(
            "not a file of tensors alone, and other Python objects (a pickle) are never loaded, or damaged"
        ) from error
    raise FileError(f"{packed} of its members are compressed, which no file of torch.save is")


def _compressed(path: Path) -> int | None:
    """Number of compressed members of an archive; None for another kind of file. PyTorch never compresses."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return sum(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
