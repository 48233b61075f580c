"""What goes wrong: one line that names option, value and what is allowed, and the exit code that is documented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kappaflow as kf
from commands import names, refuse, run, succeed
from kappaflow.cli import errors
from kappaflow.cli import predict as predict_module


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digitz"], "did you mean 'digits'?"),
        (["missing.safetensors"], "no such file"),
        (["data.npy", "--patch", "8"], "--patch=8 does not apply"),
        (["data.npy", "--shape", "5,5"], "shape"),
        (["data.npy", "--shape", "a,5"], "--shape must be the sides of one image such as 28,28"),
        (["data.npy", "--n", "ten"], "--n must be whole numbers from 2 to 1e+12"),
        (["data.npy", "--n", "1"], "got '1'"),
        (["data.npy", "--n", "nan"], "got 'nan'"),
        (["data.npy", "--n", "2.5"], "got '2.5'"),
        (["data.npy", "--n", ","], "--n must hold at least one"),
        (["data.npy", "--seeds", "0"], "--seeds must be a count such as 64"),
        (["data.npy", "--seeds", "9-3"], "got '9-3'"),
        (["data.npy", "--seeds", "x"], "got 'x'"),
        (["data.npy", "--seeds", ""], "got ''"),
        (["data.npy", "--seeds", "3,3"], "got 3 twice"),
        (["data.npy", "--seeds", "0-99999999999"], "at most 1000000 seeds"),
        (["data.npy", "--bands", "0"], "--bands must be 1 to 1000 bands"),
        (["data.npy", "--bands", "0-3"], "ranges of modes counted from 1"),
        (["data.npy", "--bands", "1-37"], "must lie within the 36 modes of these data; got modes 1-37"),
        (["data.npy", "--bands", ","], "got ','"),
    ],
)
def test_errors_are_one_line(folder, arguments, words):
    assert words in refuse("predict", *arguments)
    assert names(folder) == ["data.npy"]


def test_range_checked_options_name_the_range(folder):
    for arguments in (
        ["--tolerance", "2"],
        ["--sigma-max", "0"],
        ["--sigma-max", "nan"],
        ["--patch", "1"],
        ["--limit", "0"],
    ):
        result = run("predict", "data.npy", *arguments)
        assert result.exit_code == 2
        assert arguments[0] in result.stderr


def test_data_that_are_not_finite_are_named(folder):
    images = np.load("data.npy")
    images[7, 2, 2] = np.nan
    np.save("bad.npy", images)
    message = refuse("predict", "bad.npy")
    assert "image 7" in message
    assert "nan" in message


def test_options_of_images_do_not_apply_to_a_population(folder):
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    assert "--grey does not apply to the saved population" in refuse("predict", "p.safetensors", "--grey")
    assert "--skip-corrupt does not apply" in refuse("info", "p.safetensors", "--skip-corrupt")
    Path("fake.safetensors").write_bytes(b"no")
    assert "must name a saved population" in refuse("plan", "fake.safetensors")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MemoryError("needs 9 GiB"), 1, "needs 9 GiB"),
        (ImportError("needs h5py"), 2, "needs h5py"),
        (kf.ConvergenceError("stuck"), 1, "stuck"),
    ],
)
def test_exit_codes_of_errors(folder, monkeypatch, error, code, line):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(predict_module, "load_population", fail)
    assert refuse("predict", "data.npy", code=code) == line


def test_internal_errors_and_debug(folder, monkeypatch):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(predict_module, "load_population", fail)
    message = refuse("predict", "data.npy", code=1)
    assert message == "internal, ZeroDivisionError: oh (KAPPAFLOW_DEBUG=1 shows where)"
    monkeypatch.setenv(errors.DEBUG_VARIABLE, "1")
    result = run("predict", "data.npy")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1] == f"error: {message}"
    assert names(folder) == ["data.npy"]
