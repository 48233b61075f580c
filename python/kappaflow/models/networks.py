"""Networks of tensors as denoisers of rows (needs torch)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .._checks import FloatArray
from .denoisers import Denoiser as TensorDenoiser
from .layout import to_rows, to_tensor
from .rows import Denoiser

__all__ = ["rows_denoiser"]


def rows_denoiser(
    denoiser: TensorDenoiser,
    shape: tuple[int, ...],
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Denoiser:
    """A denoiser of tensors (B, channels, height, width) as one of rows (B, d).

    Parameters
    ----------
    denoiser : callable D(x, sigma) of tensors, see :class:`kappaflow.models.denoisers.Denoiser`
    shape : of one sample as rows hold it, (H, W), (H, W, C), (C, H, W) or (d,)
    device, dtype : of the tensors that it is given; a network may compute in its own inside
    """

    def answer(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        images = to_tensor(x, shape, dtype).to(device)
        levels: Any = torch.as_tensor(np.broadcast_to(sigma, (len(x),)).copy(), dtype=dtype, device=device)
        with torch.no_grad():
            found = denoiser(images, levels)
        if found.shape != images.shape:  # the same number of pixels in another order would go unseen
            raise ValueError(
                f"denoiser must answer in the shape of its input {tuple(images.shape)}, got {tuple(found.shape)}"
            )
        return to_rows(found, shape)

    return answer
