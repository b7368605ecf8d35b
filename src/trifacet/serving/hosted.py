"""The models that are served, and how each is asked.

Invariant: adapters on one base share it. Each model is asked as ``FamilyWriter`` asks it: by what it says of its
training where a request leaves that open, word for word where it does not.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trifacet.base.errors import DataError, TrifacetError, first_line
from trifacet.data.records import TestSample
from trifacet.data.words_read import asked_form
from trifacet.engine.continuing import Decoding
from trifacet.engine.encode import SampleEncoder, TextIds, TooLongError
from trifacet.engine.family import ImageInput
from trifacet.engine.growing import Pictures, Prompt
from trifacet.generation.opening import way_of_asking
from trifacet.lettering.engine import Engine, open_engine
from trifacet.lettering.settings import COLUMN
from trifacet.models.adapters import adapter_at, bases_of
from trifacet.models.decoding import decoding
from trifacet.models.sharing import SharedBase
from trifacet.serving.constraint import Grammars
from trifacet.serving.limits import Limits
from trifacet.serving.pictures import decoded
from trifacet.serving.refusals import Refusal
from trifacet.serving.request import ChatRequest, Picture, Text

ID = "request"  # of the sample that a request is, by which its draws are seeded
_LEAST = 16  # tokens of a text
_KEPT = 2**28  # bytes of pictures as the vision encoder reads them
_READ = 256  # pictures whose words are kept


@dataclass(frozen=True)
class Put:
    """A request as it is put to a model: ``cut_tokens`` are those that its post lost, ``longest`` those of a text."""

    prompt: Prompt
    longest: int
    cut_tokens: int = 0


@dataclass
class Hosted:
    """One model. Its weights are the scheduler's business; all else may be used by any thread.

    Attributes:
        name: by which requests name it.
        checkpoint: folder or hub id.
        shared: what it lies on.
        encoder: asks it as in its training.
        ends, suppressed: ids that end a text, and that none holds.
        most_tokens: of prompt and text, as the model says; None: it does not say.
        vocabulary: ids of its head.
        weights: what identifies them.
        words_of: what reads the words in pictures, of a model that was trained with them.
    """

    name: str
    checkpoint: str
    shared: SharedBase
    encoder: SampleEncoder
    ends: frozenset[int]
    suppressed: tuple[int, ...]
    most_tokens: int | None
    vocabulary: int
    weights: str
    words_of: Engine | None = None
    created: int = field(default_factory=lambda: int(time.time()))
    _inputs: OrderedDict[str, ImageInput] = field(default_factory=OrderedDict)
    _words_known: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)
    _lock: Any = field(default_factory=threading.Lock)
    _reading: Any = field(default_factory=threading.Lock)
    _ways: dict[tuple[Any, ...], Decoding] = field(default_factory=dict)

    @property
    def pictures(self) -> Pictures:
        """What is kept of pictures, which counts them."""
        return self.shared.pictures(self.checkpoint)

    @cached_property
    def grammars(self) -> Grammars:
        """What makes texts JSON. Raises TrifacetError."""
        return Grammars(self.encoder.tokenizer, self.vocabulary, self.ends, self.suppressed)

    def way(self, longest: int, temperature: float, top_p: float) -> Decoding:
        """A way of writing; requests that ask for the same have the same object."""
        how = Decoding(longest, self.ends, self.suppressed, temperature, top_p)
        with self._lock:
            if len(self._ways) > 1000:
                self._ways.clear()
            return self._ways.setdefault((longest, temperature, top_p), how)

    def put(self, request: ChatRequest, data: Sequence[bytes], limits: Limits) -> Put:
        """A request with the bytes of its pictures as the model takes it. Raises Refusal."""
        longest, places = request.longest_of(limits.max_tokens), [place for place, _ in shown_pictures(request)]
        least = longest if request.longest else min(_LEAST, longest)  # where nobody says how long, as long as fits
        images = tuple(self._input(one, place, limits) for one, place in zip(data, places, strict=True))
        try:
            if request.post is not None or not request.messages[-1].texts:
                put = self._as_trained(request, data, images, limits, longest, least)
            else:
                put = Put(self._word_for_word(request, images), longest)
        except TooLongError as error:
            fits = str(error).partition(";")[0]  # what else it says is for who trains
            raise Refusal(
                400, f"messages: {fits}; ask for fewer tokens (max_tokens), or with shorter texts", param="messages",
                code="context_length_exceeded",
            ) from None  # fmt: skip
        taken = len(put.prompt.path.tokens_L)
        if self.most_tokens is not None and taken + put.longest > self.most_tokens:
            if taken + least <= self.most_tokens:
                return replace(put, longest=self.most_tokens - taken)
            raise Refusal(
                400, f"messages: {taken} tokens and {least} for the text are more than the model's "
                f"{self.most_tokens}; shorten them, or ask for fewer (max_tokens)", param="messages",
                code="context_length_exceeded",
            )  # fmt: skip
        return put

    def _as_trained(
        self, request: ChatRequest, data: Sequence[bytes], images: tuple[ImageInput, ...], limits: Limits,
        longest: int, least: int,
    ) -> Put:  # fmt: skip
        """Request, words of the picture and post as in training; a text of the user's is another request."""
        *before, last = request.messages
        if [message.role for message in before] not in ([], ["system"], ["developer"]):
            problem = "write a text into the last message; only a first one may be without, or goes with post"
            raise Refusal(400, f"messages: {problem}", param="messages")
        system = "\n".join(before[0].texts) if before else None
        words = self._words(data[0], shown_pictures(request)[0][0], limits) if data and self.words_of else None
        sample = TestSample(
            id=ID,
            image="0" if data else None,
            context=request.post or "",
            prompt="\n".join(last.texts) or None,
            extra=({} if words is None else {COLUMN: words}) | ({"system": system} if system else {}),
        )
        asked = self.encoder.asked(sample)
        while True:
            try:
                path, cut = self.encoder.prompt_path(asked, sample.context, images, reserve=longest)
                return Put(Prompt(path, images), longest, cut)
            except TooLongError:
                if longest == least:
                    raise
                longest = max(least, longest // 2)

    def _word_for_word(self, request: ChatRequest, images: tuple[ImageInput, ...]) -> Prompt:
        """The messages as the chat template renders them."""
        encoder, family = self.encoder, self.encoder.family
        turns: list[dict[str, Any]] = []
        for message in request.messages:
            parts: list[dict[str, Any]] = [
                {"type": "text", "text": encoder.neutral(part.text)} if isinstance(part, Text) else {"type": "image"}
                for part in message.content
            ]
            turns.append({"role": "system" if message.role == "developer" else message.role, "content": parts})
        if turns[0]["role"] == "system" and not encoder.takes_system and len(turns) > 1:
            system, first, *rest = turns  # its words go before the user's
            turns = [{**first, "content": [*system["content"], {"type": "text", "text": "\n"}, *first["content"]]}]
            turns += rest
        try:
            text = family.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # whatever a template makes Python do
            told = f"messages: the model's chat template does not take them ({first_line(error)})"
            raise Refusal(400, told, param="messages") from None
        (ids_L,) = encoder.token_ids([family.prepared(text)])
        at = np.flatnonzero(ids_L == family.placeholder_id)
        if len(at) != len(images):
            told = f"messages: the model's chat template shows {len(at)} of {len(images)} pictures"
            raise Refusal(400, f"{told}; put pictures before the text", param="messages")
        tokens = [family.image_tokens(image) for image in images]
        return Prompt(TextIds(ids_L, at, len(ids_L)).path(range(len(images)), images, tokens, family), images)

    def _input(self, data: bytes, place: str, limits: Limits) -> ImageInput:
        """A picture as the vision encoder reads it; the last ones are kept."""
        key = hashlib.sha256(data).hexdigest()
        with self._lock:
            if (known := self._inputs.get(key)) is not None:
                self._inputs.move_to_end(key)
                return known
        image: Image.Image = decoded(data, place, limits)
        try:
            found = self.encoder.family.read(image)
        except Exception as error:  # a processor that cannot take such a size
            told = f"{place}: the model cannot read it ({first_line(error)})"
            raise Refusal(400, told, param=place, code="invalid_image") from None
        found.key  # noqa: B018 - here, and not in the scheduler's thread
        with self._lock:
            self._inputs[key] = found
            while sum(one.pixel_values.nbytes for one in self._inputs.values()) > _KEPT and len(self._inputs) > 1:
                self._inputs.popitem(last=False)
        return found

    def _words(self, data: bytes, place: str, limits: Limits) -> dict[str, Any]:
        """What stands in a picture, as a model that was trained with it is asked; the last ones are kept in memory."""
        assert self.words_of is not None
        key = hashlib.sha256(data).hexdigest()
        with self._reading:  # one at a time: each takes all the cores that it may
            if (known := self._words_known.get(key)) is not None:
                self._words_known.move_to_end(key)
                return known
            try:
                words = asked_form(self.words_of.read(decoded(data, place, limits)))
            except DataError as error:
                raise Refusal(400, f"{place}: {error.problem}", param=place, code="invalid_image") from None
            self._words_known[key] = words
            while len(self._words_known) > _READ:
                self._words_known.popitem(last=False)
        return words


def shown_pictures(request: ChatRequest) -> list[tuple[str, str]]:
    """The pictures of a request, each by its field and address."""
    return [
        (f"messages[{turn}].content[{number}].image_url", part.image_url.url)
        for turn, message in enumerate(request.messages)
        for number, part in enumerate(message.content)
        if isinstance(part, Picture)
    ]


def host(models: Mapping[str, str], *, dtype: str, device: str) -> dict[str, Hosted]:
    """Load checkpoints, folders or hub ids by name; those on one base share it.

    Raises:
        TrifacetError: one cannot be loaded, or is none that writes alt-text as asked.
    """
    bases: dict[str, SharedBase] = {}
    hosted = {}
    for name, checkpoint in models.items():
        adapter = adapter_at(checkpoint)
        root = bases_of(adapter)[-1] if adapter else checkpoint
        root = str(Path(root).resolve()) if Path(root).is_dir() else root
        shared = bases.setdefault(root, SharedBase(root, dtype=dtype, device=device))
        hosted[name] = _hosted(name, checkpoint, shared)
    return hosted


def _hosted(name: str, checkpoint: str, shared: SharedBase) -> Hosted:
    asked = way_of_asking(checkpoint)
    with shared.under(checkpoint) as loaded:
        encoder = asked.encoder(loaded.family)
        config = decoding(
            loaded.model,
            encoder.tokenizer,
            temperature=0,
            longest=1,
            ends=[encoder.end_id],
            reserved=encoder.family.reserved_ids,
        )
        text = loaded.model.config.get_text_config()
    quoting = asked.quoting
    if quoting is not None and quoting.reading.engine == "given":
        raise TrifacetError(
            f"{checkpoint}: was trained with words that stand in its rows (lettering engine 'given'), which requests "
            "do not have; serve a model that was trained without, or with an engine"
        )
    return Hosted(
        name=name,
        checkpoint=checkpoint,
        shared=shared,
        encoder=encoder,
        ends=frozenset(config.eos_token_id),
        suppressed=tuple(config.suppress_tokens or ()),
        most_tokens=getattr(text, "max_position_embeddings", None),
        vocabulary=text.vocab_size,
        weights=shared.weights(checkpoint),
        words_of=open_engine(quoting.reading) if quoting is not None else None,
    )
