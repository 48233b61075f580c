"""``kappaflow plan``: how many images are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.table import Table

from ..bands import Band
from ..consistency.classes import classes_to_json
from ..consistency.law_choice import choose_law
from ..consistency.needed import images_needed, search_work
from ..consistency.network_words import network_words, pilot_command
from ..identified import largest_n, ways_out
from ..population import Population
from ..sample_size import LARGEST_N, SampleSize
from .class_tables import answers_if_wanted, print_classes
from .console import ProgressDisplay, print_networks, print_notes
from .errors import options_as_typed
from .loading import IMAGE_BYTES, load_by_class, open_data, read_rows, require_no_flip
from .network_plan import torch_facts
from .options import BandOption, Data, JsonResult, LawOption, Profiles, Sampling, Tolerance, as_typed
from .options_classes import ByClass
from .options_models import Device
from .options_validate import TRAINED_PANEL
from .parsing import chosen_bands, format_over
from .pilot_trained import Question, TrainedNetworks, print_pilot
from .run import check_json, print_result
from .signature import changed, takes_options

if TYPE_CHECKING:
    from ..pilot.results import Pilot

PLAN_FORMAT = "kappaflow-plan-1"
_ALL = "all modes"


@takes_options()
def command(
    data: Data,
    by: ByClass,
    tolerance: Tolerance,
    bands: BandOption,
    sampling: Sampling,
    law: LawOption,
    profiles: Profiles,
    trained: Annotated[
        TrainedNetworks,
        changed(
            "runs",
            shown="none",
            rich_help_panel=TRAINED_PANEL,
            help="Folder with networks that 'kappaflow pilot' or 'kappaflow validate network' trained on parts of DATA. The "
            "answer is then also for such networks.",
        ),
    ],
    device: Device,
    result: JsonResult,
) -> None:
    """Find the smallest n at which two linear models agree to a tolerance, for each eigenband and in total.

    With --runs or --observed, also the n at which two networks agree, as those that are trained already say.

    Example: kappaflow plan digits --tolerance 0.05
    """
    wanted = bands.wanted()
    check_json(result)
    pilot = _pilot(data, tolerance, sampling, profiles, trained, device, result) if trained.given else None
    with ProgressDisplay(quiet=result.quiet) as display:
        population, classes = load_by_class(data, by, profiles, display, law)
        modes = len(population.eigenvalues)
        ranges = [*chosen_bands(wanted, modes), Band(0, modes)]
        labels = [*(band.label for band in ranges[:-1]), _ALL]
        display("which law", 0.0)
        chosen = choose_law(population, law.law, sigma_max=sampling.sigma_max, work=search_work(population))
        needed = images_needed(
            population,
            ranges,
            sampling.sigma_max,
            tolerance.tolerance,
            law=chosen.law,
            progress=lambda done: display("images needed", done / len(ranges)),
        )
        answers = answers_if_wanted(classes, chosen.law, sampling, law, tolerance, bands, display)
    largest, total = largest_n(population), needed[-1]
    asked = [*data.as_typed(), *as_typed(sampling), *as_typed(tolerance)]
    networks = network_words(None if total is None else total.n, pilot_command(asked, population.shape))
    content = {
        "format": PLAN_FORMAT,
        "source": data.name,
        "measure": "relative_disagreement",
        "tolerance": tolerance.tolerance,
        "sigma_max": sampling.sigma_max,
        "law": chosen.law,
        "law_reason": chosen.reason,
        **_counted(population),
        "largest_n": largest,
        "bands": [_row(*row) for row in zip(labels[:-1], ranges[:-1], needed[:-1], strict=True)],
        "total": _row(_ALL, None, total),
        "networks": networks.as_json(),
    }
    if answers is not None:
        content |= {"classes": classes_to_json(answers)}
    if pilot is not None:
        content |= {"pilot": _pilot_to_json(pilot)}

    def print_tables(console: Console) -> None:
        console.print(_table(data.name, tolerance.tolerance, labels, needed, largest, population.group_size))
        if population.sample_size is not None and largest < LARGEST_N:
            limit = ways_out(population.sample_size, population.shape, options=True)
            print_notes(console, [options_as_typed(limit, {"size": "--size", "grey": "--grey"})], "limit")
        print_classes(console, answers)
        print_notes(console, [chosen.reason], "law")
        if pilot is None:
            print_networks(console, networks, networks.warning, networks.measured, networks.floor)
        else:
            print_pilot(console, pilot)

    print_result(result, content, print_tables)


def _counted(population: Population) -> dict[str, object]:
    """What n counts."""
    groups = population.group_count if population.group_size > 1 else None
    return {"images": population.sample_size, "group_count": groups, "versions": population.versions}


def _pilot(
    data: Data,
    tolerance: Tolerance,
    sampling: Sampling,
    profiles: Profiles,
    trained: TrainedNetworks,
    device: Device,
    result: JsonResult,
) -> Pilot:
    """What the networks say that are trained already."""
    if data.is_population:
        raise ValueError(f"DATA must be images with --runs or --observed, got the saved population {data.data!r}")
    require_no_flip(data, "kappaflow plan with --runs or --observed")
    torch_facts(device.device, "plan with --runs or --observed")
    with ProgressDisplay(quiet=result.quiet) as display:
        source = open_data(data, display)
        images = read_rows(data, source, data.image_bytes(IMAGE_BYTES), 0, display)
        question = Question(
            source=data.name,
            provenance=source.provenance,
            shape=source.shape,
            tolerance=tolerance.tolerance,
            sigma_max=sampling.sigma_max,
            profiles=profiles.count,
            device=device.device,
        )
        return trained.pilot(question, images, display)


def _pilot_to_json(pilot: Pilot) -> dict[str, object]:
    from ..pilot.export import pilot_to_json  # lazy: torch

    numbers = pilot_to_json(pilot)
    return {name: numbers[name] for name in ("networks", "n", "needed", "fit", "sizes", "curve", "notes")}


def _table(
    name: str,
    tolerance: float,
    labels: Sequence[str],
    needed: Sequence[SampleSize | None],
    largest: int,
    group_size: float,
) -> Table:
    title = f"{name}: images for a relative disagreement of two linear models of at most {tolerance:g}"
    table = Table(title=title, title_justify="left")
    table.add_column("band")
    grouped = group_size > 1
    for heading in ("images", *(("groups",) if grouped else ()), "relative disagreement", "with one image less"):
        table.add_column(heading, justify="right")
    for label, answer in zip(labels, needed, strict=True):
        if answer is None:
            table.add_row(label, format_over(largest))
            continue
        below = "" if answer.value_below is None else f"{answer.value_below:.6g}"
        groups = [f"{answer.n / group_size:.3g}"] if grouped else []
        table.add_row(label, f"{answer.n:,}", *groups, f"{answer.value:.6g}", below)
    return table


def _row(label: str, band: Band | None, answer: SampleSize | None) -> dict[str, object]:
    """One band for JSON."""
    row: dict[str, object] = {"label": label}
    if band is not None:
        row |= {"start": band.start, "stop": band.stop}
    for name in ("n", "value", "n_below", "value_below"):
        row[name] = None if answer is None else getattr(answer, name)
    return row
