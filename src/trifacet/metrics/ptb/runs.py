"""Tokens that may reach far before it is known whether they are one: e-mail and web addresses, files, ``U.S.-led``.

**Invariant:** a stretch of text is looked through once, however many tokens begin in it; so all work is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trifacet.metrics.ptb.rules import WORD_CHARACTER

_STOP = ' \t\n\r\f\v"<>|(){}'
_UNBROKEN = re.compile(f"[^{_STOP}]++")
_UNBROKEN_OR_NBSP = re.compile(f"[^{_STOP}\xa0]++")
_DOMAIN = re.compile(f"[^{_STOP}\xa0.]++(?:\\.[^{_STOP}\xa0.]++)*+")
_EMAIL_FIRST = re.compile("(?:<|&lt;)?[A-Za-z0-9]")
_URL_FIRST = re.compile(f"https?://[^{_STOP}]", re.IGNORECASE)
_PATH = re.compile(f"/[^{_STOP}\xa0]+[^{_STOP}\xa0.!?,-]")
_SITE_LABEL = f"[^{_STOP}!'`$\x2c-\x5f]"
_SITE_RUN = re.compile(f"{_SITE_LABEL}++(?:\\.{_SITE_LABEL}++)*+(?i:\\.(?:com|net|org|edu))?")
_SITE_FIRST = re.compile(_SITE_LABEL)
_SITE_END = re.compile("\\.(?:com|net|org|edu)", re.IGNORECASE)
_WWW_LABEL = f"[^{_STOP}.,\u2026]"
_WWW_RUN = re.compile(f"{_WWW_LABEL}++(?:\\.{_WWW_LABEL}++)++")
_WWW_FIRST = re.compile(f"www\\.{_WWW_LABEL}", re.IGNORECASE)
_WWW_END = re.compile("\\.[a-z]{2,4}", re.IGNORECASE)
_FILE_RUN = re.compile(f"{WORD_CHARACTER}++(?:\\.{WORD_CHARACTER}++)++")
_FILE_FIRST = re.compile(WORD_CHARACTER)
_FILE_END = re.compile(
    "\\.(?:bat|bmp|c|class|cgi|cpp|dll|docx?|exe|gif|gz|h|html?|jar|java|jpe?g|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt"
    "|wav|x|xml|zip)(?![^\\s.,])",
    re.IGNORECASE,
)
_DOTTED_RUN = re.compile("(?<![A-Za-z0-9.,])[A-Za-z0-9.,]++(?=-)")
_DOTTED_FIRST = re.compile("[A-Za-z0-9]")
_PERIOD_BEFORE_MARK = re.compile("\\.[,;:]")
_HYPHENED = re.compile("(?:-(?:(?:[A-Za-z]\\.){2,}+|[A-Za-z0-9]++))++")


@dataclass(frozen=True)
class Reach:
    """A token that begins from ``start`` on goes on to ``end`` where ``first`` matches there and ends by ``before``."""

    start: int
    before: int
    end: int
    first: re.Pattern[str]


class Reaches:
    """What the long tokens of one text reach; ask for rising positions."""

    def __init__(self, text: str) -> None:
        self._text = text
        lower = text.lower()
        kinds = []
        if "@" in text:
            kinds.append(_emails(text))
        if "://" in text:
            kinds.append(_urls(text))
        if "www." in lower:
            kinds.append(_sites(text, _WWW_RUN, _WWW_FIRST, _WWW_END))
        if _SITE_END.search(lower):
            kinds.append(_sites(text, _SITE_RUN, _SITE_FIRST, _SITE_END))
        if _FILE_END.search(lower):
            kinds.append(_files(text))
        if "-" in text:
            kinds.append(_dotted(text))
        self._waiting = [(kind, reach) for kind in kinds if (reach := next(kind, None))]

    def end(self, position: int) -> int:
        """Where the longest of these tokens that begins at ``position`` ends; -1 if none does."""
        best = -1
        for number, (kind, reach) in enumerate(self._waiting):
            while reach.before <= position and (following := next(kind, None)):
                reach = following  # noqa: PLW2901
                self._waiting[number] = (kind, reach)
            if reach.start <= position < reach.before and reach.end > best:
                first = reach.first.match(self._text, position)
                if first and first.end() <= reach.before:
                    best = reach.end
        return best


def _emails(text: str) -> Iterator[Reach]:
    for run in _UNBROKEN_OR_NBSP.finditer(text):
        start, end = run.span()
        at = text.rfind("@", start, end)
        while at >= 0 and (at + 1 == end or text[at + 1] == "."):
            at = text.rfind("@", start, at)
        if at >= 0 and (domain := _DOMAIN.match(text, at + 1, end)):
            stop = domain.end() + (text[domain.end() : domain.end() + 1] == ">")
            yield Reach(start - (start > 0 and text[start - 1] == "<"), at, stop, _EMAIL_FIRST)


def _urls(text: str) -> Iterator[Reach]:
    for run in _UNBROKEN.finditer(text):
        if "://" in run[0]:
            end = run.start() + len(run[0].rstrip(".!?,-"))
            yield Reach(run.start(), end - 1, end, _URL_FIRST)


def _sites(text: str, run: re.Pattern[str], first: re.Pattern[str], last: re.Pattern[str]) -> Iterator[Reach]:
    for names in run.finditer(text):
        domain = None
        for domain in last.finditer(text, *names.span()):  # noqa: B007
            pass
        if domain:
            path = _PATH.match(text, domain.end())
            yield Reach(names.start(), domain.start(), (path or domain).end(), first)


def _files(text: str) -> Iterator[Reach]:
    for names in _FILE_RUN.finditer(text):
        suffix = None
        for suffix in _FILE_END.finditer(text, names.start(), names.end() + 1):  # noqa: B007
            pass
        if suffix:
            end = suffix.end() + bool(_PERIOD_BEFORE_MARK.match(text, suffix.end()))
            yield Reach(names.start(), suffix.start(), end, _FILE_FIRST)


def _dotted(text: str) -> Iterator[Reach]:
    for run in _DOTTED_RUN.finditer(text):
        if hyphened := _HYPHENED.match(text, run.end()):
            end = hyphened.end()
            yield Reach(run.start(), run.end(), end + bool(_PERIOD_BEFORE_MARK.match(text, end)), _DOTTED_FIRST)
