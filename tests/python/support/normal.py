"""Normal numbers of a seed."""

from __future__ import annotations

import math

import numpy as np


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def pairs(count: int, seed: int, correlation: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of standard normal numbers with a correlation."""
    z = rng(seed).standard_normal((2, count))
    return z[0], correlation * z[0] + math.sqrt(1 - correlation**2) * z[1]
