"""Places where a picture may stand that no reader looks into: they are counted and told, so that none is missed
silently.

Invariant: linear in the text's length; what is told here is no place, and changes no exit code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trifacet.lint.pages import tree_of, walk
from trifacet.lint.roles import attribute

_FILE = r"\.(?:jpe?g|png|gif|webp|avif|svg|heic|bmp)\b"
_PICTURED = re.compile(r"<(?:[\w-]+:)?(?:img|image|svg|object|embed)\b", re.IGNORECASE)
_NAMED = r"[\w.-]*(?:img|image|picture|photo|figure|gallery|lightbox)[\w.-]*"
_SHORTCODE = re.compile(
    r"(?<![\"'(=/])(?:\{\{[<%]|\{%-?|\{\{)\s*(?P<name>"
    rf"{_NAMED})\b[^{{}}]{{0,2000}}?(?:[%>}}]\}}|\}}\}})",
    re.IGNORECASE,
)
_NAMES_FILE = re.compile(_FILE, re.IGNORECASE)
_COMPONENT = re.compile(r"<([A-Z][\w.]{0,100})(?=[\s/>])([^<]{0,4000})")
_SHOWS = re.compile(r"\s(?:src|srcSet|image|img|sources|cover|photo|picture|thumbnail)\s*=", re.IGNORECASE)


@dataclass(frozen=True)
class Unseen:
    """A place that is not looked into: what it is, and its line (from 1) where that is known."""

    what: str
    line: int | None = None


def in_page(text: str, path: str, first: int = 0) -> Iterator[Unseen]:
    """Pictures in ``<noscript>`` and ``srcdoc``; ``first`` is added to lines."""
    lower = text.lower()
    if "<noscript" not in lower and "srcdoc" not in lower:
        return
    for element, _ in walk(tree_of(text, Path(path))):
        held = attribute(element, "srcdoc") if element.name == "iframe" else ""
        if element.name == "noscript":
            held = "".join(child.data or "" for child in element.children if child.name == "#text")
            held += "".join(f"<{child.name} " for child in element.children if child.name not in ("#text", "#comment"))
        line = (element.origin_location or (None, None))[0]
        what = "noscript" if element.name == "noscript" else "srcdoc"
        for _ in _PICTURED.finditer(held):
            yield Unseen(what, None if line is None else line + first)


def shortcodes(text: str, known: Callable[[int], bool] = lambda at: False) -> Iterator[Unseen]:
    """Shortcodes and tags of templates that are called after a picture and name its file, but for those that are
    known.
    """
    for found in _SHORTCODE.finditer(text):
        if _NAMES_FILE.search(found[0]) is not None and not known(found.start()):
            yield Unseen(f"shortcode {found['name'][:40]}", text.count("\n", 0, found.start()) + 1)


def components(text: str, known: Iterable[str]) -> Iterator[Unseen]:
    """Components of JSX that are given a picture, but for those that are known."""
    for found in _COMPONENT.finditer(text):
        if found[1] not in known and _SHOWS.search(found[2].partition("/>")[0]):
            yield Unseen(f"component {found[1][:40]}", text.count("\n", 0, found.start()) + 1)


def summed(unseen: Iterable[Unseen]) -> str:
    """How many there are, and of what kind; "" for none."""
    counts = Counter(one.what for one in unseen)
    if not counts:
        return ""
    total = sum(counts.values())
    kinds = ", ".join(f"{what} {count}" for what, count in counts.most_common(6))
    more = ", ..." if len(counts) > 6 else ""
    return f"{total} place{'s' * (total != 1)} not looked into ({kinds}{more})"
