"""The section of the report on networks that says what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..document import Section
from ..kinds import ARM_TITLES, arch_title
from ..trained import data_rows, design_section
from ..words import short

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation


def design(found: NetworkValidation) -> Section:
    """What was run."""
    rows = data_rows(found.data)
    rows += [
        ("Architectures", ", ".join(arch_title(arch) for arch in found.setup.archs)),
        ("n", ", ".join(f"{n:,}" for n in found.setup.n) if any(found.setup.n) else "not known"),
        ("Pairs", "; ".join(ARM_TITLES[arm] for arm in found.setup.arms)),
        ("Repeats", str(found.setup.repeats)),
        ("Seeds", f"{found.setup.seeds.size:,}, starting at {int(found.setup.seeds[0])}"),
        ("Sampler", f"Heun, {found.setup.sampler_steps} steps from σ = {short(found.setup.sigma_max)}"),
        ("Preset", found.setup.preset),
        ("Seed of splits and training", str(found.setup.seed)),
        ("Device", found.setup.device),
    ]
    return design_section(rows)
