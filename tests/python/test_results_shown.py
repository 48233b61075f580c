"""How results are shown: a short ``repr``, a table where there is one, and never an array in full.

The rules, for every public dataclass and named tuple outside of the reports and of the command line:

* One that holds arrays, tensors or other results has a ``repr`` of its own (:class:`kappaflow._repr.ShortRepr`, for named tuples
  :func:`kappaflow._repr.short_repr`), not the generated one, which prints every entry.
* The ``repr`` of a real result is one line of at most 500 characters.
* A result holds a table if two or more of its fields are one-dimensional arrays of the same length, above 1: columns. Such a
  result is a :class:`kappaflow._tables.Tabular`: it has ``to_dataframe()`` and is shown as a table in a notebook. Others may be.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import typing
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import kappaflow
from kappaflow._tables import Tabular

pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
import small_results  # noqa: E402

LONGEST = 500
NOT_WALKED = ("kappaflow.cli", "kappaflow.report", "kappaflow.__main__")
ARRAYS = re.compile(r"Array|ndarray|Tensor|Population\b")


def public_records() -> Iterator[type]:
    """Public dataclasses and named tuples of the package."""
    for module in pkgutil.walk_packages(kappaflow.__path__, "kappaflow."):
        if module.name.startswith(NOT_WALKED) or module.name.rsplit(".", 1)[1].startswith("_"):
            continue
        home = importlib.import_module(module.name)
        for name, cls in vars(home).items():
            if not isinstance(cls, type) or cls.__module__ != home.__name__ or name.startswith("_"):
                continue
            if dataclasses.is_dataclass(cls) or issubclass(cls, tuple):
                yield cls


def holds_arrays(cls: type, inner: frozenset[type] = frozenset()) -> bool:
    """Whether a field is declared to hold arrays, or another record that does."""
    if cls in inner:
        return False
    declared = " ".join(map(str, getattr(cls, "__annotations__", {}).values()))
    if ARRAYS.search(declared):
        return True
    others = [RECORDS[name] for name in re.findall(r"\w+", declared) if name in RECORDS]
    return any(holds_arrays(other, inner | {cls}) for other in others)


RECORDS = {cls.__name__: cls for cls in public_records()}


@pytest.mark.parametrize("cls", sorted(RECORDS.values(), key=lambda cls: (cls.__module__, cls.__name__)), ids=str)
def test_a_generated_repr_prints_no_arrays(cls: type) -> None:
    if not holds_arrays(cls):
        return
    if dataclasses.is_dataclass(cls):
        generated = typing.cast(Any, cls).__dataclass_params__.repr
    else:
        generated = "collections" in typing.cast(Any, cls).__repr__.__code__.co_filename
    assert not generated, "the generated repr prints arrays in full: inherit ShortRepr, or return short_repr(self)"


def everything() -> list[Any]:
    """Every part of one small result of each kind."""
    makers = (small_results.theory, small_results.lens, small_results.validations, small_results.networks)
    return [part for make in makers for result in make() for part in small_results.within(result)]


@pytest.fixture(scope="module")
def shown() -> list[Any]:
    return everything()


def columns(value: Any) -> dict[int, list[str]]:
    """Length → fields that are one-dimensional arrays of that length, where there are two or more of them."""
    lengths: dict[int, list[str]] = {}
    for name in small_results.field_names(value):
        entry = getattr(value, name)
        if isinstance(entry, np.ndarray) and entry.ndim == 1 and entry.size > 1:
            lengths.setdefault(entry.size, []).append(name)
    return {length: names for length, names in lengths.items() if len(names) > 1}


def test_many_kinds_of_results_are_covered(shown: list[Any]) -> None:
    kinds = {type(value).__name__ for value in shown}
    studies = {name for name in RECORDS if name.endswith("Study")}
    results = {
        "Prediction",
        "Diagnosis",
        "Validation",
        "NetworkValidation",
        "Pilot",
        "Population",
        "Splits",
        "SampleSize",
    }
    assert kinds >= studies | results
    assert len(kinds) > 60


def test_every_repr_is_one_short_line(shown: list[Any]) -> None:
    for value in shown:
        text = repr(value)
        assert len(text) <= LONGEST, (type(value), len(text), text)
        assert "\n" not in text, text
        assert not re.search(r"array\(\[|tensor\(|0x[0-9a-f]{6}", text), text
        assert text.startswith(type(value).__name__), text


def test_a_result_with_columns_is_a_table(shown: list[Any]) -> None:
    for value in shown:
        assert isinstance(value, Tabular) or not columns(value), (type(value), columns(value))


def test_every_table_is_a_dataframe_and_html(shown: list[Any]) -> None:
    tables = [value for value in shown if isinstance(value, Tabular)]
    assert len({type(table) for table in tables}) > 30
    for table in tables:
        frame = table.to_dataframe()
        assert isinstance(frame, pd.DataFrame)
        assert len(frame.columns) == len(set(frame.columns)) >= 1
        html = table._repr_html_()
        assert html.count("<table>") == 1
        assert len(html) < 20_000
        if len(frame) and isinstance(table, kappaflow.Population) is False:
            assert type(table).__name__ in html


def test_a_table_of_comparisons_has_a_row_for_each(shown: list[Any]) -> None:
    validation = next(value for value in shown if type(value).__name__ == "Validation")
    frame = validation.to_dataframe()
    assert len(frame) == len(validation.comparisons)
    row = frame.iloc[3]
    found = validation.comparisons[3]
    assert (row.quantity, row.law, row.n, row.ratio) == (found.quantity, found.law, found.n, found.agreement.ratio)


def test_curves_of_kappa_are_in_the_rows_of_their_law_and_n(shown: list[Any]) -> None:
    curves = next(value for value in shown if type(value).__name__ == "KappaCurves")
    frame = curves.to_dataframe()
    rows = frame[(frame.law == "published") & (frame.n == curves.n[1])]
    np.testing.assert_array_equal(rows.kappa, curves.curves["published"][1])
    np.testing.assert_array_equal(rows.noise_variance, curves.noise_variances)


def test_scaling_is_in_the_rows_of_its_law_n_and_band(shown: list[Any]) -> None:
    scaling = next(value for value in shown if type(value).__name__ == "SizeScaling")
    frame = scaling.to_dataframe()
    law = next(iter(scaling.disagreement))
    rows = frame[(frame.law == law) & (frame.eigenband == 2)]
    np.testing.assert_array_equal(rows.disagreement, scaling.disagreement[law][:, 1])
    np.testing.assert_array_equal(rows.n, scaling.n)


@pytest.mark.parametrize("name", ["Counterfactual", "StrataMatrix"])
def test_pairs_of_strata_are_in_their_rows(shown: list[Any], name: str) -> None:
    matrix = next(value for value in shown if type(value).__name__ == name)
    measured = "simulated" if name == "Counterfactual" else "observed"
    frame = matrix.to_dataframe().set_index(["first", "second"])
    i, j = 1, 2
    assert frame.loc[(matrix.names[i], matrix.names[j]), measured] == getattr(matrix, measured)[i, j]
    law = next(iter(matrix.predicted))
    assert frame.loc[(matrix.names[j], matrix.names[i]), f"predicted, {law}"] == matrix.predicted[law][j, i]
