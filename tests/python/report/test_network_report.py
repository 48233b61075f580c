"""The report on networks: its words and figures are those of the numbers, and what fails the gate is in no average."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappaflow.report.network import build, headline, verdict_lines
from kappaflow.report.page import page
from kappaflow.report.write import write
from kappaflow.validation.metrics import correlate
from kappaflow.validation.network.results import NetworkValidation
from page_parser import Page, drawn
from toy_networks import failed, given, validation


def names(found: NetworkValidation) -> list[str]:
    """The figures of the report."""
    return [picture.name for picture in build(found, facts={}).pictures]


def takeaways(found: NetworkValidation) -> list[str]:
    """What the sections say above their figures."""
    return [sentence for section in build(found, facts={}).sections for sentence in section.takeaways]


def lines_of(name: str, found: NetworkValidation) -> dict[str, Any]:
    """Lines of a figure by their gid."""
    figure = drawn(build(found, facts={}), name)
    return {line.get_gid(): line for ax in figure.axes for line in ax.get_lines() if line.get_gid()}


# ---------------------------------------------------------------- words
def test_answer_is_that_of_the_numbers() -> None:
    found = validation()
    words = headline(found)
    assert words.mood == "yes"
    same = [p for p in found.pairs if p.arm == "same" and p.n == 900]
    percent = f"{100 * np.mean([p.disagreement.ratio for p in same]):.1f}"
    assert f"of one seed is {percent}\N{NO-BREAK SPACE}% of that between images of unrelated seeds" in words.distance
    assert " ".join(words.distance.split()) in Page(page(build(found, facts={}))).words
    assert (
        "predicts that networks agree more with more data, which modes agree first and on which seeds" in words.answer
    )
    assert "gate: 15 of 18 runs pass" in verdict_lines(found)[0]
    assert any("UNet, n = 200: R² to the linear model 0.70 (about zero 0.90)" in line for line in verdict_lines(found))


def test_what_the_theory_does_not_tell_is_said() -> None:
    found = validation(("unet",))
    blind = [
        dataclasses.replace(
            p,
            seeds=dataclasses.replace(p.seeds, value=0.1, low=-0.1),
            relative=dataclasses.replace(p.relative, value=0.2),
        )
        for p in found.predictor_scores
    ]
    words = headline(dataclasses.replace(found, predictor_scores=tuple(blind)))
    assert words.mood == "partly"
    assert "but not which modes agree first nor on which seeds they differ" in words.answer
    rising = [
        dataclasses.replace(p, disagreement=dataclasses.replace(p.disagreement, seeds=p.disagreement.seeds * p.n**2))
        for p in found.pairs
    ]
    assert headline(dataclasses.replace(found, predictor_scores=tuple(blind), pairs=tuple(rising))).mood == "no"


def test_an_order_of_seeds_that_may_be_chance_is_neither_right_nor_wrong() -> None:
    found = validation(("unet",))
    for value, low, words, mood in (
        (0.4, -0.1, "cannot be judged: rank correlations of 0.40 (-0.10", "yes"),
        (0.1, -0.1, "but not on which seeds they differ", "partly"),
        (0.1, 0.05, "and on which seeds they differ", "yes"),
    ):
        rows = [
            dataclasses.replace(p, seeds=dataclasses.replace(p.seeds, value=value, low=low))
            for p in found.predictor_scores
        ]
        head = headline(dataclasses.replace(found, predictor_scores=tuple(rows)))
        assert head.mood == mood, value
        assert words in head.answer.replace("\N{MINUS SIGN}", "-"), value


@pytest.mark.parametrize(("rise", "words"), [(1.05, None), (1.5, "but not that networks agree more with more data")])
def test_a_rise_that_is_small_in_practice_is_not_called_wrong(rise: float, words: str | None) -> None:
    found = validation(("unet",))
    first = {p.arm: p.disagreement for p in found.pairs if p.n == 30}
    last = [
        dataclasses.replace(
            p, disagreement=dataclasses.replace(first[p.arm], seeds=first[p.arm].seeds * (rise if p.n == 900 else 1))
        )
        for p in found.pairs
    ]
    head = headline(dataclasses.replace(found, pairs=tuple(last)))
    assert (words is None and head.mood == "yes") or (words is not None and words in head.answer)
    assert "agree more with more data" not in head.answer or words is not None


def test_undertrained_runs_are_in_no_average() -> None:
    found = validation()
    text = " ".join((*verdict_lines(found), *takeaways(found)))
    assert "DiT, only data differ: disagreement / unrelated seeds 0.050 (n = 200)" in text
    assert "DiT, n = 30" not in text
    assert "The first is dit n=30 A0 repeat 1: denoising loss 1.7" in text
    drawn = lines_of("consistency", found)
    assert drawn["mean-dit-same"].get_xdata().tolist() == [200, 900]
    assert drawn["mean-unet-same"].get_xdata().tolist() == [30, 200, 900]
    assert drawn["pair-dit-same-30-0"].get_markerfacecolor() == "none"
    assert drawn["pair-dit-same-200-0"].get_markerfacecolor() != "none"
    assert lines_of("variance", found).keys() >= {"network-unet-30", "network-dit-200"}
    assert "network-dit-30" not in lines_of("variance", found)


def test_nothing_passes_and_nothing_is_claimed() -> None:
    found = failed()
    words = headline(found)
    assert words.mood == "no"
    assert words.answer == "No pair of networks passes the gate: nothing can be said about their consistency."
    assert set(names(found)) == {"gallery", "consistency", "strata", "gate"} - {"strata"} | (
        {"strata"} & set(names(found))
    )
    text = page(build(found, facts={}))
    assert "undertrained" in text


def test_given_models_without_a_prediction() -> None:
    found = given()
    words = headline(found)
    assert words.mood == "partly"
    assert "Without their number of training images nothing is predicted" in words.answer
    assert set(names(found)) == {
        "gallery",
        "consistency",
        "memorisation",
        "variance",
        "bands",
        "by_distance",
        "gate",
    }
    assert "n = 0" not in Page(page(build(found, facts={}))).words


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
    row = next(
        p for p in found.predictor_scores if (p.arch, p.n, p.arm, p.predictor) == ("unet", 200, "same", "gaussian")
    )
    assert float(lines_of("predictors", found)["seeds-unet-200-same-gaussian"].get_ydata()[0]) == row.seeds.value
    np.testing.assert_allclose(lines_of("factors", found)["unet-200-empirical"].get_ydata(), 2.0)


def other_images(found: NetworkValidation, shape: tuple[int, ...]) -> NetworkValidation:
    """The same numbers for images of another shape."""
    gallery = dataclasses.replace(found.galleries[0], seeds=(0, 1), rows=(("row", np.zeros((2, *shape))),))
    return dataclasses.replace(found, data=dataclasses.replace(found.data, shape=shape), galleries=(gallery,))


VARIANTS = {
    "all": validation,
    "one architecture": lambda: validation(("unet",)),
    "one size": lambda: validation(("unet",), (200,)),
    "failed": failed,
    "given": given,
    "colour": lambda: other_images(validation(("unet",), (200,)), (2, 2, 3)),
    "vector": lambda: other_images(validation(("mlp",), (200,)), (16,)),
}


@pytest.mark.parametrize("name", list(VARIANTS))
def test_page_is_whole(name: str) -> None:
    found = VARIANTS[name]()
    text = page(build(found, facts={"command": "<b>x</b>"}))
    shown = Page(text)
    identifiers = [value for _, value in shown.attributes("id")]
    links = [value[1:] for _, value in shown.attributes("href") if value.startswith("#")]
    assert shown.open == []
    assert len(set(identifiers)) == len(identifiers)
    assert set(links) <= set(identifiers)
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert not re.search(r'(src|href)="(?!data:|#|https://arxiv)', text)
    for figure in names(found):
        assert f'id="figure-{figure}"' in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().replace("finance", "")


def test_user_text_is_escaped_and_pages_are_the_same_twice() -> None:
    found = validation(("unet",), (200,))
    found = dataclasses.replace(found, data=dataclasses.replace(found.data, source="<script>"))
    text = page(build(found, facts={}))
    assert "<script>" not in text
    assert "mind &lt;this&gt;" in text
    assert text == page(build(found, facts={}))


def test_files_are_written(tmp_path: Path) -> None:
    found = validation(("unet",), (30, 200))
    path = write(build(found, facts={}), tmp_path)
    written = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert written == set(names(found))
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_missing_correlations_are_shown_as_such() -> None:
    found = validation(("unet",), (200,))
    none = correlate([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert math.isnan(none.value)
    rows = tuple(dataclasses.replace(p, seeds=none, seeds_pearson=none) for p in found.predictor_scores)
    text = page(build(dataclasses.replace(found, predictor_scores=rows), facts={}))
    assert ">nan<" not in text.lower()
