"""What stands beside every number of linear theory: how far networks were from it, and the command that answers for the user's.

The measurements are those of ``docs/networks.md``.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .._layout import channel_axis

__all__ = [
    "NETWORK_FACTORS",
    "NETWORK_FLOOR",
    "NETWORK_POSTERIOR_CORRELATION",
    "NETWORK_POSTERIOR_TEXTURES",
    "NETWORK_PROBE_CHOSEN",
    "NETWORK_PROBE_CHOSEN_MEAN",
    "NETWORK_PROBE_MEASURED",
    "NETWORK_SEED_CEILING",
    "NETWORK_SEED_CORRELATION",
    "NetworkRange",
    "NetworkWords",
    "network_range",
    "network_words",
    "pilot_command",
]

#: Disagreement of two networks that differ in everything (images, initialisation and noise of the training) over what the
#: empirical law predicts, smallest and largest at each n: small UNets and DiTs on digits, MNIST, glyphs, textures and patches.
NETWORK_FACTORS: Mapping[int, tuple[float, float]] = MappingProxyType(
    {30: (0.84, 2.4), 100: (0.69, 3.1), 300: (0.44, 4.0), 898: (3.0, 9.0), 1000: (2.9, 2.9)}
)
#: Relative disagreement of two of these networks that were trained on the same images, smallest and largest at the two largest n.
NETWORK_FLOOR = (0.031, 0.082)
#: Rank correlation over seeds of what the empirical law predicts with what these networks did, smallest and largest.
NETWORK_SEED_CORRELATION = (-0.19, 0.20)
#: The same of the posterior variance with single pairs at n = 300 and 1000, smallest and largest on digits, MNIST, glyphs and
#: colour patches; and on textures.
NETWORK_POSTERIOR_CORRELATION, NETWORK_POSTERIOR_TEXTURES = (0.34, 0.65), (0.15, 0.20)
#: The smallest and largest value that any predictor could be expected to reach there.
NETWORK_SEED_CEILING = (0.45, 0.75)
#: The same of the sum of its rank and that of the probe of one network when this sum was chosen among ten, on digits and MNIST:
#: with single pairs, and with the mean of three pairs.
NETWORK_PROBE_CHOSEN, NETWORK_PROBE_CHOSEN_MEAN = (0.39, 0.46), (0.53, 0.62)
#: n → the same of the sum, and of the posterior variance alone, as measured later: UNets on digits, single pairs that do not
#: contain the probed network, only data differ.
NETWORK_PROBE_MEASURED: Mapping[int, tuple[float, float]] = MappingProxyType({100: (0.35, 0.37), 300: (0.40, 0.38)})

#: The data of these networks, in words.
_DATA = "small images"
#: The range of a size is used for all n up to the first factor away; sizes within the second factor of each other count as one.
_NEAR, _ALIKE = 3.0, 1.5


@dataclass(frozen=True)
class NetworkRange:
    """How many times as much as in linear theory two networks disagreed.

    Attributes
    ----------
    low, high : smallest and largest factor
    measured_at : numbers of training images at which these factors were measured
    grows : whether the factor is larger at the n that was asked for, because that is above all that were measured
    """

    low: float
    high: float
    measured_at: tuple[int, ...]
    grows: bool


def network_range(n: int | None) -> NetworkRange:
    """The measured range at the sizes nearest to n; of all sizes if n is None or more than three times smaller than all of them.

    Above the largest size it is that of the largest: there networks keep a floor that linear models do not have, so the factor
    grows.

    >>> network_range(1000)
    NetworkRange(low=2.9, high=9.0, measured_at=(898, 1000), grows=False)
    """
    sizes = tuple(NETWORK_FACTORS)
    if n is not None:
        nearest = min(sizes, key=lambda size: abs(math.log(n / size)))
        if nearest <= _NEAR * n:
            sizes = tuple(size for size in sizes if 1 / _ALIKE <= size / nearest <= _ALIKE)
    factors = [NETWORK_FACTORS[size] for size in sizes]
    low, high = min(low for low, _ in factors), max(high for _, high in factors)
    return NetworkRange(low, high, sizes, grows=n is not None and n > max(NETWORK_FACTORS))


def pilot_command(data: Sequence[str] = ("DATA",), shape: tuple[int, ...] = (0, 0)) -> str:
    """The command that answers for the user's network, quoted for a shell.

    Parameters
    ----------
    data : the data and their options as the user typed them
    shape : of one image; data that are no images need another architecture

    >>> pilot_command(["my photos", "--size", "14"])
    "kappaflow pilot 'my photos' --size 14 --arch unet"
    """
    image = len(shape) == 2 or channel_axis(shape) is not None
    return shlex.join(["kappaflow", "pilot", *data, "--arch", "unet" if image else "mlp"])


@dataclass(frozen=True)
class NetworkWords:
    """What to say beside a number of linear theory.

    Attributes
    ----------
    range : the measured range
    warning : that the number is none of the user's network
    measured : the range in a sentence
    short : the range in a few words, for tiles
    floor : what even networks trained on the same images disagree by, in a sentence
    ask : how to get an answer; the command follows
    command : for a shell
    """

    range: NetworkRange
    warning: str
    measured: str
    short: str
    floor: str
    ask: str
    command: str

    def as_json(self) -> dict[str, Any]:
        """The range and the command."""
        return {
            "low": self.range.low,
            "high": self.range.high,
            "measured_at": list(self.range.measured_at),
            "command": self.command,
        }


def _between(low: str, high: str) -> str:
    """``3 to 9``, or the number if both are the same."""
    return low if low == high else f"{low} to {high}"


def network_words(n: int | None, command: str) -> NetworkWords:
    """The words beside a number of linear theory at n training images, None if it belongs to no n.

    Parameters
    ----------
    n : number of images in each training set
    command : of :func:`pilot_command`
    """
    found = network_range(n)
    factor = _between(f"{found.low:.2g}", f"{found.high:.2g}") + " times as much"
    sizes = _between(f"{found.measured_at[0]:,}", f"{found.measured_at[-1]:,}")
    measured = f"Two small UNets or DiTs trained on {sizes} {_DATA} disagreed {factor} as it says."
    if found.grows:
        measured += " With more images this factor grows: networks keep a floor that linear models do not have."
    least, most = (f"{100 * share:.0f}" for share in NETWORK_FLOOR)
    return NetworkWords(
        range=found,
        warning="These are numbers of linear theory, not of your network.",
        measured=measured,
        short=f"networks at n = {sizes}: {factor}",
        floor=f"Two of them trained on the same 900 to 1,000 images still disagreed by {least} to {most} %: more images "
        "alone may not reach your tolerance.",
        ask="For the numbers of your network, train a few pilots at small n:",
        command=command,
    )
