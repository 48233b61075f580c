"""The common input of all steps of the analysis of networks: images, their population, laws and initial noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ...bands import Band, resolve_bands
from ...groups import GroupLabels
from ...population import Population
from ...provenance import Provenance
from ...sampling import SIGMA_MAX, initial_noise
from ..laws import ComparedLaw, chosen_laws
from .disjoint import dependent_groups
from .noise import NoiseChange, manipulated_noise, parts

__all__ = ["Context", "make_context"]

#: Seeds that are manipulated.
MANIPULATED = 64


@dataclass(frozen=True, repr=False)
class Context(ShortRepr):
    """The common input of all steps of the analysis.

    Attributes
    ----------
    images : (N, d) all images
    population : of the first `count` images, with profiles if a law needs them
    shape, bands, laws, sigma_max, steps : see :class:`~.results.NetworkValidation`
    noise : name → (Z, d) initial noise; "seeds" holds the unchanged seeds
    manipulations : name of a manipulated noise → how it was changed
    seeds : seed numbers of noise["seeds"]
    count : number of images in the population; training sets from elsewhere may follow them in `images`
    groups : which of the first `count` images belong together; None if they are independent
    """

    images: FloatArray
    population: Population
    shape: tuple[int, ...]
    bands: tuple[Band, ...]
    laws: tuple[ComparedLaw, ...]
    sigma_max: float
    steps: int
    noise: Mapping[str, FloatArray]
    manipulations: Mapping[str, NoiseChange]
    seeds: tuple[int, ...]
    count: int
    groups: GroupLabels | None = None


def make_context(
    images: FloatArray,
    shape: tuple[int, ...],
    *,
    seeds: int,
    seed: int = 0,
    sampler_steps: int = 35,
    sigma_max: float = SIGMA_MAX,
    bands: Any = None,
    laws: Sequence[str] | None = None,
    profiles: int = 8192,
    provenance: Provenance | None = None,
    manipulated: bool = True,
    groups: Any = None,
) -> Context:
    """Population, bands, laws and initial noise of an experiment.

    Parameters
    ----------
    images : (N, d) rows
    shape : of one image
    seeds, seed : number of seeds, and the first of them
    sampler_steps, sigma_max : of the sampler
    bands : as :func:`~kappaflow.bands.resolve_bands` takes them
    laws : names; by default all that these images allow
    profiles : number of images that the population keeps as profiles, for the laws that need them
    provenance : of the data
    manipulated : whether models are also sampled from seeds whose top or bottom modes are changed
    groups : (N,) labels of images that belong together, None if they are independent

    Raises
    ------
    ValueError, TypeError
        Images, settings or labels do not fit, a law is unknown, or it needs independent images or profiles.
    """
    related = dependent_groups(groups, len(images))
    if related is not None and not profiles:
        raise ValueError("profiles must be above 0 for images in groups, got 0")
    population = Population.from_samples(
        images,
        shape=shape,
        profiles=profiles,
        groups=None if related is None else related.numbers,
        provenance=provenance,
    )
    numbers = tuple(range(seed, seed + seeds))
    noise = initial_noise(numbers, population.dimension, sigma_max)
    changed = manipulated_noise(noise[:MANIPULATED], population, parts(population) if manipulated else {})
    return Context(
        images=images,
        population=population,
        shape=shape,
        bands=resolve_bands(bands, population.eigenvalues.size),
        laws=tuple(chosen_laws(laws, profiles=population.profiles is not None, groups=related is not None)),
        sigma_max=sigma_max,
        steps=sampler_steps,
        noise={"seeds": noise, **changed.noise},
        manipulations=changed.changes,
        seeds=numbers,
        count=len(images),
        groups=related,
    )
