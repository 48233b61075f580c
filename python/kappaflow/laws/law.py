"""The interface of a law, and the training sets that it is built for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _core
from .._checks import FloatArray
from .._repr import ShortRepr
from ..population import Population
from ..profiles import ProfileArray

__all__ = ["Ensemble", "IndexArray", "Law", "Support", "independent_ensemble", "require_profiles"]

IndexArray = npt.NDArray[np.int32]


class Support(NamedTuple):
    """An interval that holds the positive eigenvalues of Σ̂, 0 < `low` ≤ `high`."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Ensemble(ShortRepr):
    """The training sets that a law is built for: the options of :class:`~kappaflow.Splits`, already checked.

    Attributes
    ----------
    population : the distribution of the samples
    n : samples in a training set, all their versions counted; not whole for the independent samples that stand for groups
    mean : "estimated" or "known"
    terms : one of the `terms` of the law's :class:`~kappaflow.laws.LawSpec`
    corrected : whether answers are corrected for a population that was itself estimated from `population.sample_size` samples
    scales : sizes of samples that the caller gave, None if the law takes them from the profiles
    """

    population: Population
    n: float
    mean: str
    terms: str
    corrected: bool
    scales: _core.RadialScales | None


class Law(ABC):
    """Expectation and covariance of maps f and g of Σ̂, as used by :class:`~kappaflow.Splits`.

    A law works in mode coordinates with the mean removed. It knows nothing of pixels, eigenbands or the units of a
    disagreement. Shapes: k modes, B inputs, K groups of modes or directions.
    """

    @abstractmethod
    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) expected gain of each mode."""

    @abstractmethod
    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """(c, c) covariance of uₖᵀf(Σ̂)uₗ and uₖᵀg(Σ̂)uₗ for the c chosen modes, by default for all."""

    @abstractmethod
    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) variance of uₖᵀf(Σ̂)uₖ."""

    @abstractmethod
    def output(self, f: _core.SpectralFunction, x: FloatArray, groups: FloatArray) -> FloatArray:
        """(B, K) variance of the output of each input (B, k), summed over output modes with the weights (k, K)."""

    @abstractmethod
    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """(B, K) covariance of vᵀ·output of f at x and of g at y, for directions v (K, k) in mode coordinates."""

    @abstractmethod
    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """(k,) variance of each output mode, averaged over inputs with independent coordinates of this variance (k,)."""

    @abstractmethod
    def support(self) -> Support:
        """An interval that holds the positive eigenvalues of Σ̂, with a margin."""

    def kappa(self, noise_variance: FloatArray) -> FloatArray:
        """(S,) renormalised noise κ at noise variances (S,). Only called for laws whose spec sets `has_kappa`."""
        raise NotImplementedError(f"{type(self).__name__} must define kappa, because its LawSpec sets has_kappa")

    def kappa_correction(self, noise_variance: FloatArray) -> FloatArray:
        """(S,) correction of κ at finite n. Only called for laws whose spec sets `has_corrections`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define kappa_correction: its LawSpec sets has_corrections"
        )

    def expectation_correction(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) correction of the expectation at finite n. Only called for laws whose spec sets `has_corrections`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define expectation_correction: its LawSpec sets has_corrections"
        )


def require_profiles(population: Population, what: str) -> ProfileArray:
    """The profiles (M, k) of a population.

    Raises
    ------
    ValueError
        The population holds none; the message states that `what` needs them, and how to keep them.
    """
    if population.profiles is None:
        raise ValueError(
            f"population must hold profiles for {what}, got none: "
            "Population.from_samples(images, profiles=10_000) keeps them"
        )
    return population.profiles


def independent_ensemble(ensemble: Ensemble) -> Ensemble:
    """Training sets of independent samples of unequal size that stand for those of groups: n M′/M of them, M′ of M profiles.

    Training sets of independent samples are returned as they are.

    Raises
    ------
    ValueError
        The population has groups and holds no profiles.
    """
    population = ensemble.population
    if population.group_count is None:
        return ensemble
    held = len(require_profiles(population, "the independent samples that stand for groups"))
    rows = len(require_profiles(population.independent, "the independent samples that stand for groups"))
    return replace(ensemble, population=population.independent, n=ensemble.n * rows / held)
