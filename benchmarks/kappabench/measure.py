"""Timing of interleaved runs, counting of failures, fits of cost growth, and facts of the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Row = dict[str, Any]

#: A value within this of the reference, relative, is an answer; the loosest method here asks its solver for 1e-14.
ANSWER = 1e-6
#: Its own equation holds to this, relative to κ: such a value is a root, and if it is not the right one, a wrong root.
ROOT = 1e-6


def interleaved(
    methods: Mapping[str, Callable[[], Any]],
    repeats: int | Mapping[str, int] = 5,
    *,
    scale: Mapping[str, float] | None = None,
) -> tuple[dict[str, Row], dict[str, Any]]:
    """Wall times and results of methods that run in turn, so that a slow moment of the machine meets all of them.

    `scale` multiplies the time of a method that did a part of the work only; the factor is recorded beside the time.
    """
    wanted = {name: repeats if isinstance(repeats, int) else repeats[name] for name in methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    results: dict[str, Any] = {}
    for turn in range(max(wanted.values())):
        for name, function in methods.items():
            if turn < wanted[name]:
                start = time.perf_counter()
                results[name] = function()
                seconds[name].append(time.perf_counter() - start)
    factors = {name: 1.0 if scale is None else scale.get(name, 1.0) for name in methods}
    return {name: timing(values, factors[name]) for name, values in seconds.items()}, results


def timing(seconds: Sequence[float], factor: float = 1.0) -> Row:
    """Best, median and band of some wall times, times `factor`."""
    scaled = factor * np.array(seconds)
    return {
        "best": float(scaled.min()),
        "median": float(np.median(scaled)),
        "longest": float(scaled.max()),
        "repeats": len(seconds),
        "scaled_by": factor,
    }


def _memory(field: str) -> int | None:
    """Bytes of VmRSS or VmHWM of this process, None if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))
    except (OSError, StopIteration):
        return None


class Measured(NamedTuple):
    """Result of a function, its wall time, and the peak of resident memory above that before it, None if it is not known."""

    result: Any
    seconds: float
    peak_bytes: int | None


def measured(function: Callable[[], Any]) -> Measured:
    """Call a function once. For its memory, let nothing large be freed before it in the same process."""
    try:  # resets the mark of the highest memory (Linux)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _memory("VmRSS")
    except OSError:
        before = None
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    after = _memory("VmHWM")
    return Measured(result, seconds, None if before is None or after is None else after - before)


def relative(value: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Largest relative error against values of extended precision."""
    return float(np.max(np.abs(np.asarray(value, dtype=np.longdouble) / np.asarray(reference) - 1)))


def check(row: Row, error: float | None, bound: float) -> Row:
    """The row with its error and the bound that it must meet: a benchmark with a wrong answer fails."""
    if error is None or not error <= bound:
        raise AssertionError(f"{row}: error {error} exceeds its bound {bound}")
    return {**row, "error": error, "bound": bound}


# ---------------------------------------------------------------- failures
FAILURES = ("wrong_root", "not_converged", "not_finite", "raised")


def count_failures(
    values: npt.ArrayLike,
    errors: Sequence[float],
    t: npt.ArrayLike,
    s: npt.ArrayLike,
    n: float,
    warned: npt.ArrayLike | None = None,
    raised: npt.ArrayLike | None = None,
) -> dict[str, int]:
    """Count the values of κ that fail, by kind of failure.

    not_finite: NaN or infinite; wrong_root: negative, or another root of t = κ(1 − df1/n); not_converged: no root at all;
    raised: the method gave up with an exception. Only `warned` and `raised` failures were said; the others are silent.
    """
    kappa, noise = np.ravel(np.asarray(values, dtype=np.float64)), np.ravel(np.asarray(t, dtype=np.float64))
    said = np.zeros(kappa.shape, bool) if warned is None else np.ravel(np.asarray(warned, bool))
    gave_up = np.zeros(kappa.shape, bool) if raised is None else np.ravel(np.asarray(raised, bool))
    counts = dict.fromkeys((*FAILURES, "silent", "warned_but_right"), 0)
    for k, error, level, warning, up in zip(kappa, errors, noise, said, gave_up, strict=True):
        kind = "raised" if up else _failure(k, error, level, np.asarray(s, dtype=np.float64), n)
        if kind:
            counts[kind] += 1
            counts["silent"] += int(not warning and not up)
        else:
            counts["warned_but_right"] += int(warning)
    return {"points": len(kappa), **counts}


def _failure(kappa: float, error: float, t: float, s: npt.NDArray[np.float64], n: float) -> str | None:
    if not np.isfinite(kappa):
        return "not_finite"
    if error <= ANSWER:
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        residual = abs(kappa * (1 - np.sum(s / (s + kappa)) / n) - t) / max(abs(kappa), t)
    return "wrong_root" if kappa < 0 or residual <= ROOT else "not_converged"


def total_failures(counts: Mapping[str, int]) -> int:
    """All kinds of failures together."""
    return sum(counts[kind] for kind in FAILURES)


# ---------------------------------------------------------------- growth
def fit_power(sizes: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    """Least squares of log time against log size: time ≈ coefficient · size^exponent, with the largest misfit as a factor."""
    x, y = np.log(np.asarray(sizes, dtype=np.float64)), np.log(np.asarray(seconds, dtype=np.float64))
    exponent, intercept = np.polyfit(x, y, 1)
    misfit = np.max(np.abs(y - exponent * x - intercept))
    return {"exponent": float(exponent), "coefficient": float(np.exp(intercept)), "misfit": float(np.exp(misfit))}


# ---------------------------------------------------------------- facts
def _processor() -> str:
    """The model name of the processor, if the system reports it."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version(package: str) -> str | None:
    """Version of an installed distribution, None if it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def facts() -> Row:
    """The facts that a reader needs to judge the times; no names of hosts, users or folders."""
    import kappaflow as kf

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload]
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": sys.version.split()[0],
        "kappaflow": kf.__version__,
        "numpy": np.__version__,
        "scipy": version("scipy"),
        "mpmath": version("mpmath"),
        "blas": f"{blas['name']} {blas['version']}",
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "all cores"),
        "blas_coretype": os.environ.get("OPENBLAS_CORETYPE", "detected"),
    }
