"""Expectation and covariance of spectral functions of Σ̂ over training sets of n samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core
from ._checks import FloatArray, choice, integer, map_levels, not_negative, real_array, rule_tolerance, variance_of
from .bands import Band, resolve_bands
from .disagreement import ModeDisagreement
from .laws import DEFAULT_LAW, REGISTRY, Ensemble, LawSpec, Support, enter, independent_ensemble, law_spec
from .population import Population
from .profiles import require_sample_size
from .sampling import SIGMA_MAX

__all__ = ["Splits", "input_spread"]


class Splits:
    """The ensemble of training sets of n i.i.d. samples of a population.

    The expected squared distance of two linear diffusion models trained on independent sets is twice the variance that this
    class computes. For Gaussian data, with Gᵢ = (Σ+κᵢ)⁻¹, κᵢ = κ(tᵢ), Kᵢⱼ = κᵢκⱼ/(m − df2(κᵢ, κⱼ)) and m degrees of freedom
    (n, or n − 1 with estimated mean)::

        E f(Σ̂) = c + Σᵢ wᵢ Σ Gᵢ
        Cov[vᵀf(Σ̂)x, v'ᵀf(Σ̂)x'] = Σᵢⱼ wᵢwⱼ Kᵢⱼ {(vᵀGᵢΣGⱼv')(xᵀGᵢΣGⱼx') + (vᵀGᵢΣGⱼx')(xᵀGᵢΣGⱼv')}

    The first product is the law of arXiv 2602.02908. The second is the exchange term of real symmetric matrices. An estimated
    mean adds its own fluctuation.

    If samples differ in size, x = μ + √τ Σ^½ z with mean τ = 1, then κᵢ = tᵢ/hᵢ with hᵢ = E[τrᵢ], rᵢ = 1/(1+τδᵢ) and
    m δᵢhᵢ = df1(κᵢ); Kᵢⱼ = κᵢκⱼ q/(1 − q df2ᵢⱼ) with q = E[τ²rᵢrⱼ]/(m hᵢhⱼ); and a radial term is added, because every gain
    moves with the number of large samples: Σᵢⱼ wᵢwⱼ κᵢκⱼ (q − 1/m) (vᵀGᵢΣGᵢx)(v'ᵀGⱼΣGⱼx') / ((1 − q df2)ᵢᵢ (1 − q df2)ⱼⱼ).
    docs/theory.md derives these formulas.

    Parameters
    ----------
    population : Population
    n : int
        Samples in a training set: at least 1, at least 2 with estimated mean. With mirror images (`versions`) it counts samples
        without them.
    law : str
        Name of a law in :data:`kappaflow.laws.REGISTRY`. The Gaussian law needs only the covariance. The elliptical law is for
        samples of unequal size; the sizes are given as `scales` or estimated at each κ from the profiles of the population.
        The empirical law holds for any data; it keeps the leverage of every profile and is slower.
    mean : "estimated" (from the same n samples, as models do) or "known"
    terms : "full", or, with the Gaussian law, "published": the first product alone, without exchange and mean terms, for
        comparison with the publication
    population_is : "sample" or "exact"
        "exact" uses the given covariance as that of the population. "sample" corrects every answer if the population was
        estimated from N samples (`sample_size`). The Gaussian and the elliptical law are then read off the sample spectrum:
        Σ̂ of n samples at noise t behaves like Σ̂ of N samples at another noise t_N. This is exact, except that N samples do not
        show the far tail of sizes. The empirical law is multiplied by the factor by which the elliptical law changes. Sizes n
        above N are allowed as long as N samples determine the answer. Where N is near d or below, and n is near N or above, they
        do not at low noise. Without a sample size the two options are the same.
    scales : (M,) sizes τ ≥ 0 of samples, for laws that take them (the elliptical law); they are divided by their mean

    Raises
    ------
    TypeError, ValueError
        Bad options; profiles missing; a sample size that contradicts the data.
    UnidentifiedError
        Raised by the methods, a ValueError: N samples cannot determine the answer at this n and noise level.
    ConvergenceError
        Raised by the methods: the answer is not finite, at a noise level below what double precision can resolve.
    """

    def __init__(
        self,
        population: Population,
        n: int,
        *,
        law: str = DEFAULT_LAW,
        mean: str = "estimated",
        terms: str = "full",
        population_is: str = "sample",
        scales: Any = None,
    ) -> None:
        if not isinstance(population, Population):
            raise TypeError(f"population must be a Population, got {type(population).__name__}")
        spec = law_spec(law)
        choice("mean", mean, ("estimated", "known"))
        choice("terms", terms, tuple(dict.fromkeys(each for other in REGISTRY.values() for each in other.terms)))
        choice("population_is", population_is, ("sample", "exact"))
        if terms not in spec.terms:
            allowed = " or ".join(repr(each) for each in spec.terms)
            raise ValueError(f"terms must be {allowed} with law={law!r}, got {terms!r}")
        spec.check_groups(population)
        if scales is None:
            spec.check(population)
        elif not spec.takes_scales:
            takers = " or ".join(repr(other.name) for other in REGISTRY.values() if other.takes_scales)
            raise ValueError(f"scales need law={takers}, got them with law={law!r}")
        require_sample_size(population)
        self.n = integer("n", n, 2 if mean == "estimated" else 1)
        self._build(
            Ensemble(
                population=population,
                n=self.n * population.versions,
                mean=mean,
                terms=terms,
                corrected=population_is == "sample" and population.sample_size is not None,
                scales=_given_scales(scales),
            ),
            spec,
            population_is,
        )

    def _build(self, ensemble: Ensemble, spec: LawSpec, population_is: str) -> None:
        self.population, self.law, self.mean, self.terms = ensemble.population, spec.name, ensemble.mean, ensemble.terms
        self.population_is = population_is
        self._spec: LawSpec = spec
        self._law = enter(spec.build, ensemble)

    @classmethod
    def in_closed_form(cls, population: Population, n: int, *, law: str = DEFAULT_LAW) -> Splits:
        """Training sets of n samples by a law in closed form, as a baseline, also for samples in groups.

        Samples in groups are replaced by the independent samples of unequal size that stand for them
        (:attr:`~kappaflow.Population.independent`), n by their number in n samples. For independent samples it is
        ``Splits(population, n, law=law)``.

        Raises
        ------
        TypeError, ValueError
            Bad options; profiles missing.
        """
        if population.group_count is None:
            return cls(population, n, law=law)
        spec, splits = law_spec(law), cls.__new__(cls)
        splits.n = integer("n", n, 2)
        given = Ensemble(
            population=population,
            n=splits.n * population.versions,
            mean="estimated",
            terms="full",
            corrected=population.sample_size is not None,
            scales=None,
        )
        independent = independent_ensemble(given)
        spec.check(independent.population)
        splits._build(independent, spec, "sample")
        return splits

    def __repr__(self) -> str:
        defaults = {"mean": "estimated", "terms": "full", "population_is": "sample"}
        options = "".join(
            f", {name}={getattr(self, name)!r}" for name in defaults if getattr(self, name) != defaults[name]
        )
        return f"Splits(n={self.n}, law={self.law!r}{options}, population={self.population!r})"

    def kappa(self, *, sigma: Any = None, noise_variance: Any = None) -> FloatArray:
        """Renormalised noise κ(σ²) for Σ̂ with divisor n, of the shape of the noise levels.

        Parameters
        ----------
        sigma, noise_variance : array of any shape
            Noise levels σ ≥ 0, or their squares. Give exactly one of the two.

        Raises
        ------
        TypeError
            Both or neither of the two, or values that are not real numbers.
        ValueError
            A negative, NaN or infinite value; the empirical law, which has no single κ for all modes.
        ConvergenceError
            A value is not certified.
        """
        self._needs("kappa", lambda spec: spec.has_kappa, ", which has no single κ for all modes")
        t = variance_of(sigma, noise_variance)
        return _finite("kappa", self._law.kappa(t.ravel())).reshape(t.shape)

    def kappa_correction(self, *, sigma: Any = None, noise_variance: Any = None) -> FloatArray:
        """The correction −κδ of κ at finite n, as seen in traces of resolvents, for real Gaussian data; shaped as the levels.

        Let m be the degrees of freedom and λ the eigenvalues of Σ̂ (m of them; if m > k some are zero). Then n/m divided by
        the expected mean of 1/(λ + σ²) is κ − κδ + O(1/m²) with δ = Σₗ sₗ²κ/(sₗ+κ)³ / (m − df2(κ,κ))². This is the mean term
        of Bai and Silverstein (2004) in terms of κ, equation (21) of docs/theory.md.

        Parameters
        ----------
        sigma, noise_variance : array of any shape
            Noise levels σ > 0, or their squares. Give exactly one of the two.

        Raises
        ------
        TypeError
            Both or neither of the two, or values that are not real numbers.
        ValueError, ConvergenceError
            A value that is not positive and finite, a law other than the Gaussian; a correction that is not finite.
        """
        self._needs("kappa_correction", lambda spec: spec.has_corrections)
        t = variance_of(sigma, noise_variance, above_zero=True)
        return _finite("kappa_correction", self._law.kappa_correction(t.ravel())).reshape(t.shape)

    def denoiser(self, sigma: float) -> _core.SpectralFunction:
        """Optimal linear denoiser x/(x + σ²) at noise level σ ≥ 0.

        Raises
        ------
        TypeError, ValueError
            `sigma` is not a finite number of at least 0.
        """
        return _core.SpectralFunction.denoiser(not_negative("sigma", sigma))

    def sampling_map(
        self, sigma: float = 0.0, sigma_max: float = SIGMA_MAX, *, tolerance: float | None = None
    ) -> _core.SpectralFunction:
        """Probability-flow map √((x+σ²)/(x+σ_max²)) with the support of this population and n.

        Parameters
        ----------
        sigma, sigma_max : noise levels (standard deviations) at which the map ends and starts, 0 ≤ σ < σ_max
        tolerance : largest relative error of the rule. The default is the law's own: 1e-13 for the Gaussian law, 1e-10 for the
            elliptical law and 1e-6 for the empirical law. The last two are no more accurate than their profiles, and the cost
            of the empirical law grows with the square of the number of nodes.

        Raises
        ------
        TypeError, ValueError
            Bad noise levels or tolerance.
        """
        low, top = map_levels(sigma, sigma_max)
        accuracy = self._spec.tolerance if tolerance is None else rule_tolerance(tolerance)
        return _core.SpectralFunction.sampling_map(low, top, *self.support(), accuracy)

    def support(self) -> Support:
        """An interval that holds the positive eigenvalues of Σ̂, with a margin; the `support` that :func:`matrix_power` takes.

        With a law other than the Gaussian the margin is wider, because samples of unequal size stretch the spectrum at both
        ends; at the upper end by no more than the largest sample, ‖z‖²/n.
        """
        return self._law.support()

    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) expected gain of the map f in each eigenmode.

        For Gaussian data it is c + Σᵢ wᵢ sₖ/(sₖ+κᵢ), equation (10) of docs/theory.md.

        Raises
        ------
        ConvergenceError
            The law has no finite answer: the noise level is too small for double precision, or there are too few samples.
        """
        return _finite("expectation", self._law.expectation(f))

    def _needs(self, method: str, can: Callable[[LawSpec], bool], why: str = "") -> None:
        """Raise ValueError for a method that this law does not support; the message names the laws that do."""
        if not can(self._spec):
            able = " or ".join(repr(spec.name) for spec in REGISTRY.values() if can(spec))
            raise ValueError(f"{method} needs law={able}, got {self.law!r}{why}")

    def expectation_correction(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) the next order of :meth:`expectation` at finite n, of relative size 1/m, for real Gaussian data.

        With r = s/(s+κᵢ) and δᵢ as in :meth:`kappa_correction` it is Σᵢ wᵢ (1−r) r (δᵢ − r/(m − df2(κᵢ,κᵢ))), equation (21)
        of docs/theory.md, from Stein's identity for E (Σ̂+t)⁻¹. If m − df2 is not large, as at the edge of a spectrum with n
        near its rank, no expansion in 1/m holds; a large value of this term indicates it.

        Raises
        ------
        ValueError, ConvergenceError
            A law other than the Gaussian; a correction that is not finite.
        """
        self._needs("expectation_correction", lambda spec: spec.has_corrections)
        return _finite("expectation_correction", self._law.expectation_correction(f))

    def expected_output(self, f: _core.SpectralFunction, inputs: Any) -> FloatArray:
        """Expected output μ + E f(Σ̂)(x − μ), shaped as `inputs`: the linear prediction of a sample or denoised image.

        Parameters
        ----------
        f : the map
        inputs : (B, *shape) or (B, d), or a single one

        Raises
        ------
        TypeError, ValueError
            Bad inputs, see :meth:`Population.flatten`.
        """
        shape = real_array("inputs", inputs).shape
        return self.population.apply(inputs, self.expectation(f), null_gain=f.constant).reshape(shape)

    def mode_variance(self, f: _core.SpectralFunction, modes: Any = None) -> FloatArray:
        """(c, c) variances Var[uₖᵀ f(Σ̂) uₗ] of the chosen modes, all by default: equation (18) of docs/theory.md.

        See :meth:`mode_covariance` for parameters and errors.
        """
        return self.mode_covariance(f, f, modes)

    def mode_covariance(self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: Any = None) -> FloatArray:
        """(c, c) covariances Cov[uₖᵀ f(Σ̂) uₗ, uₖᵀ g(Σ̂) uₗ] of two maps, for instance to two noise levels.

        Parameters
        ----------
        f, g : the maps
        modes : (c,) numbers of modes from 0, all by default

        Raises
        ------
        TypeError, ValueError
            Modes that do not exist.
        MemoryError
            The matrix of all modes does not fit.
        """
        chosen = None if modes is None else _mode_indices(modes, len(self.population.eigenvalues))
        return _finite("mode_covariance", self._law.mode_covariance(f, g, chosen))

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) variances Var[uₖᵀ f(Σ̂) uₖ]: the diagonal of :meth:`mode_variance`, without the matrix.

        Raises
        ------
        ConvergenceError
            See :meth:`expectation`.
        """
        return _finite("equal_mode_variance", self._law.equal_mode_variance(f))

    def variance(self, f: _core.SpectralFunction, inputs: Any, directions: Any) -> FloatArray:
        """(B, K) variances of vᵀ·output for inputs (B, d) and directions v (K, d); see :meth:`covariance`."""
        return self.covariance(f, f, inputs, directions)

    def covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, inputs: Any, directions: Any, *, inputs2: Any = None
    ) -> FloatArray:
        """(B, K) covariances of vᵀ·output of two maps.

        If f and g are the maps to two noise levels of one schedule, this is the covariance along a trajectory.

        Parameters
        ----------
        f, g : the maps
        inputs : (B, *shape) or (B, d), or a single one: inputs of f
        directions : (K, *shape) or (K, d), or a single one
        inputs2 : inputs of g, as many; those of f by default

        Raises
        ------
        TypeError, ValueError
            Bad inputs or directions, see :meth:`Population.flatten`.
        """
        population = self.population
        x = population.coordinates(inputs)
        y = x if inputs2 is None else population.coordinates(inputs2, "inputs2")
        if y.shape != x.shape:
            raise ValueError(f"inputs2 must have as many rows as inputs, {len(x)}, got {len(y)}")
        v = population.flatten(directions, "directions")
        if population.eigenvectors is not None:
            v = v @ population.eigenvectors
        return _finite("covariance", self._law.directional(f, g, x, y, v))

    def disagreement(self, f: _core.SpectralFunction, inputs: Any, *, bands: Any = None) -> FloatArray:
        """(B,) expected ‖output₁ − output₂‖²/d of two independent splits for each input, or (B, bands) by eigenband.

        Parameters
        ----------
        f : the map
        inputs : (B, *shape) or (B, d), or a single one
        bands : number of eigenbands or (start, stop) ranges of modes, as of :func:`~kappaflow.bands.resolve_bands`
            The part of a band is divided by the whole d, so that bands that cover all modes add up to the total.

        Raises
        ------
        TypeError, ValueError
            Bad inputs or bands.
        """
        x = self.population.coordinates(inputs)
        modes = len(self.population.eigenvalues)
        ranges = (Band(0, modes),) if bands is None else resolve_bands(bands, modes)
        groups = np.zeros((modes, len(ranges)))
        for column, band in enumerate(ranges):
            groups[band.start : band.stop, column] = 1.0
        parts = 2 / self.population.dimension * _finite("disagreement", self._law.output(f, x, groups))
        return parts[:, 0] if bands is None else parts

    def mean_disagreement(
        self,
        f: _core.SpectralFunction,
        *,
        input_sigma: Any = None,
        input_variance: Any = None,
        bands: Any = None,
        relative: bool = False,
    ) -> FloatArray:
        """Disagreement averaged over inputs whose mode coordinates are independent with the given variance.

        Parameters
        ----------
        f : the map
        input_sigma, input_variance : number or (k,)
            Standard deviation of the mode coordinates of the inputs, or their variance. Give exactly one of the two:
            ``input_sigma=sigma_max`` for seeds of the sampling map, ``input_variance=s + sigma**2`` for noised images.
        bands : eigenbands, as of :meth:`disagreement`
        relative : divide by the expected ‖difference‖²/d of two models *and* two unrelated inputs: 0 means equal outputs,
            1 means as different as unrelated ones

        Returns
        -------
        A scalar array, or (bands,).

        Raises
        ------
        TypeError, ValueError
            Bad input, such as both or neither of `input_sigma` and `input_variance`.
        """
        variance, ceiling = self._mode_spread(f, input_sigma, input_variance)
        part = self._per_band((variance * self.population.multiplicity)[None, :], bands)[0]
        if not relative:
            return np.asarray(part)
        whole = self._per_band((ceiling * self.population.multiplicity)[None, :], bands)[0]
        return np.asarray(np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0))

    def mode_disagreement(
        self, f: _core.SpectralFunction, *, input_sigma: Any = None, input_variance: Any = None
    ) -> ModeDisagreement:
        """The contribution of each mode (one of its multiplicity) to the mean disagreement, also relative to unrelated inputs.

        Parameters and errors are those of :meth:`mean_disagreement`.
        """
        variance, ceiling = self._mode_spread(f, input_sigma, input_variance)
        relative = np.divide(variance, ceiling, out=np.zeros_like(variance), where=ceiling > 0)
        return ModeDisagreement(2 * variance / self.population.dimension, relative)

    def pixel_variance(self, f: _core.SpectralFunction, input: Any) -> FloatArray:
        """Variance over training sets of each pixel of the output for one input, (*shape).

        Raises
        ------
        TypeError, ValueError
            `input` is not one image.
        """
        population = self.population
        x = population.coordinates(input)
        if len(x) != 1:
            raise ValueError(f"input must be one image, got {len(x)}")
        u = np.eye(population.dimension) if population.eigenvectors is None else population.eigenvectors
        return _finite("pixel_variance", self._law.directional(f, f, x, x, u)).reshape(population.shape)

    def _mode_spread(
        self, f: _core.SpectralFunction, input_sigma: Any, input_variance: Any
    ) -> tuple[FloatArray, FloatArray]:
        """(k,), (k,): variance of each mode over training sets, and over training sets and inputs together."""
        modes = len(self.population.eigenvalues)
        spread = input_spread(input_sigma, input_variance)
        if spread.shape not in ((), (modes,)):
            name = "input_sigma" if input_variance is None else "input_variance"
            raise ValueError(f"{name} must be a number or have shape ({modes},), got shape {spread.shape}")
        spread = np.broadcast_to(spread, (modes,))
        variance = _finite("mode_disagreement", self._law.spread(f, spread, self.population.multiplicity))
        return variance, variance + self.expectation(f) ** 2 * spread

    def _per_band(self, variance: FloatArray, bands: Any) -> FloatArray:
        """Twice the mode variances (B, k), summed over all modes or by band, per dimension of the data."""
        scale = 2 / self.population.dimension
        if bands is None:
            return np.asarray(scale * variance.sum(axis=1))
        ranges = resolve_bands(bands, variance.shape[1])
        return scale * np.stack([variance[:, band.start : band.stop].sum(axis=1) for band in ranges], axis=1)


def _finite(name: str, values: FloatArray) -> FloatArray:
    """The values, or ConvergenceError if one is not finite, as at noise levels too small for double precision."""
    if not np.isfinite(values).all():
        raise _core.ConvergenceError(
            f"Splits.{name}: the law has no finite answer for such values, so small a noise level or so few samples"
        )
    return values


def _given_scales(scales: Any) -> _core.RadialScales | None:
    if scales is None:
        return None
    sizes = real_array("scales", scales)
    if sizes.ndim != 1 or sizes.size == 0 or sizes.min() < 0 or sizes.max() == 0:
        raise ValueError(f"scales must be a sequence of numbers of at least 0, not all 0, got {scales!r}")
    return _core.RadialScales(sizes)


def _mode_indices(modes: Any, count: int) -> Any:
    indices = np.atleast_1d(np.asarray(modes))
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise TypeError(f"modes must be a sequence of integers, got {modes!r}")
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        raise ValueError(f"modes must lie between 0 and {count - 1}, got {indices.min()}…{indices.max()}")
    return indices.astype(np.int32)


def input_spread(input_sigma: Any, input_variance: Any) -> FloatArray:
    """Variance of the mode coordinates of inputs, (k,) or a number, from exactly one of the two keywords.

    Raises
    ------
    TypeError, ValueError
        Both or neither are given, or values that are not finite and ≥ 0.
    """
    return variance_of(input_sigma, input_variance, names=("input_sigma", "input_variance"))
