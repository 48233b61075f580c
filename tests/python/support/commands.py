"""The command line in tests: run a command in this process, read its error line, compare what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kappaflow.cli import app

#: Beginnings of the lines that a command prints on stderr before it computes: where the images come from.
PROVENANCE_LABELS = (
    "read: ",
    "subset: ",
    "groups: ",
    "left out: ",
    "processing: ",
    "pixels: ",
    "distinct: ",
    "warning: ",
    "classes: ",
)


def run(*arguments: object) -> Any:
    """The result of a command, which must not end in an exception that users would see."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeed(*arguments: object) -> Any:
    """The result of a command that must succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refuse(*arguments: object, code: int = 2) -> str:
    """The error line of a command that must fail, print nothing else but what it read, and leave every file as it was."""
    before = contents()
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    *read, line = result.stderr.strip().splitlines()
    assert all(text.startswith(PROVENANCE_LABELS) for text in read), result.stderr
    assert contents() == before
    return str(line.removeprefix("error: "))


def contents() -> dict[Path, bytes]:
    """Every file of the working folder, and every folder."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in sorted(Path().rglob("*"))}


def names(path: str | Path) -> list[str]:
    """Names in a folder."""
    return sorted(entry.name for entry in Path(path).iterdir())


def assert_same(a: Any, b: Any) -> None:
    """Equal JSON, numbers to rounding: matrices in memory and from a file are laid out differently."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_same(left, right)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-10, abs=1e-13)
    else:
        assert a == b


def predict_small(*more: object) -> Any:
    """The result of a small ``kappaflow predict data.npy``."""
    return run("predict", "data.npy", "--n", "30,100", "--seeds", "4", "--bands", "2", *more)
