"""Many questions to one language model: asked at once, kept, counted; and its own answers to a benchmark's questions.

Invariant: what was paid for is on the disk before it counts, so that a second run asks only what the first did not; to
count is to ask nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.base.images import resolve_inside
from trifacet.benchmarks.benchmark import Item
from trifacet.llm.asking import Asked, AskedModel, Progress, ask_all
from trifacet.llm.model import REJECTED, Answer, LanguageModel
from trifacet.llm.prompts import Prompt


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
        lost = said.problem == REJECTED
        answers[name] = ("" if lost else said.text.strip()), said.problem

    once = spec.model_copy(update={"reparse": 0})
    asked = ask_all(
        one,
        list(by_id),
        once,
        books_file,
        "answers",
        on_progress=on_progress,
        first_pause=first_pause,
        counting=counting,
    )
    return answers, asked


class _Plain(Prompt):
    """The question as it stands, not as a field of a prompt of ours."""

    def render(self, fields: Mapping[str, str]) -> tuple[str, str]:
        return "", fields["question"]


_PLAIN = _Plain("question", "---\n{question}\n", "")


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
