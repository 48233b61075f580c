"""What the validation report takes from a :class:`~kappaflow.validation.linear.results.Validation`, and what it is called.

Nothing here knows a result: which laws, quantities, maps and sizes there are comes from the object.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from ..._checks import FloatArray
from ...validation.metrics import SHOWN
from .. import numbers

if TYPE_CHECKING:
    from ...validation.laws import ComparedLaw
    from ...validation.linear.results import Comparison, Validation

#: Quantities that are means over training sets, and those that are squared distances of two models; all others are single
#: variances and covariances. Users meet disagreement, so that it is judged apart.
EXPECTATIONS = ("kappa", "gains")
DISAGREEMENTS = ("mode_disagreement", "seeds", "bands")
#: Two laws closer than this, relative, are one curve: the width of a line.
SAME = 0.01
#: A relative error up to this size changes no decision about training. If it is beyond chance, it is called small and not a miss.
PRACTICAL = 0.1

Verdict: TypeAlias = Literal["agrees", "limit", "small", "misses"]


def is_published(law: ComparedLaw) -> bool:
    """Whether it is the law of the paper alone, which is shown for comparison."""
    return law.options.get("terms") == "published"


def ordered_laws(validation: Validation) -> list[ComparedLaw]:
    """Laws that are put forward first, then those that are shown for comparison."""
    return sorted(validation.setup.laws, key=is_published)


def curve_laws(validation: Validation, curves: Mapping[str, FloatArray]) -> list[ComparedLaw]:
    """As :func:`ordered_laws`, those alone that have a curve: closed forms have, fixed points do not."""
    return [law for law in ordered_laws(validation) if law.name in curves]


def main_law(validation: Validation) -> ComparedLaw:
    """The law that figures draw in full."""
    return ordered_laws(validation)[0]


def comparisons(validation: Validation, quantity: str | None = None, law: str | None = None) -> list[Comparison]:
    """Those of one quantity and one law, or of all."""
    return [c for c in validation.comparisons if quantity in (None, c.quantity) and law in (None, c.law)]


def subjects(validation: Validation, quantity: str) -> dict[str, str]:
    """Identifier → label of the maps that a quantity was asked of, in the order of the questions."""
    return {c.subject: c.label for c in comparisons(validation, quantity)}


def map_subjects(validation: Validation, quantity: str, *, trajectory: bool = False) -> dict[str, str]:
    """As :func:`subjects`, without the maps that end at an earlier noise level unless `trajectory`."""
    found = subjects(validation, quantity)
    if trajectory:
        return found
    early = {q.key for q in validation.setup.maps if q.kind == "sampling_map" and q.sigma > 0}
    return {key: label for key, label in found.items() if key not in early}


def quantity_title(validation: Validation, name: str) -> str:
    """Words for a quantity, its identifier where it has none."""
    return next((q.title for q in validation.setup.quantities if q.name == name), name)


def quantity_names(validation: Validation) -> list[str]:
    """Quantities that have comparisons, in the order of the validation."""
    present = {c.quantity for c in validation.comparisons}
    return [q.name for q in validation.setup.quantities if q.name in present]


def middle(sizes: Iterable[int]) -> int:
    """The n of figures that show a single one: in the middle, the larger of two."""
    ordered = sorted(sizes)
    return ordered[len(ordered) // 2]


def half_width(validation: Validation, n: int) -> float:
    """Standard errors on each side of a 95 % interval at that n: Student's t over the groups."""
    groups = dict(zip(validation.setup.n, validation.setup.groups, strict=True))[n]
    return float(stats.t.ppf((1 + SHOWN) / 2, max(groups - 1, 1)))


class PredictionInterval(NamedTuple):
    """Ends of the interval of each entry, NaN if there is none."""

    low: FloatArray
    high: FloatArray


def interval(validation: Validation, comparison: Comparison) -> PredictionInterval:
    """95 % interval of each simulated entry, taken on the logarithmic scale; NaN where there is no logarithm."""
    simulated = numbers.positive(comparison.agreement.simulated)
    error = half_width(validation, comparison.n) * comparison.agreement.standard_error
    reach = np.exp(np.minimum(numbers.ratio(error, simulated), 50.0))
    return PredictionInterval(simulated / reach, simulated * reach)


def differs(a: FloatArray, b: FloatArray) -> bool:
    """Whether two predictions are two curves."""
    apart = np.abs(np.log(numbers.positive(numbers.ratio(a, b))))
    return bool(np.nanmax(apart, initial=0.0) > SAME)


def distinct_laws(validation: Validation, curves: Mapping[str, FloatArray]) -> list[ComparedLaw]:
    """As :func:`curve_laws`, without those whose curves are the same as those of the first."""
    laws = curve_laws(validation, curves)
    return [law for law in laws if law is laws[0] or differs(curves[law.name], curves[laws[0].name])]


def excess(comparison: Comparison) -> float:
    """Typical logarithmic error of an entry beyond what Monte Carlo makes."""
    found = comparison.agreement
    return math.sqrt(max(found.log_error**2 - found.log_noise**2, 0.0))


def left_out(*arrays: FloatArray) -> npt.NDArray[np.bool_]:
    """Entries that a logarithmic axis cannot show on any of its sides."""
    return np.asarray(np.any([~np.isfinite(numbers.positive(a)) for a in arrays], axis=0))


def verdict(comparison: Comparison) -> Verdict:
    """The outcome of a comparison, where an error beyond chance of at most :data:`PRACTICAL` is "small" and no miss."""
    outcome = comparison.agreement.outcome
    return "small" if outcome == "misses" and comparison.agreement.factor <= 1 + PRACTICAL else outcome


class Tally(NamedTuple):
    """How many comparisons agree, agree to order 1/m, have a small error beyond chance, miss."""

    agrees: int
    limit: int
    small: int
    misses: int


def tally(group: Sequence[Comparison]) -> Tally:
    """The verdicts on some comparisons."""
    found = [verdict(c) for c in group]
    return Tally(
        agrees=found.count("agrees"),
        limit=found.count("limit"),
        small=found.count("small"),
        misses=found.count("misses"),
    )


def leading_law(validation: Validation) -> ComparedLaw:
    """The law that the headline judges: of those put forward the one that misses least, in number and then in size."""
    candidates = [law for law in validation.setup.laws if not is_published(law)] or list(validation.setup.laws)

    def loss(law: ComparedLaw) -> tuple[tuple[int, int], float]:
        found = comparisons(validation, law=law.name)
        counts = tally(found)
        return (counts.misses, counts.small), max((c.agreement.factor for c in found), default=math.inf)

    return min(candidates, key=loss)
