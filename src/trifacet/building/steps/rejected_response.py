"""A language model writes an alt-text that is worse than the row's own: the rejected response of a preference pair.

Invariant: a rejected response is never the chosen one, not even in other capitals, spaces or punctuation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from trifacet.base.errors import DataError
from trifacet.building.lending import concerned
from trifacet.building.lettered import LETTERED, named_fields, needs_lettering
from trifacet.building.rows import Post
from trifacet.building.step import AskStep, Tools
from trifacet.llm.model import LanguageModel, unanswered
from trifacet.llm.parsing import UnparsedError, parse_object
from trifacet.llm.prompts import Prompt, load_prompt
from trifacet.metrics.texts import words
from trifacet.settings.section import Section

NOT_WRITTEN = "no rejected text written"


class Parameters(Section):
    """Who writes, and how freely."""

    model: str | None = Field(None, description="which of the recipe's models writes (null: the only one)")
    image: bool = Field(True, description="show the image too")
    temperature: float = Field(1.0, ge=0, le=2, description="of the sampling: the higher, the more varied the faults")
    prompt: Path | None = Field(None, description="file with a prompt of yours in place of the package's")


@dataclass(frozen=True)
class SuggestedText:
    """A text, or None and why there is none."""

    text: str | None
    problem: str | None = None


async def ask(post: Post, parameters: Parameters, model: LanguageModel, tools: Tools) -> None:
    """Give a preference row a rejected response, unless its source has given it one."""
    if not concerned(post["split"]) or post["rejected_responses"]:
        return
    prompt = load_prompt("rejected-response", parameters.prompt, LETTERED)
    fields = named_fields(prompt, {"context": post["context"], "alt": post["alt"]}, post)
    try:
        images = pictures(post, tools) if parameters.image else ()
        written = await write_rejected(model, prompt, fields, images, parameters.temperature, [post["alt"]])
    except DataError as error:
        post.fail("image cannot be opened", problem=str(error))
        return
    if written.text is None:
        post.note(unanswered(NOT_WRITTEN, written.problem), problem=written.problem)
    else:
        post.change("rejected_responses", [written.text], "rejected text written")


async def write_rejected(
    model: LanguageModel,
    prompt: Prompt,
    fields: Mapping[str, str],
    images: Sequence[Path],
    temperature: float,
    unlike: Sequence[str],
    draw: int = 0,
) -> SuggestedText:
    """A text worse than an alt-text, and none of ``unlike``, which are the alt-text and what has been tried."""
    answer = await model.ask(prompt, fields, parse_alt_text, images=images, temperature=temperature, draw=draw)
    if answer.value is None:
        return SuggestedText(None, answer.problem)
    if any(words(answer.value) == words(text) for text in unlike):
        return SuggestedText(None, "repeats a text that is there")
    return SuggestedText(answer.value)


def parse_alt_text(text: str) -> str:
    """The answer {"alt_text": "..."}; anything else raises UnparsedError."""
    written = str(parse_object(text, {"alt_text": str})["alt_text"])
    if not words(written):
        raise UnparsedError("an alt-text without a word")
    return " ".join(written.split())


def pictures(post: Post, tools: Tools) -> tuple[Path, ...]:
    """The row's images, the one that the text describes first."""
    files = [post["file"], *(post["more_files"] or ())]
    return tuple(tools.path(file) for file in files if file)


def needs_files(parameters: Section) -> frozenset[str]:
    """Images have to be there where they are shown."""
    return frozenset({"files"} if getattr(parameters, "image", False) else ())


def _outside(parameters: Parameters) -> dict[str, str]:
    return {"prompt": load_prompt("rejected-response", parameters.prompt, LETTERED).version}


STEP = AskStep(
    "rejected-response",
    Parameters,
    ask,
    needs=lambda p: needs_files(p) | needs_lettering(("rejected-response", p.prompt)),
    gives=frozenset({"rejected responses"}),
    outside=_outside,
)
