"""Sentences of the page that state a result: built from the rows, so that they change with them."""

from __future__ import annotations

from .measure import total_failures
from .tables import Results, cases, failure_totals, select, significant, small, speedup


def _range(values: list[float]) -> str:
    low, high = significant(min(values)), significant(max(values))
    return low if low == high else f"{low} to {high}"


def kappa(results: Results) -> str:
    """Largest errors and the spread of the ratios."""
    found = cases(results, "kappa").values()
    methods = ("kappaflow", "NumPy Newton", "fsolve")
    errors = ", ".join(f"{m} {small(max(case[m]['error'] for case in found))}" for m in methods)
    ratios = "; ".join(f"{m} takes {_range([speedup(case, m) for case in found])} times as long" for m in methods[1:])
    return f"Largest errors of this table: {errors}. Against kappaflow, {ratios}."


def failures(results: Results) -> str:
    """What the safe start does, and what fsolve's flag is worth."""
    safe = [failure_totals(results, m, "trace") for m in ("NumPy Newton", "fsolve", "mpmath, 80 digits")]
    count = sum(total_failures(f) for f in safe)
    text = (
        "no other method fails on this grid: a user who knows the safe start and iterates until rounding gets right values"
        if count == 0
        else f"the other methods fail on {count} values of this grid"
    )
    flag, noise = safe[1], failure_totals(results, "fsolve", "noise")
    return (
        f"From t + tr Σ/n, {text}. `fsolve`'s own flag does not tell right from wrong: from the safe start it warns of "
        f"{flag['warned_but_right']} of {flag['points']} values that are right, and from t it is silent on {noise['silent']} of "
        f"{total_failures(noise)} that are wrong."
    )


def root(results: Results) -> str:
    """Errors of both methods, and where the recipe is the more accurate one."""
    found = list(cases(results, "root").values())
    better = sum(case["published recipe"]["error_variance"] < case["kappaflow"]["error_variance"] for case in found)
    lost = sum(case["published recipe"]["error_variance"] > 0.01 for case in found)
    worst = [max(case["kappaflow"][f"error_{name}"] for case in found) for name in ("expectation", "variance")]
    return (
        f"Largest errors of kappaflow: {small(worst[0])} (expectation) and {small(worst[1])} (variance). The recipe's "
        f"variance is the more accurate one in {better} of {len(found)} cases, where its nodes suffice for the spectrum, "
        f"and wrong by more than 1 % in {lost}; it has no error estimate that tells these apart."
    )


def quadrature(results: Results) -> str:
    """Who is more accurate than kappaflow on few modes."""
    found = list(cases(results, "quadrature").values())
    parts = []
    for method in ("published recipe", "scipy dblquad", "scipy cubature"):
        rows = [(case[method], case["kappaflow"]) for case in found if method in case]
        better = sum(theirs["error_variance"] < ours["error_variance"] for theirs, ours in rows)
        parts.append(f"{method} in {better} of {len(rows)}")
    return "Cases in which another method's variance has the smaller error: " + ", ".join(parts) + "."


def tolerance(results: Results) -> str:
    """How the variance follows the tolerance."""
    rows = select(results, "tolerance")
    ratios = [row["error_variance"] / row["requested"] for row in rows]
    below = sum(row["error_variance"] <= row["error_slope"] for row in rows)
    return (
        f"Error of the variance over the tolerance: {_range(ratios)}. It follows the tolerance, so it is the error of the rule and "
        "not rounding (all weights are positive: nothing cancels); for n ≫ d the variance of a mode goes like (x f′)², and f′ "
        f"is approximated less well than f. The error of the variance is at most that of x f′ in {below} of {len(rows)} rows."
    )


def white(results: Results) -> str:
    """What the general method costs where a closed form exists."""
    ratios = [
        1 / speedup(case, method)
        for case in cases(results, "peers-white").values()
        for method in case
        if method != "kappaflow"
    ]
    if not ratios:
        return "No peer was installed."
    return f"kappaflow solves the equation of any spectrum and takes {_range(ratios)} times their time here."
