"""Pairs of training sets that share no image, and no group of images that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._checks import choice, integer
from ..._repr import ShortRepr, short_repr
from ...groups import GroupLabels, group_numbers

__all__ = [
    "LEAST_SHARED",
    "MOST_PROBED",
    "SPLITS",
    "DisjointPair",
    "DisjointSplits",
    "apart",
    "dependent_groups",
    "disjoint_pair",
    "largest_pair",
    "random_order",
    "some_of",
]

IndexArray = npt.NDArray[np.int64]

#: How training sets are cut from the images. random: disjoint subsets of a random order; contiguous: the first and the last images
#: in the order of the data, for images that overlap with their neighbours, such as patches of photographs.
SPLITS = ("random", "contiguous")
#: The most images on which a model is judged or compared.
MOST_PROBED = 256
#: Denoisers are compared on images outside of both training sets where there are at least this many, otherwise on all images.
LEAST_SHARED = 32
#: The fewest images of a training set.
_LEAST = 4


class DisjointPair(NamedTuple):
    """Two training sets, (n,) indices into the images each."""

    a: IndexArray
    b: IndexArray

    def __repr__(self) -> str:
        return short_repr(self)


def dependent_groups(labels: Any, images: int) -> GroupLabels | None:
    """The groups that labels (N,) of so many images stand for; None for independent images.

    Images are independent without labels, and if all labels differ.

    Raises
    ------
    TypeError, ValueError
        See :func:`~kappaflow.groups.group_numbers`; another number of labels than of images.
    """
    if labels is None:
        return None
    groups = group_numbers(labels)
    groups.require(images)
    return None if groups.independent else groups


def random_order(rng: np.random.Generator, images: int, groups: GroupLabels | None = None) -> IndexArray:
    """(N,) the images in a random order; members of a group stay next to each other, in their own order."""
    if groups is None:
        return rng.permutation(images)
    return _in_order(groups, rng.permutation(groups.count))


def _in_order(groups: GroupLabels, order: IndexArray) -> IndexArray:
    """(N,) the images, groups in this order (G,)."""
    rank = np.empty(groups.count, dtype=np.int64)
    rank[order] = np.arange(groups.count)
    return np.argsort(rank[groups.numbers], kind="stable").astype(np.int64)


def disjoint_pair(order: IndexArray, n: int) -> DisjointPair:
    """The first and the last n images of an order (N,); see :func:`largest_pair` for the n that fit."""
    return DisjointPair(order[:n], order[len(order) - n :])


def largest_pair(order: IndexArray, groups: GroupLabels | None = None) -> int:
    """The largest n for which the first and the last n images of an order (N,) share no image and no group.

    The group that the first n images end in may be cut; the last n images begin behind it.
    """
    count = len(order)
    if groups is None:
        return count // 2
    numbers = groups.numbers[order]
    last = np.append(np.flatnonzero(np.diff(numbers)) + 1, count)  # where the groups end
    sizes = np.arange(1, count + 1)
    ends = last[np.searchsorted(last, sizes)]
    return int((sizes + ends <= count).sum())  # both grow with n


def apart(groups: GroupLabels | None, images: int, *sets: IndexArray) -> IndexArray:
    """(M,) the images that are in none of the sets, and in no group of them, in ascending order."""
    taken = np.concatenate([np.zeros(0, dtype=np.int64), *sets])
    if groups is None:
        return np.setdiff1d(np.arange(images), taken)
    return np.flatnonzero(~np.isin(groups.numbers, groups.numbers[taken]))


def some_of(free: IndexArray, rng: np.random.Generator) -> IndexArray:
    """(M,) up to 256 of the images, drawn at random, in ascending order."""
    return np.sort(rng.permutation(free)[:MOST_PROBED])


@dataclass(frozen=True, repr=False)
class DisjointSplits(ShortRepr):
    """Pairs of disjoint training sets A and B of a number of images, one pair for each repeat and size.

    A is the first n images of an order, B the last n. The order is random, or that of the data if the split is contiguous; members
    of a group are next to each other. The sets of a smaller n are therefore subsets of those of a larger one.

    Attributes
    ----------
    images : number of images
    repeats : number of orders
    split : one of :data:`SPLITS`
    seed : of the orders
    groups : images that belong together; None if they are independent
    """

    images: int
    repeats: int = 1
    split: str = "random"
    seed: int = 0
    groups: GroupLabels | None = None

    def __post_init__(self) -> None:
        choice("split", self.split, SPLITS)
        integer("seed", self.seed, 0)
        integer("repeats", self.repeats, 1)
        if self.split == "contiguous" and self.repeats > 1:
            raise ValueError(
                f"repeats must be 1 with split 'contiguous', because there is only one such split, got {self.repeats}"
            )

    def rng(self, *key: int) -> np.random.Generator:
        """The random numbers of one part of the splits."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def order(self, repeat: int) -> IndexArray:
        """(N,) all images, in the order from which the sets of a repeat are cut."""
        if self.split == "random":
            return random_order(self.rng(repeat), self.images, self.groups)
        return np.arange(self.images) if self.groups is None else _in_order(self.groups, np.arange(self.groups.count))

    @property
    def largest(self) -> int:
        """The largest n that fits in every repeat."""
        if self.groups is None:
            return self.images // 2
        return min(largest_pair(self.order(repeat), self.groups) for repeat in range(self.repeats))

    def sizes(self, preset: Sequence[int], wanted: Sequence[int] | None) -> list[int]:
        """Training-set sizes in ascending order: as wanted, or those of the preset as far as they fit.

        Raises
        ------
        ValueError, TypeError
            A size is below 4 or does not fit, or no size fits.
        """
        if self.images < 2 * _LEAST:
            raise ValueError(f"images must be at least {2 * _LEAST} to be split, got {self.images}")
        largest = self.largest
        if wanted is None:
            if largest < _LEAST:
                raise ValueError(
                    f"groups must allow two training sets of at least {_LEAST} images that share no group, got at most {largest}"
                )
            return sorted({min(size, largest) for size in preset})
        sizes = sorted({integer("n", size, _LEAST) for size in wanted})
        if sizes[-1] > largest:
            raise ValueError(f"n must be at most {largest}, {self._why()}, got {sizes[-1]}")
        return sizes

    def _why(self) -> str:
        """Why the largest n is the largest."""
        if self.groups is None:
            return f"half of the {self.images} images"
        return f"so that two training sets share none of the {self.groups.count} groups of the {self.images} images"

    def pair(self, repeat: int, n: int) -> DisjointPair:
        """The training sets of a repeat and a size that fits."""
        return disjoint_pair(self.order(repeat), n)

    def outside(self, repeat: int, *sets: IndexArray) -> IndexArray:
        """(M,) up to 256 images in none of the sets, and in no group of them, in ascending order."""
        return some_of(apart(self.groups, self.images, *sets), self.rng(repeat, 7))

    def shared(self, repeat: int, pair: DisjointPair) -> IndexArray:
        """(M,) up to 256 images on which both models of a pair are compared: outside of both sets if at least 32 are."""
        free = self.outside(repeat, *pair)
        return free if len(free) >= LEAST_SHARED else self.outside(repeat)
