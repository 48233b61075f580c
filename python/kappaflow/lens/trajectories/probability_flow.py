r"""States and denoiser outcomes of a Gaussian model along the probability-flow ODE of any schedule, in closed form.

The optimal linear denoiser acts on each eigenmode separately, and so does the probability flow. For a schedule x_t = α_t x₀ +
σ_t z it can be integrated,

.. math::

    x_t = α_t μ + ψ(t, Σ)(x_T − α_T μ), \qquad
    ψ(t, λ) = \sqrt{\frac{σ_t² + λ α_t²}{σ_T² + λ α_T²}}, \qquad
    D_t = μ + ξ(t, Σ)(x_T − α_T μ), \qquad ξ = \frac{α_t λ}{σ_t² + α_t² λ} ψ .

The formulas include directions without variance, λ = 0: there, ψ(t, 0) = σ_t/σ_T shrinks the noise. :mod:`.training_sets`
describes how models of different training sets of n samples spread around this path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, real_array
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...population import Population
from .schedules import Schedule

__all__ = ["Trajectory", "outcome_gains", "spectrum", "state_gains", "trajectory"]


def spectrum(eigenvalues: Any) -> FloatArray:
    """Eigenvalues (k,) ≥ 0, checked.

    Raises
    ------
    ValueError
        There is more than one axis, or an eigenvalue is negative, NaN or infinite.
    """
    values = real_array("eigenvalues", eigenvalues)
    if values.ndim != 1:
        raise ValueError(f"eigenvalues must be one-dimensional, got shape {values.shape}")
    if values.size and values.min() < 0:
        raise ValueError(f"eigenvalues must not be negative, got {values.min()}")
    return values


def state_gains(eigenvalues: Any, schedule: Schedule, times: Any) -> FloatArray:
    """ψ(t, λ), (S, k): the factor of a mode's deviation from α_t μ between the first of the times and each of them.

    It is exact also if α_T = 0, as at t = 1 of a rectified flow, and at σ_t = 0.

    Parameters
    ----------
    eigenvalues : (k,) λ ≥ 0
    schedule : of the noise
    times : (S,) decreasing; the first is T

    Raises
    ------
    ValueError
        Eigenvalues are negative, or times do not decrease, leave the schedule, or start at zero noise.
    """
    root = np.sqrt(spectrum(eigenvalues))
    t = schedule.path(times)
    spread = np.hypot(schedule.sigma(t)[:, None], schedule.alpha(t)[:, None] * root)
    return np.asarray(spread / spread[0])


def outcome_gains(eigenvalues: Any, schedule: Schedule, times: Any) -> FloatArray:
    """ξ(t, λ) = α_t λ/√((σ_t² + α_t² λ)(σ_T² + α_T² λ)), (S, k): the denoiser's outcome on the path, for each mode.

    At σ_t = 0 it is √λ/√(σ_T² + α_T² λ), and 0 for λ = 0. Arguments are those of :func:`state_gains`.

    Raises
    ------
    ValueError
        See :func:`state_gains`.
    """
    root = np.sqrt(spectrum(eigenvalues))
    t = schedule.path(times)
    signal = schedule.alpha(t)[:, None] * root
    spread = np.hypot(schedule.sigma(t)[:, None], signal)
    share = np.divide(signal, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.asarray(share * (root / spread[0]))


@dataclass(frozen=True, repr=False)
class Trajectory(ShortRepr, Tabular):
    """Probability flow from some initial states.

    Attributes
    ----------
    times, alpha, sigma : (S,) the path and its schedule, from the initial time down
    states : (S, B, d) x_t; ``states[0]`` are the initial states
    outcomes : (S, B, d) D(x_t; t), the denoiser's estimate of x₀
    """

    times: FloatArray
    alpha: FloatArray
    sigma: FloatArray
    states: FloatArray
    outcomes: FloatArray

    def _columns(self) -> Columns:
        return {"time": self.times, "alpha": self.alpha, "sigma": self.sigma}


def trajectory(population: Population, schedule: Schedule, initial: Any, times: Any = None) -> Trajectory:
    """States and denoiser outcomes of the Gaussian model of a population: exact, directions outside of its modes included.

    Parameters
    ----------
    population : mean and covariance
    schedule : of the noise
    initial : (B, *shape) or (B, d)
        x_T at the first of the times, for instance σ_T times standard normal numbers.
    times : (S,) decreasing, by default 32 even steps in t over the whole schedule

    Raises
    ------
    ValueError
        Initial states have another shape, or times do not decrease, leave the schedule, or start at zero noise.
    """
    t = schedule.path(schedule.grid(32) if times is None else times)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    start = population.flatten(initial, "initial") - alpha[0] * population.mean
    c = start if population.eigenvectors is None else start @ population.eigenvectors
    psi = state_gains(population.eigenvalues, schedule, t)
    xi = outcome_gains(population.eigenvalues, schedule, t)
    null = state_gains([0.0], schedule, t)[:, 0]
    if population.eigenvectors is None:
        states, outcomes = psi[:, None] * c, xi[:, None] * c
    else:
        states = ((psi - null[:, None])[:, None] * c) @ population.eigenvectors.T
        states += null[:, None, None] * start
        outcomes = (xi[:, None] * c) @ population.eigenvectors.T
    states += alpha[:, None, None] * population.mean
    outcomes += population.mean
    return Trajectory(times=t, alpha=alpha, sigma=sigma, states=states, outcomes=outcomes)
