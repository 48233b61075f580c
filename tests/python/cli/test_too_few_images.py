"""Too few images for a size: the command line says the largest size and options that answer, and these options do."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

from commands import refuse, run, succeed
from kappaflow.cli import errors

LIMITS = {
    "square": ((50, 12, 12), 100, "--size=6"),
    "colour": ((100, 16, 16, 3), 500, "--size=5"),
    "wide": ((60, 8, 12), 200, "--size=6x9"),
}


@pytest.fixture
def few(folder):
    rng = np.random.default_rng(0)
    for name, (shape, _, _) in LIMITS.items():
        np.save(f"{name}.npy", rng.integers(0, 256, shape, dtype=np.uint8))
    np.save("flat.npy", rng.standard_normal((50, 144)))
    return folder


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("command", ["predict", "seeds"])
def test_what_the_message_proposes_works_as_typed(few, command, name):
    shape, n, option = LIMITS[name]
    message = refuse(command, f"{name}.npy", "--n", str(n))
    assert f"--n must be at most {shape[0]}, the number of images, got {n}" in message
    assert f"({option})" in message
    out = ["--out", "out", "--seeds", "4"] if command == "predict" else ["--seeds", "4"]
    for proposed in re.findall(r"\((--[^)]*)\)", message):
        succeed(command, f"{name}.npy", "--n", str(n), *out, *shlex.split(proposed.replace(",", "")))
        out = [*out, "--overwrite"] if command == "predict" and "--overwrite" not in out else out


def test_arrays_of_vectors_name_the_number_of_images_alone(few):
    message = refuse("predict", "flat.npy", "--n", "10,60")
    assert message.endswith(
        "50 images in 144 dimensions determine nothing beyond n = 50; at least 146 determine every n"
    )


def test_tables_of_too_few_images_say_so(few):
    words = " ".join(run("plan", "square.npy").stdout.split())
    assert "over 50" in words
    assert (
        "limit: 50 images in 144 dimensions determine nothing beyond n = 50; at least 146, or these at 6 × 6" in words
    )
    assert "limit:" not in run("plan", "square.npy", "--size", "6").stdout
    assert "(--size=6)" in " ".join(run("info", "square.npy").stdout.split())
    assert "beyond n" not in run("info", "square.npy", "--size", "6").stdout
    succeed("moments", "square.npy", "--out", "p.safetensors")
    assert "beyond n = 50" in " ".join(run("info", "p.safetensors").stdout.split())


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ("resize (size=6)", "resize (--size=6)"),
        ("resize (size=(6, 9))", "resize (--size=6x9)"),
        ("drop colour (grey=True, size=9)", "drop colour (--grey, --size=9)"),
        ("fewer (limit = 7)", "fewer (limit = 7)"),
    ],
)
def test_options_with_values_are_written_as_they_are_typed(message, typed):
    assert errors.options_as_typed(message, {"size": "--size", "grey": "--grey"}) == typed
