"""The empirical law on real data: models of resampled training sets, whose population is exactly known, against prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.datasets import open_images

MOST = 8000
#: Modes below this share of the largest variance are rounding: dead pixels.
DEAD = 1e-9
#: What the empirical law must reach: RMS logarithm over mode pairs, Monte Carlo noise removed. Border pixels of the handwritten
#: digits of 28 × 28 are lit in a few images of a training set or in none, where nothing averages.
DATA: dict[str, tuple[dict[str, Any], float]] = {
    "digits": ({}, 0.25),
    "mnist5k": ({"size": 14, "resize": "area"}, 0.4),
    "grey patches": ({"patch": 8, "grey": True}, 0.25),
    "patches": ({"patch": 8}, 0.25),
}
MAPS = {
    "denoiser": (lambda splits: splits.denoiser(1.0), lambda e: e / (e + 1)),
    "map": (lambda splits: splits.sampling_map(0.0, 80.0, tolerance=1e-6), lambda e: np.sqrt(e / (e + 6400))),
}


@dataclass
class Errors:
    """Simulated over predicted total, RMS log error over mode pairs free of Monte Carlo noise, median error of gains."""

    total: float
    pairs: float
    gains: float


def population_of(name: str) -> kf.Population:
    options = DATA[name][0]
    source = open_images(name.split()[-1], **options)
    rows = np.concatenate([batch.reshape(len(batch), -1) for batch in source.batches()])
    if len(rows) > MOST:
        rows = rows[np.random.default_rng(0).choice(len(rows), MOST, replace=False)]
    return kf.Population.from_samples(rows, profiles=len(rows))


def errors_of_laws(population: kf.Population, n: int, draws: int) -> dict[tuple[str, str], Errors]:
    """(map, law) → errors, from training sets drawn with replacement."""
    alive = population.eigenvalues > DEAD * population.eigenvalues[0]
    z = population.profiles[:, alive].astype(float)
    rng = np.random.default_rng(n)
    sums = {name: np.zeros((2, 2, z.shape[1], z.shape[1])) for name in MAPS}  # halves × powers
    for place in range(draws):
        rows = z[rng.integers(0, len(z), n)]
        rows -= rows.mean(axis=0)
        values, vectors = np.linalg.eigh(rows.T @ rows / n)
        values = np.where(values > 1e-12 * values[-1], values, 0.0)
        for name, (_, exact) in MAPS.items():
            matrix = (vectors * exact(values)) @ vectors.T
            sums[name][place % 2] += matrix, matrix**2
    found = {}
    for name, (make, _) in MAPS.items():
        half = draws // 2
        first, second = sums[name][:, 0] / half, sums[name][:, 1] / half
        variance = (second - first**2) * half / (half - 1)
        gain = np.diag(first.mean(axis=0))
        for law in ("gaussian", "elliptical", "empirical"):
            splits = kf.Splits(population, n, law=law, population_is="exact")
            f = make(splits)
            predicted = splits.mode_variance(f)[np.ix_(alive, alive)]
            logs = np.log(variance / predicted)
            square = float(np.mean(logs[0] * logs[1]))  # independent halves: their noise has no product on average
            found[name, law] = Errors(
                float(variance.mean(axis=0).sum() / predicted.sum()),
                float(np.sqrt(max(square, 0.0))),
                float(np.median(np.abs(splits.expectation(f)[alive] / gain - 1))),
            )
    return found


def check(name: str, n: int, draws: int) -> None:
    found = errors_of_laws(population_of(name), n, draws)
    for (map_name, law), errors in found.items():
        print(
            f"{name} n={n} {map_name} {law}: total {errors.total:.3f} pairs {errors.pairs:.3f} gains {errors.gains:.4f}"
        )
    for map_name in MAPS:
        empirical, gaussian = found[map_name, "empirical"], found[map_name, "gaussian"]
        assert empirical.total == pytest.approx(1, abs=0.05)
        assert empirical.pairs < DATA[name][1]
        assert empirical.gains < 0.02
        assert empirical.pairs < gaussian.pairs


@pytest.mark.parametrize(
    ("name", "n", "draws"), [("digits", 60, 400), ("mnist5k", 150, 200), ("grey patches", 300, 300)]
)
def test_small(name: str, n: int, draws: int) -> None:
    check(name, n, draws)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n"),
    [("digits", 60), ("digits", 200), ("mnist5k", 150), ("mnist5k", 400)]
    + [("grey patches", n) for n in (100, 300, 1000)]
    + [("patches", n) for n in (300, 3000)],
)
def test_full(name: str, n: int) -> None:
    check(name, n, 2000)
