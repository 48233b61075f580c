"""Phrases, tables and axes of choice that sections of the report on networks share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..kinds import about_networks
from . import select

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation

#: The template of the longer texts.
PROSE = "network.html.j2"


def alternative(found: NetworkValidation, text: str) -> str:
    """The alternative text of a figure, with the networks that it is about."""
    return about_networks(text, found.setup.archs, found.setup.n)


def two_digits(value: float) -> str:
    """``0.83``, a dash if there is none."""
    return f"{value:.2f}" if math.isfinite(value) else "–"


def p_words(value: float) -> str:
    """``0.003``, a dash if there is none."""
    return "–" if math.isnan(value) else f"{value:.1g}"


def finite_mean(values: list[float]) -> float:
    """Mean of the finite values, NaN if there are none."""
    there = [value for value in values if math.isfinite(value)]
    return float(np.mean(there)) if there else math.nan


def mostly(beats_chance: Iterable[bool]) -> bool:
    """Whether a predictor may be called best: it beats chance in at least half of the cases."""
    cases = list(beats_chance)
    return 2 * sum(cases) >= len(cases)


def scatter_sizes(found: NetworkValidation) -> list[int]:
    """Up to three sizes with trained pairs, the largest among them."""
    arm = select.shown_arms(found)[0]
    sizes = [n for n in found.setup.n if any(found.trained_pairs(arch, n, arm) for arch in found.setup.archs)]
    return sizes if len(sizes) <= 3 else [sizes[0], sizes[len(sizes) // 2], sizes[-1]]
