"""A document on disk: files are whole or not there, and what an earlier report had and this one has not is removed."""

import base64
import importlib
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from kappaflow.report.document import Cell, Document, Picture, Section, Table
from kappaflow.report.look import styled
from kappaflow.report.page import page
from kappaflow.report.write import table_text, write
from page_parser import BLANK

writer = importlib.import_module("kappaflow.report.write")


@styled
def draw(height):
    figure = Figure(figsize=(4, 2))
    figure.add_subplot().plot([1, 2], [3, height])
    return figure


def picture(name, **more):
    return Picture(name=name, caption="c", alternative="a", draw=partial(draw, 4), **more)


def toy(*parts, facts=None):
    sections = (Section(name="one", title="One", parts=parts),)
    return Document(
        kind="Toy", source="toys", title="Of {source}", mood="", answer="Yes.", sections=sections, facts=facts or {}
    )


BOTH = (picture("curve"), picture("pixels", raster=True), Table("numbers", "n", {"n": [1, 2]}, file=True))


def names(folder):
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def test_page_figures_and_tables_are_written(tmp_path):
    document = toy(*BOTH)
    path = write(document, tmp_path / "new" / "place")
    assert path == tmp_path / "new" / "place" / "report.html"
    assert path.read_text(encoding="utf-8") == page(document)
    assert names(path.parent) == {"report.html", "figures/curve.svg", "figures/pixels.png", "tables/numbers.csv"}
    assert (path.parent / "figures/curve.svg").read_bytes().startswith(b"<?xml")
    embedded = re.search(r'id="figure-pixels".*?base64,([^"]+)"', path.read_text(encoding="utf-8"), re.DOTALL)
    assert base64.b64decode(embedded[1]) == (path.parent / "figures/pixels.png").read_bytes()


def test_every_figure_is_a_png_on_request(tmp_path):
    page_without, page_with = (write(toy(*BOTH), tmp_path / str(png), png=png).read_bytes() for png in (False, True))
    assert page_with == page_without
    assert names(tmp_path / "True") == names(tmp_path / "False") | {"figures/curve.png"}
    drawn, pixels = ((tmp_path / f"True/figures/{name}.png").read_bytes() for name in ("curve", "pixels"))
    assert drawn == pixels  # the same drawing, whether its SVG comes first or not
    assert drawn.startswith(b"\x89PNG")


def test_each_figure_is_drawn_once(tmp_path):
    drawn = []

    def count():
        drawn.append(1)
        return draw(4)

    write(toy(replace(picture("curve"), draw=count)), tmp_path, png=True)
    assert len(drawn) == 1


@pytest.fixture
def quick(monkeypatch):
    """Blank figures, for tests of files alone."""
    monkeypatch.setattr(
        writer,
        "draw",
        lambda document, *, png: {each.name: BLANK if png else _first(each) for each in document.pictures},
    )


def _first(each):
    kind = "png" if each.raster else "svg"
    return {kind: BLANK[kind]}


@pytest.mark.usefixtures("quick")
def test_what_this_report_has_not_is_removed_and_what_is_not_ours_stays(tmp_path):
    write(toy(*BOTH), tmp_path, png=True)
    (tmp_path / "figures/mine.svg").write_text("mine")
    write(toy(BOTH[0]), tmp_path)
    assert names(tmp_path) == {"report.html", "figures/curve.svg", "figures/mine.svg"}


@pytest.mark.usefixtures("quick")
def test_an_earlier_page_removes_nothing_elsewhere(tmp_path):
    """Its folder of tables is a link to another one, and it names a file of that one."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/data.csv").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/tables").symlink_to(tmp_path / "mine")
    (tmp_path / "out/report.html").write_text("<summary>Table: tables/data.csv</summary>")
    write(toy(BOTH[0]), tmp_path / "out")
    assert (tmp_path / "mine/data.csv").read_text() == "mine"


@pytest.mark.usefixtures("quick")
def test_nothing_is_left_half_done(tmp_path, monkeypatch):
    def fail(source, target):
        if Path(target).name == "report.html":
            raise OSError("disk gone")
        Path(source).rename(target)

    monkeypatch.setattr("kappaflow._files.os.replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write(toy(*BOTH), tmp_path)
    assert not (tmp_path / "report.html").exists()
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


@pytest.mark.usefixtures("quick")
def test_what_fails_keeps_the_earlier_page(tmp_path, monkeypatch):
    earlier = write(toy(*BOTH, facts={"run": "first"}), tmp_path).read_bytes()

    def fail(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("kappaflow._files.os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write(toy(*BOTH, facts={"run": "second"}), tmp_path)
    assert (tmp_path / "report.html").read_bytes() == earlier
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


def test_cells_are_unrounded_in_files():
    table = Table("t", "c", {"a": [Cell("about 2", 2.125), Cell("more than 7")], "b": [None, float("nan")]})
    assert table_text(table) == "a,b\n2.125,\nmore than 7,\n"
