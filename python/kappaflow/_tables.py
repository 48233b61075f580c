"""Tables of results: ``to_dataframe()`` and the table that a notebook shows, from named columns.

A result gets both by inheriting from :class:`Tabular` and naming its columns. Two lines are enough::

    @dataclass(frozen=True)
    class Answer(Tabular):
        n: IntArray
        value: FloatArray

        def _columns(self) -> Columns:
            return {"n": self.n, "disagreement": self.value}

Every column is a one-dimensional array or sequence of the same length, or a single value, which makes a table of one row or
is repeated for every row. A result whose display should differ from its export overrides only ``_repr_html_``, with
:func:`html_table`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._plain_text import plain_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Columns", "Tabular", "html_table"]

#: Heading → values of a column, in the order in which they are shown.
Columns: TypeAlias = Mapping[str, Any]

#: Rows that a notebook shows; longer tables show the first and the last ones.
_SHOWN_ROWS = 12


class Tabular:
    """A result that is a table: subclasses define its columns."""

    __slots__ = ()

    def _columns(self) -> Columns:
        """Named columns, all of one length; single values are repeated."""
        raise NotImplementedError

    def to_dataframe(self) -> pd.DataFrame:
        """The table as a pandas DataFrame with one column per name and rows numbered from 0.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        try:
            import pandas as pd  # lazy: pandas
        except ImportError as error:
            raise ImportError("to_dataframe() needs pandas: pip install pandas") from error
        return pd.DataFrame(_arrays(self._columns()))

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        return html_table(self._columns(), caption=type(self).__name__)


def _escape(text: object) -> str:
    import html  # lazy: a quick start

    return html.escape(plain_text(str(text)))


def html_table(columns: Columns, *, caption: str = "") -> str:
    """An HTML table of named columns, numbers with four digits; tables of more than twelve rows show the first and last six.

    Parameters
    ----------
    columns : heading → one-dimensional values, or single values, which are repeated
    caption : text above the table
    """
    arrays = _arrays(columns)
    count = len(next(iter(arrays.values()))) if arrays else 0
    rows: list[int | None] = list(range(count))
    if count > _SHOWN_ROWS:
        rows[_SHOWN_ROWS // 2 : count - _SHOWN_ROWS // 2] = [None]
    head = "".join(f"<th>{_escape(name)}</th>" for name in arrays)
    body = "".join(_row([... if row is None else values[row] for values in arrays.values()]) for row in rows)
    title = f"<caption>{_escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(cells: Sequence[Any]) -> str:
    return "<tr>" + "".join(f"<td>{_escape(_cell(cell))}</td>" for cell in cells) + "</tr>"


def _cell(value: Any) -> str:
    """A value in words: four digits, thousands with commas, a dash for an unknown value."""
    if value is ...:
        return "…"
    if value is None:
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, (float, np.floating)):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def _arrays(columns: Columns) -> dict[str, npt.NDArray[Any]]:
    """The columns as arrays of one length.

    The lengths must agree, and no column may have more than one dimension; else a ValueError names the shapes.
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in arrays.items() if values.ndim == 1}
    if any(values.ndim > 1 for values in arrays.values()) or len(set(lengths.values())) > 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise ValueError(f"columns must be one-dimensional and of one length, got {shapes}")
    count = next(iter(lengths.values()), 1)
    return {name: values if values.ndim else np.repeat(values, count) for name, values in arrays.items()}
