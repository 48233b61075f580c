"""The tables of the report on networks that stand by themselves: all pairs, and what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..document import Cell, Mood, Prose, Section, Table, rounded
from ..kinds import ARM_TITLES, arch_title
from ..words import short
from .phrases import PROSE, where

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation


def pairs(found: NetworkValidation) -> Section:
    """Every pair of networks."""
    moods: list[Mood] = ["yes" if pair.trained else "no" for pair in found.pairs]
    words = [ARM_TITLES[pair.arm] + ("" if pair.trained else "; undertrained, in no average") for pair in found.pairs]
    caption = (
        "Disagreement: mean squared distance per dimension between two networks' images of the same seed. Unrelated seeds: the "
        "same for different seeds. Ratio: the first divided by the second."
    )
    table = Table(
        name="pairs",
        caption=caption,
        columns={
            "Networks": [f"{where(pair.arch, pair.n)}, repeat {pair.repeat + 1}" for pair in found.pairs],
            "What differs": [Cell(text, mood=mood) for text, mood in zip(words, moods, strict=True)],
            "Disagreement": [rounded(pair.disagreement.mean) for pair in found.pairs],
            "Unrelated seeds": [rounded(pair.disagreement.unrelated) for pair in found.pairs],
            "Ratio": [rounded(pair.disagreement.ratio) for pair in found.pairs],
        },
        words=("What differs",),
        moods=moods,
        small=True,
    )
    return Section(name="pairs", title="All pairs", parts=(table,))


def design(found: NetworkValidation) -> Section:
    """What was run."""
    return Section(name="design", title="What was run", parts=(Prose(PROSE, "design", {"rows": _design_rows(found)}),))


def _design_rows(found: NetworkValidation) -> list[tuple[str, str]]:
    size = " × ".join(str(k) for k in found.data.shape)
    rows = [("Data", found.data.source or "–")]
    if found.data.description:
        rows.append(("Description", found.data.description))
    rows += [
        ("Images", f"{found.data.images:,}, each of {size} values"),
        ("Architectures", ", ".join(arch_title(arch) for arch in found.setup.archs)),
        ("n", ", ".join(f"{n:,}" for n in found.setup.n) if any(found.setup.n) else "not known"),
        ("Pairs", "; ".join(ARM_TITLES[arm] for arm in found.setup.arms)),
        ("Repeats", str(found.setup.repeats)),
        ("Seeds", f"{found.setup.seeds.size:,}, starting at {int(found.setup.seeds[0])}"),
        ("Sampler", f"Heun, {found.setup.sampler_steps} steps from σ = {short(found.setup.sigma_max)}"),
        ("Preset", found.setup.preset),
        ("Seed of splits and training", str(found.setup.seed)),
        ("Device", found.setup.device),
    ]
    return rows
