"""The checks of alt-texts as a step: rows whose alt-text is none leave the build, doubts are noted.

Invariant: rules and messages are those of ``lint``; how often a text is used is counted over all rows that
reach the step, by different images. The rules about words in pictures hold where ``read-lettering`` was before it.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from trifacet.building.lettered import letterings_of
from trifacet.building.rows import RowBatch
from trifacet.building.step import GlobalStep, Signatures, Tools
from trifacet.lint import RULES, lint_text
from trifacet.lint.rule import words
from trifacet.settings.section import MOST, Section

_NAMES = [rule.name for rule in RULES]
# Beside errors: texts that were not written for their image. The other warnings are about how a text is written; what
# they find can be mended, and texts with "photo of" or without an end are better than none.
DROP = ["error", "repeats-post", "same-text", "boilerplate"]


class Parameters(Section):
    """Which findings drop a row; the rest is noted."""

    drop: list[str] = Field(DROP, description="'error', 'warning', and names of rules")
    ignore: list[str] = Field([], description="names of rules not to ask")
    platform: Literal["x", "instagram", "pinterest", "mastodon", "bluesky"] | None = Field(
        None, description="whose limit holds"
    )
    max_chars: int | None = Field(None, ge=1, le=MOST, description="warn of longer texts (null: any length is fine)")
    min_words: int = Field(3, ge=0, le=10_000, description="warn of texts with fewer words")
    max_images: int = Field(4, ge=1, le=MOST, description="warn of a text that more different images have")

    @field_validator("drop", "ignore")
    @classmethod
    def _rules(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in (*_NAMES, "error", "warning")]
        if unknown:
            raise ValueError(f"unknown rule {unknown[0]!r}; known are error, warning, {', '.join(_NAMES)}")
        return names


def sign(rows: pa.Table, parameters: Parameters, tools: Tools) -> pa.Table:
    """Each row's text, but for case and punctuation, and its image, as numbers of 64 bits."""
    texts = [" ".join(words(text)) for text in rows.column("alt").to_pylist()]
    images = zip(*(rows.column(name).to_pylist() for name in ("sha256", "file", "image", "id")), strict=True)
    which = [next(name for name in names if name) for names in images]
    return pa.table({"row": rows.column("row"), "text": _numbers(texts), "image": _numbers(which)})


def decide(signatures: Signatures, parameters: Parameters, tools: Tools) -> pa.Table:
    """The rows whose text more than ``max_images`` images have, with their number. 16 bytes a row in memory."""
    texts = np.sort(signatures.column("text").to_numpy())
    starts = np.flatnonzero(np.r_[True, texts[1:] != texts[:-1]]) if len(texts) else np.zeros(0, np.int64)
    often = texts[starts[np.diff(np.r_[starts, len(texts)]) > parameters.max_images]]
    del texts, starts
    kept = []
    for part in signatures.parts(["row", "text", "image"]):
        columns = [part.column(name).to_numpy() for name in ("row", "text", "image")]
        chosen = np.isin(columns[1], often)
        kept.append(np.stack([column[chosen] for column in columns]))
    rows, text, image = np.concatenate(kept, axis=1) if kept else np.zeros((3, 0), np.int64)
    pairs = np.unique(np.stack([text, image]), axis=1)  # an image that comes twice counts once
    each, images = np.unique(pairs[0], return_counts=True)
    counts = images[np.searchsorted(each, text)] if len(each) else np.zeros(0, np.int64)
    many = counts > parameters.max_images
    order = np.argsort(rows[many])
    return pa.table({"row": rows[many][order], "images": counts[many][order]})


def apply(batch: RowBatch, decided: pa.Table, parameters: Parameters, tools: Tools) -> None:
    """Drop by the first finding that the recipe drops for; note the others."""
    images = dict(zip(decided.column("row").to_pylist(), decided.column("images").to_pylist(), strict=True))
    given = {name: getattr(parameters, name) for name in ("platform", "max_chars", "min_words", "max_images", "ignore")}
    for post in batch.posts():
        alt = post["alt"]
        lettering = next(iter(letterings_of(post)), None)
        findings = lint_text(
            alt, context=post["context"], images=images.get(post["row"], 1), lettering=lettering, **given
        )
        fatal = next((one for one in findings if {one.rule, one.level} & set(parameters.drop)), None)
        rules = [finding.rule for finding in findings]
        if fatal:
            post.drop(fatal.message, field="alt", before=alt, found=fatal.found, rules=rules)
        elif rules:
            post.note("doubts about the alt-text", field="alt", before=alt, rules=rules)


def _numbers(texts: list[str]) -> pa.Array:
    """SHA-256's first 64 bits of each, the same everywhere and in each process."""
    digests = b"".join(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8] for text in texts)
    return pa.array(np.frombuffer(digests, dtype="<i8"))


STEP = GlobalStep("lint", Parameters, sign, decide, apply)
