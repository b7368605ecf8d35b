"""The verifier's part: whether an answer is right, given the reference.

Invariant: an answer gets its verdict by what was asked about it alone. What the verifier says is data: an answer that
is not of the form that was asked for is "malformed", which is neither accepted nor refused, and never an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trifacet.base.digests import text_digest
from trifacet.base.errors import DataError
from trifacet.data.records import TestSample
from trifacet.data.writing import Written
from trifacet.evolving.asked import about, ask_kept, question, reference_of, round_seed
from trifacet.evolving.cast import Cast
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Answer, Verdict
from trifacet.evolving.sampling import EMPTY
from trifacet.evolving.settings import CONDITIONS, EvolveRecipe
from trifacet.llm.capabilities import Form, object_schema
from trifacet.llm.parsing import UnparsedError, parse_object
from trifacet.llm.prompts import Prompt

LONGEST_RAW = 2000  # characters kept of an answer that could not be read, and of a reason
_CONDITION = object_schema({"reason": {"type": "string"}, "holds": {"type": "boolean"}})
_KEYS = dict.fromkeys(CONDITIONS, dict)
_FIELD = re.compile(r"\{[a-z][a-z0-9_]*\}")
_WORD = re.compile(r"[\s\"'“‘*_`(\[]*(yes|no)\b", re.IGNORECASE)


class Vote(NamedTuple):
    """One answer of the verifier that could be read: what it decides, and of each condition whether it holds and why.

    Both mappings are empty where one question asks for all conditions.
    """

    accepts: bool
    holds: Mapping[str, bool]
    reasons: Mapping[str, str]


def verify(
    samples: Sequence[TestSample], answers: Sequence[Answer], cast: Cast, recipe: EvolveRecipe, part: Part
) -> list[Verdict]:
    """Ask the verifier about every answer that is a candidate; those with a problem get no verdict.

    Of a part all answers are asked about in one call: what was said of others is not kept.

    Args:
        samples: pictures, requests and references.
        answers: of these samples, each named once.
        cast: who verifies.
        recipe: its form of asking and its votes.
        part: where what the verifier says is kept, beside the file of the step "verdicts".

    Returns:
        The verdicts, in the order of ``answers``.

    Raises:
        DataError: a sample without a reference.
        TrifacetError: whatever keeps the verifier from answering at all.
    """
    seed = round_seed(recipe.seed, part.round)
    return verdicts(samples, answers, cast, recipe, part.file("verdicts"), prompt_of(cast, recipe), seed=seed)


def verdicts(
    samples: Sequence[TestSample],
    answers: Sequence[Answer],
    cast: Cast,
    recipe: EvolveRecipe,
    file: Path,
    prompt: Prompt,
    *,
    seed: int,
) -> list[Verdict]:
    """The same, by any ``prompt``, kept beside any ``file`` and drawn by any ``seed``."""
    by_id = {sample.id: sample for sample in samples}
    asked = [answer for answer in answers if answer.problem is None]
    questions = [_question(by_id[answer.sample], answer, cast, prompt) for answer in asked]
    draws = recipe.verification.votes
    texts: Mapping[tuple[str, int], Written] = {}
    if questions:
        form = VERDICT if recipe.verification.form == "json" else None
        texts = ask_kept(cast.writer("verifier", seed=seed, form=form), questions, cast.images, file, draws=draws)
    read = parse_conditions if recipe.verification.form == "json" else parse_word
    found = []
    for answer, one in zip(asked, questions, strict=True):
        said = [texts[one.id, draw] for draw in range(draws)]
        found.append(_verdict(answer, [_vote(text.text, read) for text in said], said[0]))
    return found


def prompt_of(cast: Cast, recipe: EvolveRecipe) -> Prompt:
    """The prompt that the recipe's form of asking has."""
    return cast.prompt("verify" if recipe.verification.form == "json" else "verify-word", "verifier")


def reordered(prompt: Prompt) -> Prompt | None:
    """The prompt with the lines that hold its fields in the opposite order; None where one line holds them all."""
    system, divider, user = prompt.text.partition("\n---\n")
    lines = user.split("\n")
    places = [number for number, line in enumerate(lines) if _FIELD.search(line)]
    if len(places) < 2 or not divider:
        return None
    moved = list(lines)
    for place, other in zip(places, reversed(places), strict=True):
        moved[place] = lines[other]
    text = system + divider + "\n".join(moved)
    return Prompt(f"{prompt.name}, fields reversed", text, text_digest(text))


def parse_conditions(text: str) -> Vote:
    """The answer {"derivable": {"reason": "...", "holds": true}, ...} with all ``CONDITIONS``; accepted: all hold.

    Raises:
        UnparsedError: anything else.
    """
    value = parse_object(text, _KEYS)
    each = {name: parse_object(json.dumps(value[name]), {"reason": str, "holds": bool}) for name in CONDITIONS}
    holds = {name: one["holds"] for name, one in each.items()}
    return Vote(all(holds.values()), holds, {name: _cut(one["reason"].strip()) for name, one in each.items()})


VERDICT = Form("verdict", object_schema(dict.fromkeys(CONDITIONS, _CONDITION)), parse_conditions)


def parse_word(text: str) -> Vote:
    """The answer whose first word is yes or no; anything else raises UnparsedError."""
    match = _WORD.match(text)
    if match is None:
        raise UnparsedError("does not begin with yes or no")
    return Vote(match[1].lower() == "yes", {}, {})


def _question(sample: TestSample, answer: Answer, cast: Cast, prompt: Prompt) -> TestSample:
    reference = reference_of(sample)
    if reference is None:
        raise DataError(
            f"sample {sample.id!r} has nothing to be verified by",
            fix="give it a reference answer, or set 'judge' in the recipe",
            field="references",
        )
    fields = {**about(sample, cast.request), "reference": reference, "answer": answer.text}
    return question(sample, f"verdict-{answer.answer}", prompt, fields)


def _vote(text: str, read: Callable[[str], Vote]) -> Vote | None:
    try:
        return read(text)
    except UnparsedError:
        return None


def _verdict(answer: Answer, votes: Sequence[Vote | None], first: Written) -> Verdict:
    """More than half of the votes that could be read accept it; where none could, it is malformed."""
    read = [vote for vote in votes if vote is not None]
    accepted = sum(vote.accepts for vote in read)
    return Verdict(
        answer.sample,
        answer.answer,
        "malformed" if not read else "accepted" if 2 * accepted > len(read) else "refused",
        accepted,
        len(read),
        {name: sum(vote.holds[name] for vote in read) for name in (read[0].holds if read else ())},
        read[0].reasons if read else {},
        "" if votes[0] is not None else _cut(first.text or first.problem or EMPTY),
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_RAW else f"{text[: LONGEST_RAW - 1]}…"
