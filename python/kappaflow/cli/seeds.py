"""``kappaflow seeds``: which seeds give nearly the same image whatever the training set."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from rich.console import Console
from rich.table import Table

from .._checks import FloatArray
from ..consistency.law_choice import choose_law
from ..laws import Work
from ..sampling import initial_noise
from ..splits import Splits
from .console import ProgressDisplay, print_notes
from .loading import load_population, require_seeds_fit
from .options import Data, JsonResult, Law, Profiles, Ranking, Sampling, Seeds, Sizes
from .run import check_json, print_result
from .signature import REQUIRED, changed, takes_options

SEEDS_FORMAT = "kappaflow-seeds-1"


@takes_options()
def command(
    data: Data,
    sizes: Annotated[
        Sizes,
        changed("n", default=REQUIRED, metavar="SIZE", help="Number of images in each training set, such as 1000."),
    ],
    seeds: Seeds,
    ranking: Ranking,
    sampling: Sampling,
    law: Law,
    profiles: Profiles,
    result: JsonResult,
) -> None:
    """Rank seeds by how much two linear models, trained on independent sets of n images, are predicted to disagree on them.

    Example: kappaflow seeds digits --n 1000 --seeds 256
    """
    n, numbers = sizes.one(), np.array(seeds.numbers(), dtype=np.int64)
    assert n is not None  # required
    check_json(result)
    with ProgressDisplay(quiet=result.quiet) as display:
        population = load_population(data, profiles, display, law)
    require_seeds_fit(numbers.size, population)
    work = Work.of(population, seeds=numbers.size)
    chosen = choose_law(population, law.law, sigma_max=sampling.sigma_max, work=work)
    splits = Splits(population, n, law=chosen.law)
    f = splits.sampling_map(0.0, sampling.sigma_max)
    values = splits.disagreement(f, initial_noise(numbers.tolist(), population.dimension, sampling.sigma_max))
    average = float(splits.mean_disagreement(f, input_sigma=sampling.sigma_max))
    order = np.argsort(values, kind="stable")
    content = {
        "format": SEEDS_FORMAT,
        "source": data.name,
        "n": n,
        "sigma_max": sampling.sigma_max,
        "law": chosen.law,
        "law_reason": chosen.reason,
        "mean_disagreement": average,
        "seeds": numbers[order].tolist(),
        "disagreement": values[order].tolist(),
    }

    def print_tables(console: Console) -> None:
        title = f"{data.name}, n = {n:,}: seeds by disagreement of two linear models, most consistent first"
        console.print(_table(title, numbers[order], values[order], average, ranking.top))
        print_notes(console, [chosen.reason], "law")

    print_result(result, content, print_tables)


def _table(title: str, seeds: np.ndarray, values: FloatArray, average: float, top: int) -> Table:
    """The first and the last `top` of the ranked seeds."""
    table = Table(title=title, title_justify="left")
    for heading in ("rank", "seed", "disagreement", "relative to the mean over all seeds"):
        table.add_column(heading, justify="right")
    for rank in _ranks(len(seeds), top):
        if rank is None:
            table.add_row("…", "…", "…", "…")
        else:
            table.add_row(str(rank + 1), str(seeds[rank]), f"{values[rank]:.4g}", f"{values[rank] / average:.3f}")
    return table


def _ranks(count: int, top: int) -> list[int | None]:
    """The first and the last `top` ranks, None for the gap between."""
    if count <= 2 * top:
        return list(range(count))
    return [*range(top), None, *range(count - top, count)]
