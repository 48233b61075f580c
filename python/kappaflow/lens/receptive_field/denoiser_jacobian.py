r"""Receptive fields of networks and of other denoisers: the Jacobian at noised data, by automatic or finite differentiation.

The receptive field of a network depends on its input. Results are therefore a mean and a standard deviation over inputs
x = x₀ + σz, with x₀ from the data. The linear prediction is J = Σ(Σ + σ²)⁻¹ (:mod:`.linear_jacobian`). Rows (the inputs that
change an output pixel) and columns (the outputs that an input pixel changes) agree for an exact posterior mean, whose Jacobian
is Cov[x₀ | x]/σ²; those of a network need not agree.

PyTorch is imported only when a network is differentiated.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, integer, positive, real_array
from ..._repr import ShortRepr
from ...models.rows import RowDenoiser, evaluate_rows
from ..layout import IntArray, SpatialLayout

__all__ = ["FieldStatistics", "difference_receptive_field", "network_receptive_field", "noised"]

#: Step of a central difference, over σ: the errors of rounding and of the third derivative are then both about 1e-6 or less.
STEP = 1e-3
_DIRECTIONS = ("rows", "columns")


@dataclass(frozen=True, repr=False)
class FieldStatistics(ShortRepr):
    """Rows or columns of Jacobians over several inputs.

    Attributes
    ----------
    mean : (P, d) mean over the inputs, one row for each of `entries`, in the order of a flattened sample
    std : (P, d) standard deviation over the inputs (divisor B − 1), NaN for one input
    count : B, number of inputs
    entries : (P,) indices in a flattened sample
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
    """Data as rows (B, d) with noise σz.

    Parameters
    ----------
    data : (B, ...) clean samples
    sigma : σ > 0
    seed : of z, drawn by NumPy's generator

    Raises
    ------
    ValueError
        There are no samples, samples have no axis for their entries, σ is not above 0, or an entry is NaN or infinite.
    """
    rows = real_array("data", data)
    if rows.ndim < 2 or len(rows) == 0:
        raise ValueError(f"data must have shape (B, ...) with at least one sample, got {rows.shape}")
    rows = rows.reshape(len(rows), -1)
    return np.asarray(rows + positive("sigma", sigma) * np.random.default_rng(seed).standard_normal(rows.shape))


class _Running:
    """Mean and variance over batches, without the cancellation that sums of squares have."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: FloatArray = np.zeros(())
        self.square: FloatArray = np.zeros(())

    def add(self, values: FloatArray) -> None:
        """Add values (B, P, d)."""
        batch, mean = len(values), values.mean(axis=0)
        total = self.count + batch
        shift = mean - self.mean
        self.square = self.square + np.sum((values - mean) ** 2, axis=0) + shift**2 * (self.count * batch / total)
        self.mean = self.mean + shift * (batch / total)
        self.count = total

    def statistics(self, entries: IntArray, sigma: float, direction: str) -> FieldStatistics:
        """Of all values so far."""
        std = np.sqrt(self.square / (self.count - 1)) if self.count > 1 else np.full_like(self.mean, np.nan)
        return FieldStatistics(
            mean=self.mean, std=std, count=self.count, entries=entries, sigma=sigma, direction=direction
        )


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
        derivatives = blocks(inputs[start : start + batch])
        if not np.isfinite(derivatives).all():
            raise ValueError(f"denoiser must have finite derivatives, got NaN or infinity at noise level {sigma:.4g}")
        running.add(derivatives)
    return running.statistics(entries, sigma, direction)


def _entries(shape: tuple[int, ...], pixels: Sequence[int | Sequence[int]]) -> IntArray:
    """Places of the pixels in a flattened sample; all channels of a pixel that does not name one."""
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

    There is one pass for each pixel and batch. This is correct only if the samples of a batch do not influence each other: put
    a network into evaluation mode first.

    Parameters
    ----------
    denoiser : ``D(x, sigma)`` of tensors x (B, channels, height, width), or (B, d) for data that are not images, and sigma (B,),
        in the scale of the data (:mod:`kappaflow.models.denoisers`); differentiable in x
    data : (B, *shape) or (B, d) clean samples, over which the mean is taken
    sigma : σ > 0
    pixels : each one (y, x) for all channels of a position, (y, x, c) for one channel, or an index in a signal
    shape : of one sample, given if the data are flat
    direction : "rows" or "columns". Columns need forward derivatives of all operations of the network. PyTorch's fused
        attention kernels have none, so attention is then computed by its formula.
    seed : of the noise
    batch : number of inputs at once
    device, dtype : of the tensors; "float32" for networks with weights of that kind

    Returns
    -------
    FieldStatistics
        Statistics in the order of pixels of this library, which may differ from that of the tensors.

    Raises
    ------
    ValueError
        There are no data or no pixels, the shape does not fit a sample, or a pixel lies outside of it; the output of the
        denoiser has another shape than its input, or outputs or derivatives are not finite.
    """
    import torch

    from ...models.layout import to_rows, to_tensor  # lazy: torch

    choice("direction", direction, _DIRECTIONS)
    choice("dtype", dtype, ("float64", "float32"))
    rows = real_array("data", data)
    sample = tuple(rows.shape[1:]) if shape is None else tuple(shape)
    inputs = noised(rows, sigma, seed=seed)
    if int(np.prod(sample)) != inputs.shape[1]:
        raise ValueError(f"shape must have {inputs.shape[1]} entries like the data, got {sample}")
    entries, level, kind = _entries(sample, pixels), float(sigma), getattr(torch, dtype)

    def tensor(values: FloatArray) -> Any:
        return to_tensor(values, sample, kind).to(device)

    units = np.zeros((len(entries), inputs.shape[1]))
    units[np.arange(len(entries)), entries] = 1.0
    differentiate = _by_reverse if direction == "rows" else _by_forward

    def block(values: FloatArray) -> FloatArray:
        x = tensor(values)
        levels = torch.full((len(x),), level, dtype=kind, device=device)

        def answer(state: Any) -> Any:
            answered = denoiser(state, levels)
            _check_answer(answered, x, level)
            return answered

        derivatives = differentiate(answer, x, [tensor(unit[None]) for unit in units])
        return np.stack([to_rows(part, sample) for part in derivatives], axis=1)

    return _statistics(block, inputs, entries, level, direction, integer("batch", batch, 1))


def _by_reverse(answer: Callable[[Any], Any], x: Any, units: Sequence[Any]) -> Iterator[Any]:
    """Rows of the Jacobian at x: the gradient of each output entry, which a unit tensor (1, ...) selects."""
    import torch

    x.requires_grad_(True)
    output = answer(x)
    for i, unit in enumerate(units):
        selected = unit.to(output.dtype).expand_as(output)
        (gradient,) = torch.autograd.grad(output, x, grad_outputs=selected, retain_graph=i + 1 < len(units))
        yield gradient


def _by_forward(answer: Callable[[Any], Any], x: Any, units: Sequence[Any]) -> Iterator[Any]:
    """Columns of the Jacobian at x: the derivative along each input entry, which a unit tensor (1, ...) selects."""
    import torch
    from torch.nn import attention

    ad: Any = torch.autograd.forward_ad
    plain: Any = partial(attention.sdpa_kernel, attention.SDPBackend.MATH)  # fused ones have no forward derivative
    with warnings.catch_warnings(), ad.dual_level():
        for category in (FutureWarning, DeprecationWarning):  # PyTorch's first dual loads what PyTorch deprecates
            warnings.simplefilter("ignore", category)
        ad.make_dual(x, x)
    for unit in units:
        with torch.no_grad(), ad.dual_level(), plain():
            tangent = ad.unpack_dual(answer(ad.make_dual(x, unit.expand_as(x).contiguous()))).tangent
        yield torch.zeros_like(x) if tangent is None else tangent


def _check_answer(answer: Any, x: Any, level: float) -> None:
    """ValueError unless a tensor answers in the shape of the input, with finite numbers."""
    if answer.shape != x.shape:
        raise ValueError(f"denoiser must return the shape of its input {tuple(x.shape)}, got {tuple(answer.shape)}")
    if not bool(answer.detach().isfinite().all()):
        raise ValueError(f"denoiser must be finite, got NaN or infinity at noise level {level:.4g}")


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

    Columns need two evaluations for each input and pixel, rows two for each input and dimension.

    Parameters
    ----------
    denoiser : ``D(x, sigma)`` of rows (B, d) in float64
    data, sigma, pixels, shape, direction, seed : as for :func:`network_receptive_field`
    step : h, by default σ/1000
    batch : number of rows in each call of the denoiser

    Raises
    ------
    ValueError
        See :func:`network_receptive_field`.
    TypeError
        The denoiser does not return real numbers.
    """
    choice("direction", direction, _DIRECTIONS)
    rows = real_array("data", data)
    sample = tuple(rows.shape[1:]) if shape is None else tuple(shape)
    inputs = noised(rows, sigma, seed=seed)
    dimension = inputs.shape[1]
    if int(np.prod(sample)) != dimension:
        raise ValueError(f"shape must have {dimension} entries like the data, got {sample}")
    entries, level = _entries(sample, pixels), float(sigma)
    h = STEP * level if step is None else positive("step", step)
    most = integer("batch", batch, 2)
    moved = np.arange(dimension) if direction == "rows" else entries

    def derivative(x: FloatArray, entry: int) -> FloatArray:
        shift = np.zeros(dimension)
        shift[entry] = h
        answers = evaluate_rows(denoiser, np.concatenate([x + shift, x - shift]), level, batch=most)
        return np.asarray((answers[: len(x)] - answers[len(x) :]) / (2 * h))

    def block(x: FloatArray) -> FloatArray:
        if direction == "columns":
            return np.stack([derivative(x, int(entry)) for entry in moved], axis=1)
        return np.stack([derivative(x, int(entry))[:, entries] for entry in moved], axis=2)

    return _statistics(block, inputs, entries, level, direction, most // 2)
