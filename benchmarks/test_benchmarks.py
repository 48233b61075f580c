"""pytest-benchmark rows; each asserts its answer and writes achieved error and work beside the time.

``KAPPAFLOW_BENCH=small`` takes d = 256 in place of 3072. The page of all comparisons is ``python benchmarks/page.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.sampling import SIGMA_MAX, initial_noise

sys.path.insert(0, str(Path(__file__).parent))
from kappabench import empirical, posterior, reference
from kappabench.baselines import numpy_newton, published_square_root
from kappabench.measure import relative
from kappabench.spectra import noise_levels, power_law

SMALL = os.environ.get("KAPPAFLOW_BENCH") == "small"
D = 256 if SMALL else 3072
LEVELS = noise_levels("power law")


@pytest.mark.parametrize("n", [1000, 30000])
def test_kappa(benchmark: Any, n: int) -> None:
    s = power_law(D)
    info = benchmark(lambda: kf.solve_kappa(s, n, noise_variance=LEVELS, return_info=True))
    achieved = max(reference.relative_error(info.kappa, reference.kappa(LEVELS, s, n)))
    benchmark.extra_info.update(error=achieved, terms=info.total_terms)
    assert info.certified.all()
    assert achieved < 1e-13


@pytest.mark.parametrize("n", [1000, 30000])
def test_kappa_numpy(benchmark: Any, n: int) -> None:
    s = power_law(D)
    kappa = benchmark(lambda: numpy_newton(LEVELS, s, n))
    achieved = max(reference.relative_error(kappa, reference.kappa(LEVELS, s, n)))
    benchmark.extra_info.update(error=achieved)
    assert achieved < 1e-8


@pytest.mark.parametrize("n", [D // 3, 10 * D])
def test_square_root(benchmark: Any, n: int) -> None:
    s, modes = power_law(D), np.array([0, D // 8, D - 1])
    splits = kf.Splits(kf.Population.from_spectrum(s), n, mean="known", terms="published")
    f = kf.matrix_power(0.5, support=splits.support())
    expectation, variance = benchmark(lambda: (splits.expectation(f), splits.equal_mode_variance(f)))
    mean, spread = reference.square_root_at(s, n, modes)
    achieved = max(relative(expectation[modes], mean), relative(variance[modes], spread))
    benchmark.extra_info.update(error=achieved, nodes=len(f.shifts))
    assert achieved < 1e-10


def test_square_root_published(benchmark: Any) -> None:
    s, n, modes = power_law(D), 10 * D, np.array([0, D // 8, D - 1])
    expectation, variance = benchmark.pedantic(lambda: published_square_root(s, n), rounds=1)
    mean, spread = reference.square_root_at(s, n, modes)
    achieved = max(relative(expectation[modes], mean), relative(variance[modes], spread))
    benchmark.extra_info.update(error=achieved, nodes=100)
    assert achieved < 0.1


def test_mode_pairs(benchmark: Any) -> None:
    splits = kf.Splits(kf.Population.from_spectrum(power_law(D)), 1000)
    f = splits.sampling_map()
    matrix = benchmark(lambda: splits.mode_variance(f))
    achieved = relative(np.diag(matrix), splits.equal_mode_variance(f))
    benchmark.extra_info.update(error=achieved, nodes=len(f.shifts))
    assert achieved < 1e-9


def test_empirical(benchmark: Any) -> None:
    profiles, modes, inputs, n = (1000, 48, 16, 60) if SMALL else (10_000, 384, 128, 500)
    population, x = empirical.heavy_tailed(profiles, modes), empirical.inputs_of(modes, inputs)
    f = empirical.sampling_map(modes, 1e-6)
    expectation, _ = benchmark(lambda: empirical.kappaflow_outputs(population, n, f, x))
    law = empirical.NumpyLaw(population, n, f, x)
    law.solve()
    achieved = relative(expectation, law.expectation())
    benchmark.extra_info.update(error=achieved, nodes=len(f.shifts) + 1)
    assert achieved < 1e-9


def test_empirical_page(tmp_path: Path) -> None:
    """The command in its small setting: errors are checked inside, every line of the report is written."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("empirical.py")), "--small", "--json", str(tmp_path / "r.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert results["accuracy"]["error"] < results["accuracy"]["bound"]
    for words in ("profiles, d =", "pairs of nodes timed, scaled", "peak memory", "growth with modes", "exponent"):
        assert words in done.stdout


def test_posterior(benchmark: Any) -> None:
    setting = posterior.SMALL if SMALL else posterior.PosteriorSetting(1000, 20_000, 768, 4)
    population = posterior.population_of(setting)
    noise = initial_noise(range(setting.seeds), setting.dimension, SIGMA_MAX)
    answer = benchmark.pedantic(lambda: kf.posterior_variance(population, noise), rounds=3)
    states = posterior.states_of(population, noise[: setting.numpy_seeds], answer.sigma)
    profiles = population.profiles
    assert profiles is not None
    expected = [posterior.centred_variance(profiles, state, answer.sigma) for state in states]
    achieved = relative(answer.seeds[: setting.numpy_seeds], expected)
    benchmark.extra_info.update(error=achieved)
    assert achieved < posterior.BOUND


def test_posterior_page(tmp_path: Path) -> None:
    """The command in its small setting: the error is checked inside, one seed after another is slower, every line is written."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("posterior.py")), "--small", "--json", str(tmp_path / "r.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    row = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["speed"]
    assert row["error"] < row["bound"]
    assert row["ratio"] > 1
    assert row["peak_bytes"] is None or row["peak_bytes"] < 200e6
    for words in (
        "600 seeds, 5,000 images of 96 values",
        "seeds timed, scaled",
        "peak memory",
        "products",
        "perplexity",
    ):
        assert words in done.stdout


def test_reading_page() -> None:
    """The command in its small setting: every line is written."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("reading.py")), "--small"],
        capture_output=True,
        text=True,
        check=True,
    )
    for words in ("png files      reading", "jpg files", "uint8 array", "float32 array", "0.01 GB array: opened in"):
        assert words in done.stdout
