"""What trained pilots say: the amount at any n, the images needed, the effect of longer training, and the seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from .._checks import positive
from ..common_floor import LARGEST_LAW, sizes_that_count
from ..models.errors import TrainingError
from ..models.posterior import PosteriorVariance
from ..validation.laws import ComparedLaw, most_general
from ..validation.network.analysis import compare_pair
from ..validation.network.context import Context
from ..validation.network.gallery import GALLERY_SEEDS, gallery
from ..validation.network.members import Member, MemberPair, pair_members
from ..validation.network.results import Gallery, NetworkData, NetworkPair
from ..validation.network.seeds import posterior_of
from .amount import Amount, Bounds, SizeObserved, fit_amount
from .law_curve import LawCurve
from .results import ForecastAt, Needed, Pilot, PilotSeeds, PilotSetup, ShorterTraining, TrainingLength
from .seeds import calibrate_seeds
from .training import PilotMembers

__all__ = ["TOLERANCE", "TOLERANCES", "assemble_pilot", "most_general_law", "size_notes"]

#: The tolerance of the headline, and all tolerances of the table.
TOLERANCE, TOLERANCES = 0.1, (0.2, 0.1, 0.05, 0.02, 0.01)


def most_general_law(context: Context) -> ComparedLaw:
    """The law that gives the dependence on n."""
    name = most_general(law.name for law in context.laws)
    return next(law for law in context.laws if law.name == name)


def assemble_pilot(
    context: Context,
    members: PilotMembers,
    *,
    setup: PilotSetup,
    source: str = "",
    tolerance: float = TOLERANCE,
    notes: Sequence[str] = (),
    progress: Callable[[str, float], None] | None = None,
) -> Pilot:
    """The result of pilots that have been trained and sampled.

    Parameters
    ----------
    context : of the same images
    members : the networks
    setup : how they were made
    source : name of the data
    tolerance : relative disagreement for which the images are counted
    notes : caveats that the report shows
    progress : called with the name of a step and the fraction that is done

    Raises
    ------
    TrainingError
        Too few pairs pass the gate: needed is a pair that differs in everything and one on the same images, or pairs of the first
        kind at two sizes.
    ValueError, TypeError
        The tolerance is not above 0 and below 1.
    """
    wanted = positive("tolerance", tolerance)
    if wanted >= 1:
        raise ValueError(f"tolerance must be below 1, the disagreement of unrelated seeds, got {wanted}")
    pairs = [compare_pair(context, pair) for pair in members.pairs]
    law = LawCurve.of(context, most_general_law(context), setup.n, progress)
    sizes = _sizes(pairs, law)
    failed = [m.run for m in members.full if not m.run.quality.passed]
    if not sizes:
        raise TrainingError(_no_pilot(members.full))
    amount = fit_amount(sizes)
    curve = tuple(_forecast(amount, int(n), law) for n in law.sizes)
    population = context.population
    posterior = posterior_of(context)
    seeds = None if posterior.value is None else _seeds(context, pairs, posterior.value)
    unordered = [posterior.note] if posterior.note else []
    return Pilot(
        data=NetworkData(
            source=source,
            provenance=population.provenance,
            shape=context.shape,
            dimension=population.dimension,
            images=context.count,
            eigenvalues=population.eigenvalues,
        ),
        setup=setup,
        runs=tuple(m.run for m in (*members.full, *members.shorter)),
        pairs=tuple(pairs),
        sizes=sizes,
        amount=amount,
        curve=curve,
        tolerance=wanted,
        needed=tuple(_needed(amount, each, law) for each in sorted({*TOLERANCES, wanted}, reverse=True)),
        length=_length(context, members, pairs, setup),
        seeds=seeds,
        gallery=_gallery(context, members.pairs, seeds),
        notes=(*notes, *_failed_note(failed), *size_notes(setup.n, sizes), *unordered),
    )


def _no_pilot(members: Sequence[Member]) -> str:
    reasons = [f"{m.run.key}: {'; '.join(m.run.quality.reasons)}" for m in members if not m.run.quality.passed]
    if not reasons:
        return (
            "too few pilots count, so nothing can be said about these networks: needed is a pair that differs in everything and "
            "one on the same images, or pairs of the first kind at two sizes, where the law for linear models is at most "
            f"{LARGEST_LAW} (or at the largest size)."
        )
    why = f"({reasons[0]}). Train longer, or scale the images."
    return f"no pilot passes the gate, so nothing can be said about these networks {why}"


def _failed_note(failed: Sequence[object]) -> list[str]:
    if not failed:
        return []
    what = "1 network fails" if len(failed) == 1 else f"{len(failed)} networks fail"
    return [f"{what} the gate; no number uses them."]


def size_notes(trained: Sequence[int], sizes: Sequence[SizeObserved]) -> list[str]:
    """Caveats of the sizes that count, of those that were trained."""
    notes = []
    counted = sizes_that_count(np.array([size.law for size in sizes]))
    if counted.sum() == 1:
        n = sizes[int(np.argmax(counted))].n
        left = "" if len(trained) == 1 else " the others have no pair that passes the gate;"
        untested = ", and the extrapolation is not tested"
        if len(sizes) > 1:
            left = f" linear models of fewer images disagree by more than {100 * LARGEST_LAW:.0f} %, where the law no longer holds;"
            untested = ""
        notes.append(
            f"Only one size of pilots counts, n = {n:,};{left} the share of the data is taken from other networks{untested}. A "
            f"second{', larger' if len(sizes) > 1 else ''} size gives a better answer."
        )
    if min(size.law for size in sizes) > LARGEST_LAW:
        notes.append(
            f"The pilots have so few images that linear models of them disagree by more than {100 * LARGEST_LAW:.0f} %. "
            "Disagreement no longer grows as the law does there, and the forecast may be off by more than its interval. Take "
            "larger pilots."
        )
    return notes


# --- sizes and forecasts ------------------------------------------------------------------------------------------------


def _sizes(pairs: Sequence[NetworkPair], law: LawCurve) -> tuple[SizeObserved, ...]:
    """What the pilots at each size showed, for sizes with pairs that differ in everything and pass the gate; none if they do not
    suffice for a fit.
    """
    observed = []
    for n in sorted({pair.n for pair in pairs}):
        arms = {
            arm: np.array([p.disagreement.ratio for p in pairs if (p.n, p.arm) == (n, arm) and p.trained])
            for arm in ("different", "floor", "same")
        }
        if len(arms["different"]):
            observed.append(
                SizeObserved(
                    n=n,
                    law=law.at(n),
                    everything=arms["different"],
                    same_images=arms["floor"],
                    data_alone=arms["same"],
                )
            )
    if not observed:
        return ()
    counted = sizes_that_count(np.array([size.law for size in observed]))
    enough = counted.sum() > 1 or len(observed[int(np.argmax(counted))].same_images) > 0
    return tuple(observed) if enough else ()


def _forecast(amount: Amount, n: int, law: LawCurve) -> ForecastAt:
    value = law.at(n)
    return ForecastAt(
        n=n,
        law=value,
        everything=amount.everything(value),
        data_alone=amount.data_alone(value),
        same_images=amount.same_images(value),
    )


def _needed(amount: Amount, tolerance: float, law: LawCurve) -> Needed:
    values: Bounds = amount.law_for(tolerance)
    return Needed(
        tolerance=tolerance, n=law.n_for(values.value), low=law.n_for(values.high), high=law.n_for(values.low)
    )


# --- the length of the training ---------------------------------------------------------------------------------------


def _length(
    context: Context, members: PilotMembers, pairs: Sequence[NetworkPair], setup: PilotSetup
) -> TrainingLength | None:
    if not members.shorter:
        return None
    n = max(setup.n)
    by_steps = groupby(sorted(members.shorter, key=lambda m: m.run.training.steps), key=lambda m: m.run.training.steps)
    rows = []
    for steps, group in by_steps:
        compared = {pair.kind.arm: compare_pair(context, pair) for pair in pair_members(list(group))}
        rows.append(_training(steps, [compared["different"]], [compared["floor"]]))
    # the shorter trainings are those of the first pair: it is compared with itself
    first = {arm: [p for p in pairs if (p.n, p.arm, p.repeat) == (n, arm, 0)] for arm in ("different", "floor")}
    rows.append(_training(setup.steps, first["different"], first["floor"]))
    kept = [row for row in rows if row.passed and row.same_images > 0]
    exponent = math.nan
    if len(kept) > 1:
        logs = np.log([[row.steps, row.same_images] for row in kept])
        exponent = -float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    return TrainingLength(n, tuple(rows), exponent)


def _training(steps: int, apart: Sequence[NetworkPair], floor: Sequence[NetworkPair]) -> ShorterTraining:
    return ShorterTraining(
        steps=steps,
        everything=float(np.mean([pair.disagreement.ratio for pair in apart])),
        same_images=float(np.mean([pair.disagreement.ratio for pair in floor])),
        passed=all(pair.trained for pair in (*apart, *floor)),
    )


# --- seeds ------------------------------------------------------------------------------------------------------------


def _seeds(context: Context, pairs: Sequence[NetworkPair], posterior: PosteriorVariance) -> PilotSeeds | None:
    """The calibration of the posterior variance at the largest size that passes the gate."""
    chosen = [p for p in pairs if p.arm == "different" and p.trained]
    if not chosen:
        return None
    n = max(p.n for p in chosen)
    observed = np.stack([p.disagreement.seeds for p in chosen if p.n == n])
    if observed.min() <= 0 or posterior.seeds.min() <= 0:
        return None
    return calibrate_seeds(np.array(context.seeds, dtype=np.int64), posterior.seeds, observed, n=n)


def _gallery(context: Context, member_pairs: Sequence[MemberPair], seeds: PilotSeeds | None) -> Gallery | None:
    """Images of a pair that differs in everything, at the largest size: of the most and the least fragile seeds if known."""
    shown = [pair for pair in member_pairs if pair.kind.arm == "different" and pair.trained]
    if not shown:
        return None
    places = range(GALLERY_SEEDS) if seeds is None or not seeds.ordered else seeds.ends(GALLERY_SEEDS // 2).tolist()
    return gallery(context, max(shown, key=lambda pair: (pair.kind.n, -pair.repeat)), places)
