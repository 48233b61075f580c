"""How arrays of pixels are drawn: grey and colour images with channels last or first, everything else as a curve."""

from __future__ import annotations

import numpy as np
import pytest

from kappaflow.report.arrays import as_drawn, kind_of


@pytest.mark.parametrize(
    ("shape", "kind", "drawn"),
    [
        ((5, 6), "grey", (5, 6)),
        ((5, 6, 1), "grey", (5, 6)),
        ((1, 5, 6), "grey", (5, 6)),
        ((5, 6, 3), "colour", (5, 6, 3)),
        ((3, 5, 6), "colour", (5, 6, 3)),
        ((5, 6, 4), "vector", (120,)),
        ((5, 6, 2), "vector", (60,)),
        ((9,), "vector", (9,)),
    ],
)
def test_kind_and_order_of_pixels(shape: tuple[int, ...], kind: str, drawn: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    assert kind_of(shape) == kind
    assert as_drawn(array, kind_of(shape)).shape == drawn
    if shape == (3, 5, 6):
        np.testing.assert_array_equal(as_drawn(array, "colour")[2, 4], array[:, 2, 4])
