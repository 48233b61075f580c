"""The laws: each answers what the expectation and the covariance of maps of Σ̂ are, :class:`~kappaflow.Splits` asks.

A law works in mode coordinates and knows nothing of pixels, bands or scales of disagreement.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

import numpy as np
import numpy.typing as npt

from . import _core
from ._checks import FloatArray
from .moments import linear_algebra, require_memory
from .population import Population

__all__ = ["EmpiricalLaw", "GaussianLaw", "Law"]

IndexArray = npt.NDArray[np.int32]


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


class GaussianLaw:
    """Silverstein's equation and the kernel κᵢκⱼ/(m − df2)."""

    def __init__(self, core: _core.Splits) -> None:
        self._core = core

    def expectation(self, f: _core.SpectralFunction) -> FloatArray:
        """c + Σᵢ wᵢ sₖ/(sₖ+κᵢ)."""
        return np.asarray(self._core.expectation(f))

    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """Kernel and exchange."""
        covariance = self._core.covariance(f, g)
        if modes is not None:
            return covariance.matrix(modes)
        require_memory(covariance.modes, matrices=2)
        return covariance.matrix()

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """The diagonal, without the matrix."""
        return np.asarray(self._core.equal_mode_variance(f))

    def output(self, f: _core.SpectralFunction, x: FloatArray, groups: FloatArray) -> FloatArray:
        """Output modes of a Gaussian law are cheap: all of them, then their sums."""
        return np.asarray(self._core.covariance(f, f).output(x, x) @ groups)

    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """Both products of the law, and the mean term."""
        covariance = self._core.covariance(f, g)
        squares = v * v
        result = covariance.apply(x * y) @ squares.T + squares @ covariance.mean_term
        if covariance.has_exchange:
            for b in range(len(x)):
                result[b] += covariance.bilinear(v * y[b], v * x[b])
        return np.asarray(result)

    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """One product with the kernel."""
        covariance = self._core.covariance(f, f)
        total = covariance.apply((variance * multiplicity)[None, :])[0] + covariance.mean_term
        if covariance.has_exchange:
            total = total + covariance.diagonal() * variance
        return np.asarray(total)


class EmpiricalLaw:
    """Leave-one-out with the leverage of every sample, from profiles of the data: no assumption of Gaussian data.

    With r_a = 1/(1 + (1/n) Σₖ gₖ z²ₐₖ) the leverage of sample a, gₖ = 1/(t + meanₐ[z²ₐₖ r_a]) is the diagonal of E (Σ̂+t)⁻¹.
    """

    #: Solutions that are kept: the leverages of a map take nodes × profiles numbers.
    _KEPT = 2

    def __init__(self, population: Population, n: int, mean: str) -> None:
        if population.profiles is None:
            raise ValueError(
                "population must hold profiles for the empirical law, got none: "
                "Population.from_samples(images, profiles=10_000) keeps them"
            )
        self._core = _core.EmpiricalLaw(
            population.profiles, population.eigenvalues, float(n), getattr(_core.Mean, mean), linear_algebra()
        )
        self._n, self._estimated = n, mean == "estimated"
        self._solved: OrderedDict[bytes, _core.EmpiricalNodes] = OrderedDict()
        self._matrices: OrderedDict[bytes, FloatArray] = OrderedDict()

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
        return np.asarray(self._core.expectation(nodes, weights, f.constant))

    def mode_covariance(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, modes: IndexArray | None
    ) -> FloatArray:
        """All mode pairs at once; the last matrix is kept."""
        key = _identity(f) + _identity(g)
        if key not in self._matrices:
            require_memory(len(self.expectation(f)), matrices=60)
            nodes, (first, second) = self._nodes(f, g)
            self._matrices[key] = self._core.mode_covariance(nodes, first, second)
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
        return np.asarray(self._core.output_covariance(nodes, weights, weights, x, x, groups))

    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """Covariance of the samples' influences along v, and the ladder by mode."""
        nodes, (first, second) = self._nodes(f, g)
        same = x is y and _identity(f) == _identity(g)
        result = np.empty((len(x), len(v)))
        for b in range(len(x)):
            p = self._core.influence(nodes, first, x[b]) @ v.T
            q = p if same else self._core.influence(nodes, second, y[b]) @ v.T
            direct = np.einsum("ak,ak->k", p, q) / len(p) - p.mean(axis=0) * q.mean(axis=0)
            result[b] = direct / self._n + (v * v) @ self._core.ladder_covariance(nodes, first, second, x[b], y[b])
        return result

    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """The matrix times the variance, and the output at the mean for the fluctuation of the estimated mean."""
        total = self.mode_covariance(f, f, None) @ (variance * multiplicity)
        if not self._estimated:
            return np.asarray(total)
        nodes, (weights,) = self._nodes(f)
        centre = np.zeros(len(variance))
        influence = self._core.influence(nodes, weights, centre)
        return np.asarray(
            total
            + influence.var(axis=0) / self._n
            + self._core.ladder_covariance(nodes, weights, weights, centre, centre)
        )


def _identity(f: _core.SpectralFunction) -> bytes:
    return np.concatenate([[f.constant], f.weights, f.shifts]).tobytes()
