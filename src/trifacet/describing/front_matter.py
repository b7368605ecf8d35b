"""Pictures that the front matter of a page names, with the text beside the address.

Read are YAML between ``---`` and TOML between ``+++``, at the beginning of the file:

* a mapping with a picture (image, src, path, url, file, img) and a text (alt, alt_text, altText, image_alt, imageAlt),
  such as ``cover`` of Hugo's PaperMod, ``image`` of jekyll-seo-tag, Chirpy and Astro's content, ``hero.image`` of
  Starlight and VitePress; under the names ``cover``, ``image`` and ``hero_image`` also where the text is not there;
* two fields beside each other, KEY and KEY_alt, KEY-alt, KEYAlt, KEY_alt_text or KEYAltText: ``image-alt`` of Quarto,
  ``feature_image_alt`` of Ghost, ``heroImageAlt``, ``coverAlt``; and ``image_description`` of Minimal Mistakes.

Docusaurus' ``image`` has no text. Invariant: front matter that can't be read holds no pictures; aliases are not
followed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from trifacet.describing.addresses import file_name, picture_at
from trifacet.describing.decision import Known, decided
from trifacet.describing.editing import Found, Write
from trifacet.describing.findings import findings_of
from trifacet.describing.place import Around, Edit, Place, State
from trifacet.describing.source import Change, one_line
from trifacet.lint.documents import AltText
from trifacet.lint.templates import template_in

_FRONT = re.compile(r"(---|\+\+\+)[ \t]*(?:\r\n|\r|\n)")
_END = re.compile(r"(?<![^\r\n])(---|\.\.\.|\+\+\+)[ \t]*(?=[\r\n]|\Z)")
_LONGEST = 100_000  # characters
_DEEPEST = 20
_MOST_BRACKETS = 1000
_MARKS = re.compile(r"[\"\\]")
_COMMANDS = re.compile(r"[\"\\{}\[\]@$#%*|_~`<]")
_PICTURES = ("image", "src", "path", "url", "file", "img")
_ALTS = ("alt", "alt_text", "altText", "image_alt", "imageAlt")
_BESIDE = ("_alt", "-alt", "Alt", "_alt_text", "AltText", "-alt-text")
_KNOWN = ("cover", "image", "hero_image")
_TABLE = re.compile(r"[ \t]*\[([^\[\]\r\n]+)\][ \t]*(?:#[^\r\n]*)?")
_FIELD = re.compile(r"[ \t]*([\w-]+)[ \t]*=[ \t]*(\"(?:[^\"\\\r\n]|\\.)*+\"|'[^'\r\n]*')[ \t]*(?:#[^\r\n]*)?")


@dataclass(frozen=True)
class _Value:
    """A text: where its key begins, from where to where it is written, and its quote: "" for none, else a block's."""

    text: str | None
    key: int
    start: int
    end: int
    style: str


@dataclass(frozen=True)
class _Mapping:
    """Texts by their keys; ``name`` is the mapping's own key."""

    name: str
    values: dict[str, _Value]
    flow: bool = False
    toml: bool = False


@dataclass(frozen=True)
class FrontMatter:
    """What stands before a page: its length in characters, its pictures, the page's title and language."""

    length: int = 0
    found: tuple[Found, ...] = ()
    title: str = ""
    language: str = ""


def read_front_matter(text: str, path: str) -> FrontMatter:
    """The front matter of a page; one of length 0 where there is none."""
    begin = _FRONT.match(text)
    if begin is None:
        return FrontMatter()
    end = next((one for one in _END.finditer(text, begin.end()) if (one[1] == "+++") == (begin[1] == "+++")), None)
    if end is None or end.start() > _LONGEST:
        return FrontMatter(end.end() if end is not None else 0)
    body, start = text[begin.end() : end.start()], begin.end()
    mappings = list(_toml(body, start) if begin[1] == "+++" else _yaml(body, start))
    top = next((one.values for one in mappings if not one.name), {})
    said = {name: (top[name].text or "").strip() for name in ("title", "lang", "language", "locale") if name in top}
    language = next((said[name] for name in ("lang", "language", "locale") if said.get(name)), "")
    around = Around(page=said.get("title", ""), language=language)
    found = tuple(one for mapping in mappings for one in _pictures(mapping, around, text, path))
    return FrontMatter(end.end(), found, around.page, language)


def _pictures(mapping: _Mapping, around: Around, text: str, path: str) -> Iterator[Found]:
    values = mapping.values
    nested = next((key for key in _PICTURES if key in values and values[key].text), None)
    alt = next((key for key in _ALTS if key in values), None)
    if nested and mapping.name and (alt or mapping.name in _KNOWN):
        yield _found(values[nested], values.get(alt or ""), mapping, around, text, path)
    for key, value in values.items():
        beside = (*(key + ending for ending in _BESIDE), *(("image_description",) if key == "image" else ()))
        named = next((name for name in beside if name in values), None)
        if named and value.text and not (key == nested and alt and mapping.name):
            yield _found(value, values[named], mapping, around, text, path)


def _found(picture: _Value, alt: _Value | None, mapping: _Mapping, around: Around, text: str, path: str) -> Found:
    shown = picture_at(picture.text or "")
    given = alt.text if alt is not None else None
    state: State = "missing" if given is None else "text" if given.strip() else "empty"
    if alt is not None and template_in(text[alt.start : alt.end]):
        state = "template"
    around = Around(page=around.page, language=around.language, file_name=file_name(shown))
    if (caption := mapping.values.get("caption")) is not None:
        around = Around(caption=(caption.text or "")[:1000], **{k: getattr(around, k) for k in _KEPT})
    marked = 'its page marks it as decorative (alt: "")' if state == "empty" else ""
    role, reason = decided(Known(alt=given, marked=marked, caption=around.caption, file_name=around.file_name))
    fixed = ""
    if state == "template" or template_in(shown.address):
        fixed = "holds a template"
    elif alt is not None and (alt.style not in ("", '"', "'") or "\n" in text[alt.start : alt.end]):
        fixed = "its text has several lines"
    at = alt.start if alt is not None else picture.key
    line, column = _place(text, at)
    unasked = {"empty": "decorative", "template": "template"}.get(state, "")
    place = Place(
        key=f"front@{at}", picture=shown, alt=given, state=state, role=role, reason=reason, around=around,
        line=line, column=column, fixed=fixed,
        findings=findings_of(AltText(given, context=around.caption or None, image=shown.address, unasked=unasked)),
    )  # fmt: skip
    return Found(place, None if fixed else _writer(picture, alt, mapping, text, path))


_KEPT = ("page", "language", "file_name")


def _writer(picture: _Value, alt: _Value | None, mapping: _Mapping, text: str, path: str) -> Write:
    def write(edit: Edit) -> Iterator[Change]:
        wanted = one_line(edit.alt, path)
        if alt is not None:
            blank = " " if alt.start == alt.end and text[alt.start - 1 : alt.start] == ":" else ""
            single = alt.style == "'" and not (mapping.toml and "'" in wanted) and not template_in(wanted)
            quoted = (
                f"'{wanted if mapping.toml else wanted.replace(chr(39), chr(39) * 2)}'" if single else _double(wanted)
            )
            yield alt.start, alt.end, blank + quoted
            return
        line_start = max(text.rfind("\n", 0, picture.key), text.rfind("\r", 0, picture.key)) + 1
        ends = re.compile(r"\r\n|\r|\n").search(text, picture.key)
        between = ", " if mapping.flow else (ends[0] if ends else "\n") + " " * (picture.key - line_start)
        yield picture.key, picture.key, f"alt{' = ' if mapping.toml else ': '}{_double(wanted)}{between}"

    return write


def _double(text: str) -> str:
    """Between double quotes, as YAML and TOML both have it; of what a template would act on each mark by its number."""
    marks = _COMMANDS if template_in(text) else _MARKS
    return (
        '"' + marks.sub(lambda found: f"\\{found[0]}" if found[0] in '\\"' else f"\\u{ord(found[0]):04x}", text) + '"'
    )


def _place(text: str, at: int) -> tuple[int, int]:
    lines = re.split(r"\r\n|\r|\n", text[:at])
    return len(lines), len(lines[-1]) + 1


def _yaml(body: str, start: int) -> Iterator[_Mapping]:
    if not re.search(r"alt|cover|image", body, re.IGNORECASE):
        body = "\n".join(line for line in body.splitlines() if re.match(r"(?:title|lang|language|locale):", line))
    if body.count("[") + body.count("{") > _MOST_BRACKETS:
        return
    try:
        root = yaml.compose(body, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [("", root, 0)]
    while waiting:
        name, node, depth = waiting.pop()
        if id(node) in seen or depth > _DEEPEST:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(name, one, depth + 1) for one in node.value]
        elif isinstance(node, yaml.MappingNode):
            values = {
                key.value: _Value(
                    None if value.tag.endswith(":null") else value.value,
                    start + key.start_mark.index,
                    start + value.start_mark.index,
                    start + value.end_mark.index,
                    value.style or "",
                )
                for key, value in node.value
                if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode) and not key.style
            }
            yield _Mapping(name, values, flow=bool(node.flow_style))
            waiting += [(key.value, value, depth + 1) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _toml(body: str, start: int) -> Iterator[_Mapping]:
    """Tables with their texts of one line each."""
    try:
        tomllib.loads(body.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    name, values, at = "", dict[str, _Value](), start
    for line in re.split(r"(?<=\n)", body):
        if (table := _TABLE.match(line)) is not None:
            yield _Mapping(name, values, toml=True)
            name, values = table[1].strip().rpartition(".")[2], {}
        elif (field := _FIELD.match(line)) is not None:
            text = str(tomllib.loads(f"x={field[2]}")["x"])
            values[field[1]] = _Value(text, at + field.start(1), at + field.start(2), at + field.end(2), field[2][0])
        at += len(line)
    yield _Mapping(name, values, toml=True)
