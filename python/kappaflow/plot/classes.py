"""The panel of the answers by class."""

from __future__ import annotations

from matplotlib.axes import Axes

from ..consistency.classes import ClassAnswers
from ..consistency.prediction import Prediction
from ..report.consistency.classes import plot_classes
from ._axes import drawn, target

__all__ = ["images_by_class"]


def images_by_class(result: ClassAnswers | Prediction, *, ax: Axes | None = None, legend: bool = True) -> Axes:
    """The images that the data have of each class, and those at which two linear models of it agree, on a logarithmic abscissa.

    A class has enough if its diamond lies left of its dot. Of more than 30 classes, the 30 that lack most images are drawn.

    Parameters
    ----------
    result : of :func:`kappaflow.answers_by_class`, or a prediction with such answers
    ax : axes to draw on, None for the current ones
    legend : whether to draw a legend

    Raises
    ------
    TypeError
        Another kind of result, or `ax` is no Axes.
    ValueError
        A prediction without classes.
    """
    answers = result.classes if isinstance(result, Prediction) else result
    if answers is None:
        raise ValueError("result must hold answers by class, got a prediction without classes")
    if not isinstance(answers, ClassAnswers):
        raise TypeError(f"result must be ClassAnswers or a Prediction with them, got {type(result).__name__}")
    found = answers
    return drawn(target(ax), lambda axes: plot_classes(axes, found), legend=legend)
