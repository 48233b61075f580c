"""Pilots that are trained already: kept runs of a folder, or models from elsewhere."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer
from .._files_inside import require_inside
from .._listing import listed
from .._repr import ShortRepr
from .._schema import FileError
from .._tensors import digest
from ..groups import GroupLabels
from ..models.checkpoint import network_facts
from ..models.config import NetworkConfig, TrainingConfig
from ..validation.network.context import Context
from ..validation.network.disjoint import apart, dependent_groups, some_of
from ..validation.network.experiment import train_members
from ..validation.network.given import Given, Questions
from ..validation.network.members import Member, MemberPair, PairKind
from ..validation.network.plan import ComparedModel, RunSpec
from ..validation.network.sweep import folder_name
from .training import PilotMembers

__all__ = ["KeptRuns", "ObservedPilot", "kept_runs", "observed_pilots", "pilots_of_models", "pilots_of_runs"]

IndexArray = npt.NDArray[np.int64]

_MODELS = "*/model.safetensors"
#: Names of the models of a pilot.
_LABELS = ("A", "B", "B again")


@dataclass(frozen=True, repr=False)
class KeptRuns(ShortRepr):
    """Networks of one kind that were trained on parts of the same images.

    Attributes
    ----------
    runs : the networks
    pairs : places in `runs` of the two networks of each pair, and the arm of the pair: "different", "same" or "floor"
    arch, steps : architecture, and length of the training
    others : other kinds of networks in the folder, in words
    unreadable : names of folders whose network cannot be used: it is damaged, lies elsewhere, or is that of another folder
    """

    runs: tuple[RunSpec, ...]
    pairs: tuple[tuple[int, int, str], ...]
    arch: str
    steps: int
    others: tuple[str, ...]
    unreadable: tuple[str, ...]


def kept_runs(folder: Path, images: FloatArray, shape: tuple[int, ...], *, groups: Any = None) -> KeptRuns:
    """The networks in a folder of runs that were trained on these images; of several kinds, that of which there are most pairs.

    Networks are of one kind if they differ in nothing but their training set and the seeds of their training. Two of them, of one
    n, form a pair if they have the same training set and other seeds ("floor"), or training sets without a common image or group
    and the same seeds ("same") or other seeds ("different"). A training set is compared with one other only.

    Parameters
    ----------
    folder : as ``kappaflow validate network`` and ``kappaflow pilot`` leave it
    images : (N, d) all images, in the order in which they were then
    shape : of one image
    groups : (N,) labels of images that belong together, None if they are independent

    Raises
    ------
    ValueError
        No pair of such networks.
    TypeError, ValueError
        Labels that do not fit the images.
    """
    related = dependent_groups(groups, len(images))
    kinds: dict[str, list[RunSpec]] = defaultdict(list)
    unreadable = []
    for path in sorted(folder.glob(_MODELS)):
        facts = network_facts(path) if _is_inside(path, folder) else None
        if facts is None:
            unreadable.append(path.parent.name)
        elif _of_these_images(facts, images, shape):
            run = _spec(facts, len(images), related)
            if run is not None and path.parent.name == folder_name(run, images[run.own], shape):
                kinds[_kind(facts)].append(run)
            else:
                unreadable.append(f"{path.parent.name} (not the name of the network in it)")
    found = [(runs, _pairs(runs, related)) for runs in kinds.values()]
    found.sort(key=lambda kind: (-len(kind[1]), -kind[0][0].training.steps))
    if not found or not found[0][1]:
        raise ValueError(
            f"runs must name a folder with pairs of networks that were trained on these images, got {str(folder)!r} with "
            f"{sum(map(len, kinds.values()))} such networks and no pair"
        )
    runs, pairs = found[0]
    others = tuple(f"{len(rest)} of {rest[0].arch} after {rest[0].training.steps} steps" for rest, _ in found[1:])
    return KeptRuns(
        runs=tuple(runs),
        pairs=pairs,
        arch=runs[0].arch,
        steps=runs[0].training.steps,
        others=others,
        unreadable=tuple(unreadable),
    )


def pilots_of_runs(
    kept: KeptRuns,
    context: Context,
    folder: Path,
    *,
    device: str = "cpu",
    workers: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> PilotMembers:
    """Sample kept networks; nothing is trained.

    Parameters
    ----------
    kept : see :func:`kept_runs`
    context : of the same images
    folder, device, workers, progress : see :func:`~kappaflow.validation.network.experiment.validate_networks`

    Raises
    ------
    TrainingError, ValueError, OSError
        See :func:`~kappaflow.validation.network.sweep.run_jobs`.
    """
    members = train_members(
        kept.runs,
        context,
        folder,
        sampler_steps=context.steps,
        seed=context.seeds[0],
        workers=workers,
        device=device,
        training=False,
        progress=progress,
    )
    pairs = [
        MemberPair(
            kind=PairKind(kept.arch, members[first].spec.n, arm),
            repeat=members[first].spec.repeat,
            first=members[first],
            second=members[second],
        )
        for first, second, arm in kept.pairs
    ]
    return PilotMembers(full=tuple(members), shorter=(), pairs=tuple(pairs))


def _is_inside(path: Path, folder: Path) -> bool:
    try:
        return bool(require_inside(path, folder))
    except FileError:
        return False


def _of_these_images(facts: dict[str, Any], images: FloatArray, shape: tuple[int, ...]) -> bool:
    indices = np.array(facts.get("indices", []), dtype=np.int64)
    if not indices.size or indices.max() >= len(images) or facts.get("shape") != list(shape):
        return False
    if (
        facts.get("stratum") is not None or "training" not in facts
    ):  # sets that differ on purpose; networks of functions
        return False
    return digest(images[indices]) == facts.get("images")


def _kind(facts: dict[str, Any]) -> str:
    training = {name: value for name, value in facts["training"].items() if name not in ("init_seed", "stream_seed")}
    return json.dumps([facts["network"], training], sort_keys=True)


def _spec(facts: dict[str, Any], count: int, groups: GroupLabels | None) -> RunSpec | None:
    """The run of a network; None if its facts are not those of a training here."""
    own = np.array(facts["indices"], dtype=np.int64)
    network = NetworkConfig(**{**facts["network"], "shape": tuple(facts["network"]["shape"])})
    try:
        training = TrainingConfig(**facts["training"])
    except (TypeError, ValueError):
        return None
    held_out = some_of(apart(groups, count, own), np.random.default_rng(len(own)))
    return RunSpec(
        arch=network.arch,
        n=len(own),
        repeat=0,
        split=digest(own)[:6],
        member=training.init_seed,
        own=own,
        other=own[:0],
        held_out=held_out,
        shared=held_out[:0],
        network=network,
        training=training,
    )


def _pairs(runs: Sequence[RunSpec], groups: GroupLabels | None) -> tuple[tuple[int, int, str], ...]:
    """All pairs of runs on the same images, and on each two disjoint sets that belong together: those that share seeds first."""
    sets: dict[tuple[int, str], list[int]] = defaultdict(list)
    for place, run in enumerate(runs):
        sets[run.n, run.split].append(place)
    pairs = [
        (a, b, "floor")
        for places in sets.values()
        for a, b in combinations(places, 2)
        if not _same_seeds(runs[a], runs[b])
    ]
    held = {key: _units(runs[places[0]].own, groups) for key, places in sets.items()}
    candidates = [
        (left, right)
        for left, right in combinations(sets, 2)
        if left[0] == right[0] and not np.intersect1d(held[left], held[right]).size
    ]
    candidates.sort(
        key=lambda both: not any(_same_seeds(runs[a], runs[b]) for a in sets[both[0]] for b in sets[both[1]])
    )
    used: set[tuple[int, str]] = set()
    for left, right in candidates:
        if used.isdisjoint((left, right)):
            used |= {left, right}
            pairs += [
                (a, b, "same" if _same_seeds(runs[a], runs[b]) else "different")
                for a in sets[left]
                for b in sets[right]
            ]
    return tuple(pairs)


def _units(own: IndexArray, groups: GroupLabels | None) -> IndexArray:
    """What other training sets must not hold: the images, or their groups."""
    return own if groups is None else groups.numbers[own]


def _same_seeds(first: RunSpec, second: RunSpec) -> bool:
    seeds = [(run.training.init_seed, run.training.stream_seed) for run in (first, second)]
    return seeds[0] == seeds[1]


# --- models from elsewhere --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObservedPilot:
    """Two or three models that were trained on n images each.

    Attributes
    ----------
    n : number of images in each training set
    first, second : models that were trained on different images, with other seeds
    again : the same training as that of `second` with another seed, on the same images; None if there is none
    """

    n: int
    first: str
    second: str
    again: str | None = None

    def __post_init__(self) -> None:
        integer("n", self.n, 2)
        names = self.names
        if len(set(names)) < len(names):
            raise ValueError(f"models of a pilot must differ, got {listed(names)}")
        for name in names:
            facts = network_facts(name)
            known = len(facts.get("indices", [])) if facts is not None else 0
            if known and known != self.n:
                raise ValueError(f"n must be the number of images of the models, got {self.n} for {name!r} of {known}")

    @property
    def names(self) -> tuple[str, ...]:
        """The models."""
        return (self.first, self.second) if self.again is None else (self.first, self.second, self.again)


def observed_pilots(pilots: Sequence[ObservedPilot]) -> tuple[ObservedPilot, ...]:
    """Pilots in ascending order of n, which suffice for a fit.

    Raises
    ------
    ValueError
        No pilots, two at the same n, or one size without the third model, so that the floor is not known.
    """
    ordered = tuple(sorted(pilots, key=lambda pilot: pilot.n))
    if not ordered:
        raise ValueError("pilots must hold at least one pilot, got none")
    sizes = [pilot.n for pilot in ordered]
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"pilots must differ in n, got {sizes}")
    if len(ordered) == 1 and ordered[0].again is None:
        raise ValueError(
            f"pilots must hold a third model or a second size, got two models of n = {sizes[0]}: train the second model once more "
            "on its images, with another seed; without it the floor is not known"
        )
    return ordered


def pilots_of_models(
    pilots: Sequence[ObservedPilot],
    given: Given,
    context: Context,
    *,
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> PilotMembers:
    """Sample models that were trained elsewhere.

    Parameters
    ----------
    pilots : see :func:`observed_pilots`
    given : the models of all pilots in their order, opened by :func:`~kappaflow.validation.network.given.open_models`
    context : of images like those of the training sets, which stand in for them; with noise at ``given.sigma_max``
    device : on which the models compute
    seed : of the images on which models are judged, and of their noise
    progress : called with the name of a step and the fraction that is done

    Raises
    ------
    ModelError
        A model raises an error, or its outputs are not finite.
    """
    questions = Questions(context=context, given=given, sampler_steps=context.steps, seed=seed, device=device)
    everything = np.arange(context.count)
    probed = some_of(everything, np.random.default_rng(seed))
    members: list[Member] = []
    pairs: list[MemberPair] = []
    for pilot in pilots:
        at_n: list[Member] = []
        for label in _LABELS[: len(pilot.names)]:
            model = ComparedModel(
                arch="given",
                n=pilot.n,
                repeat=0,
                split=label,
                member=0,
                own=everything,
                other=everything[:0],
                held_out=probed,
                shared=probed,
            )
            index = len(members) + len(at_n)
            report = None if progress is None else _part(progress, index, len(given.names))
            at_n.append(questions.member(index, model, report))
        members += at_n
        pairs += [
            MemberPair(kind=PairKind("given", pilot.n, arm), repeat=0, first=at_n[a], second=at_n[b])
            for a, b, arm in ((0, 1, "different"), (0, 2, "different"), (1, 2, "floor"))
            if b < len(at_n)
        ]
    return PilotMembers(full=tuple(members), shorter=(), pairs=tuple(pairs))


def _part(progress: Callable[[str, float], None], index: int, count: int) -> Callable[[str, float], None]:
    return lambda step, done: progress(step, (index + done) / count)
