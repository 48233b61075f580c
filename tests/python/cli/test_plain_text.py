"""Text that came from outside never reaches a terminal, a log, JSON or a page with characters that control them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import kappaflow as kf
from commands import run as call
from containers import encoded, write_tar, write_zip
from kappaflow._plain_text import plain_json, plain_text
from kappaflow.cli.output import to_json
from kappaflow.datasets import open_images
from kappaflow.report.document import Document, Section
from kappaflow.report.look import save
from kappaflow.report.page import page

EVIL = "\x1b[2J\x1b]0;title\x07\u202egnp\u2066\x9b31m\x7f\u200b"
RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 255, (12, 4, 4), dtype=np.uint8)


def is_plain(text: str) -> bool:
    """Whether a text holds no character but visible ones, line ends and the codes of rich, which tests do not print."""
    return all(
        each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for each in text
    )


def pictures(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[number % len(IMAGES)]).save(path, format="PNG")
    return folder


def write_h5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(f"x{EVIL}", data=IMAGES)
        file.create_dataset(f"y{EVIL}", data=IMAGES)
        file.attrs[f"note{EVIL}"] = EVIL
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> str:
    """Everything that a command prints, on both streams."""
    result = call(*arguments)
    text = result.stdout + result.stderr
    assert is_plain(text), ascii(text)
    assert "internal" not in text
    return text


# ---------------------------------------------------------------- the decision
def test_only_visible_characters_are_left() -> None:
    assert is_plain(EVIL) is False
    assert is_plain(plain_text(EVIL))
    assert plain_text(f"a{EVIL}b").startswith("a?[2J?]0;title??gnp")
    assert plain_text("Ünï 中文 😀 κ\n\t–") == "Ünï 中文 😀 κ\n\t–"
    assert plain_text("a\nb", keep="") == "a?b"
    assert plain_text("a\udc80b") == "a?b"


@pytest.mark.parametrize("text", [EVIL, "κ中\udc80\U000e0041\x85"])
def test_json_means_the_same(text: str) -> None:
    shown = to_json({text: [text]})
    assert is_plain(shown)
    assert json.loads(shown) == {text: [text]}
    assert plain_json('{"κ": 1}') == '{"κ": 1}'


# ---------------------------------------------------------------- what is read
def test_file_names(here: Path) -> None:
    names = [f"a{number}{EVIL}.png" for number in range(4)]
    folder = pictures(here / "data", names)
    assert "4 image files" in run("moments", folder, "--out", "p.safetensors")
    (folder / names[0]).write_bytes(b"no image")
    text = run("moments", folder, "--out", "q.safetensors")
    assert "a0?[2J" in text
    assert "left out: a0?[2J" in run("moments", folder, "--out", "q.safetensors", "--skip-corrupt")
    run("info", here / f"missing{EVIL}.png")


def test_classes_that_are_folders(here: Path) -> None:
    names = [f"{name}{EVIL}/{number}.png" for name in "ab" for number in range(4)]
    folder = pictures(here / "data", names)
    text = run("plan", folder, "--by", "class", "--json", "-")
    assert "a?[2J" in text
    assert "a\\u001b[2J" in text


def test_keys_of_files_of_arrays(here: Path) -> None:
    text = run("info", write_h5(here / "a.h5"))
    assert "x?[2J" in text
    assert "[2J" in run("info", f"{here / 'a.h5'}::x{EVIL}")
    np.savez(here / "a.npz", **{f"x{EVIL}": IMAGES, f"y{EVIL}": IMAGES})
    assert "x?[2J" in run("info", here / "a.npz")
    torch.save({f"x{EVIL}": torch.from_numpy(IMAGES), f"y{EVIL}": torch.from_numpy(IMAGES)}, here / "a.pt")
    assert "x?[2J" in run("info", here / "a.pt")


def test_members_of_archives(here: Path) -> None:
    members = {f"{number}{EVIL}.png": encoded(image) for number, image in enumerate(IMAGES)}
    for path in (write_zip(here / "a.zip", members), write_tar(here / "a.tar", members)):
        assert "12 image files" in run("info", path)
        assert "nothing\\x1b[2J" in run("info", f"{path}::nothing{EVIL}")


def test_errors_in_python_are_plain_too(here: Path) -> None:
    folder = pictures(here / f"data{EVIL}", [f"a{EVIL}.png", "b.png"])
    (folder / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"b\.png") as caught:
        open_images(folder)
    assert is_plain(str(caught.value))
    (folder / "b.png").unlink()
    pictures(folder, ["c.png", "b.png"])
    source = open_images(folder)
    assert is_plain(source.provenance.description)
    population = kf.Population.from_samples(source)
    assert is_plain(population._repr_html_())


# ---------------------------------------------------------------- what is shown
def test_pages_and_figures() -> None:
    figure = Figure()
    figure.subplots().set_title(EVIL)
    assert is_plain(save(figure, ["svg"])["svg"].decode())
    evil = f"<b>{EVIL}</b>"
    document = Document(
        kind="Report",
        source=evil,
        title="Report of {source}",
        mood="yes",
        answer=evil,
        sections=(Section(name="a", title=evil, takeaways=(evil,)),),
        facts={evil: evil},
    )
    text = page(document)
    assert is_plain(text)
    assert "&lt;b&gt;?[2J" in text
    assert "<b>?" not in text
