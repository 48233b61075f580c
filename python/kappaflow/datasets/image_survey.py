"""A survey of image files before they are read: headers, frames, transparency, range; and what to say about them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .._repr import ShortRepr
from ..pixel_range import PixelScaling, ValueSurvey, choose_scaling
from ..provenance import Provenance
from .errors import DataError
from .image_decoding import Decoded, decode
from .image_headers import Header, read_header
from .options import Options
from .resizing import RECIPES, Size
from .source import BROKEN, check_finite
from .subset import SUBSET_SEED, describe_subset, subset
from .transform import describe_resize

__all__ = ["ImageFacts", "ImageFile", "Skips", "StoredImage", "describe", "in_files", "stored_images", "survey_images"]

#: Frames of one file that are decoded before they are given on; a file that breaks among them loses all of them.
FRAMES_AT_ONCE = 256
#: Images of 8 bits that are decoded to see whether they may be masks.
LOOKED_AT = 24
SECONDS_BETWEEN_REPORTS = 0.2
#: Files of 8 bits are mapped by their full range.
EIGHT_BIT = PixelScaling(low=0.0, high=255.0, text="8-bit 0…255 mapped to [-1, 1]")


@dataclass(frozen=True, repr=False)
class ImageFile(ShortRepr):
    """One encoded image, in a folder or in a container.

    Attributes
    ----------
    name : its name in messages: the path below the folder, or the name of the member
    open : function that gives what Pillow opens, a path or a file in memory
    label : its label in the container, if there is one
    """

    name: str
    open: Callable[[], Path | BinaryIO]
    label: int | str | None = None


@dataclass
class Skips:
    """The treatment of files that cannot be read: an error or, if `allowed`, a message to `on_skip`."""

    allowed: bool
    on_skip: Callable[[str], None] | None
    seen: set[str] = field(default_factory=set)

    def handle(self, name: str, error: DataError) -> None:
        """Report the error to `on_skip`, the first time that the file `name` fails.

        Raises
        ------
        DataError
            Files must not be left out.
        """
        if not self.allowed:
            raise DataError(f"{error}; skip_corrupt=True leaves such files out") from error
        if name not in self.seen:
            self.seen.add(name)
            if self.on_skip is not None:
                self.on_skip(str(error))


class StoredImage(NamedTuple):
    """One image: its file, the header of the file, and the number of its frame."""

    file: ImageFile
    header: Header
    frame: int


def in_files(images: Sequence[StoredImage]) -> Iterator[list[StoredImage]]:
    """Neighbouring images of the same file together, at most :data:`FRAMES_AT_ONCE`."""
    for _, group in itertools.groupby(images, key=lambda image: id(image.file)):
        rows = list(group)
        for start in range(0, len(rows), FRAMES_AT_ONCE):
            yield rows[start : start + FRAMES_AT_ONCE]


class Reports:
    """Tells `progress` what share of the steps is done, a few times a second."""

    def __init__(self, progress: Callable[[str, float | None], None] | None, step: str, total: int) -> None:
        self._progress, self._step, self._total, self._last = progress, step, total, time.monotonic()

    def __call__(self, done: int) -> None:
        """So many steps are done."""
        if self._progress is not None and time.monotonic() - self._last > SECONDS_BETWEEN_REPORTS:
            self._last = time.monotonic()
            self._progress(self._step, done / self._total)


def drawn_first(files: Sequence[ImageFile], limit: int | None) -> Sequence[ImageFile]:
    """The files in the order in which they are used: a random subset of `limit` files, and behind it the others at random."""
    chosen = subset(len(files), limit)
    if chosen is None:
        return files
    others = np.setdiff1d(np.arange(len(files)), chosen)
    order = [*chosen.tolist(), *np.random.default_rng(SUBSET_SEED).permutation(others).tolist()]
    return [files[number] for number in order]


def stored_images(name: str, files: Sequence[ImageFile], options: Options, skips: Skips) -> tuple[StoredImage, ...]:
    """The images of all files whose headers can be read, or of the random subset of them that `limit` draws.

    Raises
    ------
    DataError
        A header cannot be read and the file may not be left out; no header can be read; images have different sizes and no
        `size` is given; files hold several frames and `frames` is not given.
    """
    by_frames = options.frames == "all"  # then the subset is one of frames, which the headers count
    images: list[StoredImage] = []
    several: list[StoredImage] = []
    report = Reports(options.progress, f"headers of {len(files):,} files", len(files))
    for number, file in enumerate(files if by_frames else drawn_first(files, options.limit)):
        report(number)
        try:
            header = read_header(file.open(), file.name)
        except DataError as error:
            skips.handle(file.name, error)
            continue
        if options.size is None and images:
            check_sizes(name, images[0], StoredImage(file, header, 0))
        frames = header.frames if by_frames else header.frames[:1]
        images += [StoredImage(file, header, frame) for frame in frames]
        several += [images[-1]] if len(header.frames) > 1 else []
        if not by_frames and not options.skip_corrupt and len(images) == options.limit:
            break
    if several and options.frames is None:
        first = several[0]
        total = sum(len(image.header.frames) for image in several)
        raise DataError(
            f"{name}: {len(several):,} of {len(files):,} image files hold several frames ({total:,} in all; {first.file.name} "
            f"holds {len(first.header.frames)}): type --frames all to read each frame as an image, or --frames first to read "
            'the first one of each file (in Python, pass "all" or "first")'
        )
    if not images:
        raise DataError(f"{name}: none of its {len(files)} image files can be read")
    chosen = subset(len(images), options.limit) if by_frames and not options.skip_corrupt else None
    return tuple(images) if chosen is None else tuple(images[number] for number in chosen.tolist())


def check_sizes(name: str, first: StoredImage, other: StoredImage) -> None:
    """Check that two images have one size.

    Raises
    ------
    DataError
        They differ.
    """
    one, two = first.header, other.header
    if (one.width, one.height) != (two.width, two.height):
        raise DataError(
            f"{name}: images of different sizes: {first.file.name} is {one.width}×{one.height}, {other.file.name} is "
            f"{two.width}×{two.height} (width×height); give size= to resize all to one size"
        )


@dataclass
class ImageFacts:
    """What the headers say, and what the pixels say of those images whose headers do not say enough.

    Attributes
    ----------
    ground : ground of transparent pixels, or "drop"
    colour : whether an image is in colour
    in_colour, alpha, transparent : number of images in colour, with alpha, with pixels that are not opaque
    scalings : how values become pixels, by their dtype
    broken : names of the files that could not be decoded
    """

    ground: str
    in_colour: int = 0
    alpha: int = 0
    transparent: int = 0
    scalings: dict[str, PixelScaling] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    @property
    def colour(self) -> bool:
        """Whether an image is in colour."""
        return self.in_colour > 0

    def scaling(self, image: Decoded) -> PixelScaling:
        """How the values of an image become pixels."""
        return self.scalings.get(image.values.dtype.name, EIGHT_BIT)


def survey_images(name: str, images: Sequence[StoredImage], options: Options, skips: Skips) -> ImageFacts:
    """Facts about the images. Those with alpha, with more than 8 bits and of animations are decoded once for it.

    Raises
    ------
    DataError
        A file cannot be decoded and may not be left out.
    """
    facts = ImageFacts(options.alpha or ("white" if options.like is None else "drop"))
    unknown = [image for image in images if image.header.needs_scan]
    facts.in_colour = sum(image.header.colour for image in images if not image.header.needs_scan)
    surveys: dict[str, ValueSurvey] = {}
    report, done = Reports(options.progress, f"transparency and range of {len(unknown):,} images", len(unknown)), 0
    for group in in_files(unknown):
        file, header = group[0].file, group[0].header
        report(done)
        done += len(group)
        try:
            for image in decode(file.open(), file.name, header, [image.frame for image in group]):
                facts.in_colour += image.values.ndim == 3
                facts.alpha += image.alpha is not None
                facts.transparent += image.has_transparency
                check_finite(image.values[None], np.zeros(1, dtype=np.int64), file.name)
                surveys.setdefault(image.values.dtype.name, ValueSurvey()).add(image.values)
        except DataError as error:
            skips.handle(file.name, error)
            facts.broken.add(file.name)
    if options.range is not None and len(images) > len(unknown):  # images of 8 bits, whose values are not looked at
        surveys.setdefault("uint8", ValueSurvey())
    for dtype, survey in surveys.items():
        if options.range is not None or dtype != "uint8":
            facts.scalings[dtype] = choose_scaling(
                survey, np.dtype(dtype), name=name, asked=options.range, error=DataError
            )
    known = [image for image in images if not image.header.needs_scan]
    if options.range is None and options.like is None and known:
        _ask_about_bytes(name, known, options)
    if len(images) > len(unknown) or "uint8" in surveys:
        facts.scalings.setdefault("uint8", EIGHT_BIT)
    return facts


def _ask_about_bytes(name: str, images: Sequence[StoredImage], options: Options) -> None:
    """Decide about images of 8 bits as about arrays of them: masks and dark images are asked about.

    Some of the images are decoded for it; all of them if those can be read in more than one way.

    Raises
    ------
    DataError
        Two readings are plausible, see :func:`~kappaflow.pixel_range.choose_scaling`.
    """
    places = np.unique(np.linspace(0, len(images) - 1, LOOKED_AT).round().astype(np.int64)).tolist()
    for chosen in ([images[place] for place in places], images):
        survey = ValueSurvey()
        report = Reports(options.progress, f"range of {len(chosen):,} images", len(chosen))
        for number, image in enumerate(chosen):
            report(number)
            try:
                for decoded in decode(image.file.open(), image.file.name, image.header, [image.frame]):
                    if decoded.values.dtype == np.uint8 and not decoded.has_transparency:
                        survey.add(decoded.values)
            except DataError:  # reported when the image is read
                continue
        if not survey.count:
            return
        try:
            choose_scaling(survey, np.dtype(np.uint8), name=name, error=DataError)
        except DataError:
            if len(chosen) == len(images):
                raise
        else:
            return


def describe(what: str, found: int, images: Sequence[StoredImage], facts: ImageFacts, options: Options) -> Provenance:
    """What is read of `what`, which has `found` image files, and what is done to the images."""
    headers = [image.header for image in images]
    files = len({id(image.file) for image in images})
    limited = options.limit is not None and not options.skip_corrupt  # else all headers are read
    read = f"{files:,} of {found:,} image files" if files < found and not limited else f"{found:,} image files"
    frames = sum(len(header.frames) for header in {id(image.file): image.header for image in images}.values())
    warnings = []
    left_out = [BROKEN] if options.skip_corrupt else []
    if options.frames == "all" and frames > files:
        read += f" with {frames:,} frames"
        warnings.append(
            f"{frames:,} frames of {files:,} files count as images of their own, although those of one film are alike"
        )
    elif frames > files:
        left_out.append(f"{frames - files:,} further frames (--frames first)")
    further = sum(header.further for header in {id(image.file): image.header for image in images}.values())
    if further:
        left_out.append(f"{further:,} previews, thumbnails and masks inside the files")
    subset_text = ""
    if options.limit is not None:
        total = frames if options.frames == "all" else found
        subset_text = describe_subset(total, min(options.limit, len(images)))
    processing, doubts = describe_processing(headers, facts, options)
    scalings = list(facts.scalings.values())
    return Provenance(
        what,
        read=read,
        subset=subset_text,
        left_out=tuple(left_out),
        processing=tuple(processing),
        scaling=", ".join(sorted({scaling.text for scaling in scalings}, key=len)),
        pixel_range=scalings[0].ends if len({scaling.ends for scaling in scalings}) == 1 else None,
        warnings=(*warnings, *doubts, *(text for scaling in scalings for text in scaling.warnings)),
    )


class Processing(NamedTuple):
    """What is done to images, in order, and doubts about it."""

    steps: list[str]
    warnings: list[str]


def describe_processing(headers: Sequence[Header], facts: ImageFacts, options: Options) -> Processing:
    """What is done to images with these headers."""
    steps, warnings = [], []
    turned = sum(header.turned for header in headers)
    if turned:
        steps.append(f"{turned:,} images turned upright as their EXIF orientation says")
    if facts.transparent and facts.ground == "drop":
        steps.append(
            f"alpha dropped in {facts.transparent:,} images with transparent pixels, whose hidden colours are read"
        )
    elif facts.transparent:
        steps.append(f"{facts.transparent:,} images with transparent pixels laid on {facts.ground}")
        if options.alpha is None:
            warnings.append(
                f"{facts.transparent:,} of {len(headers):,} images have transparent pixels and are laid on white: type --alpha "
                "black or white to choose, or --alpha drop if your training drops alpha, as PIL's convert('RGB') does"
            )
    elif facts.alpha:
        steps.append(f"alpha channel dropped in {facts.alpha:,} images, which are opaque")
    if options.grey and facts.in_colour:
        steps.append(f"{facts.in_colour:,} colour images converted to grey (luma 0.299 R + 0.587 G + 0.114 B)")
    elif 0 < facts.in_colour < len(headers):
        steps.append(f"{len(headers) - facts.in_colour:,} grey images repeated in three channels")
    text = describe_resize([Size(header.height, header.width) for header in headers], options)
    steps += [text] if text else []
    for mode in ("CMYK", "LAB"):
        if count := sum(header.mode == mode for header in headers):
            steps.append(f"{count:,} {mode} images converted to RGB without their colour profile")
    if cut := sum(header.cut for header in headers):
        warnings.append(
            f"{cut:,} images store more than 8 bits for each colour, and Pillow cuts them to 8: convert them to PNG or TIFF"
        )
    if options.like is not None and RECIPES[options.like].flips:
        warnings.append(
            f"training scripts like {options.like!r} mirror images at random, which doubles the images; this is not done here"
        )
    return Processing(steps, warnings)
