"""``kappaflow pilot`` and the networks of ``kappaflow plan``: linear networks answer as the law says, wrong input is refused."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import commands

torch = pytest.importorskip("torch")

from kappaflow.models.checkpoint import network_facts  # noqa: E402
from kappaflow.validation.network import sweep  # noqa: E402
from once import once  # noqa: E402
from smooth import SHAPE, smooth  # noqa: E402

#: Short names of sizes and settings; networks are kept in the folder "runs".
SMALL = ("--arch", "linear", "--n", "30,60", "--steps", 600, "--batch", 128, "--learning-rate", 0.05, "--repeats", 1)
SAMPLER = ("--seeds", 64, "--sampler-steps", 18)

pilot = partial(commands.run, "pilot")
refuse = partial(commands.refuse, "pilot")


def _train(folder: Path) -> tuple[Path, str]:
    """A folder with data.npy, the kept networks and the results of a first run; and what that run printed."""
    np.save(folder / "data.npy", smooth(400).reshape(-1, *SHAPE))
    result = pilot(folder / "data.npy", *SMALL, *SAMPLER, "--runs", folder / "runs", "--out", folder / "out")
    assert result.exit_code == 0, result.output
    return folder, result.stdout


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return once(tmp_path_factory, "pilot-command", _train)


@pytest.fixture
def folder(trained: tuple[Path, str]) -> Path:
    return trained[0]


def numbers(folder: Path, name: str = "out") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name / "pilot.json").read_text())
    return content


def checkpoints(folder: Path, n: int) -> dict[str, str]:
    """Split and member → file of the networks of full length at n."""
    found = {}
    for path in sorted((folder / "runs").glob("*/model.safetensors")):
        facts = network_facts(path)
        assert facts is not None
        if facts["training"]["steps"] == 600 and len(facts["indices"]) == n:
            found[facts["run"].split()[2]] = str(path)
    return found


def test_answer_of_linear_networks_is_that_of_the_law(trained: tuple[Path, str]) -> None:
    folder, printed = trained
    content = numbers(folder)
    assert content["format"] == "kappaflow-pilot-1"
    assert content["networks"] == "linear"
    there = next(each for each in content["curve"] if each["n"] == 200)  # half of the images
    assert there["everything"]["value"] == pytest.approx(there["law"] + content["fit"]["floor"], rel=0.35)
    assert (
        f"trained on 200 images each will disagree by about {100 * there['everything']['value']:.2g} %"
        in printed.replace("\N{NO-BREAK SPACE}", " ")
    )
    assert content["length"]["n"] == 60
    assert [each["steps"] for each in content["length"]["trainings"]] == [150, 300, 600]
    assert (folder / "out" / "report.html").read_text().count("<figure") >= 1
    options = json.loads((folder / "out" / "options.json").read_text())
    assert options["options"]["arch"] == "linear"


def test_a_second_run_trains_nothing_and_ends_with_the_same_answer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a kept network was trained again")

    monkeypatch.setattr(sweep, "train", never)
    result = pilot(
        folder / "data.npy",
        *SMALL,
        *SAMPLER,
        "--runs",
        folder / "runs",
        "--out",
        tmp_path / "again",
        "--workers",
        1,
        "-q",
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "again" / "report.html")
    first, second = numbers(folder), numbers(tmp_path, "again")
    commands.assert_same(first, second)


def test_plan_answers_for_kept_networks(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    result = commands.run("plan", folder / "data.npy", "--runs", folder / "runs", "--json", out)
    assert result.exit_code == 0, result.output
    assert "linear networks trained on 200 images each will disagree by about" in result.stdout
    assert "kappaflow pilot" not in result.stdout  # the question is answered
    content = json.loads(out.read_text())["pilot"]
    before = numbers(folder)
    assert content["fit"]["data"] == pytest.approx(before["fit"]["data"], rel=0.3)  # other seeds
    assert [each["tolerance"] for each in content["needed"]] == [each["tolerance"] for each in before["needed"]]


def test_plan_names_networks_that_it_cannot_read(folder: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(folder / "runs", runs)
    (runs / "linear-n60-damaged").mkdir()
    (runs / "linear-n60-damaged" / "model.safetensors").write_bytes(b"half")
    result = commands.run("plan", folder / "data.npy", "--runs", runs)
    assert result.exit_code == 0, result.output
    assert "cannot be read and are left out: linear-n60-damaged." in " ".join(result.stdout.split())


def test_copies_of_images_are_a_caveat(folder: Path, tmp_path: Path) -> None:
    images = np.load(folder / "data.npy")
    np.save(tmp_path / "twice.npy", np.concatenate([images, images[:40]]))
    at_60 = checkpoints(folder, 60)
    text = f"60:{at_60['A0']},{at_60['B1']},{at_60['B0']}"
    result = pilot(tmp_path / "twice.npy", "--observed", text, *SAMPLER, "--out", tmp_path / "copies", "-q")
    assert result.exit_code == 0, result.output
    assert any("40 of 440 images are copies of others" in note for note in numbers(tmp_path, "copies")["notes"])
    assert not any("copies" in note for note in numbers(folder)["notes"])


def test_models_of_ones_own_give_the_same_pairs(folder: Path, tmp_path: Path) -> None:
    at_60 = checkpoints(folder, 60)
    assert sorted(at_60) == ["A0", "B0", "B1"]
    text = f"60:{at_60['A0']},{at_60['B1']},{at_60['B0']}"
    result = pilot(folder / "data.npy", "--observed", text, *SAMPLER, "--out", tmp_path / "own", "-q")
    assert result.exit_code == 0, result.output
    content, before = numbers(tmp_path, "own"), numbers(folder)
    (size,) = content["sizes"]
    known = next(each for each in before["sizes"] if each["n"] == 60)
    assert size["everything"][0] == pytest.approx(known["everything"][0], rel=1e-5)
    assert size["same_images"][0] == pytest.approx(known["same_images"][0], rel=1e-5)
    assert any("Only one size" in note for note in content["notes"])
    assert content["length"] is None


def test_a_population_without_profiles_takes_another_law(folder: Path, tmp_path: Path) -> None:
    arguments = ("--runs", folder / "runs", "--profiles", 0, "--out", tmp_path / "bare", "-q")
    result = pilot(folder / "data.npy", *SMALL, *SAMPLER, *arguments)
    assert result.exit_code == 0, result.output
    content = numbers(tmp_path, "bare")
    assert content["law"] == "gaussian"  # laws that need profiles are left out
    assert content["seed_amounts"] is not None  # the images are there, even if the population keeps none


def test_dry_run_shows_what_would_be_trained(folder: Path, tmp_path: Path) -> None:
    result = pilot(folder / "data.npy", *SMALL, "--runs", tmp_path / "none", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "pilots of preset laptop: 12 networks" in result.stdout
    assert not (tmp_path / "none").exists()
    rows = [line.split("│")[1:-1] for line in result.stdout.splitlines() if "linear" in line]
    assert [[cell.strip() for cell in row][2:5] for row in rows] == [
        ["30, 60", "6", "600"],
        ["60", "3", "150"],
        ["60", "3", "300"],
    ]


@pytest.fixture
def few(workplace: Path) -> Path:
    np.save(workplace / "few.npy", smooth(40).reshape(-1, *SHAPE))
    np.save(workplace / "data.npy", smooth(100).reshape(-1, *SHAPE))
    return workplace


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["few.npy"], "the images of DATA must be at least 60 for pilots, got 40"),
        (
            ["data.npy", "--arch", "unet,dit"],
            "--arch must be one of 'unet', 'dit', 'mlp', 'linear', 'linear-conv', got 'unet,dit'",
        ),
        (["data.npy", "--n", "60"], "--n must be at most 50, half of the 100 images, got 60"),
        (["data.npy", "--tolerance", "1.5"], "--tolerance must be a number from 0.000001 to 0.999, got '1.5'"),
        (["data.npy", "--observed", "60"], "--observed must be N:A,B or N:A,B,B2"),
        (["data.npy", "--observed", "60:a"], "--observed must be N:A,B or N:A,B,B2"),
        (["data.npy", "--observed", "60:a,b"], "third model or a second size"),
        (["data.npy", "--observed", "x:a,b,c"], "--observed"),
        (["data.npy", "--observed", "60:a,b,b"], "models of a pilot must differ"),
        (
            ["data.npy", "--observed", "60:a,b,c", "--arch", "unet"],
            "--arch is for training networks and cannot be used with",
        ),
        (["data.npy", "--observed", "60:a,b,c"], "'a'"),
    ],
)
def test_wrong_input_is_refused(few: Path, arguments: list[str], message: str) -> None:
    assert message in refuse(*arguments)


def test_pilots_that_fail_the_gate_end_with_the_reason(few: Path) -> None:
    result = pilot("data.npy", "--arch", "mlp", "--n", "20,40", "--steps", 4, *SAMPLER, "--workers", 1, "-q")
    assert result.exit_code == 1, result.output
    assert "no pilot passes the gate" in result.stderr
    assert "denoising loss" in result.stderr
    assert not (few / "kappaflow-pilot-data").exists()
    assert (few / "kappaflow-runs-data").is_dir()  # nothing that was trained is lost


def test_plan_refuses_networks_that_do_not_belong_to_the_images(few: Path, folder: Path) -> None:
    plan = partial(commands.refuse, "plan", "data.npy")
    assert "--runs must name a folder of trained networks" in plan("--runs", "nowhere")
    assert "no pair" in plan("--runs", folder / "runs")
    assert "cannot be used together" in plan("--runs", folder / "runs", "--observed", "10:a,b,c")
