"""A validation made by hand, without torch, as input of the report of theory against simulation."""

from types import MappingProxyType

import numpy as np

from kappaflow.bands import default_bands
from kappaflow.maps import Map
from kappaflow.provenance import Provenance
from kappaflow.validation.laws import ComparedLaw
from kappaflow.validation.linear.quantities import QUANTITIES
from kappaflow.validation.linear.results import (
    Comparison,
    Counterfactual,
    KappaCurves,
    LinearData,
    LinearSetup,
    SizeScaling,
    StepError,
    Validation,
)
from kappaflow.validation.metrics import agreement

GROUPS = 12
LAWS = MappingProxyType(
    {
        "gaussian": ComparedLaw("gaussian", "Gaussian law", {"law": "gaussian"}),
        "other": ComparedLaw("other", "other law", {"law": "empirical"}),
        "published": ComparedLaw("published", "published law", {"law": "gaussian", "terms": "published"}),
    }
)
#: Quantities of the toy, and what they are called.
TITLES = MappingProxyType(
    {name: quantity.title for name, quantity in QUANTITIES.items() if name != "equal_mode_variance"}
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
        names=("i.i.d.", "top", "bottom"),
        component=0,
        n=60,
        draws=40,
        label="sampling map",
        simulated=simulated,
        interval_low=0.95 * simulated,
        interval_high=1.05 * simulated,
        predicted={"gaussian": 0.9 * simulated},
        predicted_limit=limit,
    )


def toy_data(shape, eigenvalues, kind):
    """A power law, from a pool or Gaussian."""
    return LinearData(
        source="toy",
        provenance=Provenance("A power law."),
        shape=shape,
        dimension=eigenvalues.size,
        eigenvalues=eigenvalues,
        pool_size=None if kind == "gaussian" else 1000,
        total_images=None if kind == "gaussian" else 1500,
    )


def step_error(n, steps, gain, bands):
    """A sampler whose error falls with the fourth power of its steps."""
    ones = np.ones(bands)
    return StepError(
        n=n,
        steps=steps,
        discretisation=ones / steps**4,
        finite_data=ones / n,
        shrinkage=0.1 * ones / n,
        gain=gain,
        gain_map=gain,
        gain_ideal=gain,
    )


def make_validation(
    shape=(4, 4),
    *,
    sizes=(20, 60, 200),
    laws=("gaussian", "published"),
    off=None,
    denoisers=(0.1, 1.0),
    inputs=6,
    zeros=0,
    trajectory=True,
    steps=(18, 35),
    quantities=tuple(TITLES),
    kind="resample",
    noise=0.05,
):
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
                    fields = {"quantity": quantity, "law": law, "n": n, "subject": key, "label": label}
                    found.append(Comparison(**fields, entries=entries, agreement=result))
    curve_n = np.geomspace(10, 2000, 12)
    curves = {law: np.linspace(1, 2, len(bands)) / curve_n[:, None] / off(law, "bands", "map_0", 0) for law in laws}
    kappa = {law: np.array([grid + 0.2 / n for n in sizes]) / off(law, "kappa", "", 0) for law in laws}
    return Validation(
        data=toy_data(shape, s, kind),
        setup=LinearSetup(
            sampling=kind,
            mean="estimated",
            sigma_max=80.0,
            n=tuple(sizes),
            draws=(48,) * len(sizes),
            groups=(GROUPS,) * len(sizes),
            input_seeds=tuple(range(inputs)),
            seed=0,
            device="cpu",
            laws=tuple(LAWS[law] for law in laws),
            quantities=tuple(QUANTITIES[name] for name in quantities),
            maps=(*maps, *(Map.heun(count) for count in steps)),
            bands=tuple(bands),
        ),
        comparisons=tuple(found),
        kappa=KappaCurves(tuple(sizes), noise_variances=grid, curves=kappa),
        scaling=SizeScaling("map_0", curve_n, curves),
        step_errors=tuple(step_error(n, count, s, len(bands)) for n in sizes for count in steps),
        counterfactual=strata(rng),
        notes=("Beware of the toy.",),
    )


def only(law, factor, quantity=None):
    """Off by that factor for one law, in one quantity or all."""
    return lambda a_law, a_quantity, *_: factor if a_law == law and quantity in (None, a_quantity) else 1.0
