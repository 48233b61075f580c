"""κ(t): time and error at 100 noise levels, failures over a grid, and very large spectra."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

import kappaflow as kf

from . import reference
from .baselines import FloatArray, fsolve_kappa, mpmath_root, numpy_newton
from .measure import Row, check, count_failures, interleaved
from .settings import Setting
from .spectra import SPECTRA, noise_levels

#: Largest relative error that each method's row may have: a benchmark of wrong answers is worth nothing.
BOUNDS = {"kappaflow": 1e-14, "NumPy Newton": 1e-10, "fsolve": 1e-6, "mpmath, 80 digits": 1e-38}


def case_id(section: str, spectrum: str, d: int, n: int) -> str:
    """Anchor of a case on the page."""
    return f"{section}-{spectrum.replace(' ', '-')}-d{d}-n{n}"


def _quiet(function: Callable[[], Any]) -> Any:
    """Run a method that may divide by zero on its way; its failures are counted from its values."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function()


def speed(setting: Setting) -> list[Row]:
    """κ at 100 noise levels by four methods; errors against 40 digits at every level."""
    rows = []
    for spectrum, make in SPECTRA.items():
        for d in setting.kappa_d:
            for ratio in setting.kappa_ratios:
                rows += _speed_case(setting, spectrum, make(d), round(ratio * d))
    return rows


def _speed_case(setting: Setting, spectrum: str, s: FloatArray, n: int) -> list[Row]:
    t = noise_levels(spectrum)
    exact = reference.kappa(t, s, n)
    picks = np.linspace(0, len(t) - 1, setting.mpmath_levels + 2).astype(int)[1:-1]
    methods: dict[str, Callable[[], Any]] = {
        "kappaflow": lambda: kf.solve_kappa(s, n, noise_variance=t, return_info=True),
        "NumPy Newton": lambda: numpy_newton(t, s, n),
        "fsolve": lambda: fsolve_kappa(t, s, n),
        "mpmath, 80 digits": lambda: [mpmath_root(t[i], s, n) for i in picks],
    }
    repeats = {"kappaflow": setting.kappa_repeats, "NumPy Newton": 3, "fsolve": 2, "mpmath, 80 digits": 1}
    times, results = interleaved(methods, repeats, scale={"mpmath, 80 digits": len(t) / len(picks)})
    info = results["kappaflow"]
    if not info.certified.all():
        raise AssertionError(f"{spectrum}, d = {len(s)}, n = {n}: a value of kappaflow is not certified")
    values = {"kappaflow": info.kappa, "NumPy Newton": results["NumPy Newton"], "fsolve": results["fsolve"][0]}
    rows = []
    for method in methods:
        if method == "mpmath, 80 digits":
            with mpmath.workdps(reference.DIGITS + 5):
                error = max(float(abs(k / exact[i] - 1)) for k, i in zip(results[method], picks, strict=True))
        else:
            error = max(reference.relative_error(values[method], exact))
        row: Row = {
            "id": case_id("kappa", spectrum, len(s), n),
            "section": "kappa",
            "spectrum": spectrum,
            "d": len(s),
            "n": n,
            "method": method,
            "time": times[method],
            "levels": len(t),
            "levels_timed": len(picks) if method.startswith("mpmath") else len(t),
        }
        if method == "kappaflow":
            row["terms"] = info.total_terms
        if method == "fsolve":
            row["warnings"] = int(results[method][1].sum())
        rows.append(check(row, error, BOUNDS[method]))
    return rows


# ---------------------------------------------------------------- failures
def failures(setting: Setting) -> list[Row]:
    """Wrong roots, no convergence and NaN, counted for each method, start, spectrum and n/d."""
    rows = []
    for spectrum, make in SPECTRA.items():
        s, t = make(setting.failure_d), noise_levels(spectrum)
        for ratio in setting.failure_ratios:
            n = round(ratio * len(s))
            exact = reference.kappa(t, s, n)
            common = {"section": "failures", "spectrum": spectrum, "d": len(s), "n": n}
            info = kf.solve_kappa(s, n, noise_variance=t, return_info=True)
            kappa = info.kappa
            counts = count_failures(kappa, reference.relative_error(kappa, exact), t, s, n, ~info.certified)
            rows.append({**common, "method": "kappaflow", "start": "chosen by the library", "failures": counts})
            for start in ("trace", "noise"):
                for method, solve in _STARTED.items():
                    count = setting.failure_mpmath_levels if method.startswith("mpmath") else len(t)
                    picks = np.unique(np.linspace(0, len(t) - 1, count).astype(int))
                    value, warned, raised = _quiet(functools.partial(solve, t[picks], s, n, start))
                    errors = reference.relative_error(value, [exact[i] for i in picks])
                    counts = count_failures(value, errors, t[picks], s, n, warned, raised)
                    rows.append({**common, "method": method, "start": start, "failures": counts})
    for row in rows:
        row["id"] = case_id("failures", row["spectrum"], row["d"], row["n"])
        if row["method"] == "kappaflow" and any(
            row["failures"][kind] for kind in ("wrong_root", "not_converged", "not_finite")
        ):
            raise AssertionError(f"kappaflow fails: {row}")
    return rows


def _newton_started(t: FloatArray, s: FloatArray, n: int, start: str) -> tuple[FloatArray, None, None]:
    return numpy_newton(t, s, n, start), None, None


def _fsolve_started(t: FloatArray, s: FloatArray, n: int, start: str) -> tuple[FloatArray, Any, None]:
    return *fsolve_kappa(t, s, n, start), None


def _mpmath_started(t: FloatArray, s: FloatArray, n: int, start: str) -> tuple[FloatArray, None, Any]:
    values, raised = np.full(len(t), np.nan), np.zeros(len(t), dtype=bool)
    for i, level in enumerate(t):
        try:
            root = mpmath_root(level, s, n, start)
        except (ValueError, ZeroDivisionError):  # findroot verifies its value and raises where it is no root
            raised[i] = True
            continue
        values[i] = float(root.real)
    return values, None, raised


_STARTED: dict[str, Callable[..., Any]] = {
    "NumPy Newton": _newton_started,
    "fsolve": _fsolve_started,
    "mpmath, 80 digits": _mpmath_started,
}


# ---------------------------------------------------------------- very large spectra
def large(setting: Setting) -> list[Row]:
    """κ at 100 noise levels for d far beyond an image, with and without compression; NumPy on a few levels."""
    rows = []
    base_d = max(setting.kappa_d)
    for d in setting.large_d:
        for spectrum in ("power law", "twelve decades"):
            rows += _large_case(spectrum, d, base_d)
    return rows


def _large_case(spectrum: str, d: int, base_d: int) -> list[Row]:
    s, t, n = SPECTRA[spectrum](d), noise_levels(spectrum), d // 10
    small = SPECTRA[spectrum](base_d)
    picks = np.array([5, 50, 94])
    exact = reference.kappa(t[picks], s, n)
    once, compressed = interleaved({"compression": lambda: kf.compress_spectrum(s)}, 2)
    atoms = compressed["compression"]
    methods: dict[str, Callable[[], Any]] = {
        "kappaflow, compressed": lambda: kf.solve_kappa(
            atoms.eigenvalues, n, noise_variance=t, multiplicity=atoms.multiplicity
        ),
        f"kappaflow, d = {base_d}": lambda: kf.solve_kappa(small, base_d // 10, noise_variance=t),
        "kappaflow, all modes": lambda: kf.solve_kappa(s, n, noise_variance=t),
        # one level at a time, and these alone: all hundred would need arrays of gigabytes
        "NumPy Newton": lambda: np.concatenate([numpy_newton(t[i : i + 1], s, n) for i in picks]),
    }
    repeats = dict.fromkeys(methods, 5) | {"kappaflow, all modes": 3 if d < 10**6 else 2, "NumPy Newton": 1}
    times, results = interleaved(methods, repeats, scale={"NumPy Newton": len(t) / len(picks)})
    common: Row = {
        "id": case_id("large", spectrum, d, n),
        "section": "large",
        "spectrum": spectrum,
        "d": d,
        "n": n,
        "levels": len(t),
    }
    rows = [{**common, "method": "compression, once", "time": once["compression"], "atoms": len(atoms.eigenvalues)}]
    for method, bound in (("kappaflow, compressed", 1e-12), ("kappaflow, all modes", 1e-13)):
        error = max(reference.relative_error(results[method][picks], exact))
        row = {**common, "method": method, "time": times[method], "levels_checked": len(picks)}
        rows.append(check(row, error, bound))
    base = f"kappaflow, d = {base_d}"
    some = reference.kappa(t[picks], small, base_d // 10)
    error = max(reference.relative_error(results[base][picks], some))
    rows.append(check({**common, "method": base, "time": times[base], "levels_checked": len(picks)}, error, 1e-13))
    error = max(reference.relative_error(results["NumPy Newton"], exact))
    row = {**common, "method": "NumPy Newton", "time": times["NumPy Newton"], "levels_timed": len(picks)}
    rows.append(check({**row, "levels_checked": len(picks)}, error, 1e-9))
    return rows
