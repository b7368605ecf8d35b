"""Where the settings of generated texts stand, and how they name the posts that were described.

Invariant: light enough to be asked by commands that load no model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from trifacet.base.errors import DataError
from trifacet.base.json_text import read_json
from trifacet.settings.section import MOST, Section

if TYPE_CHECKING:
    from trifacet.data.records import TestSample

COLDEST = 1e-4  # below, what is written is greedy long before the logits are infinite

MAX_SETTINGS = 10_000_000  # bytes of the file


def settings_path(output: Path) -> Path:
    """Where the settings of a results file stand."""
    return output.with_name(f"{output.name}.settings.json")


def writing_notes(output: Path) -> list[str]:
    """How the texts of a results file were written, in a sentence; nothing where that is not known."""
    try:
        held = read_json(settings_path(output), MAX_SETTINGS)
        beams, warm, longest = int(held["beams"]), float(held["temperature"]), int(held["max_new_tokens"])
        share = float(held.get("top_p", 1.0))
    except (DataError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
        return []
    search = "greedily" if beams == 1 else f"with {beams} beams"
    how = f"sampled at temperature {warm:g}" if warm else f"written {search}, without sampling"
    how += f" from the likeliest tokens with a share of {share:g}" if warm and share < 1 else ""
    return [f"texts were {how}, at most {longest} new tokens: another way of writing gives other numbers"]


def data_digest(samples: Iterable[TestSample]) -> str:
    """What identifies the posts that were described, in their order: ids, images, posts and requests."""
    digest = hashlib.sha256()
    for sample in samples:
        described = [sample.id, sample.image, sample.context, sample.prompt, *sample.more_images]
        digest.update(json.dumps([*described, *([{"system": sample.system}] if sample.system else [])]).encode("utf-8"))
    return digest.hexdigest()


def warm_enough(temperature: float) -> float:
    """The same. Raises ValueError for one that is no temperature."""
    if not (temperature == 0 or temperature >= COLDEST):
        raise ValueError(f"a temperature is 0, which is no sampling, or at least {COLDEST}")
    return temperature


Temperature = Annotated[float, Field(ge=0, le=100), AfterValidator(warm_enough)]


class Generation(Section):
    """How texts are written; the defaults are the paper's: three beams, no sampling, at most 256 new tokens."""

    beams: int = Field(3, ge=1, le=100, description="beams, at temperature 0; 1 is greedy")
    temperature: Temperature = Field(0.0, description="0: no sampling; else at least 0.0001")
    top_p: float = Field(
        1.0, gt=0, le=1, description="with a temperature: draw from the likeliest tokens with this share together"
    )
    max_new_tokens: int = Field(256, ge=1, le=100_000, description="longest text in tokens")
    batch_size: int = Field(8, ge=1, le=100_000, description="posts that are written about at a time")
    limit: int | None = Field(None, ge=1, le=MOST, description="describe the first N test samples only")
    filter: Literal["errors", "warnings"] | None = Field(
        None,
        description="give no text rather than one with an error of the [alt-text checks](lint.md), or with any finding",
    )
