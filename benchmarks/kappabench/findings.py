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
    return f"Largest errors in this table: {errors}. Compared with kappaflow, {ratios}."


def failures(results: Results) -> str:
    """The effect of the safe start, and the value of fsolve's flag."""
    safe = [failure_totals(results, m, "trace") for m in ("NumPy Newton", "fsolve", "mpmath, 80 digits")]
    count = sum(total_failures(f) for f in safe)
    text = (
        "no other method fails on this grid: users who know the safe start and iterate to rounding get right values"
        if count == 0
        else f"the other methods fail on {count} values of this grid"
    )
    flag, noise = safe[1], failure_totals(results, "fsolve", "noise")
    return (
        f"From t + tr Σ/n, {text}. `fsolve`'s own flag does not distinguish right values from wrong ones: from the safe start it "
        f"warns about {flag['warned_but_right']} of {flag['points']} values although they are right, and from t it is silent about "
        f"{noise['silent']} of {total_failures(noise)} wrong ones."
    )


def root(results: Results) -> str:
    """Errors of both methods, and the cases in which the recipe is more accurate."""
    found = list(cases(results, "root").values())
    better = sum(case["published recipe"]["error_variance"] < case["kappaflow"]["error_variance"] for case in found)
    lost = sum(case["published recipe"]["error_variance"] > 0.01 for case in found)
    worst = [max(case["kappaflow"][f"error_{name}"] for case in found) for name in ("expectation", "variance")]
    return (
        f"Largest errors of kappaflow: {small(worst[0])} (expectation) and {small(worst[1])} (variance). The recipe's "
        f"variance is the more accurate one in {better} of {len(found)} cases, where its nodes suffice for the spectrum, "
        f"and wrong by more than 1 % in {lost}; it has no error estimate that distinguishes these cases."
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
        f"Error of the variance divided by the tolerance: {_range(ratios)}. It follows the tolerance, so it is the error of the "
        "rule and not rounding (all weights are positive, so nothing cancels). For n ≫ d the variance of a mode scales as (x f′)², "
        "and f′ is approximated less well than f. The error of the variance is at most that of x f′ in "
        f"{below} of {len(rows)} rows."
    )


def white(results: Results) -> str:
    """The cost of the general method for a case with a closed form."""
    ratios = [
        1 / speedup(case, method)
        for case in cases(results, "peers-white").values()
        for method in case
        if method != "kappaflow"
    ]
    if not ratios:
        return "No peer was installed."
    return f"kappaflow solves the equation for any spectrum and takes {_range(ratios)} times as long here."
