"""Noise schedules x_t = α_t x₀ + σ_t z: the noise level at each time of a diffusion model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..._checks import FloatArray, choice, integer, not_negative, positive, real_array
from ...sampling import RHO, SIGMA_MAX, SIGMA_MIN

__all__ = ["SPACINGS", "Schedule", "TimeRange"]

SPACINGS = ("time", "log", "power")
_PROBES = 257
#: Halvings of the time range: enough for the last bit of any time that is not below 1e-20 of the range.
_HALVINGS = 120


class TimeRange(NamedTuple):
    """The times at which sampling starts and ends, start > stop."""

    start: float
    stop: float


@dataclass(frozen=True, repr=False)
class Schedule:
    r"""Scale and noise of :math:`x_t = \alpha_t x_0 + \sigma_t z`, :math:`z \sim N(0, I)`; noise grows with t.

    Divided by its scale, x_t/α_t = x₀ + σ̂_t z is variance exploding with the *noise level* σ̂_t = σ_t/α_t. Two schedules
    differ only in the times at which they pass a noise level, and in the scale there.

    Attributes
    ----------
    name : shown to people
    scale, noise : α and σ as functions of an array of times; the methods :meth:`alpha` and :meth:`sigma` check their times
    t_min, t_max : the range of times; σ may be 0 only at `t_min`, and α only at `t_max`

    Raises
    ------
    ValueError
        α or σ is negative or infinite, or is 0 within the range, or the noise level does not grow with time. The schedule is
        checked at 257 times when it is made.

    Examples
    --------
    >>> vp = Schedule.vp()
    >>> bool(abs(vp.alpha(0.3) ** 2 + vp.sigma(0.3) ** 2 - 1) < 1e-15)
    True
    >>> Schedule.flow().noise_level([0.5, 1.0]).tolist()
    [1.0, inf]
    """

    name: str
    scale: Callable[[FloatArray], FloatArray]
    noise: Callable[[FloatArray], FloatArray]
    t_min: float
    t_max: float

    def __post_init__(self) -> None:
        not_negative("t_min", self.t_min)
        positive("t_max", self.t_max)
        if self.t_min >= self.t_max:
            raise ValueError(f"t_min must be below t_max = {self.t_max}, got {self.t_min}")
        t = np.linspace(self.t_min, self.t_max, _PROBES)
        for name, values, zero in (("scale", self.alpha(t), -1), ("noise", self.sigma(t), 0)):
            inside = np.delete(values, zero)
            if not np.isfinite(values).all() or inside.min() <= 0 or values[zero] < 0:
                where = "t_max" if zero else "t_min"
                bad = int(np.argmin(np.where(np.isfinite(values), values, -np.inf)))
                raise ValueError(
                    f"{name} must be finite and above 0 (0 only at {where}), got {values[bad]} at t = {t[bad]}"
                )
        rising = np.diff(self.noise_level(t)) > 0
        if not rising.all():
            raise ValueError(
                f"noise/scale must increase with t, got a schedule that does not from t = {t[int(np.argmin(rising))]}"
            )

    def __repr__(self) -> str:
        return f"Schedule({self.name!r}, t_min={self.t_min:g}, t_max={self.t_max:g})"

    # ------------------------------------------------------------ the usual ones
    @classmethod
    def ve(cls, sigma_max: float = SIGMA_MAX, sigma_min: float = SIGMA_MIN) -> Schedule:
        """Variance exploding: α = 1, σ = t, so that time is the noise level (Karras et al. 2022).

        Raises
        ------
        TypeError, ValueError
            `sigma_min` is below 0, `sigma_max` is not above it, or one is not a finite number.
        """
        return cls(
            name="variance exploding",
            scale=np.ones_like,
            noise=np.copy,
            t_min=not_negative("sigma_min", sigma_min),
            t_max=float(sigma_max),
        )

    @classmethod
    def vp(cls, beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
        """Variance preserving: ln α = −½ β_min t − ¼ (β_max − β_min) t², σ² = 1 − α², 0 ≤ t ≤ 1 (Song et al. 2021).

        Raises
        ------
        TypeError, ValueError
            `beta_min` is below 0 or above `beta_max`, `beta_max` is not above 0, or one is not a finite number.
        """
        log_alpha = _log_alpha(beta_min, beta_max)

        def noise(t: FloatArray) -> FloatArray:
            return np.asarray(np.sqrt(-np.expm1(2 * log_alpha(t))))

        return cls(name="variance preserving", scale=lambda t: np.exp(log_alpha(t)), noise=noise, t_min=0.0, t_max=1.0)

    @classmethod
    def sub_vp(cls, beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
        """Sub-variance-preserving: α as in :meth:`vp`, σ = 1 − α² (Song et al. 2021).

        Raises
        ------
        TypeError, ValueError
            `beta_min` is below 0 or above `beta_max`, `beta_max` is not above 0, or one is not a finite number.
        """
        log_alpha = _log_alpha(beta_min, beta_max)
        return cls(
            name="sub-variance preserving",
            scale=lambda t: np.exp(log_alpha(t)),
            noise=lambda t: -np.expm1(2 * log_alpha(t)),
            t_min=0.0,
            t_max=1.0,
        )

    @classmethod
    def flow(cls) -> Schedule:
        """Rectified flow: α = 1 − t, σ = t, 0 ≤ t ≤ 1; t = 1 is pure noise, σ̂ = ∞ (Lipman et al. 2023, Liu et al. 2023)."""
        return cls(name="rectified flow", scale=lambda t: 1 - t, noise=np.copy, t_min=0.0, t_max=1.0)

    # ------------------------------------------------------------ at given times
    def alpha(self, t: Any) -> FloatArray:
        """α_t, of the shape of `t`.

        Raises
        ------
        ValueError
            A time lies outside of the range of the schedule.
        """
        return np.asarray(self.scale(self._times(t)), dtype=np.float64)

    def sigma(self, t: Any) -> FloatArray:
        """σ_t, of the shape of `t`.

        Raises
        ------
        ValueError
            A time lies outside of the range of the schedule.
        """
        return np.asarray(self.noise(self._times(t)), dtype=np.float64)

    def noise_level(self, t: Any) -> FloatArray:
        """σ̂_t = σ_t/α_t, of the shape of `t`; infinite if α = 0.

        Raises
        ------
        ValueError
            A time lies outside of the range of the schedule.
        """
        alpha, sigma = self.alpha(t), self.sigma(t)
        return np.asarray(np.divide(sigma, alpha, out=np.full(alpha.shape, np.inf), where=alpha > 0))

    def time_of(self, noise_level: Any) -> FloatArray:
        """The time at which σ̂_t equals `noise_level`, of the same shape; NaN for levels that the schedule does not reach.

        Raises
        ------
        ValueError
            A level is negative or NaN.
        """
        level = np.asarray(noise_level, dtype=np.float64)
        if np.isnan(level).any() or (level.size and level.min() < 0):
            raise ValueError(f"noise_level must not be negative, got {level.min()}")
        low, high = np.full(level.shape, self.t_min), np.full(level.shape, self.t_max)
        ends = self.noise_level([self.t_min, self.t_max])
        # By halving: SciPy's root finder for arrays is newer than the oldest SciPy that is supported.
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            above = self.noise_level(middle) > level
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        time = np.where(level == ends[0], self.t_min, np.where(level == ends[1], self.t_max, 0.5 * (low + high)))
        return np.where((level >= ends[0]) & (level <= ends[1]), time, np.nan)

    # ------------------------------------------------------------ paths
    def ends(self, start: float | None = None, stop: float | None = None) -> TimeRange:
        """Times at which sampling starts and ends, by default `t_max` and `t_min`.

        Raises
        ------
        ValueError
            `start` is not above `stop`.
        """
        first = self.t_max if start is None else float(start)
        last = self.t_min if stop is None else float(stop)
        if not first > last:
            raise ValueError(f"start must be above stop = {last}, got {first}")
        return TimeRange(first, last)

    def grid(
        self, steps: int, *, spacing: str = "time", start: float | None = None, stop: float | None = None
    ) -> FloatArray:
        """(steps + 1,) times from `start` down to `stop`, in the order in which a sampler passes them.

        Parameters
        ----------
        steps : at least 1
        spacing : "time", "log" or "power"
            Even spacing in t, in ln σ̂, or in σ̂^(1/7) (Karras et al. 2022).
        start, stop : times, by default `t_max` and `t_min`

        Raises
        ------
        ValueError
            `start` is not above `stop`, a "log" grid ends at zero noise, or a "log" or "power" grid starts at an infinite noise
            level.
        """
        count = integer("steps", steps, 1)
        choice("spacing", spacing, SPACINGS)
        ends = np.array(self.ends(start, stop))
        levels = self.noise_level(ends)
        if spacing == "time":
            return np.linspace(ends[0], ends[1], count + 1)
        if not np.isfinite(levels[0]):
            raise ValueError(f"start must have a finite noise level with spacing={spacing!r}, got t = {ends[0]}")
        if spacing == "log" and levels[1] <= 0:
            raise ValueError(f"stop must have a noise level above 0 with spacing='log', got t = {ends[1]}")
        if spacing == "log":
            inner = np.geomspace(levels[0], levels[1], count + 1)
        else:
            inner = np.linspace(levels[0] ** (1 / RHO), levels[1] ** (1 / RHO), count + 1) ** RHO
        return np.concatenate([ends[:1], self.time_of(inner[1:-1]), ends[1:]])

    def path(self, times: Any) -> FloatArray:
        """`times` (S,) as a float64 array, checked.

        Raises
        ------
        ValueError
            There are no times or more than one axis, times do not decrease or leave the range, or there is no noise at the
            first time.
        """
        t = real_array("times", times)
        if t.ndim != 1 or t.size == 0:
            raise ValueError(f"times must be one-dimensional and not empty, got shape {t.shape}")
        falling = np.diff(t) < 0
        if not falling.all():
            at = int(np.argmin(falling))
            raise ValueError(f"times must decrease, as a sampler passes them, got {t[at]} before {t[at + 1]}")
        if self.sigma(t)[0] <= 0:
            raise ValueError(f"times must start at a noise level above 0, got t = {t[0]}, where it is 0")
        return t

    def _times(self, t: Any) -> FloatArray:
        times = real_array("t", t)
        if times.size and (times.min() < self.t_min or times.max() > self.t_max):
            bad = times.min() if times.min() < self.t_min else times.max()
            raise ValueError(f"t must lie between {self.t_min} and {self.t_max}, got {bad}")
        return times


def _log_alpha(beta_min: float, beta_max: float) -> Callable[[FloatArray], FloatArray]:
    low, high = not_negative("beta_min", beta_min), positive("beta_max", beta_max)
    if low > high:
        raise ValueError(f"beta_min must not be above beta_max = {high}, got {low}")
    return lambda t: -0.5 * low * t - 0.25 * (high - low) * t**2
