"""Training sets that differ on purpose: sets from strata along a principal component, compared with i.i.d. sets.

The strata are those of :mod:`kappaflow.validation.strata`. Independent models of strata A and B differ by

    E‖o_A − o_B‖² = ‖E o_A − E o_B‖² + Var o_A + Var o_B

The theory predicts every term, because each stratum is a population of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..._checks import FloatArray, integer
from ...population import Population
from ...splits import Splits
from ..laws import ComparedLaw
from ..metrics import mean_interval
from ..strata import PROFILES, STRATA, strata
from .draws import Pool, ResampledSets
from .results import Counterfactual
from .simulation import simulate
from .statistics import Design, Statistics

__all__ = ["compare_strata"]


def compare_strata(
    pool: Pool,
    design: Design,
    laws: Sequence[ComparedLaw],
    *,
    component: int = 0,
    device: str = "cpu",
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counterfactual:
    """Simulate and predict the disagreement of models trained on different strata.

    Parameters
    ----------
    pool : the data
    design : of the simulation; its first map is used
    laws : that predict
    component : mode (0-based) that orders the samples
    device, progress : see :func:`~.simulation.simulate`
    folder : for checkpoints, one file for each stratum

    Raises
    ------
    ValueError
        The component does not exist, or there are fewer than 36 samples; see also :func:`~.simulation.simulate`.
    """
    modes = pool.population.eigenvalues.size
    if integer("component", component, 0) >= modes:
        raise ValueError(f"component must be below the number of modes, {modes}, got {component}")
    map_ = design.maps[0]
    design = replace(design, maps=(map_,), pairs=(), noise_variances=(), pair_modes=())
    inputs = np.asarray(design.inputs[map_.key])
    statistics: list[Statistics] = []
    outputs: dict[str, list[tuple[FloatArray, FloatArray]]] = {law.name: [] for law in laws}
    limits: list[FloatArray] = []
    for number, chosen in enumerate(strata(pool.coordinates[:, component]).values()):
        rows = pool.coordinates if len(chosen) == pool.size else pool.coordinates[chosen]  # the whole is not copied
        # a known mean is the stratum's: training sets and inputs are taken relative to it
        centre = rows.mean(axis=0) if design.known_mean else np.zeros(modes)
        part = ResampledSets(Pool(pool.population, rows - centre, len(rows)))
        file = None if folder is None else Path(folder) / f"stratum-{number}.safetensors"
        statistics.append(
            simulate(
                replace(design, seed=design.seed + 1 + number, inputs={map_.key: inputs - centre}),
                part,
                device=device,
                checkpoint=file,
                progress=None if progress is None else _after(progress, number * design.groups * design.group_size),
            )
        )
        statistics[-1].arrays[f"output_mean/{map_.key}"] += centre
        population = Population.from_samples(rows, profiles=PROFILES if any(law.profiles for law in laws) else 0)
        limits.append(_limit(population, map_.gain, inputs))
        for law in laws:
            splits = Splits(population, design.n, mean=design.mean, population_is="exact", **law.options)
            f = map_.function(splits)
            mean = splits.expected_output(f, inputs)
            outputs[law.name].append((mean, splits.variance(f, inputs, np.eye(modes)).sum(axis=1)))
    dimension, size = pool.population.dimension, design.group_size
    groups = np.stack([[_distance(a, b, map_.key, size) for b in statistics] for a in statistics]) / dimension
    low, high = mean_interval(groups)
    return Counterfactual(
        names=STRATA,
        component=component,
        n=design.n,
        draws=design.groups * size,
        label=map_.label,
        simulated=groups.mean(axis=2),
        interval_low=low,
        interval_high=high,
        predicted={name: _predicted(parts) / dimension for name, parts in outputs.items()},
        predicted_limit=np.array([[np.mean(((a - b) ** 2).sum(axis=1)) for b in limits] for a in limits]) / dimension,
    )


def _after(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    """The callback of a part that comes after so many training sets."""
    return lambda done: progress(before + done)


def _limit(population: Population, gain: Callable[[FloatArray], FloatArray], inputs: FloatArray) -> FloatArray:
    """Outputs (B, k) of the model of infinitely many samples of a population in mode coordinates."""
    return population.apply(inputs, gain(population.eigenvalues), null_gain=float(gain(np.zeros(1))[0]))


def _distance(a: Statistics, b: Statistics, key: str, size: int) -> FloatArray:
    """(G,) unbiased estimates of E‖o_A − o_B‖², mean over the inputs; for A = B, of two independent sets."""
    variance = sum(s.arrays[f"output/{key}"].sum(axis=2).mean(axis=1) for s in (a, b))
    if a is b:
        return np.asarray(variance)
    means = (a.arrays[f"output_mean/{key}"] - b.arrays[f"output_mean/{key}"]) ** 2
    return np.asarray(means.sum(axis=2).mean(axis=1) + variance * (1 - 1 / size))


def _predicted(parts: Sequence[tuple[FloatArray, FloatArray]]) -> FloatArray:
    return np.array(
        [
            [float(np.mean(((mean - other) ** 2).sum(axis=1) + variance + spread)) for other, spread in parts]
            for mean, variance in parts
        ]
    )
