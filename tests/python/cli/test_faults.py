"""Every write of every command fails once, is interrupted once and is once the last of its process: results are old or new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")


def strike(folder: Path, *cases: str, stride: int = 1) -> dict[str, int]:
    """Strike at every `stride`-th operation of some commands; the number of operations of each."""
    command = [sys.executable, str(SUPPORT / "fault_runs.py"), str(folder), str(stride), *cases]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert not report["problems"], "\n".join(report["problems"])
    operations: dict[str, int] = report["operations"]
    return operations


def test_earlier_results_are_replaced_whole(tmp_path: Path) -> None:
    assert strike(tmp_path, "replace", stride=2)["replace"] > 60


@pytest.mark.parametrize("case", ["first", "foreign", "two renames", "file by file", "lens"])
def test_other_folders_of_results_are_whole(tmp_path: Path, case: str) -> None:
    assert strike(tmp_path, case, stride=7)[case] > 40


def test_files_of_results_are_whole(tmp_path: Path) -> None:
    assert min(strike(tmp_path, "moments", "seeds", "plan").values()) > 10


def test_a_simulation_that_is_interrupted_anywhere_goes_on(tmp_path: Path) -> None:
    assert strike(tmp_path, "linear", stride=29)["linear"] > 60


@pytest.mark.slow
@pytest.mark.parametrize("case", ["replace", "first", "foreign", "two renames", "file by file", "lens", "linear"])
def test_at_every_operation(tmp_path: Path, case: str) -> None:
    assert strike(tmp_path, case)[case] > 40


@pytest.mark.slow
@pytest.mark.parametrize("case", ["network", "pilot"])
def test_trainings_at_every_operation(tmp_path: Path, case: str) -> None:
    assert strike(tmp_path, case)[case] > 60
