r"""How a linear denoiser learns, eigenmode by eigenmode, and the law that it generates during training.

Training is the gradient flow dθ/dτ = −η ∂L/∂θ of the loss L = E‖D(x₀ + σz; σ) − x₀‖², summed over pixels and without ½. Every
noise level σ has its own weights. The data are centred, or the bias is slaved to the weights: b = (I − W)μ. Then each eigenmode
of the data (eigenvalue λ) has its own gain ψ(σ, τ), D(x) − μ = Σₖ ψₖ uₖuₖᵀ(x − μ), which tends to the Wiener gain
a = λ/(λ + σ²).

=======================  ==========================================================================================
:class:`OneLayer`        D = Wx: exponential, at the rate of the input, 2η(λ + σ²)
:class:`TwoLayer`        D = PPᵀx or W₂W₁x: logistic, at the rate 8ηλ or 4ηλ
:class:`DeepLinear`      L balanced layers: dψ/dτ = 2ηL ψ^(2−2/L) (λ − (λ + σ²)ψ)
:class:`Preconditioned`  one layer with the preconditioning and the loss weights of Karras et al. (2022)
=======================  ==========================================================================================

A full circular convolution is a :class:`OneLayer` with the rate ηN on the power spectrum, because N pixels share each of its
weights. A convolution with a local patch is a :class:`~kappaflow.lens.learning.patches.PatchConvolution`.

The probability-flow ODE runs from N(0, σ_T²I) at σ_T down to σ₀. In each mode it generates a Gaussian with the variance
λ̃ = σ₀² exp(2∫ψ d ln σ), and of the mean μₖ the samples lack the part μₖ √λ̃/σ_T. Both are closed forms for one and two layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from scipy import special

from ..._checks import FloatArray, integer, not_negative, positive, real_array
from ..linear import wiener_gain
from .noise_range import ALL_LEVELS, NoiseRange

__all__ = [
    "DATA_VARIANCE",
    "DeepLinear",
    "LinearLearner",
    "OneLayer",
    "Preconditioned",
    "TwoLayer",
    "converged_variance",
    "log_variance_by_quadrature",
    "mode_divergence",
    "remaining_mean",
]

#: σ_data² of Karras et al. (2022).
DATA_VARIANCE = 0.25
#: Logit of v beyond which four terms of the expansion in 1 − v are exact to rounding.
_FAR = 8.0
#: A Wiener gain counts as 0 where it is smaller than this part of the gain that a mode without signal has.
_ROUNDING = 1e-14


class LinearLearner(Protocol):
    """A linear denoiser in training.

    Arguments of its methods broadcast against one another: eigenvalues λ ≥ 0, noise levels σ > 0, training times τ ≥ 0. Values
    out of these ranges raise ValueError.
    """

    @property
    def rate(self) -> float:
        """Learning rate η of the gradient flow."""

    def gain(self, eigenvalues: Any, sigma: Any, time: Any) -> FloatArray:
        """Gain ψ(λ; σ, τ) of an eigenmode, of the shape to which the arguments broadcast."""

    def log_variance(self, eigenvalues: Any, time: Any, noise: NoiseRange = ...) -> FloatArray:
        """ln λ̃(λ; τ), logarithm of the variance of the samples that it generates, of the shape to which the arguments broadcast."""


def converged_variance(eigenvalues: Any, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
    """σ_T² (σ₀² + λ)/(σ_T² + λ), the variance that the Wiener denoiser generates from N(0, σ_T²I), of the shape of `eigenvalues`.

    It is close to λ where σ₀² ≪ λ ≪ σ_T².

    Raises
    ------
    TypeError, ValueError
        Eigenvalues that are not finite real numbers.
    """
    values = real_array("eigenvalues", eigenvalues)
    low, high = noise.sigma_min**2, noise.sigma_max**2
    return np.asarray(high * (low + values) / (high + values))


def remaining_mean(log_variance: Any, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
    """√λ̃/σ_T from ln λ̃: the part of μₖ that generated samples lack, (μₖ − E x̄ₖ)/μₖ, of the same shape.

    The bias is slaved to the weights.

    Raises
    ------
    TypeError, ValueError
        Values that are not finite real numbers.
    """
    return np.asarray(np.exp(0.5 * real_array("log_variance", log_variance) - np.log(noise.sigma_max)))


def mode_divergence(log_variance: Any, eigenvalues: Any, mean_error: Any = 0.0) -> FloatArray:
    """KL(generated ‖ data) of each mode in nats: ½[r − 1 − ln r + δ²/λ] with r = λ̃/λ and the error δ of the mean.

    It is infinite where λ = 0, because any variance is then wrong.

    Parameters
    ----------
    log_variance, eigenvalues, mean_error : ln λ̃, λ ≥ 0 and δ, of shapes that broadcast

    Raises
    ------
    TypeError, ValueError
        Values that are not finite real numbers, or whose shapes do not broadcast.
    """
    variance, values, error = np.broadcast_arrays(
        real_array("log_variance", log_variance),
        real_array("eigenvalues", eigenvalues),
        real_array("mean_error", mean_error),
    )
    out = np.full(values.shape, np.inf)
    some = values > 0
    log_ratio = variance[some] - np.log(values[some])
    # expm1(x) − x loses its digits below |x| ~ 1e-8; it is about x²/2 there, which is negligible
    out[some] = 0.5 * (np.expm1(log_ratio) - log_ratio + error[some] ** 2 / values[some])
    return np.asarray(np.maximum(out, 0.0))


def log_variance_by_quadrature(
    learner: LinearLearner,
    eigenvalues: Any,
    time: Any,
    noise: NoiseRange = ALL_LEVELS,
) -> FloatArray:
    """ln λ̃ = 2 ln σ₀ + 2∫ψ d ln σ by Gauss-Legendre quadrature, for any gain; eigenvalues and times broadcast.

    Raises
    ------
    ValueError
        Negative eigenvalues or times.
    """
    nodes = noise.quadrature()
    values, times = _grid(eigenvalues, time)
    gains = learner.gain(values[..., None], nodes.sigma, times[..., None])
    return np.asarray(2 * np.log(noise.sigma_min) + 2 * (gains @ nodes.weights))


# ---------------------------------------------------------------- one layer
@dataclass(frozen=True)
class OneLayer:
    r"""One linear layer D = Wx: ψ = a + (q − a) e^{−s(λ + σ²)}, s = 2ητ.

    Parameters
    ----------
    initial : q, any number: the weights start at W = qI. With "skip" they start at c/(c + σ²) I, the skip connection of Karras et
        al. (2022).
    rate : η; for a full convolution, whose modes are Fourier modes, η times the number N of pixels that share each weight
    data_variance : c = σ_data² of "skip"

    Raises
    ------
    ValueError
        A rate or a variance that is not above 0; an `initial` that is neither one number nor "skip".

    Notes
    -----
    With Ei(−x) = −E₁(x) and λ̃ = σ_T² Φ(σ₀)²/Φ(σ_T)²:

    ln Φ = ½ ln(σ² + λ) + ½[(1 − q) e^{−sλ} Ei(−sσ²) − Ei(−s(σ² + λ))], and for "skip"
    ln Φ = ½ ln(σ² + λ) + ½[e^{−s(λ−c)} Ei(−s(σ² + c)) − Ei(−s(σ² + λ))].
    """

    initial: float | Literal["skip"] = 0.0
    rate: float = 1.0
    data_variance: float = DATA_VARIANCE

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        positive("data_variance", self.data_variance)
        if isinstance(self.initial, str):
            if self.initial != "skip":
                raise ValueError(f"initial must be a number or 'skip', got {self.initial!r}")
        elif real_array("initial", self.initial).ndim:
            raise ValueError(f"initial must be one number or 'skip', got an array of shape {np.shape(self.initial)}")

    def start(self, sigma: Any) -> FloatArray:
        """Gain at the start of training, q(σ), of the shape of `sigma`.

        Raises
        ------
        TypeError, ValueError
            Noise levels that are not finite real numbers.
        """
        level = real_array("sigma", sigma)
        if self.initial == "skip":
            return np.asarray(self.data_variance / (self.data_variance + level**2))
        return np.full(level.shape, float(self.initial))

    def gain(self, eigenvalues: Any, sigma: Any, time: Any) -> FloatArray:
        """Gain ψ, with the formula of the class, of the shape to which the arguments broadcast.

        Raises
        ------
        TypeError, ValueError
            An eigenvalue or time below 0, a noise level not above 0, or values that are not finite real numbers.
        """
        values, level, times = _arguments(eigenvalues, sigma, time)
        wiener = wiener_gain(values, noise_variance=level**2)
        decay = np.exp(-2 * self.rate * times * (values + level**2))
        return np.asarray(wiener + (self.start(level) - wiener) * decay)

    def log_variance(self, eigenvalues: Any, time: Any, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
        """ln λ̃, with the formula of the class, of the shape to which the arguments broadcast.

        Raises
        ------
        TypeError, ValueError
            An eigenvalue or time below 0, or values that are not finite real numbers.
        """
        values, times = _grid(eigenvalues, time)
        s, low, high = 2 * self.rate * times, noise.sigma_min**2, noise.sigma_max**2
        growth = np.log((high + values) / (low + values)) - _e1_difference(s, low + values, high + values)
        if self.initial == "skip":
            c = self.data_variance
            growth = growth + _scaled_e1_difference(s, low + c, high + c, values - c)
        else:
            growth = growth + (1 - float(self.initial)) * np.exp(-s * values) * _e1_difference(s, low, high)
        return np.asarray(np.log(high) - growth)


def _e1_difference(s: FloatArray, low: Any, high: Any) -> FloatArray:
    """E₁(s·low) − E₁(s·high), low > 0; where s·low underflows, its limit ln(high/low)."""
    first, last = s * low, s * high
    none = first < np.finfo(np.float64).tiny
    out = special.exp1(np.where(none, 1.0, first)) - special.exp1(np.where(none, 1.0, last))
    return np.asarray(np.where(none, np.log(high / np.asarray(low)), out))


def _scaled_e1_difference(s: FloatArray, low: float, high: float, shift: FloatArray) -> FloatArray:
    """e^{−s·shift}[E₁(s·low) − E₁(s·high)], also where the factors overflow and the product does not; shift + low ≥ 0."""
    first, last = s * low, s * high
    none = first < np.finfo(np.float64).tiny
    out = np.exp(-s * (shift + low)) * _scaled_e1(np.where(none, 1.0, first))
    out = out - np.exp(-s * (shift + high)) * _scaled_e1(np.where(none, 1.0, last))
    return np.asarray(np.where(none, np.log(high / low), out))


def _scaled_e1(x: FloatArray) -> FloatArray:
    """eˣ E₁(x), x > 0: the product up to 100, then the asymptotic series Σ (−1)ⁿ n!/xⁿ⁺¹, whose terms fall below 1e-17."""
    near = np.minimum(x, 100.0)
    far = np.maximum(x, 100.0)
    series = np.ones_like(far)
    for n in range(14, 0, -1):
        series = 1 - n / far * series
    return np.asarray(np.where(x <= 100.0, np.exp(near) * special.exp1(near), series / far))


# ---------------------------------------------------------------- two layers and more
@dataclass(frozen=True)
class TwoLayer:
    r"""Two linear layers that start aligned with the modes: ψ = aq/((a − q)E + q), E = e^{−rηλτ}.

    The rate is that of the signal, λ, not that of the input, λ + σ². The gain of directions without variance falls as 1/τ, and a
    gain that starts at q = 0 stays there.

    Parameters
    ----------
    initial : q ≥ 0, the gain at the start: W₂W₁ = qI or PPᵀ = qI
    tied : if true, W = PPᵀ and r = 8; otherwise W = W₂W₁ with W₁W₁ᵀ = W₂ᵀW₂ (balanced layers) and r = 4
    rate : η

    Raises
    ------
    ValueError
        A negative `initial`; a rate that is not above 0.

    Notes
    -----
    λ̃ = σ_T² Φ(σ₀)²/Φ(σ_T)², Φ = σᵖ [A + Bσ²]^{(1−p)/2} with A = E + q(1 − E), B = q(1 − E)/λ, 1 − p = q/A.
    """

    initial: float = 0.01
    tied: bool = True
    rate: float = 1.0

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        not_negative("initial", self.initial)

    def _coefficients(self, values: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A and B."""
        speed = (8.0 if self.tied else 4.0) * self.rate * times
        spread = speed * special.exprel(-speed * values)  # (1 − E)/λ, finite at λ = 0
        return np.exp(-speed * values) + self.initial * values * spread, self.initial * spread

    def gain(self, eigenvalues: Any, sigma: Any, time: Any) -> FloatArray:
        """Gain ψ = q/(A + Bσ²), with A and B of the class, of the shape to which the arguments broadcast.

        Raises
        ------
        TypeError, ValueError
            An eigenvalue or time below 0, a noise level not above 0, or values that are not finite real numbers.
        """
        values, level, times = _arguments(eigenvalues, sigma, time)
        if self.initial == 0:
            return np.zeros(np.broadcast_shapes(values.shape, level.shape, times.shape))
        a, b = self._coefficients(values, times)
        return np.asarray(self.initial / (a + b * level**2))

    def log_variance(self, eigenvalues: Any, time: Any, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
        """ln λ̃, with the formula of the class, of the shape to which the arguments broadcast.

        Raises
        ------
        TypeError, ValueError
            An eigenvalue or time below 0, or values that are not finite real numbers.
        """
        values, times = _grid(eigenvalues, time)
        low, high = noise.sigma_min**2, noise.sigma_max**2
        if self.initial == 0:
            return np.full(values.shape, np.log(low))
        a, b = self._coefficients(values, times)
        weight = self.initial / a  # 1 − p
        return np.asarray(np.log(low) + weight * (np.log(high / low) - np.log((a + b * high) / (a + b * low))))


@dataclass(frozen=True)
class DeepLinear:
    r"""L balanced linear layers that start aligned with the modes: dψ/dτ = 2ηL ψ^{2−2/L} (λ − (λ + σ²)ψ).

    The solution is exact: whatever λ and σ, v = ψ/a obeys dv/dθ = v^{2−2/L}(1 − v) in the time θ = 2ηLλ a^{1−2/L} τ. Its inverse
    θ(v) is a hypergeometric function, which Newton's method inverts.

    Parameters
    ----------
    layers : L ≥ 2; with 2 it is :class:`TwoLayer` with ``tied=False``
    initial : q > 0, the product of all layers at the start
    rate : η

    Raises
    ------
    TypeError
        A number of layers that is not an integer.
    ValueError
        Fewer than 2 layers; an `initial` or a rate that is not above 0.
    """

    layers: int = 3
    initial: float = 0.01
    rate: float = 1.0

    def __post_init__(self) -> None:
        integer("layers", self.layers, 2)
        positive("rate", self.rate)
        positive("initial", self.initial)

    def gain(self, eigenvalues: Any, sigma: Any, time: Any) -> FloatArray:
        """Gain ψ, with the formula of the class, of the shape to which the arguments broadcast.

        Raises
        ------
        TypeError, ValueError
            An eigenvalue or time below 0, a noise level not above 0, or values that are not finite real numbers.
        """
        given = np.broadcast_arrays(*_arguments(eigenvalues, sigma, time))
        values, level, times = (part.ravel() for part in given)
        wiener, power = wiener_gain(values, noise_variance=level**2), 2 - 2 / self.layers
        speed = 2 * self.rate * self.layers * times
        # no signal: ψ^−p grows by p per unit of 2ηLσ²τ
        out = (self.initial**-power + speed * power * level**2) ** (-1 / power)
        some = wiener > _ROUNDING * out
        start, theta = self.initial / wiener[some], speed[some] * values[some] * wiener[some] ** (power - 1)
        scaled = np.empty(start.shape)
        below = start < 1
        scaled[below] = special.expit(_rise(special.logit(start[below]), theta[below], self.layers))
        scaled[~below] = 1 / special.expit(_fall(special.logit(1 / start[~below]), theta[~below], self.layers))
        out[some] = wiener[some] * scaled
        return np.asarray(out.reshape(given[0].shape))

    def log_variance(self, eigenvalues: Any, time: Any, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
        """ln λ̃ by quadrature over ln σ, of the shape to which the arguments broadcast."""
        return log_variance_by_quadrature(self, eigenvalues, time, noise)


def _rise(start: FloatArray, theta: FloatArray, layers: int) -> FloatArray:
    """Logit x of v at θ, where v rises by dv/dθ = v^{2−2/L}(1 − v). θ(x) is concave: Newton climbs from `start` to the root."""
    if layers == 2:
        return start + theta
    b = 2 / layers

    def clock(x: FloatArray) -> FloatArray:
        return np.asarray(special.expit(x) ** (b - 1) / (b - 1) + _incomplete(x, b))

    return _newton(clock, 1 - b, start, start, clock(start) + theta)


def _fall(start: FloatArray, theta: FloatArray, layers: int) -> FloatArray:
    """Logit w of u = 1/v at θ, where v falls to 1. θ(w) is convex: Newton descends to the root from beyond it."""
    power = 2 - 2 / layers
    start = np.minimum(start, 40.0)  # v = 1: there already
    above = np.maximum(start, 0.0) + 2**power * theta
    return _newton(lambda w: _incomplete(w, power), -power, start, above, _incomplete(start, power) + theta)


def _newton(
    clock: Callable[[FloatArray], FloatArray], slope: float, start: FloatArray, guess: FloatArray, target: FloatArray
) -> FloatArray:
    """Root of clock(x) = target, which is at least `start`. The derivative of the clock is expit(x)^−slope."""
    x = guess
    for _ in range(200):
        step = (target - clock(x)) * special.expit(x) ** slope
        x = np.maximum(x + step, start)
        if np.all(
            np.abs(step) <= 1e-12 * (1 + np.abs(x))
        ):  # convergence is quadratic: the error is far smaller than the step
            break
    return x


def _incomplete(x: FloatArray, b: float) -> FloatArray:
    """∫₀ᵛ t^{b−1}/(1 − t) dt at v = expit(x): v^b ₂F₁(1, b; 1 + b; v)/b, and near v = 1 its expansion in y = 1 − v."""
    v, y = special.expit(np.minimum(x, _FAR)), special.expit(-np.maximum(x, _FAR))
    near = v**b * special.hyp2f1(1.0, b, 1 + b, v) / b
    far = np.logaddexp(0.0, np.maximum(x, _FAR)) - special.digamma(b) - np.euler_gamma
    for n in range(1, 5):
        far = far - special.binom(b - 1, n) * (-y) ** n / n
    return np.asarray(np.where(x < _FAR, near, far))


# ---------------------------------------------------------------- preconditioned
@dataclass(frozen=True)
class Preconditioned:
    r"""D = c_skip x + c_out F(c_in x) with one linear layer F that starts at 0, and loss weights 1/c_out² (Karras et al. 2022).

    ψ = a + (c_skip − a) e^{−s(λ + σ²)/(σ² + c)}, s = 2ητ, c_skip = c/(c + σ²): all noise levels learn at similar rates.

    Parameters
    ----------
    data_variance : c = σ_data²
    rate : η

    Raises
    ------
    ValueError
        A variance or a rate that is not above 0.
    """

    data_variance: float = DATA_VARIANCE
    rate: float = 1.0

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        positive("data_variance", self.data_variance)

    def gain(self, eigenvalues: Any, sigma: Any, time: Any) -> FloatArray:
        """Gain ψ, with the formula of the class, of the shape to which the arguments broadcast.

        Raises
        ------
        TypeError, ValueError
            An eigenvalue or time below 0, a noise level not above 0, or values that are not finite real numbers.
        """
        values, level, times = _arguments(eigenvalues, sigma, time)
        c = self.data_variance
        wiener = wiener_gain(values, noise_variance=level**2)
        decay = np.exp(-2 * self.rate * times * (values + level**2) / (level**2 + c))
        return np.asarray(wiener + (c / (c + level**2) - wiener) * decay)

    def log_variance(self, eigenvalues: Any, time: Any, noise: NoiseRange = ALL_LEVELS) -> FloatArray:
        """ln λ̃ by quadrature over ln σ, of the shape to which the arguments broadcast."""
        return log_variance_by_quadrature(self, eigenvalues, time, noise)


# ---------------------------------------------------------------- arguments
def _arguments(eigenvalues: Any, sigma: Any, time: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    values, times = _checked("eigenvalues", eigenvalues), _checked("time", time)
    level = real_array("sigma", sigma)
    if level.size and level.min() <= 0:
        raise ValueError(f"sigma must be above 0, got {level.min()}")
    return values, level, times


def _grid(eigenvalues: Any, time: Any) -> tuple[FloatArray, FloatArray]:
    values, times = np.broadcast_arrays(_checked("eigenvalues", eigenvalues), _checked("time", time))
    return values, times


def _checked(name: str, value: Any) -> FloatArray:
    array = real_array(name, value)
    if array.size and array.min() < 0:
        raise ValueError(f"{name} must not be negative, got {array.min()}")
    return array
