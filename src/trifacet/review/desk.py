"""What one judge has before them: a sample with its two texts in this judge's order, and what comes next.

Invariant: what leaves here for a page knows text 1 and text 2, never whose they are.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

from trifacet.review.order import Choice, first_side, judges_order
from trifacet.review.pairs import Review, ReviewPair
from trifacet.review.pictures import EncodedPicture, Pictures
from trifacet.review.store import HumanJudge, Store, Vote
from trifacet.web.access import LONGEST_NAME

CHOICES: dict[str, Choice] = {"1": "first", "2": "second", "tie": "tie", "skip": "skip"}  # by what a form sends
_SAID: dict[Choice, str] = {"first": "text 1", "second": "text 2", "tie": "tie", "skip": "skipped"}
ImageState = Literal["shown", "hidden", "none", "broken"]


@dataclass(frozen=True)
class Place:
    """A sample where a judge meets it. ``position`` counts from 1; ``texts`` are texts 1 and 2 as shown."""

    position: int
    prompt: str | None
    context: str
    texts: tuple[str, str]
    same: bool
    image: ImageState
    images: tuple[tuple[int, int], ...]  # (width, height) of those that can be shown, in pixels
    given: Choice | None  # the answer that counts so far
    comment: str


@dataclass(frozen=True)
class _Answer:
    """An answer that counts, for the judge who gave it."""

    position: int
    said: str
    skipped: bool
    comment: str


class Desk:
    """The samples of ``review`` as judges meet them; answers go to ``store``."""

    def __init__(self, store: Store, review: Review, pictures: Pictures) -> None:
        self.store, self.review, self._pictures = store, review, pictures
        self.total = len(review.pairs)

    def place(self, judge: HumanJudge, position: int) -> Place:
        """The sample at ``position`` (1 to ``total``) of the judge's order."""
        pair = self._pair(judge, position)
        texts = pair.texts if self._first(judge, pair) == "A" else pair.texts[::-1]
        vote = self.store.counting(judge.name).get(pair.id)
        shown = self._images(judge, pair)
        state: ImageState = "shown" if shown else "none" if not pair.pictures else "broken" if judge.sees else "hidden"
        return Place(
            position=position,
            prompt=pair.prompt,
            context=pair.context,
            texts=texts,
            same=pair.same,
            image=state,
            images=tuple((image.width, image.height) for image in shown),
            given=vote.choice if vote else None,
            comment=vote.comment if vote else "",
        )

    def image(self, judge: HumanJudge, position: int, number: int) -> EncodedPicture | None:
        """The sample's image ``number`` (0: the described one) among those that can be shown."""
        shown = self._images(judge, self._pair(judge, position))
        return shown[number] if 0 <= number < len(shown) else None

    def vote(self, judge: HumanJudge, position: int, choice: Choice, comment: str) -> None:
        """Store an answer; it is on the disk when this returns."""
        pair = self._pair(judge, position)
        saw = bool(self._images(judge, pair))
        self.store.vote(pair.id, judge.name, self._first(judge, pair), choice, comment=comment, saw=saw)

    def next_open(self, judge: HumanJudge, after: int = 0) -> int | None:
        """The first position behind ``after`` without an answer, else the first from the start; None: all have one."""
        given = {answer.position for answer in self.answers(judge)}
        places = [*range(after + 1, self.total + 1), *range(1, after + 1)]
        return next((position for position in places if position not in given), None)

    def answers(self, judge: HumanJudge) -> list[_Answer]:
        """The judge's answers that count, in the order of the samples."""
        votes = self.store.counting(judge.name)
        order = judges_order(self.store.seed, judge.name, self.total)
        named = [(position, self.review.pairs[number].id) for position, number in enumerate(order, start=1)]
        return [_answer(position, votes[sample]) for position, sample in named if sample in votes]

    def _pair(self, judge: HumanJudge, position: int) -> ReviewPair:
        return self.review.pairs[judges_order(self.store.seed, judge.name, self.total)[position - 1]]

    def _first(self, judge: HumanJudge, pair: ReviewPair) -> Literal["A", "B"]:
        return first_side(self.store.seed, judge.name, pair.id)

    def _images(self, judge: HumanJudge, pair: ReviewPair) -> list[EncodedPicture]:
        """The images that can be shown; none where the described one cannot, for then nothing is to be described."""
        if not judge.sees or not pair.pictures or self._pictures.get(pair.pictures[0]) is None:
            return []
        return [image for name in pair.pictures if (image := self._pictures.get(name)) is not None]


def _answer(position: int, vote: Vote) -> _Answer:
    return _Answer(position, _SAID[vote.choice], vote.choice == "skip", vote.comment)


def judges_name(text: str) -> str | None:
    """``text`` as a judge's name, on one line and composed; None where it is empty, too long or not printable."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    return name if 0 < len(name) <= LONGEST_NAME and name.isprintable() else None
