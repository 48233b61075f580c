"""The report: plots show what was predicted, pages are whole, safe and reproducible, files are all or nothing."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.integrate import trapezoid

from kappaflow.bands import Band
from kappaflow.consistency.diagnosis import Diagnosis
from kappaflow.consistency.experiment import LawError
from kappaflow.consistency.prediction import (
    Bands,
    Denoisers,
    ModePairs,
    Modes,
    NoiseLevels,
    Prediction,
    SeedImages,
    Seeds,
    Totals,
)
from kappaflow.report import look, render_page, write_report
from kappaflow.report.consistency import figures, law
from kappaflow.report.consistency.findings import find
from kappaflow.report.embed import DRAWINGS, available
from kappaflow.report.numbers import ratio
from kappaflow.report.page import inline
from kappaflow.report.words import count, number, percent, percent_setting, short

SIGMA_MAX = 80.0
VOID = {"meta", "link", "img", "br", "hr", "input", "source", "wbr", "col", "area", "base", "embed", "track"}
FACTS = {"version": "0.0.0", "command": "kappaflow predict digits"}


# ---------------------------------------------------------------- a small prediction, from the closed forms
def solve_kappa(t, s, m):
    """Newton's method from the right of the largest root of t = κ (1 − Σ s/(s+κ)/m)."""
    kappa = t + s.sum() / m
    for _ in range(200):
        g = s / (s + kappa[:, None])
        step = (kappa * (1 - g.sum(1) / m) - t) / (1 - (g**2).sum(1) / m)
        kappa = np.maximum(kappa - step, t)
    return kappa


def map_moments(s, n):
    """Mean gain and mode-pair variance of √(x/σ_max²), which the trapezoid rule in log t writes as resolvents."""
    t = np.exp(np.linspace(-24, 24, 97))
    w = 0.5 / np.pi * np.sqrt(t) / SIGMA_MAX
    kappa = solve_kappa(t, s, n)
    g = 1 / (s[:, None] + kappa)
    df2 = (s[:, None] * g).T @ (s[:, None] * g)
    kernel = np.outer(w * kappa, w * kappa) / (n - df2)
    a = s[:, None, None] * g[:, :, None] * g[:, None, :]
    variance = np.einsum("ij,kij,lij->kl", kernel, a, a, optimize=True)
    return (w * s[:, None] * g).sum(1), variance + np.diag(np.diag(variance))


def make_diagnosis(d, zeros):
    """Two laws of which the Gaussian one predicts too little by a factor of about two."""
    generator = np.random.default_rng(3)
    bands = (Band(0, 2), Band(2, d - zeros))
    errors = [
        LawError(law, question, total, 0.02, total + np.array([-0.1, 0.1]), np.array([0.05, 0.02]), abs(total), 0.03)
        for law, total in (("gaussian", 0.7), ("empirical", 0.03))
        for question in ("sampling map", "denoiser, σ = 0.2")
    ]
    return Diagnosis(
        n=60,
        training_sets=96,
        profiles=400,
        sigma_max=SIGMA_MAX,
        denoiser_sigma=0.2,
        kappa=0.1,
        leverage=generator.gamma(2.0, 0.5, 400),
        leverage_variance=0.5,
        leverage_gaussian=0.1,
        kurtosis=np.append(np.linspace(3.0, 9.0, d - zeros), np.full(zeros, np.nan)),
        bands=bands,
        errors=tuple(errors),
        law="empirical",
        reason="it is off by 3 %; the Gaussian law is off by a factor of 2.",
        subsampling_error=None,
    )


def make_prediction(shape=(4, 4), *, zeros=0, seeds=12, images=3, sizes=(20, 60, 200), diagnosed=True):
    d = int(np.prod(shape))
    s = 1.0 / np.arange(1, d + 1) ** 1.5
    s[d - zeros :] = 0.0
    generator = np.random.default_rng(0)
    modes = np.linalg.qr(generator.standard_normal((d, d)))[0]
    inputs = SIGMA_MAX * generator.standard_normal((seeds, d))
    sigma = np.geomspace(0.01, SIGMA_MAX, 9)
    levels = np.array([0.1, 1.0])
    gains, variances = zip(*(map_moments(s, n) for n in sizes), strict=True)
    part = np.array([2 / d * SIGMA_MAX**2 * v.sum(1) for v in variances])
    apart = part + 2 / d * SIGMA_MAX**2 * np.array(gains) ** 2
    bands = (Band(0, 1), Band(1, 4), Band(4, d))
    edges = [b.start for b in bands]
    band_part, band_apart = np.add.reduceat(part, edges, axis=1), np.add.reduceat(apart, edges, axis=1)
    by_seed = np.array([2 / d * (inputs**2 @ v.sum(0)) for v in variances])
    denoisers = [[s / (s + solve_kappa(np.array([q * q]), s, n)) for n in sizes] for q in levels]
    order = np.argsort(by_seed[1])

    def pictures(index):
        pixel = (inputs[index] ** 2 @ variances[1].T) @ (modes**2).T
        return SeedImages(
            numbers=100 + index,
            outputs=(inputs[index] * gains[1] @ modes.T).reshape(-1, *shape),
            pixel_std=np.sqrt(pixel).reshape(-1, *shape),
            disagreement=by_seed[1][index],
        )

    return Prediction(
        source="toy",
        description="A power law.",
        shape=shape,
        sample_size=None,
        law="empirical",
        law_reason="The empirical law was asked for.",
        diagnosis=make_diagnosis(d, zeros) if diagnosed else None,
        sigma_max=SIGMA_MAX,
        tolerance=0.1,
        largest_n=10**12,
        n=np.array(sizes),
        reference_n=sizes[1],
        mean_image=np.zeros(shape),
        eigenvalues=s,
        eigenmodes=modes.T[:5].reshape(-1, *shape),
        noise=NoiseLevels(sigma=sigma, kappa=np.array([solve_kappa(sigma**2, s, n) for n in sizes])),
        denoisers=Denoisers(sigma=levels, gain=np.array(denoisers), gain_ideal=s / (s + levels[:, None] ** 2)),
        modes=Modes(
            gain=np.array(gains),
            gain_ideal=np.sqrt(s) / SIGMA_MAX,
            disagreement=part,
            relative=ratio(part, apart),
            pairs=ModePairs(modes=np.arange(d), variance=variances[1]),
        ),
        bands=Bands(
            ranges=bands, disagreement=band_part, relative=band_part / band_apart, images_needed=(24, 150, None)
        ),
        totals=Totals(disagreement=part.sum(1), relative=part.sum(1) / apart.sum(1)),
        seeds=Seeds(
            numbers=100 + np.arange(seeds),
            disagreement=by_seed,
            most_consistent=pictures(order[:images]) if images else None,
            least_consistent=pictures(order[-images:]) if images else None,
        ),
        notes=("Beware of the toy.",),
    )


def changed(prediction, **parts):
    """The prediction with other facts, and with other fields of its parts where a part is a dictionary."""
    nested = {k: replace(getattr(prediction, k), **v) if isinstance(v, dict) else v for k, v in parts.items()}
    return replace(prediction, **nested)


@pytest.fixture(scope="module")
def grey():
    return make_prediction()


@pytest.fixture(scope="module")
def grey_page(grey):
    return render_page(grey, facts=FACTS)


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
    return prediction, render_page(prediction, facts=FACTS)


# ---------------------------------------------------------------- reading pages and figures
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
        assert tag not in VOID

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)
            if self.open and self.open[-1] == "data":
                self.data.append((float(self.tags[-1][1]["value"]), data))

    def attributes(self, name):
        return [(tag, attrs[name]) for tag, attrs in self.tags if name in attrs]

    @property
    def words(self):
        return re.sub(r"\s+", " ", "".join(self.text))


def line(figure: Figure, gid: str):
    """The one line of a figure that has this identifier."""
    found = [x for ax in figure.get_axes() for x in ax.get_lines() if x.get_gid() == gid]
    assert len(found) == 1, gid
    return found[0]


# ---------------------------------------------------------------- figures
def test_spectrum_plots_the_eigenvalues_on_logarithmic_axes(grey):
    figure = figures.spectrum(grey)
    (ax,) = figure.get_axes()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(line(figure, "eigenvalues").get_xdata(), np.arange(1, 17))
    np.testing.assert_array_equal(line(figure, "eigenvalues").get_ydata(), grey.eigenvalues)
    assert "mode k" in ax.get_xlabel()
    assert "eigenvalue" in ax.get_ylabel()


def test_spectrum_says_how_many_modes_have_no_variance():
    figure = figures.spectrum(make_prediction(zeros=5))
    assert np.isnan(line(figure, "eigenvalues").get_ydata()[-5:]).all()
    assert any("5 modes without variance" in text.get_text() for text in figure.get_axes()[0].texts)


def test_renormalised_noise_plots_kappa_its_factor_and_the_diagonal(grey):
    figure = figures.renormalised_noise(grey)
    top, bottom = figure.get_axes()
    for index in range(3):
        np.testing.assert_array_equal(line(figure, f"kappa-{index}").get_ydata(), grey.noise.kappa[index])
        np.testing.assert_allclose(
            line(figure, f"factor-{index}").get_ydata(), grey.noise.kappa[index] / grey.noise.sigma**2
        )
    np.testing.assert_array_equal(line(figure, "diagonal").get_xdata(), line(figure, "diagonal").get_ydata())
    assert "κ" in top.get_ylabel()
    assert "σ²" in bottom.get_xlabel()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["20", "60", "200"]


def test_shrinkage_plots_relative_gain_and_denoisers(grey):
    figure = figures.shrinkage(grey)
    assert len(figure.get_axes()) == 1 + len(grey.denoisers.sigma)
    for index in range(3):
        np.testing.assert_allclose(
            line(figure, f"gain-{index}").get_ydata(), grey.modes.gain[index] / grey.modes.gain_ideal, rtol=1e-15
        )
        np.testing.assert_array_equal(line(figure, f"denoiser-1-{index}").get_ydata(), grey.denoisers.gain[1, index])
    np.testing.assert_array_equal(line(figure, "ideal-0").get_ydata(), grey.denoisers.gain_ideal[0])


def test_shrinkage_needs_no_denoisers(grey):
    none = changed(
        grey, denoisers={"sigma": np.empty(0), "gain_ideal": np.empty((0, 16)), "gain": np.empty((0, 3, 16))}
    )
    assert len(figures.shrinkage(none).get_axes()) == 1


def test_mode_pairs_shows_the_matrix(grey):
    figure = figures.mode_pairs(grey)
    ax = figure.get_axes()[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), grey.modes.pairs.variance)
    assert type(ax.images[0].norm).__name__ == "LogNorm"
    ticks = [text.get_text() for text in ax.get_yticklabels()]
    assert (ticks[0], ticks[-1]) == ("1", "16")


def test_mode_pairs_masks_pairs_without_variance():
    prediction = make_prediction(zeros=5)
    assert figures.mode_pairs(prediction).get_axes()[0].images[0].get_array().mask[:, -5:].all()


def test_disagreement_by_n_plots_bands_total_and_tolerance(grey):
    figure = figures.disagreement_by_n(grey)
    (ax,) = figure.get_axes()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for index in range(3):
        np.testing.assert_array_equal(line(figure, f"band-{index}").get_xdata(), grey.n)
        np.testing.assert_array_equal(line(figure, f"band-{index}").get_ydata(), grey.bands.relative[:, index])
    np.testing.assert_array_equal(line(figure, "total").get_ydata(), grey.totals.relative)
    np.testing.assert_array_equal(line(figure, "tolerance").get_ydata(), [0.1, 0.1])
    guide = line(figure, "guide")
    product = np.asarray(guide.get_xdata()) * np.asarray(guide.get_ydata())
    np.testing.assert_allclose(product[np.isfinite(product)], grey.totals.relative[-1] * 200)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"mode 1", "modes 2–4", "modes 5–16", "all modes"} < set(labels)


def test_disagreement_by_n_reaches_for_answers_beyond_the_largest_n_but_not_too_far(grey):
    figure = figures.disagreement_by_n(changed(grey, bands={"images_needed": (24, 1000, 10**9)}))
    np.testing.assert_array_equal(line(figure, "reach-1").get_xdata(), [200, 1000])
    assert 1000 < figure.get_axes()[0].get_xlim()[1] < 10**4


def test_disagreement_by_mode_plots_parts_and_relative_values(grey):
    figure = figures.disagreement_by_mode(grey)
    for index in range(3):
        np.testing.assert_array_equal(line(figure, f"part-{index}").get_ydata(), grey.modes.disagreement[index])
        np.testing.assert_array_equal(line(figure, f"relative-{index}").get_ydata(), grey.modes.relative[index])


def test_disagreement_by_mode_leaves_out_modes_without_variance():
    figure = figures.disagreement_by_mode(make_prediction(zeros=5))
    assert np.isnan(line(figure, "relative-0").get_ydata()[-5:]).all()


def test_disagreement_by_seed_plots_every_seed_and_the_ranking(grey):
    figure = figures.disagreement_by_seed(grey)
    scale = grey.totals.relative / grey.totals.disagreement
    for row in range(3):
        expected = np.sort(grey.seeds.disagreement[row]) * scale[row]
        np.testing.assert_allclose(line(figure, f"strip-{row}").get_xdata(), expected)
        assert line(figure, f"median-{row}").get_xdata()[0] == pytest.approx(np.median(expected))
    ranking = line(figure, "ranking")
    np.testing.assert_array_equal(ranking.get_xdata(), np.arange(1, 13))
    np.testing.assert_allclose(ranking.get_ydata(), np.sort(grey.seeds.disagreement[1]) * scale[1])
    named = {text.get_text() for text in figure.get_axes()[1].texts}
    assert named == {
        f"seed {100 + np.argmin(grey.seeds.disagreement[1])}",
        f"seed {100 + np.argmax(grey.seeds.disagreement[1])}",
    }


def test_many_seeds_are_thinned_evenly(grey):
    many = np.geomspace(1.0, 2.0, 5000)
    prediction = changed(grey, seeds={"numbers": np.arange(5000), "disagreement": np.stack([many] * 3)})
    drawn = np.asarray(line(figures.disagreement_by_seed(prediction), "strip-1").get_xdata())
    assert drawn.size == figures.MAX_POINTS
    assert drawn[-1] / drawn[0] == pytest.approx(2.0)


def test_seed_images_are_clipped_and_share_one_scale(grey):
    figure = figures.seed_images(grey)
    pictures = [ax.images[0] for ax in figure.get_axes() if ax.images]
    outputs = [image for image in pictures if image.get_cmap().name == "gray"]
    levels = [image for image in pictures if image.get_cmap().name == "deviation"]
    assert len(outputs) == len(levels) == 6
    np.testing.assert_allclose(outputs[0].get_array(), np.clip(0.5 + 0.5 * grey.seeds.most_consistent.outputs[0], 0, 1))
    np.testing.assert_allclose(levels[-1].get_array(), grey.seeds.least_consistent.pixel_std[-1])
    top = max(grey.seeds.most_consistent.pixel_std.max(), grey.seeds.least_consistent.pixel_std.max())
    assert {level.get_clim() for level in levels} == {(0.0, top)}


def test_seed_images_of_colour_show_the_rms_over_channels():
    prediction = make_prediction((3, 2, 3))
    pictures = [ax.images[0].get_array() for ax in figures.seed_images(prediction).get_axes() if ax.images]
    levels = [array for array in pictures if array.shape == (3, 2)]
    np.testing.assert_allclose(levels[0], np.sqrt((prediction.seeds.most_consistent.pixel_std[0] ** 2).mean(-1)))


def test_seed_images_of_vectors_are_curves():
    prediction = make_prediction((10,))
    figure = figures.seed_images(prediction)
    np.testing.assert_array_equal(line(figure, "most-0").get_ydata(), prediction.seeds.most_consistent.outputs[0])


def test_seed_images_without_images_are_refused():
    with pytest.raises(ValueError, match="seed_images: most_consistent and least_consistent must be present"):
        figures.seed_images(make_prediction(images=0))


def test_eigenmodes_are_signed_and_titled_with_their_share(grey):
    axes = figures.eigenmodes(grey).get_axes()
    mode = grey.eigenmodes[0]
    np.testing.assert_allclose(axes[1].images[0].get_array(), mode / np.abs(mode).max())
    assert axes[1].images[0].get_clim() == (-1, 1)
    share = percent(grey.eigenvalues[0] / grey.eigenvalues.sum())
    assert axes[1].get_title(loc="center") == f"mode 1\n{share}"


def test_eigenmodes_of_colour_are_centred_on_grey():
    prediction = make_prediction((3, 2, 3))
    mode = prediction.eigenmodes[0]
    shown = figures.eigenmodes(prediction).get_axes()[1].images[0].get_array()
    np.testing.assert_allclose(shown, 0.5 + 0.5 * mode / np.abs(mode).max())


def test_law_errors_plots_simulated_over_predicted_by_band(grey):
    figure = law.law_errors(grey)
    panels = figure.get_axes()
    assert [ax.get_title(loc="left") for ax in panels] == ["Sampling map", "Denoiser, σ = 0.2"]
    for column, ax in enumerate(panels):
        for each in grey.diagnosis.errors[column::2]:
            marks = line(figure, f"{each.law}-{column}")
            np.testing.assert_allclose(marks.get_ydata(), np.exp(each.band))
            np.testing.assert_array_equal(np.round(marks.get_xdata()), [0, 1])
        low, high = ax.get_ylim()
        assert low < 1 < np.exp(0.8) < high
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["Gaussian law", "empirical law (taken)", "within 10\xa0%"]


def test_leverage_plots_densities_that_integrate_to_one(grey):
    figure = law.leverage(grey)
    (ax,) = figure.get_axes()
    assert ax.get_xscale() == "log"
    curve = line(figure, "gaussian-data")
    x, y = np.log(np.asarray(curve.get_xdata())), np.asarray(curve.get_ydata())
    assert trapezoid(y, x) == pytest.approx(1.0, abs=2e-3)
    mean = trapezoid(y * np.exp(x), x)
    assert mean == pytest.approx(1.0, abs=5e-3)
    assert trapezoid(y * (np.exp(x) - mean) ** 2, x) == pytest.approx(grey.diagnosis.leverage_gaussian, rel=0.02)
    values, edges, _ = next(patch for patch in ax.patches if patch.get_gid() == "samples").get_data()
    assert values @ np.diff(np.log(edges)) == pytest.approx(1.0)


@pytest.mark.parametrize("draw", [law.law_errors, law.leverage])
def test_figures_of_the_law_need_a_diagnosis(draw):
    with pytest.raises(ValueError, match="diagnosis must be present, got None"):
        draw(make_prediction(diagnosed=False))


def test_page_says_which_law_and_why(grey_page):
    words = Page(grey_page).words
    assert "Take the empirical law: it is off by 3 %; the Gaussian law is off by a factor of 2." in words
    assert "variance 0.50, 5.0 times that of Gaussian data" in words
    assert "half of the modes lie above 6.0, and nine out of ten between 3.3 and 8.7" in words
    assert "the numbers of this report are of the empirical law" in words
    undiagnosed = Page(render_page(make_prediction(diagnosed=False)))
    assert "The empirical law was asked for." in undiagnosed.words
    assert "figure-law_errors" not in [value for _, value in undiagnosed.attributes("id")]


def test_page_says_where_larger_sizes_are_not_identified(grey):
    page = Page(render_page(replace(grey, largest_n=300)))
    assert "more than 300" in page.words
    assert "there no n up to 300 is enough" in page.words
    none = find(changed(grey, largest_n=300, bands={"images_needed": (None, None, None)})).plan
    assert none == "No n up to 300 brings any eigenband within 10\xa0%."


def test_drawing_leaves_no_trace_in_matplotlib(grey):
    before = dict(mpl.rcParams)
    look.save(figures.spectrum(grey), ["svg", "png"])
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", DRAWINGS)
def test_figures_are_reproducible(name, grey):
    assert look.save(DRAWINGS[name].draw(grey), ["svg", "png"]) == look.save(DRAWINGS[name].draw(grey), ["svg", "png"])


@pytest.mark.parametrize("name", sorted(set(DRAWINGS) - {"seed_images", "eigenmodes"}))
def test_axes_are_named(name, grey):
    axes = DRAWINGS[name].draw(grey).get_axes()
    assert axes[-1].get_xlabel() or axes[-1].get_label() == "<colorbar>"
    assert axes[0].get_ylabel()


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
    assert Page(render_page(single)).open == []


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
    assert "The data have no variance." in Page(render_page(flat)).words


# ---------------------------------------------------------------- page
def test_page_is_balanced_and_has_every_figure_with_alternative_text(variant):
    prediction, text = variant
    page = Page(text)
    assert page.open == []
    for name in available(prediction):
        assert f"figure-{name}" in [value for _, value in page.attributes("id")]
    images = [attrs.get("alt") for tag, attrs in page.tags if tag == "img"]
    drawings = [attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg"]
    assert len(images) + len(drawings) == len(available(prediction))
    assert all(images)
    assert all(drawings)
    assert all(attrs.get("role") == "img" for tag, attrs in page.tags if tag == "svg")
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")


def test_page_identifiers_are_unique_and_links_inside_it_lead_somewhere(variant):
    page = Page(variant[1])
    identifiers = [value for _, value in page.attributes("id")]
    assert len(identifiers) == len(set(identifiers))
    targets = {value[1:] for _, value in page.attributes("href") if value.startswith("#")}
    assert targets <= set(identifiers)


def test_page_loads_nothing(variant):
    text = variant[1]
    page = Page(text)
    for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
        for tag, value in page.attributes(name):
            local = value.startswith(("#", "data:"))
            assert local or (tag == "a" and value == "https://arxiv.org/abs/2602.02908"), (tag, name, value)
    assert {"script", "iframe", "link", "object"}.isdisjoint(tag for tag, _ in page.tags)
    assert not re.search(r"url\((?!#)|@import", text)
    assert len(text) < 6e6


def test_page_escapes_everything_that_users_name(grey):
    bad = "<script>alert(1)</script>"
    hostile = replace(grey, source=bad, description=f'"{bad}', notes=(bad,))
    text = render_page(hostile, facts={bad: f"'{bad}"})
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    assert bad in Page(text).words


def test_headline_numbers_are_those_of_the_prediction(grey, grey_page):
    page = Page(grey_page)
    total = grey.totals.relative[1]
    values = [value for value, _ in page.data]
    assert page.data[0] == (total, percent(total))
    assert f"trained on 60 images each will disagree by {percent(total)}".replace("\xa0", " ") in page.words
    for expected in (*grey.totals.relative, *grey.totals.disagreement, *grey.bands.relative[1], 24, 150):
        assert expected in values
    for expected in grey.noise.kappa[:, 0]:
        assert expected in values
    assert "more than any practical n" in page.words
    assert "Beware of the toy." in page.words
    assert number(grey.totals.disagreement[1] ** 0.5, 2) in page.words


@pytest.mark.parametrize(
    ("total", "bands", "verdict", "words"),
    [
        (0.05, (0.01, 0.02, 0.05), "yes", "will agree within 10"),
        (0.05, (0.01, 0.02, 0.5), "partly", "but not in modes 5–16"),
        (0.05, (0.01, 0.2, 0.5), "partly", "but not in modes 2–16"),
        (0.3, (0.01, 0.2, 0.5), "no", "least of all in modes 2–16"),
        (0.3, (0.2, 0.2, 0.5), "no", "will not agree within 10\xa0%."),
    ],
)
def test_verdict_follows_the_tolerance(grey, total, bands, verdict, words):
    findings = find(changed(grey, totals={"relative": np.full(3, total)}, bands={"relative": np.array([bands] * 3)}))
    assert findings.verdict == verdict
    assert words in findings.answer


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        ((10, 20, 3_000_000), "takes 3 million images in each training set (the last to get there: modes 5–16)"),
        ((10, 20, None), "takes 20 images in each training set, except in modes 5–16"),
        ((None, None, None), "No practical number of images"),
    ],
)
def test_plan_names_the_images_needed(grey, needed, words):
    assert words in find(changed(grey, bands={"images_needed": needed})).plan


def test_page_without_seeds_says_so(grey):
    none = changed(
        grey,
        seeds={
            "numbers": np.empty(0, int),
            "disagreement": np.empty((3, 0)),
            "most_consistent": None,
            "least_consistent": None,
        },
    )
    page = Page(render_page(none))
    assert "ranks no seeds" in page.words
    assert "figure-disagreement_by_seed" not in [value for _, value in page.attributes("id")]


def test_page_is_reproducible(grey, grey_page):
    assert render_page(grey, facts=FACTS) == grey_page


def test_page_lists_the_facts(grey_page):
    words = Page(grey_page).words
    assert all(label in words and text in words for label, text in FACTS.items())


def test_inline_svg_needs_a_view_box():
    with pytest.raises(ValueError, match="inline: the SVG of x must have a viewBox"):
        inline("<svg width='1'></svg>", "x", "text")


# ---------------------------------------------------------------- numbers in words
@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.1234, "12 %"), (0.0567, "5.7 %"), (0.00567, "0.57 %"), (1.0, "100 %"), (0.0, "0 %"), (1e-6, "below 0.01 %")],
)
def test_percent(fraction, text):
    assert percent(fraction).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.5, "1.50"), (0.00123, "0.00123"), (123.4, "123"), (2.5e-7, "2.50·10⁻⁷"), (float("nan"), "–")],
)
def test_number(value, text):
    assert number(value) == text


def test_settings_have_no_trailing_zeros():
    assert [short(x) for x in (0.1, 2.0, 4e-6, 100.0)] == ["0.1", "2", "4·10⁻⁶", "100"]
    assert percent_setting(0.1) == "10\xa0%"
    assert percent_setting(0.025) == "2.5\xa0%"


def test_count():
    assert [count(n) for n in (7, 12_345, 2_345_678, 10**9)] == ["7", "12,345", "2.35 million", "1 billion"]


# ---------------------------------------------------------------- files
def test_write_report_writes_the_page_and_every_figure(tmp_path, grey, grey_page):
    path = write_report(grey, tmp_path / "new" / "place", facts=FACTS)
    assert path == tmp_path / "new" / "place" / "report.html"
    assert path.read_text(encoding="utf-8") == grey_page
    names = {file.name for file in (path.parent / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in DRAWINGS for kind in ("svg", "png")}
    assert (path.parent / "figures" / "spectrum.png").read_bytes().startswith(b"\x89PNG")
    assert (path.parent / "figures" / "spectrum.svg").read_bytes().startswith(b"<?xml")
    embedded = re.search(r'id="figure-mode_pairs".*?base64,([^"]+)"', path.read_text(encoding="utf-8"), re.DOTALL)
    assert base64.b64decode(embedded[1]) == (path.parent / "figures" / "mode_pairs.png").read_bytes()


@pytest.fixture
def quick(monkeypatch):
    """Stand-ins for the slow parts, for tests of files alone."""
    monkeypatch.setattr(look, "save", lambda _figure, _formats: {"svg": b"svg", "png": b"png"})
    monkeypatch.setattr("kappaflow.report.embed.render_page", lambda _prediction, *, facts, figures: str(facts))


@pytest.mark.usefixtures("quick")
def test_write_report_removes_figures_that_no_longer_exist(tmp_path, grey):
    write_report(grey, tmp_path, facts={})
    write_report(changed(grey, seeds={"most_consistent": None, "least_consistent": None}), tmp_path, facts={})
    assert not (tmp_path / "figures" / "seed_images.png").exists()
    assert (tmp_path / "figures" / "spectrum.png").exists()


@pytest.mark.usefixtures("quick")
def test_write_report_leaves_nothing_half_done(tmp_path, grey, monkeypatch):
    def fail(source, target):
        if Path(target).name == "report.html":
            raise OSError("disk gone")
        Path(source).rename(target)

    monkeypatch.setattr("kappaflow._files.os.replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_report(grey, tmp_path, facts={})
    assert not (tmp_path / "report.html").exists()
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


@pytest.mark.usefixtures("quick")
def test_write_report_that_fails_keeps_the_earlier_page(tmp_path, grey, monkeypatch):
    earlier = write_report(grey, tmp_path, facts={"run": "first"}).read_bytes()

    def fail(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("kappaflow._files.os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_report(grey, tmp_path, facts={"run": "second"})
    assert (tmp_path / "report.html").read_bytes() == earlier
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]
