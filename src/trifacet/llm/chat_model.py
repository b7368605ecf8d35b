"""A chat model of transformers: turns in, text out.

Invariant: of the checkpoint only the weights, the chat template and the end tokens are used. Shape letters: L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

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

from trifacet.base.errors import TrifacetError
from trifacet.engine.control_tokens import ControlTokens
from trifacet.llm.endpoint import RejectedError
from trifacet.models.checkpoint import read_weights, reading
from trifacet.models.decoding import decoding, generate, length_of
from trifacet.models.loading import pick_device
from trifacet.models.processors import read_processor, read_tokenizer, try_template_of

Turn = tuple[str, Sequence[str | None]]  # role, and its parts in order: a text, or None for the next image


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
            self.model = read_weights(kind, source, config=config, dtype="auto", device=pick_device("auto"))
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
        if self._longest is not None and taken + longest > self._longest:
            raise RejectedError(
                f"{taken} tokens and {longest} for the answer are more than the model's {self._longest}"
            )
        config = decoding(self.model, self.tokenizer, temperature=temperature, longest=longest)
        try:
            with torch.inference_mode(), torch.random.fork_rng(enabled=temperature > 0):
                if temperature > 0:
                    torch.manual_seed(seed)
                ends = StoppingCriteriaList([_GivenUp(given_up)] if given_up else [])
                output_L = generate(self.model, config, **inputs, stopping_criteria=ends)[0]
        except torch.OutOfMemoryError:
            raise TrifacetError(f"no memory left for a request of {taken} tokens; use a smaller model") from None
        new_L = output_L[taken:].tolist()
        length = length_of(new_L, config.eos_token_id)
        text = self.tokenizer.decode(new_L[:length], skip_special_tokens=True).strip()
        return Said(text, length < len(new_L), taken, len(new_L))

    def _inputs(self, turns: Sequence[Turn], images: Sequence[Image.Image]) -> dict[str, Any]:
        messages = [{"role": role, "content": self._content(parts)} for role, parts in turns]
        try:
            text = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception:  # jinja's, of a template that knows no system turn: its words go before the user's
            (role, first), (user, parts), *rest = turns
            if role != "system":
                raise
            return self._inputs([(user, [*first, "\n\n", *parts]), *rest], images)
        bos = self.tokenizer.bos_token
        options: dict[str, Any] = {
            "return_tensors": "pt",
            "add_special_tokens": not (bos and text.startswith(bos)),  # a template may have begun with it
        }
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
