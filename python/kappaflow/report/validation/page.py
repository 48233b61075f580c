"""The validation report as one HTML page that needs nothing beside itself, and on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..arrays import kind_of
from ..embed import Drawing, Encoded, encode_each, environment, picture, write_files
from . import clouds, figures
from .findings import find
from .select import quantity_names

if TYPE_CHECKING:
    from ...validation.linear.results import Validation

#: Every figure of the validation report by name, in the order of the page.
DRAWINGS: Mapping[str, Drawing[Validation]] = MappingProxyType(
    {
        "ratios": Drawing(figures.ratios),
        "kappa": Drawing(figures.kappa),
        "overshrinkage": Drawing(figures.overshrinkage),
        "anisotropy": Drawing(figures.anisotropy),
        "inhomogeneity": Drawing(clouds.inhomogeneity),
        "scaling": Drawing(figures.scaling),
        "scatter": Drawing(clouds.scatter, raster=True),
        "pixels": Drawing(clouds.pixels, raster=True),
        "counterfactual": Drawing(clouds.counterfactual),
        "steps": Drawing(clouds.steps),
    }
)
#: The quantity that each figure needs.
_NEEDS = {
    "kappa": "kappa",
    "overshrinkage": "gains",
    "anisotropy": "mode_disagreement",
    "inhomogeneity": "seeds",
    "scaling": "bands",
    "scatter": "mode_variance",
    "pixels": "pixels",
}


def available(validation: Validation) -> list[str]:
    """Names of the figures that this validation has the data for."""
    present = set(quantity_names(validation))
    missing = {figure for figure, quantity in _NEEDS.items() if quantity not in present}
    if kind_of(validation.pixel_shape) == "vector":
        missing.add("pixels")
    if validation.counterfactual is None:
        missing.add("counterfactual")
    if not validation.step_errors:
        missing.add("steps")
    if not validation.kappa:
        missing.add("kappa")
    if not validation.scaling.disagreement:
        missing.add("scaling")
    return [name for name in DRAWINGS if name not in missing]


def render_validation_page(validation: Validation, *, facts: Mapping[str, str], figures: Encoded | None = None) -> str:
    """The report of a validation as a self-contained HTML page.

    Parameters
    ----------
    validation : what to show
    facts : rows of the footer as label → text, such as version, command and options; plain text, escaped here
    figures : the encoded figures where they have been drawn already

    Returns
    -------
    str
        HTML with inline style and figures; the same arguments give the same text.

    Raises
    ------
    ValueError
        A validation without any comparison.
    """
    findings = find(validation)
    encoded = encode_each(validation, DRAWINGS, available(validation)) if figures is None else figures
    drawn = {
        name: picture(name, each, findings.alternatives[name], raster=DRAWINGS[name].raster)
        for name, each in encoded.items()
    }
    template = environment().get_template("validation.html.j2")
    return template.render(v=validation, f=findings, figures=drawn, facts=dict(facts))


def write_validation_report(
    validation: Validation, directory: str | os.PathLike[str], *, facts: Mapping[str, str]
) -> Path:
    """Write ``report.html`` and ``figures/<name>.svg`` and ``.png`` into a directory, which is made if need be.

    Files are written as :func:`~kappaflow.report.write.write_files` does it: each whole or not at all.

    Parameters
    ----------
    validation : what to show
    directory : where to write
    facts : rows of the page's footer, see :func:`render_validation_page`

    Returns
    -------
    Path
        The page.
    """
    encoded = encode_each(validation, DRAWINGS, available(validation))
    page = render_validation_page(validation, facts=facts, figures=encoded)
    return write_files(directory, page, encoded, DRAWINGS)
