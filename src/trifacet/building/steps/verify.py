"""A judge confirms that a rejected response is worse; where it does not, another one is written, a few times.

Invariant: a row of the preference set that leaves this step has rejected responses only that the judge found worse
than the row's alt-text in both orders, or that step ``misread`` made of it, which are wrong by construction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from trifacet.base.errors import DataError
from trifacet.building.lending import concerned
from trifacet.building.lettered import LETTERED, named_fields, needs_lettering
from trifacet.building.rows import Post
from trifacet.building.step import AskStep, Tools
from trifacet.building.steps.misread import by_construction
from trifacet.building.steps.rejected_response import NOT_WRITTEN, needs_files, pictures, write_rejected
from trifacet.llm.judging import Judgement, judge_pair
from trifacet.llm.model import LanguageModel, rejected, unanswered
from trifacet.llm.prompts import Prompt, load_prompt
from trifacet.settings.section import Section

VERIFIED = "judge prefers the alt-text in both orders"
CONSTRUCTED = "wrong by construction, not judged"


class Parameters(Section):
    """Who judges, who writes anew, and how often."""

    model: str | None = Field(None, description="which of the recipe's models judges (null: the only one)")
    writer: str | None = Field(None, description="which one writes anew (null: the judge)")
    attempts: int = Field(
        3, ge=1, le=1000, description="rejected texts that are judged at most, the first one included"
    )
    image: bool = Field(True, description="show the image to both")
    temperature: float = Field(1.0, ge=0, le=2, description="of the writing; the judge is asked at temperature 0")
    prompt: Path | None = Field(None, description="file with a judge's prompt of yours")
    writer_prompt: Path | None = Field(None, description="file with a writer's prompt of yours")


async def ask(post: Post, parameters: Parameters, judge: LanguageModel, tools: Tools) -> None:
    """Keep the row with the rejected texts that the judge finds worse, or drop it for what the last attempt met.

    Texts of step ``misread`` are not judged; a row that has no others is not asked about, and one that has stays.
    """
    if not concerned(post["split"]):
        return
    before = list(post["rejected_responses"] or ())
    sure = by_construction(post)
    given = [text for text in before if text not in sure]
    if sure and not given:
        post.note(CONSTRUCTED)
        return
    try:
        attempts = await _attempts(post, parameters, judge, tools, given)
    except DataError as error:
        post.fail("image cannot be opened", problem=str(error))
        return
    passed = [attempt["text"] for attempt in attempts if _passed(attempt)]
    kept = [text for text in before if text in sure or text in passed]
    kept += [text for text in passed if text not in before]
    if not kept:
        post.drop(attempts[-1]["result"], field="rejected_responses", before=attempts[-1]["text"], attempts=attempts)
    elif kept == before:
        post.note(VERIFIED, attempts=attempts)
    else:
        post.change("rejected_responses", kept, VERIFIED if passed else attempts[-1]["result"], attempts=attempts)


async def _attempts(
    post: Post, parameters: Parameters, judge: LanguageModel, tools: Tools, given: list[str]
) -> list[dict[str, Any]]:
    """What came of the texts ``given`` by the source or the step before, and, if none passed, of further attempts."""
    images = pictures(post, tools) if parameters.image else ()
    prompt = load_prompt("judge", parameters.prompt, LETTERED)
    before = [await _judged(judge, prompt, post, images, text) for text in given]
    if any(map(_passed, before)):
        return before
    writer = judge if parameters.writer is None else judge.sibling(parameters.writer)
    writer_prompt = load_prompt("rejected-again", parameters.writer_prompt, LETTERED)
    made: list[dict[str, Any]] = []
    for number in range(2 if before else 1, parameters.attempts + 1):
        earlier = [attempt["text"] for attempt in before + made if attempt["text"] is not None]
        told = {"context": post["context"], "alt": post["alt"], "earlier": "\n".join(earlier)}
        shown = named_fields(writer_prompt, told, post)
        unlike = [post["alt"], *earlier]
        written = await write_rejected(
            writer, writer_prompt, shown, images, parameters.temperature, unlike, draw=number
        )
        if written.text is None:
            made.append({"text": None, "result": unanswered(NOT_WRITTEN, written.problem), "problem": written.problem})
            continue
        made.append(await _judged(judge, prompt, post, images, written.text))
        if _passed(made[-1]):
            break
    return before + made


async def _judged(
    judge: LanguageModel, prompt: Prompt, post: Post, images: tuple[Path, ...], text: str
) -> dict[str, Any]:
    """The text with both judgements: per order which text was shown first, the answer, and whom it favours."""
    fields = named_fields(prompt, {"context": post["context"]}, post)
    judgement = await judge_pair(judge, prompt, fields, images, post["alt"], text)
    favours = {"first": "alt-text", "second": "rejected", "tie": "tie", None: None}
    orders = [
        {"first": first, "answer": choice, "prefers": favours[side]} | ({"problem": problem} if problem else {})
        for first, choice, side, problem in zip(
            ("alt-text", "rejected"), judgement.choices, judgement.prefers, judgement.problems, strict=True
        )
    ]
    return {"text": text, "result": result(judgement), "orders": orders}


def result(judgement: Judgement) -> str:
    """What a judgement of (alt-text, rejected text) means for the pair, in the funnel's words."""
    match judgement.outcome:
        case "win":
            return VERIFIED
        case "lose":
            return "judge prefers the rejected text"
        case "unparsed":
            problem = next(filter(rejected, judgement.problems), None)
            return unanswered("judge's answer cannot be read", problem)
        case _ if judgement.consistent:
            return "judge sees a tie"
        case _:
            return "judge's answer depends on the order"


def _passed(attempt: dict[str, Any]) -> bool:
    return bool(attempt["result"] == VERIFIED)


def _outside(parameters: Parameters) -> dict[str, str]:
    return {
        "prompt": load_prompt("judge", parameters.prompt, LETTERED).version,
        "writer_prompt": load_prompt("rejected-again", parameters.writer_prompt, LETTERED).version,
    }


def _needs(parameters: Parameters) -> frozenset[str]:
    asked = needs_lettering(("judge", parameters.prompt), ("rejected-again", parameters.writer_prompt))
    return needs_files(parameters) | {"rejected responses"} | asked


STEP = AskStep("verify", Parameters, ask, needs=_needs, outside=_outside)
