"""``kappaflow pilot --script``: the user's own command is run, stopped, resumed and refused as it should be."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import commands

torch = pytest.importorskip("torch")

from smooth import rough  # noqa: E402
from user_scripts import linear_command  # noqa: E402

pilot = partial(commands.run, "pilot", "data.npy")
refuse = partial(commands.refuse, "pilot", "data.npy")
SMALL = ("--n", "60,120", "--seeds", 64, "--repeats", 1)
#: A template that nothing runs.
SAMPLES, MODEL = "sh {images} {seed} {noise} {samples}", "sh {images} {seed} {model}"


@pytest.fixture
def folder(workplace: Path) -> Path:
    np.save(workplace / "data.npy", rough(600).reshape(-1, 6, 6))
    return workplace


def numbers(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(name, "pilot.json").read_text())
    return content


def calls() -> int:
    return len(Path("calls.txt").read_text().splitlines())


def test_the_answer_is_about_the_networks_of_the_command(folder: Path) -> None:
    text = linear_command(folder)
    result = pilot("--script", text, *SMALL)
    assert result.exit_code == 0, result.output
    assert "Two networks of your command trained on 300 images each will disagree by about" in result.stdout
    assert calls() == 6
    content = numbers("kappaflow-pilot-data")
    assert (content["networks"], content["command"]) == ("your command", text)
    assert (content["steps"], content["sampler_steps"], content["length"]) == (0, 0, None)
    assert content["fit"]["data"] == pytest.approx(1.0, rel=0.2)  # one pair of each size: linear models follow the law
    (note,) = [note for note in content["notes"] if "samples only" in note]
    assert note in " ".join(result.stdout.split())
    assert all(pair["denoiser"] == [None] * len(pair["denoiser"]) for pair in content["pairs"])
    page = Path("kappaflow-pilot-data/report.html").read_text()
    assert "that of your command" in page
    assert not Path("kappaflow-pilot-data/figures/gate.svg").exists()  # there are no losses to draw
    options = json.loads(Path("kappaflow-pilot-data/options.json").read_text())
    assert options["options"]["script"] == text
    again = pilot("--script", text, *SMALL, "-q")
    assert again.exit_code == 0, again.output
    assert calls() == 6
    commands.assert_same(numbers("kappaflow-pilot-data"), content)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_pilot_resumes_and_ends_with_the_same_answer(folder: Path, number: int, status: int) -> None:
    Path("wait.txt").touch()  # then the second command waits
    arguments = ["data.npy", "--script", linear_command(folder, "wait"), *map(str, SMALL), "-q"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in a shell's background
    command = [sys.executable, "-m", "kappaflow", "pilot", *arguments]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    deadline = time.monotonic() + 120
    while not Path("waiting.txt").exists() and time.monotonic() < deadline and started.poll() is None:
        time.sleep(0.05)
    child = int(Path("waiting.txt").read_text() or 0)
    started.send_signal(number)
    _, written = started.communicate(timeout=60)
    assert started.returncode == status, written
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert "trained networks are kept in kappaflow-runs-data; the same command resumes from there" in written
    assert not Path("kappaflow-pilot-data").exists()
    Path("wait.txt").unlink()
    result = pilot(*arguments[1:])
    assert result.exit_code == 0, result.output
    assert calls() == 7  # one was done, one was stopped
    whole = pilot(*arguments[1:], "--runs", "other", "--out", "whole")
    assert whole.exit_code == 0, whole.output
    resumed, unbroken = numbers("kappaflow-pilot-data"), numbers("whole")
    assert [run.pop("seconds") for run in resumed["runs"]] != [run.pop("seconds") for run in unbroken["runs"]]
    commands.assert_same(resumed, unbroken)


def test_a_command_that_fails_ends_the_pilot_with_its_last_line(folder: Path) -> None:
    result = pilot("--script", linear_command(folder, "status"), *SMALL, "-q")
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: your command n=60 A0 repeat 1: the command ended with exit status 3; ")
    assert "'no memory is left'" in line
    assert not Path("kappaflow-pilot-data").exists()


def test_dry_run_prints_a_command_of_each_kind(folder: Path) -> None:
    text = linear_command(folder, "steps", "{steps}")
    result = pilot("--script", text, *SMALL, "--steps", 40, "--dry-run")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "pilots of your command: 12 networks"
    assert [line for line in lines if line.endswith("steps:")] == [
        f"your command {kind} steps:"
        for kind in (
            "n=60 A0 repeat 1, 40",
            "n=120 A0 repeat 1, 10",
            "n=120 A0 repeat 1, 20",
            "n=120 A0 repeat 1, 40",
        )
    ]
    assert lines[2].endswith("/samples.npy steps 40")
    assert lines[-1] == "how long a command takes is not known; runs are kept in kappaflow-runs-data"
    assert not Path("kappaflow-runs-data").exists()


def test_the_training_command_of_the_documentation_works(workplace: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/pilots.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(# train\.py.*?)```", page, flags=re.DOTALL)
    assert "width, steps = x.shape[1], 256, 3000" in program
    Path("train.py").write_text(program.replace("256, 3000", "256, 800"))
    (text,) = set(re.findall(r"kappaflow pilot digits --script 'python (train\.py [^']*)'", page))
    arguments = ("--script", f"{sys.executable} {text}", "--n", "100", "--repeats", 1, "--seeds", 64, "-q")
    commands.succeed("pilot", "digits", *arguments)
    content = numbers("kappaflow-pilot-digits")
    assert all(run["quality"]["passed"] for run in content["runs"])
    (size,) = content["sizes"]
    assert size["everything"][0] > 1.5 * size["law"]  # a network is no linear model
    assert size["everything"][0] > 2 * size["same_images"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--script", SAMPLES, "--arch", "unet"],
            "--arch is for networks of kappaflow and cannot be used with --script",
        ),
        (["--script", SAMPLES, "--preset", "laptop"], "--preset is for networks of kappaflow"),
        (["--script", SAMPLES, "--batch", 4], "--batch is for networks of kappaflow"),
        (["--script", SAMPLES, "--learning-rate", 0.1], "--learning-rate is for networks of kappaflow"),
        (["--script", SAMPLES, "--amp"], "--amp is for networks of kappaflow"),
        (["--script", SAMPLES, "--compile"], "--compile is for networks of kappaflow"),
        (["--script", SAMPLES, "--dask", "a:1"], "--dask is for networks of kappaflow"),
        (["--script", SAMPLES, "--observed", "60:a,b,c"], "--script is for training networks and cannot be used with"),
        (
            ["--script", SAMPLES, "--sampler-steps", 9],
            "--sampler-steps cannot be used with a --script that writes {samples}",
        ),
        (["--script", SAMPLES, "--steps", 9], "--steps must not be given to a script without the placeholder {steps}"),
        (
            ["--script", MODEL + " {steps}"],
            "--steps must be given, because the command of the script has the placeholder",
        ),
        (["--script", ""], "--script must be a command line, got ''"),
        (["--script", "sh {images} {noise} {samples}"], "--script must have the placeholder {seed}, got"),
        (["--script", MODEL + " {epochs}"], "got {epochs} in"),
        (["--script", MODEL, "--n", "400"], "--n must be at most 300, half of the 600 images, got 400"),
    ],
)
def test_wrong_input_is_refused(folder: Path, arguments: list[object], message: str) -> None:
    assert message in refuse(*arguments)
