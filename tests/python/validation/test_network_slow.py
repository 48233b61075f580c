"""The quick experiment at its full size: what the command promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from kappaflow.cli import app  # noqa: E402


@pytest.mark.slow
def test_quick_preset_on_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["validate", "network", "digits", "--preset", "quick"])
    assert result.exit_code == 0, result.output
    print(result.stdout)
    found = json.loads((tmp_path / "kappaflow-network-digits" / "validation.json").read_text())
    assert all(run["quality"]["passed"] for run in found["runs"])
    for arm in ("same", "different"):
        pairs = {p["n"]: p for p in found["pairs"] if p["arm"] == arm}
        ratios = [np.mean(pairs[n]["seeds"]) / pairs[n]["unrelated"] for n in (30, 200, 898)]
        assert ratios[0] > 2 * ratios[1] > 2 * ratios[2]
    by_size = {n: [run for run in found["runs"] if run["n"] == n] for n in (30, 200, 898)}
    assert min(run["r2_own_zero"] for n in (200, 898) for run in by_size[n]) > 0.8
    assert min(run["auc"] for run in by_size[30]) > 0.9
    assert max(run["auc"] for run in by_size[898]) < 0.6
