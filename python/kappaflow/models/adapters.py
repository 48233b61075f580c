r"""Models trained elsewhere, as denoisers D(x; σ) of x = x₀ + σ z.

A variance preserving (VP) model sees y = √ā x₀ + √(1−ā) ε at a time step t of its schedule ā(t). This is the same process in other
variables: y = x/√(1+σ²) with σ(t) = √((1−ā)/ā). Its prediction gives the denoiser::

    epsilon       D = x − σ ε
    sample        D = x₀
    v_prediction  D = √ā y − √(1−ā) v = x/(1+σ²) − σ/√(1+σ²) v

Flow matching, y = (1−s) x₀ + s ε with velocity v = ε − x₀, has σ = s/(1−s), y = x/(1+σ) and D = y − s v.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._checks import choice
from .checkpoint import load_network
from .errors import ModelError

__all__ = [
    "MEANINGS",
    "PREDICTIONS",
    "ScheduledDenoiser",
    "asker",
    "from_diffusers",
    "from_flow",
    "from_vp",
    "network_of",
    "open_denoiser",
]

#: What a VP network can predict.
PREDICTIONS = ("epsilon", "sample", "v_prediction")
#: A network F(y, time) of batches (B, ...), (B,).
Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: Relative distance by which rounding may move a noise level out of the range that a model was trained at.
_SLACK = 1e-6
#: Time steps of flow matching.
_TIMES = 1000


class ScheduledDenoiser:
    """D(x; σ) of a network whose noise is given by time steps; a :class:`~.denoisers.TensorDenoiser`.

    Attributes
    ----------
    sigma_min, sigma_max : ends of the noise levels that the network was trained at
    image_shape : (channels, height, width), None if the network does not specify it
    description : a few words on the network, for messages
    module : the torch module of the network, or None
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
        """D(x; σ), (B, ...) like x, at noise levels (B,); the network computes in its own dtype.

        Raises
        ------
        ValueError
            A noise level that the network was not trained at, or NaN.
        """
        low, high = float(sigma.min()), float(sigma.max())
        if not (low >= self.sigma_min * (1 - _SLACK) and high <= self.sigma_max * (1 + _SLACK)):  # also false for NaN
            raise ValueError(
                f"sigma must be between {self.sigma_min:.4g} and {self.sigma_max:.4g}, which {self.description} was trained at, "
                f"got {low if low < self.sigma_min else high:.4g}"
            )
        if self.module is not None and self.module.training:  # dropout of labels and features must be off
            self.module.eval()
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
    network : F(y, t) with time steps t (B,) from 0 on; t is fractional if ln σ lies between the levels of two time steps
    alphas_cumprod : (T,) ā of each time step, falling; steps where it is 0 (pure noise) are left out
    prediction : the quantity that the network predicts, one of :data:`PREDICTIONS`
    whole_steps : round t to the nearest time step, for networks that accept no others; D is then that of a nearby noise level
    description, image_shape, module : see :class:`ScheduledDenoiser`

    Raises
    ------
    ValueError
        An unknown prediction, or a schedule that does not fall within (0, 1).
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
                f"network must return the shape of its input {tuple(x.shape)}, got {tuple(predicted.shape)}"
            )
        predicted = predicted.to(x.dtype)
        if prediction == "epsilon":
            return x - level * predicted
        if prediction == "sample":
            return predicted
        return x / root**2 - level / root * predicted

    low, high = (float(levels[end].exp()) for end in (0, -1))
    return ScheduledDenoiser(answer, low, high, description=description, image_shape=image_shape, module=module)


def from_flow(
    network: Network,
    *,
    times: int = _TIMES,
    shift: float = 1.0,
    description: str = "a flow-matching network",
    image_shape: tuple[int, ...] | None = None,
    module: torch.nn.Module | None = None,
) -> ScheduledDenoiser:
    """A flow-matching network as D(x; σ), σ = s/(1−s): it predicts the velocity v = ε − x₀ at y = (1−s) x₀ + s ε.

    The network was trained at the times s = k/`times`, 0 < k < `times`, which the `shift` of its training moves to
    shift·s/(1 + (shift − 1) s).

    Parameters
    ----------
    network : F(y, t) with t = s·`times` (B,)
    times : number of time steps
    shift : of the training
    description, image_shape, module : see :class:`ScheduledDenoiser`
    """

    def answer(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        share = level / (1 + level)
        y = x / (1 + level)
        return y - share * network(y, times * share.flatten()).to(x.dtype)

    low, high = shift / (times - 1), shift * (times - 1)  # s/(1−s), which the shift multiplies
    return ScheduledDenoiser(answer, low, high, description=description, image_shape=image_shape, module=module)


def _between(levels: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(B,) fractional positions of numbers in an ascending list, linear between its entries."""
    wanted = wanted.to(levels.dtype)
    above = torch.searchsorted(levels, wanted).clamp(1, len(levels) - 1)
    low, high = levels[above - 1], levels[above]
    return (above - 1 + (wanted - low) / (high - low)).clamp(0, len(levels) - 1)


# --- diffusers --------------------------------------------------------------------------------------------------------


#: Schedulers whose noise is given by alphas_cumprod and whose networks take the time step.
_VP = (
    "DDPM",
    "DDPMParallel",
    "DDIM",
    "DDIMParallel",
    "PNDM",
    "DPMSolverMultistep",
    "DPMSolverSinglestep",
    "DPMSolverSDE",
    "DEISMultistep",
    "UniPCMultistep",
    "EulerDiscrete",
    "EulerAncestralDiscrete",
    "HeunDiscrete",
    "LMSDiscrete",
    "KDPM2Discrete",
    "KDPM2AncestralDiscrete",
)
_EDM = ("EDMEuler", "EDMDPMSolverMultistep")
_FLOW = ("FlowMatchEulerDiscrete", "FlowMatchHeunDiscrete")
#: Options of a scheduler that can change the meaning of time or noise, and the values with which they do not.
MEANINGS = {"timestep_type": ("discrete", None), "use_flow_sigmas": (False, None), "invert_sigmas": (False, None)}
_LATENT = ("vae", "vqvae", "movq", "vqgan")


def from_diffusers(
    model: Any, scheduler: Any = None, *, label: int | None = None, whole_steps: bool = False
) -> ScheduledDenoiser:
    """A `diffusers` pipeline, or model and scheduler, in pixel space, as D(x; σ).

    The other steps of a pipeline (clipping, thresholding, guidance) are left out, because they are not part of the probability
    flow.

    Parameters
    ----------
    model : a pipeline with ``unet`` or ``transformer``, or such a model, which is put into evaluation mode
    scheduler : scheduler of the training; by default that of the pipeline. VP schedules, EDM and flow matching are supported
    label : class of a class-conditional model; by default the class that stands for "no class", if the model has one
    whole_steps : see :func:`from_vp`

    Raises
    ------
    ValueError
        A latent pipeline, a scheduler of another kind, a class that is missing or that the model does not have.
    """
    network = network_of(model)
    if scheduler is None:
        scheduler = getattr(model, "scheduler", None)
    if scheduler is None:
        raise ValueError("scheduler must be given with a model that is not a pipeline")
    kind = type(scheduler).__name__.removesuffix("Scheduler")
    if kind not in (*_VP, *_EDM, *_FLOW):
        raise ValueError(f"scheduler must be one of {', '.join((*_VP, *_EDM, *_FLOW))}; got {kind}")
    config = scheduler.config
    for option, allowed in MEANINGS.items():
        if config.get(option) not in allowed:
            raise ValueError(f"scheduler must have {option} = {allowed[0]}, got {config.get(option)!r}")
    if getattr(network.config, "time_embedding_type", None) == "fourier" and kind in _VP:
        raise ValueError("model must take time steps, got one that embeds logarithms of noise levels (fourier)")
    module = network if isinstance(network, torch.nn.Module) else None
    title = f"{type(network).__name__} with {type(scheduler).__name__}"
    about: dict[str, Any] = {"description": title, "image_shape": _image_shape(network), "module": module}
    asked = asker(network, label, halved=str(config.get("variance_type", "")).startswith("learned"))
    if kind in _EDM:
        return _from_edm(asked, scheduler, about)
    if kind in _FLOW:
        return from_flow(asked, times=int(config.num_train_timesteps), shift=float(config.get("shift") or 1.0), **about)
    schedule = scheduler.alphas_cumprod.cpu().numpy()
    if config.get("rescale_betas_zero_snr"):  # the last step is pure noise, whatever its ā says
        schedule = schedule[:-1]
    learned = getattr(network.config, "time_embedding_type", None) == "learned"
    return from_vp(
        asked,
        schedule,
        prediction=config.get("prediction_type", "epsilon"),
        whole_steps=whole_steps or learned,
        **about,
    )


def _from_edm(network: Network, scheduler: Any, about: dict[str, Any]) -> ScheduledDenoiser:
    """A network with the preconditioning of its scheduler."""

    def answer(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        inner = scheduler.precondition_inputs(x, level)
        predicted = network(inner, scheduler.precondition_noise(level.flatten())).to(x.dtype)
        return scheduler.precondition_outputs(x, predicted, level)  # type: ignore[no-any-return]

    config = scheduler.config
    return ScheduledDenoiser(answer, float(config.sigma_min), float(config.sigma_max), **about)


def network_of(model: Any) -> Any:
    """The network of a pipeline, or the model itself.

    Raises
    ------
    ValueError
        The model works on latents.
    """
    if any(getattr(model, name, None) is not None for name in _LATENT):
        raise ValueError(_latent(type(model).__name__))
    for name in ("unet", "transformer"):
        if getattr(model, name, None) is not None:
            return getattr(model, name)
    return model


def _latent(name: str) -> str:
    return (
        f"model must work on pixels, got {name}, which works on the latents of an autoencoder: save its latents as an array "
        "and give the network and its scheduler alone"
    )


def _image_shape(network: Any) -> tuple[int, ...] | None:
    config = getattr(network, "config", None)
    side, channels = getattr(config, "sample_size", None), getattr(config, "in_channels", None)
    if side is None or channels is None:
        return None
    return (channels, *side) if isinstance(side, (tuple, list)) else (channels, side, side)


def _class(network: Any, label: int | None) -> int | None:
    """The class to use, None for a network without classes."""
    dit = getattr(network.config, "num_embeds_ada_norm", None)
    classes = dit or getattr(network.config, "num_class_embeds", None)
    if classes is None:
        if label is not None:
            raise ValueError(f"label needs a class-conditional model, got {label} for {type(network).__name__}")
        return None
    rows = classes
    if dit is not None:  # the row after the classes means "no class", if labels were dropped in training
        rows = network.transformer_blocks[0].norm1.emb.class_embedder.embedding_table.num_embeddings
    if label is None and rows > classes:
        return int(classes)
    if label is None or not 0 <= label < rows:
        raise ValueError(f"label must be a class of the model, 0 to {rows - 1}, got {label}")
    return label


def asker(network: Any, label: int | None, *, halved: bool) -> Network:
    """F(y, t) of a `diffusers` network, in its dtype.

    Parameters
    ----------
    network : the network
    label : class, see :func:`from_diffusers`
    halved : whether it also predicts a variance, which is left out

    Raises
    ------
    ValueError
        A class that is missing or that the network does not have.
    """
    wanted = _class(network, label)
    learned = getattr(network.config, "time_embedding_type", None) == "learned"
    dtype = next(network.parameters()).dtype

    def ask(y: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        extra = {} if wanted is None else {"class_labels": torch.full((len(y),), wanted, device=y.device)}
        time = (
            time.long() if learned else time.to(torch.float32)
        )  # not the network's dtype: half precision rounds time steps
        answer = network(y.to(dtype), timestep=time, return_dict=False, **extra)
        tensor: torch.Tensor = answer[0] if isinstance(answer, tuple) else answer
        return tensor.chunk(2, dim=1)[0] if halved and tensor.shape[1] == 2 * y.shape[1] else tensor

    return ask


# --- by name ----------------------------------------------------------------------------------------------------------

_ACCEPTED = "a .safetensors checkpoint of kappaflow, the folder of a diffusers pipeline, or module:name of a denoiser"


def open_denoiser(name: str | os.PathLike[str], *, device: str = "cpu") -> Any:
    """Open a denoiser by name. Nothing is ever downloaded.

    Parameters
    ----------
    name : a checkpoint of kappaflow (.safetensors), a folder to which a `diffusers` pipeline was saved, or ``module:name`` of
        any callable D(x, sigma) or of a function without arguments that returns one
    device : device of the denoiser; a denoiser from a function keeps its own

    Raises
    ------
    ValueError
        None of these, a file or folder that cannot be read, or something that is not a denoiser.
    FileNotFoundError
        There is no such file.
    ImportError
        `diffusers`, or the module, is missing.
    ModelError
        The module, or its function, raised another error.
    """
    text = os.fspath(name)
    path = Path(text)
    if path.is_file():
        return load_network(path, device).denoiser
    if path.is_dir():
        return _open_folder(path, device)
    if ":" in text and not text.endswith(".safetensors"):
        return _open_function(text)
    if path.suffix or os.sep in text:
        raise FileNotFoundError(f"model {text!r} does not exist; it must be {_ACCEPTED}")
    raise ValueError(f"model must be {_ACCEPTED}; got {text!r}")


def _open_folder(path: Path, device: str) -> ScheduledDenoiser:
    """Network and scheduler of a saved pipeline, from its weights in safetensors; no weight may be missing."""
    try:
        index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ValueError(
            f"model {str(path)!r} is a folder without a readable model_index.json; it must be {_ACCEPTED}"
        ) from None
    if any(index.get(name) for name in _LATENT):
        raise ValueError(_latent(str(path)))
    try:
        import diffusers
    except ImportError as error:
        raise ImportError('diffusers pipelines need diffusers: pip install "kappaflow[networks]"') from error
    part = next((name for name in ("unet", "transformer") if index.get(name)), None)
    if part is None or not index.get("scheduler"):
        raise ValueError(f"model {str(path)!r} must be a pipeline with a unet or transformer and a scheduler")
    kinds = [getattr(diffusers, str(index[name][1]), None) for name in (part, "scheduler")]
    if None in kinds:
        raise ValueError(f"model {str(path)!r} has parts that diffusers {diffusers.__version__} does not know")
    try:
        network, loaded = kinds[0].from_pretrained(  # type: ignore[union-attr]
            str(path), subfolder=part, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        scheduler = kinds[1].from_pretrained(str(path), subfolder="scheduler", local_files_only=True)  # type: ignore[union-attr]
    except Exception as error:  # diffusers can raise errors of any type
        raise ValueError(f"model {str(path)!r} cannot be read: {error}") from error
    if loaded["missing_keys"]:  # diffusers fills them at random
        raise ValueError(f"model {str(path)!r} lacks weights: {', '.join(sorted(loaded['missing_keys'])[:3])}")
    return from_diffusers(network.to(device), scheduler)


def _open_function(text: str) -> Any:
    module, _, attribute = text.partition(":")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"model {text!r}: {error}") from error
    except Exception as error:  # a module of the user can raise any error
        raise ModelError.of(f"model {text!r}: module {module!r} cannot be imported", error) from error
    if not hasattr(imported, attribute):
        raise ValueError(f"model {text!r}: module {module!r} has no {attribute!r}")
    target = denoiser = getattr(imported, attribute)
    if callable(target) and not _takes_two(target):
        try:
            denoiser = target()
        except Exception as error:  # so can a function of the user
            raise ModelError.of(f"model {text!r} cannot be called without arguments", error) from error
    if not callable(denoiser):
        raise ValueError(f"model {text!r} must be or return a callable D(x, sigma), got {type(denoiser).__name__}")
    return denoiser


def _takes_two(target: Any) -> bool:
    """Whether a callable takes x and sigma: then it is the denoiser, not a function that returns one."""
    if isinstance(target, torch.nn.Module):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # some functions written in C have no signature, so nothing indicates that it returns a denoiser
        return True
    return len([p for p in parameters if p.kind in kinds and p.default is p.empty]) >= 2
