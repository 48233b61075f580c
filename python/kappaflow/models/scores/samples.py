"""Score of the samples themselves: the exact denoiser of a finite training set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, positive, real_array
from ..._independence import without_copies
from .base import Score, row_noise_levels
from .softmax import WeightedMean, distance_logits, squared_distances

__all__ = ["DeltaScore", "distinct_rows"]

#: Samples that are read at once.
_BLOCK = 4096


def distinct_rows(rows: FloatArray) -> int:
    """How many rows of (N, d) differ from all others before them."""
    return len(without_copies(rows))


class DeltaScore(Score):
    r"""Denoiser of the samples themselves, D = Σᵢ wᵢ yᵢ with w = softmax(−‖x − yᵢ‖²/2σ²): it memorises.

    Samples are read block by block, with a running maximum, sum and weighted sum: the result is the softmax over all of them,
    and the memory is that of one block. Distances are matrix products in float64. If their rounding could still move a weight
    (σ far below the norm of the samples), the distances to samples with weight are computed again from differences.

    Parameters
    ----------
    samples : (N, ...) array or memory map, of any real dtype; or a function without arguments that returns an iterable of
        such batches anew at each call, for data that are not an array
    block : number of samples to read at once from an array

    Raises
    ------
    ValueError
        No samples; at a call, NaN or infinity in a block.
    """

    def __init__(self, samples: Any, *, block: int = _BLOCK) -> None:
        size = integer("block", block, 1)
        if callable(samples):
            self._blocks: Callable[[], Iterable[Any]] = samples
        else:
            array = samples if hasattr(samples, "shape") else np.asarray(samples)
            if len(array.shape) < 2 or len(array) == 0:
                raise ValueError(f"samples must be (N, ...) with at least one sample, got shape {tuple(array.shape)}")
            self._blocks = lambda: (array[start : start + size] for start in range(0, len(array), size))
        first = next(iter(self._blocks()), None)
        if first is None or len(first) == 0:
            raise ValueError("samples must hold at least one sample, got none")
        rows = real_array("samples", first).reshape(len(first), -1)
        self.dimension = rows.shape[1]
        #: Subtracted from everything before products, so that an offset common to all samples costs no digits.
        self._centre = rows.mean(axis=0)

    def _centred(self) -> Iterator[FloatArray]:
        for block in self._blocks():
            rows = real_array("samples", block).reshape(len(block), -1)
            if rows.shape[1] != self.dimension:
                raise ValueError(f"samples must all have {self.dimension} pixels, got {rows.shape[1]}")
            yield rows - self._centre

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """D(x; σ), (B, d), in one pass over the samples; see the class."""
        rows = self._rows(x)
        return self._levels(rows, [row_noise_levels(sigma, len(rows)) ** 2])[0]

    def at_levels(self, x: Any, sigmas: Any) -> FloatArray:
        """(S, B, d) outputs for the same rows at several noise levels, in one pass that computes distances once.

        Parameters
        ----------
        x : (B, d)
        sigmas : (S,) noise levels above 0

        Raises
        ------
        ValueError
            Rows of another length, no noise levels, more than one axis of them, or a level that is not above 0.
        """
        rows, levels = self._rows(x), real_array("sigmas", sigmas)
        if levels.ndim != 1 or levels.size == 0:
            raise ValueError(f"sigmas must be one-dimensional and not empty, got shape {levels.shape}")
        return np.stack(self._levels(rows, [row_noise_levels(level, len(rows)) ** 2 for level in levels]))

    def _levels(self, rows: FloatArray, levels: Sequence[FloatArray]) -> list[FloatArray]:
        x = rows - self._centre
        running = [WeightedMean(len(x), self.dimension) for _ in levels]
        for part in self._centred():
            distances = squared_distances(x, part)
            for level, state in zip(levels, running, strict=True):
                logits = distance_logits(x, part, distances, level, state.top)
                state.add(logits, lambda w, part=part: w @ part)  # type: ignore[misc]
        return [self._centre + state.mean() for state in running]

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d): Σⱼ wⱼ (yⱼ − D)ᵢ (yⱼ − D)/σ², in two passes over the samples.

        Raises
        ------
        TypeError, ValueError
            `x` has another shape, a pixel does not exist, or `sigma` is not a finite number above 0.
        """
        row, chosen = self._row(x)[None] - self._centre, self._pixels(pixels)
        level = np.full((1, 1), positive("sigma", sigma) ** 2)
        mean = self._levels(row + self._centre, [level])[0] - self._centre
        running = WeightedMean(1, len(chosen) * self.dimension)
        for part in self._centred():
            logits = distance_logits(row, part, squared_distances(row, part), level, running.top)
            apart = part - mean
            running.add(logits, lambda w, a=apart: ((w[0, :, None] * a[:, chosen]).T @ a).reshape(1, -1))  # type: ignore[misc]
        return np.asarray(running.mean().reshape(len(chosen), self.dimension) / level[0, 0])
