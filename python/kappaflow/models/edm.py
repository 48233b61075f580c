"""Networks as denoisers: the preconditioning and the loss of EDM (Karras et al. 2022, table 1 and section 5)."""

from __future__ import annotations

import torch
from torch import nn

from .._checks import positive
from .denoisers import TensorDenoiser

__all__ = ["P_MEAN", "P_STD", "EDMDenoiser", "edm_loss", "training_noise"]

#: Mean and standard deviation of ln σ in training.
P_MEAN, P_STD = -1.2, 1.2


class EDMDenoiser(nn.Module):
    r"""D(x; σ) = c_skip x + c_out F(c_in x; c_noise) with a network F.

    With σ_d the scale of the data::

        c_skip = σ_d²/(σ² + σ_d²)   c_out = σ σ_d/√(σ² + σ_d²)   c_in = 1/√(σ² + σ_d²)   c_noise = ln(σ)/4

    so that inputs and targets of F have unit variance at every σ. The network computes in the dtype of its parameters; the output
    has the dtype of x.

    Parameters
    ----------
    network : F(x, c_noise) of tensors (B, ...) and (B,)
    sigma_data : σ_d > 0

    Raises
    ------
    ValueError, TypeError
        `sigma_data` is not a number above 0.
    """

    def __init__(self, network: nn.Module, sigma_data: float) -> None:
        super().__init__()
        self.network = network
        self.sigma_data = positive("sigma_data", sigma_data)
        self.image_shape: tuple[int, ...] | None = None  # (channels, height, width) if it is known

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return next(self.parameters()).dtype

    def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Estimates (B, ...) of the clean images at noise levels (B,)."""
        level = sigma.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))
        total = level**2 + self.sigma_data**2
        inner = (x / total.sqrt()).to(self.dtype)
        answer: torch.Tensor = self.network(inner, (sigma.log() / 4).to(self.dtype)).to(x.dtype)
        return self.sigma_data**2 / total * x + level * self.sigma_data / total.sqrt() * answer


def training_noise(count: int, generator: torch.Generator, *, mean: float = P_MEAN, std: float = P_STD) -> torch.Tensor:
    """(count,) noise levels whose logarithm is normal with this mean and standard deviation, as training draws them."""
    return (mean + std * torch.randn(count, generator=generator)).exp()


def edm_loss(
    denoiser: TensorDenoiser, clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor, *, sigma_data: float
) -> torch.Tensor:
    """Mean over the batch of λ(σ) ‖D(x + σz; σ) − x‖²/d with λ = (σ² + σ_d²)/(σ σ_d)²: the mean square error of F.

    Parameters
    ----------
    denoiser : D(x, sigma), which may be compiled
    clean, noise : (B, ...) images x and unit noise z
    sigma : (B,) noise levels
    sigma_data : σ_d of the preconditioning
    """
    level = sigma.reshape(-1, *[1] * (clean.dim() - 1))
    error = (denoiser(clean + level * noise, sigma) - clean) ** 2
    weight: torch.Tensor = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    return (weight * error.flatten(1).mean(dim=1)).mean()
