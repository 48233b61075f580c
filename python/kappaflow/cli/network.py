"""``kappaflow validate network``: pairs of networks, trained here or elsewhere, beside the theory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from rich.console import Console

from .._checks import FloatArray
from .console import ProgressDisplay, output_console, plain_line, print_notes
from .errors import naming
from .loading import IMAGE_BYTES, open_data, open_like, read_rows, require_no_flip
from .network_plan import print_plan, torch_facts, warnings_about, what_is_kept
from .options import BandOption, Data, Profiles, RandomSeed, ReportResult, Sampling, SeedOption
from .options_groups import Sizes
from .options_models import TrainingDevice, require_model_name
from .options_validate import ComparedLaws, Experiment, Pair, SamplerSteps, Training
from .output import write_json
from .parsing import chosen_bands
from .run import report_run, results_directory
from .signature import changed, takes_options

if TYPE_CHECKING:
    from ..validation.network.context import Context
    from ..validation.network.given import Given
    from ..validation.network.plan import Plan
    from ..validation.network.results import NetworkValidation

NETWORK_FORMAT = "kappaflow-network-validation-1"
_OF_PRESET = "of the preset"


@dataclass(frozen=True)
class NetworkOptions:
    """The options of the command."""

    data: Data
    experiment: Experiment
    sizes: Annotated[Sizes, changed("n", shown=_OF_PRESET)]
    seeds: Annotated[
        SeedOption,
        changed("seeds", metavar="COUNT", shown=_OF_PRESET, help="Number of seeds of the initial noise, 8 to 100000."),
    ]
    steps: Annotated[
        SamplerSteps,
        changed("sampler_steps", metavar="COUNT", shown=_OF_PRESET, help="Number of steps of the sampler, 2 to 1000."),
    ]
    sampling: Sampling
    training: Training
    pair: Pair
    bands: BandOption
    laws: ComparedLaws
    seed: RandomSeed
    device: Annotated[TrainingDevice, changed("device", help="Device to compute on: cpu, cuda, cuda:<number> or mps.")]
    profiles: Profiles
    result: Annotated[ReportResult, changed("out", shown="kappaflow-network-<name of the data>")]

    @property
    def kept(self) -> Path:
        """Where trained networks are kept."""
        runs = self.training.runs
        return Path(f"kappaflow-runs-{self.data.name}") if runs is None else runs

    def as_json(self) -> dict[str, Any]:
        """For options.json."""
        return {
            **self.data.as_json(),
            "preset": self.experiment.preset_name(),
            "arch": self.experiment.architectures(),
            "n": self.sizes.typed(),
            "arms": self.experiment.arm_names(),
            "counterfactual": self.experiment.counterfactual,
            "repeats": self.experiment.repeats,
            "seeds": self.seeds.count(8),
            "sampler_steps": self.steps.one(),
            "sigma_max": self.sampling.sigma_max,
            "split": self.experiment.split,
            "steps": self.training.steps,
            **self.training.settings,
            "pair": None if self.pair.pair is None else list(self.pair.pair),
            "label": self.pair.label,
            "train_a": self.pair.train_a,
            "train_b": self.pair.train_b,
            "laws": self.laws.names(),
            "profiles": self.profiles.count,
            "seed": self.seed.seed,
            "memory": self.data.image_bytes(IMAGE_BYTES) / 2**30,
            "bands": self.bands.as_json(),
        }


@takes_options({"archs": "--arch", "names": "--pair"})
def command(options: NetworkOptions) -> None:
    """Train pairs of networks on disjoint training sets, sample them from the same seeds, and compare them with the theory.

    Writes report.html, its figures, validation.json and options.json. Networks are kept in --runs: after a stop the same
    command resumes, and a command that asks for more trains only what is new.

    Example: kappaflow validate network digits --arch unet --n 30,200
    """
    data, kept, quiet = options.data, options.kept, options.result.quiet
    if data.is_population:
        raise ValueError(f"DATA must be images, got the saved population {data.data!r}, which holds none")
    _check_pair(options.pair, options.experiment, options.training)
    resolved = options.as_json()
    if kept.exists() and not kept.is_dir():
        raise ValueError(f"--runs must name a folder, got {str(kept)!r}, which is a file")
    if options.experiment.dry_run:
        with ProgressDisplay(quiet=quiet) as display:
            work = prepare(options, display)
        assert work.plan is not None  # --pair is refused with it
        print_plan(
            output_console(),
            f"preset {work.plan.preset}",
            work.plan.runs,
            work.context,
            kept=kept,
            device=options.device.device,
            workers=options.training.workers,
        )
        return
    runs = kept if options.pair.pair is None else None
    directory = results_directory(f"kappaflow-network-{data.name}", resolved, options.result, runs=runs)
    machine = torch_facts(options.device.device)
    with report_run(
        "validate network", directory, quiet=quiet, machine=machine, kept=lambda: what_is_kept(kept)
    ) as run:
        work = prepare(options, run.display)
        validation = compare(options, work, run.display)
        run.resolved = {"images": len(work.context.images), "runs": None if work.plan is None else str(kept)}
        run.write(lambda folder: write_results(folder, validation, run.machine, png=options.result.png))
        run.summary = lambda console: print_findings(console, validation)


def _check_pair(pair: Pair, experiment: Experiment, training: Training) -> None:
    """Raise an error for options of a training with given models, and for training sets without given models."""
    if pair.pair is None:
        for option, value in (("--train-a", pair.train_a), ("--train-b", pair.train_b)):
            if value is not None:
                raise ValueError(f"{option} needs --pair, got {value!r} without it")
        return
    of_training: dict[str, Any] = {
        "--arch": experiment.arch,
        "--arms": experiment.arms,
        "--counterfactual": experiment.counterfactual,
        "--repeats": experiment.repeats,
        "--steps": training.steps,
        "--batch": training.batch,
        "--learning-rate": training.learning_rate,
        "--dry-run": experiment.dry_run or None,
        "--dask": training.dask,
        "--amp": training.amp or None,
        "--compile": training.compile or None,
        "--workers": training.workers,
        "--runs": training.runs,
        "--split": None if experiment.split == "random" else experiment.split,
    }
    for option, value in of_training.items():
        if value is not None:
            raise ValueError(f"{option} is for training networks and cannot be used with --pair, got {value!r}")
    for name in pair.pair:
        require_model_name("--pair", name)


# --- the work ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkWork:
    """The work of a run: its images, and its plan or its given models."""

    context: Context
    plan: Plan | None
    given: Given | None
    sampler_steps: int
    notes: list[str]


def prepare(options: NetworkOptions, display: ProgressDisplay) -> NetworkWork:
    """Read the images, open the models if any are given, and plan the training if not."""
    from ..validation.network.context import make_context  # lazy: torch
    from ..validation.network.given import open_models  # lazy: torch
    from ..validation.network.plan import make_plan  # lazy: torch
    from ..validation.network.presets import PRESETS  # lazy: torch

    torch_facts(options.device.device)
    experiment, preset = options.experiment, PRESETS[options.experiment.preset_name()]
    require_no_flip(options.data, "kappaflow validate network")
    if options.data.groups and experiment.counterfactual is not None:
        raise ValueError(
            "--counterfactual cannot be used with --groups, because strata would cut groups apart, got "
            f"{experiment.counterfactual}"
        )
    source = open_data(options.data, display)
    rows = read_rows(options.data, source, options.data.image_bytes(IMAGE_BYTES), options.seed.seed, display)
    seeds, steps, sigma_max = options.seeds.count(8), options.steps.one(), options.sampling.sigma_max
    sampler_steps = preset.sampler_steps if steps is None else steps
    names, shape = options.pair.pair, source.shape
    with naming("--pair"):
        given = (
            None
            if names is None
            else open_models(names, shape, sigma_max=sigma_max, device=options.device.device, label=options.pair.label)
        )
    context = make_context(
        rows.rows,
        shape,
        seeds=preset.seeds if seeds is None else seeds,
        seed=options.seed.seed,
        sampler_steps=sampler_steps,
        sigma_max=sigma_max if given is None else given.sigma_max,
        laws=options.laws.names(),
        profiles=options.profiles.count,
        provenance=source.provenance,
        groups=rows.groups,
    )
    context = replace(context, bands=tuple(chosen_bands(options.bands.wanted(), context.population.eigenvalues.size)))
    plan = None
    if given is None:
        plan = make_plan(
            rows.rows,
            shape,
            experiment.preset_name(),
            archs=experiment.architectures(),
            n=options.sizes.several(context.population),
            arms=experiment.arm_names(),
            repeats=experiment.repeats,
            seeds=seeds,
            sampler_steps=steps,
            steps=options.training.steps,
            training=options.training.settings,
            split=experiment.split,
            coordinate=_coordinate(context, experiment.counterfactual),
            component=None if experiment.counterfactual is None else experiment.counterfactual - 1,
            seed=options.seed.seed,
            groups=rows.groups,
        )
    notes = warnings_about(options.data, rows, experiment.split)
    return NetworkWork(context=context, plan=plan, given=given, sampler_steps=sampler_steps, notes=notes)


def compare(options: NetworkOptions, work: NetworkWork, display: ProgressDisplay) -> NetworkValidation:
    """Train and compare the planned networks, or compare the given models."""
    from ..validation.network.experiment import validate_networks  # lazy: torch
    from ..validation.network.given import compare_given  # lazy: torch

    if work.given is not None:
        sets = [
            _training_rows(options, work, "--train-a", options.pair.train_a, display),
            _training_rows(options, work, "--train-b", options.pair.train_b, display),
        ]
        return compare_given(
            work.context,
            work.given,
            train=sets,
            n=options.sizes.several(work.context.population),
            sampler_steps=work.sampler_steps,
            source=options.data.name,
            device=options.device.device,
            seed=options.seed.seed,
            notes=work.notes,
            progress=display,
        )
    assert work.plan is not None
    return validate_networks(
        work.plan,
        work.context,
        options.kept,
        source=options.data.name,
        workers=options.training.workers,
        device=options.device.device,
        dask=options.training.dask,
        notes=work.notes,
        progress=display,
    )


def _training_rows(
    options: NetworkOptions, work: NetworkWork, option: str, path: str | None, display: ProgressDisplay
) -> FloatArray | None:
    """Images of a training set, read with the options of DATA, and with its range if both are stored alike."""
    if path is None:
        return None
    data = replace(options.data, data=path, patch=None, limit=None, groups=None)
    most_bytes = options.data.image_bytes(IMAGE_BYTES)
    with naming(option):
        source = open_like(data, work.context.population.provenance, display)
        return read_rows(data, source, most_bytes, options.seed.seed, display).rows


def _coordinate(context: Context, counterfactual: int | None) -> FloatArray | None:
    if counterfactual is None:
        return None
    modes = context.population.eigenvalues.size
    if counterfactual > modes:
        raise ValueError(
            f"--counterfactual must be at most {modes}, the number of modes of these data; got {counterfactual}"
        )
    return np.asarray(context.population.coordinates(context.images)[:, counterfactual - 1])


# --- results ----------------------------------------------------------------------------------------------------------


def write_results(directory: Path, validation: NetworkValidation, machine: Mapping[str, str], *, png: bool) -> None:
    """Write the report and its numbers into a folder."""
    from ..report import build, write  # lazy: matplotlib
    from ..validation.network.export import network_to_json  # lazy: torch

    write(build(validation, facts=machine), directory, png=png)
    numbers = network_to_json(validation)
    write_json(directory / "validation.json", {"format": NETWORK_FORMAT, "version": machine["kappaflow"], **numbers})


def print_findings(console: Console, validation: NetworkValidation) -> None:
    """Print the headline, the verdicts and the notes."""
    from ..report.network import headline, verdict_lines  # lazy: matplotlib

    head = headline(validation)
    plain_line(console, head.answer, "bold")
    if head.distance:
        plain_line(console, head.distance)
    for line in verdict_lines(validation):
        plain_line(console, f"  {line}")
    print_notes(console, validation.notes)
