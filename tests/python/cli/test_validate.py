"""``kappaflow validate linear``: what it writes, what it refuses, and that an interrupted run resumes."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import commands
import kappaflow as kf
from kappaflow import report
from kappaflow.cli import errors
from kappaflow.validation.linear import experiment as linear
from kappaflow.validation.linear import simulation
from kappaflow.validation.linear.quantities import QUANTITIES
from kappaflow.validation.linear.statistics import Statistics

SEED = 31
SMALL = ("--draws", "40", "--inputs", "2", "--bands", "2", "--sampler-steps", "5", "-q")


@pytest.fixture
def folder(workplace: Path) -> Path:
    """An empty working folder with data.npy: 90 grey 3×4 images."""
    rng = np.random.default_rng(SEED)
    np.save(workplace / "data.npy", 0.3 * rng.standard_normal((90, 3, 4)) * np.linspace(1, 0.1, 12).reshape(3, 4) - 0.1)
    return workplace


@pytest.fixture
def plain_report(monkeypatch):
    """A report without drawings, which have their own tests."""

    def write(document, directory, *, png):
        path = Path(directory) / "report.html"
        path.write_text(f"{document.source} {document.facts['torch']}")
        return path

    monkeypatch.setattr(report, "write", write)


run = partial(commands.run, "validate", "linear")
refuse = partial(commands.refuse, "validate", "linear")


def test_report_numbers_and_options_of_a_run(folder):
    result = run("data.npy", "--n", "6", "20", *SMALL[:-1])
    assert result.exit_code == 0, result.stderr
    out = folder / "kappaflow-validate-data"
    content = json.loads((out / "validation.json").read_text())
    assert content["n"] == [6, 20]
    assert content["sampling"] == "resample"
    assert content["draws"] == [40, 40]
    assert {row["quantity"] for row in content["comparisons"]} == set(QUANTITIES)
    options = json.loads((out / "options.json").read_text())
    assert options["options"]["n"] == [6, 20]
    assert options["machine"]["torch"] == simulation.torch.__version__
    assert (out / "report.html").stat().st_size > 10_000
    assert not list(folder.glob("*.unfinished"))
    for quantity in QUANTITIES.values():
        assert quantity.title[1:] in result.stdout


def test_sizes_may_follow_one_option(folder, plain_report):
    assert run("data.npy", *SMALL, "--n", "6", "20", "7,8").exit_code == 0
    content = json.loads((folder / "kappaflow-validate-data" / "validation.json").read_text())
    assert content["n"] == [6, 7, 8, 20]


def test_sizes_before_the_data(folder, plain_report):
    assert run("--n", "6", "1e1", "data.npy", *SMALL).exit_code == 0
    content = json.loads((folder / "kappaflow-validate-data" / "validation.json").read_text())
    assert content["n"] == [6, 10]


@pytest.mark.parametrize("kind", ["gaussian", "disjoint"])
def test_other_kinds_of_training_sets(folder, plain_report, kind):
    assert run("data.npy", "--n", "8", "--sampling", kind, "--out", "x", *SMALL).exit_code == 0
    content = json.loads((folder / "x" / "validation.json").read_text())
    assert content["sampling"] == kind
    assert content["counterfactual"] is None
    assert content["notes"]


def test_a_saved_population_is_validated_on_gaussian_data(folder, plain_report):
    kf.Population.from_spectrum(1 / np.arange(1, 9.0)).save(folder / "p.safetensors")
    assert run("p.safetensors", "--n", "8", *SMALL).exit_code == 0
    content = json.loads((folder / "kappaflow-validate-p" / "validation.json").read_text())
    assert content["sampling"] == "gaussian"
    assert content["pool_size"] is None
    message = refuse("p.safetensors", "--n", "8", "--sampling", "resample", "--out", "y", *SMALL)
    assert "--sampling must be gaussian for a saved population" in message


def test_an_interrupted_run_resumes_and_gives_the_same_numbers(folder, plain_report, monkeypatch):
    assert run("data.npy", "--n", "6,20", "--out", "whole", *SMALL).exit_code == 0
    original, calls = simulation._Worker.group, []

    def interrupt(self, number, threads):
        calls.append(number)
        if len(calls) == 14:
            raise KeyboardInterrupt
        return original(self, number, threads)

    with monkeypatch.context() as patch:
        patch.setattr(simulation._Worker, "group", interrupt)
        result = run("data.npy", "--n", "6,20", "--out", "parts", *SMALL)
    assert result.exit_code == errors.ExitCode.INTERRUPTED
    assert "the same command resumes from there" in result.stderr
    assert not (folder / "parts").exists()
    again = run("data.npy", "--n", "6,20", "--out", "parts", *SMALL)
    assert again.exit_code == 0
    assert "resuming the interrupted run" in again.stderr
    assert not list(folder.glob("*.unfinished"))
    whole, parts = (json.loads((folder / name / "validation.json").read_text()) for name in ("whole", "parts"))
    assert whole == parts


def test_an_interrupted_run_of_other_options_is_not_lost(folder, plain_report, monkeypatch):
    original = simulation._Worker.group

    def interrupt(self, number, threads):
        if number == 3:
            raise KeyboardInterrupt
        return original(self, number, threads)

    with monkeypatch.context() as patch:
        patch.setattr(simulation._Worker, "group", interrupt)
        assert run("data.npy", "--n", "6", "--out", "x", *SMALL).exit_code == errors.ExitCode.INTERRUPTED
    message = refuse("data.npy", "--n", "7", "--out", "x", *SMALL)
    assert message.startswith("--out: 'x.unfinished' holds an interrupted run with other options (n)")
    assert run("data.npy", "--n", "7", "--out", "x", "--overwrite", *SMALL).exit_code == 0


def test_an_interruption_before_anything_is_done_leaves_nothing(folder, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(linear, "validate_linear", interrupt)
    message = refuse("data.npy", "--n", "6", *SMALL, code=errors.ExitCode.INTERRUPTED)
    assert message == "interrupted: nothing was written"


def test_statistics_are_kept_on_request(folder, plain_report):
    assert run("data.npy", "--n", "6", "--keep", "--out", "x", *SMALL).exit_code == 0
    kept = Statistics.load(folder / "x" / "simulation" / "n-6.safetensors")
    assert kept.done == list(range(10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n", "46", "--sampling", "disjoint"), "--n must be at most 45 for disjoint splits of 90 images, got 46"),
        (("--draws", "39"), "--draws must be at least 40 for intervals, got 39"),
        (("--quantities", "seeds,sharpness"), "--quantities must be among kappa, gains, .* got 'sharpness'"),
        (("--laws", "cubic"), "--laws must be among gaussian, elliptical, empirical, published; got 'cubic'"),
        (("--device", "cuda:99"), "--device must exist, got 'cuda:99': this machine has"),
        (("--device", "abacus"), "--device must be 'cpu', 'cuda' or 'cuda:<number>', got 'abacus'"),
        (("--sampling", "sorted"), "--sampling must be one of resample, gaussian, disjoint; got 'sorted'"),
        (("--mean", "median"), "--mean must be one of 'estimated', 'known', got 'median'"),
        (("--sampler-steps", "18.5"), "--sampler-steps must be whole numbers such as 18,35; got '18.5'"),
        (("--sampler-steps", "1"), "--sampler-steps must be an integer of at least 2, got 1"),
        (
            ("--denoiser-sigma", "0.1,low"),
            "--denoiser-sigma must be numbers of at least 0 such as 0.1,1; got '0.1,low'",
        ),
        (("--denoiser-sigma", "0"), "--denoiser-sigma must be finite and above 0, got 0.0"),
        (("--trajectory-sigma", "90"), "--trajectory-sigma must be below --sigma-max = 80.0, got 90.0"),
        (("--component", "13"), "--component must be at most 12, the number of modes of these data; got 13"),
        (("--n", "lots"), "--n must be whole numbers"),
        (("--bands", "1-99"), "--bands must lie within the 12 modes"),
    ],
)
def test_wrong_options_are_named(folder, arguments, message):
    assert re.match(message, refuse("data.npy", "--n", "6", *SMALL, *arguments))


def test_training_sets_that_do_not_fit_in_memory_are_a_failure(folder):
    message = refuse("data.npy", "--n", "100000000", *SMALL, code=1)
    assert re.search("n = 100000000 .* give more memory", message)


def test_results_of_another_run_are_not_overwritten(folder, plain_report):
    assert run("data.npy", "--n", "6", *SMALL).exit_code == 0
    message = refuse("data.npy", "--n", "7", *SMALL)
    assert "use --overwrite or another --out" in message
    assert run("data.npy", "--n", "6", *SMALL).exit_code == 0  # the same options replace it
