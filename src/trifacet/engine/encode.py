"""From the texts of a sample to token paths, with the model's own processor and chat template.

Invariant: all special tokens of a path come from the template, none from a record; and what is cut of an over-long
sample is the end of its post, never an image or response token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from trifacet.base.digests import json_digest
from trifacet.base.errors import DataError, TrifacetError, first_line
from trifacet.engine.control_tokens import ControlTokens
from trifacet.engine.family import Family, ImageInput
from trifacet.engine.trie import Floats, Ints, Path
from trifacet.lettering.request import FIELD, Quoting, block, quoted, stated
from trifacet.lettering.settings import COLUMN
from trifacet.preferences.changed import Changes, segment_spans
from trifacet.preferences.facets import Cell


class TooLongError(TrifacetError):
    """Images, request and response do not fit, however much of the post is cut."""


@dataclass(frozen=True)
class TextIds:
    """The ids of one (context, response), each image still a single placeholder at one of ``images_at``."""

    ids_L: Ints
    images_at: Ints
    response_start: int

    def path(self, shown: Sequence[int], images: Sequence[ImageInput], tokens: Sequence[Ints], family: Family) -> Path:
        """The path in which the placeholders stand for the images ``shown``, numbers in ``images`` and ``tokens``."""
        pieces, owners, start, before = [], [], self.response_start, 0
        for at, image in zip(self.images_at.tolist(), shown, strict=True):
            pieces += [self.ids_L[before:at], tokens[image]]
            owners += [np.full(at - before, -1), np.full(len(tokens[image]), image)]
            start += len(tokens[image]) - 1 if self.response_start > at else 0
            before = at + 1
        tokens_L = np.concatenate([*pieces, self.ids_L[before:]])
        images_L = np.concatenate([*owners, np.full(len(self.ids_L) - before, -1)])
        return Path(tokens_L, images_L, family.positions(tokens_L, [images[image] for image in shown]), start)


class Asked(NamedTuple):
    """A sample's own request and message of the system, as far as it has them, and the words read in its picture.

    ``words`` are lines as ``lettering.request.quoted`` leaves them, none where a model is asked without them; all
    versions of a sample are asked with those of its chosen picture.
    """

    prompt: str | None = None
    system: str | None = None
    words: tuple[str, ...] = ()


class Shown(Protocol):
    """What of a sample decides how a model is asked about it."""

    @property
    def image(self) -> str | None: ...
    @property
    def prompt(self) -> str | None: ...
    @property
    def system(self) -> str | None: ...
    @property
    def extra(self) -> Mapping[str, Any]: ...


class SampleEncoder:
    """Tokenises samples for one family and one way of asking.

    Args:
        family: gives processor and image tokens.
        prompt: the request, where a sample has none of its own.
        context_label: stands on a line before the post; request, label and post are one user message.
        max_length: longest sequence in tokens, image and response included.
        quoting: how the words read in pictures are put between request and post (None: they are not).
    """

    def __init__(
        self, family: Family, *, prompt: str, context_label: str, max_length: int, quoting: Quoting | None = None
    ) -> None:
        self.family, self.prompt, self.context_label, self.max_length = family, prompt, context_label, max_length
        self.quoting = quoting
        self.tokenizer = family.processor.tokenizer
        self._control = ControlTokens(family.processor, family.reserved_ids)
        self.neutral = self._control.broken
        self.ends = self._control.tokens  # what a text may end with

    @cached_property
    def takes_system(self) -> bool:
        """Whether the chat template renders a message of the system."""
        said = [_message("system", "Be brief."), _message("user", "Who?")]
        try:
            return "Be brief." in self.family.processor.apply_chat_template(said, tokenize=False)
        except Exception:  # whatever a template that knows no such role makes Python do
            return False

    def asked(self, sample: Shown) -> Asked:
        """How the model is asked about a sample: the one place that makes this of a sample.

        Raises:
            DataError: the model is asked with the words read in a picture, and nobody has read this one's.
        """
        if self.quoting is None or sample.image is None:
            return Asked(sample.prompt, sample.system)
        if sample.extra.get(COLUMN) is None:
            raise DataError(
                "is missing: the model is asked with the words read in a picture, and this one is not read",
                fix="give the row its words ([] for none), or have them read",
                field=FIELD,
            )
        words = quoted(stated(sample.extra[COLUMN]), self.quoting.characters).lines
        return Asked(sample.prompt, sample.system, words)

    def words_digest(self, samples: Iterable[Shown]) -> str:
        """What identifies the words that the model is asked with about each of the samples. Raises as ``asked``."""
        assert self.quoting is not None
        return json_digest([self.quoting.label, *(self.asked(sample).words for sample in samples)])

    def user_text(self, prompt: str | Asked | None, context: str) -> str:
        """Request, words of the picture and post as the user's words; what is empty leaves its label out.

        A message of the system stands before them where the template has no place for it.
        """
        own, system, words = _asked(prompt)
        request = self.neutral(own or self.prompt)
        if system and not self.takes_system:
            request = f"{self.neutral(system).strip()}\n{request}"
        if words and self.quoting:
            request = f"{request}\n{self.neutral(block(words, self.quoting.label))}"
        post = self.neutral(context).strip()
        return f"{request}\n{self.context_label}\n{post}" if post else request

    def rendered(
        self, prompt: str | Asked | None, context: str, response: str | None = None, *, images: int = 1
    ) -> str:
        """The chat template's text, up to where the answer begins (no response) or with the answer and its end."""
        content = [{"type": "image"}] * images + [{"type": "text", "text": self.user_text(prompt, context)}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if (system := _asked(prompt).system) and self.takes_system:
            messages.insert(0, _message("system", self.neutral(system).strip()))
        if response is not None:
            messages.append(_message("assistant", self.neutral(response).strip()))
        try:
            text: str = self.family.processor.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=response is None
            )
            text.encode()
        except Exception as error:  # whatever a template makes Python do
            raise TrifacetError(f"the chat template fails ({first_line(error)}); use that of the base model") from None
        text = self.family.prepared(text)
        if response is None:
            return text
        text = text.rstrip()
        if text.endswith(self._control.tokens):
            return text
        if self.tokenizer.eos_token is None:
            raise TrifacetError("nothing ends an answer: give tokenizer_config.json an eos_token")
        return text + self.tokenizer.eos_token

    @property
    def end_id(self) -> int:
        """The id with which an answer ends: the template's own end of a turn, or the tokenizer's end of text."""
        return int(self.token_ids([self.rendered(None, "", "a", images=0)])[0][-1])

    def token_ids(self, texts: Sequence[str]) -> list[Ints]:
        """Ids of rendered texts; a start token is added where the tokenizer does so and the template did not."""
        encoded = self.tokenizer(list(texts), add_special_tokens=self._adds_start(texts[0]), verbose=False)["input_ids"]
        return [np.asarray(ids, dtype=np.int64) for ids in encoded]

    def _adds_start(self, rendered: str) -> bool:
        bos = self.tokenizer.bos_token
        return not (bos and rendered.startswith(bos))

    def post_tokens(
        self, prompt: str | Asked | None, context: str, response: str, *, images: int, cut: int = 0
    ) -> tuple[Ints, NDArray[np.bool_]]:
        """Ids of a post with its answer, each image still one placeholder, and which of them hold words of the post.

        A token that holds a character of the post and one beside it counts as the post's. ``cut`` is how many tokens
        the post lost at its end, as ``texts`` says.

        Raises:
            TrifacetError: the chat template does not hand the user's words on as they are.
        """
        shown = self._less(context, cut)
        text = self.rendered(prompt, shown, response, images=images)
        post, words = self.neutral(shown).strip(), self.user_text(prompt, shown).strip()
        at = text.find(words)
        if at < 0:
            raise TrifacetError(
                "the chat template changes the user's words, so the post is not found in it; "
                "use one that renders texts as they are"
            )
        stop = at + len(words)
        ids_L, spans_L2 = self._placed(text)
        of_post_L = (spans_L2[:, 0] < stop) & (spans_L2[:, 1] > stop - len(post)) & (spans_L2[:, 0] < spans_L2[:, 1])
        return ids_L, of_post_L & bool(post)

    def response_spans(self, prompt: str | Asked | None, response: str) -> Ints:
        """The characters of ``response`` that each token of the answer holds, [R, 2], start and stop.

        They are the last tokens of a path whose answer it is, in order, whatever the post and the images. The end of
        the answer holds none, (0, 0); no token does where control tokens in the response were broken.
        """
        text, answer = self.rendered(prompt, "", response, images=0), response.strip()
        at = text.rfind(answer)
        if at < 0:
            return np.zeros((0, 2), dtype=np.int64)
        _, spans_L2 = self._placed(text)
        spans_R2 = spans_L2[int((spans_L2[:, 1] > at).argmax()) :]
        inside_R = (spans_R2[:, 0] < at + len(answer)) & (spans_R2[:, 0] < spans_R2[:, 1])
        before = len(response) - len(response.lstrip())
        return np.where(inside_R[:, None], np.clip(spans_R2 - at, 0, len(answer)) + before, 0)

    def _placed(self, text: str) -> tuple[Ints, Ints]:
        """Ids of a rendered text, and the characters that each stands for, [L, 2]."""
        encoded = self.tokenizer(
            text, add_special_tokens=self._adds_start(text), return_offsets_mapping=True, verbose=False
        )
        spans_L2 = np.asarray(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
        return np.asarray(encoded["input_ids"], dtype=np.int64), spans_L2

    def _less(self, context: str, cut: int) -> str:
        """The post without its last ``cut`` tokens."""
        if cut == 0:
            return context
        ends = self._ends(context)
        return _first(context, ends, len(ends) - cut)

    def _ends(self, context: str) -> list[int]:
        """Where in a post each of its tokens ends."""
        encoded = self.tokenizer(context, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [end for _, end in encoded["offset_mapping"]]

    @cached_property
    def _after_answer(self) -> str:
        """What the chat template puts behind an answer."""
        answer = "An answer of some words."
        return self.rendered(None, "", answer, images=0).rpartition(answer)[2]

    def begun(self, prompt: str | Asked | None, context: str, beginning: str, *, images: int = 1) -> str:
        """The chat template's text up to where an answer that begins so goes on; blanks around it are left out.

        Raises:
            TrifacetError: the template does not hand an answer on as it is.
        """
        text, said = self.rendered(prompt, context, beginning, images=images), self.neutral(beginning).strip()
        if not text.endswith(said + self._after_answer):
            raise TrifacetError(
                "the chat template changes an answer, so none can be continued; use one that renders texts as they are"
            )
        return text.removesuffix(self._after_answer)

    def prompt_path(
        self,
        prompt: str | Asked | None,
        context: str,
        images: Sequence[ImageInput],
        *,
        reserve: int = 0,
        beginning: str = "",
    ) -> tuple[Path, int]:
        """The prompt for generation, and how many tokens the post lost so that ``reserve`` tokens fit after it.

        ``beginning`` is that of the answer: the prompt ends with it.
        """

        def rendered(post: str) -> list[str]:
            if beginning.strip():
                return [self.begun(prompt, post, beginning, images=len(images))]
            return [self.rendered(prompt, post, images=len(images))]

        tokens = [self.family.image_tokens(image) for image in images]
        extra = sum(map(len, tokens)) - len(tokens) + reserve
        (ids_L,), cut = self._fitting(context, rendered, extra)
        text = TextIds(ids_L, self.images_at(ids_L, len(images)), len(ids_L))
        return text.path(range(len(images)), images, tokens, self.family), cut

    def texts(
        self,
        prompt: str | Asked | None,
        contexts: Sequence[str],
        responses: Sequence[str],
        *,
        image_tokens: int,
        images: int = 1,
    ) -> tuple[dict[tuple[int, int], TextIds], int]:
        """Ids for every (context, response), and how many tokens were cut from posts.

        A post is cut alike for all its responses, so that they keep sharing it.

        Args:
            prompt: the sample's own request, if it has one; with the message of the system, if there is one.
            contexts: versions of the post.
            responses: versions of the answer.
            image_tokens: tokens of all images together, where they take most.
            images: how many pictures the sample shows.

        Raises:
            TooLongError: when images, request and response alone exceed ``max_length``.
        """
        table: dict[tuple[int, int], TextIds] = {}
        cut = 0

        def rendered(post: str) -> list[str]:
            return [
                self.rendered(prompt, post, images=images),
                *(self.rendered(prompt, post, response, images=images) for response in responses),
            ]

        for number, context in enumerate(contexts):
            (prompt_ids, *full), lost = self._fitting(context, rendered, image_tokens - images)
            cut += lost
            for version, ids in enumerate(full):
                table[number, version] = TextIds(ids, self.images_at(ids, images), _shared(prompt_ids, ids))
        return table, cut

    def paths(
        self,
        prompt: str | Asked | None,
        contexts: Sequence[str],
        responses: Sequence[str],
        images: Sequence[ImageInput],
        shown: Sequence[Sequence[int]],
        cells: Iterable[Cell],
        changes: Changes | None = None,
    ) -> tuple[list[Path], int]:
        """One path per cell, and the tokens cut from posts.

        Args:
            prompt: the sample's own request, if it has one; with the message of the system, if there is one.
            contexts: by version.
            responses: by version.
            images: the distinct images of the sample.
            shown: by version of the image facet, which of ``images`` the sample shows, in order.
            cells: which versions meet.
            changes: how the tokens of responses are weighed (None: all alike).
        """
        tokens = [self.family.image_tokens(image) for image in images]
        longest = max(sum(len(tokens[image]) for image in version) for version in shown)
        table, cut = self.texts(prompt, contexts, responses, image_tokens=longest, images=len(shown[0]))
        weights = {} if changes is None else self._weights(changes, table, responses)
        paths = [
            table[cell.context, cell.response]
            .path(shown[cell.image], images, tokens, self.family)
            ._replace(weights=weights.get((cell.context, cell.response)))
            for cell in cells
        ]
        return paths, cut

    def _weights(
        self, changes: Changes, table: dict[tuple[int, int], TextIds], responses: Sequence[str]
    ) -> dict[tuple[int, int], Floats]:
        """The weights of the response's tokens for every (context, response) of ``table``."""
        found: dict[tuple[int, int], Floats] = {}
        for number in sorted({context for context, _ in table}):
            ids_VL = [
                (text := table[number, version]).ids_L[text.response_start :] for version in range(len(responses))
            ]
            changed_VL = None
            if changes.segments is not None:
                sides = zip(*changes.segments, strict=True)
                changed_VL = [
                    self._inside(response, segments, ids_L)
                    for response, segments, ids_L in zip(responses, sides, ids_VL, strict=False)
                ]
            if changed_VL is None or any(changed_L is None for changed_L in changed_VL):
                changed_VL = list(changes.changed(ids_VL))
            for version, changed_L in enumerate(changed_VL):
                assert changed_L is not None
                found[number, version] = changes.weights(changed_L)
        return found

    def _inside(self, response: str, segments: Sequence[str], ids_L: Ints) -> NDArray[np.bool_] | None:
        """Which of a response's tokens hold a character of its ``segments``.

        None where the template renders the response otherwise alone than behind its post: then nobody can tell.
        """
        alone, text = (self.rendered(None, "", answer, images=0) for answer in (None, response))
        encoded = self.tokenizer(
            text, add_special_tokens=self._adds_start(text), return_offsets_mapping=True, verbose=False
        )
        shown = self.neutral(response).strip()
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(alone, text, strict=False)))
        at = text.find(shown, same)
        if at < 0 or len(ids_L) > len(encoded["input_ids"]) or encoded["input_ids"][-len(ids_L) :] != ids_L.tolist():
            return None
        spans_R2 = np.asarray(encoded["offset_mapping"], dtype=np.int64)[-len(ids_L) :] - at
        inside_R = np.zeros(len(ids_L), dtype=bool)
        for start, stop in segment_spans(shown, [self.neutral(segment) for segment in segments]):
            inside_R |= (spans_R2[:, 0] < stop) & (spans_R2[:, 1] > start) & (spans_R2[:, 0] < spans_R2[:, 1])
        return inside_R

    def images_at(self, ids: Ints, expected: int) -> Ints:
        """Where the placeholders of images stand. Raises TrifacetError if there are not as many as ``expected``."""
        found = np.flatnonzero(ids == self.family.placeholder_id)
        if len(found) != expected:
            raise TrifacetError(
                f"the chat template put {len(found)} images into a prompt with {expected}; "
                "use a processor whose template renders {'type': 'image'} once for each"
            )
        return found

    def _fitting(self, context: str, rendered: Callable[[str], list[str]], extra: int) -> tuple[list[Ints], int]:
        """Ids of the rendered texts, ``context`` cut at its end until each fits with ``extra`` tokens; tokens cut."""
        texts = self.token_ids(rendered(context))
        excess = max(map(len, texts)) + extra - self.max_length
        if excess <= 0:
            return texts, 0
        ends = self._ends(context)
        keep = len(ends)
        while excess > 0 and keep > 0:
            keep = max(keep - excess, 0)
            texts = self.token_ids(rendered(_first(context, ends, keep)))
            excess = max(map(len, texts)) + extra - self.max_length
        if excess > 0:
            raise TooLongError(
                f"image, request and response alone take {self.max_length + excess} tokens, {excess} more than "
                f"data.max_length = {self.max_length}; write shorter texts (--max-new-tokens), raise it where the "
                "model takes more, or leave the sample out"
            )
        return texts, len(ends) - keep


def _asked(prompt: str | Asked | None) -> Asked:
    return prompt if isinstance(prompt, Asked) else Asked(prompt)


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _first(context: str, ends: Sequence[int], keep: int) -> str:
    """The first ``keep`` tokens of a post; ``ends`` says where each ends."""
    return context[: ends[keep - 1]].rstrip() if keep else ""


def _shared(prompt_ids: Ints, full_ids: Ints) -> int:
    """Where the response begins: after the prompt's ids, or earlier where its first token merged with the prompt."""
    length = min(len(prompt_ids), len(full_ids))
    different = prompt_ids[:length] != full_ids[:length]
    return int(different.argmax()) if different.any() else length
