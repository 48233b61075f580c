"""How figures show the laws: colours and markers, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .look import BAND_COLOURS, INK, MUTED

__all__ = ["LawLook", "law_look"]


@dataclass(frozen=True, kw_only=True)
class LawLook:
    """How a law is drawn.

    Attributes
    ----------
    colour, marker : where laws are compared with a simulation; neither is that of an eigenband or of an n
    predictor : colour where laws predict networks
    """

    colour: str
    marker: str
    predictor: str


_LOOKS: Mapping[str, LawLook] = MappingProxyType(
    {
        "gaussian": LawLook(colour=MUTED, marker="s", predictor=BAND_COLOURS[1]),
        "elliptical": LawLook(colour="#7b4fa3", marker="D", predictor=BAND_COLOURS[2]),
        "empirical": LawLook(colour=INK, marker="o", predictor=BAND_COLOURS[0]),
        "published": LawLook(colour=MUTED, marker="s", predictor=BAND_COLOURS[3]),
    }
)
#: For a law that nobody has given a look.
_DEFAULT = LawLook(colour="#0a7f8c", marker="^", predictor=BAND_COLOURS[4])


def law_look(name: str) -> LawLook:
    """The look of a law by name; a law without one gets the default."""
    return _LOOKS.get(name, _DEFAULT)
