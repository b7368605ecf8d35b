"""A language model's verdicts on answers.

Invariant: an answer without a verdict says why it has none, and no verdict is made up for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import resolve_inside
from trifacet.benchmarks.benchmark import Answered, Item, Judge
from trifacet.llm.asking import Asked, AskedModel, Progress, ask_all
from trifacet.llm.books import Books
from trifacet.llm.model import LanguageModel, rejected
from trifacet.llm.prompts import Prompt, load_prompt

CUT = 500  # characters of what a judge said that are kept beside a verdict


@dataclass(frozen=True)
class Verdict:
    """What the judge made of an answer; ``problem`` says why ``value`` is None. ``text`` is what it said, shortened."""

    value: Any | None
    problem: str | None = None
    text: str = ""


def judge_answers(
    judge: Judge,
    items: Sequence[Item],
    answers: Mapping[str, str],
    spec: AskedModel,
    books_file: Path,
    *,
    images_root: Path | None,
    on_progress: Progress | None = None,
    first_pause: float = 1.0,
    counting: bool = False,
) -> tuple[dict[str, Verdict], Asked]:
    """A verdict on every item's answer, by item id.

    Args:
        judge: how it is asked.
        items: the questions.
        answers: by item id; one for every item.
        spec: the model that judges.
        books_file: keeps its answers.
        images_root: folder of the pictures, for a judge that is shown them.
        on_progress: called with (verdicts, answers) at the start and after each.
        first_pause: see ``Endpoint``.
        counting: ask nothing, and see what it would take; the verdicts mean nothing then.

    Raises:
        TrifacetError: the endpoint fails or the budget is reached; what was answered is kept.
    """
    questions = _questions(judge, items, answers, images_root)
    verdicts = {item.id: Verdict(judge.otherwise(item, answers[item.id])) for item in items if item.id not in questions}

    async def one(model: LanguageModel, name: str) -> None:
        fields, images = questions[name]
        said = await model.ask(prompt, fields, judge.parse, images=images)
        verdicts[name] = Verdict(said.value, said.problem, said.text[:CUT])

    prompt = prompt_of(judge)
    asked = ask_all(
        one, list(questions), spec, books_file, "judge", on_progress=on_progress, first_pause=first_pause,
        counting=counting,
    )  # fmt: skip
    return verdicts, asked


def estimate_judging(
    judge: Judge,
    items: Sequence[Item],
    answers: Mapping[str, str],
    spec: AskedModel,
    books_file: Path,
    *,
    images_root: Path | None,
) -> Asked:
    """What judging would still cost: questions not answered yet, each once, with answers as long as they may be."""
    counted = judge_answers(judge, items, answers, spec, books_file, images_root=images_root, counting=True)
    return counted[1]


def with_what_is_left(spec: AskedModel | None, others: Iterable[Path]) -> AskedModel | None:
    """``spec`` with what is left of its budget; ``others`` keep what it answered about other models and benchmarks."""
    if spec is None or spec.budget is None:
        return spec
    paid = 0.0
    for file in others:
        with Books(file) as books:
            paid += books.paid
    return spec.model_copy(update={"budget": max(0.0, spec.budget - paid)})


def put_together(items: Sequence[Item], answers: Mapping[str, str], verdicts: Mapping[str, Verdict]) -> list[Answered]:
    """What a benchmark's ``score`` takes."""
    none = Verdict(None)
    found = ((item, verdicts.get(item.id, none)) for item in items)
    return [Answered(item, answers[item.id], verdict.value, verdict.problem) for item, verdict in found]


def prompt_of(judge: Judge) -> Prompt:
    """The judge's prompt."""
    return load_prompt(judge.prompt) if isinstance(judge.prompt, str) else judge.prompt


def why_judge_not_official(judge: Judge, spec: AskedModel, verdicts: Mapping[str, Verdict]) -> list[str]:
    """What the judge adds to the reasons for which a number is not the official one."""
    reasons = []
    if judge.official and spec.model.rpartition("/")[2].casefold() != judge.official.casefold():
        reasons.append(f"the judge is {spec.model}, the original's {judge.official}")
    problems = Counter(verdict.problem for verdict in verdicts.values() if verdict.problem)
    if problems:
        told = ", ".join(f"{count} {problem}" for problem, count in sorted(problems.items()))
        reasons.append(f"{problems.total()} of {len(verdicts)} answers have no verdict ({told})")
    return reasons


def require_some(verdicts: Mapping[str, Verdict], asked: Asked) -> None:
    """Raise TrifacetError where the judge was asked, and nothing that it said is a verdict."""
    lost = [verdict for verdict in verdicts.values() if verdict.problem]
    if not lost or len(lost) < asked.questions:
        return
    counts = Counter(one.problem for one in lost)
    problems = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    said = next((one.text for one in lost if one.text.strip()), "")
    such = f", such as {' '.join(said.split())[:120]!r}" if said else ""
    if all(map(rejected, counts)):
        cure = "nothing was paid for; correct the judge's file or the endpoint, then the same command continues"
    else:
        kept = "kept and paid for" if asked.paid else "kept"
        cure = f"its answers are {kept}: take another model, or more max_tokens where they are cut off"
    raise TrifacetError(
        f"the judge {asked.model} gave no verdict on any of {len(lost)} answers ({problems}){such}; {cure}"
    )


def _questions(
    judge: Judge, items: Sequence[Item], answers: Mapping[str, str], images_root: Path | None
) -> dict[str, tuple[Mapping[str, str], list[Path]]]:
    """Fields and pictures by item id, for those about which a model need be asked."""
    questions: dict[str, tuple[Mapping[str, str], list[Path]]] = {}
    for item in items:
        fields = judge.fields(item, answers[item.id])
        if fields is not None:
            questions[item.id] = fields, _pictures_of(item, images_root) if judge.shows_image else []
    return questions


def _pictures_of(item: Item, images_root: Path | None) -> list[Path]:
    """The item's picture as a file. Raises DataError naming the item where it is missing."""
    if item.image is None:
        return []
    if images_root is None:
        raise DataError(f"item {item.id!r} shows a picture", fix="say where the pictures are with --images")
    try:
        return [resolve_inside(images_root, item.image)]
    except DataError as error:
        raise DataError(f"item {item.id!r}: {error.problem}", fix="see 'trifacet benchmarks check'") from None
