r"""Receptive fields of networks, and of any denoiser: the Jacobian at noised data, by automatic or by finite differences.

A network's receptive field depends on its input, so that a mean and a standard deviation over inputs are given, x = x₀ + σz with x₀
from the data. The linear prediction is J = Σ(Σ + σ²)⁻¹ (:mod:`.jacobian`). Rows (what moves an output pixel) and columns (what an
input pixel moves) agree for an exact posterior mean, whose Jacobian is Cov[x₀ | x]/σ²; for a network they need not.

PyTorch is imported where a network is differentiated, not before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, integer, positive, real_array
from ...models.rows import RowDenoiser
from ..layout import IntArray, SpatialLayout

__all__ = ["FieldStatistics", "difference_receptive_field", "network_receptive_field", "noised"]

#: Step of a central difference over σ: rounding and third derivative are then both about 1e-6 or less.
STEP = 1e-3
_DIRECTIONS = ("rows", "columns")


@dataclass(frozen=True)
class FieldStatistics:
    """Rows or columns of Jacobians over several inputs.

    Attributes
    ----------
    mean : (P, d) mean over the inputs; entries in the order of a flattened sample, one row for each of `entries`
    std : (P, d) standard deviation over the inputs (divisor B − 1), NaN for one input
    count : B, number of inputs
    entries : (P,) places in a flattened sample
    sigma : noise level
    direction : "rows", J[i, ·] = ∂Dᵢ/∂x, or "columns", J[·, j] = ∂D/∂xⱼ
    """

    mean: FloatArray
    std: FloatArray
    count: int
    entries: IntArray
    sigma: float
    direction: str


def noised(data: Any, sigma: float, *, seed: int = 0) -> FloatArray:
    """Data (B, ...) as rows (B, d) with noise σz, z from NumPy's generator of that seed."""
    rows = real_array("data", data)
    if rows.ndim < 2 or len(rows) == 0:
        raise ValueError(f"data must have shape (B, ...) with at least one sample, got {rows.shape}")
    rows = rows.reshape(len(rows), -1)
    return np.asarray(rows + positive("sigma", sigma) * np.random.default_rng(seed).standard_normal(rows.shape))


class _Running:
    """Mean and variance of batches, without the cancellation of sums of squares."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: FloatArray = np.zeros(())
        self.square: FloatArray = np.zeros(())

    def add(self, values: FloatArray) -> None:
        """Values (B, P, d)."""
        batch, mean = len(values), values.mean(axis=0)
        total = self.count + batch
        shift = mean - self.mean
        self.square = self.square + np.sum((values - mean) ** 2, axis=0) + shift**2 * (self.count * batch / total)
        self.mean = self.mean + shift * (batch / total)
        self.count = total

    def statistics(self, entries: IntArray, sigma: float, direction: str) -> FieldStatistics:
        """What was found."""
        std = np.sqrt(self.square / (self.count - 1)) if self.count > 1 else np.full_like(self.mean, np.nan)
        return FieldStatistics(self.mean, std, self.count, entries, sigma, direction)


def _statistics(
    blocks: Callable[[FloatArray], FloatArray],
    inputs: FloatArray,
    entries: IntArray,
    sigma: float,
    direction: str,
    batch: int,
) -> FieldStatistics:
    running = _Running()
    for start in range(0, len(inputs), batch):
        running.add(blocks(inputs[start : start + batch]))
    return running.statistics(entries, sigma, direction)


def _entries(shape: tuple[int, ...], pixels: Sequence[int | Sequence[int]]) -> IntArray:
    """Places of all pixels named: all channels of a position where none is named."""
    layout = SpatialLayout.of_any(shape)
    if len(pixels) == 0:
        raise ValueError("pixels must name at least one pixel, got none")
    return np.concatenate([layout.entries(pixel) for pixel in pixels])


# ---------------------------------------------------------------- networks
def network_receptive_field(
    denoiser: Callable[[Any, Any], Any],
    data: Any,
    sigma: float,
    pixels: Sequence[int | Sequence[int]],
    *,
    shape: tuple[int, ...] | None = None,
    direction: str = "rows",
    seed: int = 0,
    batch: int = 64,
    device: str = "cpu",
    dtype: str = "float64",
) -> FieldStatistics:
    r"""Receptive fields of a PyTorch denoiser at noised data: rows by reverse, columns by forward differentiation.

    One pass for each pixel and batch, as the samples of a batch do not see each other: put a network into evaluation mode first.

    Parameters
    ----------
    denoiser : ``D(x, sigma)`` of tensors (B, channels, height, width), or (B, d) for what is no image, and (B,), in the data's
        scale (:mod:`kappaflow.models.denoisers`); differentiable in x
    data : (B, *shape) or (B, d) clean samples; the mean is over them
    sigma : σ > 0
    pixels : (y, x), all channels of it; (y, x, c); or a place in a signal
    shape : of one sample, where the data come flat
    direction : "rows" or "columns"; columns need a network all of whose operations have forward derivatives, and take PyTorch's
        attention by its formula, without the fused kernels that have none
    seed : of the noise
    batch : inputs at once
    device, dtype : of the tensors; "float32" for networks with weights of that kind

    Returns
    -------
    FieldStatistics
        In the library's order of pixels, whatever that of the tensors.
    """
    import torch
    from torch.nn import attention

    from ...models.layout import to_rows, to_tensor  # lazy: a quick start

    choice("direction", direction, _DIRECTIONS)
    choice("dtype", dtype, ("float64", "float32"))
    rows = real_array("data", data)
    sample = tuple(rows.shape[1:]) if shape is None else tuple(shape)
    inputs = noised(rows, sigma, seed=seed)
    if int(np.prod(sample)) != inputs.shape[1]:
        raise ValueError(f"shape must have {inputs.shape[1]} entries as the data have, got {sample}")
    entries, level, kind = _entries(sample, pixels), float(sigma), getattr(torch, dtype)

    def tensor(values: FloatArray) -> Any:
        return to_tensor(values, sample, kind).to(device)

    basis = np.zeros((len(entries), inputs.shape[1]))
    basis[np.arange(len(entries)), entries] = 1.0

    def reverse(x: Any, levels: Any) -> Iterator[Any]:
        x.requires_grad_(True)
        answer = denoiser(x, levels)
        for place, unit in enumerate(basis):
            one = tensor(unit[None]).to(answer.dtype).expand_as(answer)
            keep = place + 1 < len(basis)
            (gradient,) = torch.autograd.grad(answer, x, grad_outputs=one, retain_graph=keep)
            yield gradient

    def forward(x: Any, levels: Any) -> Iterator[Any]:
        ad: Any = torch.autograd.forward_ad
        plain: Any = partial(attention.sdpa_kernel, attention.SDPBackend.MATH)  # fused ones have no forward derivative
        with warnings.catch_warnings(), ad.dual_level():
            for kind in (FutureWarning, DeprecationWarning):  # PyTorch's first dual loads what PyTorch deprecates
                warnings.simplefilter("ignore", kind)
            ad.make_dual(x, x)
        for unit in basis:
            with torch.no_grad(), ad.dual_level(), plain():
                dual = ad.make_dual(x, tensor(unit[None]).expand_as(x).contiguous())
                tangent = ad.unpack_dual(denoiser(dual, levels)).tangent
            yield torch.zeros_like(x) if tangent is None else tangent

    def block(values: FloatArray) -> FloatArray:
        x = tensor(values)
        levels = torch.full((len(x),), level, dtype=kind, device=device)
        parts = (reverse if direction == "rows" else forward)(x, levels)
        return np.stack([to_rows(part, sample) for part in parts], axis=1)

    return _statistics(block, inputs, entries, level, direction, integer("batch", batch, 1))


# ---------------------------------------------------------------- any denoiser of rows
def difference_receptive_field(
    denoiser: RowDenoiser,
    data: Any,
    sigma: float,
    pixels: Sequence[int | Sequence[int]],
    *,
    shape: tuple[int, ...] | None = None,
    direction: str = "columns",
    seed: int = 0,
    step: float | None = None,
    batch: int = 4096,
) -> FieldStatistics:
    """Receptive fields of a denoiser of rows by central differences, (D(x + h e) − D(x − h e))/2h.

    Columns take two evaluations an input and pixel, rows two an input and dimension.

    Parameters
    ----------
    denoiser : ``D(x, sigma)`` of rows (B, d) in float64
    data, sigma, pixels, shape, direction, seed : as for :func:`network_receptive_field`
    step : h, by default σ/1000
    batch : rows given to the denoiser at once
    """
    choice("direction", direction, _DIRECTIONS)
    rows = real_array("data", data)
    sample = tuple(rows.shape[1:]) if shape is None else tuple(shape)
    inputs = noised(rows, sigma, seed=seed)
    dimension = inputs.shape[1]
    if int(np.prod(sample)) != dimension:
        raise ValueError(f"shape must have {dimension} entries as the data have, got {sample}")
    entries, level = _entries(sample, pixels), float(sigma)
    h = STEP * level if step is None else positive("step", step)
    most = integer("batch", batch, 2)
    moved = np.arange(dimension) if direction == "rows" else entries

    def derivative(x: FloatArray, place: int) -> FloatArray:
        shift = np.zeros(dimension)
        shift[place] = h
        answers = np.asarray(denoiser(np.concatenate([x + shift, x - shift]), level), dtype=np.float64)
        if answers.shape != (2 * len(x), dimension):
            raise ValueError(f"denoiser must return shape ({2 * len(x)}, {dimension}), got {answers.shape}")
        return np.asarray((answers[: len(x)] - answers[len(x) :]) / (2 * h))

    def block(x: FloatArray) -> FloatArray:
        if direction == "columns":
            return np.stack([derivative(x, int(place)) for place in moved], axis=1)
        return np.stack([derivative(x, int(place))[:, entries] for place in moved], axis=2)

    return _statistics(block, inputs, entries, level, direction, most // 2)
