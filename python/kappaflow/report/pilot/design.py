"""The sections on the trained networks: whether they are models at all, and what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._progress import duration
from ...validation.laws import compared_laws
from ..document import Section
from ..kinds import ARM_TITLES, about_networks, arch_title
from ..trained import data_rows, design_section, gallery_section, gate_section
from ..words import short

if TYPE_CHECKING:
    from ...pilot.results import Pilot


def gate(pilot: Pilot) -> Section:
    """Whether each network is a model of its data at all."""
    archs = list(dict.fromkeys(run.arch for run in pilot.runs))
    return gate_section(pilot.runs, archs, pilot.setup.n, gate_sentence(pilot))


def gate_counts(pilot: Pilot) -> str:
    """How many networks pass, those that were trained for fewer steps apart."""
    fewer = [run for run in pilot.runs if run.training.steps < pilot.setup.steps]
    full = [run for run in pilot.runs if run.training.steps >= pilot.setup.steps]
    counts = f"{sum(run.quality.passed for run in full):,} of {len(full):,} networks pass"
    if not fewer:
        return counts
    return f"{counts}, and {sum(run.quality.passed for run in fewer):,} of the {len(fewer):,} that were trained for fewer steps"


def gate_sentence(pilot: Pilot) -> str:
    """The same with the reason of the first that fails; "" if all pass."""
    failed = [run for run in pilot.runs if not run.quality.passed]
    if not failed:
        return ""
    first = failed[0]
    steps = f"{first.training.steps:,} steps"
    return f"{gate_counts(pilot)}. The first that fails is {first.key} ({steps}): {first.quality.reasons[0]}."


def gallery(pilot: Pilot) -> Section | None:
    """Images of a pair that differs in everything."""
    shown = [] if pilot.gallery is None else [pilot.gallery]
    text = "Grid of images: the same seeds through two networks, two linear models, and their nearest training images"
    about = about_networks(text, [each.arch for each in shown], [each.n for each in shown])
    return gallery_section(shown, pilot.data.shape, about)


def design(pilot: Pilot) -> Section:
    """What was run."""
    setup = pilot.setup
    seconds = sum(run.training.seconds for run in pilot.runs)
    rows = data_rows(pilot.data)
    rows += [
        ("Networks", arch_title(setup.networks)),
        ("Pilots at n", ", ".join(f"{n:,}" for n in setup.n)),
        ("Pairs", "; ".join(ARM_TITLES[arm] for arm in dict.fromkeys(pair.arm for pair in pilot.pairs))),
        ("Repeats", str(setup.repeats)),
        ("Steps", f"{setup.steps:,}" if setup.steps else "not known"),
        ("Trained in all", f"{len(pilot.runs):,} networks, {duration(seconds)}"),
        ("Seeds", f"{setup.seeds.size:,}, starting at {int(setup.seeds[0])}"),
        ("Sampler", f"Heun, {setup.sampler_steps} steps from σ = {short(setup.sigma_max)}"),
        ("Dependence on n", compared_laws()[setup.law].title),
        ("Preset", setup.preset),
        ("Seed of splits and training", str(setup.seed)),
        ("Device", setup.device),
    ]
    return design_section(rows)
