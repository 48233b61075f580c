"""Two models that were trained elsewhere, compared as if they had been trained here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..._checks import FloatArray
from ..._tensors import digest
from ...models.adapters import open_denoiser
from ...models.checkpoint import network_facts
from ...models.config import NetworkConfig, TrainingConfig
from ...models.layout import tensor_shape
from ...sampling import SIGMA_MIN
from .analysis import Context, describe
from .experiment import assemble
from .plan import LEAST_SHARED, MOST_PROBED, Plan, RunSpec
from .probes import LEVELS, Probe, examine
from .results import NetworkValidation

__all__ = ["Given", "compare_given", "open_pair"]


@dataclass(frozen=True)
class Given:
    """Two models and the noise levels that both of them know."""

    names: tuple[str, str]
    denoisers: tuple[Any, Any]
    sigma_min: float
    sigma_max: float
    asked: float  # the sigma_max that was asked for


def open_pair(names: tuple[str, str], shape: tuple[int, ...], *, sigma_max: float, device: str = "cpu") -> Given:
    """Open both models; their noise levels cut the sampler's grid.

    Raises ValueError for models of another image shape, or that share no noise levels.
    """
    denoisers = [open_denoiser(name, device=device) for name in names]
    wanted = tensor_shape(shape)
    for name, denoiser in zip(names, denoisers, strict=True):
        found = getattr(denoiser, "image_shape", None)
        if found is not None and tuple(found) != wanted:
            raise ValueError(f"--pair: {name!r} makes images {tuple(found)}, the data are {wanted}")
    low = max(SIGMA_MIN, *(float(getattr(d, "sigma_min", SIGMA_MIN)) for d in denoisers))
    high = min(sigma_max, *(float(getattr(d, "sigma_max", sigma_max)) for d in denoisers))
    if low >= high:
        raise ValueError(f"--pair: the two models share no noise levels (from {low:g} to {high:g})")
    if low > LEVELS[0] or high < LEVELS[-1]:
        raise ValueError(
            f"--pair: both models must know noise levels from {LEVELS[0]:g} to {LEVELS[-1]:g}, got {low:g} to {high:g}"
        )
    return Given(names, (denoisers[0], denoisers[1]), low, high, sigma_max)


def compare_given(
    context: Context,
    given: Given,
    *,
    train: Sequence[FloatArray | None],
    n: Sequence[int] | None,
    sampler_steps: int,
    source: str = "",
    device: str = "cpu",
    seed: int = 0,
    notes: Sequence[str] = (),
    progress: Callable[[str, float], None] | None = None,
) -> NetworkValidation:
    """Sample two models from the same seeds and compare them with each other and with the theory.

    Parameters
    ----------
    context : of the data that both were trained on parts of, with noise at ``given.sigma_max``
    given : see :func:`open_pair`
    train : images of the training set of each model, None where it is unknown
    n : its size for the theory, where the sets are unknown; one number

    Raises
    ------
    ValueError : training sets of another image size, several n
    """
    count = len(context.images)
    said = list(notes)
    sets = [_training_set(context, name, rows) for name, rows in zip(given.names, train, strict=True)]
    known = sets[0] is not None and sets[1] is not None
    if sets[0] is not None and sets[1] is not None and np.array_equal(sets[0], sets[1]):  # one set, given twice
        sets[1] = sets[0]
    storage, indices = [context.images], []
    for rows in sets:
        if rows is None:
            indices.append(np.arange(count))
        elif len(indices) and rows is sets[0]:
            indices.append(indices[0])
        else:
            indices.append(np.arange(len(rows)) + sum(map(len, storage)))
            storage.append(rows)
    if not known:
        said.append(
            "The training set of a model is not known: all images stand in for it, and nothing is said of memorisation. "
            "--train-a and --train-b name them."
        )
    if given.sigma_min > SIGMA_MIN or given.sigma_max < given.asked:
        said.append(
            f"The models know noise levels from {given.sigma_min:.3g} to {given.sigma_max:.3g}; the sampler keeps to them."
        )
    size, words = _size(sets, n)
    said += words
    context = replace(context, images=np.concatenate(storage))
    free = outside(context.images[:count], sets)
    probed = np.sort(np.random.default_rng(seed).permutation(free)[:MOST_PROBED])
    members = []
    for place, denoiser in enumerate(given.denoisers):
        split = "AB"[place]
        own, other = indices[place], indices[1 - place] if known else indices[place][:0]
        spec = RunSpec(
            "given", size, 0, split, 0, own, other, probed, probed,
            NetworkConfig("given", tensor_shape(context.shape), 1.0), TrainingConfig(steps=1),
        )  # fmt: skip
        images = {
            "own": context.images[own[spec.probed]],
            "held_out": context.images[probed],
            "shared": context.images[probed],
        }
        probe = Probe(
            context.shape, context.noise, images, noise_seed=seed, sigma_max=given.sigma_max, steps=sampler_steps,
            sigma_min=given.sigma_min,
        )  # fmt: skip

        def report(done: float, before: float = place / 2, name: str = given.names[place]) -> None:
            if progress is not None:
                progress(f"sampling {Path(name).name}", before + 0.48 * done)

        try:
            answers = examine(denoiser, probe, device=device, progress=report)
        except Exception as error:  # whatever a model that was handed in raises
            raise ValueError(f"--pair: {given.names[place]!r} failed: {type(error).__name__}: {error}") from error
        parameters = sum(p.numel() for p in denoiser.parameters()) if isinstance(denoiser, torch.nn.Module) else 0
        members.append(describe(context, spec, answers, parameters=parameters, seconds=0.0, steps=0))
    plan = Plan(
        "given", ("given",), (size,), ("given",), 1, len(context.seeds), sampler_steps, seed, "given", None, None, ()
    )
    return assemble(plan, context, members, source=source, device=device, notes=said)


def outside(images: FloatArray, sets: Sequence[FloatArray | None]) -> npt.NDArray[np.int64]:
    """Which images are in none of the training sets that are known; all of them where that leaves fewer than 32."""
    taken = {row.tobytes() for rows in sets if rows is not None for row in rows}
    free = np.array([place for place, row in enumerate(images) if row.tobytes() not in taken], dtype=np.int64)
    return free if len(free) >= LEAST_SHARED else np.arange(len(images))


def _training_set(context: Context, name: str, rows: FloatArray | None) -> FloatArray | None:
    """The rows that were given, or those that a checkpoint of ours was trained on, where they are among the data."""
    if rows is not None:
        if rows.shape[1] != context.population.dimension:
            raise ValueError(
                f"training sets must have images of {context.population.dimension} values as the data, got {rows.shape[1]}"
            )
        return rows
    facts = network_facts(name)
    indices = np.array(facts.get("indices", []), dtype=np.int64) if facts is not None else np.zeros(0, dtype=np.int64)
    if facts is None or not indices.size or indices.max() >= len(context.images):
        return None
    found = context.images[indices]
    return found if digest(found) == facts.get("images") else None


def _size(sets: Sequence[FloatArray | None], n: Sequence[int] | None) -> tuple[int, list[str]]:
    """n for the theory, 0 where it is unknown, and what to say of it."""
    if n is not None:
        if len(n) != 1:
            raise ValueError(
                f"--n must be one number with --pair, the images that each model was trained on; got {list(n)}"
            )
        return n[0], []
    sizes = [len(rows) for rows in sets if rows is not None]
    if len(sizes) < 2:
        return 0, ["How many images the models were trained on is not known: no prediction is made. --n says it."]
    if sizes[0] == sizes[1]:
        return sizes[0], []
    size = round(2 / (1 / sizes[0] + 1 / sizes[1]))
    return size, [
        f"The models were trained on {sizes[0]:,} and {sizes[1]:,} images; predictions are for two sets of {size:,}."
    ]
