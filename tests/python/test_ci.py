"""Continuous integration fails when any part of it fails: steps side by side, and the checks of small experiments."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CI = Path(__file__).resolve().parents[2] / ".ci"
STEPS = """
set -euo pipefail
. {ci}/side_by_side.sh
step_good() {{ echo "good is here"; }}
step_quiet() {{ :; }}
step_slow() {{ sleep 0.3; echo "slow is done"; }}
step_stops() {{ echo "before the failure"; false; echo "after the failure"; }}
step_pipe() {{ false | cat; echo "after the failure"; }}
step_list() {{ false && true; }}
step_killed() {{ kill -9 "$BASHPID"; }}
step_cores() {{ nproc; }}
side_by_side {logs} {steps}
echo "the run goes on"
"""


def side_by_side(tmp_path: Path, *steps: str) -> subprocess.CompletedProcess[str]:
    script = STEPS.format(ci=CI, logs=tmp_path, steps=" ".join(steps))
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)


def test_steps_that_pass_are_all_run_and_printed(tmp_path: Path) -> None:
    done = side_by_side(tmp_path, "slow", "good", "quiet", "cores", "good")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": passed (took") == 5
    assert done.stdout.count("good is here") == 2
    assert "slow is done" in done.stdout
    assert re.search(r"=== cores: passed .*\n1\n", done.stdout)
    assert done.stdout.endswith("the run goes on\n")


@pytest.mark.parametrize("bad", ["stops", "pipe", "list", "killed", "unknown"])
@pytest.mark.parametrize("others", [(), ("good", "slow")])
def test_a_step_that_fails_fails_the_run(bad: str, others: tuple[str, ...], tmp_path: Path) -> None:
    done = side_by_side(tmp_path, *others, bad)
    assert done.returncode != 0
    assert f"failed: {bad}" in done.stderr
    assert f"=== {bad}: FAILED with exit status" in done.stdout
    assert "after the failure" not in done.stdout
    assert "the run goes on" not in done.stdout


def test_no_step_starts_after_a_failure_and_those_that_run_are_waited_for(tmp_path: Path) -> None:
    done = side_by_side(tmp_path, "stops", *["slow"] * 100, "good")
    assert "before the failure" in done.stdout
    assert "good is here" not in done.stdout
    assert re.search(r"not started: .*good", done.stderr)


def test_run_takes_its_steps_from_functions_that_it_defines() -> None:
    text = (CI / "run").read_text(encoding="utf-8")
    (called,) = re.findall(r"^side_by_side \S+ (.+)$", text, flags=re.MULTILINE)
    assert sorted(called.split()) == sorted(re.findall(r"^step_(\w+)\(\)", text, flags=re.MULTILINE))
    assert subprocess.run(["bash", "-n", CI / "run"], check=False).returncode == 0


# ---------------------------------------------------------------- what experiments must show
def check(experiment: str, out: Path) -> bool:
    done = subprocess.run(
        [sys.executable, CI / "check.py", experiment, out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or "AssertionError" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(("outcomes", "passes"), [(["agrees"], True), (["agrees", "misses"], False), ([], False)])
def test_no_prediction_may_miss_on_gaussian_data(outcomes: list[str], passes: bool, tmp_path: Path) -> None:
    rows = [{"quantity": "kappa", "label": "κ", "n": 40, "verdict": "", "outcome": outcome} for outcome in outcomes]
    (tmp_path / "validation.json").write_text(json.dumps({"comparisons": rows}), encoding="utf-8")
    assert check("gaussian", tmp_path) is passes


def networks(**changes: Any) -> dict[str, Any]:
    value = {"seeds": 0.2, "quality": True, "r2": 0.9, "few": 0.99, "many": 0.5, "pv": 0.4, "law": -0.1, **changes}
    quality = {"passed": value["quality"], "reasons": []}
    runs = [
        {"n": n, "quality": quality, "r2_own_zero": value["r2"], "auc": value[k]}
        for n, k in ((30, "few"), (200, "many"))
    ]
    pairs = [
        {"arm": "same", "n": n, "seeds": [seeds], "unrelated": 1.0} for n, seeds in ((30, 0.8), (200, value["seeds"]))
    ]
    scores = [
        {"n": 200, "arm": "same", "predictor": name, "single": value[key]}
        for name, key in (("posterior_variance", "pv"), ("empirical", "law"))
    ]
    return {"runs": runs, "pairs": pairs, "seed_scores": scores}


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"seeds": 0.5}, False),
        ({"quality": False}, False),
        ({"r2": 0.7}, False),
        ({"few": 0.8}, False),
        ({"many": 0.95}, False),
        ({"pv": 0.1}, False),
        ({"law": 0.3}, False),
    ],
)
def test_networks_must_pass_from_memorising_to_generalising(
    changes: dict[str, Any], passes: bool, tmp_path: Path
) -> None:
    (tmp_path / "validation.json").write_text(json.dumps(networks(**changes)), encoding="utf-8")
    assert check("networks", tmp_path) is passes


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"law": 0.04}, False),
        ({"value": 0.1}, False),
        ({"low": 0.008, "value": 0.0084, "high": 0.0088}, False),  # the law itself, for linear models
        ({"low": 0.01}, False),
        ({"one": True}, False),
        ({"steps": [400]}, False),
    ],
)
def test_pilots_must_foretell_larger_sizes(changes: dict[str, Any], passes: bool, tmp_path: Path) -> None:
    value = {"low": 0.05, "value": 0.06, "high": 0.07, "law": 0.008, "one": False, "steps": [100, 200, 400], **changes}
    everything = {name: value[name] for name in ("low", "value", "high")}
    content = {
        "curve": [{"n": 898, "law": value["law"], "everything": everything}],
        "needed": [{"tolerance": 0.1, "reached": True}, {"tolerance": 0.01, "reached": value["one"]}],
        "length": {"trainings": [{"steps": steps} for steps in value["steps"]]},
    }
    (tmp_path / "pilot.json").write_text(json.dumps(content), encoding="utf-8")
    assert check("pilot", tmp_path) is passes


@pytest.mark.parametrize(
    ("error", "windows", "passes"), [(0.1, 6, True), (0.6, 6, False), (None, 6, False), (0.1, 5, False)]
)
def test_every_window_must_be_there_and_the_jump_must_pay(
    error: float | None, windows: int, passes: bool, tmp_path: Path
) -> None:
    names = ["scores", "trajectory", "receptive-field", "architecture", "learning", "teleport"][:windows]
    content = {name: {"findings": ["x"], "figures": ["x"], "tables": ["x"]} for name in names}
    (tmp_path / "lens.json").write_text(json.dumps({"windows": content}), encoding="utf-8")
    (tmp_path / "tables").mkdir()
    with (tmp_path / "tables/teleport_cost.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["teleport, error", "from σ_max, error"])
        if error is not None:
            table.writerow([error, 1.0])
    assert check("lens", tmp_path) is passes
