"""Simulation of linear diffusion models over many training sets, in one pass that can be interrupted, continued and merged.

On a CPU, chunks of training sets are processed in parallel, each by one thread. Small eigenproblems gain nothing from threads
inside LAPACK, and lose much if other work runs at the same time. Chunks are drawn, and their moments merged, in a fixed order
that does not depend on the number of processors.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, integer
from ..._repr import short_repr
from ...maps import Map
from ...models.devices import resolve_device
from .draws import TrainingSets
from .statistics import Design, Statistics, difference

try:
    import torch
except ImportError as error:  # pragma: no cover - where torch is not installed
    raise ImportError("kappaflow.validation.linear needs PyTorch: pip install 'kappaflow[validation]'") from error

__all__ = [
    "ChunkLayout",
    "SampleEigensystems",
    "apply_map",
    "chunk_layout",
    "eigensystem",
    "kept_statistics",
    "simulate",
]

#: Eigenvalues below this fraction of the largest are zero but for rounding (up to 7e-16 was seen); a square root would show them.
_ZERO = 1e-14
#: Most training sets in a chunk, the work of one thread at a time.
_CHUNK = 16


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
    """Draw training sets, form μ̂ and Σ̂, apply every map exactly, and accumulate expectation and variance.

    Parameters
    ----------
    design : what is simulated
    sets : where training sets come from
    device : "cpu", "cuda" or "cuda:<number>"; the training sets are the same on every device
    groups : numbers of the groups to simulate, ``range(design.groups)`` by default. Other machines can simulate other groups;
        :meth:`~.statistics.Statistics.merge` joins them
    checkpoint : file that is written during the simulation, at the latest when it ends or is interrupted. If it exists, the
        simulation continues from it; a run that was interrupted and continued gives bit-identical statistics.
    save_every : seconds between two writes of the checkpoint
    progress : called with the number of training sets that are done

    Raises
    ------
    ValueError
        Training sets cannot be drawn, the device does not exist, or the checkpoint belongs to another design or holds groups
        beyond those of the design.
    FileNotFoundError
        The folder of the checkpoint does not exist.
    MemoryError
        One training set does not fit into ``design.memory``.
    """
    target = resolve_device(device)
    sets.check(design.n, design.group_size)
    wanted = list(range(design.groups)) if groups is None else sorted({integer("groups", g, 0) for g in groups})
    statistics = kept_statistics(design, sets, checkpoint, device=device)
    if groups is None and statistics.done and statistics.done[-1] >= design.groups:
        raise ValueError(
            f"checkpoint must hold no other groups than the first {design.groups} of the design, got "
            f"{os.fspath(checkpoint or '')!r} with group {statistics.done[-1]}: ask for as many as before, or use another file"
        )
    worker = _Worker(design, sets, target)
    saved, last = len(statistics.done), time.monotonic()
    try:
        with _threads(target) as threads:
            for number in wanted:
                if number not in statistics.done:
                    statistics.add_group(number, *worker.group(number, threads))
                if progress is not None:
                    progress(len(statistics.done) * design.group_size)
                if checkpoint is not None and time.monotonic() - last > save_every:
                    statistics.save(checkpoint)
                    saved, last = len(statistics.done), time.monotonic()
    finally:
        if checkpoint is not None and len(statistics.done) > saved:
            statistics.save(checkpoint)
    return statistics


def kept_statistics(
    design: Design, sets: TrainingSets, checkpoint: str | os.PathLike[str] | None, *, device: str = "cpu"
) -> Statistics:
    """The statistics in a checkpoint of this design; without a checkpoint, those of no group.

    Parameters
    ----------
    design, sets, checkpoint, device : see :func:`simulate`

    Raises
    ------
    FileError
        The file is of another kind, damaged, or changed since it was written.
    ValueError
        It belongs to another design.
    FileNotFoundError
        The folder of the checkpoint does not exist.
    """
    identity = design.identity(sets) | {"device": resolve_device(device).type, "torch": torch.__version__}
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise FileNotFoundError(f"checkpoint must lie in a folder that exists, got {os.fspath(checkpoint)!r}")
    if checkpoint is None or not Path(checkpoint).exists():
        return Statistics(identity)
    statistics = Statistics.load(checkpoint)
    if statistics.identity != identity:
        raise ValueError(
            f"checkpoint must be of the same design, got {os.fspath(checkpoint)!r} with "
            f"{difference(identity, statistics.identity)}"
        )
    statistics.require_fits(design, sets.population.eigenvalues.size, checkpoint)
    return statistics


class ChunkLayout(NamedTuple):
    """Number of training sets in a chunk, and number of chunks that may be processed at once."""

    size: int
    at_once: int


def chunk_layout(design: Design, sets: TrainingSets) -> ChunkLayout:
    """Division of the training sets of a group into chunks that fit into ``design.memory``.

    A training set needs memory for its rows twice (as drawn, and on the device) and for three matrices of modes. For each map,
    the mean and the products of all mode pairs are kept for the group and for each chunk.

    Raises
    ------
    MemoryError
        Two chunks of one training set each do not fit.
    """
    rows, modes = sets.rows(design.n, design.known_mean), sets.population.eigenvalues.size
    outputs = sum(np.size(value) for value in design.inputs.values())
    each = 8 * (2 * rows * modes + 3 * modes**2 + 3 * outputs)
    kept = 8 * 2 * modes**2 * len(design.maps)
    need = 2 * each + 4 * kept
    if need > design.memory:
        raise MemoryError(
            f"training sets of n = {design.n} with {modes} modes need {need / 2**30:.2g} GiB, memory allows "
            f"{design.memory / 2**30:.2g} GiB: give more memory, fewer modes or a smaller n"
        )
    chunk = min(_CHUNK, int((design.memory - 4 * kept) // (2 * each)), -(-design.group_size // 2))
    return ChunkLayout(chunk, max(2, int(design.memory // (chunk * each + 2 * kept)) - 1))


@contextmanager
def _threads(target: torch.device) -> Iterator[ThreadPoolExecutor]:
    """Threads that do one chunk each, with single-threaded linear algebra. A GPU, which is parallel itself, gets one thread."""
    if target.type != "cpu":
        with ThreadPoolExecutor(1) as pool:
            yield pool
        return
    before = torch.get_num_threads()
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


class _Moment:
    """Mean of (b, ...) arrays and the sum of centred products with a second set of arrays (by default the same)."""

    def __init__(self, values: torch.Tensor, others: torch.Tensor | None = None) -> None:
        size = len(values)
        mean = values.mean(0)
        centred = values - mean
        if others is None:
            other, product = mean, (centred * centred).sum(0)
        else:
            other = others.mean(0)
            product = (centred * (others - other)).sum(0)
        self.count, self.mean, self.other, self.product = size, mean, other, product

    def merge(self, later: _Moment) -> None:
        """Add the values of another one: the update of mean and sum of centred products of Chan et al. (1979)."""
        total = self.count + later.count
        shift, other_shift = later.mean - self.mean, later.other - self.other
        self.product = self.product + later.product + shift * other_shift * (self.count * later.count / total)
        self.mean = self.mean + shift * (later.count / total)
        self.other = self.other + other_shift * (later.count / total)
        self.count = total

    def covariance(self) -> torch.Tensor:
        """Unbiased, divisor count − 1."""
        return self.product / (self.count - 1)


def _merge(moments: dict[str, _Moment], later: Mapping[str, _Moment]) -> None:
    for name, moment in later.items():
        if name in moments:
            moments[name].merge(moment)
        else:
            moments[name] = moment


class _Worker:
    """Does one group after another."""

    def __init__(self, design: Design, sets: TrainingSets, device: torch.device) -> None:
        self.design, self.sets, self.device = design, sets, device
        population = sets.population
        self.modes = population.eigenvalues.size
        self.inputs = {q.key: self._tensor(design.inputs[q.key]) for q in design.maps}
        for key, inputs in self.inputs.items():
            if inputs.shape[1] != self.modes:
                raise ValueError(f"inputs[{key!r}] must have {self.modes} mode coordinates, got {inputs.shape[1]}")
        self.spread = {q.key: self._tensor(np.broadcast_to(design.spread[q.key], (self.modes,))) for q in design.maps}
        vectors = population.eigenvectors
        self.vectors = None if vectors is None else self._tensor(vectors)
        if any(not 0 <= mode < self.modes for mode in design.pair_modes):
            raise ValueError(f"pair_modes must lie between 0 and {self.modes - 1}, got {design.pair_modes}")
        self.pick = torch.as_tensor(np.array(design.pair_modes, dtype=np.int64), device=device)
        self.chunk, self.at_once = chunk_layout(design, sets)

    def _tensor(self, array: npt.ArrayLike) -> torch.Tensor:
        return torch.as_tensor(np.array(array, dtype=np.float64), device=self.device)

    def group(self, number: int, threads: ThreadPoolExecutor) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Estimates of one group: arrays and sums for :meth:`Statistics.add_group`."""
        design = self.design
        rng = np.random.default_rng(np.random.SeedSequence(design.seed, spawn_key=(design.n, number)))
        self.sets.start_group(design.n, design.group_size, rng)
        moments: dict[str, _Moment] = {}
        running: deque[Future[dict[str, _Moment]]] = deque()
        for start in range(0, design.group_size, self.chunk):
            size = min(self.chunk, design.group_size - start)
            means, rows = self.sets.batch(design.n, size, rng, design.known_mean)
            running.append(threads.submit(self._moments, means, rows))
            if len(running) >= self.at_once:
                _merge(moments, running.popleft().result())
        while running:
            _merge(moments, running.popleft().result())
        return threads.submit(self._estimates, moments).result()  # in a thread, because sums depend on their number

    def _moments(self, drawn_means: FloatArray, drawn_rows: FloatArray) -> dict[str, _Moment]:
        """Moments of everything over one chunk of training sets."""
        design = self.design
        means, rows = self._tensor(drawn_means), self._tensor(drawn_rows)
        moments: dict[str, _Moment] = {}

        def add(name: str, values: torch.Tensor, others: torch.Tensor | None = None) -> None:
            moments[name] = _Moment(values, others)

        eigenvalues, factors = eigensystem(rows, design.n)
        zeros = max(0, design.degrees - eigenvalues.shape[1])
        spectrum = eigenvalues[:, -min(design.degrees, eigenvalues.shape[1]) :].clamp(min=0.0)
        if design.noise_variances:
            shifts = self._tensor(design.noise_variances)
            inverse = (1 / (spectrum[:, :, None] + shifts)).sum(1)
            empty = zeros / shifts if zeros else torch.zeros_like(shifts)
            add("trace", (inverse + empty) / design.degrees)
        outputs: dict[str, torch.Tensor] = {}
        for map_ in design.maps:
            key = map_.key
            matrix = apply_map(map_, eigenvalues, factors)
            add(f"matrix/{key}", matrix)
            add(f"offset/{key}", means - (means[:, None, :] @ matrix)[:, 0])
            centred = self.inputs[key] - means[:, None, :]
            outputs[key] = means[:, None, :] + centred @ matrix
            add(f"output/{key}", outputs[key])
            if self.vectors is not None:
                add(f"pixel/{key}", outputs[key][:, 0] @ self.vectors.T)
        for i, j in design.pairs:
            first, second = design.maps[i].key, design.maps[j].key
            add(f"trajectory/{first}/{second}", outputs[first], outputs[second])
        exact = next((q.key for q in design.maps if q.kind == "sampling_map" and q.sigma == 0), None)
        for map_ in design.maps:
            if map_.kind == "heun" and exact is not None:
                add(f"step_error/{map_.key}", (outputs[map_.key] - outputs[exact]) ** 2)
        return moments

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


class SampleEigensystems(NamedTuple):
    """Eigenvalues (b, r), ascending, and eigenvectors (b, k, r) as columns."""

    values: torch.Tensor
    vectors: torch.Tensor

    def __repr__(self) -> str:
        return short_repr(self)


def eigensystem(rows: torch.Tensor, n: int) -> SampleEigensystems:
    """Eigenvalues (b, r) and unit eigenvectors (b, k, r) of Σ̂ = rowsᵀrows/n for rows (b, r, k).

    With fewer rows than modes, the r × r Gram matrix is decomposed. The eigenvectors of eigenvalues that are zero up to
    rounding are then zero vectors: they are not determined, and nothing needs them.
    """
    count, modes = rows.shape[1], rows.shape[2]
    if count >= modes:
        values, vectors = torch.linalg.eigh(rows.transpose(1, 2) @ rows / n)
        return SampleEigensystems(torch.where(values > _ZERO * values[:, -1:], values, 0.0), vectors)
    values, left = torch.linalg.eigh(rows @ rows.transpose(1, 2) / n)
    kept = values > _ZERO * values[:, -1:]
    values = torch.where(kept, values, torch.zeros_like(values))
    scale = torch.where(kept, 1 / torch.sqrt(n * torch.where(kept, values, torch.ones_like(values))), 0.0)
    return SampleEigensystems(values, rows.transpose(1, 2) @ (left * scale[:, None, :]))


def apply_map(map_: Map, eigenvalues: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """f(Σ̂) (b, k, k) in mode coordinates, of eigenvalues (b, r) and eigenvectors (b, k, r).

    Directions without an eigenvector have eigenvalue zero.
    """
    constant = float(map_.gain(np.zeros(1))[0])
    matrix: torch.Tensor = (vectors * (map_.gain(eigenvalues) - constant)[:, None, :]) @ vectors.transpose(1, 2)
    if constant:
        matrix.diagonal(dim1=1, dim2=2).add_(constant)
    return matrix
