"""Networks and unfinished trainings on disk: safetensors with JSON metadata, written completely or not at all."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt
import torch

from .._formats import NETWORK, TRAINING
from .._repr import ShortRepr, short_repr
from .._schema import FileError, TensorFormat, shown_value
from .._tensors import TensorFile, damaged, read_tensors, write_tensors
from .config import NetworkConfig, build_denoiser
from .edm import EDMDenoiser

__all__ = [
    "LoadedNetwork",
    "TrainingState",
    "check_state",
    "load_network",
    "load_state",
    "network_facts",
    "save_network",
    "save_state",
]

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class LoadedNetwork(NamedTuple):
    """A denoiser in evaluation mode, and the facts that were saved beside it."""

    denoiser: EDMDenoiser
    facts: dict[str, Any]

    def __repr__(self) -> str:
        return short_repr(self)


@dataclass(repr=False)
class TrainingState(ShortRepr):
    """Everything that a training needs to continue.

    Attributes
    ----------
    parameters : name → parameter of the denoiser, which the optimiser moves
    ema : name → average of that parameter
    optimiser : Adam
    step : number of steps done
    seconds : duration of the earlier sessions
    config : the network, its training and its data, which distinguish this run from others
    averaged : number of steps in the average
    """

    parameters: dict[str, torch.nn.Parameter]
    ema: dict[str, torch.Tensor]
    optimiser: torch.optim.Adam
    step: int
    seconds: float
    config: dict[str, Any]
    averaged: int = 0

    @classmethod
    def new(cls, denoiser: EDMDenoiser, config: Mapping[str, Any]) -> TrainingState:
        """The state before the first step."""
        parameters = dict(denoiser.named_parameters())
        averages = {name: value.detach().clone() for name, value in parameters.items()}
        plain = json.loads(json.dumps(dict(config)))
        optimiser = torch.optim.Adam(parameters.values(), lr=0.0)
        return cls(parameters, averages, optimiser, step=0, seconds=0.0, config=plain)

    @property
    def whole(self) -> bool:
        """Whether the optimiser and the average have done all `step` steps; false in the middle of a step."""
        counts = {int(values["step"]) for values in self.optimiser.state.values()}
        return counts <= {self.step} and self.averaged == self.step

    def average(self, width: float) -> None:
        """Move the average towards the weights of this step, β = (1 − 1/step)^(γ+1); with width 0 it becomes those weights."""
        keep = 0.0 if width == 0 else (1 - 1 / self.step) ** (ema_exponent(width) + 1)
        with torch.no_grad():
            torch._foreach_mul_(list(self.ema.values()), keep)
            torch._foreach_add_(list(self.ema.values()), list(self.parameters.values()), alpha=1 - keep)
        self.averaged = self.step

    def use_average(self, denoiser: EDMDenoiser) -> None:
        """Put the averaged weights into the denoiser."""
        with torch.no_grad():
            for name, parameter in denoiser.named_parameters():
                parameter.copy_(self.ema[name])

    def check_finite(self) -> None:
        """Check the weights before they are saved.

        Raises
        ------
        FloatingPointError
            A weight is not finite.
        """
        for name, value in self.parameters.items():
            if not bool(torch.isfinite(value).all()):
                raise FloatingPointError(
                    f"training diverged before step {self.step}: {name} is not finite; take a smaller learning rate"
                )


@functools.lru_cache
def ema_exponent(width: float) -> float:
    """γ of the power function average whose relative width is `width` (Karras et al. 2024): width² = (γ+1)/((γ+2)²(γ+3)).

    >>> round(ema_exponent(0.1), 2)
    6.94
    """
    from scipy.optimize import brentq

    return float(brentq(lambda g: (g + 1) / ((g + 2) ** 2 * (g + 3)) - width**2, 0.0 if width < 0.28 else -0.9, 1e6))


def save_state(path: Path, state: TrainingState, *, seconds: float) -> None:
    """Write a training; an interruption leaves the earlier file unchanged.

    Parameters
    ----------
    path : file
    state : the training
    seconds : time that it took so far, over all sessions

    Raises
    ------
    OSError
        The file cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in state.parameters.items():
        tensors[f"weights/{name}"], tensors[f"ema/{name}"] = parameter.detach(), state.ema[name]
        for moment, value in state.optimiser.state.get(parameter, {}).items():
            tensors[f"adam/{moment}/{name}"] = value
    facts = {"config": state.config, "step": state.step, "seconds": seconds}
    _write(path, tensors, TRAINING, facts)


def check_state(path: Path, config: Mapping[str, Any]) -> TensorFile:
    """The arrays and facts of a training, which must be that of a configuration.

    Raises
    ------
    FileError
        The file is not a training, damaged, or changed since it was written.
    ValueError
        It is one of another run.
    FileNotFoundError
        There is no such file.
    """
    file = _read(path, TRAINING)
    former = file.facts["config"]
    if former != config:
        changed = [key for key in config if former.get(key) != config[key]]
        raise ValueError(
            f"checkpoint {str(path)!r} is of another run (different: {', '.join(changed)}); remove it or name another"
        )
    return file


def load_state(path: Path, state: TrainingState) -> None:
    """Fill a new state from a file.

    Raises
    ------
    FileError
        The file is not a training, damaged, or changed since it was written.
    ValueError
        It is one of another run.
    FileNotFoundError
        There is no such file.
    """
    arrays, facts = check_state(path, state.config)
    moments = [f"adam/{moment}" for moment in _MOMENTS] if facts["step"] else []
    expected = {
        f"{kind}/{name}": (1,) if kind.endswith("step") else tuple(value.shape)
        for name, value in state.parameters.items()
        for kind in ("weights", "ema", *moments)
    }
    _require_shapes(path, TRAINING, arrays, expected)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.no_grad():
        for name, parameter in state.parameters.items():
            parameter.copy_(tensors[f"weights/{name}"])
            state.ema[name].copy_(tensors[f"ema/{name}"])
            if moments:
                state.optimiser.state[parameter] = {
                    moment: tensors[f"adam/step/{name}"].reshape(())
                    if moment == "step"
                    else tensors[f"adam/{moment}/{name}"].to(parameter.device)
                    for moment in _MOMENTS
                }
    state.step = state.averaged = facts["step"]
    state.seconds = facts["seconds"]


def save_network(path: str | os.PathLike[str], denoiser: EDMDenoiser, facts: Mapping[str, Any]) -> None:
    """Write the weights of a denoiser, and the facts needed to rebuild it.

    Parameters
    ----------
    path : file, which ends in .safetensors
    denoiser : the network
    facts : values for JSON; "network" must hold the fields of :class:`~.config.NetworkConfig`

    Raises
    ------
    OSError
        The file cannot be written.
    """
    tensors = {f"weights/{name}": value.detach() for name, value in denoiser.named_parameters()}
    _write(Path(path), tensors, NETWORK, {"facts": dict(facts)})


def load_network(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> LoadedNetwork:
    """Read a denoiser that :func:`save_network` wrote.

    Parameters
    ----------
    path : file
    device : device of the denoiser

    Raises
    ------
    FileError
        The file is of another kind, damaged, or changed since it was written.
    OSError
        It cannot be read.
    """
    _require_ours(Path(path))
    arrays, facts = _read(Path(path), NETWORK)
    known = facts["facts"]
    try:
        config = NetworkConfig(**{**known["network"], "shape": tuple(known["network"]["shape"])})
        with torch.device("meta"):  # without weights: a file must not make a network that it does not fill
            outline = dict(build_denoiser(config).named_parameters())
    except (ValueError, TypeError, RuntimeError) as error:  # settings that torch refuses raise RuntimeError
        raise damaged(path, NETWORK, f"network must be a configuration that can be built ({error})") from error
    _require_shapes(path, NETWORK, arrays, {f"weights/{name}": tuple(p.shape) for name, p in outline.items()})
    denoiser = build_denoiser(config)
    parameters = dict(denoiser.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(arrays[f"weights/{name}"]))
    return LoadedNetwork(denoiser.to(device).eval(), known)


def network_facts(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The facts in a file that :func:`save_network` wrote; None for any other file."""
    if not os.path.isfile(path):
        return None
    try:
        _, facts = _read(Path(path), NETWORK)
    except ValueError:
        return None
    known: dict[str, Any] = facts["facts"]
    return known


def _require_ours(path: Path) -> None:
    """Raise FileError, with a way out, for weights in safetensors that another program wrote."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            format = (file.metadata() or {}).get("format", "")
    except (SafetensorError, OSError):
        return  # reading says what is wrong
    if not format.startswith("kappaflow-"):
        raise FileError(
            f"path must name a network that kappaflow trained, got {os.fspath(path)!r}, which holds weights of another program: "
            "give the folder of its pipeline (from save_pretrained), or module:name of a function in a file of yours that loads "
            "the network and returns D(x, sigma) or a pipeline"
        )


def _require_shapes(
    path: str | os.PathLike[str],
    format: TensorFormat,
    arrays: Mapping[str, npt.NDArray[Any]],
    expected: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise FileError unless the arrays are those of the network, by name and shape."""
    shapes = {name: array.shape for name, array in arrays.items()}
    for name in (*expected, *shapes):
        wanted, found = expected.get(name, "nothing"), shapes.get(name, "nothing")
        if wanted != found:
            raise damaged(path, format, f"{shown_value(name)} must have the shape {wanted} of the network, got {found}")


def _write(path: Path, tensors: Mapping[str, torch.Tensor], format: TensorFormat, facts: Mapping[str, Any]) -> None:
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    try:
        write_tensors(path, arrays, format=format, facts=facts)
    except OSError as error:
        why = error.strerror or str(error)
        raise OSError(
            error.errno, f"checkpoint {str(path)!r} cannot be written ({why}); the earlier one is intact"
        ) from error


def _read(path: Path, format: TensorFormat) -> TensorFile:
    try:
        return read_tensors(path, format)
    except FileNotFoundError:
        raise FileNotFoundError(f"path must name {format.what}, got {str(path)!r}, which does not exist") from None
