"""Decisions of a build as the funnel report shows them: the row, its picture, and what was decided in its own form.

Invariant: texts are clipped, pictures small and limited in number, so that a page has a bound whatever the posts hold.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from trifacet.base.words import without_folders
from trifacet.building.examples import BuildExample, image_of
from trifacet.building.step import Tools
from trifacet.web.pictures import Picture, picture

SIDE = 240  # pixels, the longest side of a picture
PICTURES = 400  # at most in a page
_LONGEST = 1200  # characters of a text
_TOLD_ELSEWHERE = ("attempts", "source", "source_row", "kept", "kept_id", "kept_file", "row", "cluster")
_REMOTE = Picture(problem="it is named by its address and was not kept")
_TOO_MANY = Picture(problem="the page has enough pictures")


@dataclass(frozen=True)
class Piece:
    """A stretch of a text that was changed: the same in both, only in the old one, or only in the new one."""

    text: str
    kind: Literal["same", "old", "new"] = "same"


@dataclass(frozen=True)
class _Seen:
    """A row: its id, its picture (None: a post without one), its post and its alt-text."""

    id: str
    picture: Picture | None
    post: str
    alt: str


@dataclass(frozen=True)
class _Judged:
    """One attempt at a rejected text, with the judge's answers in both orders as (shown first, answer, prefers)."""

    text: str | None
    result: str
    problem: str  # why there is no text, or none that can be used
    orders: list[tuple[str, str, str]]


@dataclass(frozen=True)
class _Told:
    """One decision about a row. What does not apply to it is empty."""

    field: str
    text: str  # of the field, where there is nothing to compare it with
    change: list[Piece]
    made: bool  # whether the change was made: False where it was proposed and refused
    pictures: list[Picture]  # that the step made
    attempts: list[_Judged]
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class Shown:
    """A row with the decisions of one reason about it."""

    id: str
    row: int  # of the build, from 0
    place: int | None  # in its source, from 1
    seen: _Seen | None  # None where the row could not be read
    kept: _Seen | None  # the row in whose favour it was dropped
    told: list[_Told]


@dataclass
class Showing:
    """Turns examples into what is shown; counts the page's pictures."""

    tools: Tools
    taken: int = 0
    _known: dict[str, Picture] = field(default_factory=dict)

    def shown(self, example: BuildExample) -> Shown:
        """One example."""
        first, seen = example.events[0], self._seen(example.row)
        told = [self._told(event, seen) for event in example.events]
        place = (example.row or first["detail"]).get("source_row")
        return Shown(clipped(first["id"]), first["row"], place, seen, self._seen(example.kept), told)

    def _told(self, event: Mapping[str, Any], seen: _Seen | None) -> _Told:
        before, after = _text(event["before"]), _text(event["after"])
        made = _names(event["after"]) if event["field"] == "rejected_images" else []
        compared = before is not None and after is not None
        text = clipped("" if made or compared else (after if before is None else before) or "")
        known = (clipped(event["id"]), *((seen.post, seen.alt) if seen else ()))
        return _Told(
            field=(event["field"] or "").replace("_", " "),
            text="" if text in known else text,
            change=pieces(before, after) if before is not None and after is not None else [],
            made=event["verdict"] == "change",
            pictures=[self._picture(name) for name in made[:4]],
            attempts=[_judged(one) for one in _mappings(event["detail"].get("attempts"))],
            details=[
                (name, clipped(without_folders(_said(value)), 300))
                for name, value in event["detail"].items()
                if _tells(name)
            ],
        )

    def _seen(self, row: Mapping[str, Any] | None) -> _Seen | None:
        if row is None:
            return None
        file = image_of(row)
        found = self._picture(file) if file else _REMOTE if row["image"] else None
        return _Seen(clipped(row["id"]), found, clipped(row["context"]), clipped(row["alt"]))

    def _picture(self, file: str) -> Picture:
        """The small copy of "ROOT:path"; nothing outside the roots is opened, nothing is fetched."""
        root, _, name = file.partition(":")
        if root not in self.tools.roots:
            return _REMOTE
        if self.taken >= PICTURES:
            return _TOO_MANY
        self.taken += 1
        if file not in self._known:
            self._known[file] = self._small(self.tools.roots[root], name)
        return self._known[file]

    def _small(self, root: Path, name: str) -> Picture:
        found = picture(root, name, side=SIDE, max_pixels=self.tools.max_pixels)
        return replace(found, problem=clipped(without_folders(found.problem), 300))


def pieces(before: str, after: str) -> list[Piece]:
    """Both texts in one, word by word: without the new pieces it is ``before``, without the old ones ``after``."""
    old, new = (re.findall(r"\S+\s*|\s+", clipped(text)) for text in (before, after))
    found = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Piece("".join(old[a:b])))
            continue
        found += [Piece("".join(old[a:b]), "old")] if b > a else []
        found += [Piece("".join(new[c:d]), "new")] if d > c else []
    return found


def clipped(text: str, longest: int = _LONGEST) -> str:
    """The text, or its beginning and how much is left out."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest:,} more characters)"


def _judged(attempt: Mapping[str, Any]) -> _Judged:
    orders = [
        (
            _said(one.get("first")),
            clipped(_said(one.get("answer") or one.get("problem")), 200),
            _said(one.get("prefers")),
        )
        for one in _mappings(attempt.get("orders"))
    ]
    text = attempt.get("text")
    result, problem = clipped(_said(attempt.get("result"))), clipped(str(attempt.get("problem") or ""), 200)
    return _Judged(None if text is None else clipped(str(text)), result, problem, orders)


def _tells(name: str) -> bool:
    return name not in _TOLD_ELSEWHERE


def _said(value: Any) -> str:
    """A value of an event's detail in words."""
    if value is None:
        return "nothing"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _text(value: str | None) -> str | None:
    """A field's text; lists, which events hold as JSON, one item a line."""
    items = _names(value)
    return "\n".join(items) if items else value


def _names(value: str | None) -> list[str]:
    """The items of a JSON list of texts; of anything else none."""
    try:
        found = json.loads(value) if value and value.startswith("[") else None
    except ValueError:
        return []
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
