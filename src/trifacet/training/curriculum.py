"""Training from easy to hard: the recipe's section, and which samples are trained on when.

Invariant: who is in which phase depends on (difficulties, settings, seed) alone. Of equally difficult samples those
that come first in the data count as easier.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from trifacet.base.draws import generator
from trifacet.base.errors import DataError, TrifacetError
from trifacet.settings.section import MOST, Section

DIFFICULTIES = "difficulties.jsonl"  # in a stage's folder
Epochs = Annotated[float, Field(gt=0, le=1_000_000)]


class Answers(Section):
    """The answers of which ``semantic-entropy`` is the entropy."""

    count: int = Field(8, ge=2, le=1_000, description="answers that are drawn per sample")
    temperature: float = Field(1.0, ge=1e-4, le=100, description="of the sampling")
    max_new_tokens: int = Field(64, ge=1, le=100_000, description="longest answer in tokens")
    encoder: str | None = Field(
        None,
        description="text encoder (hub id or folder) by whose BERTScore F1 two answers are alike; null: by ROUGE-L",
    )
    layer: int | None = Field(None, ge=0, le=1_000, description="the encoder's layer (null: bert-score's for its name)")
    alike: float = Field(
        0.7, ge=0, le=1, description="two answers say the same from this on; 1 without an encoder: the same words"
    )


class Curriculum(Section):
    """Phases of a training: groups of samples by difficulty, one after the other."""

    difficulty: Literal["entropy", "semantic-entropy", "margin", "given"] = Field(
        "entropy",
        description="of a sample: mean token entropy of its chosen response under the reference; entropy over the "
        "meanings of answers that the start model draws; how little the reference prefers chosen to rejected; a column",
    )
    column: str | None = Field(None, min_length=1, description="field of the rows that has the difficulty, of `given`")
    answers: Answers = Answers()
    groups: int = Field(3, ge=1, le=1_000, description="groups of equal size by rank (bounds, where set, win)")
    bounds: list[Annotated[float, Field(ge=-MOST, le=MOST)]] | None = Field(
        None, min_length=1, max_length=999, description="rising difficulties at which the next group begins"
    )
    order: Literal["easy-to-hard", "hard-to-easy", "random"] = Field(
        "easy-to-hard", description="of the groups; random: groups of the same sizes, drawn, as a control"
    )
    mixed: bool = Field(False, description="each phase trains on the groups of those before it, too")
    epochs: Epochs | list[Epochs] | None = Field(
        None, description="passes over a phase's samples, or a list with one for each phase (null: the stage's epochs)"
    )
    reference: Literal["fixed", "previous"] = Field(
        "fixed", description="previous: each phase's reference is the model as the phase before left it"
    )
    optimizer: Literal["keep", "reset"] = Field("keep", description="reset: each phase begins with a new AdamW")
    schedule: Literal["continue", "restart"] = Field(
        "continue", description="restart: warm-up and decay once in each phase"
    )

    @property
    def count(self) -> int:
        """How many groups, and phases, there are."""
        return self.groups if self.bounds is None else len(self.bounds) + 1

    @model_validator(mode="after")
    def _possible(self) -> Curriculum:
        if any(one >= other for one, other in pairwise(self.bounds or [])):
            raise ValueError(f"bounds: {self.bounds} do not rise; give each difficulty once, the smallest first")
        if isinstance(self.epochs, list) and len(self.epochs) != self.count:
            raise ValueError(
                f"epochs: {len(self.epochs)} numbers for {self.count} phases; give one for each, or one number for all"
            )
        if (self.difficulty == "given") != (self.column is not None):
            raise ValueError("column names the field of difficulty: given, and of no other; set both or neither")
        return self

    def epochs_of(self, phase: int, otherwise: float) -> float:
        """Passes of the phase with this number, from 0; ``otherwise``: the stage's."""
        given = self.epochs[phase] if isinstance(self.epochs, list) else self.epochs
        return otherwise if given is None else given


@dataclass(frozen=True)
class Phase:
    """What is trained on for some passes: groups of samples, by their indices in the data's order.

    ``easiest`` and ``hardest`` are difficulties.
    """

    parts: tuple[tuple[int, ...], ...]
    epochs: float
    easiest: float
    hardest: float

    @property
    def members(self) -> list[int]:
        """The samples, in the data's order."""
        return sorted(index for part in self.parts for index in part)


def difficulty_groups(difficulties: Sequence[float], settings: Curriculum, seed: int) -> list[tuple[int, ...]]:
    """The samples' indices, group after group, in the order in which the groups are trained.

    Groups by rank differ in size by one at most; the easier ones are the larger.

    Raises:
        TrifacetError: a group would have no sample.
    """
    values = np.asarray(difficulties, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    if settings.bounds is None:
        if settings.groups > len(order):
            raise TrifacetError(
                f"curriculum.groups: {settings.groups} groups of {len(order)} samples leave one without any; "
                f"set it to {len(order)} or less"
            )
        groups = np.array_split(order, settings.groups)
    else:
        groups = np.split(order, np.searchsorted(values[order], settings.bounds, side="left"))
        if empty := [number for number, group in enumerate(groups) if not len(group)]:
            edges = ["the least", *(f"{bound:g}" for bound in settings.bounds), "the most"]
            at = empty[0]
            raise TrifacetError(
                f"curriculum.bounds: no sample has a difficulty from {edges[at]} to {edges[at + 1]}, so one phase has "
                f"nothing to train on; the difficulties go from {values.min():g} to {values.max():g}"
            )
    if settings.order == "random":
        drawn = generator("curriculum", seed).permutation(len(order))
        groups = np.split(drawn, np.cumsum([len(group) for group in groups])[:-1])
    elif settings.order == "hard-to-easy":
        groups = groups[::-1]
    return [tuple(sorted(group.tolist())) for group in groups]


def difficulty_lines(ids: Sequence[str], difficulties: Sequence[float], groups: Sequence[tuple[int, ...]]) -> str:
    """JSON lines {"id", "difficulty", "group"} of the samples, in the data's order; groups count from 1 as trained."""
    group_of = {index: number for number, group in enumerate(groups, start=1) for index in group}
    rows = zip(ids, difficulties, strict=True)
    lines = [
        json.dumps({"id": name, "difficulty": difficulty, "group": group_of[index]}, ensure_ascii=False) + "\n"
        for index, (name, difficulty) in enumerate(rows)
    ]
    return "".join(lines)


def read_groups(path: Path) -> list[tuple[int, ...]]:
    """The groups that ``difficulty_lines`` has written down. Raises DataError where the file is damaged."""
    try:
        numbers = [int(json.loads(line)["group"]) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"is not what the training wrote ({error})", fix="train the stage anew", file=path) from None
    return [
        tuple(index for index, number in enumerate(numbers) if number == group)
        for group in range(1, max(numbers, default=0) + 1)
    ]


def phases_of(
    groups: Sequence[tuple[int, ...]], difficulties: Sequence[float], settings: Curriculum, epochs: float
) -> list[Phase]:
    """The phases that train on ``groups`` in turn; ``epochs``: the stage's own."""
    phases = []
    for number in range(len(groups)):
        parts = tuple(groups[: number + 1]) if settings.mixed else (groups[number],)
        values = [difficulties[index] for part in parts for index in part]
        phases.append(Phase(parts, settings.epochs_of(number, epochs), min(values), max(values)))
    return phases
