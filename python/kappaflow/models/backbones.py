"""Networks F(x, c_noise) inside the preconditioning: UNet and DiT from diffusers, an MLP, and linear networks for checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ..sampling import SIGMA_MAX, SIGMA_MIN

__all__ = ["BACKBONES", "Backbone", "build_backbone"]

#: c_noise = ln(σ)/4 spans about 2.6. The embeddings of diffusers, made for whole time steps, resolve it when multiplied by this.
_TIME_SCALE = 100.0
#: Noise levels between which the matrices of linear networks are interpolated.
_KNOT_RANGE = (SIGMA_MIN, SIGMA_MAX)


class _Padded(nn.Module):
    """Pads images with zeros to sides that are multiples of `multiple` (and equal if `square`), and cuts answers back."""

    def __init__(self, shape: tuple[int, ...], multiple: int, *, square: bool = False) -> None:
        super().__init__()
        height, width = shape[1:]
        sides = [multiple * math.ceil(side / multiple) for side in (height, width)]
        if square:
            sides = [max(sides)] * 2
        self.padded = tuple(sides)
        top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
        self._pad = (left, sides[1] - width - left, top, sides[0] - height - top)
        self._window = (slice(None), slice(None), slice(top, top + height), slice(left, left + width))

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Images with zeros around them, (B, C, *padded)."""
        return F.pad(x, self._pad) if any(self._pad) else x

    def cut(self, x: torch.Tensor) -> torch.Tensor:
        """Answers without the padding, (B, C, height, width)."""
        return x[self._window] if any(self._pad) else x


class _UNet(_Padded):
    """`diffusers.UNet2DModel` with attention at the resolutions whose longer side is in `attention`."""

    def __init__(
        self, shape: tuple[int, ...], *, channels: tuple[int, ...], layers: int, attention: tuple[int, ...], groups: int
    ) -> None:
        super().__init__(shape, 2 ** (len(channels) - 1))
        unet = _diffusers().UNet2DModel
        attends = [max(self.padded) // 2**level in attention for level in range(len(channels))]
        down = ["AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends]
        up = ["AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)]
        self.model = unet(
            sample_size=self.padded,
            in_channels=shape[0],
            out_channels=shape[0],
            layers_per_block=layers,
            block_out_channels=tuple(channels),
            down_block_types=tuple(down),
            up_block_types=tuple(up),
            norm_num_groups=groups,
            attention_head_dim=8,
        )

    def forward(self, x: torch.Tensor, c_noise: torch.Tensor) -> torch.Tensor:
        return self.cut(self.model(self.pad(x), _TIME_SCALE * c_noise, return_dict=False)[0])


class _DiT(_Padded):
    """`diffusers.DiTTransformer2DModel` with one class, whose label is never dropped, and fixed sine and cosine positions.

    Modulations and output start at zero (Peebles and Xie 2023), which diffusers leaves to the training code.
    """

    def __init__(self, shape: tuple[int, ...], *, hidden: int, depth: int, heads: int, patch: int) -> None:
        super().__init__(shape, patch, square=True)
        self.model = _diffusers().DiTTransformer2DModel(
            num_attention_heads=heads,
            attention_head_dim=hidden // heads,
            in_channels=shape[0],
            out_channels=shape[0],
            num_layers=depth,
            sample_size=self.padded[0],
            patch_size=patch,
            num_embeds_ada_norm=1,
        )
        for module in self.model.modules():
            if hasattr(module, "dropout_prob"):
                module.dropout_prob = 0.0
        for block in self.model.transformer_blocks:
            _zero(block.norm1.linear)
        _zero(self.model.proj_out_1)
        _zero(self.model.proj_out_2)

    def forward(self, x: torch.Tensor, c_noise: torch.Tensor) -> torch.Tensor:
        labels = torch.zeros(len(x), dtype=torch.long, device=x.device)
        time = _TIME_SCALE * c_noise
        return self.cut(self.model(self.pad(x), timestep=time, class_labels=labels, return_dict=False)[0])


class _MLP(nn.Module):
    """Residual blocks on flat images; each gets the noise level."""

    def __init__(self, shape: tuple[int, ...], *, width: int, depth: int) -> None:
        super().__init__()
        size = math.prod(shape)
        self.first, self.last = nn.Linear(size, width), nn.Linear(width, size)
        self.embed = nn.Sequential(nn.Linear(2 * _FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(depth)
        )
        _zero(self.last)

    def forward(self, x: torch.Tensor, c_noise: torch.Tensor) -> torch.Tensor:
        embedded = self.embed(_waves(c_noise))
        h = self.first(x.flatten(1))
        for block in self.blocks:
            h = h + block(h + embedded)
        answer: torch.Tensor = self.last(F.silu(h))
        return answer.reshape(x.shape)


class _Linear(nn.Module):
    """W(σ) x + b(σ) with matrices at a grid of noise levels, interpolated linearly in ln σ: every linear denoiser, and no other."""

    def __init__(self, shape: tuple[int, ...], *, knots: int) -> None:
        super().__init__()
        size = math.prod(shape)
        self.knots = _Knots(knots)
        self.layer = nn.Linear(size, knots * size)
        _zero(self.layer)

    def forward(self, x: torch.Tensor, c_noise: torch.Tensor) -> torch.Tensor:
        answers = self.layer(x.flatten(1)).reshape(len(x), self.knots.count, -1)
        return torch.einsum("bjd,bj->bd", answers, self.knots(c_noise)).reshape(x.shape)


class _LinearConvolution(nn.Module):
    """Like :class:`_Linear`, with a convolution in place of the matrix and zeros outside of the image."""

    def __init__(self, shape: tuple[int, ...], *, knots: int, kernel: int) -> None:
        super().__init__()
        self.knots = _Knots(knots)
        self.layer = nn.Conv2d(shape[0], knots * shape[0], kernel, padding=kernel // 2)
        _zero(self.layer)

    def forward(self, x: torch.Tensor, c_noise: torch.Tensor) -> torch.Tensor:
        answers = self.layer(x).reshape(len(x), self.knots.count, *x.shape[1:])
        return torch.einsum("bjchw,bj->bchw", answers, self.knots(c_noise))


class _Knots(nn.Module):
    """(B, knots) weights of linear interpolation in c_noise = ln(σ)/4."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.low, high = (math.log(level) / 4 for level in _KNOT_RANGE)
        self.step = (high - self.low) / (count - 1)

    def forward(self, c_noise: torch.Tensor) -> torch.Tensor:
        position = ((c_noise - self.low) / self.step).clamp(0, self.count - 1)
        return (1 - (position[:, None] - torch.arange(self.count, device=position.device)).abs()).clamp(min=0)


#: Frequencies of the embedding of the noise level in the MLP.
_FREQUENCIES = 16


def _waves(c_noise: torch.Tensor) -> torch.Tensor:
    """(B, 2·frequencies) sines and cosines of c_noise, from one wave over its range to about sixteen."""
    frequencies = torch.linspace(1.0, 40.0, _FREQUENCIES, dtype=c_noise.dtype, device=c_noise.device)
    angles = c_noise[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _diffusers() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise ImportError('UNet and DiT need diffusers: pip install "kappaflow[networks]"') from error
    return diffusers


@dataclass(frozen=True)
class Backbone:
    """A kind of network.

    Attributes
    ----------
    title : name to show to people
    build : makes the network for a shape, with the options as keyword arguments
    options : every option with its default
    images : whether it needs images (C, H, W); otherwise it also takes vectors
    """

    title: str
    build: Callable[..., nn.Module]
    options: Mapping[str, Any]
    images: bool = True


#: Every kind of network by name. The defaults are small enough for two CPU cores at 8 × 8 pixels.
BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        "unet": Backbone("UNet", _UNet, {"channels": (16, 32), "layers": 1, "attention": (), "groups": 8}),
        "dit": Backbone("DiT", _DiT, {"hidden": 64, "depth": 3, "heads": 4, "patch": 2}),
        "mlp": Backbone("MLP", _MLP, {"width": 256, "depth": 3}, images=False),
        "linear": Backbone("linear", _Linear, {"knots": 16}, images=False),
        "linear-conv": Backbone("linear convolution", _LinearConvolution, {"knots": 16, "kernel": 7}),
    }
)


def build_backbone(name: str, shape: tuple[int, ...], options: Mapping[str, Any] | None = None) -> nn.Module:
    """A network for tensors of `shape` (C, H, W) or (d,), initialised from torch's global generator.

    Parameters
    ----------
    name : in :data:`BACKBONES`
    shape : shape of one image as a tensor, see :func:`~.layout.tensor_shape`
    options : options that replace the defaults of that kind

    Raises
    ------
    ValueError
        An unknown name or option, vectors for a network that needs images, sizes that do not fit together.
    ImportError
        `diffusers` is missing.
    """
    backbone = BACKBONES.get(name)
    if backbone is None:
        raise ValueError(f"arch must be one of {', '.join(BACKBONES)}; got {name!r}")
    given = dict(options or {})
    unknown = sorted(set(given) - set(backbone.options))
    if unknown:
        raise ValueError(f"options of {name} are {', '.join(backbone.options)}; got {unknown[0]!r}")
    if backbone.images and len(shape) != 3:
        raise ValueError(
            f"arch {name} needs images (channels, height, width), got data of shape {shape}: use mlp or linear"
        )
    chosen = {**backbone.options, **given}
    _check(name, chosen)
    return backbone.build(shape, **chosen)


def _check(name: str, options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if key in ("channels", "attention"):
            if not all(isinstance(v, int) and v >= (1 if key == "channels" else 0) for v in value):
                raise ValueError(f"{key} of {name} must be whole numbers, got {value!r}")
        elif not isinstance(value, int) or value < 1:
            raise ValueError(f"{key} of {name} must be a whole number of at least 1, got {value!r}")
    if name == "unet" and any(channels % options["groups"] for channels in options["channels"]):
        raise ValueError(
            f"channels of unet must be multiples of its {options['groups']} groups, got {options['channels']}"
        )
    if name == "dit" and options["hidden"] % options["heads"]:
        raise ValueError(f"hidden of dit must be a multiple of its {options['heads']} heads, got {options['hidden']}")
    if name.startswith("linear") and options["knots"] < 2:
        raise ValueError(f"knots of {name} must be at least 2, got {options['knots']}")
    if name == "linear-conv" and options["kernel"] % 2 == 0:
        raise ValueError(f"kernel of linear-conv must be odd, got {options['kernel']}")
