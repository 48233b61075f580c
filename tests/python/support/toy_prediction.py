"""A small prediction from the closed forms, and the same with some fields changed."""

from dataclasses import replace

import numpy as np

from kappaflow.bands import Band
from kappaflow.consistency.diagnosis import Diagnosis
from kappaflow.consistency.experiment import LawError
from kappaflow.consistency.prediction import (
    Bands,
    Denoisers,
    ModePairs,
    Modes,
    NetworkSeeds,
    NoiseLevels,
    Prediction,
    SeedImages,
    Seeds,
    StateImages,
    Totals,
)
from kappaflow.provenance import Provenance
from kappaflow.report.numbers import ratio

SIGMA_MAX = 80.0
#: Every figure of the report in the order of the page.
FIGURES = [
    "disagreement_by_n",
    "disagreement_by_mode",
    "disagreement_by_seed",
    "seed_images",
    "network_seeds",
    "renormalised_noise",
    "shrinkage",
    "mode_pairs",
    "law_errors",
    "leverage",
    "spectrum",
    "eigenmodes",
]


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
        groups=None,
        disjoint=False,
        neighbours=None,
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
        seconds={"gaussian": 0.1, "empirical": 4.0},
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
        provenance=Provenance("A power law."),
        shape=shape,
        sample_size=None,
        group_count=None,
        versions=1,
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
            networks=network_seeds(by_seed[1], pictures, images),
        ),
        notes=("Beware of the toy.",),
        pilot="kappaflow pilot toy --arch unet",
    )


def network_seeds(by_seed, pictures, images):
    """Seeds in the opposite order of linear models, so that a mix-up shows."""
    order = np.argsort(by_seed)

    def state(index):
        shown = pictures(index)
        return StateImages(numbers=shown.numbers, mean=shown.outputs, pixel_std=shown.pixel_std)

    return NetworkSeeds(
        numbers=100 + np.arange(len(by_seed)),
        posterior_variance=1 / by_seed,
        perplexity=np.linspace(20.0, 30.0, len(by_seed)),
        sigma=1.5,
        images=90,
        most=state(order[:images]) if images else None,
        least=state(order[::-1][:images]) if images else None,
    )


def changed(prediction, **parts):
    """The prediction with other facts, and with other fields of its parts where a part is a dictionary."""
    nested = {k: replace(getattr(prediction, k), **v) if isinstance(v, dict) else v for k, v in parts.items()}
    return replace(prediction, **nested)
