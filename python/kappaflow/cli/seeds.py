"""``kappaflow seeds``: which seeds give nearly the same image whatever the training set."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from ..consistency.diagnosis import AUTO, choose_law
from ..sampling import initial_noise
from ..splits import Splits
from .common import (
    DataArgument,
    DataOptions,
    GreyOption,
    JsonOption,
    LawOption,
    LimitOption,
    OverwriteOption,
    PatchOption,
    ProfilesOption,
    QuietOption,
    SeedsOption,
    ShapeOption,
    SigmaMaxOption,
    SizeOption,
    SkipOption,
    check_law,
    data_name,
    guarded,
    load_population,
    output_console,
    parse_seeds,
    parse_sizes,
    plain_line,
    print_reason,
    require_seeds_fit,
)
from .output import check_file, write_json

SEEDS_FORMAT = "kappaflow-seeds-1"


@guarded
def command(
    data: DataArgument,
    n: Annotated[str, typer.Option(metavar="SIZE", help="Training-set size.", show_default=False)],
    seeds: SeedsOption = "64",
    top: Annotated[int, typer.Option(min=1, help="Seeds to show at each end.")] = 10,
    sigma_max: SigmaMaxOption = 80.0,
    law: LawOption = AUTO,
    json: JsonOption = None,
    patch: PatchOption = None,
    grey: GreyOption = False,
    size: SizeOption = None,
    limit: LimitOption = None,
    shape: ShapeOption = None,
    skip_corrupt: SkipOption = False,
    profiles: ProfilesOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Rank seeds by the predicted disagreement of two models trained on independent sets of n images."""
    sizes, numbers = parse_sizes([n]), np.array(parse_seeds(seeds), dtype=np.int64)
    if sizes is None or len(sizes) != 1:
        raise ValueError(f"--n must be one training-set size, got {n!r}")
    if json is not None:
        check_file("--json", json, overwrite=overwrite)
    check_law(law)
    population = load_population(
        DataOptions(data, patch, grey, size, limit, shape, skip_corrupt, profiles), quiet=quiet
    )
    require_seeds_fit(numbers.size, population)
    chosen = choose_law(population, law, sigma_max=sigma_max)
    splits = Splits(population, sizes[0], law=chosen.law)
    f = splits.sampling_map(0.0, sigma_max)
    values = splits.disagreement(f, initial_noise(numbers.tolist(), population.dimension, sigma_max))
    average = float(splits.mean_disagreement(f, input_sigma=sigma_max))
    order = np.argsort(values, kind="stable")
    if json is not None:
        content = {
            "format": SEEDS_FORMAT,
            "source": data_name(data),
            "n": sizes[0],
            "sigma_max": sigma_max,
            "law": chosen.law,
            "law_reason": chosen.reason,
            "mean_disagreement": average,
            "seeds": numbers[order].tolist(),
            "disagreement": values[order].tolist(),
        }
        write_json(json, content)
    console = output_console()
    if not quiet:
        title = f"{data_name(data)}, n = {sizes[0]:,}: seeds by disagreement, most consistent first"
        table = Table(title=title, title_justify="left")
        for heading in ("rank", "seed", "disagreement", "of the mean over all seeds"):
            table.add_column(heading, justify="right")
        for rank in _ranks(order.size, top):
            if rank is None:
                table.add_row("…", "…", "…", "…")
                continue
            value = values[order[rank]]
            table.add_row(str(rank + 1), str(numbers[order[rank]]), f"{value:.4g}", f"{value / average:.3f}")
        console.print(table)
        print_reason(console, chosen.reason)
    if json is not None:
        plain_line(console, str(json))


def _ranks(count: int, top: int) -> list[int | None]:
    """The first and the last `top` ranks, None for the gap between."""
    if count <= 2 * top:
        return list(range(count))
    return [*range(top), None, *range(count - top, count)]
