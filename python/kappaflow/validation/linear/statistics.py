"""Designs of simulations, and their results: statistics that can be saved, continued and merged.

Training sets come in groups. Within a group, the sample variance (divisor size − 1) is an unbiased estimate of the variance over
training sets. Groups therefore give independent estimates of every quantity, and an interval only needs to resample groups.
Matrices are kept as sums over groups; vectors and numbers are kept for each group.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, choice, integer, positive, real_array
from ..._formats import SIMULATION
from ..._listing import listed
from ..._repr import ShortRepr
from ..._tensors import damaged, digest, read_tensors, write_tensors
from ...maps import Map
from .draws import TrainingSets

__all__ = ["DEFAULT_MEMORY", "Design", "GroupLayout", "Statistics", "difference", "group_layout", "spaced_modes"]

#: Fewest groups for which an interval is given, and fewest sets in a group.
LEAST_GROUPS = 10
LEAST_SIZE = 4
#: Working memory by default, in bytes. It is a constant because the partition into batches decides the last bits of results.
DEFAULT_MEMORY = 2**30


class GroupLayout(NamedTuple):
    """Number of groups, and of training sets in each."""

    groups: int
    size: int


def group_layout(draws: int) -> GroupLayout:
    """10 to 40 groups that together hold at least `draws` training sets.

    Raises
    ------
    ValueError
        There are fewer than 40 draws, which are too few for an interval.

    >>> group_layout(1000)
    GroupLayout(groups=40, size=25)
    """
    least = LEAST_GROUPS * LEAST_SIZE
    if integer("draws", draws, 1) < least:
        raise ValueError(f"draws must be at least {least} for intervals, got {draws}")
    groups = min(40, max(LEAST_GROUPS, draws // 25))
    return GroupLayout(groups, -(-draws // groups))


def spaced_modes(modes: int, count: int) -> tuple[int, ...]:
    """At most `count` mode numbers, evenly spaced in their logarithm."""
    return tuple(int(k) - 1 for k in np.unique(np.round(np.geomspace(1, modes, min(count, modes))).astype(np.int64)))


@dataclass(frozen=True, repr=False)
class Design(ShortRepr):
    """What is simulated for one training-set size. The design and the training sets together determine every number.

    Attributes
    ----------
    n : samples in a training set
    groups, group_size : number of groups, and of training sets in each
    maps : maps that are applied to every training set; their keys differ
    inputs : key of the map → (B, k) mode coordinates of the inputs whose outputs are followed; the same B for all
    pairs : (i, j) indices of maps whose outputs are correlated: the covariance along the trajectory
    spread : key of the map → variance of the coordinates of the inputs over which averages are taken, a number or (k,)
    noise_variances : σ² at which κ is estimated
    pair_modes : modes whose pair variances are kept group by group
    mean : "estimated" or "known"
    seed : of everything random
    memory : bytes of working memory, which determine how many training sets are processed at once

    Raises
    ------
    ValueError, TypeError
        Settings are out of range, maps are not all different, or inputs have different shapes.
    """

    n: int
    groups: int
    group_size: int
    maps: tuple[Map, ...]
    inputs: Mapping[str, FloatArray] = field(repr=False)
    spread: Mapping[str, FloatArray] = field(repr=False)
    pairs: tuple[tuple[int, int], ...] = ()
    noise_variances: tuple[float, ...] = ()
    pair_modes: tuple[int, ...] = ()
    mean: str = "estimated"
    seed: int = 0
    memory: int = DEFAULT_MEMORY

    def __post_init__(self) -> None:
        choice("mean", self.mean, ("estimated", "known"))
        integer("n", self.n, 2)
        integer("seed", self.seed, 0)
        integer("groups", self.groups, 1)
        integer("group_size", self.group_size, 2)
        keys = [map_.key for map_ in self.maps]
        if not keys or len(set(keys)) != len(keys):
            raise ValueError(f"maps must be at least one and all different, got {keys}")
        shapes = {real_array(f"inputs[{key!r}]", self.inputs[key]).shape for key in keys}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"inputs must have one shape (B, k) for all maps, got {sorted(shapes)}")
        for variance in self.noise_variances:
            positive("noise_variances", variance)
        for i, j in self.pairs:
            if not (0 <= i < len(keys) and 0 <= j < len(keys)):
                raise ValueError(f"pairs must index the {len(keys)} maps, got ({i}, {j})")
        positive("memory", self.memory)

    @property
    def known_mean(self) -> bool:
        """Whether models are given the population's mean."""
        return self.mean == "known"

    @property
    def draws(self) -> int:
        """Total number of training sets."""
        return self.groups * self.group_size

    @property
    def degrees(self) -> int:
        """Degrees of freedom m of Σ̂."""
        return self.n if self.known_mean else self.n - 1

    def identity(self, sets: TrainingSets) -> dict[str, Any]:
        """Everything that determines the numbers, to be compared with the settings of a file."""
        facts = {key: value for key, value in asdict(self).items() if key not in ("inputs", "spread", "groups")}
        facts["inputs"] = digest(*(np.asarray(self.inputs[q.key]) for q in self.maps))
        facts["spread"] = digest(*(np.atleast_1d(np.asarray(self.spread[q.key])) for q in self.maps))
        facts["sets"] = {"name": sets.name, "fingerprint": sets.fingerprint()}
        if sets.population.eigenvectors is not None:  # pixels depend on them
            facts["eigenvectors"] = digest(sets.population.eigenvectors)
        return dict(json.loads(json.dumps(facts)))


class Statistics:
    """Result of :func:`~.simulation.simulate`; it can be saved, loaded, continued and merged.

    Attributes
    ----------
    identity : what determines the numbers, see :meth:`Design.identity`
    done : numbers of the groups that are done, ascending
    arrays : name → (G, ...) one estimate for each group, in the order of `done`:

        * ``gain/KEY`` (G, k): mean of uₖᵀ f(Σ̂) uₖ
        * ``equal/KEY`` (G, k): variance of uₖᵀ f(Σ̂) uₖ
        * ``total/KEY`` (G,): variance of uₖᵀ f(Σ̂) uₗ summed over all mode pairs
        * ``pairs/KEY`` (G, p, p): the same for the chosen modes
        * ``average/KEY`` (G, k): variance of each output mode averaged over inputs of the given spread
        * ``output/KEY``, ``output_mean/KEY`` (G, B, k): variance and mean of each output mode for each input
        * ``pixel/KEY`` (G, d): variance of each pixel for the first input, if there are eigenmodes
        * ``trajectory/KEY1/KEY2`` (G, B, k): covariance of the outputs of two maps
        * ``trace`` (G, T): mean over training sets and the m degrees of freedom of 1/(λ + σ²)
        * ``step_error/KEY`` (G, B, k): mean square distance of a finite-step sampler from the sampling map
    sums : name → (k, k) sums over groups: ``mean/KEY`` and ``variance/KEY`` of all mode pairs
    """

    def __init__(self, identity: dict[str, Any]) -> None:
        self.identity = identity
        self.done: list[int] = []
        self.arrays: dict[str, FloatArray] = {}
        self.sums: dict[str, FloatArray] = {}

    def matrix(self, name: str) -> FloatArray:
        """(k, k) estimate ``mean/KEY`` or ``variance/KEY`` from all groups."""
        return np.asarray(self.sums[name] / len(self.done))

    def add_group(self, number: int, arrays: Mapping[str, FloatArray], sums: Mapping[str, FloatArray]) -> None:
        """Add the estimates of a group. Sums are added in the order of the calls.

        Raises
        ------
        ValueError
            The group was added before.
        """
        if number in self.done:
            raise ValueError(f"number must be of a group that is not done yet, got {number}")
        position = int(np.searchsorted(self.done, number))
        new_arrays = {
            name: np.insert(self.arrays.get(name, np.empty((0, *np.shape(value)))), position, value, axis=0)
            for name, value in arrays.items()
        }
        new_sums = {name: self.sums[name] + value if name in self.sums else value for name, value in sums.items()}
        # all at once: an interrupt must not leave half a group behind, because the checkpoint would then hold it
        self.done, self.arrays, self.sums = (
            [*self.done[:position], number, *self.done[position:]],
            self.arrays | new_arrays,
            self.sums | new_sums,
        )

    def merge(self, other: Statistics) -> Statistics:
        """Statistics of the groups of both simulations.

        Raises
        ------
        ValueError
            The two belong to different designs, or have groups in common.
        """
        if self.identity != other.identity:
            raise ValueError(f"other must be of the same design, got {difference(self.identity, other.identity)}")
        both = sorted(set(self.done) & set(other.done))
        if both:
            raise ValueError(f"other must have other groups, got groups {both} that are done already")
        merged = Statistics(self.identity)
        for source in (self, other):
            for position, number in enumerate(source.done):
                merged.add_group(number, {name: value[position] for name, value in source.arrays.items()}, {})
        merged.sums = {
            name: sum((part.sums[name] for part in (self, other) if name in part.sums), np.zeros(()))
            for name in self.sums | other.sums
        }
        return merged

    def require_fits(self, design: Design, modes: int, path: str | os.PathLike[str]) -> None:
        """Check that arrays of a file have the names and shapes of a design with so many modes.

        Raises
        ------
        FileError
            They have not.
        """
        keys = {map_.key for map_ in design.maps}
        lengths = {"k": modes, "p": len(design.pair_modes), "T": len(design.noise_variances)}
        lengths["B"] = len(next(iter(design.inputs.values())))
        named = {f"array:{name}": value for name, value in self.arrays.items()}
        named |= {f"sum:{name}": value for name, value in self.sums.items()}
        for name, value in named.items():
            key = name.partition("/")[2]
            axes = SIMULATION.rule_of(name).axes or ()
            wrong = [
                axis for axis, length in zip(axes, value.shape, strict=True) if lengths.get(str(axis), length) != length
            ]
            if wrong or not set(filter(None, key.split("/"))) <= keys:
                raise damaged(path, SIMULATION, f"{name} must be an array of this simulation, got shape {value.shape}")
        missing = [
            f"array:{kind}/{key}" for kind in ("gain", "equal", "total", "average", "output") for key in sorted(keys)
        ]
        missing = [name for name in missing if self.done and name not in named]
        if missing:
            raise damaged(path, SIMULATION, f"it must hold the array {missing[0]}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file. It is written completely or not at all."""
        tensors: dict[str, npt.NDArray[Any]] = {f"array:{name}": value for name, value in self.arrays.items()}
        tensors |= {f"sum:{name}": value for name, value in self.sums.items()}
        tensors["done"] = np.array(self.done, dtype=np.int64)
        write_tensors(path, tensors, format=SIMULATION, facts={"identity": self.identity})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statistics:
        """Read a file written by :meth:`save`.

        Raises
        ------
        FileError
            The file is not one of these, damaged, or changed since it was written.
        """
        tensors, facts = read_tensors(path, SIMULATION)
        loaded = cls(facts["identity"])
        loaded.done = [int(number) for number in tensors.pop("done")]
        if loaded.done != sorted(set(loaded.done)) or min(loaded.done, default=0) < 0:
            raise damaged(path, SIMULATION, f"done must hold ascending numbers of groups, got {listed(loaded.done)}")
        for key, value in tensors.items():
            kind, name = key.split(":", 1)
            (loaded.arrays if kind == "array" else loaded.sums)[name] = value
        return loaded


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The differences between two identities, in words."""
    changed = [key for key in ours if ours.get(key) != theirs.get(key)]
    return "a different " + ", ".join(changed)
