"""From rows to Markdown: every number of the page and of the README's table is written here, from the JSON alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .measure import FAILURES, Row, total_failures

Results = dict[str, Any]


# ---------------------------------------------------------------- numbers
def duration(seconds: float) -> str:
    """``48 µs``, ``0.32 ms``, ``2.6 s``."""
    if seconds < 99.5e-6:
        return f"{significant(1e6 * seconds)} µs"
    return f"{significant(1e3 * seconds)} ms" if seconds < 0.995 else f"{grouped(seconds)} s"


def significant(value: float, digits: int = 2) -> str:
    """Two significant digits without an exponent."""
    return f"{float(f'{value:.{digits - 1}e}'):.10g}"


def grouped(value: float) -> str:
    """Two significant digits, thousands separated by a narrow gap."""
    text = significant(value)
    return f"{int(float(text)):,}".replace(",", " ") if float(text) >= 1000 else text


def times(ratio: float) -> str:
    """How many times as fast: ``18×``, ``0.84×``."""
    return f"{grouped(ratio)}×"


def small(error: float | None) -> str:
    """An error: ``2.5e-16``; a dash if there is none; ``< 1e-40`` for an error below every digit of the reference."""
    if error is None:
        return "–"
    return "< 1e-40" if error < 1e-40 else f"{error:.1e}"


def band(time: Row) -> str:
    """Best time, with median and longest if there are several."""
    text = duration(time["best"])
    if time["repeats"] > 1:
        text += f" ({duration(time['median'])}, {duration(time['longest'])})"
    return text + (f", scaled ×{significant(time['scaled_by'], 3)}" if time["scaled_by"] != 1 else "")


def anchor(name: str) -> str:
    """The target of a link to a row."""
    return f'<a id="{name}"></a>'


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [list(header), ["---"] * len(header), *[list(line) for line in lines]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


# ---------------------------------------------------------------- selection
def select(results: Results, section: str, **wanted: Any) -> list[Row]:
    """Rows of a section with the given fields."""
    return [
        row
        for row in results["rows"]
        if row["section"] == section and all(row.get(key) == value for key, value in wanted.items())
    ]


def cases(results: Results, section: str) -> dict[str, dict[str, Row]]:
    """Rows of a section by case and method, in the order in which they were measured."""
    found: dict[str, dict[str, Row]] = {}
    for row in select(results, section):
        found.setdefault(row["id"], {})[row["method"]] = row
    return found


def speedup(case: dict[str, Row], method: str, against: str = "kappaflow") -> float:
    """Best time of a method over the best time of kappaflow."""
    return float(case[method]["time"]["best"] / case[against]["time"]["best"])


# ---------------------------------------------------------------- tables of the page
def kappa_table(results: Results) -> str:
    """Time and error of κ."""
    lines = []
    for name, case in cases(results, "kappa").items():
        ours = case["kappaflow"]
        cells = [anchor(name) + ours["spectrum"], str(ours["d"]), str(ours["n"]), band(ours["time"])]
        for method in ("NumPy Newton", "fsolve", "mpmath, 80 digits"):
            cells.append(f"{duration(case[method]['time']['best'])}, {times(speedup(case, method))}")
        cells += [small(case[m]["error"]) for m in ("kappaflow", "NumPy Newton", "fsolve")]
        lines.append(cells)
    header = [
        "spectrum",
        "d",
        "n",
        "kappaflow",
        "NumPy Newton",
        "fsolve",
        "mpmath",
        "error: kappaflow",
        "NumPy",
        "fsolve",
    ]
    return table(header, lines)


_FAILURE_COLUMNS = (
    ("kappaflow", "chosen by the library"),
    ("NumPy Newton", "trace"),
    ("fsolve", "trace"),
    ("mpmath, 80 digits", "trace"),
    ("NumPy Newton", "noise"),
    ("fsolve", "noise"),
    ("mpmath, 80 digits", "noise"),
)


def failure_text(counts: Row) -> str:
    """``30 of 100: 28 wrong root, 2 no convergence; 27 silent``, or ``0 of 100``."""
    text = f"{total_failures(counts)} of {counts['points']}"
    names = {"wrong_root": "wrong root", "not_converged": "no convergence", "not_finite": "NaN", "raised": "raised"}
    kinds = [f"{counts[kind]} {names[kind]}" for kind in FAILURES if counts[kind]]
    return text + (": " + ", ".join(kinds) + f"; {counts['silent']} silent" if kinds else "")


def failure_table(results: Results) -> str:
    """Failures by case, one column a method and start."""
    grouped_rows: dict[str, list[Row]] = {}
    for row in select(results, "failures"):
        grouped_rows.setdefault(row["id"], []).append(row)
    lines = []
    for name, rows in grouped_rows.items():
        cells = [anchor(name) + rows[0]["spectrum"], str(rows[0]["d"]), str(rows[0]["n"])]
        for method, start in _FAILURE_COLUMNS:
            (row,) = [r for r in rows if r["method"] == method and r["start"] == start]
            cells.append(failure_text(row["failures"]))
        (flagged,) = [r for r in rows if r["method"] == "fsolve" and r["start"] == "trace"]
        cells.append(str(flagged["failures"]["warned_but_right"]))
        lines.append(cells)
    header = [
        "spectrum",
        "d",
        "n",
        "kappaflow",
        "NumPy, from t + tr Σ/n",
        "fsolve, from t + tr Σ/n",
        "mpmath, from t + tr Σ/n",
    ]
    header += [
        "NumPy, from t",
        "fsolve, from t",
        "mpmath, from t",
        "fsolve from t + tr Σ/n: right values that it warns about",
    ]
    return table(header, lines)


def failure_totals(results: Results, method: str, start: str, below_rank: bool | None = None) -> Row:
    """Failures and points of a method and start over the grid; `below_rank` keeps only n < d (or n ≥ d)."""
    total: Row = {"points": 0, "silent": 0, "warned_but_right": 0, **dict.fromkeys(FAILURES, 0)}
    for row in select(results, "failures", method=method, start=start):
        if below_rank is None or (row["n"] < row["d"]) == below_rank:
            for key in total:
                total[key] += row["failures"][key]
    return total


def failure_summary(results: Results) -> str:
    """The grid summed up, n < d apart from n ≥ d."""
    lines = []
    for method, start in _FAILURE_COLUMNS:
        slug = method.partition(",")[0].lower().replace(" ", "-") + ("" if start.startswith("chosen") else f"-{start}")
        cells = [anchor(f"failures-total-{slug}") + method, {"trace": "t + tr Σ/n", "noise": "t"}.get(start, start)]
        cells += [failure_text(failure_totals(results, method, start, below)) for below in (True, False)]
        lines.append(cells)
    return table(["method", "start", "n < d", "n ≥ d"], lines)


def large_table(results: Results) -> str:
    """κ for very large spectra."""
    lines = []
    for name, case in cases(results, "large").items():
        compressed, base = case["kappaflow, compressed"], next(m for m in case if m.startswith("kappaflow, d ="))
        full, numpy_row = case["kappaflow, all modes"], case["NumPy Newton"]
        lines.append(
            [
                anchor(name) + compressed["spectrum"],
                f"{compressed['d']:,}".replace(",", " "),
                f"{duration(case['compression, once']['time']['best'])}, {case['compression, once']['atoms']} atoms",
                band(compressed["time"]),
                band(full["time"]),
                f"{duration(case[base]['time']['best'])} ({base.partition(', ')[2]})",
                f"{duration(numpy_row['time']['best'])} ({numpy_row['levels_timed']} levels timed, scaled)",
                *[small(row["error"]) for row in (compressed, full, numpy_row)],
            ]
        )
    header = [
        "spectrum",
        "d",
        "compression, once",
        "κ, compressed",
        "κ, all modes",
        "κ of a small spectrum",
        "NumPy Newton",
    ]
    return table([*header, "error: compressed", "all modes", "NumPy"], lines)


def root_table(results: Results) -> str:
    """Expectation and variance at image sizes."""
    lines = []
    for name, case in cases(results, "root").items():
        ours, theirs = case["kappaflow"], case["published recipe"]
        lines.append(
            [
                anchor(name) + ours["spectrum"],
                str(ours["d"]),
                str(ours["n"]),
                band(ours["time"]),
                f"{duration(theirs['time']['best'])}, {times(speedup(case, 'published recipe'))}",
                f"{ours['nodes']} / {theirs['nodes']}",
                *[small(row[key]) for row in (ours, theirs) for key in ("error_expectation", "error_variance")],
            ]
        )
    header = ["spectrum", "d", "n", "kappaflow", "published recipe", "nodes"]
    return table([*header, "error of E: kappaflow", "of V", "error of E: recipe", "of V"], lines)


def quadrature_table(results: Results) -> str:
    """Few modes, with SciPy's adaptive rules."""
    lines = []
    for name, case in cases(results, "quadrature").items():
        for i, (method, row) in enumerate(case.items()):
            lines.append(
                [
                    (anchor(name) if i == 0 else "") + row["spectrum"],
                    str(row["d"]),
                    str(row["n"]),
                    method,
                    band(row["time"]),
                    "" if method == "kappaflow" else times(speedup(case, method)),
                    row["work"],
                    small(row["error_expectation"]),
                    small(row["error_variance"]),
                ]
            )
    header = ["spectrum", "d", "n", "method", "time", "kappaflow is faster by", "work", "error of E", "error of V"]
    return table(header, lines)


def tolerance_table(results: Results) -> str:
    """Requested and achieved."""
    lines = [
        [
            anchor(row["id"]) + row["spectrum"],
            str(row["d"]),
            str(row["n"]),
            f"{row['requested']:.0e}",
            str(row["nodes"]),
            duration(row["time"]["best"]),
            small(row["error_expectation"]),
            small(row["error_variance"]),
            small(row["error_slope"]),
        ]
        for row in select(results, "tolerance")
    ]
    return table(
        [
            "spectrum",
            "d",
            "n",
            "`tolerance=`",
            "nodes",
            "time",
            "error of E",
            "error of V",
            "error of x f′ on the support",
        ],
        lines,
    )
