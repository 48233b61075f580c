"""The rule of law="auto": the most accurate law that does not take too long, with the reason in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency import rule
from kappaflow.consistency.experiment import Off
from kappaflow.consistency.law_choice import choose_law
from kappaflow.consistency.needed import search_work
from kappaflow.consistency.rule import ACCEPTABLE_SECONDS, decide, duration, main_job
from kappaflow.laws import REGISTRY, Work

FAST = {"gaussian": 0.1, "elliptical": 0.5, "empirical": 8.0}
NB = "\N{NO-BREAK SPACE}"


def off(gaussian: float, elliptical: float, empirical: float, uncertainty: float = 0.01) -> dict[str, Off]:
    errors = {"gaussian": gaussian, "elliptical": elliptical, "empirical": empirical}
    return {law: Off(np.log1p(error), uncertainty) for law, error in errors.items()}


def test_the_most_accurate_law_is_taken_and_the_sentence_says_why() -> None:
    verdict = decide(off(0.13, 0.11, 0.03), FAST)
    assert verdict.law == "empirical"
    assert verdict.reason.replace(NB, " ") == (
        "it is the most accurate on your images (off by 3 % ± 1 %; Gaussian law 13 % ± 1 %, elliptical law 11 % ± 1 %). "
        "Estimated time: about 8 s."
    )


def test_copies_do_not_count_as_images_to_test_the_laws_on() -> None:
    images = np.random.default_rng(0).standard_normal((14, 16))
    population = kf.Population.from_samples(np.concatenate([images, images[:10]]), profiles=24)
    choice = choose_law(population, "auto")
    assert choice.law == "gaussian"
    assert choice.diagnosis is None
    assert "only 14 images" in choice.reason


def test_differences_within_the_uncertainty_count_as_equal() -> None:
    verdict = decide(off(0.61, 0.04, 0.03), FAST)
    assert verdict.law == "elliptical"
    assert verdict.reason.startswith(
        "the experiment finds it as accurate on your images as the empirical law, and it is faster (off by 4"
    )
    assert decide(off(0.61, 0.04, 0.03, uncertainty=0.005), FAST).law == "empirical"
    both = decide(off(0.02, 0.015, 0.025), FAST)
    assert both.law == "gaussian"
    assert "as the elliptical law and the empirical law, and it is faster" in both.reason


def test_equal_means_one_standard_error_of_the_difference() -> None:
    for gap, law in ((0.99, "elliptical"), (1.01, "empirical")):
        found = decide(
            {"elliptical": Off(0.05 + gap * 0.05, 0.04), "empirical": Off(0.05, 0.03), "gaussian": Off(1.0, 0.01)}, FAST
        )
        assert found.law == law


def test_of_equally_accurate_laws_the_fastest_is_taken_not_the_first() -> None:
    assert decide(off(0.03, 0.03, 0.03), {"gaussian": 9.0, "elliptical": 2.0, "empirical": 5.0}).law == "elliptical"


def test_a_law_that_takes_too_long_is_not_taken_and_the_sentence_says_so() -> None:
    slow = {**FAST, "empirical": 4 * ACCEPTABLE_SECONDS}
    verdict = decide(off(0.61, 0.11, 0.03), slow)
    assert verdict.law == "elliptical"
    words = verdict.reason.replace(NB, " ")
    assert words.startswith("it is the most accurate on your images of the laws that are fast enough (off by 11 %")
    assert "Estimated time: less than a second." in words
    assert words.endswith(
        "The empirical law is more accurate (3 % ± 1 %), but would take about 20 min; a law that takes longer than 5 min is only "
        "used where it is named."
    )
    just = {**FAST, "empirical": ACCEPTABLE_SECONDS}
    assert decide(off(0.61, 0.11, 0.03), just).law == "empirical"
    # a slow law that is not more accurate is not mentioned
    assert "is only used where" not in decide(off(0.61, 0.03, 0.03), slow).reason


def test_where_every_law_takes_too_long_the_fastest_is_taken() -> None:
    slow = {"gaussian": 1e4, "elliptical": 1e5, "empirical": 1e6}
    assert decide(off(0.61, 0.11, 0.03), slow).law == "gaussian"


def test_the_words_say_where_no_law_is_good() -> None:
    assert "No law comes within 10" in decide(off(0.9, 0.8, 0.3), FAST).reason
    assert "No law comes within 10" not in decide(off(0.9, 0.8, 0.105), FAST).reason  # within one standard error
    assert "a factor of 1.9" in decide(off(0.9, 0.8, 0.3), FAST).reason


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "less than a second"),
        (0.99, "less than a second"),
        (8.4, "about 8 s"),
        (89.0, "about 89 s"),
        (300.0, "about 5 min"),
        (7200.0, "about 2 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds).replace(NB, " ") == words


# --- the estimate of the time -----------------------------------------------------------------------------------------


def test_the_estimate_depends_on_the_sizes_of_the_job_alone() -> None:
    job = {"modes": 64, "profiles": 1797, "sizes": 6, "seeds": 64, "images": 12, "noise_levels": 3, "mode_pairs": True}
    for spec in REGISTRY.values():
        first = spec.seconds(Work(**job))
        assert first == spec.seconds(Work(**job)) > 0
        for name in ("modes", "sizes", "seeds", "images"):
            assert spec.seconds(Work(**{**job, name: 2 * job[name]})) > first
    order = [spec.seconds(Work(**job)) for spec in REGISTRY.values()]
    assert order == sorted(order)


def test_the_estimate_counts_the_products_of_the_empirical_law() -> None:
    """One n without seeds, images or pairs: 12 iterations of the fixed point at 16 nodes, three ladders of 6 at 136 pairs."""
    alone = Work(modes=99, profiles=1000, sizes=1, seeds=0, images=0, noise_levels=0, mode_pairs=False)
    own = REGISTRY["empirical"].multiply_adds(alone) - REGISTRY["elliptical"].multiply_adds(alone)
    assert own == 1000 * 100 * (2 * 12 * 16 + 3 * 2 * 6 * 136)


def test_the_job_is_read_off_the_population() -> None:
    held = kf.Population.from_samples(np.random.default_rng(0).standard_normal((40, 5)), profiles=30)
    assert main_job(held) == Work(
        modes=5, profiles=30, sizes=7, seeds=64, images=12, noise_levels=3, mode_pairs=True
    )  # of 7 sizes at most
    assert search_work(held) == Work(modes=5, profiles=30, sizes=6, seeds=0, images=0, noise_levels=0, mode_pairs=False)
    assert main_job(kf.Population.from_spectrum([2.0, 1.0])).profiles == 0


def test_the_diagnosis_follows_the_rule_on_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that takes long with the empirical law gets the elliptical law on the same data."""
    rng = np.random.default_rng(5)
    scales = np.repeat(rng.gamma(0.7, 1 / 0.7, (600, 2)) ** 0.5, 10, axis=1)  # one size for each half of the modes
    samples = rng.standard_normal((600, 20)) * np.arange(1, 21.0) ** -0.7 * scales
    population = kf.Population.from_samples(samples, profiles=600)
    short = kf.diagnose(population, training_sets=32)
    assert short.law == "empirical"
    assert short.seconds == {law: spec.seconds(main_job(population)) for law, spec in REGISTRY.items()}
    long = Work.of(population, images=10**6)
    found = kf.diagnose(population, training_sets=32, work=long)
    assert found.law == "elliptical"
    assert found.seconds["empirical"] > ACCEPTABLE_SECONDS
    assert "The empirical law is more accurate" in found.reason
    assert found.subsampling_error is None
    monkeypatch.setattr(rule, "ACCEPTABLE_SECONDS", 1e12)
    assert kf.diagnose(population, training_sets=32, work=long).law == "empirical"


def test_a_diagnosis_is_short_on_the_screen() -> None:
    samples = np.random.default_rng(0).standard_normal((200, 5))
    found = kf.diagnose(kf.Population.from_samples(samples, profiles=200), training_sets=8)
    assert repr(found).startswith(f"Diagnosis(law={found.law!r}, errors: gaussian ")
    assert len(repr(found)) < 160
    assert len(repr(found.errors[0])) < 250
