"""Command lines of right and wrong words: each ends with its results, or with one line that says what is wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import typer
from hypothesis import given
from hypothesis import strategies as st
from strategies import cases
from typer.testing import CliRunner

from kappaflow.cli import app

NUMBERS = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "20",
    "40",
    "1e5",
    "1e12",
    "1e300",
    "0.1",
    "0.5",
    "-1",
    "nan",
    "inf",
    "1_0",
    "1_000",
    "٣",
]
TEXTS = [
    "",
    " ",
    "x",
    "-",
    "--",
    "\x1b[31m",
    "a,b",
    "0,1",
    "1-4",
    "1-4,5-9",
    "3x3",
    "4x4x4",
    "none",
    "all",
    "0-3",
    "é",
    "%s",
    "{n}",
]
WORDS = [
    "auto",
    "gaussian",
    "elliptical",
    "empirical",
    "first",
    "last",
    "centre",
    "area",
    "white",
    "drop",
    "diffusers",
    "edm",
]
FILES = [
    "data.npy",
    "wide.npy",
    "flat.npy",
    "labels.npy",
    "nan.npy",
    "constant.npy",
    "huge.npy",
    "saved.safetensors",
    "folder",
    "missing.npy",
]
#: Data with answers, if the options are right.
GOOD = ["data.npy", "wide.npy", "flat.npy", "huge.npy", "saved.safetensors", "folder"]
VALUE = st.sampled_from([*NUMBERS, *TEXTS, *WORDS, *FILES]) | st.text(max_size=4)
#: Options that read, choose and count, and right values. Those of training and of files that are written have tests of their own.
RIGHT = {
    "--n": ["3", "7", "20", "1e6", "5g", "2"],
    "--seeds": ["3", "0-4", "7,9", "1"],
    "--bands": ["1", "3", "1-4", "1-2,3-9", "30"],
    "--sigma-max": ["0.01", "1", "80", "1000000"],
    "--tolerance": ["1e-6", "0.1", "0.9"],
    "--law": ["auto", "gaussian", "elliptical", "empirical"],
    "--limit": ["2", "3", "11", "40", "1000"],
    "--profiles": ["0", "1", "16", "100"],
    "--size": ["1", "2", "3x5", "9", "4"],
    "--shape": ["3,3", "4,4", "16", "9", "6,6,3"],
    "--range": ["-1,1", "0,1", "0,255", "-1e300,1e300", "auto"],
    "--channels": ["first", "last", "3", "1"],
    "--alpha": ["drop", "white"],
    "--frames": ["all", "first"],
    "--crop": ["centre", "none"],
    "--resize": ["area", "lanczos"],
    "--like": ["diffusers", "edm"],
    "--groups": ["labels.npy", "folder"],
    "--memory": ["4G", "200M", "64M"],
    "--top": ["1", "100"],
    "--patch": ["4", "8"],
    "--by": ["class"],
    "--labels": ["labels.npy"],
    "--seed": ["0", "5", "99999999999"],
    "--grey": [],
    "--flip": [],
    "--skip-corrupt": [],
    "--quiet": [],
}
#: The options that each command takes.
COMMANDS = {
    name: [option for parameter in command.params for option in parameter.opts if option in RIGHT]
    for name, command in typer.main.get_command(app).commands.items()
    if name in ("info", "plan", "seeds", "diagnose", "moments")
}
OTHERS = sorted({value for values in RIGHT.values() for value in values})
#: Words that would be a fault of the program, not of the input.
FAULTS = re.compile(
    r"internal|Traceback|broadcast|NoneType|out of bounds|object is not|unexpected keyword|invalid literal"
)


def write_files() -> None:
    """Small data of all kinds, in the working folder."""
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (60, 4, 4))
    np.save("data.npy", images)
    np.save("wide.npy", rng.uniform(0, 1, (12, 6, 6, 3)).astype(np.float32))
    np.save("flat.npy", rng.normal(size=(50, 9)))
    np.save("labels.npy", np.arange(60) % 7)
    np.save("constant.npy", np.full((40, 4, 4), 0.5))
    np.save("huge.npy", 1e300 * images)
    images[3, 1, 1] = np.nan
    np.save("nan.npy", images)
    Path("folder").mkdir()
    np.save("folder/part.npy", rng.uniform(-1, 1, (30, 4, 4)))
    CliRunner().invoke(app, ["moments", "data.npy", "--out", "saved.safetensors", "-q"])


@contextmanager
def data_folder() -> Iterator[None]:
    """A working folder with data, which is removed afterwards."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            write_files()
            yield
        finally:
            os.chdir(before)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command, its data, and up to five options; most of their values are right."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    right = draw(st.sampled_from([0, 3, 6, 8, 9, 9, 9]))  # how many of ten values are meant
    words = [command, draw(st.sampled_from(GOOD) if right > 3 else st.sampled_from(FILES) if right else VALUE)]
    for option in draw(st.lists(st.sampled_from(COMMANDS[command]), max_size=5, unique=True)):
        values = st.sampled_from(RIGHT[option]) if RIGHT[option] else st.none()
        value = draw(values if draw(st.integers(0, 9)) <= right else st.sampled_from(OTHERS) | VALUE)
        words += [option] if value is None else [option, value]
    if command == "seeds" and "--n" not in words:
        words += ["--n", draw(st.sampled_from(RIGHT["--n"]))]
    return words + (["--out", "out.safetensors", "--overwrite"] if command == "moments" else [])


def check(words: list[str], done: Any) -> None:
    """Fail if a command did not end well, nor in one clear line."""
    line = shlex.join(words)
    assert done.exception is None or isinstance(done.exception, SystemExit), (line, repr(done.exception))
    assert done.exit_code in (0, 1, 2), (line, done.exit_code)
    assert "\x1b" not in done.output, line
    assert FAULTS.search(done.stderr) is None, (line, done.stderr)
    if done.exit_code == 1:  # the only failures that such input can cause
        assert "memory" in done.stderr or "converge" in done.stderr or "certif" in done.stderr, (line, done.stderr)
    if done.exit_code == 0 and "--json" in words:
        json.loads(done.stdout, parse_constant=lambda constant: (_ for _ in ()).throw(ValueError(constant)))


@cases(120)
@given(lines=st.lists(command_lines(), min_size=3, max_size=3))
def test_every_command_line_ends_in_results_or_in_one_clear_error(lines: list[list[str]]) -> None:
    with data_folder():
        for words in lines:
            extra = ["--json", "-"] if words[0] in ("plan", "seeds", "diagnose") else []
            check([*words, *extra], CliRunner().invoke(app, [*words, *extra]))
