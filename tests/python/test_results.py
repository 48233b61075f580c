"""The script that compares two records of results: equal, one digit off, renamed, missing, dropped."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import results

VALUE = {
    "kappa": [0.1, 0.2],
    "pairs": [{"n": 30, "seeds": [1.5]}, {"n": 200, "seeds": [2.5]}],
    "name": "digits",
    "rank": None,
}


def write(folder: Path, value: Any, name: str = "job/predictions.json") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value), encoding="utf-8")
    return folder


def compare(tmp_path: Path, old: Any, new: Any, names: dict[str, str | None] | None = None) -> int:
    before, after = write(tmp_path / "old", old), write(tmp_path / "new", new)
    return results.compare(before, after, {"predictions.json": names or {}})


def test_equal_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path, VALUE, {**VALUE, "name": "other", "extra": 3, "machine": {"cores": 2}}) == 0
    assert "7 numbers compared, 0 differ, 1 new" in capsys.readouterr().out


def test_one_digit_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path, VALUE, {**VALUE, "kappa": [0.1, math.nextafter(0.2, 1)]}) == 1
    assert "kappa[1]: 0.2 -> 0.20000000000000004" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (None, None, True),
        (None, 0, False),
        (math.nan, math.nan, True),
        (0.5, "0.5", False),
    ],
)
def test_values_that_count_as_equal(old: Any, new: Any, equal: bool) -> None:
    assert results.same(old, new) is equal


def test_renamed_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = {
        "modes": {"kappa": [0.1, 0.2]},
        "pairs": [{"size": 30, "seeds": [1.5]}, {"size": 200, "seeds": [2.5]}],
        "rank": None,
    }
    assert compare(tmp_path, VALUE, new) == 4
    names: dict[str, str | None] = {"kappa": "modes.kappa", "pairs[].n": "pairs[].size"}
    assert compare(tmp_path, VALUE, new, names) == 0
    assert compare(tmp_path, VALUE, {**new, "modes": {"kappa": [0.1, 0.3]}}, names) == 1
    capsys.readouterr()


def test_longest_mapped_prefix_decides_and_null_drops() -> None:
    names = {"a": "b", "a.c": None, "a.d[0]": "e"}
    assert results.renamed("a.x", names) == "b.x"
    assert results.renamed("a.c.y", names) is None
    assert results.renamed("a.d[0].z", names) == "e.z"
    assert results.renamed("a.d[1]", names) == "b.d[1]"
    assert results.renamed("ab", names) == "ab"


def test_missing_numbers_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path, VALUE, {key: value for key, value in VALUE.items() if key != "rank"}) == 1
    write(tmp_path / "old", VALUE, "other/lens.json")
    assert compare(tmp_path, VALUE, VALUE) == 1
    assert results.compare(tmp_path / "old", tmp_path / "new", {}, partial=True) == 0
    assert results.compare(tmp_path / "nowhere", tmp_path / "new", {}) == 1
    assert "other/lens.json: missing" in capsys.readouterr().out


def test_tables_are_compared_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, value in (("old", "0.25"), ("new", "0.26")):
        write(tmp_path / folder, VALUE)
        (tmp_path / folder / "job/tables").mkdir()
        (tmp_path / folder / "job/tables/gain.csv").write_text(f"mode,gain\nfirst,{value}\n", encoding="utf-8")
    assert results.main(["compare", str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    assert results.main(["compare", str(tmp_path / "old"), str(tmp_path / "new"), "--tables"]) == 1
    assert "[0].gain: 0.25 -> 0.26" in capsys.readouterr().out


def test_jobs_that_fail_are_counted_and_leave_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        results, "jobs", lambda pictures, array: [("bad", ["diagnose", "nowhere"]), ("else", ["no command"])]
    )
    assert results.record(tmp_path, only="bad") == 1
    assert "bad FAILED" in capsys.readouterr().out
    assert not (tmp_path / "bad").exists()
