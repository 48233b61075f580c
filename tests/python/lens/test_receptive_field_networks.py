"""Receptive fields of PyTorch denoisers against closed forms, the other direction, and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import kappaflow as kf  # noqa: E402
from kappaflow.lens.layout import SpatialLayout  # noqa: E402
from kappaflow.lens.receptive_field import (  # noqa: E402  # noqa: E402
    collapse_channels,
    difference_receptive_field,
    jacobian_rows,
    network_receptive_field,
    noised,
    receptive_field,
)
from kappaflow.models.denoisers import LinearDenoiser  # noqa: E402
from kappaflow.models.layout import to_rows, to_tensor  # noqa: E402
from kappaflow.models.scores import DeltaScore  # noqa: E402

SHAPE = (3, 4, 3)
DATA = np.random.default_rng(0).standard_normal((20, *SHAPE)) * np.linspace(2, 0.1, 36).reshape(SHAPE)
POPULATION = kf.Population.from_samples(DATA)
SIGMA = 0.6


class Toy:
    """D(x) = B tanh(A x/(1 + σ)): not symmetric, not linear, in the order of flattened tensors."""

    def __init__(self, dimension: int, seed: int = 1) -> None:
        generator = np.random.default_rng(seed)
        self.a, self.b = generator.standard_normal((2, dimension, dimension)) / np.sqrt(dimension)

    def __call__(self, x: Any, sigma: Any) -> Any:
        a, b = (torch.from_numpy(m).to(x.dtype) for m in (self.a, self.b))
        hidden = torch.tanh(x.flatten(1) @ a.T / (1 + sigma[:, None]))
        return (hidden @ b.T).reshape(x.shape)

    def jacobian(self, x: np.ndarray, sigma: float) -> np.ndarray:
        """(B, d, d) of flattened tensors (B, d)."""
        inner = 1 - np.tanh(x @ self.a.T / (1 + sigma)) ** 2
        return np.einsum("ih,bh,hj->bij", self.b, inner / (1 + sigma), self.a)


def in_library_order(j: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Jacobians of flattened tensors as those of flattened samples."""
    d = j.shape[-1]
    numbers = to_tensor(np.arange(float(d))[None], shape, torch.float64).flatten().numpy().astype(int)
    inverse = np.argsort(numbers)
    return j[:, inverse][:, :, inverse]


@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_the_linear_denoiser_has_the_linear_jacobian(direction: str) -> None:
    """Rank deficient, colour, everywhere the same; the population's rows are the reference."""
    images = to_tensor(DATA.reshape(20, -1), SHAPE, torch.float64)
    found = network_receptive_field(
        LinearDenoiser.from_images(images), DATA[:5], SIGMA, [(1, 2), (0, 0, 1)], direction=direction
    )
    grid = SpatialLayout.of_any(SHAPE)
    entries = np.concatenate([grid.entries((1, 2)), grid.entries((0, 0, 1))])
    np.testing.assert_array_equal(found.entries, entries)
    values = POPULATION.eigenvalues
    np.testing.assert_allclose(found.mean, jacobian_rows(POPULATION, values / (values + SIGMA**2), entries), atol=1e-12)
    assert np.abs(found.std).max() < 1e-13
    assert (found.count, found.sigma, found.direction) == (5, SIGMA, direction)
    grey = collapse_channels(found.mean[:3], SHAPE, "grey")
    np.testing.assert_allclose(grey, receptive_field(POPULATION, SIGMA, (1, 2), channels="grey"), atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3), (3, 5, 4), (7,)])
def test_rows_and_columns_of_a_nonlinear_toy(shape: tuple[int, ...]) -> None:
    d = int(np.prod(shape))
    toy, data = Toy(d), np.random.default_rng(3).standard_normal((9, *shape))
    x = noised(data, SIGMA, seed=5)
    tensors = to_tensor(x, shape, torch.float64).flatten(1).numpy()
    exact = in_library_order(toy.jacobian(tensors, SIGMA), shape)
    pixels: list[Any] = [0, 3] if len(shape) == 1 else [(0, 1), (2, 2)]
    for direction, axis in (("rows", 1), ("columns", 2)):
        found = network_receptive_field(
            toy, data.reshape(9, d), SIGMA, pixels, shape=shape, direction=direction, seed=5, batch=4
        )
        wanted = np.take(exact, found.entries, axis=axis)
        wanted = wanted if axis == 1 else np.swapaxes(wanted, 1, 2)
        np.testing.assert_allclose(found.mean, wanted.mean(axis=0), atol=1e-13)
        np.testing.assert_allclose(found.std, wanted.std(axis=0, ddof=1), atol=1e-13)
    assert np.abs(exact - np.swapaxes(exact, 1, 2)).max() > 0.1  # rows are not columns


@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_the_score_of_the_samples_has_the_posterior_covariance(direction: str) -> None:
    shape, points = (2, 3), np.random.default_rng(4).standard_normal((7, 6))
    tensor = torch.from_numpy(points)

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        squares = ((x.flatten(1)[:, None] - tensor) ** 2).sum(dim=2)
        return (torch.softmax(-squares / (2 * sigma[:, None] ** 2), dim=1) @ tensor).reshape(x.shape)

    x = noised(points, 0.8, seed=2)
    exponent = -((x[:, None] - points) ** 2).sum(axis=2) / (2 * 0.8**2)
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    means = weights @ points
    exact = np.einsum("bn,ni,nj->bij", weights, points, points) - np.einsum("bi,bj->bij", means, means)
    exact /= 0.8**2
    found = network_receptive_field(
        model, points, 0.8, [(0, 0), (1, 2)], shape=shape, direction=direction, seed=2, batch=3
    )
    np.testing.assert_allclose(found.mean, exact[:, [0, 5]].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.std, exact[:, [0, 5]].std(axis=0, ddof=1), atol=1e-12)
    assert found.std.max() > 0.05  # it depends on the input
    closed = np.stack([DeltaScore(points, block=3).jacobian_rows(row, 0.8, [0, 5]) for row in x])
    np.testing.assert_allclose(closed, exact[:, [0, 5]], atol=1e-12)


@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_central_differences_agree_with_differentiation(direction: str) -> None:
    toy, shape = Toy(12), (3, 4)
    data = np.random.default_rng(6).standard_normal((5, *shape))

    def rows(x: np.ndarray, sigma: Any) -> np.ndarray:
        tensors = to_tensor(x, shape, torch.float64)
        return to_rows(toy(tensors, torch.full((len(x),), float(sigma), dtype=torch.float64)), shape)

    exact = network_receptive_field(toy, data, SIGMA, [(1, 1), (0, 3)], direction=direction)
    found = difference_receptive_field(rows, data, SIGMA, [(1, 1), (0, 3)], direction=direction, batch=6)
    np.testing.assert_allclose(found.mean, exact.mean, atol=2e-7)
    np.testing.assert_allclose(found.std, exact.std, atol=2e-7)
    rough = difference_receptive_field(rows, data, SIGMA, [(1, 1), (0, 3)], direction=direction, step=0.1)
    # the error is that of the second order: 0.1/(0.6e-3) squared times larger
    assert 1e3 < np.abs(rough.mean - exact.mean).max() / np.abs(found.mean - exact.mean).max() < 1e6


def test_networks_with_weights_in_single_precision() -> None:
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: Any, sigma: Any) -> Any:
            return torch.nn.functional.silu(self.conv(x)) / (1 + sigma[:, None, None, None])

    net = Net().eval()
    data = np.random.default_rng(7).standard_normal((4, 6, 6))
    rows = network_receptive_field(net, data, SIGMA, [(2, 3)], dtype="float32")
    columns = network_receptive_field(net, data, SIGMA, [(2, 3)], dtype="float32", direction="columns")
    assert rows.mean.dtype == np.float64
    field = rows.mean[0].reshape(6, 6)
    outside = np.ones((6, 6), dtype=bool)
    outside[1:4, 2:5] = False
    assert np.all(field[outside] == 0)  # a convolution of 3 × 3 pixels sees no more
    assert np.all(field[~outside] != 0)
    assert np.all(columns.mean[0].reshape(6, 6)[outside] == 0)
    assert net.conv.weight.grad is None
    one = network_receptive_field(net, data[:1], SIGMA, [(2, 3)], dtype="float32")
    assert np.isnan(one.std).all()


@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_attention_has_both_directions(direction: str) -> None:
    """Fused attention has no forward derivative: its formula is taken instead."""
    weights = torch.from_numpy(np.random.default_rng(8).standard_normal((3, 4, 4)))

    def model(x: Any, _sigma: Any) -> Any:
        tokens = x.reshape(len(x), 1, -1, 4)
        answer = torch.nn.functional.scaled_dot_product_attention(*[tokens @ w for w in weights])
        return answer.reshape(x.shape)

    def rows(x: np.ndarray, sigma: Any) -> np.ndarray:
        return to_rows(model(to_tensor(x, (4, 4), torch.float64), sigma), (4, 4))

    data = np.random.default_rng(9).standard_normal((3, 4, 4))
    found = network_receptive_field(model, data, SIGMA, [(1, 2)], direction=direction)
    exact = difference_receptive_field(rows, data, SIGMA, [(1, 2)], direction=direction)
    np.testing.assert_allclose(found.mean, exact.mean, atol=1e-5)
    assert np.abs(found.mean).max() > 0.1


def test_bad_input() -> None:
    toy = Toy(12)
    data = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match="direction must be one of 'rows', 'columns'"):
        network_receptive_field(toy, data, 1.0, [(0, 0)], direction="both")
    with pytest.raises(ValueError, match="dtype must be one of"):
        network_receptive_field(toy, data, 1.0, [(0, 0)], dtype="float16")
    with pytest.raises(ValueError, match="sigma must be finite and above 0"):
        network_receptive_field(toy, data, 0.0, [(0, 0)])
    with pytest.raises(ValueError, match="pixels must name at least one"):
        network_receptive_field(toy, data, 1.0, [])
    for route in (network_receptive_field, difference_receptive_field):
        with pytest.raises(ValueError, match="shape must have 12 entries"):
            route(toy, data, 1.0, [(0, 0)], shape=(5, 2))  # type: ignore[operator]
    with pytest.raises(ValueError, match="data must have shape"):
        network_receptive_field(toy, np.zeros(3), 1.0, [0], shape=(3,))
    with pytest.raises(ValueError, match="denoiser must return the shape of its input"):
        difference_receptive_field(lambda x, _sigma: x[:, :3], data, 1.0, [(0, 0)])


@pytest.mark.parametrize("direction", ["rows", "columns"])
def test_networks_with_too_few_channels_or_without_numbers_are_refused(direction: str) -> None:
    """Forward differentiation would take one channel for all three, and NaN for an answer."""

    def grey(x: Any, _sigma: Any) -> Any:
        return x.mean(dim=1, keepdim=True)

    def nowhere(x: Any, _sigma: Any) -> Any:
        return x * torch.nan

    def steep(x: Any, _sigma: Any) -> Any:
        return (x - x.detach()).sqrt()  # 0 with an infinite slope

    with pytest.raises(ValueError, match=r"return the shape of its input \(5, 3, 3, 4\), got \(5, 1, 3, 4\)"):
        network_receptive_field(grey, DATA[:5], SIGMA, [(0, 0)], direction=direction)
    with pytest.raises(ValueError, match=r"denoiser must be finite, got NaN or infinity at noise level 0\.6"):
        network_receptive_field(nowhere, DATA[:5], SIGMA, [(0, 0)], direction=direction)
    with pytest.raises(
        ValueError, match=r"denoiser must have finite derivatives, got NaN or infinity at noise level 0\.6"
    ):
        network_receptive_field(steep, DATA[:5], SIGMA, [(0, 0)], direction=direction)
    with pytest.raises(ValueError, match=r"denoiser must be finite, got NaN or infinity at noise level 0\.6"):
        difference_receptive_field(lambda x, sigma: x * np.nan, DATA[:5], SIGMA, [(0, 0)], direction=direction)
