"""The order in which seeds are predicted to change when a network is trained again, with images of both ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._checks import FloatArray
from .._repr import ShortRepr
from ..models.image_weights import NoPosteriorError
from ..models.posterior import posterior_variance
from ..population import Population
from .prediction import IntArray, NetworkSeeds, StateImages

__all__ = ["NetworkRanking", "network_seeds"]


@dataclass(frozen=True, repr=False)
class NetworkRanking(ShortRepr):
    """The order of seeds for networks, None where the images give none, and then a note that says why."""

    value: NetworkSeeds | None
    notes: tuple[str, ...]


def network_seeds(
    population: Population, numbers: IntArray, noise: FloatArray | None, sigma_max: float, *, shown: int
) -> NetworkRanking:
    """Posterior variance of every seed, and the images of the `shown` seeds at each end.

    Parameters
    ----------
    population : its profiles are the images; without profiles or eigenvectors there is no order, and a note says so
    numbers, noise : (Z,) seed numbers and their noise (Z, d)
    sigma_max : of the noise
    """
    if noise is None or population.eigenvectors is None:
        return _unranked("only the spectrum of the data is known; this needs images")
    if population.profiles is None:
        return _unranked(
            "the population keeps no images. Read the images again with profiles (option --profiles, or profiles= of "
            "Population.from_samples)"
        )
    try:
        found = posterior_variance(population, noise, sigma_max=sigma_max)
    except NoPosteriorError as error:
        return _unranked(str(error).removesuffix("."))
    count = min(shown, max(1, len(found.seeds) // 2))

    most, least = found.order[:count], found.order[::-1][:count]
    images: tuple[StateImages | None, StateImages | None] = (None, None)
    if shown:
        images = _images(population, numbers, noise, found.sigma, sigma_max, ends=(most, least))
    value = NetworkSeeds(
        numbers=numbers,
        posterior_variance=found.seeds,
        perplexity=found.perplexity,
        sigma=found.sigma,
        images=found.images,
        most=images[0],
        least=images[1],
    )
    return NetworkRanking(value, ())


def _unranked(reason: str) -> NetworkRanking:
    return NetworkRanking(None, (f"The seeds are not ranked for networks: {reason}.",))


def _images(
    population: Population,
    numbers: IntArray,
    noise: FloatArray,
    sigma: float,
    sigma_max: float,
    *,
    ends: tuple[IntArray, IntArray],
) -> tuple[StateImages, StateImages]:
    """The images of both ends, in one pass over the profiles."""
    found = posterior_variance(
        population,
        noise[np.concatenate(ends)],
        sigma=sigma,
        sigma_max=sigma_max,
        pixels=True,
        least_perplexity=0.0,  # judged on all seeds
    )
    assert found.mean is not None
    assert found.pixels is not None
    parts = slice(0, len(ends[0])), slice(len(ends[0]), None)
    most, least = (
        StateImages(numbers=numbers[end], mean=found.mean[part], pixel_std=np.sqrt(found.pixels[part]))
        for end, part in zip(ends, parts, strict=True)
    )
    return most, least
