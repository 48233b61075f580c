"""Terminals without Unicode: every command works, and what an encoding lacks is written in ASCII."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kappaflow.cli.encoding import write_every_character


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("8×8, 0…16", "8x8, 0...16"),
        ("modes 17–64", "modes 17-64"),
        ("κ(σ²) ≥ 3·10⁻⁶", "kappa(sigma^2) >= 3*10^-6"),
        ("√(λ + σ²)", "sqrt (lambda + sigma^2)"),
        ("10\u202f%", "10 %"),
        ("Bär, 猫", "Bar, \\u732b"),
        ("plain", "plain"),
    ],
)
def test_ascii(text: str, written: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write_every_character(stream)
    print(text, file=stream, flush=True)
    assert raw.getvalue().decode("ascii") == written + "\n"


def test_what_an_encoding_has_is_kept() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    write_every_character(stream)
    print("8×8 ≥ 3²", file=stream, flush=True)
    assert raw.getvalue().decode("latin-1") == "8×8 >= 3²\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_command_on_a_plain_terminal_finishes(encoding: str, tmp_path: Path) -> None:
    np.save(tmp_path / "dätä.npy", np.random.default_rng(0).uniform(-1, 1, (40, 4, 4)))
    done = subprocess.run(
        [sys.executable, "-m", "kappaflow", "predict", "dätä.npy", "--n", "10", "--seeds", "4", "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"modes" in done.stdout
    done.stdout.decode(encoding)
    done.stderr.decode(encoding)
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000
