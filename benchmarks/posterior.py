"""Time, memory and error of the posterior variance: ``python benchmarks/posterior.py`` (minutes; ``--small``: seconds).

10,000 seeds against 50,000 images of 3072 values. The baseline is NumPy as the formula is written: for each seed, the distances to
all images, without matrix products of blocks; a few seeds are timed and their time is scaled to all. Errors are relative, against
float64 sums in which nothing cancels, on the seeds that NumPy computed. ``--json`` also writes the numbers to a file. Threads are
BLAS's: set OPENBLAS_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kappabench import posterior
from kappabench.measure import facts


def show(results: dict[str, Any]) -> str:
    """Lines for a reader."""
    row, peak = results["speed"], results["speed"]["peak_bytes"]
    memory = "not reported by this system" if peak is None else f"{peak / 1e6:.0f} MB above the inputs"
    lines = [
        f"posterior variance of {row['seeds']:,} seeds, {row['images']:,} images of {row['dimension']} values "
        f"(threads of BLAS: {results['facts']['blas_threads']})",
        f"  kappaflow    {row['seconds']:.3g} s, error {row['error']:.1e} (bound {row['bound']:.0e})",
        f"  NumPy        {row['numpy']['seconds']:.3g} s ({row['numpy']['seeds_timed']} seeds timed, scaled), error "
        f"{row['numpy']['error']:.1e}: {row['ratio']:.3g} times as long",
        f"  products     {row['products']['seconds']:.3g} s for the two matrix products alone (one block timed, scaled): kappaflow "
        f"takes {row['over_products']:.2f} times as long",
        f"  peak memory  {memory}, which are {row['input_bytes'] / 1e6:.0f} MB",
        f"  perplexity   {row['median_perplexity']:.0f}, median over the seeds",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a setting of seconds that exercises every line")
    parser.add_argument("--json", type=Path, help="file for all numbers and facts of the machine")
    options = parser.parse_args()
    results = {"facts": facts(), "speed": posterior.speed(posterior.SMALL if options.small else posterior.FULL)}
    print(show(results))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
