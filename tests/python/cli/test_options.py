"""Option objects: declared once, read by typer through a signature that is built from them; what the help says of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import kappaflow as kf
from commands import succeed
from kappaflow.bands import Band
from kappaflow.cli import parsing
from kappaflow.cli.options import Data


def test_version_and_help(folder):
    assert succeed("--version").stdout == f"kappaflow {kf.__version__}\n"
    for command in ("predict", "moments", "seeds", "plan", "diagnose", "info"):
        assert "DATA" in succeed(command, "--help").stdout


def test_lists():
    assert parsing.parse_sizes(None) is None
    assert parsing.parse_sizes(["300,100", "1e3", "1_000"]) == [100, 300, 1000]
    assert parsing.parse_seeds("3") == [0, 1, 2]
    assert parsing.parse_seeds("3,") == [3]
    assert parsing.parse_seeds("2-4, 9") == [2, 3, 4, 9]
    assert parsing.parse_bands("5") == 5
    assert parsing.parse_bands("1-4,5,6-20") == [Band(0, 4), Band(4, 5), Band(5, 20)]
    assert parsing.parse_shape("28x28") == (28, 28)
    assert parsing.parse_shape("32, 32,3") == (32, 32, 3)


def test_names_of_data(folder):
    Path("my photos").mkdir()
    assert Data("digits").name == "digits"
    assert Data("data.npy").name == "data"
    assert Data("my photos/").name == "my-photos"
    assert Data(".").name == folder.name


def test_the_library_imports_no_command_line():
    code = "import sys, kappaflow; print(sorted({'typer', 'rich', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    package = str(Path(kf.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
