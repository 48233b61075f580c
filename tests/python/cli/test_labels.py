"""``--label``: the class of class-conditional models, wherever a command takes a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import commands

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from tiny_unet import tiny_unet  # noqa: E402

# Torch's __array__ has no copy keyword yet, which NumPy says where diffusers makes arrays of its schedules.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
QUICK = ("--seeds", "8", "--sampler-steps", "3", "-q")


@pytest.fixture
def classes(workplace: Path) -> Path:
    """data.npy, and pipelines of models with and without classes."""
    white = np.random.default_rng(0).standard_normal((80, 8, 8))
    np.save("data.npy", 0.1 * white.cumsum(axis=1).cumsum(axis=2) - 0.1)
    schedule = diffusers.DDPMScheduler(prediction_type="sample")
    diffusers.DDPMPipeline(tiny_unet(num_class_embeds=3), schedule).save_pretrained("classes")
    for name in ("plain", "again"):
        diffusers.DDPMPipeline(tiny_unet(), schedule).save_pretrained(name)
    return workplace


def test_a_pair_of_class_conditional_models(classes: Path) -> None:
    commands.succeed(
        "validate", "network", "data.npy", "--pair", "classes", "classes", "--label", "1", "--n", "20", *QUICK
    )
    assert '"label": 1' in Path("kappaflow-network-data/options.json").read_text()


def test_a_ranking_by_a_class_conditional_model(classes: Path) -> None:
    for label in ("0", "2"):
        out = f"{label}.json"
        commands.succeed(
            "seeds", "data.npy", "--seeds", "3", "--network", "classes", "--label", label, "--json", out, "-q"
        )
    assert Path("0.json").read_text() != Path("2.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("validate", "network", "data.npy", "--pair", "classes", "classes", *QUICK),
            "--pair: --label must be a class of the model, 0 to 2, got none",
        ),
        (
            ("validate", "network", "data.npy", "--pair", "classes", "classes", "--label", "3", *QUICK),
            "--pair: --label must be a class of the model, 0 to 2, got 3",
        ),
        (
            ("seeds", "data.npy", "--network", "classes"),
            "--network: --label must be a class of the model, 0 to 2, got none",
        ),
        (
            ("seeds", "data.npy", "--network", "plain", "--label", "1"),
            "--network: --label needs a class-conditional model, got 1 for UNet2DModel",
        ),
        (("seeds", "data.npy", "--label", "1"), "--label needs --network, got 1 without it"),
        (("lens", "teleport", "data.npy", "--label", "1"), "--label needs --network, got 1 without it"),
        (("validate", "network", "data.npy", "--label", "1"), "--label needs --pair, got 1 without it"),
        (
            ("pilot", "data.npy", "--observed", "20:classes,plain,again"),
            "--observed: --label must be a class of the model, 0 to 2, got none",
        ),
        (("pilot", "data.npy", "--label", "1"), "--label needs --observed, got 1 without it"),
    ],
)
def test_what_a_label_needs(classes: Path, arguments: tuple[str, ...], line: str) -> None:
    assert commands.refuse(*arguments) == line
