"""``--groups`` and ``--flip``: what commands print, write and refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import kappaflow as kf
from commands import refuse, succeed
from kappaflow.cli.console import ProgressDisplay
from kappaflow.cli.loading import Rows, read_rows
from kappaflow.cli.network_plan import warnings_about
from kappaflow.cli.options import Data
from kappaflow.cli.parsing import parse_sizes
from kappaflow.datasets import open_images


@pytest.fixture
def clips(folder):
    """40 clips of 3 frames of 4×4 pixels."""
    rng = np.random.default_rng(0)
    for clip in range(40):
        (folder / "clips" / f"c{clip:02d}").mkdir(parents=True)
        scene = rng.uniform(60, 190, (4, 4))
        for frame in range(3):
            pixels = np.clip(scene + 20 * rng.standard_normal((4, 4)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "clips" / f"c{clip:02d}" / f"{frame}.png")
    return folder


def test_sizes_in_groups_are_parsed():
    assert [(size.number, size.groups, size.text) for size in parse_sizes(["10g,100", "1e3g"])] == [
        (10, True, "10g"),
        (100, False, "100"),
        (1000, True, "1000g"),
    ]
    for text in ("g", "1g", "2.5g", "10G", "10gg"):
        with pytest.raises(ValueError, match="--n must be whole numbers"):
            parse_sizes([text])


def test_predict_by_folder(clips, plain_report):
    few = ("--seeds", "4", "--bands", "2")
    result = succeed("predict", "clips", "--groups", "folder", "--n", "10g", "20g", *few)
    said = " ".join(result.stderr.split())
    assert "groups: 40 groups of 3 images (by folder)" in said
    shown = " ".join(result.stdout.split())
    assert "trained on 60 images (20 groups) each" in shown
    assert "30 (10 groups)" in shown
    assert "kappaflow pilot clips --groups folder --arch unet" in shown
    numbers = json.loads((clips / "kappaflow-clips" / "predictions.json").read_text())
    assert (numbers["n"], numbers["n_groups"], numbers["group_count"]) == ([30, 60], [10, 20], 40)
    assert numbers["law"] == "empirical"
    options = json.loads((clips / "kappaflow-clips" / "options.json").read_text())["options"]
    assert (options["groups"], options["n"], options["flip"]) == ("folder", ["10g", "20g"], False)
    saved = kf.Population.load(clips / "kappaflow-clips" / "population.safetensors")
    assert saved.group_count == 40
    again = succeed("predict", "kappaflow-clips/population.safetensors", "--n", "20g", "--out", "again", *few)
    assert "trained on 60 images (20 groups) each" in " ".join(again.stdout.split())
    relative = json.loads((clips / "again" / "predictions.json").read_text())["total_relative"]
    assert relative == pytest.approx(numbers["total_relative"][1:], rel=1e-9)


def test_plan_and_seeds_by_folder(clips):
    plan = json.loads(succeed("plan", "clips", "--groups", "folder", "--json", "-", "-q", "--tolerance", "0.3").stdout)
    alone = json.loads(succeed("plan", "clips", "--json", "-", "-q", "--tolerance", "0.3").stdout)
    assert plan["group_count"] == 40
    assert plan["total"]["n"] > 1.5 * alone["total"]["n"]
    table = succeed("plan", "clips", "--groups", "folder", "--tolerance", "0.3").stdout
    assert "groups" in next(line for line in table.splitlines() if "images ┃" in line)
    seeds = json.loads(
        succeed("seeds", "clips", "--groups", "folder", "--n", "10g", "--seeds", "4", "--json", "-", "-q").stdout
    )
    assert seeds["n"] == 30


def test_flips(clips):
    info = succeed("info", "clips", "--flip").stdout
    assert "horizontal flips" in " ".join(info.split())
    plan = json.loads(succeed("plan", "clips", "--flip", "--json", "-", "-q", "--tolerance", "0.3").stdout)
    assert (plan["versions"], plan["group_count"], plan["images"]) == (2, None, 120)
    out = succeed("moments", "clips", "--flip", "--groups", "^(c[0-9])", "--out", "p.safetensors").stdout
    assert "120 images" in out
    assert kf.Population.load("p.safetensors").group_count == 4


def test_validate_linear_draws_whole_groups(clips):
    out = succeed(
        *("validate", "linear", "clips", "--groups", "folder", "--n", "10g", "--draws", "40", "--inputs", "1"),
        *("--sampler-steps", "4", "--quantities", "bands", "--out", "v"),
    )
    assert "40 groups of 3 images" in " ".join(out.stdout.split())
    numbers = json.loads((clips / "v" / "validation.json").read_text())
    assert numbers["n"] == [30]


FEW_STEPS = (
    "--arch",
    "mlp",
    "--steps",
    "20",
    "--batch",
    "8",
    "--seeds",
    "16",
    "--sampler-steps",
    "5",
    "--workers",
    "1",
)


def test_networks_are_trained_on_sets_that_share_no_clip(clips, plain_report):
    pytest.importorskip("torch")
    from kappaflow.models.checkpoint import network_facts

    network = ("validate", "network", "clips", *FEW_STEPS)
    out = succeed(*network, "--groups", "folder", "--n", "5g", "20g", "--runs", "runs", "--out", "v")
    assert "groups: 40 groups of 3 images (by folder)" in " ".join(out.stderr.split())
    found = json.loads((clips / "v" / "validation.json").read_text())
    assert found["n"] == [15, 60]
    assert {forecast["law"] for forecast in found["forecasts"]} == {"empirical"}
    assert json.loads((clips / "v" / "options.json").read_text())["options"]["n"] == ["5g", "20g"]
    held = {}
    for path in (clips / "runs").glob("*/model.safetensors"):
        facts = network_facts(path)
        held.setdefault((len(facts["indices"]), facts["run"].split()[2][0]), set()).update(
            place // 3 for place in facts["indices"]
        )
    assert {key: len(groups) for key, groups in held.items()} == {
        (15, "A"): 5,
        (15, "B"): 5,
        (60, "A"): 20,
        (60, "B"): 20,
    }
    assert not held[60, "A"] & held[60, "B"]


def test_pilots_of_clips(clips):
    pytest.importorskip("torch")
    table = succeed("pilot", "clips", "--groups", "folder", "--arch", "mlp", "--steps", "20", "--dry-run").stdout
    assert "20, 60" in table  # the default: a third of the largest size, and that size
    table = succeed("pilot", "clips", "--groups", "^(c0|c)", "--arch", "mlp", "--steps", "20", "--dry-run").stdout
    assert "20, 30" in table  # groups of 30 and 90 images
    words = "true {images} {seed} {model}"
    shown = succeed("pilot", "clips", "--groups", "folder", "--n", "8g", "--script", words, "--dry-run").stdout
    assert "n=24 A0" in shown


def test_images_in_groups_that_do_not_fit_into_memory_are_refused(clips):
    source = open_images("clips", groups="folder")
    display = ProgressDisplay(quiet=True)
    assert read_rows(Data("clips"), source, 2**20, 0, display).groups.shape == (120,)
    with pytest.raises(MemoryError, match="memory holds 50 of 120 images, which breaks groups apart"):
        read_rows(Data("clips"), source, 50 * 16 * 8, 0, display)
    assert len(read_rows(Data("clips"), open_images("clips"), 50 * 16 * 8, 0, display).rows) == 50


def test_copies_in_one_group_are_no_caveat():
    rows = np.random.default_rng(0).standard_normal((12, 5))
    rows[6:] = rows[:6]

    def notes(groups):
        return warnings_about(Data("x"), Rows(rows, 12, groups), "random")

    assert notes(np.tile(np.arange(6), 2)) == []
    assert (
        "2 of 12 images are copies of images in other groups"
        in notes(np.append(np.tile(np.arange(6), 2)[:10], [7, 8]))[0]
    )
    assert "6 of 12 images are copies of others" in notes(None)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("predict", "clips", "--n", "10g"),
            "--n: '10g' counts groups of images, and these images have none: give --groups",
        ),
        (
            ("predict", "clips", "--groups", "folder", "--n", "3"),
            "--n must be at least 4, more than one group of 3 images",
        ),
        (
            ("predict", "clips", "--groups", "folder", "--n", "1g"),
            "--n must be whole numbers from 2 to 1e+12, such as 100,3",
        ),
        (
            ("predict", "clips", "--flip", "--n", "10g"),
            "--n: '10g' counts groups of images, and these images have none",
        ),
        (
            ("seeds", "clips", "--groups", "folder", "--n", "2"),
            "--n must be at least 4, more than one group of 3 images",
        ),
        (("predict", "clips", "--groups", "photograph"), "--groups='photograph' is for the built-in data 'patches'"),
        (
            ("predict", "clips", "--groups", "x(.)"),
            "--groups must match the name of every file, but 'x(.)' does not match 120",
        ),
        (("predict", "digits", "--groups", "folder"), "--groups='folder' needs images in files"),
        (("predict", "clips", "--groups", "folder", "--law", "gaussian"), "--law must be 'empirical'"),
        (("predict", "clips", "--groups", "folder", "--profiles", "0"), "--profiles must be above 0"),
        (
            ("predict", "clips", "--groups", "folder", "--limit", "5"),
            "--limit must be at least 6, so that two whole groups",
        ),
        (
            ("pilot", "clips", "--flip"),
            "--flip does not apply to kappaflow pilot, which trains networks without random",
        ),
        (("validate", "network", "clips", "--flip"), "--flip does not apply to kappaflow validate network"),
        (
            ("validate", "network", "clips", "--groups", "folder", "--counterfactual", "1"),
            "--counterfactual cannot be used with --groups, because strata would cut groups apart, got 1",
        ),
        (
            ("validate", "network", "clips", "--groups", "folder", "--n", "61", "--dry-run"),
            "--n must be at most 60, so that two training sets share none of the 40 groups of the 120 images, got 61",
        ),
        (
            ("validate", "network", "clips", "--groups", "folder", "--profiles", "0", "--dry-run"),
            "--profiles must be above 0",
        ),
        (("validate", "network", "clips", "--n", "5g", "--dry-run"), "these images have none: give --groups"),
        (("lens", "clips", "--flip"), "--flip does not apply to kappaflow lens"),
        (
            ("validate", "linear", "clips", "--groups", "folder", "--sampling", "gaussian"),
            "--groups does not apply to --samp",
        ),
        (
            ("validate", "linear", "clips", "--groups", "folder", "--laws", "gaussian"),
            "--laws must be 'empirical' for images",
        ),
    ],
)
def test_what_cannot_be_done_is_said(clips, arguments, message):
    assert message in " ".join(refuse(*arguments).split())


def test_a_saved_population_takes_no_groups(clips):
    succeed("moments", "clips", "--out", "p.safetensors")
    assert "--groups does not apply to the saved population" in refuse("predict", "p.safetensors", "--groups", "folder")
    succeed("moments", "clips", "--groups", "folder", "--out", "g.safetensors")
    line = refuse("validate", "linear", "g.safetensors", "--n", "10")
    assert "DATA must be images, to draw training sets of whole groups" in line


def test_pickles_are_refused_without_advice_to_load_them(folder):
    np.save("objects.npy", np.array([{}], dtype=object))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (-5, 64, 64), }"
    padded = header + b" " * (118 - len(header) - 1) + b"\n"
    (folder / "negative.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded)
    for name, words in (
        ("objects.npy", "a pickle), which are never loaded"),
        ("negative.npy", "shape (-5, 64, 64)"),
    ):
        line = refuse("info", name)
        assert words in line
        assert "allow_pickle" not in line
