"""A validation of networks as plain numbers for JSON."""

from __future__ import annotations

from typing import Any

from ..export import plain
from .results import Baseline, Forecast, NetworkPair, NetworkValidation

__all__ = ["network_to_json"]


def network_to_json(found: NetworkValidation) -> dict[str, Any]:
    """Every field by name but the images, which the report shows, see :func:`~kappaflow.validation.export.plain`.

    Pairs, baselines and forecasts hold the fields of their disagreement.
    """
    content = {
        name: plain(value)
        for name, value in vars(found).items()
        if name not in ("galleries", "laws", "pairs", "baselines", "forecasts")
    }
    content["laws"] = [plain(law) | {"profiles": law.profiles} for law in found.laws]
    for name, rows in (("pairs", found.pairs), ("baselines", found.baselines), ("forecasts", found.forecasts)):
        content[name] = [_flat(row) for row in rows]
    return content


def _flat(row: NetworkPair | Baseline | Forecast) -> dict[str, Any]:
    """The fields of a row and of its disagreement side by side."""
    own = {name: plain(value) for name, value in vars(row).items() if name != "disagreement"}
    return own | {name: plain(value) for name, value in vars(row.disagreement).items()}
