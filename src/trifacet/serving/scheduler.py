"""The thread that owns the models: what waits is written together, and a row that is done takes what waits next.

Invariant: what a request gets depends on it alone, whatever is written beside it (up to rounding outside float32); none
that was taken on is lost: it is answered, refused, or its asker has left. Requests of one model are not kept waiting by
those of another for longer than what waited before them takes.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from trifacet.base.errors import first_line
from trifacet.engine.continuing import Decoding, Question, grown, lacks_memory
from trifacet.serving.hosted import Hosted
from trifacet.serving.job import Job
from trifacet.serving.limits import Limits
from trifacet.serving.refusals import Refusal

TOGETHER = 8  # requests that show the same pictures
_LONGEST_WAIT = 60  # seconds that Retry-After asks for, at most
_UNUSED = Decoding(1, frozenset())  # each question has its own


class Load(NamedTuple):
    """Requests that wait, those that are being read too, and those that are being written."""

    waiting: int
    running: int


class Scheduler:
    """Writes for all models, from a thread of its own.

    Args:
        limits: rows and queue.
        on_encoded: told how many pictures went through a vision encoder.
        tell: what to do with failures that are no request's fault.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        on_encoded: Callable[[Hosted, int], None] = lambda hosted, count: None,
        tell: Callable[[str], None] = lambda said: None,
    ) -> None:
        self._limits, self._on_encoded, self._tell = limits, on_encoded, tell
        self._rows = limits.at_a_time
        self._change = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._places = 0  # taken of the queue, by what is being read too
        self._again: list[Job] = []  # what was under way when memory ran out
        self._seconds = 1.0  # that a request takes, of late
        self._stopping = self._ended = False
        self._thread = threading.Thread(target=self._run, name="trifacet-scheduler", daemon=True)
        self._thread.start()

    # --- for any thread ---

    @property
    def load(self) -> Load:
        """How much is to be done."""
        with self._change:
            return Load(self._places, len(self._running))

    @property
    def stopping(self) -> bool:
        """Whether no more is taken on."""
        return self._stopping

    def refuse_beyond(self) -> None:
        """Raise Refusal where a request that arrives now would find no place, or at the end."""
        with self._change:
            if self._stopping:
                raise Refusal(503, "the server is being stopped; ask again in a while", code="stopping", wait=5)
            # where rows are free a request that arrives will not wait
            free = max(0, self._rows - len(self._running))
            if self._places >= self._limits.queue + free:
                wait = math.ceil((self._places + 1) / self._rows * self._seconds)
                raise Refusal(
                    429, f"{self._places} requests wait already, and no more may; ask again in a while",
                    code="queue_full", wait=min(max(1, wait), _LONGEST_WAIT),
                )  # fmt: skip

    def take_place(self) -> None:
        """One of the queue, for a request that is there whole. Raises Refusal where none is free, or at the end."""
        with self._change:
            self.refuse_beyond()
            self._places += 1

    def leave_place(self) -> None:
        """Of a request that came to nothing before it was handed in."""
        with self._change:
            self._places -= 1
            self._change.notify_all()

    def hand_in(self, job: Job) -> None:
        """A request that has a place. What comes of it the job tells."""
        with self._change:
            if self._ended:
                self._places -= 1
                job.settle(Refusal(503, "the server has stopped", code="stopping", wait=5))
                return
            self._waiting.append(job)
            self._change.notify_all()

    def cancel(self, job: Job) -> None:
        """Nobody waits for it any more."""
        with self._change:
            job.cancelled = True
            if not job.begun and job in self._waiting:
                self._waiting.remove(job)
                self._places -= 1
                self._change.notify_all()

    def stop(self) -> None:
        """Take on no more; what is there is still written."""
        with self._change:
            self._stopping = True
            self._change.notify_all()

    def idle(self) -> bool:
        """Whether nothing is to be done."""
        load = self.load
        return not load.waiting and not load.running

    def end(self) -> None:
        """End the thread after the token that is being written; whoever waits is told."""
        with self._change:
            self._stopping = self._ended = True
            for job in (*self._waiting, *self._running, *self._again):
                job.cancelled = True
                job.settle(Refusal(503, "the server was stopped", code="stopping", wait=5))
            self._places -= len(self._waiting)
            self._waiting.clear()
            self._change.notify_all()
        self._thread.join()

    # --- in its thread ---

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._again or self._ended)
                if self._ended:
                    return
                hosted = (self._again or self._waiting)[0].hosted
                there = list(self._waiting)
            try:
                self._session(hosted, there)
            except Exception as error:  # of whatever kind: nobody is to wait for ever, and the next are to be served
                self._failed(error)

    def _session(self, hosted: Hosted, there: list[Job]) -> None:
        """Write for one model, until none of its requests waits or it is another's turn."""
        with hosted.shared.under(hosted.checkpoint) as loaded:
            for answer in grown(
                loaded.model,
                hosted.encoder.family,
                self._groups(hosted, set(there)),
                _UNUSED,
                rows=self._rows,
                pictures=hosted.pictures,
                given_up=lambda: self._ended,
            ):
                self._count_pictures(hosted)
                if answer.key.answered(answer):
                    self._done(answer.key)

    def _groups(self, hosted: Hosted, there: set[Job]) -> Iterator[list[Question]]:
        """What waits for a model, the first and those that show the same; nothing while some are under way.

        Those that came after its turn began wait where another model's requests do.
        """
        while True:
            with self._change:
                again, self._again = self._again[:1], self._again[1:]
                group = again or self._next(hosted, there)
                if not group and not self._running:
                    return
            yield [job.question() for job in group]

    def _next(self, hosted: Hosted, there: set[Job]) -> list[Job]:
        others = any(job.hosted is not hosted for job in self._waiting)
        ours = [job for job in self._waiting if job.hosted is hosted and (job in there or not others)]
        group = [job for job in ours if job is ours[0] or (job.shown and job.shown == ours[0].shown)]
        group = group[: min(TOGETHER, self._rows)]
        for job in group:
            self._waiting.remove(job)
            job.begun = True
        self._places -= len(group)
        self._running.update(group)
        self._change.notify_all()
        return group

    def _done(self, job: Job) -> None:
        with self._change:
            self._running.discard(job)
            self._change.notify_all()

    def took(self, seconds: float) -> None:
        """A request took so long: by it those that find no place are told when to come again."""
        with self._change:
            self._seconds += (seconds - self._seconds) / 16

    def _count_pictures(self, hosted: Hosted) -> None:
        """The counter is emptied: a server sees more pictures than it should keep in mind."""
        encoded = hosted.pictures.encoded
        if encoded:
            self._on_encoded(hosted, encoded.total())
            encoded.clear()

    def _failed(self, error: Exception) -> None:
        """A session that broke: where memory ran out half as many rows go on, else what was under way fails.

        What waits to be written again was not under way, and is not to share the fate of one that is too large alone.
        """
        with self._change:
            again = [job for job in self._again if not job.cancelled]
            running = [job for job in self._running if not job.cancelled and job not in again]
            self._again, self._running = again, set(again)
            if lacks_memory(error) and len(running) > 1:  # one alone is too large, and says nothing of others
                self._rows = max(1, min(self._rows, len(running)) // 2)
                self._again += running
                self._running.update(running)
                self._tell(f"no memory left: going on with {self._rows} sets of pictures at a time")
                return
        what = "no memory left for this request" if lacks_memory(error) else "the model failed"
        self._tell(f"{what}: {type(error).__name__}: {first_line(error)}")
        for job in running:
            job.settle(Refusal(500, what, code="no_memory" if lacks_memory(error) else "internal_error"))
