"""A language model's verdicts on answers, and a language model's own answers.

Invariant: an answer without a verdict says why it has none, and no verdict is made up for it; what was paid for is on
the disk before it counts, so that a second run asks only what the first did not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from trifacet.building.recipe import Model
from trifacet.errors import DataError, TrifacetError
from trifacet.evaluation.benchmarks.benchmark import Answered, Benchmark, Item, Judge
from trifacet.images import resolve_inside
from trifacet.llm.books import Books, Reply, Tally
from trifacet.llm.model import Answer, LanguageModel, Question
from trifacet.llm.prompts import Prompt, load_prompt
from trifacet.training.recipe_file import explain_invalid, read_values

Progress = Callable[[int, int], None]
CUT = 500  # characters of what a judge said that are kept beside a verdict


class AskedModel(Model):
    """The file behind ``--judge`` and ``--endpoint``: a section of ``models`` as in a build's recipe, and a budget."""

    budget: float | None = Field(None, ge=0, description="stop cleanly before spending more, in the prices' currency")

    @model_validator(mode="after")
    def _no_secrets(self) -> AskedModel:
        parts = urlsplit(self.base_url)
        if "@" in parts.netloc or parts.query:
            raise ValueError(f"base_url holds a password or a key; put it into the environment variable {self.key_env}")
        return self


def read_asked_model(path: Path, overrides: Sequence[str] = ()) -> AskedModel:
    """The model of a YAML file. Raises TrifacetError naming the key that is wrong."""
    try:
        return AskedModel.model_validate(read_values(path, overrides))
    except ValidationError as error:
        raise TrifacetError(f"{path}: {explain_invalid(error, AskedModel)}") from None


@dataclass(frozen=True)
class Verdict:
    """What the judge made of an answer; ``problem`` says why ``value`` is None. ``text`` is what it said, shortened."""

    value: Any | None
    problem: str | None = None
    text: str = ""


@dataclass(frozen=True)
class Asked:
    """What asking came to, over this run: questions, those that needed no request, answers, tokens, money.

    ``problems`` counts the questions that stayed without a value, by what was wrong. ``paid`` is the money of all runs.
    """

    model: str
    questions: int
    cached: int
    answered: int
    tokens_in: int
    tokens_out: int
    cost: float
    paid: float
    problems: Mapping[str, int]

    def document(self) -> dict[str, Any]:
        """For JSON, with what could not be parsed and what was refused under names of their own."""
        values = dict(vars(self)) | {"problems": dict(self.problems)}
        return values | {key: self.problems.get(key, 0) for key in ("unparsed", "refused")}


def judge_answers(
    benchmark: Benchmark,
    items: Sequence[Item],
    answers: Mapping[str, str],
    spec: AskedModel,
    books_file: Path,
    *,
    images_root: Path | None,
    on_progress: Progress | None = None,
    first_pause: float = 1.0,
) -> tuple[dict[str, Verdict], Asked]:
    """A verdict on every item's answer, by item id.

    Args:
        benchmark: has a judge.
        items: the questions.
        answers: by item id; one for every item.
        spec: the judge.
        books_file: keeps its answers.
        images_root: folder of the pictures, for a judge that is shown them.
        on_progress: called with (verdicts, answers) at the start and after each.
        first_pause: see ``Endpoint``.

    Raises:
        TrifacetError: the endpoint fails or the budget is reached; what was answered is kept.
    """
    questions = _questions(benchmark, items, answers, images_root)
    verdicts = {
        item.id: Verdict(_judge(benchmark).otherwise(item, answers[item.id])) for item in items if item.id not in questions
    }

    async def one(model: LanguageModel, name: str) -> None:
        fields, images = questions[name]
        said = await model.ask(prompt, fields, judge.parse, images=images)
        verdicts[name] = Verdict(said.value, said.problem, said.text[:CUT])

    judge = _judge(benchmark)
    prompt = prompt_of(judge)
    asked = ask_all(one, list(questions), spec, books_file, "judge", on_progress=on_progress, first_pause=first_pause)
    return verdicts, asked


def estimate_judging(
    benchmark: Benchmark,
    items: Sequence[Item],
    answers: Mapping[str, str],
    spec: AskedModel,
    books_file: Path,
    *,
    images_root: Path | None,
) -> Asked:
    """What judging would still cost: questions not answered yet, each once, with answers as long as they may be."""
    judge = _judge(benchmark)
    questions, prompt = _questions(benchmark, items, answers, images_root), prompt_of(judge)

    async def one(model: LanguageModel, name: str) -> None:
        fields, images = questions[name]
        await model.ask(prompt, fields, judge.parse, images=images)

    return ask_all(one, list(questions), spec, books_file, "judge", counting=True)


def ask_all(
    one: Callable[[LanguageModel, str], Coroutine[Any, Any, None]],
    names: Sequence[str],
    spec: AskedModel,
    books_file: Path,
    step: str,
    *,
    on_progress: Progress | None = None,
    first_pause: float = 1.0,
    counting: bool = False,
) -> Asked:
    """Await ``one(model, name)`` for every name, many at a time. With ``counting`` nothing is sent.

    Raises:
        TrifacetError: the first that ``one`` raises; nothing new is asked then, and what is under way is kept.
    """
    done = 0
    stopped = asyncio.Event()

    async def guarded(model: LanguageModel, name: str) -> None:
        nonlocal done
        if stopped.is_set():
            return
        try:
            await one(model, name)
        except BaseException:
            stopped.set()
            raise
        done += 1
        if on_progress:
            on_progress(done, len(names))

    async def run(books: Books) -> None:
        if on_progress:
            on_progress(0, len(names))
        kind = _Counting if counting else LanguageModel
        async with kind(step, spec, books, first_pause=first_pause) as model:
            found = await asyncio.gather(*(guarded(model.for_step(step), name) for name in names), return_exceptions=True)
        for problem in found:
            if problem is not None:
                raise problem

    with Books(books_file, spec.budget) as books:
        asyncio.run(run(books))
        tally = books.tally(step, step)
        paid = books.paid
    return Asked(
        spec.model, tally.asked, tally.cached, tally.answered, tally.tokens_in, tally.tokens_out, tally.spent, paid,
        {} if counting else dict(tally.problems),
    )  # fmt: skip


def put_together(
    items: Sequence[Item], answers: Mapping[str, str], verdicts: Mapping[str, Verdict]
) -> list[Answered]:
    """What a benchmark's ``score`` takes."""
    none = Verdict(None)
    found = ((item, verdicts.get(item.id, none)) for item in items)
    return [Answered(item, answers[item.id], verdict.value, verdict.problem) for item, verdict in found]


def prompt_of(judge: Judge) -> Prompt:
    """The judge's prompt."""
    return load_prompt(judge.prompt) if isinstance(judge.prompt, str) else judge.prompt


def why_not_official(judge: Judge, spec: AskedModel, verdicts: Mapping[str, Verdict]) -> list[str]:
    """What the judge adds to the reasons for which a number is not the official one."""
    reasons = []
    if judge.official and spec.model.rpartition("/")[2].casefold() != judge.official.casefold():
        reasons.append(f"the judge is {spec.model}, the original's {judge.official}")
    problems = Counter(verdict.problem for verdict in verdicts.values() if verdict.problem)
    if problems:
        told = ", ".join(f"{count} {problem}" for problem, count in sorted(problems.items()))
        reasons.append(f"{problems.total()} of {len(verdicts)} answers have no verdict ({told})")
    return reasons


def _judge(benchmark: Benchmark) -> Judge:
    assert benchmark.judge is not None
    return benchmark.judge


def _questions(
    benchmark: Benchmark, items: Sequence[Item], answers: Mapping[str, str], images_root: Path | None
) -> dict[str, tuple[Mapping[str, str], list[Path]]]:
    """Fields and pictures by item id, for those about which a model need be asked."""
    judge = _judge(benchmark)
    questions: dict[str, tuple[Mapping[str, str], list[Path]]] = {}
    for item in items:
        fields = judge.fields(item, answers[item.id])
        if fields is not None:
            questions[item.id] = fields, pictures_of(item, images_root) if judge.shows_image else []
    return questions


def pictures_of(item: Item, images_root: Path | None) -> list[Path]:
    """The item's picture as a file. Raises DataError naming the item where it is missing."""
    if item.image is None:
        return []
    if images_root is None:
        raise DataError(f"item {item.id!r} shows a picture", fix="say where the pictures are with --images")
    try:
        return [resolve_inside(images_root, item.image)]
    except DataError as error:
        raise DataError(f"item {item.id!r}: {error.problem}", fix="see 'trifacet benchmarks check'") from None


class _Counting(LanguageModel):
    """Asks nothing: counts the tokens of the questions that no kept answer is there for, each once."""

    def __init__(self, name: str, spec: AskedModel, books: Books, *, first_pause: float) -> None:
        super().__init__(name, spec.model_copy(update={"reparse": 0}), books, first_pause=first_pause)

    async def _reply(self, question: Question, tally: Tally) -> Reply:
        kept = self._books.find(question.key)
        if kept is not None:
            tally.cached += 1
            return kept
        into, out = question.tokens
        tally.tokens_in += into
        tally.tokens_out += out
        tally.spent += (into * self.spec.price.input + out * self.spec.price.output) / 1_000_000
        return Reply("", "stop", "", into, out, False)


def answer_questions(
    items: Sequence[Item],
    spec: AskedModel,
    books_file: Path,
    *,
    images_root: Path | None,
    max_new_tokens: int,
    temperature: float,
    on_progress: Progress | None = None,
    first_pause: float = 1.0,
    counting: bool = False,
) -> tuple[dict[str, tuple[str, str | None]], Asked]:
    """The model's own (answer, problem) to every question, by item id: asked once, the words as they came.

    An answer that was cut at ``max_new_tokens``, or that declines, is an answer like any other. ``problem`` says that
    it was, and also where the endpoint gave none; the answer is empty then.

    Raises:
        TrifacetError: see ``judge_answers``; or an item whose picture is missing.
    """
    by_id = {item.id: item for item in items}
    pictures = {item.id: pictures_of(item, images_root) for item in items}
    answers: dict[str, tuple[str, str | None]] = {}

    async def one(model: LanguageModel, name: str) -> None:
        said: Answer[str] = await model.ask(
            _PLAIN, {"question": by_id[name].question}, str, images=pictures[name], temperature=temperature,
            max_tokens=max_new_tokens,
        )  # fmt: skip
        lost = said.problem == "rejected by the endpoint"
        answers[name] = ("" if lost else said.text.strip()), said.problem

    once = spec.model_copy(update={"reparse": 0})
    asked = ask_all(
        one, list(by_id), once, books_file, "answers", on_progress=on_progress, first_pause=first_pause, counting=counting
    )
    return answers, asked


class _Plain(Prompt):
    """The question as it stands, not as a field of a prompt of ours."""

    def render(self, fields: Mapping[str, str]) -> tuple[str, str]:
        return "", fields["question"]


_PLAIN = _Plain("question", "---\n{question}\n", "")
