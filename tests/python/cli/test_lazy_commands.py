"""A command imports its own file and no other command's; listing the commands imports none."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = {"predict", "diagnose", "plan", "seeds", "moments", "lens", "info", "linear", "network"}


def _imported(*arguments: str) -> set[str]:
    """Files of commands that a start of ``kappaflow`` with these arguments imports."""
    code = (
        "import sys\nfrom kappaflow.cli import app\n"
        f"try:\n    app({list(arguments)!r}, prog_name='kappaflow')\nexcept SystemExit:\n    pass\n"
        "print('|', *(name.rpartition('.')[2] for name in sys.modules if name.startswith('kappaflow.cli.')))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return COMMANDS & set(output.rpartition("|")[2].split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version"], set()),
        (["plan", "--help"], {"plan"}),
        (["validate", "network", "--help"], {"network"}),
        (["--help"], COMMANDS - {"linear", "network"}),
        (["validate", "--help"], {"linear", "network"}),
    ],
)
def test_a_start_imports_what_it_needs(arguments: list[str], expected: set[str]) -> None:
    assert _imported(*arguments) == expected


def test_misspelt_command_is_refused() -> None:
    result = subprocess.run([sys.executable, "-m", "kappaflow", "plann"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "plann" in result.stderr
