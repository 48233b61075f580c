"""Models that were trained elsewhere."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from smooth import SHAPE, smooth

torch = pytest.importorskip("torch")

from kappaflow.models.denoisers import LinearDenoiser  # noqa: E402
from kappaflow.models.layout import to_tensor  # noqa: E402
from kappaflow.report.network import build  # noqa: E402
from kappaflow.report.page import page  # noqa: E402
from kappaflow.validation.network.given import compare_given, open_models, outside  # noqa: E402

if TYPE_CHECKING:
    from linear_networks import Experiment


def test_given_checkpoints_are_the_pair_that_was_trained(experiment: Experiment) -> None:
    found, context = experiment.found, experiment.context
    pair = open_models(experiment.checkpoints(60), SHAPE, sigma_max=80.0)
    given = compare_given(context, pair, train=[None, None], n=None, sampler_steps=18, source="smooth")
    (one,) = given.pairs
    (same,) = [p for p in found.pairs if (p.arch, p.n, p.arm) == ("linear", 60, "same")]
    np.testing.assert_allclose(one.disagreement.seeds, same.disagreement.seeds)
    assert given.setup.n == (60,)  # read off the checkpoints, which name their images
    assert given.notes == ()
    first = next(r for r in found.runs if r.key == same.runs[0])
    assert given.runs[0].linear_fit.own == pytest.approx(first.linear_fit.own)
    assert {p.predictor for p in given.predictor_scores} == {
        "linear",
        "gaussian",
        "elliptical",
        "empirical",
        "published",
    }


def test_held_out_images_are_in_no_training_set() -> None:
    images = smooth(60)
    np.testing.assert_array_equal(outside(images, [images[:10], images[50:]]), np.arange(10, 50))
    np.testing.assert_array_equal(outside(images, [None, images[:10]]), np.arange(10, 60))
    np.testing.assert_array_equal(outside(images, [images[:30], images[30:]]), np.arange(60))


def test_given_models_of_unknown_training_sets(experiment: Experiment) -> None:
    context = experiment.context
    images = smooth(400)
    exact = LinearDenoiser.from_images(to_tensor(images, SHAPE, torch.float64))
    pair = dataclasses.replace(open_models(experiment.checkpoints(60), SHAPE, sigma_max=80.0), denoisers=(exact, exact))
    pair = dataclasses.replace(pair, names=("a", "b"))
    found = compare_given(context, pair, train=[None, None], n=None, sampler_steps=18)
    assert found.pairs[0].disagreement.mean == 0
    assert found.setup.n == (0,)
    assert found.forecasts == ()
    assert len(found.notes) == 2
    assert found.baselines == ()
    assert all(np.isnan([run.nearest.auc, run.nearest.memorised, run.linear_fit.pooled]).all() for run in found.runs)
    sections = {section.name: section for section in build(found, facts={}).sections}
    assert "memorisation" not in sections or "memorise" not in " ".join(sections["memorisation"].takeaways)
    half = compare_given(context, pair, train=[images[:30], None], n=[30], sampler_steps=18)
    assert half.baselines == ()
    assert {p.predictor for p in half.predictor_scores} == {"gaussian", "elliptical", "empirical", "published"}
    for known in (found, half):
        assert "<!DOCTYPE html>" in page(build(known, facts={}))
    twice = compare_given(context, pair, train=[images[:30], images[:30].copy()], n=None, sampler_steps=18)
    assert twice.setup.n == (30,)
    assert twice.baselines == ()
    assert "<!DOCTYPE html>" in page(build(twice, facts={}))
    some = compare_given(context, pair, train=[images[:30], images[40:100]], n=None, sampler_steps=18)
    assert some.setup.n == (40,)  # the harmonic mean
    assert "30 and 60 images" in some.notes[0]
    assert compare_given(context, pair, train=[None, None], n=[50], sampler_steps=18).setup.n == (50,)
    with pytest.raises(ValueError, match="n must be one number for given models"):
        compare_given(context, pair, train=[None, None], n=[50, 60], sampler_steps=18)
    with pytest.raises(ValueError, match="training sets must have images of 16 values like the data, got 9"):
        compare_given(context, pair, train=[images[:, :9], None], n=None, sampler_steps=18)
    with pytest.raises(
        ValueError, match=r"names must be models of images \(1, 5, 5\), like the data; .* generates images \(1, 4, 4\)"
    ):
        open_models(experiment.checkpoints(60), (5, 5), sigma_max=80.0)
