"""A new figure touches one file: a toy one is added to a copy of the package, and everything else follows."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import kappaflow
from page_parser import Page

PACKAGE = Path(kappaflow.__file__).parent
#: All that is written for a figure: what draws it, and what is said about it.
TOY = '''

# ---------------------------------------------------------------- toy
@styled
def draw_toy(slope: float) -> Figure:
    """A line."""
    figure = Figure(figsize=(WIDTH, 2.0), layout="constrained")
    figure.add_subplot().plot([0.0, 1.0], [0.0, slope], gid="toy-line")
    return figure


def toy() -> Picture:
    """A line that falls."""
    return Picture(
        name="toy",
        title="Toys & others",
        takeaway="A toy falls by 3.",
        caption="The only line of this figure.",
        alternative="A line from 0 to −3.",
        draw=partial(draw_toy, -3.0),
    )
'''


@dataclass(frozen=True)
class Report:
    """Where a toy goes, and the command whose report shows it.

    Attributes
    ----------
    file : the source file of the section, in the package
    before : the part of the section before which the toy is named
    section : its anchor on the page
    command : of the command line, for data.npy
    package : what the command needs beside the main dependencies
    """

    file: str
    before: str
    section: str
    command: str
    package: str = "matplotlib"


REPORTS = (
    Report(
        file="report/consistency/data.py",
        before="            spectrum(prediction),\n",
        section="data",
        command="predict data.npy --n 30,100 --seeds 4 --bands 2 --law gaussian",
    ),
    Report(
        file="report/lens/trajectories.py",
        before="            _modes_picture(study),\n",
        section="trajectory",
        command="lens data.npy trajectory",
    ),
    Report(
        file="report/validation/overview.py",
        before='            Picture(\n                name="ratios",\n',
        section="overview",
        command="validate linear data.npy --n 20 --draws 40 --inputs 1 --quantities kappa --laws gaussian",
        package="torch",
    ),
)


def with_a_toy(report: Report) -> str:
    """The source of the section's file with the toy in it."""
    text = (PACKAGE / report.file).read_text(encoding="utf-8")
    assert text.count(report.before) == 1
    return text.replace(report.before, f"            toy(),\n{report.before}") + TOY


def mirror(folder: Path, file: str, text: str) -> Path:
    """The package with another text of one file: that file is written, everything beside its path is a link."""
    source, target = PACKAGE, folder / "kappaflow"
    for part in Path(file).parts:
        target.mkdir(parents=True)
        for entry in source.iterdir():
            if entry.name not in (part, "__pycache__"):
                (target / entry.name).symlink_to(entry)
        source, target = source / part, target / part
    target.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.command.split(" data")[0])
def test_a_toy_figure_is_added_to_one_file(report: Report, tmp_path: Path) -> None:
    pytest.importorskip(report.package)
    text = with_a_toy(report)
    code = mirror(tmp_path / "code", report.file, text)
    written = [path for path in code.rglob("*") if path.is_file() and not path.is_symlink()]
    assert written == [code / "kappaflow" / report.file]
    diff = list(difflib.unified_diff((PACKAGE / report.file).read_text("utf-8").splitlines(), text.splitlines(), n=0))
    changed = [line for line in diff if line[0] in "+-" and not line.startswith(("+++", "---"))]
    assert changed == ["+            toy(),", *(f"+{line}" for line in TOY.splitlines())]

    rng = np.random.default_rng(20260)
    np.save(tmp_path / "data.npy", rng.standard_normal((60, 4, 4)) * np.linspace(0.3, 0.02, 16).reshape(4, 4))
    command = [sys.executable, "-m", "kappaflow", *report.command.split(), "--png", "--out", "results", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    results = tmp_path / "results"
    assert 'id="toy-line"' in (results / "figures/toy.svg").read_text(encoding="utf-8")
    assert (results / "figures/toy.png").read_bytes().startswith(b"\x89PNG")
    files = json.loads((results / "options.json").read_text(encoding="utf-8"))["files"]
    assert {"figures/toy.svg", "figures/toy.png"} <= set(files)
    html = (results / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert ("svg", "A line from 0 to −3.") in page.attributes("aria-label")
    assert ("figure", "figure-toy") in page.attributes("id")
    for words in ("Toys & others", "A toy falls by 3.", "The only line of this figure."):
        assert page.words.count(words) == 1
    anchors = [value for tag, value in page.attributes("id") if tag in ("section", "figure")]
    section = max(
        place for place, anchor in enumerate(anchors[: anchors.index("figure-toy")]) if "figure" not in anchor
    )
    assert anchors[section] == report.section
