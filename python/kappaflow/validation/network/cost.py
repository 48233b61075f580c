"""Estimate of the time that an experiment takes, from a few timed steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from ..._checks import FloatArray
from ...models.layout import to_tensor
from ...models.training import train
from .plan import Plan

__all__ = ["Estimate", "estimate"]

#: The most images in a timed step. The cost of a larger batch is taken to be proportional.
_TIMED_BATCH = 16
_TIMED_STEPS = 3


@dataclass(frozen=True)
class Estimate:
    """Time that the runs of one architecture take.

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


def estimate(plan: Plan, images: FloatArray, shape: tuple[int, ...], device: str = "cpu") -> list[Estimate]:
    """Time a few training steps of each architecture of a plan; on a CPU with one thread, as in the runs.

    Parameters
    ----------
    images : (N, d) rows
    shape : of one image
    device : on which the runs compute
    """
    estimates = []
    threads = torch.get_num_threads()
    try:
        if device == "cpu":
            torch.set_num_threads(1)
        for arch in plan.archs:
            runs = [run for run in plan.runs if run.arch == arch]
            training = runs[0].training
            batch = min(training.batch, _TIMED_BATCH)
            short = replace(training, steps=1, batch=batch, compile=False)
            few_images = to_tensor(images[: 2 * batch], shape)
            train(
                runs[0].network, short, few_images, device=device
            )  # the first step sets up things that are not counted
            begun = time.monotonic()
            trained = train(runs[0].network, replace(short, steps=_TIMED_STEPS), few_images, device=device)
            each = (time.monotonic() - begun) / _TIMED_STEPS * training.batch / batch
            estimates.append(
                Estimate(
                    arch=arch,
                    parameters=sum(p.numel() for p in trained.denoiser.parameters()),
                    sizes=tuple(sorted({run.n for run in runs})),
                    count=len(runs),
                    steps=training.steps,
                    batch=training.batch,
                    seconds=each * training.steps,
                )
            )
    finally:
        torch.set_num_threads(threads)
    return estimates
