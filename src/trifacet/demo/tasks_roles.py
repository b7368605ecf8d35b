"""Supervised rows that teach one model three roles over the tasks, asked as ``trifacet evolve`` asks them.

The generator gets the instruction and the post, or a prompt that shows the reference too; the reviser two prompts,
for what is wrong with an answer and for the answer anew; the verifier one, answered with yes or no. Invariant: a label
that is marked "true" is right, and each of the others wrong in the way that it says. The shares of careless labels are
set by the supervised model alone (bench/evolving/world.yaml, docs/world.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trifacet.demo.signs import Signed
from trifacet.demo.signs_texts import Post
from trifacet.demo.tasks_texts import Asked, Content, Task, faults, say, worse
from trifacet.llm.prompts import Prompt, load_prompt

Lesson = Literal["answer", "told", "verdict", "feedback", "revision"]
CYCLE: tuple[Lesson, ...] = (  # of rows
    "answer", "verdict", "verdict", "answer", "verdict", "feedback", "verdict", "revision",
    "told", "verdict", "answer", "verdict", "feedback", "verdict", "revision", "verdict",
)  # fmt: skip
# Careless labels, calibrated by the supervised model alone
SLIPS: dict[Task, float] = {  # the generator's wrong answers
    "describe": 0.3, "count": 0.2, "compare": 0.2, "read": 0.2, "yes-no": 0.2, "post": 0.2,
}  # fmt: skip
ACCEPTED, REFUSED = 0.05, 0.03  # the verifier: of wrong answers accepted, of right ones refused
MISSED, BLAMED, MISLED = 0.07, 0.03, 0.05  # feedback: nothing wrong with a wrong answer, something with a right one,
# something that is not so of a wrong one
IGNORED = 0.05  # revisions that leave the answer as it was
WRONG = 0.5  # of the answers that are judged and revised, unless a recipe says otherwise
SHOWN = 0.5  # of the feedback rows: with the reference
SHORT = 0.5  # of all answers


@dataclass(frozen=True)
class Prompts:
    """The prompts of reviser and verifier, and of a generator that sees the reference."""

    feedback: Prompt
    revision: Prompt
    verdict: Prompt
    told: Prompt

    @classmethod
    def read(cls, folder: Path | None) -> Prompts:
        """The package's, or those of a folder, named as the package names them.

        Raises:
            TrifacetError: a file that is not there or is no such prompt.
        """
        names = ("feedback", "revision", "verify-word", "answer-reference")
        return cls(*(load_prompt(name, folder and folder / f"{name}.txt") for name in names))


@dataclass(frozen=True)
class Row:
    """What a model is asked beside a picture, and the label: ``kind`` is "true" or how it is wrong."""

    prompt: str
    response: str
    kind: str
    context: str = ""
    system: str = ""


def lesson(
    which: Lesson,
    asked: Asked,
    scene: Signed,
    post: Post,
    prompts: Prompts,
    rng: np.random.Generator,
    wrong: float = WRONG,
) -> Row:
    """A row of this lesson; ``wrong``: the share of wrong ones among answers that are judged and revised."""
    if which == "answer":
        slips = rng.random() < SLIPS[asked.task]
        content = worse(asked, scene, post, rng) if slips else asked.truth
        return Row(asked.text, say(asked, content, short=_coin(rng, SHORT)), "wrong" if slips else "true", post.text)
    is_wrong, short = _coin(rng, wrong), _coin(rng, SHORT)
    content = worse(asked, scene, post, rng) if is_wrong else asked.truth
    told = {"instruction": asked.text, "context": post.text}
    reference = say(asked, asked.truth, short=_coin(rng, SHORT))
    if which == "told":
        fields = {**told, "reference": reference}
        return _row(prompts.told, fields, say(asked, asked.truth, short=short), "true")
    told["answer"] = say(asked, content, short=short)
    if which == "verdict":
        return _verdict(is_wrong, {**told, "reference": reference}, prompts.verdict, rng)
    kind, found = _found(asked, content, is_wrong, scene, post, rng)
    if which == "feedback":
        shown = {"reference": reference} if _coin(rng, SHOWN) else {}
        return _row(prompts.feedback, {**told, **shown}, faults(asked, content, found), kind)
    ignored = content != found and rng.random() < IGNORED
    revised = say(asked, content if ignored else found, short=short)
    fields = {**told, "feedback": faults(asked, content, found)}
    return _row(prompts.revision, fields, revised, "ignored" if ignored else "true")


def _verdict(is_wrong: bool, fields: Mapping[str, str], prompt: Prompt, rng: np.random.Generator) -> Row:
    slips = rng.random() < (ACCEPTED if is_wrong else REFUSED)
    kind = ("accepted" if is_wrong else "refused") if slips else "true"
    return _row(prompt, fields, "No." if is_wrong != slips else "Yes.", kind)


def _found(
    asked: Asked, content: Content, is_wrong: bool, scene: Signed, post: Post, rng: np.random.Generator
) -> tuple[str, Content]:
    """What feedback holds to be so: (kind, content)."""
    at = float(rng.random())
    if not is_wrong:
        return ("blamed", worse(asked, scene, post, rng)) if at < BLAMED else ("true", asked.truth)
    if at < MISSED:
        return "missed", content
    if at < MISSED + MISLED and (other := worse(asked, scene, post, rng)) != content:
        return "misled", other
    return "true", asked.truth


def _row(prompt: Prompt, fields: Mapping[str, str], response: str, kind: str) -> Row:
    """Lines that ask for a field that there is not are left out, as evolve does it."""
    system, user = prompt.without(prompt.placeholders - set(fields)).render(fields)
    return Row(user, response, kind, system=system)


def _coin(rng: np.random.Generator, share: float) -> bool:
    return bool(rng.random() < share)
