"""``kappaflow pilot``: a few small trainings, and what they say about networks of that kind at any number of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from .._checks import choice
from .console import ProgressDisplay, output_console
from .loading import IMAGE_BYTES, Rows, open_data, read_rows, require_no_flip
from .network_plan import print_plan, torch_facts, warnings_about, what_is_kept
from .options import Data, Profiles, RandomSeed, ReportResult, Sampling, SeedOption, Tolerance
from .options_groups import Sizes
from .options_models import TrainingDevice
from .options_validate import ARCHITECTURES, Networks, Observed, SamplerSteps, Script, Training
from .output import write_json
from .pilot_script import ScriptWork, pilot_of_script, print_commands, script_work, template
from .pilot_trained import SAMPLER_STEPS, SEEDS, Question, assembled, pilot_of_models, print_pilot
from .run import report_run, results_directory
from .signature import changed, takes_options

if TYPE_CHECKING:
    from ..pilot.results import Pilot
    from ..pilot.script import TrainingCommand
    from ..pilot.trained import ObservedPilot
    from ..validation.network.context import Context
    from ..validation.network.plan import Plan, RunSpec

PILOT_FORMAT = "kappaflow-pilot-1"
#: Pairs of training sets of each size, and how networks are trained, unless the user says otherwise.
REPEATS = 2
PRESET = "laptop"


@dataclass(frozen=True)
class PilotOptions:
    """The options of the command."""

    data: Data
    networks: Annotated[
        Networks,
        changed("preset", shown=PRESET, help="How networks are trained: quick, laptop or paper."),
        changed(
            "arch",
            metavar="NAME",
            shown="unet",
            help=f"Architecture of the networks: {', '.join(ARCHITECTURES)}.",
        ),
        changed("repeats", shown=str(REPEATS)),
    ]
    sizes: Annotated[
        Sizes,
        changed(
            "n", shown="100,300", help="Sizes of the pilots, such as 100,300: small, and at least two if possible."
        ),
    ]
    tolerance: Tolerance
    seeds: Annotated[
        SeedOption,
        changed("seeds", metavar="COUNT", shown=str(SEEDS), help="Number of seeds of the initial noise, 8 to 100000."),
    ]
    steps: Annotated[
        SamplerSteps,
        changed(
            "sampler_steps", metavar="COUNT", shown="of the preset", help="Number of steps of the sampler, 2 to 1000."
        ),
    ]
    sampling: Sampling
    training: Annotated[Training, changed("workers", shown="one for each core; 1 on other devices and with --script")]
    script: Script
    observed: Observed
    seed: RandomSeed
    device: Annotated[TrainingDevice, changed("device", help="Device to compute on: cpu, cuda, cuda:<number> or mps.")]
    profiles: Profiles
    result: Annotated[ReportResult, changed("out", shown="kappaflow-pilot-<name of the data>")]

    @property
    def kept(self) -> Path:
        """Where trained networks are kept; the same folder as that of ``validate network``."""
        runs = self.training.runs
        return Path(f"kappaflow-runs-{self.data.name}") if runs is None else runs

    @property
    def arch(self) -> str:
        """The architecture."""
        return "unet" if self.networks.arch is None else choice("--arch", self.networks.arch, ARCHITECTURES)

    @property
    def preset(self) -> str:
        """How networks are trained."""
        return self.networks.preset_name(PRESET)

    @property
    def repeats(self) -> int:
        """Pairs of training sets of each size; there is only one contiguous split."""
        if self.networks.repeats is None:
            return REPEATS if self.networks.split == "random" else 1
        return self.networks.repeats

    def as_json(self) -> dict[str, Any]:
        """For options.json."""
        return {
            **self.data.as_json(),
            "preset": self.preset,
            "arch": self.arch,
            "script": self.script.script,
            "n": self.sizes.typed(),
            "tolerance": self.tolerance.tolerance,
            "repeats": self.repeats,
            "seeds": self.seeds.count(8),
            "sampler_steps": self.steps.one(),
            "sigma_max": self.sampling.sigma_max,
            "split": self.networks.split,
            "steps": self.training.steps,
            **self.training.settings,
            "observed": self.observed.observed,
            "label": self.observed.label,
            "profiles": self.profiles.count,
            "seed": self.seed.seed,
            "memory": self.data.image_bytes(IMAGE_BYTES) / 2**30,
        }


@takes_options({"archs": "--arch"})
def command(options: PilotOptions) -> None:
    """Train a few small pairs of networks, and say how much two networks of this kind disagree at any number of images.

    At each size A and B are trained on different images, and B once more on its own images with another seed: that separates
    the effect of the images from that of the training. Writes report.html, its figures, pilot.json and options.json. Networks are
    kept in --runs: after a stop the same command resumes.

    With --script your own command trains the networks, so that the answer is for your architecture and recipe.

    Example: kappaflow pilot digits --arch unet
    """
    data, kept, quiet = options.data, options.kept, options.result.quiet
    if data.is_population:
        raise ValueError(f"DATA must be images, got the saved population {data.data!r}, which holds none")
    resolved, observed, script = options.as_json(), _observed(options), _script(options)
    if kept.exists() and not kept.is_dir():
        raise ValueError(f"--runs must name a folder, got {str(kept)!r}, which is a file")
    if options.networks.dry_run:
        show_plan(options) if script is None else show_commands(options, script)
        return
    runs = kept if observed is None else None
    directory = results_directory(f"kappaflow-pilot-{data.name}", resolved, options.result, runs=runs)
    machine = torch_facts(options.device.device, "pilot")
    with report_run("pilot", directory, quiet=quiet, machine=machine, kept=lambda: what_is_kept(kept)) as run:
        if observed is not None:
            pilot = compare_observed(options, observed, run.display)
        elif script is not None:
            pilot = train_by_script(options, script, run.display)
        else:
            pilot = train_and_fit(options, prepare(options, run.display), run.display)
        run.resolved = {"images": pilot.data.images, "n": list(pilot.setup.n)}
        run.resolved |= {"runs": str(kept)} if observed is None else {}
        run.write(lambda folder: write_results(folder, pilot, run.machine, png=options.result.png))
        run.summary = lambda console: print_pilot(console, pilot)


def _observed(options: PilotOptions) -> tuple[ObservedPilot, ...] | None:
    """Pilots that the user trained; raises an error for options of a training beside them."""
    pilots = options.observed.pilots()
    if pilots is None:
        return None
    networks, training = options.networks, options.training
    of_training = {
        **_of_own_networks(options),
        "--script": options.script.script,
        "--n": options.sizes.n,
        "--repeats": networks.repeats,
        "--dry-run": networks.dry_run or None,
        "--steps": training.steps,
        "--workers": training.workers,
        "--runs": training.runs,
    }
    for name, value in of_training.items():
        if value is not None:
            raise ValueError(f"{name} is for training networks and cannot be used with --observed, got {value!r}")
    options.observed.require_models()
    return pilots


def _of_own_networks(options: PilotOptions) -> dict[str, object]:
    """Options that only apply to networks of this package; None for those that were not given."""
    networks, training = options.networks, options.training
    return {
        "--arch": networks.arch,
        "--preset": networks.preset,
        "--batch": training.batch,
        "--learning-rate": training.learning_rate,
        "--amp": training.amp or None,
        "--compile": training.compile or None,
        "--dask": training.dask,
    }


def _script(options: PilotOptions) -> TrainingCommand | None:
    """The user's own command; raises an error for options of other networks beside it."""
    text = options.script.script
    if text is None:
        return None
    for name, value in _of_own_networks(options).items():
        if value is not None:
            raise ValueError(f"{name} is for networks of kappaflow and cannot be used with --script, got {value!r}")
    command = template(text)
    command.length(options.training.steps)
    if command.writes_samples and options.steps.sampler_steps is not None:
        raise ValueError(
            f"--sampler-steps cannot be used with a --script that writes {{samples}}, got {options.steps.sampler_steps!r}"
        )
    return command


def show_commands(options: PilotOptions, script: TrainingCommand) -> None:
    """Print what the user's own command would train."""
    with ProgressDisplay(quiet=options.result.quiet) as display:
        question, images = read_question(options, display)
        work = plan_script(options, script, question, images)
    print_commands(output_console(), work)


def show_plan(options: PilotOptions) -> None:
    """Print what would be trained."""
    with ProgressDisplay(quiet=options.result.quiet) as display:
        work = prepare(options, display)
    print_plan(
        output_console(),
        f"pilots of preset {work.plan.preset}",
        (*work.plan.runs, *work.shorter),
        work.context,
        kept=options.kept,
        device=options.device.device,
        workers=options.training.workers,
    )


class QuestionAbout(NamedTuple):
    """What is asked of networks, and about which images."""

    question: Question
    images: Rows


def read_question(options: PilotOptions, display: ProgressDisplay) -> QuestionAbout:
    """Read the images."""
    require_no_flip(options.data, "kappaflow pilot")
    source = open_data(options.data, display)
    images = read_rows(options.data, source, options.data.image_bytes(IMAGE_BYTES), options.seed.seed, display)
    question = Question(
        source=options.data.name,
        provenance=source.provenance,
        shape=source.shape,
        tolerance=options.tolerance.tolerance,
        sigma_max=options.sampling.sigma_max,
        profiles=options.profiles.count,
        device=options.device.device,
        seeds=options.seeds.count(8) or SEEDS,
        sampler_steps=options.steps.one() or SAMPLER_STEPS,
        seed=options.seed.seed,
    )
    return QuestionAbout(question, images)


def compare_observed(options: PilotOptions, pilots: tuple[ObservedPilot, ...], display: ProgressDisplay) -> Pilot:
    """Sample models that were trained elsewhere, and fit what they show."""
    question, images = read_question(options, display)
    notes = warnings_about(options.data, images, "given")
    return pilot_of_models(question, images, pilots, display, label=options.observed.label, notes=notes)


def plan_script(options: PilotOptions, script: TrainingCommand, question: Question, images: Rows) -> ScriptWork:
    """What the user's own command trains."""
    return script_work(
        question,
        images,
        script,
        sizes=options.sizes,
        repeats=options.repeats,
        split=options.networks.split,
        steps=options.training.steps,
        folder=options.kept,
    )


def train_by_script(options: PilotOptions, script: TrainingCommand, display: ProgressDisplay) -> Pilot:
    """Train with the user's own command, and fit what its networks show."""
    question, images = read_question(options, display)
    notes = warnings_about(options.data, images, options.networks.split)
    work = plan_script(options, script, question, images)
    return pilot_of_script(question, work, display, workers=options.training.workers, notes=notes)


@dataclass(frozen=True)
class PilotWork:
    """The work of a run: what is asked, about which images, and what is trained."""

    question: Question
    context: Context
    plan: Plan
    shorter: tuple[RunSpec, ...]
    notes: list[str]


def prepare(options: PilotOptions, display: ProgressDisplay) -> PilotWork:
    """Read the images and plan the training."""
    torch_facts(options.device.device, "pilot")
    from ..pilot.training import default_sizes, shorter_runs  # lazy: torch
    from ..validation.network.plan import make_plan  # lazy: torch
    from ..validation.network.presets import PRESETS  # lazy: torch

    question, images = read_question(options, display)
    question = replace(question, sampler_steps=options.steps.one() or PRESETS[options.preset].sampler_steps)
    context = question.context(images, question.sigma_max)
    how: dict[str, Any] = {
        "repeats": options.repeats,
        "split": options.networks.split,
        "seed": question.seed,
        "groups": images.groups,
    }
    plan = make_plan(
        images.rows,
        question.shape,
        options.preset,
        archs=[options.arch],
        n=options.sizes.several(context.population) or default_sizes(len(images.rows), **how),
        seeds=question.seeds,
        sampler_steps=question.sampler_steps,
        steps=options.training.steps,
        training=options.training.settings,
        **how,
    )
    notes = warnings_about(options.data, images, options.networks.split)
    return PilotWork(question=question, context=context, plan=plan, shorter=shorter_runs(plan), notes=notes)


def train_and_fit(options: PilotOptions, work: PilotWork, display: ProgressDisplay) -> Pilot:
    """Train the networks that are missing, and fit what they show."""
    from ..pilot.training import train_pilots  # lazy: torch

    members = train_pilots(
        work.plan,
        work.context,
        options.kept,
        shorter=work.shorter,
        workers=options.training.workers,
        device=options.device.device,
        dask=options.training.dask,
        progress=display,
    )
    return assembled(
        work.question,
        work.context,
        members,
        display,
        networks=options.arch,
        steps=work.plan.runs[0].training.steps,
        notes=work.notes,
        preset=work.plan.preset,
    )


def write_results(directory: Path, pilot: Pilot, machine: Mapping[str, str], *, png: bool) -> None:
    """Write the report and its numbers into a folder."""
    from ..pilot.export import pilot_to_json  # lazy: torch
    from ..report import build, write  # lazy: matplotlib

    write(build(pilot, facts=machine), directory, png=png)
    numbers = pilot_to_json(pilot)
    write_json(directory / "pilot.json", {"format": PILOT_FORMAT, "version": machine["kappaflow"], **numbers})
