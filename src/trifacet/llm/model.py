"""Asking a language model behind an OpenAI-compatible endpoint, or one of this machine.

Invariant: a value depends on the question and the model's answers to it, never on time, order, concurrency or the
endpoint's faults; and no answer is paid for twice.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from trifacet.base.digests import json_digest
from trifacet.base.images import MAX_PIXELS
from trifacet.llm.books import Books, Reply, Tally
from trifacet.llm.endpoint import REJECTING, Endpoint, RejectedError
from trifacet.llm.estimate import PER_MESSAGE, image_tokens, text_tokens
from trifacet.llm.local_endpoint import LOCAL, LocalEndpoint
from trifacet.llm.parsing import UnparsedError, looks_refused
from trifacet.llm.pictures import SentPicture, data_url, look_at
from trifacet.llm.prompts import Prompt
from trifacet.llm.refusals import Refusals

if TYPE_CHECKING:
    from trifacet.llm.settings import Model

__all__ = ["PROBLEMS", "REJECTED", "Answer", "LanguageModel", "Question", "UnparsedError", "rejected", "unanswered"]

T = TypeVar("T")

REJECTED = "rejected by the endpoint"  # no answer was given, kept or paid for; the status follows in brackets
CUT_OFF = "cut off"
PROBLEMS = ("empty", "refused", "unparsed", CUT_OFF, REJECTED, *(f"{REJECTED} ({status})" for status in REJECTING))
REPEATED = 0.5  # temperature, at least, of a question asked again: at 0 the same answer would come
_LOOK_AGAIN = 0.2  # seconds until we see whether another process has the answer that it asks for


def rejected(problem: str | None) -> bool:
    """Whether a question stayed without an answer since the endpoint would have none of it."""
    return problem is not None and problem.startswith(REJECTED)


def unanswered(reason: str, problem: str | None) -> str:
    """``reason`` for a row without an answer, with the endpoint's status where it would have none of the question."""
    return f"{reason}: {problem}" if rejected(problem) else reason


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What came of a question: ``value``, or None with ``problem`` (one of PROBLEMS).

    ``text`` is what came last, ``tokens`` what it took (in, out).
    """

    value: T | None
    problem: str | None
    text: str
    tokens: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Question:
    """One request as it is identified, estimated and sent."""

    model: str
    system: str
    user: str
    pictures: tuple[SentPicture, ...]
    temperature: float
    max_tokens: int
    seed: int

    @property
    def key(self) -> str:
        """SHA-256 of everything that the answer may depend on; not of address, key or limits."""
        identity = self._body([picture.identity for picture in self.pictures])
        return json_digest(identity)

    @property
    def tokens(self) -> tuple[int, int]:
        """(in, out) by the rules of ``trifacet.llm.estimate``."""
        texts = sum(text_tokens(text) + PER_MESSAGE for text in (self.system, self.user) if text)
        return texts + sum(image_tokens(one.width, one.height) for one in self.pictures), self.max_tokens

    def body(self, max_pixels: int) -> dict[str, Any]:
        """The request, with its images encoded. Raises DataError for one that cannot be."""
        urls = (data_url(picture, max_pixels=max_pixels) for picture in self.pictures)
        return self._body([{"type": "image_url", "image_url": {"url": url}} for url in urls])

    def _body(self, images: Sequence[dict[str, Any]]) -> dict[str, Any]:
        content = [*images, {"type": "text", "text": self.user}] if images else self.user
        system = [{"role": "system", "content": self.system}] if self.system else []
        sampling = {"temperature": self.temperature} | ({"seed": self.seed} if self.temperature > 0 else {})
        messages = [*system, {"role": "user", "content": content}]
        return {"model": self.model, "messages": messages, "max_tokens": self.max_tokens, **sampling}


class LanguageModel:
    """A model that a step may ask, used as ``async with LanguageModel(...) as model`` within one event loop.

    Args:
        name: the recipe's name for it.
        spec: the recipe's section.
        books: keeps answers and counts; shared by all models of a build.
        seed: the build's; what is sampled depends on it.
        max_pixels: largest image that is opened.
        first_pause: see ``Endpoint``.
    """

    def __init__(
        self,
        name: str,
        spec: Model,
        books: Books,
        *,
        seed: int = 17,
        max_pixels: int = MAX_PIXELS,
        first_pause: float = 1.0,
    ) -> None:
        self.name, self.spec, self.step = name, spec, ""
        self.siblings: Mapping[str, LanguageModel] = {}  # the recipe's models by name; the build sets it
        self._books, self._seed, self._max_pixels = books, seed, max_pixels
        local = spec.base_url == LOCAL
        self._endpoint = LocalEndpoint(name, spec) if local else Endpoint(name, spec, first_pause=first_pause)
        self._places = asyncio.Semaphore(spec.concurrency)
        self._flights: dict[str, asyncio.Task[Reply]] = {}
        self._claims: set[str] = set()  # questions that no other process asks meanwhile
        self.refusals = Refusals(name)

    def for_step(self, step: str) -> LanguageModel:
        """The same model, with limits, answers and connections shared, counted under the name of a step."""
        other = copy.copy(self)
        other.step = step
        return other

    def sibling(self, name: str) -> LanguageModel:
        """Another of the recipe's models, for the same step."""
        return self.siblings[name].for_step(self.step)

    async def __aenter__(self) -> LanguageModel:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is on its way is waited for and kept; what only waits for its turn is given up."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._endpoint.close()
        for key in [*self._claims]:
            self._unclaim(key)

    async def ask(
        self,
        prompt: Prompt,
        fields: Mapping[str, str],
        parse: Callable[[str], T],
        *,
        images: Sequence[Path] = (),
        temperature: float = 0.0,
        max_tokens: int | None = None,
        draw: int = 0,
    ) -> Answer[T]:
        """The parsed answer to ``prompt`` filled with ``fields``.

        An answer that is empty, cut off, a refusal or cannot be parsed is asked for again, up to ``reparse`` times.

        Args:
            prompt: see ``load_prompt``.
            fields: a text for each of its placeholders; texts are data, put in as JSON strings.
            parse: makes the value from the answer's text, or raises UnparsedError.
            images: files, shown before the text in this order; none are sent where the recipe says so.
            temperature: of the sampling.
            max_tokens: longest answer; None for the recipe's.
            draw: with a temperature, another number draws another answer to the same question.

        Raises:
            DataError: an image cannot be read.
            BudgetReached: there is not enough left for the question.
            TrifacetError: the endpoint is not usable; no answer about the row has been lost.
        """
        tally = self._books.tally(self.step, self.name)
        tally.asked += 1
        words, pictures = prompt.render(fields), await self._look_at(images)
        problem, text, tokens = "", "", (0, 0)
        for attempt in range(self.spec.reparse + 1):
            warmth = max(temperature, REPEATED) if attempt else temperature
            place = self.refusals.begin()
            try:
                reply = await self._reply(self._question(words, pictures, warmth, max_tokens, draw, attempt), tally)
            except RejectedError as error:
                self.refusals.refused(place, str(error))
                problem = f"{REJECTED} ({error.status})" if error.status else REJECTED
                text, tokens = str(error), (0, 0)
                break
            self.refusals.answered(place)
            if attempt:
                tally.repeats[problem] += 1
            text, problem, tokens = reply.text, _problem(reply), (reply.tokens_in, reply.tokens_out)
            if not problem:
                try:
                    return Answer(parse(text), None, text, tokens)
                except UnparsedError:
                    problem = "refused" if looks_refused(text) else "unparsed"
        tally.problems[problem] += 1
        return Answer(None, problem, text, tokens)

    @property
    def _identity(self) -> str:
        return self._endpoint.identity

    def _question(
        self,
        words: tuple[str, str],
        pictures: tuple[SentPicture, ...],
        temperature: float,
        max_tokens: int | None,
        draw: int,
        attempt: int = 0,
    ) -> Question:
        seed = (self._seed * 1_000_000 + draw * 1000 + attempt) % 2**31
        limit = max_tokens or self.spec.max_tokens
        return Question(self._identity, *words, pictures, temperature, limit, seed)

    async def _look_at(self, images: Sequence[Path]) -> tuple[SentPicture, ...]:
        side = self.spec.image_side
        if side is None:
            return ()
        return tuple([await asyncio.to_thread(look_at, path, side, max_pixels=self._max_pixels) for path in images])

    async def _reply(self, question: Question, tally: Tally) -> Reply:
        """The answer that is kept, or that is on its way already, or a new one."""
        key = question.key
        reply = self._books.find(key)
        if reply is not None:
            tally.cached += 1
            return reply
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._fly(question, key, tally))
            flight.add_done_callback(lambda done: self._landed(key, done))
        else:
            tally.cached += 1
        return await asyncio.shield(flight)  # whoever stops waiting does not stop it for the others

    def _landed(self, key: str, flight: asyncio.Task[Reply]) -> None:
        del self._flights[key]
        if not flight.cancelled():  # else the answer may be on its way still
            flight.exception()  # seen, also where nobody waits for it
            self._unclaim(key)

    def _unclaim(self, key: str) -> None:
        if key in self._claims:
            self._claims.remove(key)
            self._books.release(key)

    async def _fly(self, question: Question, key: str, tally: Tally) -> Reply:
        while True:
            async with self._places:
                if self._books.claim(key):
                    self._claims.add(key)
                    return await self._send(question, key, tally)
            await asyncio.sleep(_LOOK_AGAIN)  # another process asks it

    async def _send(self, question: Question, key: str, tally: Tally) -> Reply:
        if reply := self._books.find(key):  # another process has asked it in the meantime
            tally.cached += 1
            return reply
        body = await asyncio.to_thread(question.body, self._max_pixels)
        estimated = question.tokens
        expected = [round(count * ratio) for count, ratio in zip(estimated, tally.ratios, strict=True)]
        release = await self._books.reserve(self._cost(expected[0], question.max_tokens))

        async def keep(reply: Reply) -> None:
            cost = self._cost(reply.tokens_in, reply.tokens_out)
            await self._books.keep(key, self.step, self.name, reply, estimated=estimated, cost=cost)

        try:
            return await self._endpoint.complete(body, key, (expected[0], expected[1]), tally, keep)
        finally:
            release()

    def _cost(self, tokens_in: int, tokens_out: int) -> float:
        price = self.spec.price
        return (tokens_in * price.input + tokens_out * price.output) / 1_000_000


def _problem(reply: Reply) -> str:
    """What is wrong with an answer before it is parsed; nothing: an empty text."""
    if reply.finish in ("length", "max_tokens"):
        return CUT_OFF
    if reply.finish in ("refusal", "content_filter"):
        return "refused"
    return "" if reply.text.strip() else "empty"
