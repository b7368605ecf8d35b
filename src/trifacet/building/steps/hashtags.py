"""Hashtags: out of the texts, or the rows that have them out of the build.

Invariant: a text without hashtags is left as it is, to the character; stripping twice changes nothing more.
"""

from __future__ import annotations

from typing import Literal

import regex
from pydantic import Field

from trifacet.building.rows import RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.lint.patterns import HASHTAGS
from trifacet.settings.section import Section

TextField = Literal["context", "alt"]
_ENDED = regex.compile(r"(?:[\n\r.!?…)\]\"”»—–|•-]|\p{Extended_Pictographic}\ufe0f?)\Z")  # a sentence or a line
_MARKS = regex.compile(r"[#＃]++")


class Parameters(Section):
    """What is done to hashtags, and where."""

    do: Literal["strip", "drop"] = Field("strip", description="take hashtags out of the texts, or drop their rows")
    fields: list[TextField] = Field(["context", "alt"], min_length=1, description="texts to look at")
    inside: Literal["word", "remove"] = Field(
        "word", description="a hashtag inside a sentence: keep its word without the mark, or remove it too"
    )


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Strip the hashtags of each text, or drop the rows that have any. An emptied alt-text is for ``alt-length``."""
    columns = {field: batch.column(field)[:] for field in parameters.fields}
    for place in range(len(batch)):
        for field, texts in columns.items():
            text = texts[place]
            if not (found := HASHTAGS.search(text)):
                continue
            if parameters.do == "strip":
                batch.change(place, field, strip_hashtags(text, parameters.inside), "hashtags stripped")
            else:
                batch.drop(place, "hashtags", field=field, before=text, found=found.group()[:200])
                break


def strip_hashtags(text: str, inside: Literal["word", "remove"] = "word") -> str:
    """The text without hashtags.

    Two and more in a row are labels, and so is one by itself: on a line or in brackets of its own, or at the end of a
    line after the end of a sentence. Labels go. Any other stands for a word of its sentence ("Our #cat sleeps") and
    loses its mark only, or goes with ``inside="remove"``. The space that is left over goes too, nothing else.
    """
    kept: list[str] = []
    at = 0
    for found in HASHTAGS.finditer(text):
        piece, at = text[at : found.start()], found.end()
        if inside == "word" and not _is_label(text, found.start(), at):
            kept += [piece, _MARKS.sub("", found.group())]
        else:
            at = _close(kept, piece, text, at)
    return "".join([*kept, text[at:]]).strip() if kept else text


def _is_label(text: str, start: int, end: int) -> bool:
    if len(_MARKS.findall(text, start, end)) > 1:
        return True
    before, after = text[max(0, start - 64) : start].rstrip(" \t"), text[end : end + 64].lstrip(" \t")
    if before.endswith("(") and after.startswith(")"):
        return True
    at_end = not after or after[0] in "\r\n"
    return at_end and (not before or _ENDED.search(before) is not None)


def _close(kept: list[str], piece: str, text: str, at: int) -> int:
    """Mend the seam after a removal: one space at most, none before punctuation, no empty brackets or lines."""
    piece, at = piece.rstrip(" \t"), _skip(text, at)
    if piece.endswith("(") and text.startswith(")", at):
        piece, at = piece[:-1].rstrip(" \t"), _skip(text, at + 1)
    while not piece and kept:  # what was left before is one seam with this
        piece = kept.pop().rstrip(" \t")
    left, right = piece[-1:], text[at : at + 1]
    if left in ("", "\n") and right in ("\r", "\n"):  # the line held nothing else
        at += 2 if text.startswith("\r\n", at) else 1
    kept += [piece, " " if left not in ("", "\r", "\n") and right and right not in "\r\n.,;:!?)]" else ""]
    return at


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at


STEP = MapStep("hashtags", Parameters, apply)
