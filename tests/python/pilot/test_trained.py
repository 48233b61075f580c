"""Pilots from networks that are trained already: linear networks must follow the law of linear models."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kappaflow import common_floor  # noqa: E402
from kappaflow.models.errors import TrainingError  # noqa: E402
from kappaflow.pilot.amount import SizeObserved  # noqa: E402
from kappaflow.pilot.assemble import assemble_pilot, size_notes  # noqa: E402
from kappaflow.pilot.results import Pilot, PilotSetup  # noqa: E402
from kappaflow.pilot.trained import (  # noqa: E402
    KeptRuns,
    ObservedPilot,
    kept_runs,
    observed_pilots,
    pilots_of_models,
    pilots_of_runs,
)
from kappaflow.pilot.training import PilotMembers  # noqa: E402
from kappaflow.validation.network.context import Context, make_context  # noqa: E402
from kappaflow.validation.network.given import open_models  # noqa: E402
from smooth import SHAPE, smooth  # noqa: E402

if TYPE_CHECKING:
    from linear_networks import Experiment

IMAGES = smooth(400)


@pytest.fixture(scope="module")
def context() -> Context:
    return make_context(IMAGES, SHAPE, seeds=64, sampler_steps=18, manipulated=False)


@pytest.fixture(scope="module")
def kept(experiment: Experiment) -> KeptRuns:
    return kept_runs(experiment.folder, IMAGES, SHAPE)


def setup_of(context: Context, sizes: tuple[int, ...], networks: str = "linear") -> PilotSetup:
    return PilotSetup(
        networks=networks,
        n=sizes,
        repeats=1,
        steps=1000,
        seeds=np.array(context.seeds),
        sigma_max=context.sigma_max,
        sampler_steps=context.steps,
        law="empirical",
        preset="",
        device="cpu",
        seed=0,
    )


@pytest.fixture(scope="module")
def members(kept: KeptRuns, context: Context, experiment: Experiment) -> PilotMembers:
    return pilots_of_runs(kept, context, experiment.folder)


@pytest.fixture(scope="module")
def pilot(members: PilotMembers, context: Context) -> Pilot:
    return assemble_pilot(context, members, setup=setup_of(context, (30, 60)), source="smooth")


def test_kept_runs_form_the_pairs_of_the_plan(kept: KeptRuns, experiment: Experiment) -> None:
    assert (kept.arch, kept.steps, kept.others) == ("linear", 1000, ())
    assert len(kept.runs) == 6  # A0, B0, B1 at both sizes; the networks of strata are left out
    assert sorted((kept.runs[a].n, arm) for a, _, arm in kept.pairs) == [
        (n, arm) for n in (30, 60) for arm in ("different", "floor", "same")
    ]
    planned = {tuple(run.own) for run in experiment.plan.runs if run.stratum is None}
    assert {tuple(run.own) for run in kept.runs} == planned


def test_networks_that_share_a_group_form_no_pair(experiment: Experiment) -> None:
    """An image of A and one of B, at n = 60 alone, come from one clip."""
    a, b = (run for run in experiment.plan.runs if (run.n, run.member, run.stratum) == (60, 0, None))
    labels = np.arange(400)
    labels[b.own[0]] = labels[a.own[-1]]
    kept = kept_runs(experiment.folder, IMAGES, SHAPE, groups=labels)
    assert sorted((kept.runs[first].n, arm) for first, _, arm in kept.pairs) == [
        *((30, arm) for arm in ("different", "floor", "same")),
        (60, "floor"),
    ]
    of_a = next(run for run in kept.runs if tuple(run.own) == tuple(a.own))
    assert b.own[0] not in of_a.held_out


def test_pairs_disagree_as_in_the_validation(pilot: Pilot, experiment: Experiment) -> None:
    before = {(pair.n, pair.arm): pair.disagreement.ratio for pair in experiment.found.pairs}
    assert len(pilot.pairs) == len(before)
    for pair in pilot.pairs:
        assert pair.disagreement.ratio == pytest.approx(before[pair.n, pair.arm], rel=1e-9)


def test_linear_networks_follow_the_law_of_linear_models(pilot: Pilot) -> None:
    """With c = 1 and F what their training leaves open: at 200 images two networks disagree as linear models do."""
    fit = pilot.amount.fit
    assert fit.data == pytest.approx(1.0, abs=0.3)
    forecast = pilot.at(200)
    assert forecast.everything.value == pytest.approx(forecast.law + fit.floor, rel=0.25)
    assert forecast.everything.low < forecast.law + fit.floor < forecast.everything.high
    for n in (30, 60):
        observed = next(size for size in pilot.sizes if size.n == n)
        assert pilot.at(n).everything.value == pytest.approx(float(observed.everything.mean()), rel=0.25)
    values = [each.everything.value for each in pilot.curve]
    assert values == sorted(values, reverse=True)


def test_images_needed_are_where_the_curve_meets_the_tolerance(pilot: Pilot) -> None:
    for needed in pilot.needed:
        if np.isfinite(needed.n) and needed.n > 30:
            around = [each.everything.value for each in pilot.curve if abs(np.log(each.n / needed.n)) < 0.5]
            assert min(around) <= 1.05 * needed.tolerance
            assert max(around) >= 0.95 * needed.tolerance
            assert needed.low <= needed.n <= needed.high
    tolerances = [needed.tolerance for needed in pilot.needed]
    assert tolerances == sorted(tolerances, reverse=True)
    assert pilot.wanted.tolerance == 0.1


def test_seeds_are_calibrated_to_their_mean(pilot: Pilot) -> None:
    assert pilot.seeds is not None
    relative = pilot.seeds.relative()
    assert relative.mean() == pytest.approx(1.0)
    order = np.argsort(pilot.seeds.posterior_variance)
    assert np.all(np.diff(relative[order]) * np.sign(pilot.seeds.exponent) >= 0)
    largest = next(p for p in pilot.pairs if (p.n, p.arm) == (60, "different")).disagreement.seeds
    factors = largest / largest.mean() / relative
    inside = np.mean((factors >= pilot.seeds.low) & (factors <= pilot.seeds.high))
    assert inside == pytest.approx(0.8, abs=0.05)


def test_networks_that_fail_the_gate_are_not_used(members: PilotMembers, context: Context) -> None:
    def failed(member: object) -> object:
        run = member.run  # type: ignore[attr-defined]
        quality = dataclasses.replace(run.quality, passed=False, reasons=("its images are grey",))
        return dataclasses.replace(member, run=dataclasses.replace(run, quality=quality))  # type: ignore[type-var]

    broken = {id(m): failed(m) for m in members.full if m.spec.n == 30}
    pairs = [
        dataclasses.replace(p, first=broken.get(id(p.first), p.first), second=broken.get(id(p.second), p.second))
        for p in members.pairs
    ]
    full = tuple(broken.get(id(m), m) for m in members.full)
    one_size = dataclasses.replace(members, full=full, pairs=tuple(pairs))
    found = assemble_pilot(context, one_size, setup=setup_of(context, (30, 60)))
    assert [size.n for size in found.sizes] == [60]
    assert any("3 networks fail the gate" in note for note in found.notes)
    assert any("Only one size" in note for note in found.notes)
    everything = {id(m): failed(m) for m in members.full}
    pairs = [
        dataclasses.replace(p, first=everything[id(p.first)], second=everything[id(p.second)]) for p in members.pairs
    ]
    nothing = dataclasses.replace(members, full=tuple(everything.values()), pairs=tuple(pairs))
    with pytest.raises(TrainingError, match=r"no pilot passes the gate.*its images are grey.*Train longer"):
        assemble_pilot(context, nothing, setup=setup_of(context, (30, 60)))


def test_pilots_of_very_few_images_are_a_caveat() -> None:
    few, more = (
        SizeObserved(n, law, np.array([0.5]), np.array([0.3]), np.array([])) for n, law in ((30, 0.44), (100, 0.16))
    )
    assert "more than 20 %" in size_notes([30], [few])[1]
    assert len(size_notes([100], [more])) == 1  # one size alone
    assert "the others have no pair that passes the gate" in size_notes([30, 100], [more])[0]
    (note,) = size_notes([30, 100], [few, more])  # the larger one counts, and it is alone
    assert note.startswith(
        "Only one size of pilots counts, n = 100; linear models of fewer images disagree by more than 20"
    )
    assert "not tested" not in note
    fewer = SizeObserved(300, 0.05, more.everything, more.same_images, more.data_alone)
    assert size_notes([30, 100, 300], [few, more, fewer]) == []


def test_a_floor_at_a_size_that_does_not_count_is_not_enough(
    members: PilotMembers, context: Context, pilot: Pilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common_floor, "LARGEST_LAW", 1.01 * pilot.sizes[1].law)
    pairs = tuple(p for p in members.pairs if (p.kind.n, p.kind.arm) != (60, "floor"))
    with pytest.raises(TrainingError, match="needed is a pair that differs in everything and one on the same images"):
        assemble_pilot(context, dataclasses.replace(members, pairs=pairs), setup=setup_of(context, (30, 60)))


def test_models_from_elsewhere_give_the_numbers_of_their_pairs(
    kept: KeptRuns, pilot: Pilot, experiment: Experiment, context: Context
) -> None:
    """The same checkpoints, named as models: A0, B1 and B0 in place of the second training."""
    at_60 = {arm: (a, b) for a, b, arm in kept.pairs if kept.runs[a].n == 60}
    apart, floor = at_60["different"], at_60["floor"]
    second = apart[1] if apart[1] in floor else apart[0]
    first = apart[0] if second == apart[1] else apart[1]
    again = floor[0] if floor[1] == second else floor[1]
    names = [str(_file(experiment.folder, kept, place)) for place in (first, second, again)]
    pilots = observed_pilots([ObservedPilot(60, names[0], names[1], names[2])])
    given = open_models(pilots[0].names, SHAPE, sigma_max=80.0)
    found = assemble_pilot(context, pilots_of_models(pilots, given, context), setup=setup_of(context, (60,), "given"))
    observed = next(size for size in pilot.sizes if size.n == 60)
    assert found.sizes[0].everything[0] == pytest.approx(observed.everything[0], rel=1e-6)
    assert found.sizes[0].same_images[0] == pytest.approx(observed.same_images[0], rel=1e-6)
    assert found.length is None


def _file(folder: Path, kept: KeptRuns, place: int) -> Path:
    from kappaflow.models.checkpoint import network_facts

    run = kept.runs[place]
    for path in sorted(folder.glob("*/model.safetensors")):
        facts = network_facts(path)
        assert facts is not None
        same = (facts["indices"], facts["training"]["init_seed"]) == (run.own.tolist(), run.training.init_seed)
        if same and facts["stratum"] is None:
            return path
    raise AssertionError(run.key)


def test_pilots_that_do_not_suffice_are_refused(tmp_path: Path, experiment: Experiment) -> None:
    with pytest.raises(ValueError, match="no pair"):
        kept_runs(tmp_path, IMAGES, SHAPE)
    with pytest.raises(ValueError, match="with 0 such networks"):
        kept_runs(experiment.folder, IMAGES + 0.1, SHAPE)
    with pytest.raises(ValueError, match="pilots must hold at least one pilot"):
        observed_pilots([])
    with pytest.raises(ValueError, match="pilots must differ in n"):
        observed_pilots([ObservedPilot(10, "a", "b", "c"), ObservedPilot(10, "d", "e", "f")])
    with pytest.raises(ValueError, match="third model or a second size"):
        observed_pilots([ObservedPilot(10, "a", "b")])
    with pytest.raises(ValueError, match="models of a pilot must differ"):
        ObservedPilot(10, "a", "b", "a")
    first, second = experiment.checkpoints(60)
    with pytest.raises(ValueError, match="n must be the number of images of the models, got 30"):
        ObservedPilot(30, first, second)
