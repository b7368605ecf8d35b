"""The words that stand in a row's pictures, as the step ``read-lettering`` left them, for the steps behind it.

Invariant: they lie in the row's other fields, under the name under which the finished sets have them, and what does not
fit there is taken for nothing read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trifacet.base.errors import TrifacetError
from trifacet.building.rows import Post
from trifacet.lettering.lines import Lettering
from trifacet.lettering.matching import holds
from trifacet.lettering.request import quoted
from trifacet.lettering.settings import COLUMN
from trifacet.llm.prompts import Prompt, load_prompt

READ_FACT = "lettering"  # what ``read-lettering`` gives and others need
MORE = "more_lettering"  # of ``extra``: a list, of the row's further pictures
PROMPT_FIELD = "lettering"
LETTERED = (PROMPT_FIELD,)  # fields that a prompt of the user's may ask for
_PROMPT_CHARACTERS = 1500  # of the words, in a prompt


def extra_of(post: Post) -> dict[str, Any]:
    """The row's other fields."""
    return json.loads(post["extra"]) if post["extra"] else {}


def letterings_of(post: Post) -> tuple[Lettering, ...]:
    """What was read in the row's pictures, the one that the text describes first; empty where nothing was."""
    extra = extra_of(post)
    more = extra.get(MORE)
    found = []
    for value in (extra.get(COLUMN), *(more if isinstance(more, list) else ())):
        try:
            found.append(Lettering.model_validate(value))
        except ValidationError:
            continue
    return tuple(found)


def any_holds(letterings: Sequence[Lettering], phrase: str) -> bool:
    """Whether the words of a phrase stand in one of the pictures, but for errors of reading."""
    return any(holds(lettering, phrase) for lettering in letterings)


def told_words(letterings: Sequence[Lettering], most: int = _PROMPT_CHARACTERS) -> str:
    """The words for a prompt or a report, a line of letters a line, without characters that nobody sees."""
    lines: list[str] = []
    for lettering in letterings:
        found = quoted(lettering, max(most - sum(map(len, lines)), 0))
        lines += found.lines
    return "\n".join(lines)


def named_fields(prompt: Prompt, fields: Mapping[str, str], post: Post) -> dict[str, str]:
    """The fields that a prompt asks for: ``fields``, and the words of the row's pictures where it names them."""
    if PROMPT_FIELD not in prompt.placeholders:
        return dict(fields)
    return {**fields, PROMPT_FIELD: told_words(letterings_of(post))}


def needs_lettering(*prompts: tuple[str, Path | None]) -> frozenset[str]:
    """That words are read, where one of the user's prompts (name, file) asks for them."""
    for name, file in prompts:
        try:
            if PROMPT_FIELD in load_prompt(name, file, LETTERED).placeholders:
                return frozenset({READ_FACT})
        except TrifacetError:
            continue  # told when the build is begun
    return frozenset()
