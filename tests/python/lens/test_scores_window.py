"""The study of scores and its window: numbers computed anew, sentences and tables from the study, figures that draw."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits

import kappaflow as kf
from kappaflow.lens.scores.comparison import LAWS, fraction_of_squared_error, held_out_loss
from kappaflow.lens.scores.study import ScoresStudy, closed_form_scores, scores_study
from kappaflow.models.scores import DeltaScore, GaussianScore, MeanScore, MixtureScore
from kappaflow.report import look
from kappaflow.report.lens.scores import section
from kappaflow.report.words import number, percent

FloatArray = npt.NDArray[np.float64]
FRACTIONS = ("score_mean_of_ratios", "score_ratio_of_means", "denoiser_mean_of_ratios", "denoiser_ratio_of_means")


def digits() -> FloatArray:
    return np.asarray(load_digits().images / 8 - 1)


def colours(count: int = 260) -> FloatArray:
    """8x8x3 noise with the spectrum of images and uneven contrast, most of it grey."""
    rng = np.random.default_rng(1)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(8), np.fft.fftfreq(8))) + 0.1
    white = np.fft.fft2(rng.standard_normal((count, 8, 8, 3)) + 2 * rng.standard_normal((count, 8, 8, 1)), axes=(1, 2))
    drawn = np.fft.ifft2(white / frequency[..., None] ** 1.5, axes=(1, 2)).real
    return np.clip(0.01 * drawn * np.exp(0.4 * rng.standard_normal((count, 1, 1, 1))), -1, 1)


def vectors(count: int = 240) -> FloatArray:
    """Skewed random walks of 20 steps; their mean square grows."""
    return 0.2 * np.cumsum(np.random.default_rng(2).exponential(size=(count, 20)) - 1.0, axis=1)


def network(samples: FloatArray) -> Any:
    """Stands for a network: the score of all samples, wrong by 2 %."""
    exact = DeltaScore(samples)
    return lambda x, sigma: 0.98 * exact(x, sigma)


@pytest.fixture(scope="module")
def studies() -> dict[str, ScoresStudy]:
    return {
        "grey": scores_study(digits()[:700], (8, 8), components=(10, 30), count=250),
        "grey, network": scores_study(digits()[:700], (8, 8), network=network(digits()[:700]), count=60),
        "colour": scores_study(colours(), (8, 8, 3), components=(5,), count=60),
        "channels first": scores_study(np.moveaxis(colours(), -1, 1), (3, 8, 8), components=(), count=40),
        "vector": scores_study(vectors(), (20,), components=(5,), count=100),
        "vector, network": scores_study(vectors(), (20,), network=network(vectors()), components=(5,), count=60),
    }


KINDS = ("grey", "grey, network", "colour", "channels first", "vector", "vector, network")


# --- study --------------------------------------------------------------------------------------------------------------


def test_study_is_what_its_parts_give() -> None:
    """Split, scores, losses and fractions put together again from the parts that other tests prove."""
    samples, levels, seed = vectors(101), [3.0, 0.1, 0.6], 5
    study = scores_study(
        samples, (20,), components=(2, 3), sigmas=levels, count=30, sigma_max=20.0, seed=seed, network=network(samples)
    )
    order = np.random.default_rng(seed).permutation(101)
    training, held_out = samples[order[:50]], samples[order[50:]]
    assert (study.training, study.held_out, study.count) == (50, 51, 30)
    population = kf.Population.from_samples(training)
    scores = {
        "mean": MeanScore(population),
        "Gaussian": GaussianScore(population),
        "2 Gaussians": MixtureScore.fit(training, 2, seed=seed),
        "training samples": DeltaScore(training),
        "network": network(samples),
    }
    assert list(study.losses) == list(scores)  # 3 Gaussians would want 60 samples
    np.testing.assert_array_equal(study.sigmas, [0.1, 0.6, 3.0])
    losses = held_out_loss(scores, held_out, study.sigmas, count=30, seed=seed)
    for name, one in losses.items():
        np.testing.assert_allclose(study.losses[name].loss, one.loss, rtol=1e-12)
        np.testing.assert_allclose(study.losses[name].error, one.error, rtol=1e-12)
    assert study.reference == "network"
    exact = scores.pop("network")
    assert list(study.fractions) == list(LAWS)
    for law, each in study.fractions.items():
        assert list(each) == list(scores)
        again = fraction_of_squared_error(
            exact, scores, training, levels, law=law, count=30, sigma_max=20.0, seed=seed + 1
        )
        for name in scores:
            for kind in FRACTIONS:
                np.testing.assert_allclose(getattr(each[name], kind), getattr(again[name], kind), rtol=1e-10)
    assert study.film_levels[0] > study.film_levels[-1]
    np.testing.assert_array_equal(study.film_clean, held_out[0])
    for place, level in enumerate(study.film_levels):
        for name, score in {**scores, "network": exact}.items():
            np.testing.assert_allclose(study.film[name][place], score(study.film_noised[place][None], level)[0])
    assert np.std(study.film_noised[0] - study.film_clean) < 2 * study.film_levels[0]


def test_default_levels_follow_the_data_and_stop_at_sigma_max() -> None:
    samples = vectors(60)
    study = scores_study(samples, (20,), components=(), count=4, sigma_max=5.0)
    training = samples[np.random.default_rng(0).permutation(60)[:30]]
    spread = math.sqrt(np.mean(np.var(training, axis=0)))
    np.testing.assert_allclose(study.sigmas[[0, -1]], [0.1 * spread, 5.0])
    assert study.sigmas.size == 12
    scaled = scores_study(10 * samples, (20,), components=(), count=4, sigma_max=50.0)
    np.testing.assert_allclose(scaled.sigmas, 10 * study.sigmas)
    for law in ("data", "noise"):  # the sampler's own grid ends at a noise level that does not scale
        for kind in FRACTIONS:
            np.testing.assert_allclose(
                getattr(scaled.fractions[law]["Gaussian"], kind),
                getattr(study.fractions[law]["Gaussian"], kind),
                rtol=1e-8,
            )


def test_fewer_samples_than_asked_for_are_all_used() -> None:
    study = scores_study(vectors(21), (20,), count=500, sigmas=[0.5])
    assert (study.training, study.held_out, study.count) == (10, 11, 11)
    assert list(study.losses) == ["mean", "Gaussian", "training samples"]
    assert list(closed_form_scores(vectors(40), components=(1, 2, 3))) == [
        "mean",
        "Gaussian",
        "1 Gaussians",
        "2 Gaussians",
        "training samples",
    ]
    assert section(study).takeaways
    assert section(study).pictures[0].draw()


def test_progress_names_steps_and_ends_at_one() -> None:
    told: list[tuple[str, float]] = []
    scores_study(
        vectors(40), (20,), components=(), count=4, sigmas=[1.0], progress=lambda step, part: told.append((step, part))
    )
    assert [part for _, part in told] == sorted(part for _, part in told)
    assert told[0] == ("fitting scores", 0.0)
    assert told[-1] == ("denoising one sample", 1.0)
    assert {"loss on held-out samples", *(f"comparing scores, x from the {law}" for law in LAWS)} < {s for s, _ in told}


def test_wrong_input_names_the_argument_before_anything_is_fitted() -> None:
    samples = vectors(40)
    with pytest.raises(ValueError, match=r"samples must be \(N, \.\.\.\) of at least 20 samples, got shape \(19, 20\)"):
        scores_study(samples[:19], (20,))
    with pytest.raises(ValueError, match=r"samples must be \(N, \.\.\.\) of at least 20 samples, got shape \(40,\)"):
        scores_study(samples[:, 0], (1,))
    for value in (0.0, 0.1):  # the mean of equal tenths is no tenth
        with pytest.raises(ValueError, match="samples must differ from each other"):
            scores_study(np.full((30, 7), value), (7,))
    with pytest.raises(ValueError, match="samples must be finite, got nan"):
        scores_study(np.where(samples == samples[3, 3], np.nan, samples), (20,))
    with pytest.raises(ValueError, match=r"shape must have the 20 pixels of each sample, got \(4, 4\)"):
        scores_study(samples, (4, 4))
    for levels in ([], [0.0], [[1.0]], 1.0, [81.0]):
        with pytest.raises(ValueError, match="sigmas must be one or more noise levels above 0 and at most sigma_max"):
            scores_study(samples, (20,), sigmas=levels)
    with pytest.raises(
        ValueError, match=r"sigma_max must be at least 0\.\d+, a quarter of the data's spread, got 0.01"
    ):
        scores_study(samples, (20,), sigma_max=0.01)
    with pytest.raises(ValueError, match=r"sigma_max must be finite and above 0, got 0\.0"):
        scores_study(samples, (20,), sigma_max=0.0)
    with pytest.raises(ValueError, match="count must be an integer of at least 2, got 1"):
        scores_study(samples, (20,), count=1)
    with pytest.raises(ValueError, match="components must be an integer of at least 1, got 0"):
        scores_study(samples, (20,), components=(0,))
    with pytest.raises(ValueError, match=r"denoiser must return the shape of its input \(4, 20\), got \(4, 19\)"):
        scores_study(samples, (20,), network=lambda x, sigma: x[:, 1:], count=4)


# --- window -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_figures_draw_and_hold_what_the_study_does(studies: dict[str, ScoresStudy], kind: str) -> None:
    study = studies[kind]
    shown = section(study)
    assert [each.name for each in shown.pictures] == ["scores_loss", "scores_fraction", "scores_law", "scores_film"]
    assert shown.pictures[-1].raster == (kind in ("grey", "grey, network", "colour", "channels first"))
    figures = {each.name: each.draw() for each in shown.pictures}
    others = [name for name in study.losses if name != study.reference]
    drawn = {line.get_gid(): line for figure in figures.values() for ax in figure.axes for line in ax.lines}
    for law in LAWS:
        for name in others:
            line = drawn[f"{law}-{name}"]
            np.testing.assert_array_equal(line.get_xdata(), study.sigmas)
            np.testing.assert_allclose(line.get_ydata(), study.fractions[law][name].denoiser_mean_of_ratios)
    for name in others:
        for what in ("score", "denoiser"):
            np.testing.assert_allclose(
                drawn[f"{what}-{name}"].get_ydata(), getattr(study.fractions["data"][name], f"{what}_mean_of_ratios")
            )
    curves = {each.get_label(): each for each in figures["scores_loss"].axes[0].lines}
    assert list(curves) == list(study.losses)
    for name, line in curves.items():
        np.testing.assert_allclose(line.get_ydata(), study.losses[name].loss / study.losses["Gaussian"].loss)
    panels = [ax for ax in figures["scores_film"].axes if ax.axison]
    assert len(panels) == 6 + 5 * len(study.losses)
    if kind in ("grey, network", "colour", "vector"):  # of the others the drawing is not another
        for name in ("scores_loss", "scores_film"):
            files = look.save(figures[name], ["svg", "png"])
            assert files["png"].startswith(b"\x89PNG")
            assert b"<svg" in files["svg"]
    for each in shown.pictures:
        assert re.search(r"\d", each.alternative)
        assert each.caption.endswith(".")
        assert "nan" not in each.alternative


def test_curves_of_vectors_share_one_scale(studies: dict[str, ScoresStudy]) -> None:
    study = studies["vector"]
    figure = section(study).pictures[-1].draw()
    panels = [ax for ax in figure.axes if ax.axison][5:]
    assert len({ax.get_ylim() for ax in panels}) == 1
    low, high = panels[0].get_ylim()
    for answer in (study.film_clean, *study.film.values()):
        assert low < answer.min()
        assert answer.max() < high


@pytest.mark.parametrize("kind", KINDS)
def test_tables_are_the_study(studies: dict[str, ScoresStudy], kind: str) -> None:
    study = studies[kind]
    loss, fraction = section(study).tables
    for table in (loss, fraction):
        assert len({len(column) for column in table.columns.values()}) == 1
    assert loss.columns["sigma"] == study.sigmas.tolist()
    for name, one in study.losses.items():
        assert loss.columns[name] == one.loss.tolist()
        assert loss.columns[f"{name}, standard error"] == one.error.tolist()
    assert f"{study.count:,} held-out samples" in loss.caption
    assert study.reference in fraction.caption
    rows = list(zip(*fraction.columns.values(), strict=True))
    names = len(study.losses) - 1
    assert len(rows) == len(LAWS) * names * study.sigmas.size
    for law, sigma, approximation, *values in rows:
        place = int(np.flatnonzero(study.sigmas == sigma)[0])
        one = study.fractions[law][approximation]
        assert values[:4] == [getattr(one, each)[place] for each in FRACTIONS]
        assert values[4:] == [one.errors[each][place] for each in FRACTIONS]


def best_forms(study: ScoresStudy) -> list[str]:
    """Least loss, the Gaussian unless another is better by a thousandth and by two standard errors of the pairs."""
    answer = []
    for place in range(study.sigmas.size):
        losses = {name: one.each[place] for name, one in study.losses.items() if name != "network"}
        least = min(losses, key=lambda name: float(losses[name].mean()))
        gaussian = losses["Gaussian"]
        ratio = losses[least].mean() / gaussian.mean()
        error = np.std(losses[least] - ratio * gaussian, ddof=1) / gaussian.mean() / math.sqrt(study.count)
        answer.append(least if 1 - ratio > max(0.001, 2 * error) else "Gaussian")
    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_say_what_the_study_holds(studies: dict[str, ScoresStudy], kind: str) -> None:
    study = studies[kind]
    found = " ".join(section(study).takeaways)
    assert f"On {study.count:,} samples that no score has seen" in found
    assert "nan" not in found
    forms = best_forms(study)
    listed = re.search(r"denoises best is: (.*?)\. All were made from ([\d,]+) others;", found)
    assert listed is not None
    assert listed[2] == f"{study.training:,}"
    place = 0
    for part in listed[1].split("; "):
        name, levels = part.split(" at σ = ")
        first, _, last = levels.partition(" to ")
        assert first == number(study.sigmas[place])
        assert forms[place] == name
        while place + 1 < len(forms) and forms[place + 1] == name:
            place += 1
        assert (last or first) == number(study.sigmas[place])
        place += 1
    assert place == study.sigmas.size

    ratios = study.losses["training samples"].loss / study.losses["Gaussian"].loss
    assert ratios.max() > 1
    assert (
        f"at σ = {number(study.sigmas[ratios.argmax()])} its loss on held-out samples is {number(ratios.max())}"
        in found
    )
    gaussian = study.fractions["data"]["Gaussian"]
    explained = min(k for k in range(12) if (gaussian.score_ratio_of_means[k:] <= 0.01).all())
    who = "the network" if "network" in kind else "the exact score of the training samples"
    assert (
        f"more than 99\N{NO-BREAK SPACE}% of the squared score of {who} from σ = {number(study.sigmas[explained])} on"
        in found
    )
    assert f"leaves {percent(gaussian.denoiser_ratio_of_means[explained])} of the squared denoiser" in found
    slope = np.polyfit(np.log(study.sigmas[-3:]), np.log(gaussian.score_ratio_of_means[-3:]), 1)[0]
    said = re.search(r"falls as σ\^−([\d.]+); theory has −6", found)
    far = gaussian.score_ratio_of_means[-3] < 1e-4  # else the rate is not yet that of the limit
    assert (said is None) == ("network" in kind or not far)
    if said is not None:
        assert abs(float(said[1]) + slope) <= 0.05


def test_which_closed_form_is_best_depends_on_data_and_noise_level(studies: dict[str, ScoresStudy]) -> None:
    """Samples beat the Gaussian on unseen digits at middle noise and lose to it at low noise; on other data they never win."""
    grey, colour = studies["grey"], studies["colour"]
    ratio = grey.losses["training samples"].loss / grey.losses["Gaussian"].loss
    assert ratio[0] > 20
    assert ratio.min() < 0.9
    where = int(ratio.argmin())
    assert 0.5 < grey.sigmas[where] < 2.0
    found = grey.losses["training samples"].over(grey.losses["Gaussian"])
    np.testing.assert_allclose(found.ratio, ratio)
    assert 1 - ratio[where] > 4 * found.error[where]
    found = colour.losses["training samples"].over(colour.losses["Gaussian"])
    assert found.ratio[0] > 10
    assert (1 - found.ratio < 2.5 * found.error).all()


def test_sentences_that_do_not_apply_are_left_out(studies: dict[str, ScoresStudy]) -> None:
    """Where the Gaussian explains too little, where memorising does not hurt, where the rate is rounding."""
    study = studies["vector"]
    gaussian = study.fractions["data"]["Gaussian"]
    poor = replace(gaussian, score_ratio_of_means=np.full(12, 0.5))
    fractions = {**study.fractions, "data": {**study.fractions["data"], "Gaussian": poor}}
    losses = {**study.losses, "training samples": study.losses["Gaussian"]}
    (only,) = section(replace(study, fractions=fractions, losses=losses)).takeaways
    assert only.startswith("On 100 samples")


def test_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs/lens/scores.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "scores.md", "exec"), {})
    assert "on unseen digits" in capsys.readouterr().out
