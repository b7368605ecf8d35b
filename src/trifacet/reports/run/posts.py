"""Held-out posts side by side with what each model wrote, right and wrong parts marked.

Invariant: the posts are the first of the test file, so nobody picked them; a text is shown whole and unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from trifacet.base.errors import DataError
from trifacet.data.records import TestSample
from trifacet.data.settings import Data
from trifacet.evaluation.run_folder import Run
from trifacet.lettering.request import Quoted, quoted, stated
from trifacet.lettering.settings import COLUMN
from trifacet.metrics.grounding import Span, ground
from trifacet.web.pictures import Picture, picture

SHOWN = 24


@dataclass(frozen=True)
class Segment:
    """A stretch of a text: plain, or the words that state a fact rightly or wrongly."""

    text: str
    kind: Literal["plain", "right", "wrong"] = "plain"
    fact: str = ""


@dataclass(frozen=True)
class Told:
    """One model's text on a post; ``right`` of ``facts`` facts are right, ``unsaid`` are not mentioned at all."""

    model: str
    segments: list[Segment]
    facts: int = 0
    right: int = 0
    unsaid: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to read."""
        return not any(segment.text.strip() for segment in self.segments)


@dataclass(frozen=True)
class Post:
    """A held-out post as the page shows it: its described picture first, further ones after it.

    ``read`` is what stands in the described picture, where it is known; ``asked``: the models were asked with it.
    """

    number: int
    sample: TestSample
    pictures: list[Picture]
    told: list[Told]
    read: Quoted | None = None
    asked: bool = False


def held_out_posts(run: Run, limit: int = SHOWN) -> list[Post]:
    """The first ``limit`` posts of the test file that any model has described."""
    posts = []
    for number, sample in enumerate(run.samples, start=1):
        told = [tell(model.name, model.texts[sample.id], sample) for model in run.models if sample.id in model.texts]
        if told:
            pictures = [picture(run.image_root, name) for name in sample.pictures]
            posts.append(Post(number, sample, pictures, told, words_read(run, sample), run.words_asked is not None))
        if len(posts) == limit:
            break
    return posts


def words_read(run: Run, sample: TestSample) -> Quoted | None:
    """What stands in a sample's picture, as much as the run's models are or would be asked with; None: not known."""
    if sample.extra.get(COLUMN) is None:
        return None
    most = Data().lettering_characters if run.words_asked is None else run.words_asked
    try:
        return quoted(stated(sample.extra[COLUMN]), most)
    except DataError:  # told where it was scored
        return None


def tell(model: str, text: str, sample: TestSample) -> Told:
    """The text with its marks; without facts in the sample it is one plain segment."""
    if not sample.extra.get("facts"):
        return Told(model, [Segment(text)])
    grounded = ground(text, sample.extra)
    values = {key.removeprefix("grounding/"): value for key, value in grounded.values.items() if "/" in key}
    said = {span.fact for span in grounded.spans}
    return Told(
        model,
        segments(text, grounded.spans),
        facts=len(values),
        right=sum(bool(value) for value in values.values()),
        unsaid=[fact for fact in values if fact not in said],
    )


def segments(text: str, spans: Sequence[Span]) -> list[Segment]:
    """The text cut at the spans; joined again it is ``text``. Of two spans that overlap, the earlier one counts."""
    pieces, position = [], 0
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if span.start < position or span.end <= span.start:
            continue
        if span.start > position:
            pieces.append(Segment(text[position : span.start]))
        pieces.append(Segment(text[span.start : span.end], span.verdict, span.fact))
        position = span.end
    if position < len(text) or not pieces:
        pieces.append(Segment(text[position:]))
    return pieces
