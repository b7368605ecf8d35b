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
from typing import TYPE_CHECKING, Generic, TypeVar

from trifacet.base.digests import json_digest
from trifacet.base.images import MAX_PIXELS
from trifacet.llm.books import Books, BudgetReached, Reply, Tally
from trifacet.llm.capabilities import SEVERAL, Form
from trifacet.llm.endpoint import REJECTING, Endpoint, RejectedError
from trifacet.llm.local_endpoint import LOCAL, LocalEndpoint
from trifacet.llm.parsing import UnparsedError, looks_refused
from trifacet.llm.pictures import SentPicture, look_at
from trifacet.llm.prompts import Prompt
from trifacet.llm.question import Question
from trifacet.llm.refusals import Refusals
from trifacet.llm.response import shared

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
        self._drawn: set[str] = set()  # answers that came with others', and that nobody has looked at yet
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
        form: Form | None = None,
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
            form: what the answer has to look like, for endpoints that hold their answers to it; it is parsed as
                strictly all the same.

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
                reply = await self._reply(
                    self._question(words, pictures, warmth, max_tokens, draw, attempt, form), tally
                )
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

    async def draw(
        self,
        prompt: Prompt,
        fields: Mapping[str, str],
        *,
        images: Sequence[Path] = (),
        temperature: float = 0.0,
        max_tokens: int | None = None,
        draws: Sequence[int] = (),
        form: Form | None = None,
    ) -> None:
        """Have several draws of one question answered by one request, where the endpoint gives several (``n``).

        Each answer is kept by its own question's key, so that ``ask`` finds it; what is kept already is not asked
        again. An endpoint that gives fewer is told once: of one that gives some the others are asked for by further
        requests, of one that gives one ``ask`` asks for each. Arguments and errors are those of ``ask``.
        """
        can = self._endpoint.can
        if temperature == 0 or len(draws) < 2 or can.several is False:
            return
        words, pictures = prompt.render(fields), await self._look_at(images)
        left = [self._question(words, pictures, temperature, max_tokens, draw, form=form) for draw in draws]
        while len(left) > 1 and can.several is not False:
            if can.several is None:  # one tries
                async with can.trying_several:
                    if can.several is None:
                        left = await self._draw_first(left)
                continue
            left = await self._draw_first(left)

    async def _draw_first(self, questions: Sequence[Question]) -> list[Question]:
        """Have as many as a request may bring answered by one; those that are left to ask."""
        most = self._endpoint.can.most
        return [*await self._draw(questions[:most]), *questions[most:]]

    async def _draw(self, questions: Sequence[Question]) -> list[Question]:
        """Have these answered by one request; those that it left out where it brought several, but not all."""
        async with self._places:
            wanted = {}
            for question in questions:
                key = question.key
                if key in self._flights or self._books.find(key) or not self._books.claim(key):
                    continue
                if self._books.find(key):  # another process has asked it in the meantime
                    self._books.release(key)
                    continue
                self._claims.add(key)
                wanted[key] = question
            try:
                return await self._send_together(wanted) if len(wanted) > 1 else []
            except asyncio.CancelledError:  # the answers may be on their way still
                wanted = {}
                raise
            finally:
                for key in wanted:
                    self._unclaim(key)

    async def _send_together(self, wanted: Mapping[str, Question]) -> list[Question]:
        can, tally, keys = self._endpoint.can, self._books.tally(self.step, self.name), [*wanted]
        first = wanted[keys[0]]
        body = await asyncio.to_thread(first.body, self._max_pixels) | {SEVERAL: len(keys)}
        into, out = (round(count * ratio) for count, ratio in zip(first.tokens, tally.ratios, strict=True))
        try:
            release = await self._books.reserve(self._cost(into, first.max_tokens * len(keys)))
        except BudgetReached:  # for single ones it may suffice
            return []

        async def keep(replies: list[Reply]) -> None:
            self._drawn.update(keys[: len(replies)])
            estimated = [(into, first.tokens[1]) for into in shared(first.tokens[0], [1] * len(replies))]
            await asyncio.gather(
                *(self._keep(*one) for one in zip(keys[: len(replies)], replies, estimated, strict=True))
            )

        try:
            expected = (into, out * len(keys))
            replies = await self._endpoint.complete(body, json_digest(keys), expected, tally, keep, first.form)
        except RejectedError as error:  # of n, or of what ``ask`` will hear of
            can.refused_several(failed=error.status is None)
            return []
        finally:
            release()
        can.gave(len(replies), len(keys))
        return [wanted[key] for key in keys[len(replies) :]] if len(replies) > 1 else []

    def _identity(self, temperature: float) -> str:
        """What a question's key says of the model."""
        return self._endpoint.identity + (self._endpoint.drawing if temperature > 0 else "")

    def _question(
        self,
        words: tuple[str, str],
        pictures: tuple[SentPicture, ...],
        temperature: float,
        max_tokens: int | None,
        draw: int,
        attempt: int = 0,
        form: Form | None = None,
    ) -> Question:
        seed = (self._seed * 1_000_000 + draw * 1000 + attempt) % 2**31
        limit = max_tokens or self.spec.max_tokens
        return Question(self._identity(temperature), *words, pictures, temperature, limit, seed, form)

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
            tally.cached += key not in self._drawn
            self._drawn.discard(key)
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

        async def keep(replies: list[Reply]) -> None:
            await self._keep(key, replies[0], estimated)

        try:
            replies = await self._endpoint.complete(body, key, (expected[0], expected[1]), tally, keep, question.form)
        finally:
            release()
        return replies[0]

    async def _keep(self, key: str, reply: Reply, estimated: tuple[int, int]) -> None:
        cost = self._cost(reply.tokens_in, reply.tokens_out)
        await self._books.keep(key, self.step, self.name, reply, estimated=estimated, cost=cost)

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
