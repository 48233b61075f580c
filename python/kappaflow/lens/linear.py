r"""The two gains of the best linear denoiser for each eigenvalue of the data: that of one call, and that of the probability flow.

The denoiser is D(x; σ) = μ + Σ(Σ + σ²)⁻¹(x − μ). Along an eigenmode of eigenvalue λ one call multiplies the deviation from the
mean by :func:`wiener_gain`, and the probability flow from σ_T down to σ multiplies it by :func:`flow_gain`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import FloatArray

__all__ = ["flow_gain", "wiener_gain"]


def wiener_gain(eigenvalues: Any, *, noise_variance: Any) -> FloatArray:
    """λ/(λ + σ²), of the shape to which both arguments broadcast.

    Parameters
    ----------
    eigenvalues : λ ≥ 0, any shape
    noise_variance : σ² > 0, any shape
    """
    return np.asarray(eigenvalues / (eigenvalues + noise_variance))


def flow_gain(eigenvalues: Any, sigma: Any, sigma_max: Any) -> FloatArray:
    """√((λ + σ²)/(λ + σ_T²)), of the shape to which all arguments broadcast: the share of a deviation from the mean at σ_T that
    is left at σ.

    Parameters
    ----------
    eigenvalues : λ ≥ 0, any shape
    sigma : σ ≥ 0, where the flow ends
    sigma_max : σ_T > 0, where it starts
    """
    return np.asarray(np.sqrt((eigenvalues + sigma**2) / (eigenvalues + sigma_max**2)))
