"""Training of a denoiser: deterministic, resumable, the same on every run with the same seeds."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .._tensors import digest
from .checkpoint import TrainingState, load_state, save_state
from .config import NetworkConfig, TrainingConfig, build_denoiser
from .edm import EDMDenoiser, edm_loss, training_noise

__all__ = ["TrainedDenoiser", "train"]

#: Steps between two looks at the clock.
_LOOK_EVERY = 10


class TrainedDenoiser(NamedTuple):
    """A denoiser with its averaged weights, in evaluation mode, and the `seconds` that its training took over all sessions."""

    denoiser: EDMDenoiser
    seconds: float


def train(
    network: NetworkConfig,
    training: TrainingConfig,
    images: torch.Tensor,
    *,
    device: str | torch.device = "cpu",
    checkpoint: str | os.PathLike[str] | None = None,
    save_every: float = 20.0,
    progress: Callable[[int], None] | None = None,
) -> TrainedDenoiser:
    """Train a denoiser on images.

    All random numbers of step k come from the seed (stream_seed, k). A run that continues from its checkpoint therefore ends with
    the same weights as a run that was never stopped, bit by bit on a CPU with the same number of threads.

    Parameters
    ----------
    network, training : the configurations of the network and of its training
    images : (n, *network.shape) float32
    device : device to train on
    checkpoint : file written every `save_every` seconds and on Ctrl-C; if it exists, training continues from it
    save_every : seconds between two writes of the checkpoint
    progress : called with the number of steps that are done

    Raises
    ------
    ValueError
        Images that do not fit; a checkpoint of another run, or one that cannot be read.
    OSError
        A checkpoint cannot be written; the earlier one is intact.
    FloatingPointError
        The weights are no longer finite.
    """
    if tuple(images.shape[1:]) != tuple(network.shape) or len(images) == 0:
        raise ValueError(f"images must be (n, {', '.join(map(str, network.shape))}), got {tuple(images.shape)}")
    torch_device = torch.device(device)
    data = images.to(torch_device, torch.float32)
    denoiser = build_denoiser(network, training.init_seed).to(torch_device).train()
    state = _start(network, training, denoiser, images, None if checkpoint is None else Path(checkpoint))
    path, begun = None if checkpoint is None else Path(checkpoint), time.monotonic() - state.seconds
    saved = time.monotonic()
    forward = torch.compile(denoiser) if training.compile else denoiser
    with _saved_on_interrupt(state, path, begun):
        while state.step < training.steps:
            _step(state, forward, denoiser, training, data)
            if state.step % _LOOK_EVERY == 0:
                if progress is not None:
                    progress(state.step)
                if path is not None and time.monotonic() - saved > save_every:
                    state.check_finite()
                    save_state(path, state, seconds=time.monotonic() - begun)
                    saved = time.monotonic()
    state.check_finite()
    seconds = time.monotonic() - begun
    if path is not None:
        save_state(path, state, seconds=seconds)
    state.use_average(denoiser)
    return TrainedDenoiser(denoiser.eval(), seconds)


def training_identity(network: NetworkConfig, training: TrainingConfig, images: torch.Tensor) -> dict[str, Any]:
    """What distinguishes the training of a network on images (n, \\*shape) from others, as JSON gives it back."""
    images = images.to(torch.float32)
    parts = {"network": asdict(network), "training": asdict(training), "images": digest(images.cpu().numpy())}
    return dict(json.loads(json.dumps(parts)))


def _start(
    network: NetworkConfig, training: TrainingConfig, denoiser: EDMDenoiser, images: torch.Tensor, path: Path | None
) -> TrainingState:
    """The state to continue from: that of the checkpoint, or a new one."""
    state = TrainingState.new(denoiser, training_identity(network, training, images))
    if path is not None and path.exists():
        load_state(path, state)
    return state


def _step(
    state: TrainingState,
    forward: Any,
    denoiser: EDMDenoiser,
    training: TrainingConfig,
    data: torch.Tensor,
) -> None:
    indices, noise, sigma = _draw(training, state.step, len(data), tuple(data.shape[1:]))
    clean = data[indices.to(data.device)]
    for group in state.optimiser.param_groups:
        group["lr"] = training.rate(state.step)
    state.optimiser.zero_grad(set_to_none=True)
    with torch.autocast(data.device.type, dtype=torch.bfloat16, enabled=training.amp):
        loss = edm_loss(forward, clean, noise.to(data.device), sigma.to(data.device), sigma_data=denoiser.sigma_data)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimiser.step()
    state.step += 1
    state.average(training.ema)


def _draw(
    training: TrainingConfig, step: int, count: int, shape: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, noise and noise levels of a step; drawn on the CPU, so that every device gets the same."""
    word = np.random.SeedSequence([training.stream_seed, step]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(word >> np.uint64(1)))
    indices = (torch.rand(training.batch, generator=generator, dtype=torch.float64) * count).long()
    noise = torch.randn((training.batch, *shape), generator=generator)
    return indices, noise, training_noise(training.batch, generator, mean=training.noise_mean, std=training.noise_std)


@contextlib.contextmanager
def _saved_on_interrupt(state: TrainingState, path: Path | None, begun: float) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if path is not None and state.whole:
            save_state(path, state, seconds=time.monotonic() - begun)
        raise
