"""The registry of laws: a registered law works everywhere, and no other file spells the names of laws."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import kappaflow as kf
from kappaflow.cli import app
from kappaflow.consistency.law_choice import choose_law, law_options
from kappaflow.consistency.predict import predict
from kappaflow.laws import DEFAULT_LAW, REGISTRY, ClosedFormLaw, Ensemble, LawSpec, law_spec, register, unregister
from kappaflow.laws.closed_form import closed_form
from kappaflow.report.laws import law_look
from kappaflow.validation.laws import chosen_laws, compared_laws

PACKAGE = Path(kf.__file__).parent
BUILT_IN = tuple(REGISTRY)
#: The toy law predicts this many times the variance of the Gaussian law.
FACTOR = 3.0


class ToyLaw(ClosedFormLaw):
    """The Gaussian law with all variances multiplied."""

    def mode_covariance(self, f, g, modes):
        return FACTOR * super().mode_covariance(f, g, modes)

    def equal_mode_variance(self, f):
        return FACTOR * super().equal_mode_variance(f)

    def output(self, f, x, groups):
        return FACTOR * super().output(f, x, groups)

    def directional(self, f, g, x, y, v):
        return FACTOR * super().directional(f, g, x, y, v)

    def spread(self, f, variance, multiplicity):
        return FACTOR * super().spread(f, variance, multiplicity)


def build(ensemble: Ensemble) -> ToyLaw:
    return ToyLaw(closed_form(ensemble, None, corrected=ensemble.corrected))


TOY = LawSpec(
    name="toy",
    title="toy law",
    assumes="data that vary too much",
    treats="multiplies everything",
    describes="data whose training sets differ more than they do",
    build=build,
    multiply_adds=lambda work: 1e6 * work.sizes,
    tolerance=1e-9,
    needs_profiles=False,
    has_kappa=False,
    stand_in="gaussian",
)


@pytest.fixture
def toy() -> Iterator[LawSpec]:
    register(TOY)
    yield TOY
    unregister(TOY.name)
    assert tuple(REGISTRY) == BUILT_IN


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """80 grey images of 4×4 pixels."""
    return 0.3 * np.random.default_rng(8).standard_normal((80, 4, 4)) / np.sqrt(np.arange(1, 17.0)).reshape(4, 4)


@pytest.fixture(scope="module")
def population(images: np.ndarray) -> kf.Population:
    return kf.Population.from_samples(images, shape=(4, 4), profiles=80)


def test_splits_asks_the_registered_law(toy: LawSpec, population: kf.Population) -> None:
    splits, gaussian = kf.Splits(population, 30, law="toy"), kf.Splits(population, 30)
    f = splits.sampling_map()
    assert len(f.shifts) < len(gaussian.sampling_map().shifts)  # at its own tolerance
    x = 80 * np.random.default_rng(0).standard_normal((3, 16))
    np.testing.assert_allclose(splits.disagreement(f, x), FACTOR * gaussian.disagreement(f, x), rtol=1e-12)
    np.testing.assert_allclose(splits.mode_variance(f), FACTOR * gaussian.mode_variance(f), rtol=1e-12)
    np.testing.assert_array_equal(splits.expectation(f), gaussian.expectation(f))
    with pytest.raises(
        ValueError, match=r"kappa needs law='gaussian' or 'elliptical', got 'toy', which has no single κ for all modes"
    ):
        splits.kappa(noise_variance=1.0)
    with pytest.raises(ValueError, match="kappa_correction needs law='gaussian', got 'toy'"):
        splits.kappa_correction(noise_variance=1.0)
    with pytest.raises(ValueError, match="terms must be 'full' with law='toy', got 'published'"):
        kf.Splits(population, 30, law="toy", terms="published")


def test_the_diagnosis_compares_the_registered_law(toy: LawSpec, population: kf.Population) -> None:
    found = kf.diagnose(population, training_sets=32)
    assert [each.law for each in found.errors[::2]] == [*BUILT_IN, "toy"]
    assert set(found.seconds) == {*BUILT_IN, "toy"}
    for gaussian, toy_error in zip(found.errors[:2], found.errors[-2:], strict=True):
        assert toy_error.total == pytest.approx(gaussian.total - np.log(FACTOR), abs=1e-6)
    assert "toy law a factor of" in found.recommendation
    assert "toy" not in kf.diagnose(population, training_sets=8).law


def test_a_prediction_with_the_registered_law(toy: LawSpec, population: kf.Population) -> None:
    options = {"source": "toys", "n": [20, 40], "seeds": range(4), "images": 1}
    found, gaussian = (predict(population, law=law, **options) for law in ("toy", "gaussian"))
    np.testing.assert_allclose(found.totals.disagreement, FACTOR * gaussian.totals.disagreement, rtol=1e-6)
    np.testing.assert_allclose(found.modes.pairs.variance, FACTOR * gaussian.modes.pairs.variance, rtol=1e-6)
    np.testing.assert_array_equal(found.noise.kappa, gaussian.noise.kappa)  # that of the stand-in
    assert found.notes[0] == (
        "The numbers describe linear diffusion models on data whose training sets differ more than they do. The toy law was "
        "asked for."
    )
    stand_in = "The toy law has no single renormalised noise κ; the κ shown is that of the Gaussian law. "
    assert sum(note.startswith(stand_in) for note in found.notes) == 1
    assert choose_law(population, "toy").law == "toy"
    assert law_options() == ("auto", *BUILT_IN, "toy")


def test_the_command_line_and_the_page(
    toy: LawSpec, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", images)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "-q"])
        assert result.exit_code == 0, result.output
        return result.stdout

    options = ("--n", "20", "--seeds", "4")
    run("predict", "images.npy", "--law", "toy", *options, "--out", "named")
    named = json.loads(Path("named/predictions.json").read_text())
    assert (named["law"], named["law_reason"]) == ("toy", "The toy law was asked for.")
    page = Path("named/report.html").read_text()
    assert "come from the toy law." in page
    assert "and the <em>toy law</em> multiplies everything." in page
    run("predict", "images.npy", *options, "--out", "decided")
    page = Path("decided/report.html").read_text()
    assert "toy law" in page
    assert law_look("toy").colour in page  # drawn among the errors of the laws
    run("plan", "images.npy", "--law", "toy", "--json", "plan.json")
    assert json.loads(Path("plan.json").read_text())["law"] == "toy"
    run("seeds", "images.npy", "--n", "20", "--law", "toy", "--json", "seeds.json")
    assert json.loads(Path("seeds.json").read_text())["law"] == "toy"
    refused = CliRunner().invoke(app, ["plan", "images.npy", "--law", "toys"])
    assert refused.exit_code == 2
    assert f"must be one of 'auto', {', '.join(map(repr, REGISTRY))}, got 'toys'" in refused.stderr


def test_a_validation_compares_the_registered_law(toy: LawSpec) -> None:
    assert list(compared_laws()) == [*BUILT_IN, "toy", "published"]
    (law,) = chosen_laws(["toy"], profiles=False)
    assert (law.title, law.options, law.spec) == ("toy law", {"law": "toy"}, TOY)


def test_the_registry_refuses_what_does_not_fit(population: kf.Population) -> None:
    with pytest.raises(ValueError, match="name must be new, got 'gaussian', which is registered already"):
        register(replace(TOY, name="gaussian"))
    with pytest.raises(ValueError, match="stand_in must be one of 'gaussian', 'elliptical', 'empirical', got 'none'"):
        register(replace(TOY, stand_in="none"))
    for call in (law_spec, unregister):
        with pytest.raises(ValueError, match="law must be one of 'gaussian', 'elliptical', 'empirical', got 'toy'"):
            call("toy")
    with pytest.raises(ValueError, match="law must be one of 'gaussian', 'elliptical', 'empirical', got 'toy'"):
        kf.Splits(population, 30, law="toy")
    with pytest.raises(TypeError):
        REGISTRY["toy"] = TOY  # type: ignore[index]
    assert tuple(REGISTRY) == BUILT_IN
    assert BUILT_IN[0] == DEFAULT_LAW


def test_a_spec_that_promises_what_its_law_cannot_says_so(population: kf.Population) -> None:
    class Bare(ToyLaw):
        kappa = kf.laws.Law.kappa

    register(replace(TOY, has_kappa=True, build=lambda e: Bare(closed_form(e, None, corrected=e.corrected))))
    try:
        with pytest.raises(NotImplementedError, match="Bare must define kappa, because its LawSpec sets has_kappa"):
            kf.Splits(population, 30, law="toy").kappa(noise_variance=1.0)
    finally:
        unregister("toy")


#: Files that may spell a law's name in quotes.
OWN = {f"laws/{name}.py" for name in BUILT_IN}
LOOKS = {"report/laws.py"}
#: "gaussian" is also a way to draw the training sets of a simulation; lines about that do not concern a law.
DRAWN = re.compile(r"sampling|kind|resample|Gaussian samples|name, population_is")


def test_names_of_laws_stand_in_their_own_files_and_in_the_looks() -> None:
    quoted = re.compile(rf"""(["'`])({"|".join(BUILT_IN)})\1""")
    laws: dict[str, list[str]] = {}
    drawn: dict[str, list[str]] = {}
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.j2")]):
        name = path.relative_to(PACKAGE).as_posix()
        for line in path.read_text(encoding="utf-8").splitlines():
            if quoted.search(line):
                (drawn if DRAWN.search(line) else laws).setdefault(name, []).append(line.strip())
    print(f"{len(laws)} files name a law:")
    for name, lines in laws.items():
        print(name, *lines, sep="\n    ")
    assert set(laws) == OWN | LOOKS
    for name, lines in drawn.items():
        for line in lines:
            assert "law" not in line.lower(), f"{name}: {line}"
            assert "elliptical" not in line
            assert "empirical" not in line
