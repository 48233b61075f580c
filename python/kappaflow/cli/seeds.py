"""``kappaflow seeds``: the seeds whose image changes most, and least, when a model is trained again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from .._checks import FloatArray
from .._files import write_bytes
from ..consistency.law_choice import choose_law
from ..consistency.network_words import (
    NETWORK_POSTERIOR_CORRELATION,
    NETWORK_POSTERIOR_TEXTURES,
    NETWORK_SEED_CEILING,
    network_words,
    pilot_command,
)
from ..identified import require_determined
from ..laws import Work
from ..models.image_weights import LEAST_IMAGES, NoPosteriorError
from ..models.posterior import posterior_variance
from ..population import Population
from ..sample_size import require_training_sets
from ..sampling import initial_noise
from ..splits import Splits
from .console import ProgressDisplay, output_console, plain_line, print_networks, print_notes
from .errors import WritingError, error_line
from .loading import NoProfilesError, load_population, open_network, require_profiles, require_seeds_fit
from .network_order import NetworkOrder
from .noise import read_noise
from .options import Data, JsonResult, LawOption, Profiles, Ranking, Sampling, SeedOption, as_typed
from .options_groups import Sizes
from .options_models import NETWORK_FORMS, Device, TrainedNetwork
from .output import check_file, write_or_keep
from .run import check_json, json_to_stdout, print_result
from .signature import changed, takes_options

SEEDS_FORMAT = "kappaflow-seeds-1"
_NETWORK_NOTE = (
    "The order is predicted from the posterior variance of your images: how far apart the images lie that explain a noisy state "
    "of the seed equally well. It is an order and not an amount, and no network was run. For small UNets and DiTs, its rank "
    f"correlation with the disagreement of single pairs was {NETWORK_POSTERIOR_CORRELATION[0]:g} to "
    f"{NETWORK_POSTERIOR_CORRELATION[1]:g} on digits, letters and photographs and {NETWORK_POSTERIOR_TEXTURES[0]:g} to "
    f"{NETWORK_POSTERIOR_TEXTURES[1]:g} on textures; no predictor could be expected to exceed {NETWORK_SEED_CEILING[0]:g} to "
    f"{NETWORK_SEED_CEILING[1]:g}."
)


@dataclass(frozen=True)
class _Ranked:
    """Numbers of the seeds, their noise, and the word for them in tables."""

    numbers: npt.NDArray[np.int64]
    noise: FloatArray
    word: str


@dataclass(frozen=True)
class _Linear:
    """Disagreement of two linear models of n images."""

    n: int
    law: str
    reason: str
    values: FloatArray
    average: float


@takes_options({"denoiser": "--network"})
def command(
    data: Data,
    sizes: Annotated[
        Sizes,
        changed(
            "n",
            metavar="SIZE",
            shown="none",
            help="Number of images in each training set, such as 1000. With it, seeds are also ranked for two linear models.",
        ),
    ],
    seeds: SeedOption,
    ranking: Ranking,
    network: Annotated[
        TrainedNetwork,
        changed("network", help=f"Rank the seeds by a probe of this trained denoiser as well: {NETWORK_FORMS}."),
    ],
    device: Annotated[Device, changed("device", help="Device for the network: cpu, cuda or cuda:<number>.")],
    sampling: Sampling,
    law: LawOption,
    profiles: Profiles,
    result: JsonResult,
) -> None:
    """Rank seeds by how much their image will change when you train again: for networks, and with --n for linear models.

    Example: kappaflow seeds digits --n 1000 --seeds 256
    """
    typed = sizes.typed()
    if ranking.noise is not None and seeds.seeds is not None:
        raise ValueError("--seeds and --noise exclude each other: rank seeds, or the noise in a file")
    _check_files(result, ranking.ranked)
    required = typed is None or network.network is not None
    if required and not data.is_population and profiles.count < LEAST_IMAGES:
        raise ValueError(
            f"--profiles must be at least {LEAST_IMAGES} for the ranking for networks, got {profiles.count}"
        )
    numbers = seeds.numbers() if ranking.noise is None else []
    with ProgressDisplay(quiet=result.quiet) as display:
        population = load_population(data, profiles, display, law)
        require_seeds_fit(len(numbers), population)
        ranked = _ranked(population, numbers, ranking.noise, sampling.sigma_max)
        n = sizes.one(population)
        linear = None if n is None else _linear(population, n, ranked, law, sampling)
        networks, missing = _networks(population, data, ranked, sampling, required=required)
        if networks is not None and network.network is not None:
            opened = open_network(network, population, device.device)
            networks = networks.probed(opened, population, ranked.noise, sampling.sigma_max, display)
    words = network_words(n, pilot_command([*data.as_typed(), *as_typed(sampling)], population.shape))
    content = {
        "format": SEEDS_FORMAT,
        "source": data.name,
        "sigma_max": sampling.sigma_max,
        **_linear_facts(linear, ranked),
        "network_seeds": None if networks is None else _network_facts(networks, ranked),
        "networks": words.as_json(),
    }
    if ranking.ranked is not None and networks is None:
        raise ValueError(f"--write needs the ranking for networks: {missing}")

    def print_tables(console: Console) -> None:
        if networks is not None:
            console.print(_network_table(data, networks, ranked, ranking.top))
            print_notes(console, networks.notes(_NETWORK_NOTE), "order")
        elif missing:
            print_notes(console, [f"no ranking for networks: {missing}"])
        if linear is None:
            print_networks(console, words)
            return
        console.print()
        console.print(_linear_table(data, linear, ranked, ranking.top))
        print_notes(console, [linear.reason], "law")
        print_networks(console, words, words.warning, words.measured)

    try:
        if ranking.ranked is not None and networks is not None:
            _write_ranking(ranking.ranked, data, population, ranked, networks, sampling, ranking.noise)
    except WritingError:  # the other results are written all the same
        print_result(result, content, print_tables)
        raise
    print_result(result, content, print_tables)
    if ranking.ranked is not None and not json_to_stdout(result):
        plain_line(output_console(), str(ranking.ranked))


def _check_files(result: JsonResult, ranked: Path | None) -> None:
    """Claim the files before any work; raise an error if one cannot be written, or if both are the same."""
    if result.json is not None and ranked is not None and result.json.absolute() == ranked.absolute():
        raise ValueError(f"--write and --json must name two files, got {str(ranked)!r} for both")
    check_json(result)
    if ranked is not None:
        check_file("--write", ranked, overwrite=result.overwrite)


def _ranked(population: Population, numbers: Sequence[int], noise: Path | None, sigma_max: float) -> _Ranked:
    if noise is None:
        made = initial_noise(numbers, population.dimension, sigma_max)
        return _Ranked(np.array(numbers, dtype=np.int64), made, "seed")
    rows = read_noise(noise, population, sigma_max)
    return _Ranked(np.arange(len(rows)), rows, "row")


def _linear(population: Population, n: int, ranked: _Ranked, law: LawOption, sampling: Sampling) -> _Linear:
    work = Work.of(population, seeds=len(ranked.numbers))
    chosen = choose_law(population, law.law, sigma_max=sampling.sigma_max, work=work)
    require_training_sets(population, [n])
    require_determined(population, [n])
    splits = Splits(population, n, law=chosen.law)
    f = splits.sampling_map(0.0, sampling.sigma_max)
    return _Linear(
        n=n,
        law=chosen.law,
        reason=chosen.reason,
        values=splits.disagreement(f, ranked.noise),
        average=float(splits.mean_disagreement(f, input_sigma=sampling.sigma_max)),
    )


def _networks(
    population: Population, data: Data, ranked: _Ranked, sampling: Sampling, *, required: bool
) -> tuple[NetworkOrder | None, str]:
    """The ranking for networks; None and the reason, if the images cannot give one and `required` is false."""
    try:
        require_profiles(population, data, "the ranking for networks")
        return NetworkOrder(posterior_variance(population, ranked.noise, sigma_max=sampling.sigma_max)), ""
    except (NoProfilesError, NoPosteriorError) as error:
        if required:
            raise
        return None, error_line(error, {"sigma_max": "--sigma-max", "images": "the images of DATA"})


def _linear_facts(linear: _Linear | None, ranked: _Ranked) -> dict[str, Any]:
    """For JSON: most consistent first."""
    if linear is None:
        return {"n": None}
    order = np.argsort(linear.values, kind="stable")
    return {
        "n": linear.n,
        "law": linear.law,
        "law_reason": linear.reason,
        "mean_disagreement": linear.average,
        "seeds": ranked.numbers[order].tolist(),
        "disagreement": linear.values[order].tolist(),
    }


def _network_facts(networks: NetworkOrder, ranked: _Ranked) -> dict[str, Any]:
    """For JSON: those that change most first."""
    return {"seeds": ranked.numbers[networks.order].tolist(), **networks.facts()}


def _write_ranking(
    path: Path,
    data: Data,
    population: Population,
    ranked: _Ranked,
    networks: NetworkOrder,
    sampling: Sampling,
    noise: Path | None,
) -> None:
    """One line a seed, which ``numpy.loadtxt`` reads, below lines of explanation that begin with #."""
    size, scale = ", ".join(map(str, population.shape)), repr(sampling.sigma_max).removesuffix(".0")
    origin = (
        [f"# Rows are those of {noise.name}, counted from 0."]
        if noise is not None
        else [
            f"# Noise of a seed: {scale} * numpy.random.default_rng(seed).standard_normal({population.dimension}).reshape({size})",
            f"# (EDM with sigma_max = {scale}; divide by that for DDPM and flow models. Images have the shape {population.shape}.)",
        ]
    )
    title = "rows of noise" if noise is not None else "seeds"
    lines = [
        f"# {data.name}: {title} whose image is predicted to change most when a network is trained again come first.",
        f"# {networks.rule}",
        *origin,
        f"# {ranked.word} {' '.join(networks.values)}",
        *(
            " ".join([str(ranked.numbers[i]), *(f"{values[i]:.6g}" for values in networks.values.values())])
            for i in networks.order
        ),
    ]
    content = ("\n".join(lines) + "\n").encode("utf-8")
    write_or_keep("--write", path, lambda file: write_bytes(file, content))


def _network_table(data: Data, networks: NetworkOrder, ranked: _Ranked, top: int) -> Table:
    title = (
        f"{data.name}: seeds by how much their image is predicted to change when you train a network again, most first"
    )
    cells = networks.cells
    rows = [(str(ranked.numbers[i]), *(column[i] for column in cells.values())) for i in networks.order]
    return _table(title, (ranked.word, *cells), rows, top)


def _linear_table(data: Data, linear: _Linear, ranked: _Ranked, top: int) -> Table:
    title = f"{data.name}, n = {linear.n:,}: seeds by disagreement of two linear models, most consistent first"
    rows = [
        (str(ranked.numbers[i]), f"{linear.values[i]:.4g}", f"{linear.values[i] / linear.average:.3f}")
        for i in np.argsort(linear.values, kind="stable")
    ]
    return _table(title, (ranked.word, "disagreement", "relative to the mean over all seeds"), rows, top)


def _table(title: str, headings: Sequence[str], rows: Sequence[tuple[str, ...]], top: int) -> Table:
    """The first and the last `top` of the ranked seeds."""
    table = Table(title=title, title_justify="left")
    for heading in ("rank", *headings):
        table.add_column(heading, justify="right")
    for rank in _ranks(len(rows), top):
        table.add_row(*(["…"] * (1 + len(headings)) if rank is None else [str(rank + 1), *rows[rank]]))
    return table


def _ranks(count: int, top: int) -> list[int | None]:
    """The first and the last `top` ranks, None for the gap between."""
    if count <= 2 * top:
        return list(range(count))
    return [*range(top), None, *range(count - top, count)]
