"""Requests to an OpenAI-compatible endpoint: its limits, and patience where it fails.

Invariant: a request ends as an answer, as ``RejectedError`` (this one request is bad) or as TrifacetError (the endpoint
is not usable; the build stops and no row suffers for it). The key is in no message. Nothing is sent to another place
than the one that was named, and what comes is bounded in bytes and in time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import needed_for
from trifacet.llm.books import Reply, Tally
from trifacet.llm.capabilities import FORM, SEVERAL, Capabilities, Form
from trifacet.llm.pace import Pace
from trifacet.llm.response import message_of, read_replies, retry_after

if TYPE_CHECKING:
    import ssl

    from httpx2 import Response
    from tenacity import RetryCallState

    from trifacet.llm.settings import Model

_LOG = logging.getLogger(__name__)
Keep = Callable[[list[Reply]], Awaitable[None]]
REJECTING = (400, 413, 422)
PASSING = (408, 409, 425, 429)  # and 5xx
LIMITS = ("max_tokens", "max_completion_tokens")  # of requests: newer hosted models know the second alone
_UNKNOWN = (LIMITS[1], "unsupported", "not supported", "unknown", "unrecognized", "not permitted", "unexpected")
_TOO_MANY = ("too large", "too long", "context length", "exceed")  # some servers name both names where these are so
_FAILING = ("time-out", "broken answer")  # of a request for several answers: they may come one by one
_UNTRIED = ("500", "501")  # besides, where it has not given several yet: so some servers answer what they do not know
_ENDED = ("stop", "")  # of an answer that the model has ended itself
_LONGEST_PAUSE = 60.0  # seconds, of our own choice
_MAX_BYTES = 16_000_000  # of a body; a character takes up to 12 of them


class RejectedError(Exception):
    """One request is refused as bad, too large or not processable; ``status`` is the endpoint's, if it has one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class _LimitError(RejectedError):
    """The longest answer has another name here."""


class _PassingError(Exception):
    """A failure that may pass. ``cause`` is one of few words, ``wait`` what Retry-After asks for, in seconds."""

    def __init__(self, cause: str, detail: str = "", wait: float | None = None) -> None:
        super().__init__(f"{cause} ({detail})" if detail else cause)
        self.cause, self.wait = cause, wait


@cache
def _certificates() -> ssl.SSLContext:
    """Those that this machine trusts, read once."""
    import httpx2

    return httpx2.create_ssl_context()


class Endpoint:
    """One endpoint and model.

    Args:
        name: the recipe's name of the model, for messages.
        spec: the recipe's section.
        first_pause: seconds, at most, before a failed request is sent again; the pauses double.

    Raises:
        TrifacetError: an address or key that cannot be one; a package is missing.
    """

    def __init__(self, name: str, spec: Model, *, first_pause: float = 1.0) -> None:
        with needed_for("asking a model behind an endpoint"):
            import httpx2
            import tenacity  # noqa: F401  # wanted when the first request fails
        try:
            parts = urlsplit(spec.base_url)
            port = f":{parts.port}" if parts.port else ""
            self._url = httpx2.URL(f"{spec.base_url.rstrip('/')}/chat/completions")
        except (ValueError, httpx2.InvalidURL):  # such as a port above 65535
            parts, port = urlsplit(""), ""
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TrifacetError(f"models.{name}.base_url is no address; write one such as http://127.0.0.1:8000/v1")
        self.spec, self._first_pause = spec, first_pause
        self.identity, self.drawing = spec.model, ""  # what a question's key says of the model
        self._setting = f"models.{name}"
        # an address may hold a password or a key: it is not shown whole
        self._place = f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
        self._key = os.environ.get(spec.key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise TrifacetError(f"the environment variable {spec.key_env} holds what cannot be a key; set it anew")
        self._client = httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json"}
            | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            timeout=spec.timeout,
            verify=_certificates(),
            limits=httpx2.Limits(max_connections=spec.concurrency, max_keepalive_connections=spec.concurrency),
        )
        self._requests, self._tokens = Pace(spec.requests_per_minute), Pace(spec.tokens_per_minute)
        self._not_before = 0.0
        self._unusable: TrifacetError | None = None
        self._told = False  # that there is no connection
        self._limit = LIMITS[0]  # the name by which it knows the longest answer
        self.can = Capabilities(f"{self._place} ({spec.model})")
        self._on_wire: set[asyncio.Task[list[Reply]]] = set()

    async def complete(
        self,
        body: dict[str, Any],
        key: str,
        tokens: tuple[int, int],
        tally: Tally,
        keep: Keep,
        form: Form | None = None,
    ) -> list[Reply]:
        """The endpoint's answer to a request; several where its ``n`` asks for them and the endpoint gives them.

        Args:
            body: the request. A longest answer is told by the name that the endpoint takes for it.
            key: its identity, sent as Idempotency-Key: the same for every try.
            tokens: (in, out) as estimated.
            tally: counts what is sent and why it is sent again.
            keep: called with the answers as soon as they are there, even if nobody waits for them any more.
            form: what the answers have to look like; asked for while the endpoint holds to it.

        Raises:
            RejectedError: the endpoint refuses this request.
            TrifacetError: the endpoint is not usable, or failed ``tries`` times.
        """
        if form and self.can.form is None:
            async with self.can.trying_form:  # one tries
                if self.can.form is None:
                    return await self._in_form(body, key, tokens, tally, keep, form)
        if form and self.can.form:
            return await self._in_form(body, key, tokens, tally, keep, form)
        return await self._complete(body, key, tokens, tally, keep)

    async def _in_form(
        self, body: dict[str, Any], key: str, tokens: tuple[int, int], tally: Tally, keep: Keep, form: Form
    ) -> list[Reply]:
        """The answer in the form that is asked for, or without where that is refused."""
        try:
            replies = await self._complete(body | form.body(), key, tokens, tally, keep)
        except RejectedError as error:
            if not self.can.may_refuse_form(str(error)):
                raise
            replies = await self._complete(body, key, tokens, tally, keep)
            self.can.refused_form(str(error), failed=error.status is None)
            return replies
        for reply in replies:
            if reply.finish in _ENDED and reply.text.strip():
                self.can.answered_in(form, reply.text)
        return replies

    async def _complete(
        self, body: dict[str, Any], key: str, tokens: tuple[int, int], tally: Tally, keep: Keep
    ) -> list[Reply]:
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_PassingError),
            stop=stop_after_attempt(self.spec.tries),
            wait=self._pause,
            before_sleep=lambda state: self._failed(tally, state),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    try:
                        return await self._attempt(body, key, tokens, tally, keep)
                    except _LimitError:
                        return await self._attempt(body, key, tokens, tally, keep)
        except _PassingError as error:
            self._unusable = TrifacetError(
                f"{self._place} ({self.spec.model}) failed {self.spec.tries} times, at last: {error}; "
                "see that it runs, then the same command continues"
            )
        assert self._unusable
        raise self._unusable

    async def close(self) -> None:
        """Wait for the answers that are on their way, which will be paid for, and close the connections."""
        await asyncio.gather(*self._on_wire, return_exceptions=True)
        await self._client.aclose()

    async def _attempt(
        self,
        body: dict[str, Any],
        key: str,
        tokens: tuple[int, int],
        tally: Tally,
        keep: Keep,
    ) -> list[Reply]:
        await self._requests.wait(1)
        await self._tokens.wait(sum(tokens))
        loop = asyncio.get_running_loop()
        while (rest := self._not_before - loop.time()) > 0:
            await asyncio.sleep(rest * random.uniform(1, 1.1))
        if self._unusable:
            raise self._unusable
        tally.sent += 1
        wire = asyncio.create_task(self._exchange(body, key, tokens, keep))
        self._on_wire.add(wire)
        wire.add_done_callback(self._landed)
        try:
            return await asyncio.shield(wire)
        except _PassingError as error:  # what fails for several answers, or for some form, may do without
            several = SEVERAL in body and error.cause in (_FAILING if self.can.several else (*_FAILING, *_UNTRIED))
            form = FORM in body and self.can.form is None and error.cause in _UNTRIED
            if not (several or form):
                raise
            tally.retries[error.cause] += 1
            raise RejectedError(str(error)) from None

    def _landed(self, wire: asyncio.Task[list[Reply]]) -> None:
        self._on_wire.discard(wire)
        if not wire.cancelled():
            wire.exception()  # seen, also where the asker is gone

    async def _exchange(self, body: dict[str, Any], key: str, tokens: tuple[int, int], keep: Keep) -> list[Reply]:
        import httpx2

        name = self._limit
        body = {name if one == LIMITS[0] else one: value for one, value in body.items()}
        sent = self._client.stream(
            "POST", self._url, content=json.dumps(body).encode(), headers={"Idempotency-Key": key}
        )
        try:
            async with asyncio.timeout(self.spec.timeout), sent as response:
                content = await self._content(response)
        except (TimeoutError, httpx2.TimeoutException):
            raise _PassingError("time-out", f"no answer within {self.spec.timeout:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _PassingError("connection", self._shown(str(error) or type(error).__name__)) from None
        if not response.is_success:
            raise self._other_limit(name, self._refusal(response, content))
        try:
            replies = read_replies(content, tokens[0], self._hidden, body.get(SEVERAL, 1))
        except ValueError as error:
            raise _PassingError("broken answer", str(error)) from None
        self._tokens.correct(sum(reply.tokens_in + reply.tokens_out for reply in replies) - sum(tokens))
        try:
            await keep(replies)
        except TrifacetError as error:
            self._unusable = error  # whatever comes next would be paid for and lost too
            raise
        return replies

    def _other_limit(self, name: str, refusal: Exception) -> Exception:
        """What a refusal means: where it is of the name of the longest answer the other name is taken from then on."""
        said = str(refusal).lower()
        if not isinstance(refusal, RejectedError) or name not in said or not any(word in said for word in _UNKNOWN):
            return refusal
        if any(words in said for words in _TOO_MANY):  # the number is refused, not its name
            return refusal
        if self._limit == name == LIMITS[0]:
            self._limit = LIMITS[1]
            _LOG.warning("note: %s (%s) wants %s for %s", self._place, self.spec.model, LIMITS[1], name)
        return _LimitError(str(refusal), refusal.status) if self._limit != name else refusal

    async def _content(self, response: Response) -> bytes:
        """The body, as it came: nothing is unpacked, for a few bytes can make gigabytes."""
        packed = response.headers.get("Content-Encoding", "identity")
        if packed.strip().lower() not in ("", "identity"):
            self._unusable = TrifacetError(
                f"{self._place} packs its answers ({self._shown(packed)}), though it was asked not to; correct the "
                "endpoint or what stands before it, then the same command continues"
            )
            raise self._unusable
        content = bytearray()
        async for part in response.aiter_raw():
            content += part
            if len(content) > _MAX_BYTES:
                raise _PassingError("broken answer", f"it is longer than {_MAX_BYTES:,} bytes")
        return bytes(content)

    def _refusal(self, response: Response, content: bytes) -> Exception:
        """What an answer with another status than 200 means for us."""
        status, said = response.status_code, self._shown(message_of(content))
        if status in PASSING or status >= 500:
            wait = retry_after(response.headers)
            if wait is not None:
                self._not_before = max(self._not_before, asyncio.get_running_loop().time() + wait)
            return _PassingError(str(status), said, wait)
        if status in REJECTING:
            return RejectedError(f"{status}: {said}", status)
        if status in (401, 403):  # what it says may repeat the key, or a part of it
            key = f"set the environment variable {self.spec.key_env}"
            cure = f"does not accept the key; {key} to one that may use {self.spec.model}"
            cure = cure if self._key else f"wants a key; {key}"
        elif status == 404:
            cure = f"knows no model {self.spec.model!r}, or nothing is at this address; correct {self._setting}"
        elif status // 100 == 3:  # posts, pictures and the key were meant for this place alone
            where = self._shown(response.headers.get("Location", "nowhere"))
            cure = f"would send us on to {where}; write the address that is meant into {self._setting}.base_url"
        else:
            cure = f"says {said!r}; correct {self._setting}"
        self._unusable = TrifacetError(f"{self._place} answers {status}: {cure}, then the same command continues")
        return self._unusable

    def _pause(self, state: RetryCallState) -> float:
        """Seconds before the next try: none of our own where the endpoint said how long."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _PassingError) and error.wait is not None:
            return 0.0
        longest = min(_LONGEST_PAUSE, self._first_pause * 2 ** (state.attempt_number - 1))
        return random.uniform(longest / 2, longest)

    def _failed(self, tally: Tally, state: RetryCallState) -> None:
        """Count a try that failed; the first one without a connection is told, since all tries take minutes."""
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, _PassingError)
        tally.retries[error.cause] += 1
        if error.cause == "connection" and not self._told:
            self._told = True
            _LOG.warning("note: %s: %s; trying again, %d times in all", self._place, error, self.spec.tries)

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _shown(self, text: str) -> str:
        """Words of the endpoint's, fit for one line of ours."""
        return " ".join(self._hidden("".join(c if c.isprintable() else " " for c in text)).split())[:200]
