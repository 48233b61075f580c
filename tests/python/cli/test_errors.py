"""Errors: one line that names option, value and what is allowed, and the documented exit code."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import numpy as np
import pytest

import kappaflow as kf
from commands import names, refuse, run, succeed
from kappaflow._listing import listed
from kappaflow.cli import errors
from kappaflow.cli import predict as predict_module
from kappaflow.datasets.opening import FILE_READERS
from kappaflow.models.errors import ModelError, TrainingError

ROOT = Path(__file__).parents[3]


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


WRONG_VALUES = [
    # a wrong type
    ("predict data.npy --sigma-max x", "--sigma-max must be a number from 0.01 to 1000000, got 'x'"),
    ("plan data.npy --limit 1.5", "--limit must be a whole number of at least 1, got '1.5'"),
    ("validate linear data.npy --component x", "--component must be a whole number of at least 1, got 'x'"),
    ("validate network data.npy --learning-rate x", "--learning-rate must be a number of at least 0.00000001, got 'x'"),
    # out of range
    ("seeds data.npy --n 9 --top 0", "--top must be a whole number of at least 1, got '0'"),
    ("diagnose data.npy --seed -1", "--seed must be a whole number of at least 0, got '-1'"),
    (
        "moments data.npy --out p.safetensors --profiles -1",
        "--profiles must be a whole number from 0 to 10000000, got '-1'",
    ),
    (
        "info data.npy --size 0",
        "--size must be a whole number from 1 to 4096, or height and width such as 64x96; got '0'",
    ),
    ("lens data.npy --images 39", "--images must be a whole number of at least 40, got '39'"),
    ("validate linear data.npy --memory 0", "--memory must be a size of at least 16.0 MiB such as 8G or 500M, got '0'"),
    ("validate network data.npy --repeats 101", "--repeats must be a whole number from 1 to 100, got '101'"),
    # a word that is none of those allowed
    ("plan data.npy --law x", "--law must be one of 'auto', 'gaussian', 'elliptical', 'empirical', got 'x'"),
    (
        "lens data.npy x",
        "WINDOWS must be one of 'scores', 'trajectory', 'receptive-field', 'architecture', 'learning', 'teleport', "
        "got 'x'",
    ),
    ("validate linear data.npy --sampling x", "--sampling must be one of resample, gaussian, disjoint; got 'x'"),
    ("validate network data.npy --preset x", "--preset must be one of quick, laptop, paper; got 'x'"),
    # a file that is not there, or is no such file
    ("plan none.safetensors", "DATA must name a saved population, got 'none.safetensors': no such file"),
    (
        "plan fake.safetensors",
        "DATA must name a saved population, got 'fake.safetensors': Error while deserializing header: header too small",
    ),
    (
        "predict text.txt",
        f"'text.txt': files of this type cannot be read; folders of images and {listed(FILE_READERS)} can",
    ),
    (
        "predict empty",
        "empty: no images in this folder; .bmp, .gif, .jpg, .png, .tif, .webp and other formats of Pillow can be read",
    ),
    ("predict one.npy", "the images of DATA must hold at least 2 samples, got 1"),
    # a folder where a file is expected, and the other way round
    ("seeds data.npy --n 9 --json empty", "--json must name a file, got the folder 'empty'"),
    ("seeds data.npy --n 9 --json no/s.json", "--json: the folder of 'no/s.json' does not exist; create it first"),
    ("seeds data.npy --n 9 --json text.txt", "--json: 'text.txt' exists already: use --overwrite or another name"),
    ("lens data.npy --out text.txt", "--out: 'text.txt' exists and is not a folder: use another --out"),
    ("validate network data.npy --runs text.txt", "--runs must name a folder, got 'text.txt', which is a file"),
    # an option that does not apply
    ("plan data.npy --patch 8", "--patch=8 does not apply to data.npy: it is for the built-in 'patches' only"),
    (
        "plan digits --skip-corrupt",
        "--skip-corrupt does not apply to the built-in 'digits': its images can all be read",
    ),
    ("plan data.npy --law elliptical --profiles 0", "--profiles must be above 0 for --law elliptical, got 0"),
    ("validate network data.npy --train-b data.npy", "--train-b needs --pair, got 'data.npy' without it"),
    (
        "validate network data.npy --pair a b --amp",
        "--amp is for training networks and cannot be used with --pair, got True",
    ),
]


@pytest.mark.parametrize(("command", "line"), WRONG_VALUES)
def test_messages_name_the_option_the_value_and_what_is_allowed(folder, command, line):
    np.save("one.npy", np.zeros((1, 6, 6)))
    Path("fake.safetensors").write_bytes(b"no")
    Path("text.txt").write_text("text")
    Path("empty").mkdir()
    assert refuse(*command.split()) == line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("seeds", "data.npy", "--n"), "Option '--n' requires an argument"),
        (("plan",), "Missing argument 'DATA'"),
        (("plan", "data.npy", "--nope"), "No such option: --nope"),
        (("plan", "data.npy", "extra"), "(extra)"),
        (("validate", "network", "data.npy", "--pair", "a"), "--pair"),
        (("paln", "data.npy"), "No such command 'paln'"),
    ],
)
def test_wrong_command_lines_are_wrong_use(folder, arguments, words):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())


# --- exit codes -------------------------------------------------------------------------------------------------------


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


FAILURES = [
    (MemoryError("needs 9 GiB"), "needs 9 GiB"),
    (MemoryError(), "out of memory"),
    (OutOfMemoryError("CUDA out of memory"), "CUDA out of memory"),
    (kf.ConvergenceError("stuck"), "stuck"),
    (TrainingError("1 of 2 runs failed"), "1 of 2 runs failed"),
    (OSError(errno.ENOSPC, "No space left on device", "data.npy"), "data.npy: No space left on device"),
    (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    (errors.WritingError("the report could not be written: No space left on device"),) * 2,
    (ZeroDivisionError("oh"), "internal, ZeroDivisionError: oh (KAPPAFLOW_DEBUG=1 shows where)"),
    (KeyError("k"), "internal, KeyError: 'k' (KAPPAFLOW_DEBUG=1 shows where)"),
]
WRONG_USES = [
    (ValueError("law must be one of 'x'"), "--law must be one of 'x'"),
    (TypeError("sigma_max must be a number"), "--sigma-max must be a number"),
    (ImportError("needs h5py"), "needs h5py"),
    (kf.UnidentifiedError("too few images"), "too few images"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "x: No such file or directory"),
    (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied"),
    (ModelError("--network: 'm:f' raised"), "--network: 'm:f' raised"),
]


def break_predict(monkeypatch, error):
    """Let ``kappaflow predict`` raise an error where it reads the data."""

    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(predict_module, "load_by_class", fail)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("error", "line", "code"), [*((*pair, 1) for pair in FAILURES), *((*pair, 2) for pair in WRONG_USES)], ids=repr
)
def test_exit_codes_of_errors(folder, monkeypatch, error, line, code, debug):
    break_predict(monkeypatch, error)
    if debug:
        monkeypatch.setenv(errors.DEBUG_VARIABLE, "1")
    result = run("predict", "data.npy")
    assert (result.exit_code, result.stdout) == (code, "")
    *trace, last = result.stderr.strip().splitlines()
    assert last == f"error: {line}"
    assert ("Traceback" in result.stderr) == bool(trace) == debug
    assert names(folder) == ["data.npy"]


def fail_for_space(*_arguments, **_options):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("predict", "data.npy", "--n", "30", "--seeds", "2", "--bands", "1"), "kappaflow.report.write"),
        (("predict", "data.npy", "--n", "30", "--seeds", "2", "--bands", "1"), "kappaflow.cli.predict.write_json"),
        (("moments", "data.npy", "--out", "p.safetensors"), "kappaflow.population.Population.save"),
        (("seeds", "data.npy", "--n", "9", "--json", "s.json"), "kappaflow.cli.run.write_json"),
        (("plan", "data.npy", "--json", "s.json"), "kappaflow.cli.run.write_json"),
        (("diagnose", "data.npy", "--n", "20", "--json", "s.json"), "kappaflow.cli.run.write_json"),
    ],
)
def test_results_that_cannot_be_written_are_a_failure(folder, plain_report, monkeypatch, arguments, where):
    monkeypatch.setattr(where, fail_for_space)
    assert refuse(*arguments, code=1).endswith(" could not be written: No space left on device")


def test_exit_codes_are_documented():
    pages = [succeed("--help").stdout, (ROOT / "docs/command-line.md").read_text(encoding="utf-8")]
    for page in pages:
        text = " ".join(page.split())
        for code, meaning in errors.EXIT_CODES.items():
            assert meaning in text
            assert re.search(rf"\b{code.value}\b", text)
        assert errors.DEBUG_VARIABLE in text


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("predict", "data.npy"), "kappaflow.cli.predict.load_by_class"),
        (("moments", "data.npy", "--out", "p.safetensors"), "kappaflow.cli.moments.load_population"),
        (("moments", "data.npy", "--out", "p.safetensors"), "kappaflow._files.os.replace"),
        (("seeds", "data.npy", "--n", "9", "--json", "s.json"), "kappaflow.cli.seeds.choose_law"),
        (("seeds", "data.npy", "--n", "9", "--json", "s.json"), "kappaflow._files.os.replace"),
        (("plan", "data.npy", "--json", "s.json"), "kappaflow.cli.plan.images_needed"),
        (("diagnose", "data.npy", "--json", "s.json"), "kappaflow.cli.diagnose.diagnose"),
        (("info", "data.npy"), "kappaflow.cli.info.open_data"),
        (("lens", "data.npy", "trajectory"), "kappaflow.cli.lens.load_population"),
        (("lens", "data.npy", "trajectory"), "kappaflow.cli.lens._write"),
        (("validate", "linear", "data.npy"), "kappaflow.cli.linear.training_sets"),
        (("validate", "network", "data.npy"), "kappaflow.cli.network.prepare"),
        (("validate", "network", "data.npy", "--dry-run"), "kappaflow.cli.network.prepare"),
    ],
)
def test_an_interrupt_has_its_code_and_leaves_everything_as_it_was(folder, monkeypatch, arguments, where):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, interrupt)
        assert refuse(*arguments, code=130) == "interrupted: nothing was written"


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ("type --range 0,255; in Python: open_images(data, range=(0, 255))", "type --range 0,255"),
        (
            "type --shape 3,12,12 (in Python: shape=(3, 12, 12)); --channels last",
            "type --shape 3,12,12; --channels last",
        ),
        (
            "type --range LOW,HIGH (in Python: open_images(data, range=(low, high))); else",
            "type --range LOW,HIGH; else",
        ),
        ('the first of each (in Python, pass "all")', "the first of each"),
        ("written in Python (really)", "written in Python (really)"),
    ],
)
def test_the_command_line_says_nothing_of_python(message: str, typed: str) -> None:
    options = {"range": "--range", "shape": "--shape"}
    assert errors.error_line(ValueError(message), options) == typed


def test_two_readings_are_asked_about_in_the_words_of_the_command_line(folder):
    np.save("few.npy", np.random.default_rng(0).integers(0, 17, (60, 6, 6)).astype(np.uint8) * 15)
    message = refuse("predict", "few.npy", "--n", "30")
    assert message.endswith("type --range 0,255 (8-bit pixels) or --range 0,240 (a mask)")
