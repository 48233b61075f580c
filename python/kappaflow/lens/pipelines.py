"""Teleport for `diffusers` pipelines, with the scheduler that they bring (needs torch and diffusers)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .._checks import FloatArray, integer, positive, real_array
from ..population import Population
from ..validation.network.adapters import asker, network_of
from ..validation.network.layout import to_rows, to_tensor
from .teleport import jump

__all__ = ["SCHEDULERS", "PipelineSamples", "teleport_pipeline"]

#: Schedulers that can begin anywhere: each time step needs nothing of those before.
SCHEDULERS = ("DDIM", "DPMSolverMultistep", "DEISMultistep", "UniPCMultistep", "EulerDiscrete")
_STATE_OF_SIGMA = ("EulerDiscrete",)  # their state is x₀ + σz; that of the others has variance 1 at high noise


class PipelineSamples:
    """Samples of a pipeline that was entered at a lower noise level.

    Attributes
    ----------
    samples : (B, d) rows in the order of the population's pixels
    sigma_start, sigma_max : noise levels σ/α where the scheduler took over, and where the jump began
    evaluations : of the network, for each sample
    """

    def __init__(self, samples: FloatArray, sigma_start: float, sigma_max: float, evaluations: int) -> None:
        self.samples, self.sigma_start, self.sigma_max = samples, sigma_start, sigma_max
        self.evaluations = evaluations


@torch.no_grad()
def teleport_pipeline(
    model: Any,
    population: Population,
    noise: Any,
    sigma_start: float | None,
    *,
    steps: int,
    scheduler: Any = None,
    label: int | None = None,
    batch: int = 64,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> PipelineSamples:
    """Jump to σ′, then the pipeline's own scheduler, whose steps are laid out so that `steps` of them lie below σ′.

    Parameters
    ----------
    model : a pipeline in pixel space, or its network
    population : mean and covariance of its training data, in its scale; of the class, where it has classes
    noise : (B, d) standard normal z: the pipeline would begin with it
    sigma_start : noise level σ/α, None for the plain pipeline; the scheduler begins at its first time step that is not above
    steps : of the scheduler, one evaluation each
    scheduler : that of the pipeline by default; one of :data:`SCHEDULERS`
    label : class of a class-conditional model
    batch, device : images at once, and where
    progress : called with the fraction of the images that are done

    Raises
    ------
    ValueError : a scheduler that cannot begin anywhere; σ′ above the first noise level, or so low that no grid has so many
        steps below it; a latent pipeline
    """
    network = network_of(model)
    found = scheduler if scheduler is not None else getattr(model, "scheduler", None)
    if found is None:
        raise ValueError("scheduler must be given with a model that is no pipeline")
    kind = type(found).__name__.removesuffix("Scheduler")
    if kind not in SCHEDULERS:
        raise ValueError(f"scheduler must be one of {', '.join(SCHEDULERS)}, which can begin anywhere; got {kind}")
    count, size = integer("steps", steps, 1), integer("batch", batch, 1)
    z = population.flatten(real_array("noise", noise), "noise")
    ask = asker(network, label, halved=str(found.config.get("variance_type", "")).startswith("learned"))
    if isinstance(network, torch.nn.Module):
        network.eval()
    plain, first = _entry(found, kind, None if sigma_start is None else positive("sigma_start", sigma_start), count)
    parts = []
    levels = np.zeros(2)
    for start in range(0, len(z), size):
        found.set_timesteps(plain)  # anew: multistep schedulers remember their last answers
        levels = _levels(found)[[first, 0]]
        if hasattr(found, "set_begin_index"):
            found.set_begin_index(first)
        root = np.sqrt(1 + levels**2)
        rows = z[start : start + size]
        if kind in _STATE_OF_SIGMA:
            scale = float(found.init_noise_sigma)
            x = jump(population, scale * rows, levels[0], sigma_max=levels[1]) if first else scale * rows
        else:
            x = jump(population, root[1] * rows, levels[0], sigma_max=levels[1]) / root[0] if first else rows
        state = to_tensor(x, population.shape, torch.float64).to(device)
        for time in found.timesteps[first:]:
            inner = found.scale_model_input(state, time)
            predicted = ask(inner, torch.full((len(state),), float(time), device=device))
            state = found.step(predicted.to(state.dtype), time, state).prev_sample
        parts.append(to_rows(state, population.shape))
        if progress is not None:
            progress(min(start + size, len(z)) / len(z))
    used = len(found.timesteps) - first
    return PipelineSamples(np.concatenate(parts), float(levels[0]), float(levels[1]), used)


def _levels(scheduler: Any) -> FloatArray:
    """σ/α of each time step of the grid that is set."""
    if hasattr(scheduler, "sigmas"):
        return np.asarray(scheduler.sigmas[: len(scheduler.timesteps)], dtype=np.float64)
    kept = np.asarray(scheduler.alphas_cumprod[scheduler.timesteps.long().cpu()], dtype=np.float64)
    return np.asarray(np.sqrt((1 - kept) / kept))


def _entry(scheduler: Any, kind: str, sigma_start: float | None, steps: int) -> tuple[int, int]:
    """Steps of the whole grid, and the index where it is entered, so that `steps` remain; the grid is set already."""
    if sigma_start is None:
        scheduler.set_timesteps(steps)
        return steps, 0
    most = int(scheduler.config.num_train_timesteps)
    for whole in range(steps, most + 1):
        scheduler.set_timesteps(whole)
        levels = _levels(scheduler)
        if whole == steps and sigma_start > levels[0]:
            raise ValueError(f"sigma_start must be at most {levels[0]:.4g}, where {kind} begins, got {sigma_start}")
        if (levels <= sigma_start).sum() >= steps:
            return whole, len(levels) - steps
    raise ValueError(
        f"sigma_start must leave {steps} steps of {kind} below it, got {sigma_start}: take fewer steps or a higher level"
    )
