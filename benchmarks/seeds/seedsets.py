"""The sets of this benchmark: images that trained networks drew from the same seeds, in compressed files."""

from __future__ import annotations

import functools
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kappaflow._files import replaced
from kappaflow._schema import (
    Arrays,
    TensorFormat,
    anything,
    list_of,
    number,
    parse_json,
    record,
    shown_value,
    text,
    whole,
)
from kappaflow.datasets import BUILTIN_NAMES, open_images
from kappaflow.models.posterior import PosteriorVariance
from kappaflow.validation.metrics import cross_split
from kappaflow.validation.network.analysis import forecast
from kappaflow.validation.network.baselines import linear_samples
from kappaflow.validation.network.context import Context, make_context
from kappaflow.validation.network.members import ARM_RUNS, PairKind
from kappaflow.validation.network.results import Forecast
from kappaflow.validation.network.seeds import MAP_SEEDS, posterior_of, predicted_maps

__all__ = [
    "READING",
    "Network",
    "SeedSet",
    "SeedSetError",
    "available",
    "facts_of",
    "joined",
    "load",
    "quantise",
    "save",
]

FloatArray = npt.NDArray[np.float64]

FOLDER = Path(__file__).parent
FORMAT = "kappaflow-seeds-1"
#: Largest relative difference of mean square pixel and variance from those of the images that the networks were trained on.
SAME_IMAGES = 0.01
#: What a set says of itself, and its arrays.
_ABOUT = record(
    {
        "format": text,
        "data": record({"data": text}, more=True),
        "facts": record({"images": whole(2), "mean_square": number(0), "variance": number(0)}),
        "seeds": whole(2),
        "first_seed": whole(0),
        "sampler_steps": whole(1),
        "sigma_max": number(0),
        "profiles": whole(0),
        "training": record({}, more=True),
    },
    more=True,
)
_ARRAYS = TensorFormat(
    FORMAT,
    "a set",
    arrays={
        "images": Arrays("u1", ("R", "Z", "d"), needed=True),
        "fine": Arrays("u1", ("R", "Z of maps", "d"), needed=True),
        "scale": Arrays("f8", (2,), needed=True),
    },
)
#: Options that say how images are read, see :func:`kappaflow.datasets.open_images`.
READING = ("patch", "grey", "size", "limit")


class SeedSetError(ValueError):
    """A set or a predictor cannot be used."""


class Network(NamedTuple):
    """A trained network: architecture, number of training images, repeat, split "A" or "B", number of its initialisation."""

    arch: str
    n: int
    repeat: int
    split: str
    member: int


@dataclass(frozen=True, eq=False)
class SeedSet:
    """Images of R networks from the same Z seeds.

    Attributes
    ----------
    name : of the set
    about : "data": how the images of the data are read; "facts": numbers that identify these images; "seeds", "first_seed",
        "sampler_steps", "sigma_max": how networks were sampled; "training": how they were trained
    networks : the R networks, all of which pass the gate
    samples : (R, Z, d) their images, one row of pixels for each seed
    """

    name: str
    about: Mapping[str, Any]
    networks: tuple[Network, ...]
    samples: FloatArray

    @property
    def kinds(self) -> list[PairKind]:
        """Every architecture, n and arm with at least one pair."""
        trained = dict.fromkeys((network.arch, network.n) for network in self.networks)
        possible = [PairKind(arch, n, arm) for arch, n in trained for arm in ARM_RUNS]
        return [kind for kind in possible if self.pairs(kind)]

    def pairs(self, kind: PairKind) -> list[tuple[FloatArray, FloatArray]]:
        """The (Z, d) images of both networks of each pair, in the order of the repeats."""
        samples = dict(zip(self.networks, self.samples, strict=True))
        pairs = []
        for repeat in sorted({network.repeat for network in self.networks}):
            a, b = (Network(kind.arch, kind.n, repeat, run[0], int(run[1:])) for run in ARM_RUNS[kind.arm])
            if a in samples and b in samples:
                pairs.append((samples[a], samples[b]))
        return pairs

    def ratio(self, kind: PairKind) -> float:
        """Mean disagreement of the pairs of that kind, relative to unrelated seeds."""
        population, bands = self.context.population, self.context.bands
        return float(np.mean([cross_split(a, b, population, bands).ratio for a, b in self.pairs(kind)]))

    @functools.cached_property
    def context(self) -> Context:
        """The images of the data, their population, the noise of the seeds (Z, d) as ``noise["seeds"]``, and the laws.

        Raises
        ------
        SeedSetError
            The images are not those that the networks were trained on.
        """
        data = self.about["data"]
        source = open_images(data["data"], **{option: data[option] for option in READING})
        images = np.concatenate(list(source.batches()))
        context = make_context(
            images,
            source.shape,
            seeds=self.about["seeds"],
            seed=self.about["first_seed"],
            sampler_steps=self.about["sampler_steps"],
            sigma_max=self.about["sigma_max"],
            profiles=self.about["profiles"],
        )
        facts, expected = facts_of(context), self.about["facts"]
        if facts["images"] != expected["images"] or any(abs(facts[k] / expected[k] - 1) > SAME_IMAGES for k in facts):
            raise SeedSetError(
                f"the images of {data['data']!r} must be those that the networks of {self.name!r} were trained on, with "
                f"{expected}; got {facts}"
            )
        return context

    @functools.cached_property
    def posterior(self) -> PosteriorVariance:
        """Posterior variance of all images at every seed.

        Raises
        ------
        SeedSetError
            The images cannot rank the seeds.
        """
        answer = posterior_of(self.context)
        if answer.value is None:
            raise SeedSetError(answer.note)
        return answer.value

    @functools.cached_property
    def linear(self) -> FloatArray:
        """(Z, d) what the linear model of all images makes of each seed."""
        return linear_samples(self.context.population, self.context.noise["seeds"], self.context.sigma_max)

    @functools.cache  # noqa: B019 (a set lives as long as the script)
    def law(self, name: str, n: int) -> Forecast:
        """What a law of the context predicts for linear models of n images."""
        return forecast(self.context, next(law for law in self.context.laws if law.name == name), n)

    @functools.cache  # noqa: B019
    def maps(self, n: int) -> Mapping[str, FloatArray]:
        """Predictor → (Z′, d) maps of the first seeds: of the posterior variance and of the most general law."""
        return predicted_maps(self.context, self.posterior, n)


def facts_of(context: Context) -> dict[str, float]:
    """Numbers that identify the images of the data."""
    return {
        "images": context.count,
        "mean_square": float(np.mean(context.images[: context.count] ** 2)),
        "variance": float(context.population.total_variance),
    }


def joined(values: Iterable[Any]) -> str:
    """``100, 300``: each value once."""
    return ", ".join(str(value) for value in dict.fromkeys(values))


# ---------------------------------------------------------------- files
class Quantised(NamedTuple):
    """Images as whole numbers from 0 to 255 that stand for equally spaced values.

    Attributes
    ----------
    codes : (R, Z, d) uint8, the nearest of 256 values
    fine : (R, Z′, d) uint8, for the first seeds, whose pixels are compared with maps, the nearest of 256 parts of a step
    low, high : values of the codes 0 and 255
    """

    codes: npt.NDArray[np.uint8]
    fine: npt.NDArray[np.uint8]
    low: float
    high: float

    @property
    def values(self) -> FloatArray:
        """(R, Z, d) the images."""
        steps = self.codes.astype(np.float64)
        steps[:, : self.fine.shape[1]] += self.fine / 255 - 0.5
        return self.low + (self.high - self.low) / 255 * steps


def quantise(samples: FloatArray) -> Quantised:
    """Images (R, Z, d) in one byte for each pixel, and a second one for the first seeds."""
    low, high = float(samples.min()), float(samples.max())
    steps = (samples - low) * (255 / (high - low))
    codes = np.rint(steps)
    fine = np.rint(255 * (steps - codes + 0.5)[:, :MAP_SEEDS])
    return Quantised(codes.astype(np.uint8), fine.astype(np.uint8), low, high)


def save(path: Path, seed_set: SeedSet) -> None:
    """Write a set with its images quantised, whole or not at all."""
    quantised = quantise(seed_set.samples)
    with replaced(path) as new, new.open("wb") as stream:
        np.savez_compressed(
            stream,
            images=quantised.codes,
            fine=quantised.fine,
            scale=np.array([quantised.low, quantised.high]),
            networks=np.array(json.dumps(seed_set.networks)),
            about=np.array(json.dumps({**seed_set.about, "format": FORMAT})),
        )


def available(folder: Path = FOLDER) -> list[str]:
    """Names of the sets in a folder."""
    return sorted(path.stem for path in folder.glob("*.npz"))


def load(name: str, folder: Path = FOLDER) -> SeedSet:
    """Read a set by its name.

    Raises
    ------
    SeedSetError
        There is no set of this name, or the file holds something else.
    """
    if name not in available(folder):
        raise SeedSetError(f"the set must be one of {joined(available(folder))}; got {name!r}")
    try:
        # zip archives verify the checksum of what is read
        with (folder / f"{name}.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            about = parse_json(str(file["about"])) if "about" in file else {}
            if not isinstance(about, dict) or about.get("format") != FORMAT:
                raise SeedSetError(f"{name}.npz must have the format {FORMAT}, got {shown_value(about)}")
            _ABOUT("about", about)
            arrays = {key: file[key] for key in ("images", "fine", "scale")}
            networks = parse_json(str(file["networks"]))
        _ARRAYS.check_arrays(arrays)
        list_of(_network)("networks", networks)
        return _checked_set(name, about, networks, arrays)
    except SeedSetError:
        raise
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise SeedSetError(f"{name}.npz is damaged: {error}") from error


def _network(name: str, value: Any) -> None:
    """Rule: the fields of a :class:`Network` in their order."""
    list_of(anything)(name, value)
    if len(value) != len(Network._fields):
        raise ValueError(f"{name} must hold {', '.join(Network._fields)}, got {shown_value(value)}")
    rules = {"arch": text, "n": whole(2), "repeat": whole(0), "split": text, "member": whole(0)}
    record(rules)(name, dict(zip(Network._fields, value, strict=True)))


def _checked_set(name: str, about: dict[str, Any], networks: list[Any], arrays: dict[str, Any]) -> SeedSet:
    """The set, after what its parts say of one another was checked.

    Raises
    ------
    ValueError
        They do not fit, or the set is of data that are not built in: a file must not name files to open.
    """
    images, fine, (low, high) = arrays["images"], arrays["fine"], arrays["scale"].tolist()
    if about["data"]["data"] not in BUILTIN_NAMES:
        raise ValueError(f"data must be one of {joined(BUILTIN_NAMES)}, got {shown_value(about['data']['data'])}")
    if not low < high:
        raise ValueError(f"scale must hold a lower and a higher value, got {low} and {high}")
    if len(networks) != len(images) or len({tuple(network) for network in networks}) < len(networks):
        raise ValueError(
            f"networks must hold {len(images)} different networks, one for each image set, got {len(networks)}"
        )
    if images.shape[1] != about["seeds"] or fine.shape[1] > images.shape[1]:
        raise ValueError(
            f"images must hold {about['seeds']} seeds, as many as the set, got {images.shape} and {fine.shape}"
        )
    return SeedSet(name, about, tuple(Network(*row) for row in networks), Quantised(images, fine, low, high).values)
