r"""Models that were trained elsewhere, as denoisers D(x; σ) of x = x₀ + σ z.

A variance preserving (VP) model sees y = √ā x₀ + √(1−ā) ε at a time step t of its schedule ā(t). It is the same process in other
variables: with σ(t) = √((1−ā)/ā), y = x/√(1+σ²). Its prediction gives the denoiser::

    epsilon       D = x − σ ε
    sample        D = x₀
    v_prediction  D = √ā y − √(1−ā) v = x/(1+σ²) − σ/√(1+σ²) v

Flow matching, y = (1−s) x₀ + s ε with velocity v = ε − x₀, has σ = s/(1−s), y = x/(1+σ) and D = y − s v.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..._checks import choice
from .checkpoint import load_network

__all__ = ["PREDICTIONS", "ScheduledDenoiser", "from_diffusers", "from_flow", "from_vp", "open_denoiser"]

PREDICTIONS = ("epsilon", "sample", "v_prediction")
#: A network F(y, time) of batches (B, ...), (B,).
Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: Share of a noise level by which rounding may leave the range that a model knows.
_SLACK = 1e-6
_TIMES = 1000  # time steps that flow matching counts


class ScheduledDenoiser:
    """D(x; σ) of a network that counts noise by time steps.

    Attributes
    ----------
    sigma_min, sigma_max : noise levels that the network was trained at; beyond them a call raises ValueError
    image_shape : (channels, height, width), None where the network does not say
    description : what it is
    module : the torch module behind it, None where there is none
    """

    def __init__(
        self,
        answer: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        sigma_min: float,
        sigma_max: float,
        *,
        description: str,
        image_shape: tuple[int, ...] | None = None,
        module: torch.nn.Module | None = None,
    ) -> None:
        self._answer = answer
        self.sigma_min, self.sigma_max = sigma_min, sigma_max
        self.description, self.image_shape, self.module = description, image_shape, module

    def __repr__(self) -> str:
        return f"ScheduledDenoiser({self.description}, σ from {self.sigma_min:.4g} to {self.sigma_max:.4g})"

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """(B, ...) like x; the network computes in its own dtype."""
        low, high = float(sigma.min()), float(sigma.max())
        if low < self.sigma_min * (1 - _SLACK) or high > self.sigma_max * (1 + _SLACK):
            raise ValueError(
                f"sigma must be between {self.sigma_min:.4g} and {self.sigma_max:.4g}, which {self.description} was trained at, "
                f"got {low if low < self.sigma_min else high:.4g}"
            )
        level = sigma.to(x.dtype).clamp(self.sigma_min, self.sigma_max).reshape(-1, *[1] * (x.dim() - 1))
        return self._answer(x, level).to(x.dtype)


def from_vp(
    network: Network,
    alphas_cumprod: Any,
    *,
    prediction: str = "epsilon",
    whole_steps: bool = False,
    description: str = "a VP network",
    image_shape: tuple[int, ...] | None = None,
    module: torch.nn.Module | None = None,
) -> ScheduledDenoiser:
    """A variance preserving network as D(x; σ).

    Parameters
    ----------
    network : F(y, t) with t (B,) time steps from 0 on, fractions between those of the schedule where ln σ lies between theirs
    alphas_cumprod : (T,) ā of each time step, falling; steps where it is 0 (pure noise) are left out
    prediction : what the network predicts, one of :data:`PREDICTIONS`
    whole_steps : round t to the nearest time step, for networks that know no others; D is then that of a noise level nearby

    Raises
    ------
    ValueError : an unknown prediction; a schedule that is not falling within (0, 1)
    """
    choice("prediction", prediction, PREDICTIONS)
    schedule = torch.as_tensor(np.asarray(alphas_cumprod, dtype=np.float64))
    schedule = schedule[schedule > 0]
    if schedule.dim() != 1 or len(schedule) < 2 or not bool((schedule.diff() < 0).all()) or float(schedule[0]) >= 1:
        raise ValueError("alphas_cumprod must be at least two numbers that fall within (0, 1)")
    levels = 0.5 * ((1 - schedule) / schedule).log()

    def answer(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        time = _between(levels.to(x.device), level.flatten().log().to(torch.promote_types(x.dtype, torch.float32)))
        if whole_steps:
            time = time.round()
        root = (1 + level**2).sqrt()
        predicted = network(x / root, time)
        if predicted.shape != x.shape:
            raise ValueError(
                f"network must answer in the shape of its input {tuple(x.shape)}, got {tuple(predicted.shape)}: networks that "
                "predict a variance as well are not read"
            )
        predicted = predicted.to(x.dtype)
        if prediction == "epsilon":
            return x - level * predicted
        if prediction == "sample":
            return predicted
        return x / root**2 - level / root * predicted

    low, high = (float(levels[place].exp()) for place in (0, -1))
    return ScheduledDenoiser(answer, low, high, description=description, image_shape=image_shape, module=module)


def from_flow(
    network: Network,
    *,
    times: int = _TIMES,
    description: str = "a flow-matching network",
    image_shape: tuple[int, ...] | None = None,
    module: torch.nn.Module | None = None,
) -> ScheduledDenoiser:
    """A flow-matching network, velocity v = ε − x₀ at y = (1−s) x₀ + s ε and time s·`times`, as D(x; σ) with σ = s/(1−s)."""

    def answer(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        share = level / (1 + level)
        y = x / (1 + level)
        return y - share * network(y, times * share.flatten()).to(x.dtype)

    low, high = 1 / (times - 1), float(times - 1)
    return ScheduledDenoiser(answer, low, high, description=description, image_shape=image_shape, module=module)


def _between(levels: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(B,) fractional places in an ascending list, linear between its entries."""
    wanted = wanted.to(levels.dtype)
    above = torch.searchsorted(levels, wanted).clamp(1, len(levels) - 1)
    low, high = levels[above - 1], levels[above]
    return (above - 1 + (wanted - low) / (high - low)).clamp(0, len(levels) - 1)


# --- diffusers --------------------------------------------------------------------------------------------------------


def from_diffusers(
    model: Any, scheduler: Any = None, *, label: int | None = None, whole_steps: bool = False
) -> ScheduledDenoiser:
    """A `diffusers` pipeline, or model and scheduler, in pixel space, as D(x; σ).

    What a pipeline does beside the network (clipping, thresholding, guidance) is left out: the probability flow has none of it.

    Parameters
    ----------
    model : a pipeline with ``unet`` or ``transformer``, or such a model, whose module is put into evaluation mode
    scheduler : of the training; that of the pipeline by default. Schedules by ``alphas_cumprod``, EDM and flow matching are read
    label : class of a class-conditional model; its last class, which stands for none, by default
    whole_steps : see :func:`from_vp`

    Raises
    ------
    ValueError : a latent pipeline; a scheduler of another kind
    """
    network = _network_of(model)
    found = scheduler if scheduler is not None else getattr(model, "scheduler", None)
    if found is None:
        raise ValueError("scheduler must be given with a model that is no pipeline")
    title = f"{type(network).__name__} with {type(found).__name__}"
    asked = _asker(network, label)
    module = network if isinstance(network, torch.nn.Module) else None
    about: dict[str, Any] = {"description": title, "image_shape": _image_shape(network), "module": module}
    if module is not None:
        module.eval()
    config = found.config
    if hasattr(found, "precondition_outputs"):
        return _from_edm(asked, found, about)
    if hasattr(found, "alphas_cumprod"):
        prediction = getattr(config, "prediction_type", "epsilon")
        if prediction not in PREDICTIONS:
            raise ValueError(f"scheduler must predict one of {', '.join(PREDICTIONS)}, got {prediction!r}")
        return from_vp(
            asked, found.alphas_cumprod.cpu().numpy(), prediction=prediction, whole_steps=whole_steps, **about
        )
    if type(found).__name__.startswith("FlowMatch"):
        return from_flow(asked, times=int(config.num_train_timesteps), **about)
    raise ValueError(
        f"scheduler must have alphas_cumprod (DDPM, DDIM, DPMSolver, Euler, …) or be one of EDM or flow matching, got "
        f"{type(found).__name__}"
    )


def _from_edm(network: Network, scheduler: Any, about: dict[str, Any]) -> ScheduledDenoiser:
    """The preconditioning of the scheduler itself."""

    def answer(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        inner = scheduler.precondition_inputs(x, level)
        predicted = network(inner, scheduler.precondition_noise(level.flatten())).to(x.dtype)
        return scheduler.precondition_outputs(x, predicted, level)  # type: ignore[no-any-return]

    config = scheduler.config
    return ScheduledDenoiser(answer, float(config.sigma_min), float(config.sigma_max), **about)


def _network_of(model: Any) -> Any:
    if getattr(model, "vae", None) is not None or getattr(model, "vqvae", None) is not None:
        raise ValueError(
            f"model must work on pixels, got {type(model).__name__}, which works on the latents of an autoencoder: save its "
            "latents as an array and give the network and its scheduler alone"
        )
    for name in ("unet", "transformer"):
        if getattr(model, name, None) is not None:
            return getattr(model, name)
    return model


def _image_shape(network: Any) -> tuple[int, ...] | None:
    config = getattr(network, "config", None)
    side, channels = getattr(config, "sample_size", None), getattr(config, "in_channels", None)
    if side is None or channels is None:
        return None
    return (channels, *side) if isinstance(side, (tuple, list)) else (channels, side, side)


def _asker(network: Any, label: int | None) -> Network:
    """F(y, t) in the dtype of the network, with a class where it wants one."""
    config = getattr(network, "config", None)
    classes = getattr(config, "num_embeds_ada_norm", None) or getattr(config, "num_class_embeds", None)
    dtype = next(network.parameters()).dtype if isinstance(network, torch.nn.Module) else None
    if label is not None and (classes is None or not 0 <= label <= classes):
        raise ValueError(f"label must be a class of the model, of which there are {classes or 0}, got {label}")

    def ask(y: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        kind = y.dtype if dtype is None else dtype
        extra: dict[str, Any] = {}
        if classes is not None:
            last = classes if getattr(config, "num_embeds_ada_norm", None) else classes - 1
            extra["class_labels"] = torch.full((len(y),), last if label is None else label, device=y.device)
        answer = network(y.to(kind), timestep=time.to(kind), return_dict=False, **extra)
        tensor: torch.Tensor = answer[0] if isinstance(answer, tuple) else answer
        return tensor

    return ask


# --- by name ----------------------------------------------------------------------------------------------------------

_ACCEPTED = "a .safetensors checkpoint of kappaflow, the folder of a diffusers pipeline, or module:function that returns a denoiser"


def open_denoiser(name: str | os.PathLike[str], *, device: str = "cpu") -> Any:
    """A denoiser by name: nothing is ever downloaded.

    Parameters
    ----------
    name : a checkpoint of kappaflow (.safetensors), a folder that a diffusers pipeline was saved to, or ``module:function``, whose
        function without arguments returns any callable D(x, sigma)
    device : where it computes; a function's denoiser is taken as it is

    Raises
    ------
    ValueError : none of these; a file or folder that cannot be read; what is no denoiser
    FileNotFoundError : it is not there
    ImportError : diffusers, or the module, is missing
    """
    text = os.fspath(name)
    path = Path(text)
    if path.is_file():
        return load_network(path, device)[0]
    if path.is_dir():
        return _open_folder(path, device)
    if ":" in text and not text.endswith(".safetensors"):
        return _open_function(text)
    if path.suffix or os.sep in text:
        raise FileNotFoundError(f"model {text!r} does not exist; it must be {_ACCEPTED}")
    raise ValueError(f"model must be {_ACCEPTED}; got {text!r}")


def _open_folder(path: Path, device: str) -> ScheduledDenoiser:
    if not (path / "model_index.json").is_file():
        raise ValueError(f"model {str(path)!r} is a folder without model_index.json; it must be {_ACCEPTED}")
    try:
        from diffusers import DiffusionPipeline
    except ImportError as error:
        raise ImportError('diffusers pipelines need diffusers: pip install "kappaflow[networks]"') from error
    try:
        pipeline = DiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            str(path), local_files_only=True
        )
    except Exception as error:  # the library raises whatever its parts raise
        raise ValueError(f"model {str(path)!r} cannot be read as a diffusers pipeline: {error}") from error
    denoiser = from_diffusers(pipeline)
    if denoiser.module is not None:
        denoiser.module.to(device)
    return denoiser


def _open_function(text: str) -> Any:
    module, _, attribute = text.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except AttributeError:
        raise ValueError(f"model {text!r}: module {module!r} has no {attribute!r}") from None
    except ModuleNotFoundError as error:
        raise ImportError(f"model {text!r}: {error}") from error
    denoiser = function()
    if not callable(denoiser):
        raise ValueError(f"model {text!r} must return a callable D(x, sigma), got {type(denoiser).__name__}")
    return denoiser
