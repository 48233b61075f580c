"""The finite-step sampler and the maps of the models, against literal formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import kappaflow as kf
from kappaflow.maps import Map
from kappaflow.sampling import heun_gain, noise_schedule

MAPS = (Map.sampling(), Map.sampling(0.7), Map.denoiser(0.3), Map.heun(5))


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("steps", "top"), [(2, 80.0), (5, 80.0), (18, 80.0), (35, 3.0)])
def test_noise_schedule_is_the_edm_formula(steps: int, top: float) -> None:
    literal = [(top ** (1 / 7) + i / (steps - 1) * (0.002 ** (1 / 7) - top ** (1 / 7))) ** 7 for i in range(steps)]
    schedule = noise_schedule(steps, top)
    np.testing.assert_allclose(schedule[:-1], literal, rtol=1e-13)
    assert schedule.shape == (steps + 1,)
    assert (schedule[0], schedule[-2], schedule[-1]) == (top, 0.002, 0.0)
    assert (np.diff(schedule) < 0).all()


def literal_heun(mean: np.ndarray, covariance: np.ndarray, x: np.ndarray, schedule: np.ndarray) -> np.ndarray:
    """Algorithm 1 of Karras et al. (2022) with a dense denoiser, in 40 digits: its inverses are ill-conditioned."""
    with mpmath.workdps(40):
        mu, S, point = mpmath.matrix(mean), mpmath.matrix(covariance), mpmath.matrix(x)

        def slope(at: Any, sigma: Any) -> Any:
            denoised = mu + S * mpmath.inverse(S + sigma**2 * mpmath.eye(len(mean))) * (at - mu)
            return (at - denoised) / sigma

        for now, after in zip(map(mpmath.mpf, schedule[:-1]), map(mpmath.mpf, schedule[1:]), strict=True):
            first = slope(point, now)
            euler = point + (after - now) * first
            point = euler if after == 0 else point + (after - now) * (first + slope(euler, after)) / 2
        return np.array([float(value) for value in point])


@pytest.mark.parametrize("steps", [5, 18])
def test_heun_gain_is_the_iteration_of_vectors(steps: int) -> None:
    basis = np.linalg.qr(rng(0).standard_normal((6, 6)))[0]
    values = np.array([4.0, 1.0, 0.2, 0.01, 1e-5, 0.0])
    mean, x = rng(1).standard_normal(6), 80 * rng(2).standard_normal(6)
    schedule = noise_schedule(steps)
    exact = literal_heun(mean, (basis * values) @ basis.T, x, schedule)
    found = mean + basis @ (heun_gain(values, schedule) * (basis.T @ (x - mean)))
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12 * np.abs(x).max())
    assert heun_gain(values, schedule)[-1] == 0


def test_heun_converges_to_the_sampling_map_at_second_order() -> None:
    values = np.array([9.0, 1.0, 0.1])
    ideal = np.sqrt(values / (values + 6400))
    errors = [np.abs(heun_gain(values, noise_schedule(steps)) / ideal - 1) for steps in (100, 200, 400)]
    # the last Euler step from 0.002 leaves 2e-6/λ at most, which is below these
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.1)
    np.testing.assert_allclose(errors[1] / errors[2], 4, rtol=0.2)


@pytest.mark.parametrize("map_", [*MAPS, Map.heun(18, 3.0)], ids=lambda map_: map_.key)
def test_torch_and_numpy_give_the_same_gain(map_: Map) -> None:
    torch = pytest.importorskip("torch")
    values = np.geomspace(1e-8, 30, 40).reshape(4, 10)
    found = map_.gain(torch.tensor(values))
    assert isinstance(found, torch.Tensor)
    # torch divides by a tensor through its reciprocal; few long steps from 80 magnify that last bit
    rtol = 1e-12 if map_.key == "heun_5" else 1e-14
    np.testing.assert_allclose(found.numpy(), map_.gain(values), rtol=rtol)


@pytest.mark.parametrize("map_", MAPS[:3], ids=lambda map_: map_.key)
def test_map_and_prediction_are_of_one_function(map_: Map) -> None:
    values = np.geomspace(1e-2, 1, 9)
    f = map_.function(kf.Splits(kf.Population.from_spectrum(values), 40))
    np.testing.assert_allclose(f(values), map_.gain(values), rtol=1e-11)
    with pytest.raises(ValueError, match="kind must be 'denoiser' or 'sampling_map' for a prediction, got 'heun'"):
        Map.heun(5).function(kf.Splits(kf.Population.from_spectrum(values), 40))


SAMPLER_ERRORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: noise_schedule(1), "steps must be an integer of at least 2, got 1"),
    (lambda: noise_schedule(5, 0.001), "sigma_min must be below sigma_max = 0.001, got 0.002"),
    (lambda: noise_schedule(5, rho=0), "rho must be finite and above 0, got 0"),
    (lambda: Map("other"), "kind must be one of 'denoiser', 'sampling_map', 'heun', got 'other'"),
    (lambda: Map.denoiser(0.0), "sigma must be finite and above 0, got 0"),
    (lambda: Map.sampling(2.0, 1.0), "sigma must be below sigma_max = 1.0, got 2.0"),
    (lambda: Map.heun(1), "steps must be an integer of at least 2, got 1"),
    (lambda: Map.heun(5, 0.001), "sigma_max must be above 0.002, where the grid ends, got 0.001"),
]


@pytest.mark.parametrize(("call", "message"), SAMPLER_ERRORS, ids=[message for _, message in SAMPLER_ERRORS])
def test_sampler_errors(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
