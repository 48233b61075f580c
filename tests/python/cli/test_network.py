"""``kappaflow validate network``: what it writes, what it refuses, and that a stopped run resumes."""

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

from kappaflow import report  # noqa: E402
from kappaflow.validation.network import sweep  # noqa: E402

SMALL = (
    "--arch",
    "mlp",
    "--n",
    "10",
    "20",
    "--steps",
    "60",
    "--batch",
    "8",
    "--seeds",
    "16",
    "--sampler-steps",
    "5",
    "--workers",
    "1",
    "-q",
)


@pytest.fixture
def folder(workplace: Path) -> Path:
    """An empty working folder with data.npy: 60 grey 4×4 images whose neighbours are alike."""
    white = np.random.default_rng(0).standard_normal((60, 4, 4))
    np.save(workplace / "data.npy", 0.2 * white.cumsum(axis=1).cumsum(axis=2) - 0.1)
    return workplace


@pytest.fixture
def plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report without drawings, which have their own tests."""

    def write(document: Any, directory: Path, *, png: bool) -> Path:
        path = Path(directory) / "report.html"
        path.write_text(f"{document.source} {document.facts['torch']}")
        return path

    monkeypatch.setattr(report, "write", write)


run = partial(commands.run, "validate", "network")
refuse = partial(commands.refuse, "validate", "network")


def test_whole_run_writes_report_numbers_and_options(folder: Path) -> None:
    result = run("data.npy", *SMALL[:-1], "--counterfactual", 1)
    assert result.exit_code == 0, result.stderr
    out = folder / "kappaflow-network-data"
    assert result.stdout.splitlines()[-1] == f"{Path('kappaflow-network-data') / 'report.html'}"
    assert "gate:" in result.stdout
    content = json.loads((out / "validation.json").read_text())
    assert content["format"] == "kappaflow-network-validation-1"
    assert content["n"] == [10, 20]
    assert len(content["pairs"]) == 2 * 3
    assert len(content["runs"]) == 2 * 3 + 2 * 5
    assert (
        {tuple(sorted(p)) for p in content["predictions"]} <= {tuple(sorted(content["predictions"][0]))}
        if content["predictions"]
        else True
    )
    options = json.loads((out / "options.json").read_text())
    assert options["options"]["counterfactual"] == 1
    assert options["command"] == "validate network"
    assert "<!DOCTYPE html>" in (out / "report.html").read_text()
    assert len(list((folder / "kappaflow-runs-data").iterdir())) == 16


@pytest.mark.usefixtures("plain_report")
def test_the_same_command_trains_nothing_again_and_more_sizes_only_what_is_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    original = sweep.train

    def counted(*arguments: Any, **options: Any) -> Any:
        trained.append(len(arguments[2]))
        return original(*arguments, **options)

    monkeypatch.setattr(sweep, "train", counted)
    assert run("data.npy", *SMALL).exit_code == 0
    assert sorted(trained) == [10] * 3 + [20] * 3
    trained.clear()
    assert run("data.npy", *SMALL).exit_code == 0
    assert trained == []
    assert run("data.npy", *SMALL, "--n", "30", "--overwrite").exit_code == 0
    assert trained == [30] * 3


@pytest.mark.usefixtures("plain_report")
def test_a_pair_of_checkpoints(folder: Path) -> None:
    assert run("data.npy", *SMALL, "--arms", "same").exit_code == 0
    content = json.loads((folder / "kappaflow-network-data" / "validation.json").read_text())
    trained = next(p for p in content["pairs"] if p["n"] == 20)
    models = {}
    for path in (folder / "kappaflow-runs-data").glob("*-n20-*/model.safetensors"):
        from kappaflow.models.checkpoint import network_facts

        facts = network_facts(path)
        assert facts is not None
        models[facts["run"]] = path
    a, b = (models[key] for key in trained["runs"])
    result = run("data.npy", "--pair", a, b, "--seeds", 16, "--sampler-steps", 5, "--out", "pair", "-q")
    assert result.exit_code == 0, result.stderr
    found = json.loads((folder / "pair" / "validation.json").read_text())
    np.testing.assert_allclose(found["pairs"][0]["seeds"], trained["seeds"])
    assert found["n"] == [20]
    np.save(folder / "part.npy", np.load(folder / "data.npy")[:15])
    result = run(
        "data.npy",
        "--pair",
        a,
        b,
        "--train-a",
        "part.npy",
        "--train-b",
        "part.npy",
        "--seeds",
        16,
        "--sampler-steps",
        5,
        "--out",
        "other",
        "-q",
    )
    assert json.loads((folder / "other" / "validation.json").read_text())["n"] == [15]


def test_a_dry_run_shows_the_plan_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    result = run("data.npy", *SMALL, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "6 networks" in result.stdout
    assert re.search(r"about \d+ seconds with 1 at once on cpu; kept in kappaflow-runs-data", result.stdout)
    assert sorted(folder.rglob("*")) == before
    paper = run("data.npy", "--preset", "paper", "--arch", "mlp", "--dry-run")
    assert "50,000" in paper.stdout


def test_killed_in_training_it_resumes(folder: Path) -> None:
    """SIGTERM to the command, in processes of its own; the second command resumes from checkpoints and ends well."""
    command = [
        sys.executable,
        "-m",
        "kappaflow",
        "validate",
        "network",
        "data.npy",
        *SMALL[:4],
        "--steps",
        "3000",
        "--seeds",
        "16",
        "--sampler-steps",
        "5",
        "--workers",
        "2",
        "--arms",
        "same",
        "-q",
    ]
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in a shell's background
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heard
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("kappaflow-runs-data/*/steps.txt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"trained networks are kept in kappaflow-runs-data" in errors
    assert not (folder / "kappaflow-network-data").exists()
    assert not list(folder.glob(".kappaflow-network*"))
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "kappaflow-network-data" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "huge"), "--preset must be one of quick, laptop, paper; got 'huge'"),
        (("--arch", "resnet"), "--arch must be among unet, dit, mlp, linear, linear-conv; got 'resnet'"),
        (("--n", "31"), "--n must be at most 30, half of the 60 images, got 31"),
        (("--arms", "both"), "--arms must be among same, different; got 'both'"),
        (("--counterfactual", "17"), "--counterfactual must be at most 16, the number of modes of these data; got 17"),
        (("--device", "cuda:63"), "--device must exist, got 'cuda:63'"),
        (("--device", "tpu"), "--device must be 'cpu', 'cuda', 'cuda:<number>' or 'mps', got 'tpu'"),
        (("--train-a", "data.npy"), "--train-a needs --pair, got 'data.npy' without it"),
        (
            ("--pair", "a.safetensors", "b.safetensors"),
            "--arch is for training networks and cannot be used with --pair, got 'mlp'",
        ),
        (("--laws", "marchenko"), "--laws must be among gaussian, elliptical, empirical, published; got 'marchenko'"),
        (("--split", "sorted"), "--split must be one of 'random', 'contiguous', got 'sorted'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    options = [argument for argument in SMALL if "--arch" not in arguments or argument not in ("--arch", "mlp")]
    assert refuse("data.npy", *options, *arguments).startswith(words)


def test_missing_models_are_named(folder: Path) -> None:
    message = refuse("data.npy", "--pair", "a.safetensors", "b.safetensors", "-q")
    assert message.startswith("--pair: model 'a.safetensors' does not exist; it must be a .safetensors checkpoint")
    (folder / "bad.safetensors").write_bytes(b"nothing")
    assert "--pair must name a network" in refuse("data.npy", "--pair", "bad.safetensors", "bad.safetensors", "-q")


def test_a_saved_population_has_no_images(folder: Path) -> None:
    assert refuse("p.safetensors").startswith("DATA must be images, got the saved population 'p.safetensors'")
