"""``kappaflow lens``: what it writes, what it leaves out, what it refuses."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import kappaflow as kf
from kappaflow.cli import app
from kappaflow.cli.options import WINDOWS
from kappaflow.report.document import Table
from kappaflow.report.lens import build
from kappaflow.report.write import table_text

torch = pytest.importorskip("torch")


@pytest.fixture
def folder(workplace: Path) -> Path:
    """An empty working folder with data.npy: 240 grey 6×6 images whose neighbours are alike, and their population."""
    white = np.random.default_rng(0).standard_normal((240, 6, 6))
    images = 0.2 * white.cumsum(axis=1).cumsum(axis=2) - 0.1
    np.save(workplace / "data.npy", images)
    kf.Population.from_samples(images).save(workplace / "population.safetensors")
    return workplace


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lens", *arguments])
    return result.exit_code, result.output


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """Identifiers, references within the page, and whether every figure has an alternative text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.outside: list[str] = []
        self.alternatives = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        target = found.get("href") or ""
        if target.startswith("#"):
            self.references.append(target[1:])
        source = found.get("src") or ""
        if source and not source.startswith("data:"):
            self.outside.append(source)
        if (tag == "img" and found.get("alt")) or (tag == "svg" and found.get("aria-label")):
            self.alternatives += 1


def test_every_window_writes_page_figures_tables_and_facts(folder: Path) -> None:
    code, output = run("data.npy", "--out", "out", "--seeds", "6")
    assert code == 0, output
    assert output.strip().endswith("out/report.html")
    found = json.loads((folder / "out/lens.json").read_text(encoding="utf-8"))
    assert list(found["windows"]) == list(WINDOWS)
    page = (folder / "out/report.html").read_text(encoding="utf-8")
    checked = Page(page)
    assert len(set(checked.ids)) == len(checked.ids)
    assert set(checked.references) <= set(checked.ids)
    assert not checked.outside
    assert "240 samples" in page
    figures = 0
    for name, window in found["windows"].items():
        assert f'<section id="{name}">' in page
        assert window["findings"]
        assert all(any(letter.isdigit() for letter in sentence) for sentence in window["findings"][:1])
        assert window["figures"]
        figures += len(window["figures"])
        for figure in window["figures"]:
            (drawn,) = (folder / "out/figures").glob(f"{figure}.*")
            assert drawn.stat().st_size > 1000
        for table in window["tables"]:
            assert read_csv(folder / f"out/tables/{table}.csv")
    assert checked.alternatives == figures
    options = json.loads((folder / "out/options.json").read_text(encoding="utf-8"))
    assert options["options"]["windows"] == list(WINDOWS)
    assert options["machine"]["kappaflow"] == kf.__version__
    assert "lens.json" in options["files"]


@pytest.mark.usefixtures("plain_figures")
def test_one_window_and_its_numbers_are_those_of_the_library(folder: Path) -> None:
    code, output = run("data.npy", "receptive-field", "--out", "out", "-q")
    assert (code, output.strip()) == (0, "out/report.html")
    rows = read_csv(folder / "out/tables/receptive_field_by_sigma.csv")
    population = kf.Population.load("population.safetensors")
    sigma = np.array([float(row["sigma"]) for row in rows])
    heading = next(key for key in rows[0] if "degrees" in key and "n" not in key.split("_")[-1:])
    expected = [float(np.sum(population.eigenvalues / (population.eigenvalues + level**2))) for level in sigma]
    np.testing.assert_allclose([float(row[heading]) for row in rows], expected, rtol=1e-9)
    assert list(json.loads((folder / "out/lens.json").read_text(encoding="utf-8"))["windows"]) == ["receptive-field"]


@pytest.mark.usefixtures("plain_figures")
def test_saved_population_has_the_windows_that_need_no_images(folder: Path) -> None:
    code, output = run("population.safetensors", "--out", "out")
    assert code == 0, output
    found = json.loads((folder / "out/lens.json").read_text(encoding="utf-8"))
    assert list(found["windows"]) == ["trajectory", "receptive-field", "architecture", "learning"]
    assert found["notes"] == [
        "scores needs images, to fit scores and to test them.",
        "teleport needs images, or a --network.",
    ]
    assert "left out: teleport needs images" in output
    assert "needs images, to fit scores" in (folder / "out/report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("plain_figures")
def test_windows_use_the_network(folder: Path) -> None:
    """A module of one's own whose denoiser is that of N(0, 1): teleport beside the population, and scores against it."""
    (folder / "mine.py").write_text(
        "def shrink(x, sigma):\n    return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)\n", encoding="utf-8"
    )
    import sys

    sys.path.insert(0, str(folder))
    try:
        code, output = run(
            "data.npy",
            "scores",
            "teleport",
            "--network",
            "mine:shrink",
            "--out",
            "out",
            "--seeds",
            "4",
            "--images",
            "60",
        )
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("mine", None)
    assert code == 0, output
    found = json.loads((folder / "out/lens.json").read_text(encoding="utf-8"))["windows"]
    assert "the network" in found["teleport"]["findings"][0]
    assert {row["approximation"] for row in read_csv(folder / "out/tables/scores_fraction.csv")} >= {"Gaussian", "mean"}
    losses = read_csv(folder / "out/tables/scores_loss.csv")
    level = float(losses[-1]["sigma"])
    assert "network" in losses[0]
    assert float(losses[-1]["network"]) > 0
    assert level > 1


@pytest.mark.usefixtures("plain_figures")
def test_channels_first_are_the_same_images(folder: Path) -> None:
    white = np.random.default_rng(2).standard_normal((120, 6, 5, 3))
    images = 0.2 * white.cumsum(axis=1).cumsum(axis=2)
    np.save("last.npy", images)
    np.save("first.npy", np.moveaxis(images, -1, 1))
    for name in ("last", "first"):
        code, output = run(f"{name}.npy", "architecture", "--out", name, "-q")
        assert code == 0, output
    tables = [read_csv(folder / name / "tables/architecture_losses.csv") for name in ("last", "first")]
    for last, first in zip(*tables, strict=True):
        np.testing.assert_allclose(
            [float(value) for value in last.values()], [float(value) for value in first.values()], rtol=1e-7
        )


@pytest.mark.usefixtures("plain_figures")
def test_data_that_one_window_refuses_leave_the_others(folder: Path) -> None:
    np.save("tiny.npy", 1e-6 * np.random.default_rng(3).standard_normal((60, 4)))
    code, output = run("tiny.npy", "--range", "-1,1", "--out", "out", "--seeds", "4")
    assert code == 0, output
    found = json.loads((folder / "out/lens.json").read_text(encoding="utf-8"))
    assert "learning" not in found["windows"]
    assert "trajectory" in found["windows"]
    assert "is not well inside the noise levels of the sampler" in found["notes"][0]
    assert any(note.startswith("learning cannot be computed for these data: ") for note in found["notes"])
    code, output = run("tiny.npy", "--range", "-1,1", "learning", "--out", "other")
    assert code != 0
    assert "\nerror: learning: population must have eigenvalues" in output


@pytest.mark.usefixtures("plain_figures")
def test_vectors_have_scores_and_teleport_too(folder: Path) -> None:
    np.save("rows.npy", np.random.default_rng(1).standard_normal((80, 5)) * [3, 2, 1, 0.5, 0.1])
    code, output = run("rows.npy", "scores", "teleport", "--out", "out", "--seeds", "4", "-q")
    assert code == 0, output
    assert list(json.loads(Path("out/lens.json").read_text(encoding="utf-8"))["windows"]) == ["scores", "teleport"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.npy", "colours"], "WINDOWS must be one of 'scores', 'trajectory'"),
        (["population.safetensors", "scores"], "scores needs images, to fit scores and to test them"),
        (["population.safetensors", "teleport"], "teleport needs images, or a --network"),
        (["population.safetensors", "--size", "8"], "--size does not apply to the saved population"),
        (["data.npy", "teleport", "--network", "nowhere.safetensors"], "does not exist"),
        (["data.npy", "teleport", "--network", "math:hypot"], "--network: 'math:hypot' fails for images"),
        (["data.npy", "teleport", "--network", "math:hypot", "--device", "gpu"], "--device must be 'cpu'"),
        (["missing.npy"], "missing.npy"),
        (["data.npy", "--out", "no/such/folder"], "--out: the folder of 'no/such/folder' does not exist"),
    ],
)
def test_wrong_input_names_the_argument_and_writes_nothing(folder: Path, arguments: list[str], message: str) -> None:
    before = sorted(folder.iterdir())
    code, output = run(*arguments)
    assert code != 0
    assert message in " ".join(output.split())
    assert sorted(folder.iterdir()) == before


@pytest.mark.usefixtures("plain_figures")
def test_results_of_other_options_stay(folder: Path) -> None:
    assert run("data.npy", "receptive-field", "--out", "out", "-q")[0] == 0
    code, output = run("data.npy", "scores", "--out", "out", "-q")
    assert code != 0
    assert "different: windows" in output
    assert run("data.npy", "scores", "--out", "out", "-q", "--overwrite")[0] == 0
    assert not list((folder / "out/tables").glob("receptive*"))
    assert not list((folder / "out/figures").glob("receptive*"))


def test_tables_are_exact_and_empty_where_there_is_no_value() -> None:
    text = table_text(Table("t", "c", {"a": [0.1, float("nan"), 1e-300], "b, c": ["x", None, 'y"z'], "n": [1, 2, 3]}))
    assert text == 'a,"b, c",n\n0.1,x,1\n,,2\n1e-300,"y""z",3\n'
    with pytest.raises(ValueError, match="sections must hold at least one section"):
        build([], source="s", population="p", facts={})


def test_all_but_networks_and_pipelines_need_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import importlib, pkgutil, sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'diffusers'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "import kappaflow.lens as lens; import kappaflow.report.lens as pages\n"
        "names = [m.name for p in (lens, pages) for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.')]\n"
        "for name in names:\n"
        "    if name != 'kappaflow.lens.teleport.pipelines':\n"
        "        importlib.import_module(name)\n"
        "print(len(names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 25
