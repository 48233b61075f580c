"""The law against drawn training sets: 4000 Gaussian sets of n samples in 60 dimensions, s_k = 1/k, mean estimated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import kappaflow as kf

D, DRAWS, CHUNK, SEED = 60, 4000, 250, 20260202
S = 1 / np.arange(1.0, D + 1)

#: name, the map of a Splits, the same map as a function of eigenvalues, standard deviation of its inputs
MAPS: list[tuple[str, Callable[[kf.Splits], kf.SpectralFunction], Callable[[Any], Any], float]] = [
    ("denoiser 0.05", lambda splits: splits.denoiser(0.05**0.5), lambda e: e / (e + 0.05), 1.0),
    ("denoiser 2", lambda splits: splits.denoiser(2**0.5), lambda e: e / (e + 2), 1.0),
    ("map 1", lambda splits: splits.sampling_map(0.0, 1.0), lambda e: np.sqrt(e / (e + 1)), 1.0),
    ("map 80", lambda splits: splits.sampling_map(0.0, 80.0), lambda e: np.sqrt(e / (e + 6400)), 80.0),
]
NAMES = [name for name, *_ in MAPS]


@dataclass
class Drawn:
    """Moments over training sets of one map's matrix and of its outputs for two inputs."""

    variance: np.ndarray  # (d, d) of the entries of f(S)
    expectation: np.ndarray  # (d,) of its diagonal
    output_variance: np.ndarray  # (2, d)


def inputs(scale: float) -> np.ndarray:
    return scale * np.random.default_rng(SEED + 1).standard_normal((2, D))


def draw(n: int) -> dict[str, Drawn]:
    generator = np.random.default_rng(SEED + n)
    sums: dict[str, list[Any]] = {name: [0.0, 0.0, 0.0, 0.0] for name in NAMES}
    for _ in range(DRAWS // CHUNK):
        x = generator.standard_normal((CHUNK, n, D)) * np.sqrt(S)
        mean = x.mean(axis=1, keepdims=True)
        x -= mean
        values, vectors = np.linalg.eigh(x.transpose(0, 2, 1) @ x / n)
        values = np.where(values > 1e-12 * values[:, -1:], values, 0.0)  # rank n - 1: the rest is rounding
        for name, _, exact, scale in MAPS:
            matrix = (vectors * exact(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
            output = mean + (inputs(scale) - mean) @ matrix
            for i, part in enumerate((matrix, matrix**2, output, output**2)):
                sums[name][i] = sums[name][i] + part.sum(axis=0)
    result, fix = {}, DRAWS / (DRAWS - 1)
    for name, parts in sums.items():
        first, second, out, out2 = (part / DRAWS for part in parts)
        result[name] = Drawn(fix * (second - first**2), np.diag(first), fix * (out2 - out**2))
    return result


@pytest.fixture(scope="module", params=[40, 200])
def drawn(request: pytest.FixtureRequest) -> tuple[int, dict[str, Drawn]]:
    return request.param, draw(request.param)


POPULATION = kf.Population.from_spectrum(S)


@pytest.mark.parametrize(("name", "make", "exact", "scale"), MAPS, ids=NAMES)
def test_law_of_drawn_training_sets(
    drawn: tuple[int, dict[str, Drawn]],
    name: str,
    make: Callable[[kf.Splits], kf.SpectralFunction],
    exact: Callable[[Any], Any],
    scale: float,
) -> None:
    n, found = drawn[0], drawn[1][name]
    splits = kf.Splits(POPULATION, n)
    f = make(splits)
    np.testing.assert_allclose(f(S), exact(S), rtol=1e-11)
    predicted = splits.mode_variance(f)
    assert found.expectation.sum() == pytest.approx(splits.expectation(f).sum(), rel=0.01)
    assert found.variance.sum() == pytest.approx(predicted.sum(), rel=0.03)
    assert np.trace(found.variance) == pytest.approx(np.trace(predicted), rel=0.05)
    # the published law has half of the variance of equal modes, and the full law's of unequal modes
    published = kf.Splits(POPULATION, n, terms="published").mode_variance(f)
    assert np.trace(published) / np.trace(found.variance) == pytest.approx(0.5, rel=0.05)
    # two models differ by twice the variance, the fluctuation of the mean included
    x = inputs(scale)
    drawn_disagreement = 2 * found.output_variance.sum(axis=1) / D
    np.testing.assert_allclose(splits.disagreement(f, x), drawn_disagreement, rtol=0.05)
