"""The benchmark page says what was measured: rendered from its results, links that exist, a reference and counts that hold."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "docs/benchmarks/results.json"


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules of the benchmarks folder, which is no installed package."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from kappabench import baselines, measure, more_tables, reference, render, spectra

        yield SimpleNamespace(
            baselines=baselines,
            measure=measure,
            more_tables=more_tables,
            reference=reference,
            render=render,
            spectra=spectra,
            results=render.load(RESULTS),
        )
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_page_is_what_the_renderer_makes(bench: SimpleNamespace) -> None:
    assert PAGE.read_text(encoding="utf-8") == bench.render.page(bench.results)
    assert bench.results["setting"] == "full"


def test_readme_table_is_what_the_renderer_makes(bench: SimpleNamespace) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert bench.render.readme(text, bench.results) == text


def test_renderer_refuses_a_readme_without_markers(bench: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="README must hold one"):
        bench.render.readme("no markers", bench.results)


def test_every_readme_row_links_to_a_row_of_the_page(bench: SimpleNamespace) -> None:
    section = bench.more_tables.readme_section(bench.results)
    rows = [line for line in section.splitlines() if line.startswith("| [")]
    links = re.findall(r"\]\(docs/benchmarks\.md#([\w.-]+)\)", section)
    anchors = re.findall(r'<a id="([^"]+)"></a>', PAGE.read_text(encoding="utf-8"))
    assert len(rows) > 5
    assert len(links) >= len(rows)
    assert set(links) <= set(anchors)
    assert len(anchors) == len(set(anchors))


def test_figures_of_the_page_exist(bench: SimpleNamespace) -> None:
    images = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(images) == len(bench.render.FIGURES)
    assert all((PAGE.parent / image).is_file() for image in images)


def test_rows_meet_their_bounds_and_name_no_place(bench: SimpleNamespace) -> None:
    bounded = [row for row in bench.results["rows"] if "bound" in row]
    assert {row["section"] for row in bounded} >= {
        "kappa",
        "large",
        "root",
        "quadrature",
        "tolerance",
        "pairs",
        "eigen",
    }
    assert all(row["error"] <= row["bound"] for row in bounded)
    points = [point for row in bench.results["rows"] if row["section"] == "growth" for point in row["points"]]
    assert all(point["error"] <= point["bound"] for point in points)
    assert not re.search(r"/(home|root|tmp|usr|opt|work|Users)/", RESULTS.read_text(encoding="utf-8"))


# ---------------------------------------------------------------- reference
def test_reference_kappa_agrees_with_the_golden_values(bench: SimpleNamespace) -> None:
    golden = json.loads((ROOT / "tests/data/gaussian.json").read_text(encoding="utf-8"))["kappa"]
    checked = 0
    with mpmath.workdps(50):
        for case in golden:
            if mpmath.mpf(case["lambda"]) > 0:
                (value,) = bench.reference.kappa([case["lambda"]], case["eigenvalues"], case["n"], case["multiplicity"])
                assert abs(value / mpmath.mpf(case["kappa"]) - 1) < 1e-24, case["name"]  # 25 digits are stored
                checked += 1
    assert checked > 100


def test_reference_kappa_of_white_data(bench: SimpleNamespace) -> None:
    # t = κ (1 − (d/n)/(1 + κ)) is quadratic: κ = (b + √(b² + 4 t))/2 with b = t + d/n − 1
    with mpmath.workdps(50):
        t, ratio = mpmath.mpf("0.125"), mpmath.mpf(4)
        b = t + ratio - 1
        (value,) = bench.reference.kappa([0.125], [1.0], 16, [64])
        assert abs(value / ((b + mpmath.sqrt(b * b + 4 * t)) / 2) - 1) < mpmath.mpf(10) ** -40


def test_two_references_of_the_square_root_agree(bench: SimpleNamespace) -> None:
    s = bench.spectra.two_level(2)
    mean, variance, facts = bench.reference.square_root(s, 3, digits=25)
    assert facts["change"] < 1e-24
    some_mean, some_variance = bench.reference.square_root_at(s, 3, np.arange(2))
    for exact, value in ((mean, some_mean), (variance, some_variance)):
        assert bench.measure.relative(value, [float(x) for x in exact]) < 5e-16


# ---------------------------------------------------------------- failures and fits
def test_failures_are_counted(bench: SimpleNamespace) -> None:
    s, n, t = bench.spectra.power_law(64), 16, np.geomspace(1e-3, 10, 6)
    exact = bench.reference.kappa(t, s, n)
    value = np.array([float(k) for k in exact])

    def count(values: np.ndarray, **flags: list[bool]) -> dict[str, int]:
        errors = bench.reference.relative_error(values, exact)
        return bench.measure.count_failures(values, errors, t, s, n, **flags)

    assert bench.measure.total_failures(count(value)) == 0

    wrong = bench.baselines.numpy_newton(t[:1], s, n, start="noise")[0]  # another root, found by a start below
    assert abs(wrong / value[0] - 1) > 0.1
    planted = value.copy()
    planted[0], planted[1], planted[2], planted[3] = wrong, np.nan, -value[2], 1.01 * value[3]
    counts = count(planted, warned=[False, False, False, True, True, False])
    assert (counts["wrong_root"], counts["not_finite"], counts["not_converged"]) == (2, 1, 1)
    assert (counts["silent"], counts["warned_but_right"], counts["points"]) == (3, 1, 6)
    assert count(planted, raised=[True, *[False] * 5])["raised"] == 1


def test_fit_recovers_the_exponent(bench: SimpleNamespace) -> None:
    d = np.array([256.0, 1024.0, 4096.0])
    fit = bench.measure.fit_power(d, 3e-7 * d**1.5)
    assert fit["exponent"] == pytest.approx(1.5, abs=1e-12)
    assert fit["coefficient"] == pytest.approx(3e-7, rel=1e-10)
    assert fit["misfit"] == pytest.approx(1, abs=1e-10)


def test_a_wrong_answer_fails_the_benchmark(bench: SimpleNamespace) -> None:
    assert bench.measure.check({"id": "x"}, 1e-15, 1e-14)["bound"] == 1e-14
    for error in (1e-13, float("nan"), None):
        with pytest.raises(AssertionError, match="exceeds its bound"):
            bench.measure.check({"id": "x"}, error, 1e-14)
