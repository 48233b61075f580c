"""The law of linear convolutions that docs/networks.md reports: its derivation, its agreement with training, its figures."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from kappaflow.datasets import open_images
from kappaflow.lens.architecture.patch_denoiser import PatchDenoiser
from kappaflow.sampling import SIGMA_MAX, SIGMA_MIN, initial_noise
from kappaflow.validation.network.members import PairKind

FloatArray = npt.NDArray[np.float64]
FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules of the benchmarks, which are no installed package."""
    folders = [str(FOLDER), str(FOLDER / "seeds")]
    sys.path[:0] = folders
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in ("convolutions", "seedsets", "score")})
    finally:
        for folder in folders:
            sys.path.remove(folder)


@pytest.fixture(scope="module")
def digits() -> FloatArray:
    return np.concatenate(list(open_images("digits").batches())).reshape(-1, 64)


def reference(images: FloatArray, shape: tuple[int, int], kernel: int, n: int, noise: FloatArray) -> FloatArray:
    """The law as it is written: scores of the kernel at each noise level, the sandwich, and the sum over levels by quadrature."""
    reach = range(-(kernel // 2), kernel // 2 + 1)
    places = [(i, j) for i in reach for j in reach]
    bias = images.mean()
    patches = np.stack([np.roll(images.reshape(-1, *shape) - bias, (-i, -j), axis=(1, 2)) for i, j in places], axis=-1)
    patches = patches.reshape(len(images), -1, len(places))
    moments = np.stack([one.T @ one / len(one) for one in patches])
    centre = np.eye(len(places))[places.index((0, 0))]
    waves = np.array(
        [
            [np.exp(2j * np.pi * (u * i / shape[0] + v * j / shape[1])) for i, j in places]
            for u in range(shape[0])
            for v in range(shape[1])
        ]
    )
    nodes, weights = np.polynomial.legendre.leggauss(120)
    low, high = np.log([SIGMA_MIN, SIGMA_MAX])
    log_gain = np.full(len(waves), low - high, np.complex128)
    changes = np.zeros((len(images), len(waves)), np.complex128)
    for level, weight in zip(low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2, strict=True):
        inverse = np.linalg.inv(moments.mean(axis=0) + np.exp(2 * level) * np.eye(len(places)))
        best = inverse @ moments.mean(axis=0) @ centre
        scores = moments @ (centre - best) - np.exp(2 * level) * best  # a_a − A_a k − σ² k of each image
        log_gain += weight * (waves @ best)
        changes += weight * (scores @ inverse @ waves.T)
    gain, outputs = np.exp(log_gain.real), np.fft.fft2((noise - bias).reshape(-1, *shape), norm="ortho")
    disagreement = np.zeros(len(noise))
    for seed, start in enumerate(outputs.reshape(len(noise), -1)):
        moved = gain * start * changes  # (M, N) how each image changes the output
        moved[:, 0] += (1 - gain[0]) * np.sqrt(images.shape[1]) * (images.mean(axis=1) - bias)
        disagreement[seed] = 2 / n * np.sum(np.var(moved, axis=0)) / images.shape[1]
    return disagreement


@pytest.mark.parametrize(("shape", "kernel"), [((6, 6), 3), ((5, 7), 5)])
def test_against_the_law_as_it_is_written(bench: SimpleNamespace, shape: tuple[int, int], kernel: int) -> None:
    rng = np.random.default_rng(1)
    smooth = np.cumsum(rng.standard_normal((40, *shape)), axis=2) * rng.gamma(2, size=(40, 1, 1)) + 0.7
    images = smooth.reshape(40, -1)
    noise = initial_noise(range(5), images.shape[1], SIGMA_MAX)
    law = bench.convolutions.predicted(images, shape, kernel, 50, noise)
    np.testing.assert_allclose(law.seeds, reference(images, shape, kernel, 50, noise), rtol=1e-6)


def test_a_kernel_as_wide_as_the_image_sees_the_spectrum_alone(bench: SimpleNamespace) -> None:
    """Then gₘ² = (Iₘ + σ₀²)/(Iₘ + σ_T²), each frequency on its own, even where A has equal eigenvalues (I₋ₘ = Iₘ)."""
    images = np.cumsum(np.random.default_rng(2).standard_normal((30, 5, 5)), axis=1).reshape(30, -1)
    best = PatchDenoiser.fit(images, patch=5, bias="scalar", shape=(5, 5))
    gain, influence = bench.convolutions.kernel_spread(best)
    spectrum = (np.abs(best.layout.transform(images - best.centre)) ** 2).mean(axis=0).ravel()
    low, high = spectrum + SIGMA_MIN**2, spectrum + SIGMA_MAX**2
    np.testing.assert_allclose(gain, np.sqrt(low / high), rtol=1e-10)
    mirror = np.roll(np.arange(25).reshape(5, 5)[::-1, ::-1], (1, 1), axis=(0, 1)).ravel()
    alone = np.diag(0.5 / low - 0.5 / high)
    np.testing.assert_allclose(influence + influence[:, mirror], alone + alone[:, mirror], rtol=1e-7, atol=1e-9)


def test_shifted_images_are_the_same_training_set(bench: SimpleNamespace, digits: FloatArray) -> None:
    noise, rng = initial_noise(range(8), 64, SIGMA_MAX), np.random.default_rng(3)
    shifted = np.stack(
        [np.roll(image.reshape(8, 8), rng.integers(8, size=2), axis=(0, 1)).ravel() for image in digits[:200]]
    )
    laws = [bench.convolutions.predicted(images, (8, 8), 5, 100, noise) for images in (digits[:200], shifted)]
    np.testing.assert_allclose(laws[0].seeds, laws[1].seeds, rtol=1e-9)


@pytest.mark.parametrize(("kernel", "n"), [(3, 100), (5, 30)])
def test_trained_convolutions_disagree_as_predicted(
    bench: SimpleNamespace, digits: FloatArray, kernel: int, n: int
) -> None:
    noise = initial_noise(range(64), 64, SIGMA_MAX)
    law = bench.convolutions.predicted(digits, (8, 8), kernel, n, noise)
    pairs = bench.convolutions.simulated(digits, (8, 8), kernel, n, noise, pairs=600)
    assert pairs.seeds.mean() == pytest.approx(law.seeds.mean(), rel=0.05)
    assert pairs.unrelated == pytest.approx(law.unrelated, rel=0.01)
    assert np.corrcoef(pairs.seeds, law.seeds)[0, 1] > 0.99


def test_the_law_predicts_neither_amount_nor_seeds_of_networks(bench: SimpleNamespace, digits: FloatArray) -> None:
    """The figures of docs/networks.md for digits, with a kernel of half the side."""
    kernel = bench.convolutions.half_side((8, 8))
    assert [bench.convolutions.half_side((side, side)) for side in (8, 14, 16)] == [5, 7, 9]
    noise = initial_noise(range(512), 64, SIGMA_MAX)
    law = bench.convolutions.predicted(digits, (8, 8), kernel, 300, noise)
    assert law.ratio == pytest.approx(0.00025, abs=0.000005)
    networks = bench.seedsets.load("digits-unet")
    kind = PairKind("unet", 300, "same")
    assert networks.ratio(kind) > 200 * law.ratio
    observed = np.mean([((a - b) ** 2).mean(axis=1) for a, b in networks.pairs(kind)], axis=0)
    ranks = [np.argsort(np.argsort(values)) for values in (observed, law.seeds, networks.posterior.trivial)]
    correlations = np.corrcoef(ranks)[0]
    assert correlations[1] == pytest.approx(-0.15, abs=0.01)
    assert correlations[2] > 0.3


def test_colours_are_refused(bench: SimpleNamespace) -> None:
    images = np.random.default_rng(4).standard_normal((20, 48))
    with pytest.raises(ValueError, match="one channel"):
        bench.convolutions.predicted(images, (4, 4, 3), 3, 10, np.zeros((2, 48)))
