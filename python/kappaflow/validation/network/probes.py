"""The inputs and outputs of every model: samples from the seeds and from manipulated seeds, and denoised images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from ..._checks import FloatArray
from ..._formats import ANSWERS
from ..._repr import ShortRepr
from ..._tensors import damaged, read_tensors, write_tensors
from ...models.denoisers import TensorDenoiser
from ...models.layout import to_rows, to_tensor
from ...models.sampling import sample
from ...sampling import SIGMA_MAX, SIGMA_MIN

__all__ = ["LEVELS", "Answers", "Probe", "denoised", "examine"]

#: Noise levels at which denoisers are compared: those at which images form, from texture to layout.
LEVELS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, repr=False)
class Probe(ShortRepr):
    """Inputs of one model. All images and noises are rows of pixels.

    Attributes
    ----------
    shape : of one image
    noise : name → (Z, d) initial noise x_T; "seeds" holds the unchanged seeds
    images : name → (M, d) clean images that are noised and denoised: "own" of the training set, "held_out", "shared" for pairs
    noise_seed : seed of the noise on the images, the same for every model
    sigma_max, sigma_min, steps : of the sampler
    batch : number of images at once
    """

    shape: tuple[int, ...]
    noise: Mapping[str, FloatArray]
    images: Mapping[str, FloatArray]
    noise_seed: int = 0
    sigma_max: float = SIGMA_MAX
    steps: int = 35
    batch: int = 128
    sigma_min: float = SIGMA_MIN


@dataclass(frozen=True, repr=False)
class Answers(ShortRepr):
    """Outputs of one model.

    Attributes
    ----------
    samples : name → (Z, d) samples from each noise
    loss : name → (S,) mean ‖D(x + σz) − x‖²/d over the images of that name, at :data:`LEVELS`; empty if only samples are known
    shared : (S, M, d) D(x + σz) of the images named "shared"; empty if there are none
    """

    samples: Mapping[str, FloatArray]
    loss: Mapping[str, FloatArray] = field(default_factory=dict)
    shared: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 0)))

    def save(self, path: str | os.PathLike[str], run: str) -> None:
        """Write a safetensors file, completely or not at all, with the name of the run."""
        arrays = {f"samples/{name}": value for name, value in self.samples.items()}
        arrays.update({f"loss/{name}": value for name, value in self.loss.items()})
        arrays["shared"] = self.shared.astype(np.float32)
        write_tensors(path, arrays, format=ANSWERS, facts={"run": run})

    @classmethod
    def load(cls, path: str | os.PathLike[str], probe: Probe) -> Answers:
        """Read the answers to these questions from a file that :meth:`save` wrote.

        Raises
        ------
        FileError
            The file is not one of these, damaged, changed since it was written, or holds answers to other questions.
        """
        arrays, _ = read_tensors(path, ANSWERS)
        shared = arrays.pop("shared").astype(np.float64)
        parts: dict[str, dict[str, FloatArray]] = {"samples": {}, "loss": {}}
        for name, value in arrays.items():
            kind, key = name.split("/", 1)
            parts[kind][key] = value
        answers = cls(parts["samples"], parts["loss"], shared)
        if answers._shapes() != _shapes_of(probe):
            raise damaged(path, ANSWERS, "its arrays have other names or shapes than the answers to these questions")
        return answers

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {f"samples/{name}": value.shape for name, value in self.samples.items()}
        return (
            shapes | {f"loss/{name}": value.shape for name, value in self.loss.items()} | {"shared": self.shared.shape}
        )


def _shapes_of(probe: Probe) -> dict[str, tuple[int, ...]]:
    """The shapes of the answers that :func:`examine` gives."""
    levels = len(LEVELS)
    shared = (levels, *probe.images["shared"].shape) if "shared" in probe.images else (0, 0, 0)
    shapes: dict[str, tuple[int, ...]] = {f"samples/{name}": noise.shape for name, noise in probe.noise.items()}
    return shapes | {f"loss/{name}": (levels,) for name in probe.images} | {"shared": shared}


def examine(
    denoiser: TensorDenoiser,
    probe: Probe,
    *,
    device: str | torch.device = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Answers:
    """Sample a model from every noise, and denoise all images with it.

    Parameters
    ----------
    denoiser : the model
    probe : the inputs
    device : on which it computes; the sampler's state is there too, in float64 if the device supports it
    progress : called with the fraction of the samples that is done

    Raises
    ------
    ValueError
        See :func:`~kappaflow.models.sampling.sample`.
    """
    target = torch.device(device)
    precise = torch.float32 if target.type == "mps" else torch.float64  # Apple's GPUs have no float64
    total = sum(len(noise) for noise in probe.noise.values())
    samples: dict[str, FloatArray] = {}
    done = 0
    for name, noise in probe.noise.items():

        def report(count: int, before: int = done) -> None:
            if progress is not None:
                progress((before + count) / total)

        start = to_tensor(noise, probe.shape, precise).to(target)
        drawn = sample(
            denoiser,
            start,
            steps=probe.steps,
            sigma_max=probe.sigma_max,
            sigma_min=probe.sigma_min,
            batch=probe.batch,
            progress=report,
        )
        samples[name] = to_rows(drawn, probe.shape)
        done += len(noise)
    loss, shared = {}, np.zeros((0, 0, 0))
    for name, images in probe.images.items():
        answers = denoised(denoiser, images, probe, target, precise)
        if name == "shared":
            shared = answers
        loss[name] = np.mean((answers - images) ** 2, axis=(1, 2))
    return Answers(samples, loss, shared)


@torch.no_grad()
def denoised(
    denoiser: TensorDenoiser,
    images: FloatArray,
    probe: Probe,
    target: torch.device,
    precise: torch.dtype = torch.float64,
) -> FloatArray:
    """(S, M, d) D(x + σz; σ) of images x (M, d) at :data:`LEVELS`; the noise z comes from the seed (noise_seed, index of σ)."""
    answers = np.empty((len(LEVELS), *images.shape))
    for place_of_level, sigma in enumerate(LEVELS):
        rng = np.random.default_rng([probe.noise_seed, place_of_level])
        noised = images + sigma * rng.standard_normal(images.shape)
        for start in range(0, len(images), probe.batch):
            x = to_tensor(noised[start : start + probe.batch], probe.shape, precise).to(target)
            levels = torch.full((len(x),), sigma, dtype=precise, device=target)
            answers[place_of_level, start : start + len(x)] = to_rows(denoiser(x, levels), probe.shape)
    return answers
