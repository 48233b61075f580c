"""Figures as parts of a page: inline SVG without clashing identifiers, or a PNG data URI."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Generic, TypeVar

from markupsafe import Markup
from matplotlib.figure import Figure

from ..consistency.prediction import Prediction
from . import look
from .arrays import kind_of
from .consistency import figures, law

#: The bytes of each figure by name and format.
Encoded = dict[str, dict[look.Format, bytes]]
#: What a report is about.
Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Drawing(Generic[Subject]):
    """A figure of a report.

    Attributes
    ----------
    draw : the function that draws it
    raster : whether the page embeds it as PNG, for figures made of pixels
    """

    draw: Callable[[Subject], Figure]
    raster: bool = False


#: Every figure of the consistency report by name, in the order of the page.
DRAWINGS: Mapping[str, Drawing[Prediction]] = MappingProxyType(
    {
        "disagreement_by_n": Drawing(figures.disagreement_by_n),
        "disagreement_by_mode": Drawing(figures.disagreement_by_mode),
        "disagreement_by_seed": Drawing(figures.disagreement_by_seed),
        "seed_images": Drawing(figures.seed_images, raster=True),
        "renormalised_noise": Drawing(figures.renormalised_noise),
        "shrinkage": Drawing(figures.shrinkage),
        "mode_pairs": Drawing(figures.mode_pairs, raster=True),
        "law_errors": Drawing(law.law_errors),
        "leverage": Drawing(law.leverage),
        "spectrum": Drawing(figures.spectrum),
        "eigenmodes": Drawing(figures.eigenmodes, raster=True),
    }
)


def available(prediction: Prediction) -> list[str]:
    """Names of the figures that this prediction has the data for."""
    missing = set()
    if not len(prediction.eigenmodes):
        missing.add("eigenmodes")
    groups = (prediction.most_consistent, prediction.least_consistent)
    if any(group is None or not len(group.seeds) for group in groups):
        missing.add("seed_images")
    if not prediction.seeds.size:
        missing.add("disagreement_by_seed")
    if not prediction.mode_pair_modes.size:
        missing.add("mode_pairs")
    if prediction.diagnosis is None:
        missing |= {"law_errors", "leverage"}
    return [name for name in DRAWINGS if name not in missing]


def encode(prediction: Prediction) -> Encoded:
    """Every available figure in every format, each drawn once."""
    return encode_each(prediction, DRAWINGS, available(prediction))


def encode_each(subject: Subject, drawings: Mapping[str, Drawing[Subject]], names: Iterable[str]) -> Encoded:
    """The named figures of any report in every format, each drawn once."""
    return {name: look.save(drawings[name].draw(subject)) for name in names}


def element(name: str, prediction: Prediction, encoded: Mapping[look.Format, bytes], alternative: str) -> Markup:
    """The HTML element of one figure of the consistency report with its alternative text."""
    raster = DRAWINGS[name].raster and (name == "mode_pairs" or kind_of(prediction.shape) != "vector")
    return picture(name, encoded, alternative, raster=raster)


def picture(name: str, encoded: Mapping[look.Format, bytes], alternative: str, *, raster: bool) -> Markup:
    """A figure as an HTML element with its alternative text: its PNG where it is made of pixels, else its SVG."""
    if raster:
        data = base64.b64encode(encoded["png"]).decode("ascii")
        return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(Markup(data), alternative)
    return Markup(inline(encoded["svg"].decode("utf-8"), name, alternative))


def inline(svg: str, prefix: str, alternative: str) -> str:
    """An SVG document as an element of an HTML page.

    Identifiers get `prefix`, because a page has one name space for all of its figures, and lose their spaces; prolog,
    metadata, comments and global styles go; the size gives way to that of the page.
    """
    svg = svg[svg.index("<svg") :]
    for unwanted in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->"):
        svg = re.sub(unwanted, "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}-' + "-".join(found[1].split()) + '"', svg)
    svg = re.sub(r' xlink:href="#', f' href="#{prefix}-', svg)
    svg = svg.replace(" xlink:href=", " href=").replace("url(#", f"url(#{prefix}-")
    head, body = svg.split(">", 1)
    box = re.search(r' viewBox="[^"]+"', head)
    if box is None:
        raise ValueError(f"inline: the SVG of {prefix} must have a viewBox, got {head!r}")
    body = re.sub(r"\n\s*", "\n", body).strip()
    return f'<svg xmlns="http://www.w3.org/2000/svg"{box[0]} role="img" aria-label="{escape(alternative)}">{body}'
