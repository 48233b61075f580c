r"""Models trained elsewhere, as denoisers D(x; σ) of x = x₀ + σ z.

A variance preserving (VP) model sees y = √ā x₀ + √(1−ā) ε at a time step t of its schedule ā(t). This is the same process in other
variables: y = x/√(1+σ²) with σ(t) = √((1−ā)/ā). Its prediction gives the denoiser::

    epsilon       D = x − σ ε
    sample        D = x₀
    v_prediction  D = √ā y − √(1−ā) v = x/(1+σ²) − σ/√(1+σ²) v

Flow matching, y = (1−s) x₀ + s ε with velocity v = ε − x₀, has σ = s/(1−s), y = x/(1+σ) and D = y − s v.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from .._checks import choice
from .unwrapping import unwrapped

__all__ = [
    "LATENT_PARTS",
    "MEANINGS",
    "PREDICTIONS",
    "ScheduledDenoiser",
    "asker",
    "from_diffusers",
    "from_flow",
    "from_vp",
    "latent_error",
    "network_of",
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
#: Parts of pipelines that work on latents.
LATENT_PARTS = ("vae", "vqvae", "movq", "vqgan")


def from_diffusers(
    model: Any, scheduler: Any = None, *, label: int | None = None, whole_steps: bool = False
) -> ScheduledDenoiser:
    """A `diffusers` pipeline, or model and scheduler, in pixel space, as D(x; σ).

    The other steps of a pipeline (clipping, thresholding, guidance) are left out, because they are not part of the probability
    flow.

    Parameters
    ----------
    model : a pipeline with ``unet`` or ``transformer``, or such a model, which is put into evaluation mode. It may be wrapped,
        see :func:`~.unwrapping.unwrapped`
    scheduler : scheduler of the training; by default that of the pipeline. VP schedules, EDM and flow matching are supported
    label : class of a class-conditional model; by default the class that stands for "no class", if the model has one
    whole_steps : see :func:`from_vp`

    Raises
    ------
    ValueError
        A latent pipeline, something else than a network of `diffusers`, a scheduler of another kind, a class that is missing or
        that the model does not have.
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
    """The network of a pipeline, or the model itself, without the wrappers of training code.

    Raises
    ------
    ValueError
        The model works on latents, or it is no network of `diffusers`.
    """
    if any(getattr(model, name, None) is not None for name in LATENT_PARTS):
        raise ValueError(latent_error(type(model).__name__))
    for name in ("unet", "transformer"):
        if getattr(model, name, None) is not None:
            return _of_diffusers(unwrapped(getattr(model, name)))
    return _of_diffusers(unwrapped(model))


def _of_diffusers(network: Any) -> Any:
    """The network; ValueError if it has no configuration or no forward pass."""
    kind = type(network).__name__
    if hasattr(network, "shadow_params"):
        raise ValueError(
            f"model must be a pipeline or a network of diffusers, got {kind}, which holds averaged weights without a network: "
            "copy them into one with its copy_to(network.parameters()), and give the network"
        )
    if isinstance(network, Mapping):
        raise ValueError(
            f"model must be a pipeline or a network of diffusers, got {kind}: load these weights into a network with its "
            "load_state_dict, and give the network"
        )
    if not callable(network) or not hasattr(network, "config"):
        raise ValueError(
            f"model must be a pipeline or a network of diffusers, got {kind}: other networks are given as a callable D(x, sigma), "
            "which from_vp and from_flow make of networks that take time steps"
        )
    return network


def latent_error(name: str) -> str:
    """The message for a pipeline, described by `name`, that works on latents."""
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
