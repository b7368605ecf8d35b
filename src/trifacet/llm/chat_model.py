"""A chat model of transformers: turns in, text out.

Invariant: of the checkpoint only the weights, the chat template and the end tokens are used, and an answer depends on
its own request alone, whatever is answered beside it (outside float32 up to rounding, which may change a word). Shape
letters: L tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)

from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError
from trifacet.engine.continuing import Decoding, Question, grown, lacks_memory
from trifacet.engine.control_tokens import ControlTokens
from trifacet.engine.encode import TextIds
from trifacet.engine.growing import Pictures, Prompt
from trifacet.llm.endpoint import RejectedError
from trifacet.models.checkpoint import read_weights, reading
from trifacet.models.decoding import decoding, generate, length_of
from trifacet.models.families import FAMILIES, is_known
from trifacet.models.loading import pick_device
from trifacet.models.processors import read_processor, read_tokenizer, try_template_of

_LOG = logging.getLogger(__name__)
Turn = tuple[str, Sequence[str | None]]  # role, and its parts in order: a text, or None for the next image


KEPT = 2**26  # bytes of pictures' features


class Asked(NamedTuple):
    """A request: what it is known by, its turns and their images, and how it is to be answered."""

    key: Any
    turns: Sequence[Turn]
    images: Sequence[Image.Image]
    temperature: float
    seed: int
    longest: int


@dataclass(frozen=True)
class Said:
    """What the model wrote, stripped; ``ended``: of its own accord, not at the longest answer."""

    text: str
    ended: bool
    tokens_in: int
    tokens_out: int


class ChatModel:
    """A checkpoint with a chat template, on the accelerator if there is one, in the type that its weights have.

    Args:
        source: folder or hub id; safetensors only.
        setting: the recipe's key, for messages.

    Attributes:
        family: through which many answers are written at a time; None of a model that is of none, or reads text alone.

    Raises:
        TrifacetError: it can't be loaded, is no chat model, or is of a kind that neither writes nor sees.
    """

    def __init__(self, source: str, setting: str) -> None:
        with reading(source, setting):
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            self.sees = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
            if not self.sees and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
                raise TrifacetError(f"{source} is no model that writes text ({config.model_type})")
            self.processor = (
                read_processor(source, config, trust_remote_code=False) if self.sees else read_tokenizer(source)
            )
            kind = AutoModelForImageTextToText if self.sees else AutoModelForCausalLM
            if self.processor.chat_template is None:
                raise TrifacetError(f"{source} has no chat template; use a chat model")
            try_template_of(source, self.processor, pictures=self.sees)
            known = self.sees and is_known(config)
            code = FAMILIES[config.model_type].load() if known else None
            self.family = code(code.adapted_processor(self.processor, config), config) if code else None
            attention: dict[str, Any] = {"attn_implementation": "sdpa"} if known else {}
            self.model = read_weights(
                kind, source, config=config, dtype="auto", device=pick_device("auto"), **attention
            )
        self._pictures = Pictures(KEPT)
        self._room: int | None = None  # groups at a time for which memory suffices, once it did not
        self.tokenizer: Any = self.processor.tokenizer if self.sees else self.processor
        self._neutral = ControlTokens(self.processor).broken
        self._longest = getattr(config.get_text_config(), "max_position_embeddings", None)

    def answer(
        self,
        turns: Sequence[Turn],
        images: Sequence[Image.Image],
        *,
        temperature: float,
        seed: int,
        longest: int,
        given_up: Event | None = None,
    ) -> Said:
        """The next turn: greedy at temperature 0, else drawn from the whole distribution with ``seed``.

        ``given_up``, once set, ends it after the token that is being written.

        Raises:
            RejectedError: images for a model that sees none, or more tokens than it takes.
            TrifacetError: there is not enough memory.
        """
        if images and not self.sees:
            raise RejectedError("this model sees no images; set image_side: null to send none")
        inputs = self._inputs(turns, images)
        taken = inputs["input_ids"].shape[1]
        self._refuse_too_long(taken, longest)
        config = decoding(self.model, self.tokenizer, temperature=temperature, longest=longest)
        try:
            with torch.inference_mode(), torch.random.fork_rng(enabled=temperature > 0):
                if temperature > 0:
                    torch.manual_seed(seed)
                ends = StoppingCriteriaList([_GivenUp(given_up)] if given_up else [])
                output_L = generate(self.model, config, **inputs, stopping_criteria=ends)[0]
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            raise TrifacetError(f"no memory left for a request of {taken} tokens; use a smaller model") from None
        new_L = output_L[taken:].tolist()
        length = length_of(new_L, config.eos_token_id)
        text = self.tokenizer.decode(new_L[:length], skip_special_tokens=True).strip()
        return Said(text, length < len(new_L), taken, len(new_L))

    def answers(
        self,
        groups: Iterator[Sequence[Asked]],
        refused: Callable[[Any, RejectedError], object],
        *,
        rows: int,
        given_up: Event | None = None,
    ) -> Iterator[tuple[Any, Said]]:
        """The answers to requests with their keys, as they are done, many at a time; only with a ``family``.

        Where memory does not suffice half as many are written at a time from then on, and none is lost.

        Args:
            groups: requests that show the same images in one order; an empty one says that there are none now.
            refused: told of a request that the model cannot take.
            rows: so many groups at a time.
            given_up: once set, it ends after the token that is being written.

        Raises:
            TrifacetError: there is not enough memory for one.
        """
        assert self.family is not None
        under_way: dict[Any, Asked] = {}
        taken: dict[Any, int] = {}  # tokens of their prompts
        most = 0  # requests of a group

        def divided() -> Iterator[Sequence[Asked]]:
            for group in groups:
                size = self._room or len(group) or 1
                yield from (group[at : at + size] for at in range(0, len(group) or 1, size))

        def questions(again: Sequence[Asked]) -> Iterator[list[Question]]:
            nonlocal most
            for group in chain(([one] for one in again), left):
                found = []
                for one in group:
                    try:
                        question = self._question(one)
                    except RejectedError as error:
                        refused(one.key, error)
                        continue
                    under_way[one.key], taken[one.key] = one, len(question.prompt.path.tokens_L)
                    found.append(question)
                if found or not group:
                    most = max(most, len(found))
                    yield found

        left = divided()  # what was not taken before memory ran out is taken after it
        rows = min(rows, self._room or rows)
        while True:
            try:
                for answer in grown(
                    self.model, self.family, questions([*under_way.values()]), Decoding(1, frozenset()), rows=rows,
                    pictures=self._pictures, given_up=given_up.is_set if given_up else lambda: False,
                ):  # fmt: skip
                    one = under_way.pop(answer.key)
                    text = self.tokenizer.decode(answer.tokens, skip_special_tokens=True).strip()
                    yield one.key, Said(text, answer.ended, taken.pop(one.key), len(answer.tokens) + answer.ended)
                return
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
            if (room := max(rows, most)) == 1:
                raise TrifacetError("no memory left for a single request; use a smaller model, or shorter answers")
            if self._room is None:
                _LOG.warning("note: no memory left for %d requests at a time: going on with half as many", room)
            self._room, most = min(room // 2, self._room or room), 0
            rows = min(rows, self._room)

    def _question(self, asked: Asked) -> Question:
        """A request for ``grown``. Raises RejectedError as ``answer`` does."""
        text = self._text(asked.turns)
        prompt = self._prompt(text, asked.images)
        self._refuse_too_long(len(prompt.path.tokens_L), asked.longest)
        config = decoding(self.model, self.tokenizer, temperature=asked.temperature, longest=asked.longest)
        how = Decoding(asked.longest, frozenset(config.eos_token_id), temperature=asked.temperature)
        draws = {0: generator("answer", asked.seed, text)} if asked.temperature else {}
        return Question(asked.key, prompt, draws, how)

    def _prompt(self, text: str, images: Sequence[Image.Image]) -> Prompt:
        family = self.family
        assert family is not None
        ids_L = np.asarray(
            self.tokenizer(family.prepared(text), add_special_tokens=self._adds_start(text), verbose=False)[
                "input_ids"
            ],
            dtype=np.int64,
        )
        at = np.flatnonzero(ids_L == family.placeholder_id)
        if len(at) != len(images):
            raise RejectedError(f"the chat template put {len(at)} images into a request with {len(images)}")
        read = tuple(family.read(image) for image in images)
        tokens = [family.image_tokens(image) for image in read]
        return Prompt(TextIds(ids_L, at, len(ids_L)).path(range(len(read)), read, tokens, family), read)

    def _refuse_too_long(self, taken: int, longest: int) -> None:
        if self._longest is not None and taken + longest > self._longest:
            raise RejectedError(
                f"{taken} tokens and {longest} for the answer are more than the model's {self._longest}"
            )

    def _text(self, turns: Sequence[Turn]) -> str:
        messages = [{"role": role, "content": self._content(parts)} for role, parts in turns]
        try:
            return self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception:  # jinja's, of a template that knows no system turn: its words go before the user's
            (role, first), (user, parts), *rest = turns
            if role != "system":
                raise
            return self._text([(user, [*first, "\n\n", *parts]), *rest])

    def _adds_start(self, text: str) -> bool:
        bos = self.tokenizer.bos_token
        return not (bos and text.startswith(bos))  # a template may have begun with it

    def _inputs(self, turns: Sequence[Turn], images: Sequence[Image.Image]) -> dict[str, Any]:
        text = self._text(turns)
        options: dict[str, Any] = {"return_tensors": "pt", "add_special_tokens": self._adds_start(text)}
        if self.sees:
            options |= {"images": list(images)} if images else {}
            inputs = self.processor(text=[text], **options)
        else:
            inputs = self.processor([text], return_token_type_ids=False, **options)
        return {
            name: value.to(self.model.device, self.model.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
            if isinstance(value, torch.Tensor)
        }

    def _content(self, parts: Sequence[str | None]) -> Any:
        if not self.sees:
            return "".join(self._neutral(part) for part in parts if part is not None)
        return [{"type": "image"} if part is None else {"type": "text", "text": self._neutral(part)} for part in parts]


class _GivenUp(StoppingCriteria):
    """Ends writing once nobody waits for it."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self._event.is_set(), dtype=torch.bool, device=input_ids.device)
