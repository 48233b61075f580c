"""Pilots made by hand, as input of their report: networks that follow D = F + c·law exactly, with law = 8/n."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from kappaflow.pilot.amount import Amount, SizeObserved, fit_amount
from kappaflow.pilot.results import ForecastAt, Needed, Pilot, PilotSeeds, PilotSetup, ShorterTraining, TrainingLength
from kappaflow.provenance import Provenance
from kappaflow.validation.network.results import Gallery, NetworkData, NetworkPair
from toy_networks import S, Z, pair, run

FLOOR, DATA, OPTIMISATION, DATA_FLOOR = 0.04, 2.0, 0.8, 0.015
IMAGES, STEPS = 2000, 400
SCATTER = (0.95, 1.05)  # of the two pairs of each kind and size around their mean
ARMS = {"different": ("A0", "B1"), "floor": ("B0", "B1"), "same": ("A0", "B0")}
#: Disagreement on the same images by steps: trainings of two lengths that pass, after one that fails.
LENGTHS = {"falls": (0.2, 0.08, 0.05), "rises": (0.02, 0.05, 0.08), "unknown": (0.02, 0.05, 0.08)}


def law(n: float) -> float:
    return 8 / n


def amount_of(arm: str, n: int) -> float:
    """Disagreement of a kind of pairs by the model."""
    floor, factor = {"different": (FLOOR, DATA), "floor": (FLOOR, OPTIMISATION), "same": (DATA_FLOOR, DATA)}[arm]
    return floor + factor * law(n)


def toy_pair(arm: str, n: int, repeat: int, passed: bool) -> NetworkPair:
    """A pair with that disagreement, higher on later seeds."""
    made = pair("unet", n, arm, passed, 10.0)
    scatter = np.exp(0.3 * np.random.default_rng(n + repeat).standard_normal(Z))
    seeds = np.linspace(0.5, 2.0, Z) * scatter
    seeds *= SCATTER[repeat] * amount_of(arm, n) / seeds.mean()
    return dataclasses.replace(made, repeat=repeat, disagreement=dataclasses.replace(made.disagreement, seeds=seeds))


def observed(pairs: Sequence[NetworkPair], n: int, *, alone: bool) -> SizeObserved:
    kinds = {arm: np.array([p.disagreement.ratio for p in pairs if (p.n, p.arm) == (n, arm)]) for arm in ARMS}
    kept = kinds["same"] if alone else np.empty(0)
    return SizeObserved(n=n, law=law(n), everything=kinds["different"], same_images=kinds["floor"], data_alone=kept)


def forecast(amount: Amount, n: int) -> ForecastAt:
    value = law(n)
    return ForecastAt(
        n=n,
        law=value,
        everything=amount.everything(value),
        data_alone=amount.data_alone(value),
        same_images=amount.same_images(value),
    )


def needed(amount: Amount, tolerance: float, curve: Sequence[ForecastAt]) -> Needed:
    def size(value: float) -> float:
        n = math.inf if value <= 0 else math.ceil(8 / value - 1e-9)
        return n if math.isinf(n) else math.nan if n > curve[-1].n else float(max(n, curve[0].n))

    wanted = amount.law_for(tolerance)
    return Needed(tolerance=tolerance, n=size(wanted.value), low=size(wanted.high), high=size(wanted.low))


def toy_length(kind: str) -> TrainingLength:
    """What trainings of 100, 200 and 400 steps show; the first fails the gate, and so does the second where nothing is known."""
    values = LENGTHS[kind]
    passed = (False, kind != "unknown", True)
    rows = [
        ShorterTraining(steps=steps, everything=1.2 * value, same_images=value, passed=ok)
        for steps, value, ok in zip((100, 200, STEPS), values, passed, strict=True)
    ]
    exponent = math.nan if kind == "unknown" else math.log2(values[1] / values[2])
    return TrainingLength(n=300, trainings=tuple(rows), exponent=exponent)


def toy_seeds(n: int, correlation: float) -> PilotSeeds:
    return PilotSeeds(
        numbers=np.arange(100, 100 + Z),
        posterior_variance=np.linspace(1.0, 2.0, Z),
        exponent=2.0 if correlation > 0 else -1.0,
        low=0.5,
        high=1.8,
        correlation=correlation,
        n=n,
    )


def toy_pilot(
    sizes: tuple[int, ...] = (100, 300),
    *,
    tolerance: float = 0.1,
    top: int = 10**6,
    failed: tuple[int, ...] = (),
    alone: bool = True,
    floors: tuple[int, ...] = (100, 300),
    length: str | None = "falls",
    correlation: float | None = 0.6,
    shape: tuple[int, ...] = (4, 4),
    networks: str = "unet",
) -> Pilot:
    """Pilots of two pairs at each size.

    Parameters
    ----------
    sizes, tolerance : of the pilots
    top : the largest n at which the law is known
    failed : sizes whose networks fail the gate
    floors : sizes with pairs on the same images
    alone : whether there are pairs that differ only in their images
    length : "falls", "rises" or "unknown" with longer training, None if it was not measured
    correlation : of the order of seeds with single pairs, None without an order
    shape, networks : of the images, and name of the networks
    """
    arms = [arm for arm in ARMS if alone or arm != "same"]
    kinds = [(arm, n) for n in sizes for arm in arms if arm != "floor" or n in floors]
    pairs = [toy_pair(arm, n, repeat, n not in failed) for arm, n in kinds for repeat in range(2)]
    runs = [run("unet", n, split, member, n not in failed) for n in sizes for split, member in (("A", 0), ("B", 1))]
    if length is not None:
        short = run("unet", sizes[-1], "A", 0, passed=False)
        runs.append(dataclasses.replace(short, training=dataclasses.replace(short.training, steps=100)))
    kept = [n for n in sizes if n not in failed]
    shown = tuple(observed(pairs, n, alone=alone) for n in kept)
    amount = fit_amount(shown)
    places = sorted({*sizes, IMAGES // 2, top, *(k * 10**e for e in range(2, 7) for k in (1, 2, 5))})
    curve = tuple(forecast(amount, n) for n in places if sizes[0] <= n <= top)
    images = np.random.default_rng(0).random((5, *shape)) * 2 - 1
    return Pilot(
        data=NetworkData(
            source="pictures", provenance=Provenance("made up"), shape=shape, dimension=16, images=IMAGES, eigenvalues=S
        ),
        setup=PilotSetup(
            networks=networks,
            n=sizes,
            repeats=2,
            steps=STEPS,
            seeds=np.arange(100, 100 + Z),
            sigma_max=80.0,
            sampler_steps=35,
            law="empirical",
            preset="laptop",
            device="cpu",
            seed=0,
        ),
        runs=tuple(runs),
        pairs=tuple(pairs),
        sizes=shown,
        amount=amount,
        curve=curve,
        tolerance=tolerance,
        needed=tuple(needed(amount, each, curve) for each in sorted({0.3, 0.1, 0.05, 0.01, tolerance}, reverse=True)),
        length=None if length is None else toy_length(length),
        seeds=None if correlation is None else toy_seeds(kept[-1], correlation),
        gallery=Gallery(
            arch="unet",
            n=kept[-1],
            arm="different",
            trained=True,
            seeds=tuple(range(100, 105)),
            rows=(("A, network", images),),
        ),
        notes=("mind <this>",),
    )
