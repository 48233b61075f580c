"""Order of emergence while sampling: at which noise level and time each eigenmode appears in the denoiser's outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, not_negative, positive
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from .probability_flow import spectrum
from .schedules import Schedule

__all__ = ["SamplingEmergence", "emergence_noise_level", "sampling_emergence"]


def emergence_noise_level(eigenvalues: Any, fraction: float = 0.5, *, end: float = 0.0) -> FloatArray:
    """(k,) noise levels σ̂ at which the denoiser's outcome in a mode is a fraction of its value at noise level `end`.

    On every path, whatever its schedule and start, ξ(σ̂)/ξ(end) = √((λ + end²)/(λ + σ̂²)), so σ̂² = (λ + end²)/fraction² − λ:
    half of the outcome at zero noise is reached at √(3λ). For λ = 0, nothing emerges, and σ̂ is 0.

    Parameters
    ----------
    eigenvalues : (k,) λ ≥ 0
    fraction : strictly between 0 and 1
    end : σ̂ ≥ 0

    Raises
    ------
    ValueError
        Eigenvalues or `end` are negative, or the fraction is not strictly between 0 and 1.
    """
    values, share = spectrum(eigenvalues), positive("fraction", fraction)
    if share >= 1:
        raise ValueError(f"fraction must lie strictly between 0 and 1, got {fraction}")
    level = np.sqrt((values + not_negative("end", end) ** 2) / share**2 - values)  # above 0, as share < 1
    return np.where(values > 0, level, 0.0)


@dataclass(frozen=True, repr=False)
class SamplingEmergence(ShortRepr, Tabular):
    """When each mode emerges in the denoiser's outcome while sampling.

    Attributes
    ----------
    fraction : share of the final outcome that counts as emerged
    noise_level : (k,) σ̂ at which the fraction is reached; 0 for modes without variance
    time : (k,) time of the schedule; NaN for modes that have passed the fraction already at the start, or have no variance
    final_gain : (k,) ξ at the end times √(σ_T² + α_T² λ)/√λ, the share of a seed's amplitude that arrives: 1 at zero noise
    standard_gain : (k,) ξ at the end times σ_T/√λ: the share of the data's standard deviation that is left where
        x_T ~ N(α_T μ, σ_T² I)
    """

    fraction: float
    noise_level: FloatArray
    time: FloatArray
    final_gain: FloatArray
    standard_gain: FloatArray

    def _columns(self) -> Columns:
        return {
            "mode": np.arange(1, self.time.size + 1),
            "noise_level": self.noise_level,
            "time": self.time,
            "final_gain": self.final_gain,
            "standard_gain": self.standard_gain,
        }


def sampling_emergence(
    eigenvalues: Any,
    schedule: Schedule,
    *,
    fraction: float = 0.5,
    start: float | None = None,
    stop: float | None = None,
) -> SamplingEmergence:
    """Noise level and time at which each mode's denoiser outcome reaches a fraction of its value at `stop`.

    Parameters
    ----------
    eigenvalues : (k,) λ ≥ 0
    schedule : of the noise
    fraction : strictly between 0 and 1
    start, stop : times at which sampling starts and ends, by default `t_max` and `t_min` of the schedule

    Raises
    ------
    ValueError
        Eigenvalues are negative, the fraction is not strictly between 0 and 1, or `start` is not above `stop`.
    """
    values = spectrum(eigenvalues)
    ends = np.array(schedule.ends(start, stop))
    (top, end), (sigma, _), (alpha, _) = schedule.noise_level(ends), schedule.sigma(ends), schedule.alpha(ends)
    level = emergence_noise_level(values, fraction, end=float(end))
    passed = (level > 0) & (level <= top)
    time = np.where(passed, schedule.time_of(np.where(passed, level, end)), np.nan)
    root = np.sqrt(values)
    seen = np.divide(root, np.hypot(end, root), out=np.zeros_like(root), where=values > 0)
    return SamplingEmergence(
        fraction=float(fraction),
        noise_level=level,
        time=time,
        final_gain=seen,
        standard_gain=np.asarray(seen * sigma / np.hypot(sigma, alpha * root)),
    )
