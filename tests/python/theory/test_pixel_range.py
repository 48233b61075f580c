"""The decision how stored values become pixels: what is accepted, what is asked, what is said; integers given to Population."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.pixel_range import PixelScaling, ValueSurvey, checked_range, choose_scaling
from kappaflow.provenance import PixelRange

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (40, 6, 6), dtype=np.uint8)


def scaling_of(values: Any, asked: PixelRange | None = None) -> PixelScaling:
    survey = ValueSurvey()
    for part in np.array_split(np.asarray(values), 3):
        survey.add(part)
    return choose_scaling(survey, np.asarray(values).dtype, name="x.npy", asked=asked)


ACCEPTED = {
    "bytes as int16": (BYTES.astype(np.int16), (0, 255)),
    "bytes as float32": (BYTES.astype(np.float32), (0, 255)),
    "bytes as uint16": (BYTES.astype(np.uint16), (0, 255)),
    "binary image": (np.where(BYTES > 128, 255, 0).astype(np.uint8), (0, 255)),
    "16 grey levels": ((BYTES // 16) * np.uint8(17), (0, 255)),
    "16 bits": (BYTES.astype(np.uint16) * 257, (0, 65535)),
    "16 bits as int32": (BYTES.astype(np.int32) * 257, (0, 65535)),
    "unit floats": (BYTES / 255, (0, 1)),
    "unit floats, a little above": (np.where(BYTES == 255, 1 + 1e-7, BYTES / 255), (0, 1)),
    "unit floats, a little below": (np.where(BYTES == 0, -1e-3, BYTES / 255), (0, 1)),
    "binary floats": ((BYTES > 128).astype(np.float32), (0, 1)),
    "signed floats": (BYTES / 127.5 - 1, (-1, 1)),
    "standardised": (RNG.standard_normal((50, 8, 8)), (-1, 1)),
    "latents": (4.0 * RNG.standard_normal((50, 4, 4, 4)), (-1, 1)),
    "all equal": (np.zeros((9, 4), np.uint8), (0, 255)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_one_plausible_reading_is_taken(name: str) -> None:
    values, ends = ACCEPTED[name]
    scaling = scaling_of(values)
    assert scaling.ends == ends
    expected = (values.astype(np.float64) - ends[0]) * 2 / (ends[1] - ends[0]) - 1
    np.testing.assert_allclose(scaling.apply(values), expected, rtol=0, atol=1e-12)


ASKED = {
    "10 bits in 16": (BYTES.astype(np.uint16) * 4, "--range 0,1023 (10-bit pixels) or --range 0,65535"),
    "12 bits in 16": (BYTES.astype(np.uint16) * 16, "--range 0,4095 (12-bit pixels) or --range 0,65535"),
    "14 bits in 32": (BYTES.astype(np.int32) * 64, "--range 0,16383 (14-bit pixels) or --range 0,65535"),
    "12 bits and a hot pixel": (
        np.where(np.arange(1440).reshape(40, 6, 6) == 7, 65535, BYTES * 16.0).astype(np.uint16),
        "--range 0,65535 (16-bit pixels)",
    ),
    "mask of 0 and 1": (RNG.integers(0, 2, (40, 6, 6), dtype=np.uint8), "--range 0,255 (8-bit pixels) or --range 0,1 "),
    "classes 0 to 18 and 255": (np.where(BYTES > 240, 255, BYTES % 19).astype(np.uint8), "a mask or a map of classes"),
    "classes 0 to 30": (RNG.integers(0, 31, (40, 6, 6)), "less than an eighth of 0…255"),
    "digits 0 to 16": (RNG.integers(0, 17, (40, 8, 8)).astype(float), "--range 0,255 (8-bit pixels) or --range 0,16 "),
    "dark": (np.uint8(100) + BYTES // 16, "--range 0,255 (8-bit pixels) or --range 100,115"),
    "Hounsfield units": (RNG.integers(-1000, 2000, (40, 6, 6), dtype=np.int16), "some of them negative"),
    "signed bytes": (
        (BYTES.astype(np.int16) - 128).astype(np.int8),
        "--range -128,127 (signed 8-bit pixels) or --range -1,1",
    ),
    "divided by 255 twice": (BYTES / 255 / 255, "less than an eighth of the range"),
    "12 bits over 65535": (BYTES.astype(float) * 16 / 65535, "less than an eighth of the range"),
    "scaled to [-1, 1] twice": (BYTES / 255 / 127.5 - 1, "--range -1,1 (as they are) or --range -1,"),
    "8-bit floats after resizing": (BYTES * 0.999 + 0.1, "--range 0,255 (8-bit pixels) or --range -1,1 (as they are)"),
    "overshoot of a filter": (BYTES / 255 * 1.08 - 0.03, "--range 0,1 (pixels in [0, 1] that resizing took beyond)"),
    "percentages": (BYTES / 2.55 + 0.01, "far beyond [-1, 1]"),
}


@pytest.mark.parametrize("name", ASKED)
def test_two_plausible_readings_are_asked(name: str) -> None:
    values, text = ASKED[name]
    with pytest.raises(
        ValueError, match=r"x\.npy: the \w+ values are .*type --range .* or --range .*; in Python: "
    ) as caught:
        scaling_of(values)
    assert text in str(caught.value)
    assert scaling_of(values, PixelRange(0.0, 100.0)).ends == (0, 100)


def test_doubts_are_said() -> None:
    """Floats that must be used as they are, although they may have another range."""
    (beyond,) = scaling_of(BYTES / 255 * 1.12).warnings
    assert "lie neither in [0, 1] nor in [-1, 1]" in beyond
    (wide,) = scaling_of(40.0 * RNG.standard_normal((50, 8, 8))).warnings
    assert "unusual for pixels in [-1, 1]" in wide
    (outside,) = scaling_of(BYTES, PixelRange(0.0, 1.0)).warnings
    assert "exceed the range 0…1 that was given" in outside
    assert scaling_of(BYTES / 255).warnings == ()


def test_no_range_of_no_length_is_offered() -> None:
    values = np.zeros((1000, 8, 8), dtype=np.uint8)
    values[0] = BYTES[:1, :1, :1] + np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    with pytest.raises(
        ValueError, match=r"nearly all of them are equal: type --range 0,255 \(8-bit pixels\); in Python"
    ):
        scaling_of(values)


@pytest.mark.parametrize("value", [(0,), "0,1", 5, (0, "1"), (0, 1, 2)])
def test_ranges_of_a_wrong_type(value: Any) -> None:
    with pytest.raises(TypeError, match=r"range must be two numbers such as \(0, 4095\)"):
        checked_range(value)


@pytest.mark.parametrize("value", [(1, 0), (0, 0), (0, np.inf), (np.nan, 1)])
def test_ranges_out_of_order(value: Any) -> None:
    with pytest.raises(ValueError, match="the smaller first; got"):
        checked_range(value)


def test_later_values_are_checked() -> None:
    scaling = scaling_of(BYTES / 255)
    scaling.check(BYTES / 255 + 5e-4, "x.npy")
    with pytest.raises(
        ValueError, match=r"x\.npy: holds values from 0 to 2, but the first values were read as .*--range LOW,HIGH"
    ):
        scaling.check(BYTES / 127.5, "x.npy")


# ---------------------------------------------------------------- integers given to Population
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_integers_mean_pixels_for_populations(dtype: type) -> None:
    values = BYTES.astype(dtype)
    expected = kf.Population.from_samples(BYTES / 127.5 - 1)
    for samples in (values, [*values], iter(values), [values[:15], values[15:]]):
        population = kf.Population.from_samples(samples)
        assert population.shape == (6, 6)
        np.testing.assert_allclose(population.eigenvalues, expected.eigenvalues, rtol=1e-9, atol=1e-12)
        assert population.provenance.pixel_range == (0, 255)
    assert kf.Population.from_samples(values, provenance="mine").provenance.what == "mine"


def test_integers_of_two_readings_are_asked_by_populations() -> None:
    twelve = BYTES.astype(np.uint16) * 16
    for samples in (twelve, [*twelve], iter([twelve[:20], twelve[20:30], twelve[30:]])):
        with pytest.raises(ValueError, match=r"images: the uint16 values are .*open_images\(data, range=\(0, 4095\)\)"):
            kf.Population.from_samples(samples)
    classes = BYTES % 19
    with pytest.raises(ValueError, match="less than an eighth of 0…255"):
        kf.Population.from_samples(iter([classes[:20], classes[20:30], classes[30:]]))


def test_floats_are_used_as_they_are_by_populations() -> None:
    population = kf.Population.from_samples(BYTES / 255)
    np.testing.assert_allclose(population.mean, (BYTES / 255).mean(axis=0).ravel(), atol=1e-14)
    assert population.provenance == kf.Population.from_samples(BYTES.astype(float) - 9).provenance


@pytest.mark.parametrize(
    ("centre", "spread"), [(0.0, 1.0), (1e8, 1.0), (0.0, 1e300), (1e-310, 1e-312), (-3e15, 7.0), (5.0, 0.0)]
)
def test_the_spread_of_values_in_pieces_is_exact_at_any_scale(centre: float, spread: float) -> None:
    values = centre + spread * np.random.default_rng(0).uniform(-1, 1, 30_000)
    survey = ValueSurvey()
    for piece in np.split(values, 10):
        survey.add(piece)
    unit = spread or 1.0
    expected = unit * float(np.std((values - centre) / unit))
    assert survey.spread == pytest.approx(expected, rel=1e-6, abs=0)
