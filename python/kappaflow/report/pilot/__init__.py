"""The report of ``kappaflow pilot``: how much two networks of one kind disagree at any number of images, from small trainings.

The numbers come in finished, from a :class:`~kappaflow.pilot.results.Pilot`; nothing here trains or fits, and nothing here needs
torch. All sentences are about networks of this kind, trained as the pilots were; what is about linear models says so. Each module
holds sections, figures beside what they say; :func:`build` puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..document import Document, Prose, Section, present
from ..trained import pairs_section
from .answers import answer_lines
from .curve import amount
from .design import design, gallery, gate
from .headline import PilotHeadline, headline
from .images import images
from .length import length
from .phrases import COVERED, PROSE, networks
from .seeds import seeds
from .split import split
from .trust import trust

if TYPE_CHECKING:
    from ...pilot.results import Pilot

__all__ = ["PilotHeadline", "answer_lines", "build", "headline"]


def build(pilot: Pilot, *, facts: Mapping[str, str]) -> Document:
    """The report of pilots.

    Parameters
    ----------
    pilot : what to show
    facts : label → text of how the report was made, such as version and command
    """
    head = headline(pilot)
    introduction = {
        "images": head.images,
        "networks": networks(pilot),
        "steps": f"{pilot.setup.steps:,}" if pilot.setup.steps else "",
        "covered": COVERED,
    }
    return Document(
        kind="Pilot report",
        source=pilot.data.source,
        title="How much will networks trained on {source} disagree?",
        mood=head.mood,
        answer=head.answer,
        introduction=(Prose(PROSE, "introduction", introduction),),
        tiles=head.tiles,
        notes=pilot.notes,
        sections=present(
            (
                amount(pilot),
                images(pilot),
                split(pilot),
                length(pilot),
                trust(pilot),
                seeds(pilot),
                gallery(pilot),
                gate(pilot),
                pairs_section(pilot.pairs),
                design(pilot),
                Section(name="words", title="Words used here", contents="Words", parts=(Prose(PROSE, "words"),)),
            )
        ),
        facts=facts,
    )
