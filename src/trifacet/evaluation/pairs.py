"""Models' texts judged in pairs by a language model: from a file that names the judge to counts and what they cost.

Invariant: every answer is kept before it is used, so that the same command continues after a stop and pays nothing
twice; two texts that are the same are a tie, and nobody is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from trifacet.building.recipe import Model
from trifacet.errors import TrifacetError
from trifacet.evaluation.effects import sign_test
from trifacet.evaluation.judging import Judgement, Summary, judge_pair, summarise
from trifacet.evaluation.scores import Target
from trifacet.images import image_facts, resolve_inside
from trifacet.llm.books import Books
from trifacet.llm.estimate import estimate_tokens
from trifacet.llm.model import LanguageModel
from trifacet.llm.prompts import Prompt, load_prompt
from trifacet.training.recipe import Section
from trifacet.training.recipe_file import explain_invalid, read_values

AT_ONCE = 256  # samples whose questions wait for their turn


class JudgeFile(Section):
    """Who judges: the file of ``--judge``."""

    models: dict[str, Model] = Field(min_length=1, description="language models, by a name of yours")
    judge: str | None = Field(None, description="which of them judges (null: the only one)")
    prompt: str | None = Field(None, description="a prompt of your own (null: the package's)")
    budget: float | None = Field(None, ge=0, description="stop cleanly before spending more, in the prices' currency")
    answers: str | None = Field(None, description="file that keeps the answers (null: beside this file)")


@dataclass(frozen=True)
class JudgeSetup:
    """The judge with its prompt; ``answers`` is the file of ``Books``."""

    name: str
    spec: Model
    prompt: Prompt
    budget: float | None
    answers: Path


@dataclass(frozen=True)
class Question:
    """Two texts of one sample; ``fields`` is what else the judge reads, ``images`` what it sees."""

    id: str
    fields: Mapping[str, str]
    images: Sequence[Path]
    first: str
    second: str


@dataclass(frozen=True)
class JudgedPair:
    """``model`` (whose wins are told) against ``other``.

    ``summary`` counts all samples; ``same`` of them have the same text twice. Consistency and first-position rate are
    those of the samples that were asked about (None: none was). ``p`` is that of the sign test: wins against losses.
    """

    model: str
    other: str
    summary: Summary
    same: int
    consistency: float | None
    first_position: float | None
    p: float
    judgements: Mapping[str, Judgement]


@dataclass(frozen=True)
class Judged:
    """All pairs, by whom they were judged, and what it cost: tokens and money of this run, money over all runs."""

    judge: str
    prompt: str
    pairs: Sequence[JudgedPair]
    saw_images: bool
    tally: Mapping[str, Any]
    paid: float


def read_judge(path: Path) -> JudgeSetup:
    """The judge that a YAML file names.

    Raises:
        TrifacetError: no such file, bad YAML, an unknown key, no such model, a prompt that cannot be one.
    """
    values = read_values(path)
    try:
        file = JudgeFile.model_validate(values)
    except ValidationError as error:
        raise TrifacetError(f"{path}: {explain_invalid(error, JudgeFile)}") from None
    name = file.judge or (next(iter(file.models)) if len(file.models) == 1 else "")
    if name not in file.models:
        raise TrifacetError(f"{path}: judge: say which of {', '.join(file.models)} judges")
    beside = path.with_name(f"{path.stem}.answers.sqlite")
    return JudgeSetup(
        name,
        file.models[name],
        load_prompt("judge", path.parent / file.prompt if file.prompt else None),
        file.budget,
        path.parent / file.answers if file.answers else beside,
    )


def make_questions(
    ids: Sequence[str],
    samples: Mapping[str, Target],
    images: Path | None,
    first: Mapping[str, str],
    second: Mapping[str, str],
) -> list[Question]:
    """One question per sample, with its post where the test set has one, and its pictures where ``images`` is given.

    Raises:
        DataError: a picture is missing or lies outside ``images``.
    """
    questions = []
    for name in ids:
        sample = samples.get(name)
        pictures = getattr(sample, "pictures", ()) if images is not None else ()
        paths = [resolve_inside(images, picture) for picture in pictures] if images is not None else []
        fields = {"context": str(getattr(sample, "context", ""))}
        questions.append(Question(name, fields, paths, first[name], second[name]))
    return questions


def estimate(setup: JudgeSetup, pairs: Sequence[Sequence[Question]]) -> dict[str, float]:
    """What judging costs at most, both orders, by the rules of ``llm.estimate``; answers that are kept count too."""
    asked = [question for questions in pairs for question in questions if question.first != question.second]
    sizes: dict[Path, tuple[int, int]] = {}
    spec, tokens_in, tokens_out = setup.spec, 0, 0
    for question in asked:
        for path in question.images if spec.image_side is not None else ():
            if path not in sizes:
                facts = image_facts(path)
                sizes[path] = (facts.width, facts.height)
        shown = [sizes[path] for path in question.images if path in sizes]
        fields = {**question.fields, "a": question.first, "b": question.second}
        into, out = estimate_tokens(setup.prompt, fields, shown, spec.max_tokens, image_side=spec.image_side)
        tokens_in, tokens_out = tokens_in + 2 * into, tokens_out + 2 * out
    cost = (tokens_in * spec.price.input + tokens_out * spec.price.output) / 1_000_000
    return {"questions": 2 * len(asked), "tokens_in": tokens_in, "tokens_out": tokens_out, "cost": cost}


def judge_pairs(
    setup: JudgeSetup,
    pairs: Mapping[tuple[str, str], Sequence[Question]],
    *,
    seed: int = 17,
    level: float = 0.95,
    draws: int = 10_000,
    on_done: Callable[[], None] = lambda: None,
) -> Judged:
    """Ask about every sample of every (model, other) pair, in both orders.

    Args:
        setup: the judge.
        pairs: questions in which ``first`` is the model's text and ``second`` the other's.
        seed: of the bootstrap, and of what is asked again.
        level: of the intervals.
        draws: of the bootstrap.
        on_done: called after each sample.

    Raises:
        TrifacetError: the endpoint fails or the budget is reached; the same command continues.
    """
    with Books(setup.answers, setup.budget) as books:
        found = asyncio.run(_ask_all(setup, books, pairs, seed, on_done))
        rows, paid = books.rows(), books.paid
    return Judged(
        judge=setup.spec.model,
        prompt=setup.prompt.version,
        pairs=[_summed(*names, pairs[names], found[names], seed, level, draws) for names in pairs],
        saw_images=setup.spec.image_side is not None and any(one.images for many in pairs.values() for one in many),
        tally=rows[0] if rows else {},
        paid=paid,
    )


async def _ask_all(
    setup: JudgeSetup,
    books: Books,
    pairs: Mapping[tuple[str, str], Sequence[Question]],
    seed: int,
    on_done: Callable[[], None],
) -> dict[tuple[str, str], dict[str, Judgement]]:
    """Once one question fails nothing new is asked; answers under way are awaited and kept."""
    found: dict[tuple[str, str], dict[str, Judgement]] = {}
    stopped = asyncio.Event()
    async with LanguageModel(setup.name, setup.spec, books, seed=seed) as model:
        judge = model.for_step("compare")

        async def one(question: Question, into: dict[str, Judgement]) -> None:
            if question.first == question.second:
                into[question.id] = Judgement(("tie", "tie"))
            elif not stopped.is_set():
                try:
                    into[question.id] = await judge_pair(
                        judge, setup.prompt, question.fields, question.images, question.first, question.second
                    )
                except BaseException:
                    stopped.set()
                    raise
            on_done()

        for names, questions in pairs.items():
            into = found.setdefault(names, {})
            for begin in range(0, len(questions), AT_ONCE):
                asked = [one(question, into) for question in questions[begin : begin + AT_ONCE]]
                for problem in await asyncio.gather(*asked, return_exceptions=True):
                    if problem is not None:
                        raise problem
    return found


def _summed(
    model: str,
    other: str,
    questions: Sequence[Question],
    judgements: Mapping[str, Judgement],
    seed: int,
    level: float,
    draws: int,
) -> JudgedPair:
    summary = summarise(list(judgements.values()), seed=seed, level=level, draws=draws)
    different = [judgements[one.id] for one in questions if one.first != one.second]
    asked = summarise(different, draws=1) if different else None
    return JudgedPair(
        model,
        other,
        summary,
        same=len(questions) - len(different),
        consistency=asked.consistency if asked else None,
        first_position=asked.first_position if asked else None,
        p=sign_test(summary.counts["win"], summary.counts["lose"]),
        judgements=judgements,
    )
