"""A validation as plain numbers for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..export import plain
from .results import Comparison, Validation

__all__ = ["validation_to_json"]


def validation_to_json(validation: Validation) -> dict[str, Any]:
    """Every number of a validation as plain lists and numbers: the content of ``validation.json``.

    A comparison holds the fields of its agreement; numbers that are not finite are None, see
    :func:`~kappaflow.validation.export.plain`.
    """
    data, setup = validation.data, validation.setup
    return {
        **plain(data),
        "sampling": setup.sampling,
        "mean": setup.mean,
        "sigma_max": plain(setup.sigma_max),
        "n": plain(setup.n),
        "draws": plain(setup.draws),
        "groups": plain(setup.groups),
        "seed": setup.seed,
        "device": setup.device,
        "bands": plain(setup.bands),
        "input_seeds": plain(setup.input_seeds),
        "kappa_grid": plain(validation.kappa.noise_variances),
        "kappa": plain(validation.kappa.curves),
        "scaling": plain(validation.scaling),
        "step_errors": plain(validation.step_errors),
        "counterfactual": plain(validation.counterfactual),
        "pixel_shape": plain(data.shape),
        "notes": plain(validation.notes),
        "laws": [{"name": law.name, "title": law.title, "options": dict(law.options)} for law in setup.laws],
        "quantities": [
            {"name": quantity.name, "title": quantity.title, "entry": quantity.entry} for quantity in setup.quantities
        ],
        "questions": [{"key": map_.key, "label": map_.label, **asdict(map_)} for map_ in setup.maps],
        "comparisons": [_comparison_to_json(comparison) for comparison in validation.comparisons],
    }


def _comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """The fields of a comparison and of its agreement side by side, and the verdict in words."""
    fields = vars(comparison) | vars(comparison.agreement)
    numbers = {name: plain(value) for name, value in fields.items() if name != "agreement"}
    return numbers | {"verdict": comparison.agreement.sentence()}
