"""The smallest UNet of diffusers, for grey images of 8 × 8 pixels, with the same weights every time."""

from __future__ import annotations

from typing import Any

import diffusers
import torch


def tiny_unet(**options: Any) -> Any:
    torch.manual_seed(0)
    settings = {
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "layers_per_block": 1,
        "block_out_channels": (8, 8),
        "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D",) * 2,
        "up_block_types": ("UpBlock2D",) * 2,
    }
    return diffusers.UNet2DModel(**settings | options)
