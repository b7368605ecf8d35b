"""Rejected images to test with, drawn without a processor, which takes long to import."""

import hashlib

import numpy as np
import torch
from PIL import Image

from trifacet.preferences.rejected.images import STRATEGIES, image_strategy, rejected_image, shown
from trifacet.preferences.rejected.strategy import Draw, Seen

MEAN = STD = (0.5, 0.5, 0.5)


def photo(width=90, height=60, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def plain_pixels(picture):
    values = np.asarray(picture.resize((56, 56)), dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    return torch.from_numpy(np.ascontiguousarray(values))


def rejected(
    strategy, chosen, to_pixels=plain_pixels, mean=MEAN, std=STD, *, look=False, t=700, donor=None, mask=None,
    versions=1, **key,
):  # fmt: skip
    """The rejected image as the encoder reads it, or to look at."""
    seen = Seen(
        chosen, "A red disc.", Draw(**{"seed": 1, "sample_id": "s", **key}), to_pixels, mean, std,
        donor or (lambda: photo(50, 80, seed=9)), mask, versions,
    )  # fmt: skip
    made = rejected_image(image_strategy(strategy, t) if isinstance(strategy, str) else strategy, seen)
    if look:
        return shown(made, seen)
    return to_pixels(made) if isinstance(made, Image.Image) else made


def digest_of_all():
    state = hashlib.sha256()
    for name in STRATEGIES:
        state.update(rejected(name, photo(500, 400)).numpy().tobytes())
    return state.hexdigest()
