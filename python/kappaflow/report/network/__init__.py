"""The report of ``kappaflow validate network``: same-seed images, consistency and memorisation, and the theory beside them.

The numbers come in finished, from a :class:`~kappaflow.validation.network.results.NetworkValidation`; nothing here trains
or predicts, and nothing here needs torch. Runs that fail the gate are shown as such and are in no average. Each module
holds sections, figures beside what they say; :func:`build` puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..document import Document, Prose, Section, present
from ..trained import gate_section, pairs_section
from .agreement import arms, consistency, gallery, memorisation
from .amounts import amounts
from .changed import manipulations, strata
from .design import design
from .headline import NetworkHeadline, headline, verdict_lines
from .modes import bands, by_distance, by_seed, variance
from .phrases import PROSE
from .predicted import denoisers, factors, predictors
from .seed_order import seed_order

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation

__all__ = ["NetworkHeadline", "build", "headline", "verdict_lines"]


def build(found: NetworkValidation, *, facts: Mapping[str, str]) -> Document:
    """The report of a validation of networks.

    Parameters
    ----------
    found : what to show
    facts : label → text of how the report was made, such as version and command
    """
    head = headline(found)
    return Document(
        kind="Network report",
        source=found.data.source,
        title="Do networks trained on {source} agree as the theory of linear models says?",
        mood=head.mood,
        answer=head.answer,
        introduction=(Prose(PROSE, "introduction", {"distance": head.distance}),) if head.distance else (),
        tiles=head.tiles,
        notes=tuple(found.notes),
        sections=present(
            (
                gallery(found),
                consistency(found),
                arms(found),
                memorisation(found),
                variance(found),
                bands(found),
                seed_order(found),
                by_seed(found),
                by_distance(found),
                predictors(found),
                factors(found),
                amounts(found),
                denoisers(found),
                strata(found),
                manipulations(found),
                gate_section(found.runs, found.setup.archs, found.setup.n),
                pairs_section(found.pairs),
                design(found),
                Section(name="words", title="Words used here", contents="Words", parts=(Prose(PROSE, "words"),)),
            )
        ),
        facts=facts,
    )
