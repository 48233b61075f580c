"""The report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from jinja2 import Environment, FunctionLoader, StrictUndefined

from ..consistency.prediction import Prediction
from .consistency.findings import find
from .embed import Encoded, element, encode

_NO_FACTS: Mapping[str, str] = MappingProxyType({})


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
