r"""How one linear layer learns where a gain for each eigenmode is not enough.

These are closed forms for any initial weights, for gradient descent with finite steps, and for a layer with a bias of its own.
All are for one noise level σ and the loss E‖Wx_σ + b − x₀‖².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..._checks import FloatArray, integer, not_negative, positive, real_array
from ..._repr import ShortRepr, short_repr
from ...population import Population
from ..linear import wiener_gain

__all__ = [
    "AffineWeights",
    "JointLearning",
    "gradient_descent",
    "joint_learning",
    "largest_step",
    "weights_during_training",
]


def _modes(population: Population) -> FloatArray:
    if population.eigenvectors is None:
        raise ValueError("population must have eigenvectors, got only a spectrum")
    return population.eigenvectors


def _evolved(
    population: Population, initial: Any, inside: FloatArray, outside: float, wiener: FloatArray
) -> FloatArray:
    """W* + (W₀ − W*) g(Σ), with the values of g in the modes, `inside`, and outside of them."""
    vectors, start = _modes(population), real_array("initial", initial)
    if start.shape != (population.dimension,) * 2:
        raise ValueError(f"initial must have shape {(population.dimension,) * 2}, got {start.shape}")
    optimum = (vectors * wiener) @ vectors.T
    gap = start - optimum
    return np.asarray(optimum + outside * gap + (gap @ vectors) * (inside - outside) @ vectors.T)


def weights_during_training(
    population: Population, initial: Any, sigma: float, time: float, *, rate: float = 1.0
) -> FloatArray:
    """W(τ) = W* + (W₀ − W*) e^{−2ητ(Σ + σ²I)}, (d, d): gradient flow from any initial weights.

    The data are centred, or the bias is slaved to the weights.

    Parameters
    ----------
    population : with eigenvectors
    initial : (d, d) W₀
    sigma : noise level σ > 0
    time : training time τ ≥ 0
    rate : η

    Raises
    ------
    ValueError
        A population without eigenvectors; initial weights of another shape; values out of range.
    """
    level, elapsed = positive("sigma", sigma) ** 2, 2 * positive("rate", rate) * not_negative("time", time)
    values = population.eigenvalues
    decay = np.exp(-elapsed * (values + level))
    return _evolved(
        population, initial, decay, float(np.exp(-elapsed * level)), wiener_gain(values, noise_variance=level)
    )


def largest_step(population: Population, sigma: float) -> float:
    """1/(λ₁ + σ²): gradient descent of one layer converges for every smaller step and diverges for every larger one.

    Raises
    ------
    ValueError
        A noise level that is not above 0.
    """
    return float(1 / (population.eigenvalues.max() + positive("sigma", sigma) ** 2))


def gradient_descent(population: Population, initial: Any, sigma: float, steps: int, *, step: float) -> FloatArray:
    """Weights after full-batch gradient descent, exactly: W* + (W₀ − W*)(I − 2h(Σ + σ²I))ʲ, (d, d).

    Parameters
    ----------
    population : with eigenvectors
    initial : (d, d) W₀
    sigma : noise level σ > 0
    steps : j ≥ 0
    step : h > 0. Descent diverges for steps above :func:`largest_step`; the result then shows that.

    Raises
    ------
    TypeError
        A number of steps that is not an integer.
    ValueError
        A population without eigenvectors; initial weights of another shape; values out of range.
    """
    level, h = positive("sigma", sigma) ** 2, positive("step", step)
    count, values = integer("steps", steps, 0), population.eigenvalues
    factors = (1 - 2 * h * (values + level)) ** count
    return _evolved(
        population, initial, factors, (1 - 2 * h * level) ** count, wiener_gain(values, noise_variance=level)
    )


class AffineWeights(NamedTuple):
    """Weights and bias of a layer D(x) = Wx + b.

    Attributes
    ----------
    weights : (d, d) W
    bias : (d,) b
    """

    weights: FloatArray
    bias: FloatArray

    def __repr__(self) -> str:
        return short_repr(self)


@dataclass(frozen=True, repr=False)
class JointLearning(ShortRepr):
    """A layer D = Wx + b with a bias of its own, trained from W = 0 and b = 0 on data that are not centred.

    The gradient flow of V = [W b] is V(τ) = V*(I − e^{−2ητM}), with the second moments of (x_σ, 1),

        M = [[Σ + σ²I + μμᵀ, μ], [μᵀ, 1]],  V* = [Σ(Σ + σ²I)⁻¹, σ²(Σ + σ²I)⁻¹μ].

    The modes of M are not those of the data. Everything is held in the span of the data's modes and μ; outside of it V stays 0.

    Attributes
    ----------
    basis : (d, p) the k modes, then the unit vector along the part of μ outside of them, if there is one
    eigenvalues : (p,) variance λ of the data along each vector of the basis
    moments, moment_vectors : (p + 1,), (p + 1, p + 1) eigenvalues and eigenvectors of M in that basis
    optimum : (p, p + 1) V* in that basis
    sigma, rate : σ, η
    """

    basis: FloatArray
    eigenvalues: FloatArray
    moments: FloatArray
    moment_vectors: FloatArray
    optimum: FloatArray
    sigma: float
    rate: float

    def coefficients(self, time: float) -> FloatArray:
        """[W b] in the basis at one training time, (p, p + 1): W = basis @ [:, :-1] @ basis.T, b = basis @ [:, -1].

        Raises
        ------
        ValueError
            A negative time.
        """
        elapsed = 2 * self.rate * not_negative("time", time)
        vectors = self.moment_vectors
        return np.asarray((self.optimum @ vectors) * -np.expm1(-elapsed * self.moments) @ vectors.T)

    def weights(self, time: float) -> AffineWeights:
        """W (d, d) and b (d,) at one training time.

        Raises
        ------
        ValueError
            A negative time.
        """
        inner = self.coefficients(time)
        return AffineWeights(
            weights=np.asarray(self.basis @ inner[:, :-1] @ self.basis.T),
            bias=np.asarray(self.basis @ inner[:, -1]),
        )

    def deviation(self, time: float) -> float:
        """‖W(τ) − W°(τ)‖/‖W°(τ)‖ (Frobenius), W° the weights of a layer with a slaved bias, whose modes learn at 2η(λ + σ²).

        It is NaN at time 0, where W° = 0.

        Raises
        ------
        ValueError
            A negative time.
        """
        rates = 2 * self.rate * (self.eigenvalues + self.sigma**2)
        slaved = -np.diagonal(self.optimum) * np.expm1(-rates * not_negative("time", time))
        size = float(np.linalg.norm(slaved))
        if not size > 0:
            return float("nan")
        return float(np.linalg.norm(self.coefficients(time)[:, :-1] - np.diag(slaved)) / size)


def joint_learning(population: Population, sigma: float, *, rate: float = 1.0) -> JointLearning:
    """How one layer with a bias of its own learns a population at one noise level, from 0; see :class:`JointLearning`.

    Parameters
    ----------
    population : with eigenvectors
    sigma : noise level σ > 0
    rate : η

    Raises
    ------
    ValueError
        A population without eigenvectors; a noise level or rate that is not above 0.
    """
    level, vectors, values = positive("sigma", sigma) ** 2, _modes(population), population.eigenvalues
    positive("rate", rate)
    inside = vectors.T @ population.mean
    rest = population.mean - vectors @ inside
    length = float(np.linalg.norm(rest))
    if length > 1e-12 * float(np.linalg.norm(population.mean)) and vectors.shape[1] < population.dimension:
        vectors = np.column_stack([vectors, rest / length])
        values, inside = np.append(values, 0.0), np.append(inside, length)
    size = len(values)
    moments = np.empty((size + 1, size + 1))
    moments[:size, :size] = np.outer(inside, inside) + np.diag(values + level)
    moments[:size, size] = moments[size, :size] = inside
    moments[size, size] = 1.0
    roots, axes = np.linalg.eigh(moments)
    optimum = np.column_stack([np.diag(wiener_gain(values, noise_variance=level)), level / (values + level) * inside])
    return JointLearning(
        basis=vectors,
        eigenvalues=values,
        moments=np.maximum(roots, 0.0),
        moment_vectors=axes,
        optimum=optimum,
        sigma=float(sigma),
        rate=float(rate),
    )
