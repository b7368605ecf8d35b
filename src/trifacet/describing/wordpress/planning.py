"""From decided texts to a plan: which fields of which posts they change, and how.

Invariant: an export is looked at only as it was scanned; what a site would not keep as it is comes into no plan.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import resolve_inside
from trifacet.base.opening import read_bytes
from trifacet.describing.decided import Decided
from trifacet.describing.difference import unified
from trifacet.describing.findings import has_text
from trifacet.describing.formats import START, format_of
from trifacet.describing.formats.markup import MAX_XML
from trifacet.describing.formats.wordpress import FORMAT
from trifacet.describing.place import Edit, Place
from trifacet.describing.source import one_line
from trifacet.describing.wordpress.connection import site_address
from trifacet.describing.wordpress.export import Field, read_export
from trifacet.describing.wordpress.plan import Plan, Text, Update
from trifacet.describing.wordpress.raw import digest_of, patched, pictures_in

_HEX = "0123456789abcdefABCDEF"
_NUMBERED = re.compile(r"<img\b[^<>]*?\bwp-image-(\d{1,18})\b", re.IGNORECASE)  # as WordPress marks its pictures


@dataclass(frozen=True)
class Planned:
    """An update with the texts of its field; or why there is none. ``kept`` places keep the text that they have."""

    name: str
    update: Update | None = None
    before: str = ""
    after: str = ""
    kept: int = 0
    problem: str = ""

    @property
    def shown(self) -> str:
        """What changes, as a unified diff; "" where nothing does."""
        if self.update is None:
            return ""
        path = f"{self.update.type}-{self.update.post}/{self.update.field}"
        before, after = (text.encode("utf-8", "replace") for text in (self.before, self.after))
        return unified(path, before, after).decode("utf-8")


@dataclass(frozen=True)
class _Wanted:
    """A text, the suggestion that it is of, and whether it was asked for where a text may be said to need none."""

    edit: Edit
    suggestion: str
    asked: bool


def plan_of(
    decided: Decided, root: Path, site: str = "", *, overwrite: bool = False, from_library: bool = False
) -> tuple[Plan, list[Planned], int]:
    """What becomes of a site's posts.

    Args:
        decided: texts that people decided.
        root: folder that the exports lie below.
        site: its address, where it is not the one that the exports tell.
        overwrite: also where a text stands, or it is said that none is needed.
        from_library: pictures of posts that have no text, or an empty one, get that of the media library.

    Returns:
        the plan, all posts with what becomes of them, and how many documents are no exports of WordPress's.

    Raises:
        TrifacetError: no document is one, one can't be read or has changed, or they are of several sites.
    """
    told, others, sites = list[Planned](), 0, dict[str, str]()
    for document, (digest, edits) in decided.edits.wanted.items():
        path = resolve_inside(root, document)
        name = decided.edits.formats.get(document, "")
        if name not in ("", FORMAT.name):
            others += 1
            continue
        data = read_bytes(path, MAX_XML)
        if not name and format_of(document, data[:START]) is not FORMAT:
            others += 1
            continue
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError("changed since it was scanned", fix="suggest from it again", file=document)
        address, fields = read_export(data, document)
        sites[site_address(site or address)] = document
        ids = {key: one for (where, key), one in decided.ids.items() if where == document}
        more = _of_library(fields, edits) if from_library else {}
        told += _posts(document, fields, {**more, **edits}, ids, overwrite, set(more))
    if not sites:
        raise TrifacetError("no text that is accepted or edited is for a WordPress export (--format wordpress)")
    if len(sites) > 1:
        raise TrifacetError(f"the exports are of several sites ({', '.join(sites)}); use a queue for each")
    kept = _once(told)
    return Plan(next(iter(sites)), tuple(one.update for one in kept if one.update is not None)), kept, others


def _of_library(fields: Mapping[str, Field], edits: Mapping[str, Edit]) -> dict[str, Edit]:
    """Texts for the pictures of posts that have none, or an empty one, by the picture's number in the library.

    The block editor writes an empty text where nobody gave one, and copies that of the library only when a picture is
    put in.
    """
    library = {field.post: field.value for field in fields.values() if field.name == "alt_text"}
    library |= {fields[key].post: edit.alt for key, edit in edits.items() if key in fields}
    found = {}
    for start, field in fields.items():
        for one in pictures_in(field.value, f"{field.type} {field.post}") if field.name != "alt_text" else ():
            named = _NUMBERED.match(field.value, int(one.place.key.partition("@")[2].partition("#")[0] or 0))
            alt = library.get(int(named[1]), "").strip() if named else ""
            if alt and not one.place.fixed and not (one.place.alt or "").strip():
                found[f"{start}:{one.place.key}"] = Edit(alt)
    return {key: edit for key, edit in found.items() if key not in edits}


def _posts(
    document: str,
    fields: Mapping[str, Field],
    edits: Mapping[str, Edit],
    ids: Mapping[str, str],
    overwrite: bool,
    asked: Collection[str],
) -> list[Planned]:
    by_field: dict[str, dict[str, _Wanted]] = {}
    for key, edit in edits.items():
        start, _, inner = key.partition(":")
        if start not in fields:
            raise DataError(f"holds no place {key[:80]!r}", fix="suggest from it again", file=document)
        by_field.setdefault(start, {})[inner] = _Wanted(edit, ids.get(key, ""), key in asked)
    return [_planned(fields[start], texts, overwrite) for start, texts in by_field.items()]


def _once(told: list[Planned]) -> list[Planned]:
    """Of two exports that tell of the same field the first counts."""
    seen = set[tuple[int, str]]()
    kept = []
    for one in told:
        key = (one.update.post, one.update.field) if one.update else None
        twice = key in seen
        kept.append(Planned(one.name, problem="stands in two exports; keep one of them") if twice else one)
        seen |= {key} if key else set()
    return kept


def _planned(field: Field, texts: Mapping[str, _Wanted], overwrite: bool) -> Planned:
    name = f"{field.type} {field.post}"
    try:
        if field.name == "alt_text":
            return _of_media(field, next(iter(texts.values())), overwrite)
        return _of_content(field, texts, overwrite)
    except TrifacetError as error:
        return Planned(name, problem=str(error).removeprefix(f"{name}: "))


def _of_media(field: Field, wanted: _Wanted, overwrite: bool) -> Planned:
    name = f"{field.type} {field.post}"
    alt = one_line(wanted.edit.alt, name)
    if field.value.strip() and not overwrite:
        return Planned(name, kept=1)
    if not alt:
        told = "the media library can't say that a picture is decorative; say so in the posts that show it"
        return Planned(name, problem=told)
    if problem := unfit(alt):
        return Planned(name, problem=problem)
    return _update(field, alt, (Text("", field.title[:1000], field.value or None, alt, wanted.suggestion),), 0)


def _of_content(field: Field, texts: Mapping[str, _Wanted], overwrite: bool) -> Planned:
    name = f"{field.type} {field.post}"
    places = {one.place.key: one.place for one in pictures_in(field.value, name)}
    wanted = {key: one for key, one in texts.items() if overwrite or one.asked or not _keeps(places.get(key))}
    after = patched(field.value, {key: Edit(one.edit.alt) for key, one in wanted.items()}, name)
    rows = tuple(
        Text(key, places[key].picture.address[:1000], places[key].alt, one.edit.alt, one.suggestion)
        for key, one in wanted.items()
    )
    return _update(field, after, rows, len(texts) - len(wanted))


def _keeps(place: Place | None) -> bool:
    return place is not None and has_text(place)


def _update(field: Field, after: str, texts: tuple[Text, ...], kept: int) -> Planned:
    if after == field.value or not texts:
        return Planned(f"{field.type} {field.post}", kept=kept)
    digests = digest_of(field.value), digest_of(after)
    update = Update(field.post, field.type, field.title[:200], field.name, *digests, texts)
    return Planned(update.name, update, field.value, after, kept)


def unfit(alt: str) -> str:
    """Why the media library would not keep a text as it is; "" where it would.

    WordPress's REST API passes such a text through ``sanitize_text_field``, and takes backslashes out.
    """
    shown = repr(alt[:60])
    if "<" in alt:
        return f"the media library keeps no '<' in a text ({shown}); write it in words"
    if "\\" in alt:
        return f"the media library keeps no backslash in a text ({shown}); write another sign"
    octet = next((alt[n : n + 3] for n, char in enumerate(alt) if char == "%" and _is_octet(alt[n + 1 : n + 3])), "")
    if octet:
        return f"the media library keeps no {octet!r} in a text ({shown}); put a blank behind the %"
    return "" if alt == " ".join(alt.split()) else f"the media library keeps single blanks only ({shown})"


def _is_octet(text: str) -> bool:
    return len(text) == 2 and all(char in _HEX for char in text)
