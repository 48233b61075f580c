"""Figures as parts of a page: inline SVG without clashing identifiers, or a PNG data URI."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from .._files import write_bytes
from ..consistency.prediction import Prediction
from . import look
from .arrays import kind_of
from .consistency import figures, law
from .consistency.findings import find
from .page import inline

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
    groups = (prediction.seeds.most_consistent, prediction.seeds.least_consistent)
    if any(group is None or not len(group.numbers) for group in groups):
        missing.add("seed_images")
    if not prediction.seeds.numbers.size:
        missing.add("disagreement_by_seed")
    if not prediction.modes.pairs.modes.size:
        missing.add("mode_pairs")
    if prediction.diagnosis is None:
        missing |= {"law_errors", "leverage"}
    return [name for name in DRAWINGS if name not in missing]


def encode(prediction: Prediction) -> Encoded:
    """Every available figure in every format, each drawn once."""
    return encode_each(prediction, DRAWINGS, available(prediction))


def encode_each(subject: Subject, drawings: Mapping[str, Drawing[Subject]], names: Iterable[str]) -> Encoded:
    """The named figures of any report in every format, each drawn once."""
    return {name: look.save(drawings[name].draw(subject), ["svg", "png"]) for name in names}


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


_NO_FACTS: Mapping[str, str] = MappingProxyType({})
_FORMATS: tuple[look.Format, ...] = ("svg", "png")


def render_page(prediction: Prediction, *, facts: Mapping[str, str] = _NO_FACTS, figures: Encoded | None = None) -> str:
    """The consistency report of a prediction as a self-contained HTML page.

    Parameters
    ----------
    prediction : what to show
    facts : rows of the footer as label → text, such as version, command and options; plain text, escaped here
    figures : the encoded figures where they have been drawn already

    Returns
    -------
    str
        HTML with inline style and figures; the same arguments give the same text.
    """
    findings = find(prediction)
    encoded = encode(prediction) if figures is None else figures
    drawn = {name: element(name, prediction, each, findings.alternatives[name]) for name, each in encoded.items()}
    template = environment().get_template("report.html.j2")
    return template.render(p=prediction, f=findings, figures=drawn, facts=dict(facts))


def environment() -> Environment:
    """The templates of all reports: everything is escaped, and an undefined name is an error."""
    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _template(name: str) -> str:
    return files("kappaflow.report").joinpath("templates", name).read_text(encoding="utf-8")


def write_report(prediction: Prediction, directory: str | os.PathLike[str], *, facts: Mapping[str, str]) -> Path:
    """Write ``report.html`` and ``figures/<name>.svg`` and ``.png`` into a directory, which is made if need be.

    Files are written as :func:`write_files` does it.

    Parameters
    ----------
    prediction : what to show
    directory : where to write
    facts : rows of the page's footer, see :func:`~kappaflow.report.render_page`

    Returns
    -------
    Path
        The page.
    """
    drawn = encode(prediction)
    return write_files(directory, render_page(prediction, facts=facts, figures=drawn), drawn, DRAWINGS)


def write_files(directory: str | os.PathLike[str], page: str, figures: Encoded, names: Iterable[str]) -> Path:
    """Write a page as ``report.html`` and its figures beside it into a directory, which is made if need be.

    The page is written last, so that a page on disk always has its figures. Every file is written beside its place
    and moved there; whatever interrupts, no half-written file and no temporary file remains. Figures of an earlier
    report that this one does not have are removed.

    Parameters
    ----------
    directory : where to write
    page : HTML
    figures : the encoded figures of this report
    names : every figure that reports of this kind may have

    Returns
    -------
    Path
        The page.
    """
    target = Path(directory)
    folder = target / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for kind in _FORMATS:
            path = folder / f"{name}.{kind}"
            if name in figures:
                write_bytes(path, figures[name][kind])
            else:
                path.unlink(missing_ok=True)
    report = target / "report.html"
    write_bytes(report, page.encode("utf-8"))
    return report
