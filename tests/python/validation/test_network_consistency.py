"""Disagreement of pairs of models, what explains their samples, and generated variance."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import kappaflow as kf
from kappaflow.bands import Band
from kappaflow.disagreement import Disagreement
from kappaflow.validation import metrics
from kappaflow.validation.metrics import (
    cross_split,
    explained,
    generated_variance,
    pixel_disagreement,
)
from normal import pairs, rng


def test_exports_are_sorted_and_exist() -> None:
    assert sorted(metrics.__all__) == sorted(set(metrics.__all__))
    assert all(hasattr(metrics, name) for name in metrics.__all__)


def population(dimension: int, seed: int, samples: int = 100) -> kf.Population:
    scale = np.geomspace(2, 0.1, dimension)
    return kf.Population.from_samples(1 + scale * rng(seed).standard_normal((samples, dimension)))


def literal_unrelated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean over ordered pairs of different seeds of the square of each column."""
    count = len(a)
    return np.mean([(a[i] - b[j]) ** 2 for i in range(count) for j in range(count) if i != j], axis=0)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("samples", [100, 4])
@pytest.mark.parametrize("count", [2, 3, 17])
def test_cross_split_is_its_definition(count: int, samples: int, offset: float) -> None:
    known = population(8, 0, samples)
    modes = known.eigenvalues.size
    assert modes == (8 if samples == 100 else 3)
    a = rng(1).standard_normal((count, 8))
    b = a + 0.1 * rng(2).standard_normal((count, 8)) + 0.2
    U = known.eigenvectors
    assert U is not None
    bands = (Band(0, 1), Band(1, modes))
    found = cross_split(a + offset, b + offset, known, bands)
    rtol = 1e-12 if offset == 0 else 1e-8  # the offset itself rounds to 1e-10
    np.testing.assert_allclose(found.seeds, ((a - b) ** 2).sum(axis=1) / 8, rtol=rtol)
    pixels = pixel_disagreement(a + offset, b + offset, known)
    np.testing.assert_allclose(pixels, ((a - b) ** 2).mean(axis=0), rtol=rtol)
    np.testing.assert_allclose(found.modes, (((a - b) @ U) ** 2).mean(axis=0) / 8, rtol=rtol)
    np.testing.assert_allclose(found.unrelated, literal_unrelated(a, b).sum() / 8, rtol=rtol)
    np.testing.assert_allclose(found.unrelated_modes, literal_unrelated(a @ U, b @ U) / 8, rtol=rtol)
    np.testing.assert_allclose(found.bands, [found.modes[0], found.modes[1:].sum()], rtol=1e-14)
    np.testing.assert_allclose(
        found.unrelated_bands, [found.unrelated_modes[0], found.unrelated_modes[1:].sum()], rtol=1e-14
    )
    np.testing.assert_allclose(pixels.mean(), found.seeds.mean(), rtol=1e-14)
    if modes == 8:
        np.testing.assert_allclose(found.modes.sum(), found.seeds.mean(), rtol=1e-12)
        np.testing.assert_allclose(found.unrelated_modes.sum(), found.unrelated, rtol=1e-12)
    else:
        assert found.modes.sum() < 0.9 * found.seeds.mean()  # the rest is outside of the modes


def test_equal_models_differ_by_twice_the_variance_between_seeds() -> None:
    known, a = population(6, 3), rng(4).standard_normal((40, 6))
    found = cross_split(a, a, known)
    assert not found.seeds.any()
    assert not found.modes.any()
    np.testing.assert_allclose(found.unrelated, 2 * a.var(axis=0, ddof=1).mean(), rtol=1e-13)
    np.testing.assert_allclose(found.unrelated_modes, 2 * generated_variance(a, known) / 6, rtol=1e-12)


def test_unrelated_seeds_of_gaussian_models_are_twice_the_trace() -> None:
    values = np.geomspace(3, 0.1, 5)
    known = kf.Population.from_spectrum(values)
    assert known.eigenvectors is None
    a, b = np.sqrt(values) * rng(5).standard_normal((2, 20_000, 5))
    found = cross_split(a, b, known, 2)
    np.testing.assert_allclose(found.unrelated_modes, 2 * values / 5, rtol=0.04)  # standard error 1 %
    np.testing.assert_allclose(found.unrelated, 2 * values.sum() / 5, rtol=0.04)
    np.testing.assert_array_equal(
        found.modes, pixel_disagreement(a, b, known) / 5
    )  # modes are the pixels of a bare spectrum
    assert found.bands.shape == (2,)


def test_opposite_models_with_two_seeds_do_not_cancel() -> None:
    """Unrelated seeds are equal here to 1e-9, while their parts are of order 1."""
    known = kf.Population.from_spectrum([1.0])
    found = cross_split([[1.0], [-1.0]], [[-1.0], [1.0 + 1e-9]], known)
    np.testing.assert_allclose(found.unrelated, ((1e-9) ** 2 + 0) / 2, rtol=1e-6)


def test_images_may_keep_their_shape() -> None:
    images = rng(6).standard_normal((50, 2, 3))
    known = kf.Population.from_samples(images)
    flat, shaped = (cross_split(images[:9].reshape(s), images[9:18].reshape(s), known) for s in ((9, 6), (9, 2, 3)))
    np.testing.assert_array_equal(flat.seeds, shaped.seeds)
    assert pixel_disagreement(images[:9], images[9:18], known).shape == (2, 3)


@pytest.mark.parametrize(
    ("a", "b", "bands", "message"),
    [
        (np.ones((3, 4)), np.ones((2, 4)), None, "a and b must hold the same seeds, got 3 and 2"),
        (np.ones((1, 4)), np.ones((1, 4)), None, "a and b must hold at least 2 seeds, got 1"),
        (np.ones((2, 5)), np.ones((2, 4)), None, r"a must have shape \(B, 4\)"),
        (np.ones((2, 4)), np.full((2, 4), np.nan), None, "b must be finite"),
        (np.ones((2, 4)), np.ones((2, 4)), [(0, 5)], "bands must lie within the 4 modes"),
    ],
)
def test_cross_split_refuses(a: Any, b: Any, bands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cross_split(a, b, population(4, 0), bands)


def test_pixel_disagreement_refuses() -> None:
    with pytest.raises(ValueError, match="a and b must hold the same seeds, got 3 and 2"):
        pixel_disagreement(np.ones((3, 4)), np.ones((2, 4)), population(4, 0))


def test_an_average_is_that_of_every_field() -> None:
    known = population(4, 0)
    parts = [cross_split(*rng(seed).standard_normal((2, 9, 4)), known, 2) for seed in (1, 2)]
    found = Disagreement.average(parts)
    for field in dataclasses.fields(Disagreement):
        both = [getattr(part, field.name) for part in parts]
        np.testing.assert_allclose(getattr(found, field.name), (both[0] + both[1]) / 2, rtol=1e-15)
    assert found.mean == found.seeds.mean()
    assert found.ratio == found.mean / found.unrelated
    np.testing.assert_array_equal(found.relative_bands, found.bands / found.unrelated_bands)
    assert repr(found) == f"Disagreement({found.mean:.4g}, {found.ratio:.3g} of unrelated seeds, 9 seeds)"
    with pytest.raises(ValueError, match="parts must hold at least one disagreement, got none"):
        Disagreement.average([])


def test_explained_closed_forms() -> None:
    x = 5 + rng(7).standard_normal((20, 3))
    mean = np.broadcast_to(x.mean(axis=0), x.shape)
    assert explained(x, x) == 1
    assert explained(x, mean) == pytest.approx(0, abs=1e-14)
    assert explained(x, 2 * mean - x) == pytest.approx(-3)
    assert explained(x, mean + 0.5 * (x - mean)) == pytest.approx(0.75)


def test_explained_is_the_square_of_the_correlation_for_a_regression() -> None:
    x, y = pairs(60, 11)
    slope, intercept = np.polyfit(x, y, 1)
    found = explained(y[:, None], (slope * x + intercept)[:, None])
    assert found == pytest.approx(stats.pearsonr(x, y)[0] ** 2, rel=1e-12)


@pytest.mark.parametrize("x", [np.full((3, 2), 0.1), np.zeros((4, 1)), np.ones((1, 5)), [[1.0], [1 + 1e-15]]])
def test_explained_of_what_does_not_vary_is_nan(x: Any) -> None:
    assert math.isnan(explained(x, np.asarray(x) + 1))


@pytest.mark.parametrize(
    ("x", "prediction", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 1)), r"same shape \(Z, d\), got \(3, 2\) and \(3, 1\)"),
        (np.ones(3), np.ones(3), r"same shape \(Z, d\), got \(3,\)"),
        (np.empty((0, 2)), np.empty((0, 2)), r"same shape \(Z, d\), got \(0, 2\)"),
        ([[np.inf]], [[1.0]], "x must be finite"),
        ([[1.0]], [[np.nan]], "prediction must be finite"),
    ],
)
def test_explained_refuses(x: Any, prediction: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explained(x, prediction)


@pytest.mark.parametrize("samples", [100, 4])
def test_generated_variance_is_that_of_the_coordinates(samples: int) -> None:
    known, x = population(7, 8, samples), rng(9).standard_normal((30, 7))
    np.testing.assert_allclose(generated_variance(x, known), known.coordinates(x).var(axis=0, ddof=1), rtol=1e-12)


def test_generated_variance_of_the_data_is_their_spectrum() -> None:
    x = rng(10).standard_normal((25, 4))
    np.testing.assert_allclose(
        generated_variance(x, kf.Population.from_samples(x)) * 24 / 25,
        kf.Population.from_samples(x).eigenvalues,
        rtol=1e-12,
    )


def test_generated_variance_refuses() -> None:
    with pytest.raises(ValueError, match="x must hold at least 2 seeds, got 1"):
        generated_variance(np.ones((1, 4)), population(4, 0))
    with pytest.raises(ValueError, match=r"x must have shape \(B, 4\)"):
        generated_variance(np.ones((2, 3)), population(4, 0))
