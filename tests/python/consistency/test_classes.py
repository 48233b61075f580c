"""Answers by class: those of the class alone, as a dataset of its own."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.bands import Band, resolve_bands
from kappaflow.consistency.classes import ClassAnswers, classes_to_json
from kappaflow.consistency.law_choice import choose_law
from kappaflow.consistency.needed import images_needed, search_work
from kappaflow.report.consistency import build
from kappaflow.report.consistency.classes import class_table, classes, draw_classes
from kappaflow.splits import Splits
from page_parser import undrawn
from toy_prediction import make_prediction

SIZES = {"large": 400, "small": 60, "tiny": 8, "two": 2, "one": 1}


@pytest.fixture(scope="module")
def populations() -> kf.ClassPopulations:
    rng = np.random.default_rng(4)
    labels = np.concatenate([[name] * size for name, size in SIZES.items()])
    scales = 0.5 ** np.arange(16)
    images = rng.standard_normal((len(labels), 16)) * np.sqrt(scales)
    order = rng.permutation(len(labels))
    return kf.populations_by_class(images[order].reshape(-1, 4, 4), labels[order], profiles=500)


@pytest.fixture(scope="module")
def answers(populations: kf.ClassPopulations) -> ClassAnswers:
    return kf.answers_by_class(populations, n=[100, 236, 471], reference_n=236, tolerance=0.2)


@pytest.mark.parametrize("law", ["auto", "gaussian", "empirical"])
def test_each_answer_is_that_of_the_class_alone(populations: kf.ClassPopulations, law: str) -> None:
    answers = kf.answers_by_class(populations, n=[471], law=law, tolerance=0.2)
    rows = {row.name: row for row in answers.classes}
    for one, row in ((populations[name], rows[name]) for name in ("large", "small")):
        assert one.population is not None
        chosen = choose_law(one.population, law, work=search_work(one.population)).law
        everything = [Band(0, 16)]
        ranges = [*resolve_bands(6, 16), *everything]
        *of_bands, needed = images_needed(one.population, ranges, 80.0, 0.2, law=chosen)
        splits = Splits(one.population, SIZES[row.name], law=chosen)
        relative = splits.mean_disagreement(
            splits.sampling_map(0.0, 80.0), input_sigma=80.0, bands=everything, relative=True
        )
        assert needed is not None
        assert (row.name, row.law, row.images, row.needed) == (one.name, chosen, SIZES[row.name], needed.n)
        assert row.in_every_band == max(answer.n for answer in of_bands if answer is not None)
        assert row.in_every_band > needed.n
        assert row.n.tolist() == [SIZES[row.name]]
        assert row.relative[0] == pytest.approx(relative[0], rel=1e-12)


def test_linear_models_of_a_class_disagree_as_predicted() -> None:
    """Monte Carlo: pairs of linear models of one class, trained on its part of training sets of all classes."""
    rng, variances = np.random.default_rng(8), 0.6 ** np.arange(10)
    images = np.concatenate([rng.standard_normal((4000, 10)) * np.sqrt(variances), 3 + rng.standard_normal((1000, 10))])
    found = kf.populations_by_class(images, np.repeat(["a", "b"], [4000, 1000]))
    (row, _) = kf.answers_by_class(found, n=[100], sigma_max=5.0, law="gaussian").classes
    assert row.n.tolist() == [80]
    distance, apart, pairs = 0.0, 0.0, 600
    for _ in range(pairs):
        outputs = []
        noise = 5.0 * rng.standard_normal((2, 10))
        for _ in range(2):
            rows = rng.standard_normal((80, 10)) * np.sqrt(variances)
            values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
            mean = rows.mean(axis=0)
            gain = np.sqrt(np.maximum(values, 0) / (np.maximum(values, 0) + 25.0))
            outputs.append(mean + ((noise - mean) @ vectors * gain) @ vectors.T)
        distance += float(np.mean((outputs[0][0] - outputs[1][0]) ** 2)) / pairs
        apart += float(np.mean((outputs[0][0] - outputs[1][1]) ** 2)) / pairs
    assert row.relative[0] == pytest.approx(distance / apart, rel=0.08)


def test_shares_of_training_sets(answers: ClassAnswers) -> None:
    large = next(row for row in answers.classes if row.name == "large")
    assert large.share == 400 / 471
    assert large.n.tolist() == [85, 200, 400]
    assert large.needed is not None
    assert large.of_all == math.ceil(large.needed * 471 / 400)
    assert large.missing == max(0, large.needed - 400)
    assert answers.mixture.n.tolist() == [100, 236, 471]
    assert answers.mixture.share == 1.0


def test_classes_that_need_more_images_for_their_fine_patterns() -> None:
    rng = np.random.default_rng(3)
    scales = np.array([1.0, 1.0, 1e-4, 1e-4])
    images = rng.standard_normal((300, 4)) * np.where(np.arange(300)[:, None] < 200, 1.0, scales)
    found = kf.populations_by_class(images, np.repeat(["even", "steep"], [200, 100]))
    answers = kf.answers_by_class(found, sigma_max=1.0, tolerance=0.02, law="gaussian", bands=2)
    even, steep = answers.classes
    assert even.enough
    assert steep.enough
    assert steep.in_every_band is not None
    assert steep.in_every_band > 100
    assert (
        f"1 class needs more images than there are to agree in every eigenband: steep ({steep.in_every_band:,} needed, 100 there)."
        in answers.sentences
    )


def test_classes_that_cannot_be_answered_are_listed(answers: ClassAnswers) -> None:
    rows = {row.name: row for row in answers.classes}
    assert list(rows) == ["large", "one", "small", "tiny", "two"]
    assert rows["one"].problem == "cannot be answered: it has 1 image, and needs 2"
    assert np.isnan(rows["one"].relative).all()
    for name in ("tiny", "two"):
        assert rows[name].needed is None
        assert f"determine nothing beyond n = {SIZES[name]}; at least 18" in rows[name].problem
    assert [row.name for row in answers.most_lacking[:3]] == ["one", "two", "tiny"]
    assert answers.of_all is None
    text = " ".join(answers.sentences)
    assert "3 classes (one, two, tiny)" in text
    assert "of one class agree overall within 20 % in" in text


def test_json_is_strict_and_complete(answers: ClassAnswers) -> None:
    content = json.loads(json.dumps(classes_to_json(answers), allow_nan=False))
    assert [row["name"] for row in content["classes"]] == [row.name for row in answers.classes]
    assert content["classes"][1]["relative"] == [None, None, None]
    assert content["mixture"]["needed"] == answers.mixture.needed
    assert content["reference_n"] == 236


def test_every_class_has_enough() -> None:
    rng = np.random.default_rng(1)
    found = kf.populations_by_class(rng.standard_normal((600, 4)), np.arange(600) % 3)
    answers = kf.answers_by_class(found)
    assert answers.sizes.tolist() == [600]
    assert all(row.enough and row.missing == 0 for row in answers.classes)
    assert "in every class" in answers.sentences[0]
    assert f"{answers.of_all:,} training images of all classes give every class enough" in answers.sentences[1]
    strict = kf.answers_by_class(found, tolerance=0.001)
    assert "in no class" in strict.sentences[0]
    assert strict.sentences[1].startswith("3 classes need more images than there are")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 1.0}, "tolerance must lie between 0 and 1"),
        ({"n": [10], "reference_n": 20}, "reference_n must be one of 10, got 20"),
        ({"bands": 0}, "bands must be an integer of at least 1"),
        ({"n": [1]}, "n must be an integer of at least 2"),
        ({"law": "nothing"}, "law must be one of"),
    ],
)
def test_bad_options(populations: kf.ClassPopulations, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kf.answers_by_class(populations, **options)  # type: ignore[arg-type]


def test_many_classes_share_the_law_of_the_largest() -> None:
    rng = np.random.default_rng(6)
    labels = np.concatenate([np.arange(2000) % 25, np.full(50, 3), np.full(4, 99)])
    images = rng.standard_normal((len(labels), 3)) * rng.exponential(size=(len(labels), 1))
    found = kf.populations_by_class(images, labels, profiles=500)
    largest = found["3"].population
    assert largest is not None
    chosen = choose_law(largest, work=search_work(largest)).law
    assert chosen != "gaussian"
    answers = kf.answers_by_class(found)
    rows = {row.name: row for row in answers.classes}
    assert {row.law for row in answers.classes if row.name != "99"} == {chosen}
    assert "that of class 3, the largest of 26" in rows["7"].law_reason
    assert rows["99"].law == "gaussian"
    assert rows["3"].needed == kf.answers_by_class(found, law=chosen).classes[3].needed


# --- the page ---------------------------------------------------------------------------------------------------------


def test_a_report_has_the_classes(answers: ClassAnswers) -> None:
    prediction = make_prediction()
    assert classes(prediction) is None
    page = undrawn(build(replace(prediction, classes=answers), facts={}))
    assert "Does every class agree, and which class needs more images?" in page.words
    assert "A class-conditional network shares its weights between classes" in page.words
    assert "Class one: cannot be answered: it has 1 image, and needs 2." in page.words
    for sentence in answers.sentences:
        assert sentence in page.words
    table = class_table(answers)
    assert table.columns["Class"] == ["large", "one", "small", "tiny", "two", "all classes"]
    assert [cell.value for cell in table.columns["Images needed"]] == [  # type: ignore[union-attr]
        *(row.needed for row in answers.classes),
        answers.mixture.needed,
    ]


def test_the_figure_has_a_mark_for_each_class(answers: ClassAnswers) -> None:
    (ax,) = draw_classes(answers).axes
    marks = {line.get_gid(): np.asarray(line.get_xydata()) for line in ax.lines if line.get_gid()}
    there = marks["classes-there"]
    np.testing.assert_array_equal(there[:, 0], [400, 1, 60, 8, 2, 471])
    known = [(row.needed, place) for place, row in enumerate((*answers.classes, answers.mixture)) if row.needed]
    drawn = np.concatenate([marks["classes-enough"], marks["classes-too-few"]])
    assert sorted(map(tuple, drawn.tolist())) == sorted((float(x), float(y)) for x, y in known)


def test_the_figure_of_many_classes_with_names_of_all_scripts() -> None:
    rng = np.random.default_rng(2)
    labels = np.array([f"名前 {k}" if k % 2 else f"cost: ${k}$ and a long name that goes on" for k in range(50)])
    found = kf.populations_by_class(rng.standard_normal((250, 2, 2)), labels[np.arange(250) % 50])
    figure = draw_classes(kf.answers_by_class(found, law="gaussian"))
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(names) == 31
    assert names[-1] == "all classes"
    assert any(name.startswith(r"cost: \$") and name.endswith("…") for name in names)
    assert any(name.startswith("row ") for name in names)
