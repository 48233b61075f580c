"""Work and precision of the quadrature: nodes of √x ≈ Σ w x/(x+t) against its largest relative error on the support."""

from __future__ import annotations

import math

import numpy as np

import kappaflow as kf

from .baselines import FloatArray, gauss_legendre
from .measure import Row
from .settings import Setting, sizes
from .spectra import SPECTRA

#: Rounding of the double-precision sum; below it, the errors say nothing about the rule.
FLOOR = 3e-15


def error_on(support: tuple[float, float], weights: FloatArray, shifts: FloatArray, points: int = 3000) -> float:
    """Largest relative error of Σ w x/(x+t) against √x on a logarithmic grid of the support, edges included."""
    x = np.geomspace(*support, points)
    return max(
        float(np.max(np.abs((part[:, None] / (part[:, None] + shifts)) @ weights / np.sqrt(part) - 1)))
        for part in np.array_split(x, 30)
    )


def rate(support: tuple[float, float], nodes: float) -> float:
    """exp(−π² N/(½ log(16 M/m))), the rate of the optimal rule on [m, M] (Hale, Higham and Trefethen, 2008)."""
    return math.exp(-(math.pi**2) * nodes / (0.5 * math.log(16 * support[1] / support[0])))


def work_precision(setting: Setting) -> list[Row]:
    """One row a spectrum: the curves of the optimal rule, of Gauss-Legendre in θ, and of the same with the best scale."""
    rows = []
    for spectrum, make in SPECTRA.items():
        d = setting.rule_d
        support = kf.Splits(kf.Population.from_spectrum(make(d)), 10 * d, mean="known").support()
        optimal: dict[int, float] = {}
        for tolerance in np.geomspace(0.1, 1e-15, 60):
            f = kf.matrix_power(0.5, support=support, tolerance=float(tolerance))
            optimal[len(f.shifts)] = error_on(support, f.weights, f.shifts)
        legendre: dict[str, list[list[float]]] = {"published": [], "scaled": []}
        for nodes in sizes(4, setting.rule_nodes, 2):
            for name, scale in (("published", 1.0), ("scaled", math.sqrt(support[0] * support[1]))):
                legendre[name].append([nodes, error_on(support, *gauss_legendre(nodes, scale))])
        row: Row = {
            "id": f"rule-{spectrum.replace(' ', '-')}",
            "section": "rule",
            "spectrum": spectrum,
            "d": d,
            "n": 10 * d,
            "support": list(support),
            "optimal": [[nodes, optimal[nodes]] for nodes in sorted(optimal)],
            "gauss_legendre": legendre["published"],
            "gauss_legendre_scaled": legendre["scaled"],
        }
        for nodes, error in row["optimal"]:
            # The theorem's constant is 2 to 4; the factor leaves room for it and for the sampling of the supremum.
            if not error <= 8 * rate(support, nodes) + FLOOR:
                raise AssertionError(f"{spectrum}: the rule of {nodes} nodes has error {error}, above its rate")
        rows.append(row)
    return rows


def nodes_for(curve: list[list[float]], target: float) -> int | None:
    """Nodes of the first point of a curve that meets the target, None if none does."""
    return next((int(nodes) for nodes, error in curve if error <= target), None)
