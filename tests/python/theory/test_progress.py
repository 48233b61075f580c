"""Progress of long calls: the user's callable, a bar on a terminal, a bar in a notebook, and nothing elsewhere."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
import rich.console

import kappaflow as kf
from kappaflow import _progress
from kappaflow._progress import counted, steps

ROWS = np.random.default_rng(0).standard_normal((5000, 3))


def test_nothing_is_shown_unless_asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich.console.Console, "is_terminal", property(lambda self: True))
    for wanted in (None, False):
        kf.Population.from_samples(ROWS, progress=wanted)
        with steps(wanted, "diagnosis") as report:
            report("step", 0.5)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_true_shows_nothing_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    kf.Population.from_samples(ROWS, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == ""


def test_true_shows_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich.console.Console, "is_terminal", property(lambda self: True))
    kf.Population.from_samples(ROWS, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "reading images" in captured.err
    assert "5000/5000" in captured.err
    with steps(True, "diagnosis") as report:
        report("training sets", 0.25)
    assert "diagnosis: training sets" in capsys.readouterr().err


def test_a_callable_is_called_instead(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []
    kf.Population.from_samples(ROWS, progress=seen.append)
    assert seen == [4096, 5000]
    told: list[tuple[str, float]] = []
    with steps(lambda step, fraction: told.append((step, fraction)), "diagnosis") as report:
        report("training sets", 0.25)
    assert told == [("training sets", 0.25)]
    assert capsys.readouterr().err == ""


def test_the_search_for_n_counts_the_sizes_that_it_tries(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[int] = []
    population = kf.Population.from_spectrum([2.0, 1.0])
    answer = kf.samples_for(population, kf.Splits.sampling_map, 0.1, input_sigma=80.0, progress=tried.append)
    assert answer.n > 2
    assert tried == list(range(1, len(tried) + 1))
    assert len(tried) > 40  # from 10¹² down by halves
    assert answer == kf.samples_for(population, kf.Splits.sampling_map, 0.1, input_sigma=80.0, progress=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("manager", [counted, steps])
def test_anything_else_is_refused(manager: Any) -> None:
    with (
        pytest.raises(TypeError, match="progress must be True, False, None or a callable, got 'yes'"),
        manager("yes", "x"),
    ):
        pass


class Cell:
    """What a notebook's cell shows, by display id."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, content: str) -> None:
        self.shown.append(content)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """IPython as a Jupyter kernel has it."""
    output = Cell()

    def display(content: str, *, display_id: bool) -> Cell:
        assert display_id
        output.shown.append(content)
        return output

    shell = type("ZMQInteractiveShell", (), {})()
    ipython, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    module.HTML, module.display = str, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return output


def test_true_shows_a_bar_in_a_notebook(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_NOTEBOOK_SECONDS", 0.0)
    kf.Population.from_samples(ROWS, progress=True)
    assert cell.shown[0] == 'reading images <progress value="0" max="5000"></progress> 0 of 5,000'
    assert 'reading images <progress value="4096" max="5000"></progress> 4,096 of 5,000' in cell.shown
    assert cell.shown[-1].endswith("5,000 of 5,000")


def test_bars_without_a_total_and_of_steps_in_a_notebook(cell: Cell) -> None:
    kf.Population.from_samples(iter([ROWS]), progress=True)
    assert cell.shown[-1] == "reading images <progress></progress> 5,000"
    with steps(True, "a < b") as report:
        report("training sets", 0.25)
    assert cell.shown[-1] == 'a &lt; b: training sets <progress value="0.25" max="1"></progress> 25&nbsp;%'
    count = len(cell.shown)
    with counted(True, "many", total=10**6) as told:
        for done in range(10_000):
            told(done)
    assert len(cell.shown) - count < 50  # a message to the browser now and then, not for every call


def test_a_console_of_ipython_is_no_notebook(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = type("TerminalInteractiveShell", (), {})()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: terminal, raising=False)
    kf.Population.from_samples(ROWS, progress=True)
    assert cell.shown == []


def test_diagnosis_and_prediction_show_a_bar_too(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_NOTEBOOK_SECONDS", 0.0)
    population = kf.Population.from_samples(ROWS[:200], profiles=60)
    options: Any = {"training_sets": 8, "inputs": 2, "n": 20}
    silent = kf.diagnose(population, **options)
    assert cell.shown == []
    found = kf.diagnose(population, progress=True, **options)
    assert any(text.startswith("diagnosis: training sets <progress") for text in cell.shown)
    assert cell.shown[-1].endswith("100&nbsp;%")
    assert found.law == silent.law
    told: list[tuple[str, float]] = []
    kf.diagnose(population, progress=lambda step, fraction: told.append((step, fraction)), **options)
    assert told[-1] == ("done", 1.0)
    kf.predict(population, source="rows", n=[20], law="gaussian", seeds=range(2), progress=True)
    assert any(text.startswith("prediction: n = 20 <progress") for text in cell.shown)
    with pytest.raises(TypeError, match="progress must be True, False, None or a callable, got 3"):
        kf.predict(population, source="rows", progress=3)  # type: ignore[arg-type]
