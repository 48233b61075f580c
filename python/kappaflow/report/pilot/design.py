"""The sections on the trained networks: whether they are models at all, and what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._progress import duration
from ...validation.laws import compared_laws
from ..document import Section
from ..kinds import ARM_TITLES, about_networks, arch_title
from ..trained import data_rows, design_section, gallery_section, gate_section
from ..words import percent, short
from .phrases import networks

if TYPE_CHECKING:
    from ...pilot.results import Pilot
    from ...validation.network.results import Gallery


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
    steps = f" ({first.training.steps:,} steps)" if first.training.steps else ""
    return f"{gate_counts(pilot)}. The first that fails is {first.key}{steps}: {first.quality.reasons[0]}."


def gallery(pilot: Pilot) -> Section | None:
    """Images of a pair that differs in everything."""
    images = pilot.gallery
    if images is None:
        return None
    text = "Grid of images: the same seeds through two networks, two linear models, and their nearest training images"
    found = pilot.seeds
    takeaway = (
        f"The percentages are the disagreement of this pair, two {networks(pilot)} at n = {images.n:,}, on each seed."
    )
    if found is not None and found.ordered:
        takeaway += " Left are the seeds that are expected to be the most fragile, right the least fragile."
    return gallery_section(
        [images], pilot.data.shape, about_networks(text, [images.arch], [images.n]), takeaway, _headings(pilot, images)
    )


def _headings(pilot: Pilot, images: Gallery) -> dict[int, str]:
    """The number of each seed, and the disagreement on it of the pair whose images are shown."""
    pairs = [pair for pair in pilot.pairs if (pair.n, pair.arm) == (images.n, images.arm) and pair.trained]
    shown = min(pairs, key=lambda pair: pair.repeat).disagreement
    values = dict(zip(pilot.setup.seeds.tolist(), (shown.seeds / shown.unrelated).tolist(), strict=True))
    return {seed: f"seed {seed}\n{percent(values[seed])}" for seed in images.seeds}


def design(pilot: Pilot) -> Section:
    """What was run."""
    setup = pilot.setup
    seconds = sum(run.training.seconds for run in pilot.runs)
    sampler = f"Heun, {setup.sampler_steps} steps from σ = {short(setup.sigma_max)}"
    if not setup.sampler_steps:
        sampler = "that of your command"
    rows = data_rows(pilot.data)
    rows += [
        ("Networks", arch_title(setup.networks)),
        *([("Command", setup.command)] if setup.command else []),
        ("Pilots at n", ", ".join(f"{n:,}" for n in setup.n)),
        ("Pairs", "; ".join(ARM_TITLES[arm] for arm in dict.fromkeys(pair.arm for pair in pilot.pairs))),
        ("Repeats", str(setup.repeats)),
        ("Steps", f"{setup.steps:,}" if setup.steps else "not known"),
        ("Networks in all", f"{len(pilot.runs):,}" + (f", trained in {duration(seconds)}" if seconds > 0 else "")),
        ("Seeds", f"{setup.seeds.size:,}, starting at {int(setup.seeds[0])}"),
        ("Sampler", sampler),
        ("Dependence on n", compared_laws()[setup.law].title),
        *([("Preset", setup.preset)] if setup.preset else []),
        ("Seed of splits and training", str(setup.seed)),
        ("Device", setup.device),
    ]
    return design_section(rows)
