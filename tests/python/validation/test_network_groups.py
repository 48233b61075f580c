"""Images in groups: training sets that share no group, the theory beside them, and splits of independent images as ever."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from kappaflow._checks import FloatArray
from smooth import SHAPE, smooth

torch = pytest.importorskip("torch")

from kappaflow.validation.metrics import cross_split  # noqa: E402
from kappaflow.validation.network.analysis import forecast  # noqa: E402
from kappaflow.validation.network.baselines import linear_samples  # noqa: E402
from kappaflow.validation.network.context import make_context  # noqa: E402
from kappaflow.validation.network.disjoint import DisjointSplits, dependent_groups, largest_pair  # noqa: E402
from kappaflow.validation.network.given import outside  # noqa: E402
from kappaflow.validation.network.plan import ComparedModel, make_models, make_plan  # noqa: E402
from kappaflow.validation.network.reach import drawn_pair, reach_of  # noqa: E402


def of(labels: Any, *, n: Any, repeats: int = 1, **options: Any) -> list[ComparedModel]:
    return make_models(len(labels), archs=["mlp"], n=n, repeats=repeats, groups=labels, **options)


def clips(count: int, frames: int, *, seed: int = 0) -> tuple[FloatArray, Any]:
    """Frames of clips, which differ little within a clip, in a random order; and the clip of each."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(smooth(count, seed=seed), frames, axis=0) + 0.05 * smooth(count * frames, seed=seed + 1)
    order = rng.permutation(len(rows))
    return rows[order], np.repeat(np.arange(count), frames)[order]


GROUPINGS = {
    "clips of five": np.repeat(np.arange(60), 5),
    "scattered": np.random.default_rng(0).permutation(np.repeat(np.arange(60), 5)),
    "unequal": np.random.default_rng(1).permutation(np.repeat(np.arange(40), np.arange(1, 41))),
    "names": np.array([f"patient {k % 37}" for k in range(300)]),
    "one large": np.concatenate([np.zeros(100, dtype=int), np.arange(1, 201)]),
}


# --- without groups ---------------------------------------------------------------------------------------------------


#: Digests of all models, of the code before there were groups.
@pytest.mark.parametrize(
    ("split", "repeats", "digest", "first"),
    [
        ("random", 2, "f7c9060f9c0bd5f0", [215, 672, 551, 62, 657, 34]),
        ("contiguous", 1, "1ebbe03fe25d1d28", [0, 1, 2, 3, 4, 5]),
    ],
)
@pytest.mark.parametrize("labels", [None, np.arange(700)[::-1]], ids=["no labels", "every image a group"])
def test_splits_of_independent_images_never_change(
    split: str, repeats: int, digest: str, first: list[int], labels: Any
) -> None:
    models = make_models(700, archs=["mlp"], n=[20, 350], repeats=repeats, split=split, seed=3, groups=labels)
    lines = []
    for model in models:
        places = np.concatenate([model.own, [-1], model.other, [-1], model.held_out, [-1], model.shared])
        lines.append(f"{model.key} {hashlib.sha256(places.astype('<i8').tobytes()).hexdigest()[:12]}")
    assert models[0].own[:6].tolist() == first
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest


# --- with groups ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GROUPINGS)
@pytest.mark.parametrize("split", ["random", "contiguous"])
def test_training_sets_share_no_group(name: str, split: str) -> None:
    labels = GROUPINGS[name]
    repeats = 3 if split == "random" else 1
    largest = DisjointSplits(len(labels), repeats, split, 2, dependent_groups(labels, len(labels))).largest
    for model in of(labels, n=[7, 40, largest], repeats=repeats, split=split, seed=2):
        assert len(model.own) == len(set(model.own)) == len(model.other) == model.n
        assert not set(labels[model.own]) & set(labels[model.other])
        assert len(model.held_out)
        assert not set(labels[model.held_out]) & set(labels[model.own])
        both = set(labels[model.own]) | set(labels[model.other])
        if len(model.shared) < 256 and len(model.shared) != min(256, len(labels)):
            assert not set(labels[model.shared]) & both
        whole = [group for group in set(labels[model.own]) if set(np.flatnonzero(labels == group)) <= set(model.own)]
        assert len(whole) >= len(set(labels[model.own])) - 1  # only the last group may be cut


def test_sets_of_a_smaller_n_are_subsets_and_repeats_differ() -> None:
    labels = GROUPINGS["unequal"]
    sets = {
        (m.n, m.repeat, m.split): set(m.own) for m in of(labels, n=[10, 50, 200], repeats=2, seed=4) if m.member == 0
    }
    for repeat in (0, 1):
        for split in "AB":
            assert sets[10, repeat, split] < sets[50, repeat, split] < sets[200, repeat, split]
    assert sets[50, 0, "A"] != sets[50, 1, "A"]


def test_models_are_compared_outside_of_the_groups_of_both_sets() -> None:
    labels = GROUPINGS["clips of five"]
    model = of(labels, n=[12])[0]
    taken = set(labels[model.own]) | set(labels[model.other])
    assert len(taken) == 6  # two whole clips and a part of a third, on both sides
    assert set(model.shared) <= set(np.flatnonzero(~np.isin(labels, list(taken))))
    assert len(model.shared) == 256
    close = of(labels, n=[140])[0]  # only 20 images are left, so all are used
    assert set(labels[close.shared]) & set(labels[close.own])


def test_contiguous_sets_follow_the_first_appearance_of_the_groups() -> None:
    labels = np.array(["b", "a", "c", "d"] * 5)
    a, b, _ = of(labels, n=[8], split="contiguous")
    assert labels[a.own].tolist() == ["b"] * 5 + ["a"] * 3
    assert labels[b.own].tolist() == ["c"] * 3 + ["d"] * 5
    assert a.own.tolist() == [0, 4, 8, 12, 16, 1, 5, 9]


@pytest.mark.parametrize("name", GROUPINGS)
def test_the_largest_size_is_the_last_one_that_fits(name: str) -> None:
    labels = GROUPINGS[name]
    groups, rng = dependent_groups(labels, len(labels)), np.random.default_rng(3)
    assert groups is not None
    for _ in range(5):
        blocks = [np.flatnonzero(groups.numbers == g) for g in rng.permutation(groups.count)]
        order = np.concatenate(blocks)
        fits = [n for n in range(1, len(order)) if not set(labels[order[:n]]) & set(labels[order[-n:]])]
        assert largest_pair(order, groups) == max(fits, default=0)
        assert fits == list(range(1, len(fits) + 1))


def test_a_size_that_does_not_fit_names_the_largest() -> None:
    labels = np.repeat(np.arange(5), 10)
    words = "n must be at most 20, so that two training sets share none of the 5 groups of the 50 images, got 21"
    with pytest.raises(ValueError, match=words):
        of(labels, n=[10, 21])
    assert {model.n for model in of(labels, n=[20])} == {20}
    with pytest.raises(ValueError, match="n must be at most 25, half of the 50 images, got 26"):
        make_models(50, archs=["mlp"], n=[26])


def test_presets_are_cut_to_the_largest_size() -> None:
    images, labels = smooth(50), np.repeat(np.arange(5), 10)
    assert make_plan(images, SHAPE, archs=["mlp"], groups=labels).n == (20,)
    assert make_plan(images, SHAPE, archs=["mlp"]).n == (25,)
    with pytest.raises(ValueError, match=r"groups must allow two training sets of at least 4 images .* at most 2"):
        make_plan(smooth(50), SHAPE, archs=["mlp"], groups=np.append(np.zeros(48), [1, 1]).astype(int))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"groups": np.arange(3)}, "groups must hold one label for each of the 60 samples, got 3 labels"),
        ({"groups": np.zeros(60, dtype=int)}, "groups must hold at least 2 different labels, got 1"),
        (
            {"groups": np.arange(60) // 3, "component": 0, "coordinate": np.arange(60.0)},
            "component must be None for images in groups, which strata would cut apart, got 0",
        ),
    ],
)
def test_plans_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_plan(smooth(60), SHAPE, archs=["mlp"], n=[10], **options)


# --- the theory beside them -------------------------------------------------------------------------------------------


def test_linear_models_of_these_sets_disagree_as_the_law_of_groups_says() -> None:
    """The law of independent images is several times too small."""
    images, labels = clips(300, 5)
    context = make_context(images, SHAPE, seeds=32, profiles=2000, manipulated=False, groups=labels)
    alone = make_context(images, SHAPE, seeds=32, laws=["empirical"], profiles=2000, manipulated=False)
    assert context.population.group_count == 300
    assert [law.name for law in context.laws] == ["empirical"]
    noise, n = context.noise["seeds"], 150
    models = of(labels, n=[n], repeats=400, arms=["same"])
    found = [
        cross_split(
            *(linear_samples(images[places], noise) for places in (model.own, model.other)),
            context.population,
            context.bands,
        ).mean
        for model in models[::2]
    ]
    law, independent = (forecast(each, each.laws[0], n).disagreement.mean for each in (context, alone))
    assert np.mean(found) / law == pytest.approx(1.0, abs=0.1)
    assert np.mean(found) / independent > 4


def test_exact_linear_pairs_of_the_reach_share_no_group() -> None:
    images, labels = clips(30, 4)
    context = make_context(images, SHAPE, seeds=16, manipulated=False, groups=labels)
    rng = np.random.default_rng(0)
    for n in (10, 40):
        for _ in range(5):
            a, b = drawn_pair(context, len(images), n, rng)
            assert len(a) == len(b) == n
            assert not set(labels[a]) & set(labels[b])
    a, b = drawn_pair(context, len(images), 90, rng)  # two of these do not fit: groups with replacement
    assert len(a) == len(b) == 90
    assert np.all(np.bincount(labels[a]) % 4 == 0) or len(set(labels[a][-4:])) > 1
    reach = reach_of(context, 40, 2, {law.name: forecast(context, law, 40) for law in context.laws})("empirical")
    assert reach.draws == 20
    assert -1 <= reach.low <= reach.median <= reach.high <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"laws": ["gaussian"]}, "laws must be 'empirical' for images in groups"),
        ({"profiles": 0}, "profiles must be above 0 for images in groups, got 0"),
    ],
)
def test_laws_of_independent_images_are_refused(options: dict[str, Any], words: str) -> None:
    images, labels = clips(30, 4)
    with pytest.raises(ValueError, match=words):
        make_context(images, SHAPE, seeds=16, groups=labels, **options)


def test_given_models_are_judged_outside_of_the_groups_of_their_sets() -> None:
    images, labels = clips(20, 4)
    groups = dependent_groups(labels, len(images))
    sets = [images[labels == 0][:2], images[labels == 1][:1]]
    np.testing.assert_array_equal(outside(images, sets, groups), np.flatnonzero(labels > 1))
    assert len(outside(images, sets)) == 77
