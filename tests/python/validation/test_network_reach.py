"""The order of modes is judged against what pairs of exact linear models reach: no verdict against the theory where it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from kappaflow.models.denoisers import LinearDenoiser  # noqa: E402
from kappaflow.models.layout import to_tensor  # noqa: E402
from kappaflow.report.network import headline, verdict_lines  # noqa: E402
from kappaflow.sampling import SIGMA_MAX, SIGMA_MIN  # noqa: E402
from kappaflow.validation.network.context import make_context  # noqa: E402
from kappaflow.validation.network.given import Given, compare_given  # noqa: E402
from kappaflow.validation.network.order import UNKNOWN_REACH, Reach  # noqa: E402

FloatArray = npt.NDArray[np.float64]


def fields(count: int, side: int, *, power: float, channels: int = 1, seed: int = 0) -> FloatArray:
    """Independent Gaussian fields with a spectrum |k|^(−2 power), in rows; white with power 0."""
    frequencies = np.fft.fftfreq(side)
    k = np.sqrt(frequencies[:, None] ** 2 + frequencies[None] ** 2)
    white = np.random.default_rng(seed).standard_normal((count, channels, side, side))
    drawn = np.fft.ifft2(np.fft.fft2(white) / (k + 1 / (2 * side)) ** power).real
    return (0.3 * drawn / drawn.std()).reshape(count, -1)


def compared(
    images: FloatArray, shape: tuple[int, ...], n: int, *, split: int, seeds: int = 64, models: Any = None
) -> Any:
    """A pair of exact linear models of disjoint sets, or of `models` made from them."""
    context = make_context(images, shape, seeds=seeds, sampler_steps=30, manipulated=False, profiles=0)
    order = np.random.default_rng(split).permutation(len(images))
    sets = [images[order[:n]], images[order[n : 2 * n]]]
    exact = [LinearDenoiser.from_images(to_tensor(rows, shape, torch.float64)) for rows in sets]
    denoisers = tuple(exact if models is None else models(*exact))
    given = Given(("a", "b"), denoisers, SIGMA_MIN, SIGMA_MAX, SIGMA_MAX)
    return compare_given(context, given, train=sets, n=None, sampler_steps=30)


CASES = {
    "steep, grey": ((8, 8), 1.0, 200, 64),
    "few images, few seeds": ((8, 8), 1.0, 40, 16),
    "colour": ((3, 6, 6), 1.5, 150, 32),
    "nearly flat": ((8, 8), 0.5, 100, 32),
}


@pytest.mark.parametrize("name", CASES)
def test_exact_linear_pairs_get_no_verdict_against_the_theory(name: str) -> None:
    shape, power, n, seeds = CASES[name]
    channels, side = (shape[0] if len(shape) == 3 else 1), shape[-1]
    images = fields(1000, side, power=power, channels=channels)
    heads = [headline(compared(images, shape, n, split=split, seeds=seeds)) for split in range(3)]
    assert [head.mood for head in heads] == ["yes"] * 3
    assert "exact linear models of such splits reach" in heads[0].answer


def test_white_noise_gets_no_verdict_against_the_theory() -> None:
    """All modes differ alike, but for chance."""
    found = compared(fields(800, 6, power=0.0), (6, 6), 100, split=0, seeds=16)
    assert headline(found).mood in ("yes", "partly")


def test_what_an_order_at_random_reaches_is_not_judged() -> None:
    chance, clear, unknown = Reach(0.05, 0.3, 0.5, 20), Reach(0.6, 0.7, 0.8, 20), UNKNOWN_REACH
    assert [chance.verdict(value) for value in (-0.2, 0.0, 0.4, 0.9)] == [None, None, None, True]
    assert [clear.verdict(value) for value in (0.0, 0.45, 0.55, 0.9)] == [False, False, True, True]
    assert [unknown.verdict(value) for value in (0.5, 0.79, 0.81)] == [False, False, True]


def test_another_order_is_still_a_verdict() -> None:
    """A pair that differs in the strongest modes alone, where the theory says least."""

    def turned(first: LinearDenoiser, _other: LinearDenoiser) -> tuple[LinearDenoiser, LinearDenoiser]:
        vectors, values = first._vectors.clone(), first._values
        generator = torch.Generator().manual_seed(0)
        turn, _ = torch.linalg.qr(torch.randn(12, 12, generator=generator, dtype=torch.float64))
        half = torch.matrix_exp(0.1 * (turn - turn.T))
        vectors[:, :12] = vectors[:, :12] @ half
        return first, LinearDenoiser(first._mean, 1.001 * values, vectors)

    images = fields(1000, 8, power=1.5)
    found = compared(images, (8, 8), 200, split=0, models=turned)
    head = headline(found)
    (row,) = [score for score in found.predictor_scores if score.predictor == "gaussian"]
    assert row.relative.value < 0.3
    assert row.reach.low > 0.5
    assert head.mood == "no"
    assert "exact linear models of such splits reach" in head.answer


def test_a_failed_gate_says_why() -> None:
    """Models of images in [0, 255], and models that draw one image, beside data in [−1, 1]."""
    images = fields(400, 6, power=1.0)
    for change, words in (
        (lambda a, b: (a, lambda x, sigma: 127.5 * (a(x / 127.5, sigma / 127.5) + 1)), "model B: "),
        (lambda a, b: (lambda x, sigma: 0 * x, b), "model A: "),
    ):
        found = compared(images, (6, 6), 60, split=1, seeds=16, models=change)
        lines = verdict_lines(found)
        (line,) = [line for line in lines if words in line]
        assert "allowed" in line
