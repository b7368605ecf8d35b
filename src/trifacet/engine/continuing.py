"""Texts that continue prompts: greedy, by beams or drawn, as many at a time as there is room for.

Invariants: a text is that of transformers' own generation by the same settings, token by token in float32. A drawn one
takes one number of its own generator for each token: it depends on that, the prompt and the weights, never on what is
written beside it. Texts that end leave; where a row is done the next pictures take its place.
Shape letters: S texts, V vocabulary, B beams, K continuations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from trifacet.engine.family import Family
from trifacet.engine.growing import Grove, Leaf, Pictures, Prompt

_NEVER = -1e9  # transformers' score of what may not be chosen


@dataclass(frozen=True)
class Decoding:
    """How texts are written.

    Args:
        longest: most tokens of a text.
        ends: ids that end one.
        suppressed: ids that none holds.
        temperature: 0 is greedy, or by beams.
        top_p: draw from the likeliest tokens that together have this share.
        beams: kept at a time.
        candidates: of a prompt's beams so many texts are given, the best first.
    """

    longest: int
    ends: frozenset[int]
    suppressed: Collection[int] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    beams: int = 1
    candidates: int = 1


class Follower(Protocol):
    """Whoever follows the texts of one question as they grow, greedy or drawn ones."""

    def allowed(self, draw: int) -> Tensor | None:
        """Which ids may come next, (V,) true or false; None: all."""
        ...

    def took(self, draw: int, token: int, logits_V: Tensor) -> bool:
        """Told of each token, an end too, with the logits it was chosen from, all of them; whether to end with it."""
        ...


class Question(NamedTuple):
    """A prompt, and the numbers of the texts that are wanted with their generators; not drawn it has one text, 0."""

    key: Any
    prompt: Prompt
    draws: Mapping[int, np.random.Generator] = MappingProxyType({})
    how: Decoding | None = None  # another way of writing than the others'
    follower: Follower | None = None


class Answer(NamedTuple):
    """A text: its question's key, which of the draws or beams, its tokens less the end, whether it ended by itself."""

    key: Any
    draw: int
    tokens: list[int]
    ended: bool


class _Text(Protocol):
    """Something that grows: which leaves with which tokens come next, and what it makes of the logits after them."""

    how: Decoding
    wanted: list[tuple[Leaf, int]]  # empty once it is done

    def take(self, leaves: Sequence[Leaf], logits_SV: Tensor, picked: Sequence[int]) -> None: ...

    def answers(self) -> Iterator[Answer]: ...


@dataclass
class _Drawn:
    """One greedy or drawn text."""

    key: Any
    draw: int
    how: Decoding
    random: np.random.Generator | None
    follower: Follower | None = None
    wanted: list[tuple[Leaf, int]] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    ended: bool = False

    def take(self, leaves: Sequence[Leaf], logits_SV: Tensor, picked: Sequence[int]) -> None:
        (token,) = picked
        self.ended = token in self.how.ends
        if not self.ended:
            self.tokens.append(token)
        done = self.ended or len(self.tokens) == self.how.longest
        if self.follower is not None:
            done |= self.follower.took(self.draw, token, logits_SV[0])
        self.wanted = [] if done else [(leaves[0], token)]

    def answers(self) -> Iterator[Answer]:
        yield Answer(self.key, self.draw, self.tokens, self.ended)


@dataclass
class _Beams:
    """Beam search as transformers 5 has it, with a length penalty of 1 and without early stopping."""

    key: Any
    how: Decoding
    wanted: list[tuple[Leaf, int]] = field(default_factory=list)
    texts: list[list[int]] = field(default_factory=lambda: [[]])  # of the running beams
    scores_B: Tensor = field(default_factory=lambda: torch.zeros(1))
    finished: list[tuple[float, list[int]]] = field(default_factory=list)  # best first
    length: int = 0

    def take(self, leaves: Sequence[Leaf], logits_SV: Tensor, picked: Sequence[int]) -> None:
        how, beams = self.how, self.how.beams
        scores_BV = logits_SV.log_softmax(-1)
        scores_BV[:, list(how.suppressed)] = -torch.inf
        scores_BV = scores_BV + self.scores_B.to(scores_BV.device)[:, None]
        keep = min(max(2, 1 + len(how.ends)) * beams, scores_BV.numel())
        scores_K, places_K = scores_BV.flatten().topk(keep)
        scores_K, vocabulary = scores_K.cpu(), scores_BV.shape[1]
        parents, tokens = (places_K // vocabulary).tolist(), (places_K % vocabulary).tolist()
        self.length += 1
        last = self.length == how.longest
        ends_K = [last or token in how.ends for token in tokens]
        self._finish(
            scores_K, [self.texts[parent] + [token] for parent, token in zip(parents, tokens, strict=True)], ends_K
        )
        running_K = scores_K + torch.tensor([_NEVER * end for end in ends_K])
        self.scores_B, chosen_B = running_K.topk(min(beams, keep))
        going = chosen_B.tolist()
        self.wanted = [(leaves[parents[one]], tokens[one]) for one in going]
        self.texts = [self.texts[parents[one]] + [tokens[one]] for one in going]
        full = len(self.finished) == beams and self.finished[-1][0] > _NEVER / 2
        hopeless = full and float(self.scores_B[0]) / self.length <= self.finished[-1][0]
        if last or hopeless or all(ends_K):
            self.wanted = []

    def _finish(self, scores_K: Tensor, texts: Sequence[list[int]], ends_K: Sequence[bool]) -> None:
        """Texts among the best that end here, by their score per token."""
        per_token_K = (scores_K / self.length).tolist()
        new = [(per_token_K[place], texts[place]) for place in range(min(self.how.beams, len(texts))) if ends_K[place]]
        self.finished = sorted([*self.finished, *new], key=lambda one: -one[0])[: self.how.beams]

    def answers(self) -> Iterator[Answer]:
        for draw, (_, tokens) in enumerate(self.finished[: self.how.candidates]):
            ended = tokens[-1] in self.how.ends
            yield Answer(self.key, draw, tokens[:-1] if ended else tokens, ended)


def drawn(logits_SV: Tensor, how: Decoding, uniform_S: Sequence[float]) -> list[int]:
    """For each row the token at which the probabilities, added up from the first id on, pass its uniform number."""
    shares_SV = (logits_SV / how.temperature).softmax(-1).double()
    if how.top_p < 1:
        sorted_SV, order_SV = shares_SV.sort(descending=True, stable=True)
        sorted_SV[sorted_SV.cumsum(-1) - sorted_SV >= how.top_p] = 0.0
        shares_SV = torch.zeros_like(shares_SV).scatter(-1, order_SV, sorted_SV)
    sums_SV = shares_SV.cumsum(-1)
    all_S1 = sums_SV[:, -1:].contiguous()
    passed_S1 = all_S1 * torch.tensor(uniform_S, dtype=torch.float64, device=all_S1.device)[:, None]
    last_S1 = torch.searchsorted(sums_SV, all_S1)  # of those with a share
    return torch.minimum(torch.searchsorted(sums_SV, passed_S1, right=True), last_S1).flatten().tolist()


def lacks_memory(error: BaseException) -> bool:
    """Whether a failure of torch's says that there is no memory left, on whichever device."""
    told = ("can't allocate memory", "out of memory")  # the CPU's and others' are plain RuntimeErrors
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in told)
    )


def grown(
    model: nn.Module,
    family: Family,
    groups: Iterable[Sequence[Question]],
    how: Decoding,
    *,
    rows: int,
    pictures: Pictures | None = None,
    given_up: Callable[[], bool] = lambda: False,
) -> Iterator[Answer]:
    """The texts of all questions, as they are done.

    Args:
        model: in evaluation, under the adapter that is to write; no gradients are kept.
        family: its family.
        groups: questions that show the same pictures in one order, which are encoded once; taken when their turn
            comes. One without questions says that there are none now: after the next token it is asked again.
        how: the way of writing.
        rows: so many groups at a time, at most.
        pictures: what is known of pictures already, by this model under this adapter.
        given_up: once this is so, it ends after the token that is being written.
    """
    waiting = iter(groups)
    grove = Grove(model, family, 0, pictures)
    texts: list[list[_Text]] = []  # what grows in each row
    exhausted = False
    while not given_up():
        free = [row for row, growing in enumerate(texts) if not growing]
        new: list[Sequence[Question]] = []
        while not exhausted and len(new) < rows - len(texts) + len(free):
            group = next(waiting, None)
            exhausted = group is None
            if not group:
                break
            new.append(group)
        if new:
            if (more := len(new) - len(free)) > 0:
                grove.widen(more)
                free += range(len(texts), len(texts) + more)
                texts += [[] for _ in range(more)]
            with torch.no_grad():
                planted = grove.plant(
                    [(row, [one.prompt for one in asked]) for row, asked in zip(free, new, strict=False)]
                )
            for row, asked, prompts in zip(free, new, planted, strict=False):
                for question, (leaf, logits_V) in zip(asked, prompts, strict=True):
                    begun = _begun(question, question.how or how)
                    _give(begun, [1] * len(begun), [leaf] * len(begun), logits_V.repeat(len(begun), 1))
                    texts[row] += begun
        elif 2 * len(free) >= len(texts) > len(free):  # half of the rows are idle
            texts = _gathered(grove, texts)
        yield from (answer for row in texts for text in row if not text.wanted for answer in text.answers())
        texts = [[text for text in row if text.wanted] for row in texts]
        if growing := [text for row in texts for text in row]:
            _grow(grove, growing)
        elif exhausted:
            return


def _grow(grove: Grove, texts: Sequence[_Text]) -> None:
    """One token more for each leaf of each text."""
    wanted = [one for text in texts for one in text.wanted]
    with torch.no_grad():
        leaves, logits_SV = grove.grow([leaf for leaf, _ in wanted], [token for _, token in wanted])
    _give(texts, [len(text.wanted) for text in texts], leaves, logits_SV)


def _give(texts: Sequence[_Text], counts: Sequence[int], leaves: Sequence[Leaf], logits_SV: Tensor) -> None:
    """To each text its leaves, of which it has so many, and what comes after them."""
    picked = [0] * len(leaves)
    alike: dict[int, list[tuple[int, _Text]]] = {}  # places and texts by their way of writing
    at = 0
    for text, count in zip(texts, counts, strict=True):
        alike.setdefault(id(text.how), []).extend((place, text) for place in range(at, at + count))
        at += count
    for some in alike.values():
        how = some[0][1].how
        if how.beams > 1 and not how.temperature:  # which take out what is suppressed when the shares are known
            continue
        followed = [
            (row, text.draw, text.follower)
            for row, (_, text) in enumerate(some)
            if isinstance(text, _Drawn) and text.follower is not None
        ]
        # followers are shown the logits as they came: what may not be chosen is taken out of a copy
        chosen_SV = logits_SV[[place for place, _ in some]] if followed or len(alike) > 1 else logits_SV
        if how.suppressed:
            chosen_SV[:, list(how.suppressed)] = -torch.inf
        for row, draw, follower in followed:
            if (allowed_V := follower.allowed(draw)) is not None:
                chosen_SV[row, ~allowed_V.to(chosen_SV.device)] = -torch.inf
        uniforms = [text.random.random() for _, text in some if isinstance(text, _Drawn) and text.random is not None]
        tokens = drawn(chosen_SV, how, uniforms) if how.temperature else chosen_SV.argmax(-1).tolist()
        for (place, _), token in zip(some, tokens, strict=True):
            picked[place] = token
    at = 0
    for text, count in zip(texts, counts, strict=True):
        here = slice(at, at + count)
        text.take(leaves[here], logits_SV[here], picked[here])
        at = here.stop


def _gathered(grove: Grove, texts: Sequence[list[_Text]]) -> list[list[_Text]]:
    """The rows in which something grows, and these alone."""
    busy = [row for row, growing in enumerate(texts) if growing]
    grove.keep(busy)
    for number, row in enumerate(busy):
        for text in texts[row]:
            text.wanted = [(replace(leaf, row=number), token) for leaf, token in text.wanted]
    return [texts[row] for row in busy]


def _begun(question: Question, how: Decoding) -> list[_Text]:
    if how.temperature:
        return [_Drawn(question.key, draw, how, random, question.follower) for draw, random in question.draws.items()]
    return [_Beams(question.key, how)] if how.beams > 1 else [_Drawn(question.key, 0, how, None, question.follower)]
