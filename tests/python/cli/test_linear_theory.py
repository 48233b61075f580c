"""Numbers of linear theory are never alone: the measured range of networks, and the command that answers for the user's."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import predict_small, succeed
from kappaflow.cli.options import Data
from kappaflow.consistency.network_words import network_words

AWKWARD = "my images; it's $HOME.npy"
ASKED = f"  kappaflow pilot {shlex.quote(AWKWARD)} --size 4 --limit 55 --arch unet"


@pytest.fixture
def awkward(folder: Path) -> str:
    """The same images under a name that a shell would take apart."""
    Path("data.npy").rename(AWKWARD)
    return AWKWARD


def numbers(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("command", "n", "path"),
    [
        (("predict", "--n", "30", "--out", "out"), 30, "out/predictions.json"),
        (("predict", "--n", "10000", "--out", "out"), 10000, "out/predictions.json"),
        (("plan", "--json", "out.json"), None, "out.json"),
        (("seeds", "--n", "40", "--json", "out.json"), 40, "out.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_numbers_of_linear_theory_name_the_range_and_the_command(
    awkward: str, plain_report: None, command: tuple[str, ...], n: int | None, path: str
) -> None:
    output = succeed(command[0], awkward, "--size", "4", "--limit", "55", *command[1:]).stdout
    content = numbers(path)
    words = network_words(content["total"]["n"] if n is None else n, ASKED.strip())
    assert content["networks"] == words.as_json()
    assert set(content["networks"]) == {"low", "high", "measured_at", "command"}
    assert output.splitlines().count(ASKED) == 1  # whole, although it is longer than the line of the terminal
    text = " ".join(output.split())
    for sentence in (words.warning, words.measured, words.ask):
        assert text.count(sentence) == 1


def test_the_command_reads_the_images_of_the_first(awkward: str) -> None:
    """Other commands take the words of DATA as they are printed."""
    command = numbers_of_plan("--shape", "3,12", "--limit", "50")
    assert command[:3] == ["kappaflow", "pilot", awkward]
    assert command[-2:] == ["--arch", "unet"]
    text = succeed("info", *command[2:-2]).stdout
    assert "3×12 (36 dimensions)" in text
    assert "50" in text


def numbers_of_plan(*options: str) -> list[str]:
    succeed("plan", AWKWARD, *options, "--json", "p.json", "-q")
    return shlex.split(numbers("p.json")["networks"]["command"])


def test_every_option_of_the_data_is_repeated() -> None:
    given = Data("-d", patch=8, grey=True, size=14, limit=100, shape="28,28", skip_corrupt=True)
    assert given.as_typed() == [
        *("./-d", "--patch", "8", "--grey", "--size", "14", "--limit", "100", "--shape", "28,28", "--skip-corrupt")
    ]
    assert Data("p.safetensors").as_typed() == ["IMAGES"]


def test_the_command_asks_the_same_question(folder: Path) -> None:
    asked = ("--sigma-max", "40", "--tolerance", "0.05")
    succeed("plan", "data.npy", *asked, "--json", "p.json", "-q")
    succeed("plan", "data.npy", "--sigma-max", "80", "--tolerance", "0.1", "--json", "default.json", "-q")
    commands = [numbers(path)["networks"]["command"] for path in ("p.json", "default.json")]
    assert commands == [
        f"kappaflow pilot data.npy {' '.join(asked)} --arch unet",
        "kappaflow pilot data.npy --arch unet",
    ]


@pytest.mark.parametrize("shape", [(200, 8, 8), (200, 20)], ids=["images", "vectors"])
def test_the_command_runs_as_it_is_printed(workplace: Path, shape: tuple[int, ...]) -> None:
    """With --dry-run, which trains nothing."""
    np.save(AWKWARD, np.random.default_rng(0).uniform(-1, 1, shape))
    program, *words = numbers_of_plan("--limit", "150", "--tolerance", "0.05", "--sigma-max", "40")
    assert program == "kappaflow"
    text = succeed(*words, "--dry-run").stdout
    assert "75" in text  # half of the 150 images: the largest pilot


def test_the_order_for_networks_claims_no_amount_and_says_who_knows_it(folder: Path) -> None:
    text = succeed("seeds", "data.npy", "--json", "s.json").stdout
    assert text.splitlines().count("  kappaflow pilot data.npy --arch unet") == 1
    assert numbers("s.json")["networks"] == network_words(None, "kappaflow pilot data.npy --arch unet").as_json()
    assert "times as much" not in text


def test_predict_prints_the_order_for_networks_first(folder: Path, plain_report: None) -> None:
    text = predict_small("--seeds", "16").stdout
    ranked = numbers("kappaflow-data/predictions.json")["network_seeds"]["posterior_variance"]
    order = np.argsort(-np.array(ranked), kind="stable")
    lines = text[text.index("networks: change") :].splitlines()
    first = next(line for line in lines if line.startswith("│"))
    assert [cell.strip() for cell in first.split("│")[1:3]] == [str(order[0]), str(order[-1])]
    assert "an order predicted from your images, not an amount" in " ".join(text.split())


@pytest.mark.parametrize("saved", [False, True])
def test_predict_says_why_seeds_are_not_ranked_for_networks(folder: Path, plain_report: None, saved: bool) -> None:
    if saved:
        succeed("moments", "data.npy", "--out", "p.safetensors", "--profiles", "0", "-q")
        text = succeed("predict", "p.safetensors", "--n", "30").stdout
    else:
        text = predict_small("--profiles", "0").stdout
    assert "networks: change" not in text
    assert (
        "note: The seeds are not ranked for networks: the population keeps no images. Read the images again with profiles "
        "(option --profiles, or profiles= of Population.from_samples)."
    ) in " ".join(text.split())
