"""A model as it is to be asked: the checkpoint, and the way of asking that it was trained with.

Invariant: what a checkpoint says of its training decides; only what the user gives comes before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trifacet.base.progress import console

if TYPE_CHECKING:
    from trifacet.engine.encode import SampleEncoder
    from trifacet.models.asking import WayOfAsking
    from trifacet.models.loading import LoadedModel


def way_of_asking(model: str, *, prompt: str | None = None, read: bool | None = None) -> WayOfAsking:
    """As the model was asked in training, if that is on record beside it.

    Args:
        model: folder or hub id of a checkpoint.
        prompt: another request.
        read: with the words read in pictures, or without (None: as in training); a line says where that is another way.

    Raises:
        TrifacetError: the record is damaged.
    """
    from trifacet.models.asking import WayOfAsking

    trained = WayOfAsking.read(Path(model))
    asked = trained.model_copy(update={"prompt": prompt or trained.prompt})
    if read is None or read == (trained.quoting is not None):
        return asked
    how, other = ("without", "with") if read else ("with", "without")
    console.print(
        f"note: {model} was trained {how} the words of pictures in its request and is asked {other} them",
        soft_wrap=True,
    )
    return asked.model_copy(update={"lettering": "prompt" if read else "leave"})


def load_for_generation(
    model: str, *, prompt: str | None, dtype: str, device: str, asked: WayOfAsking | None = None
) -> tuple[LoadedModel, SampleEncoder]:
    """The model, and an encoder that asks it so (``asked``; None: as ``way_of_asking`` says)."""
    from trifacet.models.loading import load_model

    asked = asked or way_of_asking(model, prompt=prompt)
    loaded = load_model(model, dtype=dtype, device=device)
    return loaded, asked.encoder(loaded.family)
