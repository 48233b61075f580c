"""The order of seeds for networks in ``kappaflow seeds``: by the posterior variance, or with a probed network by two ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._progress import duration
from .._statistics import rank_sum
from ..consistency.network_words import NETWORK_PROBE_CHOSEN, NETWORK_PROBE_CHOSEN_MEAN, NETWORK_PROBE_MEASURED
from ..models.errors import ModelError
from ..models.posterior import PosteriorVariance
from ..models.probe import EVALUATIONS, NetworkProbe, network_probe, probe_seconds
from ..population import Population
from ..sampling import SIGMA_MIN
from .console import ProgressDisplay
from .loading import NamedNetwork

__all__ = ["NetworkOrder"]

_PROBE_NOTE = (
    "The seeds are ordered by the sum of two ranks. One is the rank by the posterior variance of your images: how far apart the "
    "images lie that explain a noisy state of the seed equally well. The other is the rank by the probe of {model}: how far its "
    "image moves when its own noisy state is moved a little towards such images. The sum predicts which images change most when "
    "you train again, not how much they change."
)
_MEASURED_NOTE = (
    "The sum was chosen among ten rules, by what fitted small networks on digits and MNIST best: its rank correlation with their "
    "disagreement was {single} with single pairs and {mean} with the mean of three pairs. Later, for UNets on digits and single "
    "pairs without the probed network, it was {better} with n = 300 images (the posterior variance alone: {better_alone}) and "
    "{worse} with n = 100 ({worse_alone}): with few images the probe adds nothing."
)


@dataclass(frozen=True)
class NetworkOrder:
    """The order of the seeds for networks.

    Attributes
    ----------
    posterior : posterior variance of the images
    model : name of the probed network, empty if there is none
    probe : of that network, or None
    """

    posterior: PosteriorVariance
    model: str = ""
    probe: NetworkProbe | None = None

    @cached_property
    def rank_sum(self) -> FloatArray:
        """(Z,) sum of the ranks by posterior variance and probe, 2 to 2 Z: larger for seeds that change more."""
        assert self.probe is not None
        return rank_sum(self.posterior.seeds, self.probe.seeds)

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """(Z,) indices of the seeds, those that change most first; equal sums are ordered by the posterior variance."""
        if self.probe is None:
            return self.posterior.order
        return np.asarray(np.lexsort((-self.posterior.seeds, -self.rank_sum)))

    @property
    def rule(self) -> str:
        """What the seeds are ranked by, for the file of ``--write``."""
        images = f"the posterior variance of {self.posterior.images} distinct images"
        if self.probe is None:
            return f"Ranked by {images}; no network was run."
        return f"Ranked by the sum of two ranks: by {images}, and by the probe of {self.model}."

    @property
    def values(self) -> Mapping[str, FloatArray]:
        """Name → (Z,) values in the order of the seeds as given; the first decides the order."""
        posterior = {"posterior_variance": self.posterior.seeds}
        if self.probe is None:
            return posterior
        return {"rank_sum": self.rank_sum, **posterior, "probe": self.probe.seeds}

    @property
    def cells(self) -> Mapping[str, list[str]]:
        """Headings and cells of the table, in the order of the seeds as given."""
        columns = {"posterior variance relative to the mean": _relative(self.posterior.seeds)}
        if self.probe is not None:
            columns = {
                "sum of ranks": [f"{value:g}" for value in self.rank_sum],
                **columns,
                "probe relative to the mean": _relative(self.probe.seeds),
            }
        return {**columns, "images that explain it": [f"{value:.0f}" for value in self.posterior.perplexity]}

    def notes(self, without_probe: str) -> list[str]:
        """The paragraphs below the table; `without_probe` describes the posterior variance alone."""
        if self.probe is None:
            return [without_probe]
        single, mean = (f"{low:.2f} to {high:.2f}" for low, high in (NETWORK_PROBE_CHOSEN, NETWORK_PROBE_CHOSEN_MEAN))
        (better, better_alone), (worse, worse_alone) = (
            [f"{value:.2f}" for value in NETWORK_PROBE_MEASURED[n]] for n in (300, 100)
        )
        measured = _MEASURED_NOTE.format(
            single=single, mean=mean, better=better, better_alone=better_alone, worse=worse, worse_alone=worse_alone
        )
        return [_PROBE_NOTE.format(model=self.model), measured]

    def facts(self) -> dict[str, Any]:
        """For JSON: arrays in the order of the ranking."""
        arrays = {**self.values, "perplexity": self.posterior.perplexity, "trivial": self.posterior.trivial}
        facts: dict[str, Any] = {"sigma": self.posterior.sigma, "images": self.posterior.images}
        if self.probe is not None:
            facts |= {"network": self.model, "evaluations": self.probe.evaluations}
            arrays["probe_perplexity"] = self.probe.perplexity
        return facts | {name: array[self.order].tolist() for name, array in arrays.items()}

    def probed(
        self,
        network: NamedNetwork,
        population: Population,
        noise: FloatArray,
        sigma_max: float,
        display: ProgressDisplay,
    ) -> NetworkOrder:
        """The order with the probe of a network. The cost is printed before it starts."""
        low = _lowest_level(network, self.posterior.sigma, sigma_max)
        total = EVALUATIONS * len(noise)
        seconds = probe_seconds(network, noise, sigma_max=sigma_max)
        display.say(
            f"--network: the probe evaluates {network.name!r} {EVALUATIONS} times for each of {len(noise):,} seeds, "
            f"{total:,} times in all, which takes about {duration(seconds)}"
        )
        probe = network_probe(
            population,
            network,
            noise,
            sigma=self.posterior.sigma,
            sigma_max=sigma_max,
            sigma_min=low,
            progress=lambda done: display(f"probing {network.name}", done / total),
        )
        return replace(self, model=network.name, probe=probe)


def _relative(values: FloatArray) -> list[str]:
    return [f"{value:.3f}" for value in values / values.mean()]


def _lowest_level(network: NamedNetwork, sigma: float, sigma_max: float) -> float:
    """σ_min of the sampler. Raises ModelError if the network was not trained at the levels above it."""
    low, high = network.sigma_min, network.sigma_max
    if sigma_max > high:
        raise ModelError(
            f"--network: {network.name!r} must be trained at the noise level at which sampling starts, "
            f"--sigma-max = {sigma_max:g}; its largest is {high:.4g}"
        )
    if sigma <= low:
        raise ModelError(
            f"--network: {network.name!r} must be trained below the noise level at which it is probed, {sigma:.4g}; "
            f"its smallest is {low:.4g}"
        )
    return max(SIGMA_MIN, low)
