"""Configurations of networks and of their training, and the untrained denoiser of a configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .._checks import choice, integer, not_negative, positive
from .backbones import build_backbone
from .edm import P_MEAN, P_STD, EDMDenoiser

__all__ = ["SCHEDULES", "NetworkConfig", "TrainingConfig", "build_denoiser"]

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class NetworkConfig:
    """The configuration of a network.

    Attributes
    ----------
    arch : name in :data:`~.backbones.BACKBONES`
    shape : shape of one image as a tensor, (C, H, W) or (d,)
    sigma_data : σ_d of the preconditioning, see :class:`~.edm.EDMDenoiser`
    options : options that replace the defaults of that kind of network
    """

    arch: str
    shape: tuple[int, ...]
    sigma_data: float
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained: by Adam on the loss of EDM.

    Attributes
    ----------
    steps, batch : optimiser steps, and images in each
    learning_rate : of Adam; it rises over the first `warmup` steps, and falls to 0 at the last step if `schedule` is "cosine"
    schedule, warmup : see `learning_rate`; "constant" keeps it constant
    ema : width of the average of the weights, as a share of the steps done (power function average of Karras et al. 2024)
    noise_mean, noise_std : mean and standard deviation of ln σ
    init_seed : seed of the initial weights
    stream_seed : seed of all random draws in training: images, noise and noise levels. Two runs with the same stream seed on
        different training sets of the same size see the same positions, noise and levels
    amp : whether to compute in bfloat16 wherever that is safe
    compile : whether to use torch.compile

    Raises
    ------
    ValueError, TypeError
        A value out of range.
    """

    steps: int = 1000
    batch: int = 64
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup: int = 20
    ema: float = 0.05
    noise_mean: float = P_MEAN
    noise_std: float = P_STD
    init_seed: int = 0
    stream_seed: int = 0
    amp: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("warmup", 0), ("init_seed", 0), ("stream_seed", 0)):
            integer(name, getattr(self, name), least)
        positive("learning_rate", self.learning_rate)
        choice("schedule", self.schedule, SCHEDULES)
        positive("noise_std", self.noise_std)
        if not 0 <= not_negative("ema", self.ema) <= 0.25:
            raise ValueError(f"ema must be a share of the steps between 0 (no average) and 0.25, got {self.ema}")

    def rate(self, step: int) -> float:
        """Learning rate of a step; steps count from 0."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps)) if self.schedule == "cosine" else 1.0
        return self.learning_rate * rise * fall


def build_denoiser(config: NetworkConfig, init_seed: int = 0) -> EDMDenoiser:
    """The untrained denoiser. The same seed gives the same weights, and torch's global generator is not changed.

    Raises
    ------
    ValueError, ImportError
        See :func:`~.backbones.build_backbone`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(init_seed)
        denoiser = EDMDenoiser(build_backbone(config.arch, config.shape, config.options), config.sigma_data)
    denoiser.image_shape = tuple(config.shape)
    return denoiser
