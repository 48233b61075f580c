"""Scores of the lens beside the operations that they need; each row asserts its result and records its error with the time.

The Gaussian score is held to its two matrix products, the score of the samples to the softmax over all of them at once.
``KAPPAFLOW_BENCH=small`` takes d = 256 and 2,000 samples in place of d = 3072 and 50,000.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax

import kappaflow as kf
from kappaflow.models.scores import DeltaScore, GaussianScore

sys.path.insert(0, str(Path(__file__).parent))
from kappabench.measure import interleaved
from kappabench.spectra import power_law

SMALL = os.environ.get("KAPPAFLOW_BENCH") == "small"
D = 256 if SMALL else 3072
BATCH = 64 if SMALL else 512
SAMPLES = 2000 if SMALL else 50_000
QUERIES = 16
SIGMA = 0.5

FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def gaussian() -> tuple[kf.Population, FloatArray]:
    """All d modes in general position, with a mean, and rows to denoise."""
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.standard_normal((D, D)))[0]
    population = kf.Population(power_law(D), np.ones(D), dimension=D, mean=rng.standard_normal(D), eigenvectors=vectors)
    return population, population.mean + 2 * rng.standard_normal((BATCH, D))


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, FloatArray, float]]:
    """float32 samples in a memory map, rows near some of them, and a noise level at which many samples have weight."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("samples") / "samples.f32"
    written = np.memmap(path, dtype=np.float32, mode="w+", shape=(SAMPLES, D))
    for start in range(0, SAMPLES, 1000):
        written[start : start + 1000] = rng.standard_normal((min(1000, SAMPLES - start), D), dtype=np.float32)
    written.flush()
    samples = np.memmap(path, dtype=np.float32, mode="r", shape=(SAMPLES, D))
    yield samples, 2.0 * rng.standard_normal((QUERIES, D)), 0.75 * np.sqrt(D)
    path.unlink()


def bare_products(population: kf.Population, x: FloatArray) -> FloatArray:
    """The baseline: into the modes and back, with nothing in between."""
    vectors = population.eigenvectors
    assert vectors is not None
    return (x @ vectors) @ vectors.T


def naive_softmax(samples: Any, x: FloatArray, sigma: float) -> FloatArray:
    """The baseline: all samples in memory at once, as the formula is written."""
    y = np.asarray(samples, dtype=np.float64)
    squares = (x**2).sum(axis=1)[:, None] - 2 * x @ y.T + (y**2).sum(axis=1)
    return np.asarray(softmax(-squares / (2 * sigma**2), axis=1) @ y)


def error_of(answer: FloatArray, population: kf.Population, x: FloatArray) -> float:
    """Against a linear solve of the covariance, without its modes, for some rows."""
    vectors = population.eigenvectors
    assert vectors is not None
    covariance = (vectors * population.eigenvalues) @ vectors.T
    centred = (x[:8] - population.mean).T
    solved = np.linalg.solve(covariance + SIGMA**2 * np.eye(D), centred)
    expected = -solved.T
    return float(np.abs(answer[:8] - expected).max() / np.abs(expected).max())


def test_gaussian_score(benchmark: Any, gaussian: tuple[kf.Population, FloatArray]) -> None:
    population, x = gaussian
    score = GaussianScore(population)
    answer = benchmark(lambda: score.score(x, SIGMA))
    achieved = error_of(answer, population, x)
    benchmark.extra_info.update(error=achieved)
    assert achieved < 1e-11


def test_gaussian_score_bare_products(benchmark: Any, gaussian: tuple[kf.Population, FloatArray]) -> None:
    population, x = gaussian
    answer = benchmark(lambda: bare_products(population, x))
    achieved = float(np.abs(answer - x).max() / np.abs(x).max())  # all modes: the identity
    benchmark.extra_info.update(error=achieved)
    assert achieved < 1e-11


def test_gaussian_score_costs_its_products(gaussian: tuple[kf.Population, FloatArray]) -> None:
    """In turns, best of several. Where the products take no time (small) the rest shows, and only answers are asserted."""
    population, x = gaussian
    score = GaussianScore(population)
    rows, results = interleaved(
        {"score": lambda: score.score(x, SIGMA), "products": lambda: bare_products(population, x)}, 9
    )
    ratio = rows["score"]["best"] / rows["products"]["best"]
    print(f"Gaussian score, d = {D}, B = {BATCH}: {rows['score']['best']:.4f} s, {ratio:.3f} times its products")
    assert error_of(results["score"], population, x) < 1e-11
    assert SMALL or ratio < 1.15


def test_delta_score(benchmark: Any, on_disk: tuple[Any, FloatArray, float]) -> None:
    samples, x, sigma = on_disk
    score = DeltaScore(samples)
    answer = benchmark.pedantic(lambda: score(x, sigma), rounds=3)
    expected = naive_softmax(samples, x, sigma)
    achieved = float(np.abs(answer - expected).max() / np.abs(expected).max())
    benchmark.extra_info.update(error=achieved)
    assert achieved < 1e-10


def test_delta_score_all_at_once(benchmark: Any, on_disk: tuple[Any, FloatArray, float]) -> None:
    samples, x, sigma = on_disk
    answer = benchmark.pedantic(lambda: naive_softmax(samples, x, sigma), rounds=3)
    y = np.asarray(samples, dtype=np.float64)
    logits = -((y - x[0]) ** 2).sum(axis=1) / (2 * sigma**2)
    expected = softmax(logits) @ y  # from differences
    achieved = float(np.abs(answer[0] - expected).max() / np.abs(expected).max())
    benchmark.extra_info.update(error=achieved)
    assert achieved < 1e-10


def test_delta_score_streams_at_the_cost_of_all_at_once(on_disk: tuple[Any, FloatArray, float]) -> None:
    """In turns, best of several; the ratio is printed."""
    samples, x, sigma = on_disk
    score = DeltaScore(samples)
    rows, results = interleaved(
        {"streamed": lambda: score(x, sigma), "at once": lambda: naive_softmax(samples, x, sigma)}, 3
    )
    ratio = rows["streamed"]["best"] / rows["at once"]["best"]
    print(f"delta score, d = {D}, N = {SAMPLES}: {rows['streamed']['best']:.3f} s, {ratio:.2f} times all at once")
    expected = results["at once"]
    assert np.abs(results["streamed"] - expected).max() / np.abs(expected).max() < 1e-10
