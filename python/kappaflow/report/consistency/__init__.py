"""The report of ``kappaflow predict``.

Each module holds sections, figures beside what they say; :func:`build` puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...consistency.prediction import Prediction
from ..document import Document, Prose, Section, present
from ..words import full_stop, number, percent
from .classes import classes
from .data import data
from .headline import plan, tiles, verdict
from .law import law
from .modes import pairs, where
from .networks import networks
from .reasons import noise, shrinkage
from .seeds import seeds
from .shared import PROSE
from .sizes import how_many

__all__ = ["build"]


def build(prediction: Prediction, *, facts: Mapping[str, str]) -> Document:
    """The report of a prediction.

    Parameters
    ----------
    prediction : what to show
    facts : label → text of how the report was made, such as version and command
    """
    decision = verdict(prediction)
    return Document(
        kind="Consistency report",
        source=prediction.source,
        title="Will two linear diffusion models trained on {source} agree?",
        mood=decision.mood,
        answer=decision.answer,
        introduction=(_introduction(prediction),),
        tiles=tiles(prediction),
        notes=(*map(full_stop, prediction.provenance.warnings), *prediction.notes),
        notes_title="What the numbers assume",
        sections=present(
            (
                how_many(prediction),
                classes(prediction),
                where(prediction),
                networks(prediction),
                seeds(prediction),
                noise(prediction),
                shrinkage(prediction),
                pairs(prediction),
                law(prediction),
                data(prediction),
                Section(name="words", title="Words used here", contents="Words", parts=(Prose(PROSE, "words"),)),
            )
        ),
        facts=facts,
    )


def _introduction(prediction: Prediction) -> Prose:
    row = prediction.reference
    total = float(prediction.totals.relative[row])
    context = {
        "reference": f"{prediction.reference_n:,}",
        "disagreement": percent(total),
        "unrounded": repr(total),
        "rms": number(float(prediction.totals.disagreement[row]) ** 0.5, 2),
        "plan": plan(prediction),
        "networks": prediction.networks,
        "seeds_ranked": prediction.seeds.networks is not None,
        "description": full_stop(prediction.provenance.description),
        "sample_size": prediction.sample_size,
        "shape": " × ".join(map(str, prediction.shape)),
    }
    return Prose(PROSE, "introduction", context)
