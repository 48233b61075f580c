"""Rows of the linear Jacobian and their equivariance against dense matrices, finite differences and posterior covariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens.layout import SpatialLayout
from kappaflow.lens.receptive_field import (
    collapse_channels,
    degrees_of_freedom,
    difference_receptive_field,
    equivariance_error,
    jacobian_rows,
    local_equivariance_error,
    power_law_spectrum,
    receptive_field,
    receptive_field_variance,
    stationary_spectrum,
)
from receptive_field_cases import (
    POPULATIONS,
    SIGMAS,
    circulant,
    covariance,
    dense,
    dense_exactly,
    full_rank,
    low_rank,
    rng,
)


# ---------------------------------------------------------------- rows
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_rows_are_those_of_the_dense_jacobian(population: Any, sigma: float) -> None:
    p = population()
    j = dense_exactly(p, sigma)
    rows = np.stack([receptive_field(p, sigma, place).ravel() for place in np.ndindex(4, 3)])
    np.testing.assert_allclose(rows, j, atol=1e-12)
    assert degrees_of_freedom(p, sigma) == pytest.approx(np.trace(j), rel=1e-11)


def test_the_field_is_the_derivative_of_the_denoiser() -> None:
    p = full_rank()
    gains = p.eigenvalues / (p.eigenvalues + 0.25)
    shift = np.zeros((2, 12))
    shift[:, 7] = 1e-3, -1e-3
    up, down = p.apply(p.mean + shift, gains)
    np.testing.assert_allclose(receptive_field(p, 0.5, (2, 1)).ravel(), (up - down) / 2e-3, atol=1e-11)


def test_rows_of_any_gains_with_and_without_eigenvectors() -> None:
    p = low_rank()
    u, values = p.eigenvectors, p.eigenvalues
    expected = (u * (np.sqrt(values + 2) - np.sqrt(2))) @ u.T + np.sqrt(2) * np.eye(12)
    np.testing.assert_allclose(
        jacobian_rows(p, np.sqrt(values + 2), np.arange(12), null_gain=math.sqrt(2)), expected, atol=1e-13
    )
    diagonal = kf.Population.from_spectrum([3.0, 1.0])
    np.testing.assert_array_equal(receptive_field(diagonal, 1.0, 1), [0.0, 0.5])


def test_several_noise_levels_at_once() -> None:
    p = full_rank((4, 2, 3))
    sigma = np.array([0.0, 0.3, 2.0])
    for pixel, channels in (((1, 0, 2), "row"), ((1, 0), "grey"), ((1, 0), "energy")):
        together = receptive_field(p, sigma, pixel, channels=channels)
        alone = np.stack([receptive_field(p, float(s), pixel, channels=channels) for s in sigma])
        np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(degrees_of_freedom(p, sigma), [degrees_of_freedom(p, s) for s in sigma], rtol=1e-14)


@pytest.mark.parametrize("shape", [(4, 2, 3), (3, 4, 2)])
def test_channels_are_summed_as_written(shape: tuple[int, ...]) -> None:
    """Last axis or first; grey is the answer of the mean of the channels to a change of all."""
    p = full_rank(shape)
    j = dense(p, 0.7).reshape(*shape, *shape)
    axis = 2 if shape[2] == 3 else 0
    j = np.moveaxis(np.moveaxis(j, 3 + axis, 5), axis, 2)  # (H, W, C, H, W, C)
    grey = sum(j[2, 1, a, :, :, b] for a in range(3) for b in range(3)) / 3
    np.testing.assert_allclose(receptive_field(p, 0.7, (2, 1), channels="grey"), grey, atol=1e-13)
    energy = np.sqrt(sum(j[2, 1, a, :, :, b] ** 2 for a in range(3) for b in range(3)) / 3)
    np.testing.assert_allclose(receptive_field(p, 0.7, (2, 1), channels="energy"), energy, atol=1e-13)
    unit = np.zeros((4, 2))
    unit[2, 1] = 1.0
    for channels in ("grey", "energy"):
        np.testing.assert_allclose(receptive_field(p, 0.0, (2, 1), channels=channels), unit, atol=1e-12)


def test_grids() -> None:
    assert SpatialLayout.of_any((8, 8, 1)).grid == (8, 8)
    assert SpatialLayout.of_any((3, 8, 6)).grid == (8, 6)
    assert SpatialLayout.of_any((2, 5, 7)).grid == (70,)
    assert SpatialLayout.of_any((9,)).centre == (4,)
    grid = SpatialLayout.of_any((3, 8, 6))
    rows = rng(0).standard_normal((2, 144))
    np.testing.assert_array_equal(grid.planes(rows), rows.reshape(2, 3, 8, 6))
    np.testing.assert_array_equal(
        SpatialLayout.of_any((8, 6, 3)).planes(rows), np.moveaxis(rows.reshape(2, 8, 6, 3), 3, 1)
    )
    np.testing.assert_array_equal(SpatialLayout.of_any((8, 6, 1)).entries((2, 3)), [15])


# ---------------------------------------------------------------- limits
def test_low_noise_gives_the_identity_only_where_the_covariance_has_full_rank() -> None:
    """RF → eᵢ as often stated needs λ_min > 0 and σ² ≪ λ_min; else the limit is the projector on the modes."""
    p = full_rank((8, 8))
    for sigma, wanted in ((1e-4, 1e-5), (1e-3, 1e-3)):
        assert np.linalg.norm(dense(p, sigma) - np.eye(64), 2) == pytest.approx(sigma**2 / (1e-3 + sigma**2), rel=1e-6)
        assert np.abs(receptive_field(p, sigma, (3, 3)) - _unit(8, 3, 3)).max() < wanted
    # σ is small, but not against √λ_min = 0.03: no identity
    assert np.linalg.norm(dense(p, 0.1) - np.eye(64), 2) > 0.9

    q = low_rank((8, 8), count=20)  # rank 19 of 64
    j = dense(q, 1e-4)
    projector = np.linalg.pinv(covariance(q), rcond=1e-10, hermitian=True) @ covariance(q)
    np.testing.assert_allclose(j, projector, atol=1e-6)
    assert np.linalg.norm(j - np.eye(64)) / 8 == pytest.approx(math.sqrt(1 - 19 / 64), abs=1e-6)
    assert np.linalg.norm(j - np.eye(64)) / 8 == pytest.approx(0.84, abs=0.005)
    np.testing.assert_allclose(receptive_field(q, 0.0, (3, 4)).ravel(), projector[28], atol=1e-13)
    assert degrees_of_freedom(q, 0.0) == 19
    # neither local nor a shift of the others
    assert np.abs(receptive_field(q, 0.0, (3, 4)) - _unit(8, 3, 4)).max() > 0.5
    assert float(local_equivariance_error(q, 0.0)) > 0.1
    assert float(local_equivariance_error(p, 0.0)) < 1e-24


def _unit(side: int, *place: int) -> np.ndarray:
    unit = np.zeros((side,) * len(place))
    unit[place] = 1.0
    return unit


@pytest.mark.parametrize("population", POPULATIONS)
def test_high_noise_gives_the_covariance_over_noise(population: Any) -> None:
    """The spectral defect is λ₁/(λ₁ + σ²) exactly, over four decades of σ."""
    p = population()
    top, s = float(p.eigenvalues[0]), covariance(p)
    for sigma in np.geomspace(1, 1e4, 5) * math.sqrt(top):
        rows = jacobian_rows(p, p.eigenvalues / (p.eigenvalues + sigma**2), np.arange(12))
        defect = np.linalg.norm(rows - s / sigma**2, 2) / np.linalg.norm(s / sigma**2, 2)
        assert defect == pytest.approx(top / (top + sigma**2), rel=1e-5, abs=1e-15)


def test_a_zero_of_the_eigensolver_is_no_variance_at_no_noise() -> None:
    u = np.linalg.qr(rng(5).standard_normal((6, 6)))[0][:, :2]
    p = kf.Population.from_covariance((u * [2.0, 1.0]) @ u.T)
    assert degrees_of_freedom(p, 0.0) == 2


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_the_jacobian_of_a_posterior_mean_is_the_posterior_covariance_over_the_noise(sigma: float) -> None:
    """A Gaussian mixture and a set of points, rows and columns alike."""
    points = rng(6).standard_normal((9, 4)) * [2.0, 1.0, 0.5, 0.2]
    spread = np.diag([0.3, 0.1, 0.2, 0.05])
    for inner in (np.zeros((4, 4)), spread):
        noisy = inner + sigma**2 * np.eye(4)
        gain = inner @ np.linalg.inv(noisy)

        def posterior(x: np.ndarray, noisy: np.ndarray = noisy, gain: np.ndarray = gain) -> Any:
            away = x[:, None] - points
            exponent = -0.5 * np.einsum("bni,ij,bnj->bn", away, np.linalg.inv(noisy), away)
            weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
            weights /= weights.sum(axis=1, keepdims=True)
            means = points + away @ gain.T
            return weights, means

        def denoiser(x: np.ndarray, _sigma: Any, posterior: Any = posterior) -> np.ndarray:
            weights, means = posterior(x)
            return np.einsum("bn,bni->bi", weights, means)

        data = points[:5]
        x = data + sigma * rng(7).standard_normal((5, 4))
        weights, means = posterior(x)
        centre = np.einsum("bn,bni->bi", weights, means)
        second = np.einsum("bn,bni,bnj->bij", weights, means, means) - np.einsum("bi,bj->bij", centre, centre)
        second += inner - gain @ inner  # covariance within a component
        for direction in ("rows", "columns"):
            found = difference_receptive_field(denoiser, data, sigma, range(4), direction=direction, seed=7)
            np.testing.assert_allclose(found.mean, second.mean(axis=0) / sigma**2, atol=2e-6)
            np.testing.assert_allclose(found.std, second.std(axis=0, ddof=1) / sigma**2, atol=2e-6)
            assert found.count == 5


# ---------------------------------------------------------------- equivariance
@pytest.mark.parametrize("sigma", SIGMAS)
def test_fields_of_stationary_data_are_shifts_of_one(sigma: float) -> None:
    for size in (24, (8, 9)):
        spectrum = power_law_spectrum(size, 3.0, 1.7, dc=11.0)
        p = kf.Population.from_covariance(circulant(spectrum), shape=spectrum.shape if spectrum.ndim == 2 else None)
        assert float(local_equivariance_error(p, sigma)) < 1e-22
        assert float(local_equivariance_error(p, sigma, circular=True)) < 1e-22


def slow_equivariance(j: np.ndarray, side: tuple[int, ...], radius: int) -> float:
    """Pixel by pixel, and the projection by least squares over each diagonal."""
    numbers = np.arange(len(j)).reshape(side)
    inside = [i for i in np.ndindex(*side) if all(radius <= a < n - radius for a, n in zip(i, side, strict=True))]
    offsets = [tuple(np.array(o) - radius) for o in np.ndindex(*([2 * radius + 1] * len(side)))]
    above = below = 0.0
    for offset in offsets:
        entries = np.array([j[numbers[i], numbers[tuple(np.array(i) + offset)]] for i in inside])
        ones = np.ones((len(entries), 1))
        best = np.linalg.lstsq(ones, entries, rcond=None)[0]
        above += float(np.sum((entries - best) ** 2))
        below += float(np.sum(entries**2))
    return above / below


@pytest.mark.parametrize("population", POPULATIONS)
def test_equivariance_error_pixel_by_pixel(population: Any) -> None:
    for shape, radius in (((6, 5), 1), ((6, 5), 0), ((15,), 3)):
        p = population(shape)
        sigma = np.array([0.0, 0.3, 5.0])
        found = local_equivariance_error(p, sigma, radius=radius)
        projector = np.linalg.pinv(covariance(p), rcond=1e-10, hermitian=True) @ covariance(p)
        jacobians = [projector, dense(p, 0.3), dense(p, 5.0)]
        slow = [slow_equivariance(j, shape, radius) for j in jacobians]
        np.testing.assert_allclose(found, slow, rtol=1e-7, atol=1e-9)
        assert equivariance_error(dense(p, 0.3), shape, radius=radius) == pytest.approx(found[1], rel=1e-9)


def test_equivariance_error_of_colour_and_around_the_torus() -> None:
    p = full_rank((6, 6, 3))
    j = dense(p, 0.4)
    assert equivariance_error(j, (6, 6, 3)) == pytest.approx(float(local_equivariance_error(p, 0.4)), rel=1e-10)
    around = float(local_equivariance_error(p, 0.4, circular=True))
    assert equivariance_error(j, (6, 6, 3), circular=True) == pytest.approx(around, rel=1e-10)
    assert 0 < around < 1
    every_other = local_equivariance_error(p, 0.4, stride=2)
    assert 0 < float(every_other) < 1
    planes = j.reshape(36, 3, 36, 3)
    assert equivariance_error(planes[:, 0, :, 0], (6, 6)) != pytest.approx(around)


def test_equivariance_error_is_not_monotone() -> None:
    """Amplitudes that differ from place to place: none at σ → 0, some, less, more."""
    rank, side = 64, 64
    x = np.arange(side)
    kernel = np.exp(-((x[:, None] - x) ** 2) / 18.0) + 1e-2 * np.eye(side)
    amplitude = np.exp(0.8 * np.sin(2 * np.pi * x / 17))
    p = kf.Population.from_covariance(amplitude[:, None] * kernel * amplitude)
    sigma = np.geomspace(1e-4, 1e3, 29)
    error = local_equivariance_error(p, sigma)
    assert error[0] < 1e-8
    assert np.any(np.diff(error) < -1e-3)
    assert error[-1] > 0.1
    assert rank == np.sum(p.eigenvalues > 0)


# ---------------------------------------------------------------- bad input
def test_bad_input() -> None:
    p, colour = full_rank(), full_rank((4, 2, 3))
    with pytest.raises(ValueError, match="sigma must not be negative"):
        receptive_field(p, -1.0, (0, 0))
    with pytest.raises(ValueError, match="sigma must be a number or one-dimensional"):
        receptive_field(p, np.ones((2, 2)), (0, 0))
    with pytest.raises(ValueError, match=r"pixel must lie within \(4, 3\), got \(4, 0\)"):
        receptive_field(p, 1.0, (4, 0))
    with pytest.raises(ValueError, match="pixel must index positions"):
        receptive_field(p, 1.0, 3)
    with pytest.raises(TypeError, match="pixel must be an integer"):
        receptive_field(p, 1.0, (0.5, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pixel must name a channel"):
        receptive_field(colour, 1.0, (0, 0))
    with pytest.raises(ValueError, match="pixel must name a position"):
        receptive_field(colour, 1.0, (0, 0, 1), channels="grey")
    with pytest.raises(ValueError, match="channels must be one of 'row', 'grey', 'energy'"):
        receptive_field(colour, 1.0, (0, 0), channels="sum")
    with pytest.raises(ValueError, match="gains must have shape"):
        jacobian_rows(p, [1.0], [0])
    with pytest.raises(ValueError, match="entries must lie between 0 and 11"):
        jacobian_rows(p, np.ones(12), [12])
    with pytest.raises(TypeError, match="entries must be integers"):
        jacobian_rows(p, np.ones(12), [0.5])
    with pytest.raises(ValueError, match="multiplicities above 1"):
        jacobian_rows(kf.Population.from_spectrum([2.0, 1.0], [3, 1]), [1.0, 1.0], [0])
    with pytest.raises(ValueError, match="multiplicities above 1"):
        stationary_spectrum(kf.Population.from_spectrum([2.0, 1.0], [3, 1]))
    with pytest.raises(ValueError, match="rows must have shape"):
        collapse_channels(np.ones((2, 5)), (4, 2, 3), "grey")
    with pytest.raises(ValueError, match="pixel must name a channel"):
        receptive_field_variance(kf.Splits(colour, 20), 1.0, (0, 0))
