"""A language model of this machine in an endpoint's place: transformers in this process, one request at a time.

Invariant: weights come from safetensors, no code of a checkpoint is run, and text of a request can't pass for a
control token of the model's. The same request gets the same answer, whatever was asked before.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from trifacet.base.digests import file_digest, text_digest
from trifacet.base.errors import DataError
from trifacet.base.images import decode_image
from trifacet.llm.books import Reply, Tally
from trifacet.llm.endpoint import RejectedError

if TYPE_CHECKING:
    from trifacet.llm.chat_model import ChatModel
    from trifacet.llm.settings import Model

LOCAL = "local"  # what a recipe's base_url says


class LocalEndpoint:
    """A checkpoint that answers in an endpoint's form. It is loaded when it is first asked.

    A vision chat model is shown the images; one that reads text alone rejects requests that have some.

    Args:
        name: the recipe's name of the model, for messages.
        spec: the recipe's section; ``model`` is a folder or hub id.
    """

    def __init__(self, name: str, spec: Model) -> None:
        self.spec, self._setting = spec, f"models.{name}"
        self._turn = asyncio.Lock()
        self._running: asyncio.Task[Reply] | None = None
        self._chat: ChatModel | None = None

    @cached_property
    def identity(self) -> str:
        """The model's name with its weights' digest or revision: a checkpoint trained anew is another model."""
        folder = Path(self.spec.model)
        if not folder.is_dir():
            return f"{self.spec.model}@{_revision(self.spec.model)}"
        files = [*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")]
        told = "".join(f"{path.name} {file_digest(path)}\n" for path in sorted(files))
        return f"{folder.name}@{text_digest(told)}"

    async def complete(
        self,
        body: dict[str, Any],
        key: str,
        tokens: tuple[int, int],
        tally: Tally,
        keep: Callable[[Reply], Awaitable[None]],
    ) -> Reply:
        """The model's answer; arguments as ``Endpoint.complete`` has them.

        Raises:
            RejectedError: the request doesn't fit the model, or shows an image to one that sees none.
            TrifacetError: the model can't be loaded or run.
        """
        await self._turn.acquire()
        tally.sent += 1
        self._running = asyncio.create_task(self._exchange(body, keep))
        self._running.add_done_callback(self._landed)
        return await asyncio.shield(self._running)  # a thread can't be stopped: its answer is kept

    async def close(self) -> None:
        """Wait for the answer that is being written."""
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    def _landed(self, task: asyncio.Task[Reply]) -> None:
        self._turn.release()
        if not task.cancelled():
            task.exception()  # seen, also where the asker is gone

    async def _exchange(self, body: dict[str, Any], keep: Callable[[Reply], Awaitable[None]]) -> Reply:
        given_up = threading.Event()
        try:
            reply = await asyncio.to_thread(self._answer, body, given_up)
        finally:
            given_up.set()  # where this was cancelled the thread ends with the token that it is at
        await keep(reply)
        return reply

    def _answer(self, body: dict[str, Any], given_up: threading.Event) -> Reply:
        from trifacet.llm.chat_model import ChatModel

        if self._chat is None:
            self._chat = ChatModel(self.spec.model, self._setting)
        turns, images = [], []
        for message in body["messages"]:
            parts = _parts(message["content"])
            images += [_decoded(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
            turns.append((message["role"], [part.get("text") for part in parts]))
        said = self._chat.answer(
            turns, images, temperature=body["temperature"], seed=body.get("seed", 0), longest=body["max_tokens"],
            given_up=given_up,
        )  # fmt: skip
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


def _revision(name: str) -> str:
    from transformers import AutoConfig

    from trifacet.models.checkpoint import reading

    with reading(name):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    return str(getattr(config, "_commit_hash", None) or "unknown")
