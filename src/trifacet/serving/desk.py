"""Requests as they come in: read, put to a model, handed to the scheduler, and given up where nobody waits any more.

Invariant: a request that was taken on holds one place until it is written, and leaves it whatever becomes of it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from trifacet.base.errors import TrifacetError
from trifacet.serving.growing_text import Wish
from trifacet.serving.hosted import Hosted, Put, shown_pictures
from trifacet.serving.job import Job, News
from trifacet.serving.limits import Limits
from trifacet.serving.metrics import Metrics
from trifacet.serving.pictures import picture_bytes
from trifacet.serving.refusals import Refusal, shown
from trifacet.serving.request import ChatRequest
from trifacet.serving.scheduler import Scheduler

Result = TypeVar("Result")
_READERS = 2  # requests whose pictures are decoded at a time
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

    def model(self, name: str) -> Hosted:
        """The one of that name. Raises Refusal."""
        if name not in self.hosted:
            known = ", ".join(self.hosted)
            told = f"model: {shown(name)} is not served here; write one of {known}"
            raise Refusal(404, told, param="model", code="model_not_found")
        return self.hosted[name]

    @asynccontextmanager
    async def taken(self, request: ChatRequest, gone: asyncio.Task[None]) -> AsyncIterator[Job]:
        """A request that has a place of the queue, which is used up: it is being written, until the block ends.

        Args:
            request: what is asked.
            gone: done once whoever asked has left.

        Raises:
            Refusal: it cannot be put to the model.
            Gone: whoever asked has left.
        """
        job = None
        try:
            hosted = self.model(request.model)
            reading = asyncio.get_running_loop().run_in_executor(self._readers, self._read, request, hosted)
            put, wish = await or_gone(reading, gone)
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
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _read(self, request: ChatRequest, hosted: Hosted) -> tuple[Put, Wish]:
        """In a reader's thread: what takes computing before a request can be written."""
        schema = request.schema_text
        try:
            constraint = hosted.grammars.constraint(schema) if schema is not None else None
        except TrifacetError as error:
            raise Refusal(400, str(error), param="response_format", code="unsupported_parameter") from None
        shown_here = shown_pictures(request)
        data = picture_bytes([url for _, url in shown_here], [place for place, _ in shown_here], self.limits)
        try:
            put = hosted.put(request, data, self.limits)
        except TrifacetError as error:
            raise Refusal(400, f"messages: {error}", param="messages") from None
        wish = Wish(
            ends=hosted.ends,
            longest=put.longest,
            stop=tuple(request.stop),
            likeliest=request.top_logprobs if request.logprobs else None,
            streamed=request.stream,
            schema=constraint,
        )
        return put, wish

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
    finally:
        if not task.done():
            task.cancel()
