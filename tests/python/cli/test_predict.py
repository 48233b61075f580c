"""``kappaflow predict``: what it writes and what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import kappaflow as kf
from commands import assert_same, names, predict_small, refuse, succeed
from kappaflow.bands import default_bands
from kappaflow.cli import predict as predict_module
from kappaflow.consistency.predict import predict
from kappaflow.consistency.prediction import prediction_to_json
from kappaflow.datasets import open_images

SIZES = "30,100"
PILOT = "kappaflow pilot data.npy --arch unet"


def test_predict_writes_the_library_numbers(folder, plain_report):
    result = predict_small("--sigma-max", "20")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "kappaflow-data/report.html"
    out = folder / "kappaflow-data"
    assert names(out) == ["figures", "options.json", "population.safetensors", "predictions.json", "report.html"]
    assert names(folder) == ["data.npy", "kappaflow-data"]

    source = open_images("data.npy")
    population = kf.Population.from_samples(source.batches(), profiles=60)
    saved = kf.Population.load(out / "population.safetensors")
    np.testing.assert_array_equal(saved.eigenvalues, population.eigenvalues)
    np.testing.assert_array_equal(saved.profiles, population.profiles)
    assert saved.shape == (6, 6)
    assert saved.provenance == replace(source.provenance, distinct="all 60 images are distinct")
    for label, text in saved.provenance.lines():
        assert f"{label}: {text}" in " ".join(result.stderr.split())

    numbers = json.loads((out / "predictions.json").read_text())
    assert numbers["provenance"] == saved.provenance.as_json()
    assert numbers.pop("format") == predict_module.PREDICTIONS_FORMAT
    assert numbers.pop("version") == kf.__version__
    pilot = PILOT.replace(" --arch", " --sigma-max 20 --arch")
    expected = predict(saved, source="data", n=[30, 100], sigma_max=20.0, seeds=range(4), bands=2, pilot=pilot)
    assert_same(numbers, json.loads(json.dumps(prediction_to_json(expected))))

    options = json.loads((out / "options.json").read_text())
    assert options["options"]["n"] == [30, 100]
    assert options["options"]["sigma_max"] == 20.0
    assert options["options"]["law"] == "auto"
    assert options["resolved"]["law"] == numbers["law"]
    assert options["resolved"]["profiles"] == 60
    assert options["options"]["seeds"] == [0, 1, 2, 3]
    assert options["machine"]["numpy"] == np.__version__
    assert options["resolved"]["bands"] == [band.label for band in default_bands(len(saved.eigenvalues), 2)]
    assert options["files"] == [
        "figures/kappa.svg",
        "population.safetensors",
        "predictions.json",
        "report.html",
        "options.json",
    ]
    assert str(folder) not in (out / "options.json").read_text()


def test_predict_prints_its_tables(folder, plain_report):
    text = predict_small().stdout
    for words in (
        "60 images, 6×6",
        "two linear diffusion models trained on",
        "Two linear models by eigenband",
        "most consistent",
        "modes 7-36",
        "note: The numbers describe linear",
    ):
        assert words in text


def test_predict_takes_a_saved_population(folder, plain_report):
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    predict_small("--out", "a", "-q")
    succeed("predict", "p.safetensors", "--n", SIZES, "--seeds", "0-3", "--bands", "1-6,7-36", "--out", "b", "-q")
    a, b = (json.loads(Path(name, "predictions.json").read_text()) for name in "ab")
    assert a.pop("source") == "data"
    assert b.pop("source") == "p"
    assert a["networks"].pop("command") == PILOT
    assert b["networks"].pop("command") == "kappaflow pilot IMAGES --arch unet"
    assert_same(a, b)


def test_predict_of_a_spectrum_alone_has_no_seed_images(folder, plain_report):
    kf.Population.from_spectrum([4.0, 1.0, 0.25], [1, 2, 5]).save("s.safetensors")
    result = succeed("predict", "s.safetensors", "--n", "50")
    assert "known exactly" in result.stdout
    assert "most consistent" not in result.stdout
    numbers = json.loads(Path("kappaflow-s", "predictions.json").read_text())
    assert numbers["seeds"] == []
    assert "multiplicities" in refuse("seeds", "s.safetensors", "--n", "50")


def test_quiet_prints_the_path_alone(folder, plain_report):
    result = predict_small("--quiet", "--out", "here")
    assert result.stdout == "here/report.html\n"
    assert result.stderr == ""


def test_real_run_of_digits_as_a_process(folder):
    package = str(Path(kf.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    arguments = ["predict", "digits", "--n", "100", "--seeds", "3", "--bands", "2", "--size", "4", "--limit", "300"]
    done = subprocess.run(
        [sys.executable, "-m", "kappaflow", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "kappaflow-digits/report.html"
    out = folder / "kappaflow-digits"
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    assert names(out / "figures")
    assert [name for name in names(out) if name.startswith(".")] == []
    assert (out / "report.html").stat().st_mode & 0o777 == (out / "options.json").stat().st_mode & 0o777
