"""The consistency report as a page: whole, safe, reproducible, and its words and numbers are those of the prediction."""

import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest

from kappaflow.provenance import Provenance
from kappaflow.report.consistency import build
from kappaflow.report.consistency.headline import plan, seed_spread, tiles, verdict
from kappaflow.report.document import Table
from kappaflow.report.page import page
from kappaflow.report.words import number, percent
from page_parser import Page, undrawn
from toy_prediction import changed, make_prediction

FACTS = {"version": "0.0.0", "command": "kappaflow predict digits"}


@pytest.fixture(scope="module")
def grey():
    return make_prediction()


@pytest.fixture(scope="module")
def grey_page(grey):
    return page(build(grey, facts=FACTS))


VARIANTS = {
    "grey": {},
    "colour": {"shape": (3, 2, 3)},
    "vector": {"shape": (10,)},
    "other": {"shape": (2, 2, 2, 2)},
    "null modes": {"shape": (4, 4), "zeros": 5},
    "no pictures": {"shape": (12,), "images": 0},
    "no diagnosis": {"diagnosed": False},
}


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS.keys())
def variant(request):
    """A prediction and its page."""
    prediction = make_prediction(**request.param)
    return prediction, page(build(prediction, facts=FACTS))


def test_page_says_which_law_and_why(grey_page):
    words = Page(grey_page).words
    assert "Take the empirical law: it is off by 3 %; the Gaussian law is off by a factor of 2." in words
    assert "variance 0.50, 5.0 times that of Gaussian data" in words
    assert "half of the modes lie above 6.0, and nine out of ten lie between 3.3 and 8.7" in words
    assert "the numbers in this report come from the empirical law" in words
    undiagnosed = undrawn(build(make_prediction(diagnosed=False), facts={}))
    assert "The empirical law was asked for." in undiagnosed.words
    assert "figure-law_errors" not in [value for _, value in undiagnosed.attributes("id")]


def test_page_says_where_larger_sizes_are_not_identified(grey):
    shown = undrawn(build(replace(grey, largest_n=300), facts={}))
    assert "more than 300" in shown.words
    assert "there no n up to 300 is enough" in shown.words
    none = plan(changed(grey, largest_n=300, bands={"images_needed": (None, None, None)}))
    assert none == "No n up to 300 makes two linear models agree within 10\xa0% in any eigenband."


def test_one_size_one_seed_one_mode_still_make_a_page():
    small = make_prediction((6,), sizes=(30, 60), seeds=1, images=1)
    single = changed(
        small,
        n=small.n[1:],
        noise={"kappa": small.noise.kappa[1:]},
        denoisers={"gain": small.denoisers.gain[:, 1:]},
        modes={name: getattr(small.modes, name)[1:] for name in ("gain", "disagreement", "relative")},
        bands={name: getattr(small.bands, name)[1:] for name in ("disagreement", "relative")},
        totals={name: getattr(small.totals, name)[1:] for name in ("disagreement", "relative")},
        seeds={"disagreement": small.seeds.disagreement[1:]},
    )
    assert undrawn(build(single, facts={})).open == []


def test_a_model_without_any_variance_still_makes_a_page(grey):
    flat = changed(
        grey,
        eigenvalues=np.zeros(16),
        modes={
            "gain": np.zeros((3, 16)),
            "gain_ideal": np.zeros(16),
            "disagreement": np.zeros((3, 16)),
            "relative": np.zeros((3, 16)),
            "pairs": replace(grey.modes.pairs, variance=np.zeros((16, 16))),
        },
        bands={"disagreement": np.zeros((3, 3)), "relative": np.zeros((3, 3)), "images_needed": (2, 2, 2)},
        totals={"disagreement": np.zeros(3), "relative": np.zeros(3)},
        seeds={"disagreement": np.zeros((3, 12))},
    )
    assert "The data have no variance." in undrawn(build(flat, facts={})).words


def test_page_is_balanced_and_has_every_figure_with_alternative_text(variant):
    prediction, text = variant
    shown = Page(text)
    assert shown.open == []
    for name in [picture.name for picture in build(prediction, facts={}).pictures]:
        assert f"figure-{name}" in [value for _, value in shown.attributes("id")]
    images = [attrs.get("alt") for tag, attrs in shown.tags if tag == "img"]
    drawings = [attrs.get("aria-label") for tag, attrs in shown.tags if tag == "svg"]
    assert len(images) + len(drawings) == len([picture.name for picture in build(prediction, facts={}).pictures])
    assert all(images)
    assert all(drawings)
    assert all(attrs.get("role") == "img" for tag, attrs in shown.tags if tag == "svg")
    assert all(attrs.get("scope") for tag, attrs in shown.tags if tag == "th")


def test_page_identifiers_are_unique_and_links_inside_it_lead_somewhere(variant):
    shown = Page(variant[1])
    identifiers = [value for _, value in shown.attributes("id")]
    assert len(identifiers) == len(set(identifiers))
    targets = {value[1:] for _, value in shown.attributes("href") if value.startswith("#")}
    assert targets <= set(identifiers)


def test_page_loads_nothing(variant):
    text = variant[1]
    shown = Page(text)
    for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
        for tag, value in shown.attributes(name):
            local = value.startswith(("#", "data:"))
            assert local or (tag == "a" and value == "https://arxiv.org/abs/2602.02908"), (tag, name, value)
    assert {"script", "iframe", "link", "object"}.isdisjoint(tag for tag, _ in shown.tags)
    assert not re.search(r"url\((?!#)|@import", text)
    assert len(text) < 6e6


def test_page_escapes_everything_that_users_name(grey):
    bad = "<script>alert(1)</script>"
    hostile = replace(grey, source=bad, provenance=Provenance(f'"{bad}'), notes=(bad,))
    text = page(build(hostile, facts={bad: f"'{bad}"}))
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    assert bad in Page(text).words


def test_doubts_about_the_data_stand_first_among_the_assumptions(grey):
    doubtful = replace(grey, provenance=Provenance("toy", warnings=("neighbours are alike",)))
    document = build(doubtful, facts={})
    assert document.notes == ("neighbours are alike.", *grey.notes)
    assert "neighbours are alike." in Page(page(document)).words


def test_headline_numbers_are_those_of_the_prediction(grey, grey_page):
    shown = Page(grey_page)
    total = grey.totals.relative[1]
    values = shown.data
    assert values[0] == total
    assert f"trained on 60 images each will disagree by {percent(total)}".replace("\xa0", " ") in shown.words
    for expected in (*grey.totals.relative, *grey.totals.disagreement, *grey.bands.relative[1], 24, 150):
        assert expected in values
    for expected in grey.noise.kappa[:, 0]:
        assert expected in values
    assert "more than any practical n" in shown.words
    assert "Beware of the toy." in shown.words
    assert number(grey.totals.disagreement[1] ** 0.5, 2) in shown.words


@pytest.mark.parametrize(
    ("total", "bands", "mood", "words"),
    [
        (0.05, (0.01, 0.02, 0.05), "yes", "will agree within 10"),
        (0.05, (0.01, 0.02, 0.5), "partly", "but not in modes 5–16"),
        (0.05, (0.01, 0.2, 0.5), "partly", "but not in modes 2–16"),
        (0.3, (0.01, 0.2, 0.5), "no", "least of all in modes 2–16"),
        (0.3, (0.2, 0.2, 0.5), "no", "will not agree within 10\xa0%."),
    ],
)
def test_verdict_follows_the_tolerance(grey, total, bands, mood, words):
    decision = verdict(changed(grey, totals={"relative": np.full(3, total)}, bands={"relative": np.array([bands] * 3)}))
    assert decision.mood == mood
    assert words in decision.answer


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        ((10, 20, 3_000_000), "each training set needs 3 million images; the most are needed for modes 5–16"),
        ((10, 20, None), "each training set needs 20 images, except in modes 5–16"),
        ((None, None, None), "No practical number of images"),
    ],
)
def test_plan_names_the_images_needed(grey, needed, words):
    assert words in plan(changed(grey, bands={"images_needed": needed}))


def test_answer_and_tiles_say_that_they_are_about_linear_models(grey):
    """Nobody may take a number of the theory for one of their networks."""
    sentences = [seed_spread(grey)]
    for totals, bands in ((0.05, (0.01, 0.02, 0.05)), (0.05, (0.01, 0.2, 0.5)), (0.3, (0.2, 0.2, 0.5))):
        decided = changed(grey, totals={"relative": np.full(3, totals)}, bands={"relative": np.array([bands] * 3)})
        sentences.append(verdict(decided).answer)
    for needed in ((10, 20, 30), (10, 20, None), (None, None, None)):
        wanted = changed(grey, bands={"images_needed": needed})
        sentences += [plan(wanted), *(f"{tile.label}: {tile.hint}" for tile in tiles(wanted))]
    document = build(grey, facts={})
    sentences += [document.title, document.answer, *(f"{tile.label}: {tile.hint}" for tile in document.tiles)]
    about_models = ("how-many", "where", "seeds", "noise", "shrinkage", "pairs")
    sentences += [s.takeaways[0] for s in document.sections if s.name in about_models]
    assert len(sentences) == 1 + 3 + 3 * 5 + 2 + 4 + len(about_models)
    assert [sentence for sentence in sentences if not re.search(r"\blinear (diffusion )?models?\b", sentence)] == []


def test_seeds_of_networks_have_a_section_of_their_own_that_claims_no_amount(grey):
    (section,) = (s for s in build(grey, facts={}).sections if s.name == "networks")
    ranked = grey.seeds.networks
    order = np.argsort(-ranked.posterior_variance)
    first, last = (int(ranked.numbers[order[place]]) for place in (0, -1))
    assert section.takeaways == (
        f"Of 12 seeds, the image of seed {first} is predicted to change most when you train your network again, and that of "
        f"seed {last} least. This is an order, not an amount.",
    )
    (table,) = (part for part in section.parts if isinstance(part, Table))
    assert table.columns["Seed"][0] == str(first)
    assert table.groups == {"Predicted to change most": 6, "Predicted to change least": 6}
    words = undrawn(build(grey, facts={})).words
    assert "Nothing was trained here" in words
    assert "uses your images alone: 90 distinct ones" in words


def test_networks_have_the_measured_range_and_a_command_to_copy(grey):
    """Beside the headline, and the range once more in the tile of the amount; nowhere else."""
    command = "kappaflow pilot 'my <b>photos</b> & more' --size 14 --arch unet"
    text = page(build(replace(grey, pilot=command), facts={}))
    shown, words = Page(text), grey.networks
    assert f"<pre><code>{escape(command, quote=False)}</code></pre>" in text.replace("&#39;", "'")
    assert "100 small images disagreed 0.69 to 3.1 times as much" in words.measured  # at n = 60
    for sentence in (command, words.warning, words.measured, words.ask):
        assert shown.words.count(sentence) == 1
    assert shown.words.count("0.69 to 3.1 times as much") == 2
    assert words.short in tiles(grey)[0].hint
    assert text.index(escape(words.ask)) < text.index('class="numbers"')
    assert 'href="#networks"' in text
    unranked = page(build(changed(grey, seeds={"networks": None}), facts={}))
    assert 'href="#networks"' not in unranked


def test_page_without_seeds_says_so(grey):
    none = changed(
        grey,
        seeds={
            "numbers": np.empty(0, int),
            "disagreement": np.empty((3, 0)),
            "most_consistent": None,
            "least_consistent": None,
            "networks": None,
        },
    )
    shown = undrawn(build(none, facts={}))
    assert "ranks no seeds" in shown.words
    assert "will your network change" not in shown.words
    assert "figure-disagreement_by_seed" not in [value for _, value in shown.attributes("id")]


def test_page_is_reproducible(grey, grey_page):
    assert page(build(grey, facts=FACTS)) == grey_page


def test_page_lists_the_facts(grey_page):
    words = Page(grey_page).words
    assert all(label in words and text in words for label, text in FACTS.items())
