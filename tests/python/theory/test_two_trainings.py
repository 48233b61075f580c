"""docs/theory.md, section 8: what two trainings have in common, in a model that is solved in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

FloatArray = npt.NDArray[np.float64]


class Parts(NamedTuple):
    """Of the variance of what a training returns."""

    data: float
    training: float
    both: float


def closed_form(d: int, p: int, n: int, noise: float) -> Parts:
    """Least squares in a random subspace, for weights of length 1: equations (56) and (57)."""
    q = p / d
    scale = d * (d - 1) * (d + 2)
    b = p * (d - p) / scale
    s = q - (p * (p * (d + 1) - 2) / scale + b)
    data = (noise * p * q + s**2 * (d + 1) - 4 * s * b + 2 * b**2 * d) / n
    return Parts(data, q * (1 - q), (noise + 1 - q) * p / (n - p - 1) - data)


def trained(x: FloatArray, y: FloatArray, basis: FloatArray) -> FloatArray:
    """The weights that least squares finds in the subspace of an orthonormal basis (d, p)."""
    return np.asarray(basis @ np.linalg.lstsq(x @ basis, y, rcond=None)[0])


def simulated(d: int, p: int, n: int, noise: float, draws: int) -> tuple[Parts, Parts]:
    """The parts from trainings on two data sets in two subspaces each, and their standard errors."""
    rng = np.random.default_rng(0)
    weights = np.ones(d) / np.sqrt(d)
    rows = np.empty((draws, 3))
    for draw in range(draws):
        x = rng.standard_normal((2, n, d))
        y = x @ weights + np.sqrt(noise) * rng.standard_normal((2, n))
        bases = [np.linalg.qr(rng.standard_normal((d, p)))[0] for _ in range(2)]
        (a0, a1), (b0, b1) = ([trained(x[i], y[i], basis) for basis in bases] for i in range(2))
        everything = float(np.sum((a0 - b1) ** 2)) / 2
        data, training = float((a0 - b0) @ (a1 - b1)) / 2, float((a0 - a1) @ (b0 - b1)) / 2
        rows[draw] = data, training, everything - data - training
    return Parts(*rows.mean(axis=0)), Parts(*rows.std(axis=0) / np.sqrt(draws))


@pytest.mark.parametrize(("d", "p", "noise"), [(12, 7, 4.0), (12, 7, 0.0), (20, 5, 1.0)])
def test_parts_of_least_squares_in_a_random_subspace(d: int, p: int, noise: float) -> None:
    expected, (found, error) = closed_form(d, p, 400, noise), simulated(d, p, 400, noise, draws=500)
    for name in Parts._fields:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=4 * getattr(error, name))
    assert error.data < 0.1 * expected.data  # so that the comparison could fail


def test_what_is_left_to_the_training_where_noise_rules_and_where_it_does_not() -> None:
    d, n = 2000, 10**6
    for q in (0.3, 0.6):
        parts = closed_form(d, int(q * d), n, noise=1e6)
        assert parts.both / (parts.data + parts.both) == pytest.approx(1 - q, abs=0.01)
        parts = closed_form(d, int(q * d), n, noise=0.0)
        assert parts.both / (parts.data + parts.both) == pytest.approx(1 - q * (1 - q), abs=0.01)
