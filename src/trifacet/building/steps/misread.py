"""Rejected responses that are wrong by the lettering alone: one number, day, price or name of the picture exchanged.

Invariant: a text made here is the row's alt-text but for one word, which stands in the picture, while the word in its
place does not; what is made depends on the row, the seed and the parameters. No model is asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, Literal

import regex
from pydantic import Field

from trifacet.base.draws import generator
from trifacet.building.lending import concerned
from trifacet.building.lettered import READ_FACT, any_holds, extra_of, letterings_of
from trifacet.building.rows import Post, RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.lettering.claims import claimed
from trifacet.lettering.lines import Lettering, line_of
from trifacet.lettering.matching import asked_words
from trifacet.preferences.rejected.misreading import Exchange, misread, places
from trifacet.settings.section import Section

FIELD = "misread"  # of ``extra``: what was exchanged in each of the texts made here
MADE = "word of the picture exchanged"
_TRIES = 12  # draws of another word, for one that does not stand in the picture
_BRACKETED = regex.compile(r"\[[^\[\]]*\]")  # such as [person]

_SHOWN = ("word", "origin")  # kinds of words that name what the picture may show
_ROW = 3  # words in a row that are a transcript
_MOST_WORDS = 400  # of a text that is looked at for transcripts
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]++(?:['’.,:-][\p{L}\p{M}\p{N}]++)*+")
_WRITTEN_ON = regex.compile(r"[\p{L}\p{M}]++")


class Parameters(Section):
    """How many such texts a row gets, and what becomes of the rejected texts that it has."""

    versions: int = Field(1, ge=1, le=16, description="texts for a row, each with another exchange")
    plain: Literal["quoted", "anywhere"] = Field(
        "quoted",
        description='words that are no number, day, price or name, and origins ("Italian"): exchanged where the '
        "alt-text quotes the picture, or anywhere, though the picture itself may show what they mean",
    )
    existing: Literal["beside", "instead", "keep"] = Field(
        "beside",
        description="a row with rejected texts: these come beside them, instead of them, or not at all",
    )


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Give the rows of the preference set rejected responses, as far as their alt-texts have words of the picture."""
    for post in batch.posts():
        extra = extra_of(post)
        if extra.pop(FIELD, None) is not None:  # of a source: what was made here alone stands there
            post.fill("extra", json.dumps(extra, ensure_ascii=False) if extra else None)
        given = list(post["rejected_responses"] or ())
        if not concerned(post["split"]) or (given and parameters.existing == "keep"):
            continue
        found = letterings_of(post)
        key = [tools.seed, post["id"]]
        made = exchanges(post["alt"], found, parameters.versions, key, given, parameters.plain)
        if not made:
            post.note("no word of the picture to exchange" if any(one.lines for one in found) else "no words read")
            continue
        extra[FIELD] = [
            {"text": one.text, "before": one.before, "after": one.after, "start": one.span[0], "kind": one.kind}
            for one in made
        ]
        post.fill("extra", json.dumps(extra, ensure_ascii=False))
        texts = [one.text for one in made]
        exchanged = [f"{one.before} -> {one.after} ({one.kind})" for one in made]
        now = texts if parameters.existing == "instead" else [*given, *texts]
        story = {"before": post["alt"], "after": texts[0]}  # what the report compares
        post.change("rejected_responses", now, MADE, exchanged=exchanged, **story)


def exchanges(
    text: str,
    letterings: Sequence[Lettering],
    versions: int,
    key: Sequence[str | int],
    given: Sequence[str] = (),
    plain: Literal["quoted", "anywhere"] = "quoted",
) -> list[Exchange]:
    """Texts with one word of the pictures exchanged.

    Args:
        text: the chosen one.
        letterings: what stands in the pictures.
        versions: how many texts; there may be fewer.
        key: what the random numbers hang on.
        given: texts that none of them may be.
        plain: where words are taken that the picture itself may show: "quoted" is what the text says is lettered, and
            three words in a row that stand so in a picture. Numbers, days, prices and names are taken anywhere.
    """
    quoted = [*(claim.span for claim in claimed(text)), *_transcribed(text, letterings)]
    closed = [match.span() for match in _BRACKETED.finditer(text)]
    allowed = [
        (place.start, place.end)
        for place in places(text)
        if (place.kind not in _SHOWN or plain == "anywhere" or _within(place.start, quoted))
        and not _within(place.start, closed)
        and any_holds(letterings, _whole(text, place.start, place.end))
    ]
    made: list[Exchange] = []
    for version in range(1, versions + 1):
        for attempt in range(_TRIES if allowed else 0):
            found = misread(text, allowed, generator(*key, FIELD, version, attempt))
            if found is None or found.text in (*given, *(one.text for one in made)):
                continue
            start = found.span[0]
            if not any_holds(letterings, _whole(found.text, start, start + len(found.after))):
                made.append(found)
                break
    return made


def by_construction(post: Post) -> frozenset[str]:
    """Those of a row's rejected responses that this step made of its alt-text as it is: no judge is needed for them."""
    kept: Any = extra_of(post).get(FIELD)
    made = set()
    for one in kept if isinstance(kept, list) else ():
        match one:
            case {"text": str(text), "before": str(before), "after": str(after), "start": int(start)}:
                alt = post["alt"]
                if before != after and text == alt[:start] + after + alt[start + len(before) :]:
                    made.add(text)
    return frozenset(made & set(post["rejected_responses"] or ()))


def _transcribed(text: str, letterings: Sequence[Lettering]) -> list[tuple[int, int]]:
    """Where a text has the words of a picture in their order: ``_ROW`` of them, of which two mean something."""
    words = list(islice(_WORD.finditer(text), _MOST_WORDS))
    there = [any_holds(letterings, word[0]) for word in words]  # "a" and "of" too, which a phrase may have or lack
    found = []
    for at in range(len(words) - _ROW + 1):
        start, end = words[at].start(), words[at + _ROW - 1].end()
        line = line_of(text[start:end])
        if all(there[at : at + _ROW]) and len(asked_words([line])) >= 2 and any_holds(letterings, line.text):
            found.append((start, end))
    return found


def _whole(text: str, start: int, end: int) -> str:
    """The word at a place with what is written to it: of 7pm and 1980s the number alone stands in no picture."""
    behind = _WRITTEN_ON.match(text, end)
    return text[start : behind.end() if behind else end]


def _within(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


STEP = MapStep(
    "misread",
    Parameters,
    apply,
    needs=lambda parameters: frozenset({READ_FACT}),
    gives=frozenset({"rejected responses"}),
)
