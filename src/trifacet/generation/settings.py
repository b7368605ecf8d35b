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


def data_digest(samples: Iterable[TestSample]) -> str:
    """What identifies the posts that were described, in their order: ids, images, posts and requests."""
    digest = hashlib.sha256()
    for sample in samples:
        described = [sample.id, sample.image, sample.context, sample.prompt, *sample.more_images]
        digest.update(json.dumps(described).encode("utf-8"))
    return digest.hexdigest()
