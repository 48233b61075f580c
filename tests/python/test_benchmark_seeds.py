"""The benchmark of predictors of seeds: its committed sets, their scores, and predictions that do not fit."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from kappaflow.datasets import open_images
from kappaflow.pilot.seeds import calibrate_seeds
from kappaflow.validation.network.context import make_context
from kappaflow.validation.network.members import PairKind
from kappaflow.validation.network.plan import make_plan
from kappaflow.validation.network.probes import LEVELS, Answers
from kappaflow.validation.network.results import ANOTHER_PAIR, POSTERIOR, TRIVIAL
from kappaflow.validation.network.seeds import MAP_SEEDS
from kappaflow.validation.network.sweep import Job, answers_file, make_jobs

FOLDER = Path(__file__).parents[2] / "benchmarks/seeds"
KIND = PairKind("unet", 300, "different")


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The modules of the benchmark, which is no installed package, and the set of UNets trained on digits."""
    sys.path.insert(0, str(FOLDER))
    try:
        modules = {name: importlib.import_module(name) for name in ("seedsets", "score", "collect", "ideas", "parts")}
        yield SimpleNamespace(**modules, digits=modules["seedsets"].load("digits-unet"))
    finally:
        sys.path.remove(str(FOLDER))


def test_sets_are_small_and_complete(bench: SimpleNamespace) -> None:
    names = bench.seedsets.available()
    assert "digits-unet" in names
    assert sum(path.stat().st_size for path in FOLDER.glob("*.npz")) < 4e6
    for name in names:
        seed_set = bench.seedsets.load(name)
        assert len(seed_set.networks) == len(seed_set.samples) == len(set(seed_set.networks))
        assert seed_set.samples.shape[1] == seed_set.about["seeds"]
        assert seed_set.kinds
        assert f"| `{name}` |" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_scores_on_digits(bench: SimpleNamespace) -> None:
    assert len(bench.digits.kinds) == 9
    result = bench.score.score(bench.digits, KIND, bench.score.DEFAULT)
    assert result.pairs == 3
    assert list(result.scores) == [POSTERIOR, ANOTHER_PAIR, TRIVIAL, "grey_clipped", "empirical"]
    posterior, another, trivial, clipped, law = result.scores.values()
    assert posterior.single > clipped.single > trivial.single
    assert posterior.single >= 0.3
    assert posterior.single > trivial.single + 0.05
    assert posterior.single > another.single
    assert posterior.single < posterior.ceiling < 0.6
    assert law.single <= 0.1
    assert posterior.mean.value >= 0.45
    assert posterior.tenths > 2
    assert posterior.pixels > law.pixels > 0.6
    assert np.isnan(trivial.pixels)
    assert list(result.factors) == [ANOTHER_PAIR, "empirical"]
    assert result.factors["empirical"] > 2  # the law is for linear models
    text = bench.score.table(bench.digits, [result])
    assert f"| posterior variance of all images: single pairs | {posterior.single:.2f} |" in text
    assert "amount from smaller n" not in text


def test_amount_from_smaller_sizes(bench: SimpleNamespace) -> None:
    kinds = [kind for kind in bench.digits.kinds if kind.arm != "same"]
    results = [bench.score.Result(kind, 3, bench.digits.ratio(kind), {}, {}) for kind in kinds]
    amounts = bench.score.score_amounts(bench.digits, results)
    assert [(amount.n, amount.pilots) for amount in amounts] == [(300, (100,)), (898, (100, 300))]
    assert all(1 / 1.2 < amount.factor < 1.2 for amount in amounts)


def test_a_file_is_scored_by_its_order_and_by_its_maps(bench: SimpleNamespace, tmp_path: Path) -> None:
    apart = np.mean([(a - b) ** 2 for a, b in bench.digits.pairs(KIND)], axis=0)
    np.save(tmp_path / "maps.npy", apart.reshape(512, 8, 8))
    np.save(tmp_path / "order.npy", np.argsort(np.argsort(apart.mean(axis=1))))
    maps, order = (str(tmp_path / f"{name}.npy") for name in ("maps", "order"))
    result = bench.score.score(bench.digits, KIND, [maps, order], amount=True)
    assert result.scores[maps].mean.value == pytest.approx(1)
    assert result.scores[maps].pixels == pytest.approx(1)
    assert result.factors[maps] == pytest.approx(1)
    assert result.scores[order].mean.value == pytest.approx(1)
    assert np.isnan(result.scores[order].pixels)
    assert result.scores[order].tenths == pytest.approx(result.scores[maps].tenths)


def test_variants_of_the_posterior_variance(bench: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    ideas, context = bench.ideas, bench.digits.context
    level = bench.digits.posterior.sigma
    same = ideas._variance(ideas._states(bench.digits, level), context.images, level)
    np.testing.assert_allclose(same, bench.digits.posterior.seeds, rtol=1e-3)  # products in float32 there
    usual, patches = (
        ideas.set_score(bench.digits, ideas.IDEAS[name](bench.digits)) for name in list(ideas.IDEAS)[:5:4]
    )
    assert 0.45 < patches < usual < 0.55
    with pytest.raises(SystemExit):
        ideas.main(["unknown"])
    assert "NAME must be one of posterior variance, " in capsys.readouterr().err


def test_parts_of_the_disagreement(bench: SimpleNamespace) -> None:
    *sizes, fit = [[cell.strip() for cell in row.split("|")[1:-1]] for row in bench.parts.rows(bench.digits)]
    assert [row[:2] for row in sizes] == [["digits-unet", str(n)] for n in (100, 300, 898)]
    images = [float(row[3]) for row in sizes]
    assert images[0] > 3 * images[1] > 6 * images[2] > 0
    assert all(0.7 < float(row[6]) < 1.1 for row in sizes)  # effective images for each image
    assert fit[4].startswith("b/c = 0.3")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones(511), r"must hold one number for each of the 512 seeds of 'digits-unet'.*got \(511,\)"),
        (np.ones((512, 63)), r"got \(512, 63\)"),
        (np.ones((8, 8)), r"got \(8, 8\)"),
        (np.full(512, np.nan), "must hold finite real numbers"),
        (np.ones(512, dtype=complex), "must hold finite real numbers"),
    ],
)
def test_a_file_that_does_not_fit(bench: SimpleNamespace, tmp_path: Path, values: Any, message: str) -> None:
    np.save(tmp_path / "mine.npy", values)
    with pytest.raises(bench.seedsets.SeedSetError, match=message):
        bench.score.predict(bench.digits, KIND, str(tmp_path / "mine.npy"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["unknown"],
            "PREDICTOR must be one of posterior_variance, another_pair, trivial, .*, or a .npy file; got 'unknown'",
        ),
        (["missing.npy", "--set", "digits-unet"], "'missing.npy' cannot be read"),
        (["--set", "letters"], "the set must be one of .*digits-unet.*; got 'letters'"),
        (
            ["--set", "digits-unet", "--n", "77"],
            "--n and --arm must leave some pairs of 'digits-unet', which has n = 100 same, .*; got --n 77, --arm all",
        ),
    ],
)
def test_wrong_use_ends_with_a_message(
    bench: SimpleNamespace, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert bench.score.main(arguments) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert output.out == ""
    assert re.search(message, output.err)


def test_quantising_is_within_half_a_step(bench: SimpleNamespace) -> None:
    samples = np.random.default_rng(0).standard_normal((3, 80, 4))
    quantised = bench.seedsets.quantise(samples)
    assert quantised.codes.dtype == quantised.fine.dtype == np.uint8
    step = np.ptp(samples) / 255
    errors = np.abs(quantised.values - samples)
    assert errors[:, MAP_SEEDS:].max() == pytest.approx(step / 2, rel=0.1)
    assert errors[:, :MAP_SEEDS].max() <= 0.501 * step / 255


def test_a_set_is_read_as_it_was_written(bench: SimpleNamespace, tmp_path: Path) -> None:
    bench.seedsets.save(tmp_path / "copy.npz", bench.digits)
    copy = bench.seedsets.load("copy", tmp_path)
    assert copy.networks == bench.digits.networks
    assert copy.about == bench.digits.about
    np.testing.assert_allclose(copy.samples, bench.digits.samples, atol=1e-4)


def test_other_images_are_refused(bench: SimpleNamespace) -> None:
    about = {**bench.digits.about, "data": {**bench.digits.about["data"], "limit": 1000}}
    other = bench.seedsets.SeedSet("other", about, bench.digits.networks, bench.digits.samples)
    with pytest.raises(bench.seedsets.SeedSetError, match="must be those that the networks of 'other' were trained on"):
        _ = other.context


# ---------------------------------------------------------------- collecting
def jobs(runs: Path, seeds: int) -> list[Job]:
    """Those of ``kappaflow validate network digits --preset laptop --arch unet --n 100 --arms same --repeats 2``."""
    source = open_images("digits")
    images = np.concatenate(list(source.batches()))
    plan = make_plan(images, source.shape, "laptop", archs=["unet"], n=[100], arms=["same"], repeats=2, seeds=seeds)
    context = make_context(images, source.shape, seeds=seeds)
    noise = dict(context.noise)
    return make_jobs(plan.runs, images, source.shape, noise, runs, steps=35, sigma_max=context.sigma_max, seed=0)


def collect(bench: SimpleNamespace, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(bench.collect.command)
    options = (
        "--preset",
        "laptop",
        "--arch",
        "unet",
        "--n",
        "100",
        "--arms",
        "same",
        "--repeats",
        "2",
        "--seeds",
        "256",
        "--quiet",
    )
    return CliRunner().invoke(app, [*arguments, *options])


def test_kept_networks_become_a_set(bench: SimpleNamespace, tmp_path: Path) -> None:
    seeds = 256
    samples = dict(zip(bench.digits.networks, bench.digits.samples[:, :seeds], strict=True))
    for job in jobs(tmp_path / "runs", seeds):
        network = bench.seedsets.Network(*(getattr(job.spec, name) for name in bench.seedsets.Network._fields))
        made = samples[network]
        if network.repeat == 1 and network.split == "A":
            made = made.mean(axis=0) + 0.1 * (made - made.mean(axis=0))  # too little variance for the gate
        job.folder.mkdir(parents=True)
        loss = dict.fromkeys(job.probe.images, np.zeros(len(LEVELS)))
        shared = np.zeros((len(LEVELS), *job.probe.images["shared"].shape))
        drawn = {name: np.resize(made, noise.shape) for name, noise in job.probe.noise.items()}
        Answers(drawn, loss, shared).save(answers_file(job), "made up")
    out = tmp_path / "copy.npz"
    done = collect(bench, "digits", "--runs", str(tmp_path / "runs"), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "left out: unet n=100 A0 repeat 2 fails the gate: " in done.output
    copy = bench.seedsets.load("copy", tmp_path)
    assert len(copy.networks) == 3
    assert {kind: len(copy.pairs(kind)) for kind in copy.kinds} == {PairKind("unet", 100, "same"): 1}
    for network, images in zip(copy.networks, copy.samples, strict=True):
        np.testing.assert_allclose(images, samples[network], atol=0.01)
    assert copy.about["training"]["unet"]["steps"] == 400
    again = collect(bench, "digits", "--runs", str(tmp_path / "runs"), "--out", str(out))
    assert again.exit_code == 2
    assert "exists; --overwrite replaces it" in again.output


@pytest.mark.parametrize(
    ("data", "out", "message"),
    [
        (
            "digits",
            "a.npz",
            "must hold all 4 networks with their samples, but .* lacks 4, such as unet n=100 A0 repeat 1",
        ),
        ("digits", "a.npy", "--out must name a .npz file, got .*a.npy"),
        ("images.npy", "a.npz", "DATA must be one of .*digits.*, because a set does not hold images; got 'images.npy'"),
    ],
)
def test_what_cannot_be_collected(bench: SimpleNamespace, tmp_path: Path, data: str, out: str, message: str) -> None:
    done = collect(bench, data, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / out))
    assert done.exit_code == 2
    assert re.search(message, " ".join(done.output.split()))
    assert not (tmp_path / out).exists()


def test_seeds_calibrated_at_one_size_hold_at_another(bench: SimpleNamespace) -> None:
    """The amount of each seed, from pilots at n = 100: 80 % of the seeds of pairs at n = 300 should lie within its limits."""
    numbers = np.arange(len(bench.digits.posterior.seeds))

    def observed(n: int) -> np.ndarray[Any, Any]:
        pairs = bench.digits.pairs(PairKind("unet", n, "different"))
        return np.stack([np.mean((a - b) ** 2, axis=1) for a, b in pairs])

    fitted = calibrate_seeds(numbers, bench.digits.posterior.seeds, observed(100), n=100)
    assert 2.0 < fitted.exponent < 3.5  # a constant amount, as for seeds that nothing orders, would be 0
    assert fitted.relative().mean() == pytest.approx(1.0)
    factors = fitted.factors(observed(300))
    assert 0.72 < np.mean((factors >= fitted.low) & (factors <= fitted.high)) < 0.88
    flat = observed(300) / observed(300).mean(axis=1, keepdims=True)
    assert np.log(factors).std() < 0.97 * np.log(flat).std()


@pytest.mark.parametrize(
    ("variance", "observed", "message"),
    [
        ([1.0, 2.0], [[1.0, 2.0, 3.0]], "posterior_variance must hold one value for each of 3 seeds"),
        ([1.0, 2.0, 3.0], [[1.0, 0.0, 3.0]], "observed must be above 0, got 0.0"),
        ([1.0, 2.0, np.nan], [[1.0, 1.0, 3.0]], "posterior_variance"),
    ],
)
def test_seeds_that_cannot_be_calibrated_are_refused(
    variance: list[float], observed: list[list[float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate_seeds(np.arange(3), np.array(variance), np.array(observed), n=10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"about": {"data": {"data": "/etc/passwd"}}}, "data must be one of .*digits.*, got '/etc/passwd'"),
        ({"about": {"seeds": 511}}, "images must hold 511 seeds, as many as the set"),
        ({"about": {"facts": 3}}, "about: facts must be named values, got 3"),
        ({"about": {"sigma_max": "80"}}, "sigma_max must be a finite number of at least 0, got '80'"),
        ({"networks": [["unet", 100, 0, "A"]]}, r"networks\[0\] must hold arch, n, repeat, split, member"),
        ({"networks": [["unet", -1, 0, "A", 0]]}, "n must be a whole number of at least 2, got -1"),
        ({"networks": []}, "networks must hold 27 different networks"),
        ({"scale": np.array([1.0, np.nan])}, r"scale must hold finite float64 of shape \(2\), got nan"),
        ({"scale": np.array([1.0, 0.0])}, "scale must hold a lower and a higher value"),
        ({"fine": np.zeros((27, 4, 63), np.uint8)}, "fine must hold .* with d = 64|images must hold .* with d = 63"),
        ({"images": np.zeros(3)}, "images must hold finite uint8 of shape"),
    ],
)
def test_sets_that_contradict_themselves_are_refused(
    bench: SimpleNamespace, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    bench.seedsets.save(tmp_path / "copy.npz", bench.digits)
    with np.load(tmp_path / "copy.npz") as file:
        parts = {name: file[name] for name in file.files}
    for name, value in change.items():
        if isinstance(value, dict):
            value = json.loads(str(parts[name])) | value
        parts[name] = value if isinstance(value, np.ndarray) else np.array(json.dumps(value))
    np.savez_compressed(tmp_path / "copy.npz", **parts)
    with pytest.raises(bench.seedsets.SeedSetError, match=f"copy.npz is damaged: .*({message})"):
        bench.seedsets.load("copy", tmp_path)


def test_a_changed_byte_of_a_set_is_noticed(bench: SimpleNamespace, tmp_path: Path) -> None:
    """Or changes nothing: zip archives hold times and attributes that nobody reads."""
    small = bench.seedsets.SeedSet("small", bench.digits.about, bench.digits.networks, bench.digits.samples)
    path = tmp_path / "small.npz"
    bench.seedsets.save(path, small)
    whole, right = path.read_bytes(), bench.seedsets.load("small", tmp_path).samples
    rng = np.random.default_rng(0)
    noticed = 0
    for place in (*rng.integers(0, len(whole), 12), *rng.integers(len(whole) - 600, len(whole), 12), 30, 60, 100):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            np.testing.assert_array_equal(bench.seedsets.load("small", tmp_path).samples, right)
        except bench.seedsets.SeedSetError:
            noticed += 1
    assert noticed > 12
