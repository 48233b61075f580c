"""The page of the validation report is whole, safe and reproducible, and shows the numbers of the comparisons."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from kappaflow.provenance import Provenance
from kappaflow.report.page import page
from kappaflow.report.validation import build, verdicts_by_quantity
from kappaflow.report.words import number
from kappaflow.report.write import write
from page_parser import BLANK, Page
from toy_validation import make_validation, only

FACTS = {"version": "0.0.0", "command": "kappaflow validate linear digits"}
FIGURES = [
    "ratios",
    "kappa",
    "overshrinkage",
    "anisotropy",
    "inhomogeneity",
    "scaling",
    "scatter",
    "pixels",
    "counterfactual",
    "steps",
]


@pytest.fixture(scope="module")
def right():
    return make_validation(off=only("published", 2.0))


@pytest.fixture(scope="module")
def right_page(right):
    return page(build(right, facts=FACTS))


# ---------------------------------------------------------------- page
def test_page_is_balanced_and_has_every_figure_with_alternative_text(right, right_page):
    shown = Page(right_page)
    assert shown.open == []
    assert [picture.name for picture in build(right, facts=FACTS).pictures] == FIGURES
    for name in FIGURES:
        assert f"figure-{name}" in [value for _, value in shown.attributes("id")]
    images = [attrs.get("alt") for tag, attrs in shown.tags if tag == "img"]
    drawings = [attrs.get("aria-label") for tag, attrs in shown.tags if tag == "svg"]
    assert len(images) + len(drawings) == len(FIGURES)
    assert all(images)
    assert all(drawings)
    assert all(attrs.get("scope") for tag, attrs in shown.tags if tag == "th")


def test_page_identifiers_are_unique_and_links_inside_it_lead_somewhere(right_page):
    shown = Page(right_page)
    identifiers = [value for _, value in shown.attributes("id")]
    assert len(identifiers) == len(set(identifiers))
    assert {value[1:] for _, value in shown.attributes("href") if value.startswith("#")} <= set(identifiers)


def test_page_loads_nothing(right_page):
    shown = Page(right_page)
    for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
        for tag, value in shown.attributes(name):
            local = value.startswith(("#", "data:"))
            assert local or (tag == "a" and value == "https://arxiv.org/abs/2602.02908"), (tag, name, value)
    assert {"script", "iframe", "link", "object"}.isdisjoint(tag for tag, _ in shown.tags)
    assert not re.search(r"url\((?!#)|@import", right_page)


def test_page_escapes_everything_that_users_name(right):
    bad = "<script>alert(1)</script>"
    hostile = replace(right, data=replace(right.data, source=bad, provenance=Provenance(f'"{bad}')), notes=(bad,))
    document = build(hostile, facts={bad: f"'{bad}"})
    text = page(document, {picture.name: BLANK for picture in document.pictures})
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_page_is_reproducible(right, right_page):
    assert page(build(right, facts=FACTS)) == right_page


def test_numbers_on_the_page_are_those_of_the_comparisons(right, right_page):
    shown = Page(right_page)
    for comparison in right.comparisons:
        found = comparison.agreement
        assert {found.ratio, found.log_error, found.log_noise} <= set(shown.data)
    for title, rows in verdicts_by_quantity(right).items():
        assert title in shown.words
        for row in rows:
            name = next(law.name for law in right.setup.laws if law.title == row.law)
            quantity = next(q.name for q in right.setup.quantities if q.title.lower() == title.lower())
            ratios = [c.agreement.ratio for c in right.comparisons if (c.law, c.quantity) == (name, quantity)]
            assert list(row.ratio) == ratios
            assert row.ratio_words in shown.words
            assert sum(row.counts) == len(ratios)
    assert "Beware of the toy." in shown.words
    assert all(label in shown.words and text in shown.words for label, text in FACTS.items())
    assert number(right.setup.sigma_max, 2) in shown.words


def test_the_table_has_a_row_for_every_comparison(right, right_page):
    assert right_page[right_page.index('<section id="all">') :].count('<td class="words"><span class="mark') == len(
        right.comparisons
    )


# ---------------------------------------------------------------- files
def test_write_writes_the_page_and_every_figure(tmp_path, right, right_page):
    path = write(build(right, facts=FACTS), tmp_path / "new")
    assert path == tmp_path / "new" / "report.html"
    assert path.read_text(encoding="utf-8") == right_page
    names = {file.name for file in (path.parent / "figures").iterdir()}
    assert names == {
        f"{name}.{kind}" for name in FIGURES for kind in ["png" if name in ("scatter", "pixels") else "svg"]
    }


def test_write_that_fails_leaves_nothing_half_done(tmp_path, right, monkeypatch):
    monkeypatch.setattr(sys.modules["kappaflow.report.page"], "save", lambda _figure, _formats: BLANK)

    def fail(_source, _target):
        raise OSError("disk gone")

    monkeypatch.setattr("kappaflow._files.os.replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write(build(right, facts={}), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- the real thing
def test_the_report_needs_no_torch():
    code = (
        "import sys, kappaflow.report.validation, kappaflow.validation.linear.results; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_real_validation_makes_a_page(tmp_path):
    import kappaflow as kf
    from kappaflow.validation.linear.draws import GaussianSets
    from kappaflow.validation.linear.experiment import validate_linear

    population = kf.Population.from_spectrum(1 / np.arange(1, 13.0))
    found = validate_linear(GaussianSets(population), [30, 60], draws=60, inputs=3, source="toy")
    path = write(build(found, facts=FACTS), tmp_path)
    shown = Page(path.read_text(encoding="utf-8"))
    assert shown.open == []
    assert {c.agreement.ratio for c in found.comparisons} <= set(shown.data)
