"""All mode pairs, eigendecompositions, and growth of cost with d."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import scipy.linalg

import kappaflow as kf
from kappaflow.moments import symmetric_eigensystem

from . import reference
from .baselines import (
    FloatArray,
    fsolve_kappa,
    mpmath_root,
    numpy_newton,
    published_square_root,
)
from .measure import Row, check, fit_power, interleaved, relative
from .sampling import kappaflow_square_root
from .settings import Setting, sizes
from .spectra import noise_levels, power_law


# ---------------------------------------------------------------- mode pairs
def mode_pairs(setting: Setting) -> list[Row]:
    """Var[uₖᵀ f(Σ̂) uₗ] of all pairs; checked against the direct sum over nodes on up to 40 × 40 of them."""
    rows = []
    for d in setting.pairs_d:
        splits = kf.Splits(kf.Population.from_spectrum(power_law(d)), max(2, d // 3))
        f = splits.sampling_map()
        times, results = interleaved({"kappaflow": lambda splits=splits, f=f: splits.mode_variance(f)}, 3)
        row: Row = {
            "id": f"pairs-d{d}",
            "section": "pairs",
            "spectrum": "power law",
            "d": d,
            "n": splits.n,
            "method": "kappaflow",
            "time": times["kappaflow"],
            "nodes": len(f.shifts),
        }
        rows.append(check(row, pairs_error(splits, f, results["kappaflow"]), 1e-11))
    return rows


def pairs_error(splits: kf.Splits, f: kf.SpectralFunction, matrix: FloatArray, picked: int = 40) -> float:
    """Largest relative error of some entries against the direct double sum over nodes, κ from 40 digits."""
    s = splits.population.eigenvalues
    picks = np.unique(np.geomspace(1, len(s), picked).astype(int)) - 1
    m = splits.n - 1  # estimated mean
    t = f.shifts * splits.n / m
    kappa = np.array([float(k) for k in reference.kappa(t, s, m)])
    g = 1 / (s[:, None] + kappa)
    kernel = np.outer(f.weights * kappa, f.weights * kappa) / (
        (m * t / kappa)[:, None] + kappa * ((s[:, None] * g).T @ g)
    )
    a = s[picks, None, None] * g[picks][:, :, None] * g[picks][:, None, :]
    flat = a.reshape(len(picks), -1)
    direct = (flat * kernel.ravel()) @ flat.T * (1 + np.eye(len(picks)))
    return relative(matrix[np.ix_(picks, picks)], direct)


# ---------------------------------------------------------------- eigendecomposition
def eigensystem(setting: Setting) -> list[Row]:
    """Eigendecomposition of a sample covariance, interleaved with NumPy's and SciPy's."""
    rows: list[Row] = []
    for d in setting.eigen_d:
        matrix = sample_covariance(d)
        methods: dict[str, Callable[[], Any]] = {
            "kappaflow": lambda matrix=matrix: symmetric_eigensystem(matrix),
            "numpy.linalg.eigh": lambda matrix=matrix: np.linalg.eigh(matrix),
            "scipy.linalg.eigh": lambda matrix=matrix: scipy.linalg.eigh(matrix),
        }
        times, results = interleaved(methods, setting.eigen_repeats)
        for method, (w, u) in results.items():
            residual = float(np.abs(matrix @ u - u * w).max() / np.abs(w).max())
            row: Row = {
                "id": f"eigen-d{d}",
                "section": "eigen",
                "spectrum": "power law",
                "d": d,
                "n": 2 * d,
                "method": method,
                "time": times[method],
            }
            rows.append(check(row, residual, 1e-12))
    return rows


def sample_covariance(d: int) -> FloatArray:
    """Covariance of 2 d Gaussian samples of the power law."""
    x = np.random.default_rng(0).standard_normal((2 * d, d)) * np.sqrt(power_law(d))
    return np.asarray(x.T @ x / len(x))


# ---------------------------------------------------------------- growth
def growth(setting: Setting) -> list[Row]:
    """Time against d for each method, power law, n = d/3 (κ at 100 levels): points, checked, and a fitted exponent."""
    first = setting.growth_from
    families: list[tuple[str, str, list[int], Callable[[int], tuple[float, float, float]]]] = [
        ("kappaflow", "κ", sizes(first, setting.growth_kappa), _grow_kappaflow),
        ("NumPy Newton", "κ", sizes(first, setting.growth_numpy), _grow_numpy),
        ("fsolve", "κ", sizes(first, setting.growth_numpy), _grow_fsolve),
        ("mpmath, 80 digits", "κ", sizes(first, setting.growth_mpmath), _grow_mpmath),
        ("kappaflow", "E and V", sizes(first, setting.growth_root), _grow_root),
        ("published recipe", "E and V", sizes(first, setting.growth_published, 2), _grow_published),
        ("kappaflow", "all mode pairs", sizes(first, setting.growth_pairs, 2), _grow_pairs),
        ("kappaflow", "eigendecomposition", sizes(first, setting.growth_eigen, 2), _grow_eigen),
    ]
    rows = []
    for method, task, dimensions, run in families:
        points = []
        for d in dimensions:
            seconds, error, bound = run(d)
            if not error <= bound:
                raise AssertionError(f"growth, {task}, {method}, d = {d}: error {error} exceeds {bound}")
            points.append({"d": d, "seconds": seconds, "error": error, "bound": bound})
        slug = f"{task}-{method}".lower().replace(",", "").replace(" ", "-").replace("κ", "kappa")
        tail = points[-3:]  # at the small end fixed costs hide the growth
        fit = fit_power([p["d"] for p in tail], [p["seconds"] for p in tail])
        rows.append(
            {
                "id": f"growth-{slug}",
                "section": "growth",
                "task": task,
                "method": method,
                "points": points,
                "fit": fit | {"from_d": tail[0]["d"]},
            }
        )
    return rows


def _best(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    times, results = interleaved({"it": function}, repeats)
    return times["it"]["best"], results["it"]


def _kappa_case(d: int) -> tuple[FloatArray, FloatArray, int, Any]:
    s, t, n = power_law(d), noise_levels("power law"), d // 3
    picks = np.array([5, 50, 94])
    return s, t, n, (picks, reference.kappa(t[picks], s, n))


def _grow_kappaflow(d: int) -> tuple[float, float, float]:
    s, t, n, (picks, exact) = _kappa_case(d)
    seconds, kappa = _best(lambda: kf.solve_kappa(s, n, noise_variance=t), 5)
    return seconds, max(reference.relative_error(kappa[picks], exact)), 1e-13


def _grow_numpy(d: int) -> tuple[float, float, float]:
    s, t, n, (picks, exact) = _kappa_case(d)
    seconds, kappa = _best(lambda: numpy_newton(t, s, n), 2)
    return seconds, max(reference.relative_error(kappa[picks], exact)), 1e-9


def _grow_fsolve(d: int) -> tuple[float, float, float]:
    s, t, n, (picks, exact) = _kappa_case(d)
    seconds, result = _best(lambda: fsolve_kappa(t, s, n), 2)
    return seconds, max(reference.relative_error(result[0][picks], exact)), 1e-6


def _grow_mpmath(d: int) -> tuple[float, float, float]:
    s, t, n, (picks, exact) = _kappa_case(d)
    level = picks[1]
    seconds, root = _best(lambda: mpmath_root(t[level], s, n), 1)
    with mpmath.workdps(reference.DIGITS + 5):
        return seconds * len(t), float(abs(root / exact[1] - 1)), 1e-38


def _grow_root(d: int) -> tuple[float, float, float]:
    s, modes = power_law(d), np.array([0, d // 8, d - 1])
    seconds, (expectation, variance, _) = _best(lambda: kappaflow_square_root(s, d // 3), 3)
    mean, spread = reference.square_root_at(s, d // 3, modes)
    return seconds, max(relative(expectation[modes], mean), relative(variance[modes], spread)), 1e-10


def _grow_published(d: int) -> tuple[float, float, float]:
    s, modes = power_law(d), np.array([0])
    seconds, (expectation, variance) = _best(lambda: published_square_root(s, d // 3), 1)
    mean, spread = reference.square_root_at(s, d // 3, modes)
    return seconds, max(relative(expectation[modes], mean), relative(variance[modes], spread)), 1e-3


def _grow_pairs(d: int) -> tuple[float, float, float]:
    splits = kf.Splits(kf.Population.from_spectrum(power_law(d)), d // 3)
    f = splits.sampling_map()
    seconds, matrix = _best(lambda: splits.mode_variance(f), 2)
    return seconds, pairs_error(splits, f, matrix, 20), 1e-10


def _grow_eigen(d: int) -> tuple[float, float, float]:
    matrix = sample_covariance(d)
    seconds, (w, u) = _best(lambda: symmetric_eigensystem(matrix), 5 if d <= 512 else 2)
    return seconds, float(np.abs(matrix @ u - u * w).max() / w[0]), 1e-12
