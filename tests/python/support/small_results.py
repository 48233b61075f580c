"""One small real result of every kind, with everything it holds, for tests of how results are shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

import kappaflow as kf
import toy_networks
import toy_pilot
from kappaflow.lens import architecture, learning, receptive_field, scores, teleport, trajectories
from kappaflow.lens.layout import SpatialLayout
from kappaflow.models.posterior import posterior_variance
from kappaflow.models.scores import GaussianScore
from kappaflow.sampling import initial_noise
from kappaflow.validation.linear.draws import ResampledSets, collect_pool
from kappaflow.validation.linear.experiment import validate_linear
from kappaflow.validation.metrics import correlate, memorisation, nearest

SHAPE = (6, 6)


@cache
def images() -> np.ndarray:
    """(150, 36) smooth random images."""
    rng = np.random.default_rng(0)
    grid = np.arange(6) / 6
    waves = np.array([np.cos(2 * np.pi * (i * grid[:, None] + j * grid)).ravel() for i in range(3) for j in range(3)])
    rows = rng.standard_normal((150, 9)) / np.arange(1, 10) @ waves
    return np.asarray(rows + 0.05 * rng.standard_normal((150, 36)))


@cache
def population() -> kf.Population:
    """Of these images, with profiles."""
    return kf.Population.from_samples(images(), shape=SHAPE, profiles=150)


def theory() -> list[Any]:
    """Results of the theory and of the main job."""
    data = population()
    splits = kf.Splits(data, 40)
    return [
        data,
        splits,
        kf.predict(data, source="toy", n=[20, 40], law="gaussian", seeds=range(4), images=2),
        kf.diagnose(data, training_sets=8),
        kf.samples_for(data, kf.Splits.sampling_map, 0.5, input_sigma=80.0),
        kf.solve_kappa(data.eigenvalues, 40, sigma=[1.0, 2.0], return_info=True),
        kf.compress_spectrum(data.eigenvalues),
        kf.spectral_support([1.0], 40, multiplicity=[100]),
        splits.mode_disagreement(splits.sampling_map(), input_variance=6400.0),
        posterior_variance(data, initial_noise(range(3), 36, 80.0), images=images(), bands=2, pixels=True),
    ]


def lens() -> list[Any]:
    """The six studies, and results of functions of single rooms."""
    data = population()
    gaussian = GaussianScore(data)
    rows = images()
    noise = initial_noise(range(3), 36, 80.0)
    return [
        scores.scores_study(rows, SHAPE, components=(2,), sigmas=[0.3, 1.0, 3.0], count=30),
        trajectories.trajectories_study(data, n=[40], steps=(5,)),
        receptive_field.receptive_field_study(data, sigma=[0.1, 1.0, 10.0], n=[40]),
        architecture.architecture_study(data, patches=(3,), sigma=[0.1, 1.0]),
        learning.learning_study(data, patches=(3,), curves=3, points=9),
        teleport.teleport_study(gaussian, data, name="Gaussian", steps=(6,), seeds=8),
        teleport.teleport(gaussian, data, noise, sigma_start=2.0, steps=5),
        trajectories.split_trajectory(
            kf.Splits(data, 40), trajectories.Schedule.ve(), noise, [80.0, 1.0, 0.1], modes=[0]
        ),
        trajectories.mode_spread(kf.Splits(data, 40), trajectories.Schedule.ve(), [80.0, 1.0, 0.1]),
        receptive_field.radial_average(np.ones((6, 6))),
        receptive_field.field_size(np.exp(-np.arange(9.0)), 0),
        architecture.radial_profile(SpatialLayout.of(SHAPE), np.ones((*SHAPE, 1, 1))),
    ]


def validations() -> list[Any]:
    """Linear models of training sets, and what two models are compared with."""
    pool = collect_pool([images()], shape=SHAPE, count=150, most_bytes=10**8)
    rng = np.random.default_rng(1)
    near = nearest(rng.standard_normal((20, 36)), images(), count=2)
    return [
        validate_linear(ResampledSets(pool), [20, 40], draws=40, inputs=2, steps=(18,), source="toy"),
        correlate(rng.random(10), rng.random(10)),
        near,
        memorisation(near.distances[:, 0], near.distances[:, 1]),
    ]


def networks() -> list[Any]:
    """A validation of networks and pilots, made by hand."""
    return [toy_networks.validation(), toy_pilot.toy_pilot()]


def field_names(value: Any) -> list[str]:
    """Names of the fields of a dataclass or of a named tuple."""
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    return list(getattr(value, "_fields", ()))


def within(value: Any) -> Iterator[Any]:
    """A result and every result inside it: fields, entries of sequences (the first thirty) and of mappings."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from within(inner)
    elif isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        for inner in value[:30]:
            yield from within(inner)
    elif type(value).__module__.startswith("kappaflow"):
        yield value
        for name in field_names(value):
            yield from within(getattr(value, name))
