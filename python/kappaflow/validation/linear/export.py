"""A validation as plain numbers for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..export import plain
from .results import Validation

__all__ = ["validation_to_json"]


def validation_to_json(validation: Validation) -> dict[str, Any]:
    """Every field by name, see :func:`~kappaflow.validation.export.plain`; a comparison holds the fields of its agreement."""
    content = {
        name: plain(value)
        for name, value in vars(validation).items()
        if name not in ("laws", "quantities", "comparisons", "maps")
    }
    content["laws"] = [{"name": law.name, "title": law.title, "options": dict(law.options)} for law in validation.laws]
    content["quantities"] = [
        {"name": quantity.name, "title": quantity.title, "entry": quantity.entry} for quantity in validation.quantities
    ]
    content["questions"] = [{"key": q.key, "label": q.label, **asdict(q)} for q in validation.maps]
    content["comparisons"] = [
        {
            **{name: plain(value) for name, value in vars(comparison).items() if name != "agreement"},
            **{name: plain(value) for name, value in vars(comparison.agreement).items()},
            "verdict": comparison.agreement.sentence(),
        }
        for comparison in validation.comparisons
    ]
    return content
