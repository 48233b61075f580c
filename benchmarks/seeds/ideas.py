"""Score the variants of the posterior variance that were tried: ``python benchmarks/seeds/ideas.py [--folder DIR] [NAME ...]``.

Each variant was written down with its rule before it was scored: it passes if it orders the seeds better than the posterior
variance by 0.02 on the mean over the sets, and on no set worse by more than 0.02. The results are in docs/networks.md, "What was
tried".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kappaflow._statistics import rank_correlation
from kappaflow.maps import Map
from kappaflow.models.posterior import posterior_level, posterior_variance
from kappaflow.validation.network.members import PairKind

from seedsets import FOLDER, SeedSet, available, load  # isort: skip

__all__ = ["IDEAS", "main", "set_score"]

FloatArray = npt.NDArray[np.float64]

#: A variant passes if it is better by so much on the mean over the sets, and on no set worse by more.
MARGIN = 0.02
#: Kinds of pairs that are scored.
ARMS = ("same", "different")
#: Noise levels of the sum along the trajectory, and how far below σ* the lowest is.
LEVELS, LOWEST = 25, 30.0
#: Share of the variance in the modes of the feature space.
SHARE = 0.9
#: Random filters, and their side.
FILTERS, SIDE = 64, 3
#: Seeds whose weights are computed at once.
BLOCK = 64


# ---------------------------------------------------------------- ideas
def usual(data: SeedSet) -> FloatArray:
    """The posterior variance at σ*."""
    return data.posterior.seeds


def trivial(data: SeedSet) -> FloatArray:
    """The grey linear image."""
    return data.posterior.trivial


def independent_levels(data: SeedSet) -> FloatArray:
    """∫ Σₖ gₖ² vₖ d log σ: what differs at each level is carried to σ = 0 by the linear flow, variances add."""
    return sum((gain**2 * spread).sum(axis=1) * width for gain, spread, width in _levels(data))


def coherent_levels(data: SeedSet) -> FloatArray:
    """Σₖ (∫ gₖ √vₖ d log σ)²: the same where the differences of all levels have one direction, amplitudes add."""
    return (sum(gain * np.sqrt(spread) * width for gain, spread, width in _levels(data)) ** 2).sum(axis=1)


def _levels(data: SeedSet) -> Iterator[tuple[FloatArray, FloatArray, float]]:
    """At each level the gain of each mode to σ = 0, the variance (Z, k) of the images' modes, and the step of log σ."""
    population, most = data.context.population, data.context.sigma_max
    lowest = posterior_level(population, None, most) / LOWEST
    sigmas, width = np.geomspace(lowest, most * (1 - 1e-9), LEVELS), np.log(most / lowest) / (LEVELS - 1)
    modes = [(k, k + 1) for k in range(len(population.eigenvalues))]
    for sigma in sigmas:
        answer = posterior_variance(
            population,
            data.context.noise["seeds"],
            images=data.context.images,
            sigma=float(sigma),
            sigma_max=most,
            bands=modes,
            least_perplexity=0,
        )
        assert answer.bands is not None
        yield Map.sampling(0.0, float(sigma)).gain(population.eigenvalues), answer.bands, float(width)


def patches_in_place(data: SeedSet) -> FloatArray:
    """Mean posterior variance of nine patches of half the side, each among the images' patches at its place."""
    crops = _crops(data)
    spreads = []
    for crop in crops:
        images = data.context.images[:, crop]
        level = np.sqrt(0.5 * images.var(axis=0).sum())
        spreads.append(_variance(_states(data, level)[:, crop], images, level))
    return np.mean(spreads, axis=0)


def patches_anywhere(data: SeedSet) -> FloatArray:
    """The same among the images' patches at all nine places."""
    crops = _crops(data)
    images = np.concatenate([data.context.images[:, crop] for crop in crops])
    level = np.sqrt(0.5 * images.var(axis=0).sum())
    states = _states(data, level)
    return np.mean([_variance(states[:, crop], images, level) for crop in crops], axis=0)


def _crops(data: SeedSet) -> list[npt.NDArray[np.int64]]:
    """Pixels of nine patches of half the side, at the start, in the middle and at the end of both axes."""
    height, width = data.context.shape[:2]
    numbers = np.arange(data.context.images.shape[1]).reshape(height, width, -1)
    half = height // 2
    starts = [0, round((height - half) / 2), height - half]
    return [numbers[y : y + half, x : x + half].ravel() for y in starts for x in starts]


def leading_modes(data: SeedSet) -> FloatArray:
    """The posterior variance in the leading modes that hold 90 % of the variance."""
    population = data.context.population
    share = np.cumsum(population.eigenvalues) / population.total_variance
    vectors = population.eigenvectors
    assert vectors is not None
    kept = vectors[:, : int(np.searchsorted(share, SHARE)) + 1]
    level = np.sqrt(0.5 * population.eigenvalues[: kept.shape[1]].sum())
    return _variance(
        (_states(data, level) - population.mean) @ kept, (data.context.images - population.mean) @ kept, level
    )


def random_features(data: SeedSet) -> FloatArray:
    """The variance of the images whose random convolutional features are those of the linear image."""
    images, linear = _features(data, data.context.images), _features(data, data.linear)
    return _variance(linear, images, np.sqrt(0.5 * images.var(axis=0).sum()), averaged=data.context.images)


def _features(data: SeedSet, rows: FloatArray) -> FloatArray:
    """Means over 2 × 2 pixels of what is positive in the answers of random filters."""
    height, width = data.context.shape[:2]
    pictures = np.moveaxis(rows.reshape(len(rows), height, width, -1), -1, 1)
    filters = np.random.default_rng(0).standard_normal((FILTERS, pictures.shape[1], SIDE, SIDE)) / SIDE
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (SIDE, SIDE), axis=(2, 3))
    answers = np.maximum(np.einsum("ncyxij,fcij->nfyx", windows, filters, optimize=True), 0)
    high, wide = (size // 2 for size in answers.shape[-2:])
    pooled = answers[..., : 2 * high, : 2 * wide].reshape(len(rows), FILTERS, high, 2, wide, 2).mean(axis=(3, 5))
    return pooled.reshape(len(rows), -1)


def _states(data: SeedSet, sigma: float) -> FloatArray:
    """(Z, d) the linear trajectory at a noise level, in pixels."""
    at_level = Map.sampling(float(sigma), data.context.sigma_max)
    population = data.context.population
    gain, outside = at_level.gain(population.eigenvalues), float(at_level.gain(np.zeros(1))[0])
    return population.apply(data.context.noise["seeds"], gain, null_gain=outside)


def _variance(states: FloatArray, images: FloatArray, sigma: float, averaged: FloatArray | None = None) -> FloatArray:
    """(Z,) variance of `averaged`, or else of the images, with the weights of each state, by value."""
    values = images if averaged is None else averaged
    norms, squares, spreads = (images**2).sum(axis=1), (values**2).sum(axis=1), []
    for start in range(0, len(states), BLOCK):
        logits = (states[start : start + BLOCK] @ images.T - 0.5 * norms) / sigma**2
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        spreads.append(weights @ squares - ((weights @ values) ** 2).sum(axis=1))
    return np.concatenate(spreads) / values.shape[1]


#: Name → what it expects of each seed, (Z,): larger where more disagreement is expected.
IDEAS: dict[str, Callable[[SeedSet], FloatArray]] = {
    "posterior variance": usual,
    "grey linear image (trivial)": trivial,
    "through the flow, variances add": independent_levels,
    "through the flow, amplitudes add": coherent_levels,
    "patches, in their place": patches_in_place,
    "patches, anywhere": patches_anywhere,
    "leading modes": leading_modes,
    "random convolutional features": random_features,
}


# ---------------------------------------------------------------- scores
def set_score(data: SeedSet, predicted: FloatArray) -> float:
    """Mean over n and the pairs with other images of the rank correlation with the mean of the pairs."""
    kinds = [kind for kind in data.kinds if kind.arm in ARMS]
    return float(np.mean([rank_correlation(predicted, _mean_disagreement(data, kind)).value for kind in kinds]))


def _mean_disagreement(data: SeedSet, kind: PairKind) -> FloatArray:
    """(Z,) of the pairs of one kind."""
    return np.mean([((a - b) ** 2).mean(axis=1) for a, b in data.pairs(kind)], axis=0)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ideas", nargs="*", metavar="NAME", help=f"{', '.join(IDEAS)} (default: all)")
    parser.add_argument("--folder", type=Path, action="append", default=[], help="also score the sets in this folder")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.ideas if name not in IDEAS]
    if unknown:
        parser.error(f"NAME must be one of {', '.join(IDEAS)}; got {unknown[0]!r}")
    names = list(dict.fromkeys(["posterior variance", *(options.ideas or IDEAS)]))
    sets = [load(name, folder) for folder in (FOLDER, *options.folder) for name in available(folder)]
    print("| | " + " | ".join(data.name for data in sets) + " | mean | passes |\n|" + "---|" * (len(sets) + 3))
    usual_scores = np.array([])
    for name in names:
        scores = np.array([set_score(data, IDEAS[name](data)) for data in sets])
        usual_scores = usual_scores if usual_scores.size else scores
        gain = scores - usual_scores
        passes = "–" if name == names[0] else "yes" if gain.mean() >= MARGIN and gain.min() >= -MARGIN else "no"
        cells = [f"{value:.3f}".replace("-", "−") for value in (*scores, scores.mean())]
        print(f"| {name} | " + " | ".join(cells) + f" | {passes} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
