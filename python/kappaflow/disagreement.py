"""How far apart two models are on the same seeds: one type for networks, for models that need no training, and for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ._checks import FloatArray
from ._tables import Columns, Tabular

__all__ = ["Disagreement", "ModeDisagreement"]


@dataclass(frozen=True, repr=False)
class Disagreement(Tabular):
    """Squared distances between the outputs of two models for the same Z seeds, and for unrelated seeds, per dimension of the data.

    Modes add up to the mean over seeds if a population has as many modes as dimensions; bands do if they also cover all modes.

    Attributes
    ----------
    seeds : (Z,) ‖a − b‖²/d of each seed
    modes : (k,) mean over seeds of (uₖᵀ(a − b))²/d
    bands : (K,) sums of `modes` over each eigenband
    unrelated : ‖a − b‖²/d of two models and two unrelated seeds
    unrelated_modes, unrelated_bands : (k,), (K,) parts of that
    """

    seeds: FloatArray
    modes: FloatArray
    bands: FloatArray
    unrelated: float
    unrelated_modes: FloatArray
    unrelated_bands: FloatArray

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(self.seeds.mean())

    @property
    def ratio(self) -> float:
        """Mean over the seeds relative to unrelated seeds: 0 for equal images, 1 for images as different as unrelated ones."""
        return self.mean / self.unrelated

    @property
    def relative_bands(self) -> FloatArray:
        """(K,) each band relative to unrelated seeds in the band."""
        return self.bands / self.unrelated_bands

    @classmethod
    def average(cls, parts: Sequence[Disagreement]) -> Disagreement:
        """Field by field, the mean of several disagreements on the same seeds, modes and bands.

        Raises
        ------
        ValueError
            No parts.
        """
        if not parts:
            raise ValueError("parts must hold at least one disagreement, got none")
        return cls(
            seeds=np.mean([part.seeds for part in parts], axis=0),
            modes=np.mean([part.modes for part in parts], axis=0),
            bands=np.mean([part.bands for part in parts], axis=0),
            unrelated=float(np.mean([part.unrelated for part in parts])),
            unrelated_modes=np.mean([part.unrelated_modes for part in parts], axis=0),
            unrelated_bands=np.mean([part.unrelated_bands for part in parts], axis=0),
        )

    def _columns(self) -> Columns:
        """One row for each mode."""
        return {
            "mode": np.arange(1, self.modes.size + 1),
            "disagreement": self.modes,
            "unrelated": self.unrelated_modes,
        }

    def __repr__(self) -> str:
        return f"Disagreement({self.mean:.4g}, {self.ratio:.3g} of unrelated seeds, {len(self.seeds)} seeds)"


@dataclass(frozen=True, repr=False)
class ModeDisagreement(Tabular):
    """Mean disagreement by mode, of one mode of each eigenvalue.

    Attributes
    ----------
    part : (k,) contribution of the mode to the mean disagreement per dimension
    relative : (k,) the same, relative to two models *and* two unrelated inputs, between 0 and 1
    """

    part: FloatArray
    relative: FloatArray

    def __repr__(self) -> str:
        return f"ModeDisagreement({len(self.part)} modes)"

    def _columns(self) -> Columns:
        return {"mode": np.arange(1, len(self.part) + 1), "part": self.part, "relative": self.relative}
