"""Kinds of networks and of pairs of them: their names and colours in every report on networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .look import BAND_COLOURS, MUTED, WIDTH

__all__ = [
    "ARM_COLOURS",
    "ARM_TITLES",
    "ArchPanels",
    "about_networks",
    "arch_panels",
    "arch_plural",
    "arch_title",
    "size_words",
    "where",
]

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
        "your command": "Your command",
    }
)
_PLURALS: Mapping[str, str] = MappingProxyType(
    {
        "unet": "UNets",
        "dit": "DiTs",
        "mlp": "MLPs",
        "linear": "linear networks",
        "linear-conv": "linear convolutions",
        "given": "networks like these",
        "your command": "networks of your command",
    }
)


def arch_title(name: str) -> str:
    """``UNet``."""
    return _TITLES.get(name, name)


def arch_plural(name: str) -> str:
    """``UNets``; ``networks`` for a kind that has no name of its own."""
    return _PLURALS.get(name, "networks")


def where(arch: str, n: int) -> str:
    """``UNet, n = 200``; without n where it is not known."""
    return f"{arch_title(arch)}, n = {n:,}" if n else arch_title(arch)


def size_words(sizes: Sequence[int]) -> str:
    """`` at n = 30, 200``; nothing where sizes are not known."""
    return f" at n = {', '.join(f'{n:,}' for n in sizes)}" if any(sizes) else ""


def about_networks(text: str, archs: Sequence[str], sizes: Sequence[int]) -> str:
    """An alternative text of a figure, with the networks that it is about."""
    names = ", ".join(arch_title(arch) for arch in archs)
    return f"{text}; {names}{size_words(sizes).replace(' at ', '; ')}."


class ArchPanels(NamedTuple):
    """A figure and its axes, [row][column]."""

    figure: Figure
    axes: list[list[Axes]]


def arch_panels(archs: Sequence[str], *, height: float = 3.0, rows: int = 1) -> ArchPanels:
    """One column of panels for each architecture, `rows` below each other."""
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, len(archs), squeeze=False, sharey="row", sharex="col" if rows > 1 else False)
    for column, arch in enumerate(archs):
        grid[0, column].set_title(arch_title(arch))
    return ArchPanels(figure, [list(row) for row in grid])
