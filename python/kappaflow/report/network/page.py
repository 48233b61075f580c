"""The report on networks as one HTML page that needs nothing beside itself, and on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from ..embed import Drawing, Encoded, encode_each, environment, picture, write_files
from . import figures, pictures, select
from .findings import find

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation

#: Every figure of the report on networks by name, in the order of the page.
DRAWINGS: Mapping[str, Drawing[NetworkValidation]] = MappingProxyType(
    {
        "gallery": Drawing(pictures.gallery, raster=True),
        "consistency": Drawing(figures.consistency),
        "arms": Drawing(pictures.arms),
        "memorisation": Drawing(figures.memorisation),
        "variance": Drawing(figures.variance),
        "bands": Drawing(figures.bands),
        "by_seed": Drawing(pictures.by_seed, raster=True),
        "by_distance": Drawing(pictures.by_distance, raster=True),
        "predictors": Drawing(figures.predictors),
        "factors": Drawing(figures.factors),
        "denoisers": Drawing(figures.denoisers),
        "strata": Drawing(pictures.strata, raster=True),
        "manipulations": Drawing(figures.manipulations),
        "gate": Drawing(figures.gate),
    }
)


def available(found: NetworkValidation) -> list[str]:
    """Names of the figures that this validation has the data for."""
    arm = select.shown_arms(found)[0]
    trained = [pair for pair in found.pairs if pair.arm == arm and pair.trained]
    missing = set()
    if not pictures.shown_galleries(found):
        missing.add("gallery")
    if not any(found.trained_pairs(arch, n, "floor") for arch in found.archs for n in found.n):
        missing.add("arms")
    if not any(np.isfinite(run.auc) for run in found.runs):
        missing.add("memorisation")
    if not trained:
        missing |= {"memorisation", "variance", "by_distance", "bands"}
    if not trained or not found.forecasts:
        missing |= {"by_seed", "denoisers"}
    if not found.predictions:
        missing |= {"predictors", "factors"}
    if not any(np.isfinite(block.observed).any() for block in found.strata):
        missing.add("strata")
    if not any(m.arm == arm for m in found.manipulations):
        missing.add("manipulations")
    return [name for name in DRAWINGS if name not in missing]


def render_network_page(found: NetworkValidation, *, facts: Mapping[str, str], figures: Encoded | None = None) -> str:
    """The report of a validation of networks as a self-contained HTML page.

    Parameters
    ----------
    found : what to show
    facts : rows of the footer as label → text, such as version, command and options; plain text, escaped here
    figures : the encoded figures where they have been drawn already

    Returns
    -------
    str
        HTML with inline style and figures; the same arguments give the same text.
    """
    words = find(found)
    encoded = encode_each(found, DRAWINGS, available(found)) if figures is None else figures
    drawn = {
        name: picture(name, each, words.alternatives[name], raster=DRAWINGS[name].raster)
        for name, each in encoded.items()
    }
    return environment().get_template("network.html.j2").render(v=found, f=words, figures=drawn, facts=dict(facts))


def write_network_report(
    found: NetworkValidation, directory: str | os.PathLike[str], *, facts: Mapping[str, str]
) -> Path:
    """Write ``report.html`` and ``figures/<name>.svg`` and ``.png`` into a directory, which is made if need be.

    Files are written as :func:`~kappaflow.report.write.write_files` does it: each whole or not at all.

    Returns
    -------
    Path
        The page.
    """
    encoded = encode_each(found, DRAWINGS, available(found))
    return write_files(directory, render_network_page(found, facts=facts, figures=encoded), encoded, DRAWINGS)
