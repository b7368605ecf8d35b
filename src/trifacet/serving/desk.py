"""Requests as they come in: read, put to a model, handed to the scheduler, and given up where nobody waits any more.

Invariants: a request holds a place of the queue only once it is there whole, pictures that lie elsewhere too, and
leaves it whatever becomes of it. What is on its way keeps nobody waiting, and is bounded in bytes, number and time.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

from trifacet.base.errors import TrifacetError
from trifacet.serving.constraint import Constraint
from trifacet.serving.growing_text import Wish
from trifacet.serving.hosted import Hosted, Put, shown_pictures
from trifacet.serving.job import Job, News
from trifacet.serving.limits import Limits
from trifacet.serving.metrics import Metrics
from trifacet.serving.pictures import fetched, picture_bytes, remote_pictures
from trifacet.serving.refusals import Refusal, shown
from trifacet.serving.request import ChatRequest
from trifacet.serving.scheduler import Scheduler

Result = TypeVar("Result")
_READERS = 2  # requests whose pictures are decoded at a time
_ARRIVING = 8  # bodies of the largest size, whose bytes may be on their way at a time
_FETCHERS, _SCHEMERS = 8, 2  # requests whose pictures are fetched, and whose schemas are read, at a time
_APART = 16  # such requests of either kind, with those that wait for it
_FETCH_SECONDS = 30.0  # until a request's pictures are there
_GLANCE = 0.05  # seconds between looks at whether all is done


class Gone(Exception):  # noqa: N818 - whoever asked has left
    """Nobody waits for the answer."""


class Desk:
    """What one server has to do.

    Args:
        hosted: its models by name.
        limits: how much it takes on.
        tell: what to do with failures that are no request's fault.
    """

    def __init__(
        self, hosted: Mapping[str, Hosted], limits: Limits, tell: Callable[[str], None] = lambda said: None
    ) -> None:
        self.hosted, self.limits = hosted, limits
        self.metrics = Metrics(lambda: self.scheduler.load)
        self.scheduler = Scheduler(limits, on_encoded=self.metrics.encoded, tell=tell)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="trifacet-reader")
        self._fetchers = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="trifacet-fetcher")
        self._schemers = ThreadPoolExecutor(_SCHEMERS, thread_name_prefix="trifacet-schemer")
        self._apart: dict[ThreadPoolExecutor, list[Future[Any]]] = {self._fetchers: [], self._schemers: []}
        self.arrivals = self.arriving_bytes = 0  # bodies that are on their way

    def model(self, name: str) -> Hosted:
        """The one of that name. Raises Refusal."""
        if name not in self.hosted:
            known = ", ".join(self.hosted)
            told = f"model: {shown(name)} is not served here; write one of {known}"
            raise Refusal(404, told, param="model", code="model_not_found")
        return self.hosted[name]

    @contextmanager
    def arriving(self) -> Iterator[Callable[[int], None]]:
        """For the time of reading a body: a function that is told of its bytes. It raises Refusal for too many."""
        mine = 0
        self.arrivals += 1

        def more(count: int) -> None:
            nonlocal mine
            mine += count
            self.arriving_bytes += count
            if self.arriving_bytes > _ARRIVING * self.limits.max_body:
                raise Refusal(429, "too much is being sent at once; ask again in a while", code="queue_full", wait=5)

        try:
            yield more
        finally:
            self.arriving_bytes -= mine
            self.arrivals -= 1

    @asynccontextmanager
    async def taken(self, request: ChatRequest, gone: asyncio.Task[None]) -> AsyncIterator[Job]:
        """A request that has a place of the queue, which is used up: it is being written, until the block ends.

        Args:
            request: what is asked.
            gone: done once whoever asked has left.

        Raises:
            Refusal: it cannot be put to the model, its pictures are not to be had, or no place is free.
            Gone: whoever asked has left.
        """
        hosted = self.model(request.model)
        constraint = await self._constraint(request, hosted, gone)
        there = await self._there(request, gone)
        self.scheduler.take_place()
        job = None
        try:
            reading = asyncio.get_running_loop().run_in_executor(self._readers, self._put, request, hosted, there)
            put = await or_gone(reading, gone)
            wish = Wish(
                ends=hosted.ends,
                longest=put.longest,
                stop=tuple(request.stop),
                likeliest=request.top_logprobs if request.logprobs else None,
                streamed=request.stream,
                schema=constraint,
            )
            how = hosted.way(wish.longest, request.temperature, request.top_p)
            seed = secrets.randbits(63) if request.seed is None else request.seed
            job = Job(hosted, put, how, wish, request.n, seed)
        finally:
            if job is None:
                self.scheduler.leave_place()
        self.scheduler.hand_in(job)
        try:
            yield job
        finally:
            self.scheduler.cancel(job)  # which does nothing to one that is done

    async def _constraint(self, request: ChatRequest, hosted: Hosted, gone: asyncio.Task[None]) -> Constraint | None:
        """What makes its texts JSON, where they are to be: to read a schema may take as long as to fetch a picture."""
        schema = request.schema_text
        if schema is None:
            return None

        def read() -> Constraint:
            try:
                return hosted.grammars.constraint(schema)
            except TrifacetError as error:
                raise Refusal(400, str(error), param="response_format", code="unsupported_parameter") from None

        return await or_gone(self._begun_apart(self._schemers, "schemas", read), gone)

    async def _there(self, request: ChatRequest, gone: asyncio.Task[None]) -> dict[str, bytes]:
        """The pictures of a request that lie elsewhere, fetched."""
        remote = remote_pictures(shown_pictures(request), self.limits)
        if not remote:
            return {}
        fetching = self._begun_apart(self._fetchers, "remote pictures", partial(fetched, remote, self.limits))
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await or_gone(fetching, gone)
        except TimeoutError:
            told = f"messages: their pictures could not be fetched within {_FETCH_SECONDS:g} seconds"
            raise Refusal(400, told, param="messages", code="invalid_image_url") from None

    def _begun_apart(
        self, pool: ThreadPoolExecutor, what: str, function: Callable[[], Result]
    ) -> asyncio.Future[Result]:
        """Work that may take long, in threads of its own, so that other requests do not wait. Raises Refusal."""
        under_way = self._apart[pool] = [one for one in self._apart[pool] if not one.done()]
        if len(under_way) >= _APART:
            told = f"{_APART} requests wait for their {what} already; ask again in a while, or without"
            raise Refusal(429, told, code="queue_full", wait=5)
        begun = pool.submit(function)
        under_way.append(begun)
        return asyncio.wrap_future(begun)

    async def whole(self, job: Job, gone: asyncio.Task[None]) -> Job:
        """The job once all its texts are there. Raises Refusal and Gone."""
        while await or_gone(job.news(), gone) is not None:
            pass
        self._count(job)
        return job

    async def pieces(self, job: Job, gone: asyncio.Task[None]) -> AsyncIterator[News]:
        """Its texts as they grow. Raises Refusal and Gone."""
        while (news := await or_gone(job.news(), gone)) is not None:
            yield news
        self._count(job)

    async def done(self) -> None:
        """Take on no more, and wait until all that was taken on is written, for as long as a request may take."""
        self.scheduler.stop()
        until = time.monotonic() + self.limits.timeout
        while not self.scheduler.idle() and time.monotonic() < until:
            await asyncio.sleep(_GLANCE)

    def end(self) -> None:
        """Let everything go; who still waits is told."""
        self.scheduler.end()
        for pool in (self._readers, *self._apart):
            pool.shutdown(wait=False, cancel_futures=True)

    def _put(self, request: ChatRequest, hosted: Hosted, there: Mapping[str, bytes]) -> Put:
        """In a reader's thread: what takes computing before a request can be written."""
        try:
            return hosted.put(request, picture_bytes(shown_pictures(request), there), self.limits)
        except TrifacetError as error:
            raise Refusal(400, f"messages: {error}", param="messages") from None

    def _count(self, job: Job) -> None:
        seconds = time.monotonic() - job.arrived
        prompt, images = len(job.put.prompt.path.tokens_L), len(job.put.prompt.images)
        self.metrics.answered(job.hosted.name, seconds, prompt, sum(text.written for text in job.texts), images)
        self.scheduler.took(seconds)


async def or_gone(wanted: Awaitable[Result], gone: asyncio.Task[None]) -> Result:
    """What is awaited. Raises Gone where ``gone`` is done before."""
    task = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:  # whoever waits may have been ended in the very moment in which it failed: that is told to nobody
        if not task.cancel() and not task.cancelled():
            task.exception()
