"""Images as the latents of an autoencoder in a local folder, scaled as trainers scale them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._listing import listed
from .._repr import ShortRepr, short_repr
from .._weight_shards import require_own_shards
from ..memory import require_memory
from .errors import DataError, fail, reason_of
from .source import ImageSource, rebatch
from .transform import Layout, find_layout, given_layout

__all__ = ["encode_latents"]

CLASS = "AutoencoderKL"
#: Most pixel values and images that are encoded at once.
VALUES_AT_ONCE, IMAGES_AT_ONCE = 2**22, 32
#: Standard deviations of scaled latents that are usual; scale factors are chosen to make it 1.
USUAL = (1 / 3, 3.0)
#: Pixels are rounded to multiples of 1/LEVELS before they fix a draw, so that their type and container do not matter.
LEVELS = 4096
#: Latents with fewer values along a side are refused.
LEAST_SIDE = 2

Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, repr=False)
class Autoencoder(ShortRepr):
    """An autoencoder that is ready to encode.

    Attributes
    ----------
    model : of diffusers, in float32, on `device`
    name : name of its folder
    device : where it computes
    channels : number of channels of its images
    factor : how many times fewer latents than pixels there are along a side
    scale, shift : numbers, or one for each channel (C, 1, 1): the latents are (z − shift) · scale
    """

    model: Any
    name: str
    device: str
    channels: int
    factor: int
    scale: float | FloatArray
    shift: float | FloatArray

    @property
    def scaling(self) -> str:
        """How latents are scaled, in words."""
        shift, scale = (
            f"{part:g}" if isinstance(part, float) else f"({listed(f'{value:g}' for value in part.ravel())})"
            for part in (self.shift, self.scale)
        )
        return f"(z − {shift}) × {scale}" if np.any(self.shift) else f"z × {scale}"


def find_folder(folder: str) -> Path:
    """The folder that holds the autoencoder: the one named, or the folder "vae" of a saved pipeline.

    Raises
    ------
    DataError
        There is none, or it holds a model of another class.
    """
    for path in (Path(folder), Path(folder, "vae")):
        try:
            facts = json.loads((path / "config.json").read_text(encoding="utf-8"))
            kind = str(facts.get("_class_name"))
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
        if kind != CLASS:
            raise DataError(f"vae={folder!r} must be an {CLASS} of diffusers, got a {kind}")
        return path
    raise DataError(
        f"vae={folder!r} must be a local folder with an {CLASS} that save_pretrained wrote, or the folder of a pipeline; nothing "
        "is downloaded"
    )


def number_or_channels(value: Any, default: float) -> float | FloatArray:
    """A number of the configuration, or one for each channel as an array (C, 1, 1)."""
    if value is None:
        return default
    return np.asarray(value, dtype=np.float64)[:, None, None] if isinstance(value, list | tuple) else float(value)


def open_autoencoder(folder: str) -> Autoencoder:
    """The autoencoder in a local folder, from weights in safetensors.

    The scale is ``scaling_factor`` of its configuration and the shift is ``shift_factor``. With ``latents_mean`` and
    ``latents_std``, which hold one number for each channel, the latents are (z − mean) · ``scaling_factor`` / std, as in diffusers.

    Raises
    ------
    ImportError
        torch or diffusers is missing.
    DataError
        There is no such autoencoder, or it cannot be read.
    """
    path = find_folder(folder)
    try:
        import torch  # lazy: torch
        from diffusers import AutoencoderKL  # lazy: diffusers
    except ImportError as error:
        raise ImportError('vae needs PyTorch and diffusers: pip install "kappaflow[networks]"') from error
    try:
        require_own_shards(path)
        opener: Any = AutoencoderKL.from_pretrained
        model, loaded = opener(
            str(path),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            low_cpu_mem_usage=False,
            torch_dtype=torch.float32,
        )
    except Exception as error:  # diffusers can raise errors of any type
        fail(
            error,
            f"vae={folder!r} cannot be read: its weights must be in safetensors (save_pretrained writes them), and others are "
            f"never loaded ({reason_of(error)})",
        )
    if loaded["missing_keys"]:  # diffusers fills them at random
        raise DataError(f"vae={folder!r} lacks weights: {listed(sorted(loaded['missing_keys']), 3)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    facts = model.config
    mean, std = getattr(facts, "latents_mean", None), getattr(facts, "latents_std", None)
    scale = number_or_channels(getattr(facts, "scaling_factor", None), 1.0)
    shift = number_or_channels(getattr(facts, "shift_factor", None), 0.0)
    if mean is not None and std is not None:
        shift, scale = number_or_channels(mean, 0.0), scale / number_or_channels(std, 1.0)
    return Autoencoder(
        model=model.to(device).eval().requires_grad_(False),
        name=Path(folder).name or Path(folder).resolve().name,
        device=device,
        channels=int(facts.in_channels),
        factor=2 ** (len(facts.block_out_channels) - 1),
        scale=scale,
        shift=shift,
    )


class EncodedImages(NamedTuple):
    """Latents (B, C, h, w) that a batch of images has: drawn from the posterior of each, and the variance of that draw."""

    latents: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]

    def __repr__(self) -> str:
        return short_repr(self)


def normal_numbers(plane: npt.NDArray[np.float32], shape: tuple[int, ...]) -> FloatArray:
    """Normal numbers of a shape that an image fixes: equal ones for pixels that are equal up to 1/:data:`LEVELS`."""
    levels = np.rint(plane.astype(np.float64) * LEVELS).astype(np.int64)
    digest = hashlib.blake2b(levels.tobytes(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(shape)


def encode_images(vae: Autoencoder, planes: npt.NDArray[np.float32]) -> EncodedImages:
    """Encode images (B, C, H, W) in [-1, 1].

    A latent is (μ + s ε − shift) · scale, where μ and s² are mean and variance of the posterior and ε are normal numbers that the
    image fixes.

    Raises
    ------
    DataError
        The autoencoder fails.
    """
    import torch  # lazy: torch

    try:
        with torch.inference_mode():
            posterior = vae.model.encode(torch.from_numpy(planes).to(vae.device)).latent_dist
            mean, std = (part.double().cpu().numpy() for part in (posterior.mean, posterior.std))
    except Exception as error:  # networks raise whatever their parts raise
        fail(error, f"the autoencoder {vae.name} fails for images of shape {planes.shape[1:]} ({reason_of(error)})")
    noise = np.stack([normal_numbers(plane, mean.shape[1:]) for plane in planes])
    latents = (mean + std * noise - vae.shift) * vae.scale
    variance = np.square(std * vae.scale)
    return EncodedImages(latents.astype(np.float32), variance.astype(np.float32))


def layout_of(source: ImageSource, channels: int) -> Layout:
    """Which axes of the images are height, width and channels.

    Raises
    ------
    DataError
        They are no images, or the autoencoder takes another number of channels.
    """
    shape = source.shape
    layout = find_layout(shape)
    if layout is None and len(shape) == 3 and channels in (shape[0], shape[2]):
        layout = given_layout(shape, channels, source.name)
    if layout is None:
        raise DataError(
            f"{source.name}: vae needs images (H, W), (H, W, C) or (C, H, W), got {shape}; give their shape"
        )
    if layout.channel is not None and shape[layout.channel] not in (1, channels):
        raise DataError(
            f"{source.name}: the autoencoder takes images of {channels} channels, got images of shape {shape}"
        )
    return layout


def to_planes(rows: FloatArray, shape: tuple[int, ...], layout: Layout, channels: int) -> npt.NDArray[np.float32]:
    """Rows (B, d) as images (B, C, H, W); grey images fill all channels, as in colour images without colour."""
    images = rows.reshape(len(rows), *shape)
    images = images[:, None] if layout.channel is None else np.moveaxis(images, layout.channel + 1, 1)
    images = np.broadcast_to(images, (len(images), channels, *images.shape[2:]))
    return np.ascontiguousarray(images, dtype=np.float32)


def check_sides(source: ImageSource, layout: Layout, vae: Autoencoder) -> None:
    """Refuse images whose sides are too small, or no multiples of the factor.

    Raises
    ------
    DataError
        They are.
    """
    sides, factor = (source.shape[layout.height], source.shape[layout.width]), vae.factor
    if any(side % factor or side < LEAST_SIDE * factor for side in sides):
        side = max(LEAST_SIDE, round(min(sides) / factor)) * factor
        raise DataError(
            f"{source.name}: the autoencoder {vae.name} takes images whose sides are multiples of {factor}, at least "
            f"{LEAST_SIDE * factor}; got {sides[0]}x{sides[1]}: resize them, such as with size={side}"
        )


@dataclass(repr=False)
class LatentStatistics(ShortRepr):
    """Sums over latents for each channel, from which mean, spread and the share of the drawn noise follow."""

    count: int = 0
    total: float | FloatArray = 0.0
    square: float | FloatArray = 0.0
    drawn: float = 0.0

    def add(self, encoded: EncodedImages) -> None:
        """Take the latents of a batch."""
        values = encoded.latents.astype(np.float64)
        self.count += values[:, 0].size
        self.total = self.total + values.sum(axis=(0, 2, 3))
        self.square = self.square + np.square(values).sum(axis=(0, 2, 3))
        self.drawn += float(encoded.variance.sum(dtype=np.float64))

    @property
    def mean(self) -> FloatArray:
        """Mean (C,) of each channel."""
        return np.asarray(self.total) / self.count

    @property
    def spread(self) -> FloatArray:
        """Standard deviation (C,) of each channel, over images and places."""
        return np.sqrt(np.maximum(np.asarray(self.square) / self.count - self.mean**2, 0))

    @property
    def share(self) -> float:
        """Share of the drawn noise in the variance of the latents."""
        total = float(np.sum(self.spread**2)) * self.count
        return self.drawn / total if total > 0 else 0.0


def require_latents_fit(values: int, name: str) -> None:
    """Refuse latents that do not fit as float32, twice while they are put together.

    Raises
    ------
    NotEnoughMemoryError
        They do not fit.
    """
    require_memory(
        8 * values,
        f"{name}: holding the latents",
        "read fewer images with --limit (in Python limit=), or save the latents as .npy, which is read in pieces",
    )


class LatentTable(NamedTuple):
    """The latents of the distinct images (M, C, h, w), and for each image in its order the number of its latents."""

    latents: npt.NDArray[np.float32]
    numbers: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return short_repr(self)


def encode_all(
    source: ImageSource, layout: Layout, vae: Autoencoder, statistics: LatentStatistics, progress: Progress | None
) -> LatentTable:
    """Latents of all images; copies of an image are encoded once, and have the same latents.

    Raises
    ------
    DataError
        The images cannot be read or encoded, or their latents do not fit in memory.
    """
    known: dict[bytes, int] = {}
    numbers: list[int] = []
    pieces: list[npt.NDArray[np.float32]] = []
    at_once = max(1, min(IMAGES_AT_ONCE, VALUES_AT_ONCE // (vae.channels * source.dimension)))
    for batch in source.batches(at_once):
        planes = to_planes(batch, source.shape, layout, vae.channels)
        digests = [hashlib.blake2b(plane.tobytes(), digest_size=16).digest() for plane in planes]
        new = {digest: row for row, digest in enumerate(digests) if digest not in known}
        if new:
            encoded = encode_images(vae, planes[list(new.values())])
            if not np.isfinite(encoded.latents).all():
                raise DataError(f"{source.name}: the autoencoder {vae.name} gives NaN or infinity")
            statistics.add(encoded)
            known.update({digest: len(known) + place for place, digest in enumerate(new)})
            pieces.append(encoded.latents)
            if len(pieces) == 1:
                require_latents_fit((source.count or 0) * encoded.latents[0].size, source.name)
            elif source.count is None:
                require_latents_fit(len(known) * encoded.latents[0].size, source.name)
        numbers += [known[digest] for digest in digests]
        if progress is not None:
            progress(f"latents of {source.name}", None if source.count is None else len(numbers) / source.count)
    return LatentTable(np.concatenate(pieces), np.array(numbers, dtype=np.int64))


def encode_latents(source: ImageSource, folder: str, progress: Progress | None = None) -> ImageSource:
    """The latents (C, h, w) of images, as diffusion models of latents are trained on them.

    The latents are drawn from the posterior of each image, as the training scripts of diffusers, DiT and SiT draw them, and
    scaled by the factors in the configuration. The noise of a draw is fixed by the image, so that each reading gives the same
    latents and copies of an image have equal latents. All images are encoded when the source is made; their latents are held in
    memory as float32.

    Parameters
    ----------
    source : images with pixels in [-1, 1]
    folder : local folder of an AutoencoderKL of diffusers, or of a pipeline with one; nothing is downloaded
    progress : called with a step and the share of it that is done

    Raises
    ------
    ImportError
        torch or diffusers is missing.
    DataError
        The autoencoder or the images cannot be used.
    """
    vae = open_autoencoder(folder)
    layout = layout_of(source, vae.channels)
    check_sides(source, layout, vae)
    statistics = LatentStatistics()
    table = encode_all(source, layout, vae, statistics, progress)
    shape = tuple(int(side) for side in table.latents.shape[1:])

    def blocks(rows: int) -> Iterator[FloatArray]:
        for start in range(0, len(table.numbers), rows):
            block = table.latents[table.numbers[start : start + rows]]
            yield block.reshape(len(block), math.prod(shape)).astype(np.float64)

    channels = listed(
        f"{mean:.3g} ± {spread:.3g}" for mean, spread in zip(statistics.mean, statistics.spread, strict=True)
    )
    processing = (
        f"latents {shape} of the autoencoder {vae.name} (computed on {vae.device}), drawn from the posterior of each image as "
        f"trainers do, {vae.scaling}; the draw is {statistics.share:.2%} of their variance",
        f"mean and standard deviation of the latent channels: {channels}",
    )
    grey = (
        ("grey images fill all channels of the autoencoder",)
        if layout.channel is None or source.shape[layout.channel] < vae.channels
        else ()
    )
    spread = float(np.sqrt(np.mean(statistics.spread**2)))
    warnings = source.provenance.warnings
    if not USUAL[0] < spread < USUAL[1]:
        warnings += (
            f"the standard deviation of the latents is {spread:.3g}, and scale factors are chosen so that it is about 1: these may "
            "not be the images or the scale for which the autoencoder was made",
        )
    before = source.provenance
    provenance = replace(before, processing=(*before.processing, *grey, *processing), warnings=warnings)
    return replace(
        source,
        shape=shape,
        count=len(table.numbers),
        provenance=provenance,
        reader=lambda rows: rebatch(blocks(rows), rows),
    )
