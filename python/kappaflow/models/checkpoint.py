"""Networks and unfinished trainings on disk: safetensors with JSON metadata, written completely or not at all."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .._repr import ShortRepr, short_repr
from .._tensors import read_tensors, write_tensors
from .config import NetworkConfig, build_denoiser
from .edm import EDMDenoiser

__all__ = [
    "NETWORK_FORMAT",
    "STATE_FORMAT",
    "LoadedNetwork",
    "TrainingState",
    "load_network",
    "load_state",
    "network_facts",
    "save_network",
    "save_state",
]

NETWORK_FORMAT = "kappaflow-network-1"
STATE_FORMAT = "kappaflow-training-1"
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
    facts = {"config": json.dumps(state.config), "step": str(state.step), "seconds": repr(seconds)}
    _write(path, tensors, STATE_FORMAT, facts)


def load_state(path: Path, state: TrainingState) -> None:
    """Fill a new state from a file.

    Raises
    ------
    ValueError
        The file is not a training, or one of another run.
    FileNotFoundError
        There is no such file.
    """
    tensors, facts = _read(path, STATE_FORMAT, "a training checkpoint")
    former = json.loads(facts["config"])
    if former != state.config:
        changed = [key for key in state.config if former.get(key) != state.config[key]]
        raise ValueError(
            f"checkpoint {str(path)!r} is of another run (different: {', '.join(changed)}); remove it or name another"
        )
    with torch.no_grad():
        for name, parameter in state.parameters.items():
            parameter.copy_(tensors[f"weights/{name}"])
            state.ema[name].copy_(tensors[f"ema/{name}"])
            if f"adam/step/{name}" in tensors:
                moments = {moment: tensors[f"adam/{moment}/{name}"] for moment in _MOMENTS}
                state.optimiser.state[parameter] = {
                    key: value.reshape(()) if key == "step" else value.to(parameter.device)
                    for key, value in moments.items()
                }
    state.step = state.averaged = int(facts["step"])
    state.seconds = float(facts["seconds"])


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
    _write(Path(path), tensors, NETWORK_FORMAT, {"facts": json.dumps(dict(facts))})


def load_network(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> LoadedNetwork:
    """Read a denoiser that :func:`save_network` wrote.

    Parameters
    ----------
    path : file
    device : device of the denoiser

    Raises
    ------
    ValueError
        The file is damaged or of another kind.
    OSError
        It cannot be read.
    """
    _require_ours(Path(path))
    tensors, metadata = _read(Path(path), NETWORK_FORMAT, "a network")
    facts = json.loads(metadata["facts"])
    config = facts["network"]
    denoiser = build_denoiser(NetworkConfig(**{**config, "shape": tuple(config["shape"])}))
    with torch.no_grad():
        for name, parameter in denoiser.named_parameters():
            parameter.copy_(tensors[f"weights/{name}"])
    return LoadedNetwork(denoiser.to(device).eval(), facts)


def network_facts(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The facts in a file that :func:`save_network` wrote; None for any other file."""
    if not os.path.isfile(path):
        return None
    try:
        _, metadata = _read(Path(path), NETWORK_FORMAT, "a network")
    except ValueError:
        return None
    facts: dict[str, Any] = json.loads(metadata["facts"])
    return facts


def _require_ours(path: Path) -> None:
    """Raise ValueError, with a way out, for weights in safetensors that another program wrote."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            format = (file.metadata() or {}).get("format", "")
    except (SafetensorError, OSError):
        return  # reading says what is wrong
    if not format.startswith("kappaflow-"):
        raise ValueError(
            f"path must name a network that kappaflow trained, got {os.fspath(path)!r}, which holds weights of another program: "
            "give the folder of its pipeline (from save_pretrained), or module:name of a function in a file of yours that loads "
            "the network and returns D(x, sigma) or a pipeline"
        )


def _write(path: Path, tensors: Mapping[str, torch.Tensor], format: str, facts: Mapping[str, str]) -> None:
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    try:
        write_tensors(path, arrays, format=format, metadata=facts)
    except OSError as error:
        why = error.strerror or str(error)
        raise OSError(
            error.errno, f"checkpoint {str(path)!r} cannot be written ({why}); the earlier one is intact"
        ) from error


def _read(path: Path, format: str, what: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        arrays, facts = read_tensors(path, format=format, what=f"{what} (.safetensors)", of_format=what)
    except FileNotFoundError:
        raise FileNotFoundError(f"path must name {what}, got {str(path)!r}, which does not exist") from None
    return {name: torch.from_numpy(value) for name, value in arrays.items()}, facts
