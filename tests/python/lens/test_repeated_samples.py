"""Data of few distinct samples, and held-out samples that the training half holds too."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens.scores import closed_form_scores, scores_study
from kappaflow.lens.teleport import mixture_of_data, teleport_study
from kappaflow.models.scores import MixtureScore, distinct_rows
from kappaflow.report.lens import scores, teleport


def handful(distinct: int, copies: int, seed: int = 0) -> np.ndarray:
    """`distinct` samples of six numbers, each so many times."""
    return np.repeat(np.random.default_rng(seed).standard_normal((distinct, 6)), copies, axis=0)


def test_distinct_rows_are_counted() -> None:
    assert distinct_rows(handful(7, 9)) == 7
    assert distinct_rows(np.zeros((3, 2))) == 1


def test_mixtures_have_no_more_components_than_distinct_samples_allow() -> None:
    """k-means on copies leaves clusters empty, which is an error: 400 samples of 5 kinds are not enough for 10 Gaussians."""
    samples = handful(5, 80)
    with pytest.raises(ValueError, match="clusters are empty after k-means"):
        MixtureScore.fit(samples, 10)
    assert list(closed_form_scores(samples, components=(10,))) == ["mean", "Gaussian", "training samples"]
    chosen = mixture_of_data(samples)
    assert isinstance(chosen.denoiser, MixtureScore)
    assert len(chosen.denoiser.components) == 1
    assert chosen.name == "the exact denoiser of 1 Gaussian fitted to the data"
    assert mixture_of_data(handful(60, 5)).name == "the exact denoiser of 3 Gaussians fitted to the data"
    assert mixture_of_data(handful(500, 1)).name == "the exact denoiser of 10 Gaussians fitted to the data"


def test_both_windows_take_a_handful_of_distinct_samples() -> None:
    samples = handful(5, 80)
    study = scores_study(samples, (6,), count=20, sigmas=[0.3, 3.0], components=(10,))
    assert study.count == study.repeated == 20
    assert scores.section(study).takeaways
    chosen = mixture_of_data(samples)
    found = teleport_study(chosen.denoiser, kf.Population.from_samples(samples), name=chosen.name, seeds=4, steps=(6,))
    assert teleport.section(found).takeaways


def test_held_out_samples_that_were_trained_on_are_not_called_unseen() -> None:
    samples = handful(60, 2, seed=1)
    study = scores_study(samples, (6,), count=40, sigmas=[0.3], components=())
    order = np.random.default_rng(0).permutation(120)
    training, held_out = samples[order[:60]], samples[order[60:]]
    chosen = np.sort(np.random.default_rng(0).choice(60, 40, replace=False))
    repeated = sum((row == training).all(axis=1).any() for row in held_out[chosen])
    assert 0 < study.repeated == repeated < 40
    sentence = scores.section(study).takeaways[0]
    assert sentence.startswith(f"On 40 held-out samples, of which {repeated} equal a training sample, the closed form")
    assert "no score has seen" not in sentence
    # the picture takes a sample that no score has seen, where there is one
    assert not (study.film_clean == training).all(axis=1).any()
    clean = scores_study(handful(120, 1), (6,), count=40, sigmas=[0.3], components=())
    assert clean.repeated == 0
    assert scores.section(clean).takeaways[0].startswith("On 40 samples that no score has seen, the closed form")


def test_a_sampler_that_starts_within_the_data_has_nothing_to_jump_over() -> None:
    """The reason is the noise level of the start, not the denoiser: with a Gaussian denoiser every jump is exact."""
    samples = np.random.default_rng(2).standard_normal((300, 4)) * [10.0, 1.0, 1.0, 1.0]
    population = kf.Population.from_samples(samples)
    chosen = mixture_of_data(samples)
    study = teleport_study(chosen.denoiser, population, name=chosen.name, seeds=16, steps=(18,), sigma_max=6.0)
    assert not study.starts_far
    sentence = teleport.section(study).takeaways[0]
    assert "no jump pays" in sentence
    assert "there is no early part to jump over" in sentence
    assert "not even at high noise" not in sentence
    assert teleport_study(chosen.denoiser, population, name="x", seeds=4, steps=(6,)).starts_far
