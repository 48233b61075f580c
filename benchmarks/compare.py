"""Speed with achieved error, kappaflow against what people use today, in one run: ``python benchmarks/compare.py``.

Prints Markdown tables; every row is time, ratio, achieved error and work. ``--small`` runs a setting of seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import kappaflow as kf
from baselines import (
    mpmath_root,
    numpy_newton,
    numpy_newton_extended,
    power_law,
    published_square_root,
    reference_square_root,
)
from kappaflow.moments import symmetric_eigensystem


def timed(function: Callable[[], Any], repeats: int = 5) -> tuple[float, Any]:
    """Smallest wall time of a few runs, and the result."""
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def error(value: np.ndarray, reference: np.ndarray) -> float:
    """Largest relative error."""
    return float(np.max(np.abs(np.asarray(value, dtype=np.longdouble) / reference - 1)))


def row(*cells: object) -> None:
    """One line of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def compare_kappa(d: int) -> None:
    """κ at 100 noise levels."""
    print(f"\n### κ at 100 noise levels, d = {d}, eigenvalues k^-1.6\n")
    row("n", "method", "time", "kappaflow is", "largest relative error", "terms summed")
    row(*["---"] * 6)
    s, t = power_law(d), np.geomspace(4e-6, 6400, 100)
    for n in (1000, 30000):
        reference = numpy_newton_extended(t, s, n)
        ours, (kappa, info) = timed(lambda n=n: kf.solve_kappa(t, s, n, return_info=True))
        theirs, newton = timed(lambda n=n: numpy_newton(t, s, n), 3)
        picks = [0, 50, 99]
        start = time.perf_counter()
        roots = [float(mpmath_root(t[i], s, n)) for i in picks]
        slow = (time.perf_counter() - start) / len(picks) * len(t)
        row(n, "kappaflow", f"{1e3 * ours:.2f} ms", "", f"{error(kappa, reference):.1e}", f"{info.total_terms:.2e}")
        row(
            n,
            "NumPy Newton",
            f"{1e3 * theirs:.1f} ms",
            f"{theirs / ours:.0f}× faster",
            f"{error(newton, reference):.1e}",
            "",
        )
        row(
            n,
            f"mpmath findroot, 80 digits ({len(picks)} levels timed, scaled to 100)",
            f"{slow:.1f} s",
            f"{slow / ours:.0f}× faster",
            f"{error(np.array(roots), reference[picks]):.1e}",
            "",
        )
        assert info.certified.all()
        assert error(kappa, reference) < 1e-13


def compare_square_root(d: int, nodes: int) -> None:
    """Expectation and per-mode variance of Σ̂^½, the σ_max → ∞ limit of the sampling map, which the recipe computes."""
    print(f"\n### expectation and variance of all {d} modes of the sampling map (σ_max → ∞: Σ̂^½)\n")
    row("n", "method", "time", "kappaflow is", "error of the expectation", "error of the variance", "nodes")
    row(*["---"] * 7)
    s = power_law(d)
    modes = np.unique(np.geomspace(1, d, 12).astype(int)) - 1
    population = kf.Population.from_spectrum(s)
    for n in (d // 3, 10 * d):

        def ours(n: int = n) -> tuple[Any, Any, int]:
            splits = kf.Splits(population, n, mean="known", terms="published")
            f = kf.matrix_power(0.5, support=splits.support())
            return splits.expectation(f), splits.equal_mode_variance(f), len(f.shifts)

        mean, variance = reference_square_root(s, n, modes)
        time_ours, (e, v, used) = timed(ours)
        time_theirs, (e0, v0) = timed(lambda n=n: published_square_root(s, n, nodes), 1)
        mine = error(e[modes], mean), error(v[modes], variance)
        other = error(e0[modes], mean), error(v0[modes], variance)
        row(n, "kappaflow", f"{1e3 * time_ours:.2f} ms", "", f"{mine[0]:.1e}", f"{mine[1]:.1e}", used)
        row(
            n,
            "published recipe, float64",
            f"{time_theirs:.2f} s",
            f"{time_theirs / time_ours:.0f}× faster, {min(o / m for o, m in zip(other, mine, strict=True)):.0e}× as accurate",
            f"{other[0]:.1e}",
            f"{other[1]:.1e}",
            nodes,
        )
        assert max(mine) < 1e-10


def compare_matrix(d: int) -> None:
    """All mode pairs."""
    print(f"\n### all {d} × {d} mode pairs of the sampling map\n")
    s = power_law(d)
    splits = kf.Splits(kf.Population.from_spectrum(s), 1000)
    f = splits.sampling_map()
    seconds, matrix = timed(lambda: splits.mode_variance(f), 3)
    picks = np.unique(np.geomspace(1, d, 40).astype(int)) - 1
    kappa = splits.kappa(f.shifts)
    g = 1 / (s[:, None] + kappa)
    m, t = splits.n - 1, f.shifts * splits.n / (splits.n - 1)
    kernel = np.outer(f.weights * kappa, f.weights * kappa) / (
        (m * t / kappa)[:, None] + kappa * ((s[:, None] * g).T @ g)
    )
    a = s[picks, None, None] * g[picks][:, :, None] * g[picks][:, None, :]
    direct = np.einsum("ij,kij,lij->kl", kernel, a, a, optimize=True) * (1 + np.eye(len(picks)))
    row("time", "largest relative error against the direct sum (40 × 40 modes)", "nodes")
    row(*["---"] * 3)
    row(f"{seconds:.2f} s", f"{error(matrix[np.ix_(picks, picks)], direct):.1e}", len(f.shifts))
    assert error(matrix[np.ix_(picks, picks)], direct) < 1e-9


def compare_eigensolver(d: int) -> None:
    """Eigendecomposition against NumPy's, interleaved."""
    print(f"\n### eigendecomposition, d = {d}\n")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2 * d, d)) * np.sqrt(power_law(d))
    matrix = x.T @ x / len(x)
    pairs = []
    for _ in range(2):
        theirs, (w0, _) = timed(lambda: np.linalg.eigh(matrix), 1)
        ours, (w, u) = timed(lambda: symmetric_eigensystem(matrix), 1)
        pairs.append((ours, theirs))
    assert u is not None
    residual = np.abs(matrix @ u - u * w).max() / w[0]
    ratio = min(a for a, _ in pairs) / min(b for _, b in pairs)
    row("kappaflow", "numpy.linalg.eigh", "ratio", "residual / largest eigenvalue", "eigenvalues differ by")
    row(*["---"] * 5)
    row(
        f"{min(a for a, _ in pairs):.2f} s",
        f"{min(b for _, b in pairs):.2f} s",
        f"{ratio:.2f}",
        f"{residual:.1e}",
        f"{np.abs(w - w0[::-1]).max() / w[0]:.1e}",
    )
    assert residual < 1e-12


def compare_large(d: int) -> None:
    """κ for a very large spectrum through compression."""
    print(f"\n### κ at 100 noise levels, d = {d} (compressed) against d = 3072\n")
    t, n = np.geomspace(4e-6, 6400, 100), 30000
    large, small = power_law(d), power_law(3072)
    once, (values, counts) = timed(lambda: kf.compress_spectrum(large), 1)
    after, kappa = timed(lambda: kf.solve_kappa(t, values, n, multiplicity=counts))
    base, _ = timed(lambda: kf.solve_kappa(t, small, n))
    full, exact = timed(lambda: kf.solve_kappa(t, large, n), 1)
    row("compression, once", "atoms", "κ, compressed", "κ, d = 3072", "ratio", "κ, uncompressed", "relative difference")
    row(*["---"] * 7)
    row(
        f"{once:.2f} s",
        len(values),
        f"{1e3 * after:.2f} ms",
        f"{1e3 * base:.2f} ms",
        f"{after / base:.2f}",
        f"{1e3 * full:.0f} ms",
        f"{error(kappa, exact):.1e}",
    )
    assert error(kappa, exact) < 1e-12


def main() -> None:
    """Run every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a setting of seconds")
    small = parser.parse_args().small
    print(f"kappaflow {kf.__version__}, NumPy {np.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    d = 256 if small else 3072
    compare_kappa(d)
    compare_square_root(d, 100)
    compare_matrix(768 if small else d)
    compare_eigensolver(d)
    compare_large(10**5 if small else 10**6)


if __name__ == "__main__":
    main()
