"""Output that nobody reads: the commands end quietly, as other programs do in ``command | head -1``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import kappaflow as kf
from commands import PROVENANCE_LABELS, names
from kappaflow.cli.errors import ExitCode, guarded


def with_closed_output(*arguments: str, errors_too: bool = False) -> subprocess.CompletedProcess[str]:
    """The command, whose standard output (and error) is a pipe without a reader."""
    package = str(Path(kf.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "-m", "kappaflow", *arguments],
            env=environment,
            stdout=writer,
            stderr=writer if errors_too else subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("validate", "network", "--help"),
        ("info",),
        ("seeds", "data.npy", "-q", "--json", "-"),
        ("plan", "data.npy"),
        ("moments", "data.npy", "--out", "p.safetensors", "-q"),
    ],
    ids=" ".join,
)
def test_commands_end_quietly(folder: Path, arguments: tuple[str, ...]) -> None:
    done = with_closed_output(*arguments)
    assert done.returncode == ExitCode.PIPE_CLOSED == 141
    assert all(line.startswith(PROVENANCE_LABELS) for line in done.stderr.splitlines())


def test_results_are_whole_although_nobody_reads_where_they_are(folder: Path) -> None:
    done = with_closed_output("seeds", "data.npy", "--write", "seeds.txt", "--json", "seeds.json")
    assert done.returncode == ExitCode.PIPE_CLOSED
    assert names(folder) == ["data.npy", "seeds.json", "seeds.txt"]


def test_errors_that_nobody_reads_are_quiet_too(folder: Path) -> None:
    assert with_closed_output("plan", "missing.npy", errors_too=True).returncode == ExitCode.PIPE_CLOSED
    done = with_closed_output("plan", "missing.npy")
    assert done.returncode == ExitCode.WRONG_USE
    assert done.stderr.startswith("error: ")


def test_other_broken_pipes_are_errors(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def command() -> None:
        raise BrokenPipeError(32, "the pipe to a worker broke")

    with pytest.raises(typer.Exit):
        command()
    assert "the pipe to a worker broke" in capsys.readouterr().err
