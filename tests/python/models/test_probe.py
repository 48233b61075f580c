"""The probe of a trained network: closed forms with linear denoisers, a slow reference, properties, and bad input."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

import kappaflow as kf
from kappaflow._checks import FloatArray
from kappaflow.datasets import open_images
from kappaflow.models.image_weights import NoPosteriorError
from kappaflow.models.probe import EVALUATIONS, network_probe, probe_seconds
from kappaflow.models.rows import RowDenoiser
from kappaflow.models.scores import DeltaScore
from kappaflow.sampling import heun, heun_gain, initial_noise, noise_schedule, step_gain

torch = pytest.importorskip("torch")
from kappaflow.models.denoisers import LinearDenoiser  # noqa: E402
from kappaflow.models.layout import rows_denoiser  # noqa: E402

SIGMA_MAX = 80.0


@pytest.fixture(scope="module")
def digits() -> FloatArray:
    return np.concatenate([batch.reshape(len(batch), -1) for batch in open_images("digits").batches()])[:600]


@pytest.fixture(scope="module")
def population(digits: FloatArray) -> kf.Population:
    return kf.Population.from_samples(digits, shape=(8, 8), profiles=len(digits))


@pytest.fixture(scope="module")
def linear(digits: FloatArray) -> RowDenoiser:
    return rows_denoiser(LinearDenoiser.from_images(torch.from_numpy(digits).reshape(-1, 1, 8, 8)), (8, 8))


@pytest.fixture(scope="module")
def noise() -> FloatArray:
    return initial_noise(range(12), 64, SIGMA_MAX)


def state_gain(population: kf.Population, sigma: float) -> FloatArray:
    """The eight Heun steps to σ* of the linear denoiser, mode by mode."""
    gain = np.ones(len(population.eigenvalues))
    levels = noise_schedule(9, SIGMA_MAX, sigma_min=sigma)[:-1].tolist()
    for now, after in itertools.pairwise(levels):
        gain = gain * step_gain(population.eigenvalues, now, after)
    return gain


class Setting:
    """States and weights of a linear denoiser, by definition."""

    def __init__(self, digits: FloatArray, population: kf.Population, noise: FloatArray) -> None:
        self.sigma = float(np.sqrt(population.total_variance / 2))
        levels = noise_schedule(9, SIGMA_MAX, sigma_min=self.sigma)[:-1].tolist()
        null_gain = heun(lambda x, _sigma: 0 * x, np.ones(1), levels)[0]  # a mode without variance
        self.states = population.apply(noise, state_gain(population, self.sigma), null_gain=null_gain)
        squared = ((self.states[:, None] - digits) ** 2).sum(axis=2)
        self.weights = softmax(-squared / (2 * self.sigma**2), axis=1)
        self.means = self.weights @ digits

    def carried(self, population: kf.Population, gain: FloatArray, moves: FloatArray) -> FloatArray:
        """|M move|²/d."""
        vectors = population.eigenvectors
        assert vectors is not None
        return np.asarray(((moves @ vectors * gain) ** 2).sum(axis=-1) / moves.shape[-1])


def test_a_linear_denoiser_carries_the_moves_by_its_map(
    digits: FloatArray, population: kf.Population, noise: FloatArray, linear: RowDenoiser
) -> None:
    """E_j |M (y_j − m)|²/d over the images of the same generator, M = the gain of the sampler's seven steps."""
    setting = Setting(digits, population, noise)
    answer = network_probe(population, linear, noise, seed=5)
    uniform = np.random.default_rng(5).random((len(noise), 4))
    drawn = [np.searchsorted(np.cumsum(w), u, side="right") for w, u in zip(setting.weights, uniform, strict=True)]
    moves = digits[np.array(drawn)] - setting.means[:, None]
    sampled = heun_gain(population.eigenvalues, noise_schedule(7, setting.sigma))
    exact = np.sqrt(population.eigenvalues / (population.eigenvalues + setting.sigma**2))
    by_sampler, by_flow = (setting.carried(population, gain, moves).mean(axis=1) for gain in (sampled, exact))
    np.testing.assert_allclose(answer.seeds, by_sampler, rtol=1e-3)  # profiles are float32
    np.testing.assert_allclose(
        answer.seeds, by_flow, rtol=0.2
    )  # seven steps: strong modes come out 5 to 10 % too large
    assert answer.sigma == setting.sigma
    assert answer.images == len(digits)
    perplexity = np.exp(-np.sum(setting.weights * np.log(np.maximum(setting.weights, 1e-300)), axis=1))
    np.testing.assert_allclose(answer.perplexity, perplexity, rtol=1e-3)


def test_many_draws_give_the_expectation_over_the_weights(
    digits: FloatArray, population: kf.Population, noise: FloatArray, linear: RowDenoiser
) -> None:
    setting = Setting(digits, population, noise[:4])
    answer = network_probe(population, linear, noise[:4], draws=2000)
    sampled = heun_gain(population.eigenvalues, noise_schedule(7, setting.sigma))
    each = np.stack([setting.carried(population, sampled, digits - mean) for mean in setting.means])
    expected = (setting.weights * each).sum(axis=1)
    error = np.sqrt((setting.weights * (each - expected[:, None]) ** 2).sum(axis=1) / 2000)
    assert np.all(np.abs(answer.seeds - expected) < 4 * error + 1e-3 * expected)
    assert np.all(error < 0.05 * expected)


def test_it_is_the_definition_for_a_denoiser_that_is_not_linear(
    digits: FloatArray, population: kf.Population, noise: FloatArray
) -> None:
    """Seed by seed, written out in pixels, with the exact score of the images as the network."""
    network, sigma, step = DeltaScore(digits), 3.0, 0.3
    answer = network_probe(population, network, noise[:4], sigma=sigma, step=step, draws=3, seed=1, sigma_min=0.01)
    uniform = np.random.default_rng(1).random((4, 3))
    for place, start in enumerate(noise[:4]):
        x = heun(network, start[None], noise_schedule(9, SIGMA_MAX, sigma_min=sigma)[:-1].tolist())[0]
        w = softmax(-((x - digits) ** 2).sum(axis=1) / (2 * sigma**2))
        drawn = digits[np.searchsorted(np.cumsum(w), uniform[place], side="right")]
        starts = np.concatenate([x[None], x + step * (drawn - w @ digits)])
        ends = heun(network, starts, noise_schedule(7, sigma, sigma_min=0.01).tolist())
        assert answer.seeds[place] == pytest.approx(np.mean((ends[1:] - ends[0]) ** 2) / step**2, rel=2e-3)
        assert answer.perplexity[place] == pytest.approx(np.exp(-np.sum(w * np.log(w + 1e-300))), rel=1e-3)


class Watched:
    """A denoiser that notes what it is given."""

    def __init__(self, denoiser: RowDenoiser) -> None:
        self.denoiser, self.rows = denoiser, list[int]()

    def __call__(self, x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        self.rows.append(len(x))
        return self.denoiser(x, sigma)


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_evaluations_are_those_announced_in_batches(
    population: kf.Population, noise: FloatArray, linear: RowDenoiser, batch: int
) -> None:
    watched, seen = Watched(linear), list[int]()
    answer = network_probe(population, watched, noise, batch=batch, progress=seen.append)
    assert EVALUATIONS == 81
    assert answer.evaluations == sum(watched.rows) == seen[-1] == 81 * len(noise)
    assert max(watched.rows) <= batch
    assert seen == sorted(seen)
    np.testing.assert_allclose(answer.seeds, network_probe(population, linear, noise).seeds, rtol=1e-6)


def test_later_seeds_change_nothing(population: kf.Population, noise: FloatArray, linear: RowDenoiser) -> None:
    few, all_of_them = (network_probe(population, linear, rows) for rows in (noise[:5], noise))
    np.testing.assert_allclose(few.seeds, all_of_them.seeds[:5], rtol=1e-9)
    other = network_probe(population, linear, noise, seed=1)
    assert not np.allclose(other.seeds, all_of_them.seeds)
    assert all_of_them.seeds[all_of_them.order[0]] == all_of_them.seeds.max()


def test_copies_are_counted_once(digits: FloatArray, noise: FloatArray, linear: RowDenoiser) -> None:
    """The states are the network's own, so the moments of the data with copies do not matter."""
    copied = np.concatenate([digits, np.repeat(digits[:5], 100, axis=0)])
    plain, with_copies = (
        network_probe(kf.Population.from_samples(images, profiles=len(images)), linear, noise, sigma=3.0)
        for images in (digits, copied)
    )
    assert plain.images == with_copies.images == len(digits)
    np.testing.assert_allclose(with_copies.seeds, plain.seeds, rtol=1e-3)


def test_the_network_is_evaluated_in_its_own_layout(noise: FloatArray) -> None:
    """Colour images: rows have the channels last, networks first. A network that mixes channels shows a wrong order."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((80, 4, 4, 3))
    population = kf.Population.from_samples(images, profiles=80)
    start = initial_noise(range(3), 48, SIGMA_MAX)
    shapes = []

    def network(x: Any, sigma: Any) -> Any:
        shapes.append(tuple(x.shape))
        weight = torch.tensor([1.0, 0.5, 0.1], dtype=x.dtype).reshape(1, 3, 1, 1)
        return weight * x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)

    def in_rows(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        return np.asarray(x * np.tile([1.0, 0.5, 0.1], 16) / (1 + np.asarray(sigma) ** 2))

    by_tensor = network_probe(population, rows_denoiser(network, (4, 4, 3)), start)
    assert {shape[1:] for shape in shapes} == {(3, 4, 4)}
    np.testing.assert_allclose(by_tensor.seeds, network_probe(population, in_rows, start).seeds, rtol=1e-9)


def test_time_is_estimated_from_a_few_evaluations(noise: FloatArray, linear: RowDenoiser) -> None:
    watched = Watched(linear)
    assert 0 < probe_seconds(watched, noise[:2]) < 60
    assert 3 <= len(watched.rows) <= 10
    assert set(watched.rows) == {10}  # a batch as large as those that follow


def test_table_and_repr(population: kf.Population, noise: FloatArray, linear: RowDenoiser) -> None:
    answer = network_probe(population, linear, noise)
    assert list(answer.to_dataframe()["probe"]) == list(answer.seeds)
    assert len(repr(answer)) < 500


def _nan(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
    return np.full_like(x, np.nan)


def _narrow(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
    return x[:, :5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"denoiser": _nan}, "denoiser must be finite, got NaN or infinity at noise level 80"),
        ({"denoiser": _narrow}, r"denoiser must return the shape of its input \(12, 64\), got \(12, 5\)"),
        ({"noise": np.ones((3, 63))}, "noise must have shape"),
        ({"noise": np.random.default_rng(0).standard_normal((9, 64))}, "standard deviation sigma_max = 80"),
        ({"sigma": 80.0}, "sigma must be below sigma_max = 80, got 80"),
        ({"sigma_min": 10.0}, r"sigma_min must be below sigma = [\d.]+, got 10"),
        (
            {"sigma": 0.05},
            r"denoiser must reach states .* by at least 10 images, got .* of 1\.?\d* at the noise level 0\.05",
        ),
        ({"step": 0.0}, "step must be finite and above 0"),
        ({"draws": 0}, "draws must be an integer of at least 1"),
        ({"batch": 0}, "batch must be an integer of at least 1"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
    ],
)
def test_bad_input_is_refused(
    population: kf.Population, noise: FloatArray, linear: RowDenoiser, change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"denoiser": linear, "noise": noise, **change}
    with pytest.raises(ValueError, match=message):
        network_probe(population, **arguments)


@pytest.mark.parametrize("make", [lambda: kf.Population.from_covariance(np.eye(64)), lambda: few_images()])
def test_images_that_give_no_weights_are_refused(
    noise: FloatArray, linear: RowDenoiser, make: Callable[[], kf.Population]
) -> None:
    with pytest.raises(NoPosteriorError, match=r"must hold profiles|at least 50 distinct images, got 40"):
        network_probe(make(), linear, noise)


def few_images() -> kf.Population:
    images = np.random.default_rng(0).standard_normal((40, 64))
    return kf.Population.from_samples(images, profiles=40)
