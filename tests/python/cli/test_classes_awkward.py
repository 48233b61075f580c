"""Awkward data for --by class, written before the first run."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import refuse, succeed
from containers import write_zip
from pictures import random_bytes


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*arguments: object) -> dict[str, dict[str, object]]:
    """The classes of ``kappaflow plan --by class`` by name, with the mixture under an empty name."""
    succeed("plan", *arguments, "--by", "class", "--json", "plan.json", "--overwrite")
    found = json.loads(Path("plan.json").read_text())["classes"]
    return {**{each["name"]: each for each in found["classes"]}, "": found["mixture"], "all": found}


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def save(folder: str, images: np.ndarray) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Path(folder, f"{number:05}.png").write_bytes(png(image))


def test_splits_are_no_classes(here: Path) -> None:
    images = random_bytes(40, 4, 4)
    for number, name in enumerate(("train/cat", "train/dog", "val/cat", "val/dog")):
        save(f"data/{name}", images[10 * number : 10 * number + 10])
    message = refuse("plan", "data", "--by", "class")
    assert "train" in message
    assert "val" in message
    assert "data/train" in message
    assert set(plan("data/train")) >= {"cat", "dog"}


def test_one_folder_around_the_classes_is_no_class(here: Path) -> None:
    images = random_bytes(60, 4, 4)
    save("data/train/cat", images[:40])
    save("data/train/dog/brown", images[40:50])
    save("data/train/dog/black", images[50:])
    found = plan("data")
    assert (found["cat"]["images"], found["dog"]["images"]) == (40, 20)


def test_an_image_in_two_classes_counts_in_both_and_is_named(here: Path) -> None:
    images = random_bytes(60, 3, 3)
    images[45] = images[3]
    images[4] = images[3]
    np.save("data.npy", images)
    np.save("labels.npy", np.repeat([0, 1], [30, 30]))
    found = plan("data.npy", "--labels", "labels.npy")
    assert (found["0"]["images"], found["1"]["images"], found[""]["images"]) == (29, 30, 58)
    said = succeed("plan", "data.npy", "--by", "class", "--labels", "labels.npy").stderr
    assert "1 image stands in several classes" in said


def test_missing_labels_are_counted(here: Path) -> None:
    images = random_bytes(60, 3, 3)
    labels = np.repeat([0.0, 1.0, np.nan], [30, 20, 10])
    np.save("data.npy", images)
    np.save("labels.npy", labels)
    found = plan("data.npy", "--labels", "labels.npy")
    assert (found["0"]["images"], found["1"]["images"], found[""]["images"]) == (30, 20, 60)
    assert found["all"]["without_class"] == 10
    assert "10 images have no class" in succeed("plan", "data.npy", "--by", "class", "--labels", "labels.npy").stderr


def test_a_class_of_equal_images_is_listed(here: Path) -> None:
    images = random_bytes(60, 3, 3)
    images[50:] = 7
    np.save("data.npy", images)
    np.save("labels.npy", np.repeat(["a", "blank"], [50, 10]))
    found = plan("data.npy", "--labels", "labels.npy")
    assert found["blank"]["needed"] is None
    assert "equal" in found["blank"]["problem"]
    assert "blank" in succeed("plan", "data.npy", "--by", "class", "--labels", "labels.npy").stdout


def test_numbered_shards_of_a_thousand_are_no_classes(here: Path) -> None:
    image = random_bytes(2500, 2, 2)
    write_zip(here / "edm.zip", {f"{n // 1000:05}/img{n:08}.png": png(image[n]) for n in range(2500)})
    message = refuse("plan", "edm.zip", "--by", "class")
    assert "00000" in message
    assert "--labels" in message


def test_hundreds_of_tiny_classes(here: Path) -> None:
    images = random_bytes(600, 3, 3)
    np.save("data.npy", images)
    np.save("labels.npy", np.arange(600) % 300)
    found = plan("data.npy", "--labels", "labels.npy")
    assert len(found) == 302
    assert all(found[str(k)]["problem"] for k in range(300))
    text = succeed("plan", "data.npy", "--by", "class", "--labels", "labels.npy").stdout
    assert "288 further classes" in text or "further classes" in text
    assert len(text.splitlines()) < 90


def test_a_regression_target_is_no_class(here: Path) -> None:
    np.save("data.npy", random_bytes(30, 3, 3))
    np.save("labels.npy", np.linspace(0, 1, 30))
    assert "0.0344" in refuse("plan", "data.npy", "--by", "class", "--labels", "labels.npy")


def test_labels_are_of_all_images_also_with_a_limit(here: Path) -> None:
    images = random_bytes(200, 3, 3)
    labels = np.repeat([0, 1], [150, 50])
    images[150:] = images[150:] // 4  # darker, so that a wrong order of labels would show
    np.save("data.npy", images)
    np.save("labels.npy", labels)
    found = plan("data.npy", "--labels", "labels.npy", "--limit", "120", "--range", "0,255")
    chosen = np.sort(np.random.default_rng(0).choice(200, size=120, replace=False, shuffle=False))
    assert found["0"]["images"] == int((labels[chosen] == 0).sum())
    np.save("one.npy", images[chosen][labels[chosen] == 1])
    succeed("plan", "one.npy", "--range", "0,255", "--json", "one.json")
    assert found["1"]["needed"] == json.loads(Path("one.json").read_text())["total"]["n"]
    np.save("short.npy", labels[:120])
    message = refuse("plan", "data.npy", "--by", "class", "--labels", "short.npy", "--limit", "120")
    assert "120" in message
    assert "200" in message
