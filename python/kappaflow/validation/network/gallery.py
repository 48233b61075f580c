"""Images of a few seeds for the report."""

from __future__ import annotations

from collections.abc import Sequence

from ..._checks import FloatArray
from ..metrics import nearest
from .baselines import linear_samples
from .context import Context
from .members import MemberPair
from .results import Gallery

__all__ = ["GALLERY_SEEDS", "gallery"]

#: Seeds whose images are shown.
GALLERY_SEEDS = 8


def gallery(context: Context, pair: MemberPair, places: Sequence[int] = range(GALLERY_SEEDS)) -> Gallery:
    """Images of a few seeds: both networks, both linear models, and the nearest training images of both.

    Parameters
    ----------
    context : of the pair
    pair : whose samples to show
    places : of the seeds among those of the context; those beyond the last one are left out
    """
    chosen = [place for place in places if place < len(context.seeds)]
    noise = context.noise["seeds"][chosen]
    models = {"A": pair.first, "B": pair.second}
    rows: list[tuple[str, FloatArray]] = []
    rows += [(f"{title}, network", model.samples[chosen]) for title, model in models.items()]
    for title, model in models.items():
        rows.append((f"{title}, linear", linear_samples(context.images[model.spec.own], noise, context.sigma_max)))
    for title, model in models.items():
        own = context.images[model.spec.own]
        if len(own):
            rows.append((f"{title}, nearest image", own[nearest(model.samples[chosen], own).indices[:, 0]]))
    return Gallery(
        arch=pair.kind.arch,
        n=pair.kind.n,
        arm=pair.kind.arm,
        trained=pair.trained,
        seeds=tuple(context.seeds[place] for place in chosen),
        rows=tuple((label, images.reshape(-1, *context.shape)) for label, images in rows),
    )
