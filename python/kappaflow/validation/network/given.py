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
from ..._repr import ShortRepr
from ..._tensors import digest
from ...groups import GroupLabels
from ...models.checkpoint import network_facts
from ...models.errors import ModelError
from ...models.layout import tensor_shape
from ...models.opening import open_denoiser
from ...sampling import SIGMA_MIN
from .context import Context
from .disjoint import LEAST_SHARED, apart, some_of
from .experiment import assemble
from .members import Member, describe
from .plan import ComparedModel, Plan
from .probes import LEVELS, Answers, Probe, examine
from .results import NetworkValidation

__all__ = ["Given", "Questions", "compare_given", "open_models", "outside"]

IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class Given(ShortRepr):
    """Models, and the noise levels for which all of them were made.

    Attributes
    ----------
    names, denoisers : of the models
    sigma_min, sigma_max : range of noise levels of all models
    requested_sigma_max : the largest noise level that was requested
    """

    names: tuple[str, ...]
    denoisers: tuple[Any, ...]
    sigma_min: float
    sigma_max: float
    requested_sigma_max: float

    def parameters(self, index: int) -> int:
        """Number of parameters of one of the models; 0 if it is not a torch module."""
        denoiser = self.denoisers[index]
        return sum(p.numel() for p in denoiser.parameters()) if isinstance(denoiser, torch.nn.Module) else 0


@dataclass(frozen=True)
class _TrainingSets:
    """The training sets of both models.

    Attributes
    ----------
    images : all images, followed by the given training sets
    indices : of each training set in `images`; of all images of the data if a set is not known
    rows : the training sets; None for a set that is not known
    """

    images: FloatArray
    indices: tuple[IndexArray, IndexArray]
    rows: tuple[FloatArray | None, FloatArray | None]

    @property
    def known(self) -> bool:
        """Whether both training sets are known."""
        return self.rows[0] is not None and self.rows[1] is not None


@dataclass(frozen=True)
class _Size:
    """The n of the theory, 0 if it is not known, and notes about it."""

    n: int
    notes: tuple[str, ...] = ()


def open_models(
    names: tuple[str, ...],
    shape: tuple[int, ...],
    *,
    sigma_max: float,
    device: str = "cpu",
    label: int | None = None,
) -> Given:
    """Open models; the sampler uses only noise levels for which all were made.

    Parameters
    ----------
    names : as :func:`~kappaflow.models.opening.open_denoiser` takes them
    shape : of one image
    sigma_max : noise level at which sampling starts, lowered to the largest of all models
    device : on which they compute
    label : class of class-conditional models

    Raises
    ------
    ValueError
        A model has another image shape, or one was not made for the noise levels at which denoisers are compared. See
        :func:`~kappaflow.models.opening.open_denoiser` for other errors.
    """
    denoisers = [open_denoiser(name, device=device, label=label) for name in names]
    wanted = tensor_shape(shape)
    for name, denoiser in zip(names, denoisers, strict=True):
        image_shape = getattr(denoiser, "image_shape", None)
        if image_shape is not None and tuple(image_shape) != wanted:
            raise ValueError(
                f"names must be models of images {wanted}, like the data; {name!r} generates images {tuple(image_shape)}"
            )
    low = max(SIGMA_MIN, *(float(getattr(d, "sigma_min", SIGMA_MIN)) for d in denoisers))
    high = min(sigma_max, *(float(getattr(d, "sigma_max", sigma_max)) for d in denoisers))
    if low >= high:
        raise ValueError(f"names must be models that share noise levels, got levels from {low:g} to {high:g}")
    if low > LEVELS[0] or high < LEVELS[-1]:
        raise ValueError(
            f"names must be models that all cover noise levels from {LEVELS[0]:g} to {LEVELS[-1]:g}, got {low:g} to {high:g}"
        )
    return Given(names=names, denoisers=tuple(denoisers), sigma_min=low, sigma_max=high, requested_sigma_max=sigma_max)


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
    context : of the data that contain both training sets, with noise at ``given.sigma_max``
    given : see :func:`open_models`
    train : images of the training set of each model, None if it is unknown
    n : one number, the size of the training sets for the theory, if the sets are unknown
    sampler_steps : of the sampler
    source, device, notes, progress : see :func:`~.experiment.validate_networks`
    seed : seed of the choice of images on which denoisers are compared, and of their noise

    Raises
    ------
    ValueError
        Training sets have another image size, or there are several n.
    ModelError
        A model raises an error, or its outputs are not finite.
    """
    count = len(context.images)
    sets = _training_sets(context, given, train)
    size = _size(sets.rows, n)
    context = replace(context, images=sets.images)
    free = outside(sets.images[:count], sets.rows, context.groups)
    probed = some_of(free, np.random.default_rng(seed))
    questions = Questions(context=context, given=given, sampler_steps=sampler_steps, seed=seed, device=device)
    members: list[Member] = []
    for index in range(2):
        own, other = sets.indices[index], sets.indices[1 - index]
        model = ComparedModel(
            arch="given",
            n=size.n,
            repeat=0,
            split="AB"[index],
            member=0,
            own=own,
            other=other if sets.known else other[:0],
            held_out=probed,
            shared=probed,
        )
        members.append(questions.member(index, model, None if progress is None else _half(progress, index)))
    plan = Plan(
        preset="given",
        archs=("given",),
        n=(size.n,),
        arms=("given",),
        repeats=1,
        seeds=len(context.seeds),
        sampler_steps=sampler_steps,
        seed=seed,
        split="given",
    )
    all_notes = (*notes, *_notes(given, sets), *size.notes)
    return assemble(plan, context, members, source=source, device=device, notes=all_notes)


@dataclass(frozen=True, repr=False)
class Questions(ShortRepr):
    """What all given models are asked.

    Attributes
    ----------
    context : with noise at ``given.sigma_max``
    given : the models
    sampler_steps : of the sampler
    seed : of the noise on images
    device : on which the models compute
    """

    context: Context
    given: Given
    sampler_steps: int
    seed: int
    device: str

    def member(self, index: int, model: ComparedModel, progress: Callable[[str, float], None] | None = None) -> Member:
        """One of the models with its samples and its gate.

        Raises
        ------
        ModelError
            The model raises an error, or its outputs are not finite.
        """
        answers = self.answers(index, model, progress)
        return describe(self.context, model, answers, parameters=self.given.parameters(index), seconds=0.0, steps=0)

    def probe(self, model: ComparedModel) -> Probe:
        """The inputs of a model with these images."""
        context, given = self.context, self.given
        return Probe(
            context.shape,
            context.noise,
            images={
                "own": context.images[model.own[model.probed]],
                "held_out": context.images[model.held_out],
                "shared": context.images[model.shared],
            },
            noise_seed=self.seed,
            sigma_max=given.sigma_max,
            sigma_min=given.sigma_min,
            steps=self.sampler_steps,
        )

    def answers(
        self, index: int, model: ComparedModel, progress: Callable[[str, float], None] | None = None
    ) -> Answers:
        """Samples and losses of one of the models.

        Raises
        ------
        ModelError
            The model raises an error, or its outputs are not finite.
        """
        name = self.given.names[index]

        def report(done: float) -> None:
            if progress is not None:
                progress(f"sampling {Path(name).name}", done)

        try:
            return examine(self.given.denoisers[index], self.probe(model), device=self.device, progress=report)
        except Exception as error:  # whatever a model that was trained elsewhere raises
            raise ModelError.of(f"model {name!r} cannot be sampled", error) from error


def _half(progress: Callable[[str, float], None], index: int) -> Callable[[str, float], None]:
    """The progress of the first or the second model; the analysis takes what is left."""
    return lambda step, done: progress(step, index / 2 + 0.48 * done)


def outside(images: FloatArray, sets: Sequence[FloatArray | None], groups: GroupLabels | None = None) -> IndexArray:
    """Indices (M,) of the images (N, d) that are in none of the known training sets, and in no group of them; of all images if
    fewer than 32 are left.
    """
    known = {row.tobytes() for rows in sets if rows is not None for row in rows}
    taken = np.array([index for index, row in enumerate(images) if row.tobytes() in known], dtype=np.int64)
    free = apart(groups, len(images), taken)
    return free if len(free) >= LEAST_SHARED else np.arange(len(images))


def _training_sets(context: Context, given: Given, train: Sequence[FloatArray | None]) -> _TrainingSets:
    """Both training sets as indices into the images and what is stored behind them."""
    first, second = (_training_set(context, name, rows) for name, rows in zip(given.names, train, strict=True))
    if first is not None and second is not None and np.array_equal(first, second):  # one set, given twice
        second = first
    storage, indices = [context.images], list[IndexArray]()
    for rows in (first, second):
        if rows is None:
            indices.append(np.arange(len(context.images)))
        elif indices and rows is first:
            indices.append(indices[0])
        else:
            indices.append(np.arange(len(rows)) + sum(map(len, storage)))
            storage.append(rows)
    return _TrainingSets(np.concatenate(storage), (indices[0], indices[1]), (first, second))


def _training_set(context: Context, name: str, rows: FloatArray | None) -> FloatArray | None:
    """The rows that were given, or those that a checkpoint of ours was trained on, where they are among the data."""
    if rows is not None:
        if rows.shape[1] != context.population.dimension:
            raise ValueError(
                f"training sets must have images of {context.population.dimension} values like the data, got {rows.shape[1]}"
            )
        return rows
    facts = network_facts(name)
    indices = np.array(facts.get("indices", []), dtype=np.int64) if facts is not None else np.zeros(0, dtype=np.int64)
    if facts is None or not indices.size or indices.max() >= len(context.images):
        return None
    rows_of_data = context.images[indices]
    return rows_of_data if digest(rows_of_data) == facts.get("images") else None


def _size(sets: Sequence[FloatArray | None], n: Sequence[int] | None) -> _Size:
    """The n for the theory: as given, or that of the training sets."""
    if n is not None:
        if len(n) != 1:
            raise ValueError(
                f"n must be one number for given models, the number of images that each was trained on; got {list(n)}"
            )
        return _Size(n[0])
    sizes = [len(rows) for rows in sets if rows is not None]
    if len(sizes) < 2:
        return _Size(
            0, ("The number of images that the models were trained on is not known: give n for a prediction.",)
        )
    if sizes[0] == sizes[1]:
        return _Size(sizes[0])
    mean = round(2 / (1 / sizes[0] + 1 / sizes[1]))
    return _Size(
        mean,
        (
            f"The models were trained on {sizes[0]:,} and {sizes[1]:,} images; predictions are for two sets of {mean:,}.",
        ),
    )


def _notes(given: Given, sets: _TrainingSets) -> list[str]:
    """Caveats of what is not known."""
    notes = []
    if not sets.known:
        notes.append(
            "The training set of a model is not known: all images stand in for it, and memorisation is not measured. Give both "
            "training sets to change that."
        )
    if given.sigma_min > SIGMA_MIN or given.sigma_max < given.requested_sigma_max:
        notes.append(
            f"The models know noise levels from {given.sigma_min:.3g} to {given.sigma_max:.3g}; the sampler stays within them."
        )
    return notes
