"""The closed form behind the Gaussian and the elliptical law: one spectrum, and the sizes of the samples."""

from __future__ import annotations

import numpy as np

from .. import _core
from .._checks import FloatArray
from ..moments import require_matrices
from ..population import Population
from .law import Ensemble, IndexArray, Law, Support, require_profiles

__all__ = ["ClosedFormLaw", "closed_form", "radial_scales"]


def closed_form(ensemble: Ensemble, scales: _core.RadialScales | None, *, corrected: bool) -> _core.Splits:
    """The core's law for samples of these sizes (None: all equal).

    `corrected`: whether the law is corrected for a population that is known only through N samples.
    """
    population = ensemble.population
    return _core.Splits(
        population.spectrum,
        float(ensemble.n),
        getattr(_core.Mean, ensemble.mean),
        getattr(_core.Terms, ensemble.terms),
        float(population.sample_size or np.inf) if corrected else np.inf,
        scales,
    )


class ClosedFormLaw(Law):
    """The law from the spectrum alone and, for the elliptical law, from the sizes of the samples.

    Kᵢⱼ = κᵢκⱼ q/(1 − q df2ᵢⱼ), q = 1/m for Gaussian data: equation (23) of docs/theory.md, where the formulas are derived.
    """

    def __init__(self, core: _core.Splits) -> None:
        self._core = core

    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """c + Σᵢ wᵢ sₖ/(sₖ+κᵢ): equation (10) of docs/theory.md."""
        return np.asarray(self._core.expectation(f))

    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """Kernel, exchange and radial term: equations (16) and (29) of docs/theory.md."""
        covariance = self._core.covariance(f, g)
        if modes is not None:
            return covariance.matrix(modes)
        require_matrices(covariance.modes, matrices=2)
        return covariance.matrix()

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """The diagonal, without the matrix."""
        return np.asarray(self._core.equal_mode_variance(f))

    def equal_mode_excess(self, f: _core.SpectralFunction, g: _core.SpectralFunction) -> FloatArray:
        """(k,) part of the exchange and radial terms on equal modes that the renormalisation adds."""
        return np.asarray(self._core.equal_mode_excess(f, g))

    def output(self, f: _core.SpectralFunction, x: FloatArray, groups: FloatArray) -> FloatArray:
        """Output modes are cheap: all of them, then their sums."""
        return np.asarray(self._core.covariance(f, f).output(x, x) @ groups)

    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """The products of the law, and the mean term."""
        covariance = self._core.covariance(f, g)
        squares = v * v
        result = covariance.apply(x * y) @ squares.T + squares @ covariance.mean_term
        if covariance.has_exchange:
            for b in range(len(x)):
                result[b] += covariance.bilinear(v * y[b], v * x[b]) + covariance.radial_bilinear(v * x[b], v * y[b])
        return np.asarray(result)

    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """One product with the kernel."""
        covariance = self._core.covariance(f, f)
        total = covariance.apply((variance * multiplicity)[None, :])[0] + covariance.mean_term
        if covariance.has_exchange:
            total = total + (covariance.diagonal() + covariance.radial_diagonal()) * variance
        return np.asarray(total)

    def support(self) -> Support:
        """The edges of the limiting spectrum of Gaussian data, with a margin."""
        return Support(*self._core.support())

    def kappa(self, noise_variance: FloatArray) -> FloatArray:
        """The root of κ = t + κ df1(κ)/m, or of its counterpart for samples of unequal size.

        Raises
        ------
        ConvergenceError
            A root is not certified.
        """
        result = self._core.kappa(noise_variance)
        if not result.good:
            raise _core.ConvergenceError("Splits.kappa: a value of kappa is not certified")
        return np.asarray(result.kappa)

    def kappa_correction(self, noise_variance: FloatArray) -> FloatArray:
        """−κδ, for samples of equal size."""
        return np.asarray(self._core.kappa_correction(noise_variance))

    def expectation_correction(self, f: _core.SpectralFunction) -> FloatArray:
        """Σᵢ wᵢ (1−r) r (δᵢ − r/(m − df2(κᵢ,κᵢ))), for samples of equal size."""
        return np.asarray(self._core.expectation_correction(f))


def radial_scales(population: Population, shifts: FloatArray, *, population_is: str = "sample") -> FloatArray:
    """(M, S) sizes τₐ(u) of the M profiles in the metric of the resolvent at each of S shifts u > 0; their mean is 1.

    τₐ(u) = Σₖ z²ₐₖ/(sₖ+u) / df1(u). If the population is known through N samples, the profiles are among these samples.
    Their leverage l = τₐ df1/(N−1) in their own set is then removed: τₐ ∝ l/(1−l).

    Raises
    ------
    ValueError
        The population holds no profiles.
    """
    require_profiles(population, "radial scales")
    tau = np.stack([population.radial_scales.at(float(u)) for u in shifts], axis=1)
    if population_is == "sample" and population.sample_size is not None:
        degrees = population.sample_size - 1
        s = population.eigenvalues[:, None]
        leverage = tau * (s / (s + np.asarray(shifts))).sum(axis=0) / degrees
        leverage = np.minimum(
            leverage, 1 - 1 / population.sample_size
        )  # a sample that has a direction of its own would have 1
        tau = leverage / (1 - leverage)
        tau /= tau.mean(axis=0)
    return np.asarray(tau)
