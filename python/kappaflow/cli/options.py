"""The options of every command, each declared once: its name, type, range, help and panel.

An option object is a frozen dataclass whose fields are options. A command takes such objects, and
:func:`~.signature.takes_options` turns them into the signature that typer reads.
"""

from __future__ import annotations

import os
import re
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from .._checks import choice
from ..bands import Band
from ..consistency.law_choice import AUTO, law_options
from ..datasets import BUILTIN_NAMES
from ..datasets.keys import split_key
from ..datasets.tensor_files import is_tensor_file
from ..laws import REGISTRY
from ..memory import memory_size
from ..sampling import SIGMA_MAX
from .completion import complete_data, one_of
from .declaring import DATA_PANEL, RESULTS_PANEL, flag, option
from .options_groups import Flip, Groups
from .options_pixels import Alpha, Crop, Frames, Like, Memory, Resize, Vae
from .parsing import (
    parse_bands,
    parse_channels,
    parse_count,
    parse_range,
    parse_seeds,
    parse_shape,
    parse_side,
)

DEFAULT_PROFILES = 8192
POPULATION_SUFFIX = ".safetensors"
WINDOWS = ("scores", "trajectory", "receptive-field", "architecture", "learning", "teleport")


def _law_help() -> str:
    laws = "; ".join(f"{spec.name}: {spec.assumes}" for spec in REGISTRY.values())
    return f"Law of the data. {AUTO}: the most accurate law that does not take too long (see 'kappaflow diagnose'); {laws}."


def _profiles_help() -> str:
    laws = " and ".join(spec.name for spec in REGISTRY.values() if spec.needs_profiles)
    return f"Number of images to keep as profiles (needed by the {laws} laws and to rank seeds for networks); 0 keeps none."


def as_typed(options: Any) -> list[str]:
    """The words that set an option object again: each option whose value is not its default."""
    words: list[str] = []
    for field in fields(options):
        value, name = getattr(options, field.name), "--" + field.name.replace("_", "-")
        if field.default is not MISSING and value != field.default:
            words += [name] if value is True else [name, str(value).removesuffix(".0")]
    return words


# --- the data -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Which images to read, and how."""

    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Folder of images, file of arrays (.npy, .npz, .h5, .zarr, .pt, .safetensors), archive (.zip, .tar), table "
            "(.parquet, .arrow), NIfTI volume, folder of DICOM files, saved population (.safetensors), or name of a "
            "built-in dataset (see 'kappaflow info').",
            show_default=False,
            autocompletion=complete_data,
        ),
    ]
    patch: Annotated[
        int | None,
        option(
            "--patch",
            min=2,
            max=64,
            metavar="SIDE",
            panel=DATA_PANEL,
            shown="16",
            help="Side of the square patches in pixels (only for the built-in data 'patches').",
        ),
    ] = None
    grey: Annotated[bool, flag("--grey", help="Convert colour images to grey (luma).", panel=DATA_PANEL)] = False
    size: Annotated[
        str | None,
        option(
            "--size",
            metavar="SIDE",
            help="Resize images to SIDE × SIDE pixels, or to HEIGHTxWIDTH such as 64x96.",
            panel=DATA_PANEL,
        ),
    ] = None
    resize: Resize = None
    crop: Crop = None
    like: Like = None
    alpha: Alpha = None
    frames: Frames = None
    vae: Vae = None
    groups: Groups = None
    flip: Flip = False
    limit: Annotated[
        int | None,
        option(
            "--limit",
            min=1,
            metavar="COUNT",
            help="Use at most COUNT images, a random subset of all of them.",
            panel=DATA_PANEL,
        ),
    ] = None
    shape: Annotated[
        str | None,
        option(
            "--shape",
            metavar="SIDES",
            help="Shape of one image if the file holds flat vectors, such as 28,28.",
            panel=DATA_PANEL,
        ),
    ] = None
    range: Annotated[
        str | None,
        option(
            "--range",
            metavar="LOW,HIGH",
            panel=DATA_PANEL,
            shown="auto",
            help="Stored values that become the pixel values -1 and 1, such as 0,4095; -1,1 uses values as they are. auto: the "
            "values of the whole file decide, and where two readings are plausible, an error states both.",
        ),
    ] = None
    channels: Annotated[
        str | None,
        option(
            "--channels",
            metavar="WHERE",
            panel=DATA_PANEL,
            shown="the axis of 1, 3 or 4 values",
            help="Axis of an image that holds its channels: first, last, or their number.",
        ),
    ] = None
    skip_corrupt: Annotated[
        bool,
        flag(
            "--skip-corrupt",
            help="Leave out image files that cannot be decoded, and images of arrays with NaN or infinity.",
            panel=DATA_PANEL,
        ),
    ] = False
    memory: Memory = None

    def image_bytes(self, default: int) -> int:
        """Bytes that images may take in memory: those of --memory, or the default of the command."""
        return default if self.memory is None else memory_size("--memory", self.memory)

    @property
    def is_population(self) -> bool:
        """Whether DATA is a saved population, not a file of tensors of another program."""
        path = Path(self.data)
        may_be = path.is_file() or not path.exists()  # not a folder or a pipe
        return may_be and path.suffix.lower() == POPULATION_SUFFIX and not is_tensor_file(path)

    @property
    def name(self) -> str:
        """A short name, fit for a file name: the built-in name, or that of the file or folder."""
        if self.data in BUILTIN_NAMES:
            return self.data
        file, key = split_key(self.data)
        path = Path(os.path.abspath(file))
        name = path.name if path.is_dir() and path.suffix != ".zarr" else path.stem
        return re.sub(r"[^\w.+-]+", "-", name if key is None else f"{name}-{key}") or "data"

    def as_typed(self) -> list[str]:
        """The words that make another command read the same images; a saved population has none, so IMAGES stands for them."""
        if self.is_population:
            return ["IMAGES"]
        images = replace(self, flip=False, memory=None)  # pilots train without flips
        return [f"./{self.data}" if self.data.startswith("-") else self.data, *as_typed(images)]

    def as_json(self) -> dict[str, Any]:
        """Options by name, for options.json."""
        shape, pixel_range = parse_shape(self.shape), parse_range(self.range)
        size = parse_side(self.size)
        return {
            "data": self.data,
            "patch": self.patch,
            "grey": self.grey,
            "size": None if size is None else size.height if size.height == size.width else list(size),
            "resize": self.resize,
            "crop": self.crop,
            "like": self.like,
            "alpha": self.alpha,
            "frames": self.frames,
            "vae": self.vae,
            "groups": self.groups,
            "flip": self.flip,
            "limit": self.limit,
            "shape": None if shape is None else list(shape),
            "range": None if pixel_range is None else list(pixel_range),
            "channels": parse_channels(self.channels),
            "skip_corrupt": self.skip_corrupt,
        }


@dataclass(frozen=True)
class Profiles:
    """How many images a population keeps."""

    profiles: Annotated[
        int | None,
        option(
            "--profiles",
            min=0,
            max=10**7,
            metavar="COUNT",
            panel=DATA_PANEL,
            shown=str(DEFAULT_PROFILES),
            help=_profiles_help(),
        ),
    ] = None

    @property
    def count(self) -> int:
        """As given, or the default."""
        return DEFAULT_PROFILES if self.profiles is None else self.profiles


# --- the question ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SeedOption:
    """Seeds of initial noise."""

    seeds: Annotated[
        str | None,
        option(
            "--seeds",
            metavar="SEEDS",
            shown="64",
            help="Seeds of the initial noise: a count (64), a range (0-63) or a list (3,7,9).",
        ),
    ] = None

    def numbers(self) -> list[int]:
        """Each seed; the first 64 by default."""
        return parse_seeds("64" if self.seeds is None else self.seeds)

    def count(self, least: int) -> int | None:
        """The number of seeds, for commands that need no more; None if the option was not given."""
        return None if self.seeds is None else parse_count("--seeds", self.seeds, least, 100_000)


@dataclass(frozen=True)
class Sampling:
    """Where sampling starts."""

    sigma_max: Annotated[
        float,
        option(
            "--sigma-max",
            min=0.01,
            max=1_000_000,
            metavar="SIGMA",
            help="Noise level (standard deviation) at which sampling starts.",
        ),
    ] = SIGMA_MAX


@dataclass(frozen=True)
class LawOption:
    """The law that predictions follow."""

    law: Annotated[str, option("--law", metavar="LAW", complete=one_of(law_options), help=_law_help())] = AUTO

    def __post_init__(self) -> None:
        """Raise an error for an unknown law before any work is done."""
        choice("--law", self.law, law_options())

    @property
    def needs_profiles(self) -> bool:
        """Whether the named law needs profiles; auto chooses a law that does not if there are none."""
        return self.law != AUTO and REGISTRY[self.law].needs_profiles


@dataclass(frozen=True)
class BandOption:
    """Eigenbands."""

    bands: Annotated[
        str,
        option(
            "--bands",
            metavar="BANDS",
            help="Eigenbands: their number, or ranges of modes counted from 1, such as 1-4,5-20.",
        ),
    ] = "6"

    def wanted(self) -> int | list[Band]:
        """The number of bands, or their modes."""
        return parse_bands(self.bands)

    def as_json(self) -> int | list[str]:
        """For options.json."""
        wanted = self.wanted()
        return wanted if isinstance(wanted, int) else [band.label for band in wanted]


@dataclass(frozen=True)
class Tolerance:
    """The disagreement at which two models count as equal."""

    tolerance: Annotated[
        float,
        option(
            "--tolerance",
            min=1e-6,
            max=0.999,
            metavar="SHARE",
            help="Relative disagreement to reach: 0 means equal images, 1 means as different as those of unrelated seeds.",
        ),
    ] = 0.1


@dataclass(frozen=True)
class RandomSeed:
    """The seed of all random draws."""

    seed: Annotated[int, option("--seed", min=0, metavar="SEED", help="Seed of all random draws.")] = 0


# --- the results -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """How to write and print results."""

    overwrite: Annotated[bool, flag("--overwrite", help="Replace existing results.", panel=RESULTS_PANEL)] = False
    quiet: Annotated[bool, flag("--quiet", "-q", help="Print no progress and no tables.", panel=RESULTS_PANEL)] = False


@dataclass(frozen=True)
class JsonResult(Result):
    """Tables, and numbers on request."""

    json: Annotated[
        Path | None,
        option(
            "--json",
            metavar="FILE",
            shown=False,
            panel=RESULTS_PANEL,
            help="Also write the numbers to FILE; '-' writes them to standard output, and the tables to standard error.",
        ),
    ] = None


@dataclass(frozen=True)
class FolderResult(Result):
    """A folder of results."""

    out: Annotated[Path | None, option("--out", metavar="DIR", help="Folder for the results.", panel=RESULTS_PANEL)] = (
        None
    )


@dataclass(frozen=True)
class ReportResult(FolderResult):
    """A folder of results with a report in it."""

    png: Annotated[bool, flag("--png", help="Also write every figure as PNG.", panel=RESULTS_PANEL)] = False


# --- options of one command -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranking:
    """What to rank, and how much of the ranking to print."""

    top: Annotated[int, option("--top", min=1, metavar="COUNT", help="Number of seeds to print at each end.")] = 10
    noise: Annotated[
        Path | None,
        option(
            "--noise",
            metavar="FILE",
            shown=False,
            help="Rank the initial noise in FILE (.npy or .pt, one image of noise a row) instead of seeds. Its standard deviation "
            "is that of --sigma-max (EDM) or 1 (DDPM, flow models).",
        ),
    ] = None
    ranked: Annotated[
        Path | None,
        option(
            "--write",
            metavar="FILE",
            shown=False,
            panel=RESULTS_PANEL,
            help="Also write the seeds to a text FILE, for your sampling script: those that change most first, and how a seed "
            "becomes noise.",
        ),
    ] = None


@dataclass(frozen=True)
class Windows:
    """What ``kappaflow lens`` looks at."""

    windows: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WINDOWS",
            help=f"Windows to compute: {', '.join(WINDOWS)}.",
            show_default="all that the data allow",
            autocompletion=one_of(WINDOWS),
        ),
    ] = None
    images: Annotated[
        int, option("--images", min=40, metavar="COUNT", help="Use at most COUNT images for scores and teleport.")
    ] = 16_384

    def names(self) -> list[str]:
        """Each window once; all of them by default."""
        return [choice("WINDOWS", name, WINDOWS) for name in dict.fromkeys(self.windows or WINDOWS)]
