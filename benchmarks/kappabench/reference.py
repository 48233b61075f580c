"""Values in 40 digits, by arithmetic that shares nothing with the library.

κ(t) is the root of the positive form of the Silverstein equation,

    n t/κ = (n − rank) + Σ κ/(s+κ),

whose left side falls and whose right side grows with κ > 0: there is one root, the largest of the usual form, and a
change of sign brackets it. Sums run in fixed-point integers of some hundred bits, which is ten times faster than
mpmath's floating point and loses nothing: float64 eigenvalues are exact in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mpmath
import numpy as np
import numpy.typing as npt

Number = float | str | mpmath.mpf

DIGITS = 40
_GUARD = 200  # bits below the smallest number of the problem: 60 digits


def kappa(
    t: Iterable[Number], s: Iterable[Number], n: int, multiplicity: Sequence[int] | None = None
) -> list[mpmath.mpf]:
    """κ(t) for each t > 0, correct to 40 digits: bracketed to a relative 1e-41 by a change of sign.

    Numbers are floats, taken exactly, or mpf or decimal strings, taken to 70 digits.
    """
    with mpmath.workdps(DIGITS + 30):
        numbers = [_exact(x) for x in s]
        repeats = [1] * len(numbers) if multiplicity is None else [int(m) for m in multiplicity]
        positive = [(x, m) for x, m in zip(numbers, repeats, strict=True) if x > 0]
        values, counts = np.array([float(x) for x, _ in positive]), np.array([m for _, m in positive])
        noise = [_exact(x) for x in t]
        smallest = min([float(mpmath.log(x, 2)) for x in noise] + [float(np.log2(values.min()))])
        bits = _GUARD + int(max(0.0, -smallest))
        atoms = [int(mpmath.ldexp(x, bits)) for x, _ in positive]
        weights = None if np.all(counts == 1) else [int(c) for c in counts]
        rank = int(counts.sum())
        fixed = [int(mpmath.ldexp(x, bits)) for x in noise]
        roots = [_root(x, atoms, weights, n, n - rank, bits, (values, counts)) for x in fixed]
        return [+mpmath.ldexp(mpmath.mpf(k), -bits) for k in roots]


def _exact(x: Number) -> mpmath.mpf:
    return mpmath.mpf(x) if isinstance(x, (str, mpmath.mpf)) else mpmath.mpf(float(x))


def _balance(k: int, t: int, atoms: list[int], weights: list[int] | None, n: int, excess: int, bits: int) -> int:
    """n t/κ − (n − rank) − Σ κ/(s+κ) in fixed point: positive below the root, negative above it."""
    scaled = k << bits
    if weights is None:
        total = sum([scaled // (a + k) for a in atoms])
    else:
        total = sum([w * (scaled // (a + k)) for a, w in zip(atoms, weights, strict=True)])
    return ((n * t) << bits) // k - (excess << bits) - total


def _root(
    t: int,
    atoms: list[int],
    weights: list[int] | None,
    n: int,
    excess: int,
    bits: int,
    floats: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> int:
    """Root by a bracket, bisection in the logarithm, and chords; the bracket is verified, whatever the steps did."""
    values, counts = floats

    def balance(k: int) -> int:
        return _balance(k, t, atoms, weights, n, excess, bits)

    trace = sum(atoms) if weights is None else sum(a * w for a, w in zip(atoms, weights, strict=True))
    low, high = max(t // 2, 1), 2 * (t + trace // n) + 1
    k = _start(t / 2.0**bits if t.bit_length() < 1000 else float(mpmath.ldexp(mpmath.mpf(t), -bits)), values, counts, n)
    point = int(mpmath.ldexp(mpmath.mpf(k), bits))
    for _ in range(60):
        if not low < point < high:
            point = _middle(low, high)
        value = balance(point)
        low, high = (point, high) if value > 0 else (low, point)
        x = float(mpmath.ldexp(mpmath.mpf(point), -bits))
        noise = float(mpmath.ldexp(mpmath.mpf(t), -bits))
        slope = n * noise / x**2 + float(np.sum(counts * values / (values + x) ** 2))
        step = mpmath.ldexp(mpmath.mpf(value), -bits) / mpmath.mpf(slope)
        move = int(mpmath.ldexp(step, bits))
        point += move
        if abs(move) * 10 ** (DIGITS + 8) <= point:
            break
    margin = max(point // 10 ** (DIGITS + 1), 1)
    if not balance(point - margin) > 0 > balance(point + margin):
        raise ArithmeticError("kappa: the equation does not change sign across the reference value")
    return point


def _middle(low: int, high: int) -> int:
    """Geometric mean of two positive integers."""
    return int(mpmath.sqrt(mpmath.mpf(low) * mpmath.mpf(high)))


def _start(t: float, s: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], n: int) -> float:
    """A float64 start by bisection in log κ of the same positive form; only its speed matters."""
    low, high = np.log(t / 2), np.log(2 * (t + float(np.sum(counts * s)) / n))
    for _ in range(45):
        middle = 0.5 * (low + high)
        k = np.exp(middle)
        above = n * t / k - (n - counts.sum()) - float(np.sum(counts * (k / (s + k)))) <= 0
        low, high = (low, middle) if above else (middle, high)
    return float(np.exp(0.5 * (low + high)))


def relative_error(value: npt.ArrayLike, reference: list[mpmath.mpf]) -> list[float]:
    """|value/reference − 1| for each value, formed in extended precision; NaN stays NaN, infinite stays infinite."""
    out = []
    with mpmath.workdps(DIGITS):
        for v, r in zip(np.ravel(value), reference, strict=True):
            out.append(float(abs(mpmath.mpf(float(v)) / r - 1)) if np.isfinite(v) else float(abs(v)))
    return out


# ---------------------------------------------------------------- square root
def square_root(
    s: npt.ArrayLike, n: int, digits: int = DIGITS
) -> tuple[list[mpmath.mpf], list[mpmath.mpf], dict[str, float]]:
    """E Σ̂^½ and the equal-mode variance of the published law (known mean) of every mode.

    x^½ = (1/π) ∫ x/(x+t) t^−½ dt with t = t₀ exp(π/2 sinh v): the trapezoid rule in v converges doubly exponentially.
    Two step sizes are compared; their difference is returned with the node count.
    """
    values = [mpmath.mpf(float(v)) for v in np.asarray(s, dtype=np.float64)]
    with mpmath.workdps(digits + 25):
        coarse, fine = (
            _square_root(values, n, *_nodes(min(values), max(values), digits, coarser)) for coarser in (1.25, 1.0)
        )
        change = max(
            float(abs(a / b - 1)) for x, y in zip(coarse, fine, strict=True) for a, b in zip(x, y, strict=True)
        )
        return *fine, {"nodes": len(_nodes(min(values), max(values), digits)[0]), "change": change}


def _nodes(
    low: mpmath.mpf, high: mpmath.mpf, digits: int, coarser: float = 1.0
) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """(weights, shifts) of x^½ = (1/π) ∫ x/(x+t) t^−½ dt, doubly exponential, for spectra on [low, high]."""
    half_width = float(mpmath.log(high / low)) / 2 + 3  # the spectrum of Σ̂ is a little wider
    strip = float(mpmath.asinh(mpmath.mpc(2 * half_width / np.pi, 2)).imag)
    step = coarser * 2 * np.pi * strip / (1.15 * digits * np.log(10))
    # The integrand falls like t^(±1/2) at both ends.
    reach = int(np.ceil(np.arcsinh(2 / np.pi * (2 * (digits + 2) * np.log(10) + half_width + 10)) / step))
    points = [mpmath.mpf(step) * j for j in range(-reach, reach + 1)]
    t = [mpmath.sqrt(low * high) * mpmath.exp(mpmath.pi / 2 * mpmath.sinh(v)) for v in points]
    # (1/π) t^−½ dt/dv = (1/π) t^½ (π/2) cosh v
    return [mpmath.mpf(step) * mpmath.sqrt(x) / 2 * mpmath.cosh(v) for x, v in zip(t, points, strict=True)], t


def _square_root(
    values: list[mpmath.mpf], n: int, weight: list[mpmath.mpf], t: list[mpmath.mpf]
) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    k = kappa(t, values, n)
    expectation = [mpmath.fsum(w * s / (s + x) for w, x in zip(weight, k, strict=True)) for s in values]
    profile = [[w * x / (s + x) ** 2 for w, x in zip(weight, k, strict=True)] for s in values]
    total = [mpmath.mpf(0)] * len(values)
    for i, (ti, ki) in enumerate(zip(t, k, strict=True)):
        # K_ij/(κ_i κ_j) = (κ_i − κ_j)/(n (t_i − t_j)); on the diagonal the derivative 1/(n − df2(κ_i, κ_i))
        kernel = [(ki - k[j]) / (n * (ti - t[j])) for j in range(i)]
        diagonal = 1 / (n * ti / ki + mpmath.fsum(s * ki / (s + ki) ** 2 for s in values))
        for m, row in enumerate(profile):
            total[m] += row[i] * (row[i] * diagonal + 2 * mpmath.fdot(kernel, row[:i]))
    return expectation, [s**2 * v for s, v in zip(values, total, strict=True)]


def square_root_at(
    s: npt.NDArray[np.float64], n: int, modes: npt.NDArray[np.int64], digits: int = 19
) -> tuple[npt.NDArray[np.longdouble], npt.NDArray[np.longdouble]]:
    """As `square_root` for a few of many modes, to the 19 digits of extended precision.

    κ in 40 digits, the rest in sums of positive terms.
    """
    with mpmath.workdps(DIGITS + 10):
        weights, shifts = _nodes(mpmath.mpf(float(s.min())), mpmath.mpf(float(s.max())), digits)
        roots = kappa(shifts, s, n)
        t, x, weight = (np.array([_longdouble(v) for v in part]) for part in (shifts, roots, weights))
    wide = s.astype(np.longdouble)
    g = np.ascontiguousarray(1 / (wide + x[:, None]))  # (nodes, d)
    kernel = np.empty((len(t), len(t)), dtype=np.longdouble)
    for i in range(len(t)):  # n − df2(κ_i, κ_j) = n t_i/κ_i + κ_j Σ s/((s+κ_i)(s+κ_j))
        kernel[i, : i + 1] = 1 / (n * t[i] / x[i] + x[: i + 1] * (g[: i + 1] * (wide * g[i])).sum(1))
        kernel[: i + 1, i] = kernel[i, : i + 1]
    chosen = wide[modes, None] * g[:, modes].T
    profile = weight * x * chosen * g[:, modes].T
    return (weight * chosen).sum(1), ((profile @ kernel) * profile).sum(1)


def _longdouble(x: mpmath.mpf) -> np.longdouble:
    """Both halves of the number: mpmath converts to float64 alone."""
    high = float(x)
    return np.longdouble(high) + np.longdouble(float(x - high))


def marchenko_pastur(x: Iterable[float], ratio: float) -> list[mpmath.mpf]:
    """Density of the Marchenko-Pastur law of ratio d/n and unit variance, in 40 digits."""
    with mpmath.workdps(DIGITS):
        c = mpmath.mpf(ratio)
        low, high = (1 - mpmath.sqrt(c)) ** 2, (1 + mpmath.sqrt(c)) ** 2
        points = [mpmath.mpf(float(v)) for v in x]
        return [mpmath.sqrt((high - v) * (v - low)) / (2 * mpmath.pi * c * v) for v in points]


def atoms_density(x: Iterable[float], atoms: list[float], masses: list[float], ratio: float) -> list[mpmath.mpf]:
    """Density of the sample spectrum of a few atoms: the roots of the Silverstein polynomial in 40 digits.

    Inside the support one pair of roots u is complex, and the density is |Im u|/(π ratio).
    """
    out = []
    with mpmath.workdps(DIGITS + 20):
        c, locations = mpmath.mpf(ratio), [mpmath.mpf(a) for a in atoms]
        weights = [mpmath.mpf(m) for m in masses]
        for v in x:
            polynomial = _silverstein_polynomial(mpmath.mpf(float(v)), locations, weights, c)
            roots = mpmath.polyroots(polynomial, maxsteps=200, extraprec=200)
            out.append(max(abs(mpmath.im(r)) for r in roots) / (mpmath.pi * c))
    return out


def two_atom_edges(atoms: tuple[float, float], masses: tuple[float, float], ratio: float) -> list[mpmath.mpf]:
    """Edges of the support of the sample spectrum of two atoms: x(u) where x'(u) = 0, u real, in 40 digits, ascending."""
    with mpmath.workdps(DIGITS + 20):
        (a, b), (v, w), c = map(mpmath.mpf, atoms), map(mpmath.mpf, masses), mpmath.mpf(ratio)
        # Of the numerator of x'(u), highest power first.
        square = [(a * b) ** 2, 2 * a * b * (a + b), a**2 + b**2 + 4 * a * b, 2 * (a + b), mpmath.mpf(1)]
        square[0] -= c * (v + w) * (a * b) ** 2
        square[1] -= 2 * c * (v * a**2 * b + w * b**2 * a)
        square[2] -= c * (v * a**2 + w * b**2)
        roots = mpmath.polyroots(square, maxsteps=500, extraprec=300)
        real = [mpmath.re(u) for u in roots if abs(mpmath.im(u)) <= mpmath.mpf(10) ** -DIGITS * abs(u)]
        return sorted(-1 / u + c * (v * a / (1 + a * u) + w * b / (1 + b * u)) for u in real)


def _silverstein_polynomial(
    z: mpmath.mpf, atoms: list[mpmath.mpf], weights: list[mpmath.mpf], c: mpmath.mpf
) -> list[mpmath.mpf]:
    """Coefficients, highest first, of (1 + z u) Π(1 + aᵢu) − c u Σ wᵢaᵢ Π_{j≠i}(1 + aⱼu)."""

    def product(left: list[mpmath.mpf], right: list[mpmath.mpf]) -> list[mpmath.mpf]:
        out = [mpmath.mpf(0)] * (len(left) + len(right) - 1)
        for i, a in enumerate(left):
            for j, b in enumerate(right):
                out[i + j] += a * b
        return out

    total = [z, mpmath.mpf(1)]
    for a in atoms:
        total = product(total, [a, mpmath.mpf(1)])
    for i, (a, w) in enumerate(zip(atoms, weights, strict=True)):
        part = [-c * w * a, mpmath.mpf(0)]
        for j, b in enumerate(atoms):
            if j != i:
                part = product(part, [b, mpmath.mpf(1)])
        padded = [mpmath.mpf(0)] * (len(total) - len(part)) + part
        total = [p + q for p, q in zip(total, padded, strict=True)]
    return total
