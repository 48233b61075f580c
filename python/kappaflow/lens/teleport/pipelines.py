"""Teleport for pipelines of `diffusers`, with their own scheduler (needs torch and diffusers)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..._checks import FloatArray, integer, positive, real_array
from ..._repr import ShortRepr
from ...models.adapters import MEANINGS, asker, network_of
from ...models.layout import to_rows, to_tensor
from ...population import Population
from .jumps import jump

__all__ = ["SCHEDULERS", "PipelineSamples", "teleport_pipeline"]

#: Schedulers that can begin anywhere: each time step needs nothing of those before.
SCHEDULERS = ("DDIM", "DPMSolverMultistep", "DEISMultistep", "UniPCMultistep", "EulerDiscrete")
#: Schedulers whose state is x₀ + σz; that of the others has variance 1 at high noise.
_STATE_OF_SIGMA = ("EulerDiscrete",)


@dataclass(frozen=True, repr=False)
class PipelineSamples(ShortRepr):
    """Samples of a pipeline that was entered at a lower noise level.

    Attributes
    ----------
    samples : (B, d) rows in the order of the population's pixels
    sigma_start : noise level σ/α at which the scheduler starts
    sigma_max : noise level of the initial noise, infinite if the last time step of training is pure noise; equal to
        `sigma_start` for the plain pipeline
    evaluations : number of evaluations of the network for each sample
    """

    samples: FloatArray
    sigma_start: float
    sigma_max: float
    evaluations: int


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
    """Jump to σ′, then use the pipeline's own scheduler, with a grid of which `steps` steps lie below σ′.

    The noise belongs to the last time step of the training, also if the grid begins below it. Grids of few steps with
    ``leading`` spacing begin well below it; there, a plain pipeline treats pure noise as a noised sample. Below σ′, the
    scheduler works as in the pipeline, including clipping and thresholding. Scheduler and network are not changed.

    Parameters
    ----------
    model : a pipeline in pixel space, or its network
    population : mean and covariance of its training data, in its scale; for a model with classes, those of the class
    noise : (B, d) standard normal z, with which the pipeline would begin
    sigma_start : noise level σ/α; None for the plain pipeline. The scheduler begins at the highest time step that is not above
        it, among those from which a grid has `steps` steps left.
    steps : number of steps of the scheduler, one evaluation each
    scheduler : one of :data:`SCHEDULERS`, by default that of the pipeline
    label : class of a class-conditional model
    batch, device : number of images at once, and the device on which to compute
    progress : called with the fraction of the images that are done

    Raises
    ------
    ValueError
        The scheduler is unable to begin at an arbitrary step, adds noise or uses time in another way; it is DDIM with a spacing
        other than ``leading``, whose steps do not end at the time steps of its grid; σ′ is above the last time step of
        training, or so low that no grid has so many steps below it; the pipeline is latent; the output of the network has
        another shape than its input; or the noise has no rows.
    """
    network = network_of(model)
    given = scheduler if scheduler is not None else getattr(model, "scheduler", None)
    if given is None:
        raise ValueError("scheduler must be given with a model that is not a pipeline")
    kind = _kind(given)
    sampler = copy.deepcopy(given)  # the pipeline continues with its own grid
    count, size = integer("steps", steps, 1), integer("batch", batch, 1)
    z = population.flatten(real_array("noise", noise), "noise")
    if len(z) == 0:
        raise ValueError(f"noise must hold at least one row, got shape {z.shape}")
    ask = asker(network, label, halved=str(sampler.config.get("variance_type", "")).startswith("learned"))
    whole, first = count, 0
    if sigma_start is not None:
        if kind == "DDIM" and sampler.config.timestep_spacing != "leading":  # it steps by T // steps, whatever its grid
            raise ValueError(
                "scheduler must have timestep_spacing = leading for DDIM, because its steps end at the time steps of its grid "
                f"only then; got {sampler.config.timestep_spacing!r}"
            )
        whole, first = _entry(sampler, kind, positive("sigma_start", sigma_start), count)
    training = isinstance(network, torch.nn.Module) and network.training
    parts = []
    level = top = np.inf
    if training:
        network.eval()
    try:
        for start in range(0, len(z), size):
            sampler.set_timesteps(whole)  # anew: multistep schedulers remember their last answers
            level = top = float(_levels(sampler)[first])
            x = z[start : start + size]
            if sigma_start is None:
                x = x * float(sampler.init_noise_sigma)
            else:
                top = _top(sampler)
                x = _jump(population, x, level, top, _begins_with(sampler, kind, top))
                x = x if kind in _STATE_OF_SIGMA else x / np.sqrt(1 + level**2)
            state = to_tensor(x, population.shape, torch.float64).to(device)
            parts.append(to_rows(_sample(sampler, ask, state, first), population.shape))
            if progress is not None:
                progress(min(start + size, len(z)) / len(z))
    finally:
        if training:
            network.train()
    return PipelineSamples(
        samples=np.concatenate(parts), sigma_start=level, sigma_max=top, evaluations=len(sampler.timesteps) - first
    )


def _sample(scheduler: Any, ask: Callable[..., torch.Tensor], state: torch.Tensor, first: int) -> torch.Tensor:
    """The scheduler's steps from index `first` on."""
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    for time in scheduler.timesteps[first:]:
        inner = scheduler.scale_model_input(state, time)
        predicted = ask(inner, torch.full((len(state),), float(time), device=state.device))
        if predicted.shape != state.shape:  # one channel would be stretched to any number of them
            raise ValueError(
                f"network must return the shape of its input {tuple(state.shape)}, got {tuple(predicted.shape)}"
            )
        state = scheduler.step(predicted.to(state.dtype), time, state).prev_sample
    return state


def _kind(scheduler: Any) -> str:
    """Name of a scheduler that can begin anywhere and follows the probability flow; ValueError for others."""
    kind = type(scheduler).__name__.removesuffix("Scheduler")
    if kind not in SCHEDULERS:
        raise ValueError(
            f"scheduler must be one of {', '.join(SCHEDULERS)}, such as diffusers.DDIMScheduler.from_config("
            f"pipeline.scheduler.config), which can begin at any step; got {kind}"
        )
    for option, allowed in MEANINGS.items():
        if scheduler.config.get(option) not in allowed:
            raise ValueError(f"scheduler must have {option} = {allowed[0]}, got {scheduler.config.get(option)!r}")
    algorithm = str(scheduler.config.get("algorithm_type"))
    if algorithm.startswith("sde"):
        raise ValueError(
            f"scheduler must follow the probability flow, without new noise; got algorithm_type {algorithm!r}"
        )
    return kind


def _levels(scheduler: Any) -> FloatArray:
    """σ/α of each time step of the grid that is set."""
    if hasattr(scheduler, "sigmas"):
        return np.asarray(scheduler.sigmas[: len(scheduler.timesteps)], dtype=np.float64)
    return _noise_over_signal(scheduler.alphas_cumprod[scheduler.timesteps.long().cpu()])


def _noise_over_signal(kept: Any) -> FloatArray:
    """√((1 − ā)/ā), infinite where nothing of the signal is left."""
    alpha_bar = np.asarray(kept.cpu(), dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.sqrt((1 - alpha_bar) / alpha_bar))


def _top(scheduler: Any) -> float:
    """Noise level of the last time step of training, or of the first of the grid where that is above."""
    return max(float(_noise_over_signal(scheduler.alphas_cumprod[-1:])[0]), float(_levels(scheduler)[0]))


def _begins_with(scheduler: Any, kind: str, top: float) -> float:
    """Standard deviation of x₀ + σz where the scheduler begins, at σ = `top`."""
    if kind in _STATE_OF_SIGMA and scheduler.config.timestep_spacing in ("linspace", "trailing"):
        return top
    return float(np.sqrt(1 + top**2))


def _jump(population: Population, z: FloatArray, sigma: float, top: float, scale: float) -> FloatArray:
    """The states at σ for x_T = scale · z at `top`. For an infinite `top` they are μ + √(Σ + σ²) z."""
    if np.isfinite(top):
        return jump(population, scale * z, sigma, sigma_max=top)
    return population.apply(z + population.mean, np.sqrt(population.eigenvalues + sigma**2), null_gain=sigma)


def _entry(scheduler: Any, kind: str, sigma_start: float, steps: int) -> tuple[int, int]:
    """Number of steps of the whole grid, and the index at which it is entered, so that `steps` of them remain."""
    most = int(scheduler.config.num_train_timesteps)
    scheduler.set_timesteps(steps)
    if sigma_start > (top := _top(scheduler)):
        raise ValueError(f"sigma_start must be at most {top:.4g}, the initial noise level of {kind}, got {sigma_start}")
    best: tuple[float, int, int] | None = None
    finest = _grid(scheduler, most)
    if finest is None or (finest <= sigma_start).sum() >= steps:  # else no other grid has so many; some take long
        for whole in range(steps, most + 1):
            levels = _grid(scheduler, whole)
            if levels is None:
                continue
            below, first = int((levels <= sigma_start).sum()), len(levels) - steps
            if (below == steps and (best is None or levels[first] > best[0])) or (below > steps and best is None):
                best = float(levels[first]), whole, first
            if below > steps:
                break
    if best is None:
        raise ValueError(
            f"sigma_start must leave {steps} steps of {kind} below it, got {sigma_start}: take fewer steps or a higher level"
        )
    return best[1], best[2]


def _grid(scheduler: Any, whole: int) -> FloatArray | None:
    """Levels of the grid of so many steps; None if steps coincide, or lie outside of the time steps of training."""
    scheduler.set_timesteps(whole)
    first, last = float(scheduler.timesteps.min()), float(scheduler.timesteps.max())
    if not 0 <= first <= last < scheduler.config.num_train_timesteps:
        return None  # an offset moves the finest grids out
    levels = _levels(scheduler)
    return levels if levels[-1] > 0 and np.all(levels[1:] < levels[:-1]) else None
