"""Every wrong input of the core API is refused with a message that names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kappaflow as kf

NAN, INF = float("nan"), float("inf")
POPULATION = kf.Population.from_covariance(np.diag([3.0, 2.0, 1.0]))
SPECTRUM = kf.Population.from_spectrum([3.0, 1.0], [2, 5])
SPLITS = kf.Splits(POPULATION, 10)
ATOMS = kf.Splits(SPECTRUM, 10)
F = SPLITS.denoiser(1.0)
X = np.ones((2, 3))

Case = tuple[Callable[[], Any], type[Exception], str]

EQUATION: list[Case] = [
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance=NAN),
        ValueError,
        "noise_variance must be finite, got nan at index (0,)",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance=[[1.0], [INF]]),
        ValueError,
        "noise_variance must be finite, got inf at index (1, 0)",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance=-1.0),
        ValueError,
        "noise_variance must not be negative, got -1.0",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance="x"),
        TypeError,
        "noise_variance must be an array of real numbers",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance=1j),
        TypeError,
        "noise_variance must be an array of real numbers, got dtype",
    ),
    (
        lambda: kf.solve_kappa([1.0, NAN], 5, noise_variance=1.0),
        ValueError,
        "eigenvalues must be finite, got nan at index (1,)",
    ),
    (
        lambda: kf.solve_kappa([1.0, -2.0], 5, noise_variance=1.0),
        ValueError,
        "eigenvalues must not be negative, got -2.0 at index 1",
    ),
    (
        lambda: kf.solve_kappa([], 5, noise_variance=1.0),
        ValueError,
        "eigenvalues must be one-dimensional and not empty, got shape (0,)",
    ),
    (
        lambda: kf.solve_kappa(3.0, 5, noise_variance=1.0),
        ValueError,
        "eigenvalues must be one-dimensional and not empty, got shape ()",
    ),
    (lambda: kf.solve_kappa([[1.0]], 5, noise_variance=1.0), ValueError, "eigenvalues must be one-dimensional"),
    (lambda: kf.solve_kappa([1.0], 0, noise_variance=1.0), ValueError, "n must be finite and above 0, got 0"),
    (lambda: kf.solve_kappa([1.0], -2, noise_variance=1.0), ValueError, "n must be finite and above 0, got -2"),
    (lambda: kf.solve_kappa([1.0], INF, noise_variance=1.0), ValueError, "n must be finite and above 0, got inf"),
    (lambda: kf.solve_kappa([1.0], None, noise_variance=1.0), TypeError, "n must be a number above 0, got None"),
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance=1.0, multiplicity=[1, 2]),
        ValueError,
        "multiplicity must have the shape of eigenvalues (1,), got (2,)",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance=1.0, multiplicity=[0]),
        ValueError,
        "multiplicity must be positive, got 0.0",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5, noise_variance=1.0, multiplicity=[NAN]),
        ValueError,
        "multiplicity must be finite, got nan",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5),
        TypeError,
        "give exactly one of sigma (σ) and noise_variance (σ²) by keyword, got neither",
    ),
    (
        lambda: kf.solve_kappa([1.0], 5, sigma=1.0, noise_variance=1.0),
        TypeError,
        "noise_variance (σ²) by keyword, got both",
    ),
    (lambda: kf.solve_kappa([1.0], 5, sigma=-1.0), ValueError, "sigma must not be negative, got -1.0"),
    (lambda: kf.solve_kappa([1.0], 5, sigma=NAN), ValueError, "sigma must be finite, got nan"),
    (lambda: kf.df1(-1.0, [1.0]), ValueError, "kappa must be finite and not negative, got -1"),
    (lambda: kf.df1(NAN, [1.0]), ValueError, "kappa must be finite, got nan"),
    (lambda: kf.df2(1.0, -1.0, [1.0]), ValueError, "df2: kappa2 must be finite and not negative, got -1"),
    (lambda: kf.df2(np.ones(2), np.ones(3), [1.0]), ValueError, "shape mismatch"),
    (lambda: kf.spectral_density(0.0, [1.0], 5), ValueError, "x must be positive, got 0.0"),
    (lambda: kf.spectral_density(NAN, [1.0], 5), ValueError, "x must be finite, got nan"),
    (lambda: kf.spectral_density(1.0, [1.0], 0), ValueError, "n must be finite and above 0, got 0"),
    (lambda: kf.spectral_support([1.0], 0), ValueError, "n must be finite and above 0, got 0"),
    (lambda: kf.spectral_support([0.0], 5), ValueError, "spectrum must have a positive eigenvalue, got none"),
    (lambda: kf.compress_spectrum([-1.0]), ValueError, "eigenvalues must not be negative, got -1.0"),
]

FUNCTIONS: list[Case] = [
    (lambda: kf.denoiser(-1.0), ValueError, "sigma must be finite and not negative, got -1.0"),
    (lambda: kf.denoiser(NAN), ValueError, "sigma must be finite and not negative, got nan"),
    (lambda: kf.denoiser("low"), TypeError, "sigma must be a number of at least 0, got 'low'"),  # type: ignore[arg-type]
    (lambda: kf.sampling_map(-1.0, support=(1, 2)), ValueError, "sigma must be finite and not negative, got -1.0"),
    (lambda: kf.sampling_map(80.0, 80.0, support=(1, 2)), ValueError, "sigma must be below sigma_max = 80.0, got 80.0"),
    (lambda: kf.sampling_map(90.0, 80.0, support=(1, 2)), ValueError, "sigma must be below sigma_max = 80.0, got 90.0"),
    (lambda: kf.sampling_map(0.0, INF, support=(1, 2)), ValueError, "sigma_max must be finite and above 0, got inf"),
    (
        lambda: kf.sampling_map(support=(0, 2)),
        ValueError,
        "support must be (low, high) with 0 < low <= high, got (0, 2)",
    ),
    (lambda: kf.sampling_map(support=(3, 2)), ValueError, "support must be (low, high) with 0 < low <= high"),
    (lambda: kf.sampling_map(support=(1, 2, 3)), ValueError, "support must be (low, high) with 0 < low <= high"),
    (lambda: kf.sampling_map(support=(1, 2), tolerance=0.0), ValueError, "tolerance must lie in [1e-15, 0.1]"),
    (lambda: kf.sampling_map(support=(1, 2), tolerance=NAN), ValueError, "tolerance must lie in [1e-15, 0.1]"),
    (lambda: kf.matrix_power(1.0, support=(1, 2)), ValueError, "alpha must lie strictly between 0 and 1, got 1.0"),
    (lambda: kf.matrix_power(0.0, support=(1, 2)), ValueError, "alpha must be finite and above 0, got 0.0"),
    (lambda: F(-1.0), ValueError, "x must not be negative, got -1"),
    (lambda: F(NAN), ValueError, "x must not be negative, got"),
    (
        lambda: kf.SpectralFunction(0.0, np.ones(2), np.ones(1)),
        ValueError,
        "weights must have one entry for each shift, got ",
    ),
    (lambda: kf.SpectralFunction(0.0, np.ones(1), -np.ones(1)), ValueError, "shifts must be finite and not negative"),
]

SPLITS_CASES: list[Case] = [
    (lambda: kf.Splits([1.0], 5), TypeError, "population must be a Population, got list"),  # type: ignore[arg-type]
    (lambda: kf.Splits(POPULATION, 0), ValueError, "n must be an integer of at least 2, got 0"),
    (lambda: kf.Splits(POPULATION, -5), ValueError, "n must be an integer of at least 2, got -5"),
    (lambda: kf.Splits(POPULATION, 1), ValueError, "n must be an integer of at least 2, got 1"),
    (lambda: kf.Splits(POPULATION, 0, mean="known"), ValueError, "n must be an integer of at least 1, got 0"),
    (lambda: kf.Splits(POPULATION, 10.0), TypeError, "n must be an integer of at least 2, got 10.0"),  # type: ignore[arg-type]
    (
        lambda: kf.Splits(POPULATION, 10, law="x"),
        ValueError,
        "law must be one of 'gaussian', 'elliptical', 'empirical', got 'x'",
    ),
    (
        lambda: kf.Splits(POPULATION, 10, law="elliptical"),
        ValueError,
        "population must hold profiles for law='elliptical'",
    ),
    (
        lambda: kf.Splits(POPULATION, 10, law="empirical"),
        ValueError,
        "population must hold profiles for law='empirical'",
    ),
    (
        lambda: kf.Splits(POPULATION, 10, terms="some"),
        ValueError,
        "terms must be one of 'full', 'published', got 'some'",
    ),
    (
        lambda: kf.Splits(POPULATION, 10, mean="zero"),
        ValueError,
        "mean must be one of 'estimated', 'known', got 'zero'",
    ),
    (lambda: SPLITS.kappa(noise_variance=-1.0), ValueError, "noise_variance must not be negative, got -1.0"),
    (lambda: SPLITS.kappa(noise_variance=NAN), ValueError, "noise_variance must be finite, got nan"),
    (
        lambda: SPLITS.kappa(),
        TypeError,
        "give exactly one of sigma (σ) and noise_variance (σ²) by keyword, got neither",
    ),
    (lambda: SPLITS.kappa(sigma=1.0, noise_variance=1.0), TypeError, "by keyword, got both"),
    (lambda: SPLITS.kappa(1.0), TypeError, "positional"),  # type: ignore[misc]
    (lambda: SPLITS.kappa(sigma=-0.5), ValueError, "sigma must not be negative, got -0.5"),
    (lambda: SPLITS.kappa_correction(), TypeError, "by keyword, got neither"),
    (lambda: SPLITS.kappa_correction(sigma=0.0), ValueError, "sigma must be positive, got 0.0"),
    (lambda: SPLITS.denoiser(-1.0), ValueError, "sigma must be finite and not negative, got -1.0"),
    (lambda: SPLITS.sampling_map(-1.0), ValueError, "sigma must be finite and not negative, got -1.0"),
    (lambda: SPLITS.sampling_map(80.0), ValueError, "sigma must be below sigma_max = 80.0, got 80.0"),
    (lambda: SPLITS.sampling_map(0.0, 0.0), ValueError, "sigma_max must be finite and above 0, got 0.0"),
    (lambda: SPLITS.sampling_map(tolerance=1.0), ValueError, "tolerance must lie in [1e-15, 0.1], got 1"),
    (lambda: SPLITS.variance(F, np.ones((2, 4)), X), ValueError, "inputs must have shape (B, 3)"),
    (lambda: SPLITS.variance(F, X, np.ones(4)), ValueError, "directions must have shape (B, 3)"),
    (lambda: SPLITS.variance(F, X * NAN, X), ValueError, "inputs must be finite, got nan at index (0, 0)"),
    (
        lambda: SPLITS.covariance(F, F, X, X, inputs2=X[:1]),
        ValueError,
        "inputs2 must have as many rows as inputs, 2, got 1",
    ),
    (lambda: SPLITS.covariance(F, F, X, X, inputs2=np.ones(5)), ValueError, "inputs2 must have shape (B, 3)"),
    (lambda: SPLITS.disagreement(F, np.ones(2)), ValueError, "inputs must have shape (B, 3), got (2,)"),
    (
        lambda: SPLITS.disagreement(F, X, bands=[(0, 4)]),
        ValueError,
        "bands must lie within the 3 modes of these data; got modes 1-4, (start, stop) = (0, 4)",
    ),
    (
        lambda: SPLITS.disagreement(F, X, bands=[(1, 1)]),
        ValueError,
        "bands must be (start, stop) with 0 <= start < stop <= 3",
    ),
    (lambda: SPLITS.disagreement(F, X, bands=[]), ValueError, "bands must hold at least one band, got none"),
    (lambda: SPLITS.disagreement(F, X, bands=0), ValueError, "bands must be an integer of at least 1, got 0"),
    (
        lambda: SPLITS.disagreement(F, X, bands="2"),
        TypeError,
        "bands must be a number of bands or a sequence of (start, stop)",
    ),
    (
        lambda: SPLITS.disagreement(F, X, bands=[(0, 1.5)]),
        TypeError,
        "bands must be (start, stop) with two integers each",
    ),
    (lambda: SPLITS.disagreement(F, X, bands=[(0, 1, 2)]), TypeError, "with two integers each, got (0, 1, 2)"),
    (lambda: SPLITS.disagreement(F, X, bands=[(-1, 2)]), ValueError, "bands must be (start, stop)"),
    (
        lambda: SPLITS.mean_disagreement(F, input_variance=1.0, bands=[range(2, 9)]),
        ValueError,
        "within the 3 modes of these data; got modes 3-9, (start, stop) = (2, 9)",
    ),
    (
        lambda: SPLITS.mean_disagreement(F, input_variance=-1.0),
        ValueError,
        "input_variance must not be negative, got -1.0",
    ),
    (lambda: SPLITS.mean_disagreement(F, input_variance=NAN), ValueError, "input_variance must be finite, got nan"),
    (
        lambda: SPLITS.mean_disagreement(F, input_variance=[1.0, 2.0]),
        ValueError,
        "input_variance must be a number or have shape (3,)",
    ),
    (
        lambda: SPLITS.mode_disagreement(F, input_variance=np.ones((3, 1))),
        ValueError,
        "input_variance must be a number or have shape",
    ),
    (
        lambda: SPLITS.mean_disagreement(F),
        TypeError,
        "give exactly one of input_sigma (σ) and input_variance (σ²) by keyword, got",
    ),
    (lambda: SPLITS.mean_disagreement(F, input_sigma=1.0, input_variance=1.0), TypeError, "by keyword, got both"),
    (lambda: SPLITS.mean_disagreement(F, 80.0), TypeError, "positional"),  # type: ignore[misc]
    (
        lambda: SPLITS.mode_disagreement(F, input_sigma=np.ones(2)),
        ValueError,
        "input_sigma must be a number or have shape (3,)",
    ),
    (lambda: SPLITS.mode_variance(F, [3]), ValueError, "modes must lie between 0 and 2, got 3…3"),
    (lambda: SPLITS.mode_variance(F, [-1, 0]), ValueError, "modes must lie between 0 and 2, got -1…0"),
    (lambda: SPLITS.mode_variance(F, [0.5]), TypeError, "modes must be a sequence of integers, got [0.5]"),
    (lambda: SPLITS.pixel_variance(F, X), ValueError, "input must be one image, got 2"),
    (lambda: SPLITS.expected_output(F, np.ones((2, 2))), ValueError, "inputs must have shape (B, 3)"),
    (
        lambda: ATOMS.variance(F, np.ones(7), np.ones(7)),
        ValueError,
        "inputs need a population without multiplicities above 1",
    ),
    (lambda: ATOMS.disagreement(F, np.ones(7)), ValueError, "inputs need a population without multiplicities above 1"),
    (
        lambda: ATOMS.pixel_variance(F, np.ones(7)),
        ValueError,
        "inputs need a population without multiplicities above 1",
    ),
    (
        lambda: ATOMS.expected_output(F, np.ones(7)),
        ValueError,
        "inputs need a population without multiplicities above 1",
    ),
    (lambda: POPULATION.coordinates(np.ones(2)), ValueError, "inputs must have shape (B, 3)"),
    (lambda: POPULATION.coordinates(1.0), ValueError, "inputs must have shape (B, 3)"),
    (lambda: POPULATION.reconstruct(np.ones(2)), ValueError, "coordinates must have shape (B, 3), got (1, 2)"),
    (lambda: kf.Population.from_spectrum([-1.0]), ValueError, "eigenvalues must not be negative, got -1.0 at index 0"),
    (lambda: kf.Population.from_spectrum([1.0], [1, 1]), ValueError, "multiplicity must have the shape of eigenvalues"),
]


@pytest.mark.parametrize(("call", "error", "message"), EQUATION + FUNCTIONS + SPLITS_CASES)
def test_wrong_input_is_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_uncertified_kappa_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    core = kf.functions._core
    solve = core.solve_kappa
    monkeypatch.setattr(core, "solve_kappa", lambda t, spectrum, m: solve(t, spectrum, m, max_iterations=1))
    wide = np.geomspace(1, 1e-9, 100)
    with pytest.raises(kf.ConvergenceError, match=r"solve_kappa: kappa is not certified at noise_variance 0\.01"):
        kf.solve_kappa(wide, 20, noise_variance=[0.01])
    info = kf.solve_kappa(wide, 20, noise_variance=[0.01], return_info=True)
    assert not info.certified.any()


def test_convergence_error_is_a_runtime_error() -> None:
    assert issubclass(kf.ConvergenceError, RuntimeError)
