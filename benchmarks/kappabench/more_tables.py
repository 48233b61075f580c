"""Tables of the quadrature rule, linear algebra, growth and peers, and the README's rows."""

from __future__ import annotations

import textwrap

from .measure import Row, total_failures
from .rule import FLOOR, nodes_for, rate
from .tables import (
    Results,
    anchor,
    band,
    cases,
    duration,
    failure_text,
    failure_totals,
    select,
    significant,
    small,
    speedup,
    table,
    times,
)

TARGETS = (1e-3, 1e-6, 1e-9, 1e-12)


def rule_table(results: Results) -> str:
    """Nodes that meet a target, for each rule; for Gauss-Legendre the smallest power of two that was tried."""
    lines = []
    for row in select(results, "rule"):
        last = int(row["gauss_legendre"][-1][0])
        for i, target in enumerate(TARGETS):
            cells = [(anchor(row["id"]) if i == 0 else "") + row["spectrum"]]
            cells.append(f"{row['support'][0]:.1e} … {row['support'][1]:.2f}")
            cells.append(f"{target:.0e}")
            for curve in ("optimal", "gauss_legendre", "gauss_legendre_scaled"):
                nodes = nodes_for(row[curve], target)
                cells.append(str(nodes) if nodes else f"more than {last}" if curve != "optimal" else "–")
            lines.append(cells)
    header = ["spectrum", "support of Σ̂", "largest relative error", "optimal rule (kappaflow)", "Gauss-Legendre in θ"]
    return table([*header, "the same, scaled to the support"], lines)


def rule_constants(results: Results) -> str:
    """How far the measured errors lie from the theoretical rate, above the floor of rounding."""
    parts = []
    for row in select(results, "rule"):
        ratios = [error / rate(tuple(row["support"]), nodes) for nodes, error in row["optimal"] if error > 10 * FLOOR]
        parts.append(f"{row['spectrum']}: {significant(min(ratios), 2)} to {significant(max(ratios), 2)}")
    return "; ".join(parts)


def pairs_table(results: Results) -> str:
    """All mode pairs."""
    lines = [
        [anchor(row["id"]) + str(row["d"]), str(row["n"]), band(row["time"]), str(row["nodes"]), small(row["error"])]
        for row in select(results, "pairs")
    ]
    return table(["d", "n", "time", "nodes", "error against the direct sum"], lines)


def eigen_table(results: Results) -> str:
    """Eigendecomposition."""
    lines = []
    for name, case in cases(results, "eigen").items():
        for i, (method, row) in enumerate(case.items()):
            ratio = "" if method == "kappaflow" else f"{significant(1 / speedup(case, method))}"
            lines.append(
                [
                    (anchor(name) if i == 0 else "") + str(row["d"]),
                    method,
                    band(row["time"]),
                    ratio,
                    small(row["error"]),
                ]
            )
    return table(["d", "method", "time", "kappaflow's time is", "residual / largest eigenvalue"], lines)


def growth_table(results: Results) -> str:
    """Points and fitted exponents."""
    lines = []
    for row in select(results, "growth"):
        points = "; ".join(f"{p['d']:,}: {duration(p['seconds'])}".replace(",", " ") for p in row["points"])
        fit = row["fit"]
        lines.append(
            [
                anchor(row["id"]) + row["task"],
                row["method"],
                points,
                f"d^{fit['exponent']:.2f}",
                f"d ≥ {fit['from_d']}, within a factor {fit['misfit']:.2f}",
                small(max(p["error"] for p in row["points"])),
            ]
        )
    return table(["task", "method", "d: time", "fitted growth", "fitted to", "largest error"], lines)


# ---------------------------------------------------------------- peers
def peer_status(results: Results) -> str:
    """Which peers ran, in which environment."""
    peers = results["peers"]
    if peers is None:
        return "The peers were not measured in this run."
    versions = ", ".join(f"{name} {value}" for name, value in peers["facts"].items())
    packages = "; ".join(f"{name}: {value}" for name, value in peers["status"].items())
    return f"Environment of this section: {versions}. Packages: {packages}."


def white_table(results: Results) -> str:
    """Marchenko-Pastur law."""
    lines = []
    for name, case in cases(results, "peers-white").items():
        for i, (method, row) in enumerate(case.items()):
            lines.append(
                [
                    (anchor(name) if i == 0 else "") + f"{row['ratio']:g}",
                    method,
                    band(row["time"]),
                    "" if method == "kappaflow" else times(speedup(case, method)),
                    small(row["error"]),
                    small(row["error_inside"]),
                    small(row["error_support"]),
                ]
            )
    header = [
        "d/n",
        "method",
        "time",
        "kappaflow is faster by",
        "largest error of the density",
        "in the middle 90 %",
        "of the edges",
    ]
    return table(header, lines)


def atoms_table(results: Results) -> str:
    """Two atoms."""
    lines = []
    for name, case in cases(results, "peers-atoms").items():
        for i, (method, row) in enumerate(case.items()):
            lines.append(
                [
                    (anchor(name) if i == 0 else "") + f"{row['ratio']:g}",
                    method,
                    band(row["time"]),
                    "" if method == "kappaflow" else times(speedup(case, method)),
                    small(row["error"]),
                    small(row["error_median"]),
                    f"{row['off']} of {row['points']}",
                    "different number of edges" if row["error_support"] is None else small(row["error_support"]),
                ]
            )
    header = [
        "d/n",
        "method",
        "time",
        "kappaflow is faster by",
        "largest error of the density",
        "median",
        "off by more than 1 %",
    ]
    return table([*header, "of the edges"], lines)


def peer_kappa_table(results: Results) -> str:
    """κ through freealg."""
    lines = []
    for name, case in cases(results, "peers-kappa").items():
        ours = case["kappaflow"]
        cells = [
            anchor(name) + ours["spectrum"],
            str(ours["d"]),
            str(ours["n"]),
            band(ours["time"]),
            small(ours["error"]),
        ]
        theirs = case.get("freealg")
        if theirs is None:
            cells += ["–"] * 4
        else:
            cells += [duration(theirs["time"]["best"]), times(speedup(case, "freealg"))]
            cells += [small(theirs["error"]), failure_text(theirs["failures"])]
        lines.append(cells)
    header = [
        "spectrum",
        "d",
        "n",
        "kappaflow",
        "error",
        "freealg",
        "kappaflow is faster by",
        "error where it succeeds",
    ]
    return table([*header, "freealg fails"], lines)


# ---------------------------------------------------------------- README
def readme_table(results: Results, page: str = "docs/benchmarks.md") -> str:
    """The README's rows, each with a link to its row of the page."""

    def link(text: str, name: str) -> str:
        return f"[{text}]({page}#{name})"

    lines: list[list[str]] = []

    def add(
        text: str, name: str, ours: Row, today: str, theirs: Row, errors: tuple[float | None, float | None]
    ) -> None:
        factor = theirs["time"]["best"] / ours["time"]["best"]
        scaled = f" ({theirs['levels_timed']} levels timed, scaled)" if theirs["time"]["scaled_by"] != 1 else ""
        cells = [
            link(text, name),
            duration(ours["time"]["best"]),
            f"{today} {duration(theirs['time']['best'])}{scaled}",
        ]
        lines.append([*cells, times(factor), small(errors[0]), small(errors[1])])

    d = max(row["d"] for row in select(results, "kappa"))
    for name, case in cases(results, "kappa").items():
        ours = case["kappaflow"]
        if ours["d"] == d and ours["spectrum"] in ("power law", "twelve decades") and ours["n"] < d:
            text = f"κ at 100 noise levels, {ours['spectrum']}, d = {d}, n = {ours['n']}"
            methods = (
                ("NumPy Newton", "fsolve", "mpmath, 80 digits") if ours["spectrum"] == "power law" else ("fsolve",)
            )
            for method in methods:
                add(text, name, ours, method, case[method], (ours["error"], case[method]["error"]))
    d = max(row["d"] for row in select(results, "root"))
    for name, case in cases(results, "root").items():
        ours, recipe = case["kappaflow"], case["published recipe"]
        if ours["d"] == d and ours["spectrum"] in ("power law", "twelve decades"):
            text = f"expectation and variance of all modes, {ours['spectrum']}, d = {d}, n = {ours['n']}"
            worst = [max(row["error_expectation"], row["error_variance"]) for row in (ours, recipe)]
            add(text, name, ours, "published recipe", recipe, (worst[0], worst[1]))
    row = select(results, "pairs")[-1]
    pair_cells = [link(f"all {row['d']} × {row['d']} mode pairs", row["id"]), duration(row["time"]["best"])]
    lines.append([*pair_cells, "–", "–", small(row["error"]), "–"])
    name, case = list(cases(results, "eigen").items())[-1]
    ours, numpy_row = case["kappaflow"], case["numpy.linalg.eigh"]
    text = f"eigendecomposition, d = {ours['d']}"
    add(text, name, ours, "numpy.linalg.eigh", numpy_row, (ours["error"], numpy_row["error"]))
    name, case = [item for item in cases(results, "large").items() if "power-law" in item[0]][-1]
    full, once, numpy_row = case["kappaflow, all modes"], case["compression, once"], case["NumPy Newton"]
    size = f"{full['d']:,}".replace(",", " ")
    add(
        f"κ at 100 noise levels, d = {size}, n = d/10, all modes",
        name,
        full,
        "NumPy Newton",
        numpy_row,
        (full["error"], numpy_row["error"]),
    )
    ours = case["kappaflow, compressed"]
    text = f"the same after compression ({duration(once['time']['best'])}, once)"
    add(text, name, ours, "kappaflow, all modes,", full, (ours["error"], full["error"]))
    for name, case in cases(results, "peers-white").items():
        theirs = case.get("freealg")
        if theirs and theirs["ratio"] == 0.5:
            text = f"density of white data, d/n = 0.5, {theirs['points']} points"
            errors = (case["kappaflow"]["error"], theirs["error"])
            add(text, name, case["kappaflow"], "freealg (closed form)", theirs, errors)
    return table(["task", "kappaflow", "alternative", "ratio", "error, kappaflow", "error, alternative"], lines)


def readme_failures(results: Results, page: str = "docs/benchmarks.md") -> str:
    """One sentence on wrong roots, from the counts."""
    ours = failure_totals(results, "kappaflow", "chosen by the library")
    noise = failure_totals(results, "fsolve", "noise", True)
    trace = failure_totals(results, "fsolve", "trace")
    return (
        f"Failures over {ours['points']} values of κ: kappaflow {total_failures(ours)}. `fsolve` started at the noise variance "
        f"fails on [{total_failures(noise)} of the {noise['points']} values with n below d]({page}#failures-total-fsolve-noise), "
        f"{noise['silent']} of them silently; started at t + tr Σ/n it fails on "
        f"[{total_failures(trace)} of {trace['points']}]({page}#failures-total-fsolve-trace)."
    )


def readme_section(results: Results) -> str:
    """Everything between the README's markers."""
    facts = results["facts"]
    intro = (
        f"Written by `python benchmarks/page.py` ({facts['date']}, {facts['processor']}, {facts['cores']} cores, NumPy "
        f"{facts['numpy']}, SciPy {facts['scipy']}). Times are the best of interleaved runs; errors are relative, against 40 "
        "digits or extended precision. Each row links to the [benchmark page](docs/benchmarks.md), which describes what was "
        "compared, where kappaflow ties or loses, and how cost grows."
    )
    prose = [
        textwrap.fill(text, 130, break_long_words=False, break_on_hyphens=False)
        for text in (intro, readme_failures(results))
    ]
    return "\n\n".join([prose[0], readme_table(results), prose[1]])
