"""Packages from PyPI that solve a part of the problem: scikit-rmt and freealg, on exactly that part.

* scikit-rmt: density and support of the Marchenko-Pastur law, the limiting sample spectrum of white data.
* freealg: the same law; the Silverstein equation of a population of a few atoms (``DeformedMarchenkoPastur``): density,
  support, and the Stieltjes transform, whose value at −t is 1/κ(t).

scikit-rmt requires NumPy ≤ 1.26 and SciPy ≤ 1.12, so this module runs in an interpreter of its own, chosen by
``page.py --peers-python``, and measures kappaflow there again: both sides of a ratio come from one process.
Run as a module, it prints its rows as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import platform
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

import kappaflow as kf

from . import reference
from .kappa import case_id
from .measure import Row, count_failures, interleaved, version
from .settings import FULL, SMALL, Setting
from .spectra import noise_levels, power_law, twelve_decades

PACKAGES = {"scikit-rmt": "skrmt.ensemble.spectral_law", "freealg": "freealg.distributions"}
RATIOS = (0.1, 0.5, 2.0)
#: Offsets from the real axis at which freealg takes a density: its default, and small enough to vanish in double precision.
OFFSETS = (1e-3, 1e-10)


def load() -> tuple[dict[str, Any], dict[str, str]]:
    """Peer modules that import here, and for each package its version or why it is missing."""
    modules, status = {}, {}
    logging.disable(logging.WARNING)  # scikit-rmt logs at every ratio from one on
    for package, module in PACKAGES.items():
        if version(package) is None:
            status[package] = "not installed"
            continue
        try:
            modules[package] = importlib.import_module(module)
            status[package] = str(version(package))
        except ImportError as error:
            status[package] = f"{version(package)}, does not import here: {error}"
    return modules, status


def _errors(value: Any, exact: list[mpmath.mpf]) -> tuple[float, float]:
    """Largest and median relative error."""
    errors = reference.relative_error(value, exact)
    return float(np.max(errors)), float(np.median(errors))


def white_density(modules: dict[str, Any], points: int) -> list[Row]:
    """Density of the Marchenko-Pastur law at points inside its support, and the edges of the support."""
    rows = []
    d = 1000
    for ratio in RATIOS:
        n = d / ratio
        low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
        x = np.linspace(low, high, points + 2)[1:-1]
        exact = reference.marchenko_pastur(x, ratio)
        with mpmath.workdps(reference.DIGITS):
            root = mpmath.sqrt(mpmath.mpf(ratio))
            edges = [(1 - root) ** 2, (1 + root) ** 2]
        density: dict[str, Callable[[], Any]] = {
            "kappaflow": lambda x=x, n=n: kf.spectral_density(x, [1.0], n, multiplicity=[d])
        }
        support: dict[str, Callable[[], Any]] = {
            "kappaflow": lambda n=n: kf.spectral_support([1.0], n, multiplicity=[d]).intervals[0]
        }
        if "scikit-rmt" in modules:
            law = modules["scikit-rmt"].MarchenkoPasturDistribution(ratio)
            density["scikit-rmt"] = lambda law=law, x=x: law.pdf(x)
            support["scikit-rmt"] = lambda law=law: (law.lambda_minus, law.lambda_plus)
        if "freealg" in modules:
            white = modules["freealg"].MarchenkoPastur(ratio)
            density["freealg"] = lambda white=white, x=x: white.density(x)
            support["freealg"] = lambda white=white: white.support()[0]
        times, values = interleaved(density, 5)
        _, ends = interleaved(support, 1)
        for method in density:
            worst, median = _errors(values[method], exact)
            rows.append(
                {
                    "id": f"peers-white-{ratio:g}",
                    "section": "peers-white",
                    "ratio": ratio,
                    "points": points,
                    "method": method,
                    "time": times[method],
                    "error": worst,
                    "error_median": median,
                    "error_inside": max(
                        reference.relative_error(values[method], exact)[points // 20 : -(points // 20)]
                    ),
                    "error_support": _errors(ends[method], edges)[0],
                }
            )
    return rows


def two_level_density(modules: dict[str, Any], points: int) -> list[Row]:
    """Density and support for a population of two atoms, 1 and 0.01 in equal parts."""
    rows = []
    atoms, masses, d = (1.0, 0.01), (0.5, 0.5), 1000
    for ratio in RATIOS:
        n = d / ratio
        intervals = kf.spectral_support(atoms, n, multiplicity=[d // 2, d // 2]).intervals
        x = np.concatenate([np.linspace(a, b, points // len(intervals) + 2)[1:-1] for a, b in intervals])
        exact = reference.atoms_density(x, atoms, masses, ratio)
        methods: dict[str, Callable[[], Any]] = {
            "kappaflow": lambda x=x, n=n: kf.spectral_density(x, atoms, n, multiplicity=[d // 2, d // 2])
        }
        exact_edges = reference.two_atom_edges(atoms, masses, ratio)
        edges = {"kappaflow": intervals}
        if "freealg" in modules:
            law = modules["freealg"].DeformedMarchenkoPastur(atoms, masses, ratio)
            for eta in OFFSETS:
                methods[f"freealg, eta = {eta:g}"] = lambda law=law, x=x, eta=eta: law.density(x, eta=eta)
            edges["freealg"] = np.array(law.support())
        times, values = interleaved(methods, 3)
        for method in methods:
            errors = reference.relative_error(values[method], exact)
            found = edges[method.partition(",")[0]]
            same = found.size == len(exact_edges)
            rows.append(
                {
                    "id": f"peers-two-levels-{ratio:g}",
                    "section": "peers-atoms",
                    "ratio": ratio,
                    "points": len(x),
                    "method": method,
                    "time": times[method],
                    "error": max(errors),
                    "error_median": float(np.median(errors)),
                    "off": sum(e > 1e-2 for e in errors),
                    "intervals": len(found),
                    "error_support": max(reference.relative_error(found, exact_edges)) if same else None,
                }
            )
    return rows


def kappa(modules: dict[str, Any], dimensions: tuple[int, ...]) -> list[Row]:
    """κ at 100 noise levels through freealg's Stieltjes transform, u(−t) = 1/κ(t), with failures counted."""
    rows = []
    for d in dimensions:
        spectra = {
            "power law": (power_law(d), np.full(d, 1 / d)),
            "two levels": (np.array([1.0, 0.01]), np.array([0.5, 0.5])),
            "twelve decades": (twelve_decades(d), np.full(d, 1 / d)),
        }
        for spectrum, (atoms, masses) in spectra.items():
            for n in (d // 2, d, 10 * d):
                rows += _kappa_case(modules, spectrum, atoms, masses, d, n)
    return rows


def _kappa_case(modules: dict[str, Any], spectrum: str, atoms: Any, masses: Any, d: int, n: int) -> list[Row]:
    t = noise_levels(spectrum)
    counts = np.rint(masses * d)
    exact = reference.kappa(t, atoms, n, counts)
    methods: dict[str, Callable[[], Any]] = {
        "kappaflow": lambda: (kf.solve_kappa(atoms, n, noise_variance=t, multiplicity=counts), np.zeros(len(t), bool))
    }
    if "freealg" in modules:
        masses = masses / masses.sum()
        methods["freealg"] = lambda: freealg_kappa(modules["freealg"], t, atoms, masses, d / n)
    times, values = interleaved(methods, {"kappaflow": 3, "freealg": 1})
    rows = []
    for method in methods:
        value, raised = values[method]
        errors = reference.relative_error(value, exact)
        good = [e for e in errors if e <= 1e-6]
        failures = count_failures(value, errors, t, np.repeat(atoms, counts.astype(int)), n, raised=raised)
        rows.append(
            {
                "id": case_id("peers-kappa", spectrum, d, n),
                "section": "peers-kappa",
                "spectrum": spectrum,
                "d": d,
                "n": n,
                "method": method,
                "time": times[method],
                "failures": failures,
                "error": max(good) if good else None,
            }
        )
    return rows


def freealg_kappa(module: Any, t: Any, atoms: Any, masses: Any, ratio: float) -> tuple[Any, Any]:
    """(κ, whether it raised): the transform at −t, a hair above the axis; levels one by one where the batch raises."""
    law = module.DeformedMarchenkoPastur(atoms, masses, ratio)

    def solve(levels: Any) -> Any:
        z = -levels * (1 - 1e-10j)
        companion = ratio * law.stieltjes(z) - (1 - ratio) / z
        return np.real(1 / companion)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return solve(t), np.zeros(len(t), dtype=bool)
        except np.linalg.LinAlgError:
            pass
        value, raised = np.full(len(t), np.nan), np.zeros(len(t), dtype=bool)
        for i in range(len(t)):
            try:
                value[i] = solve(t[i : i + 1])[0]
            except np.linalg.LinAlgError:
                raised[i] = True
    return value, raised


def measure(setting: Setting) -> dict[str, Any]:
    """Facts of this interpreter, and the rows."""
    modules, status = load()
    rows = (
        white_density(modules, setting.peer_points)
        + two_level_density(modules, setting.peer_points // 2)
        + kappa(modules, setting.peer_d)
    )
    for row in rows:
        failed = row.get("failures", {})
        if row["method"] == "kappaflow" and (
            row["error"] > 1e-9 or any(failed.get(k) for k in ("wrong_root", "raised"))
        ):
            raise AssertionError(f"kappaflow fails: {row}")
    facts = {"python": platform.python_version(), "numpy": np.__version__, "scipy": version("scipy")}
    return {"facts": facts, "status": status, "rows": rows}


def run(interpreter: str, setting: Setting) -> dict[str, Any]:
    """`measure` in another interpreter, which must import kappaflow and mpmath; why not, if it does not."""
    command = [interpreter, "-m", "kappabench.peers", "--setting", setting.name]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the peers' interpreter failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", choices=["full", "small"], default="full")
    print(json.dumps(measure(FULL if parser.parse_args().setting == "full" else SMALL)))
