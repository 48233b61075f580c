"""Claims, temporary files of processes that are gone, and signals that wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kappaflow import _claims, _files
from kappaflow._claims import BusyError, Claim
from kappaflow._files import machine_tag, write_bytes
from kappaflow._signals import uninterrupted


def dead_process() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_target_has_one_claim_at_a_time(tmp_path: Path) -> None:
    first = Claim(tmp_path / "o")
    with pytest.raises(BusyError, match=f"process {os.getpid()} of kappaflow"):
        Claim(tmp_path / "o")
    with Claim(tmp_path / "other"):
        pass
    first.release()
    first.release()  # nothing happens
    with Claim(tmp_path / "o"):
        assert [path.name for path in tmp_path.iterdir()] == [".o.kappaflow-work"]
    assert list(tmp_path.iterdir()) == []


def test_a_link_and_its_target_are_claimed_together(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "link").symlink_to("o")
    with Claim(tmp_path / "link"), pytest.raises(BusyError):
        Claim(tmp_path / "o")


def test_long_names_can_be_claimed(tmp_path: Path) -> None:
    with Claim(tmp_path / ("ä" * 120)) as claim:
        assert claim.folder.is_dir()


@pytest.mark.parametrize(("machine", "free"), [(machine_tag(), True), ("0" * 8, False)])
def test_where_nothing_can_be_locked_processes_are_asked(tmp_path: Path, monkeypatch, machine: str, free: bool) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_claims.fcntl, "flock", no_locks)
    folder = tmp_path / ".o.kappaflow-work"
    folder.mkdir()
    (folder / "lock").write_text(f"{dead_process()} {machine}\n")
    if free:
        Claim(tmp_path / "o").release()
        (tmp_path / ".o.kappaflow-work").mkdir()
        (folder / "lock").write_text(f"{os.getppid()} {machine}\n")
    with pytest.raises(BusyError, match=f"process {os.getppid()} of" if free else "on another machine"):
        Claim(tmp_path / "o")


def test_temporary_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    def name(process: int, *, machine: str = machine_tag(), session: str = "abcdef", target: str = "page") -> str:
        return f".{target}.{machine}-{process}-{session}-0123.tmp.html"

    gone = [name(dead_process()), name(os.getpid())]
    stay = [
        name(os.getppid()),
        name(os.getpid(), session=_files._SESSION),
        name(dead_process(), machine="0" * 8),
        name(dead_process(), target="other"),
        ".page.mine.tmp.html",
    ]
    for each in (*gone, *stay):
        (tmp_path / each).write_text("half")
    write_bytes(tmp_path / "page.html", b"page")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*stay, "page.html"])


def test_long_names_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".html")
    write_bytes(path, b"page")
    assert path.read_bytes() == b"page"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_wait_until_the_block_is_done(number: int) -> None:
    done = []

    def end(come: int, _frame: object) -> None:
        raise KeyboardInterrupt(come)

    def work() -> None:
        with uninterrupted():
            os.kill(os.getpid(), number)
            done.append(sum(range(1000)))

    before = signal.signal(number, end)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == [499500]
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
