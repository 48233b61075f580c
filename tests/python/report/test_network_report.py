"""The report on networks: its words and figures are those of the numbers, and what fails the gate is in no average."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappaflow.bands import default_bands
from kappaflow.disagreement import Disagreement
from kappaflow.report.network import find, render_network_page, write_network_report
from kappaflow.report.network.page import DRAWINGS, available
from kappaflow.validation.laws import compared_laws
from kappaflow.validation.metrics import correlate
from kappaflow.validation.network.results import (
    Baseline,
    Forecast,
    Gallery,
    Manipulation,
    NetworkPair,
    NetworkValidation,
    PredictorScore,
    Quality,
    Run,
    StrataMatrix,
)

Z, SIGMA = 40, np.array([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0])
S = 1 / np.arange(1, 17.0) ** 1.5

LAWS = tuple(compared_laws()[name] for name in ("gaussian", "empirical"))


def quality(passed: bool) -> Quality:
    ratio = 0.9 if passed else 1.7
    bands = np.array([0.5, 0.3, 0.2, 0.1])
    return Quality(
        passed, () if passed else ("denoising loss 1.7 times the linear denoiser's at σ = 0.1 (at most 1.15)",), SIGMA,
        ratio * SIGMA, SIGMA, ratio * SIGMA, SIGMA, bands, bands, 0.01, 0.4, 0.3, 0.5,
    )  # fmt: skip


def run(arch: str, n: int, split: str, member: int, passed: bool) -> Run:
    rng = np.random.default_rng(n + member)
    own = 0.2 + 0.1 * rng.random(Z)
    return Run(
        key=f"{arch} n={n} {split}{member} repeat 1", arch=arch, n=n, repeat=0, split=split, member=member, steps=400,
        parameters=12_345, seconds=12.0, quality=quality(passed), variance=0.9 * S, variance_linear=0.8 * S,
        r2_own=0.7 if passed else -5.0, r2_own_zero=0.9, r2_pooled=0.7, r2_population=0.7,
        distance_linear=0.1 * rng.random(Z), nearest_own=own, nearest_other=own + 0.01, auc=0.9 if n == 30 else 0.55,
        memorised=0.6 if n == 30 else 0.0,
    )  # fmt: skip


def pair(arch: str, n: int, arm: str, passed: bool, size: float) -> NetworkPair:
    rng = np.random.default_rng(n)
    seeds = size / n * np.exp(0.3 * rng.standard_normal(Z))
    modes = seeds.mean() * S**0.7 / np.sum(S**0.7)
    bands = np.array([modes[b.start : b.stop].sum() for b in default_bands(16, 4)])
    keys = {"same": ("A0", "B0"), "different": ("A0", "B1"), "floor": ("B0", "B1"), "given": ("A0", "B0")}[arm]
    return NetworkPair(
        arch=arch, n=n, repeat=0, arm=arm, runs=(f"{arch} n={n} {keys[0]} repeat 1", f"{arch} n={n} {keys[1]} repeat 1"),
        trained=passed, disagreement=Disagreement(
            seeds=seeds, modes=modes, bands=bands, unrelated=1.0, unrelated_modes=S / S.sum(),
            unrelated_bands=np.array([0.6, 0.2, 0.1, 0.1]),
        ),
        pixels=np.full((4, 4), seeds.mean()), sigma=SIGMA, denoiser=seeds.mean() * SIGMA,
    )  # fmt: skip


def half(whole: Disagreement) -> Disagreement:
    """Half as far apart, beside the same unrelated seeds."""
    return dataclasses.replace(whole, seeds=whole.seeds / 2, modes=whole.modes / 2, bands=whole.bands / 2)


def validation(archs: tuple[str, ...] = ("unet", "dit"), sizes: tuple[int, ...] = (30, 200, 900)) -> NetworkValidation:
    """Two architectures, three sizes, all arms; the DiT at the smallest n fails the gate, with absurd numbers."""
    rng = np.random.default_rng(0)

    def passes(arch: str, n: int) -> bool:
        return (arch, n) != ("dit", 30)

    runs = [run(a, n, s, m, passes(a, n)) for a in archs for n in sizes for s, m in (("A", 0), ("B", 0), ("B", 1))]
    arms = ("same", "different", "floor")
    pairs = [pair(a, n, arm, passes(a, n), 10.0 if passes(a, n) else 1e5) for a in archs for n in sizes for arm in arms]
    bands = default_bands(16, 4)
    forecasts, predictions, baselines, changes = [], [], [], []
    for n in sizes:
        same = next(p for p in pairs if p.n == n and p.arm == "same")
        for kind in ("linear", "memorising"):
            baselines.append(Baseline(kind, n, 0, half(same.disagreement)))
        for law in ("gaussian", "empirical"):
            forecasts.append(
                Forecast(law, n, half(same.disagreement), gain=np.sqrt(0.9 * S) / 80, denoiser=same.denoiser / 2)
            )
    for a in archs:
        for n in sizes:
            for arm in arms[:2]:
                if not passes(a, n):
                    continue
                same = next(p for p in pairs if (p.arch, p.n, p.arm) == (a, n, "same"))
                for name in ("gaussian", "empirical", "linear"):
                    by_seed = correlate(
                        same.disagreement.seeds * np.exp(0.2 * rng.standard_normal(Z)), same.disagreement.seeds
                    )
                    by_mode = correlate(same.disagreement.modes, same.disagreement.modes)
                    predictions.append(
                        PredictorScore(
                            a,
                            n,
                            arm,
                            name,
                            1,
                            by_seed,
                            by_mode,
                            by_mode,
                            by_seed,
                            by_mode,
                            by_mode,
                            2.0,
                            np.full(4, 2.0),
                        )
                    )
                for part, modes in (("top", (0, 2)), ("bottom", (8, 16))):
                    for factor in (0.0, 2.0, 1.0):
                        value = 0.1 * (1 + factor) / n
                        changes.append(
                            Manipulation(
                                a,
                                n,
                                arm,
                                part,
                                modes,
                                factor,
                                value,
                                value / 2,
                                {"gaussian": value / 2, "empirical": value},
                            )
                        )
    galleries = [
        Gallery(
            a,
            n,
            "same",
            passes(a, n),
            tuple(range(5)),
            tuple((f"row {i}", rng.random((5, 4, 4)) * 2 - 1) for i in range(6)),
        )
        for a in archs
        for n in sizes
    ]
    matrix = 0.1 + np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    observed = matrix.copy()
    observed[0, 4] = observed[4, 0] = np.nan
    strata = [
        StrataMatrix(
            a,
            200,
            0,
            ("i.i.d.", "top", "bottom", "middle", "top + bottom"),
            observed,
            matrix,
            {"empirical": matrix},
            1.0,
        )
        for a in archs
    ]
    return NetworkValidation(
        source="pictures", description="made up", shape=(4, 4), dimension=16, images=2000, eigenvalues=S, bands=bands,
        n=sizes, archs=archs, arms=arms, repeats=1, seeds=np.arange(Z), sigma_max=80.0, sampler_steps=35, preset="quick",
        device="cpu", seed=0, laws=LAWS, runs=tuple(runs), pairs=tuple(pairs),
        baselines=tuple(baselines), forecasts=tuple(forecasts), predictions=tuple(predictions), galleries=tuple(galleries),
        manipulations=tuple(changes), strata=tuple(strata), notes=("mind <this>",),
    )  # fmt: skip


def given() -> NetworkValidation:
    """Two models of unknown training sets."""
    full = validation(("unet",), (30,))
    runs = tuple(dataclasses.replace(r, arch="given", n=0, key=f"given {r.split}{r.member}") for r in full.runs[:2])
    one = dataclasses.replace(
        next(p for p in full.pairs if p.arm == "same"), arch="given", n=0, arm="given", runs=(runs[0].key, runs[1].key)
    )
    shown = dataclasses.replace(full.galleries[0], arch="given", n=0, arm="given")
    return dataclasses.replace(
        full, archs=("given",), n=(0,), arms=("given",), runs=runs, pairs=(one,), forecasts=(), predictions=(), baselines=(),
        galleries=(shown,), manipulations=(), strata=(),
    )  # fmt: skip


def failed() -> NetworkValidation:
    """No run passes."""
    full = validation(("unet",))
    runs = tuple(dataclasses.replace(r, quality=quality(False)) for r in full.runs)
    pairs = tuple(dataclasses.replace(p, trained=False) for p in full.pairs)
    galleries = tuple(dataclasses.replace(g, trained=False) for g in full.galleries)
    strata = tuple(dataclasses.replace(b, observed=np.full((5, 5), np.nan)) for b in full.strata)
    return dataclasses.replace(
        full, runs=runs, pairs=pairs, predictions=(), manipulations=(), galleries=galleries, strata=strata
    )


def lines_of(name: str, found: NetworkValidation) -> dict[str, Any]:
    """Lines of a figure by their gid."""
    figure = DRAWINGS[name].draw(found)
    return {line.get_gid(): line for ax in figure.axes for line in ax.get_lines() if line.get_gid()}


# ---------------------------------------------------------------- words
def test_answer_is_that_of_the_numbers() -> None:
    found = validation()
    words = find(found)
    assert words.mood == "yes"
    same = [p for p in found.pairs if p.arm == "same" and p.n == 900]
    percent = f"{100 * np.mean([p.disagreement.ratio for p in same]):.1f}"
    assert f"{percent}\N{NO-BREAK SPACE}% as far apart" in words.answer
    assert "that networks agree more with more data, which modes agree first and on which seeds" in words.answer
    assert "gate: 15 of 18 runs pass" in words.lines[0]
    assert any("UNet, n = 200: R² to the linear model 0.70 (about zero 0.90)" in line for line in words.lines)


def test_what_the_theory_does_not_tell_is_said() -> None:
    found = validation(("unet",))
    blind = [
        dataclasses.replace(
            p, seeds=dataclasses.replace(p.seeds, low=-0.1), relative=dataclasses.replace(p.relative, value=0.2)
        )
        for p in found.predictions
    ]
    words = find(dataclasses.replace(found, predictions=tuple(blind)))
    assert words.mood == "partly"
    assert "but not which modes agree first nor on which seeds they differ" in words.answer
    rising = [
        dataclasses.replace(p, disagreement=dataclasses.replace(p.disagreement, seeds=p.disagreement.seeds * p.n**2))
        for p in found.pairs
    ]
    assert find(dataclasses.replace(found, predictions=tuple(blind), pairs=tuple(rising))).mood == "no"


def test_undertrained_runs_are_in_no_average() -> None:
    found = validation()
    text = " ".join((*find(found).lines, *find(found).takeaways.values()))
    assert "DiT, only data differ: disagreement / unrelated seeds 0.050 (n = 200)" in text
    assert "DiT, n = 30" not in text
    assert "dit n=30 A0 repeat 1, denoising loss 1.7" in text
    drawn = lines_of("consistency", found)
    assert drawn["mean-dit-same"].get_xdata().tolist() == [200, 900]
    assert drawn["mean-unet-same"].get_xdata().tolist() == [30, 200, 900]
    assert drawn["pair-dit-same-30-0"].get_markerfacecolor() == "none"
    assert drawn["pair-dit-same-200-0"].get_markerfacecolor() != "none"
    assert lines_of("variance", found).keys() >= {"network-unet-30", "network-dit-200"}
    assert "network-dit-30" not in lines_of("variance", found)


def test_nothing_passes_and_nothing_is_claimed() -> None:
    found = failed()
    words = find(found)
    assert words.mood == "no"
    assert words.answer == "No pair of networks passes the gate: nothing can be said of their consistency."
    assert set(available(found)) == {"gallery", "consistency", "strata", "gate"} - {"strata"} | (
        {"strata"} & set(available(found))
    )
    page = render_network_page(found, facts={})
    assert "undertrained" in page


def test_given_models_without_a_prediction() -> None:
    found = given()
    words = find(found)
    assert words.mood == "partly"
    assert "without their number of training images nothing is predicted" in words.answer
    assert set(available(found)) == {
        "gallery",
        "consistency",
        "memorisation",
        "variance",
        "bands",
        "by_distance",
        "gate",
    }
    assert "n = 0" not in render_network_page(found, facts={})


# ---------------------------------------------------------------- figures
def test_figures_draw_the_numbers() -> None:
    found = validation()
    consistency = lines_of("consistency", found)
    expected = [p.disagreement.ratio for p in found.pairs if (p.arch, p.arm) == ("unet", "different")]
    np.testing.assert_allclose(consistency["mean-unet-different"].get_ydata(), expected)
    theory = [f.disagreement.modes.sum() / f.disagreement.unrelated for f in found.forecasts if f.law == "empirical"]
    np.testing.assert_allclose(consistency["theory-unet"].get_ydata(), theory)
    bands = lines_of("bands", found)
    same = [p for p in found.pairs if (p.arch, p.arm) == ("unet", "same")]
    np.testing.assert_allclose(
        bands["unet-band-1"].get_ydata(), [p.disagreement.bands[1] / p.disagreement.unrelated_bands[1] for p in same]
    )
    seeds = lines_of("by_seed", found)["law-unet-900"]
    np.testing.assert_allclose(seeds.get_ydata(), same[-1].disagreement.seeds)
    np.testing.assert_allclose(seeds.get_xdata(), found.forecast("empirical", 900).disagreement.seeds)  # type: ignore[union-attr]
    denoisers = lines_of("denoisers", found)
    np.testing.assert_allclose(denoisers["unet-200"].get_ydata(), same[1].denoiser)
    changed = lines_of("manipulations", found)["unet-top-2-200"]
    assert float(changed.get_ydata()[0]) == pytest.approx(1.5)
    gates = lines_of("gate", found)
    np.testing.assert_allclose(gates["held_out-unet-0"].get_ydata(), 0.9)
    row = next(p for p in found.predictions if (p.arch, p.n, p.arm, p.predictor) == ("unet", 200, "same", "gaussian"))
    assert float(lines_of("predictors", found)["seeds-unet-200-same-gaussian"].get_ydata()[0]) == row.seeds.value
    np.testing.assert_allclose(lines_of("factors", found)["unet-200-empirical"].get_ydata(), 2.0)


VARIANTS = {
    "all": validation, "one architecture": lambda: validation(("unet",)), "one size": lambda: validation(("unet",), (200,)),
    "failed": failed, "given": given,
    "colour": lambda: dataclasses.replace(
        validation(("unet",), (200,)), shape=(2, 2, 3),
        galleries=(Gallery("unet", 200, "same", True, (0, 1), (("row", np.zeros((2, 2, 2, 3))),)),),
    ),
    "vector": lambda: dataclasses.replace(
        validation(("mlp",), (200,)), shape=(16,),
        galleries=(Gallery("mlp", 200, "same", True, (0, 1), (("row", np.zeros((2, 16))),)),),
    ),
}  # fmt: skip


class Checker(HTMLParser):
    """Open elements, identifiers and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.ids += [str(value) for key, value in attributes if key == "id"]
        self.links += [str(value)[1:] for key, value in attributes if key == "href" and str(value).startswith("#")]
        if tag not in ("meta", "img", "br", "hr", "link", "col"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.ids += [str(value) for key, value in attributes if key == "id"]
        self.links += [str(value)[1:] for key, value in attributes if key == "href" and str(value).startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", list(VARIANTS))
def test_page_is_whole(name: str) -> None:
    found = VARIANTS[name]()
    page = render_network_page(found, facts={"command": "<b>x</b>"})
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert set(checker.links) <= set(checker.ids)
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert not re.search(r'(src|href)="(?!data:|#|https://arxiv)', page)
    for figure in available(found):
        assert f'id="figure-{figure}"' in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower().replace("finance", "")


def test_user_text_is_escaped_and_pages_are_the_same_twice() -> None:
    found = dataclasses.replace(validation(("unet",), (200,)), source="<script>")
    page = render_network_page(found, facts={})
    assert "<script>" not in page
    assert "mind &lt;this&gt;" in page
    assert page == render_network_page(found, facts={})


def test_files_are_written(tmp_path: Path) -> None:
    found = validation(("unet",), (30, 200))
    page = write_network_report(found, tmp_path, facts={})
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == set(available(found))
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_missing_correlations_are_shown_as_such() -> None:
    found = validation(("unet",), (200,))
    none = correlate([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert math.isnan(none.value)
    rows = tuple(dataclasses.replace(p, seeds=none, seeds_pearson=none) for p in found.predictions)
    page = render_network_page(dataclasses.replace(found, predictions=rows), facts={})
    assert ">nan<" not in page.lower()
