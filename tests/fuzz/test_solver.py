"""The Silverstein equation and its neighbours at any scale, against 60 digits: values, certificates, bounds."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import mpmath
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import cases

import kappaflow as kf

mp = mpmath.mp.clone()
mp.dps = 60

LARGEST = sys.float_info.max
WIDTH = mp.mpf(1e-13)


class Problem(NamedTuple):
    """t = κ(1 − df1(κ)/n) with spectrum s and multiplicities."""

    s: list[float]
    multiplicity: list[float]
    n: float
    t: list[float]


def exact(value: Fraction) -> mpmath.mpf:
    """A fraction, to 60 digits."""
    return mp.mpf(value.numerator) / value.denominator


def deficit(problem: Problem, kappa: mpmath.mpf) -> mpmath.mpf:
    """n − df1(κ), split at s = κ so that nothing cancels."""
    pairs = list(zip(problem.s, problem.multiplicity, strict=True))
    above = sum((Fraction(m) for s, m in pairs if s > kappa), Fraction(0))
    high = mp.fsum(m * kappa / (mp.mpf(s) + kappa) for s, m in pairs if s > kappa)
    low = mp.fsum(m * (mp.mpf(s) / (mp.mpf(s) + kappa)) for s, m in pairs if 0 < s <= kappa)
    return exact(Fraction(problem.n) - above) + high - low


def excess(problem: Problem, kappa: mpmath.mpf, t: float) -> mpmath.mpf:
    """κ(n − df1(κ)) − n t: negative below the root and positive above it."""
    return kappa * deficit(problem, kappa) - mp.mpf(problem.n) * mp.mpf(t)


def slope(problem: Problem, kappa: mpmath.mpf) -> mpmath.mpf:
    """n − df2(κ, κ)."""
    product = mp.fsum(
        m * (mp.mpf(s) / (s + kappa)) * (kappa / (s + kappa))
        for s, m in zip(problem.s, problem.multiplicity, strict=True)
        if s > 0
    )
    return deficit(problem, kappa) + product


def numbers(low: int, high: int) -> st.SearchStrategy[float]:
    """Numbers spread evenly over decades."""
    return st.builds(lambda exponent, digits: digits * 10.0**exponent, st.integers(low, high), st.floats(1.0, 9.99))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Spectra within a few decades anywhere, or over 600 decades; n anywhere, or next to a sum of multiplicities."""
    centre = draw(st.integers(-300, 298))
    width = draw(st.sampled_from([0, 3, 30, 600]))
    spread = numbers(max(centre - width, -300), min(centre + width, 298))
    s = draw(st.lists(st.one_of(spread, spread, st.just(0.0)), min_size=1, max_size=7))
    weights = st.one_of(st.just(1.0), st.integers(1, 40).map(float), st.floats(0.01, 30.0), numbers(0, 9))
    multiplicity = draw(st.lists(weights, min_size=len(s), max_size=len(s)))
    total = sum(m for value, m in zip(s, multiplicity, strict=True) if value > 0) or 1.0
    near = st.sampled_from([0.0, 1e-16, -1e-16, 2e-16, 1e-14, -1e-11, 1e-11, 1e-7]).map(lambda e: total * (1 + e))
    n = draw(st.one_of(st.integers(1, 60).map(float), near, st.floats(0.05, 1e4), numbers(-300, 299)))
    level = st.one_of(st.just(0.0), spread, numbers(-323, 307), st.sampled_from([5e-324, 1e-310, 1.7e308]))
    t = draw(st.lists(level, min_size=1, max_size=4))
    return Problem(s, multiplicity, n, t)


def spectrum_is_allowed(problem: Problem) -> bool:
    return sum(s * m for s, m in zip(problem.s, problem.multiplicity, strict=True)) < 1e299


def check_entry(problem: Problem, info: kf.KappaInfo, i: int) -> None:
    """One answer: certified, truly so, accurate, with true companions."""
    t, kappa = problem.t[i], float(info.kappa[i])
    assert kappa >= 0, "NaN or negative"
    if excess(problem, mp.mpf(LARGEST), t) < 0:  # κ is beyond the largest double
        assert not info.certified[i] or kappa == LARGEST
        return
    assert info.certified[i], (problem, i, kappa)
    at = mp.mpf(kappa)
    if kappa == 0:
        assert t == 0
        tiny = mp.mpf(5e-324)
        assert deficit(problem, mp.mpf(0)) >= 0 or excess(problem, tiny, t) > 0
        return
    assert kappa >= t * (1 - 1e-15)
    reach = max(at * WIDTH, mp.mpf(np.nextafter(kappa, np.inf) - kappa))
    assert excess(problem, at + reach, t) > 0, (problem, i, kappa)
    assert at <= reach or excess(problem, at - reach, t) < 0, (problem, i, kappa)
    if kappa > 1e-290:
        close = 5e-15 * at  # far within the certificate
        assert excess(problem, at + close, t) > 0 > excess(problem, at - close, t), (problem, i, kappa)
    pairs = zip(problem.s, problem.multiplicity, strict=True)
    true_slope, true_df1 = slope(problem, at), mp.fsum(m * (mp.mpf(s) / (s + at)) for s, m in pairs)
    assert abs(info.df1[i] - true_df1) <= 1e-13 * true_df1 + 1e-320, (problem, i)
    if problem.n / true_slope < LARGEST:
        assert abs(info.derivative[i] * true_slope / problem.n - 1) < 1e-12
    else:
        assert np.isinf(info.derivative[i])
    assert 0 <= info.residual[i] < 1e-13 or kappa < 1e-300, (problem, i, info.residual[i])


@cases(800)
@given(problems())
def test_every_answer_is_certified_and_true(problem: Problem) -> None:
    assume(spectrum_is_allowed(problem))
    info = kf.solve_kappa(
        problem.s, problem.n, noise_variance=problem.t, multiplicity=problem.multiplicity, return_info=True
    )
    for i in range(len(problem.t)):
        check_entry(problem, info, i)


@st.composite
def supports(draw: st.DrawFn) -> tuple[float, float]:
    """Intervals of up to 500 decades anywhere."""
    low = draw(numbers(-295, 250))
    decades = draw(st.sampled_from([0.0, 1.0, 5.0, 40.0, 500.0]))
    return low, max(low, 10.0 ** min(math.log10(low) + decades, 260.0))


def check_bound(f: kf.SpectralFunction, support: tuple[float, float], value: Callable[[Any], Any], at: float) -> None:
    """At both ends of the support, in between and at zero the error is at most the bound that the function carries."""
    low, high = support
    middle = 10.0 ** (math.log10(low) + at * (math.log10(high) - math.log10(low)))
    for x in (low, high, min(max(middle, low), high)):
        true = value(mp.mpf(x))
        assert abs(float(f(x)) - true) <= f.error_bound * true, (support, x, f.error_bound)


@cases(400)
@given(supports(), st.floats(0.01, 0.99), st.floats(1.0, 15.0), st.floats(0.0, 1.0), st.booleans())
def test_powers_keep_their_bound(
    support: tuple[float, float], alpha: float, digits: float, at: float, root: bool
) -> None:
    exponent = 0.5 if root else alpha
    f = kf.matrix_power(exponent, support=support, tolerance=10.0**-digits)
    check_bound(f, support, lambda x: x ** mp.mpf(exponent), at)
    assert f(0.0) == 0


@cases(400)
@given(supports(), numbers(-140, 140), st.floats(0.0, 12.0), st.floats(1.0, 15.0), st.floats(0.0, 1.0), st.booleans())
def test_sampling_maps_keep_their_bound(
    support: tuple[float, float], top: float, below: float, digits: float, at: float, data: bool
) -> None:
    sigma = 0.0 if data else 0.999 * top * 10.0**-below
    f = kf.sampling_map(sigma, top, support=support, tolerance=10.0**-digits)
    a, b = mp.mpf(sigma) ** 2, mp.mpf(top) ** 2
    check_bound(f, support, lambda x: mp.sqrt((x + a) / (x + b)), at)
    assert f(0.0) == sigma / top


@cases(100)
@given(problems(), st.integers(-800, 800))
def test_support_and_density_have_no_preferred_unit(problem: Problem, exponent: int) -> None:
    """Data in other units have the same support in these units, and a density of the inverse unit."""
    positive = [s for s in problem.s if s > 0]
    assume(positive and max(positive) / min(positive) < 1e12 and 0.05 <= problem.n <= 1e6)
    one = [s / max(positive) for s in problem.s]
    other = [s * 2.0**exponent for s in one]
    here = kf.spectral_support(one, problem.n, multiplicity=problem.multiplicity)
    there = kf.spectral_support(other, problem.n, multiplicity=problem.multiplicity)
    assert here.intervals.min() >= 0
    assert here.zero_mass == there.zero_mass
    np.testing.assert_allclose(there.intervals, here.intervals * 2.0**exponent, rtol=1e-9, atol=0)
    low, high = here.intervals[-1]
    x = np.array([low + 0.3 * (high - low), 0.5 * (low + high)])
    density = kf.spectral_density(x, one, problem.n, multiplicity=problem.multiplicity)
    scaled = kf.spectral_density(x * 2.0**exponent, other, problem.n, multiplicity=problem.multiplicity)
    np.testing.assert_allclose(scaled, density / 2.0**exponent, rtol=1e-6)


@cases(150)
@given(problems(), st.integers(2, 60))
def test_splits_solve_the_equation_of_their_degrees_of_freedom(problem: Problem, n: int) -> None:
    """κ of a population with estimated mean: the equation at t n/(n − 1) with n − 1 degrees of freedom, at any scale."""
    assume(1e-279 < max(problem.s) < 1e279)  # a population refuses others
    multiplicity = [float(math.ceil(each)) for each in problem.multiplicity]
    assume(spectrum_is_allowed(problem._replace(multiplicity=multiplicity)))
    population = kf.Population.from_spectrum(problem.s, multiplicity=multiplicity)
    # A law works in units of its population: noise below double's range in these units is none.
    levels = [t for t in problem.t if t == 0 or 1e-290 * max(problem.s) < t < min(1e290 * max(problem.s), 1e307)]
    assume(levels)
    kappa = kf.Splits(population, n).kappa(noise_variance=levels)
    inner = Problem(problem.s, multiplicity, n - 1.0, levels)
    for t, value in zip(levels, kappa, strict=True):
        noise = mp.mpf(t) * n / (n - 1)
        at = mp.mpf(float(value))
        reach = max(at * WIDTH, mp.mpf(np.nextafter(value, np.inf) - value))
        assert (at + reach) * deficit(inner, at + reach) >= (n - 1) * noise
        assert at <= reach or (at - reach) * deficit(inner, at - reach) < (n - 1) * noise
