"""The command line: what it writes, what it says, and that it leaves nothing half-done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import kappaflow as kf
from kappaflow import report
from kappaflow.cli import app, errors, loading, parsing
from kappaflow.cli import output as output_module
from kappaflow.cli import predict as predict_module
from kappaflow.cli.options import Data
from kappaflow.consistency.diagnosis import diagnosis_to_json
from kappaflow.consistency.prediction import Band, default_bands, predict, prediction_to_json
from kappaflow.datasets import open_images
from kappaflow.sample_size import NotReachedError
from kappaflow.sampling import initial_noise

SEED = 20260
SIZES = "30,100"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder with data.npy: 60 grey 6×6 images of unequal variances."""
    rng = np.random.default_rng(SEED)
    scales = np.linspace(0.3, 0.02, 36).reshape(6, 6)
    np.save(tmp_path / "data.npy", 0.4 * rng.standard_normal((60, 6, 6)) * scales)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(errors.DEBUG_VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def plain_report(monkeypatch):
    """A report without drawings: those have their own tests, and take seconds."""

    def write(prediction, directory, *, facts):
        (Path(directory) / "figures").mkdir()
        (Path(directory) / "figures" / "kappa.svg").write_text("<svg/>")
        path = Path(directory) / "report.html"
        path.write_text(f"{prediction.source} {facts['kappaflow']}")
        return path

    monkeypatch.setattr(report, "write_report", write)


def run(*arguments):
    """A result of a command, which must not end in an exception that users would see."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeed(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def refuse(*arguments, code=2):
    """The error line of a command that must fail."""
    result = run(*arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


def predict_small(*more):
    return run("predict", "data.npy", "--n", SIZES, "--seeds", "4", "--bands", "2", *more)


def names(path):
    return sorted(entry.name for entry in Path(path).iterdir())


def assert_same(a, b):
    """Equal JSON, numbers to rounding: matrices in memory and from a file are laid out differently."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_same(left, right)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-10, abs=1e-13)
    else:
        assert a == b


# --- predict ----------------------------------------------------------------------------------------------------------


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
    assert source.scaling in saved.description

    numbers = json.loads((out / "predictions.json").read_text())
    assert numbers.pop("format") == predict_module.PREDICTIONS_FORMAT
    assert numbers.pop("version") == kf.__version__
    expected = predict(saved, source="data", n=[30, 100], sigma_max=20.0, seeds=range(4), bands=2)
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
    for words in ("60 images, 6×6", "Eigenbands", "most consistent", "modes 7-36", "note: The numbers describe linear"):
        assert words in text


def test_predict_takes_a_saved_population(folder, plain_report):
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    predict_small("--out", "a", "-q")
    succeed("predict", "p.safetensors", "--n", SIZES, "--seeds", "0-3", "--bands", "1-6,7-36", "--out", "b", "-q")
    a, b = (json.loads(Path(name, "predictions.json").read_text()) for name in "ab")
    assert a.pop("source") == "data"
    assert b.pop("source") == "p"
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


# --- the output folder ------------------------------------------------------------------------------------------------


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
    assert "files that are no results of kappaflow (thesis.tex)" in message
    assert predict_small("--out", "o", "--overwrite").exit_code == 0
    assert Path("o", "thesis.tex").read_text() == "mine"
    assert len(names("o")) == 6


def test_files_of_the_former_run_go(folder, plain_report):
    predict_small("--out", "o")
    former = json.loads(Path("o", "options.json").read_text())
    former["files"] += ["extra.svg", "../data.npy"]
    Path("o", "options.json").write_text(json.dumps(former))
    Path("o", "extra.svg").write_text("")
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
@pytest.mark.parametrize("where", ["load_population", "write_json", "predict"])
def test_interrupted_run_leaves_everything_as_it_was(folder, plain_report, monkeypatch, where, existing):
    if existing:
        predict_small("--out", "o")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict_module.core if where == "predict" else predict_module, where, interrupt)
    result = predict_small("--out", "o")
    assert result.exit_code == 130
    assert result.stderr.strip().splitlines()[-1] == "interrupted: nothing was written"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert names(folder) == (["data.npy", "o"] if existing else ["data.npy"])


def test_failing_report_leaves_nothing(folder, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "write_report", fail)
    assert "No space left on device" in refuse(
        "predict", "data.npy", "--n", "30", "--seeds", "2", "--bands", "1", code=1
    )
    assert names(folder) == ["data.npy"]


# --- moments, seeds, plan, info ---------------------------------------------------------------------------------------


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
    assert "--out must name a file" in refuse("moments", "data.npy", "--out", make("d.safetensors"))
    assert names(folder) == ["d.safetensors", "data.npy", "p.safetensors"]


def make(name):
    Path(name).mkdir()
    return name


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
    assert ranks == ["1", "2", "…", "11", "12"]
    assert "--n must be one training-set size" in refuse("seeds", "data.npy", "--n", "10,20")


def test_plan_brackets_like_the_library(folder):
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    result = succeed(
        "plan", "p.safetensors", "--tolerance", "0.05", "--bands", "1-4,5-36", "--json", "plan.json", "--sigma-max", 20
    )
    assert "all modes" in result.stdout
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

    monkeypatch.setattr("kappaflow.consistency.needed.samples_for", never)
    assert "over 1e12" in succeed("plan", "data.npy", "--json", "p.json").stdout
    assert json.loads(Path("p.json").read_text())["total"]["n"] is None


@pytest.fixture
def heavy(folder):
    """heavy.npy: 400 grey 4×4 images whose contrast varies much."""
    rng = np.random.default_rng(SEED)
    images = 0.2 * rng.standard_normal((400, 16)) / np.sqrt(np.arange(1, 17)) * rng.gamma(1.0, 1.0, (400, 1)) ** 0.5
    np.save("heavy.npy", images.reshape(400, 4, 4))
    return folder


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
    assert "The Gaussian law was taken unseen: the population holds no images from which to diagnose another." in text
    assert "On natural images the true variance between training sets is larger" in text
    message = refuse("seeds", "data.npy", "--n", "50", "--law", "empirical", "--profiles", "0")
    assert "population must hold profiles for law='empirical', got none" in message


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


def test_version_and_help(folder):
    assert succeed("--version").stdout == f"kappaflow {kf.__version__}\n"
    for command in ("predict", "moments", "seeds", "plan", "diagnose", "info"):
        assert "DATA" in succeed(command, "--help").stdout


# --- errors -----------------------------------------------------------------------------------------------------------


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


def test_skipped_files_are_named(folder):
    pictures = Path(make("pictures"))
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
    monkeypatch.setattr(loading, "available_memory", lambda: 10**6)
    message = refuse("seeds", "data.npy", "--n", "50", "--seeds", "20000", code=1)
    assert message.startswith("--seeds: 20000 seeds of 36 dimensions need")
    monkeypatch.setattr(loading, "available_memory", lambda: None)
    succeed("seeds", "data.npy", "--n", "50", "--seeds", "2")


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


# --- lists ------------------------------------------------------------------------------------------------------------


def test_lists():
    assert parsing.parse_sizes(None) is None
    assert parsing.parse_sizes(["300,100", "1e3", "1_000"]) == [100, 300, 1000]
    assert parsing.parse_seeds("3") == [0, 1, 2]
    assert parsing.parse_seeds("3,") == [3]
    assert parsing.parse_seeds("2-4, 9") == [2, 3, 4, 9]
    assert parsing.parse_bands("5") == 5
    assert parsing.parse_bands("1-4,5,6-20") == [Band(0, 4), Band(4, 5), Band(5, 20)]
    assert parsing.parse_shape("28x28") == (28, 28)
    assert parsing.parse_shape("32, 32,3") == (32, 32, 3)


def test_names_of_data(folder):
    make("my photos")
    assert Data("digits").name == "digits"
    assert Data("data.npy").name == "data"
    assert Data("my photos/").name == "my-photos"
    assert Data(".").name == folder.name


def test_the_library_imports_no_command_line():
    code = "import sys, kappaflow; print(sorted({'typer', 'rich', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    package = str(Path(kf.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
