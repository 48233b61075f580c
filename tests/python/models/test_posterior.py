"""Posterior variance: closed forms, a slow reference in pixels, properties, and bad input."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

import kappaflow as kf
from kappaflow._checks import FloatArray
from kappaflow.datasets import open_images
from kappaflow.models.image_weights import LEAST_IMAGES, LEAST_PERPLEXITY, NoPosteriorError
from kappaflow.models.scores import DeltaScore
from kappaflow.sampling import initial_noise

SIGMA_MAX = 80.0


def slow(images: FloatArray, noise: FloatArray, sigma: float) -> dict[str, FloatArray]:
    """The definition, seed by seed, in pixels: covariance by its own eigenvectors, weights over all images."""
    mean = images.mean(axis=0)
    values, vectors = np.linalg.eigh((images - mean).T @ (images - mean) / len(images))
    factors = np.sqrt((values + sigma**2) / (values + SIGMA_MAX**2))
    answers: dict[str, list[Any]] = {"seeds": [], "pixels": [], "perplexity": [], "mean": [], "modes": []}
    for start in noise:
        state = mean + vectors @ (factors * (vectors.T @ (start - mean)))
        w = softmax(-((state - images) ** 2).sum(axis=1) / (2 * sigma**2))
        average = w @ images
        variance = w @ (images - average) ** 2
        answers["seeds"].append(variance.mean())
        answers["pixels"].append(variance)
        answers["mean"].append(average)
        answers["modes"].append((w @ ((images - average) @ vectors) ** 2)[::-1])
        answers["perplexity"].append(np.exp(-np.sum(w[w > 0] * np.log(w[w > 0]))))
    return {name: np.array(value) for name, value in answers.items()}


@pytest.fixture(scope="module")
def digits() -> FloatArray:
    return np.concatenate([batch.reshape(len(batch), -1) for batch in open_images("digits").batches()])


@pytest.fixture(scope="module")
def population(digits: FloatArray) -> kf.Population:
    return kf.Population.from_samples(digits, shape=(8, 8), profiles=len(digits))


@pytest.fixture(scope="module")
def noise() -> FloatArray:
    return initial_noise(range(24), 64, SIGMA_MAX)


@pytest.mark.parametrize("given", ["profiles", "images", "batches"])
@pytest.mark.parametrize("sigma", [2.0, 3.1])
def test_it_is_the_definition(
    digits: FloatArray, population: kf.Population, noise: FloatArray, given: str, sigma: float
) -> None:
    images: Any = {"profiles": None, "images": digits, "batches": iter(np.array_split(digits, 7))}[given]
    answer = kf.posterior_variance(population, noise, images=images, sigma=sigma, bands=[(0, 4), (4, 64)], pixels=True)
    expected = slow(digits, noise, sigma)
    assert answer.images == len(digits)
    np.testing.assert_allclose(answer.seeds, expected["seeds"], rtol=2e-5)
    np.testing.assert_allclose(answer.perplexity, expected["perplexity"], rtol=2e-4)
    assert answer.pixels is not None
    assert answer.mean is not None
    assert answer.bands is not None
    np.testing.assert_allclose(answer.pixels.reshape(24, 64), expected["pixels"], atol=2e-5)
    np.testing.assert_allclose(answer.mean.reshape(24, 64), expected["mean"], atol=2e-5)
    bands = np.stack([expected["modes"][:, :4].sum(axis=1), expected["modes"][:, 4:].sum(axis=1)], axis=1) / 64
    np.testing.assert_allclose(answer.bands, bands, rtol=1e-4)
    # parts add up
    np.testing.assert_allclose(answer.pixels.mean(axis=(1, 2)), answer.seeds, rtol=2e-5)
    np.testing.assert_allclose(answer.bands.sum(axis=1), answer.seeds, rtol=2e-5)


def test_it_is_the_divergence_of_the_exact_denoiser(
    digits: FloatArray, population: kf.Population, noise: FloatArray
) -> None:
    """Tweedie's second formula, (51): d PV = σ² ∇·D, by central differences of the score of the samples."""
    sigma, step = 2.5, 1e-4
    answer = kf.posterior_variance(population, noise[:3], images=digits, sigma=sigma)
    at_level = np.sqrt((population.eigenvalues + sigma**2) / (population.eigenvalues + SIGMA_MAX**2))
    states = population.apply(noise[:3], at_level, null_gain=sigma / SIGMA_MAX)
    denoiser = DeltaScore(digits)
    for state, value in zip(states, answer.seeds, strict=True):
        moved = step * np.eye(64)
        slopes = (denoiser(state + moved, sigma) - denoiser(state - moved, sigma)) / (2 * step)
        assert sigma**2 * np.trace(slopes) / 64 == pytest.approx(value, rel=1e-5)


def test_default_level_is_half_of_the_trace(population: kf.Population, noise: FloatArray) -> None:
    answer = kf.posterior_variance(population, noise)
    assert answer.sigma == pytest.approx(np.sqrt(population.total_variance / 2), rel=1e-15)
    assert np.median(answer.perplexity) > LEAST_PERPLEXITY


def test_two_clusters_in_closed_form() -> None:
    """Two points ±a, many times each (copies that differ by little): w = logistic(2 x·a/σ²), variance 4 w(1 − w) a²."""
    a, sigma = 3.0, 2.5
    rng = np.random.default_rng(1)
    jitter = 1e-3 * rng.standard_normal((400, 2))
    images = np.concatenate([np.array([a, 0.0]) + jitter, -np.array([a, 0.0]) - jitter])
    population = kf.Population.from_samples(images, profiles=len(images))
    noise = initial_noise(range(40), 2, SIGMA_MAX)
    answer = kf.posterior_variance(population, noise, sigma=sigma)
    state = np.sqrt((a**2 + sigma**2) / (a**2 + SIGMA_MAX**2)) * noise[:, 0]
    share = 1 / (1 + np.exp(-2 * state * a / sigma**2))
    np.testing.assert_allclose(answer.seeds, 4 * share * (1 - share) * a**2 / 2, rtol=1e-2, atol=1e-5)


def test_many_gaussian_images_have_the_gaussian_posterior() -> None:
    """N → ∞: Σ λσ²/(λ + σ²) for every seed."""
    rng = np.random.default_rng(2)
    scales = np.array([3.0, 2.0, 1.0])
    images = rng.standard_normal((200_000, 3)) * scales
    population = kf.Population.from_samples(images)
    sigma = 2.0
    answer = kf.posterior_variance(population, initial_noise(range(16), 3, SIGMA_MAX), images=images, sigma=sigma)
    expected = np.sum(scales**2 * sigma**2 / (scales**2 + sigma**2)) / 3
    # the relative standard error of a variance estimated with `perplexity` weights is about sqrt(2/perplexity)
    assert np.all(np.abs(answer.seeds / expected - 1) < 6 * np.sqrt(2 / answer.perplexity))


def test_at_high_noise_it_is_the_total_variance(population: kf.Population) -> None:
    answer = kf.posterior_variance(population, initial_noise(range(8), 64, 1e6), sigma=1e4, sigma_max=1e6)
    np.testing.assert_allclose(answer.seeds, population.total_variance / 64, rtol=1e-2)
    np.testing.assert_allclose(answer.perplexity, answer.images, rtol=1e-3)


def test_copies_are_counted_once(digits: FloatArray, noise: FloatArray) -> None:
    few = digits[:300]
    copied = np.concatenate([few, np.repeat(few[:5], 100, axis=0)])
    population = kf.Population.from_samples(copied, profiles=len(copied))
    by_profiles = kf.posterior_variance(population, noise, sigma=3.0)
    by_images = kf.posterior_variance(population, noise, sigma=3.0, images=copied)
    alone = kf.posterior_variance(population, noise, sigma=3.0, images=few)
    assert by_profiles.images == by_images.images == alone.images == 300
    np.testing.assert_allclose(by_images.seeds, alone.seeds, rtol=1e-12)
    np.testing.assert_allclose(by_profiles.seeds, alone.seeds, rtol=2e-5)


def test_thousands_of_copies_take_no_time(noise: FloatArray) -> None:
    """Comparing all pairs of 8000 copies takes minutes."""
    rng = np.random.default_rng(0)
    images = np.concatenate([rng.standard_normal((500, 64)), np.ones((8000, 64))])
    population = kf.Population.from_samples(images, profiles=len(images))
    start = time.perf_counter()
    assert kf.posterior_variance(population, noise, sigma=8.0).images == 501
    assert time.perf_counter() - start < 20.0


def test_zeros_of_either_sign_are_the_same(population: kf.Population, digits: FloatArray, noise: FloatArray) -> None:
    both = np.concatenate([digits[:300], np.where(digits[:300] == 0, -0.0, digits[:300])])
    assert kf.posterior_variance(population, noise, images=both).images == 300


@pytest.mark.parametrize("given", ["profiles", "images"])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_tight_clusters_keep_their_variance(given: str, scale: float) -> None:
    """Two clusters far apart: what is left of Σ w |y|² − |Σ w y|² is 1e-8 of it; float32 alone would lose it or overflow."""
    rng = np.random.default_rng(0)
    inside = 1e-4 * rng.standard_normal((400, 6))
    images = scale * np.concatenate([inside + 1, inside - 1])
    start = scale * initial_noise(range(12), 6, SIGMA_MAX)
    population = kf.Population.from_samples(images, profiles=len(images))
    answer = kf.posterior_variance(
        population,
        start,
        sigma=0.4 * scale,
        sigma_max=SIGMA_MAX * scale,
        images=None if given == "profiles" else images,
        pixels=True,
        bands=2,
    )
    assert answer.images == 800
    assert answer.pixels is not None
    assert answer.bands is not None
    state = population.apply(
        start, population_gain(population, 0.4 * scale, SIGMA_MAX * scale), null_gain=0.4 / SIGMA_MAX
    )
    weights = softmax(-((state[:, None] - images) ** 2).sum(axis=2) / (2 * (0.4 * scale) ** 2), axis=1)
    mean = weights @ images
    pixels = np.stack([w @ (images - m) ** 2 for w, m in zip(weights, mean, strict=True)])
    np.testing.assert_allclose(answer.seeds, pixels.mean(axis=1), rtol=1e-3)
    np.testing.assert_allclose(answer.pixels, pixels, rtol=3e-3)
    np.testing.assert_allclose(answer.bands.sum(axis=1), answer.seeds, rtol=1e-3)


def population_gain(population: kf.Population, sigma: float, sigma_max: float) -> FloatArray:
    values = population.eigenvalues
    return np.asarray(np.sqrt((values + sigma**2) / (values + sigma_max**2)))


def test_order_of_images_and_seeds_does_not_matter(
    digits: FloatArray, population: kf.Population, noise: FloatArray
) -> None:
    rng = np.random.default_rng(3)
    seeds = rng.permutation(len(noise))
    answer = kf.posterior_variance(population, noise, images=digits, sigma=3.0)
    shuffled = kf.posterior_variance(population, noise[seeds], images=rng.permutation(digits), sigma=3.0)
    np.testing.assert_allclose(shuffled.seeds, answer.seeds[seeds], rtol=1e-5)
    assert answer.seeds[answer.order[0]] == answer.seeds.max()


def test_the_saved_population_is_enough(population: kf.Population, noise: FloatArray, tmp_path: Any) -> None:
    population.save(tmp_path / "p.safetensors")
    loaded = kf.Population.load(tmp_path / "p.safetensors")
    np.testing.assert_array_equal(
        kf.posterior_variance(loaded, noise).seeds, kf.posterior_variance(population, noise).seeds
    )


def test_level_by_perplexity(population: kf.Population, noise: FloatArray) -> None:
    answer = kf.posterior_variance(population, noise, sigma="perplexity")
    assert np.median(answer.perplexity) == pytest.approx(answer.images / 4, rel=1e-3)
    with pytest.raises(ValueError, match="needs a population with profiles"):
        kf.posterior_variance(population, noise, sigma="perplexity", images=np.zeros((60, 64)))


@pytest.mark.parametrize("dimension", [2, 50, 800])
def test_default_level_keeps_weights_spread_in_any_dimension(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    images = rng.standard_normal((60, dimension)) / np.arange(1, dimension + 1)
    answer = kf.posterior_variance(
        kf.Population.from_samples(images, profiles=60), initial_noise(range(32), dimension, SIGMA_MAX)
    )
    assert 10 < np.median(answer.perplexity) < 50


def test_seeds_of_linear_models_that_are_grey_are_the_trivial_guess(
    population: kf.Population, noise: FloatArray
) -> None:
    answer = kf.posterior_variance(population, noise)
    gain = np.sqrt(population.eigenvalues / (population.eigenvalues + SIGMA_MAX**2))
    moved = (noise - population.mean) @ (population.eigenvectors * gain)  # type: ignore[operator]
    generated = population.mean + moved @ population.eigenvectors.T  # type: ignore[union-attr]
    np.testing.assert_allclose(answer.trivial, -np.mean(generated**2, axis=1), rtol=1e-12)


def test_table_and_repr(population: kf.Population, noise: FloatArray) -> None:
    answer = kf.posterior_variance(population, noise, pixels=True)
    assert list(answer.to_dataframe()["posterior_variance"]) == list(answer.seeds)
    assert len(repr(answer)) < 500


def _generator() -> Iterator[FloatArray]:
    yield np.ones((60, 64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": np.ones((3, 63))}, "noise must have shape"),
        (
            {"noise": np.random.default_rng(0).standard_normal((9, 64))},
            r"standard deviation sigma_max = 80, got (0\.9|1\.0)",
        ),
        ({"noise": np.empty((0, 64))}, "at least one seed"),
        ({"sigma": 80.0}, "sigma must be below sigma_max = 80, got 80"),
        ({"sigma": 0.0}, "sigma must be finite and above 0"),
        ({"sigma": 1e-3}, r"sigma = 0\.001 is too small for 1797 images: the median perplexity"),
        (
            {"images": np.random.default_rng(0).standard_normal((LEAST_IMAGES - 1, 64))},
            "at least 50 distinct images, got 49",
        ),
        ({"images": _generator()}, "at least 50 distinct images, got 1"),
        ({"images": np.full((60, 64), np.nan)}, "must be finite"),
        ({"images": np.ones((60, 8))}, "images must have shape"),
        ({"bands": 0}, "bands"),
        ({"sigma_max": -1.0}, "sigma_max"),
    ],
)
def test_bad_input_is_refused(
    population: kf.Population, noise: FloatArray, change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"noise": noise, **change}
    with pytest.raises(ValueError, match=message):
        kf.posterior_variance(population, **arguments)


def test_data_wider_than_the_noise_are_refused() -> None:
    images = 1000 * np.random.default_rng(0).standard_normal((60, 4))
    with pytest.raises(ValueError, match="sigma_max must be above"):
        kf.posterior_variance(kf.Population.from_samples(images, profiles=60), initial_noise([0], 4, SIGMA_MAX))


def test_population_without_profiles_is_refused(noise: FloatArray) -> None:
    with pytest.raises(ValueError, match="population must hold profiles, or images must be given"):
        kf.posterior_variance(kf.Population.from_covariance(np.eye(64)), noise)


def test_noise_as_a_tensor_of_half_precision(population: kf.Population, noise: FloatArray) -> None:
    torch = pytest.importorskip("torch")
    exact = kf.posterior_variance(population, noise)
    rounded = kf.posterior_variance(population, torch.tensor(noise).bfloat16())
    np.testing.assert_allclose(rounded.seeds, exact.seeds, rtol=0.05)


def test_only_what_the_images_cannot_give_has_an_error_of_its_own(
    population: kf.Population, noise: FloatArray, digits: FloatArray
) -> None:
    """Callers go on without a ranking after that error, so no wrong argument may raise it."""
    with pytest.raises(NoPosteriorError):
        kf.posterior_variance(population, noise, images=digits[:20])
    with pytest.raises(NoPosteriorError):
        kf.posterior_variance(population, noise, sigma=1e-3)
    for wrong in ({"sigma": 80.0}, {"bands": 0}, {"noise": noise[:, :5]}, {"noise": 2 * noise}):
        with pytest.raises(ValueError, match=r"sigma|bands|noise") as raised:
            kf.posterior_variance(population, **{"noise": noise, **wrong})
        assert not isinstance(raised.value, NoPosteriorError)
