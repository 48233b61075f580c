"""A pilot as plain numbers for JSON."""

from __future__ import annotations

import math
from typing import Any

from ..validation.export import plain
from ..validation.network.export import pair_to_json, run_to_json
from .results import Needed, Pilot

__all__ = ["pilot_to_json"]


def pilot_to_json(pilot: Pilot) -> dict[str, Any]:
    """Every number but the images and the random draws, as plain lists and numbers: the content of ``pilot.json``.

    Bounds are dictionaries with `value`, `low` and `high`. Numbers that are not finite are None; `reached` says whether a tolerance
    can be reached with more images, None if the images at hand cannot tell.
    """
    amount = pilot.amount
    return {
        **plain(pilot.data),
        **plain(pilot.setup),
        "tolerance": pilot.tolerance,
        "needed": [_needed(each) for each in pilot.needed],
        "fit": plain(amount.fit)
        | {
            "data_floor": plain(amount.data_floor),
            "extrapolation": plain(amount.extrapolation),
            "between_pairs": plain(amount.between_pairs),
            "left_out": None if amount.left_out is None else plain(amount.left_out._asdict()),
        },
        "sizes": plain(pilot.sizes),
        "curve": [
            {
                "n": each.n,
                "law": plain(each.law),
                "everything": plain(each.everything._asdict()),
                "data_alone": plain(each.data_alone._asdict()),
                "same_images": plain(each.same_images._asdict()),
                "optimisation_share": plain(each.optimisation_share),
            }
            for each in pilot.curve
        ],
        "length": None
        if pilot.length is None
        else {
            "n": pilot.length.n,
            "exponent": plain(pilot.length.exponent),
            "trainings": [plain(each._asdict()) for each in pilot.length.trainings],
        },
        "seed_amounts": None
        if pilot.seeds is None
        else plain(pilot.seeds) | {"relative": plain(pilot.seeds.relative())},
        "runs": [run_to_json(run) for run in pilot.runs],
        "pairs": [pair_to_json(pair) for pair in pilot.pairs],
        "notes": list(pilot.notes),
    }


def _needed(needed: Needed) -> dict[str, Any]:
    reached = None if math.isnan(needed.n) else math.isfinite(needed.n)
    return {**plain(needed), "reached": reached}
