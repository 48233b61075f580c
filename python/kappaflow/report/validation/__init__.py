"""The report of ``kappaflow validate linear``: theory against simulation.

Each module holds sections, figures beside what they say; :func:`build` puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..document import Document, Prose, Section, present
from .entries import inhomogeneity, pixels, scatter
from .headline import Headline, headline
from .modes import anisotropy, kappa, overshrinkage, scaling
from .overview import overview
from .phrases import PROSE
from .strata import counterfactual, steps
from .tables import QuantityVerdict, all_comparisons, design, verdicts, verdicts_by_quantity

if TYPE_CHECKING:
    from ...validation.linear.results import Validation

__all__ = ["Headline", "QuantityVerdict", "build", "headline", "verdicts_by_quantity"]


def build(validation: Validation, *, facts: Mapping[str, str]) -> Document:
    """The report of a validation of linear models.

    Parameters
    ----------
    validation : what to show
    facts : label → text of how the report was made, such as version and command

    Raises
    ------
    ValueError
        A validation without any comparison.
    """
    head = headline(validation)
    words = {"counts": head.counts, "reason": head.reason, "others": head.others}
    return Document(
        kind="Validation report",
        source=validation.data.source,
        title="Does the theory of linear models hold on {source}? Simulation against prediction",
        mood=head.mood,
        answer=head.answer,
        introduction=(Prose(PROSE, "introduction", words),),
        tiles=head.tiles,
        notes=tuple(validation.notes),
        sections=present(
            (
                overview(validation),
                verdicts(validation),
                kappa(validation),
                overshrinkage(validation),
                anisotropy(validation),
                inhomogeneity(validation),
                scaling(validation),
                scatter(validation),
                pixels(validation),
                counterfactual(validation),
                steps(validation),
                design(validation),
                all_comparisons(validation),
                Section(name="words", title="Words used here", contents="Words", parts=(Prose(PROSE, "words"),)),
            )
        ),
        facts=facts,
    )
