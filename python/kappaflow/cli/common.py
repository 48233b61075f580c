"""What the commands share: errors, parsing of lists, options of the data, loading, facts of the machine."""

from __future__ import annotations

import functools
import os
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text
from typer.core import TyperCommand

from .._checks import choice
from .._core import ConvergenceError
from .._version import __version__
from ..bands import Band, resolve_bands
from ..consistency.diagnosis import AUTO, law_options
from ..datasets import BUILTIN_NAMES, ImageSource, open_images
from ..laws import REGISTRY
from ..moments import available_memory
from ..population import Population

__all__ = [
    "DEBUG_VARIABLE",
    "POPULATION_SUFFIX",
    "BandsOption",
    "DataArgument",
    "DataOptions",
    "GreyOption",
    "JsonOption",
    "LawOption",
    "LimitOption",
    "OverwriteOption",
    "PatchOption",
    "ProfilesOption",
    "QuietOption",
    "SeedsOption",
    "ShapeOption",
    "SigmaMaxOption",
    "SizeOption",
    "SizesCommand",
    "SkipOption",
    "ToleranceOption",
    "check_law",
    "chosen_bands",
    "data_name",
    "describe_error",
    "errors_console",
    "guarded",
    "interrupted",
    "load_population",
    "machine_facts",
    "open_data",
    "output_console",
    "over",
    "parse_bands",
    "parse_names",
    "parse_numbers",
    "parse_seeds",
    "parse_shape",
    "parse_sizes",
    "plain_line",
    "print_reason",
    "require_seeds_fit",
    "saved_population",
    "source_description",
    "step_progress",
]

DEBUG_VARIABLE = "KAPPAFLOW_DEBUG"
POPULATION_SUFFIX = ".safetensors"
USER_ERROR, INTERNAL_ERROR, INTERRUPTED = 2, 1, 130
#: What bad input raises; anything else is our own mistake.
USER_ERRORS = (ValueError, TypeError, OSError, MemoryError, ImportError, ConvergenceError)
LARGEST_SIZE = 10**12
DEFAULT_PROFILES = 8192
MOST_SEEDS = 10**6

P = ParamSpec("P")
R = TypeVar("R")

# --- consoles and errors ----------------------------------------------------------------------------------------------


def output_console() -> Console:
    """Console of the results, stdout."""
    return Console(highlight=False)


def errors_console() -> Console:
    """Console of progress, warnings and errors, stderr."""
    return Console(stderr=True, highlight=False)


def plain_line(console: Console, text: str, style: str | None = None) -> None:
    """Print one line as it is: not wrapped, no markup."""
    console.print(Text(" ".join(text.split("\n")), style=style or ""), soft_wrap=True)


def describe_error(error: BaseException) -> str:
    """One line for the reader, without errno."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def interrupted(what: str) -> typer.Exit:
    """Say what Ctrl-C leaves behind; raise the result."""
    plain_line(errors_console(), f"interrupted: {what}", "bold red")
    return typer.Exit(INTERRUPTED)


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """A command whose errors are one red line on stderr and an exit code: 2 bad input, 1 internal, 130 Ctrl-C."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise interrupted("nothing was written") from None
        except Exception as error:
            if os.environ.get(DEBUG_VARIABLE) == "1":
                raise
            message, code = describe_error(error), USER_ERROR
            if not isinstance(error, USER_ERRORS):
                code = INTERNAL_ERROR
                message = f"internal, {type(error).__name__}: {message} ({DEBUG_VARIABLE}=1 shows where)"
            plain_line(errors_console(), f"error: {message}", "bold red")
            raise typer.Exit(code) from None

    return run


# --- lists ------------------------------------------------------------------------------------------------------------


def _pieces(text: str) -> list[str]:
    return [piece for piece in re.split(r"[,\s]+", text.strip()) if piece]


def _size(text: str) -> int:
    """A training-set size; 1e5 and 100_000 are sizes too."""
    expected = f"--n must be whole numbers from 2 to {LARGEST_SIZE:.0e}, as 100,300 or --n 100 --n 300; got {text!r}"
    try:
        number = float(text)
    except ValueError:
        raise ValueError(expected) from None
    if not (2 <= number <= LARGEST_SIZE) or number != int(number):
        raise ValueError(expected)
    return int(number)


def parse_sizes(texts: Sequence[str] | None) -> list[int] | None:
    """Sorted sizes of ``--n 100,300 --n 1000``; None where the option was not given."""
    if not texts:
        return None
    sizes = sorted({_size(piece) for text in texts for piece in _pieces(text)})
    if not sizes:
        raise ValueError("--n must hold at least one training-set size, got none")
    return sizes


def parse_numbers(option: str, text: str) -> list[float]:
    """Numbers of ``"0.1,1"``, in the order given; none of ``""``."""
    try:
        return [float(piece) for piece in _pieces(text)]
    except ValueError:
        raise ValueError(f"{option} must be numbers such as 0.1,1; got {text!r}") from None


def parse_names(text: str | None) -> list[str] | None:
    """Words of ``"seeds,bands"``; None where the option was not given."""
    return None if text is None else _pieces(text)


class SizesCommand(TyperCommand):
    """A command whose ``--n`` takes several numbers: ``--n 100 300 1000`` is ``--n 100 --n 300 --n 1000``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat ``--n`` before each further number that follows it."""
        spread: list[str] = []
        following = False
        for place, argument in enumerate(args):
            if argument == "--":
                spread += args[place:]
                break
            number = re.fullmatch(r"[0-9][0-9_.,e+]*", argument) is not None
            if following and number and spread[-1] != "--n":
                spread.append("--n")
            spread.append(argument)
            following = argument == "--n" or (following and number)
        return super().parse_args(ctx, spread)


def _range(text: str) -> tuple[int, int] | None:
    """``"3-7"`` or ``"3"`` as (3, 7) or (3, 3); None for anything else."""
    match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", text)
    if match is None:
        return None
    first = int(match[1])
    return first, first if match[2] is None else int(match[2])


def parse_seeds(text: str) -> list[int]:
    """Seeds of ``"64"`` (a count: 0 to 63), ``"0-63"``, ``"3,7,9"`` or ``"0-9,42"``."""
    expected = "--seeds must be a count such as 64, a range such as 0-63 or a list such as 3,7,9"
    pieces = _pieces(text)
    ranges = [_range(piece) for piece in pieces]
    if not ranges:
        raise ValueError(f"{expected}; got {text!r}")
    if len(pieces) == 1 and pieces[0].isdigit() and "," not in text and ranges[0] is not None:
        ranges = [(0, ranges[0][0] - 1)]
    total, spans = 0, []
    for span in ranges:
        if span is None or span[0] > span[1]:
            raise ValueError(f"{expected}; got {text!r}")
        spans.append(range(span[0], span[1] + 1))
        total += len(spans[-1])
    if total > MOST_SEEDS:
        raise ValueError(f"--seeds must be at most {MOST_SEEDS} seeds; got {total}")
    seeds = [seed for span in spans for seed in span]
    repeated = [seed for seed, count in Counter(seeds).items() if count > 1]
    if repeated:
        raise ValueError(f"--seeds must name each seed once; got {repeated[0]} twice in {text!r}")
    return seeds


def parse_bands(text: str) -> int | list[Band]:
    """``"6"``, a number of bands, or ``"1-4,5-20"``, their modes counted from 1 with both ends included."""
    expected = "--bands must be a number of bands such as 6, or ranges of modes counted from 1 such as 1-4,5-20"
    pieces = _pieces(text)
    if len(pieces) == 1 and pieces[0].isdigit() and "," not in text:
        if not 1 <= int(pieces[0]) <= 1000:
            raise ValueError(f"--bands must be 1 to 1000 bands; got {text!r}")
        return int(pieces[0])
    bands = []
    for piece in pieces:
        span = _range(piece)
        if span is None or not 1 <= span[0] <= span[1]:
            raise ValueError(f"{expected}; got {text!r}")
        bands.append(Band(span[0] - 1, span[1]))
    if not bands:
        raise ValueError(f"{expected}; got {text!r}")
    return bands


def require_seeds_fit(seeds: int, population: Population) -> None:
    """Raise MemoryError where the noise of so many seeds and its images do not fit in memory."""
    if np.any(population.multiplicity != 1):  # takes no seeds
        return
    dimension = population.dimension
    need, free = 8 * 4 * seeds * dimension, available_memory()
    if free is not None and need > free:
        raise MemoryError(
            f"--seeds: {seeds} seeds of {dimension} dimensions need {need / 2**30:.2g} GiB, {free / 2**30:.2g} GiB are "
            "free: ask for fewer seeds"
        )


def chosen_bands(wanted: int | list[Band], modes: int) -> list[Band]:
    """The bands of a population of so many modes."""
    return list(resolve_bands(wanted, modes, name="--bands"))


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """``"28,28"`` or ``"28x28"`` as (28, 28)."""
    if text is None:
        return None
    sides = re.split(r"\s*[,x×]\s*", text.strip())
    if not all(re.fullmatch(r"\d{1,9}", side) and int(side) for side in sides):
        raise ValueError(f"--shape must be the sides of one image such as 28,28 or 32,32,3; got {text!r}")
    return tuple(int(side) for side in sides)


# --- options that several commands have -------------------------------------------------------------------------------

_DATA_HELP = "Folder of images, .npy/.npz/.h5/.zarr file, saved population (.safetensors) or built-in name."
_PANEL = "Data"
DataArgument = Annotated[str, typer.Argument(metavar="DATA", help=_DATA_HELP, show_default=False)]
PatchOption = Annotated[
    int | None,
    typer.Option(
        min=2, max=64, help="Side of the patches; built-in 'patches' only, 16 by default.", rich_help_panel=_PANEL
    ),
]
GreyOption = Annotated[bool, typer.Option("--grey", help="Convert colour to luma.", rich_help_panel=_PANEL)]
SizeOption = Annotated[
    int | None, typer.Option(min=1, max=4096, help="Resize images to SIZE × SIZE.", rich_help_panel=_PANEL)
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Use at most this many images.", rich_help_panel=_PANEL)]
ShapeOption = Annotated[
    str | None,
    typer.Option(metavar="SIDES", help="Shape of one image in flat arrays, as 28,28.", rich_help_panel=_PANEL),
]
SkipOption = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out files that cannot be decoded.", rich_help_panel=_PANEL)
]
SigmaMaxOption = Annotated[
    float, typer.Option(min=0.01, max=1e6, help="Noise level (standard deviation) at which sampling starts.")
]
SeedsOption = Annotated[
    str, typer.Option(metavar="SEEDS", help="Seeds: a count (64), a range (0-63) or a list (3,7,9).")
]
BandsOption = Annotated[
    str, typer.Option(metavar="BANDS", help="Eigenbands: a number, or ranges of modes counted from 1, as 1-4,5-20.")
]
ToleranceOption = Annotated[
    float,
    typer.Option(
        min=1e-6, max=0.999, help="Relative disagreement to reach: 0 same image, 1 as different as unrelated seeds."
    ),
]
LawOption = Annotated[
    str,
    typer.Option(
        metavar="LAW",
        help=f"{AUTO} (what 'kappaflow diagnose' recommends), "
        + ", ".join(f"{spec.name} ({spec.assumes})" for spec in REGISTRY.values())
        + ".",
    ),
]
ProfilesOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=10**7,
        help="Number of images to keep as profiles (needed by the "
        + " and ".join(spec.name for spec in REGISTRY.values() if spec.needs_profiles)
        + " laws); 0 keeps none.",
        show_default=str(DEFAULT_PROFILES),
        rich_help_panel=_PANEL,
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers to FILE as well.", show_default=False)
]


@dataclass(frozen=True)
class DataOptions:
    """What was asked of the data, as given."""

    data: str
    patch: int | None = None
    grey: bool = False
    size: int | None = None
    limit: int | None = None
    shape: str | None = None
    skip_corrupt: bool = False
    profiles: int | None = None

    @property
    def is_population(self) -> bool:
        """Whether DATA is a saved population."""
        return Path(self.data).suffix.lower() == POPULATION_SUFFIX

    def as_json(self) -> dict[str, Any]:
        """Options by name, for options.json."""
        shape = parse_shape(self.shape)
        return {
            "data": self.data,
            "patch": self.patch,
            "grey": self.grey,
            "size": self.size,
            "limit": self.limit,
            "shape": None if shape is None else list(shape),
            "skip_corrupt": self.skip_corrupt,
            "profiles": self.profiles,
        }


def data_name(data: str) -> str:
    """A short name of the data, fit for a file name: the built-in name, or that of the file or folder."""
    if data in BUILTIN_NAMES:
        return data
    path = Path(os.path.abspath(data))
    return re.sub(r"[^\w.+-]+", "-", path.name if path.is_dir() and path.suffix != ".zarr" else path.stem) or "data"


# --- loading ----------------------------------------------------------------------------------------------------------


class _Rate(ProgressColumn):
    """Images a second."""

    def render(self, task: Task) -> Text:
        return Text("" if not task.speed else f"{task.speed:,.0f}/s")


@contextmanager
def _bar(*columns: ProgressColumn, quiet: bool) -> Iterator[Progress]:
    """A progress bar on stderr; nothing where stderr is no terminal."""
    console = errors_console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as progress:
        yield progress


@contextmanager
def step_progress(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A callback (step, fraction done) that moves a progress bar."""
    with _bar(TimeRemainingColumn(), quiet=quiet) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda step, fraction: progress.update(task, description=step, completed=fraction)


def open_data(options: DataOptions, skipped: Callable[[str], None] | None = None) -> ImageSource:
    """The images of DATA; `skipped` is told of each file that is left out."""
    return open_images(
        options.data,
        shape=parse_shape(options.shape),
        patch=options.patch,
        size=options.size,
        grey=options.grey,
        limit=options.limit,
        skip_corrupt=options.skip_corrupt,
        on_skip=skipped,
    )


def source_description(source: ImageSource) -> str:
    """What the images are and how pixels were scaled."""
    return source.description if source.scaling in source.description else f"{source.description}; {source.scaling}"


def saved_population(options: DataOptions) -> Population:
    """The population saved in DATA; options that are for images raise ValueError."""
    for name, value in options.as_json().items():
        if name != "data" and value is not None and value is not False:
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"{option} does not apply to the saved population {options.data!r}: give it where its images are read"
            )
    return Population.load(options.data)


def load_population(options: DataOptions, *, quiet: bool = False) -> Population:
    """Mean and eigenmodes of DATA, with a progress bar; files that are left out are named on stderr."""
    if options.is_population:
        return saved_population(options)
    with _bar(MofNCompleteColumn(), _Rate(), TimeRemainingColumn(), quiet=quiet) as progress:
        source = open_data(options, lambda message: plain_line(progress.console, f"left out: {message}", "yellow"))
        task = progress.add_task(f"reading {data_name(options.data)}", total=source.count)

        def batches() -> Iterator[np.ndarray[Any, np.dtype[np.float64]]]:
            yield from source.batches()
            progress.update(task, description=f"eigenmodes of {source.dimension} dimensions")

        return Population.from_samples(
            batches(),
            shape=source.shape,
            profiles=DEFAULT_PROFILES if options.profiles is None else options.profiles,
            description=source_description(source),
            progress=lambda seen: progress.update(task, completed=seen),
        )


def over(largest: int) -> str:
    """What stands in a table where no n up to the largest is enough."""
    return f"over {largest:.0e}".replace("e+", "e") if largest >= LARGEST_SIZE else f"over {largest:,}"


def print_reason(console: Console, reason: str) -> None:
    """Why a law was taken, below the table that it made."""
    console.print(Padding(f"law: {reason}", (1, 0, 0, 0)), markup=False)


def check_law(law: str) -> str:
    """`law` if it is one; ValueError, before any work, if not."""
    return choice("--law", law, law_options())


# --- facts ------------------------------------------------------------------------------------------------------------


def machine_facts() -> dict[str, str]:
    """What the numbers were made with: versions, platform, CPU count; no names of hosts or users."""
    import scipy

    return {
        "kappaflow": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": str(os.cpu_count() or "unknown"),
    }
