"""A language model of this machine in an endpoint's place: transformers in this process.

Invariant: weights come from safetensors, no code of a checkpoint is run, and text of a request can't pass for a
control token of the model's. The same request gets the same answer, whatever was asked before or is asked beside it
(in float32: elsewhere what is asked beside it may change a word, since sums are rounded otherwise).

Requests that wait are written together where the checkpoint is of a family that the engine knows, those of the same
pictures on pictures that are encoded once; of other models, one after another.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from trifacet.base.digests import file_digest, text_digest
from trifacet.base.errors import DataError
from trifacet.base.images import decode_image
from trifacet.llm.books import Reply, Tally
from trifacet.llm.capabilities import Capabilities, Form
from trifacet.llm.endpoint import Keep, RejectedError

if TYPE_CHECKING:
    from trifacet.llm.chat_model import Asked, ChatModel, Said
    from trifacet.llm.settings import Model

LOCAL = "local"  # what a recipe's base_url says
DRAWING = "; drawing 2"  # 1 drew by transformers' own generator: such answers are others' under the same seed
AT_A_TIME = 8  # sets of pictures, at most
TOGETHER = 8  # requests that show the same pictures


class _Request:
    """A request that waits for its answer."""

    def __init__(self, body: dict[str, Any], tally: Tally) -> None:
        self.body, self.tally = body, tally
        self.begun = False
        self.loop = asyncio.get_running_loop()
        self.reply: asyncio.Future[Reply] = self.loop.create_future()

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Its pictures, as data URLs."""
        parts = (part for message in self.body["messages"] for part in _parts(message["content"]))
        return tuple(part["image_url"]["url"] for part in parts if part["type"] == "image_url")

    def asked(self, images: Sequence[Image.Image]) -> Asked:
        """It, with its pictures decoded, as the model takes it."""
        from trifacet.llm.chat_model import Asked

        turns = [
            (message["role"], [part.get("text") for part in _parts(message["content"])])
            for message in self.body["messages"]
        ]
        body = self.body
        return Asked(self, turns, images, body["temperature"], body.get("seed", 0), body["max_tokens"])

    def settle(self, outcome: Reply | Exception) -> None:
        """Hand on what came of it; any thread may do so."""

        def here() -> None:
            if self.reply.done():
                return
            if isinstance(outcome, Reply):
                self.reply.set_result(outcome)
            else:
                self.reply.set_exception(outcome)

        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            self.loop.call_soon_threadsafe(here)


class LocalEndpoint:
    """A checkpoint that answers in an endpoint's form. It is loaded when it is first asked.

    A vision chat model is shown the images; one that reads text alone rejects requests that have some.

    Args:
        name: the recipe's name of the model, for messages.
        spec: the recipe's section; ``model`` is a folder or hub id.
    """

    def __init__(self, name: str, spec: Model) -> None:
        self.spec, self._setting = spec, f"models.{name}"
        self._waiting: deque[_Request] = deque()
        self._under_way: set[_Request] = set()
        self._lock = threading.Lock()  # of these two
        self._flights: set[asyncio.Task[list[Reply]]] = set()
        self.can = Capabilities(several=False, form=False)  # requests that wait are written together anyhow
        self._session: asyncio.Task[None] | None = None
        self._closing = False
        self._chat: ChatModel | None = None

    @cached_property
    def identity(self) -> str:
        """The model's name with its weights' digest or revision: a checkpoint trained anew is another model."""
        folder = Path(self.spec.model)
        if not folder.is_dir():
            return f"{self.spec.model}@{getattr(self._config, '_commit_hash', None) or 'unknown'}"
        files = [*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")]
        told = "".join(f"{path.name} {file_digest(path)}\n" for path in sorted(files))
        return f"{folder.name}@{text_digest(told)}"

    @cached_property
    def drawing(self) -> str:
        """How the model draws, where that is not as it once was: a part of the identity of what is drawn."""
        from trifacet.models.families import is_known

        return DRAWING if is_known(self._config) else ""

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        from trifacet.models.checkpoint import reading

        with reading(self.spec.model):
            return AutoConfig.from_pretrained(self.spec.model, trust_remote_code=False)

    async def complete(
        self,
        body: dict[str, Any],
        key: str,
        tokens: tuple[int, int],
        tally: Tally,
        keep: Keep,
        form: Form | None = None,
    ) -> list[Reply]:
        """The model's answer, in no stated form; arguments as ``Endpoint.complete`` has them.

        Raises:
            RejectedError: the request doesn't fit the model, or shows an image to one that sees none.
            TrifacetError: the model can't be loaded or run.
        """
        request = _Request(body, tally)
        flight = asyncio.create_task(self._exchange(request, keep))
        self._flights.add(flight)
        flight.add_done_callback(self._landed)
        with self._lock:
            self._waiting.append(request)
        self._see_to()
        try:
            return await asyncio.shield(flight)  # what is being written is kept, also where nobody waits any more
        except asyncio.CancelledError:
            with self._lock:
                if request in self._waiting:
                    self._waiting.remove(request)
            if not request.begun:
                flight.cancel()
            raise

    async def close(self) -> None:
        """Wait for the answers that are being written."""
        self._closing = True
        with self._lock:
            for request in self._waiting:
                request.reply.cancel()
            self._waiting.clear()
        if self._session is not None:
            await asyncio.gather(self._session, return_exceptions=True)
        await asyncio.gather(*self._flights, return_exceptions=True)

    def refused_several(self, failed: bool = False) -> None:
        """As ``Endpoint`` has it; never called."""

    def without_several(self) -> None:
        """The same."""

    def _landed(self, flight: asyncio.Task[list[Reply]]) -> None:
        self._flights.discard(flight)
        if not flight.cancelled():
            flight.exception()  # seen, also where the asker is gone

    async def _exchange(self, request: _Request, keep: Keep) -> list[Reply]:
        replies = [await request.reply]
        await keep(replies)
        return replies

    def _see_to(self) -> None:
        """Have somebody answer what waits."""
        if self._session is None and self._waiting and not self._closing:
            self._session = asyncio.create_task(self._answer_all())

    async def _answer_all(self) -> None:
        given_up = threading.Event()
        try:
            await asyncio.to_thread(self._write, given_up)
        except asyncio.CancelledError:
            self._closing = True
            raise
        except Exception as error:  # of whatever kind: nobody is to wait for ever
            with self._lock:
                failed = [*self._under_way, *self._waiting]
                self._under_way.clear()
                self._waiting.clear()
            for request in failed:
                request.settle(error)
        finally:
            given_up.set()  # where this was cancelled the thread ends with the token that it is at
            self._session = None
            self._see_to()  # for those that came when the last one was done

    def _write(self, given_up: threading.Event) -> None:
        """Answer until nothing waits; in a thread of its own."""
        from trifacet.llm.chat_model import ChatModel

        chat = self._chat = self._chat or ChatModel(self.spec.model, self._setting)
        if chat.family is not None:
            rows = min(AT_A_TIME, self.spec.concurrency)
            for request, said in chat.answers(self._groups(), self._done, rows=rows, given_up=given_up):
                self._done(request, self._reply(said))
            return
        for group in self._groups(most=1):
            for one in group:
                outcome: Reply | RejectedError
                try:
                    outcome = self._reply(
                        chat.answer(
                            one.turns, one.images, temperature=one.temperature, seed=one.seed, longest=one.longest,
                            given_up=given_up,
                        )
                    )  # fmt: skip
                except RejectedError as error:
                    outcome = error
                if given_up.is_set():
                    return
                self._done(one.key, outcome)

    def _groups(self, most: int = TOGETHER) -> Iterator[list[Asked]]:
        """What waits, the first and those that show the same; nothing while some are under way and none waits."""
        while True:
            with self._lock:
                if self._closing or not self._waiting:
                    if not self._under_way:
                        return
                    group = []
                else:
                    first = self._waiting[0]
                    group = [one for one in self._waiting if one is first or (first.shown and one.shown == first.shown)]
                    group = group[:most]
                    for one in group:
                        self._waiting.remove(one)
                        one.begun = True
                        one.tally.sent += 1
                    self._under_way.update(group)
            if not group:
                yield []
                continue
            try:
                images = [_decoded(url) for url in group[0].shown]
            except RejectedError as error:
                for one in group:
                    self._done(one, error)
                continue
            yield [one.asked(images) for one in group]

    def _done(self, request: _Request, outcome: Reply | RejectedError) -> None:
        with self._lock:
            self._under_way.discard(request)
        request.settle(outcome)

    def _reply(self, said: Said) -> Reply:
        finish = "stop" if said.ended else "length"
        return Reply(said.text, finish, self.identity, said.tokens_in, said.tokens_out, True)


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _decoded(url: str) -> Image.Image:
    """The picture of a data URL of our own making (``llm.pictures``)."""
    try:
        return decode_image(base64.b64decode(url.partition(";base64,")[2], validate=True), "in the request")
    except (binascii.Error, DataError) as error:
        raise RejectedError(f"damaged image: {error}") from None
