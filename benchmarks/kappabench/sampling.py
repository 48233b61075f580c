"""Expectation and variance of every mode of the sampling map, σ_max → ∞: Σ̂^½, which the published recipe computes.

The law is the published one (known mean, no exchange term), so that all methods compute the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import integrate

import kappaflow as kf

from . import reference
from .baselines import (
    FloatArray,
    cubature_square_root,
    dblquad_variance,
    published_square_root,
)
from .kappa import case_id
from .measure import Row, check, interleaved, relative
from .settings import Setting
from .spectra import SPECTRA

RECIPE_NODES = 100
#: Relative error requested from the adaptive rules.
QUADRATURE_TOLERANCE = 1e-8


def kappaflow_square_root(s: FloatArray, n: int, tolerance: float = 1e-13) -> tuple[FloatArray, FloatArray, int]:
    """(expectation, variance, nodes), everything from the eigenvalues on: support, rule, κ, sums."""
    splits = kf.Splits(kf.Population.from_spectrum(s), n, mean="known", terms="published")
    f = kf.matrix_power(0.5, support=splits.support(), tolerance=tolerance)
    return splits.expectation(f), splits.equal_mode_variance(f), len(f.shifts)


def square_root(setting: Setting) -> list[Row]:
    """All modes at image sizes: kappaflow and the published recipe, errors at twelve modes against extended precision."""
    rows = []
    for d in setting.root_d:
        for spectrum, make in SPECTRA.items():
            for n in (d // 3, 10 * d):
                rows += _square_root_case(spectrum, make(d), n)
    return rows


def _square_root_case(spectrum: str, s: FloatArray, n: int) -> list[Row]:
    d = len(s)
    modes = np.unique(np.geomspace(1, d, 12).astype(int)) - 1
    mean, variance = reference.square_root_at(s, n, modes)
    methods: dict[str, Callable[[], Any]] = {
        "kappaflow": lambda: kappaflow_square_root(s, n),
        "published recipe": lambda: published_square_root(s, n, RECIPE_NODES),
    }
    times, results = interleaved(methods, {"kappaflow": 5, "published recipe": 1 if d > 1024 else 2})
    rows = []
    # The recipe has no error control; its bound only says that nothing else went wrong than its quadrature.
    for method, bound in (("kappaflow", 2e-11), ("published recipe", np.inf)):
        result = results[method]
        errors = relative(result[0][modes], mean), relative(result[1][modes], variance)
        row: Row = {
            "id": case_id("root", spectrum, d, n),
            "section": "root",
            "spectrum": spectrum,
            "d": d,
            "n": n,
            "method": method,
            "time": times[method],
            "nodes": result[2] if method == "kappaflow" else RECIPE_NODES,
            "error_expectation": errors[0],
            "error_variance": errors[1],
            "modes_checked": len(modes),
        }
        if np.isfinite(bound):
            row = check(row, max(errors), bound)
        rows.append(row)
    return rows


# ---------------------------------------------------------------- against 40 digits, with SciPy's quadrature
def quadrature(setting: Setting) -> list[Row]:
    """Few modes, where SciPy's adaptive rules are feasible and 40 digits are affordable."""
    rows = []
    for spectrum in ("power law", "two levels", "twelve decades"):
        wide = spectrum == "twelve decades"
        if wide and not setting.wide_reference:
            continue
        s = SPECTRA[spectrum](setting.quadrature_d)
        for ratio in setting.quadrature_ratios[: 1 if wide else None]:
            rows += _quadrature_case(spectrum, s, round(ratio * len(s)))
    return rows


def _quadrature_case(spectrum: str, s: FloatArray, n: int) -> list[Row]:
    d, mode = len(s), len(s) // 2
    mean, variance, facts = reference.square_root(s, n)
    if not facts["change"] <= 10.0**-reference.DIGITS:
        raise AssertionError(f"{spectrum}, d = {d}, n = {n}: the reference is not converged, {facts}")
    methods: dict[str, Callable[[], Any]] = {
        "kappaflow": lambda: kappaflow_square_root(s, n),
        "published recipe": lambda: published_square_root(s, n, RECIPE_NODES),
        "scipy dblquad": lambda: dblquad_variance(s, n, mode, QUADRATURE_TOLERANCE),
    }
    if hasattr(integrate, "cubature"):
        methods["scipy cubature"] = lambda: cubature_square_root(s, n, QUADRATURE_TOLERANCE)
    repeats = dict.fromkeys(methods, 1) | {"kappaflow": 5, "published recipe": 3}
    times, results = interleaved(methods, repeats, scale={"scipy dblquad": d})
    rows = []
    for method in methods:
        result = results[method]
        row: Row = {
            "id": case_id("quadrature", spectrum, d, n),
            "section": "quadrature",
            "spectrum": spectrum,
            "d": d,
            "n": n,
            "method": method,
            "time": times[method],
            "reference_nodes": facts["nodes"],
            "reference_change": facts["change"],
        }
        if method == "scipy dblquad":
            error = (None, reference.relative_error([result[0]], variance[mode : mode + 1])[0])
            row["work"] = f"{result[1]} integrand values for one mode"
        else:
            error = max(reference.relative_error(result[0], mean)), max(reference.relative_error(result[1], variance))
            row["work"] = f"{result[2]} nodes" if method == "kappaflow" else f"{RECIPE_NODES} nodes"
        if method == "scipy cubature":
            row["work"] = f"{result[2]} integrand values" + ("" if result[3] else ", stopped short")
        row |= {"error_expectation": error[0], "error_variance": error[1]}
        rows.append(check(row, max(error), 2e-11) if method == "kappaflow" else row)  # type: ignore[type-var]
    return rows


# ---------------------------------------------------------------- tolerance
def tolerance(setting: Setting) -> list[Row]:
    """The requested `tolerance=` and the achieved errors, with nodes and time."""
    rows = []
    for spectrum, make in SPECTRA.items():
        s = make(setting.tolerance_d)
        n = 10 * len(s)
        modes = np.unique(np.geomspace(1, len(s), 24).astype(int)) - 1
        mean, variance = reference.square_root_at(s, n, modes)
        for exponent in range(3, 14):
            asked = 10.0**-exponent
            times, results = interleaved(
                {"kappaflow": lambda s=s, n=n, asked=asked: kappaflow_square_root(s, n, asked)}, 5
            )
            expectation, spread, nodes = results["kappaflow"]
            errors = relative(expectation[modes], mean), relative(spread[modes], variance)
            row: Row = {
                "id": case_id("tolerance", spectrum, len(s), n) + f"-e{exponent}",
                "section": "tolerance",
                "spectrum": spectrum,
                "d": len(s),
                "n": n,
                "method": "kappaflow",
                "requested": asked,
                "time": times["kappaflow"],
                "nodes": nodes,
                "error_expectation": errors[0],
                "error_variance": errors[1],
                "error_slope": slope_error(s, n, asked),
            }
            # The tolerance is a bound for f on the support, so for the expectation; rounding adds about 1e-15 a node.
            rows.append(check(row, errors[0], asked + 1e-13))
    return rows


def slope_error(s: FloatArray, n: int, tolerance: float) -> float:
    """Largest relative error of x f′(x) on the support: for n ≫ d the variance of a mode is (2/n) (s f′(s))²."""
    support = kf.Splits(kf.Population.from_spectrum(s), n, mean="known", terms="published").support()
    f = kf.matrix_power(0.5, support=support, tolerance=tolerance)
    x = np.geomspace(*support, 4001)[:, None]
    slope = (x / (x + f.shifts) * (f.shifts / (x + f.shifts))) @ f.weights
    return float(np.max(np.abs(slope / (0.5 * np.sqrt(x[:, 0])) - 1)))
