"""A validation as plain numbers for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from .experiment import Validation

__all__ = ["plain", "validation_to_json"]


def validation_to_json(validation: Validation) -> dict[str, Any]:
    """Every field by name; arrays as nested lists, what is not finite as None."""
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


def plain(value: Any) -> Any:
    """Arrays as nested lists, dataclasses and mappings as objects, what is not finite as None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value):
        return {name: plain(item) for name, item in vars(value).items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
