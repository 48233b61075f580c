"""The three families of spectra of the page, and the noise levels at which κ is computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def power_law(d: int, exponent: float = 1.6) -> FloatArray:
    """Eigenvalues k^−exponent, as natural images have."""
    return np.arange(1, d + 1, dtype=np.float64) ** -exponent


def two_level(d: int) -> FloatArray:
    """Half of the eigenvalues 1, half 0.01: flat parts and an exact degeneracy."""
    return np.repeat([1.0, 0.01], [d - d // 2, d // 2])


def twelve_decades(d: int) -> FloatArray:
    """Equal steps in the logarithm from 1 down to 1e-12."""
    return np.asarray(np.geomspace(1.0, 1e-12, d))


SPECTRA = {"power law": power_law, "two levels": two_level, "twelve decades": twelve_decades}


def noise_levels(spectrum: str, count: int = 100) -> FloatArray:
    """Noise variances from far below the data to far above: σ = 0.002 … 80, or from 1e-12 on for the widest spectrum."""
    low, high = (1e-12, 1e3) if spectrum == "twelve decades" else (4e-6, 6400.0)
    return np.asarray(np.geomspace(low, high, count))
