"""Phrases that several sections of the validation report share, and the comparisons that they are about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._checks import FloatArray
from ..._statistics import rank_correlation
from ...validation.metrics import describe_factor
from .. import numbers
from ..words import number
from .select import comparisons, main_law, middle

if TYPE_CHECKING:
    from ...validation.linear.results import Comparison, Validation

#: The template of the longer texts.
PROSE = "validation.html.j2"


def main_comparisons(validation: Validation, quantity: str, subject: str | None = None) -> list[Comparison]:
    """Comparisons of a quantity with the main law, in ascending n."""
    found = comparisons(validation, quantity, main_law(validation).name)
    return sorted((c for c in found if subject in (None, c.subject)), key=lambda c: c.n)


def at_size(group: list[Comparison], n: int) -> Comparison:
    """The comparison at that n, the last one where there is none."""
    return next((c for c in group if c.n == n), group[-1])


def log_ratio(comparison: Comparison) -> FloatArray:
    """log(simulated/predicted) of each entry, NaN if there is none."""
    return np.log(numbers.positive(numbers.ratio(comparison.agreement.simulated, comparison.agreement.predicted)))


class Spread(NamedTuple):
    """How much the entries of one map differ, and how well theory orders them."""

    label: str  # of the map
    factor: float  # largest over smallest simulated entry
    order: float  # rank correlation of predicted and simulated entries


def spreads(validation: Validation, quantity: str, maps: Mapping[str, str]) -> list[Spread]:
    """The spread of a quantity at the middle n, for each map (identifier → label) where both can be computed."""
    rows = []
    for subject, label in maps.items():
        group = main_comparisons(validation, quantity, subject)
        if not group:
            continue
        result = at_size(group, middle(validation.setup.n)).agreement
        span = numbers.finite_range(result.simulated)
        order = rank_correlation(result.predicted, result.simulated).value
        if span is not None and math.isfinite(order):
            rows.append(Spread(label, span[1] / span[0], order))
    return rows


def each_size(validation: Validation) -> str:
    """``for each n = 20, 60``."""
    return f"for each n = {', '.join(f'{n:,}' for n in validation.setup.n)}"


def fine_ratio(value: float) -> str:
    """A ratio, with as many decimals below 1 as above it, and more of them the closer it is to 1."""
    if not 0.9 < value < 1.1:
        return number(value)
    return f"{value:.4f}" if abs(value - 1) < 0.02 else f"{value:.3f}"


def how_far(comparison: Comparison) -> str:
    """``3.2 %`` or ``a factor of 2.3``: how far a prediction is off at worst."""
    factor = comparison.agreement.factor
    return describe_factor(factor) if math.isfinite(factor) else "more than any factor (a total that is not positive)"


def worst(group: Sequence[Comparison]) -> Comparison:
    """The comparison that is furthest off."""
    return max(group, key=lambda c: c.agreement.factor)


def place(comparison: Comparison) -> str:
    """``denoiser, σ = 1, n = 60``."""
    label = f"{comparison.label}, " if comparison.label else ""
    return f"{label}n = {comparison.n:,}"


def times(value: float) -> str:
    """``1.6 times``, ``0.05 times``; close to one ``1.0130 times``."""
    return f"{f'{value:.4f}' if 0.9 < value < 1.1 else rough(value)} times"


def rough(value: float) -> str:
    """Two significant digits: ``2.3``, ``11,000``."""
    return number(float(f"{value:.2g}"), 2)


def typically_off(log_error: float) -> str:
    """``3.2 %`` or ``a factor of 2.3`` for a logarithmic error."""
    return describe_factor(math.exp(min(log_error, 50.0)))
