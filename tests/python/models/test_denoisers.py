"""Denoisers in closed form, and the sampler on them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kappaflow import Population  # noqa: E402
from kappaflow.models.denoisers import LinearDenoiser, MemorisingDenoiser  # noqa: E402
from kappaflow.models.layout import tensor_shape, to_rows, to_tensor  # noqa: E402
from kappaflow.models.sampling import sample  # noqa: E402
from kappaflow.sampling import heun_gain, noise_schedule  # noqa: E402
from kappaflow.validation.network.baselines import linear_samples, memorising_samples  # noqa: E402
from kappaflow.validation.network.noise import amplified, parts  # noqa: E402

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((40, 6)) * np.array([2.0, 1.0, 0.7, 0.3, 0.1, 0.01]) + 0.5


def tensor(rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows))


def test_linear_denoiser_solves_the_normal_equations() -> None:
    denoiser = LinearDenoiser.from_images(tensor(ROWS).reshape(40, 1, 2, 3))
    x, sigma = RNG.standard_normal((5, 6)), np.array([0.01, 0.1, 1.0, 10.0, 80.0])
    mean, covariance = ROWS.mean(axis=0), np.cov(ROWS.T, bias=True)
    expected = [
        mean + covariance @ np.linalg.solve(covariance + s**2 * np.eye(6), v - mean)
        for v, s in zip(x, sigma, strict=True)
    ]
    found = denoiser(tensor(x).reshape(5, 1, 2, 3), tensor(sigma))
    np.testing.assert_allclose(to_rows(found, (2, 3)), expected, rtol=1e-10, atol=1e-10)


def test_linear_denoiser_of_fewer_images_than_dimensions() -> None:
    few = tensor(ROWS[:3])
    answer = LinearDenoiser.from_images(few)(few, torch.full((3,), 1e-6, dtype=torch.float64))
    torch.testing.assert_close(answer, few, rtol=0, atol=1e-6)


def test_sampler_on_the_exact_gaussian_denoiser_multiplies_by_its_gain() -> None:
    linear = Population.from_samples(ROWS)
    noise = 80 * RNG.standard_normal((4, 6))
    found = sample(LinearDenoiser.from_images(tensor(ROWS)), tensor(noise), steps=18).numpy()
    gain = heun_gain(linear.eigenvalues, noise_schedule(18))
    expected = linear.mean + (linear.coordinates(noise) * gain) @ linear.eigenvectors.T
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_sampler_reaches_the_closed_form_map_at_second_order() -> None:
    noise = 80 * RNG.standard_normal((16, 3))
    rows = ROWS[:, :3]
    denoiser = LinearDenoiser.from_images(tensor(rows))
    exact = linear_samples(rows, noise)
    # the grid ends at sigma_min, from where one Euler step leads to 0: small enough here to leave the order of Heun's method
    errors = [
        np.sqrt(np.mean((sample(denoiser, tensor(noise), steps=steps, sigma_min=1e-5).numpy() - exact) ** 2))
        for steps in (64, 128, 256)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert ((orders > 1.8) & (orders < 2.2)).all(), orders
    assert errors[-1] < 1e-3


def test_batches_do_not_change_samples() -> None:
    denoiser, noise = LinearDenoiser.from_images(tensor(ROWS)), tensor(80 * RNG.standard_normal((5, 6)))
    seen: list[int] = []
    small = sample(denoiser, noise, steps=5, batch=2, progress=seen.append)
    torch.testing.assert_close(small, sample(denoiser, noise, steps=5), rtol=1e-12, atol=1e-12)
    assert seen == [2, 4, 5]


def test_memorising_denoiser_is_the_posterior_mean() -> None:
    x, sigma = RNG.standard_normal((6, 6)), np.geomspace(0.3, 80, 6)
    expected = []
    for v, s in zip(x, sigma, strict=True):
        exponent = -np.sum((v - ROWS) ** 2, axis=1) / (2 * s**2)
        weights = np.exp(exponent - exponent.max())
        expected.append(weights @ ROWS / weights.sum())
    for block in (1, 7, 40, 4096):
        found = MemorisingDenoiser(tensor(ROWS), block=block)(tensor(x), tensor(sigma))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-12)
    shuffled = MemorisingDenoiser(tensor(ROWS[::-1]))(tensor(x), tensor(sigma))
    np.testing.assert_allclose(shuffled.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_memorising_denoiser_returns_the_nearest_image_at_low_noise() -> None:
    x = RNG.standard_normal((20, 6))
    found = MemorisingDenoiser(tensor(ROWS))(tensor(x), torch.full((20,), 0.002, dtype=torch.float64)).numpy()
    nearest = np.argmin(((x[:, None] - ROWS) ** 2).sum(axis=2), axis=1)
    np.testing.assert_allclose(found, ROWS[nearest], atol=1e-12)


def test_memorising_samples_are_training_images() -> None:
    noise = 80 * RNG.standard_normal((32, 6))
    drawn = memorising_samples(ROWS, (6,), noise, steps=64)
    distance = np.sqrt(((drawn[:, None] - ROWS) ** 2).sum(axis=2)).min(axis=1)
    assert np.median(distance) < 1e-6
    assert (
        np.mean(distance < 0.05) > 0.9
    )  # the rest ends between images that lie within the last noise level of each other


def test_wrong_outputs_of_a_denoiser_are_refused() -> None:
    noise = torch.ones((2, 3), dtype=torch.float64)
    with pytest.raises(ValueError, match=r"shape of its input \(2, 3\), got \(2, 1\)"):
        sample(lambda x, sigma: x[:, :1], noise)
    with pytest.raises(ValueError, match="denoiser must be finite, got NaN or infinity at noise level 80"):
        sample(lambda x, sigma: x * torch.nan, noise)
    with pytest.raises(ValueError, match="steps must be an integer of at least 2"):
        sample(lambda x, sigma: x, noise, steps=1)
    for sigma in (torch.zeros(2), torch.ones(1)):
        with pytest.raises(ValueError, match=r"sigma must be \(2,\) noise levels above 0"):
            MemorisingDenoiser(torch.ones((1, 3)))(noise, sigma)
    with pytest.raises(ValueError, match="images must hold at least one image"):
        MemorisingDenoiser(torch.zeros((0, 3)))
    with pytest.raises(ValueError, match="block must be an integer of at least 1, got 0"):
        MemorisingDenoiser(torch.zeros((1, 3)), block=0)
    with pytest.raises(ValueError, match=r"must be \(d,\), \(k,\) and \(d, k\)"):
        LinearDenoiser(torch.zeros(3), torch.ones(2), torch.eye(3))
    with pytest.raises(ValueError, match="eigenvalues must not be negative, got -1"):
        LinearDenoiser(torch.zeros(1), -torch.ones(1), torch.eye(1))


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3), (3, 4, 5), (7,), (2, 3, 4, 5)])
def test_layout_round_trip(shape: tuple[int, ...]) -> None:
    rows = RNG.standard_normal((2, int(np.prod(shape))))
    images = to_tensor(rows, shape, torch.float64)
    assert tuple(images.shape[1:]) == tensor_shape(shape)
    np.testing.assert_array_equal(to_rows(images, shape), rows)
    if shape == (4, 5, 3):
        np.testing.assert_array_equal(images[0, 1].numpy(), rows[0].reshape(shape)[:, :, 1])


def test_amplified_noise_changes_the_modes_that_are_named() -> None:
    population = Population.from_samples(ROWS)
    noise = RNG.standard_normal((3, 6))
    ratio = population.coordinates(
        amplified(noise, population, (1, 3), 2.0) + population.mean
    ) / population.coordinates(noise + population.mean)
    np.testing.assert_allclose(ratio, np.array([[1, 2, 2, 1, 1, 1]] * 3), rtol=1e-9)
    assert parts(population) == {"top": (0, 1), "bottom": (3, 6)}
