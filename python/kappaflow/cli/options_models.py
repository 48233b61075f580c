"""Options that name a trained model, its class, or the device of torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from ..models.names import check_model_name
from .completion import one_of
from .declaring import option
from .errors import naming

#: What names a trained denoiser.
NETWORK_FORMS = (
    "a checkpoint of kappaflow, the folder of a diffusers pipeline, or module:function for a denoiser D(x, sigma)"
)


@dataclass(frozen=True)
class Device:
    """The device that torch uses."""

    device: Annotated[
        str,
        option(
            "--device",
            metavar="DEVICE",
            complete=one_of(("cpu", "cuda")),
            help="Device to compute on: cpu, cuda or cuda:<number>.",
        ),
    ] = "cpu"

    kinds: ClassVar[str] = "'cpu', 'cuda' or 'cuda:<number>'"
    pattern: ClassVar[str] = "cpu|cuda(:[0-9]{1,3})?"

    def __post_init__(self) -> None:
        """Refuse what is no device anywhere; whether it exists is known when torch is there."""
        if re.fullmatch(self.pattern, self.device) is None:
            raise ValueError(f"--device must be {self.kinds}, got {self.device!r}")


@dataclass(frozen=True)
class TrainingDevice(Device):
    """The device that trains networks, which may be one without float64."""

    kinds: ClassVar[str] = "'cpu', 'cuda', 'cuda:<number>' or 'mps'"
    pattern: ClassVar[str] = f"{Device.pattern}|mps"


@dataclass(frozen=True)
class ClassLabel:
    """The class of class-conditional models."""

    label: Annotated[
        int | None,
        option("--label", min=0, metavar="CLASS", shown="none", help="Class of class-conditional diffusers models."),
    ] = None

    def require_model(self, flag: str, model: object) -> None:
        """Raise ValueError for a class without a model, which the option `flag` names."""
        if self.label is not None and not model:
            raise ValueError(f"--label needs {flag}, got {self.label} without it")


def require_model_name(option: str, name: str) -> None:
    """Raise an error, before any work, if an option names no model."""
    with naming(option):
        check_model_name(name)


@dataclass(frozen=True)
class TrainedNetwork(ClassLabel):
    """A model of the user."""

    network: Annotated[
        str | None,
        option("--network", metavar="MODEL", shown="none", help=f"Trained denoiser: {NETWORK_FORMS}."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse a name of no model, and a class without a model."""
        self.require_model("--network", self.network)
        if self.network is not None:
            require_model_name("--network", self.network)
