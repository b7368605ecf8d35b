"""The layout of MCM-DPO's published data, which is that of RLHF-V's and RLAIF-V's: an object per row.

``question`` holds the request, a line break, ``context:`` and the post. In some rows ``question``, ``chosen`` and
``rejected`` stand only inside ``text``, a JSON string; ``image.path`` and ``image_path`` are file names. Test rows
have no ``rejected``. In RLHF-V's first layout (it has ``origin_split_inner_idx``) ``image`` may be the name of a split.
Invariant: every other field travels in ``extra`` and comes back on writing, RLHF-V's corrected ``segments`` too.
Source: github.com/LVUGAI/MCM-DPO, its data for Pinterest; the cards of huggingface.co/datasets/openbmb/RLHF-V-Dataset
and RLAIF-V-Dataset.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trifacet.base.embedded import kept_picture
from trifacet.base.errors import DataError
from trifacet.base.json_text import parse_json
from trifacet.data.formats.chat import OnLost, answer_of, extra_of, ignore, images_of, join_post, split_post, values_of
from trifacet.data.records import Sample
from trifacet.data.rows import Values

LABEL = "context:"
NAMES = {
    "image": "image_path",
    "context": "question",
    "prompt": "question",
    "response": "chosen",
    "references": "chosen",
    "rejected_responses": "rejected",
}
NEEDS = ""
_FIRST_LAYOUT = "origin_split_inner_idx"  # of RLHF-V's data, by this column
_CONSUMED = frozenset({"image", "image_path", "question", "chosen", "rejected", "text"})


def reader(path: Path, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
    """A function from a row to a record's values."""
    return lambda row: _values(row, label, lost)


def _values(row: Values, label: str, lost: OnLost) -> Values:
    row = _inner(row) | {name: value for name, value in row.items() if value is not None or name not in _CONSUMED}
    question = row.get("question")
    if not isinstance(question, str):
        raise DataError("is missing", fix="give it at the top level or inside 'text'", field="question")
    if _FIRST_LAYOUT in row and row.get("image_path") and row.get("image") != row["image_path"]:
        if row.get("image"):
            lost("the column 'image' beside 'image_path': the name of a split")
        row = {**row, "image": None}
    paths = set()
    for field in ("image", "image_path"):
        found = images_of(row, field)
        if len(found) > 1:
            raise DataError(f"has {len(found)} images", fix="use one image per row, or another format", field=field)
        paths.update(found)
        if found and kept_picture(found[0]):
            break  # the picture itself: what else is named is but what it was called
    if len(paths) > 1:
        raise DataError("differs from image.path", fix="make both the same file name", field="image_path")
    prompt, context = split_post(question, label)
    rejected = row.get("rejected")
    return values_of(
        row,
        _CONSUMED,
        image=next(iter(paths), None),
        prompt=prompt,
        context=context,
        response=row.get("chosen"),
        rejected_responses=[rejected] if rejected is not None else None,
    )


def _inner(row: Values) -> dict[str, Any]:
    if row.get("text") is None:
        return {}
    try:
        inner = parse_json(row["text"])
    except (TypeError, ValueError):
        inner = None
    if not isinstance(inner, dict):
        raise DataError("is not a JSON object in a string", fix="write the fields at the top level", field="text")
    return inner


def to_row(sample: Sample, label: str) -> Values:
    """A row with the fields at the top level and, as the published rows have it, in ``text`` too."""
    facets = {"question": join_post(sample.prompt, sample.context, label), "chosen": answer_of(sample)}
    rejected = getattr(sample, "rejected_responses", ())
    if rejected:
        facets["rejected"] = rejected[0]
    facets = {name: text for name, text in facets.items() if text is not None}
    inner = {"text": json.dumps(facets, ensure_ascii=False)} if rejected else {}
    image = {} if sample.image is None else {"image": {"path": sample.image}, "image_path": sample.image}
    return image | facets | inner | extra_of(sample, _CONSUMED)
