"""Estimate of the time that an experiment takes, from a few timed steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from ..._checks import FloatArray
from ...models.layout import to_tensor
from ...models.training import train
from .plan import RunSpec

__all__ = ["Estimate", "estimate"]

#: The most images in a timed step. The cost of a larger batch is taken to be proportional.
_TIMED_BATCH = 16
_TIMED_STEPS = 3


@dataclass(frozen=True)
class Estimate:
    """Time that the runs of one architecture and one length of the training take.

    Attributes
    ----------
    arch, parameters : of the networks
    sizes : training-set sizes
    count : number of networks
    steps, batch : of one training
    seconds : of one training, from timed steps
    """

    arch: str
    parameters: int
    sizes: tuple[int, ...]
    count: int
    steps: int
    batch: int
    seconds: float


def estimate(
    runs: Sequence[RunSpec], images: FloatArray, shape: tuple[int, ...], device: str = "cpu"
) -> list[Estimate]:
    """Time a few training steps of each architecture; on a CPU with one thread, as in the runs.

    Parameters
    ----------
    runs : what would be trained
    images : (N, d) rows
    shape : of one image
    device : on which the runs compute

    Returns
    -------
    One estimate for each architecture and length of the training.
    """
    estimates = []
    threads = torch.get_num_threads()
    try:
        if device == "cpu":
            torch.set_num_threads(1)
        for arch in dict.fromkeys(run.arch for run in runs):
            same = [run for run in runs if run.arch == arch]
            timed = _timed(same[0], images, shape, device)
            for steps in dict.fromkeys(run.training.steps for run in same):
                group = [run for run in same if run.training.steps == steps]
                estimates.append(
                    Estimate(
                        arch=arch,
                        parameters=timed.parameters,
                        sizes=tuple(sorted({run.n for run in group})),
                        count=len(group),
                        steps=steps,
                        batch=group[0].training.batch,
                        seconds=timed.step_seconds * steps,
                    )
                )
    finally:
        torch.set_num_threads(threads)
    return estimates


class _Timed(NamedTuple):
    """Number of parameters of a network, and the duration of one step of its training."""

    parameters: int
    step_seconds: float


def _timed(run: RunSpec, images: FloatArray, shape: tuple[int, ...], device: str) -> _Timed:
    training = run.training
    batch = min(training.batch, _TIMED_BATCH)
    short = replace(training, steps=1, batch=batch, compile=False)
    few_images = to_tensor(images[: 2 * batch], shape)
    train(run.network, short, few_images, device=device)  # the first step sets up things that are not counted
    begun = time.monotonic()
    trained = train(run.network, replace(short, steps=_TIMED_STEPS), few_images, device=device)
    seconds = (time.monotonic() - begun) / _TIMED_STEPS * training.batch / batch
    return _Timed(sum(p.numel() for p in trained.denoiser.parameters()), seconds)
