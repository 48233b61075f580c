"""The diagnosis of few images: right laws are not called off, and images that depend on one another are noticed."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency.diagnosis import diagnosis_to_json
from kappaflow.laws import REGISTRY

ALIKE = "no law of independent images holds for these images in their order"


def fields(count, seed, side=8):
    """(count, side, side) independent smooth Gaussian fields."""
    rng = np.random.default_rng(seed)
    frequency = np.fft.fftfreq(side)
    noise = np.fft.fft2(rng.standard_normal((count, side, side)))
    return np.fft.ifft2(noise / (np.hypot(frequency[:, None], frequency) + 1 / 16)).real


def clips(count, frames, seed, correlation=0.97):
    """(count·frames, 8, 8) frames of clips, each correlated with the one before it."""
    frame, rows = fields(count, seed), []
    for number in range(frames):
        rows.append(frame)
        frame = correlation * frame + np.sqrt(1 - correlation**2) * fields(count, [seed, number])
    return np.stack(rows, axis=1).reshape(-1, 8, 8)


def diagnosed(images, **options):
    return kf.diagnose(kf.Population.from_samples(images, profiles=len(images)), **options)


@pytest.mark.parametrize("count", [80, 100, 150, 200, 400])
def test_laws_that_hold_are_not_called_off(count):
    """64 modes: before, these laws seemed off by 16 to 44 %."""
    found = diagnosed(fields(count, count))
    assert found.disjoint
    for law in REGISTRY:
        assert found.error(law).error < np.log(1.06), law
    assert found.law == "gaussian"
    assert "No law" not in found.reason
    assert ALIKE not in found.reason
    assert abs(found.neighbours.error) < 0.15


@pytest.mark.parametrize(
    ("count", "side", "decay"),
    [(60, 4, 0.5), (120, 12, 1.0), (300, 10, 2.0)],
    ids=["many", "fewer than modes", "three"],
)
def test_laws_hold_at_other_shapes(count, side, decay):
    rng = np.random.default_rng(count)
    images = rng.standard_normal((count, side * side)) * np.arange(1, side * side + 1) ** (-decay / 2)
    found = diagnosed(images)
    assert all(found.error(law).error < np.log(1.1) for law in REGISTRY)
    assert "No law" not in found.reason


def test_laws_that_do_not_hold_are_called_off():
    """Independent images of very unequal size: the Gaussian law predicts far too little."""
    sizes = np.random.default_rng(0).gamma(0.5, 2, 200)[:, None, None] ** 0.5
    found = diagnosed(fields(200, 1) * sizes)
    assert found.disjoint
    assert found.law == "empirical"
    assert found.error("gaussian").error > np.log(2)
    assert ALIKE not in found.reason


@pytest.mark.parametrize(("count", "frames"), [(20, 20), (10, 20), (20, 10), (50, 4), (100, 20)])
def test_frames_of_clips_are_called_off(count, frames):
    found = diagnosed(clips(count, frames, 5))
    assert ALIKE in found.reason
    assert f"differ {np.exp(found.neighbours.error):.2g} times as much" in found.reason
    assert found.neighbours.error > np.log(1.4)
    assert diagnosis_to_json(found)["neighbours"] == found.neighbours._asdict()


def test_images_sorted_by_class_are_called_off_and_in_another_order_they_are_not():
    rng = np.random.default_rng(3)
    images = fields(300, 1) + 2 * fields(4, 2)[np.sort(rng.integers(0, 4, 300))]
    assert ALIKE in diagnosed(images).reason
    assert ALIKE not in diagnosed(rng.permutation(images)).reason


def test_copies_count_once():
    images = fields(100, 4)
    four = diagnosed(np.repeat(images, 4, axis=0)[np.random.default_rng(6).permutation(400)])
    assert (four.profiles, four.n) == (100, 50)
    assert four.error("gaussian").error < np.log(1.06)
    counted = kf.Population.from_samples(np.repeat(images, 4, axis=0), profiles=400, copies="independent")
    assert kf.diagnose(counted).profiles == 400


def test_more_images_than_half_say_that_the_error_is_not_measured():
    found = diagnosed(fields(100, 5), n=80)
    assert (found.n, found.disjoint) == (50, True)
    assert "so the error at n = 80 is not measured" in found.reason
    assert "is not measured" not in diagnosed(fields(100, 5), n=50).reason
    assert diagnosed(fields(1000, 5), n=80).n == 80


def test_many_images_are_drawn_with_replacement():
    found = diagnosed(fields(1000, 6), n=300)
    assert not found.disjoint
    assert diagnosis_to_json(found)["disjoint"] is False
    assert abs(found.neighbours.error) < 0.15
    assert diagnosed(fields(16, 7), n=4).neighbours is None
