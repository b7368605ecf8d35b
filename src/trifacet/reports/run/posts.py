"""Held-out posts side by side with what each model wrote, right and wrong parts marked.

Invariant: the posts are the first of the test file, so nobody picked them; a text is shown whole and unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from trifacet.base.errors import DataError
from trifacet.data.records import TestSample
from trifacet.data.settings import Data
from trifacet.evaluation.run_folder import Run
from trifacet.lettering.request import Quoted, quoted, stated
from trifacet.lettering.settings import COLUMN
from trifacet.metrics.grounding import Span, ground
from trifacet.metrics.objects import mentions, truth_of
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


def unit_of(run: Run) -> str:
    """What a held-out sample is called: a post where there are posts, else a sample."""
    if any(sample.context for sample in run.samples):
        return "post"
    data = run.recipe.get("data")
    world = data.get("world") if isinstance(data, Mapping) else None
    of_things = isinstance(world, Mapping) and world.get("kind") == "things"
    return "sample" if run.samples or of_things else "post"


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
    """The text with its marks; without facts or a table of objects in the sample it is one plain segment."""
    if not sample.extra.get("facts"):
        return _tell_objects(model, text, sample.extra) or Told(model, [Segment(text)])
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


def _tell_objects(model: str, text: str, extra: Mapping[str, Any]) -> Told | None:
    """The text with what it names marked; right is an object that is there and nowhere has a wrong attribute."""
    if (truth := truth_of(extra)) is None:
        return None
    spans: list[Span] = []
    named, wrong = set(), set()
    for one in mentions(text, truth):
        there = one.name in truth.there
        spans.append(Span(one.start, one.end, "right" if there else "wrong", one.name if there else "absent thing"))
        if there and one.attribute and one.attribute not in truth.there[one.name]:
            spans.append(Span(*one.before, "wrong", f"attribute of {one.name}"))
            wrong.add(one.name)
        named.add(one.name)
    right = truth.there.keys() & named - wrong
    unsaid = [name for name in truth.there if name not in named]
    return Told(model, segments(text, spans), len(truth.there), len(right), unsaid)


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
