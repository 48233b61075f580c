"""Small images whose neighbours are alike: data on which little networks learn something in seconds."""

from __future__ import annotations

import numpy as np

SHAPE = (4, 4)


def smooth(count: int, seed: int = 0) -> np.ndarray:
    """Rows of 4 × 4 images whose neighbours are alike, with spectra of two decades."""
    white = np.random.default_rng(seed).standard_normal((count, *SHAPE))
    return (0.25 * white.cumsum(axis=1).cumsum(axis=2) - 0.2).reshape(count, -1)


def rough(count: int, seed: int = 0) -> np.ndarray:
    """Rows of 6 × 6 images of independent pixels, whose variances span two decades: no mode has most of the variance, so that the
    disagreement of a single pair of models lies near its mean.
    """
    return 0.4 * np.random.default_rng(seed).standard_normal((count, 36)) * np.geomspace(1.0, 0.1, 36)


def smooth_images(count: int, side: int, seed: int = 0) -> np.ndarray:
    """(count, side, side) independent Gaussian fields of unit variance whose neighbouring pixels are alike."""
    white = np.random.default_rng(seed).standard_normal((count, side, side))
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    fields = np.fft.ifft2(np.fft.fft2(white) / (frequencies + 1 / (2 * side))).real
    return np.asarray(fields / fields.std())
