"""Time, memory, error and growth of the empirical law: ``python benchmarks/empirical.py`` (minutes; ``--small``: seconds).

The baseline is NumPy as the equations are written, one d × d matrix and one solve for each pair of nodes; some pairs are timed
and their time is scaled to all. ``--json`` also writes the numbers to a file. Threads are BLAS's: set OPENBLAS_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kappabench import empirical
from kappabench.measure import facts


def show(results: dict[str, Any]) -> str:
    """Lines for a reader."""
    speed, check = results["speed"], results["accuracy"]
    peak = speed["peak_bytes"]
    lines = [
        f"{speed['profiles']} profiles, d = {speed['modes']}, {speed['nodes']} nodes, n = {speed['n']}, "
        f"{speed['inputs']} inputs, estimated mean: expectation and disagreement",
        f"  kappaflow   {speed['seconds']:.3g} s",
        f"  NumPy       {speed['numpy']['seconds']:.3g} s ({speed['numpy']['pairs_timed']} of {speed['numpy']['pairs']} "
        f"pairs of nodes timed, scaled): {speed['ratio']:.0f} times",
        "  peak memory "
        + ("not told by this system" if peak is None else f"{peak / 1e6:.0f} MB above the loaded population, ")
        + (
            ""
            if peak is None
            else f"{peak / speed['profile_bytes']:.2f} times its {speed['profile_bytes'] / 1e6:.2g} MB"
        ),
        f"  error       expectation {speed['error']:.1e} (bound {speed['bound']:.0e})",
        f"against NumPy with all pairs, {check['profiles']} profiles, d = {check['modes']}, {check['nodes']} nodes: "
        f"error {check['error']:.1e} (bound {check['bound']:.0e})",
    ]
    for name, other in (("profiles", "modes"), ("modes", "profiles")):
        row = results["growth"][name]
        times = ", ".join(
            f"{size}: {seconds:.3g} s" for size, seconds in zip(row["sizes"], row["seconds"], strict=True)
        )
        lines.append(f"growth with {name} ({row['fixed']} {other}): {times}; exponent {row['exponent']:.2f}")
    return "\n".join(lines)


def measure(setting: empirical.EmpiricalSetting) -> dict[str, Any]:
    """All sections; the accuracy first, since a wrong answer needs no timing."""
    results: dict[str, Any] = {"facts": facts(), "accuracy": empirical.accuracy(setting)}
    for section in (empirical.speed, empirical.growth):
        results[section.__name__] = section(setting)
        print(f"{section.__name__}: done", file=sys.stderr, flush=True)
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a setting of seconds that exercises every line")
    parser.add_argument("--json", type=Path, help="file for all numbers and facts of the machine")
    options = parser.parse_args()
    results = measure(empirical.SMALL if options.small else empirical.FULL)
    print(show(results))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
