"""Measure everything and write the benchmark page: ``python benchmarks/page.py``.

Writes ``docs/benchmarks/results.json`` (every number), and from it ``docs/benchmarks.md``, the figures and the README's table.
``--small`` is a setting that takes seconds, ``--out`` names another folder (the README is then not changed), ``--render`` renders
an existing ``results.json`` again. The packages that kappaflow is compared with are optional; scikit-rmt needs an old NumPy,
so ``--peers-python`` names an interpreter that has them, mpmath and kappaflow.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from kappabench import render
from kappabench.settings import FULL, SMALL, Setting

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def measure(setting: Setting, peers_python: str) -> dict[str, Any]:
    """All rows of the page, with a line of progress for each section."""
    from kappabench import algebra, kappa, peers, rule, sampling
    from kappabench.measure import facts

    begun = time.perf_counter()
    rows: list[dict[str, Any]] = []
    sections = (
        kappa.speed,
        kappa.failures,
        kappa.large,
        sampling.square_root,
        sampling.quadrature,
        sampling.tolerance,
        rule.work_precision,
        algebra.mode_pairs,
        algebra.eigensystem,
        algebra.growth,
    )
    for section in sections:
        start = time.perf_counter()
        rows += section(setting)
        print(f"{section.__name__}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    others = peers.run(peers_python, setting)
    rows += others.pop("rows")
    seconds = time.perf_counter() - begun
    return {"facts": facts(), "setting": setting.name, "seconds": seconds, "peers": others, "rows": rows}


def main() -> None:
    """Measure, then render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a setting of seconds; needs --out")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder to write to (default: the repository's docs)")
    parser.add_argument("--render", action="store_true", help="measure nothing, render OUT/benchmarks/results.json")
    parser.add_argument(
        "--peers-python", default=sys.executable, help="interpreter with the optional peers (default: this one)"
    )
    options = parser.parse_args()
    own = options.out.resolve() == DOCS
    if own and options.small:
        parser.error("--small needs --out: the repository's page shows the full setting")
    stored = options.out / "benchmarks" / "results.json"
    if not options.render:
        results = measure(SMALL if options.small else FULL, options.peers_python)
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    # From the file in either case, so that the page shows what is stored.
    for path in render.write(render.load(stored), options.out, ROOT / "README.md" if own else None):
        print(path)


if __name__ == "__main__":
    main()
