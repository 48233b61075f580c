"""Named experiments on networks: which networks are trained, for how long, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ...models.backbones import BACKBONES
from ...models.config import TrainingConfig

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """A named experiment.

    Attributes
    ----------
    title : description in a sentence
    archs, n, arms, repeats : what is trained. An `n` larger than half the number of images is reduced to that
    seeds, sampler_steps : number of initial noises, and steps of the sampler
    steps : architecture → steps of the training
    networks : architecture → options that replace its defaults
    training : configuration of every network
    rates : architecture → learning rate that replaces that of `training`
    """

    title: str
    archs: tuple[str, ...]
    n: tuple[int, ...]
    arms: tuple[str, ...]
    repeats: int
    seeds: int
    sampler_steps: int
    steps: Mapping[str, int]
    networks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    rates: Mapping[str, float] = field(default_factory=dict)


#: Steps after which small networks of each kind pass the gate on 8 × 8 to 16 × 16 images.
_SMALL_STEPS = {"unet": 400, "dit": 2000, "mlp": 1000, "linear": 2000, "linear-conv": 2000}
_SMALL_RATES = {"linear": 2e-2, "linear-conv": 1e-2}
#: Small presets train more at high noise than EDM does. Two networks must agree with the linear denoiser closely there, because
#: everything later follows from it, and few steps leave the ends of EDM's range of noise levels undertrained.
_SMALL = TrainingConfig(noise_mean=-0.4, noise_std=1.6)

_QUICK = Preset(
    title="a few minutes on two CPU cores for 8 × 8 images",
    archs=("unet",),
    n=(30, 200, 898),
    arms=("same", "different"),
    repeats=1,
    seeds=256,
    sampler_steps=35,
    steps=_SMALL_STEPS,
    training=_SMALL,
    rates=_SMALL_RATES,
)
_LAPTOP = Preset(
    title="an hour or two on two CPU cores for 8 × 8 to 16 × 16 images",
    archs=("unet", "dit"),
    n=(30, 100, 300, 898),
    arms=("same", "different"),
    repeats=3,
    seeds=256,
    sampler_steps=35,
    steps=_SMALL_STEPS,
    training=_SMALL,
    rates=_SMALL_RATES,
)
_PAPER = Preset(
    title="the published protocol; one GPU, days for all sizes",
    archs=("unet", "dit"),
    n=(300, 1000, 3000, 10_000, 30_000),
    arms=("same", "different"),
    repeats=1,
    seeds=512,
    sampler_steps=35,
    steps=dict.fromkeys(BACKBONES, 50_000),
    networks={
        "unet": {"channels": (128, 256, 256, 256), "layers": 2, "attention": (8,), "groups": 32},
        "dit": {"hidden": 384, "depth": 6, "heads": 6, "patch": 2},
    },
    training=TrainingConfig(batch=256, learning_rate=1e-4, schedule="constant", warmup=0),
)
#: Presets by name.
PRESETS: Mapping[str, Preset] = MappingProxyType({"quick": _QUICK, "laptop": _LAPTOP, "paper": _PAPER})
