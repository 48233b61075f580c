"""The posterior variance: time, memory and error against NumPy, one seed after another, and against its matrix products alone."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy import fft

import kappaflow as kf
from kappaflow.sampling import SIGMA_MAX, initial_noise

from .baselines import FloatArray
from .measure import Row, check, interleaved, measured
from .spectra import power_law

SEED = 1
#: The largest relative error of a variance, whose products are in float32 where that suffices; about 1e-7 was measured.
BOUND = 1e-5
#: Rows of the blocks whose products are timed.
_BLOCK = (512, 4096)


@dataclass(frozen=True)
class PosteriorSetting:
    """Sizes."""

    seeds: int
    images: int
    dimension: int
    numpy_seeds: int  # seeds that NumPy is timed on; its time is scaled to all of them


FULL = PosteriorSetting(10_000, 50_000, 3072, 8)
SMALL = PosteriorSetting(600, 5000, 96, 8)


def population_of(setting: PosteriorSetting) -> kf.Population:
    """Gaussian images of a power law, each times a random size, whose modes are cosines; they are kept in float32."""
    rng, d = np.random.default_rng(SEED), setting.dimension
    profiles = rng.standard_normal((setting.images, d), dtype=np.float32)
    profiles *= np.sqrt(power_law(d, 1.2)).astype(np.float32)
    profiles *= np.sqrt(rng.gamma(3.0, 1 / 3.0, (setting.images, 1))).astype(np.float32)
    variances = np.einsum("nd,nd->d", profiles, profiles, dtype=np.float64) / setting.images
    order = np.argsort(-variances, kind="stable")
    return kf.Population(
        variances[order],
        np.ones(d),
        dimension=d,
        eigenvectors=fft.dct(np.eye(d), norm="ortho"),
        profiles=profiles[:, order],
        sample_size=setting.images,
    )


# ---------------------------------------------------------------- NumPy, one seed after another
def states_of(population: kf.Population, noise: FloatArray, sigma: float) -> FloatArray:
    """(Z, d) mode coordinates of the linear trajectory of each seed at a noise level."""
    s, vectors = population.eigenvalues, population.eigenvectors
    assert vectors is not None
    return np.asarray(np.sqrt((s + sigma**2) / (s + SIGMA_MAX**2)) * (noise @ vectors))


def weights_of(images: FloatArray, state: FloatArray, sigma: float) -> FloatArray:
    """(N,) weights of the images for one state, from its distance to each of them."""
    squares = ((images - state) ** 2).sum(axis=1)
    weights = np.exp((squares.min() - squares) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


def numpy_variance(images: FloatArray, norms: FloatArray, state: FloatArray, sigma: float) -> float:
    """Σ w |y|² − |Σ w y|² over d for one state, as the formula is written; `norms` are |y|²."""
    weights = weights_of(images, state, sigma)
    return float((weights @ norms - ((weights @ images) ** 2).sum()) / len(state))


def centred_variance(images: FloatArray, state: FloatArray, sigma: float) -> float:
    """Σ w |y − Σ w y|² over d, the reference: nothing cancels."""
    weights = weights_of(images, state, sigma)
    return float((weights @ (images - weights @ images) ** 2).mean())


def product_seconds(population: kf.Population, setting: PosteriorSetting) -> float:
    """Time of the two matrix products that no method can avoid, x·y and Σ w y, in float32: one block, scaled to all."""
    profiles = population.profiles
    assert profiles is not None
    images = np.asarray(profiles[: _BLOCK[1]])
    states = np.ones((min(_BLOCK[0], setting.seeds), setting.dimension), dtype=np.float32)
    times, _ = interleaved({"products": lambda: (states @ images.T) @ images}, 5)
    share = len(states) * len(images) / (setting.seeds * setting.images)
    return float(times["products"]["best"] / share)


def speed(setting: PosteriorSetting) -> Row:
    """Time and peak memory of all seeds, time of NumPy and of the products, and both errors on the seeds that NumPy computed."""
    population = population_of(setting)
    profiles = population.profiles
    assert profiles is not None
    noise = initial_noise(range(setting.seeds), setting.dimension, SIGMA_MAX)
    run = measured(lambda: kf.posterior_variance(population, noise))
    answer = run.result
    some = np.linspace(0, setting.seeds - 1, setting.numpy_seeds).astype(int)
    start = time.perf_counter()
    states = states_of(population, noise[some], answer.sigma)
    norms = np.einsum("nd,nd->n", profiles, profiles, dtype=np.float64)
    once = time.perf_counter()
    plain = np.array([numpy_variance(profiles, norms, state, answer.sigma) for state in states])
    end = time.perf_counter()
    numpy_seconds = once - start + (end - once) * setting.seeds / setting.numpy_seeds
    expected = np.array([centred_variance(profiles, state, answer.sigma) for state in states])
    products = product_seconds(population, setting)
    row: Row = {
        "seeds": setting.seeds,
        "images": setting.images,
        "dimension": setting.dimension,
        "seconds": run.seconds,
        "numpy": {
            "seconds": numpy_seconds,
            "seeds_timed": setting.numpy_seeds,
            "error": float(np.abs(plain / expected - 1).max()),
        },
        "ratio": numpy_seconds / run.seconds,
        "products": {"seconds": products},
        "over_products": run.seconds / products,
        "peak_bytes": run.peak_bytes,
        "input_bytes": int(profiles.nbytes + noise.nbytes),
        "median_perplexity": float(np.median(answer.perplexity)),
    }
    return check(row, float(np.abs(answer.seeds[some] / expected - 1).max()), BOUND)
