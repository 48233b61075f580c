"""One layout for all rooms: which entry of a row is which place and channel, whether channels come first or last."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens import layout
from kappaflow.lens.architecture import (
    Architecture,
    ConvolutionDenoiser,
    FullLinearDenoiser,
    MeanDenoiser,
    PatchDenoiser,
    architecture_study,
)
from kappaflow.lens.layout import SpatialLayout
from kappaflow.lens.learning import fourier_spectrum, learning_study
from kappaflow.lens.stationary import SpectralStatistics

BIASES = ("image", "scalar", "none")


def pair(count: int = 40) -> tuple[kf.Population, kf.Population, np.ndarray]:
    """Populations of the same 5×6 colour images with channels last and first, and the order of pixels that leads to the second."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, 5, 6, 3)).cumsum(axis=1).cumsum(axis=2) + rng.standard_normal((5, 6, 3))
    order = np.moveaxis(np.arange(90).reshape(5, 6, 3), -1, 0).ravel()
    last = kf.Population.from_samples(images)
    first = last.replace(mean=last.mean[order], eigenvectors=last.eigenvectors[order], shape=(3, 5, 6))
    return last, first, order


def architectures(p: kf.Population) -> list[Architecture]:
    fits: list[Architecture] = [MeanDenoiser.fit(p), FullLinearDenoiser(p)]
    fits += [ConvolutionDenoiser.fit(p, bias=bias) for bias in BIASES]
    return fits + [
        PatchDenoiser.fit(p, patch=3, padding=padding, bias=bias)
        for padding, bias in itertools.product(("circular", "zero"), BIASES)
    ]


def test_doctests() -> None:
    result = doctest.testmod(layout)
    assert result.attempted >= 2
    assert result.failed == 0


@pytest.mark.parametrize("shape", [(7,), (4, 5), (4, 5, 2), (4, 5, 3), (3, 4, 5), (1, 4, 5)])
def test_images_and_rows_are_each_others_inverse(shape: tuple[int, ...]) -> None:
    here = SpatialLayout.of(shape)
    rows = np.random.default_rng(1).standard_normal((2, here.dimension))
    images = here.images(rows)
    assert images.shape == (2, *here.grid, here.channels)
    np.testing.assert_array_equal(here.flattened(images), rows)
    np.testing.assert_array_equal(images[0], rows[0][here.numbers])
    np.testing.assert_array_equal(np.moveaxis(here.planes(rows), 1, -1), images)
    np.testing.assert_allclose(here.inverse(here.transform(rows)), rows, atol=1e-14)
    values = np.arange(1.0, here.channels + 1)
    np.testing.assert_array_equal(here.images(here.uniform(values)[None])[0], np.broadcast_to(values, images.shape[1:]))


def test_channels_are_found_by_the_rule_of_the_library() -> None:
    assert SpatialLayout.of((3, 8, 6)) == SpatialLayout((3, 8, 6), grid=(8, 6), channels=3, channel_axis=0)
    assert SpatialLayout.of((3, 8, 3)).channel_axis == 2  # both ends could be: the last axis is
    assert SpatialLayout.of((8, 6, 5)).channels == 5
    assert SpatialLayout.of((12, 1, 2)).grid == (12, 1)  # a signal of two channels
    assert SpatialLayout.of_any((8, 6, 5)).grid == (240,)
    for shape in ((2, 2, 2, 2), (), (3, 0)):
        with pytest.raises(ValueError, match=r"shape must be \(N,\), \(H, W\), \(H, W, C\) or \(C, H, W\)"):
            SpatialLayout.of(shape)


def test_denoisers_of_channels_first_are_those_of_channels_last() -> None:
    last, first, order = pair()
    x = np.random.default_rng(2).standard_normal((3, 90))
    noise = np.random.default_rng(3).standard_normal((2, 90))
    for mine, other in zip(architectures(first), architectures(last), strict=True):
        np.testing.assert_allclose(mine(x[:, order], 0.7), other(x, 0.7)[:, order], atol=1e-12)
        np.testing.assert_allclose(mine.loss([0.1, 2.0]), other.loss([0.1, 2.0]), rtol=1e-12)
        law, wanted = mine.law(sigma_min=0.05), other.law(sigma_min=0.05)
        assert law.variances.shape == (3, 5, 6)
        np.testing.assert_allclose(law.variances, np.moveaxis(wanted.variances, -1, 0), rtol=1e-9)
        np.testing.assert_allclose(law.spectra, wanted.spectra, atol=1e-9)
        images = law.from_noise(noise[:, order])
        assert images.shape == (2, 3, 5, 6)
        np.testing.assert_allclose(images, np.moveaxis(wanted.from_noise(noise), -1, 1), atol=1e-8)


def test_studies_of_channels_first_are_those_of_channels_last() -> None:
    last, first, _ = pair()
    np.testing.assert_allclose(SpectralStatistics.of(first).spectra, SpectralStatistics.of(last).spectra, atol=1e-12)
    np.testing.assert_allclose(fourier_spectrum(first), fourier_spectrum(last), rtol=1e-12)
    mine, other = (architecture_study(p, patches=(3,), sigma=[0.3, 3.0]) for p in (first, last))
    assert mine.shape == (3, 5, 6)
    for a, b in zip(mine.studied, other.studied, strict=True):
        assert (a.name, a.weights) == (b.name, b.weights)
        np.testing.assert_allclose(a.loss, b.loss, rtol=1e-12)
    learned, wanted = (learning_study(p, patches=(3,), points=5) for p in (first, last))
    assert [c.title for c in learned.convolutions] == [c.title for c in wanted.convolutions]
    for mine_curves, other_curves in zip(learned.convolutions, wanted.convolutions, strict=True):
        np.testing.assert_allclose(mine_curves.emergence.times, other_curves.emergence.times, rtol=1e-7)
