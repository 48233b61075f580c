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
    seeds = {
        row["predictor"]: row["single"] for row in result["seed_scores"] if (row["n"], row["arm"]) == (200, "same")
    }
    assert seeds["posterior_variance"] > 0.2 > seeds["empirical"], seeds


def pilot(out: Path) -> None:
    """Pilots of at most 200 images foretell two UNets of 898, which disagree by 6 % and not by the 0.8 % of linear models."""
    result = read(out / "pilot.json")
    there = next(each for each in result["curve"] if each["n"] == 898)
    bounds = there["everything"]
    assert bounds["low"] < 0.06 < bounds["high"] < 3 * bounds["low"], bounds
    assert 0.04 < bounds["value"] < 0.09, bounds
    assert 3 * there["law"] < bounds["low"], there
    reached = {each["tolerance"]: each["reached"] for each in result["needed"]}
    assert (reached[0.1], reached[0.01]) == (True, False), reached
    assert [each["steps"] for each in result["length"]["trainings"]] == [100, 200, 400], result["length"]


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
    {"gaussian": gaussian, "networks": networks, "pilot": pilot, "lens": lens}[sys.argv[1]](Path(sys.argv[2]))
    print(f"{sys.argv[1]}: as expected")
