"""Tables of results: the data frame, and what a notebook shows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow._tables import Columns, Tabular, html_table

pd = pytest.importorskip("pandas")


@dataclass(frozen=True)
class Answer(Tabular):
    n: Any
    value: Any
    law: Any = "gaussian"

    def _columns(self) -> Columns:
        return {"n": self.n, "value": self.value, "law": self.law}


def test_data_frame_has_the_columns() -> None:
    table = Answer([10, 20], np.array([0.5, 0.25])).to_dataframe()
    expected = pd.DataFrame({"n": [10, 20], "value": [0.5, 0.25], "law": ["gaussian"] * 2})
    assert table["n"].tolist() == expected["n"].tolist()
    assert table["value"].tolist() == expected["value"].tolist()
    assert table["law"].tolist() == expected["law"].tolist()


def test_single_values_are_one_row() -> None:
    assert Answer(10, 0.5).to_dataframe().shape == (1, 3)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"columns must be one-dimensional and of one length, got n \(2,\), value \(3,\)"
    ):
        Answer([1, 2], [1, 2, 3]).to_dataframe()
    with pytest.raises(ValueError, match="columns must be one-dimensional"):
        Answer(np.ones((2, 2)), 1.0).to_dataframe()


def test_without_pandas_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_dataframe\(\) needs pandas: pip install pandas"):
        Answer(1, 2).to_dataframe()
    assert "<table>" in Answer(1, 2)._repr_html_()  # which needs no pandas


def test_html_of_a_short_table() -> None:
    shown = Answer([10_000, 2], [0.123456, np.nan], ["a<b", None])._repr_html_()
    assert shown == (
        "<table><caption>Answer</caption><thead><tr><th>n</th><th>value</th><th>law</th></tr></thead><tbody>"
        "<tr><td>10,000</td><td>0.1235</td><td>a&lt;b</td></tr><tr><td>2</td><td>–</td><td>–</td></tr></tbody></table>"
    )
    assert "<td>yes</td>" in html_table({"good": np.array([True, False])})


def test_html_of_a_long_table_has_its_ends() -> None:
    shown = html_table({"k": np.arange(100)})
    assert shown.count("<tr>") == 1 + 6 + 1 + 6
    for cell in ("0", "5", "…", "94", "99"):
        assert f"<td>{cell}</td>" in shown
    assert "<td>6</td>" not in shown
    assert html_table({"k": np.arange(12)}).count("<tr>") == 13


def test_sample_size_kappa_and_modes_are_tables() -> None:
    answer = kf.SampleSize(n=30, value=0.04, n_below=29, value_below=0.051)
    assert answer.to_dataframe().to_dict("records") == [
        {"n": 29, "value": 0.051, "meets": False},
        {"n": 30, "value": 0.04, "meets": True},
    ]
    assert "<td>0.051</td><td>no</td>" in answer._repr_html_()
    assert len(kf.SampleSize(n=2, value=0.01, n_below=None, value_below=None).to_dataframe()) == 1
    info = kf.solve_kappa([1.0, 2.0], 5, sigma=[0.1, 1.0], return_info=True)
    table = info.to_dataframe()
    assert list(table.columns) == [
        "noise_variance",
        "kappa",
        "derivative",
        "df1",
        "residual",
        "iterations",
        "certified",
    ]
    np.testing.assert_array_equal(table["kappa"], info.kappa)
    assert len(kf.solve_kappa([1.0], 5, sigma=np.ones((2, 3)), return_info=True).to_dataframe()) == 6
    splits = kf.Splits(kf.Population.from_spectrum([3.0, 1.0]), 9)
    by_mode = splits.mode_disagreement(splits.sampling_map(), input_sigma=80.0)
    np.testing.assert_array_equal(by_mode.to_dataframe()["part"], by_mode.part)
