"""Which sizes few images determine, and which data determine the others: what the words propose must do."""

from __future__ import annotations

import re

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency.predict import predict
from kappaflow.identified import largest_n, require_determined, ways_out

EVERY = 10**12


def population(count, shape, seed=0):
    return kf.Population.from_samples(np.random.default_rng(seed).standard_normal((count, *shape)), profiles=0)


@pytest.mark.parametrize(
    ("count", "shape", "sizes"),
    [
        (50, (12, 12), ["6 × 6 pixels (size=6)"]),
        (51, (12, 12), ["7 × 7 pixels (size=7)"]),
        (100, (16, 16, 3), ["5 × 5 pixels (size=5)", "9 × 9 pixels in grey (grey=True, size=9)"]),
        (100, (3, 16, 16), ["5 × 5 pixels (size=5)", "9 × 9 pixels in grey (grey=True, size=9)"]),
        (80, (8, 8, 3), ["5 × 5 pixels (size=5)", "8 × 8 pixels in grey (grey=True)"]),
        (60, (8, 12), ["6 × 9 pixels (size=(6, 9))"]),
        (40, (64, 16), ["12 × 3 pixels (size=(12, 3))"]),
        (9, (8, 8, 3), ["2 × 2 pixels in grey (grey=True, size=2)"]),
        (5, (8, 8), []),
        (50, (144,), []),
        (50, (16, 8, 8), []),
    ],
)
def test_largest_sizes(count, shape, sizes):
    text = ways_out(count, shape, options=True)
    assert text.startswith(
        f"{count:,} images in {np.prod(shape):,} dimensions determine nothing beyond n = {count:,}; "
    )
    assert f"at least {np.prod(shape) + 2:,}" in text
    for size in sizes:
        assert size in text
    assert text.count(" × ") == len(sizes)
    assert "=" not in ways_out(count, shape).replace("n = ", "")


@pytest.mark.parametrize(("count", "shape"), [(50, (12, 12)), (60, (8, 12)), (40, (64, 16)), (33, (10, 4))])
def test_the_proposed_size_determines_every_n_and_the_next_one_does_not(count, shape):
    height, width = map(int, re.search(r"(\d+) × (\d+) pixels", ways_out(count, shape)).groups())
    assert largest_n(population(count, shape)) == count
    assert largest_n(population(count, (height, width))) == EVERY
    taller = (height + 1, round((height + 1) * shape[1] / shape[0]))
    if shape[0] >= shape[1]:  # sizes go by the longer side
        assert largest_n(population(count, taller)) == count


@pytest.mark.parametrize("shape", [(20,), (5, 4)])
def test_so_many_images_determine_every_n(shape):
    assert largest_n(population(21, shape)) == 21
    assert largest_n(population(22, shape)) == EVERY
    assert "at least 22" in ways_out(21, shape)


def test_sizes_beyond_the_images_are_refused_before_anything_is_computed():
    few = population(50, (12, 12))
    words = r"^n must be at most 50, the number of images, got 100: 50 images in 144 dimensions .*size=6"
    with pytest.raises(kf.UnidentifiedError, match=words):
        require_determined(few, [100])
    with pytest.raises(kf.UnidentifiedError, match=words):
        predict(few, source="few", n=[25, 100])
    require_determined(few, [10, 50])
    require_determined(population(200, (12, 12)), [10**6])
    require_determined(kf.Population.from_spectrum([2.0, 1.0]), [10**6])


def test_a_prediction_says_what_would_determine_more():
    notes = " ".join(predict(population(30, (8, 8)), source="few", seeds=range(4)).notes)
    assert "no results for more than 30 images" in notes
    assert "at least 66, or these at 5 × 5 pixels, determine every n" in notes
    assert "determine every n" not in " ".join(predict(population(70, (8, 8)), source="few", seeds=range(4)).notes)
