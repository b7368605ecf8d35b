"""A model as it is to be asked: the checkpoint, and the way of asking that it was trained with.

Invariant: what a checkpoint says of its training decides; only what the user gives comes before it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trifacet.data.settings import Data
    from trifacet.engine.encode import SampleEncoder
    from trifacet.models.loading import LoadedModel


ASKING = ("prompt", "context_label", "max_length")  # what a trained model's trifacet.json says


def load_for_generation(
    model: str, *, prompt: str | None, dtype: str, device: str
) -> tuple[LoadedModel, SampleEncoder]:
    """The model, and an encoder that asks as the model was asked in training, if that is on record beside it."""
    from trifacet.engine.encode import SampleEncoder
    from trifacet.models.loading import load_model

    data = _training_settings(Path(model))
    loaded = load_model(model, dtype=dtype, device=device)
    encoder = SampleEncoder(
        loaded.family,
        prompt=prompt or data.prompt,
        context_label=data.context_label,
        max_length=data.max_length,
    )
    return loaded, encoder


def _training_settings(folder: Path) -> Data:
    """How the model was asked in training; the defaults for a checkpoint from elsewhere."""
    from pydantic import ValidationError

    from trifacet.base.errors import TrifacetError
    from trifacet.data.settings import Data

    file = folder / "trifacet.json"
    if not file.is_file():
        return Data()
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        return Data.model_validate({key: settings[key] for key in ASKING if key in settings})
    except (OSError, ValueError, TypeError, ValidationError):
        raise TrifacetError(f"{file} is damaged; delete it and say --prompt, or copy the model again") from None
