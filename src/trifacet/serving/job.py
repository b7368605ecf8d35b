"""A request from its arrival to its last token: what the scheduler writes and the web hands on.

Invariant: the scheduler's thread alone makes texts grow; all that leaves it goes through the loop of whoever waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from trifacet.base.draws import generator
from trifacet.engine.continuing import Answer, Decoding, Question
from trifacet.serving.constraint import NoWayOnError
from trifacet.serving.growing_text import GrowingText, Piece, Wish
from trifacet.serving.hosted import ID, Hosted, Put
from trifacet.serving.refusals import Refusal


class News(NamedTuple):
    """What became of a draw: the next piece of its text."""

    draw: int
    piece: Piece


@dataclass(eq=False)
class Job:
    """One request.

    Attributes:
        hosted, put: whom it asks, and how.
        how: the way of writing.
        wish: what it wants of its texts.
        draws: how many texts.
        seed: of what is drawn.
        texts: those that grow; not drawn all are alike, and one is written.
        begun: whether it has left the queue.
        cancelled: nobody waits for it: its row is free after the next token.
    """

    hosted: Hosted
    put: Put
    how: Decoding
    wish: Wish
    draws: int
    seed: int
    arrived: float = field(default_factory=time.monotonic)
    begun: bool = False
    cancelled: bool = False
    texts: list[GrowingText] = field(init=False)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[News | Exception | None] = asyncio.Queue()
        self.texts = [
            GrowingText(self.wish, self.hosted.encoder.tokenizer)
            for _ in range(self.draws if self.how.temperature else 1)
        ]
        self._open = len(self.texts)
        self._failure: Exception | None = None
        self._settled = False

    @property
    def shown(self) -> tuple[str, ...]:
        """Its pictures, by which those that show the same share a row."""
        return tuple(image.key for image in self.put.prompt.images)

    def question(self) -> Question:
        """It, as the engine takes it; anew where memory ran out amid it."""
        for text in self.texts:
            text.begin_anew()
        self._open = len(self.texts)
        drawn = range(self.draws) if self.how.temperature else ()
        draws = {draw: generator("text", self.seed, ID, draw, 0) for draw in drawn}
        return Question(self, self.put.prompt, draws, self.how, self)

    # --- the engine's ``Follower`` ---

    def allowed(self, draw: int) -> Tensor | None:
        """See ``Follower``; all where nothing that may be written is allowed, which ends the request's texts."""
        try:
            allowed_V = self.texts[draw].allowed()
            if allowed_V is not None:
                allowed_V[list(self.how.suppressed)] = False
                if not allowed_V.any():  # among no tokens none can be drawn
                    raise NoWayOnError("the model has no token for what comes next")
        except NoWayOnError as error:
            self._failure = _no_way_on(error)
            return None
        return allowed_V

    def took(self, draw: int, token: int, logits_V: Tensor) -> bool:
        """See ``Follower``."""
        if self.cancelled or self._failure is not None:
            return True
        try:
            ended = self.texts[draw].took(token, logits_V)
        except NoWayOnError as error:
            self._failure = _no_way_on(error)
            return True
        if self.wish.streamed and (piece := self.texts[draw].piece()) is not None:
            self._tell(News(draw, piece))
        return ended

    # --- the scheduler's ---

    def answered(self, answer: Answer) -> bool:
        """Told that a text has ended; whether all have."""
        self._open -= 1
        if self._open == 0:
            self.settle(self._failure)
        return self._open == 0

    def settle(self, failure: Exception | None = None) -> None:
        """Nothing more comes, whatever was wanted."""
        if not self._settled:
            self._settled = True
            self._tell(failure)

    def _tell(self, news: News | Exception | None) -> None:
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            self._loop.call_soon_threadsafe(self._news.put_nowait, news)

    # --- the web's ---

    async def news(self) -> News | None:
        """The next piece, of a streamed request; None once all texts are whole. Raises Refusal."""
        news = await self._news.get()
        if isinstance(news, Exception):
            raise news
        return news

    def every_text(self) -> Iterator[GrowingText]:
        """The texts that were asked for, whole."""
        for draw in range(self.draws):
            yield self.texts[draw if self.how.temperature else 0]


def _no_way_on(error: NoWayOnError) -> Refusal:
    return Refusal(
        400, f"response_format: no text by the schema can go on here: {error}", param="response_format",
        code="constraint_failed",
    )  # fmt: skip
