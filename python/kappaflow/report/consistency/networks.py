"""On which seeds a network is predicted to change most when it is trained again."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ...consistency.network_words import (
    NETWORK_POSTERIOR_CORRELATION,
    NETWORK_POSTERIOR_TEXTURES,
    NETWORK_SEED_CEILING,
)
from ...consistency.prediction import NetworkSeeds, Prediction, StateImages
from ..arrays import kind_of
from ..document import HOW, Picture, Prose, Section, Table, rounded
from ..look import styled
from ..words import counted, number
from .ends import SeedEnd, draw_ends, table_ends
from .shared import PROSE


def networks(prediction: Prediction) -> Section | None:
    """The order of seeds for networks, from the images alone; None without profiles."""
    ranked = prediction.seeds.networks
    if ranked is None or not len(ranked.numbers):
        return None
    pictures = _images(prediction, ranked)
    return Section(
        name="networks",
        title="On which seeds will your network change most?",
        contents="Your network’s seeds",
        takeaways=(_takeaway(ranked),),
        parts=(
            _about(ranked),
            *([] if pictures is None else [pictures]),
            _table(ranked),
            Prose(PROSE, "posterior_variance", {"sigma": number(ranked.sigma, 3)}, summary=HOW),
        ),
    )


def _about(ranked: NetworkSeeds) -> Prose:
    measured = {
        "most": NETWORK_POSTERIOR_CORRELATION,
        "textures": NETWORK_POSTERIOR_TEXTURES,
        "ceiling": NETWORK_SEED_CEILING,
    }
    words = {name: f"{low:.2f} to {high:.2f}" for name, (low, high) in measured.items()}
    context = {"images": f"{ranked.images:,}", **words}
    return Prose(PROSE, "networks", context)


def _takeaway(ranked: NetworkSeeds) -> str:
    most, least = int(np.argmax(ranked.posterior_variance)), int(np.argmin(ranked.posterior_variance))
    return (
        f"Of {counted(len(ranked.numbers), 'seed')}, the image of seed {int(ranked.numbers[most])} is predicted to change most "
        f"when you train your network again, and that of seed {int(ranked.numbers[least])} least. This is an order, not an amount."
    )


def _images(prediction: Prediction, ranked: NetworkSeeds) -> Picture | None:
    most, least = ranked.most, ranked.least
    if most is None or least is None:
        return None
    return Picture(
        name="network_seeds",
        title="What your images say about these seeds",
        caption="Top of each pair: the average of the images that explain the noisy state of the seed, which is what the exact "
        "denoiser of these images answers there. Below: how far these images differ in each pixel (std: standard deviation, on one "
        "colour scale). Where they differ much, two trainings of a network may settle on different images. These are not samples "
        "of a network.",
        alternative="For the seeds that are predicted to change most and least: the average of the images that explain the seed, "
        "and the standard deviation of each pixel or component over these images.",
        draw=partial(draw_network_seeds, prediction, most, least),
        raster=kind_of(prediction.shape) != "vector",
    )


@styled
def draw_network_seeds(prediction: Prediction, most: StateImages, least: StateImages) -> Figure:
    """Averages of the images that explain a seed, with the standard deviation of each pixel, at both ends of the order."""
    ends = [
        SeedEnd(
            title=f"Predicted to change {word}",
            label=f"{word} change",
            headings=[f"seed {int(seed)}" for seed in group.numbers],
            images=group.mean,
            pixel_std=group.pixel_std,
        )
        for word, group in (("most", most), ("least", least))
    ]
    return draw_ends(prediction.shape, ends, image="average")


def _table(ranked: NetworkSeeds) -> Table:
    """The seeds at each end of the order."""
    values = ranked.posterior_variance
    order = np.argsort(-values, kind="stable")
    shown, ends = table_ends(order)
    return Table(
        name="network_seeds",
        caption="Posterior variance of your images at each seed, relative to the mean over all seeds, and how many images explain "
        "the seed (perplexity). The most extreme seed comes first in each group.",
        columns={
            "Seed": [str(int(ranked.numbers[k])) for k in shown],
            "Posterior variance / mean": [rounded(float(values[k] / values.mean()), digits=3) for k in shown],
            "Images that explain it": [
                rounded(float(ranked.perplexity[k]), f"{ranked.perplexity[k]:,.0f}") for k in shown
            ],
        },
        groups={"Predicted to change most": ends, "Predicted to change least": ends},
    )
