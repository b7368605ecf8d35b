"""From places to suggestions: what is missing is asked of a model, judged, and put into the queue.

Invariant: a picture in a context is asked about once, however many places show it so, and never again with the same
model and settings: what is drawn is kept in the queue, under picture, request, model and settings, before it is used. A
run that was killed goes on from there and ends with the same suggestions. A picture that can't be read is told, and the
others are suggested for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from trifacet.base.claims import moment
from trifacet.base.errors import DataError
from trifacet.data.records import TestSample
from trifacet.data.writing import Writer, Written
from trifacet.describing.judging import Checks, Judged, against, judge
from trifacet.describing.place import Place
from trifacet.describing.queue import Queue
from trifacet.describing.rasters import Rasters
from trifacet.describing.requests import (
    Asking,
    context_digest,
)
from trifacet.describing.suggestion import Proposal
from trifacet.describing.tasks import SHORT, Model, Task, wants_text
from trifacet.lettering.reading import Readings

TOGETHER = 256  # requests that are asked at a time
ROUNDS = 2  # times that a shorter text is asked for
OnProblem = Callable[[DataError], None]


class FoundDocument(Protocol):
    """A document as ``scanning.scan`` finds it: its path below the root, the SHA-256 of its bytes, the name of its
    format, its places.
    """

    @property
    def path(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def places(self) -> Sequence[Place]: ...


@dataclass
class SuggestCounts:
    """What came of a run. ``requests`` were different; of their texts ``drawn`` were asked for now, ``kept`` before."""

    documents: int = 0
    places: int = 0
    suggested: int = 0
    withheld: int = 0
    decorative: int = 0
    unread: int = 0
    requests: int = 0
    drawn: int = 0
    kept: int = 0
    stale: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass
class Suggester:
    """Suggests texts for the places of documents.

    Attributes:
        queue: where suggestions go.
        model: what writes.
        asking, checks: how it is asked, and how its texts are judged.
        rasters: the pictures.
        readings: what reads the words in pictures (None: they are not read).
        weak: also places with a text that the checks find fault with.
        who: runs it, for the queue.
        on_problem: told of each picture that can't be used.
    """

    queue: Queue
    model: Model
    asking: Asking
    checks: Checks
    rasters: Rasters
    readings: Readings | None = None
    weak: bool = False
    who: str = ""
    on_problem: OnProblem = lambda problem: None
    counts: SuggestCounts = field(default_factory=SuggestCounts, init=False)

    def suggest(self, documents: Iterable[FoundDocument], limit: int | None = None) -> SuggestCounts:
        """Suggest for all places that want a text, or the first ``limit`` of them.

        Raises:
            TrifacetError: the model or the queue can't be used. What was suggested until then stays, and what was
                drawn is not asked again.
        """
        waiting: list[Task] = []
        left = limit
        for document in documents:
            self.counts.documents += 1
            here = {(place.key, place.picture, context_digest(place)) for place in document.places}
            self.counts.stale += self.queue.gone(document.path, here, self.who, "no longer there so")
            wanted = [place for place in document.places if wants_text(place, weak=self.weak)][:left]
            left = None if left is None else left - len(wanted)
            self.counts.places += len(wanted)
            self.rasters.fetch(place.picture for place in wanted)
            waiting += self._tasks(document, wanted)
            if len(waiting) >= TOGETHER:
                self._finish(waiting)
                waiting = []
        self._finish(waiting)
        return self.counts

    def _tasks(self, document: FoundDocument, places: Sequence[Place]) -> list[Task]:
        found = []
        for place in places:
            try:
                seen = self.rasters.seen(place.picture, self.rasters.root / document.path)
                found.append(Task(document.path, document.digest, document.format, place, seen, self))
            except DataError as error:
                self._tell(error, document.path, place)
        return found

    def _tell(self, error: DataError, document: str, place: Place) -> None:
        self.counts.unread += 1
        self.on_problem(DataError(error.problem, fix=error.fix, file=document, row=place.line))

    def _finish(self, tasks: Sequence[Task]) -> None:
        """Ask for what is not kept, judge, ask anew for what is too long, put all into the queue."""
        ready: list[Task] = []
        for task in tasks:
            try:
                task.begin()
                ready.append(task)
            except DataError as error:
                self._tell(error, task.document, task.place)
        asking = [task for task in ready if task.place.role != "decorative"]
        short = self._asked({task.first_key: task for task in asking}, long=False)
        long = self._asked({task.first_long_key: task for task in asking if task.has_long}, long=True)
        proposals = [
            self._decorative(task)
            if task.place.role == "decorative"
            else self._proposal(task, short[task.first_key], long.get(task.first_long_key))
            for task in ready
        ]
        self.queue.put(proposals, self.who)
        self._count(proposals)

    def _asked(self, tasks: Mapping[str, Task], *, long: bool) -> dict[str, Judged]:
        """What came of each request, in the end, by the key under which it was first asked."""
        results: dict[str, Judged] = {}
        pending = dict(tasks)
        for _ in range(ROUNDS):
            results |= self._judged(pending, long=long)
            too_long = {key: task for key, task in pending.items() if results[key].too_long}
            pending = {key: task for key, task in too_long.items() if task.again(results[key], long=long)}
        return results | self._judged(pending, long=long)

    def _judged(self, tasks: Mapping[str, Task], *, long: bool) -> dict[str, Judged]:
        """What came of the present requests."""
        keys = {first: task.key(long=long) for first, task in tasks.items()}
        written = {key: self.queue.answers(key) for key in set(keys.values())}
        draws = range(self.model.draws)
        self.counts.requests += len(written)
        self.counts.kept += sum(len(found.keys() & set(draws)) for found in written.values())
        posts = {keys[first]: task.sample(keys[first], long=long) for first, task in tasks.items()
                 if set(draws) - written[keys[first]].keys()}  # fmt: skip
        if posts:
            self._draw(posts, written)
        return {
            first: judge([written[keys[first]][draw] for draw in draws], task.about(long=long), self.checks)
            for first, task in tasks.items()
        }

    def _draw(self, posts: Mapping[str, TestSample], written: dict[str, dict[int, Written]]) -> None:
        """Have texts drawn, those with the same picture side by side, and keep them as they come."""
        whole = {key[:SHORT]: key for key in posts}

        def keep(texts: list[Written]) -> None:
            self.queue.keep_answers((whole[one.id], one) for one in texts)
            for one in texts:
                written[whole[one.id]][one.draw] = one
            self.counts.drawn += len(texts)

        ordered = sorted(posts.values(), key=lambda post: (post.pictures, post.id))
        done = [(key[:SHORT], draw) for key in posts for draw in written[key]]
        self._writer.write(ordered, self.rasters.root, draws=self.model.draws, done=done, on_written=keep)

    @cached_property
    def _writer(self) -> Writer:
        return self.model.make()

    def _proposal(self, task: Task, judged: Judged, long: Judged | None) -> Proposal:
        withheld = judged.withheld
        if long is not None and long.withheld:
            withheld = "; ".join(one for one in (withheld, f"long description: {long.withheld}") if one)
        return Proposal(
            task.document, task.digest, task.place, task.seen.digest, context_digest(task.place), judged.text,
            long="" if long is None else long.text,
            withheld=withheld,
            findings=(*judged.findings, *(() if long is None else long.findings)),
            samples=judged.samples,
            spans=judged.spans,
            confidence=judged.confidence,
            provenance={**self.model.identity, "request": task.asked.digest, "date": moment()},
            format=task.format,
        )  # fmt: skip

    def _decorative(self, task: Task) -> Proposal:
        """An empty text, proposed by the tree: no model is asked, and a person decides."""
        return Proposal(
            task.document, task.digest, task.place, task.seen.digest, context_digest(task.place), "",
            provenance={"model": "", "rule": "W3C alt decision tree", "reason": task.place.reason, "date": moment()},
            format=task.format,
        )  # fmt: skip

    def _count(self, proposals: Sequence[Proposal]) -> None:
        for one in proposals:
            self.counts.withheld += bool(one.withheld)
            self.counts.decorative += one.place.role == "decorative"
            self.counts.suggested += not one.withheld and one.place.role != "decorative"
            if one.withheld:
                rules = [finding.rule for finding in against(one.findings)]
                self.counts.reasons[rules[0] if rules else one.withheld.partition(" (")[0]] += 1


__all__ = ["Model", "SuggestCounts", "Suggester", "wants_text"]
