"""Pilots of networks that are trained already, for ``kappaflow pilot`` and ``kappaflow plan``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from .._listing import listed
from .console import ProgressDisplay, plain_line, print_notes
from .errors import naming
from .loading import Rows
from .options_validate import Observed, Runs

if TYPE_CHECKING:
    from ..pilot.results import Pilot
    from ..pilot.trained import ObservedPilot
    from ..pilot.training import PilotMembers
    from ..provenance import Provenance
    from ..validation.network.context import Context

#: Seeds, and steps of the sampler, unless others are given.
SEEDS, SAMPLER_STEPS = 256, 35


@dataclass(frozen=True)
class TrainedNetworks(Runs, Observed):
    """Networks that are trained already, as ``kappaflow plan`` takes them."""

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return self.runs is not None or bool(self.observed)

    def __post_init__(self) -> None:
        """Refuse both at once, and a class without models."""
        super().__post_init__()
        if self.runs is not None and self.observed:
            raise ValueError(
                f"--runs and --observed cannot be used together, got {str(self.runs)!r} and {self.observed}"
            )
        self.require_models()

    def pilot(self, question: Question, images: Rows, display: ProgressDisplay) -> Pilot:
        """What the networks say."""
        pilots = self.pilots()
        if pilots is not None:
            return pilot_of_models(question, images, pilots, display, label=self.label)
        assert self.runs is not None  # asked only if there are networks
        return pilot_of_runs(question, images, self.runs, display)


@dataclass(frozen=True)
class Question:
    """What is asked of the networks.

    Attributes
    ----------
    source, description : name of the data, and what they are in a sentence
    shape : of one image
    tolerance, sigma_max, seeds, sampler_steps, seed, profiles, device : as the options of these names
    """

    source: str
    provenance: Provenance
    shape: tuple[int, ...]
    tolerance: float
    sigma_max: float
    profiles: int
    device: str
    seeds: int = SEEDS
    sampler_steps: int = SAMPLER_STEPS
    seed: int = 0

    def context(self, images: Rows, sigma_max: float) -> Context:
        """The common input of all networks."""
        from ..validation.network.context import make_context  # lazy: torch

        return make_context(
            images.rows,
            self.shape,
            seeds=self.seeds,
            seed=self.seed,
            sampler_steps=self.sampler_steps,
            sigma_max=sigma_max,
            profiles=self.profiles,
            provenance=self.provenance,
            manipulated=False,
            groups=images.groups,
        )


def pilot_of_runs(
    question: Question, images: Rows, folder: Path, display: ProgressDisplay, *, notes: Sequence[str] = ()
) -> Pilot:
    """The pilot of kept networks; nothing is trained."""
    from ..pilot.trained import kept_runs, pilots_of_runs  # lazy: torch

    if not folder.is_dir():
        raise ValueError(f"--runs must name a folder of trained networks, got {str(folder)!r}")
    with naming("--runs"):
        kept = kept_runs(folder, images.rows, question.shape, groups=images.groups)
    context = question.context(images, question.sigma_max)
    members = pilots_of_runs(kept, context, folder, device=question.device, progress=display)
    others = [f"The folder also holds other networks of these images, which do not count: {listed(kept.others)}."]
    damaged = [f"These networks in the folder cannot be read and are left out: {listed(kept.unreadable)}."]
    every_note = [*notes, *(others if kept.others else []), *(damaged if kept.unreadable else [])]
    return assembled(question, context, members, display, networks=kept.arch, steps=kept.steps, notes=every_note)


def pilot_of_models(
    question: Question,
    images: Rows,
    pilots: Sequence[ObservedPilot],
    display: ProgressDisplay,
    *,
    label: int | None = None,
    notes: Sequence[str] = (),
) -> Pilot:
    """The pilot of models that were trained elsewhere."""
    from ..pilot.trained import pilots_of_models  # lazy: torch
    from ..validation.network.given import open_models  # lazy: torch

    names = tuple(name for pilot in pilots for name in pilot.names)
    with naming("--observed"):
        given = open_models(names, question.shape, sigma_max=question.sigma_max, device=question.device, label=label)
    context = question.context(images, given.sigma_max)
    members = pilots_of_models(pilots, given, context, device=question.device, seed=question.seed, progress=display)
    unknown = (
        "The training sets of the models are taken as parts of DATA that have no image in common; all images of DATA stand in "
        "for each of them where the gate judges a model."
    )
    return assembled(question, context, members, display, networks="given", steps=0, notes=[*notes, unknown])


def assembled(
    question: Question,
    context: Context,
    members: PilotMembers,
    display: ProgressDisplay,
    *,
    networks: str,
    steps: int,
    notes: Sequence[str],
    preset: str = "",
    command: str = "",
    sampled: bool = False,
) -> Pilot:
    """The pilot of networks, however they were trained; see :class:`~kappaflow.pilot.results.PilotSetup`.

    Parameters
    ----------
    question : what is asked
    context, members, notes : see :func:`~kappaflow.pilot.assemble.assemble_pilot`
    display : shows the progress
    networks, steps, preset, command : of the setup
    sampled : whether the samples come from elsewhere
    """
    from ..pilot.assemble import assemble_pilot, most_general_law  # lazy: torch
    from ..pilot.results import PilotSetup  # lazy: torch

    sizes = tuple(sorted({member.spec.n for member in members.full}))
    repeats = max(sum((p.kind.n, p.kind.arm) == (n, "different") for p in members.pairs) for n in sizes)
    setup = PilotSetup(
        networks=networks,
        n=sizes,
        repeats=repeats,
        steps=steps,
        seeds=np.array(context.seeds, dtype=np.int64),
        sigma_max=context.sigma_max,
        sampler_steps=0 if sampled else context.steps,
        law=most_general_law(context).name,
        preset=preset,
        device=question.device,
        seed=question.seed,
        command=command,
    )
    return assemble_pilot(
        context,
        members,
        setup=setup,
        source=question.source,
        tolerance=question.tolerance,
        notes=notes,
        progress=display,
    )


def print_pilot(console: Console, pilot: Pilot) -> None:
    """Print the headline, the lines below it and the notes."""
    from ..report.pilot import answer_lines, headline  # lazy: matplotlib

    plain_line(console, headline(pilot).answer, "bold")
    for line in answer_lines(pilot):
        plain_line(console, f"  {line}")
    print_notes(console, pilot.notes)
