"""A model as it is to be asked: the checkpoint, and the way of asking that it was trained with.

Invariant: what a checkpoint says of its training decides; only what the user gives comes before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trifacet.engine.encode import SampleEncoder
    from trifacet.models.loading import LoadedModel


def load_for_generation(
    model: str, *, prompt: str | None, dtype: str, device: str
) -> tuple[LoadedModel, SampleEncoder]:
    """The model, and an encoder that asks as the model was asked in training, if that is on record beside it."""
    from trifacet.models.asking import WayOfAsking
    from trifacet.models.loading import load_model

    asked = WayOfAsking.read(Path(model))
    loaded = load_model(model, dtype=dtype, device=device)
    return loaded, asked.model_copy(update={"prompt": prompt or asked.prompt}).encoder(loaded.family)
