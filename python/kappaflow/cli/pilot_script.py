"""Pilots that the user's own command trains, for ``kappaflow pilot --script``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .console import ProgressDisplay, plain_line
from .loading import Rows
from .options_groups import Sizes
from .pilot_trained import Question, assembled

if TYPE_CHECKING:
    from ..pilot.results import Pilot
    from ..pilot.script import ScriptPlan, TrainingCommand
    from ..validation.network.context import Context


@dataclass(frozen=True)
class ScriptWork:
    """The work of a run: what the command trains, on which images, and where the runs are kept."""

    plan: ScriptPlan
    context: Context
    folder: Path


def template(text: str) -> TrainingCommand:
    """The command of ``--script``; see :func:`~kappaflow.pilot.script.parse_command`."""
    from ..pilot.script import parse_command  # lazy: torch

    return parse_command(text)


def script_work(
    question: Question,
    images: Rows,
    command: TrainingCommand,
    *,
    sizes: Sizes,
    repeats: int,
    split: str,
    steps: int | None,
    folder: Path,
) -> ScriptWork:
    """Plan what the command trains; see :func:`~kappaflow.pilot.script.make_script_plan`."""
    from ..pilot.script import make_script_plan  # lazy: torch
    from ..pilot.training import default_sizes  # lazy: torch

    count, context = len(images.rows), question.context(images, question.sigma_max)
    how: dict[str, Any] = {"repeats": repeats, "split": split, "seed": question.seed, "groups": images.groups}
    n = sizes.several(context.population) or default_sizes(count, **how)
    plan = make_script_plan(command, count, n=n, steps=steps, **how)
    return ScriptWork(plan=plan, context=context, folder=folder)


def pilot_of_script(
    question: Question, work: ScriptWork, display: ProgressDisplay, *, workers: int | None, notes: Sequence[str] = ()
) -> Pilot:
    """Run the command where that is not done yet, and fit what its networks show."""
    from ..pilot.script import NETWORKS, script_notes, train_with_script  # lazy: torch

    command = work.plan.command
    members = train_with_script(
        work.plan, work.context, work.folder, workers=workers or 1, device=question.device, progress=display
    )
    return assembled(
        question,
        work.context,
        members,
        display,
        networks=NETWORKS,
        steps=work.plan.runs[0].steps,
        notes=[*notes, *script_notes(command)],
        command=command.text,
        sampled=command.writes_samples,
    )


def print_commands(console: Console, work: ScriptWork) -> None:
    """Print how many commands would run, and one of each kind as it would run."""
    from ..pilot.script import example_calls  # lazy: torch

    plan = work.plan
    plain_line(console, f"pilots of your command: {len(plan.runs) + len(plan.shorter)} networks", "bold")
    for call in example_calls(plan, work.context, work.folder):
        plain_line(console, f"{call.name}:")
        plain_line(console, f"  {shlex.join(call.words)}")
    plain_line(console, f"how long a command takes is not known; runs are kept in {work.folder}")
