"""Validations of networks made by hand, as input of the report on networks."""

from __future__ import annotations

import dataclasses

import numpy as np

from kappaflow.bands import default_bands
from kappaflow.disagreement import Disagreement
from kappaflow.provenance import Provenance
from kappaflow.validation.laws import compared_laws
from kappaflow.validation.metrics import correlate
from kappaflow.validation.network.order import UNKNOWN_REACH
from kappaflow.validation.network.results import (
    ANOTHER_PAIR,
    POSTERIOR,
    TRIVIAL,
    AmountScore,
    Baseline,
    Forecast,
    Gallery,
    Manipulation,
    NetworkData,
    NetworkPair,
    NetworkSetup,
    NetworkValidation,
    PredictorScore,
    SeedScore,
    StrataMatrix,
)
from kappaflow.validation.network.runs import LinearFit, ModeVariance, NearestImages, Quality, Run, TrainingFacts

Z, SIGMA = 40, np.array([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0])
S = 1 / np.arange(1, 17.0) ** 1.5

LAWS = tuple(compared_laws()[name] for name in ("gaussian", "empirical"))


def quality(passed: bool) -> Quality:
    ratio = 0.9 if passed else 1.7
    bands = np.array([0.5, 0.3, 0.2, 0.1])
    failure = "denoising loss 1.7 times the linear denoiser's at σ = 0.1 (allowed: at most 1.15)"
    return Quality(
        passed=passed,
        reasons=() if passed else (failure,),
        sigma=SIGMA,
        held_out=ratio * SIGMA,
        held_out_linear=SIGMA,
        own=ratio * SIGMA,
        own_linear=SIGMA,
        variance=bands,
        variance_data=bands,
        excess=0.01,
        distance=0.4,
        distance_data=0.3,
        distance_linear=0.5,
    )


def run(arch: str, n: int, split: str, member: int, passed: bool) -> Run:
    rng = np.random.default_rng(n + member)
    own = 0.2 + 0.1 * rng.random(Z)
    return Run(
        key=f"{arch} n={n} {split}{member} repeat 1",
        arch=arch,
        n=n,
        repeat=0,
        split=split,
        member=member,
        training=TrainingFacts(steps=400, parameters=12_345, seconds=12.0),
        quality=quality(passed),
        variance=ModeVariance(generated=0.9 * S, linear=0.8 * S),
        linear_fit=LinearFit(
            own=0.7 if passed else -5.0, own_zero=0.9, pooled=0.7, population=0.7, distance=0.1 * rng.random(Z)
        ),
        nearest=NearestImages(
            own=own, other=own + 0.01, auc=0.9 if n == 30 else 0.55, memorised=0.6 if n == 30 else 0.0
        ),
    )


def pair(arch: str, n: int, arm: str, passed: bool, size: float) -> NetworkPair:
    rng = np.random.default_rng(n)
    seeds = size / n * np.exp(0.3 * rng.standard_normal(Z))
    modes = seeds.mean() * S**0.7 / np.sum(S**0.7)
    bands = np.array([modes[b.start : b.stop].sum() for b in default_bands(16, 4)])
    keys = {"same": ("A0", "B0"), "different": ("A0", "B1"), "floor": ("B0", "B1"), "given": ("A0", "B0")}[arm]
    return NetworkPair(
        arch=arch,
        n=n,
        repeat=0,
        arm=arm,
        runs=(f"{arch} n={n} {keys[0]} repeat 1", f"{arch} n={n} {keys[1]} repeat 1"),
        trained=passed,
        disagreement=Disagreement(
            seeds=seeds,
            modes=modes,
            bands=bands,
            unrelated=1.0,
            unrelated_modes=S / S.sum(),
            unrelated_bands=np.array([0.6, 0.2, 0.1, 0.1]),
        ),
        pixels=np.full((4, 4), seeds.mean()),
        sigma=SIGMA,
        denoiser=seeds.mean() * SIGMA,
    )


def half(whole: Disagreement) -> Disagreement:
    """Half as far apart, beside the same unrelated seeds."""
    return dataclasses.replace(whole, seeds=whole.seeds / 2, modes=whole.modes / 2, bands=whole.bands / 2)


ARMS = ("same", "different", "floor")


def passes(arch: str, n: int) -> bool:
    """Whether a run passes the gate: the DiT at the smallest n does not."""
    return (arch, n) != ("dit", 30)


def scores(arch: str, n: int, arm: str, same: NetworkPair, rng: np.random.Generator) -> list[PredictorScore]:
    """How well each predictor does on one pair."""
    rows = []
    for name in ("gaussian", "empirical", "linear"):
        by_seed = correlate(same.disagreement.seeds * np.exp(0.2 * rng.standard_normal(Z)), same.disagreement.seeds)
        by_mode = correlate(same.disagreement.modes, same.disagreement.modes)
        rows.append(
            PredictorScore(
                arch=arch,
                n=n,
                arm=arm,
                predictor=name,
                pairs=1,
                seeds=by_seed,
                modes=by_mode,
                relative=by_mode,
                reach=UNKNOWN_REACH,
                seeds_pearson=by_seed,
                modes_pearson=by_mode,
                relative_pearson=by_mode,
                factor=2.0,
                factor_bands=np.full(4, 2.0),
            )
        )
    return rows


def seed_scores(arch: str, n: int, arm: str, rng: np.random.Generator) -> list[SeedScore]:
    """How well each predictor orders the seeds: the posterior variance well, the laws at random."""
    observed = rng.standard_normal(Z)
    noise = {POSTERIOR: 0.3, TRIVIAL: 2.0, "gaussian": 1e3, "empirical": 1e3, "linear": 1e3, ANOTHER_PAIR: 1.0}
    return [
        SeedScore(
            arch=arch,
            n=n,
            arm=arm,
            predictor=name,
            pairs=3,
            single=0.5 / (1 + size),
            mean=correlate(observed + size * rng.standard_normal(Z), observed),
            reliability=0.36,
            tenths=1.0 + 1 / size,
            pixels=0.7 if name == POSTERIOR else float("nan"),
        )
        for name, size in noise.items()
    ]


def manipulations(arch: str, n: int, arm: str) -> list[Manipulation]:
    """Seeds with the top and the bottom modes switched off, doubled and as they are."""
    rows = []
    for part, modes in (("top", (0, 2)), ("bottom", (8, 16))):
        for factor in (0.0, 2.0, 1.0):
            value = 0.1 * (1 + factor) / n
            predicted = {"gaussian": value / 2, "empirical": value}
            rows.append(
                Manipulation(
                    arch=arch,
                    n=n,
                    arm=arm,
                    part=part,
                    modes=modes,
                    factor=factor,
                    observed=value,
                    linear=value / 2,
                    predicted=predicted,
                )
            )
    return rows


def matrix_of_strata(arch: str) -> StrataMatrix:
    """Five strata, one pair of them undertrained."""
    matrix = 0.1 + np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    observed = matrix.copy()
    observed[0, 4] = observed[4, 0] = np.nan
    names = ("i.i.d.", "top", "bottom", "middle", "top + bottom")
    return StrataMatrix(
        arch=arch,
        n=200,
        component=0,
        names=names,
        observed=observed,
        linear=matrix,
        predicted={"empirical": matrix},
        unrelated=1.0,
    )


def validation(archs: tuple[str, ...] = ("unet", "dit"), sizes: tuple[int, ...] = (30, 200, 900)) -> NetworkValidation:
    """Two architectures, three sizes, all arms; the DiT at the smallest n fails the gate, with absurd numbers."""
    rng = np.random.default_rng(0)
    runs = [run(a, n, s, m, passes(a, n)) for a in archs for n in sizes for s, m in (("A", 0), ("B", 0), ("B", 1))]
    pairs = [pair(a, n, arm, passes(a, n), 10.0 if passes(a, n) else 1e5) for a in archs for n in sizes for arm in ARMS]
    forecasts, predictions, baselines, changes, by_seed = [], [], [], [], []
    for n in sizes:
        same = next(p for p in pairs if p.n == n and p.arm == "same")
        other = half(same.disagreement)
        baselines += [Baseline(kind, n, repeat=0, disagreement=other) for kind in ("linear", "memorising")]
        forecasts += [
            Forecast(law, n, disagreement=other, gain=np.sqrt(0.9 * S) / 80, denoiser=same.denoiser / 2)
            for law in ("gaussian", "empirical")
        ]
    for a in archs:
        for n in sizes:
            for arm in ARMS[:2] if passes(a, n) else ():
                same = next(p for p in pairs if (p.arch, p.n, p.arm) == (a, n, "same"))
                predictions += scores(a, n, arm, same, rng)
                changes += manipulations(a, n, arm)
                by_seed += seed_scores(a, n, arm, rng)
    galleries = [
        Gallery(
            arch=a,
            n=n,
            arm="same",
            trained=passes(a, n),
            seeds=tuple(range(5)),
            rows=tuple((f"row {i}", rng.random((5, 4, 4)) * 2 - 1) for i in range(6)),
        )
        for a in archs
        for n in sizes
    ]
    return NetworkValidation(
        data=NetworkData(
            source="pictures", provenance=Provenance("made up"), shape=(4, 4), dimension=16, images=2000, eigenvalues=S
        ),
        setup=NetworkSetup(
            n=sizes,
            archs=archs,
            arms=ARMS,
            repeats=1,
            seeds=np.arange(Z),
            sigma_max=80.0,
            sampler_steps=35,
            preset="quick",
            device="cpu",
            seed=0,
            laws=LAWS,
            bands=default_bands(16, 4),
        ),
        runs=tuple(runs),
        pairs=tuple(pairs),
        baselines=tuple(baselines),
        forecasts=tuple(forecasts),
        predictor_scores=tuple(predictions),
        seed_scores=tuple(by_seed),
        amounts=tuple(
            AmountScore(
                arch=a, n=n, pilots=sizes[:i], observed=0.1 + 1 / n, predicted=0.1 + 2 / n, law=2 / n, floor=0.1
            )
            for a in archs
            for i, n in enumerate(sizes)
            if i
        ),
        galleries=tuple(galleries),
        manipulations=tuple(changes),
        strata=tuple(matrix_of_strata(arch) for arch in archs),
        notes=("mind <this>",),
    )


def given() -> NetworkValidation:
    """Two models of unknown training sets."""
    full = validation(("unet",), (30,))
    runs = tuple(dataclasses.replace(r, arch="given", n=0, key=f"given {r.split}{r.member}") for r in full.runs[:2])
    one = dataclasses.replace(
        next(p for p in full.pairs if p.arm == "same"), arch="given", n=0, arm="given", runs=(runs[0].key, runs[1].key)
    )
    shown = dataclasses.replace(full.galleries[0], arch="given", n=0, arm="given")
    return dataclasses.replace(
        full,
        setup=dataclasses.replace(full.setup, archs=("given",), n=(0,), arms=("given",)),
        runs=runs,
        pairs=(one,),
        forecasts=(),
        predictor_scores=(),
        seed_scores=(),
        amounts=(),
        baselines=(),
        galleries=(shown,),
        manipulations=(),
        strata=(),
    )


def failed() -> NetworkValidation:
    """No run passes."""
    full = validation(("unet",))
    runs = tuple(dataclasses.replace(r, quality=quality(False)) for r in full.runs)
    pairs = tuple(dataclasses.replace(p, trained=False) for p in full.pairs)
    galleries = tuple(dataclasses.replace(g, trained=False) for g in full.galleries)
    strata = tuple(dataclasses.replace(b, observed=np.full((5, 5), np.nan)) for b in full.strata)
    return dataclasses.replace(
        full,
        runs=runs,
        pairs=pairs,
        predictor_scores=(),
        seed_scores=(),
        amounts=(),
        manipulations=(),
        galleries=galleries,
        strata=strata,
    )
