"""Rejected images made in encoder space: diffusion noise and blackness, on the tensor that the vision encoder reads.

Invariant: shapes, dtypes and devices stay as they are; ``mean`` and ``std`` are those with which the processor
normalised channels that lie in 0..1. Pixels are float tensors of shape (..., 3, height, width).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from trifacet.base.errors import TrifacetError

if TYPE_CHECKING:
    import torch

STEPS = 1000


@cache
def _alphas_bar() -> np.ndarray:
    betas = 1 / (1 + np.exp(-np.linspace(-6, 6, STEPS))) * (0.5e-2 - 1e-5) + 1e-5
    return np.cumprod(1 - betas)


def abar(t: int) -> float:
    """The share of the signal's variance that is left after noise of strength ``t``, 0 <= t <= 1000.

    t = 0 is defined as no noise. Else ``t`` is the 0-based place in the schedule, as in the released code:
    abar(500) is .745 and abar(750) .278. Since 1000 places end at 999, t = 1000 means 999 as well (.081).
    """
    if not 0 <= t <= STEPS:
        raise TrifacetError(f"diffusion step t = {t} does not exist; use 0 (no noise) to {STEPS}")
    return 1.0 if t == 0 else float(_alphas_bar()[min(t, STEPS - 1)])


def diffuse(pixels: torch.Tensor, t: int, rng: np.random.Generator) -> torch.Tensor:
    """sqrt(abar) * pixels + sqrt(1 - abar) * noise, noise drawn from a standard normal, padding included.

    ``t`` does not enter the draw: the noise of one sample differs between two values of t in strength only.
    """
    import torch

    kept = abar(t)
    noise = torch.from_numpy(rng.standard_normal(tuple(pixels.shape), dtype=np.float32)).to(pixels.device)
    return (kept**0.5 * pixels.float() + (1 - kept) ** 0.5 * noise).to(pixels.dtype)


def blacken(pixels: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """RGB zero everywhere, padding included: (0 - mean) / std per channel.

    Zeros in the normalised tensor would be the mean colour, a grey, not black.
    """
    mean_C11, std_C11 = _per_channel(pixels, mean, std)
    return (-mean_C11 / std_C11).to(pixels.dtype).expand_as(pixels).clone()


def to_picture(pixels: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> Image.Image:
    """What the encoder sees, as a picture: the first tile, de-normalised; values beyond 0..255 are clamped."""
    import torch

    mean_C11, std_C11 = _per_channel(pixels, mean, std)
    tile_CHW = pixels.reshape(-1, *pixels.shape[-3:])[0].float() * std_C11 + mean_C11
    bytes_HWC = (tile_CHW * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(bytes_HWC.cpu().numpy())


def _per_channel(
    pixels: torch.Tensor, mean: Sequence[float], std: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    if pixels.ndim < 3 or pixels.shape[-3] != len(mean) or len(mean) != len(std):
        raise TrifacetError(
            f"pixels of shape {tuple(pixels.shape)} are not (..., {len(mean)}, height, width); "
            "this model's processor cuts images into patches: use a strategy that works on the picture"
        )
    import torch

    stacked = torch.tensor([list(mean), list(std)], dtype=torch.float32, device=pixels.device)
    return stacked[0].view(-1, 1, 1), stacked[1].view(-1, 1, 1)
