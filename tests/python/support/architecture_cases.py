"""Populations of the tests of architecture, dense maps and the exact loss."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import kappaflow as kf
from kappaflow.lens.architecture import (
    Architecture,
    ConvolutionDenoiser,
    FullLinearDenoiser,
    MeanDenoiser,
    PatchDenoiser,
)
from kappaflow.lens.layout import SpatialLayout

SHAPES = [(12,), (5, 4), (5, 3, 2)]


BIASES = ["image", "scalar", "none"]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def population(shape: tuple[int, ...], seed: int = 0, rank: int | None = None) -> kf.Population:
    """A law without any symmetry, power-law spectrum, of full rank or not."""
    d = int(np.prod(shape))
    draw = rng(seed)
    basis = np.linalg.qr(draw.standard_normal((d, d)))[0]
    spectrum = np.arange(1, d + 1.0) ** -1.2 * (np.arange(d) < (rank or d))
    return kf.Population.from_covariance((basis * spectrum) @ basis.T, 0.4 * draw.standard_normal(d), shape=shape)


def smooth(size: int = 64, length: float = 6.0) -> kf.Population:
    """A stationary signal whose correlations fall off with a length, and a mean that is not flat."""
    lags = np.minimum(np.arange(size), size - np.arange(size))
    first = np.exp(-lags / length) + 0.06 * (lags == 0)
    covariance = first[(np.arange(size)[:, None] - np.arange(size)) % size]
    return kf.Population.from_covariance(covariance, np.sin(2 * np.pi * np.arange(size) / size))


def ripples() -> kf.Population:
    """Twenty smoothed random signals on 64 places: rank 20, and not stationary."""
    waves = np.fft.fft(rng(11).standard_normal((20, 64)), axis=1) * np.exp(-np.abs(np.fft.fftfreq(64)) * 16)
    signals = np.fft.ifft(waves, axis=1).real
    return kf.Population.from_covariance(signals.T @ signals / 20, rng(12).standard_normal(64))


def covariance(p: kf.Population) -> np.ndarray:
    assert p.eigenvectors is not None
    return (p.eigenvectors * p.eigenvalues) @ p.eigenvectors.T


def architectures(p: kf.Population, patch: Any = 3) -> list[Architecture]:
    fits: list[Architecture] = [MeanDenoiser.fit(p), FullLinearDenoiser(p)]
    fits += [ConvolutionDenoiser.fit(p, bias=b) for b in BIASES]
    fits += [PatchDenoiser.fit(p, patch=patch, padding=q, bias=b) for q in ("circular", "zero") for b in BIASES]
    return fits


def matrix_and_bias(denoiser: Architecture, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    d = denoiser.layout.dimension
    bias = denoiser(np.zeros((1, d)), sigma)[0]
    return (denoiser(np.eye(d), sigma) - bias).T, bias


def exact_loss(w: np.ndarray, b: np.ndarray, p: kf.Population, sigma: float) -> float:
    """Tr (W−I)Σ(W−I)ᵀ + σ² Tr WWᵀ + ‖(W−I)μ + b‖², of dense matrices."""
    gap = w - np.eye(len(w))
    return float(np.sum(gap @ covariance(p) * gap) + sigma**2 * np.sum(w**2) + np.sum((gap @ p.mean + b) ** 2))


def shift_matrices(layout: SpatialLayout, sizes: tuple[int, ...] | None, padding: str) -> list[np.ndarray]:
    """One matrix for each weight of a convolution, written as loops over pixels; None for a filter as wide as the image."""
    grid, c = layout.grid, layout.channels
    ranges = [range(n) for n in grid] if sizes is None else [range(-(n // 2), n // 2 + 1) for n in sizes]
    index = np.arange(layout.dimension).reshape(*grid, c)
    found = []
    for offset in itertools.product(*ranges):
        for into, out in itertools.product(range(c), range(c)):
            m = np.zeros((layout.dimension,) * 2)
            for place in itertools.product(*(range(n) for n in grid)):
                other = [i + o for i, o in zip(place, offset, strict=True)]
                if padding == "zero" and any(not 0 <= j < n for j, n in zip(other, grid, strict=True)):
                    continue
                there = tuple(j % n for j, n in zip(other, grid, strict=True))
                m[index[(*place, out)], index[(*there, into)]] = 1
            found.append(m)
    return found


def bias_images(layout: SpatialLayout, bias: str) -> np.ndarray:
    d, c = layout.dimension, layout.channels
    if bias == "image":
        return np.eye(d)
    return np.tile(np.eye(c), (layout.positions, 1)).T if bias == "scalar" else np.zeros((0, d))


def two_channels(size: int = 24) -> kf.Population:
    """An exactly stationary signal of two channels, one of which leads the other."""
    draw = rng(7)
    mixing = np.fft.fft(draw.standard_normal((size, 2, 2)) * np.exp(-np.arange(size) / 3)[:, None, None], axis=0)
    spectra = mixing @ mixing.conj().swapaxes(-1, -2) + 0.05 * np.eye(2)
    lags = np.fft.ifft(spectra, axis=0).real
    gaps = (np.arange(size)[:, None] - np.arange(size)) % size
    dense = lags[gaps].swapaxes(1, 2).reshape(2 * size, 2 * size)
    return kf.Population.from_covariance(0.5 * (dense + dense.T), shape=(size, 1, 2))
