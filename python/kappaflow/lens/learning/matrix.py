r"""Learning of one linear layer beyond a gain for each eigenmode: any initial weights, gradient descent, a bias of its own.

All for one noise level σ, loss E‖Wx_σ + b − x₀‖², in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, not_negative, positive, real_array
from ...population import Population
from ..linear import wiener_gain

__all__ = ["JointLearning", "gradient_descent", "joint_learning", "largest_step", "weights_during_training"]


def _modes(population: Population) -> FloatArray:
    if population.eigenvectors is None:
        raise ValueError("population must have eigenvectors, got a spectrum alone")
    return population.eigenvectors


def _evolved(
    population: Population, initial: Any, inside: FloatArray, outside: float, wiener: FloatArray
) -> FloatArray:
    """W* + (W₀ − W*) g(Σ), with g's values in the modes and outside of them."""
    vectors, start = _modes(population), real_array("initial", initial)
    if start.shape != (population.dimension,) * 2:
        raise ValueError(f"initial must have shape {(population.dimension,) * 2}, got {start.shape}")
    optimum = (vectors * wiener) @ vectors.T
    gap = start - optimum
    return np.asarray(optimum + outside * gap + (gap @ vectors) * (inside - outside) @ vectors.T)


def weights_during_training(
    population: Population, initial: Any, sigma: float, time: float, *, rate: float = 1.0
) -> FloatArray:
    """W(τ) = W* + (W₀ − W*) e^{−2ητ(Σ + σ²I)}, (d, d), of the gradient flow from any W₀ (d, d); centred data or slaved bias."""
    level, elapsed = positive("sigma", sigma) ** 2, 2 * positive("rate", rate) * not_negative("time", time)
    values = population.eigenvalues
    decay = np.exp(-elapsed * (values + level))
    return _evolved(
        population, initial, decay, float(np.exp(-elapsed * level)), wiener_gain(values, noise_variance=level)
    )


def largest_step(population: Population, sigma: float) -> float:
    """1/(λ₁ + σ²): gradient descent of one layer converges for every step below it and diverges above."""
    return float(1 / (population.eigenvalues.max() + positive("sigma", sigma) ** 2))


def gradient_descent(population: Population, initial: Any, sigma: float, steps: int, *, step: float) -> FloatArray:
    """W after full-batch gradient descent, exactly: W* + (W₀ − W*)(I − 2h(Σ + σ²I))ʲ, (d, d).

    Parameters
    ----------
    initial : (d, d) W₀
    steps : j ≥ 0
    step : h; diverges from :func:`largest_step` on, which is computed all the same
    """
    level, h = positive("sigma", sigma) ** 2, positive("step", step)
    count, values = integer("steps", steps, 0), population.eigenvalues
    factors = (1 - 2 * h * (values + level)) ** count
    return _evolved(
        population, initial, factors, (1 - 2 * h * level) ** count, wiener_gain(values, noise_variance=level)
    )


@dataclass(frozen=True)
class JointLearning:
    """Weights and a bias of their own, D = Wx + b from W = 0, b = 0, on data that are not centred.

    Gradient flow of V = [W b] is V(τ) = V*(I − e^{−2ητM}), with the second moments of (x_σ, 1),

        M = [[Σ + σ²I + μμᵀ, μ], [μᵀ, 1]],  V* = [Σ(Σ + σ²I)⁻¹, σ²(Σ + σ²I)⁻¹μ],

    whose modes are not the data's. All is kept in the span of the data's modes and μ: outside of it V stays at 0.

    Attributes
    ----------
    basis : (d, p) the k modes, then the unit vector along the rest of μ where there is a rest
    eigenvalues : (p,) λ of the data along it
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
        """[W b] at one training time in the basis, (p, p + 1): W = basis @ [:, :-1] @ basis.T, b = basis @ [:, -1]."""
        elapsed = 2 * self.rate * not_negative("time", time)
        vectors = self.moment_vectors
        return np.asarray((self.optimum @ vectors) * -np.expm1(-elapsed * self.moments) @ vectors.T)

    def weights(self, time: float) -> tuple[FloatArray, FloatArray]:
        """W (d, d) and b (d,) at one training time."""
        found = self.coefficients(time)
        return np.asarray(self.basis @ found[:, :-1] @ self.basis.T), np.asarray(self.basis @ found[:, -1])

    def deviation(self, time: float) -> float:
        """‖W(τ) − W°(τ)‖/‖W°(τ)‖ (Frobenius), W° what one layer with a slaved bias has at τ: each mode at 2η(λ + σ²)."""
        rates = 2 * self.rate * (self.eigenvalues + self.sigma**2)
        alone = -np.diagonal(self.optimum) * np.expm1(-rates * not_negative("time", time))
        size = float(np.linalg.norm(alone))
        return (
            float(np.linalg.norm(self.coefficients(time)[:, :-1] - np.diag(alone)) / size) if size > 0 else float("nan")
        )


def joint_learning(population: Population, sigma: float, *, rate: float = 1.0) -> JointLearning:
    """How one layer with a bias of its own learns a population at one noise level, from 0; see :class:`JointLearning`."""
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
    return JointLearning(vectors, values, np.maximum(roots, 0.0), axes, optimum, float(sigma), float(rate))
