"""The validation report: words and marks follow from the outcomes, pages are whole, safe and reproducible."""

import re
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from html.parser import HTMLParser
from types import MappingProxyType

import numpy as np
import pytest

from kappaflow.consistency.prediction import default_bands
from kappaflow.maps import Map
from kappaflow.report import look
from kappaflow.report.look import _round_ticks
from kappaflow.report.validation import render_validation_page, write_validation_report
from kappaflow.report.validation.figures import forest_rows
from kappaflow.report.validation.findings import find, leading_law
from kappaflow.report.validation.marks import OUTCOME_COLOURS
from kappaflow.report.validation.page import DRAWINGS, available
from kappaflow.report.validation.takeaways import times
from kappaflow.report.words import number
from kappaflow.validation.laws import ComparedLaw
from kappaflow.validation.metrics import agreement

FACTS = {"version": "0.0.0", "command": "kappaflow validate linear digits"}
VOID = {"meta", "link", "img", "br", "hr", "input", "source", "wbr", "col", "area", "base", "embed", "track"}
GROUPS = 12


# ---------------------------------------------------------------- stand-ins for what needs torch to be imported
@dataclass(frozen=True)
class Named:
    name: str
    title: str


@dataclass(frozen=True)
class Comparison:
    quantity: str
    law: str
    n: int
    subject: str
    label: str
    entries: np.ndarray
    agreement: object


@dataclass(frozen=True)
class StepError:
    n: int
    steps: int
    discretisation: np.ndarray
    finite_data: np.ndarray
    shrinkage: np.ndarray
    gain: np.ndarray
    gain_map: np.ndarray
    gain_ideal: np.ndarray

    @property
    def ratio(self):
        return float(np.sqrt(self.discretisation.sum() / self.finite_data.sum()))


@dataclass(frozen=True)
class Scaling:
    subject: str
    n: np.ndarray
    disagreement: dict


@dataclass(frozen=True)
class Counterfactual:
    names: tuple
    component: int
    n: int
    draws: int
    label: str
    simulated: np.ndarray
    interval_low: np.ndarray
    interval_high: np.ndarray
    predicted: dict
    predicted_limit: np.ndarray


@dataclass(frozen=True)
class Validation:
    source: str
    description: str
    sampling: str
    shape: tuple
    dimension: int
    pool_size: int | None
    total_images: int | None
    eigenvalues: np.ndarray
    mean: str
    sigma_max: float
    n: tuple
    draws: tuple
    groups: tuple
    seed: int
    device: str
    laws: tuple
    quantities: tuple
    maps: tuple
    bands: tuple
    input_seeds: tuple
    comparisons: tuple
    kappa_grid: np.ndarray
    kappa: dict
    scaling: Scaling
    step_errors: tuple
    counterfactual: Counterfactual | None
    pixel_shape: tuple
    notes: tuple

    def find(self, quantity, law, n, subject=""):
        wanted = (quantity, law, n, subject)
        return next((c for c in self.comparisons if (c.quantity, c.law, c.n, c.subject) == wanted), None)


LAWS = MappingProxyType(
    {
        "gaussian": ComparedLaw("gaussian", "Gaussian law", {"law": "gaussian"}),
        "other": ComparedLaw("other", "other law", {"law": "empirical"}),
        "published": ComparedLaw("published", "published law", {"law": "gaussian", "terms": "published"}),
    }
)
TITLES = MappingProxyType(
    {
        "kappa": "renormalised noise κ(σ²)",
        "gains": "expected gain of each mode",
        "mode_variance": "variance of mode pairs",
        "mode_disagreement": "disagreement by mode, mean over inputs",
        "seeds": "disagreement by input",
        "bands": "disagreement by eigenband",
        "pixels": "variance of pixels for one input",
        "trajectory": "covariance along the trajectory",
    }
)


def compared(base, factor, noise, allowance, rng):
    """A simulation of `base` with relative Monte Carlo noise, held against `base`/`factor`."""
    groups = base * (1 + noise * rng.standard_normal((GROUPS, base.size)))
    return agreement(groups, base / factor, allowance=allowance)


def strata(rng):
    simulated = np.exp(rng.uniform(-3, 0, (3, 3)))
    simulated = simulated + simulated.T
    limit = 0.5 * simulated * (1 - np.eye(3))
    return Counterfactual(
        names=("i.i.d.", "top", "bottom"), component=0, n=60, draws=40, label="sampling map", simulated=simulated,
        interval_low=0.95 * simulated, interval_high=1.05 * simulated, predicted={"gaussian": 0.9 * simulated},
        predicted_limit=limit,
    )  # fmt: skip


def make_validation(
    shape=(4, 4), *, sizes=(20, 60, 200), laws=("gaussian", "published"), off=None, denoisers=(0.1, 1.0), inputs=6,
    zeros=0, trajectory=True, steps=(18, 35), quantities=tuple(TITLES), kind="resample", noise=0.05,
):  # fmt: skip
    """A validation whose theory is off by the factor ``off(law, quantity, subject, n)`` from its simulation."""
    off = off or (lambda *_: 1.0)
    d = int(np.prod(shape))
    s = 1.0 / np.arange(1, d + 1) ** 1.5
    s[d - zeros :] = 0.0
    alive = np.arange(d - zeros)
    rng = np.random.default_rng(0)
    maps = [Map.sampling(), Map.sampling(1.0)] if trajectory else [Map.sampling()]
    maps += [Map.denoiser(sigma) for sigma in denoisers]
    bands = default_bands(d)
    grid = np.geomspace(4e-6, 6400, 9)
    pairs = np.array([(k, j) for k in alive for j in alive if k <= j])

    def base(quantity, question, n):
        if quantity == "kappa":
            return grid + 0.2 / n
        gain = np.asarray(question.gain(s[alive])) * (1 - 1 / (1 + n * s[alive]))
        if quantity == "gains":
            return gain
        if quantity == "mode_variance":
            return (gain[pairs[:, 0]] * gain[pairs[:, 1]] + 1e-12) / n
        if quantity in ("mode_disagreement",):
            return (gain**2 + 1e-9) / n
        count = {"seeds": inputs, "bands": len(bands), "pixels": d - 1, "trajectory": inputs * len(bands)}[quantity]
        return np.linspace(1.0, 2.0, count) / n

    found = []
    for n in sizes:
        for law in laws:
            for quantity in quantities:
                if quantity == "pixels" and len(shape) == 1:
                    continue
                asked = maps if quantity not in ("kappa", "trajectory") else maps[:1]
                for question in asked:
                    key, label = question.key, question.label
                    if quantity == "trajectory":
                        if not trajectory:
                            continue
                        key, label = "map_0/map_1", "sampling map and sampling map to σ = 1"
                    if quantity == "kappa":
                        key, label = "", ""
                    values = base(quantity, question, n)
                    entries = grid if quantity == "kappa" else np.arange(values.size)
                    result = compared(values, off(law, quantity, key, n), noise / np.sqrt(n), 1 / (n - 1), rng)
                    found.append(Comparison(quantity, law, n, key, label, entries, result))
    curve_n = np.geomspace(10, 2000, 12)
    curves = {law: np.linspace(1, 2, len(bands)) / curve_n[:, None] / off(law, "bands", "map_0", 0) for law in laws}
    ones = np.ones(len(bands))
    return Validation(
        source="toy", description="A power law.", sampling=kind, shape=shape, dimension=d,
        pool_size=None if kind == "gaussian" else 1000, total_images=None if kind == "gaussian" else 1500,
        eigenvalues=s, mean="estimated", sigma_max=80.0, n=tuple(sizes), draws=(48,) * len(sizes),
        groups=(GROUPS,) * len(sizes), seed=0, device="cpu", laws=tuple(LAWS[law] for law in laws),
        quantities=tuple(Named(name, TITLES[name]) for name in quantities),
        maps=(*maps, *(Map.heun(count) for count in steps)), bands=tuple(bands),
        input_seeds=tuple(range(inputs)), comparisons=tuple(found), kappa_grid=grid,
        kappa={law: np.array([grid + 0.2 / n for n in sizes]) / off(law, "kappa", "", 0) for law in laws},
        scaling=Scaling("map_0", curve_n, curves),
        step_errors=tuple(
            StepError(n, count, ones / count**4, ones / n, 0.1 * ones / n, s, s, s) for n in sizes for count in steps
        ),
        counterfactual=strata(rng), pixel_shape=shape, notes=("Beware of the toy.",),
    )  # fmt: skip


def only(law, factor, quantity=None):
    """Off by that factor for one law, in one quantity or all."""
    return lambda a_law, a_quantity, *_: factor if a_law == law and quantity in (None, a_quantity) else 1.0


@pytest.fixture(scope="module")
def right():
    return make_validation(off=only("published", 2.0))


@pytest.fixture(scope="module")
def right_page(right):
    return render_validation_page(right, facts=FACTS)


class Page(HTMLParser):
    """Collects tags, attributes and text, and insists on balance."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.data = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)
            if self.open and self.open[-1] == "data":
                self.data.append(float(self.tags[-1][1]["value"]))

    def attributes(self, name):
        return [(tag, attrs[name]) for tag, attrs in self.tags if name in attrs]

    @property
    def words(self):
        return re.sub(r"\s+", " ", "".join(self.text))


BLANK = {"svg": b'<svg viewBox="0 0 1 1"></svg>', "png": b"png"}


def page_of(validation):
    """The page with blank figures, for tests of its text."""
    return Page(render_validation_page(validation, facts={}, figures=dict.fromkeys(available(validation), BLANK)))


def artists(figure, gid):
    """Lines of a figure that have this identifier."""
    return [line for ax in figure.get_axes() for line in ax.get_lines() if line.get_gid() == gid]


# ---------------------------------------------------------------- verdicts follow from outcomes
def outcomes(validation, law="gaussian"):
    return [c.agreement.outcome for c in validation.comparisons if c.law == law]


def test_a_theory_that_agrees_everywhere_is_said_to_agree(right):
    assert "misses" not in outcomes(right)
    total = len(outcomes(right))
    words = find(right)
    assert words.mood == "yes"
    assert words.answer == f"The Gaussian law agrees with the simulation in {total} of {total} comparisons."
    assert all(v.mood == "yes" for _, rows in words.verdicts for v in rows if v.law == "Gaussian law")
    assert "Nothing in these data tells them from" in words.reason


def test_a_theory_that_is_wrong_everywhere_is_said_to_miss():
    validation = make_validation(laws=("gaussian",), off=only("gaussian", 4.0))
    words = find(validation)
    total = len(outcomes(validation))
    assert set(outcomes(validation)) == {"misses"}
    assert words.mood == "no"
    assert f"misses in {total} of {total} comparisons" in words.answer
    assert "disagreement of models by up to a factor of 4" in words.answer
    assert "expectations by up to a factor of 4" in words.answer
    assert "Misses of that size are expected there" in words.reason
    assert all(v.sentence.startswith("Misses in all") or v.counts[2] == 3 for _, rows in words.verdicts for v in rows)


def test_one_quantity_that_misses_is_named_with_its_worst_case():
    def off(law, quantity, subject, n):
        return {20: 1.3, 60: 3.0, 200: 1.3}[n] if (quantity, subject) == ("seeds", "denoiser_1") and n else 1.0

    words = find(make_validation(laws=("gaussian",), off=off))
    assert words.mood == "partly"
    assert "and misses in 3: disagreement of models by up to a factor of 3." in words.answer
    assert "the furthest off by a factor of 3: disagreement by input (denoiser, σ = 1, n = 60)" in words.counts
    verdicts = {title: rows[0] for title, rows in words.verdicts}
    seeds = verdicts["Disagreement by input"]
    assert seeds.sentence == "Misses in 3 of 12, at worst by a factor of 3 (denoiser, σ = 1, n = 60)."
    assert seeds.mood == "partly"
    assert seeds.counts == (9, 0, 3)
    assert verdicts["Disagreement by eigenband"].sentence == "Agrees within Monte Carlo error in all 12."


def test_a_deviation_of_order_one_over_m_is_neither_a_miss_nor_agreement():
    validation = make_validation(laws=("gaussian",), off=lambda law, quantity, key, n: 1 + 0.6 / max(n, 2), noise=0.002)
    assert set(outcomes(validation)) == {"limit"}
    words = find(validation)
    assert words.mood == "yes"
    assert "agree to the order 1/m that the limit of many samples neglects" in words.counts
    assert "to the neglected order 1/m, at most" in words.verdicts[0][1][0].sentence


def test_misses_of_the_published_law_are_called_its_own(right):
    (sentence,) = find(right).others
    assert sentence.startswith("The published law misses in ")
    assert "formula of arXiv 2602.02908" in sentence
    assert "its misses are expected" in sentence


def test_a_published_law_that_agrees_is_not_said_to_miss():
    (sentence,) = find(make_validation()).others
    assert sentence.startswith("The published law agrees")
    assert "misses" not in sentence


def test_the_published_law_alone_is_judged_too():
    words = find(make_validation(laws=("published",), off=only("published", 2.0)))
    assert words.answer.startswith("The published law misses")
    assert words.others == ()


def test_the_headline_judges_the_law_that_misses_least():
    validation = make_validation(laws=("gaussian", "published", "other"), off=only("gaussian", 3.0))
    assert leading_law(validation).name == "other"
    words = find(validation)
    assert words.answer.startswith("The other law agrees")
    assert any(sentence.startswith("The Gaussian law misses") for sentence in words.others)
    assert "published law" in page_of(validation).words


@pytest.mark.parametrize(
    ("kind", "factor", "words"),
    [
        ("gaussian", 1.0, "this tests the theory and its code"),
        ("gaussian", 3.0, "theory or code is at fault"),
        ("resample", 3.0, "Real images differ in contrast"),
        ("disjoint", 3.0, "With disjoint splits a part of any difference is not the law's"),
    ],
)
def test_the_reason_depends_on_where_training_sets_come_from(kind, factor, words):
    assert words in find(make_validation(laws=("gaussian",), kind=kind, off=only("gaussian", factor))).reason


def test_equal_images_in_a_training_set_are_spoken_of_where_they_matter():
    assert (
        "In 12 images drawn with replacement from 1,000, 0.066 pairs"
        in find(make_validation(sizes=(12, 60))).coincidences
    )
    assert find(make_validation()).coincidences == ""
    assert find(make_validation(sizes=(12, 60), kind="disjoint")).coincidences == ""


def test_a_total_that_is_not_positive_has_no_factor(right):
    broken = replace(right.comparisons[5].agreement, ratio=-0.2, ratio_interval=(-0.5, 0.1), outcome="misses")
    changed = replace(right.comparisons[5], agreement=broken)
    validation = replace(right, comparisons=(*right.comparisons[:5], changed, *right.comparisons[6:]))
    words = page_of(validation).words
    assert "a total that is not positive" in words
    assert "nan" not in words.lower().split()
    figure = DRAWINGS["ratios"].draw(validation)
    assert any("1 without positive ratio" in text.get_text() for text in figure.get_axes()[0].texts)


def test_nothing_to_compare_is_refused(right):
    with pytest.raises(ValueError, match="validation must hold at least one comparison, got none"):
        find(replace(right, comparisons=()))


# ---------------------------------------------------------------- page
def test_page_is_balanced_and_has_every_figure_with_alternative_text(right, right_page):
    page = Page(right_page)
    assert page.open == []
    assert available(right) == list(DRAWINGS)
    for name in DRAWINGS:
        assert f"figure-{name}" in [value for _, value in page.attributes("id")]
    images = [attrs.get("alt") for tag, attrs in page.tags if tag == "img"]
    drawings = [attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg"]
    assert len(images) + len(drawings) == len(DRAWINGS)
    assert all(images)
    assert all(drawings)
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")


def test_page_identifiers_are_unique_and_links_inside_it_lead_somewhere(right_page):
    page = Page(right_page)
    identifiers = [value for _, value in page.attributes("id")]
    assert len(identifiers) == len(set(identifiers))
    assert {value[1:] for _, value in page.attributes("href") if value.startswith("#")} <= set(identifiers)


def test_page_loads_nothing(right_page):
    page = Page(right_page)
    for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
        for tag, value in page.attributes(name):
            local = value.startswith(("#", "data:"))
            assert local or (tag == "a" and value == "https://arxiv.org/abs/2602.02908"), (tag, name, value)
    assert {"script", "iframe", "link", "object"}.isdisjoint(tag for tag, _ in page.tags)
    assert not re.search(r"url\((?!#)|@import", right_page)


def test_page_escapes_everything_that_users_name(right):
    bad = "<script>alert(1)</script>"
    hostile = replace(right, source=bad, description=f'"{bad}', notes=(bad,))
    text = render_validation_page(hostile, facts={bad: f"'{bad}"}, figures={})
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_page_is_reproducible(right, right_page):
    assert render_validation_page(right, facts=FACTS) == right_page


def test_numbers_on_the_page_are_those_of_the_comparisons(right, right_page):
    page = Page(right_page)
    for comparison in right.comparisons:
        found = comparison.agreement
        assert {found.ratio, found.log_error, found.log_noise} <= set(page.data)
    for title, rows in find(right).verdicts:
        assert title in page.words
        for row in rows:
            name = next(law.name for law in right.laws if law.title == row.law)
            quantity = next(q.name for q in right.quantities if q.title.lower() == title.lower())
            ratios = [c.agreement.ratio for c in right.comparisons if (c.law, c.quantity) == (name, quantity)]
            assert [float(cell.raw) for cell in row.ratio] == [min(ratios), max(ratios)]
            assert sum(row.counts) == len(ratios)
    assert "Beware of the toy." in page.words
    assert all(label in page.words and text in page.words for label, text in FACTS.items())
    assert number(right.sigma_max, 2) in page.words


def test_the_table_has_a_row_for_every_comparison(right, right_page):
    assert right_page.count('<td class="left"><span class="mark') == len(right.comparisons)


# ---------------------------------------------------------------- figures
def test_overview_marks_every_comparison_in_the_colour_of_its_outcome(right):
    figure = DRAWINGS["ratios"].draw(right)
    for comparison in right.comparisons:
        (mark,) = artists(figure, f"{comparison.quantity}/{comparison.subject}/{comparison.law}/{comparison.n}")
        assert mark.get_xdata()[0] == comparison.agreement.ratio
        assert mark.get_markeredgecolor() == OUTCOME_COLOURS[comparison.agreement.outcome]
        assert (mark.get_fillstyle() == "none") == (comparison.law == "published")


def test_overview_shows_some_of_many_sizes():
    validation = make_validation(sizes=(10, 20, 30, 40, 50, 60, 70), quantities=("kappa", "seeds"))
    titles = [ax.get_title(loc="center") for ax in DRAWINGS["ratios"].draw(validation).get_axes()]
    assert titles == ["n = 10", "n = 30", "n = 50", "n = 70"]
    assert "some are shown" in page_of(validation).words


def test_kappa_draws_curves_points_and_ratios(right):
    figure = DRAWINGS["kappa"].draw(right)
    top, bottom = figure.get_axes()
    assert (top.get_xscale(), top.get_yscale()) == ("log", "log")
    for row, n in enumerate(right.n):
        (curve,) = artists(figure, f"gaussian-{n}")
        np.testing.assert_array_equal(curve.get_ydata(), right.kappa["gaussian"][row])
        found = right.find("kappa", "gaussian", n).agreement
        (points,) = artists(figure, f"simulated-{n}")
        np.testing.assert_array_equal(points.get_ydata(), found.simulated)
        (ratios,) = artists(figure, f"ratio-{n}")
        np.testing.assert_allclose(ratios.get_ydata(), found.simulated / found.predicted)
    assert "σ²" in bottom.get_xlabel()
    (published,) = artists(figure, "published-20")
    assert published.get_linestyle() == "--"
    assert published.get_alpha() < 1


def test_a_law_that_is_the_same_curve_is_not_drawn_twice():
    figure = DRAWINGS["kappa"].draw(make_validation())
    assert artists(figure, "gaussian-20")
    assert not artists(figure, "published-20")
    assert "published law" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_overshrinkage_divides_by_the_gain_with_infinite_data(right):
    figure = DRAWINGS["overshrinkage"].draw(right)
    titles = [ax.get_title(loc="left") for ax in figure.get_axes() if ax.get_title(loc="left")]
    assert titles == ["Sampling map", "Denoiser, σ = 0.1", "Denoiser, σ = 1"]
    found = right.find("gains", "gaussian", 60, "map_0").agreement
    ideal = Map.sampling().gain(right.eigenvalues)
    np.testing.assert_allclose(artists(figure, "map_0-gaussian-60")[0].get_ydata(), found.predicted / ideal)
    np.testing.assert_allclose(artists(figure, "map_0-simulated-60")[0].get_ydata(), found.simulated / ideal)


def test_anisotropy_shows_low_and_high_noise_and_the_map():
    figure = DRAWINGS["anisotropy"].draw(make_validation(denoisers=(0.1, 0.5, 2.0)))
    titles = [ax.get_title(loc="left") for ax in figure.get_axes() if ax.get_title(loc="left")]
    assert titles == ["Denoiser, σ = 0.1", "Denoiser, σ = 2", "Sampling map"]


def test_inputs_are_drawn_relative_to_the_predicted_mean(right):
    figure = DRAWINGS["inhomogeneity"].draw(right)
    found = right.find("seeds", "gaussian", 200, "map_0").agreement
    points = artists(figure, "map_0-simulated-200")[0]
    order = np.argsort(found.predicted)
    np.testing.assert_allclose(points.get_xdata(), found.predicted[order] / found.predicted.mean())
    np.testing.assert_allclose(points.get_ydata(), found.simulated[order] / found.predicted.mean())


def test_scaling_draws_curves_and_points_of_every_band(right):
    figure = DRAWINGS["scaling"].draw(right)
    for index in range(len(right.bands)):
        (curve,) = artists(figure, f"gaussian-{index}")
        np.testing.assert_array_equal(curve.get_ydata(), right.scaling.disagreement["gaussian"][:, index])
        (points,) = artists(figure, f"simulated-{index}")
        np.testing.assert_array_equal(points.get_xdata(), right.n)
        expected = [right.find("bands", "gaussian", n, "map_0").agreement.simulated[index] for n in right.n]
        np.testing.assert_array_equal(points.get_ydata(), expected)
    guide = artists(figure, "guide")[0]
    product = np.asarray(guide.get_xdata()) * np.asarray(guide.get_ydata())
    np.testing.assert_allclose(product[np.isfinite(product)], product[np.isfinite(product)][0])


def test_intervals_are_those_of_students_t(right):
    from scipy import stats

    figure = DRAWINGS["kappa"].draw(right)
    found = right.find("kappa", "gaussian", 20).agreement
    (bars,) = [c for c in figure.get_axes()[0].collections if c.get_gid() == "simulated-20-bars"]
    reach = np.exp(stats.t.ppf(0.975, GROUPS - 1) * found.standard_error / found.simulated)
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, np.stack([found.simulated / reach, found.simulated * reach], axis=1))


def test_scatter_shows_both_laws_only_where_they_differ(right):
    figure = DRAWINGS["scatter"].draw(right)
    found = right.find("mode_variance", "gaussian", 60, "map_0").agreement
    points = artists(figure, "map_0-gaussian-60")[0]
    np.testing.assert_array_equal(points.get_xdata(), found.predicted)
    np.testing.assert_array_equal(points.get_ydata(), found.simulated)
    assert np.isfinite(artists(figure, "map_0-published-60")[0].get_xdata()).all()
    same = DRAWINGS["scatter"].draw(make_validation())
    assert np.isnan(artists(same, "map_0-published-60")[0].get_xdata()).all()


def test_scatter_counts_what_a_logarithm_cannot_show(right):
    comparison = right.find("mode_variance", "gaussian", 60, "map_0")
    place = right.comparisons.index(comparison)
    zeroed = replace(comparison.agreement, simulated=np.where(np.arange(comparison.entries.size) < 3, 0.0, 1e-6))
    changed = replace(comparison, agreement=zeroed)
    validation = replace(right, comparisons=(*right.comparisons[:place], changed, *right.comparisons[place + 1 :]))
    texts = [text.get_text() for text in DRAWINGS["scatter"].draw(validation).get_axes()[0].texts]
    assert texts == ["3 without logarithm not shown"]


def test_counterfactual_is_sorted_and_marks_what_data_do_not_mend(right):
    figure = DRAWINGS["counterfactual"].draw(right)
    simulated = artists(figure, "simulated")[0].get_xdata()
    assert list(simulated) == sorted(simulated)
    assert len(simulated) == 6
    limits = artists(figure, "limit")[0].get_xdata()
    assert np.isnan(limits).sum() == 3
    np.testing.assert_allclose(artists(figure, "gaussian")[0].get_xdata(), 0.9 * np.asarray(simulated))


def test_counterfactual_needs_one(right):
    with pytest.raises(ValueError, match="counterfactual: the validation must have a counterfactual, got None"):
        DRAWINGS["counterfactual"].draw(replace(right, counterfactual=None))


def test_steps_are_drawn_beside_the_effect_of_finite_data(right):
    figure = DRAWINGS["steps"].draw(right)
    for error in right.step_errors:
        (line,) = artists(figure, f"steps-{error.steps}-{error.n}")
        np.testing.assert_array_equal(line.get_ydata(), error.discretisation)
        (ratio,) = artists(figure, f"ratio-{error.steps}-{error.n}")
        np.testing.assert_allclose(ratio.get_ydata(), np.sqrt(error.discretisation / error.finite_data))
    np.testing.assert_array_equal(artists(figure, "data-60")[0].get_ydata(), right.step_errors[2].finite_data)


def test_pixels_are_standard_deviations_in_place(right):
    figure = DRAWINGS["pixels"].draw(right)
    images = [ax.images[0] for ax in figure.get_axes() if ax.images]
    assert len(images) >= 3 * 4
    found = right.find("pixels", "gaussian", 60, "map_0").agreement
    for image, values in zip(images[:2], (found.simulated, found.predicted), strict=True):
        expected = np.append(np.sqrt(values), 0.0).reshape(4, 4)  # the last pixel does not vary
        np.testing.assert_allclose(image.get_array(), expected)
    assert len({image.get_clim() for image in images[:3]}) == 1


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"counterfactual": None}, {"counterfactual"}),
        ({"step_errors": ()}, {"steps"}),
        ({"pixel_shape": (16,)}, {"pixels"}),
    ],
)
def test_figures_without_data_are_left_out(right, change, gone):
    validation = replace(right, **change)
    assert set(DRAWINGS) - set(available(validation)) == gone
    page = page_of(validation)
    assert gone.isdisjoint(value for _, value in page.attributes("id"))
    assert f"#{next(iter(gone))}" not in [value for _, value in page.attributes("href")]


@pytest.mark.parametrize("quantity", TITLES)
def test_one_quantity_makes_a_page(quantity):
    validation = make_validation(quantities=(quantity,), sizes=(20, 60))
    draw_everything(validation)
    assert page_of(validation).open == []


def draw_everything(validation):
    """Every figure with its layout, in which matplotlib's warnings arise, without the files."""
    for name in available(validation):
        DRAWINGS[name].draw(validation).draw_without_rendering()


ODD = {
    "one n": {"sizes": (60,)},
    "one law": {"laws": ("gaussian",)},
    "three laws": {"laws": ("gaussian", "published", "other"), "sizes": (20, 60)},
    "many n": {"sizes": tuple(range(10, 101, 10)), "quantities": ("kappa", "gains", "bands", "seeds")},
    "no denoiser": {"denoisers": ()},
    "one denoiser": {"denoisers": (0.5,), "trajectory": False},
    "four modes": {"shape": (4,), "sizes": (10, 20)},
    "colour": {"shape": (3, 2, 3)},
    "one input": {"inputs": 1},
    "no variance in some modes": {"zeros": 6},
    "no steps": {"steps": ()},
    "off by 10⁴": {"off": only("gaussian", 1e4)},
}


@pytest.mark.parametrize("arguments", ODD.values(), ids=ODD.keys())
def test_odd_validations_make_a_page(arguments):
    validation = make_validation(**arguments)
    draw_everything(validation)
    page = page_of(validation)
    assert page.open == []
    assert not {"nan", "inf", "None"} & set(re.findall(r"\w+", page.words))


def test_many_modes_and_inputs_are_thinned():
    validation = make_validation((3072,), quantities=("gains", "mode_disagreement", "seeds"), sizes=(60,), inputs=900)
    figure = DRAWINGS["overshrinkage"].draw(validation)
    assert len(artists(figure, "map_0-simulated-60")[0].get_xdata()) <= 36
    assert len(artists(figure, "map_0-gaussian-60")[0].get_xdata()) == 3072
    assert len(artists(DRAWINGS["inhomogeneity"].draw(validation), "map_0-simulated-60")[0].get_xdata()) == 200
    assert len(look.save(figure, ["svg"])["svg"]) < 1e6


def test_rows_of_the_overview_name_every_map(right):
    rows = forest_rows(right)
    assert rows[0] == ("kappa", "", "renormalised noise κ")
    assert {(quantity, key) for quantity, key, _ in rows if quantity} == {
        (c.quantity, c.subject) for c in right.comparisons
    }


@pytest.mark.parametrize(("low", "high"), [(0.97, 1.02), (0.6, 1.8), (0.05, 3.0), (1e-3, 0.1), (0.9, 9.0)])
def test_ticks_are_round_and_few(low, high):
    ticks = _round_ticks(low, high)
    assert 1 <= len(ticks) <= 5
    assert all(low <= tick <= high for tick in ticks)


def test_factors_in_words():
    assert [times(x) for x in (0.02345, 1.0042, 1.57, 10655)] == [
        "0.023 times",
        "1.0042 times",
        "1.6 times",
        "11,000 times",
    ]


# ---------------------------------------------------------------- files
def test_write_writes_the_page_and_every_figure(tmp_path, right, right_page):
    path = write_validation_report(right, tmp_path / "new", facts=FACTS)
    assert path == tmp_path / "new" / "report.html"
    assert path.read_text(encoding="utf-8") == right_page
    names = {file.name for file in (path.parent / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in DRAWINGS for kind in ("svg", "png")}


def test_write_that_fails_leaves_nothing_half_done(tmp_path, right, monkeypatch):
    monkeypatch.setattr(look, "save", lambda _figure, _formats: BLANK)

    def fail(_source, _target):
        raise OSError("disk gone")

    monkeypatch.setattr("kappaflow._files.os.replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_validation_report(right, tmp_path, facts={})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- the real thing
def test_the_report_needs_no_torch():
    code = "import sys, kappaflow.report.validation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_real_validation_makes_a_page(tmp_path):
    import kappaflow as kf
    from kappaflow.validation.linear import results
    from kappaflow.validation.linear.draws import GaussianSets
    from kappaflow.validation.linear.experiment import validate_linear

    population = kf.Population.from_spectrum(1 / np.arange(1, 13.0))
    found = validate_linear(GaussianSets(population), [30, 60], draws=60, inputs=3, source="toy")
    path = write_validation_report(found, tmp_path, facts=FACTS)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert {c.agreement.ratio for c in found.comparisons} <= set(page.data)
    for ours, theirs in (
        (Validation, results.Validation),
        (Comparison, results.Comparison),
        (StepError, results.StepError),
        (Scaling, results.SizeScaling),
    ):
        assert {f.name for f in fields(ours)} <= {f.name for f in fields(theirs)}
