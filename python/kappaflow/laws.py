"""The laws: each answers what the expectation and the covariance of maps of Σ̂ are, :class:`~kappaflow.Splits` asks.

A law works in mode coordinates and knows nothing of pixels, bands or scales of disagreement.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from . import _core
from ._checks import FloatArray
from .moments import linear_algebra, require_memory
from .population import Population, ProfileArray

__all__ = ["ClosedFormLaw", "EmpiricalLaw", "Law", "radial_scales", "require_profiles"]

IndexArray = npt.NDArray[np.int32]


def require_profiles(population: Population, what: str) -> ProfileArray:
    """The profiles; ValueError, with the way out, where the population holds none for `what`."""
    if population.profiles is None:
        raise ValueError(
            f"population must hold profiles for {what}, got none: "
            "Population.from_samples(images, profiles=10_000) keeps them"
        )
    return population.profiles


class Law(Protocol):
    """What a law must answer; k modes, B inputs in mode coordinates (mean removed), f and g maps of Σ̂."""

    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) expected gain of each mode."""

    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """(c, c) covariance of uₖᵀf(Σ̂)uₗ and uₖᵀg(Σ̂)uₗ for chosen modes, all by default."""

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """(k,) variance of uₖᵀf(Σ̂)uₖ."""

    def output(self, f: _core.SpectralFunction, x: FloatArray, groups: FloatArray) -> FloatArray:
        """(B, K) variance of the output of each input (B, k), summed over output modes with the weights (k, K)."""

    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """(B, K) covariance of vᵀ·output of f at x and of g at y, for directions v (K, k) in mode coordinates."""

    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """(k,) variance of each output mode averaged over inputs with independent coordinates of the given variance (k,)."""


class ClosedFormLaw:
    """The Gaussian and the elliptical law: one spectrum, and for the elliptical law the sizes of the samples.

    Kᵢⱼ = κᵢκⱼ q/(1 − q df2ᵢⱼ), q = 1/m for Gaussian data; see :class:`~kappaflow.Splits` for the formulas.
    """

    def __init__(self, core: _core.Splits) -> None:
        self._core = core

    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """c + Σᵢ wᵢ sₖ/(sₖ+κᵢ)."""
        return np.asarray(self._core.expectation(f))

    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """Kernel, exchange and radial term."""
        covariance = self._core.covariance(f, g)
        if modes is not None:
            return covariance.matrix(modes)
        require_memory(covariance.modes, matrices=2)
        return covariance.matrix()

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """The diagonal, without the matrix."""
        return np.asarray(self._core.equal_mode_variance(f))

    def equal_mode_excess(self, f: _core.SpectralFunction, g: _core.SpectralFunction) -> FloatArray:
        """(k,) what the renormalisation adds to exchange and radial term on equal modes."""
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


def radial_scales(population: Population, shifts: FloatArray, *, population_is: str = "sample") -> FloatArray:
    """(M, S) sizes τₐ(u) of the profiles in the metric of the resolvent at each shift u > 0, of mean 1.

    τₐ(u) = Σₖ z²ₐₖ/(sₖ+u) / df1(u). Where the population is known through N samples, profiles are among them and their
    leverage l in their own set is taken out, τₐ ∝ l/(1−l) with l = τₐ df1/(N−1).
    """
    require_profiles(population, "radial scales")
    tau = np.stack([population.radial_scales.at(float(u)) for u in shifts], axis=1)
    if population_is == "sample" and population.sample_size is not None:
        degrees = population.sample_size - 1
        s = population.eigenvalues[:, None]
        leverage = tau * (s / (s + np.asarray(shifts))).sum(axis=0) / degrees
        leverage = np.minimum(leverage, 1 - 1 / population.sample_size)  # of a sample with a direction for itself
        tau = leverage / (1 - leverage)
        tau /= tau.mean(axis=0)
    return np.asarray(tau)


class EmpiricalLaw:
    """Leave-one-out with the leverage of every sample, from profiles of the data: no assumption of Gaussian data.

    With r_a = 1/(1 + (1/n) Σₖ gₖ z²ₐₖ) the leverage of sample a, gₖ = 1/(t + meanₐ[z²ₐₖ r_a]) is the diagonal of E (Σ̂+t)⁻¹.

    Two things come from the elliptical law of the same profiles, `plug_in`, which is a closed form: what equal modes exchange
    in the output of a given input, of relative order 1/modes, and, where the population is known through N samples, the
    bias of that, as the quotient of `debiased`, the elliptical law read off the sample, and `plug_in`.
    """

    #: Solutions that are kept: the leverages of a map take nodes × profiles numbers.
    _KEPT = 2

    def __init__(
        self, population: Population, n: int, mean: str, plug_in: ClosedFormLaw, debiased: ClosedFormLaw | None
    ) -> None:
        profiles = require_profiles(population, "law='empirical'")
        self._core = _core.EmpiricalLaw(
            profiles, population.eigenvalues, float(n), getattr(_core.Mean, mean), linear_algebra()
        )
        self._n, self._estimated = n, mean == "estimated"
        self._plug_in, self._debiased = plug_in, debiased
        self._solved: OrderedDict[bytes, _core.EmpiricalNodes] = OrderedDict()
        self._matrices: OrderedDict[bytes, FloatArray] = OrderedDict()

    def _unbiased(self, value: FloatArray, answer: Callable[[ClosedFormLaw], FloatArray]) -> FloatArray:
        """A variance times what its elliptical counterpart changes by when it is read off the sample without bias."""
        if self._debiased is None:
            return value
        before, after = answer(self._plug_in), answer(self._debiased)
        return np.asarray(value * np.divide(after, before, out=np.ones_like(before), where=before != 0))

    def _nodes(self, *functions: _core.SpectralFunction) -> tuple[_core.EmpiricalNodes, list[FloatArray]]:
        """Solution at the nodes of all functions, and the weights of each over them; infinity carries the mean."""
        unique = list({_identity(f): f for f in functions}.values())
        shifts = np.concatenate([f.shifts for f in unique] + ([[np.inf]] if self._estimated else []))
        key = shifts.tobytes()
        if key not in self._solved:
            self._solved[key] = self._core.solve(shifts)
            if len(self._solved) > self._KEPT:
                self._solved.popitem(last=False)
        self._solved.move_to_end(key)
        weights = []
        for f in functions:
            parts = [f.weights if _identity(f) == _identity(other) else np.zeros(len(other.shifts)) for other in unique]
            last = [[1 - f.constant - f.weights.sum()]] if self._estimated else []
            weights.append(np.concatenate(parts + last))
        return self._solved[key], weights

    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """c + Σᵢ wᵢ (1 − tᵢ gₖ)."""
        nodes, (weights,) = self._nodes(f)
        gain = np.asarray(self._core.expectation(nodes, weights, f.constant))
        if self._debiased is None:
            return gain
        return np.asarray(gain + self._debiased.expectation(f) - self._plug_in.expectation(f))

    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """All mode pairs at once; the last matrix is kept."""
        key = _identity(f) + _identity(g)
        if key not in self._matrices:
            require_memory(len(self.expectation(f)), matrices=60)
            nodes, (first, second) = self._nodes(f, g)
            found = self._core.mode_covariance(nodes, first, second)
            self._matrices[key] = self._unbiased(found, lambda law: law.mode_covariance(f, g, None))
            if len(self._matrices) > self._KEPT:
                self._matrices.popitem(last=False)
        matrix = self._matrices[key]
        return matrix.copy() if modes is None else matrix[np.ix_(modes, modes)]

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """The diagonal of the matrix."""
        return np.diagonal(self.mode_covariance(f, f, None)).copy()

    def output(self, f: _core.SpectralFunction, x: FloatArray, groups: FloatArray) -> FloatArray:
        """Sums over output modes by the adjoint ladder: the cost does not depend on how many modes are summed."""
        nodes, (weights,) = self._nodes(f)
        found = self._core.output_covariance(nodes, weights, weights, x, x, groups)
        exchanged = (x * x * self._plug_in.equal_mode_excess(f, f)) @ groups
        return self._unbiased(found + exchanged, lambda law: law.output(f, x, groups))

    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """Covariance of the samples' influences along v, and the ladder by mode."""
        nodes, (first, second) = self._nodes(f, g)
        same = x is y and _identity(f) == _identity(g)
        result = (x * y * self._plug_in.equal_mode_excess(f, g)) @ (v * v).T
        for b in range(len(x)):
            p = self._core.influence(nodes, first, x[b]) @ v.T
            q = p if same else self._core.influence(nodes, second, y[b]) @ v.T
            direct = np.einsum("ak,ak->k", p, q) / len(p) - p.mean(axis=0) * q.mean(axis=0)
            result[b] += direct / self._n + (v * v) @ self._core.ladder_covariance(nodes, first, second, x[b], y[b])
        return self._unbiased(result, lambda law: law.directional(f, g, x, y, v))

    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """One solution of the ladder for all inputs together, and what equal modes exchange."""
        nodes, (weights,) = self._nodes(f)
        found = self._core.spread(nodes, weights, weights, variance * multiplicity)
        exchanged = variance * self._plug_in.equal_mode_excess(f, f)
        return self._unbiased(found + exchanged, lambda law: law.spread(f, variance, multiplicity))


def _identity(f: _core.SpectralFunction) -> bytes:
    return np.concatenate([[f.constant], f.weights, f.shifts]).tobytes()
