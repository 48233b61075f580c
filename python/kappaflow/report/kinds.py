"""Kinds of networks and of pairs of them: their names and colours in every report on networks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .look import BAND_COLOURS, MUTED

__all__ = ["ARM_COLOURS", "ARM_TITLES", "arch_plural", "arch_title"]

#: What differs between the two networks of a pair.
ARM_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "same": "only data differ",
        "different": "everything differs",
        "floor": "same data, other initialisation",
        "given": "given models",
    }
)
ARM_COLOURS: Mapping[str, str] = MappingProxyType(
    {"same": BAND_COLOURS[0], "different": BAND_COLOURS[1], "floor": MUTED, "given": BAND_COLOURS[0]}
)

_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "unet": "UNet",
        "dit": "DiT",
        "mlp": "MLP",
        "linear": "Linear network",
        "linear-conv": "Linear convolution",
        "given": "Given models",
    }
)
_PLURALS: Mapping[str, str] = MappingProxyType(
    {
        "unet": "UNets",
        "dit": "DiTs",
        "mlp": "MLPs",
        "linear": "linear networks",
        "linear-conv": "linear convolutions",
    }
)


def arch_title(name: str) -> str:
    """``UNet``."""
    return _TITLES.get(name, name)


def arch_plural(name: str) -> str:
    """``UNets``; ``networks`` for a kind that has no name of its own."""
    return _PLURALS.get(name, "networks")
