"""The report of ``kappaflow lens``: one section for each window, from its study.

Each window has a module with a function ``section(study)``; :func:`build` puts the sections together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..document import Document, Section

__all__ = ["build"]


def build(
    sections: Sequence[Section],
    *,
    source: str,
    population: str,
    notes: Sequence[str] = (),
    facts: Mapping[str, str],
) -> Document:
    """The report of some windows.

    Parameters
    ----------
    sections : of the windows, in the order of the page
    source : name of the data
    population : what is known of the data, a sentence
    notes : what to read first, such as windows that are left out
    facts : label → text of how the report was made

    Raises
    ------
    ValueError
        No section, or two of one name.
    """
    return Document(
        kind="Linear lens",
        source=source,
        title="What the mean and covariance of {source} say about a diffusion model",
        mood="",
        answer=population,
        notes=tuple(notes),
        sections=tuple(sections),
        facts=facts,
    )
