"""Where the settings of generated texts stand, and how they name the posts that were described.

Invariant: light enough to be asked by commands that load no model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from trifacet.records import TestSample


def settings_path(output: Path) -> Path:
    """Where the settings of a results file stand."""
    return output.with_name(f"{output.name}.settings.json")


def writing_notes(output: Path) -> list[str]:
    """How the texts of a results file were written, in a sentence; nothing where that is not known."""
    try:
        held = json.loads(settings_path(output).read_text(encoding="utf-8"))
        beams, warm, longest = int(held["beams"]), float(held["temperature"]), int(held["max_new_tokens"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    search = "greedily" if beams == 1 else f"with {beams} beams"
    how = f"sampled at temperature {warm:g}" if warm else f"written {search}, without sampling"
    return [f"texts were {how}, at most {longest} new tokens: another way of writing gives other numbers"]


def data_digest(samples: Iterable[TestSample]) -> str:
    """What identifies the posts that were described, in their order: ids, images, posts and requests."""
    digest = hashlib.sha256()
    for sample in samples:
        described = [sample.id, sample.image, sample.context, sample.prompt, *sample.more_images]
        digest.update(json.dumps(described).encode("utf-8"))
    return digest.hexdigest()
