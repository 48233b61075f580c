"""Images, populations and models that options name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._listing import MOST_NAMES, listed
from ..class_labels import ClassLabels
from ..classes import ClassPopulations, populations_by_class
from ..datasets import BUILTIN_NAMES, DataError, ImageSource, open_images
from ..datasets.memory import collect_rows, require_whole_groups
from ..memory import require_memory
from ..models.errors import ModelError
from ..population import Population
from ..provenance import Provenance
from .console import ProgressDisplay
from .errors import naming, without_python
from .options import DEFAULT_PROFILES, Data, LawOption, Profiles
from .options_classes import ByClass
from .options_models import TrainedNetwork
from .parsing import parse_channels, parse_range, parse_shape, parse_side

if TYPE_CHECKING:
    from ..models.rows import KnownLevels, RowDenoiser

__all__ = [
    "IMAGE_BYTES",
    "Loaded",
    "NamedNetwork",
    "NoProfilesError",
    "Rows",
    "describe_classes",
    "load_by_class",
    "load_population",
    "open_data",
    "open_like",
    "open_network",
    "read_rows",
    "refuse_population",
    "require_independent",
    "require_no_flip",
    "require_seeds_fit",
    "saved_population",
    "say_provenance",
    "shown",
]

#: Images that are held in memory take at most so many bytes; of more images, a random subset is held.
IMAGE_BYTES = 4 * 2**30
_BYTES = "bytes"


def open_data(
    data: Data, display: ProgressDisplay | None = None, *, say: bool = True, labels: Any = None
) -> ImageSource:
    """The images of DATA. Each file that is left out is named on stderr and, if `say`, where the images come from is printed."""
    source = open_images(
        data.data,
        shape=parse_shape(data.shape),
        patch=data.patch,
        size=parse_side(data.size),
        grey=data.grey,
        limit=data.limit,
        skip_corrupt=data.skip_corrupt,
        range=parse_range(data.range),
        channels=parse_channels(data.channels),
        on_skip=None if display is None else _few_lines(display),
        resize=data.resize,
        crop=data.crop,
        like=data.like,
        alpha=data.alpha,
        frames=data.frames,
        vae=data.vae,
        labels=labels,
        groups=data.groups,
        flip=data.flip,
        progress=display,
    )
    if display is not None and say:
        say_provenance(source.provenance, display)
    return source


def require_independent(data: Data, what: str) -> None:
    """Raise ValueError if images of DATA are to belong together, which `what` does not know of."""
    for option, value in (("--groups", data.groups), ("--flip", data.flip)):
        if value:
            raise ValueError(f"{option} does not apply to {what}, which takes all images as independent")


def require_no_flip(data: Data, what: str) -> None:
    """Raise ValueError for mirror images of DATA, which the trainings of `what` do not make."""
    if data.flip:
        raise ValueError(f"--flip does not apply to {what}, which trains networks without random flips")


def _few_lines(display: ProgressDisplay) -> Callable[[str], None]:
    """Prints what is left out, at most ten lines of it; what was read says how many files are left out."""
    numbers = itertools.count()

    def left_out(message: str) -> None:
        number = next(numbers)
        if number < MOST_NAMES:
            display.warn(f"left out: {message}")
        elif number == MOST_NAMES:
            display.warn("left out: more files, which are not named")

    return left_out


def open_like(data: Data, whole: Provenance, display: ProgressDisplay) -> ImageSource:
    """Images that are part of others, of which `whole` says how they were read.

    A part may not show the range of all. If both are floats, or both are integers of more than 8 bits, the range of all is used; a
    warning is given if the part alone would be read otherwise. Pixels of 8 bits, and images stored in another way than the whole,
    such as files of 8 bits beside floats, have their own range.
    """
    ends = whole.pixel_range
    if data.range is not None or data.data in BUILTIN_NAMES or ends is None:
        return open_data(data, display)
    try:
        own = open_data(data, display, say=False)
    except DataError:  # the part alone may have two readings
        return open_data(replace(data, range=f"{ends.low!r},{ends.high!r}"), display)
    kind = _stored_as(own.provenance.scaling)
    if own.provenance.pixel_range == ends or kind == _BYTES or kind != _stored_as(whole.scaling):
        say_provenance(own.provenance, display)
        return own
    shared = open_data(replace(data, range=f"{ends.low!r},{ends.high!r}"), display)
    display.warn(
        f"warning: {data.data} is read with the range of DATA, {ends.low:g}…{ends.high:g}; alone it would be read as "
        f"{own.provenance.scaling}"
    )
    return shared


def _stored_as(scaling: str) -> str:
    """The kind of numbers that a scaling begins with: bytes, float, int or uint."""
    word = scaling.partition(" ")[0]
    return _BYTES if word in ("8-bit", "uint8") else word.rstrip("0123456789")


def say_provenance(provenance: Provenance, display: ProgressDisplay, said: Provenance | None = None) -> None:
    """Print what was read and how, before anything is computed; not again what was `said` before the images were read."""
    known = () if said is None else said.lines()
    for label, text in provenance.lines():
        if (label, text) in known:
            continue
        if label == "warning":
            display.warn(f"warning: {without_python(text)}")
        else:
            display.say(f"{label}: {text}")


def saved_population(
    data: Data, profiles: Profiles | None = None, display: ProgressDisplay | None = None
) -> Population:
    """The population saved in DATA. Options that are for images raise ValueError."""
    given = {**data.as_json(), "profiles": None if profiles is None else profiles.profiles}
    for name, value in given.items():
        if name != "data" and value is not None and value is not False:
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"{option} does not apply to the saved population {data.data!r}: give it to the command that reads the images"
            )
    with naming("DATA"):
        population = Population.load(data.data)
    if display is not None:
        say_provenance(population.provenance, display)
    return population


class NoProfilesError(ValueError):
    """The population of DATA keeps no images."""


def require_profiles(population: Population, data: Data, what: str) -> None:
    """Raise NoProfilesError, with a way out, if the population of DATA keeps no images; `what` needs them."""
    if population.profiles is not None:
        return
    if not data.is_population:
        raise NoProfilesError(f"--profiles must be above 0 for {what}, got 0")
    raise NoProfilesError(
        f"the saved population {data.data!r} holds no profiles, which {what} needs: create it again from its images, with "
        f"kappaflow moments IMAGES --out {data.data} --profiles {DEFAULT_PROFILES}"
    )


def load_population(
    data: Data, profiles: Profiles | None, display: ProgressDisplay, law: LawOption | None = None
) -> Population:
    """Mean and eigenmodes of DATA; `profiles` None keeps none. A `law` that needs profiles raises ValueError without."""
    population = _load_population(data, profiles, display)
    if law is not None and law.needs_profiles:
        require_profiles(population, data, f"--law {law.law}")
    if law is not None and population.group_count is not None:
        require_profiles(population, data, "images in groups" if population.group_size > 1 else "mirror images")
    return population


def _load_population(data: Data, profiles: Profiles | None, display: ProgressDisplay) -> Population:
    if data.is_population:
        return saved_population(data, profiles, display)
    source = open_data(data, display)
    population = Population.from_samples(
        shown(source, data, display), profiles=0 if profiles is None else profiles.count
    )
    say_provenance(population.provenance, display, source.provenance)
    return population


def shown(source: ImageSource, data: Data, display: ProgressDisplay) -> ImageSource:
    """The same images; reading them is shown, and behind it the step of the eigenmodes."""

    def read(rows: int) -> Iterator[FloatArray]:
        yield from display.counted(source.reader(rows), f"reading {data.name}", source.count)
        display(f"eigenmodes of {source.dimension} dimensions", None)

    return replace(source, reader=read)


class Loaded(NamedTuple):
    """The population of all images, and the populations by class if they are wanted."""

    population: Population
    classes: ClassPopulations | None


def load_by_class(
    data: Data, by: ByClass, profiles: Profiles, display: ProgressDisplay, law: LawOption | None = None
) -> Loaded:
    """The population of DATA, and those of its classes if `by` wants them, in one reading."""
    if not by.wanted:
        return Loaded(load_population(data, profiles, display, law), None)
    if data.is_population:
        refuse_population(data)
    source = open_data(data, display, labels=by.read())
    known = source.class_labels()
    display.say(f"classes: {describe_classes(known)}")
    found = populations_by_class(shown(source, data, display), profiles=profiles.count)
    say_provenance(found.mixture.provenance, display, source.provenance)
    if law is not None and law.needs_profiles:
        require_profiles(found.mixture, data, f"--law {law.law}")
    if found.mixture.group_count is not None:
        require_profiles(found.mixture, data, "images in groups and mirror images")
    return Loaded(found.mixture, found)


def refuse_population(data: Data) -> NoReturn:
    """Raise ValueError: DATA is a saved population, which has no classes."""
    raise ValueError(
        f"--by class needs images as DATA, got the saved population {data.data!r}, which holds no classes: give the images"
    )


def describe_classes(labels: ClassLabels, most: int = MOST_NAMES) -> str:
    """The classes and their numbers of images, at most `most` of them, 10 by default."""
    named = (f"{name} ({count:,})" for name, count in zip(labels.names, labels.counts.tolist(), strict=True))
    without = f"; {labels.without_class:,} images have no class" if labels.without_class else ""
    return f"{len(labels.names):,} by {labels.origin}, with their numbers of images: {listed(named, most)}{without}"


class Rows(NamedTuple):
    """Images as rows (N, d), how many images there are in all, and labels (N,) of those that belong together."""

    rows: FloatArray
    total: int
    groups: npt.NDArray[Any] | None = None


def read_rows(data: Data, source: ImageSource, most_bytes: int, seed: int, display: ProgressDisplay) -> Rows:
    """The images as rows; a random subset of them if not all fit into so many bytes, and an error for images in groups."""
    collected = collect_rows(
        display.counted(source.batches(), f"reading {data.name}", source.count),
        dimension=source.dimension,
        count=source.count,
        most_bytes=most_bytes,
        seed=seed,
    )
    if source.groups is None:
        return Rows(collected.rows, collected.total)
    require_whole_groups(collected)
    return Rows(collected.rows, collected.total, source.groups())


class NamedNetwork:
    """A denoiser of rows that reports errors as those of the model, by the name that the user gave.

    Attributes
    ----------
    name : as the user gave it
    sigma_min, sigma_max : ends of the noise levels that it was trained at; 0 and infinity if the model does not say
    """

    def __init__(self, denoiser: RowDenoiser, name: str, shape: tuple[int, ...], levels: KnownLevels) -> None:
        self._denoiser, self.name, self._shape = denoiser, name, shape
        self.sigma_min, self.sigma_max = levels

    def __call__(self, x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        """The output of the model."""
        try:
            answer = self._denoiser(x, sigma)
        except MemoryError:
            raise
        except Exception as error:  # networks raise whatever their parts raise
            what = f"--network: {self.name!r} fails for images of shape {self._shape}"
            raise ModelError.of(what, error) from error
        if not np.isfinite(answer).all():
            level = float(np.max(sigma))
            raise ModelError(
                f"--network: {self.name!r} must return finite images, got NaN or infinity at σ = {level:.4g}"
            )
        return answer


def open_network(network: TrainedNetwork, population: Population, device: str) -> NamedNetwork:
    """The named denoiser of rows, called once so that a wrong shape is reported before anything is computed."""
    try:
        from ..models.devices import resolve_device  # lazy: torch
        from ..models.layout import rows_denoiser, tensor_shape  # lazy: torch
        from ..models.opening import open_denoiser  # lazy: torch
        from ..models.rows import known_levels  # lazy: torch
    except ImportError as error:
        raise ImportError('--network needs PyTorch: pip install "kappaflow[networks]"') from error
    resolve_device(device)
    shape, name = population.shape, str(network.network)
    with naming("--network"):
        opened = open_denoiser(name, device=device, label=network.label)
    made_for = getattr(opened, "image_shape", None)
    if made_for is not None and tuple(made_for) != tensor_shape(shape):  # convolutions accept any size
        raise ModelError(
            f"--network: {name!r} must be a model of images {tensor_shape(shape)} like those of DATA, got one of images "
            f"{tuple(made_for)}"
        )
    denoiser = NamedNetwork(rows_denoiser(opened, shape, device=device), name, shape, known_levels(opened))
    probe = population.mean[None] + np.random.default_rng(0).standard_normal((1, population.dimension))
    answer = denoiser(probe, 1.0)
    if answer.shape != probe.shape:
        raise ModelError(f"--network: {name!r} must return images of shape {shape}")
    return denoiser


def require_seeds_fit(seeds: int, population: Population) -> None:
    """Raise MemoryError if the noise of so many seeds and its images do not fit in memory."""
    if np.any(population.multiplicity != 1):  # takes no seeds
        return
    dimension = population.dimension
    require_memory(
        8 * 4 * seeds * dimension, f"--seeds: the noise of {seeds} seeds of {dimension} dimensions", "use fewer seeds"
    )
