"""The section on how far the numbers can be trusted: the test of the extrapolation, and what the limits hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...identified import ways_out
from ..document import Cell, Section, Table, rounded
from ..words import count, counted, joined, number, percent
from .phrases import COVERED

if TYPE_CHECKING:
    from ..._checks import FloatArray
    from ...pilot.results import Pilot


def trust(pilot: Pilot) -> Section:
    """Observed and fitted, the largest pilot predicted from the smaller ones, and what the limits hold."""
    return Section(
        name="trust",
        title="How far can these numbers be trusted?",
        contents="How sure?",
        takeaways=trust_sentences(pilot),
        parts=(_table(pilot),),
    )


def trust_sentences(pilot: Pilot) -> tuple[str, ...]:
    """The test of the extrapolation, the parts of the limits, and how far the answer lies beyond the pilots."""
    amount, largest = pilot.amount, max(size.n for size in pilot.sizes)
    parts = (
        f"The limits allow for an error of the extrapolation of about {percent(amount.extrapolation)}, for a difference of about "
        f"{percent(amount.between_pairs)} from one pair of networks to the next (both are standard deviations), and for the few "
        f"pairs of the pilots. They should hold {COVERED}."
    )
    reach = pilot.halves.n / largest
    far = (
        f"The n of the answer, {pilot.halves.n:,}, is {number(reach, 2)} times that of the largest pilot. "
        if pilot.halves.n > largest
        else f"The n of the answer, {pilot.halves.n:,}, is within the range of the pilots. "
    )
    assumed = "Numbers for more images than are at hand assume more images of the same kind."
    last = pilot.curve[-1].n
    ends = []
    if last <= pilot.data.images:
        why = f": {ways_out(last, pilot.data.shape)}" if last < math.prod(pilot.data.shape) + 2 else ""
        ends = [f"The images at hand cannot determine the law at more than {count(last)} images{why}."]
    return (tested_sentence(pilot), parts, far + assumed, *ends)


def tested_sentence(pilot: Pilot) -> str:
    """How well the smaller pilots predict the largest."""
    tested = pilot.amount.left_out
    if tested is None:
        why = f"There are pilots at one size only, n = {pilot.sizes[0].n:,}"
        if len(pilot.sizes) > 1:
            why = f"The pilot at n = {pilot.sizes[0].n:,} has no two trainings on the same images, so it cannot be fitted alone"
        return f"{why}: the extrapolation could not be tested on these networks."
    smaller = joined([f"{size.n:,}" for size in pilot.sizes if size.n < tested.n])
    off = tested.observed / tested.predicted
    return (
        f"Test: the pilots at n = {smaller} alone predict a disagreement of {percent(tested.predicted)} at n = {tested.n:,}. "
        f"Observed is {percent(tested.observed)}, {off:.2f} times as much."
    )


def _table(pilot: Pilot) -> Table:
    sizes, fit = pilot.sizes, pilot.amount.fit
    law = np.array([size.law for size in sizes])
    alone = pilot.amount.data_floor + fit.data * law
    columns: dict[str, list[Cell | str]] = {"n": [f"{size.n:,}" for size in sizes]}
    columns["Pairs"] = [counted(len(size.everything), "pair") for size in sizes]
    for title, name, fitted in (
        ("Everything differs", "everything", fit.disagreement(law)),
        ("Only data differ", "data_alone", alone),
        ("Same images", "same_images", fit.same_images(law)),
    ):
        observed = [_mean(getattr(size, name)) for size in sizes]
        columns[f"{title}: observed"] = [rounded(value, percent(value)) for value in observed]
        columns[f"{title}: fit"] = [rounded(float(value), percent(float(value))) for value in fitted]
    return Table(
        name="pilots",
        caption="What the pilots show (means over the pairs that pass the gate), and the fit to them.",
        columns=columns,
        small=True,
    )


def _mean(values: FloatArray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
