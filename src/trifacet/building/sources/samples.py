"""Posts from files in the formats of training data: MCM-DPO, TRL, ms-swift, LLaMA-Factory and our own.

Invariant: the chosen answer is the user's alt-text; rejected versions stay behind, since a build makes its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.data.formats import FORMATS, format_of, llama_factory
from trifacet.data.records import SAMPLE_TYPES
from trifacet.data.rows import Values
from trifacet.data.tables import Peek

_KNOWN = {name for sample_type in SAMPLE_TYPES.values() for name in sample_type.model_fields}
_TELLING = {  # a row of the format has one of these; what else a format is known by, tables have too
    "trifacet": {"response", "references"},
    "mcm-dpo": {"question"},
    "trl": {"chosen", "completion", "messages"},
    "ms-swift": {"messages"},
    "llama-factory": {"conversations", "instruction", "messages"},
}


def detect(path: Path, start: Peek) -> str | None:
    """The format of training data that a file is in; None where it is in none of them. Text tables never are."""
    if start.text_only or start.first is None:
        return None
    if llama_factory.entry_of(path) is not None:
        return "llama-factory"
    row = start.first
    name = format_of(row)
    if name not in _TELLING or (name == "trifacet" and not row.keys() <= _KNOWN):
        return None
    inside = name == "mcm-dpo" and str(row.get("text", "")).startswith("{")
    return name if inside or _TELLING[name] & row.keys() else None


def reader(format: str, path: Path, label: str) -> Callable[[Values], list[Values]]:
    """A function from a row of the format to the one post in it."""
    to_values = FORMATS[format].reader(path, label)

    def read(row: Values) -> list[Values]:
        values = to_values(row)
        if strange := sorted(values.keys() - _KNOWN):
            raise DataError("is no field of this format", fix="put it into 'extra'", field=strange[0])
        fields = ("id", "image", "more_images", "context", "prompt", "extra")
        return [{name: values.get(name) for name in fields} | {"alt": _alt(values)}]

    return read


def _alt(values: Values) -> Any:
    if (response := values.get("response")) is not None:
        return response
    references = values.get("references")
    return references[0] if isinstance(references, list) and references else None
