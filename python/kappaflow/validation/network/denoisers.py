"""Denoisers ``D(x, sigma)``: the protocol, and the models that are known in closed form."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

__all__ = ["Denoiser", "LinearDenoiser", "MemorisingDenoiser"]


@runtime_checkable
class Denoiser(Protocol):
    """Any callable that estimates clean images from noised ones, x = x₀ + σ z.

    ``x`` is (B, channels, height, width), or (B, d) for data that are no images, and ``sigma`` (B,), both on the model's device and
    of the sampler's dtype; the answer has the shape and dtype of ``x``. The network may compute in a lower precision inside.
    """

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """E[x₀ | x₀ + σ z = x], or what the model takes it to be."""


class LinearDenoiser:
    r"""D(x; σ) = μ + Σ(Σ + σ²)⁻¹(x − μ), the best linear denoiser of data of this mean and covariance, exact for Gaussian data.

    Parameters
    ----------
    mean : (d,) in the order of a flattened tensor
    eigenvalues : (k,) ≥ 0 of Σ
    eigenvectors : (d, k) of the same order; what is outside of them has no variance
    """

    def __init__(self, mean: torch.Tensor, eigenvalues: torch.Tensor, eigenvectors: torch.Tensor) -> None:
        self._mean, self._values, self._vectors = (t.to(torch.float64) for t in (mean, eigenvalues, eigenvectors))
        if self._mean.dim() != 1 or self._vectors.shape != (len(self._mean), len(self._values)):
            raise ValueError(
                f"mean, eigenvalues and eigenvectors must be (d,), (k,) and (d, k), got {tuple(mean.shape)}, "
                f"{tuple(eigenvalues.shape)} and {tuple(eigenvectors.shape)}"
            )
        if bool((self._values < 0).any()):
            raise ValueError(f"eigenvalues must not be negative, got {float(self._values.min())}")

    @classmethod
    def from_images(cls, images: torch.Tensor) -> LinearDenoiser:
        """Of the sample mean and covariance (divisor n) of images (n, ...)."""
        rows = images.detach().flatten(1).to("cpu", torch.float64)
        mean = rows.mean(dim=0)
        _, singular, vectors = torch.linalg.svd((rows - mean) / len(rows) ** 0.5, full_matrices=False)
        most = min(len(rows) - 1, rows.shape[1])  # n images have no more modes about their mean: the rest is rounding
        return cls(mean, singular[:most] ** 2, vectors[:most].T)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """(B, ...) like x; computed in float64 on the CPU."""
        rows = x.flatten(1).to("cpu", torch.float64) - self._mean
        level = _levels(sigma, x) ** 2
        answer = self._mean + (rows @ self._vectors * (self._values / (self._values + level))) @ self._vectors.T
        return answer.to(x.device, x.dtype).reshape(x.shape)


class MemorisingDenoiser:
    r"""D(x; σ) = Σᵢ wᵢ xᵢ, w = softmax(−‖x − xᵢ‖²/2σ²): the exact denoiser of a training set, a mixture of deltas.

    Its sampler returns training images. Images are taken block by block with a running maximum of the exponents, so that memory
    does not grow with their number; all in float64, images and input centred on the mean image first.

    Parameters
    ----------
    images : (n, ...) the training set
    block : images at once
    """

    def __init__(self, images: torch.Tensor, *, block: int = 4096) -> None:
        if len(images) == 0:
            raise ValueError("images must hold at least one image, got none")
        if block < 1:
            raise ValueError(f"block must be at least 1, got {block}")
        self._rows = images.detach().flatten(1).to("cpu", torch.float64)
        self._centre = self._rows.mean(dim=0)
        self._rows = self._rows - self._centre
        self._squares = (self._rows**2).sum(dim=1)
        self._block = block

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """(B, ...) like x; computed in float64 on the CPU."""
        rows = x.flatten(1).to("cpu", torch.float64) - self._centre
        level = 2 * _levels(sigma, x) ** 2
        top = torch.full((len(rows), 1), -torch.inf, dtype=torch.float64)
        total, weighted = torch.zeros_like(top), torch.zeros_like(rows)
        for start in range(0, len(self._rows), self._block):
            part = self._rows[start : start + self._block]
            # ‖x‖² is common to all images and cancels in the softmax: it never enters
            exponent = (2 * rows @ part.T - self._squares[start : start + self._block]) / level
            higher = torch.maximum(top, exponent.max(dim=1, keepdim=True).values)
            kept, weights = (top - higher).exp(), (exponent - higher).exp()
            total, weighted = kept * total + weights.sum(dim=1, keepdim=True), kept * weighted + weights @ part
            top = higher
        return (self._centre + weighted / total).to(x.device, x.dtype).reshape(x.shape)


def _levels(sigma: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B, 1) noise levels in float64."""
    if sigma.shape != x.shape[:1] or not bool((sigma > 0).all()):
        raise ValueError(
            f"sigma must be ({len(x)},) noise levels above 0, got shape {tuple(sigma.shape)}, least {sigma.min()}"
        )
    return sigma.to("cpu", torch.float64)[:, None]
