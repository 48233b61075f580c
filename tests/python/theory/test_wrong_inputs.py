"""Every argument of the core API refuses every value that is wrong for its kind, and the message names the argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from wrong_values import WRONG

POPULATION = kf.Population.from_covariance(np.diag([3.0, 2.0, 1.0]))
SPLITS = kf.Splits(POPULATION, 10)
F = SPLITS.denoiser(1.0)
X = np.ones((2, 3))
ROWS = np.random.default_rng(0).normal(size=(24, 3))
SAMPLES = kf.Population.from_samples(ROWS, profiles=24)
FLOOR = kf.fit_common_floor([0.5, 0.3], [0.1, 0.1], [0.4, 0.2])


@dataclass(frozen=True)
class Door:
    """An argument of a function, and a call that gives it a value."""

    argument: str
    kind: str
    call: Callable[[Any], Any]


DOORS: dict[str, Door] = {
    "solve_kappa spectrum": Door("eigenvalues", "spectrum", lambda v: kf.solve_kappa(v, 5, sigma=1.0)),
    "solve_kappa multiplicity": Door(
        "multiplicity", "multiplicity", lambda v: kf.solve_kappa([2.0, 1.0], 5, sigma=1.0, multiplicity=v)
    ),
    "solve_kappa n": Door("n", "above zero", lambda v: kf.solve_kappa([1.0], v, sigma=1.0)),
    "solve_kappa sigma": Door("sigma", "levels", lambda v: kf.solve_kappa([1.0], 5, sigma=v)),
    "solve_kappa noise_variance": Door(
        "noise_variance", "levels", lambda v: kf.solve_kappa([1.0], 5, noise_variance=v)
    ),
    "df1 kappa": Door("kappa", "levels", lambda v: kf.df1(v, [1.0])),
    "df1 spectrum": Door("eigenvalues", "spectrum", lambda v: kf.df1(1.0, v)),
    "df2 kappa": Door("kappa", "levels", lambda v: kf.df2(v, 1.0, [1.0])),
    "df2 kappa2": Door("kappa2", "levels", lambda v: kf.df2(1.0, v, [1.0])),
    "df2 multiplicity": Door("multiplicity", "multiplicity", lambda v: kf.df2(1.0, 1.0, [2.0, 1.0], multiplicity=v)),
    "compress_spectrum": Door("eigenvalues", "spectrum", kf.compress_spectrum),
    "compress_spectrum multiplicity": Door(
        "multiplicity", "multiplicity", lambda v: kf.compress_spectrum([2.0, 1.0], v)
    ),
    "spectral_support": Door("eigenvalues", "spectrum", lambda v: kf.spectral_support(v, 5)),
    "spectral_support n": Door("n", "above zero", lambda v: kf.spectral_support([1.0], v)),
    "spectral_density x": Door("x", "levels", lambda v: kf.spectral_density(v, [1.0], 5)),
    "spectral_density n": Door("n", "above zero", lambda v: kf.spectral_density(1.0, [1.0], v)),
    "denoiser": Door("sigma", "not negative", kf.denoiser),
    "sampling_map sigma": Door("sigma", "not negative", lambda v: kf.sampling_map(v, 80.0, support=(1.0, 4.0))),
    "sampling_map sigma_max": Door("sigma_max", "above zero", lambda v: kf.sampling_map(0.0, v, support=(1.0, 4.0))),
    "sampling_map tolerance": Door(
        "tolerance", "above zero", lambda v: kf.sampling_map(0.0, 80.0, support=(1.0, 4.0), tolerance=v)
    ),
    "matrix_power tolerance": Door(
        "tolerance", "above zero", lambda v: kf.matrix_power(0.5, support=(1.0, 4.0), tolerance=v)
    ),
    "from_spectrum": Door("eigenvalues", "spectrum", kf.Population.from_spectrum),
    "from_spectrum multiplicity": Door(
        "multiplicity", "multiplicity", lambda v: kf.Population.from_spectrum([2.0, 1.0], v)
    ),
    "from_covariance": Door("covariance", "covariance", kf.Population.from_covariance),
    "from_covariance shape": Door(
        "shape", "shape", lambda v: kf.Population.from_covariance(np.diag([3.0, 2.0, 1.0]), shape=v)
    ),
    "from_samples shape": Door("shape", "shape", lambda v: kf.Population.from_samples(ROWS, shape=v)),
    "from_samples profiles": Door("profiles", "index", lambda v: kf.Population.from_samples(ROWS, profiles=v)),
    "from_samples copies": Door("copies", "word", lambda v: kf.Population.from_samples(ROWS, copies=v)),
    "Moments": Door("dimension", "count", kf.Moments),
    "Moments.add": Door("batch", "rows", lambda v: kf.Moments(3).add(v)),
    "coordinates": Door("inputs", "rows", POPULATION.coordinates),
    "apply": Door("inputs", "rows", lambda v: POPULATION.apply(v, np.ones(3))),
    "apply null_gain": Door("null_gain", "real", lambda v: POPULATION.apply(X, np.ones(3), null_gain=v)),
    "Splits n": Door("n", "count", lambda v: kf.Splits(POPULATION, v)),
    "Splits law": Door("law", "word", lambda v: kf.Splits(POPULATION, 10, law=v)),
    "Splits mean": Door("mean", "word", lambda v: kf.Splits(POPULATION, 10, mean=v)),
    "Splits population_is": Door("population_is", "word", lambda v: kf.Splits(POPULATION, 10, population_is=v)),
    "Splits.kappa": Door("sigma", "levels", lambda v: SPLITS.kappa(sigma=v)),
    "Splits.kappa_correction": Door("noise_variance", "levels", lambda v: SPLITS.kappa_correction(noise_variance=v)),
    "Splits.denoiser": Door("sigma", "not negative", SPLITS.denoiser),
    "Splits.sampling_map sigma": Door("sigma", "not negative", SPLITS.sampling_map),
    "Splits.sampling_map sigma_max": Door("sigma_max", "above zero", lambda v: SPLITS.sampling_map(0.0, v)),
    "expectation": Door("f", "map", SPLITS.expectation),
    "expectation_correction": Door("f", "map", SPLITS.expectation_correction),
    "equal_mode_variance": Door("f", "map", SPLITS.equal_mode_variance),
    "mode_variance": Door("f", "map", SPLITS.mode_variance),
    "mode_covariance": Door("f", "map", lambda v: SPLITS.mode_covariance(F, v)),
    "disagreement of": Door("f", "map", lambda v: SPLITS.disagreement(v, X)),
    "mean_disagreement of": Door("f", "map", lambda v: SPLITS.mean_disagreement(v, input_sigma=1.0)),
    "pixel_variance of": Door("f", "map", lambda v: SPLITS.pixel_variance(v, X[:1])),
    "expected_output of": Door("f", "map", lambda v: SPLITS.expected_output(v, X)),
    "variance of": Door("f", "map", lambda v: SPLITS.variance(v, X, X)),
    "samples_for map": Door("f", "map", lambda v: kf.samples_for(POPULATION, lambda _: v, 0.1, input_sigma=1.0)),
    "expected_output": Door("inputs", "rows", lambda v: SPLITS.expected_output(F, v)),
    "variance inputs": Door("inputs", "rows", lambda v: SPLITS.variance(F, v, X)),
    "variance directions": Door("directions", "rows", lambda v: SPLITS.variance(F, X, v)),
    "covariance inputs": Door("inputs", "rows", lambda v: SPLITS.covariance(F, F, v, X)),
    "covariance directions": Door("directions", "rows", lambda v: SPLITS.covariance(F, F, X, v)),
    "disagreement": Door("inputs", "rows", lambda v: SPLITS.disagreement(F, v)),
    "disagreement bands": Door("bands", "bands", lambda v: SPLITS.disagreement(F, X, bands=v)),
    "mean_disagreement": Door("input_sigma", "not negative", lambda v: SPLITS.mean_disagreement(F, input_sigma=v)),
    "mean_disagreement bands": Door("bands", "bands", lambda v: SPLITS.mean_disagreement(F, input_sigma=1.0, bands=v)),
    "mode_disagreement": Door("input_sigma", "not negative", lambda v: SPLITS.mode_disagreement(F, input_sigma=v)),
    "pixel_variance": Door("input", "rows", lambda v: SPLITS.pixel_variance(F, v)),
    "samples_for tolerance": Door(
        "tolerance", "above zero", lambda v: kf.samples_for(POPULATION, lambda s: s.denoiser(1.0), v, input_sigma=1.0)
    ),
    "samples_for input_sigma": Door(
        "input_sigma",
        "not negative",
        lambda v: kf.samples_for(POPULATION, lambda s: s.denoiser(1.0), 0.1, input_sigma=v),
    ),
    "samples_for bands": Door(
        "bands",
        "bands",
        lambda v: kf.samples_for(POPULATION, lambda s: s.denoiser(1.0), 0.1, input_sigma=1.0, bands=v),
    ),
    "predict sigma_max": Door(
        "sigma_max", "above zero", lambda v: kf.predict(POPULATION, source="x", n=[10], sigma_max=v, seeds=[0])
    ),
    "predict law": Door("law", "word", lambda v: kf.predict(POPULATION, source="x", n=[10], law=v, seeds=[0])),
    "predict bands": Door("bands", "bands", lambda v: kf.predict(POPULATION, source="x", n=[10], bands=v, seeds=[0])),
    "predict n": Door("n", "sizes", lambda v: kf.predict(POPULATION, source="x", n=v, seeds=[0])),
    "predict seeds": Door("seeds", "seeds", lambda v: kf.predict(POPULATION, source="x", n=[10], seeds=v)),
    "predict denoiser_sigmas": Door(
        "denoiser_sigmas",
        "levels",
        lambda v: kf.predict(POPULATION, source="x", n=[10], seeds=[0], denoiser_sigmas=v),
    ),
    "predict images": Door(
        "images", "index", lambda v: kf.predict(POPULATION, source="x", n=[10], images=v, seeds=[0])
    ),
    "predict tolerance": Door(
        "tolerance", "above zero", lambda v: kf.predict(POPULATION, source="x", n=[10], tolerance=v, seeds=[0])
    ),
    "diagnose training_sets": Door("training_sets", "count", lambda v: kf.diagnose(SAMPLES, training_sets=v)),
    "diagnose inputs": Door("inputs", "count", lambda v: kf.diagnose(SAMPLES, inputs=v)),
    "diagnose sigma_max": Door("sigma_max", "above zero", lambda v: kf.diagnose(SAMPLES, sigma_max=v)),
    "diagnose n": Door("n", "count", lambda v: kf.diagnose(SAMPLES, n=v)),
    "diagnose profiles": Door("profiles", "count", lambda v: kf.diagnose(SAMPLES, profiles=v)),
    "matrix_power alpha": Door("alpha", "above zero", lambda v: kf.matrix_power(v, support=(1.0, 4.0))),
    "sampling_map support": Door("support", "interval", lambda v: kf.sampling_map(support=v)),
    "matrix_power support": Door("support", "interval", lambda v: kf.matrix_power(0.5, support=v)),
    "apply gains": Door("gains", "rows", lambda v: POPULATION.apply(X, v)),
    "reconstruct": Door("coordinates", "rows", POPULATION.reconstruct),
    "from_covariance mean": Door("mean", "mean", lambda v: kf.Population.from_covariance(np.diag([3.0, 2.0, 1.0]), v)),
    "CommonFloor.same_images": Door("law", "levels", FLOOR.same_images),
    "CommonFloor.law_for": Door("disagreement", "not negative", FLOOR.law_for),
    "fit_common_floor same_images": Door(
        "same_images", "pair", lambda v: kf.fit_common_floor([0.5, 0.3], v, [0.4, 0.2])
    ),
    "mode_variance modes": Door("modes", "modes", lambda v: SPLITS.mode_variance(F, v)),
    "mode_covariance modes": Door("modes", "modes", lambda v: SPLITS.mode_covariance(F, F, v)),
    "diagnose seed": Door("seed", "index", lambda v: kf.diagnose(SAMPLES, seed=v)),
    "posterior_variance noise": Door("noise", "rows", lambda v: kf.posterior_variance(SAMPLES, v)),
    "posterior_variance sigma_max": Door(
        "sigma_max", "above zero", lambda v: kf.posterior_variance(SAMPLES, X, sigma_max=v)
    ),
    "posterior_variance bands": Door("bands", "bands", lambda v: kf.posterior_variance(SAMPLES, X, bands=v)),
    "CommonFloor.disagreement": Door("law", "levels", FLOOR.disagreement),
    "fit_common_floor everything": Door(
        "everything", "levels", lambda v: kf.fit_common_floor(v, [0.1, 0.1], [0.4, 0.2])
    ),
    "fit_common_floor law": Door("law", "levels", lambda v: kf.fit_common_floor([0.5, 0.3], [0.1, 0.1], v)),
}
#: Values that are right at one door although they are wrong for its kind.
ALLOWED = {
    ("diagnose n", "None"),
    ("predict seeds", "twice"),
    *((door, "None") for door in ("predict n", "disagreement bands", "predict bands", "predict denoiser_sigmas")),
}
CASES = [
    pytest.param(door, wrong, id=f"{door}: {wrong}")
    for door, each in DOORS.items()
    for wrong in WRONG[each.kind]
    if (door, wrong) not in ALLOWED
]


def test_there_are_many_cases() -> None:
    assert len(CASES) > 1000


@pytest.mark.parametrize(("door", "wrong"), CASES)
def test_wrong_values_are_refused_by_name(door: str, wrong: str) -> None:
    entry = DOORS[door]
    with pytest.raises((TypeError, ValueError)) as refusal:
        entry.call(WRONG[entry.kind][wrong])
    message = str(refusal.value)
    assert entry.argument in message
    assert "must" in message or "needs" in message or "give exactly one" in message, message
    assert "got" in message, message
    assert len(message) < 400, message
