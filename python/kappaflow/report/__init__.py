"""Reports: numbers as pages that need nothing beside themselves.

A report is a :class:`~kappaflow.report.document.Document`, whatever it is about. :func:`build` makes one from a result,
:func:`page` turns it into HTML, :func:`write` into files. The numbers come in finished; nothing here computes a
prediction. matplotlib and jinja2 are needed by this subpackage alone. ::

    import kappaflow as kf

    prediction = kf.predict(population, source="my images")
    kf.report.write(kf.report.build(prediction), "my-report")
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..consistency.prediction import Prediction
from .document import Document, Picture, Prose, Section, Table
from .page import page
from .write import write

if TYPE_CHECKING:
    from ..pilot.results import Pilot
    from ..validation.linear.results import Validation
    from ..validation.network.results import NetworkValidation

__all__ = ["Document", "Picture", "Prose", "Section", "Table", "build", "page", "write"]

_NO_FACTS: Mapping[str, str] = MappingProxyType({})


def build(
    result: Prediction | Validation | NetworkValidation | Pilot, *, facts: Mapping[str, str] = _NO_FACTS
) -> Document:
    """The report of a result. That of the lens is built from its windows, see :func:`kappaflow.report.lens.build`.

    Parameters
    ----------
    result : a prediction, a validation of linear models or of networks, or pilots
    facts : label → text of how the report was made, such as version and command; plain text

    Raises
    ------
    TypeError
        There is no report of such a result.
    """
    if isinstance(result, Prediction):
        from . import consistency  # lazy: a quick start

        return consistency.build(result, facts=facts)
    from ..pilot.results import Pilot  # lazy: a quick start
    from ..validation.linear.results import Validation  # lazy: a quick start
    from ..validation.network.results import NetworkValidation  # lazy: a quick start
    from . import network, pilot, validation  # lazy: a quick start

    if isinstance(result, Validation):
        return validation.build(result, facts=facts)
    if isinstance(result, NetworkValidation):
        return network.build(result, facts=facts)
    if isinstance(result, Pilot):
        return pilot.build(result, facts=facts)
    raise TypeError(
        f"result must be a Prediction, a Validation, a NetworkValidation or a Pilot, got {type(result).__name__}"
    )
