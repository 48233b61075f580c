"""Make a set of this benchmark from the networks that ``kappaflow validate network`` keeps.

``python benchmarks/seeds/collect.py DATA ... --runs RUNS_DIR --out FILE.npz`` takes the data and options of the command that
trained them. Networks that fail the gate are left out. DATA must be a built-in dataset, because a set does not hold the data.
Nothing is trained. The set is only written if quantising its images changes no score by more than 0.005.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from kappaflow.cli.console import ProgressDisplay
from kappaflow.cli.network import NetworkOptions, prepare
from kappaflow.cli.options import ReportResult
from kappaflow.cli.signature import changed, takes_options
from kappaflow.datasets import BUILTIN_NAMES
from kappaflow.validation.network.context import Context
from kappaflow.validation.network.members import Member, describe
from kappaflow.validation.network.plan import Plan
from kappaflow.validation.network.probes import Answers
from kappaflow.validation.network.results import ANOTHER_PAIR
from kappaflow.validation.network.sweep import Job, answers_file, make_jobs

from score import DEFAULT, Result, score  # isort: skip
from seedsets import READING, Network, SeedSet, facts_of, joined, quantise, save  # isort: skip

#: Largest change of a score by quantising.
MOST = 0.005


@dataclass(frozen=True)
class CollectOptions(NetworkOptions):
    """The options of ``kappaflow validate network``, with a file for the result."""

    result: Annotated[ReportResult, changed("out", metavar="FILE", shown=False, help="File to write, .npz.")]


@takes_options({"archs": "--arch"})
def command(options: CollectOptions) -> None:
    """Collect the samples of kept networks into one file.

    DATA and options are those of the command that trained the networks: kappaflow validate network. Nothing is trained.
    """
    path = _checked(options)
    with ProgressDisplay(quiet=options.result.quiet) as display:
        work = prepare(options, display)
        assert work.plan is not None
        context, plan = work.context, work.plan
        jobs = [job for job in _jobs(options, context, plan) if job.spec.stratum is None]
        missing = [job.spec.key for job in jobs if not answers_file(job).exists()]
        if missing:
            raise ValueError(
                f"--runs must hold all {len(jobs)} networks with their samples, but {str(options.kept)!r} lacks {len(missing)}, "
                f"such as {missing[0]}: give the options of the command that trained them, or let it finish"
            )
        display("reading samples", 0.5)
        members = [_member(context, job) for job in jobs]
    passed = [member for member in members if member.run.quality.passed]
    for member in members:
        if not member.run.quality.passed:
            print(f"left out: {member.spec.key} fails the gate: {joined(member.run.quality.reasons)}")
    if not passed:
        raise ValueError("--runs must hold networks that pass the gate, got none")
    seed_set = SeedSet(path.stem, _about(options, context, plan), tuple(map(_network, passed)), _samples(passed))
    change = _largest_change(seed_set)
    if change.size > MOST:
        raise ValueError(
            f"quantising must change no score by more than {MOST}, got {change.size:.4f} for {change.score}: eight bits do not "
            "suffice for these images"
        )
    save(path, seed_set)
    size = path.stat().st_size / 2**20
    print(f"{path}: {len(passed)} networks, {size:.2f} MB; quantising changes no score by more than {change.size:.4f}")


def _checked(options: CollectOptions) -> Path:
    """The file to write, after the options were checked."""
    path = options.result.out
    if path is None or path.suffix != ".npz":
        raise ValueError(f"--out must name a .npz file, got {None if path is None else str(path)!r}")
    if path.exists() and not options.result.overwrite:
        raise ValueError(f"--out: {str(path)!r} exists; --overwrite replaces it")
    if options.data.data not in BUILTIN_NAMES:
        raise ValueError(
            f"DATA must be one of {joined(BUILTIN_NAMES)}, because a set does not hold images; got {options.data.data!r}"
        )
    if options.pair.pair is not None:
        raise ValueError("--pair cannot be collected: a set holds networks that were trained by kappaflow")
    return path


def _jobs(options: CollectOptions, context: Context, plan: Plan) -> list[Job]:
    return make_jobs(
        plan.runs,
        context.images,
        context.shape,
        dict(context.noise),
        options.kept,
        steps=plan.sampler_steps,
        sigma_max=context.sigma_max,
        seed=plan.seed,
    )


def _member(context: Context, job: Job) -> Member:
    steps = job.spec.training.steps
    return describe(
        context, job.spec, Answers.load(answers_file(job), job.probe), parameters=0, seconds=0.0, steps=steps
    )


def _network(member: Member) -> Network:
    spec = member.spec
    return Network(spec.arch, spec.n, spec.repeat, spec.split, spec.member)


def _samples(members: Sequence[Member]) -> Any:
    """(R, Z, d) images."""
    return np.stack([member.samples for member in members])


def _about(options: CollectOptions, context: Context, plan: Plan) -> dict[str, Any]:
    data = options.data.as_json()
    first = {run.arch: run for run in reversed(plan.runs)}
    own = ("init_seed", "stream_seed")  # differ from network to network
    return {
        "data": {key: data[key] for key in ("data", *READING)},
        "facts": facts_of(context),
        "seeds": len(context.seeds),
        "first_seed": context.seeds[0],
        "sampler_steps": plan.sampler_steps,
        "sigma_max": context.sigma_max,
        "profiles": options.profiles.count,
        "split": plan.split,
        "training": {
            arch: {
                "network": asdict(run.network),
                **{key: value for key, value in asdict(run.training).items() if key not in own},
            }
            for arch, run in first.items()
        },
    }


class Change(NamedTuple):
    """How much quantising changes a score."""

    size: float
    score: str


def _largest_change(seed_set: SeedSet) -> Change:
    """By quantising the samples: of every correlation, and relative, of every amount and ratio of tenths."""
    coarse = replace(seed_set, samples=quantise(seed_set.samples).values)
    changes = []
    for kind in seed_set.kinds:
        exact, rounded = (_numbers(score(each, kind, DEFAULT)) for each in (seed_set, coarse))
        changes += [Change(abs(rounded[name] - exact[name]), f"{name} of {kind}") for name in exact]
    return max(change for change in changes if not math.isnan(change.size))


def _numbers(result: Result) -> dict[str, float]:
    """Correlations, and logarithms of ratios.

    The ratio of tenths of "another pair" is left out: this predictor is itself quantised, and a seed that changes its tenth
    changes the ratio by a few per cent.
    """
    numbers = {"disagreement": math.log(result.ratio)}
    for name, row in result.scores.items():
        correlations = {
            "single": row.single,
            "mean": row.mean.value,
            "reliability": row.reliability,
            "pixels": row.pixels,
        }
        numbers |= {f"{name}, {what}": value for what, value in correlations.items()}
        if name != ANOTHER_PAIR:
            numbers[f"{name}, tenths"] = math.log(row.tenths)
    return numbers | {f"{name}, amount": math.log(factor) for name, factor in result.factors.items()}


if __name__ == "__main__":
    typer.run(command)
