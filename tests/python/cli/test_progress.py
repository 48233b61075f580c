"""Progress: a bar on a terminal, occasional lines in a log, nothing when quiet."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from commands import succeed
from kappaflow._progress import ProgressLines, duration, part_of
from kappaflow.cli import console
from pictures import random_bytes, write_images


def test_lines_come_at_most_every_thirty_seconds() -> None:
    lines: list[str] = []
    now = 0.0
    progress = ProgressLines(lines.append, clock=lambda: now)
    for second in range(0, 200, 5):
        now = second
        progress("sampling", second / 200)
    assert lines == [
        "sampling (15 % done, 30 seconds so far)",
        "sampling (30 % done, 60 seconds so far)",
        "sampling (45 % done, 2 minutes so far)",
        "sampling (60 % done, 2 minutes so far)",
        "sampling (75 % done, 2 minutes so far)",
        "sampling (90 % done, 3 minutes so far)",
    ]
    now = 1000.0
    progress("reading", 0.0)
    assert lines[-1] == "reading (17 minutes so far)"


def test_parts_and_durations() -> None:
    seen: list[tuple[str, float]] = []
    part_of(lambda step, fraction: seen.append((step, fraction)), 0.5, 0.75)("x", 0.5)
    assert seen == [("x", 0.625)]
    assert [duration(seconds) for seconds in (3, 100, 8000, 200_000)] == [
        "3 seconds",
        "2 minutes",
        "2.2 hours",
        "2 days",
    ]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The text on stderr, which is not a terminal; lines come immediately."""
    text = io.StringIO()
    monkeypatch.setattr(console, "errors_console", lambda: Console(file=text, width=200))
    monkeypatch.setattr(console, "ProgressLines", lambda write: ProgressLines(write, seconds=0.0))
    return text


def test_a_log_gets_lines_and_quiet_gets_none(screen: io.StringIO) -> None:
    with console.ProgressDisplay(quiet=False) as display:
        display("fitting", 0.25)
        display("eigenmodes", None)
        assert len(list(display.counted(iter([np.zeros((3, 2)), np.zeros((2, 2))]), "reading x", 10))) == 2
        display.warn("left out: a.png")
    lines = screen.getvalue().splitlines()
    assert lines[:3] == [
        "fitting (25 % done, 0 seconds so far)",
        "eigenmodes (0 seconds so far)",
        "reading x (0 seconds so far)",
    ]
    assert lines[3].startswith("reading x: 3 of 10 images, ")
    assert lines[4].startswith("reading x: 5 of 10 images, ")
    assert "(50 % done, " in lines[4]
    assert lines[5:] == ["left out: a.png"]
    with console.ProgressDisplay(quiet=True) as display:
        display("fitting", 0.5)
    assert screen.getvalue().splitlines() == lines


def test_a_terminal_gets_a_bar_that_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(console, "errors_console", lambda: Console(file=text, force_terminal=True, width=80))
    shown: list[dict[str, object]] = []

    class Bar:
        """Records the updates of a bar."""

        console = Console(file=text, width=80)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_error: object) -> None:
            shown.append({"closed": True})

        def add_task(self, title: str, *, total: float) -> int:
            shown.append({"title": title, "total": total})
            return 0

        def update(self, _task: int, **state: object) -> None:
            shown.append(state)

    monkeypatch.setattr(console, "terminal_bar", lambda *_columns: Bar())
    with console.ProgressDisplay(quiet=False) as display:
        assert shown == []
        display("reading", None)
        display("fitting", 0.5)
        display.warn("left out: a.png")
    assert shown == [
        {"title": "reading", "total": 1.0},
        {"description": "reading", "total": None, "completed": 0.0},
        {"description": "fitting", "total": 1.0, "completed": 0.5},
        {"closed": True},
    ]
    assert "left out: a.png" in text.getvalue()


def test_opening_a_folder_is_shown(screen: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps before images are read, and the files that `info` leaves out."""
    monkeypatch.setattr("kappaflow.datasets.image_survey.SECONDS_BETWEEN_REPORTS", 0.0)
    write_images(tmp_path / "set", random_bytes(6, 4, 4, 4))
    (tmp_path / "set/broken.png").write_bytes(b"no image")
    succeed("info", str(tmp_path / "set"), "--skip-corrupt")
    lines = screen.getvalue().splitlines()
    assert any(line.startswith("headers of 7 files (14 % done") for line in lines)
    assert any(line.startswith("transparency and range of 6 images (50 % done") for line in lines)
    assert any(line.startswith("left out: broken.png") for line in lines)
