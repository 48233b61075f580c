"""What is trained on what: splits, presets, strata, and plans that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smooth import SHAPE, smooth

torch = pytest.importorskip("torch")

from kappaflow.models.backbones import build_backbone  # noqa: E402
from kappaflow.validation.network.plan import make_plan  # noqa: E402
from kappaflow.validation.network.presets import PRESETS  # noqa: E402
from kappaflow.validation.strata import strata  # noqa: E402


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


def test_strata_are_judged_on_other_images_of_their_own_stratum() -> None:
    images = smooth(1200)
    coordinate = images[:, 0]
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[60], coordinate=coordinate, component=0)
    parts = strata(coordinate)
    for run in plan.runs:
        if run.stratum is not None:
            assert len(run.held_out) == 256  # of the 340 or more that are left
            assert (np.diff(run.held_out) > 0).all()
            assert set(run.held_out) <= set(parts[run.stratum]) - set(run.own)
    few = make_plan(images[:120], SHAPE, archs=["mlp"], n=[10], coordinate=coordinate[:120], component=0)
    top = next(run for run in few.runs if run.stratum == "top")
    np.testing.assert_array_equal(top.held_out, np.setdiff1d(strata(coordinate[:120])["top"], top.own))


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
            "repeats must be 1 with split 'contiguous', because there is only one such split, got 2",
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
