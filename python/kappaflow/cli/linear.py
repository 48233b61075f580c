"""``kappaflow validate linear``: theory and simulation side by side."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console

from .._formats import INTERRUPTED_RUN
from .._json_files import read_facts, write_facts
from .._schema import FileError
from ..population import Population
from .console import ProgressDisplay, errors_console, plain_line, print_notes
from .errors import writing
from .loading import open_data, require_independent, saved_population, say_provenance, shown
from .options import BandOption, Data, Profiles, RandomSeed, ReportResult, Sampling
from .options_groups import Sizes
from .options_models import Device
from .options_validate import ComparedLaws, SamplerSteps, Simulation
from .output import OPTIONS_FILE, OutputDirectory, write_json
from .parsing import chosen_bands
from .run import machine_facts, report_run, results_directory
from .signature import changed, takes_options

if TYPE_CHECKING:
    from ..validation.linear.draws import TrainingSets
    from ..validation.linear.results import Validation

VALIDATION_FORMAT = "kappaflow-validation-1"
UNFINISHED_FORMAT = "kappaflow-unfinished-1"
_SIZES = [100, 300, 1000]
_UNFINISHED = ".unfinished"
_COLOURS = {"yes": "green", "partly": "yellow", "no": "red"}


@takes_options({"denoiser_sigmas": "--denoiser-sigma", "steps": "--sampler-steps"})
def command(
    data: Data,
    sizes: Annotated[Sizes, changed("n", shown="100,300,1000")],
    simulation: Simulation,
    sampling: Sampling,
    steps: Annotated[SamplerSteps, changed("sampler_steps", shown="18,35")],
    bands: BandOption,
    laws: ComparedLaws,
    seed: RandomSeed,
    device: Device,
    profiles: Profiles,
    result: Annotated[ReportResult, changed("out", shown="kappaflow-validate-<name of the data>")],
) -> None:
    """Simulate linear diffusion models of many training sets and compare every prediction with them.

    Writes report.html, its figures, validation.json and options.json. After an interruption, run the same command again: it
    resumes where it stopped.

    Example: kappaflow validate linear digits --n 40,160 --draws 200
    """
    typed, wanted, kind = sizes.typed() or _SIZES, bands.wanted(), _sampling(simulation.sampling, data)
    arguments: dict[str, Any] = {
        "draws": simulation.draws,
        "inputs": simulation.inputs,
        "denoiser_sigmas": simulation.denoiser_sigmas(),
        "trajectory_sigma": simulation.trajectory_sigma,
        "sigma_max": sampling.sigma_max,
        "steps": steps.several(),
        "laws": laws.names(),
        "quantities": simulation.quantity_names(),
        "mean": simulation.mean,
        "component": simulation.component - 1,
        "seed": seed.seed,
        "device": device.device,
    }
    budget = data.image_bytes(2 * 2**30) // 2  # half of it for the images
    more = {"n": typed, "sampling": kind, "keep": simulation.keep, "profiles": profiles.count, "bands": bands.as_json()}
    options = {**data.as_json(), **arguments, "memory": 2 * budget / 2**30, **more}
    directory = results_directory(f"kappaflow-validate-{data.name}", options, result)
    machine = _machine()
    from ..validation.linear.experiment import validate_linear  # lazy: torch

    with (
        _unfinished(directory, overwrite=result.overwrite) as unfinished,
        report_run(
            "validate linear", directory, quiet=result.quiet, machine=machine, kept=lambda: _what_is_kept(unfinished)
        ) as run,
    ):
        sets = training_sets(data, kind, budget, seed.seed, profiles.count, run.display)
        modes = sets.population.eigenvalues.size
        if simulation.component > modes:
            raise ValueError(
                f"--component must be at most {modes}, the number of modes of these data; got {simulation.component}"
            )
        validation = validate_linear(
            sets,
            sizes.several(sets.population) or _SIZES,
            bands=chosen_bands(wanted, modes),
            source=data.name,
            memory=budget,
            folder=unfinished,
            progress=run.display,
            **arguments,
        )
        setup = validation.setup
        run.resolved = {"draws": list(setup.draws), "groups": list(setup.groups), "images": validation.data.pool_size}
        keep = _simulations(unfinished) if simulation.keep else []
        run.write(lambda folder: write_results(folder, validation, run.machine, keep, png=result.png))
        run.summary = lambda console: print_verdicts(console, validation)


def _sampling(kind: str | None, data: Data) -> str:
    """How to draw training sets; a saved population holds no images to draw from."""
    if data.is_population and kind not in (None, "gaussian"):
        raise ValueError(f"--sampling must be gaussian for a saved population, which holds no images; got {kind!r}")
    if kind is not None:
        return kind
    return "gaussian" if data.is_population else "resample"


def _machine() -> dict[str, str]:
    """Facts of the machine, with the version of torch."""
    try:
        return machine_facts(torch_device="")
    except ImportError as error:
        raise ImportError('validate linear needs PyTorch: pip install "kappaflow[validation]"') from error


def training_sets(
    data: Data, kind: str, budget: int, seed: int, profiles: int, display: ProgressDisplay
) -> TrainingSets:
    """Training sets of the given kind from DATA; of images beyond the budget of bytes, a random subset is kept."""
    from ..validation.linear.draws import DisjointSets, GaussianSets, ResampledSets, collect_pool  # lazy: a quick start

    if data.is_population:
        population = saved_population(data, display=display)
        if population.group_count is not None:
            raise ValueError(
                f"DATA must be images, to draw training sets of whole groups or with mirror images; got the saved population "
                f"{data.data!r}, whose images depend on each other"
            )
        return GaussianSets(population)
    images = open_data(data, display)
    if kind == "gaussian":
        require_independent(data, "--sampling gaussian")
        population = Population.from_samples(shown(images, data, display))
        say_provenance(population.provenance, display, images.provenance)
        return GaussianSets(population)
    pool = collect_pool(
        shown(images, data, display),
        shape=images.shape,
        count=images.count,
        most_bytes=budget,
        seed=seed,
        profiles=profiles,
        groups=None if images.groups is None else images.groups(),
        flip=images.flip,
        provenance=images.provenance,
    )
    say_provenance(pool.population.provenance, display, images.provenance)
    return ResampledSets(pool) if kind == "resample" else DisjointSets(pool)


def write_results(
    directory: Path, validation: Validation, machine: Mapping[str, str], keep: Sequence[Path], *, png: bool
) -> None:
    """Write the report, its numbers, and copies of the simulations to keep into a folder."""
    from ..report import build, write  # lazy: matplotlib
    from ..validation.linear.export import validation_to_json  # lazy: a quick start

    write(build(validation, facts=machine), directory, png=png)
    content = {"format": VALIDATION_FORMAT, "version": machine["kappaflow"], **validation_to_json(validation)}
    write_json(directory / "validation.json", content)
    if keep:
        (directory / "simulation").mkdir()
    for path in keep:
        shutil.copyfile(path, directory / "simulation" / path.name)


def print_verdicts(console: Console, validation: Validation) -> None:
    """Print the headline, numbers and a verdict for each quantity and law over all maps and sizes, and the notes."""
    from ..report.validation import headline, verdicts_by_quantity  # lazy: matplotlib

    plain_line(console, headline(validation).answer, "bold")
    for title, verdicts in verdicts_by_quantity(validation).items():
        plain_line(console, title, "bold")
        for verdict in verdicts:
            numbers = (
                f"ratio {verdict.ratio_words}, RMS log error {verdict.log_error_words} "
                f"(Monte Carlo alone {verdict.noise_words})"
            )
            plain_line(console, f"  {verdict.law}: {numbers}")
            plain_line(console, f"    {verdict.sentence}", _COLOURS[verdict.mood])
    print_notes(console, validation.notes)


# --- interrupted runs -------------------------------------------------------------------------------------------------


@contextmanager
def _unfinished(directory: OutputDirectory, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside the results that holds the simulations while they run.

    It is removed once the results are in place. If the run ends earlier, finished simulations stay for the next run; a folder
    without any is removed. Files that are not of a simulation are never removed.
    """
    folder = directory.target.with_name(directory.target.name + _UNFINISHED)
    note = folder / OPTIONS_FILE
    if folder.is_symlink():
        raise FileExistsError(f"--out: {folder.name!r} must be a folder of unfinished work, got a link: remove it")
    if folder.is_dir() and not _goes_on(folder, directory.options, overwrite=overwrite):
        _remove(folder)
    with writing(f"--out: {folder.name!r}"):
        if not note.exists():
            folder.mkdir(exist_ok=True)
            write_facts(note, {"format": UNFINISHED_FORMAT, "options": directory.options})
    try:
        yield folder
    except BaseException:
        if not _simulations(folder):
            _remove(folder)
        raise
    _remove(folder)


def _simulations(folder: Path) -> list[Path]:
    """Finished work in the folder."""
    return [path for name in ("n-*", "stratum-*") for path in folder.glob(f"{name}.safetensors") if path.is_file()]


def _remove(folder: Path) -> None:
    """Remove the simulations, and then the options by which they are known, and the folder if it is empty."""
    left_over = [path for name in (".n-*", ".stratum-*") for path in folder.glob(f"{name}.tmp.safetensors")]
    with suppress(OSError):
        for path in [*_simulations(folder), *left_over, folder / OPTIONS_FILE]:
            path.unlink(missing_ok=True)
        folder.rmdir()


def _goes_on(folder: Path, options: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Whether an interrupted run had the same options; raises FileExistsError for other options without `overwrite`.

    A folder without simulations holds no work: a run was stopped before it had done any.
    """
    try:
        former = read_facts(folder / OPTIONS_FILE, INTERRUPTED_RUN)["options"]
    except (OSError, FileError):
        former = None
    if former is None and (folder / OPTIONS_FILE).exists():
        raise FileExistsError(
            f"--out: {folder.name!r} holds an options.json that is not of this version of kappaflow: move the folder away, or use "
            "another --out"
        )
    if not _simulations(folder):
        return bool(former == options)
    if former == options:
        plain_line(errors_console(), f"resuming the interrupted run in {folder.name}")
        return True
    if not overwrite:
        changes = [] if former is None else [key for key in options if former.get(key) != options[key]]
        raise FileExistsError(
            f"--out: {folder.name!r} holds an interrupted run with other options"
            f"{' (' + ', '.join(changes) + ')' if changes else ''}: give the same options to resume it, another --out, "
            "or --overwrite to start again"
        )
    return False


def _what_is_kept(folder: Path) -> str:
    if _simulations(folder):
        return f"finished work is kept in {folder.name}; the same command resumes from there"
    return "nothing was written"
