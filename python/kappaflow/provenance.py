"""Where images come from: what was read, what was left out, and what was done to their pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from ._plain_text import plain_text
from ._repr import ShortRepr

__all__ = ["PixelRange", "Provenance"]


class PixelRange(NamedTuple):
    """The stored values that become the pixel values −1 (`low`) and 1 (`high`)."""

    low: float
    high: float


@dataclass(frozen=True, repr=False)
class Provenance(ShortRepr):
    """What was read, what was left out and why, how values became pixels, and what was done to the images.

    Readers of images fill it in; populations, results, reports and saved files carry it on. Empty texts mean that there is
    nothing to say.

    Attributes
    ----------
    what : the data: "the folder cats", "the array file x.npy", or any text of the user
    read : how much of it was read: "2,900 of 3,000 files", "(300, 12, 12) uint8"
    subset : which part of the images: "60 of 300 images, a random subset (seed 0)"
    left_out : what was not read, with its number and the reason: "75 files .psd: not an image format that is read"
    groups : which images belong together: "20 groups of 20 images (by folder)"
    processing : what was done to the images, in order: crop, resizing, grey, alpha, orientation
    scaling : how stored values became pixel values, in words
    pixel_range : the stored values that became −1 and 1, which are (−1, 1) if values are used as they are; None if files differ
        or nothing is known
    distinct : how many of the images are distinct, which is known after reading
    warnings : doubts about the data, one sentence each
    """

    what: str = ""
    read: str = ""
    subset: str = ""
    left_out: tuple[str, ...] = ()
    groups: str = ""
    processing: tuple[str, ...] = ()
    scaling: str = ""
    pixel_range: PixelRange | None = None
    distinct: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """All of it in one line, without the warnings."""
        head = f"{self.what}: {self.read}" if self.what and self.read else self.what or self.read
        left_out = f"left out: {', '.join(self.left_out)}" if self.left_out else ""
        parts = (head, self.subset, left_out, self.groups, *self.processing, self.scaling, self.distinct)
        return plain_text("; ".join(part for part in parts if part))

    def lines(self) -> tuple[tuple[str, str], ...]:
        """The block that a command prints before it computes: label and text of each line; nothing for empty texts."""
        head = f"{self.what}: {self.read}" if self.what and self.read else self.what or self.read
        rows = [("read", head), ("subset", self.subset)]
        rows += [("left out", text) for text in self.left_out]
        rows += [("groups", self.groups)]
        rows += [("processing", "; ".join(self.processing)), ("pixels", self.scaling), ("distinct", self.distinct)]
        rows += [("warning", text) for text in self.warnings]
        return tuple((label, plain_text(text)) for label, text in rows if text)

    def as_json(self) -> dict[str, Any]:
        """The fields by name, as lists, numbers and texts."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Provenance:
        """The provenance that :meth:`as_json` wrote.

        Raises
        ------
        ValueError
            Fields that do not exist, or values of another type.
        """
        names = {field.name for field in fields(cls)}
        unknown = sorted(set(facts) - names)
        if unknown:
            raise ValueError(f"provenance must have the fields {', '.join(sorted(names))}, got {unknown[0]!r}")
        values: dict[str, Any] = {}
        for name, value in facts.items():
            if name == "pixel_range":
                values[name] = None if value is None else _pixel_range(value)
            elif name in ("left_out", "processing", "warnings"):
                if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
                    raise ValueError(f"provenance: {name} must be a list of texts, got {value!r}")
                values[name] = tuple(value)
            elif isinstance(value, str):
                values[name] = value
            else:
                raise ValueError(f"provenance: {name} must be a text, got {value!r}")
        return cls(**values)


def _pixel_range(value: Any) -> PixelRange:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(end, int | float) for end in value):
        return PixelRange(float(value[0]), float(value[1]))
    raise ValueError(f"provenance: pixel_range must be two numbers or null, got {value!r}")
