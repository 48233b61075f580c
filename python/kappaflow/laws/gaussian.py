"""The Gaussian law: all samples are alike but for their direction."""

from __future__ import annotations

from .closed_form import ClosedFormLaw, closed_form
from .cost import Work
from .law import Ensemble
from .registry import LawSpec

__all__ = ["SPEC", "multiply_adds"]

#: Nodes of the sampling map: 15 to 28 were seen.
NODES = 20


def build(ensemble: Ensemble) -> ClosedFormLaw:
    """The closed form with samples of equal size."""
    return ClosedFormLaw(closed_form(ensemble, None, corrected=ensemble.corrected))


def multiply_adds(work: Work) -> float:
    """Sums over pairs of nodes for each mode, and for each image the product of all pixels with all modes."""
    at_each_n = work.modes * NODES * (NODES + work.seeds + work.noise_levels)
    return work.sizes * at_each_n + work.images * work.modes**2 * NODES


SPEC = LawSpec(
    name="gaussian",
    title="Gaussian law",
    assumes="Gaussian data",
    treats="assumes that all images are alike",
    describes="Gaussian data with the mean and covariance of your images",
    undiagnosed="On natural images the true variance between training sets is larger, up to several times on small patches; "
    "the ordering of modes, seeds and sizes is more robust than the absolute level.",
    misses="The Gaussian law knows only the mean and covariance of the data. Real images differ in contrast from one to the next, "
    "which makes the variance over training sets larger or smaller than the law predicts: on small patches of photographs by "
    "several times. Misses of that size are expected there. The order of modes, inputs and sizes is more robust; the figures "
    "show how far it holds here.",
    multiply_adds=multiply_adds,
    build=build,
    tolerance=1e-13,
    needs_profiles=False,
    has_corrections=True,
    terms=("full", "published"),
)
