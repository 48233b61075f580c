"""The experiment end to end, and what the theory says of networks that are linear."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from smooth import SHAPE, smooth

torch = pytest.importorskip("torch")

from kappaflow import Splits  # noqa: E402
from kappaflow.validation.network import experiment as experiment_module  # noqa: E402
from kappaflow.validation.network import sweep  # noqa: E402
from kappaflow.validation.network.baselines import linear_samples  # noqa: E402
from kappaflow.validation.network.context import make_context  # noqa: E402
from kappaflow.validation.network.experiment import validate_networks  # noqa: E402
from kappaflow.validation.network.export import network_to_json  # noqa: E402
from kappaflow.validation.network.probes import LEVELS  # noqa: E402
from kappaflow.validation.network.stratified import strata_law  # noqa: E402
from kappaflow.validation.strata import strata  # noqa: E402

if TYPE_CHECKING:
    from linear_networks import Experiment


def test_linear_networks_disagree_as_linear_models_of_the_same_splits(experiment: Experiment) -> None:
    found = experiment.found
    for n in (30, 60):
        (pair,) = found.trained_pairs("linear", n, "same")
        base = next(b for b in found.baselines if (b.kind, b.n) == ("linear", n))
        assert pair.disagreement.mean == pytest.approx(base.disagreement.mean, rel=0.25)
        assert np.corrcoef(pair.disagreement.seeds, base.disagreement.seeds)[0, 1] > 0.9
        run = next(r for r in found.runs if (r.arch, r.n, r.split, r.member) == ("linear", n, "A", 0))
        assert run.linear_fit.own > 0.97
        assert run.linear_fit.own_zero > run.linear_fit.own
        floor = found.trained_pairs("linear", n, "floor")[0]
        assert floor.disagreement.mean < 0.25 * pair.disagreement.mean


def test_theory_predicts_linear_networks(experiment: Experiment) -> None:
    found = experiment.found
    for n in (30, 60):
        row = next(
            p for p in found.predictor_scores if (p.arch, p.n, p.arm, p.predictor) == ("linear", n, "same", "gaussian")
        )
        assert 0.5 < row.factor < 2  # one pair of splits
        assert row.modes.value > 0.8
        assert row.seeds.value > 0.2
        assert row.seeds.p_value < 0.05


def test_pairs_are_what_their_samples_say(experiment: Experiment) -> None:
    found, context = experiment.found, experiment.context
    kinds = {(pair.arch, pair.n, pair.arm) for pair in found.pairs}
    assert kinds == {("linear", n, arm) for n in (30, 60) for arm in ("same", "different", "floor")}
    for pair in found.pairs:
        assert pair.disagreement.modes.sum() == pytest.approx(pair.disagreement.mean)
        assert pair.disagreement.bands.sum() == pytest.approx(pair.disagreement.mean)
        assert pair.pixels.shape == SHAPE
        assert pair.pixels.mean() == pytest.approx(pair.disagreement.mean)
        assert pair.denoiser.shape == (len(LEVELS),)
    for forecast in found.forecasts:
        splits = Splits(
            context.population, forecast.n, **next(w.options for w in found.setup.laws if w.name == forecast.law)
        )
        f = splits.sampling_map(0.0, 80.0)
        np.testing.assert_allclose(forecast.disagreement.seeds, splits.disagreement(f, context.noise["seeds"]))
        relative = forecast.disagreement.modes.sum() / forecast.disagreement.unrelated
        assert relative == pytest.approx(float(splits.mean_disagreement(f, input_variance=80.0**2, relative=True)))


def test_json_holds_the_parts_of_a_disagreement_beside_what_they_are_of(experiment: Experiment) -> None:
    found = experiment.found
    content = network_to_json(found)
    parts = {"seeds", "modes", "bands", "unrelated", "unrelated_modes", "unrelated_bands"}
    assert set(content["pairs"][0]) == parts | {
        "arch",
        "n",
        "repeat",
        "arm",
        "runs",
        "trained",
        "pixels",
        "sigma",
        "denoiser",
    }
    assert set(content["baselines"][0]) == parts | {"kind", "n", "repeat"}
    assert set(content["forecasts"][0]) == parts | {"law", "n", "gain", "denoiser"}
    assert content["pairs"][0]["seeds"] == found.pairs[0].disagreement.seeds.tolist()
    facts = {"source", "provenance", "shape", "dimension", "images", "eigenvalues"}
    settings = {"n", "archs", "arms", "repeats", "seeds", "sigma_max", "sampler_steps", "preset", "device", "seed"}
    lists = {
        "runs",
        "pairs",
        "baselines",
        "forecasts",
        "predictions",
        "seed_scores",
        "amounts",
        "manipulations",
        "strata",
        "notes",
    }
    assert set(content) == facts | settings | lists | {"laws", "bands"}


def test_json_holds_the_parts_of_a_run_side_by_side(experiment: Experiment) -> None:
    run = experiment.found.runs[0]
    content = network_to_json(experiment.found)["runs"][0]
    assert set(content) == {"key", "arch", "n", "repeat", "split", "member", "quality"} | {
        "steps",
        "parameters",
        "seconds",
        "variance",
        "variance_linear",
        "r2_own",
        "r2_own_zero",
        "r2_pooled",
        "r2_population",
        "distance_linear",
        "nearest_own",
        "nearest_other",
        "auc",
        "memorised",
    }
    assert content["variance_linear"] == run.variance.linear.tolist()
    assert content["distance_linear"] == run.linear_fit.distance.tolist()
    assert (content["nearest_own"], content["auc"]) == (run.nearest.own.tolist(), run.nearest.auc)


def test_strata_and_manipulations(experiment: Experiment) -> None:
    found = experiment.found
    block = next(b for b in found.strata if b.arch == "linear")
    assert block.names == ("i.i.d.", "top", "bottom", "middle", "top + bottom")
    seen = np.isfinite(block.observed)
    np.testing.assert_allclose(block.observed[seen], block.observed.T[seen])
    assert seen.sum() >= 9
    np.testing.assert_allclose(block.observed[seen], block.linear[seen], rtol=0.5)
    top, bottom = (block.names.index(name) for name in ("top", "bottom"))
    assert block.predicted["gaussian"][top, bottom] > 3 * block.predicted["gaussian"][0, 0]
    assert block.linear[top, bottom] == pytest.approx(block.predicted["gaussian"][top, bottom], rel=0.2)
    rows = {(m.part, m.factor): m for m in found.manipulations if (m.arch, m.n, m.arm) == ("linear", 60, "same")}
    assert set(rows) == {(part, factor) for part in ("top", "bottom") for factor in (0.0, 1.0, 2.0)}
    assert rows["top", 1.0].observed == rows["bottom", 1.0].observed
    assert rows["top", 0.0].observed < rows["top", 1.0].observed < rows["top", 2.0].observed


def test_strata_law_is_that_of_parts_of_finite_strata(experiment: Experiment) -> None:
    """Linear models of sets drawn again and again from the strata: theory and mean agree in every cell, weak components too."""
    context = experiment.context
    component, n, names = 9, 60, ("i.i.d.", "top", "bottom", "middle", "top + bottom")
    law = next(law for law in context.laws if law.name == "gaussian")
    predicted = strata_law(context, law, n, component, names)
    parts = strata(context.population.coordinates(context.images)[:, component])
    noise = context.noise["seeds"]
    total = np.zeros((5, 5))
    for draw in range(150):
        rng = np.random.default_rng(draw)
        drawn = []
        for name in names:
            order = rng.permutation(parts[name])
            drawn.append([linear_samples(context.images[order[k : k + n]], noise) for k in (0, n)])
        total += [[np.mean((a[0] - b[1]) ** 2) for b in drawn] for a in drawn]
    np.testing.assert_allclose(predicted, (total + total.T) / 300, rtol=0.1)


def test_a_second_run_trains_nothing(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy of the folder: another worker of the test run may use the folder itself."""
    found, plan, context = experiment.found, experiment.plan, experiment.context
    folder = shutil.copytree(experiment.folder, tmp_path / "work")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert before

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(sweep, "train", never)
    again = validate_networks(plan, context, folder, source="smooth", workers=1)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before
    assert [p.disagreement.mean for p in again.pairs] == [p.disagreement.mean for p in found.pairs]


def test_settings_that_do_not_fit_the_data_are_noted() -> None:
    fine, large, low = (
        make_context(smooth(40) * size, SHAPE, seeds=8, sigma_max=top, sampler_steps=steps)
        for size, top, steps in ((1.0, 80.0, 35), (100.0, 80.0, 35), (1.0, 2.0, 5))
    )
    assert experiment_module._scale_notes(fine) == []
    assert "scale the images" in experiment_module._scale_notes(large)[0]
    start, steps = experiment_module._scale_notes(low)
    assert start.startswith("Sampling starts at σ = 2, not far above the data")
    assert steps.startswith("The sampler takes only 5 steps")
