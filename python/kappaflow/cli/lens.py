"""``kappaflow lens``: what mean and covariance of the data say of a diffusion model, window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console

from .._checks import FloatArray, choice
from ..datasets.memory import collect_rows
from ..population import Population
from ..sampling import SIGMA_MIN
from .common import (
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
    data_name,
    errors_console,
    guarded,
    interrupted,
    load_population,
    machine_facts,
    open_data,
    output_console,
    plain_line,
    step_progress,
)
from .output import OutputDirectory, write_json

if TYPE_CHECKING:
    from ..models.rows import RowDenoiser
    from ..report.document import Section

LENS_FORMAT = "kappaflow-lens-1"
WINDOWS = ("scores", "trajectory", "receptive-field", "architecture", "learning", "teleport")
#: Images that scores are fitted to and judged on, at most.
_IMAGES = 16_384
_COMPONENTS = 10
Told = Callable[[str, float], None]


@guarded
def command(
    data: DataArgument,
    windows: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WINDOWS]", help=f"{', '.join(WINDOWS)}.", show_default="all that the data allow"),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A trained denoiser to look at in scores and teleport: a checkpoint of this program, the folder of a "
            "diffusers pipeline, or module:function that returns D(x, sigma).",
            show_default="none",
        ),
    ] = None,
    sigma_max: SigmaMaxOption = 80.0,
    images: Annotated[int, typer.Option(min=40, help="Images for scores and teleport, at most.")] = _IMAGES,
    seeds: Annotated[int, typer.Option(min=2, max=100_000, help="Seeds of teleport.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="Of the network: cpu, cuda or cuda:<number>.")] = "cpu",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the results.", show_default="kappaflow-lens-<name of the data>"),
    ] = None,
    patch: PatchOption = None,
    grey: GreyOption = False,
    size: SizeOption = None,
    limit: LimitOption = None,
    shape: ShapeOption = None,
    skip_corrupt: SkipOption = False,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Look at diffusion models through mean and covariance of the data: scores, trajectory, receptive field, architecture,
    learning dynamics and teleport.

    Writes report.html, its figures, tables as CSV, lens.json and options.json.
    """
    source = DataOptions(data, patch, grey, size, limit, shape, skip_corrupt, profiles=None if _saved(data) else 0)
    asked = [choice("WINDOWS", name, WINDOWS) for name in dict.fromkeys(windows or WINDOWS)]
    left_out = _without_images(asked, network) if source.is_population else {}
    if left_out and windows:
        raise ValueError(f"{next(iter(left_out))} {next(iter(left_out.values()))}; got the saved population {data!r}")
    options = {
        **source.as_json(), "windows": asked, "network": network, "sigma_max": sigma_max, "images": images, "seeds": seeds,
        "seed": seed,
    }  # fmt: skip
    name = data_name(data)
    directory = OutputDirectory(Path(f"kappaflow-lens-{name}") if out is None else out, options, overwrite=overwrite)
    if directory.replaces is not None:
        plain_line(errors_console(), directory.replaces)
    facts: dict[str, Any] = {"command": "lens", "machine": machine_facts()}
    try:
        with directory.staged(facts) as staging:
            population = load_population(source, quiet=quiet)
            with step_progress(quiet) as progress:
                progress("reading", 0.0)
                denoiser = None if network is None else _open_network(network, population, device)
                shown = [one for one in asked if one not in left_out]
                rows = (
                    None if source.is_population or not _needs_images(shown, network) else _rows(source, images, seed)
                )
                made: list[Section] = []
                for place, one in enumerate(shown):
                    told = _within(progress, place, len(shown))
                    told(one, 0.0)
                    try:
                        made.append(_MAKERS[one](_Given(population, rows, denoiser, sigma_max, seeds, seed), told))
                    except ValueError as error:  # data that one window refuses leave the others
                        if windows or (one == shown[-1] and not made):
                            raise ValueError(f"{one}: {error}") from error
                        left_out[one] = f"is not for these data: {error}"
                progress("writing the report", 1.0)
                notes = [
                    *_scale_notes(population, sigma_max),
                    *(f"{key} {reason}." for key, reason in left_out.items()),
                ]
                _write(staging, made, name, population, notes, facts["machine"])
    except KeyboardInterrupt:
        raise interrupted("nothing was written") from None
    console = output_console()
    if not quiet:
        for window in made:
            _print_window(console, window)
        for key, reason in left_out.items():
            plain_line(errors_console(), f"left out: {key} {reason}", "yellow")
    plain_line(console, str(directory.given / "report.html"))


def _saved(data: str) -> bool:
    return DataOptions(data).is_population


def _without_images(asked: Sequence[str], network: str | None) -> dict[str, str]:
    """Windows that a population alone cannot fill, and why."""
    found = {}
    if "scores" in asked:
        found["scores"] = "needs images, to fit scores to and to judge them on"
    if "teleport" in asked and network is None:
        found["teleport"] = "needs images, or a --network"
    return found


def _needs_images(shown: Sequence[str], network: str | None) -> bool:
    return "scores" in shown or ("teleport" in shown and network is None)


def _rows(source: DataOptions, images: int, seed: int) -> FloatArray:
    """A random subset of the images as rows."""
    opened = open_data(source)
    rows, _ = collect_rows(
        opened.batches(),
        dimension=opened.dimension,
        count=opened.count,
        most_bytes=8 * opened.dimension * images,
        seed=seed,
    )
    return rows


def _open_network(name: str, population: Population, device: str) -> RowDenoiser:
    """A denoiser of rows by name, asked once so that a wrong shape is told before anything is computed."""
    try:
        from ..models.adapters import open_denoiser  # lazy: torch
        from ..models.devices import resolve_device  # lazy: torch
        from ..models.layout import rows_denoiser  # lazy: torch
    except ImportError as error:
        raise ImportError('--network needs PyTorch: pip install "kappaflow[networks]"') from error
    resolve_device(device)
    denoiser = rows_denoiser(open_denoiser(name, device=device), population.shape, device=device)
    probe = population.mean[None] + np.random.default_rng(0).standard_normal((1, population.dimension))
    try:
        answer = denoiser(probe, 1.0)
    except Exception as error:  # networks raise whatever their parts raise
        raise ValueError(
            f"--network: {name!r} does not answer for images of shape {population.shape}: {error}"
        ) from error
    if answer.shape != probe.shape or not np.isfinite(answer).all():
        raise ValueError(f"--network: {name!r} must answer with finite images of shape {population.shape}")
    return denoiser


def _within(progress: Told, place: int, count: int) -> Told:
    """Progress of one window as part of all."""
    return lambda step, fraction: progress(step, (place + fraction) / count)


def _scale_notes(population: Population, sigma_max: float) -> list[str]:
    """What to know where the sampler's noise levels do not cover the data."""
    spread = float(np.sqrt(population.total_variance / population.dimension))
    if SIGMA_MIN * 10 <= spread <= sigma_max / 4:
        return []
    return [
        f"The root mean square of the data about their mean, {spread:.3g}, is not well inside of the noise levels of the sampler, "
        f"{SIGMA_MIN:g} to {sigma_max:g}: what is said of samples is said of a sampler that does not fit these data."
    ]


# --- windows ----------------------------------------------------------------------------------------------------------


class _Given:
    """What the windows are made of."""

    def __init__(
        self,
        population: Population,
        rows: FloatArray | None,
        network: RowDenoiser | None,
        sigma_max: float,
        seeds: int,
        seed: int,
    ) -> None:
        self.population, self.rows, self.network = population, rows, network
        self.sigma_max, self.seeds, self.seed = sigma_max, seeds, seed


def _scores(given: _Given, told: Told) -> Section:
    from ..lens.scores import scores_study  # lazy: a quick start
    from ..report.lens.scores import section  # lazy: matplotlib

    return section(
        scores_study(
            given.rows, given.population.shape, network=given.network, sigma_max=given.sigma_max, seed=given.seed,
            progress=told,
        )
    )  # fmt: skip


def _trajectory(given: _Given, _told: Told) -> Section:
    from ..lens.trajectories import trajectories_study  # lazy: a quick start
    from ..report.lens.trajectories import section  # lazy: matplotlib

    return section(trajectories_study(given.population, sigma_max=given.sigma_max, seed=given.seed))


def _receptive_field(given: _Given, _told: Told) -> Section:
    from ..lens.receptive_field import receptive_field_study  # lazy: a quick start
    from ..report.lens.receptive_field import section  # lazy: matplotlib

    return section(receptive_field_study(given.population))


def _architecture(given: _Given, _told: Told) -> Section:
    from ..lens.architecture import architecture_study  # lazy: a quick start
    from ..report.lens.architecture import section  # lazy: matplotlib

    return section(architecture_study(given.population, sigma_max=given.sigma_max, seed=given.seed))


def _learning(given: _Given, _told: Told) -> Section:
    from ..lens.learning import NoiseRange, learning_study  # lazy: a quick start
    from ..report.lens.learning import section  # lazy: matplotlib

    return section(learning_study(given.population, noise=NoiseRange(sigma_max=given.sigma_max)))


def _teleport(given: _Given, told: Told) -> Section:
    from ..lens.teleport import teleport_study  # lazy: a quick start
    from ..models.scores import MixtureScore  # lazy: a quick start
    from ..report.lens.teleport import section  # lazy: matplotlib

    denoiser, name = given.network, "the network"
    if denoiser is None:
        assert given.rows is not None  # otherwise the window is left out
        count = max(1, min(_COMPONENTS, len(given.rows) // 20))
        told(f"fitting {count} Gaussians", 0.0)
        denoiser = MixtureScore.fit(given.rows, count, seed=given.seed)
        name = f"the exact denoiser of {count} Gaussians fitted to the data"
    return section(
        teleport_study(
            denoiser, given.population, name=name, seeds=given.seeds, sigma_max=given.sigma_max, seed=given.seed, progress=told
        )
    )  # fmt: skip


_MAKERS: Mapping[str, Callable[[_Given, Told], Section]] = {
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
) -> None:
    from ..report.lens import build  # lazy: matplotlib
    from ..report.write import write  # lazy: matplotlib

    write(build(made, source=name, population=_described(population), notes=notes, facts=machine), directory)
    content = {
        "format": LENS_FORMAT,
        "version": machine["kappaflow"],
        "source": name,
        "population": _described(population),
        "notes": list(notes),
        "windows": {
            window.name: {
                "findings": list(window.takeaways),
                "figures": [one.name for one in window.pictures],
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
        f"{sides} values, {population.dimension:,} in all, from {origin}: {rank:,} modes with variance, the largest "
        f"{population.eigenvalues[0]:.4g}, the total {population.total_variance:.4g}."
    )


def _print_window(console: Console, window: Section) -> None:
    plain_line(console, window.title, "bold")
    for sentence in window.takeaways:
        plain_line(console, f"  {sentence}")
