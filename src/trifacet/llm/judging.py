"""Which of two texts a model finds better, asked in both orders.

Invariant: a text wins only where the judge prefers it both when it is shown first and when it is shown second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trifacet.llm.capabilities import Form, object_schema
from trifacet.llm.model import LanguageModel
from trifacet.llm.parsing import parse_object
from trifacet.llm.prompts import Prompt

_Choice = Literal["A", "B", "tie"]
_Outcome = Literal["win", "tie", "lose", "unparsed"]
OUTCOMES: tuple[_Outcome, ...] = ("win", "tie", "lose", "unparsed")
_CHOICES: dict[str, _Choice] = {"A": "A", "B": "B", "tie": "tie"}


@dataclass(frozen=True)
class Judgement:
    """What a judge said of two texts, in both orders.

    ``choices`` and ``problems`` belong to the orders (first text as A, second text as A); a choice is None where no
    answer could be read, and its problem says why.
    """

    choices: tuple[_Choice | None, _Choice | None]
    problems: tuple[str | None, str | None] = (None, None)

    @property
    def prefers(self) -> tuple[str | None, str | None]:
        """Per order "first", "second", "tie" or None: which text was chosen, wherever it stood."""
        names: tuple[dict[str, str], dict[str, str]] = (
            {"A": "first", "B": "second", "tie": "tie"},
            {"A": "second", "B": "first", "tie": "tie"},
        )
        forth, back = (
            None if choice is None else name[choice] for choice, name in zip(self.choices, names, strict=True)
        )
        return forth, back

    @property
    def consistent(self) -> bool:
        """Whether both orders were read and say the same."""
        forth, back = self.prefers
        return forth is not None and forth == back

    @property
    def outcome(self) -> _Outcome:
        """The first text's: it wins or loses where both orders agree, else it is a tie; "unparsed": not read."""
        if None in self.choices:
            return "unparsed"
        if not self.consistent or self.prefers[0] == "tie":
            return "tie"
        return "win" if self.prefers[0] == "first" else "lose"


@dataclass(frozen=True)
class JudgedSummary:
    """Judgements of many samples.

    ``shares`` and ``intervals`` (lower, upper) are of all ``samples``, so that the four outcomes add up to 1.
    ``consistency`` is the share of fully read judgements whose orders agree; ``first_position`` the share of read
    answers for one side that took the text shown first (.5 without bias). Both are None where there is none to count.
    """

    samples: int
    counts: dict[_Outcome, int]
    shares: dict[_Outcome, float]
    intervals: dict[_Outcome, tuple[float, float]]
    consistency: float | None
    first_position: float | None


async def judge_pair(
    model: LanguageModel,
    prompt: Prompt,
    fields: Mapping[str, str],
    images: Sequence[Path],
    first: str,
    second: str,
) -> Judgement:
    """Ask which of two texts is better, once in each order, at temperature 0.

    Args:
        model: the judge.
        prompt: has places {a} and {b} for the texts, and one for each of ``fields``.
        fields: what else the judge sees, such as {"context": the post}.
        images: the pictures.
        first: the text whose win or loss is told.
        second: the other one.
    """
    forth, back = await asyncio.gather(
        model.ask(prompt, {**fields, "a": first, "b": second}, parse_choice, images=images, form=CHOICE),
        model.ask(prompt, {**fields, "a": second, "b": first}, parse_choice, images=images, form=CHOICE),
    )
    return Judgement((forth.value, back.value), (forth.problem, back.problem))


def parse_choice(text: str) -> _Choice:
    """The answer {"better": "A" | "B" | "tie"}; anything else raises UnparsedError."""
    return _CHOICES[parse_object(text, {"better": tuple(_CHOICES)})["better"]]


CHOICE = Form("choice", object_schema({"better": {"type": "string", "enum": list(_CHOICES)}}), parse_choice)


def summarise_judged(
    judgements: Sequence[Judgement], *, seed: int = 17, draws: int = 10_000, level: float = 0.95
) -> JudgedSummary:
    """Counts, shares and bootstrap intervals over samples; one judgement a sample.

    To draw n samples with replacement and count their outcomes is to draw from a multinomial distribution with the
    outcomes' shares, which is what is done ``draws`` times; the interval is that of the percentiles.

    Raises:
        ValueError: there is no judgement.
    """
    n = len(judgements)
    if not n:
        raise ValueError("there is no judgement to summarise")
    outcomes = [judgement.outcome for judgement in judgements]
    counts = {outcome: outcomes.count(outcome) for outcome in OUTCOMES}
    shares = {outcome: count / n for outcome, count in counts.items()}
    drawn = np.random.default_rng(seed).multinomial(n, list(shares.values()), size=draws) / n
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0).tolist()
    read = [judgement for judgement in judgements if None not in judgement.choices]
    sided = [choice for judgement in judgements for choice in judgement.choices if choice in ("A", "B")]
    return JudgedSummary(
        samples=n,
        counts=counts,
        shares=shares,
        intervals={outcome: (low[k], high[k]) for k, outcome in enumerate(OUTCOMES)},
        consistency=sum(judgement.consistent for judgement in read) / len(read) if read else None,
        first_position=sided.count("A") / len(sided) if sided else None,
    )
