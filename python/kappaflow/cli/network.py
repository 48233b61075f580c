"""``kappaflow validate network``: pairs of networks, trained here or elsewhere, beside the theory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from .._checks import FloatArray
from ..datasets.memory import collect_rows
from ..validation.laws import compared_laws
from .common import (
    BandsOption,
    DataArgument,
    DataOptions,
    GreyOption,
    LimitOption,
    OverwriteOption,
    PatchOption,
    QuietOption,
    ShapeOption,
    SigmaMaxOption,
    SizeOption,
    SkipOption,
    chosen_bands,
    data_name,
    errors_console,
    guarded,
    interrupted,
    machine_facts,
    open_data,
    output_console,
    parse_bands,
    parse_names,
    parse_sizes,
    plain_line,
    source_description,
    step_progress,
)
from .output import OutputDirectory, write_json

if TYPE_CHECKING:
    from ..validation.network.analysis import Context
    from ..validation.network.plan import Plan
    from ..validation.network.results import NetworkValidation

NETWORK_FORMAT = "kappaflow-network-validation-1"
_TRAINING = "Training"
_PAIR = "Two given models"


@guarded
def command(
    data: DataArgument,
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="quick, laptop or paper; the options below replace parts of it.")
    ] = "quick",
    arch: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="unet, dit, mlp, linear, linear-conv.", show_default="of the preset"),
    ] = None,
    n: Annotated[
        list[str] | None,
        typer.Option(metavar="SIZES", help="Training-set sizes, as 30,300 or 30 300.", show_default="of the preset"),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="same: two models differ in their images alone; different: in initialisation and noise too.",
            show_default="both",
        ),
    ] = None,
    counterfactual: Annotated[
        int | None,
        typer.Option(
            metavar="PC", min=1, help="Train on strata along this principal component too.", show_default="none"
        ),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, max=100, help="Pairs of splits of each size.", show_default="of the preset")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=8, max=100_000, help="Initial noises.", show_default="of the preset")
    ] = None,
    sampler_steps: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Steps of the sampler.", show_default="of the preset")
    ] = None,
    sigma_max: SigmaMaxOption = 80.0,
    split: Annotated[
        str, typer.Option(metavar="KIND", help="random, or contiguous: the first and the last images of the data.")
    ] = "random",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Optimiser steps.", show_default="of the preset", rich_help_panel=_TRAINING),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Images in a step.", show_default="of the preset", rich_help_panel=_TRAINING),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-8, help="Of Adam.", show_default="of the preset", rich_help_panel=_TRAINING)
    ] = None,
    amp: Annotated[
        bool, typer.Option("--amp", help="Train in bfloat16 where safe.", rich_help_panel=_TRAINING)
    ] = False,
    compile: Annotated[
        bool, typer.Option("--compile", help="Train with torch.compile.", rich_help_panel=_TRAINING)
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:<number> or mps.", rich_help_panel=_TRAINING)] = "cpu",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trainings at once.", show_default="one a core; 1 on other devices", rich_help_panel=_TRAINING
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Train on a Dask cluster that sees --runs.", rich_help_panel=_TRAINING),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where trained networks are kept and found again.",
            show_default="kappaflow-runs-<name of the data>",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Compare these two models in place of training: checkpoints of this command, folders of diffusers "
            "pipelines, or module:function that returns a denoiser D(x, sigma).",
            rich_help_panel=_PAIR,
        ),
    ] = None,
    train_a: Annotated[
        str | None, typer.Option(metavar="DATA", help="Images that A was trained on.", rich_help_panel=_PAIR)
    ] = None,
    train_b: Annotated[
        str | None, typer.Option(metavar="DATA", help="Images that B was trained on.", rich_help_panel=_PAIR)
    ] = None,
    bands: BandsOption = "6",
    laws: Annotated[
        str | None, typer.Option(metavar="LAWS", help=f"{', '.join(compared_laws())}.", show_default="all")
    ] = None,
    profiles: Annotated[int, typer.Option(min=0, help="Images that the empirical law is built on; 0: none.")] = 8192,
    seed: Annotated[int, typer.Option(min=0, help="Of splits, initialisations and noise.")] = 0,
    memory: Annotated[float, typer.Option(min=0.01, help="Memory for the images in GiB.")] = 4.0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the results.", show_default="kappaflow-network-<name of the data>"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be trained, and the time it takes.")
    ] = False,
    patch: PatchOption = None,
    grey: GreyOption = False,
    size: SizeOption = None,
    limit: LimitOption = None,
    shape: ShapeOption = None,
    skip_corrupt: SkipOption = False,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train pairs of networks on disjoint splits, start them from the same seeds, and hold the theory against them.

    Writes report.html, its figures, validation.json and options.json. Networks are kept in --runs: a command that was stopped goes
    on where it was, and one that asks for more trains what is new.
    """
    source = DataOptions(data, patch, grey, size, limit, shape, skip_corrupt)
    if source.is_population:
        raise ValueError(f"DATA must be images, got the saved population {data!r}, which holds none")
    wanted_bands, sizes = parse_bands(bands), parse_sizes(n)
    _check_pair(pair, {"--train-a": train_a, "--train-b": train_b}, {
        "--arch": arch, "--arms": arms, "--counterfactual": counterfactual, "--repeats": repeats, "--steps": steps,
        "--batch": batch, "--learning-rate": learning_rate, "--dry-run": dry_run or None, "--dask": dask, "--amp": amp or None,
        "--compile": compile or None, "--workers": workers, "--runs": runs, "--split": None if split == "random" else split,
    })  # fmt: skip
    training: dict[str, Any] = {
        key: value for key, value in (("batch", batch), ("learning_rate", learning_rate)) if value is not None
    }
    training |= {"amp": amp, "compile": compile}
    name = data_name(data)
    options: dict[str, Any] = {
        **source.as_json(), "preset": preset, "arch": parse_names(arch), "n": sizes, "arms": parse_names(arms),
        "counterfactual": counterfactual, "repeats": repeats, "seeds": seeds, "sampler_steps": sampler_steps,
        "sigma_max": sigma_max, "split": split, "steps": steps, **training, "pair": None if pair is None else list(pair),
        "train_a": train_a, "train_b": train_b, "laws": parse_names(laws), "profiles": profiles, "seed": seed, "memory": memory,
        "bands": wanted_bands if isinstance(wanted_bands, int) else [band.label for band in wanted_bands],
    }  # fmt: skip
    given = Path(f"kappaflow-network-{name}") if out is None else out
    kept = Path(f"kappaflow-runs-{name}") if runs is None else runs
    if kept.exists() and not kept.is_dir():
        raise ValueError(f"--runs must name a folder, got {str(kept)!r}, which is a file")
    directory = None if dry_run else OutputDirectory(given, options, overwrite=overwrite)
    if directory is not None and directory.replaces is not None:
        plain_line(errors_console(), directory.replaces)
    from ..models.devices import resolve_device  # after the checks that need no torch  # lazy: torch
    from ..validation.network.experiment import make_context, validate_networks  # lazy: torch
    from ..validation.network.given import compare_given, open_pair  # lazy: torch
    from ..validation.network.plan import PRESETS, make_plan  # lazy: torch

    resolve_device(device, mps=True)
    if preset not in PRESETS:
        raise ValueError(f"--preset must be one of {', '.join(PRESETS)}; got {preset!r}")
    images, total, description, image_shape = read_images(source, memory, seed)
    count = PRESETS[preset].seeds if seeds is None else seeds
    sampler = PRESETS[preset].sampler_steps if sampler_steps is None else sampler_steps
    given_pair = None if pair is None else open_pair(pair, image_shape, sigma_max=sigma_max, device=device)
    context = make_context(
        images, image_shape, seeds=count, seed=seed, sampler_steps=sampler,
        sigma_max=sigma_max if given_pair is None else given_pair.sigma_max,
        laws=parse_names(laws), profiles=profiles, description=description,
    )  # fmt: skip
    context = _with_bands(context, wanted_bands)
    plan = None
    if pair is None:
        component = None if counterfactual is None else counterfactual - 1
        plan = make_plan(
            images, image_shape, preset, archs=parse_names(arch), n=sizes, arms=parse_names(arms), repeats=repeats,
            seeds=seeds, sampler_steps=sampler_steps, steps=steps, training=training, split=split,
            coordinate=_coordinate(context, counterfactual), component=component, seed=seed,
        )  # fmt: skip
    if dry_run:
        assert plan is not None  # --pair is refused with it
        print_plan(output_console(), plan, kept, context, device, workers)
        return
    assert directory is not None
    notes = _notes(source, total, len(images), split)
    facts: dict[str, Any] = {"command": "validate network", "machine": _facts(device)}
    try:
        with directory.staged(facts) as staging, step_progress(quiet) as progress:
            if given_pair is not None:
                found = compare_given(
                    context, given_pair, train=[_training_rows(source, path, memory, seed) for path in (train_a, train_b)],
                    n=sizes, sampler_steps=sampler, source=name, device=device, seed=seed, notes=notes, progress=progress,
                )  # fmt: skip
            else:
                assert plan is not None
                found = validate_networks(
                    plan, context, kept, source=name, workers=workers, device=device, dask=dask, notes=notes,
                    progress=progress,
                )  # fmt: skip
            progress("writing the report", 1.0)
            write_results(staging, found, facts["machine"])
            facts["resolved"] = {"images": len(images), "runs": None if plan is None else str(kept)}
    except KeyboardInterrupt:
        raise interrupted(f"what is trained is kept in {kept}; the same command goes on from there") from None
    console = output_console()
    if not quiet:
        print_findings(console, found)
    plain_line(console, str(directory.given / "report.html"))


def _check_pair(pair: tuple[str, str] | None, sets: Mapping[str, str | None], training: Mapping[str, Any]) -> None:
    """Options of a training do not go with given models, nor training sets with a training."""
    if pair is None:
        for option, value in sets.items():
            if value is not None:
                raise ValueError(f"{option} goes with --pair, got {value!r} without it")
        return
    for option, value in training.items():
        if value is not None:
            raise ValueError(f"{option} is of trainings and does not go with --pair, got {value!r}")


def read_images(source: DataOptions, memory: float, seed: int) -> tuple[FloatArray, int, str, tuple[int, ...]]:
    """Rows (N, d), how many images there are, what they are, and the shape of one; a random subset where not all fit."""
    console = errors_console()
    opened = open_data(source, lambda message: plain_line(console, f"left out: {message}", "yellow"))
    rows, total = collect_rows(
        opened.batches(), dimension=opened.dimension, count=opened.count, most_bytes=int(memory * 2**30), seed=seed
    )
    return rows, total, source_description(opened), opened.shape


def _training_rows(source: DataOptions, path: str | None, memory: float, seed: int) -> FloatArray | None:
    """Images of a training set, read with the options of DATA."""
    if path is None:
        return None
    options = DataOptions(path, None, source.grey, source.size, None, source.shape, source.skip_corrupt)
    return read_images(options, memory, seed)[0]


def _with_bands(context: Context, wanted: Any) -> Context:
    from dataclasses import replace

    return replace(context, bands=tuple(chosen_bands(wanted, context.population.eigenvalues.size)))


def _coordinate(context: Context, counterfactual: int | None) -> FloatArray | None:
    if counterfactual is None:
        return None
    modes = context.population.eigenvalues.size
    if counterfactual > modes:
        raise ValueError(
            f"--counterfactual must be at most {modes}, the number of modes of these data; got {counterfactual}"
        )
    return np.asarray(context.population.coordinates(context.images)[:, counterfactual - 1])


def _notes(source: DataOptions, total: int, used: int, split: str) -> list[str]:
    notes = []
    if used < total:
        notes.append(f"{used:,} of {total:,} images fit into --memory; they are a random subset and stand for all.")
    if source.data == "patches" and split == "random":
        notes.append(
            "Patches overlap with their neighbours, so that random splits share pixels: nearest-neighbour distances and "
            "memorisation say little. --split contiguous cuts between photographs."
        )
    return notes


def _facts(device: str) -> dict[str, str]:
    import torch

    facts = {**machine_facts(), "torch": torch.__version__, "device": device}
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def write_results(directory: Path, found: NetworkValidation, machine: Mapping[str, str]) -> None:
    """Report and numbers into a folder."""
    from ..report.network import write_network_report  # lazy: matplotlib
    from ..validation.network.export import network_to_json  # lazy: torch

    write_network_report(found, directory, facts=dict(machine))
    numbers = network_to_json(found)
    write_json(directory / "validation.json", {"format": NETWORK_FORMAT, "version": machine["kappaflow"], **numbers})


def print_findings(console: Console, found: NetworkValidation) -> None:
    """The headline, the verdicts and the notes."""
    from ..report.network import find  # lazy: matplotlib

    words = find(found)
    plain_line(console, words.answer, "bold")
    for line in words.lines:
        plain_line(console, f"  {line}")
    for note in found.notes:
        console.print(Padding(f"note: {note}", (1, 0, 0, 0)), markup=False)


def print_plan(console: Console, plan: Plan, kept: Path, context: Context, device: str, workers: int | None) -> None:
    """What would be trained and how long it takes, from a few timed steps of each architecture."""
    from ..validation.network.sweep import estimate, worker_count  # lazy: torch

    table = Table(title=f"preset {plan.preset}: {len(plan.runs)} networks")
    for heading in ("network", "parameters", "n", "count", "steps", "batch", "time each"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    seconds = 0.0
    for row in estimate(plan, context.images, context.shape, device):
        table.add_row(
            row.arch, f"{row.parameters:,}", ", ".join(map(str, row.sizes)), str(row.count), f"{row.steps:,}",
            str(row.batch), _duration(row.seconds),
        )  # fmt: skip
        seconds += row.seconds * row.count
    console.print(table)
    processes = worker_count(workers, device)
    plain_line(console, f"about {_duration(seconds / processes)} with {processes} at once on {device}; kept in {kept}")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"
