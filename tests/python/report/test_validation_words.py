"""The words of the validation report follow from the outcomes."""

from dataclasses import replace

import pytest

from kappaflow.report.validation import build, headline, verdicts_by_quantity
from kappaflow.report.validation.modes import coincidences
from kappaflow.report.validation.select import leading_law
from page_parser import drawn, undrawn
from toy_validation import make_validation, only


@pytest.fixture(scope="module")
def right():
    return make_validation(off=only("published", 2.0))


# ---------------------------------------------------------------- verdicts follow from outcomes
def outcomes(validation, law="gaussian"):
    return [c.agreement.outcome for c in validation.comparisons if c.law == law]


def test_a_theory_that_agrees_everywhere_is_said_to_agree(right):
    assert "misses" not in outcomes(right)
    total = len(outcomes(right))
    words = headline(right)
    assert words.mood == "yes"
    assert words.answer == f"The Gaussian law agrees with simulated linear models in {total} of {total} comparisons."
    assert all(
        v.mood == "yes" for rows in verdicts_by_quantity(right).values() for v in rows if v.law == "Gaussian law"
    )
    assert "the data cannot be told apart from data that meet the assumptions of the law" in words.reason


def test_a_theory_that_is_wrong_everywhere_is_said_to_miss():
    validation = make_validation(laws=("gaussian",), off=only("gaussian", 4.0))
    words = headline(validation)
    total = len(outcomes(validation))
    assert set(outcomes(validation)) == {"misses"}
    assert words.mood == "no"
    assert f"misses in {total} of {total} comparisons" in words.answer
    assert "off by up to a factor of 4 in the disagreement of models" in words.answer
    assert "a factor of 4 in expectations" in words.answer
    assert "Misses of that size are expected there" in words.reason
    assert all(
        v.sentence.startswith("Misses in all") or v.counts[3] == 3
        for rows in verdicts_by_quantity(validation).values()
        for v in rows
    )


def test_one_quantity_that_misses_is_named_with_its_worst_case():
    def off(law, quantity, subject, n):
        return {20: 1.3, 60: 3.0, 200: 1.3}[n] if (quantity, subject) == ("seeds", "denoiser_1") and n else 1.0

    validation = make_validation(laws=("gaussian",), off=off)
    words = headline(validation)
    assert words.mood == "partly"
    assert "and misses in 3, off by up to a factor of 3 in the disagreement of models." in words.answer
    assert "The largest miss is a factor of 3: disagreement by input (denoiser, σ = 1, n = 60)" in words.counts
    verdicts = {title: rows[0] for title, rows in verdicts_by_quantity(validation).items()}
    seeds = verdicts["Disagreement by input"]
    assert seeds.sentence == "Misses in 3 of 12, at worst by a factor of 3 (denoiser, σ = 1, n = 60)."
    assert seeds.mood == "partly"
    assert seeds.counts == (9, 0, 0, 3)
    assert verdicts["Disagreement by eigenband"].sentence == "Agrees within Monte Carlo error in all 12."


def test_a_deviation_of_order_one_over_m_is_neither_a_miss_nor_agreement():
    validation = make_validation(laws=("gaussian",), off=lambda law, quantity, key, n: 1 + 0.6 / max(n, 2), noise=0.002)
    assert set(outcomes(validation)) == {"limit"}
    words = headline(validation)
    assert words.mood == "yes"
    assert words.counts.endswith("agree up to terms of order 1/m, which the limit of many samples neglects.")
    sentence = next(iter(verdicts_by_quantity(validation).values()))[0].sentence
    assert "up to neglected terms of order 1/m, off by at most" in sentence


SMALL = "within 10\N{NO-BREAK SPACE}% of simulated linear models in all"


@pytest.mark.parametrize("factor", [1.04, 0.96, 1.08])
@pytest.mark.parametrize("kind", ["resample", "disjoint", "gaussian"])
def test_small_errors_beyond_chance_are_no_misses(factor, kind):
    validation = make_validation(laws=("gaussian",), kind=kind, off=only("gaussian", factor), noise=0.002)
    assert "misses" in outcomes(validation)  # the tests fail: the errors are beyond chance
    words = headline(validation)
    assert words.mood == "yes"
    assert SMALL in words.answer
    assert "differ beyond chance, off by up to" in words.answer
    assert "changes no decision about training" in words.reason
    assert "beyond chance but by at most 10\N{NO-BREAK SPACE}%" in words.counts
    found = [row for rows in verdicts_by_quantity(validation).values() for row in rows]
    assert {row.mood for row in found} <= {"yes", "partly"}
    assert any(row.sentence.startswith("Off beyond chance in ") for row in found)
    page = undrawn(build(validation, facts={})).words
    assert "small error, " in page
    assert "misses by" not in page


def test_errors_above_the_stated_size_are_misses_and_small_ones_beside_them_are_counted_apart():
    def off(law, quantity, subject, n):
        return 1.14 if quantity == "seeds" else 1.05

    validation = make_validation(laws=("gaussian",), off=off, noise=0.002)
    words = headline(validation)
    assert words.mood == "partly"
    assert "and misses in 12, off by up to 14 % in the disagreement of models." in words.answer
    assert "beyond chance but by at most" in words.counts
    assert "12 miss" in words.counts
    assert verdicts_by_quantity(validation)["Disagreement by input"][0].counts.misses == 12


def test_of_two_laws_without_misses_that_with_fewer_errors_beyond_chance_leads():
    validation = make_validation(laws=("gaussian", "other"), off=only("gaussian", 1.05), noise=0.002)
    assert leading_law(validation).name == "other"
    assert any(SMALL in sentence for sentence in headline(validation).others)


def test_misses_of_the_published_law_are_called_its_own(right):
    (sentence,) = headline(right).others
    assert sentence.startswith("The published law misses in ")
    assert "formula of arXiv 2602.02908" in sentence
    assert "Its misses are expected" in sentence


def test_a_published_law_that_agrees_is_not_said_to_miss():
    (sentence,) = headline(make_validation()).others
    assert sentence.startswith("The published law agrees")
    assert "misses" not in sentence


def test_the_published_law_alone_is_judged_too():
    words = headline(make_validation(laws=("published",), off=only("published", 2.0)))
    assert words.answer.startswith("The published law misses")
    assert words.others == ()


def test_the_headline_judges_the_law_that_misses_least():
    validation = make_validation(laws=("gaussian", "published", "other"), off=only("gaussian", 3.0))
    assert leading_law(validation).name == "other"
    words = headline(validation)
    assert words.answer.startswith("The other law agrees")
    assert any(sentence.startswith("The Gaussian law misses") for sentence in words.others)
    assert "published law" in undrawn(build(validation, facts={})).words


@pytest.mark.parametrize(
    ("kind", "factor", "words"),
    [
        ("gaussian", 1.0, "this tests the theory and its code"),
        ("gaussian", 3.0, "the theory or its code is at fault"),
        ("resample", 3.0, "Real images differ in contrast"),
        ("disjoint", 3.0, "With disjoint splits, part of any difference does not come from the law"),
    ],
)
def test_the_reason_depends_on_where_training_sets_come_from(kind, factor, words):
    assert words in headline(make_validation(laws=("gaussian",), kind=kind, off=only("gaussian", factor))).reason


def test_equal_images_in_a_training_set_are_spoken_of_where_they_matter():
    assert "In 12 images drawn with replacement from 1,000, 0.066 pairs" in coincidences(
        make_validation(sizes=(12, 60))
    )
    assert coincidences(make_validation()) == ""
    assert coincidences(make_validation(sizes=(12, 60), kind="disjoint")) == ""


def test_a_total_that_is_not_positive_has_no_factor(right):
    broken = replace(right.comparisons[5].agreement, ratio=-0.2, ratio_interval=(-0.5, 0.1), outcome="misses")
    changed = replace(right.comparisons[5], agreement=broken)
    validation = replace(right, comparisons=(*right.comparisons[:5], changed, *right.comparisons[6:]))
    words = undrawn(build(validation, facts={})).words
    assert "a total that is not positive" in words
    assert "nan" not in words.lower().split()
    figure = drawn(build(validation, facts={}), "ratios")
    assert any("1 without positive ratio" in text.get_text() for text in figure.get_axes()[0].texts)


def test_nothing_to_compare_is_refused(right):
    with pytest.raises(ValueError, match="validation must hold at least one comparison, got none"):
        headline(replace(right, comparisons=()))
