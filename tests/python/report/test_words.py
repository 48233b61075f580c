"""Numbers in words."""

import pytest

from kappaflow.report.words import count, number, percent, percent_setting, short


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.1234, "12 %"), (0.0567, "5.7 %"), (0.00567, "0.57 %"), (1.0, "100 %"), (0.0, "0 %"), (1e-6, "below 0.01 %")],
)
def test_percent(fraction, text):
    assert percent(fraction).replace("\xa0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.5, "1.50"), (0.00123, "0.00123"), (123.4, "123"), (2.5e-7, "2.50·10⁻⁷"), (float("nan"), "–")],
)
def test_number(value, text):
    assert number(value) == text


def test_settings_have_no_trailing_zeros():
    assert [short(x) for x in (0.1, 2.0, 4e-6, 100.0)] == ["0.1", "2", "4·10⁻⁶", "100"]
    assert percent_setting(0.1) == "10\xa0%"
    assert percent_setting(0.025) == "2.5\xa0%"


def test_count():
    assert [count(n) for n in (7, 12_345, 2_345_678, 10**9)] == ["7", "12,345", "2.35 million", "1 billion"]
