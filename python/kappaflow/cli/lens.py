"""``kappaflow lens``: what the mean and covariance of the data predict about a diffusion model, window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from rich.console import Console

from .._checks import FloatArray
from .._progress import StepReport, part_of
from ..models.errors import ModelError
from ..population import Population
from ..sampling import SIGMA_MIN
from .console import ProgressDisplay, errors_console, plain_line
from .loading import load_population, open_data, open_network, read_rows, require_independent
from .options import Data, RandomSeed, ReportResult, Sampling, SeedOption, Windows
from .options_models import NETWORK_FORMS, Device, TrainedNetwork
from .output import write_json
from .run import machine_facts, report_run, results_directory
from .signature import changed, takes_options

if TYPE_CHECKING:
    from ..models.rows import RowDenoiser
    from ..report.document import Section

LENS_FORMAT = "kappaflow-lens-1"
_SEEDS = 64


@dataclass(frozen=True)
class LensOptions:
    """The options of the command."""

    data: Data
    windows: Windows
    network: Annotated[
        TrainedNetwork,
        changed("network", help=f"Trained denoiser for the windows scores and teleport: {NETWORK_FORMS}."),
    ]
    sampling: Sampling
    seeds: Annotated[SeedOption, changed("seeds", metavar="COUNT", help="Number of seeds for teleport, 2 to 100000.")]
    seed: RandomSeed
    device: Annotated[Device, changed("device", help="Device for the network: cpu, cuda or cuda:<number>.")]
    result: Annotated[ReportResult, changed("out", shown="kappaflow-lens-<name of the data>")]

    @property
    def seed_count(self) -> int:
        """As given, or the default."""
        count = self.seeds.count(2)
        return _SEEDS if count is None else count

    def as_json(self) -> dict[str, Any]:
        """For options.json."""
        return {
            **self.data.as_json(),
            "profiles": None if self.data.is_population else 0,
            "windows": self.windows.names(),
            "network": self.network.network,
            "label": self.network.label,
            "sigma_max": self.sampling.sigma_max,
            "images": self.windows.images,
            "seeds": self.seed_count,
            "seed": self.seed.seed,
        }


@takes_options()
def command(options: LensOptions) -> None:
    """Look at diffusion models through the mean and covariance of the data: scores, trajectory, receptive field, architecture,
    learning order and teleport.

    Writes report.html, its figures, tables as CSV, lens.json and options.json.

    Example: kappaflow lens digits scores teleport --seeds 32
    """
    data, windows = options.data, options.windows
    left_out = _without_images(windows.names(), options.network.network) if data.is_population else {}
    if left_out and windows.windows:
        raise ValueError(
            f"{next(iter(left_out))} {next(iter(left_out.values()))}; got the saved population {data.data!r}"
        )
    shown = [name for name in windows.names() if name not in left_out]
    directory = results_directory(f"kappaflow-lens-{data.name}", options.as_json(), options.result)
    with report_run("lens", directory, quiet=options.result.quiet, machine=machine_facts()) as run:
        material = _read(options, shown, run.display)
        made, refused = _look(material, shown, bool(windows.windows), run.display)
        left_out |= refused
        notes = [
            *_scale_notes(material.population, options.sampling.sigma_max),
            *(f"{name} {reason}." for name, reason in left_out.items()),
        ]
        png = options.result.png
        run.write(lambda folder: _write(folder, made, data.name, material.population, notes, run.machine, png=png))
        run.summary = lambda console: _print_windows(console, made, left_out)


def _without_images(asked: Sequence[str], network: str | None) -> dict[str, str]:
    """Windows that need more than a population, and why."""
    reasons = {}
    if "scores" in asked:
        reasons["scores"] = "needs images, to fit scores and to test them"
    if "teleport" in asked and network is None:
        reasons["teleport"] = "needs images, or a --network"
    return reasons


def _read(options: LensOptions, shown: Sequence[str], display: ProgressDisplay) -> _Material:
    """What the windows are made of."""
    data, network, seed = options.data, options.network.network, options.seed.seed
    require_independent(data, "kappaflow lens")
    population = load_population(data, None, display)
    denoiser = None if network is None else open_network(options.network, population, options.device.device)
    rows = None
    if not data.is_population and ("scores" in shown or ("teleport" in shown and network is None)):
        source = open_data(data)
        most_bytes = 8 * source.dimension * options.windows.images
        rows = read_rows(data, source, most_bytes, seed, display).rows
    return _Material(
        population=population,
        rows=rows,
        network=denoiser,
        sigma_max=options.sampling.sigma_max,
        seeds=options.seed_count,
        seed=seed,
    )


def _look(
    material: _Material, shown: Sequence[str], asked_for: bool, progress: StepReport
) -> tuple[list[Section], dict[str, str]]:
    """The windows, and the reason for each that is left out. A window that cannot use the data raises only if it was named."""
    made: list[Section] = []
    refused: dict[str, str] = {}
    for position, name in enumerate(shown):
        part = part_of(progress, position / len(shown), (position + 1) / len(shown))
        part(name, 0.0)
        try:
            made.append(_MAKERS[name](material, part))
        except ModelError:
            raise
        except ValueError as error:
            if asked_for or (name == shown[-1] and not made):
                raise ValueError(f"{name}: {error}") from error
            refused[name] = f"cannot be computed for these data: {error}"
    return made, refused


def _scale_notes(population: Population, sigma_max: float) -> list[str]:
    """A warning if the noise levels of the sampler do not cover the data."""
    spread = float(np.sqrt(population.total_variance / population.dimension))
    if SIGMA_MIN * 10 <= spread <= sigma_max / 4:
        return []
    return [
        f"The root mean square of the data about their mean, {spread:.3g}, is not well inside the noise levels of the sampler, "
        f"{SIGMA_MIN:g} to {sigma_max:g}. The results on samples are those of a sampler that does not fit these data."
    ]


# --- windows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Material:
    """What the windows are made of."""

    population: Population
    rows: FloatArray | None
    network: RowDenoiser | None
    sigma_max: float
    seeds: int
    seed: int


def _scores(material: _Material, progress: StepReport) -> Section:
    from ..lens.scores import scores_study  # lazy: a quick start
    from ..report.lens.scores import section  # lazy: matplotlib

    study = scores_study(
        material.rows,
        material.population.shape,
        network=material.network,
        sigma_max=material.sigma_max,
        seed=material.seed,
        progress=progress,
    )
    return section(study)


def _trajectory(material: _Material, _progress: StepReport) -> Section:
    from ..lens.trajectories import trajectories_study  # lazy: a quick start
    from ..report.lens.trajectories import section  # lazy: matplotlib

    return section(trajectories_study(material.population, sigma_max=material.sigma_max, seed=material.seed))


def _receptive_field(material: _Material, _progress: StepReport) -> Section:
    from ..lens.receptive_field import receptive_field_study  # lazy: a quick start
    from ..report.lens.receptive_field import section  # lazy: matplotlib

    return section(receptive_field_study(material.population))


def _architecture(material: _Material, _progress: StepReport) -> Section:
    from ..lens.architecture import architecture_study  # lazy: a quick start
    from ..report.lens.architecture import section  # lazy: matplotlib

    return section(architecture_study(material.population, sigma_max=material.sigma_max, seed=material.seed))


def _learning(material: _Material, _progress: StepReport) -> Section:
    from ..lens.learning import NoiseRange, learning_study  # lazy: a quick start
    from ..report.lens.learning import section  # lazy: matplotlib

    return section(learning_study(material.population, noise=NoiseRange(sigma_max=material.sigma_max)))


def _teleport(material: _Material, progress: StepReport) -> Section:
    from ..lens.teleport import NamedDenoiser, mixture_of_data, teleport_study  # lazy: a quick start
    from ..report.lens.teleport import section  # lazy: matplotlib

    if material.network is not None:
        chosen = NamedDenoiser(material.network, "the network")
    else:
        assert material.rows is not None  # otherwise the window is left out
        progress("fitting Gaussians", 0.0)
        chosen = mixture_of_data(material.rows, seed=material.seed)
    study = teleport_study(
        chosen.denoiser,
        material.population,
        name=chosen.name,
        seeds=material.seeds,
        sigma_max=material.sigma_max,
        seed=material.seed,
        progress=progress,
    )
    return section(study)


_MAKERS: Mapping[str, Callable[[_Material, StepReport], Section]] = {
    "scores": _scores,
    "trajectory": _trajectory,
    "receptive-field": _receptive_field,
    "architecture": _architecture,
    "learning": _learning,
    "teleport": _teleport,
}


# --- results ----------------------------------------------------------------------------------------------------------


def _write(
    directory: Path,
    made: Sequence[Section],
    name: str,
    population: Population,
    notes: Sequence[str],
    machine: Mapping[str, str],
    *,
    png: bool,
) -> None:
    from ..report import write  # lazy: matplotlib
    from ..report.lens import build  # lazy: matplotlib

    document = build(made, source=name, population=_described(population), notes=notes, facts=machine)
    write(document, directory, png=png)
    content = {
        "format": LENS_FORMAT,
        "version": machine["kappaflow"],
        "source": name,
        "population": _described(population),
        "notes": list(notes),
        "windows": {
            window.name: {
                "findings": list(window.takeaways),
                "figures": [picture.name for picture in window.pictures],
                "tables": [table.name for table in window.tables],
            }
            for window in made
        },
    }
    write_json(directory / "lens.json", content)


def _described(population: Population) -> str:
    """The population in a sentence."""
    size = population.sample_size
    origin = "a covariance that is given" if size is None else f"{size:,} samples"
    rank = int(np.count_nonzero(population.eigenvalues))
    sides = " × ".join(map(str, population.shape))
    return (
        f"{sides} values ({population.dimension:,} in all) from {origin}: {rank:,} modes have variance, the largest "
        f"{population.eigenvalues[0]:.4g}; the total variance is {population.total_variance:.4g}."
    )


def _print_windows(console: Console, made: Sequence[Section], left_out: Mapping[str, str]) -> None:
    for window in made:
        plain_line(console, window.title, "bold")
        for sentence in window.takeaways:
            plain_line(console, f"  {sentence}")
    for name, reason in left_out.items():
        plain_line(errors_console(), f"left out: {name} {reason}", "yellow")
