"""What a model is asked about a place: a request for its role, in the language of the element, with what is around it.

Invariant: nothing of a page, a picture or a glossary stands in a request but as a field of its prompt: as a JSON string
on one line, bounded, with control tokens broken (``llm.prompts``); of a model that is asked as it was trained, as the
post behind its label, where the encoder breaks them. The same place with the same settings gives the same request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

from trifacet.base.digests import json_digest
from trifacet.data.records import TestSample
from trifacet.describing.code import without_code
from trifacet.describing.glossary import NONE, Glossary
from trifacet.describing.names import Known
from trifacet.describing.place import Around, Place, Role
from trifacet.lettering.request import plain
from trifacet.lint.rule import PLATFORMS
from trifacet.llm.prompts import Prompt, make_prompt

Way = Literal["roles", "trained"]
LONGEST = 250  # characters of an alt-text where nothing else is asked for
LONGEST_LONG = 2_000  # of a long description
_MOST = {"before": 1200, "after": 600, "caption": 600, "headings": 400}  # characters of a field; others have
_OTHERS = 200
LANGUAGES = {  # as a request names them beside their code
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """How places are put to a model.

    Attributes:
        way: "roles": with the prompts of ``texts/``; "trained": with the one request that the model was trained with,
            and the words around the picture as its post. A small model understands no other.
        longest: characters of a text.
        glossary: names and brands.
        language: of all texts ("": that of each element).
    """

    way: Way = "roles"
    longest: int = LONGEST
    glossary: Glossary = NONE
    language: str = ""

    @classmethod
    def of(cls, *, way: Way, platform: str | None, max_chars: int | None, glossary: Glossary, language: str) -> Asking:
        """With the length that a platform takes, or fewer characters where ``max_chars`` asks for them."""
        limits = [LONGEST if platform is None and max_chars is None else 10_000]
        limits += [PLATFORMS[platform]] if platform is not None else []
        limits += [max_chars] if max_chars is not None else []
        return cls(way, min(limits), glossary, language)


@dataclass(frozen=True)
class Request:
    """What a model is asked, but for the picture: a prompt with its fields; or, as it was trained, a post alone."""

    prompt: Prompt | None
    fields: Mapping[str, str] = field(default_factory=dict)
    post: str = ""

    @property
    def digest(self) -> str:
        """What identifies it."""
        return json_digest([self.prompt and self.prompt.sha256, sorted(self.fields.items()), self.post])

    def sample(self, name: str, image: str) -> TestSample:
        """It as a writer takes it; ``words`` gives an endpoint the prompt's parts."""
        if self.prompt is None:
            return TestSample(id=name, image=image, context=self.post)
        system, user = self.prompt.render(self.fields)
        extra: dict[str, Any] = {"system": system, "request": self.prompt.text, "fields": dict(self.fields)}
        return TestSample(id=name, image=image, prompt=user, extra=extra)


def words(sample: TestSample) -> tuple[Prompt, Mapping[str, str]]:
    """A sample's prompt and fields, for ``llm.writer.EndpointWriter``."""
    return _prompt("request", sample.extra["request"]), sample.extra["fields"]


def context_digest(place: Place) -> str:
    """What identifies what is around a picture, and what it is for."""
    return json_digest([place.role, place.around.link, *_around(place.around).items()])


def language_of(place: Place, asking: Asking) -> str:
    """The language to write in, as BCP 47 in lower case; "" where nobody says."""
    return plain(asking.language or place.around.language).lower()[:35]


def request(
    place: Place, asking: Asking, read: Sequence[str] = (), *, long: bool = False, earlier: str = ""
) -> Request:
    """What a model is asked about a place.

    Args:
        place: the place.
        asking: how.
        read: the words read in the picture, as lines.
        long: the long description of a complex picture.
        earlier: a text that was too long.
    """
    around = _around(place.around)
    if asking.way == "trained":
        order = ("before", "caption", "after", "link_text", "title", "headings", "page")
        post = "\n".join(around[name] for name in order if name in around)
        return Request(None, post=post)
    fields = dict(around)
    code = language_of(place, asking)
    if name := LANGUAGES.get(code.split("-")[0]):
        fields["language"] = f"{name} ({code})"
    elif code:
        fields["language"] = code
    fields["longest"] = f"{LONGEST_LONG if long else asking.longest} characters"
    if told := " / ".join(plain(line) for line in read)[:1000]:
        fields["words"] = told
    if terms := plain(asking.glossary.told(*around.values(), told)):
        fields["glossary"] = terms
    if earlier:
        fields["earlier"] = plain(earlier)[:LONGEST_LONG]
    prompt = role_prompt(place.role, long=long)
    return Request(prompt.without(prompt.placeholders - fields.keys()), fields)


@lru_cache(maxsize=32)
def role_prompt(role: Role, *, long: bool = False) -> Prompt:
    """The prompt for a role, with all fields. A decorative picture's is that of a plain one."""
    name = "complex-long" if long else "plain" if role == "decorative" else role
    return make_prompt(name, f"{_text(name)}\n{_text('rules')}---\n{_text('place')}")


def known_names(place: Place, asking: Asking, read: Sequence[str] = ()) -> Known:
    """Where names in a text about a place may come from."""
    around = place.around
    words = (around.caption, *around.headings, around.before, around.after, around.link_text, around.title)
    context = [without_code(text) for text in (*words, around.page)]
    address = unquote(place.picture.address) if place.picture.source in ("file", "remote") else ""
    stem = PurePosixPath(around.file_name or address).stem
    return Known(context, (*asking.glossary.terms, *read, stem, unquote(around.link)))


def _around(around: Around) -> dict[str, str]:
    """What is said around a picture, plain, bounded and without templates' code; what is empty is left out."""
    told = {
        "page": around.page, "headings": " > ".join(around.headings), "caption": around.caption,
        "before": around.before, "after": around.after, "link": around.link, "link_text": around.link_text,
        "title": around.title,
        "file_name": around.file_name,
    }  # fmt: skip
    read = {name: plain(without_code(text)) for name, text in told.items()}
    return {name: cut for name, text in read.items() if (cut := _cut(text, _MOST.get(name, _OTHERS)))}


def _cut(text: str, most: int) -> str:
    """The whole words of a text that fit, with an ellipsis where some do not."""
    if len(text) <= most:
        return text
    head = text[:most].rpartition(" ")[0] or text[:most]
    return f"{head} …"


@lru_cache(maxsize=64)
def _prompt(name: str, text: str) -> Prompt:
    return make_prompt(name, text)


def _text(name: str) -> str:
    return (resources.files("trifacet.describing") / "texts" / f"{name}.txt").read_text(encoding="utf-8")
