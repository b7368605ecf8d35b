"""Names of people out of the texts: a pipeline of the user's finds them, fixed words stand in their place.

Invariant: a name that is found in one text of a row is replaced in all its texts; a name on the recipe's list stays.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import regex
from pydantic import Field, model_validator

from trifacet.base.digests import content_of
from trifacet.base.name_words import HYPHENS, WORDS_TOO, folded, name_key
from trifacet.base.opening import read_text
from trifacet.building.name_finders import Finder, NameSpan, spacy_finder, transformers_finder
from trifacet.building.rows import RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.settings.section import Section

MAX_LIST = 100_000_000  # bytes of a list of names to keep
_AROUND = 4  # words before and behind a found name that may belong to one that is kept
_HYPHEN = regex.compile(rf"[-{HYPHENS}]")
_JOINT = regex.compile(rf"[^\S\n]+|[-{HYPHENS}]")
_WORD = regex.compile(r"\S*[\p{L}\p{M}\p{N}]")
_CLUSTER = regex.compile(r"\X", regex.S)
_POSSESSIVE = regex.compile(r"(?i)['’]s\Z")
_LETTER = regex.compile(r"[\p{L}\p{M}\p{N}]")
_SPACED = regex.compile(  # of scripts that put spaces between words
    r"[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]", regex.V1
)


class Pipeline(Section):
    """What finds names; one of the two."""

    spacy: str | None = Field(None, description="folder or installed package of a spaCy pipeline (its code runs)")
    transformers: str | None = Field(None, description="folder or hub id of a token-classification model (safetensors)")

    @model_validator(mode="after")
    def _one(self) -> Pipeline:
        if (self.spacy is None) == (self.transformers is None):
            raise ValueError("name one pipeline: 'spacy: PATH' or 'transformers: PATH'")
        return self


class Parameters(Section):
    """What finds names, which are meant, and what comes in their place."""

    pipeline: Pipeline = Field(description="what finds names")
    labels: list[str] = Field(["PERSON", "PER"], min_length=1, description="labels of people, in the pipeline's words")
    replacement: str = Field("[person]", min_length=1, description="what stands in a name's place")
    keep: list[str] = Field([], description="names that stay, such as those of public figures; case does not matter")
    keep_file: str | None = Field(None, description="a file with more of them, one a line")
    fields: list[Literal["context", "alt"]] = Field(["context", "alt"], min_length=1, description="texts to look at")
    alone: bool = Field(True, description="also replace a part of a found name where it stands alone in the row")
    batch: int = Field(64, ge=1, le=100_000, description="texts given to the pipeline at a time")


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Replace the names of people in the rows' texts."""
    finder = _finder(parameters.pipeline, tuple(parameters.labels))
    keep = _kept(tuple(parameters.keep), parameters.keep_file)
    columns = [batch.column(field)[:] for field in parameters.fields]
    texts = sorted({text for column in columns for text in column if text.strip()})
    spans = dict(zip(texts, finder(texts, parameters.batch), strict=True))
    for place, row in enumerate(zip(*columns, strict=True)):
        found = [spans.get(text, []) for text in row]
        if not any(found):
            continue
        for field, (text, count) in zip(parameters.fields, replace_names(row, found, parameters, keep), strict=True):
            if count:
                batch.change(place, field, text, "names replaced", places=count)


def replace_names(
    texts: Sequence[str], found: Sequence[Sequence[NameSpan]], parameters: Parameters, keep: frozenset[str]
) -> list[tuple[str, int]]:
    """The texts of a row with the names in them replaced, and in how many places each was.

    Args:
        texts: the row's texts.
        found: for each of them, where the pipeline sees a name: (start, end) in characters.
        parameters: the step's.
        keep: names that stay, case-folded. Where one is found whole, its parts stay in this row too.
    """
    merged = [
        _whole_kept(text, merge_spans(text, _unmarked(text, spans, parameters)), keep)
        for text, spans in zip(texts, found, strict=True)
    ]
    names = {text[start:end] for text, spans in zip(texts, merged, strict=True) for start, end in spans}
    stay = {part for name in names if name_key(name) in keep for part in _runs(name_key(name))}
    gone = {name for name in names if name_key(name) not in stay}
    sought = {name_key(name) for name in gone if not name_key(name).isalpha() or name_key(name) not in WORDS_TOO}
    if parameters.alone:
        sought |= {name_key(part) for name in gone for part in _parts(name)}
        sought |= {run for name in gone for run in _runs(name_key(name)) if " " in run}
    elsewhere = _anywhere(sought - stay - keep)
    results = []
    for text, spans in zip(texts, merged, strict=True):
        kept = [span for span in spans if name_key(text[slice(*span)]) in stay]
        places = [span for span in spans if span not in kept]
        if elsewhere:
            places += [span for span in _found(elsewhere, text) if not _touching(span, kept)]
        places = merge_spans(text, places)
        results.append((_put(text, places, parameters.replacement), len(places)))
    return results


def merge_spans(text: str, spans: Sequence[NameSpan]) -> list[NameSpan]:
    """Spans widened to whole words, without possessives and outer punctuation, overlapping and adjacent ones as one."""
    merged: list[NameSpan] = []
    for start, end in sorted(_tidy(text, *span) for span in spans):
        if start < end:
            merged.append((start, end))
            while len(merged) > 1 and _belong(text, merged[-2], merged[-1]):
                last = merged.pop()
                merged[-1] = (merged[-1][0], max(merged[-1][1], last[1]))
    return merged


def _belong(text: str, first: NameSpan, second: NameSpan) -> bool:
    """Whether two spans, in order, are one name: "Anna" and "Smith", "J." and "Smith"."""
    if second[0] <= first[1]:
        return True
    between = text[first[1] : second[0]]
    initial = first[1] - first[0] == 1 or not text[first[1] - 2].isalpha()
    return bool(_JOINT.fullmatch(between)) or (initial and between in (".", ". "))


def _tidy(text: str, start: int, end: int) -> NameSpan:
    while start < end and not _LETTER.match(text, start):
        start += 1
    while end > start and not _LETTER.match(text, end - 1):
        end -= 1
    # whole words: a pipeline over pieces of words may see but a part of a name
    while 0 < start < end and _SPACED.match(text, start) and _SPACED.match(text, start - 1):
        start -= 1
    while start < end < len(text) and _SPACED.match(text, end - 1) and _SPACED.match(text, end):
        end += 1
    possessive = _POSSESSIVE.search(text, start, end)
    return start, possessive.start() if possessive else end


def _parts(name: str) -> set[str]:
    """The words of a name that are names wherever they stand; of "Anna-Lena" both halves too."""
    words = [word for whole in name.split() for word in (whole, *_HYPHEN.split(whole))]
    return {word for word in words if len(word) > 2 and not word.islower() and name_key(word) not in WORDS_TOO}


def _runs(key: str) -> set[str]:
    """The words of a name, and those that follow each other in it: all that stays with it."""
    words = key.split()
    runs = {" ".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words) + 1)}
    return runs | {half for word in words for half in _HYPHEN.split(word)}


def _whole_kept(text: str, spans: Sequence[NameSpan], keep: frozenset[str]) -> list[NameSpan]:
    """The spans, widened where the words around one make it a name that is kept: pipelines see "van Gogh" alone."""
    if not keep or not spans:
        return list(spans)
    words = [one.span() for one in _WORD.finditer(text)]
    widened = set()
    for start, end in spans:
        first = max(0, sum(word[1] <= start for word in words) - _AROUND)
        near = [word for word in words[first:] if word[0] < end] + [word for word in words if word[0] >= end][:_AROUND]
        windows = [(one[0], two[1]) for one in near if one[0] <= start for two in near if two[1] >= end]
        kept = [window for window in windows if name_key(text[slice(*window)]) in keep]
        widened.add(max(kept, key=lambda window: window[1] - window[0], default=(start, end)))
    return sorted(widened)


def _anywhere(names: set[str]) -> regex.Pattern[str] | None:
    """Finds these keys in folded texts."""
    if not names:
        return None
    choice = "|".join(regex.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
    choice = choice.replace("\\ ", r"[^\S\n]+")
    return regex.compile(rf"(?<!{_SPACED.pattern})(?:{choice})(?!{_SPACED.pattern})", regex.V1)


def _found(pattern: regex.Pattern[str], text: str) -> list[NameSpan]:
    """Where the pattern is in the folded text, as places of the text itself."""
    pieces = [(one.span(), folded(one[0])) for one in _CLUSTER.finditer(text)]
    ends = list(itertools.accumulate(len(piece) for _, piece in pieces))
    spans = []
    for one in pattern.finditer("".join(piece for _, piece in pieces)):
        first, last = bisect_right(ends, one.start()), bisect_left(ends, one.end())
        spans.append((pieces[first][0][0], pieces[last][0][1]))
    return spans


def _unmarked(text: str, spans: Sequence[NameSpan], parameters: Parameters) -> list[NameSpan]:
    """Spans but for those that touch a replacement of an earlier time."""
    marks = [one.span() for one in regex.finditer(regex.escape(parameters.replacement), text)]
    return [span for span in spans if not _touching(span, marks)]


def _touching(span: NameSpan, others: Sequence[NameSpan]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)


def _put(text: str, places: Sequence[NameSpan], replacement: str) -> str:
    pieces, at = [], 0
    for start, end in places:
        pieces += [text[at:start], replacement]
        at = end
    return "".join([*pieces, text[at:]])


@lru_cache(maxsize=2)
def _finder(pipeline: Pipeline, labels: tuple[str, ...]) -> Finder:
    """One pipeline a process."""
    if pipeline.spacy is not None:
        return spacy_finder(pipeline.spacy, labels)
    return transformers_finder(str(pipeline.transformers), labels)


@lru_cache(maxsize=2)
def _kept(names: tuple[str, ...], file: str | None) -> frozenset[str]:
    lines: list[str] = []
    if file is not None:
        lines = read_text(Path(file), MAX_LIST).splitlines()
    return frozenset(key for name in (*names, *lines) if (key := name_key(name)))


def _outside(parameters: Parameters) -> dict[str, str]:
    pipeline = parameters.pipeline.spacy or str(parameters.pipeline.transformers)
    found = {"pipeline": content_of(pipeline)}
    return found if parameters.keep_file is None else found | {"keep_file": content_of(parameters.keep_file)}


STEP = MapStep("names", Parameters, apply, outside=_outside)
