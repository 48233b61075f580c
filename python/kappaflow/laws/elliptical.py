"""The elliptical law: samples differ in size (contrast), and are Gaussian otherwise."""

from __future__ import annotations

import numpy as np

from .. import _core
from ..population import Population
from . import gaussian
from .closed_form import ClosedFormLaw, closed_form
from .cost import Work
from .law import Ensemble, Support, require_profiles
from .registry import LawSpec

__all__ = ["SPEC", "EllipticalLaw", "build", "multiply_adds"]

#: How far the support of samples of unequal size is assumed to reach below the Gaussian edge.
_STRETCH = 0.05
#: Noise levels at which κ is solved: those of its curve, and the nodes of the maps.
_SHIFTS = 100
#: Averages over the profiles in the iterations of one κ, in multiply-adds for each profile (they are divisions mostly).
_PER_AVERAGE = 2000


class EllipticalLaw(ClosedFormLaw):
    """The closed form with samples of unequal size: given, or those of the population's profiles."""

    def __init__(self, core: _core.Splits, population: Population, n: float, scales: _core.RadialScales | None) -> None:
        super().__init__(core)
        self._population, self._n, self._scales = population, n, scales

    def support(self) -> Support:
        """Samples of unequal size stretch the spectrum at both ends: above by at most the largest sample, ‖z‖²/n."""
        low, high = super().support()
        return Support(_STRETCH * low, high + self._largest_sample() / self._n)

    def _largest_sample(self) -> float:
        """Largest ‖z‖² of a sample."""
        if self._scales is not None:
            return float(self._scales.at(1.0).max()) * self._population.total_variance
        profiles = require_profiles(self._population, "the support of samples of unequal size")
        return float(np.einsum("ak,ak->a", profiles, profiles).max())


def build(ensemble: Ensemble, *, corrected: bool | None = None) -> EllipticalLaw:
    """The closed form with the given sizes or, if there are none, those of the profiles.

    `corrected` overrides the setting of the ensemble: whether the law is read off a sample without bias.
    """
    population = ensemble.population
    scales = population.radial_scales if ensemble.scales is None else ensemble.scales
    core = closed_form(ensemble, scales, corrected=ensemble.corrected if corrected is None else corrected)
    return EllipticalLaw(core, population, ensemble.n, ensemble.scales)


def multiply_adds(work: Work) -> float:
    """The Gaussian law, and the sizes of all profiles: tabulated once, and averaged in every step of every κ."""
    tables = _SHIFTS * work.profiles * work.modes
    averages = work.sizes * _SHIFTS * work.profiles * _PER_AVERAGE
    return gaussian.multiply_adds(work) + tables + averages


SPEC = LawSpec(
    name="elliptical",
    title="elliptical law",
    assumes="contrast differs between samples",
    treats="allows them to differ in contrast",
    describes="data like yours whose samples differ in contrast and are Gaussian otherwise (elliptical law)",
    multiply_adds=multiply_adds,
    build=build,
    tolerance=1e-10,
    takes_scales=True,
)
