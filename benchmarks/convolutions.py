"""How much two linear convolutions disagree that are trained on n images each: ``python benchmarks/convolutions.py DATA``.

DATA is a built-in dataset or a file; ``--size``, ``--patch``, ``--grey`` and ``--limit`` read its images as kappaflow does. A law
of first order in 1/n predicts the ratio to unrelated seeds, for images of one channel; pairs that are trained exactly measure it.
``--out FILE.npy`` writes the predicted disagreement of each seed, which ``seeds/score.py`` scores. docs/networks.md, "What was
tried", derives the law and compares it with networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kappaflow.datasets import open_images
from kappaflow.lens.architecture.patch_denoiser import PatchDenoiser
from kappaflow.lens.layout import SpatialLayout
from kappaflow.sampling import SIGMA_MAX, SIGMA_MIN, initial_noise

__all__ = ["KernelSpread", "PairDisagreement", "half_side", "kernel_spread", "predicted", "simulated"]

FloatArray = npt.NDArray[np.float64]

#: Relative difference of two eigenvalues below which the divided difference is the mean of the derivatives.
_EQUAL = 1e-7


class PairDisagreement(NamedTuple):
    """Disagreement of two models on the same seeds and on unrelated seeds.

    Attributes
    ----------
    seeds : (Z,) ‖a − b‖²/d of each seed
    unrelated : mean of ‖aᵢ − bⱼ‖²/d over i ≠ j
    """

    seeds: FloatArray
    unrelated: float

    @property
    def ratio(self) -> float:
        """Mean over the seeds relative to unrelated seeds."""
        return float(self.seeds.mean() / self.unrelated)


class KernelSpread(NamedTuple):
    r"""The sampling map of a circular convolution, and how it changes with the spectrum of its training images.

    Attributes
    ----------
    gain : (N,) gₘ = exp(f_m† h(A) e_c), the gain of each frequency from σ_T to σ₀, h(ℓ) = ½ ln((ℓ + σ₀²)/(ℓ + σ_T²))
    influence : (N, N) H, with d ln gₘ = Σ_m′ H_mm′ dI_m′ where I is the mean of |x̂|² over the training images
    """

    gain: FloatArray
    influence: FloatArray


def half_side(shape: Sequence[int]) -> int:
    """The smallest odd number of at least half the side of an image."""
    least = -(-max(SpatialLayout.of(shape).grid) // 2)
    return least + (least + 1) % 2


def kernel_spread(best: PatchDenoiser) -> KernelSpread:
    r"""Gain and influence, by the derivative of a matrix function: V^T dh(A) V = L ∘ (V^T dA V).

    L_jk = (h(ℓⱼ) − h(ℓₖ))/(ℓⱼ − ℓₖ), and dA = N⁻¹ Σ_m dI_m f_m f_m†, where f_m(δ) = e^{2πi m·δ/N}.

    Parameters
    ----------
    best : a circular convolution of one channel
    """
    regression, grid = best.regression, best.layout.grid
    values, centre = regression.values, regression.centre[0]
    low, high = values + SIGMA_MIN**2, values + SIGMA_MAX**2
    logs, slopes = 0.5 * np.log(low / high), 0.5 / low - 0.5 / high
    gaps = values[:, None] - values
    equal = np.abs(gaps) < _EQUAL * (low[:, None] + low)
    divided = np.where(equal, 0.5 * (slopes[:, None] + slopes), (logs[:, None] - logs) / np.where(equal, 1.0, gaps))
    frequencies = np.stack(np.meshgrid(*map(np.fft.fftfreq, grid), indexing="ij"), axis=-1).reshape(-1, len(grid))
    offsets = np.indices(best.patch).reshape(len(grid), -1) - np.array(best.patch)[:, None] // 2
    waves = (
        np.exp(2j * np.pi * frequencies @ offsets) @ regression.modes
    )  # (N, F): f_m projected on the modes of the patch
    gain = np.exp((waves @ (logs * centre)).real)
    influence = waves @ (waves * (waves.conj() @ (divided * centre).T)).T
    return KernelSpread(gain, influence.real / len(gain))


def predicted(images: FloatArray, shape: tuple[int, ...], kernel: int, n: int, noise: FloatArray) -> PairDisagreement:
    """Disagreement of circular convolutions with one number as bias, to first order in 1/n.

    Parameters
    ----------
    images : (M, d) the population
    shape : of an image, of one channel
    kernel : odd side of the kernel
    n : images of each model
    noise : (Z, d) initial noise of standard deviation ``SIGMA_MAX``

    Raises
    ------
    ValueError
        The images have several channels, or the kernel does not fit them.
    """
    best = PatchDenoiser.fit(images, patch=kernel, bias="scalar", shape=shape)
    layout = best.layout
    if layout.channels != 1:
        raise ValueError(f"shape must have one channel (filters of several do not commute), got {shape}")
    gain, influence = kernel_spread(best)
    spectra = (np.abs(layout.transform(images - best.centre)) ** 2).reshape(len(images), -1)
    logs = (spectra - spectra.mean(axis=0)) @ influence.T  # (M, N): n times the change of ln g by one image
    level = (1 - gain[0]) * np.sqrt(layout.positions) * (images - best.centre).mean(axis=1)  # and of the bias, in x̂₀
    outputs = gain * layout.transform(noise - best.centre).reshape(len(noise), -1)
    variance = np.abs(outputs) ** 2 @ logs.var(axis=0)
    variance += 2 * outputs[:, 0].real * np.mean(logs[:, 0] * level) + level.var()
    seeds = 2 * variance / (n * layout.dimension)
    apart = 2 * np.sum(np.abs(outputs - outputs.mean(axis=0)) ** 2) / ((len(noise) - 1) * layout.dimension)
    return PairDisagreement(seeds, float(apart + seeds.mean()))


def simulated(
    images: FloatArray, shape: tuple[int, ...], kernel: int, n: int, noise: FloatArray, *, pairs: int, **options: Any
) -> PairDisagreement:
    """The mean of pairs whose kernels fit n images each, drawn with replacement, exactly at every noise level.

    Parameters
    ----------
    images, shape, kernel, n, noise : as in :func:`predicted`; any number of channels
    pairs : how many are trained
    options : of :meth:`~kappaflow.lens.architecture.patch_denoiser.PatchDenoiser.fit`: padding, bias
    """
    rng = np.random.default_rng(0)
    options = {"bias": "scalar", **options}
    seeds, apart, count = np.zeros(len(noise)), 0.0, len(noise)
    for _ in range(pairs):
        a, b = (
            PatchDenoiser.fit(images[rng.integers(len(images), size=n)], patch=kernel, shape=shape, **options)
            .law()
            .from_noise(noise / SIGMA_MAX)
            .reshape(noise.shape)
            for _ in range(2)
        )
        same = (a - b) ** 2
        seeds += same.mean(axis=1) / pairs
        every = count * (np.sum(a**2) + np.sum(b**2)) - 2 * a.sum(axis=0) @ b.sum(axis=0)  # over all i and j
        apart += (every - same.sum()) / (count * (count - 1) * noise.shape[1]) / pairs
    return PairDisagreement(seeds, float(apart))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--size", type=int, help="side to which images are scaled")
    parser.add_argument("--patch", type=int, help="side of the patches that are cut from photographs")
    parser.add_argument("--grey", action="store_true", help="convert colours to grey")
    parser.add_argument("--limit", type=int, help="read only so many images")
    parser.add_argument(
        "--kernel", type=int, nargs="+", help="odd sides of the kernel (default: 3 and half of the image)"
    )
    parser.add_argument("--n", type=int, nargs="+", default=[30, 100, 300], help="images of each model (30 100 300)")
    parser.add_argument("--pairs", type=int, default=100, help="pairs that are trained (100)")
    parser.add_argument("--seeds", type=int, default=512, help="seeds (512)")
    parser.add_argument("--out", type=Path, metavar="FILE.npy", help="file for the seeds of the first kernel and n")
    return parser.parse_args()


def main() -> None:
    """Print a table."""
    options = _options()
    reading = {name: getattr(options, name) for name in ("size", "patch", "grey", "limit")}
    source = open_images(options.data, **reading)
    images = np.concatenate(list(source.batches())).astype(np.float64)
    images = images.reshape(len(images), -1)
    noise = initial_noise(range(options.seeds), images.shape[1], SIGMA_MAX)
    one_channel = SpatialLayout.of(source.shape).channels == 1
    print(f"{'kernel':>6} {'n':>5} {'law':>9} {'trained':>9}")
    for kernel in options.kernel or [3, half_side(source.shape)]:
        for n in options.n:
            law = predicted(images, source.shape, kernel, n, noise) if one_channel else None
            pairs = simulated(images, source.shape, kernel, n, noise, pairs=options.pairs)
            print(
                f"{kernel:6d} {n:5d} {'–' if law is None else format(law.ratio, '9.5f'):>9} {pairs.ratio:9.5f}",
                flush=True,
            )
            if options.out is not None:
                np.save(options.out, (law or pairs).seeds)
                options.out = None


if __name__ == "__main__":
    main()
