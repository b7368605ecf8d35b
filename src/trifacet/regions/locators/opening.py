"""Opening a locator by its settings. Invariant: torch is imported by the locators' own files, when one is opened."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import needed_for
from trifacet.regions.locators.settings import LOCATORS, LocatorSettings
from trifacet.regions.looking import Locator

if TYPE_CHECKING:
    from trifacet.models.asking import WayOfAsking

_CODE = {
    "grounding-dino": ("grounding_dino", "GroundingDino"),
    "owlv2": ("owlv2", "Owlv2"),
    "clipseg": ("clipseg", "ClipSeg"),
    "sam3": ("sam3", "Sam3"),
    "lowest-similarity": ("lowest_similarity", "LowestSimilarity"),
    "attention": ("attention", "Attention"),
}


def open_locator(settings: LocatorSettings, *, policy: str | None = None, asking: WayOfAsking | None = None) -> Locator:
    """The locator of ``settings`` with its model loaded.

    Args:
        settings: of any locator with a checkpoint; ``given`` and ``words`` have none, and need the data.
        policy: folder or hub id of the model that is to be aligned: what ``attention`` looks through where the
            settings name no model.
        asking: how posts are put to that model; by default as its folder says.

    Raises:
        TrifacetError: no model is named, a package is missing, or the checkpoint is absent, of another class, not
            whole, or no safetensors.
    """
    name = settings.name
    if name not in _CODE:
        raise TrifacetError(f"locator {name!r} has no model to open: its regions are read with the data")
    model = settings.model or (policy if name == "attention" else None)
    if model is None:
        raise TrifacetError(
            f"regions.locator.model: locator {name!r} ({LOCATORS[name].what}) needs a checkpoint; "
            "give its folder or hub id"
        )
    file, code = _CODE[name]
    with needed_for(f"locator {name!r}"):
        kind: Any = getattr(importlib.import_module(f"trifacet.regions.locators.{file}"), code)
        given = settings.model_copy(update={"model": model})
        locator: Locator = kind(given, asking) if name == "attention" else kind(given)
    return locator
