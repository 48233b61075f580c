"""Which networks a pilot trains: pairs and repeats at one or two sizes, and a few for fewer steps at the largest size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from .._repr import ShortRepr
from ..validation.network.context import Context
from ..validation.network.disjoint import DisjointSplits, dependent_groups
from ..validation.network.experiment import train_members
from ..validation.network.members import Member, MemberPair, pair_members
from ..validation.network.plan import ComparedModel, Plan, RunSpec

__all__ = [
    "SIZES",
    "PilotMembers",
    "default_sizes",
    "first_pair",
    "shorter_lengths",
    "shorter_runs",
    "train_pilots",
]

M = TypeVar("M", bound=ComparedModel)

#: Sizes of the pilots where there are enough images.
SIZES = (100, 300)
#: The smallest size of a pilot: fewer images say little about the law.
_LEAST = 20
#: Parts of the length of the training for which networks are also trained, at the largest size.
_PARTS = (0.25, 0.5)


@dataclass(frozen=True, repr=False)
class PilotMembers(ShortRepr):
    """The networks of all pilots.

    Attributes
    ----------
    full : trained for as long as was asked for
    shorter : trained for fewer steps, at the largest size
    pairs : of the networks in `full`
    """

    full: tuple[Member, ...]
    shorter: tuple[Member, ...]
    pairs: tuple[MemberPair, ...]


def default_sizes(
    images: int, *, repeats: int = 1, split: str = "random", seed: int = 0, groups: Any = None
) -> tuple[int, ...]:
    """100 and 300 images, or a third of the largest size and the largest size if that is below 300.

    The largest size is half of the images, or a little less for images in groups.

    Parameters
    ----------
    images : number of images
    repeats, split, seed, groups : see :func:`~kappaflow.validation.network.plan.make_models`

    Raises
    ------
    ValueError, TypeError
        There are fewer than 60 images, two training sets of 20 images would share a group, or settings or labels do not fit.
    """
    if images < 3 * _LEAST:
        raise ValueError(f"images must be at least {3 * _LEAST} for pilots, got {images}")
    splits = DisjointSplits(images, repeats=repeats, split=split, seed=seed, groups=dependent_groups(groups, images))
    largest = splits.largest
    if largest < _LEAST:
        raise ValueError(
            f"groups must allow two training sets of at least {_LEAST} images that share no group, got at most {largest}"
        )
    return SIZES if largest >= SIZES[-1] else (max(_LEAST, largest // 3), largest)


def first_pair(runs: Sequence[M]) -> list[M]:
    """The networks of the first pair of training sets at the largest size."""
    largest = max(run.n for run in runs)
    return [run for run in runs if run.n == largest and run.repeat == 0]


def shorter_lengths(steps: int) -> tuple[int, ...]:
    """Other lengths of a training of so many steps, ascending; none if it is too short to be shortened."""
    return tuple(dict.fromkeys(part for share in _PARTS if 1 <= (part := round(share * steps)) < steps))


def shorter_runs(plan: Plan) -> tuple[RunSpec, ...]:
    """The networks of the first pair at the largest size, each for a quarter and for half of the steps.

    They have a learning rate that falls over their own steps. A network at the middle of a longer training would not tell what a
    shorter training gives.
    """
    return tuple(
        replace(run, training=replace(run.training, steps=steps))
        for steps in shorter_lengths(plan.runs[0].training.steps)
        for run in first_pair(plan.runs)
    )


def train_pilots(
    plan: Plan,
    context: Context,
    folder: Path,
    *,
    shorter: Sequence[RunSpec] = (),
    workers: int | None = None,
    device: str = "cpu",
    dask: str | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> PilotMembers:
    """Train and sample every network; what exists in `folder` is not done again.

    Parameters
    ----------
    plan, context : of the same images
    folder, workers, device, dask, progress : see :func:`~kappaflow.validation.network.experiment.validate_networks`
    shorter : see :func:`shorter_runs`

    Raises
    ------
    ValueError, OSError
        See :func:`~kappaflow.validation.network.sweep.run_jobs`.
    """
    members = train_members(
        (*plan.runs, *shorter),
        context,
        folder,
        sampler_steps=plan.sampler_steps,
        seed=plan.seed,
        workers=workers,
        device=device,
        dask=dask,
        progress=progress,
    )
    full = members[: len(plan.runs)]
    return PilotMembers(full=tuple(full), shorter=tuple(members[len(plan.runs) :]), pairs=tuple(pair_members(full)))
