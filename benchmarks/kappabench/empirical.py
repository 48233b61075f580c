"""The empirical law: time, memory and error against NumPy, and growth with the profiles and with the modes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import kappaflow as kf

from .baselines import FloatArray
from .measure import Row, check, fit_power, interleaved, measured, relative
from .spectra import power_law

SIGMA_MAX = 80.0
SEED = 1


@dataclass(frozen=True)
class EmpiricalSetting:
    """Sizes; the nodes of the sampling map follow from its tolerance."""

    profiles: int
    modes: int
    inputs: int
    n: int
    tolerance: float
    numpy_pairs: int  # pairs of nodes that NumPy is timed on; its time is scaled to all of them
    check_profiles: int
    check_modes: int
    growth_profiles: tuple[int, ...]
    growth_modes: tuple[int, ...]


FULL = EmpiricalSetting(
    20_000, 768, 512, 1000, 3e-13, 3, 2000, 48, (5000, 10_000, 20_000, 40_000), (192, 384, 768, 1536)
)
SMALL = EmpiricalSetting(600, 24, 8, 40, 1e-6, 2, 300, 12, (300, 600), (12, 24))


def heavy_tailed(profiles: int, modes: int, seed: int = SEED) -> kf.Population:
    """Gaussian samples of a power law, each times a random size, as contrast varies from image to image."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((profiles, modes))
    samples *= np.sqrt(power_law(modes)) * np.sqrt(rng.gamma(1.5, 1 / 1.5, profiles))[:, None]
    return kf.Population.from_samples(samples, profiles=profiles)


def inputs_of(modes: int, count: int) -> FloatArray:
    """Seeds of the sampling map."""
    return SIGMA_MAX * np.random.default_rng(SEED + 1).standard_normal((count, modes))


def sampling_map(modes: int, tolerance: float) -> kf.SpectralFunction:
    """The map for all spectra up to this size, so that the number of nodes is the same for all."""
    s = power_law(modes)
    low, high = float(s[-1]) / 10, 10 * float(s[0])
    return kf.SpectralFunction.sampling_map(0.0, SIGMA_MAX, low, high, tolerance)


def kappaflow_outputs(
    population: kf.Population, n: int, f: kf.SpectralFunction, inputs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Expectation by mode and disagreement of each input, from nothing: the fixed point is solved anew."""
    splits = kf.Splits(population, n, law="empirical", population_is="exact")
    return np.asarray(splits.expectation(f)), np.asarray(splits.disagreement(f, inputs))


# ---------------------------------------------------------------- NumPy, as the equations are written
class NumpyLaw:
    """The law with the coordinate of the mean appended; each pair of nodes takes a d × d matrix and one solve."""

    def __init__(self, population: kf.Population, n: int, f: kf.SpectralFunction, inputs: FloatArray) -> None:
        if population.profiles is None:
            raise ValueError("population must hold profiles")
        z, x = population.profiles.astype(float), np.asarray(population.coordinates(inputs))
        self.z, self.x = np.c_[z, np.ones(len(z))], np.c_[x, np.ones(len(x))]
        self.squares, self.n, self.f = self.z**2, n, f
        self.weights = np.append(f.weights, 1 - f.constant - f.weights.sum())
        self.shifts = np.tile(np.append(f.shifts, 1e14), (self.z.shape[1], 1))  # 1e14 stands for infinity
        self.shifts[-1] = 0.0
        self.g = 1 / (self.shifts + self.squares.mean(axis=0)[:, None])

    def solve(self, tolerance: float = 1e-12) -> None:
        """Plain iteration of the fixed point."""
        for _ in range(5000):
            r = 1 / (1 + self.squares @ self.g / self.n)
            new = 1 / (self.shifts + self.squares.T @ r / len(self.z))
            done = np.max(np.abs(new / self.g - 1)) < tolerance
            self.g = new
            if done:
                break
        self.r = 1 / (1 + self.squares @ self.g / self.n)

    def expectation(self) -> FloatArray:
        """c + Σᵢ wᵢ (1 − tᵢ gₖ)."""
        count = len(self.f.weights)
        kept = 1 - (self.shifts * self.g)[:-1, :count]
        return np.asarray(self.f.constant + kept @ self.f.weights)

    def projection(self, i: int) -> FloatArray:
        """uᵢ of all profiles and inputs, (M, B)."""
        return np.asarray(self.z @ (self.g[:, i, None] * self.x.T))

    def pair(self, i: int, j: int, u: FloatArray, v: FloatArray) -> FloatArray:
        """The contribution of a pair of nodes to the variance of all outputs, (B,)."""
        both = self.r[:, i] * self.r[:, j]
        gamma = self.g[:, i] * self.g[:, j]
        q = (self.squares * both[:, None]).T @ self.squares / (len(self.z) * self.n)
        source = gamma[:, None] * (self.squares.T @ (both[:, None] * u * v)) / (len(self.z) * self.n)
        solved = np.linalg.solve(np.eye(len(gamma)) - gamma[:, None] * q, source)
        weight = (1 if i == j else 2) * self.weights[i] * self.weights[j]
        return np.asarray(weight * (self.shifts[:, i] * self.shifts[:, j]) @ solved)

    def middle(self, i: int, u: FloatArray) -> FloatArray:
        """The contribution of a node to the mean influence on each output, (modes, B)."""
        scale = self.weights[i] * self.shifts[:, i] * self.g[:, i]
        return np.asarray((scale[:, None] * (self.z.T @ (self.r[:, i, None] * u)) / len(self.z))[:-1])

    def disagreement(self) -> FloatArray:
        """Of all inputs, by all pairs of nodes."""
        count = len(self.weights)
        u = [self.projection(i) for i in range(count)]
        total = sum(self.pair(i, j, u[i], u[j]) for i in range(count) for j in range(i, count))
        first = sum(self.middle(i, u[i]) for i in range(count))
        return np.asarray(2 * (total - (np.asarray(first) ** 2).sum(axis=0) / self.n) / (self.z.shape[1] - 1))


def numpy_seconds(law: NumpyLaw, pairs: int) -> Row:
    """Time of the fixed point, of one node's projection and mean and of some pairs, scaled to all nodes and pairs."""
    count = len(law.weights)
    start = time.perf_counter()
    law.solve()
    solved = time.perf_counter()
    u, v = law.projection(0), law.projection(1)
    law.middle(0, u)
    law.middle(1, v)
    projected = time.perf_counter()
    for j in range(1, pairs + 1):
        law.pair(0, min(j, count - 1), u, v)
    end = time.perf_counter()
    all_pairs = count * (count + 1) // 2
    seconds = solved - start + (projected - solved) * count / 2 + (end - projected) * all_pairs / pairs
    return {"seconds": seconds, "pairs_timed": pairs, "pairs": all_pairs}


# ---------------------------------------------------------------- memory
def memory_of_file(path: str, n: int, tolerance: float, inputs: int) -> int | None:
    """Peak of resident memory above that with the population loaded."""
    warm = kf.Population.from_samples(np.random.default_rng(0).standard_normal((300, 8)), profiles=300)
    kappaflow_outputs(warm, 20, sampling_map(8, 1e-4), inputs_of(8, 2))  # imports and BLAS's own buffers
    large = np.ones((600, 600))
    large @ large
    population = kf.Population.load(path)
    f, x = sampling_map(len(population.eigenvalues), tolerance), inputs_of(len(population.eigenvalues), inputs)
    return measured(lambda: kappaflow_outputs(population, n, f, x)).peak_bytes


def memory(population: kf.Population, n: int, tolerance: float, inputs: int) -> int | None:
    """The same in a separate process, whose memory does not include that of earlier work."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "population.safetensors"
        population.save(path)
        code = (
            "import json, sys; from kappabench import empirical as e; "
            "print(json.dumps(e.memory_of_file(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))"
        )
        root = str(Path(__file__).resolve().parents[1])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), str(n), str(tolerance), str(inputs)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    result = json.loads(done.stdout)
    return None if result is None else int(result)


# ---------------------------------------------------------------- sections
def accuracy(setting: EmpiricalSetting) -> Row:
    """Largest relative error of expectation and disagreement against NumPy with all pairs, at a small size."""
    modes = setting.check_modes
    population = heavy_tailed(setting.check_profiles, modes)
    inputs, f, n = inputs_of(modes, 4), sampling_map(modes, 1e-6), max(4, modes // 2)
    law = NumpyLaw(population, n, f, inputs)
    law.solve(1e-14)
    expectation, disagreement = kappaflow_outputs(population, n, f, inputs)
    # what equal modes exchange comes from the elliptical law, a closed form that the tests hold against its own reference
    elliptical = kf.Splits(population, n, law="elliptical", population_is="exact")
    excess = np.asarray(elliptical._law.law.equal_mode_excess(f, f))
    disagreement = disagreement - 2 / modes * np.asarray(population.coordinates(inputs)) ** 2 @ excess
    row: Row = {"profiles": setting.check_profiles, "modes": modes, "n": n, "nodes": len(law.weights)}
    error = max(relative(expectation, law.expectation()), relative(disagreement, law.disagreement()))
    return check(row, error, 1e-8)


def speed(setting: EmpiricalSetting) -> Row:
    """Time and peak memory of expectation and disagreement, and the time of NumPy."""
    population = heavy_tailed(setting.profiles, setting.modes)
    if population.profiles is None:
        raise ValueError("population must hold profiles")
    f, inputs = sampling_map(setting.modes, setting.tolerance), inputs_of(setting.modes, setting.inputs)
    peak = memory(population, setting.n, setting.tolerance, setting.inputs)
    times, results = interleaved({"kappaflow": lambda: kappaflow_outputs(population, setting.n, f, inputs)}, 2)
    law = NumpyLaw(population, setting.n, f, inputs)
    baseline = numpy_seconds(law, setting.numpy_pairs)
    row: Row = {
        "profiles": setting.profiles,
        "modes": setting.modes,
        "inputs": setting.inputs,
        "n": setting.n,
        "nodes": len(law.weights),
        "seconds": times["kappaflow"]["best"],
        "numpy": baseline,
        "ratio": baseline["seconds"] / times["kappaflow"]["best"],
        "peak_bytes": peak,
        "profile_bytes": int(population.profiles.nbytes),
    }
    return check(row, relative(results["kappaflow"][0], law.expectation()), 1e-9)


def growth(setting: EmpiricalSetting) -> dict[str, Row]:
    """Time against the profiles at fixed modes, against the modes at fixed profiles, and the exponents."""
    f = sampling_map(setting.growth_modes[-1], setting.tolerance)

    def times(sizes: Sequence[tuple[int, int]]) -> list[float]:
        seconds = []
        for profiles, modes in sizes:
            population, inputs = heavy_tailed(profiles, modes), inputs_of(modes, setting.inputs // 4)
            run = {"kappaflow": lambda p=population, x=inputs: kappaflow_outputs(p, setting.n, f, x)}
            seconds.append(interleaved(run, 2)[0]["kappaflow"]["best"])
        return seconds

    fixed_modes, fixed_profiles = setting.growth_modes[-2], setting.growth_profiles[-2]
    in_profiles = times([(profiles, fixed_modes) for profiles in setting.growth_profiles])
    in_modes = times([(fixed_profiles, modes) for modes in setting.growth_modes])
    return {
        "profiles": {
            "sizes": setting.growth_profiles,
            "fixed": fixed_modes,
            "seconds": in_profiles,
            **fit_power(setting.growth_profiles, in_profiles),
        },
        "modes": {
            "sizes": setting.growth_modes,
            "fixed": fixed_profiles,
            "seconds": in_modes,
            **fit_power(setting.growth_modes, in_modes),
        },
    }
