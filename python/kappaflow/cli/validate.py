"""``kappaflow validate linear``: theory and simulation side by side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding

from ..population import Population
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
    SizesCommand,
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
    parse_numbers,
    parse_sizes,
    plain_line,
    saved_population,
    source_description,
    step_progress,
)
from .output import OutputDirectory, write_json

if TYPE_CHECKING:
    from ..validation.linear.draws import TrainingSets
    from ..validation.linear.experiment import Validation

VALIDATION_FORMAT = "kappaflow-validation-1"
SAMPLINGS = ("resample", "gaussian", "disjoint")
_UNFINISHED = ".unfinished"
_COLOURS = {"yes": "green", "partly": "yellow", "no": "red"}

app = typer.Typer(
    help="Hold the theory against simulated training sets.", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.callback()
def _validate() -> None:
    """Hold the theory against simulated training sets."""


@app.command("linear", cls=SizesCommand)
@guarded
def linear(
    data: DataArgument,
    n: Annotated[
        list[str] | None,
        typer.Option(metavar="SIZES", help="Training-set sizes, as 100,300 or 100 300.", show_default="100,300,1000"),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Training sets of each size, at least 40.")] = 1000,
    sampling: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="resample: with replacement from the images, which are the population then; gaussian: Gaussian data of "
            "the same covariance; disjoint: splits that share no image.",
            show_default="resample; gaussian for a saved population",
        ),
    ] = None,
    inputs: Annotated[int, typer.Option(min=1, max=10_000, help="Seeds and noised images that are followed.")] = 16,
    denoiser_sigma: Annotated[str, typer.Option(metavar="SIGMAS", help="Noise levels of the denoiser.")] = "0.1,1",
    trajectory_sigma: Annotated[
        float, typer.Option(min=0, help="Noise level whose sample is correlated with the final one; 0: none.")
    ] = 1.0,
    sigma_max: SigmaMaxOption = 80.0,
    steps: Annotated[str, typer.Option(metavar="COUNTS", help="Steps of the finite-step sampler.")] = "18,35",
    bands: BandsOption = "6",
    laws: Annotated[
        str | None, typer.Option(metavar="LAWS", help=f"{', '.join(compared_laws())}.", show_default="all")
    ] = None,
    quantities: Annotated[
        str | None, typer.Option(metavar="NAMES", help="What to compare, as seeds,bands.", show_default="all")
    ] = None,
    mean: Annotated[str, typer.Option(metavar="MEAN", help="estimated, or known to the models.")] = "estimated",
    component: Annotated[int, typer.Option(min=1, help="Principal component of the stratified sets.")] = 1,
    profiles: Annotated[int, typer.Option(min=0, help="Images that the empirical law is built on; 0: none.")] = 8192,
    seed: Annotated[int, typer.Option(min=0, help="Seed of training sets and inputs.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:<number>.")] = "cpu",
    memory: Annotated[float, typer.Option(min=0.01, help="Memory in GiB, half of it for the images.")] = 2.0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the results.", show_default="kappaflow-validate-<name of the data>"
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the statistics of the simulations too.")] = False,
    patch: PatchOption = None,
    grey: GreyOption = False,
    size: SizeOption = None,
    limit: LimitOption = None,
    shape: ShapeOption = None,
    skip_corrupt: SkipOption = False,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Simulate linear diffusion models of many training sets and compare every prediction with them.

    Writes report.html, its figures, validation.json and options.json. An interrupted run goes on where it was when the
    same command is given again.
    """
    source = DataOptions(data, patch, grey, size, limit, shape, skip_corrupt)
    sizes, wanted_bands = parse_sizes(n) or [100, 300, 1000], parse_bands(bands)
    kind = ("gaussian" if source.is_population else "resample") if sampling is None else sampling
    if kind not in SAMPLINGS:
        raise ValueError(f"--sampling must be one of {', '.join(SAMPLINGS)}; got {kind!r}")
    if source.is_population and kind != "gaussian":
        raise ValueError(f"--sampling must be gaussian for a saved population, which holds no images; got {kind!r}")
    arguments: dict[str, Any] = {
        "draws": draws,
        "inputs": inputs,
        "denoiser_sigmas": parse_numbers("--denoiser-sigma", denoiser_sigma),
        "trajectory_sigma": trajectory_sigma,
        "sigma_max": sigma_max,
        "steps": _steps(steps),
        "laws": parse_names(laws),
        "quantities": parse_names(quantities),
        "mean": mean,
        "component": component - 1,
        "seed": seed,
        "device": device,
    }
    budget = int(memory * 2**30 / 2)
    options = {
        **source.as_json(), **arguments, "n": sizes, "sampling": kind, "memory": memory, "keep": keep,
        "profiles": profiles,
        "bands": wanted_bands if isinstance(wanted_bands, int) else [band.label for band in wanted_bands],
    }  # fmt: skip
    name = data_name(data)
    directory = OutputDirectory(
        Path(f"kappaflow-validate-{name}") if out is None else out, options, overwrite=overwrite
    )
    if directory.replaces is not None:
        plain_line(errors_console(), directory.replaces)
    from ..validation.linear.experiment import validate_linear  # after the checks that need no torch  # lazy: torch

    unfinished = _unfinished_folder(directory, overwrite=overwrite)
    facts: dict[str, Any] = {"command": "validate linear", "machine": _facts()}
    try:
        with directory.staged(facts) as staging, step_progress(quiet) as progress:
            progress("reading", 0.0)
            sets = training_sets(source, kind, budget, seed, profiles)
            modes = sets.population.eigenvalues.size
            if component > modes:
                raise ValueError(
                    f"--component must be at most {modes}, the number of modes of these data; got {component}"
                )
            found = validate_linear(
                sets, sizes, bands=chosen_bands(wanted_bands, modes), source=name,
                memory=budget, folder=unfinished, progress=progress, **arguments,
            )  # fmt: skip
            progress("writing the report", 1.0)
            write_results(staging, found, facts["machine"])
            if keep:
                shutil.copytree(unfinished, staging / "simulation", ignore=shutil.ignore_patterns("options.json"))
            facts["resolved"] = {"draws": list(found.draws), "groups": list(found.groups), "images": found.pool_size}
    except KeyboardInterrupt:
        raise interrupted(_what_is_kept(unfinished)) from None
    except Exception:  # whatever went wrong: what is simulated stays for the next run, an empty folder does not
        _remove_if_empty(unfinished)
        raise
    shutil.rmtree(unfinished)
    console = output_console()
    if not quiet:
        print_verdicts(console, found)
    plain_line(console, str(directory.given / "report.html"))


def training_sets(source: DataOptions, kind: str, budget: int, seed: int, profiles: int) -> TrainingSets:
    """Training sets of the given kind from DATA; images beyond the budget of bytes are left to a random subset."""
    from ..validation.linear.draws import DisjointSets, GaussianSets, ResampledSets, collect_pool  # lazy: torch

    if source.is_population:
        return GaussianSets(saved_population(source))
    console = errors_console()
    images = open_data(source, lambda message: plain_line(console, f"left out: {message}", "yellow"))
    if kind == "gaussian":
        population = Population.from_samples(
            images.batches(), shape=images.shape, description=source_description(images)
        )
        return GaussianSets(population)
    pool = collect_pool(
        images.batches(), shape=images.shape, count=images.count, most_bytes=budget, seed=seed,
        profiles=profiles, description=source_description(images),
    )  # fmt: skip
    return ResampledSets(pool) if kind == "resample" else DisjointSets(pool)


def write_results(directory: Path, found: Validation, machine: Mapping[str, str]) -> None:
    """Report and numbers into a folder."""
    from ..report.validation import write_validation_report  # lazy: matplotlib
    from ..validation.linear.export import validation_to_json  # lazy: a quick start

    write_validation_report(found, directory, facts=dict(machine))
    content = {"format": VALIDATION_FORMAT, "version": machine["kappaflow"], **validation_to_json(found)}
    write_json(directory / "validation.json", content)


def print_verdicts(console: Console, found: Validation) -> None:
    """The headline, numbers and verdict for each quantity and law over all maps and sizes, and the notes."""
    from ..report.consistency.findings import Cell  # lazy: matplotlib
    from ..report.validation.findings import find  # lazy: matplotlib

    def span(ends: tuple[Cell, Cell]) -> str:
        low, high = (end.text for end in ends)
        return low if low == high else f"{low} to {high}"

    words = find(found)
    plain_line(console, words.answer, "bold")
    for title, verdicts in words.verdicts:
        plain_line(console, title, "bold")
        for verdict in verdicts:
            numbers = (
                f"ratio {span(verdict.ratio)}, RMS log error {span(verdict.log_error)} "
                f"(Monte Carlo alone {span(verdict.noise)})"
            )
            plain_line(console, f"  {verdict.law}: {numbers}")
            plain_line(console, f"    {verdict.sentence}", _COLOURS[verdict.mood])
    for note in found.notes:
        console.print(Padding(f"note: {note}", (1, 0, 0, 0)), markup=False)


def _facts() -> dict[str, str]:
    import torch

    return {**machine_facts(), "torch": torch.__version__}


def _steps(text: str) -> list[int]:
    numbers = parse_numbers("--steps", text)
    if any(number != int(number) for number in numbers):
        raise ValueError(f"--steps must be whole numbers such as 18,35; got {text!r}")
    return [int(number) for number in numbers]


# --- interrupted runs -------------------------------------------------------------------------------------------------


def _unfinished_folder(directory: OutputDirectory, *, overwrite: bool) -> Path:
    """The folder beside the results that holds the simulations while they run; one of other options is refused."""
    folder = directory.target.with_name(directory.target.name + _UNFINISHED)
    note = folder / "options.json"
    if folder.is_dir():
        try:
            former = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            former = None
        if former == directory.options:
            plain_line(errors_console(), f"going on with the interrupted run in {folder.name}")
            return folder
        if not overwrite:
            changed = (
                []
                if former is None
                else [key for key in directory.options if former.get(key) != directory.options[key]]
            )
            raise FileExistsError(
                f"--out: {folder.name!r} holds an interrupted run with other options"
                f"{' (' + ', '.join(changed) + ')' if changed else ''}: give those to go on, another --out, or --overwrite "
                "to start anew"
            )
        shutil.rmtree(folder)
    folder.mkdir()
    write_json(note, directory.options)
    return folder


def _what_is_kept(folder: Path) -> str:
    if any(folder.glob("*.safetensors")):
        return f"what is done is kept in {folder.name}; the same command goes on from there"
    shutil.rmtree(folder, ignore_errors=True)
    return "nothing was written"


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        shutil.rmtree(folder, ignore_errors=True)
