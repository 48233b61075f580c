"""Folders of results: complete or unchanged, and never those of another run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import kappaflow as kf
from commands import names, predict_small, refuse, succeed
from kappaflow import report
from kappaflow._json_files import with_checksum
from kappaflow.cli import output as output_module
from kappaflow.cli import predict as predict_module


def test_same_options_replace_earlier_results(folder, plain_report):
    predict_small("--out", "o")
    stale = Path("o", "report.html")
    stale.write_text("old")
    result = predict_small("--out", "o")
    assert result.exit_code == 0
    assert "replacing the results of an earlier run with the same options in o" in result.stderr
    assert stale.read_text() == f"data {kf.__version__}"
    assert len(names("o")) == 5


def test_other_options_need_overwrite(folder, plain_report):
    predict_small("--out", "o")
    before = Path("o", "predictions.json").read_bytes()
    arguments = ("predict", "data.npy", "--n", "40", "--seeds", "4", "--bands", "2", "--out", "o")
    message = refuse(*arguments)
    assert "'o' holds results of another run (of 'data.npy'; different: n)" in message
    assert "use --overwrite or another --out" in message
    assert Path("o", "predictions.json").read_bytes() == before
    succeed(*arguments, "--overwrite")
    assert json.loads(Path("o", "predictions.json").read_text())["n"] == [40]


def test_foreign_files_are_refused_and_survive_overwrite(folder, plain_report):
    Path("o").mkdir()
    Path("o", "thesis.tex").write_text("mine")
    message = refuse("predict", "data.npy", "--out", "o")
    assert "files that are not results of kappaflow (thesis.tex)" in message
    assert predict_small("--out", "o", "--overwrite").exit_code == 0
    assert Path("o", "thesis.tex").read_text() == "mine"
    assert len(names("o")) == 6


def test_files_of_the_former_run_are_removed(folder, plain_report):
    predict_small("--out", "o")
    former = json.loads(Path("o", "options.json").read_text())
    former["files"] += ["extra.svg", "../data.npy"]
    Path("o", "extra.svg").write_text("")
    Path("o", "options.json").write_text(
        json.dumps(former)
    )  # somebody has changed it, so nothing that it names is removed
    assert "files that are not results of kappaflow" in refuse("predict", "data.npy", "--n", "20,40", "--out", "o")
    assert Path("o", "extra.svg").exists()
    Path("o", "options.json").write_text(json.dumps(with_checksum(former)))
    assert predict_small("--out", "o").exit_code == 0
    assert not Path("o", "extra.svg").exists()
    assert Path("data.npy").exists()


def test_an_empty_folder_is_used(folder, plain_report):
    Path("o").mkdir()
    assert predict_small("--out", "o").exit_code == 0
    assert len(names("o")) == 5


def test_bad_output_places(folder):
    assert "the folder of 'no/o' does not exist" in refuse("predict", "data.npy", "--out", "no/o")
    assert "'data.npy' exists and is not a folder" in refuse("predict", "data.npy", "--out", "data.npy")


def test_output_without_permission(folder, monkeypatch):
    Path("o").mkdir()
    monkeypatch.setattr(output_module.os, "access", lambda _path, mode: not mode & os.W_OK)
    assert "the folder 'o' cannot be written to" in refuse("predict", "data.npy", "--out", "o")
    assert "the folder of 'new' cannot be written to" in refuse("predict", "data.npy", "--out", "new")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that refuses folders")
def test_output_that_the_system_refuses(folder):
    message = refuse("predict", "data.npy", "--out", "/proc/kappaflow-test")
    assert message.startswith("--out: ")
    assert "'/proc/kappaflow-test'" in message


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("where", ["load_by_class", "write_json", "predict"])
def test_interrupted_run_leaves_everything_as_it_was(folder, plain_report, monkeypatch, where, existing):
    if existing:
        predict_small("--out", "o")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict_module, where, interrupt)
    result = predict_small("--out", "o")
    assert result.exit_code == 130
    assert result.stderr.strip().splitlines()[-1] == "interrupted: nothing was written"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert names(folder) == (["data.npy", "o"] if existing else ["data.npy"])


def test_failing_report_leaves_nothing(folder, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "write", fail)
    assert "No space left on device" in refuse(
        "predict", "data.npy", "--n", "30", "--seeds", "2", "--bands", "1", code=1
    )
    assert names(folder) == ["data.npy"]
