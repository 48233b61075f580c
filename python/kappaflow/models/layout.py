"""Conversion between rows of pixels, as the library stores images, and tensors with the channels first, as networks take them.

:func:`rows_denoiser` makes a denoiser of rows from a denoiser of tensors. Needs torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .._checks import FloatArray
from .._layout import channel_axis
from .denoisers import TensorDenoiser
from .rows import RowDenoiser, known_levels

__all__ = ["rows_denoiser", "tensor_shape", "to_rows", "to_tensor"]


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """Axis of the channels of one image, -1 if there is none (grey), None for data that are not images.

    With other numbers of channels than 1, 3 and 4, as of latents, they are on the last axis if the first two alone are equal,
    and on the first axis otherwise.
    """
    if len(shape) == 2:
        return -1
    if len(shape) != 3:
        return None
    known = channel_axis(shape)
    if known is not None:
        return known
    return 2 if shape[0] == shape[1] != shape[2] else 0


def tensor_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(channels, height, width) of images (H, W), (H, W, C) or (C, H, W); (d,) for anything else.

    If the first and the last axis could both be channels (1, 3 or 4 of them), the last one is, as everywhere in this library.
    Latents have any number of channels C: they are last in (S, S, C), and first in any other shape.

    >>> tensor_shape((8, 8)), tensor_shape((16, 16, 3)), tensor_shape((16, 8, 8)), tensor_shape((8, 8, 2)), tensor_shape((5,))
    ((1, 8, 8), (3, 16, 16), (16, 8, 8), (2, 8, 8), (5,))
    """
    axis = _channel_axis(shape)
    if axis is None:
        return (int(np.prod(shape)),)
    if axis == -1:
        return (1, *shape)
    return (shape[2], shape[0], shape[1]) if axis == 2 else shape


def to_tensor(rows: FloatArray, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Rows (B, d) of images of `shape` as a contiguous tensor (B, *tensor_shape(shape)) of `dtype`, which is a copy."""
    copied = np.array(rows)  # memory-mapped rows cannot be written to
    images = torch.from_numpy(copied).to(dtype).reshape(len(rows), *shape)
    if _channel_axis(shape) == 2:
        images = images.permute(0, 3, 1, 2)
    return images.reshape(len(rows), *tensor_shape(shape)).contiguous()


def to_rows(images: torch.Tensor, shape: tuple[int, ...]) -> FloatArray:
    """Images (B, *tensor_shape(shape)) as float64 rows (B, d); the inverse of :func:`to_tensor`."""
    if _channel_axis(shape) == 2:
        images = images.permute(0, 2, 3, 1)
    rows: FloatArray = images.detach().reshape(len(images), -1).to(device="cpu", dtype=torch.float64).numpy()
    return np.ascontiguousarray(rows)


def rows_denoiser(
    denoiser: TensorDenoiser,
    shape: tuple[int, ...],
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> RowDenoiser:
    """A denoiser of tensors (B, channels, height, width) as one of rows (B, d).

    Parameters
    ----------
    denoiser : D(x, sigma) of tensors, see :class:`~.denoisers.TensorDenoiser`
    shape : shape of one sample as rows hold it, (H, W), (H, W, C), (C, H, W) or (d,)
    device, dtype : what the tensors passed to the denoiser have; internally a network may compute in its own dtype

    Returns
    -------
    RowDenoiser
        It raises ValueError if the denoiser returns another shape than that of its input, and knows the same noise levels, see
        :func:`~.rows.known_levels`.
    """
    return _Rows(denoiser, shape, device, dtype)


class _Rows:
    """What :func:`rows_denoiser` returns."""

    def __init__(self, denoiser: TensorDenoiser, shape: tuple[int, ...], device: str, dtype: torch.dtype) -> None:
        self._denoiser, self._shape, self._device, self._dtype = denoiser, shape, device, dtype
        self.sigma_min, self.sigma_max = known_levels(denoiser)

    def __call__(self, x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        """D(x; σ) of rows (B, d)."""
        images = to_tensor(x, self._shape, self._dtype).to(self._device)
        same = np.broadcast_to(sigma, (len(x),)).copy()
        levels: Any = torch.as_tensor(same, dtype=self._dtype, device=self._device)
        with torch.no_grad():
            denoised = self._denoiser(images, levels)
        if denoised.shape != images.shape:  # the same number of pixels in another order would not be noticed later
            raise ValueError(
                f"denoiser must return the shape of its input {tuple(images.shape)}, got {tuple(denoised.shape)}"
            )
        return to_rows(denoised, self._shape)
