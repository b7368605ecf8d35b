"""A judge in place of references: answers of the present model compared in pairs, the best against the worst.

Invariant: an answer wins only where the judge prefers it in both orders (``llm.judging``); every rejected text is the
model's own, of the round before it is aligned on it. Each question is paid for once: books keep the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from trifacet.base.draws import generator
from trifacet.base.errors import DataError, of_sample
from trifacet.base.images import resolve_inside
from trifacet.base.journal import Journal
from trifacet.data.records import PreferenceSample, TestSample
from trifacet.evolving.asked import about, refuse_shared_lines
from trifacet.evolving.cast import Cast, own_prompt
from trifacet.evolving.pairs import barred, pair_row, plain
from trifacet.evolving.parts import BOOKS, Part
from trifacet.evolving.records import Answer, Fate, Verdict, as_row
from trifacet.evolving.sampling import sample_answers
from trifacet.evolving.settings import EvolveRecipe
from trifacet.llm.asking import Asked, AskedModel, ask_all, read_asked_model
from trifacet.llm.judging import Judgement, judge_pair
from trifacet.llm.model import LanguageModel
from trifacet.llm.prompts import Prompt, load_prompt

STEP = "judge"
PROMPT = "judge-answers"
ALIKE = "fewer than two different answers"
UNDECIDED = "no answer was found better than another in both orders"


class Compared(NamedTuple):
    """Two texts about a sample, under a name of the question's own."""

    name: tuple[str, int, int]
    sample: TestSample
    first: str
    second: str


@dataclass(frozen=True)
class Judge:
    """Who compares: an endpoint, or a chat model of this machine, with its prompt.

    Attributes:
        spec: the model, and the budget.
        prompt: has places for the two texts, the request and the post.
        request: what is asked of a sample that has no request of its own.
        books: the file that keeps its answers.
        images: folder of the pictures.
        seed: the recipe's.
    """

    spec: AskedModel
    prompt: Prompt
    request: str
    books: Path
    images: Path
    seed: int

    @classmethod
    def of(cls, recipe: EvolveRecipe, images: Path) -> Judge:
        """The recipe's judge, asked by ``roles.verifier.prompt`` if that is a file or a folder with its prompt.

        Raises:
            TrifacetError: the judge's file is none, or the prompt is none.
        """
        assert recipe.judge is not None  # the caller has looked
        own = recipe.roles.verifier.prompt
        prompt = load_prompt(PROMPT, own_prompt(Path(own), "verifier", (PROMPT,), PROMPT) if own else None)
        refuse_shared_lines(prompt)
        return cls(
            read_asked_model(Path(recipe.judge)),
            prompt,
            recipe.data.prompt,
            recipe.folder / BOOKS,
            images,
            recipe.seed,
        )

    def identity(self) -> dict[str, object]:
        """What the judgements depend on beside the texts."""
        return {
            "endpoint": self.spec.model,
            "image_side": self.spec.image_side,
            "prompts": {PROMPT: self.prompt.sha256},
            "temperature": 0.0,
        }

    def compare(
        self, questions: Sequence[Compared], *, counting: bool = False
    ) -> tuple[dict[tuple[str, int, int], Judgement], Asked | None]:
        """What it says of each, in both orders; ``counting``: nothing is asked.

        Raises:
            TrifacetError: the endpoint fails or the budget is reached; a picture that cannot be read.
        """
        found: dict[tuple[str, int, int], Judgement] = {}
        if not questions:
            return found, None
        by_name = {one.name: one for one in questions}

        async def one(model: LanguageModel, name: tuple[str, int, int]) -> None:
            asked = by_name[name]
            fields = {key: text for key, text in about(asked.sample, self.request).items() if text is not None}
            found[name] = await judge_pair(
                model,
                self.prompt if "context" in fields else self.prompt.without({"context"}),
                fields,
                self._pictures(asked.sample),
                asked.first,
                asked.second,
            )

        asked = ask_all(one, list(by_name), self.spec, self.books, STEP, counting=counting, seed=self.seed)
        return found, asked

    def _pictures(self, sample: TestSample) -> list[Path]:
        try:
            return [resolve_inside(self.images, name) for name in sample.pictures]
        except DataError as error:
            raise of_sample(sample.id, error) from None


def judged_part(
    samples: Sequence[TestSample], cast: Cast, recipe: EvolveRecipe, part: Part
) -> tuple[list[PreferenceSample], list[PreferenceSample], list[Fate]]:
    """Sample answers of a part, have them compared, and pair the best with the worst; (pairs, none, fates)."""
    answers = sample_answers(samples, cast, recipe, part)
    of_sample_id: dict[str, list[Answer]] = {sample.id: [] for sample in samples}
    for answer in answers:
        of_sample_id[answer.sample].append(answer)
    candidates = {name: _different(some) for name, some in of_sample_id.items()}
    questions = questions_of(samples, candidates)
    said, _ = Judge.of(recipe, cast.images).compare(questions)
    Journal(part.file("judgements")).finish(
        {
            "sample": name[0],
            "first": name[1],
            "second": name[2],
            "choices": list(said[name].choices),
            "problems": list(said[name].problems),
        }
        for name in (one.name for one in questions)
    )
    pairs, fates, verdicts = [], [], []
    for sample in samples:
        mine = {name[1:]: one for name, one in said.items() if name[0] == sample.id}
        verdicts += (told := _verdicts(candidates[sample.id], mine))
        pair, fate = _pair(sample, of_sample_id[sample.id], candidates[sample.id], mine, told, recipe, part.round)
        pairs += pair
        fates.append(fate)
    Journal(part.file("verdicts")).finish(map(as_row, verdicts))
    return pairs, [], fates


def questions_of(samples: Sequence[TestSample], candidates: Mapping[str, Sequence[Answer]]) -> list[Compared]:
    """Every two answers of every sample."""
    return [
        Compared((sample.id, one.answer, other.answer), sample, one.text, other.text)
        for sample in samples
        for one, other in combinations(candidates[sample.id], 2)
    ]


def _different(answers: Sequence[Answer]) -> list[Answer]:
    first: dict[str, Answer] = {}
    for one in answers:
        if one.problem is None and one.text:
            first.setdefault(plain(one.text), one)
    return list(first.values())


def _verdicts(candidates: Sequence[Answer], said: Mapping[tuple[int, int], Judgement]) -> list[Verdict]:
    """An answer that wins more often than it loses is accepted; ``accepted`` counts wins, ``votes`` what was read."""
    wins, losses, read = Counter[int](), Counter[int](), Counter[int]()
    for (first, second), one in said.items():
        if one.outcome == "unparsed":
            continue
        read.update((first, second))
        if one.outcome in ("win", "lose"):
            winner, loser = (first, second) if one.outcome == "win" else (second, first)
            wins[winner] += 1
            losses[loser] += 1
    return [
        Verdict(
            one.sample,
            one.answer,
            "malformed" if not read[one.answer] else "accepted" if wins[one.answer] > losses[one.answer] else "refused",
            wins[one.answer],
            read[one.answer],
            reasons={"judge": f"{wins[one.answer]} won, {losses[one.answer]} lost of {read[one.answer]}"},
        )
        for one in candidates
    ]


def _pair(
    sample: TestSample,
    answers: Sequence[Answer],
    candidates: Sequence[Answer],
    said: Mapping[tuple[int, int], Judgement],
    verdicts: Sequence[Verdict],
    recipe: EvolveRecipe,
    round: int,
) -> tuple[list[PreferenceSample], Fate]:
    """The decided pair whose answers lie furthest apart in wins less losses, if the rules for pairs take it."""
    known = {one.answer: one for one in candidates}
    told = {one.answer: one for one in verdicts}
    standing = Counter[int]()
    decided: list[tuple[int, int]] = []
    for (first, second), one in said.items():
        if one.outcome in ("win", "lose"):
            winner, loser = (first, second) if one.outcome == "win" else (second, first)
            standing[winner] += 1
            standing[loser] -= 1
            decided.append((winner, loser))
    draw = generator(recipe.seed, "pairs", round, sample.id)
    decided = [decided[place] for place in draw.permutation(len(decided))]
    decided.sort(key=lambda names: standing[names[1]] - standing[names[0]])
    pairs: list[PreferenceSample] = []
    why = ""
    for winner, loser in decided:
        if (reason := barred(known[winner].text, known[loser].text, recipe.pairs)) is None:
            pairs = [pair_row(sample, known[winner], known[loser], told, round)]
            break
        why = why or reason
    accepted = Counter(known[one.answer].origin for one in verdicts if one.outcome == "accepted")
    malformed = sum(one.outcome == "malformed" for one in verdicts)
    counts = dict(Counter(one.origin for one in answers)), dict(accepted), malformed
    if len(candidates) < 2:
        return [], Fate(sample.id, "refused", ALIKE, *counts)
    if malformed == len(verdicts):
        return [], Fate(sample.id, "refused", "no judgement could be read", *counts)
    if not decided:
        return [], Fate(sample.id, "none accepted", UNDECIDED, *counts)
    return pairs, Fate(sample.id, "pairs" if pairs else "no pair", "" if pairs else why, *counts, pairs=len(pairs))
