"""The plan of an experiment: splits, strata, and the list of networks to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, choice, integer
from ..._repr import ShortRepr
from ...models.backbones import BACKBONES
from ...models.config import NetworkConfig, TrainingConfig
from ...models.layout import tensor_shape
from ..strata import LEAST_POOL, strata
from .disjoint import MOST_PROBED, DisjointSplits, dependent_groups, some_of
from .presets import PRESETS, Preset

__all__ = [
    "ComparedModel",
    "Plan",
    "RunSpec",
    "make_models",
    "make_plan",
    "training_seed",
]

IndexArray = npt.NDArray[np.int64]

#: Preset transformers take patches twice as large for images with longer sides than this.
_LARGE = 32


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparedModel(ShortRepr):
    """A model with the images on which it is judged and compared: indices into all images.

    Attributes
    ----------
    arch, n, repeat, split, member : as in :class:`~.runs.Run`
    own : training set
    other : training set of the other split of its pair; empty if it is not known
    held_out : images outside of `own`, on which the gate checks the model
    shared : images on which both models of a pair are compared
    stratum : stratum of a counterfactual; None for the splits of all images
    """

    arch: str
    n: int
    repeat: int
    split: str
    member: int
    own: IndexArray
    other: IndexArray
    held_out: IndexArray
    shared: IndexArray
    stratum: str | None = None

    @property
    def probed(self) -> IndexArray:
        """(P,) positions in `own` of the images, at most 256, on which the gate checks the model."""
        return np.sort(np.random.default_rng(len(self.own)).permutation(len(self.own))[:MOST_PROBED])

    @property
    def key(self) -> str:
        """Unique name, shown to people."""
        name = f"{self.arch} n={self.n} {self.split}{self.member} repeat {self.repeat + 1}"
        return name if self.stratum is None else f"{name} ({self.stratum})"


@dataclass(frozen=True, kw_only=True, repr=False)
class RunSpec(ComparedModel, ShortRepr):
    """A network to train, with the images of its comparison.

    Attributes
    ----------
    network, training : configurations
    """

    network: NetworkConfig
    training: TrainingConfig


@dataclass(frozen=True, repr=False)
class Plan(ShortRepr):
    """Everything that an experiment trains and samples.

    Attributes
    ----------
    preset, archs, n, arms, repeats, seeds, sampler_steps, seed : as resolved
    split : one of :data:`~.disjoint.SPLITS`; "given" for models that were trained elsewhere
    component : principal component (0-based) of the counterfactual, None if there is none
    strata_n : training-set size of the counterfactual, None if there is none
    runs : what is trained
    """

    preset: str
    archs: tuple[str, ...]
    n: tuple[int, ...]
    arms: tuple[str, ...]
    repeats: int
    seeds: int
    sampler_steps: int
    seed: int
    split: str
    component: int | None = None
    strata_n: int | None = None
    runs: tuple[RunSpec, ...] = ()


def make_models(
    images: int,
    *,
    archs: Sequence[str],
    n: Sequence[int],
    arms: Sequence[str] = ("same", "different"),
    repeats: int = 1,
    split: str = "random",
    seed: int = 0,
    groups: Any = None,
) -> list[ComparedModel]:
    """The models of an experiment, whatever trains them, with the images of each.

    Each repeat makes two disjoint training sets A and B for every n, which share no group of images that belong together; the
    sets of a smaller n are subsets of those of a larger one. On these sets, the models A0, B0 and B1 are trained (the number
    stands for the initialisation and the noise). A0 and B0 differ only in their data, A0 and B1 in everything, and B0 and B1 in
    everything but their data.

    Parameters
    ----------
    images : number of images
    archs : names of the kinds of models
    n : training-set sizes
    arms : of "same", which needs B0, and "different", which needs B1
    repeats : pairs of training sets of each size
    split : one of :data:`~.disjoint.SPLITS`
    seed : of the splits
    groups : (N,) labels of images that belong together, None if they are independent

    Raises
    ------
    ValueError, TypeError
        A name is unknown, two sets of a size do not fit, or settings or labels are out of range.
    """
    for arm in arms:
        choice("arms", arm, ("same", "different"))
    splits = DisjointSplits(images, repeats=repeats, split=split, seed=seed, groups=dependent_groups(groups, images))
    sizes = splits.sizes((), n)
    return [model for repeat in range(repeats) for size in sizes for model in _pair(splits, archs, size, repeat, arms)]


def training_seed(seed: int, repeat: int, member: int) -> int:
    """32 bits for the initialisation and the noise of a training: the same for both splits, others for each repeat and member."""
    return int(np.random.SeedSequence([seed, repeat, member]).generate_state(1)[0])


def make_plan(
    images: FloatArray,
    shape: tuple[int, ...],
    preset: str = "quick",
    *,
    archs: Sequence[str] | None = None,
    n: Sequence[int] | None = None,
    arms: Sequence[str] | None = None,
    repeats: int | None = None,
    seeds: int | None = None,
    sampler_steps: int | None = None,
    steps: int | None = None,
    training: Mapping[str, Any] | None = None,
    split: str = "random",
    coordinate: FloatArray | None = None,
    component: int | None = None,
    seed: int = 0,
    groups: Any = None,
) -> Plan:
    """Turn a preset, and settings that replace some of it, into runs.

    The networks and their images are those of :func:`make_models`.

    Parameters
    ----------
    images : (N, d) rows
    shape : of one image
    preset : name in :data:`~.presets.PRESETS`
    archs, n, arms, repeats, seeds, sampler_steps : replace those of the preset
    steps : of the training, the same for every architecture
    training : fields of :class:`~kappaflow.models.config.TrainingConfig` that replace those of the preset
    split : one of :data:`~.disjoint.SPLITS`
    coordinate, component : (N,) coordinates of the images along principal component `component` (0-based), which orders the
        strata of a counterfactual; without them there is no counterfactual
    seed : of splits, initialisations and noise
    groups : (N,) labels of images that belong together, None if they are independent; strata would cut them apart

    Raises
    ------
    ValueError, TypeError
        A name is unknown, two sets of a size do not fit, there are too few images for strata, or settings or labels are out of
        range.
    """
    chosen = PRESETS.get(preset)
    if chosen is None:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}")
    names = tuple(dict.fromkeys(archs or chosen.archs))
    for name in names:
        if name not in BACKBONES:
            raise ValueError(f"archs must be among {', '.join(BACKBONES)}; got {name!r}")
    wanted = tuple(dict.fromkeys(arms or chosen.arms))
    rounds = chosen.repeats if repeats is None else repeats
    related = dependent_groups(groups, len(images))
    if component is not None and related is not None:
        raise ValueError(f"component must be None for images in groups, which strata would cut apart, got {component}")
    sizes = DisjointSplits(len(images), repeats=rounds, split=split, seed=seed, groups=related).sizes(chosen.n, n)
    models = make_models(
        len(images), archs=names, n=sizes, arms=wanted, repeats=rounds, split=split, seed=seed, groups=groups
    )
    base = _Base(
        images=images,
        shape=shape,
        preset=chosen,
        archs=names,
        steps=steps,
        training=dict(training or {}),
        seed=seed,
    )
    runs = [base.run(model) for model in models]
    strata_n = None
    if component is not None:
        if coordinate is None or coordinate.shape != (len(images),):
            raise ValueError("coordinate must hold one number for each image with a component")
        strata_n = _strata_size(len(images), sizes)
        runs += base.strata(strata_n, strata(coordinate))
    return Plan(
        preset=preset,
        archs=names,
        n=tuple(sizes),
        arms=wanted,
        repeats=rounds,
        seeds=integer("seeds", chosen.seeds if seeds is None else seeds, 8),
        sampler_steps=integer("sampler_steps", chosen.sampler_steps if sampler_steps is None else sampler_steps, 2),
        seed=seed,
        split=split,
        component=component,
        strata_n=strata_n,
        runs=tuple(runs),
    )


def _strata_size(count: int, sizes: Sequence[int]) -> int:
    """The largest n of which two disjoint sets fit into a third of the images; half of a third if there is no such n."""
    if count < LEAST_POOL:
        raise ValueError(f"images must be at least {LEAST_POOL} for strata, got {count}")
    most = 2 * (count // 6) // 2
    fitting = [size for size in sizes if size <= most]
    return max(fitting) if fitting else most


def _pair(
    splits: DisjointSplits, archs: Sequence[str], n: int, repeat: int, arms: Sequence[str]
) -> list[ComparedModel]:
    """A0, B0 and, for the arm in which everything differs, B1 of every architecture."""
    sets = splits.pair(repeat, n)
    shared = splits.shared(repeat, sets)
    members = [("A", 0, sets.a, sets.b)]
    if "same" in arms:
        members.append(("B", 0, sets.b, sets.a))
    if "different" in arms:
        members.append(("B", 1, sets.b, sets.a))
    return [
        ComparedModel(
            arch=arch,
            n=n,
            repeat=repeat,
            split=split,
            member=member,
            own=own,
            other=other,
            held_out=splits.outside(repeat, own),
            shared=shared,
        )
        for arch in archs
        for split, member, own, other in members
    ]


@dataclass(frozen=True)
class _Base:
    """What all runs of a plan share."""

    images: FloatArray
    shape: tuple[int, ...]
    preset: Preset
    archs: tuple[str, ...]
    steps: int | None
    training: Mapping[str, Any]
    seed: int

    def configurations(self, arch: str, repeat: int, member: int) -> tuple[NetworkConfig, TrainingConfig]:
        """Of one run; all runs of a plan have the same σ_d, the root mean square pixel of all images."""
        scale = float(np.sqrt(np.mean(self.images**2)))
        options = dict(self.preset.networks.get(arch, {}))
        if "patch" in options and max(self.shape) > _LARGE:  # as many tokens for 64 × 64 images as for 32 × 32
            options["patch"] *= 2
        network = NetworkConfig(
            arch=arch, shape=tensor_shape(self.shape), sigma_data=scale, options={**BACKBONES[arch].options, **options}
        )
        word = training_seed(self.seed, repeat, member)
        steps = self.preset.steps[arch] if self.steps is None else self.steps
        settings = {"learning_rate": self.preset.rates.get(arch, self.preset.training.learning_rate), **self.training}
        training = replace(self.preset.training, steps=steps, init_seed=word, stream_seed=word, **settings)
        return network, training

    def run(self, model: ComparedModel) -> RunSpec:
        """A model as a network to train."""
        network, training = self.configurations(model.arch, model.repeat, model.member)
        return RunSpec(**vars(model), network=network, training=training)

    def strata(self, n: int, parts: Mapping[str, IndexArray]) -> list[RunSpec]:
        """Two disjoint training sets of each stratum, of the same initialisation and noise."""
        specs, splits = [], DisjointSplits(len(self.images), seed=self.seed)
        for number, (name, members) in enumerate(parts.items()):
            order = splits.rng(1000 + number).permutation(members)
            a, b = order[:n], order[n : 2 * n]
            for arch in self.archs:
                network, training = self.configurations(arch, 0, 0)
                for split, own, other in (("A", a, b), ("B", b, a)):
                    specs.append(
                        RunSpec(
                            arch=arch,
                            n=n,
                            repeat=0,
                            split=split,
                            member=0,
                            own=own,
                            other=other,
                            held_out=some_of(np.setdiff1d(members, own), splits.rng(8)),
                            shared=np.zeros(0, dtype=np.int64),
                            network=network,
                            training=training,
                            stratum=name,
                        )
                    )
        return specs
