"""What the small experiments of continuous integration must show: ``python .ci/check.py EXPERIMENT DIRECTORY``."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any


def read(file: Path) -> Any:
    """A JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))


def gaussian(out: Path) -> None:
    """On Gaussian data no prediction may miss."""
    rows = read(out / "validation.json")["comparisons"]
    missed = [(row["quantity"], row["label"], row["n"], row["verdict"]) for row in rows if row["outcome"] == "misses"]
    assert rows, "nothing was compared"
    assert not missed, missed


def networks(out: Path) -> None:
    """Disagreement of networks falls with n, and they pass from memorising to generalising."""
    result = read(out / "validation.json")
    runs = result["runs"]
    assert all(run["quality"]["passed"] for run in runs), [run["quality"]["reasons"] for run in runs]
    same = [pair for pair in result["pairs"] if pair["arm"] == "same"]
    ratio = {pair["n"]: sum(pair["seeds"]) / len(pair["seeds"]) / pair["unrelated"] for pair in same}
    assert ratio[200] < 0.5 * ratio[30], ratio
    few, many = ([run for run in runs if run["n"] == n] for n in (30, 200))
    assert min(run["r2_own_zero"] for run in many) > 0.8
    assert min(run["auc"] for run in few) > 0.9 > max(run["auc"] for run in many)


def lens(out: Path) -> None:
    """Every window has findings, figures and tables, and a jump by the teleport pays."""
    windows = read(out / "lens.json")["windows"]
    assert list(windows) == ["scores", "trajectory", "receptive-field", "architecture", "learning", "teleport"], list(
        windows
    )
    assert all(window["findings"] and window["figures"] and window["tables"] for window in windows.values())
    with (out / "tables/teleport_cost.csv").open(encoding="utf-8") as stream:
        cost = list(csv.DictReader(stream))
    assert cost, "the table of costs is empty"
    assert all(2 * float(row["teleport, error"]) < float(row["from σ_max, error"]) for row in cost), cost


if __name__ == "__main__":
    {"gaussian": gaussian, "networks": networks, "lens": lens}[sys.argv[1]](Path(sys.argv[2]))
    print(f"{sys.argv[1]}: as expected")
