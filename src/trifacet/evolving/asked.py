"""Questions of a step about samples, and the texts that answer them, kept as they come.

Invariants: a text that was told is on the disk and is not asked for again; what a file holds in the end depends on the
questions and the writer alone, not on how often a process was stopped or on the order in which texts came. A text is
taken up again only for the very question that it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.base.draws import generator
from trifacet.base.embedded import shortened
from trifacet.base.errors import TrifacetError
from trifacet.base.journal import Journal
from trifacet.data.records import TestSample
from trifacet.data.writing import Writer, Written
from trifacet.evolving.telling import Telling
from trifacet.llm.prompts import Prompt

TEXTS = ".texts"  # how the file of a step's texts ends: beside its rows, and none of them
LONGEST_POST = 2000  # characters of a post in a question: a model that is asked plainly has its end cut by tokens
MAY_LACK = ("context", "reference")  # fields that not every sample has
_KEPT = ("text", "prompt_tokens", "new_tokens", "cut_tokens", "ended", "problem")


def ask_kept(
    writer: Writer, questions: Sequence[TestSample], images_root: Path, file: Path, *, draws: int = 1
) -> dict[tuple[str, int], Written]:
    """The texts that answer questions, ``draws`` of each, by (id, draw).

    They are kept beside ``file``, the step's, in one that ends in ``TEXTS``: each as it comes, and in the end all of
    them in the order of questions and draws. What is there already is not asked for.

    Args:
        writer: who is asked.
        questions: what is asked; ids are unique.
        images_root: folder of the images that they show.
        file: the step's.
        draws: texts of each.

    Raises:
        TrifacetError: whatever keeps the writer from writing, or the texts from being kept; those told until then are.
    """
    journal = Journal(file.with_suffix(TEXTS))
    asked = {question.id: _digest(question) for question in questions}
    texts: dict[tuple[str, int], Written] = {}
    for row in journal.rows:
        if (text := _text(row)) is not None and row.get("asked") == asked.get(text.id) and text.draw < draws:
            texts.setdefault((text.id, text.draw), text)

    def keep(written: list[Written]) -> None:
        journal.append(_row(text, asked[text.id]) for text in written)
        texts.update(((text.id, text.draw), text) for text in written)
        tell(len(texts))

    wanted = [(question.id, draw) for question in questions for draw in range(draws)]
    tell = Telling(file.parent.name, len(texts), len(wanted))
    if missing := [key for key in wanted if key not in texts]:
        lacking = {name for name, _ in missing}
        writer.write(
            [question for question in questions if question.id in lacking],
            images_root,
            draws=draws,
            done=frozenset(key for key in texts if key[0] in lacking),
            on_written=keep,
        )
    ordered = [_row(texts[key], asked[key[0]]) for key in wanted]
    if missing or ordered != journal.rows:
        journal.finish(ordered)
    return {key: texts[key] for key in wanted}


def question(sample: TestSample, name: str, prompt: Prompt, fields: Mapping[str, str | None]) -> TestSample:
    """What a prompt asks about a sample and its pictures.

    Args:
        sample: whose pictures are shown; the words read in them go along.
        name: which question it is, such as "verdict-3": the id is the sample's with this behind it.
        prompt: what is asked.
        fields: what its placeholders stand for; lines that ask for one that is None are left out.

    Raises:
        ValueError: the prompt asks for other fields.
    """
    prompt = prompt.without({field for field, value in fields.items() if value is None})
    system, user = prompt.render({field: value for field, value in fields.items() if value is not None})
    extra = {key: value for key, value in sample.extra.items() if key != "system"}
    if system:
        extra["system"] = system
    return TestSample(
        id=question_id(sample.id, name), image=sample.image, more_images=sample.more_images, prompt=user, extra=extra
    )


def question_id(sample: str, name: str) -> str:
    """The id of a question about a sample: all that its text is drawn by, beside the seed and its number."""
    return f"{sample}#{name}"


def refuse_shared_lines(prompt: Prompt) -> None:
    """Raise TrifacetError where a field that may be left out shares its line with another, which would go with it."""
    for line in prompt.parts[1].split("\n"):
        fields = [field for field in sorted(prompt.placeholders) if f"{{{field}}}" in line]
        if len(fields) > 1 and (lacking := [field for field in fields if field in MAY_LACK]):
            raise TrifacetError(
                f"prompt {prompt.name}: the line {shortened(line.strip())} is left out where a sample has no "
                f"{lacking[0]}, and asks for more than that; give {{{lacking[0]}}} a line of its own"
            )


def about(sample: TestSample, request: str) -> dict[str, str | None]:
    """The fields that say what was asked for: ``instruction`` and ``context`` (None without a post).

    Args:
        sample: the sample.
        request: the recipe's, for a sample without one of its own.
    """
    post = sample.context.strip()
    cut = post if len(post) <= LONGEST_POST else f"{post[: LONGEST_POST - 1].rstrip()}…"
    return {"instruction": sample.prompt or request, "context": cut or None}


def reference_of(sample: TestSample) -> str | None:
    """What the right answer is: a sample's references, each on a line; None where it has none."""
    return "\n".join(dict.fromkeys(one.strip() for one in sample.references)) or None


def round_seed(seed: int, number: int) -> int:
    """The seed of what is drawn in a round: two rounds that ask the same draw other texts."""
    return int(generator("evolving", seed, number).integers(2**31))


def _digest(asked: TestSample) -> str:
    shown = [asked.context, asked.prompt, *asked.pictures]
    return json_digest([*shown, {key: asked.extra[key] for key in sorted(asked.extra)}])[:16]


def _row(text: Written, asked: str) -> dict[str, Any]:
    return {"id": text.id, "draw": text.draw, "asked": asked} | {name: getattr(text, name) for name in _KEPT}


def _text(row: Mapping[str, Any]) -> Written | None:
    """The text of a row; None of one that is another program's."""
    try:
        return Written(id=row["id"], draw=row["draw"], **{name: row[name] for name in _KEPT})
    except KeyError:
        return None
