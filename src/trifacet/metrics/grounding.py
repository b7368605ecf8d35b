"""Whether a text is right about the facts of a sample: who it is, what colour, how many; and whether it believes a
post that gets one wrong.

Invariant: a text is right about a fact when an accepted form of it stands there as a whole word and no wrong form of
the same attribute does; naming every colour is not being right about one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trifacet.base.errors import DataError

_Verdict = Literal["right", "wrong"]


@dataclass(frozen=True, order=True)
class Span:
    """A part of a text, ``text[start:end]``, that speaks about ``fact``."""

    start: int
    end: int
    verdict: _Verdict
    fact: str


@dataclass(frozen=True)
class Grounded:
    """What ``ground`` finds.

    ``values`` has 0 or 1 for each fact under ``grounding/<fact>`` and their mean under ``grounding``; it is empty
    where the sample has no facts. ``spans`` are in the order of the text and do not overlap.
    """

    values: dict[str, float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)


def ground(text: str, extra: Mapping[str, Any]) -> Grounded:
    """Judge ``text`` by a sample's ``extra``.

    ``extra["facts"]`` gives, for each fact, the accepted forms ({"shape": ["disc", "circle"]}), and
    ``extra["confusions"]`` all forms of that attribute that are wrong here. Forms match as whole words, in any case,
    with a plural s or es; of two forms at the same place the longer counts ("light blue" is not "blue").

    Raises:
        DataError: when the two entries are not such mappings, or a form is both right and wrong.
    """
    facts = _forms(extra, "facts")
    confusions = _forms(extra, "confusions")
    values: dict[str, float] = {}
    spans: list[Span] = []
    for fact, right in facts.items():
        if not right:
            raise DataError(f"gives no accepted form of '{fact}'", fix="list at least one", field="extra.facts")
        wrong = confusions.get(fact, ())
        both = {form.casefold() for form in right} & {form.casefold() for form in wrong}
        if both:
            raise DataError(
                f"'{min(both)}' is right and wrong about '{fact}'", fix="list it once", field="extra.confusions"
            )
        found = _find(text, fact, right, wrong)
        values[f"grounding/{fact}"] = float(bool(found) and all(span.verdict == "right" for span in found))
        spans += found
    if values:
        values["grounding"] = sum(values.values()) / len(values)
    return Grounded(values, _without_overlap(spans))


def tempted(text: str, extra: Mapping[str, Any]) -> bool | None:
    """Whether ``text`` states a value that the post gives wrongly; None where the sample's post tempts to nothing.

    ``extra["tempts"]`` gives, for each fact that the post gets wrong, the forms that state what it says
    ({"colour": ["blue"]}); they match as those of facts.

    Raises:
        DataError: it is not such a mapping, or a fact has no form.
    """
    told = _forms(extra, "tempts")
    if not told:
        return None
    if empty := [fact for fact, forms in told.items() if not forms]:
        raise DataError(f"gives no form of '{empty[0]}'", fix="list at least one", field="extra.tempts")
    return any(_find(text, fact, forms, ()) for fact, forms in told.items())


def _forms(extra: Mapping[str, Any], field: str) -> dict[str, tuple[str, ...]]:
    given = extra.get(field, {})
    if not isinstance(given, Mapping):
        raise DataError("is not a mapping", fix='write {"fact": ["form", ...]}', field=f"extra.{field}")
    forms = {}
    for fact, values in given.items():
        listed = values if isinstance(values, list | tuple) else None
        if listed is None or not all(map(_is_form, listed)):
            raise DataError(
                f"'{fact}' is not a list of texts", fix='write {"fact": ["form", ...]}', field=f"extra.{field}"
            )
        forms[str(fact)] = tuple(str(value).strip() for value in listed)
    return forms


def _is_form(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip() != ""


def _find(text: str, fact: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> list[Span]:
    pattern, verdicts = _pattern(right, wrong)
    return [
        Span(match.start(), match.end(), verdicts[match.lastindex - 1], fact)
        for match in pattern.finditer(text)
        if match.lastindex is not None
    ]


@functools.lru_cache(maxsize=4096)
def _pattern(right: tuple[str, ...], wrong: tuple[str, ...]) -> tuple[re.Pattern[str], list[_Verdict]]:
    """One alternation of all forms, longest first, and the verdict of its groups in their order.

    The look-arounds keep "3" out of "30", "3.5" and "1,300".
    """
    forms: list[tuple[str, _Verdict]] = [*((form, "right") for form in right), *((form, "wrong") for form in wrong)]
    forms.sort(key=lambda form: -len(form[0]))
    either = "|".join(f"({_loosely(form)})" for form, _ in forms)
    pattern = re.compile(rf"(?<!\w)(?<!\d[.,])(?:{either})(?!\w)(?![.,]\d)", re.IGNORECASE)
    return pattern, [verdict for _, verdict in forms]


def _loosely(form: str) -> str:
    return r"\s+".join(re.escape(word) for word in form.split()) + "(?:es|s)?"


def _without_overlap(spans: list[Span]) -> list[Span]:
    """In the order of the text; of spans that overlap (facts can share a word) the first and longest stays."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.verdict, span.fact)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
