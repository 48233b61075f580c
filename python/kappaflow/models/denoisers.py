"""Denoisers of tensors, ``D(x, sigma)``: the interface of every network, and two models that are known in closed form."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from .scores import DeltaScore

__all__ = ["LinearDenoiser", "MemorisingDenoiser", "TensorDenoiser"]


@runtime_checkable
class TensorDenoiser(Protocol):
    """Any callable that estimates clean images from noised ones, x = x₀ + σ z.

    ``x`` is (B, channels, height, width), or (B, d) for data that are not images, and ``sigma`` is (B,). Both are on the model's
    device and have the sampler's dtype. The output has the shape and dtype of ``x``; the network may compute in a lower precision
    internally. :class:`~.rows.RowDenoiser` is the same for rows.
    """

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """E[x₀ | x₀ + σ z = x], or the model's estimate of it."""


class LinearDenoiser:
    r"""D(x; σ) = μ + Σ(Σ + σ²)⁻¹(x − μ), the best linear denoiser of data with this mean and covariance; exact for Gaussian data.

    Parameters
    ----------
    mean : (d,) in the order of a flattened tensor
    eigenvalues : (k,) ≥ 0 of Σ
    eigenvectors : (d, k) in the same order; directions outside of their span have no variance

    Raises
    ------
    ValueError
        Shapes that do not fit, or a negative eigenvalue.
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
        """The linear denoiser of the sample mean and covariance (divisor n) of images (n, ...)."""
        rows = images.detach().flatten(1).to("cpu", torch.float64)
        mean = rows.mean(dim=0)
        _, singular, vectors = torch.linalg.svd((rows - mean) / len(rows) ** 0.5, full_matrices=False)
        most = min(len(rows) - 1, rows.shape[1])  # n images have no more modes about their mean; the rest is rounding
        return cls(mean, singular[:most] ** 2, vectors[:most].T)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """D(x; σ), (B, ...) like x, at noise levels (B,); computed in float64 on the CPU.

        Raises
        ------
        ValueError
            Noise levels of another shape, or not above 0.
        """
        rows = x.flatten(1).to("cpu", torch.float64) - self._mean
        level = _levels(sigma, x) ** 2
        answer = self._mean + (rows @ self._vectors * (self._values / (self._values + level))) @ self._vectors.T
        return answer.to(x.device, x.dtype).reshape(x.shape)


class MemorisingDenoiser:
    r"""D(x; σ) = Σᵢ wᵢ xᵢ, w = softmax(−‖x − xᵢ‖²/2σ²): the exact denoiser of a training set, a mixture of deltas.

    Its sampler returns training images. This is :class:`kappaflow.models.scores.DeltaScore` for tensors.

    Parameters
    ----------
    images : (n, ...) the training set
    block : number of images to process at once

    Raises
    ------
    ValueError
        No images.
    """

    def __init__(self, images: torch.Tensor, *, block: int = 4096) -> None:
        if len(images) == 0:
            raise ValueError("images must hold at least one image, got none")
        self._score = DeltaScore(images.detach().flatten(1).cpu().numpy(), block=block)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """D(x; σ), (B, ...) like x, at noise levels (B,); in float64 on the CPU, without gradients.

        :meth:`kappaflow.models.scores.DeltaScore.jacobian_rows` gives the gradients.

        Raises
        ------
        ValueError
            Noise levels of another shape, or not above 0.
        """
        levels = _levels(sigma, x)[:, 0].numpy()
        answer = self._score(x.detach().flatten(1).to("cpu", torch.float64).numpy(), levels)
        return torch.from_numpy(answer).to(x.device, x.dtype).reshape(x.shape)


def _levels(sigma: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B, 1) noise levels in float64."""
    if sigma.shape != x.shape[:1] or not bool((sigma > 0).all()):
        raise ValueError(
            f"sigma must be ({len(x)},) noise levels above 0, got shape {tuple(sigma.shape)}, least {sigma.min()}"
        )
    return sigma.to("cpu", torch.float64)[:, None]
