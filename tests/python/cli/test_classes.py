"""``--by class`` in commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import assert_same, refuse, succeed
from containers import encoded, write_zip
from pictures import random_bytes


@pytest.fixture
def digits_like(workplace: Path) -> Path:
    """Images 3 × 4 of two classes: data.npz with labels, a folder of subfolders and one of the class that is darker."""
    rng = np.random.default_rng(5)
    light, dark = rng.integers(0, 256, (90, 3, 4)), rng.integers(0, 60, (50, 3, 4))
    images = np.concatenate([light, dark]).astype(np.uint8)
    labels = np.repeat(["light", "dark"], [90, 50])
    order = rng.permutation(140)
    np.savez(workplace / "data.npz", images=images[order], labels=labels[order])
    np.save(workplace / "dark.npy", images[order][labels[order] == "dark"])
    for number, place in enumerate(order):
        (workplace / "folder" / labels[place]).mkdir(parents=True, exist_ok=True)
        (workplace / "folder" / labels[place] / f"{number:03}.png").write_bytes(encoded(images[place]))
    return workplace


def numbers(name: str) -> Any:
    return json.loads(Path(name).read_text())


def test_plan_by_class_is_plan_of_each_class(digits_like: Path) -> None:
    """The class alone with the range of all images gives the same numbers, whatever holds the classes."""
    succeed("plan", "dark.npy", "--range", "0,255", "--json", "alone.json")
    alone = numbers("alone.json")
    for data in ("data.npz", "folder"):
        result = succeed("plan", data, "--by", "class", "--json", "both.json", "--overwrite")
        both = numbers("both.json")
        dark, light = both["classes"]["classes"]
        assert (dark["name"], light["name"]) == ("dark", "light")
        assert (dark["needed"], dark["images"], dark["law"]) == (alone["total"]["n"], alone["images"], alone["law"])
        assert (light["images"], light["share"]) == (90, 90 / 140)
        assert both["classes"]["mixture"]["needed"] == both["total"]["n"]
        assert both["classes"]["mixture"]["needed_in_every_band"] == max(band["n"] for band in both["bands"])
        assert "Two linear models by class" in result.stdout
        assert f"classes: 2 by the {'subfolders' if data == 'folder' else 'array'}" in result.stderr
    succeed("plan", "data.npz", "--json", "plain.json")
    plain = numbers("plain.json")
    assert "classes" not in plain
    assert_same(plain["total"], both["total"])


def test_predict_by_class(digits_like: Path, plain_figures: None) -> None:
    options = ("--n", "40,140", "--seeds", "4", "--bands", "2")
    succeed("predict", "data.npz", "--by", "class", *options, "--out", "both")
    succeed("predict", "data.npz", *options, "--out", "plain")
    both, plain = numbers("both/predictions.json"), numbers("plain/predictions.json")
    answers = both.pop("classes")
    assert plain.pop("classes") is None
    assert both == plain
    assert answers["n"] == [40, 140]
    assert [row["n"] for row in answers["classes"]] == [[14, 50], [26, 90]]
    assert answers["mixture"]["relative"] == pytest.approx(plain["total_relative"], rel=1e-9)
    assert Path("both/tables/classes.csv").read_text().splitlines()[1].startswith("dark,50,")
    assert numbers("both/options.json")["options"]["by"] == "class"
    page = Path("both/report.html").read_text()
    assert "which class needs more images" in page
    assert (
        "Two linear models by class"
        in succeed(
            "predict", "data.npz", "--by", "class", *options, "--out", "both", "--law", "gaussian", "--overwrite"
        ).stdout
    )


@pytest.mark.parametrize("option", [("--flip",), ("--groups", "groups.npy")])
def test_mirror_images_and_groups_of_each_class(digits_like: Path, option: tuple[str, ...]) -> None:
    with np.load("data.npz") as data:
        dark = data["labels"] == "dark"
    groups = np.arange(140) // 2
    np.save("groups.npy", groups)
    succeed("plan", "data.npz", "--by", "class", *option, "--json", "both.json")
    assert "--profiles must be above 0" in refuse("plan", "data.npz", "--by", "class", *option, "--profiles", "0")
    np.save("groups.npy", groups[dark])
    succeed("plan", "dark.npy", "--range", "0,255", *option, "--json", "alone.json")
    (row, _), alone = numbers("both.json")["classes"]["classes"], numbers("alone.json")
    assert (row["needed"], row["images"], row["law"]) == (alone["total"]["n"], alone["images"], "empirical")


def test_limit_draws_from_all_classes(digits_like: Path) -> None:
    succeed("plan", "data.npz", "--by", "class", "--limit", "70", "--json", "some.json")
    counts = [row["images"] for row in numbers("some.json")["classes"]["classes"]]
    assert sum(counts) == 70
    assert min(counts) > 10


def test_labels_of_a_file_in_every_form(digits_like: Path) -> None:
    with np.load("data.npz") as data:
        images, labels = data["images"], data["labels"] == "light"
    np.save("images.npy", images)
    forms = {
        "int": labels.astype(int),
        "float": labels.astype(float),
        "bool": labels,
        "text": np.where(labels, "1", "0"),
    }
    forms["hot"] = np.stack([~labels, labels], axis=1).astype(np.float32)
    expected = None
    for name, form in forms.items():
        np.savez(f"{name}.npz", form=form, other=np.zeros((3, 3)))
        succeed("plan", "images.npy", "--by", "class", "--labels", f"{name}.npz::form", "--json", f"{name}.json")
        rows = numbers(f"{name}.json")["classes"]["classes"]
        expected = rows if expected is None else expected
        assert rows == expected


def test_info_lists_classes(digits_like: Path) -> None:
    listed = "with their numbers of images: dark (50), light (90)"
    for data in ("data.npz", "folder"):
        assert listed in " ".join(succeed("info", data).stdout.split())
    np.save("labels.npy", np.arange(140) % 30)
    text = " ".join(succeed("info", "dark.npy").stdout.split())
    assert "classes" not in text
    few = " ".join(succeed("info", "data.npz", "--by", "class", "--labels", "labels.npy").stdout.split())
    assert "28 (4), 29 (4)" in few
    assert "has no labels" in refuse("info", "dark.npy", "--by", "class")


def test_archives_with_labels(workplace: Path) -> None:
    images = random_bytes(40, 3, 3)
    names = [f"00000/img{number:08}.png" for number in range(40)]
    members = {name: encoded(image) for name, image in zip(names, images, strict=True)}
    write_zip(workplace / "edm.zip", members, labels=[[name, number % 2] for number, name in enumerate(names[:38])])
    result = succeed("plan", "edm.zip", "--by", "class", "--json", "edm.json")
    content = numbers("edm.json")["classes"]
    assert [row["images"] for row in content["classes"]] == [19, 19]
    assert content["without_class"] == 2
    assert "2 images have no class" in result.stderr


def test_refusals(digits_like: Path) -> None:
    succeed("moments", "data.npz", "--out", "saved.safetensors")
    assert "saved population 'saved.safetensors'" in refuse("plan", "saved.safetensors", "--by", "class")
    assert refuse("plan", "data.npz", "--labels", "x.npy") == "--labels needs --by class, got 'x.npy' without it"
    assert "--by must be one of 'class', got 'folder'" in refuse("plan", "data.npz", "--by", "folder")
    np.save("short.npy", np.arange(7))
    message = refuse("plan", "data.npz", "--by", "class", "--labels", "short.npy")
    assert message.startswith("--labels must hold one label for each of the 140 images of data.npz")
    np.save("same.npy", np.zeros(140, dtype=int))
    message = refuse("plan", "data.npz", "--by", "class", "--labels", "same.npy")
    assert message == "--labels must name at least 2 classes, got only '0' from the labels given"
