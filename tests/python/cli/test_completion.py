"""Shell completion: it can be installed, and offers commands, options, laws, data, windows and the pieces of lists."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import succeed
from kappaflow.cli import app
from kappaflow.cli.completion import complete_data


def offered(line: str) -> list[str]:
    """What bash is offered for a line whose last word is being typed."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_KAPPAFLOW_COMPLETE": "complete_bash"}
    result = CliRunner().invoke(app, [], env=words, prog_name="kappaflow")
    assert result.exit_code == 0, result.exception
    return result.stdout.split()


def test_completion_can_be_installed() -> None:
    text = succeed("--help").stdout
    assert "--install-completion" in text
    assert "--show-completion" in text


@pytest.mark.parametrize(("shell", "start_file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_the_start_file_of_the_shell_is_never_lost(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, shell: str, start_file: str
) -> None:
    monkeypatch.setenv("HOME", str(workplace))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    path = workplace / start_file
    path.write_text("alias l=ls\n")
    path.chmod(0o600)
    arguments = ["--install-completion", shell]

    def full(_old: str, _new: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert isinstance(CliRunner().invoke(app, arguments, prog_name="kappaflow").exception, OSError)
    assert path.read_text() == "alias l=ls\n"
    assert CliRunner().invoke(app, arguments, prog_name="kappaflow").exit_code == 0
    assert path.read_text().startswith("alias l=ls\n")
    assert len(path.read_text().splitlines()) > 1
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kappaflow pl", ["plan"]),
        ("kappaflow validate ", ["linear", "network"]),
        ("kappaflow plan digits --law ", ["auto", "gaussian", "elliptical", "empirical"]),
        ("kappaflow seeds digits --law e", ["elliptical", "empirical"]),
        ("kappaflow lens digits s", ["scores"]),
        ("kappaflow lens digits scores t", ["trajectory", "teleport"]),
        ("kappaflow validate linear digits --sampling g", ["gaussian"]),
        ("kappaflow validate linear digits --laws gaussian,e", ["gaussian,elliptical", "gaussian,empirical"]),
        ("kappaflow validate linear digits --laws elliptical,e", ["elliptical,empirical"]),
        ("kappaflow validate linear digits --quantities seeds,b", ["seeds,bands"]),
        ("kappaflow validate network digits --arch unet,d", ["unet,dit"]),
        ("kappaflow validate network digits --preset l", ["laptop"]),
        ("kappaflow plan dig", ["digits"]),
        ("kappaflow plan digits --tol", ["--tolerance"]),
    ],
)
def test_words_are_offered(workplace: Path, line: str, words: list[str]) -> None:
    assert offered(line) == words


def test_data_are_built_in_names_and_files_of_data(workplace: Path) -> None:
    for name in ("a.npy", "b.safetensors", "notes.txt", ".hidden.npy"):
        Path(name).touch()
    Path("photos/more").mkdir(parents=True)
    Path("photos/d.npz").touch()
    assert offered("kappaflow predict ") == [
        *("digits", "mnist5k", "patches", "faces"),
        "a.npy",
        "b.safetensors",
        "photos",
    ]
    assert offered("kappaflow predict photos/") == ["photos/d.npz", "photos/more"]
    assert offered("kappaflow validate network digits --train-a a") == ["a.npy"]
    assert complete_data("nowhere/") == []
    assert complete_data(str(workplace / "a")) == [str(workplace / "a.npy")]
