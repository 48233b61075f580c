"""Emergence times of a network that is really trained: checkpoints of one run, sampled from the same seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_digits

torch = pytest.importorskip("torch")

import kappaflow as kf  # noqa: E402
from kappaflow.lens.learning.emergence import emergence_from_samples, power_law  # noqa: E402
from kappaflow.models.config import NetworkConfig, TrainingConfig  # noqa: E402
from kappaflow.models.sampling import sample  # noqa: E402
from kappaflow.models.training import train  # noqa: E402

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SEEDS = 300


def test_checkpoints_of_a_linear_network_emerge_from_its_skip_connection() -> None:
    """With a constant rate and no average, a run of k steps is the checkpoint at step k of a longer one."""
    digits = load_digits().images / 8 - 1
    population = kf.Population.from_samples(digits)
    images, config = torch.from_numpy(digits[:, None]).float(), NetworkConfig("linear", (1, 8, 8), float(digits.std()))
    noise = 80 * torch.from_numpy(np.random.default_rng(0).standard_normal((SEEDS, 1, 8, 8)))
    samples = []
    for steps in STEPS:
        denoiser, _ = train(config, TrainingConfig(steps=steps, schedule="constant", ema=0.0, warmup=0), images)
        samples.append(sample(denoiser, noise, steps=12).numpy().reshape(SEEDS, 64))
    measured = emergence_from_samples(population, STEPS, samples)
    emergence = measured.emergence
    # the skip connection alone generates about the mean variance of the pixels in every direction
    assert np.median(emergence.initial) == pytest.approx(digits.var(), rel=0.35)
    assert np.array_equal(emergence.direction > 0, population.eigenvalues > 2 * emergence.initial)
    grow, shrink = emergence.direction > 0, emergence.direction < 0
    assert 3 <= grow.sum() < shrink.sum()
    assert np.isfinite(emergence.times[grow]).all()
    crossed = shrink & np.isfinite(emergence.times)
    assert crossed.sum() >= 10
    assert np.all(measured.earliest[grow] <= emergence.times[grow])
    # large modes, far from where they start, are there before small ones have gone: the order of gradient flow
    assert np.median(emergence.times[grow]) < 0.5 * np.median(emergence.times[crossed])
    assert spearmanr(population.eigenvalues[crossed], emergence.times[crossed]).statistic < 0
    law = power_law(population.eigenvalues[shrink], emergence.times[shrink])
    assert law is not None
    assert law.modes == crossed.sum()
