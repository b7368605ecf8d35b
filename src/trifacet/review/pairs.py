"""What is reviewed: the posts of a test set, each with two models' texts.

Invariant: a review that exists has both texts for each of its samples, and its fingerprint covers all that a judge
reads: names, posts, image paths and texts. The bytes of the images are not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.digests import text_digest
from trifacet.base.errors import DataError, TrifacetError
from trifacet.data.formats import read_samples
from trifacet.metrics.inputs import read_predictions

_NAMED = 5  # ids that a message names before it counts


@dataclass(frozen=True)
class ReviewPair:
    """A post and the texts of A and B, in this order. ``pictures`` are paths below the images' root."""

    id: str
    prompt: str | None
    context: str
    pictures: tuple[str, ...]
    texts: tuple[str, str]

    @property
    def same(self) -> bool:
        """Whether there is nothing to choose: both texts have the same words."""
        return self.texts[0].split() == self.texts[1].split()


@dataclass(frozen=True)
class Review:
    """Two named models and the samples on which they are compared."""

    names: tuple[str, str]
    pairs: tuple[ReviewPair, ...]

    def fingerprint(self) -> dict[str, str]:
        """A digest of each part, by the part's name: what a store says when it is asked to hold another review."""
        return {
            "the names": _digest(self.names),
            "the test set": _digest([[pair.id, pair.prompt, pair.context, pair.pictures] for pair in self.pairs]),
            "the texts of the first model": _digest([pair.texts[0] for pair in self.pairs]),
            "the texts of the second model": _digest([pair.texts[1] for pair in self.pairs]),
        }


def read_review(first: Path, second: Path, data: Path, *, names: tuple[str, str], limit: int | None = None) -> Review:
    """Two prediction files and the test set that they are about.

    Args:
        first: JSONL with one {"id", "text"} per sample, of model A.
        second: the same of model B.
        data: a test set in any data format.
        names: what A and B are called in results; judges never see them.
        limit: the first samples only.

    Raises:
        DataError: a file cannot be read, a sample lacks a text, or a text belongs to no sample.
        TrifacetError: both models have one name.
    """
    if names[0] == names[1]:
        raise TrifacetError(f"both models are called {names[0]!r}; name them: review one={first} two={second}")
    samples = read_samples(data, "test")
    shown = samples[:limit]
    texts = []
    for path in (first, second):
        found = read_predictions(path)
        missing = [sample.id for sample in shown if sample.id not in found]
        if missing:
            raise DataError(
                f"has no text for {_some(missing)} of {data}", fix="generate one per sample of the test set", file=path
            )
        known = {sample.id for sample in samples}
        extra = [name for name in found if name not in known]
        if extra:
            raise DataError(
                f"has texts for {_some(extra)}, not in {data}", fix="give the file's own test set", file=path
            )
        texts.append(found)
    return Review(
        names,
        tuple(
            ReviewPair(one.id, one.prompt, one.context, one.pictures, (texts[0][one.id], texts[1][one.id]))
            for one in shown
        ),
    )


def _some(names: Sequence[str] | Collection[str]) -> str:
    named = ", ".join(repr(name) for name in list(names)[:_NAMED])
    return f"{len(names)} sample{'s' if len(names) > 1 else ''} ({named}{', ...' if len(names) > _NAMED else ''})"


def _digest(value: Any) -> str:
    return text_digest(json.dumps(value))
