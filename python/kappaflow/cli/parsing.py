"""Lists that options take as text: sizes, seeds, bands, noise levels, names, sides of an image."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from typer.core import TyperCommand

from ..bands import Band, resolve_bands
from ..datasets.options import LARGEST_SIDE
from ..datasets.resizing import Size
from ..provenance import PixelRange
from .numerals import is_digits, typed_number

__all__ = [
    "LARGEST_SIZE",
    "SizesCommand",
    "TrainingSize",
    "chosen_bands",
    "format_over",
    "parse_bands",
    "parse_channels",
    "parse_count",
    "parse_counts",
    "parse_names",
    "parse_numbers",
    "parse_range",
    "parse_seeds",
    "parse_shape",
    "parse_side",
    "parse_sizes",
]

#: Largest training set that ``--n`` takes.
LARGEST_SIZE = 10**12
_MOST_SEEDS = 10**6
_MOST_BANDS = 1000


def _pieces(text: str) -> list[str]:
    return [piece for piece in re.split(r"[,\s]+", text.strip()) if piece]


class TrainingSize(NamedTuple):
    """The size of a training set as it was typed: a number of images, or of groups (``10g``)."""

    number: int
    groups: bool

    @property
    def text(self) -> str:
        """``"10g"`` or ``"100"``."""
        return f"{self.number}{'g' * self.groups}"


def _size(text: str) -> TrainingSize:
    """A training-set size; 1e5 and 100_000 are sizes too."""
    expected = (
        f"--n must be whole numbers from 2 to {LARGEST_SIZE:.0e}, such as 100,300 or --n 100 --n 300, or groups as 10g; "
        f"got {text!r}"
    )
    try:
        number = typed_number(text.removesuffix("g"))
    except ValueError:
        raise ValueError(expected) from None
    if not (2 <= number <= LARGEST_SIZE) or number != int(number):
        raise ValueError(expected)
    return TrainingSize(int(number), text.endswith("g"))


def parse_sizes(texts: Sequence[str] | None) -> list[TrainingSize] | None:
    """Sorted sizes of ``--n 100,300 --n 1000``; None if the option was not given."""
    if not texts:
        return None
    sizes = sorted({_size(piece) for text in texts for piece in _pieces(text)})
    if not sizes:
        raise ValueError(f"--n must hold at least one training-set size such as 100; got {','.join(texts)!r}")
    return sizes


def parse_numbers(option: str, text: str, least: float = -math.inf) -> list[float]:
    """Numbers of ``"0.1,1"``, at least `least`, in the order given; none of ``""``."""
    expected = f"{option} must be numbers{f' of at least {least:g}' * (least > -math.inf)} such as 0.1,1; got {text!r}"
    try:
        numbers = [typed_number(piece) for piece in _pieces(text)]
    except ValueError:
        raise ValueError(expected) from None
    if not all(math.isfinite(number) and number >= least for number in numbers):
        raise ValueError(expected)
    return numbers


def parse_counts(option: str, text: str) -> list[int]:
    """Whole numbers of ``"18,35"``, in the order given; none of ``""``."""
    pieces = _pieces(text)
    if not all(is_digits(piece) for piece in pieces):
        raise ValueError(f"{option} must be whole numbers such as 18,35; got {text!r}")
    return [int(piece) for piece in pieces]


def parse_count(option: str, text: str, least: int, most: int) -> int:
    """One whole number between two others."""
    if not is_digits(text.strip(), 18) or not least <= int(text) <= most:
        raise ValueError(f"{option} must be one whole number from {least} to {most}; got {text!r}")
    return int(text)


def parse_names(option: str, text: str | None, allowed: Sequence[str]) -> list[str] | None:
    """Words of ``"seeds,bands"``, each one of those allowed; None if the option was not given."""
    if text is None:
        return None
    names = _pieces(text)
    for name in names or [text]:
        if name not in allowed:
            raise ValueError(f"{option} must be among {', '.join(allowed)}; got {name!r}")
    return names


class SizesCommand(TyperCommand):
    """A command whose ``--n`` takes several numbers: ``--n 100 300 1000`` is ``--n 100 --n 300 --n 1000``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat ``--n`` before each further number that follows it."""
        spread: list[str] = []
        following = False
        for position, argument in enumerate(args):
            if argument == "--":
                spread += args[position:]
                break
            number = re.fullmatch(r"[0-9][0-9_.,e+g]*", argument) is not None
            if following and number and spread[-1] != "--n":
                spread.append("--n")
            spread.append(argument)
            following = argument == "--n" or (following and number)
        return super().parse_args(ctx, spread)


def _range(text: str) -> tuple[int, int] | None:
    """``"3-7"`` or ``"3"`` as (3, 7) or (3, 3); None for anything else."""
    match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", text)
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
    if len(pieces) == 1 and is_digits(pieces[0], 18) and "," not in text and ranges[0] is not None:
        ranges = [(0, ranges[0][0] - 1)]
    total, spans = 0, []
    for span in ranges:
        if span is None or span[0] > span[1]:
            raise ValueError(f"{expected}; got {text!r}")
        spans.append(range(span[0], span[1] + 1))
        total += len(spans[-1])
    if total > _MOST_SEEDS:
        raise ValueError(f"--seeds must be at most {_MOST_SEEDS} seeds; got {total}")
    seeds = [seed for span in spans for seed in span]
    repeated = [seed for seed, count in Counter(seeds).items() if count > 1]
    if repeated:
        raise ValueError(f"--seeds must name each seed once; got {repeated[0]} twice in {text!r}")
    return seeds


def parse_bands(text: str) -> int | list[Band]:
    """``"6"``, a number of bands, or ``"1-4,5-20"``, their modes counted from 1 with both ends included."""
    expected = "--bands must be a number of bands such as 6, or ranges of modes counted from 1 such as 1-4,5-20"
    pieces = _pieces(text)
    if len(pieces) == 1 and is_digits(pieces[0], 18) and "," not in text:
        if not 1 <= int(pieces[0]) <= _MOST_BANDS:
            raise ValueError(f"--bands must be 1 to {_MOST_BANDS} bands; got {text!r}")
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


def chosen_bands(wanted: int | list[Band], modes: int) -> list[Band]:
    """The bands of a population of so many modes."""
    return list(resolve_bands(wanted, modes, name="--bands"))


def parse_side(text: str | None) -> Size | None:
    """``--size``: 64 for a square, or height and width as 64x96; None if the option was not given."""
    if text is None:
        return None
    sides = re.split(r"[x×]", text.strip().lower())
    if len(sides) > 2 or not all(is_digits(side) and 1 <= int(side) <= LARGEST_SIDE for side in sides):
        raise ValueError(
            f"--size must be a whole number from 1 to {LARGEST_SIDE}, or height and width such as 64x96; got {text!r}"
        )
    return Size(int(sides[0]), int(sides[-1]))


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """``"28,28"`` or ``"28x28"`` as (28, 28)."""
    if text is None:
        return None
    sides = re.split(r"\s*[,x×]\s*", text.strip())
    if not all(is_digits(side) and int(side) for side in sides):
        raise ValueError(f"--shape must be the sides of one image such as 28,28 or 32,32,3; got {text!r}")
    return tuple(int(side) for side in sides)


def parse_range(text: str | None) -> PixelRange | None:
    """``"0,4095"`` as the ends of a range; None for ``"auto"``."""
    if text is None or text.strip() == "auto":
        return None
    expected = (
        f"--range must be the stored values of black and white such as 0,4095, the smaller first, or auto; got {text!r}"
    )
    try:
        numbers = parse_numbers("--range", text)
    except ValueError:
        raise ValueError(expected) from None
    if len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise ValueError(expected)
    return PixelRange(numbers[0], numbers[1])


def parse_channels(text: str | None) -> str | int | None:
    """``"first"``, ``"last"``, or a number of channels."""
    if text is None or text in ("first", "last"):
        return text
    if not is_digits(text) or int(text) < 1:
        raise ValueError(f"--channels must be first, last or the number of channels; got {text!r}")
    return int(text)


def format_over(largest: int) -> str:
    """The table entry for the case that no n up to the largest is enough."""
    return f"over {largest:.0e}".replace("e+", "e") if largest >= LARGEST_SIZE else f"over {largest:,}"
