"""The empirical law: no assumption on the data, the leverage of every sample is kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import _core
from .._checks import FloatArray
from .._recent import Recent
from ..groups import group_starts
from ..moments import linear_algebra, require_matrices
from ..population import Population
from . import elliptical
from .cost import Work
from .law import Ensemble, IndexArray, Law, Support, independent_ensemble, require_profiles
from .registry import LawSpec

__all__ = ["SPEC", "EmpiricalLaw"]

#: Iterations of the fixed point and of the ladder, and nodes of the sampling map at the tolerance of this law, as seen on images.
_SOLVE_STEPS, _LADDER_STEPS, _NODES = 12, 6, 16
#: With more modes than this, the elliptical law computes the matrix of mode pairs, whose cost grows with their third power.
_LARGEST_PAIR_MATRIX = 1024
#: Variance of inputs far from the mean, over the largest eigenvalue; iterations and accuracy of the balancing.
_FAR, _BALANCING, _BALANCED = 1e8, 200, 1e-12
#: Profiles that the matrix of mode pairs is built on, and combinations of node pairs that span it.
_PAIR_PROFILES, _FORMS = 2048, 40


class EmpiricalLaw(Law):
    """The leave-one-out law with the leverage of every sample, from profiles of the data, which need not be Gaussian.

    With r_a = 1/(1 + (1/n) Σₖ gₖ z²ₐₖ) the leverage of sample a, gₖ = 1/(t + meanₐ[z²ₐₖ r_a]) is the diagonal of E (Σ̂+t)⁻¹:
    equation (40) of docs/theory.md. If samples come in groups, the leverage of a group is a matrix, equation (49).

    Two things are taken from the elliptical law of the same profiles, which has a closed form. `plug_in` is that law with the
    sample taken as the population: it gives the exchange of equal modes in the output of a given input, which is of relative
    order 1/modes. `debiased` is that law read off the sample without bias, if the population is known through N samples: what
    turns `plug_in` into `debiased` corrects the bias of the empirical law. With groups it is the elliptical law of the
    independent samples that stand for them (:attr:`~kappaflow.Population.independent`).
    """

    #: Number of solutions that are kept: the leverages of one map take nodes × profiles numbers.
    _KEPT = 2

    def __init__(
        self,
        population: Population,
        n: float,
        mean: str,
        plug_in: elliptical.EllipticalLaw,
        debiased: elliptical.EllipticalLaw | None,
    ) -> None:
        profiles = require_profiles(population, "the empirical law")
        starts = [] if population.groups is None else group_starts(population.groups).tolist()
        self._core = _core.EmpiricalLaw(
            profiles, population.eigenvalues, float(n), getattr(_core.Mean, mean), linear_algebra(), starts
        )
        self._n, self._estimated = n, mean == "estimated"
        self._plug_in, self._debiased = plug_in, debiased
        self._solved: Recent[_core.EmpiricalNodes] = Recent(self._KEPT)
        self._matrices: Recent[FloatArray] = Recent(self._KEPT)
        self._balances: Recent[_Balance] = Recent(self._KEPT)
        self._values = population.eigenvalues

    def _balance(self, f: _core.SpectralFunction) -> _Balance:
        """The correction for the sample of a map."""
        return self._balances.get(_identity(f), lambda: self._found_balance(f))

    def _found_balance(self, f: _core.SpectralFunction) -> _Balance:
        """That of the elliptical law, with one step towards the change that it makes to each mode of this law."""
        each = np.ones_like(self._values)
        if self._debiased is None:
            return _Balance(each, each)
        begin, far = _balanced(self._plug_in, self._debiased, f, self._values), _FAR * float(self._values.max()) * each
        nodes, (weights,) = self._nodes(f)

        def variances(balance: _Balance) -> FloatArray:
            inputs = far * balance.inputs**2
            direct = self._core.spread(nodes, weights, weights, inputs)
            return np.asarray((direct + inputs * self._plug_in.equal_mode_excess(f, f)) * balance.outputs**2)

        before, after = self._plug_in.spread(f, far, each), self._debiased.spread(f, far, each)
        wanted = variances(_Balance(each, each)) * np.divide(
            after, before, out=each.copy(), where=(before > 0) & (after > 0)
        )
        given = variances(begin)
        step = np.divide(wanted, given, out=each.copy(), where=(wanted > 0) & (given > 0)) ** 0.25
        return _Balance(begin.inputs * step, begin.outputs * step)

    def _nodes(self, *functions: _core.SpectralFunction) -> tuple[_core.EmpiricalNodes, list[FloatArray]]:
        """The solution at the nodes of all functions, and each function's weights there; the node at infinity carries the mean."""
        unique = list({_identity(f): f for f in functions}.values())
        shifts = np.concatenate([f.shifts for f in unique] + ([[np.inf]] if self._estimated else []))
        solution = self._solved.get(shifts.tobytes(), lambda: self._core.solve(shifts))
        weights = []
        for f in functions:
            parts = [f.weights if _identity(f) == _identity(other) else np.zeros(len(other.shifts)) for other in unique]
            last = [[1 - f.constant - f.weights.sum()]] if self._estimated else []
            weights.append(np.concatenate(parts + last))
        return solution, weights

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
        """All mode pairs at once, equation (43) of docs/theory.md; the last matrices are kept."""
        matrix = self._matrices.get(_identity(f) + _identity(g), lambda: self._matrix(f, g))
        return matrix.copy() if modes is None else matrix[np.ix_(modes, modes)]

    def _matrix(self, f: _core.SpectralFunction, g: _core.SpectralFunction) -> FloatArray:
        require_matrices(len(self.expectation(f)), matrices=60)
        nodes, (first, second) = self._nodes(f, g)
        scale = np.sqrt(np.prod([*self._balance(f), *self._balance(g)], axis=0))
        return np.asarray(self._core.mode_covariance(nodes, first, second) * np.outer(scale, scale))

    def equal_mode_variance(self, f: _core.SpectralFunction) -> FloatArray:
        """The diagonal of the matrix."""
        return np.diagonal(self.mode_covariance(f, f, None)).copy()

    def output(self, f: _core.SpectralFunction, x: FloatArray, groups: FloatArray) -> FloatArray:
        """Equation (47) of docs/theory.md. The adjoint ladder sums over modes: the cost does not depend on how many there are."""
        nodes, (weights,) = self._nodes(f)
        balance = self._balance(f)
        x, groups = x * balance.inputs, groups * balance.outputs[:, None] ** 2
        direct = self._core.output_covariance(nodes, weights, weights, x, x, groups)
        return np.asarray(direct + (x * x * self._plug_in.equal_mode_excess(f, f)) @ groups)

    def directional(
        self, f: _core.SpectralFunction, g: _core.SpectralFunction, x: FloatArray, y: FloatArray, v: FloatArray
    ) -> FloatArray:
        """Covariance of the samples' influences along v, plus what the ladder adds to each mode."""
        nodes, (first, second) = self._nodes(f, g)
        same = x is y and _identity(f) == _identity(g)
        of_f, of_g = self._balance(f), self._balance(g)
        x, y, v, w = x * of_f.inputs, y * of_g.inputs, v * of_f.outputs, v * of_g.outputs
        result = (x * y * self._plug_in.equal_mode_excess(f, g)) @ (v * w).T
        for b in range(len(x)):
            p = self._core.influence(nodes, first, x[b]) @ v.T
            q = p if same else self._core.influence(nodes, second, y[b]) @ w.T
            direct = np.einsum("ak,ak->k", p, q) / len(p) - p.mean(axis=0) * q.mean(axis=0)
            result[b] += direct / (self._n * self._core.group_size) + (v * w) @ self._core.ladder_covariance(
                nodes, first, second, x[b], y[b]
            )
        return np.asarray(result)

    def spread(self, f: _core.SpectralFunction, variance: FloatArray, multiplicity: FloatArray) -> FloatArray:
        """One solution of the ladder for all inputs together, plus the exchange of equal modes."""
        nodes, (weights,) = self._nodes(f)
        balance = self._balance(f)
        inputs = variance * balance.inputs**2
        direct = self._core.spread(nodes, weights, weights, inputs * multiplicity)
        return np.asarray((direct + inputs * self._plug_in.equal_mode_excess(f, f)) * balance.outputs**2)

    def support(self) -> Support:
        """That of the elliptical law."""
        return (self._plug_in if self._debiased is None else self._debiased).support()


class _Balance(NamedTuple):
    """Factors (k,) of the mode coordinates of inputs and of outputs."""

    inputs: FloatArray
    outputs: FloatArray


def _balanced(
    plug_in: elliptical.EllipticalLaw,
    debiased: elliptical.EllipticalLaw,
    f: _core.SpectralFunction,
    eigenvalues: FloatArray,
) -> _Balance:
    """Factors with which the elliptical law of the sample has the variances that are read off without bias.

    The fluctuation δf of a map becomes √ρ δf √ρ. Such a correction keeps all covariances possible, and what holds between them.
    ρ is chosen so that the variance of each output mode is right for inputs that are isotropic and far from the mean, by iterating
    ρ ← √(ρ wanted/(variance for inputs ρ)): the balancing of a symmetric matrix (Sinkhorn and Knopp 1967). The estimated mean is
    one more coordinate of each input. Its factor is chosen so that the total variance is right for the mean as input.
    """
    scale, far, each = np.ones_like(eigenvalues), _FAR * float(eigenvalues.max()), np.ones_like(eigenvalues)
    wanted = debiased.spread(f, far * each, each)
    for _ in range(_BALANCING):
        given = plug_in.spread(f, far * scale, each)
        good = (wanted > 0) & (given > 0)
        new = np.where(good, np.sqrt(scale * np.divide(wanted, given, out=np.ones_like(given), where=good)), 1.0)
        change, scale = float(np.abs(new / scale - 1).max(initial=0.0)), new
        if change < _BALANCED:
            break
    wanted_of_mean = float(debiased.spread(f, 0 * each, each).sum())
    given_of_mean = float((scale * plug_in.spread(f, 0 * each, each)).sum())
    of_mean = wanted_of_mean / given_of_mean if min(wanted_of_mean, given_of_mean) > 0 else 1.0
    return _Balance(np.sqrt(scale / of_mean), np.sqrt(scale * of_mean))


def _identity(f: _core.SpectralFunction) -> bytes:
    return np.concatenate([[f.constant], f.weights, f.shifts]).tobytes()


def build(ensemble: Ensemble) -> EmpiricalLaw:
    """The leave-one-out law of the population's profiles, with the elliptical laws that correct it."""
    other = independent_ensemble(ensemble)
    plug_in = elliptical.build(other, corrected=False)
    debiased = elliptical.build(other, corrected=True) if ensemble.corrected else None
    return EmpiricalLaw(ensemble.population, ensemble.n, ensemble.mean, plug_in, debiased)


def multiply_adds(work: Work) -> float:
    """Products of the profiles with all nodes (the fixed point) or all pairs of nodes (the ladder), and the elliptical law.

    With M profiles, D coordinates, N nodes and P = N(N+1)/2 pairs, the fixed point takes 2MDN in each iteration, the ladder
    2MDP, and the correction for the sample takes two ladders more; a seed adds 2MDN, the pixels of an image MD², and the matrix of
    mode pairs D³ for each pair of nodes.
    """
    profiles, coordinates, pairs = work.profiles, work.modes + 1, _NODES * (_NODES + 1) // 2
    cells = profiles * coordinates
    ladder = 2 * _LADDER_STEPS * cells * pairs
    total: float = work.sizes * (2 * _SOLVE_STEPS * cells * (_NODES + work.noise_levels) + 3 * ladder)
    if work.seeds:
        total += work.sizes * (ladder + 2 * work.seeds * (cells * _NODES + profiles * _NODES**2))
    total += work.images * (ladder + cells * (coordinates + pairs + 2 * _NODES))
    if work.mode_pairs and work.modes <= _LARGEST_PAIR_MATRIX:
        total += _FORMS * min(profiles, _PAIR_PROFILES) * coordinates**2 + 1.2 * pairs * coordinates**3
    return total + elliptical.multiply_adds(work)


SPEC = LawSpec(
    name="empirical",
    title="empirical law",
    assumes="any data",
    treats="takes the images as they are",
    describes="data like yours: {profiles:,} of your images represent all of them, and nothing else is assumed (empirical law)",
    multiply_adds=multiply_adds,
    build=build,
    tolerance=1e-6,
    takes_groups=True,
    has_kappa=False,
    closed_form=False,
    stand_in=elliptical.SPEC.name,
    largest_pair_matrix=_LARGEST_PAIR_MATRIX,
    pair_profiles=_PAIR_PROFILES,
)
