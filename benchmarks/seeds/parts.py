"""How the disagreement of networks splits into images and training: ``python benchmarks/seeds/parts.py [--folder DIR]``.

The parts are those of equation (55) of docs/theory.md, relative to unrelated seeds. docs/networks.md, "What was tried", has the
results.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kappaflow.common_floor import fit_common_floor
from kappaflow.validation.network.members import ARM_RUNS, PairKind

from seedsets import FOLDER, SeedSet, available, load  # isort: skip

__all__ = ["effective_size", "main", "rows"]

LAW = "empirical"
#: Sizes at which the law is computed to find the one where it has a given value.
SIZES = tuple(int(n) for n in np.unique(np.round(np.geomspace(20, 8000, 16))))


def effective_size(data: SeedSet, value: float) -> float:
    """The number of images at which the law has this value, interpolated in logarithms; NaN beyond 20 to 8000 images."""
    law = np.log([data.law(LAW, n).disagreement.ratio for n in reversed(SIZES)])
    return float(np.exp(np.interp(np.log(value), law, np.log(SIZES[::-1]), left=np.nan, right=np.nan)))


def rows(data: SeedSet) -> list[str]:
    """A row of the table for each architecture and n, and one of the common floor where there are several n."""
    trained = dict.fromkeys((network.arch, network.n) for network in data.networks)
    lines, everything, floor, law = [], [], [], []
    for arch, n in trained:
        ratios = {arm: data.ratio(PairKind(arch, n, arm)) for arm in ARM_RUNS}
        everything.append(ratios["different"])
        floor.append(ratios["floor"])
        law.append(data.law(LAW, n).disagreement.ratio)
        parts = (
            (ratios["different"] - ratios["floor"]) / 2,
            (ratios["different"] - ratios["same"]) / 2,
            (ratios["same"] + ratios["floor"] - ratios["different"]) / 2,
        )
        share = effective_size(data, 2 * parts[0]) / n if parts[0] > 0 else np.nan
        numbers = " | ".join(f"{value:.4f}" for value in (law[-1], *parts))
        lines.append(f"| {data.name} | {n} | {numbers} | {share:.2f} |")
    if len(law) > 1:
        fit = fit_common_floor(everything, floor, law)
        lines.append(
            f"| {data.name} | all | F = {fit.floor:.4f} | c = {fit.data:.2f} | b/c = {fit.optimisation / fit.data:.2f} | | |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, action="append", default=[], help="also show the sets in this folder")
    options = parser.parse_args(arguments)
    print("| set | n | law | images | training | both | effective n over n |\n|---|---|---|---|---|---|---|")
    for folder in (FOLDER, *options.folder):
        for name in available(folder):
            print("\n".join(rows(load(name, folder))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
