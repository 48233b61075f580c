"""Statistics of linear diffusion models over many training sets, in one pass that can be interrupted and merged.

Training sets come in groups. Within a group the sample variance (divisor size − 1) is an unbiased estimate of the variance
over training sets, so that groups give independent estimates of everything, and intervals need no more than to resample
groups. Whole matrices are kept as sums over groups; vectors and numbers are kept group by group.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, choice, integer, positive, real_array
from .._version import __version__
from .draws import TrainingSets, _digest
from .questions import Question

try:
    import torch
except ImportError as error:  # pragma: no cover - where torch is not installed
    raise ImportError("kappaflow.validation needs PyTorch: pip install 'kappaflow[validation]'") from error

__all__ = ["Design", "Statistics", "group_layout", "resolve_device", "simulate"]

_FORMAT = "kappaflow-simulation-1"
#: Fewest groups that an interval is given for, and fewest sets in a group that a variance is taken of.
LEAST_GROUPS = 10
LEAST_SIZE = 4
#: Eigenvalues below this fraction of the largest are rounding of zero in the n × n Gram matrix.
_ZERO = 1e-14
#: Working memory by default, in bytes; a constant, because the partition into batches decides the last bits.
DEFAULT_MEMORY = 2**30


def group_layout(draws: int) -> tuple[int, int]:
    """(groups, training sets in each) for at least so many draws: 10 to 40 groups.

    Raises ValueError below 40 draws, too few for an interval.

    >>> group_layout(1000)
    (40, 25)
    """
    least = LEAST_GROUPS * LEAST_SIZE
    if integer("draws", draws, 1) < least:
        raise ValueError(f"draws must be at least {least} for intervals, got {draws}")
    groups = min(40, max(LEAST_GROUPS, draws // 25))
    return groups, -(-draws // groups)


def resolve_device(device: str) -> torch.device:
    """The torch device of that name, checked to be there."""
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:<number>', got {device!r}") from None
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:<number>', got {device!r}")
    if found.type == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= there:
            raise ValueError(f"device must be there, got {device!r}: this machine has {there} CUDA devices for torch")
    return found


@dataclass(frozen=True)
class Design:
    """What is simulated for one training-set size; together with the training sets it fixes every number.

    Attributes
    ----------
    n : samples in a training set
    groups, group_size : training sets in all are groups × group_size
    questions : the maps
    inputs : question.key → (B, k) mode coordinates of the inputs whose outputs are followed; the same B for all
    pairs : (i, j) indices of questions whose outputs are correlated, the trajectory covariance
    spread : question.key → variance of the input coordinates over which averages are taken, a number or (k,)
    noise_variances : σ² at which κ is estimated
    pair_modes : modes of the mode-pair variances that are kept group by group
    mean : "estimated" or "known"
    seed : of all that is random
    memory : bytes of working memory, which decides how many training sets are worked on at once
    """

    n: int
    groups: int
    group_size: int
    questions: tuple[Question, ...]
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
        keys = [question.key for question in self.questions]
        if not keys or len(set(keys)) != len(keys):
            raise ValueError(f"questions must be at least one and all different, got {keys}")
        shapes = {real_array(f"inputs[{key!r}]", self.inputs[key]).shape for key in keys}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"inputs must have one shape (B, k) for all questions, got {sorted(shapes)}")
        for variance in self.noise_variances:
            positive("noise_variances", variance)
        for i, j in self.pairs:
            if not (0 <= i < len(keys) and 0 <= j < len(keys)):
                raise ValueError(f"pairs must index the {len(keys)} questions, got ({i}, {j})")
        positive("memory", self.memory)

    @property
    def known_mean(self) -> bool:
        """Whether models are given the population's mean."""
        return self.mean == "known"

    @property
    def degrees(self) -> int:
        """Degrees of freedom m of Σ̂."""
        return self.n if self.known_mean else self.n - 1

    def identity(self, sets: TrainingSets) -> dict[str, Any]:
        """Everything that decides the numbers, for comparison with what a file was made with."""
        facts = {key: value for key, value in asdict(self).items() if key not in ("inputs", "spread", "groups")}
        facts["inputs"] = _digest(*(np.asarray(self.inputs[q.key]) for q in self.questions))
        facts["spread"] = _digest(*(np.atleast_1d(np.asarray(self.spread[q.key])) for q in self.questions))
        facts["sets"] = {"name": sets.name, "fingerprint": sets.fingerprint()}
        facts["torch"] = torch.__version__
        return dict(json.loads(json.dumps(facts)))


class Statistics:
    """What :func:`simulate` returns; can be saved, loaded, gone on with and merged.

    Attributes
    ----------
    identity : what decides the numbers, see :meth:`Design.identity`
    done : numbers of the groups that are in, ascending
    arrays : name → (G, ...) one estimate for each group, in the order of `done`:

        * ``gain/KEY`` (G, k): mean of uₖᵀ f(Σ̂) uₖ
        * ``equal/KEY`` (G, k): variance of uₖᵀ f(Σ̂) uₖ
        * ``total/KEY`` (G,): variance of uₖᵀ f(Σ̂) uₗ summed over all mode pairs
        * ``pairs/KEY`` (G, p, p): the same for the chosen modes
        * ``average/KEY`` (G, k): variance of each output mode averaged over inputs of the given spread
        * ``output/KEY``, ``output_mean/KEY`` (G, B, k): variance and mean of each output mode for each input
        * ``pixel/KEY`` (G, d): variance of each pixel for the first input, where there are eigenmodes
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
        """Add a group; sums are added in the order of the calls."""
        if number in self.done:
            raise ValueError(f"number must be of a group that is not yet in, got {number}")
        place = int(np.searchsorted(self.done, number))
        self.done.insert(place, number)
        for name, value in arrays.items():
            before = self.arrays.get(name, np.empty((0, *np.shape(value))))
            self.arrays[name] = np.insert(before, place, value, axis=0)
        for name, value in sums.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def merge(self, other: Statistics) -> Statistics:
        """Statistics of the groups of both, which must be of one design and have no group in common."""
        if self.identity != other.identity:
            raise ValueError(f"other must be of the same design, got {_difference(self.identity, other.identity)}")
        both = sorted(set(self.done) & set(other.done))
        if both:
            raise ValueError(f"other must have other groups, got groups {both} that are in already")
        merged = Statistics(self.identity)
        for source in (self, other):
            for place, number in enumerate(source.done):
                merged.add_group(number, {name: value[place] for name, value in source.arrays.items()}, {})
        merged.sums = {name: value + other.sums[name] for name, value in self.sums.items()}
        return merged

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, whole or not at all."""
        from safetensors.numpy import save_file

        target = Path(path)
        tensors = {f"array:{name}": np.ascontiguousarray(value) for name, value in self.arrays.items()}
        tensors |= {f"sum:{name}": np.ascontiguousarray(value) for name, value in self.sums.items()}
        tensors["done"] = np.array(self.done, dtype=np.int64)
        metadata = {"format": _FORMAT, "version": __version__, "identity": json.dumps(self.identity)}
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
        try:
            save_file(tensors, name, metadata=metadata)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statistics:
        """Read a file written by :meth:`save`. Raises ValueError for any other file."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        except SafetensorError as error:
            raise ValueError(f"path must name saved statistics, got {os.fspath(path)!r}: {error}") from error
        if metadata.get("format") != _FORMAT:
            raise ValueError(f"path must name statistics of format {_FORMAT}, got {metadata.get('format')!r}")
        found = cls(json.loads(metadata["identity"]))
        found.done = [int(number) for number in tensors.pop("done")]
        for key, value in tensors.items():
            kind, name = key.split(":", 1)
            (found.arrays if kind == "array" else found.sums)[name] = value
        return found


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    changed = [key for key in ours if ours.get(key) != theirs.get(key)]
    return "a different " + ", ".join(changed)


# ---------------------------------------------------------------- simulation
def simulate(
    design: Design,
    sets: TrainingSets,
    *,
    device: str = "cpu",
    groups: Iterable[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    save_every: float = 20.0,
    progress: Callable[[int], None] | None = None,
) -> Statistics:
    """Draw training sets, form μ̂ and Σ̂, apply every map exactly and accumulate expectation and variance.

    Parameters
    ----------
    design : what is asked
    sets : where training sets come from
    device : "cpu", "cuda" or "cuda:<number>"; training sets are the same on all
    groups : numbers of the groups to do, ``range(design.groups)`` by default; other machines can do others and
        :meth:`Statistics.merge` joins them
    checkpoint : file to go on from and to write to while the work lasts, at the latest when it ends or is interrupted.
        An interrupted run that goes on gives bit-identical statistics.
    save_every : seconds between two writes of the checkpoint
    progress : called with the number of training sets that are done

    Raises
    ------
    ValueError : sizes that cannot be drawn, a device that is not there, a checkpoint of another design
    MemoryError : one training set does not fit into ``design.memory``
    """
    place = resolve_device(device)
    sets.check(design.n, design.group_size)
    wanted = list(range(design.groups)) if groups is None else sorted({integer("groups", g, 0) for g in groups})
    identity = design.identity(sets) | {"device": place.type}
    statistics = Statistics(identity)
    if checkpoint is not None and Path(checkpoint).exists():
        statistics = Statistics.load(checkpoint)
        if statistics.identity != identity:
            raise ValueError(
                f"checkpoint must be of the same design, got {os.fspath(checkpoint)!r} with "
                f"{_difference(identity, statistics.identity)}"
            )
    worker = _Worker(design, sets, place)
    saved, last = len(statistics.done), time.monotonic()
    try:
        for number in wanted:
            if number not in statistics.done:
                statistics.add_group(number, *worker.group(number))
            if progress is not None:
                progress(len(statistics.done) * design.group_size)
            if checkpoint is not None and time.monotonic() - last > save_every:
                statistics.save(checkpoint)
                saved, last = len(statistics.done), time.monotonic()
    finally:
        if checkpoint is not None and len(statistics.done) > saved:
            statistics.save(checkpoint)
    return statistics


class _Moment:
    """Mean of (b, ...) arrays over batches and the centred product with a second set of arrays (by default the same)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: torch.Tensor
        self.other: torch.Tensor
        self.product: torch.Tensor

    def add(self, values: torch.Tensor, others: torch.Tensor | None = None) -> None:
        """Chan's update of the mean and the sum of centred products."""
        size = len(values)
        mean = values.mean(0)
        centred = values - mean
        if others is None:
            other, product = mean, (centred * centred).sum(0)
        else:
            other = others.mean(0)
            product = (centred * (others - other)).sum(0)
        if self.count == 0:
            self.count, self.mean, self.other, self.product = size, mean, other, product
            return
        total = self.count + size
        shift, other_shift = mean - self.mean, other - self.other
        self.product = self.product + product + shift * other_shift * (self.count * size / total)
        self.mean = self.mean + shift * (size / total)
        self.other = self.other + other_shift * (size / total)
        self.count = total

    def covariance(self) -> torch.Tensor:
        """Unbiased, divisor count − 1."""
        return self.product / (self.count - 1)


class _Worker:
    """Does one group after another."""

    def __init__(self, design: Design, sets: TrainingSets, device: torch.device) -> None:
        self.design, self.sets, self.device = design, sets, device
        population = sets.population
        self.modes = population.eigenvalues.size
        self.inputs = {q.key: self._tensor(design.inputs[q.key]) for q in design.questions}
        for key, inputs in self.inputs.items():
            if inputs.shape[1] != self.modes:
                raise ValueError(f"inputs[{key!r}] must have {self.modes} mode coordinates, got {inputs.shape[1]}")
        self.spread = {
            q.key: self._tensor(np.broadcast_to(design.spread[q.key], (self.modes,))) for q in design.questions
        }
        vectors = population.eigenvectors
        self.vectors = None if vectors is None else self._tensor(vectors)
        self.pick = torch.as_tensor(np.array(design.pair_modes, dtype=np.int64), device=device)
        self.batch_size = self._batch_size()

    def _tensor(self, array: npt.ArrayLike) -> torch.Tensor:
        return torch.as_tensor(np.array(array, dtype=np.float64), device=self.device)

    def _batch_size(self) -> int:
        """Training sets at once within the memory: rows twice (drawn, on the device), then three matrices of modes."""
        rows = self.sets.rows(self.design.n, self.design.known_mean)
        outputs = sum(value.numel() for value in self.inputs.values())
        each = 8 * (2 * rows * self.modes + 3 * self.modes**2 + 3 * outputs)
        fixed = 8 * 6 * self.modes**2 * len(self.design.questions)
        if each + fixed > self.design.memory:
            raise MemoryError(
                f"one training set of n = {self.design.n} with {self.modes} modes needs {(each + fixed) / 2**30:.2g} GiB, "
                f"memory allows {self.design.memory / 2**30:.2g} GiB: give more memory, fewer modes or a smaller n"
            )
        return int(min(self.design.group_size, (self.design.memory - fixed) // each))

    def group(self, number: int) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Estimates of one group: arrays and sums for :meth:`Statistics.add_group`."""
        design = self.design
        rng = np.random.default_rng(np.random.SeedSequence(design.seed, spawn_key=(design.n, number)))
        self.sets.start_group(design.n, design.group_size, rng)
        moments: dict[str, _Moment] = {}
        left = design.group_size
        while left:
            size = min(left, self.batch_size)
            means, rows = self.sets.batch(design.n, size, rng, design.known_mean)
            self._accumulate(self._tensor(means), self._tensor(rows), moments)
            left -= size
        return self._estimates(moments)

    def _accumulate(self, means: torch.Tensor, rows: torch.Tensor, moments: dict[str, _Moment]) -> None:
        design = self.design

        def add(name: str, values: torch.Tensor, others: torch.Tensor | None = None) -> None:
            moments.setdefault(name, _Moment()).add(values, others)

        eigenvalues, factors = eigensystem(rows, design.n)
        zeros = max(0, design.degrees - eigenvalues.shape[1])
        spectrum = eigenvalues[:, -min(design.degrees, eigenvalues.shape[1]) :].clamp(min=0.0)
        if design.noise_variances:
            shifts = self._tensor(design.noise_variances)
            inverse = (1 / (spectrum[:, :, None] + shifts)).sum(1)
            empty = zeros / shifts if zeros else torch.zeros_like(shifts)
            add("trace", (inverse + empty) / design.degrees)
        outputs: dict[str, torch.Tensor] = {}
        for question in design.questions:
            key = question.key
            matrix = apply_map(question, eigenvalues, factors)
            add(f"matrix/{key}", matrix)
            add(f"offset/{key}", means - (means[:, None, :] @ matrix)[:, 0])
            centred = self.inputs[key] - means[:, None, :]
            outputs[key] = means[:, None, :] + centred @ matrix
            add(f"output/{key}", outputs[key])
            if self.vectors is not None:
                add(f"pixel/{key}", outputs[key][:, 0] @ self.vectors.T)
        for i, j in design.pairs:
            first, second = design.questions[i].key, design.questions[j].key
            add(f"trajectory/{first}/{second}", outputs[first], outputs[second])
        exact = next((q.key for q in design.questions if q.kind == "sampling_map" and q.sigma == 0), None)
        for question in design.questions:
            if question.kind == "heun" and exact is not None:
                add(f"step_error/{question.key}", (outputs[question.key] - outputs[exact]) ** 2)

    def _estimates(self, moments: Mapping[str, _Moment]) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        arrays: dict[str, FloatArray] = {}
        sums: dict[str, FloatArray] = {}
        for name, moment in moments.items():
            kind, _, key = name.partition("/")
            if kind == "matrix":
                variance = moment.covariance()
                spread = self.spread[key]
                average = variance @ spread + moments[f"offset/{key}"].covariance()
                arrays[f"gain/{key}"] = _numpy(moment.mean.diagonal())
                arrays[f"equal/{key}"] = _numpy(variance.diagonal())
                arrays[f"total/{key}"] = _numpy(variance.sum())
                arrays[f"pairs/{key}"] = _numpy(variance[self.pick][:, self.pick])
                arrays[f"average/{key}"] = _numpy(average)
                sums[f"mean/{key}"], sums[f"variance/{key}"] = _numpy(moment.mean), _numpy(variance)
            elif kind == "output":
                arrays[name] = _numpy(moment.covariance())
                arrays[f"output_mean/{key}"] = _numpy(moment.mean)
            elif kind in ("pixel", "trajectory"):
                arrays[name] = _numpy(moment.covariance())
            elif kind in ("trace", "step_error"):
                arrays[name] = _numpy(moment.mean)
        return arrays, sums


def _numpy(tensor: torch.Tensor) -> FloatArray:
    return np.array(tensor.cpu().numpy(), dtype=np.float64)


def eigensystem(rows: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues (b, r), ascending, and unit eigenvectors (b, k, r) of Σ̂ = rowsᵀrows/n for rows (b, r, k).

    With fewer rows than modes the r × r Gram matrix is decomposed; eigenvectors of eigenvalues that are zero to rounding
    are zero vectors then, as nothing is known of them and nothing needs them.
    """
    count, modes = rows.shape[1], rows.shape[2]
    if count >= modes:
        values, vectors = torch.linalg.eigh(rows.transpose(1, 2) @ rows / n)
        return values.clamp(min=0.0), vectors
    values, left = torch.linalg.eigh(rows @ rows.transpose(1, 2) / n)
    values = values.clamp(min=0.0)
    kept = values > _ZERO * count * values[:, -1:]
    values = torch.where(kept, values, torch.zeros_like(values))
    scale = torch.where(kept, 1 / torch.sqrt(n * torch.where(kept, values, torch.ones_like(values))), 0.0)
    return values, rows.transpose(1, 2) @ (left * scale[:, None, :])


def apply_map(question: Question, eigenvalues: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """f(Σ̂) (b, k, k) in mode coordinates; directions without an eigenvector have eigenvalue zero."""
    constant = float(question.gain(np.zeros(1))[0])
    matrix: torch.Tensor = (vectors * (question.gain(eigenvalues) - constant)[:, None, :]) @ vectors.transpose(1, 2)
    if constant:
        matrix.diagonal(dim1=1, dim2=2).add_(constant)
    return matrix


def spaced_modes(modes: int, count: int) -> tuple[int, ...]:
    """At most `count` mode numbers, evenly spaced in their logarithm."""
    return tuple(int(k) - 1 for k in np.unique(np.round(np.geomspace(1, modes, min(count, modes))).astype(np.int64)))
