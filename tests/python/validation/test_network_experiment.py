"""The experiment end to end: splits, gate, sweep, analysis, and what the theory says of networks that are linear."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kappaflow import Population, Splits  # noqa: E402
from kappaflow.bands import default_bands  # noqa: E402
from kappaflow.models.backbones import build_backbone  # noqa: E402
from kappaflow.models.config import NetworkConfig, build_denoiser  # noqa: E402
from kappaflow.models.denoisers import LinearDenoiser, MemorisingDenoiser  # noqa: E402
from kappaflow.models.errors import TrainingError  # noqa: E402
from kappaflow.models.layout import to_tensor  # noqa: E402
from kappaflow.report.network import find, render_network_page  # noqa: E402
from kappaflow.validation.network import experiment as experiment_module  # noqa: E402
from kappaflow.validation.network import sweep  # noqa: E402
from kappaflow.validation.network.baselines import linear_samples  # noqa: E402
from kappaflow.validation.network.context import make_context  # noqa: E402
from kappaflow.validation.network.cost import estimate  # noqa: E402
from kappaflow.validation.network.experiment import validate_networks  # noqa: E402
from kappaflow.validation.network.export import network_to_json  # noqa: E402
from kappaflow.validation.network.gate import judge, linear_loss  # noqa: E402
from kappaflow.validation.network.given import compare_given, open_pair, outside  # noqa: E402
from kappaflow.validation.network.plan import make_plan  # noqa: E402
from kappaflow.validation.network.presets import PRESETS  # noqa: E402
from kappaflow.validation.network.probes import LEVELS, Probe, examine  # noqa: E402
from kappaflow.validation.network.results import NetworkValidation, Quality  # noqa: E402
from kappaflow.validation.network.stratified import strata_law  # noqa: E402
from kappaflow.validation.strata import strata  # noqa: E402

SHAPE = (4, 4)


def smooth(count: int, seed: int = 0) -> np.ndarray:
    """Rows of 4 × 4 images whose neighbours are alike, with spectra of two decades."""
    white = np.random.default_rng(seed).standard_normal((count, *SHAPE))
    return (0.25 * white.cumsum(axis=1).cumsum(axis=2) - 0.2).reshape(count, -1)


# ---------------------------------------------------------------- splits and plans
def test_splits_are_disjoint_nested_and_seeded() -> None:
    images = smooth(60)
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10, 25], repeats=2, seed=3)
    runs = {(run.n, run.repeat, run.split, run.member): run for run in plan.runs}
    assert len(runs) == len(plan.runs) == 2 * 2 * 3
    for repeat in (0, 1):
        for n in (10, 25):
            a, b0, b1 = (runs[(n, repeat, *member)] for member in (("A", 0), ("B", 0), ("B", 1)))
            assert len(a.own) == len(b0.own) == n
            assert not set(a.own) & set(b0.own)
            np.testing.assert_array_equal(b0.own, b1.own)
            np.testing.assert_array_equal(a.other, b0.own)
            assert not set(a.held_out) & set(a.own)
            assert a.training.init_seed == b0.training.init_seed != b1.training.init_seed
        assert set(runs[10, repeat, "A", 0].own) < set(runs[25, repeat, "A", 0].own)
    assert set(runs[10, 0, "A", 0].own) != set(runs[10, 1, "A", 0].own)
    again = make_plan(images, SHAPE, archs=["mlp"], n=[10, 25], repeats=2, seed=3)
    np.testing.assert_array_equal(again.runs[0].own, plan.runs[0].own)
    assert set(make_plan(images, SHAPE, archs=["mlp"], n=[10], seed=4).runs[0].own) != set(plan.runs[0].own)


def test_contiguous_splits_are_the_ends_of_the_data() -> None:
    plan = make_plan(smooth(60), SHAPE, archs=["mlp"], n=[20], split="contiguous")
    np.testing.assert_array_equal(plan.runs[0].own, np.arange(20))
    np.testing.assert_array_equal(plan.runs[1].own, np.arange(40, 60))


def test_presets_are_cut_to_half_of_the_images() -> None:
    assert make_plan(smooth(100), SHAPE).n == (30, 50)
    assert make_plan(smooth(3000), SHAPE, "paper").n == (300, 1000, 1500)
    paper = PRESETS["paper"]
    assert (paper.training.batch, paper.training.learning_rate, paper.steps["unet"]) == (256, 1e-4, 50_000)
    for side, patch in ((32, 2), (64, 4)):
        images = np.zeros((20, side * side))
        images[:, 0] = 1
        plan = make_plan(images, (side, side), "paper", n=[10])
        assert {run.network.options.get("patch") for run in plan.runs if run.arch == "dit"} == {patch}


def test_published_unet_attends_at_eight_pixels() -> None:
    pytest.importorskip("diffusers")
    options = PRESETS["paper"].networks["unet"]
    for side, where in ((32, 2), (64, 3)):
        unet = build_backbone("unet", (3, side, side), {**options, "channels": (32, 32, 32, 32)}).model
        kinds = [type(block).__name__ for block in unet.down_blocks]
        assert [place for place, kind in enumerate(kinds) if kind == "AttnDownBlock2D"] == [where]


def test_strata_are_disjoint_sets_of_a_third_each() -> None:
    images = smooth(120)
    coordinate = images[:, 0]
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10, 60], coordinate=coordinate, component=0)
    stratified = [run for run in plan.runs if run.stratum is not None]
    assert plan.strata_n == 10
    assert len(stratified) == 2 * 5
    top, bottom = (next(r for r in stratified if r.stratum == name) for name in ("top", "bottom"))
    assert coordinate[top.own].min() > coordinate[bottom.own].max()
    assert not set(top.own) & set(top.other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "huge"}, "preset must be one of quick, laptop, paper; got 'huge'"),
        ({"archs": ["vit"]}, "archs must be among unet, dit, mlp, linear, linear-conv; got 'vit'"),
        ({"arms": ["floor"]}, "arms must be one of 'same', 'different', got 'floor'"),
        ({"n": [31]}, "n must be at most 30, half of the 60 images, got 31"),
        ({"n": [3]}, "n must be an integer of at least 4, got 3"),
        ({"split": "sorted"}, "split must be one of 'random', 'contiguous', got 'sorted'"),
        (
            {"split": "contiguous", "repeats": 2},
            "repeats must be 1 with split 'contiguous', of which there is one, got 2",
        ),
        ({"repeats": 0}, "repeats must be an integer of at least 1, got 0"),
        ({"seeds": 2}, "seeds must be an integer of at least 8, got 2"),
        ({"component": 0}, "coordinate must hold one number for each image"),
    ],
)
def test_plans_that_cannot_be(options: dict[str, Any], words: str) -> None:
    preset = options.pop("preset", "quick")
    with pytest.raises(ValueError, match=words):
        make_plan(smooth(60), SHAPE, preset, **({"archs": ["mlp"]} | options))
    with pytest.raises(ValueError, match="images must be at least 8 to be split, got 6"):
        make_plan(smooth(6), SHAPE)


# ---------------------------------------------------------------- the gate
def quality(denoiser: Any, own: np.ndarray, held_out: np.ndarray, seeds: int = 128) -> Quality:
    noise = 80 * np.random.default_rng(5).standard_normal((seeds, own.shape[1]))
    images = {"own": own[:64], "held_out": held_out}
    answers = examine(denoiser, Probe(SHAPE, {"seeds": noise}, images, steps=18))
    modes = Population.from_samples(np.concatenate([own, held_out]))
    return judge(
        own=own,
        probed=own[:64],
        held_out=held_out,
        samples=answers.samples["seeds"],
        linear_samples=linear_samples(own, noise),
        loss_own=answers.loss["own"],
        loss_held_out=answers.loss["held_out"],
        modes=modes,
        bands=default_bands(16, 4),
    )


OWN, HELD_OUT = smooth(80, 1), smooth(64, 2)


def test_linear_loss_is_what_the_linear_denoiser_loses() -> None:
    population = Population.from_samples(OWN)
    denoiser = LinearDenoiser.from_images(to_tensor(OWN, SHAPE, torch.float64))
    rng = np.random.default_rng(0)
    for level, expected in zip(LEVELS, linear_loss(population, HELD_OUT), strict=True):
        clean = np.repeat(HELD_OUT, 200, axis=0)
        noised = to_tensor(clean + level * rng.standard_normal(clean.shape), SHAPE, torch.float64)
        answer = denoiser(noised, torch.full((len(clean),), level, dtype=torch.float64)).numpy().reshape(len(clean), -1)
        assert np.mean((answer - clean) ** 2) == pytest.approx(expected, rel=0.02)


def test_models_of_the_data_pass() -> None:
    """The linear denoiser of the set itself, and the one that memorises it."""
    exact = to_tensor(OWN, SHAPE, torch.float64)
    for model in (LinearDenoiser.from_images(exact), MemorisingDenoiser(exact)):
        found = quality(model, OWN, HELD_OUT)
        assert found.passed, found.reasons
        assert found.reasons == ()


def test_a_constant_generator_is_caught() -> None:
    mean = to_tensor(OWN, SHAPE, torch.float64).mean(dim=0)
    found = quality(lambda x, sigma: mean.expand_as(x), OWN, HELD_OUT)
    assert not found.passed
    assert any("generated variance 0.00 of the data's" in reason for reason in found.reasons), found.reasons
    assert any("denoising loss" in reason for reason in found.reasons)


@pytest.mark.parametrize("arch", ["mlp", "dit", "unet"])
def test_an_untrained_network_is_caught(arch: str) -> None:
    if arch != "mlp":
        pytest.importorskip("diffusers")
    scale = float(np.sqrt(np.mean(OWN**2)))
    found = quality(build_denoiser(NetworkConfig(arch, (1, *SHAPE), scale), 0).eval(), OWN, HELD_OUT, 64)
    assert not found.passed
    assert any("denoising loss" in reason for reason in found.reasons)
    assert any("samples" in reason or "generated" in reason for reason in found.reasons), found.reasons


@pytest.mark.parametrize("varying", [False, True])
def test_a_checkerboard_generator_is_caught(varying: bool) -> None:
    """A good denoiser plus a pattern that no image has: the same in every image, or of a strength that varies."""
    exact = LinearDenoiser.from_images(to_tensor(OWN, SHAPE, torch.float64))
    board = torch.tensor([[(-1.0) ** (i + j) for j in range(4)] for i in range(4)], dtype=torch.float64)

    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        level = sigma.reshape(-1, 1, 1, 1)
        strength = (x * board).mean(dim=(1, 2, 3), keepdim=True) / (1 + level**2).sqrt() * 0.9 if varying else 0.5
        return exact(x, sigma) + strength * board

    found = quality(denoiser, OWN, HELD_OUT)
    assert not found.passed
    if varying:
        assert any("generated where the data have little" in reason for reason in found.reasons), found.reasons


def test_variance_outside_of_all_modes_is_excess() -> None:
    """Fewer images than dimensions: what is generated outside of their span is in no mode."""
    few, others = OWN[:6], HELD_OUT[:5]
    exact = LinearDenoiser.from_images(to_tensor(few, SHAPE, torch.float64))
    span = Population.from_samples(np.concatenate([few, others]))
    away = np.linalg.svd(span.eigenvectors.T)[2][-1].reshape(1, *SHAPE)
    images = {"own": few, "held_out": others}
    noise = 80 * np.random.default_rng(5).standard_normal((128, 16))

    def noisy(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        along = (x * torch.from_numpy(away)).sum(dim=(1, 2, 3), keepdim=True)
        return exact(x, sigma) + along / (1 + sigma.reshape(-1, 1, 1, 1) ** 2) * torch.from_numpy(away)

    excess = []
    for model in (exact, noisy):
        answers = examine(model, Probe(SHAPE, {"seeds": noise}, images, steps=18))
        found = judge(
            own=few,
            probed=few,
            held_out=others,
            samples=answers.samples["seeds"],
            linear_samples=linear_samples(few, noise),
            loss_own=answers.loss["own"],
            loss_held_out=answers.loss["held_out"],
            modes=span,
            bands=default_bands(10, 2),
        )
        excess.append(found.excess)
    assert excess[0] < 0.05
    assert excess[1] > excess[0] + 0.1


# ---------------------------------------------------------------- the sweep
@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> tuple[NetworkValidation, Path, Any, Any]:
    """Linear networks on smooth images, two sizes, both arms, with strata."""
    folder = tmp_path_factory.mktemp("runs")
    images = smooth(400)
    context = make_context(images, SHAPE, seeds=64, sampler_steps=18)
    coordinate = context.population.coordinates(images)[:, 0]
    plan = make_plan(
        images,
        SHAPE,
        archs=["linear"],
        n=[30, 60],
        seeds=64,
        sampler_steps=18,
        steps=1000,
        component=0,
        coordinate=coordinate,
        training={"learning_rate": 5e-2, "batch": 256, "noise_mean": -0.5, "noise_std": 1.8, "ema": 0.15},
    )
    fractions: list[float] = []
    found = validate_networks(
        plan, context, folder, source="smooth", workers=2, progress=lambda _, f: fractions.append(f)
    )
    assert fractions == sorted(fractions)
    return found, folder, plan, context


def test_linear_networks_disagree_as_linear_models_of_the_same_splits(experiment: Any) -> None:
    found, *_ = experiment
    for n in (30, 60):
        (pair,) = found.trained_pairs("linear", n, "same")
        base = next(b for b in found.baselines if (b.kind, b.n) == ("linear", n))
        assert pair.disagreement.mean == pytest.approx(base.disagreement.mean, rel=0.25)
        assert np.corrcoef(pair.disagreement.seeds, base.disagreement.seeds)[0, 1] > 0.9
        run = next(r for r in found.runs if (r.arch, r.n, r.split, r.member) == ("linear", n, "A", 0))
        assert run.r2_own > 0.97
        assert run.r2_own_zero > run.r2_own
        floor = found.trained_pairs("linear", n, "floor")[0]
        assert floor.disagreement.mean < 0.25 * pair.disagreement.mean


def test_theory_predicts_linear_networks(experiment: Any) -> None:
    found, *_ = experiment
    for n in (30, 60):
        row = next(
            p for p in found.predictions if (p.arch, p.n, p.arm, p.predictor) == ("linear", n, "same", "gaussian")
        )
        assert 0.5 < row.factor < 2  # one pair of splits
        assert row.modes.value > 0.8
        assert row.seeds.value > 0.2
        assert row.seeds.p_value < 0.05


def test_pairs_are_what_their_samples_say(experiment: Any) -> None:
    found, _, _, context = experiment
    kinds = {(pair.arch, pair.n, pair.arm) for pair in found.pairs}
    assert kinds == {("linear", n, arm) for n in (30, 60) for arm in ("same", "different", "floor")}
    for pair in found.pairs:
        assert pair.disagreement.modes.sum() == pytest.approx(pair.disagreement.mean)
        assert pair.disagreement.bands.sum() == pytest.approx(pair.disagreement.mean)
        assert pair.pixels.shape == SHAPE
        assert pair.pixels.mean() == pytest.approx(pair.disagreement.mean)
        assert pair.denoiser.shape == (len(LEVELS),)
    for forecast in found.forecasts:
        splits = Splits(context.population, forecast.n, **next(w.options for w in found.laws if w.name == forecast.law))
        f = splits.sampling_map(0.0, 80.0)
        np.testing.assert_allclose(forecast.disagreement.seeds, splits.disagreement(f, context.noise["seeds"]))
        relative = forecast.disagreement.modes.sum() / forecast.disagreement.unrelated
        assert relative == pytest.approx(float(splits.mean_disagreement(f, input_variance=80.0**2, relative=True)))


def test_json_holds_the_parts_of_a_disagreement_beside_what_they_are_of(experiment: Any) -> None:
    found, *_ = experiment
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
    assert set(content) == {field.name for field in dataclasses.fields(found)} - {"galleries"}


def test_strata_and_manipulations(experiment: Any) -> None:
    found, *_ = experiment
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


def test_strata_law_is_that_of_parts_of_finite_strata(experiment: Any) -> None:
    """Linear models of sets drawn again and again from the strata: theory and mean agree in every cell, weak components too."""
    *_, context = experiment
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


def test_a_second_run_trains_nothing(experiment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found, folder, plan, context = experiment
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert before

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(sweep, "train", never)
    again = validate_networks(plan, context, folder, source="smooth", workers=1)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before
    assert [p.disagreement.mean for p in again.pairs] == [p.disagreement.mean for p in found.pairs]


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    images = smooth(40)
    context = make_context(images, SHAPE, seeds=16, sampler_steps=5)
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10], seeds=16, sampler_steps=5, steps=60)
    jobs = sweep.make_jobs(plan.runs, images, SHAPE, dict(context.noise), tmp_path, steps=5, sigma_max=80.0, seed=0)
    first = sweep.run_jobs(jobs[:1], workers=1)[0].answers().samples["seeds"]
    everything = sweep.run_jobs(jobs, workers=1)
    np.testing.assert_array_equal(everything[0].answers().samples["seeds"], first)
    assert len({outcome.key for outcome in everything}) == 3
    for job in jobs:
        assert not (job.folder / "training.safetensors").exists()


def test_a_sweep_on_a_dask_cluster(tmp_path: Path) -> None:
    distributed = pytest.importorskip("dask.distributed")
    images = smooth(40)
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10], seeds=16, sampler_steps=5, steps=30)
    noise = {"seeds": make_context(images, SHAPE, seeds=16).noise["seeds"]}
    here, there = (
        sweep.make_jobs(plan.runs, images, SHAPE, noise, tmp_path / name, steps=5, sigma_max=80.0, seed=0)
        for name in ("here", "there")
    )
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster:
        found = sweep.run_jobs(there, dask=cluster.scheduler_address)
    for one, other in zip(found, sweep.run_jobs(here, workers=1), strict=True):
        np.testing.assert_array_equal(one.answers().samples["seeds"], other.answers().samples["seeds"])


def test_a_diverging_run_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    images = smooth(40)
    context = make_context(images, SHAPE, seeds=16, sampler_steps=5)
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10], seeds=16, sampler_steps=5, steps=60)
    wild = dataclasses.replace(
        plan.runs[1], training=dataclasses.replace(plan.runs[1].training, learning_rate=1e30, warmup=0)
    )
    jobs = sweep.make_jobs(
        [plan.runs[0], wild],
        images,
        SHAPE,
        {"seeds": context.noise["seeds"]},
        tmp_path,
        steps=5,
        sigma_max=80.0,
        seed=0,
    )
    with pytest.raises(
        TrainingError, match=r"1 of 2 runs failed, the others are kept; mlp n=10 B0 repeat 1: training diverged"
    ):
        sweep.run_jobs(jobs, workers=1)
    assert (jobs[0].folder / "model.safetensors").exists()


def test_pixel_layouts_do_not_share_a_folder(tmp_path: Path) -> None:
    """(5, 5, 3) and (3, 5, 5) are the same tensors to a network, of other pixels."""
    images = np.random.default_rng(0).standard_normal((20, 75))
    folders = []
    for shape in ((5, 5, 3), (3, 5, 5)):
        plan = make_plan(images, shape, archs=["mlp"], n=[10], seeds=16)
        jobs = sweep.make_jobs(plan.runs, images, shape, {}, tmp_path, steps=5, sigma_max=80.0, seed=0)
        folders.append({job.folder for job in jobs})
    assert not folders[0] & folders[1]


def test_damaged_networks_and_failing_models_are_named(experiment: Any, tmp_path: Path) -> None:
    *_, context = experiment
    plan = make_plan(smooth(40), SHAPE, archs=["mlp"], n=[10], seeds=16, steps=5)
    jobs = sweep.make_jobs(
        plan.runs[:1], smooth(40), SHAPE, {"seeds": np.ones((2, 16))}, tmp_path, steps=5, sigma_max=80.0, seed=0
    )
    sweep.run_jobs(jobs, workers=1)
    (jobs[0].folder / "model.safetensors").write_bytes(b"nothing")
    words = r"mlp n=10 A0 repeat 1: .*model\.safetensors' is damaged: remove it and it is trained again"
    with pytest.raises(TrainingError, match=words):
        sweep.run_jobs(jobs, workers=1)

    def broken(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("boom")

    pair = dataclasses.replace(
        open_pair(checkpoints(experiment, 60), SHAPE, sigma_max=80.0), denoisers=(broken, broken)
    )
    with pytest.raises(ValueError, match="model 'a' cannot be sampled: it raised RuntimeError: boom"):
        compare_given(
            context, dataclasses.replace(pair, names=("a", "b")), train=[None, None], n=None, sampler_steps=18
        )
    with pytest.raises(
        ValueError, match=r"names must be models that both know noise levels from 0\.1 to 10, got 0\.002 to 5"
    ):
        open_pair(checkpoints(experiment, 60), SHAPE, sigma_max=5.0)


def test_settings_that_do_not_fit_the_data_are_noted() -> None:
    fine, large, low = (
        make_context(smooth(40) * size, SHAPE, seeds=8, sigma_max=top, sampler_steps=steps)
        for size, top, steps in ((1.0, 80.0, 35), (100.0, 80.0, 35), (1.0, 2.0, 5))
    )
    assert experiment_module._scale_notes(fine) == []
    assert "scale the images" in experiment_module._scale_notes(large)[0]
    start, steps = experiment_module._scale_notes(low)
    assert start.startswith("Sampling starts at σ = 2, which is not far above the data")
    assert steps.startswith("5 steps of the sampler leave errors")


def test_estimates_name_every_architecture() -> None:
    images = smooth(40)
    plan = make_plan(images, SHAPE, archs=["mlp", "linear"], n=[10, 20], steps=100)
    found = estimate(plan, images, SHAPE)
    assert [(e.arch, e.sizes, e.count, e.steps) for e in found] == [
        ("mlp", (10, 20), 6, 100),
        ("linear", (10, 20), 6, 100),
    ]
    assert all(e.seconds > 0 and e.parameters > 0 for e in found)


# ---------------------------------------------------------------- given models
def checkpoints(experiment: Any, n: int) -> tuple[str, str]:
    _, folder, plan, _ = experiment
    chosen = [run for run in plan.runs if (run.arch, run.n, run.stratum, run.member) == ("linear", n, None, 0)]
    jobs = sweep.make_jobs(
        chosen, smooth(400), SHAPE, {"seeds": np.zeros((1, 16))}, folder, steps=18, sigma_max=80.0, seed=0
    )
    return tuple(str(job.folder / "model.safetensors") for job in jobs)  # type: ignore[return-value]


def test_given_checkpoints_are_the_pair_that_was_trained(experiment: Any) -> None:
    found, _, _, context = experiment
    pair = open_pair(checkpoints(experiment, 60), SHAPE, sigma_max=80.0)
    given = compare_given(context, pair, train=[None, None], n=None, sampler_steps=18, source="smooth")
    (one,) = given.pairs
    (same,) = [p for p in found.pairs if (p.arch, p.n, p.arm) == ("linear", 60, "same")]
    np.testing.assert_allclose(one.disagreement.seeds, same.disagreement.seeds)
    assert given.n == (60,)  # read off the checkpoints, which name their images
    assert given.notes == ()
    assert given.runs[0].r2_own == pytest.approx(next(r for r in found.runs if r.key == same.runs[0]).r2_own)
    assert {p.predictor for p in given.predictions} == {"linear", "gaussian", "elliptical", "empirical", "published"}


def test_held_out_images_are_in_no_training_set() -> None:
    images = smooth(60)
    np.testing.assert_array_equal(outside(images, [images[:10], images[50:]]), np.arange(10, 50))
    np.testing.assert_array_equal(outside(images, [None, images[:10]]), np.arange(10, 60))
    np.testing.assert_array_equal(outside(images, [images[:30], images[30:]]), np.arange(60))


def test_given_models_of_unknown_training_sets(experiment: Any) -> None:
    *_, context = experiment
    images = smooth(400)
    exact = LinearDenoiser.from_images(to_tensor(images, SHAPE, torch.float64))
    pair = dataclasses.replace(open_pair(checkpoints(experiment, 60), SHAPE, sigma_max=80.0), denoisers=(exact, exact))
    pair = dataclasses.replace(pair, names=("a", "b"))
    found = compare_given(context, pair, train=[None, None], n=None, sampler_steps=18)
    assert found.pairs[0].disagreement.mean == 0
    assert found.n == (0,)
    assert found.forecasts == ()
    assert len(found.notes) == 2
    assert found.baselines == ()
    assert all(np.isnan([run.auc, run.memorised, run.r2_pooled]).all() for run in found.runs)
    assert "memorise" not in find(found).takeaways["memorisation"]
    half = compare_given(context, pair, train=[images[:30], None], n=[30], sampler_steps=18)
    assert half.baselines == ()
    assert {p.predictor for p in half.predictions} == {"gaussian", "elliptical", "empirical", "published"}
    for known in (found, half):
        assert "<!DOCTYPE html>" in render_network_page(known, facts={})
    twice = compare_given(context, pair, train=[images[:30], images[:30].copy()], n=None, sampler_steps=18)
    assert twice.n == (30,)
    assert twice.baselines == ()
    assert "<!DOCTYPE html>" in render_network_page(twice, facts={})
    some = compare_given(context, pair, train=[images[:30], images[40:100]], n=None, sampler_steps=18)
    assert some.n == (40,)  # the harmonic mean
    assert "30 and 60 images" in some.notes[0]
    assert compare_given(context, pair, train=[None, None], n=[50], sampler_steps=18).n == (50,)
    with pytest.raises(ValueError, match="n must be one number for given models"):
        compare_given(context, pair, train=[None, None], n=[50, 60], sampler_steps=18)
    with pytest.raises(ValueError, match="training sets must have images of 16 values as the data, got 9"):
        compare_given(context, pair, train=[images[:, :9], None], n=None, sampler_steps=18)
    with pytest.raises(
        ValueError, match=r"names must be models of images \(1, 5, 5\), as the data; .* makes images \(1, 4, 4\)"
    ):
        open_pair(checkpoints(experiment, 60), (5, 5), sigma_max=80.0)
