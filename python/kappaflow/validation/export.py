"""A validation as plain numbers for JSON."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from .linear import Validation

__all__ = ["validation_to_json"]


def validation_to_json(validation: Validation) -> dict[str, Any]:
    """Every field by name; arrays as nested lists, what is not finite as None."""
    content = {
        name: _plain(value)
        for name, value in vars(validation).items()
        if name not in ("laws", "quantities", "comparisons", "questions")
    }
    content["laws"] = [{"name": law.name, "title": law.title, "options": dict(law.options)} for law in validation.laws]
    content["quantities"] = [
        {"name": quantity.name, "title": quantity.title, "entry": quantity.entry} for quantity in validation.quantities
    ]
    content["questions"] = [{"key": q.key, "label": q.label, **asdict(q)} for q in validation.questions]
    content["comparisons"] = [
        {
            **{name: _plain(value) for name, value in vars(comparison).items() if name != "agreement"},
            **{name: _plain(value) for name, value in vars(comparison.agreement).items()},
            "verdict": comparison.agreement.sentence(),
        }
        for comparison in validation.comparisons
    ]
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {name: _plain(item) for name, item in vars(value).items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
