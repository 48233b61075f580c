"""The commands that print tables: moments, seeds, plan, diagnose, info; and the law that they take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kappaflow as kf
from commands import assert_same, names, predict_small, refuse, succeed
from kappaflow import memory
from kappaflow.bands import Band
from kappaflow.consistency.diagnosis import diagnosis_to_json
from kappaflow.datasets import open_images
from kappaflow.sample_size import NotReachedError
from kappaflow.sampling import initial_noise

SEED = 20260


@pytest.fixture
def heavy(folder):
    """heavy.npy: 400 grey 4×4 images whose contrast varies much."""
    rng = np.random.default_rng(SEED)
    images = 0.2 * rng.standard_normal((400, 16)) / np.sqrt(np.arange(1, 17)) * rng.gamma(1.0, 1.0, (400, 1)) ** 0.5
    np.save("heavy.npy", images.reshape(400, 4, 4))
    return folder


def test_moments(folder):
    result = succeed("moments", "data.npy", "--out", "p.safetensors", "--limit", "50")
    assert result.stdout.splitlines() == [
        f"50 images, 36 dimensions, 36 modes, 50 profiles, total variance {kf.Population.load('p.safetensors').total_variance:.4g}",
        "p.safetensors",
    ]
    assert "'p.safetensors' exists already" in refuse("moments", "data.npy", "--out", "p.safetensors")
    succeed("moments", "data.npy", "--out", "p.safetensors", "--overwrite")
    assert kf.Population.load("p.safetensors").sample_size == 60
    assert kf.Population.load("p.safetensors").profiles.shape == (60, 36)
    succeed("moments", "data.npy", "--out", "p.safetensors", "--overwrite", "--profiles", "0")
    assert kf.Population.load("p.safetensors").profiles is None
    assert "--out must end in .safetensors" in refuse("moments", "data.npy", "--out", "p.npy")
    Path("d.safetensors").mkdir()
    assert "--out must name a file" in refuse("moments", "data.npy", "--out", "d.safetensors")
    assert names(folder) == ["d.safetensors", "data.npy", "p.safetensors"]


def test_seeds_ranks_like_the_library(folder):
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    result = succeed("seeds", "p.safetensors", "--n", "200", "--seeds", "3,7,9", "--json", "s.json")
    assert result.stdout.splitlines()[-1] == "s.json"
    splits = kf.Splits(kf.Population.load("p.safetensors"), 200)
    values = splits.disagreement(splits.sampling_map(), initial_noise([3, 7, 9], 36, 80.0))
    found = json.loads(Path("s.json").read_text())
    order = np.argsort(values)
    assert found["seeds"] == np.array([3, 7, 9])[order].tolist()
    assert found["disagreement"] == values[order].tolist()
    assert found["mean_disagreement"] == float(splits.mean_disagreement(splits.sampling_map(), input_variance=80.0**2))
    assert "'s.json' exists already" in refuse("seeds", "p.safetensors", "--n", "9", "--json", "s.json")


def test_seeds_shows_both_ends(folder):
    lines = succeed("seeds", "data.npy", "--n", "1e2", "--seeds", "12", "--top", "2").stdout.splitlines()
    ranks = [line.split()[1] for line in lines if line.startswith("│")]
    assert ranks == ["1", "2", "…", "11", "12"] * 2  # for networks and for linear models
    assert "--n must be one training-set size" in refuse("seeds", "data.npy", "--n", "10,20")


def test_plan_brackets_like_the_library(folder):
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    result = succeed(
        "plan", "p.safetensors", "--tolerance", "0.05", "--bands", "1-4,5-36", "--json", "plan.json", "--sigma-max", 20
    )
    assert "all modes" in result.stdout
    title = "p: images for a relative disagreement of two linear models of at most 0.05"
    assert title in " ".join(result.stdout.split())
    population = kf.Population.load("p.safetensors")
    found = json.loads(Path("plan.json").read_text())
    for row, bands in [(found["bands"][0], [Band(0, 4)]), (found["bands"][1], [Band(4, 36)]), (found["total"], None)]:
        answer = kf.samples_for(
            population, lambda splits: splits.sampling_map(0.0, 20.0), 0.05, bands=bands, input_variance=400.0
        )
        assert (row["n"], row["value"], row["n_below"]) == (answer.n, answer.value, answer.n_below)
        assert row["value"] <= 0.05 < row["value_below"]
    assert found["bands"][1]["label"] == "modes 5-36"


def test_plan_says_where_no_n_suffices(folder, monkeypatch):
    def never(*_arguments, **_options):
        raise NotReachedError("tolerance must be at least 0.3, the measure at n = 1, got 0.1")

    monkeypatch.setattr("kappaflow.consistency.needed.smallest_size", never)
    assert "over 1e12" in succeed("plan", "data.npy", "--json", "p.json").stdout
    assert json.loads(Path("p.json").read_text())["total"]["n"] is None


def test_diagnose_says_what_the_library_finds(heavy):
    result = succeed("diagnose", "heavy.npy", "--n", "60", "--seed", "3", "--json", "d.json")
    *_, recommendation, path = result.stdout.splitlines()
    assert path == "d.json"
    source = open_images("heavy.npy")
    population = kf.Population.from_samples(source.batches(), profiles=400)
    found = kf.diagnose(population, n=60, seed=3)
    assert recommendation == found.recommendation
    numbers = json.loads(Path("d.json").read_text())
    assert numbers.pop("format") == "kappaflow-diagnosis-1"
    assert (numbers.pop("source"), numbers.pop("seed")) == ("heavy", 3)
    assert_same(numbers, json.loads(json.dumps(diagnosis_to_json(found))))
    for words in ("leverage", "kurtosis", "Gaussian law", "empirical law", "96 training sets of 60"):
        assert words in result.stdout


def test_diagnose_needs_profiles(folder):
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q", "--profiles", "0")
    message = refuse("diagnose", "p.safetensors")
    assert "the saved population 'p.safetensors' holds no profiles" in message
    assert "kappaflow moments IMAGES --out p.safetensors --profiles 8192" in message
    assert "--profiles must be above 0 for a diagnosis" in refuse("diagnose", "data.npy", "--profiles", "0")
    assert "must hold at least 16 profiles" in refuse("diagnose", "data.npy", "--limit", "12")
    assert "--n must be one training-set size" in refuse("diagnose", "data.npy", "--n", "10,20")
    assert "--profiles does not apply to the saved population" in refuse(
        "seeds", "p.safetensors", "--n", "9", "--profiles", "9"
    )


def test_commands_take_the_law_that_is_recommended(heavy, plain_report):
    recommended = kf.diagnose(kf.Population.from_samples(open_images("heavy.npy").batches(), profiles=400)).law
    assert recommended != "gaussian"
    succeed("moments", "heavy.npy", "--out", "p.safetensors", "-q")
    population = kf.Population.load("p.safetensors")
    assert "law: The " in succeed("seeds", "p.safetensors", "--n", "50", "--seeds", "2", "--json", "s.json").stdout
    succeed("plan", "p.safetensors", "--bands", "1", "--json", "p.json", "-q")
    succeed("predict", "p.safetensors", "--n", "50", "--seeds", "2", "--bands", "1", "--out", "o", "-q")
    found = [json.loads(Path(name).read_text()) for name in ("s.json", "p.json", "o/predictions.json")]
    assert [numbers["law"] for numbers in found] == [recommended] * 3
    splits = kf.Splits(population, 50, law=recommended)
    total = float(splits.mean_disagreement(splits.sampling_map(), input_variance=80.0**2))
    assert found[0]["mean_disagreement"] == total
    assert found[2]["total_disagreement"] == [pytest.approx(total, rel=1e-12)]
    asked = succeed("seeds", "p.safetensors", "--n", "50", "--law", "gaussian", "--json", "g.json")
    assert "The Gaussian law was asked for." in asked.stdout
    assert json.loads(Path("g.json").read_text())["mean_disagreement"] < total
    for command in (("seeds", "--n", "50"), ("plan",), ("predict",)):
        message = refuse(command[0], "p.safetensors", *command[1:], "--law", "normal")
        assert message == "--law must be one of 'auto', 'gaussian', 'elliptical', 'empirical', got 'normal'"


def test_without_profiles_the_law_is_gaussian_and_says_so(folder, plain_report):
    text = " ".join(predict_small("--profiles", "0").stdout.split())
    assert "The Gaussian law is used without a test: the population holds no images to test the laws on." in text
    assert "On natural images the true variance between training sets is larger" in text
    message = refuse("seeds", "data.npy", "--n", "50", "--law", "empirical", "--profiles", "0")
    assert message == "--profiles must be above 0 for --law empirical, got 0"


def test_info(folder, monkeypatch):
    text = succeed("info").stdout
    assert kf.__version__ in text
    assert "1,797 images, 8×8" in text
    text = succeed("info", "data.npy").stdout
    assert "6×6 (36 dimensions)" in text
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    text = succeed("info", "p.safetensors").stdout
    assert "saved population" in text
    assert "60" in text

    def missing(*_arguments, **_options):
        raise ImportError("the built-in data need the package skimage")

    monkeypatch.setattr("kappaflow.cli.info.open_data", missing)
    assert "not available: the built-in data need the package skimage" in " ".join(succeed("info").stdout.split())


def test_skipped_files_are_named(folder):
    pictures = Path("pictures")
    pictures.mkdir()
    rng = np.random.default_rng(SEED)
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (3, 3), dtype=np.uint8)).save(pictures / f"{number}.png")
    (pictures / "4.png").write_bytes(b"not a picture")
    assert "4.png" in refuse("moments", "pictures", "--out", "p.safetensors")
    result = succeed("moments", "pictures", "--out", "p.safetensors", "--skip-corrupt")
    assert "left out: " in result.stderr
    assert "4.png" in result.stderr
    assert kf.Population.load("p.safetensors").sample_size == 4


def test_seeds_that_do_not_fit_in_memory(folder, monkeypatch):
    monkeypatch.setattr(memory, "_of_machine", lambda: 10**6)
    message = refuse("seeds", "data.npy", "--n", "50", "--seeds", "20000", code=1)
    assert message.startswith("--seeds: the noise of 20000 seeds of 36 dimensions needs")
    monkeypatch.setattr(memory, "_of_machine", lambda: None)
    succeed("seeds", "data.npy", "--n", "50", "--seeds", "2")


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("seeds", "--n", "50", "--seeds", "3"),
        ("plan", "--bands", "2"),
        ("diagnose", "--n", "20"),
    ],
    ids=lambda command: command[0],
)
def test_json_on_standard_output_is_alone_there(folder, command):
    name, *options = command
    succeed(name, "data.npy", *options, "--json", "numbers.json")
    result = succeed(name, "data.npy", *options, "--json", "-")
    assert json.loads(result.stdout) == json.loads(Path("numbers.json").read_text())
    assert result.stdout == Path("numbers.json").read_text()
    assert "data" in result.stderr.splitlines()[0]  # the title of the table
    quiet = succeed(name, "data.npy", *options, "--json", "-", "-q")
    assert (quiet.stdout, quiet.stderr) == (result.stdout, "")
    assert names(folder) == ["data.npy", "numbers.json"]
