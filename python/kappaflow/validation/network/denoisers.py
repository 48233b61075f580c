"""Denoisers ``D(x, sigma)``: the protocol, and the models that are known in closed form."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

__all__ = ["Denoiser"]


@runtime_checkable
class Denoiser(Protocol):
    """Any callable that estimates clean images from noised ones, x = x₀ + σ z.

    ``x`` is (B, channels, height, width), or (B, d) for data that are no images, and ``sigma`` (B,), both on the model's device and
    of the sampler's dtype; the answer has the shape and dtype of ``x``. The network may compute in a lower precision inside.
    """

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """E[x₀ | x₀ + σ z = x], or what the model takes it to be."""
