"""Initial noise from the user's file, in the layout and scale of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._checks import FloatArray, real_array
from .._layout import channel_axis
from .._npy_files import read_npy
from .._schema import FileError
from .._torch_files import load_torch
from ..population import Population
from ..sampling import has_scale

__all__ = ["read_noise"]


def read_noise(path: Path, population: Population, sigma_max: float) -> FloatArray:
    """(Z, d) noise of standard deviation σ_max, from a .npy file or a tensor saved by ``torch.save`` (.pt).

    The file holds (Z, *shape) with the channels of an image last or first, or (Z, d). Noise of standard deviation σ_max is not
    rescaled (EDM); noise of standard deviation 1 is multiplied by σ_max (DDPM and flow models start from it).

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError, ValueError
        Another kind of file, another shape, values that are not finite numbers, or another standard deviation.
    ImportError
        A .pt file, and torch is not installed.
    """
    array = real_array(f"--noise: {str(path)!r}", _load(path))
    rows = _rows(path, array, population)
    for expected, factor in ((sigma_max, 1.0), (1.0, sigma_max)):
        if has_scale(rows, expected):
            return rows * factor
    raise ValueError(
        f"--noise: {str(path)!r} must have the standard deviation --sigma-max = {sigma_max:g} (EDM) or 1 (DDPM, flow models), "
        f"got {float(np.sqrt(np.mean(rows**2))):.4g}"
    )


def _load(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"--noise: no file {str(path)!r}")
    if path.suffix == ".npy":
        return read_npy(path, "--noise")
    if path.suffix not in (".pt", ".pth"):
        raise ValueError(f"--noise must be a .npy or .pt file, got {str(path)!r}")
    try:
        tensor = load_torch(path)
    except ModuleNotFoundError as error:
        raise ImportError('--noise: a .pt file needs PyTorch: pip install "kappaflow[networks]"') from error
    except ImportError as error:
        raise ImportError(f"--noise: {error}") from error
    except FileError as error:
        raise ValueError(
            f"--noise: {str(path)!r} is not a file of one tensor that torch.save wrote: {error}"
        ) from error
    if not hasattr(tensor, "detach"):
        raise TypeError(f"--noise: {str(path)!r} must hold one tensor, got {type(tensor).__name__}")
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized or tensor.is_complex():
        raise TypeError(f"--noise: {str(path)!r} must hold a tensor of real numbers, neither sparse nor quantised")
    return tensor.double()


def _rows(path: Path, array: FloatArray, population: Population) -> FloatArray:
    shape, dimension = population.shape, population.dimension
    accepted: dict[tuple[int, ...], int | None] = {
        shape: None,
        (dimension,): None,
    }  # → the axis of the channels, if it moves
    if channel_axis(shape) == 2:
        accepted.setdefault((shape[2], *shape[:2]), 1)  # the layout of the images, if both have the same shape
    elif len(shape) == 2:
        accepted[(1, *shape)] = None
    if array.ndim == 0 or array.shape[1:] not in accepted or len(array) == 0:
        wanted = " or ".join(f"(Z, {', '.join(map(str, sides))})" for sides in accepted)
        raise ValueError(f"--noise: {str(path)!r} must have the shape {wanted}, got {array.shape}")
    channels = accepted[array.shape[1:]]
    ordered = array if channels is None else np.moveaxis(array, channels, -1)
    return np.ascontiguousarray(ordered.reshape(len(array), dimension))
