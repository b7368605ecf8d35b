"""What a text says that the picture's letters say, and what of that they do not.

A claim is what stands in quotation marks; what follows "reads", "saying", "titled", "with the words" and their kin
without marks, up to the end of its sentence; and words in capitals amid others that are not. No claim are inches and
feet, apostrophes, what a person says ('she says "hello"'), and names of works and nicknames ('the song "Hello"').
Words between marks that are neither ('a "healthy" snack') cannot be told from lettering: they count as claims, unless
the text beside the picture has them.

Invariant: patterns are linear in the text's length; they know English words, of other languages the marks only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

import regex

from trifacet.lettering.lines import Lettering, line_of
from trifacet.lettering.matching import asked_words, left_out, missing, missing_within, scripts, word_count

MOST_CLAIMS = 100  # of a text
_LONGEST = 500  # characters of a claim
_SURE = 0.8  # confidence below which a line may say other words than were read
_SPARE = 1.5  # letters that may have stood where one was read without confidence

_QUOTED = regex.compile(
    r"(?<![\w\"])\"(?P<q>[^\"]{1,500}+)\"(?!\w)"
    r"|“(?P<q>[^“”\"]{1,500}+)[”\"]|„(?P<q>[^„“”]{1,500}+)[“”]|(?<!\w)”(?P<q>[^“”]{1,500}+)”"
    r"|«(?P<q>[^«»]{1,500}+)»|(?<!\w)»(?P<q>[^«»]{1,500}+)«|‹(?P<q>[^‹›]{1,500}+)›"
    r"|「(?P<q>[^「」]{1,500}+)」|『(?P<q>[^『』]{1,500}+)』|``(?P<q>[^`']{1,500}+)''"
    # Single ones: a mark within a word is an apostrophe.
    r"|(?<![\w'’‘])(?:['‘](?!\d\ds?\b|(?:tis|twas|em|til|cause|n)\b))"
    r"(?P<q>(?=[\w#@$€£¿¡])(?:[^'’‘\"“”]|(?<=\w)['’](?=\w)){1,500}+)['’](?!\w)",
    regex.IGNORECASE,
)
_BEARER = (
    r"(?:signs?|banners?|posters?|plaques?|billboards?|placards?|texts?|overlays?|titles?|captions?|cards?|shirts?"
    r"|t-?shirts?|hoodies?|hats?|mugs?|labels?|stickers?|boards?|letters|lettering|words?|wording|messages?|headlines?"
    r"|headings?|bubbles?|inscriptions?|logos?|flyers?|flags?|tags?|badges?|buttons?|writing|graffiti|slogans?)"
)
_READS = r"(?:reads?|reading|says?|saying|states?|stating|spells?(?:[ ]out)?|spelling(?:[ ]out)?)"
_TITLED = r"(?:(?:en)?titled|labell?ed|captioned|inscribed(?:[ ]with)?)"
_WORDS = (
    r"(?:words?|text|phrase|message|title|caption|slogan|inscription|heading|headline|lettering|text[ ]overlay|overlay)"
)
_MARK = r"(?P<mark>[ ]*+(?:[:—–]|,(?=[ ])))?[ ]*+"
# Before marks of quotation any of these is enough; without marks the words say more exactly that letters follow.
_BEFORE_QUOTED = regex.compile(
    rf"\b(?:{_READS}|{_TITLED}|{_WORDS}|{_BEARER}|lettered|marked|printed[ ]with|emblazoned[ ]with|written){_MARK}$",
    regex.IGNORECASE,
)
_BEFORE_UNQUOTED = regex.compile(
    rf"\b(?P<sure>{_BEARER}(?:[ ,]++(?:that|which))?[ ]++{_READS}|{_TITLED}"
    rf"|the[ ](?:words|phrase|inscription|slogan))\b{_MARK}"
    rf"|\b(?:(?:that|which)[ ](?:reads?|says?)|(?:the[ ]{_WORDS}|text[ ]overlay)(?:[ ]{_READS})?)\b{_MARK}",
    regex.IGNORECASE,
)
# What ends lettering that is given without marks: its sentence, or where and how it stands.
_ELSE = (
    r"(?:(?:on|in|over|above|below|under|against|across|next[ ]to|near|beside|behind|around|atop|at|with|while)"
    r"[ ]++(?:an?|the|its|her|his|their|top|front|white|black|red|blue|green|yellow|pink|gold|golden|orange|purple"
    r"|large|small|big|bold|script|cursive|capital|block)|written|hangs?|hanging|stands?|standing|is|are|was|were"
    r"|and[ ]++(?:an?|the|another))\b"
)
_NO_START = regex.compile(
    rf"{_ELSE}|(?:by|as|for|from|to|and|or|of|at|on|in|that|which|it|like|about|can|appears?|below|above|with|how|what|who|where|when|why)\b",
    regex.IGNORECASE,
)
_REST = regex.compile(
    rf"(?P<q>(?:(?![ ]++{_ELSE})[^.!?;,\n\"“”„«»()]|(?<=\d)[.,](?=\d)|\.(?=\w)){{1,200}}+)", regex.IGNORECASE
)
_CAPITALS = regex.compile(
    r"(?<![\p{L}\p{N}'’])(?=(?:\p{Lu}|\p{N}|[&'’ -])*\p{Lu}{4})\p{Lu}[\p{Lu}\p{N}'’&-]++"
    r"(?:[ ]++(?:[\p{Lu}\p{N}][\p{Lu}\p{N}'’&:-]*+|&)(?![\p{L}]))++"
)
_PERSON = (
    r"(?:he|she|they|we|i|you|who|people|person|man|woman|men|women|boy|girl|child|kid|mother|father|mom|dad|teacher"
    r"|lady|guy|author|speaker|player|actor|singer|customer)"
)
_SPEECH_BEFORE = regex.compile(
    rf"(?:\b{_PERSON}[ ]++(?:says?|said|asks?|asked|shouts?|shouted|whispers?|yells?|exclaims?|replie[ds]|thinks?"
    r"|thought)|\b(?:said|shouted|asked|replied|told[ ]\w+))[ ]*+[,:]?[ ]*+$",
    regex.IGNORECASE,
)
_SPEECH_BEHIND = regex.compile(
    rf"[ ]*+,?[ ]*+(?:(?:{_PERSON}|\p{{Lu}}\w++)[ ](?:says|said|asks|asked)|(?:says|said|asks|asked))\b"
)
# Names of works and nicknames, translations, and texts that are offered as descriptions.
_NAMING_BEFORE = regex.compile(
    r"\b(?:album|single|song|track|hit|film|movie|novel|series|show|episode|play|musical|opera|poem|painting|sculpture"
    r"|game|scene[ ]from|still[ ]from|from|nicknamed|dubbed|(?:known|designated|translate[ds]?)[ ]as|called|so-called"
    r"|named|aka|alias|starring[ ]in|character|role[ ]of|sing(?:s|ing)?|chant(?:s|ing)?|play(?:s|ing)|translates?[ ]to"
    r"|means?|meaning|(?:French|German|Spanish|Italian|Latin|Chinese|Japanese|Dutch|Russian)[ ]for"
    r"|possible[ ](?:caption|description)|(?:could|would|might)[ ]be)(?:[ ]an?|[ ]the)?[ ]*+[,:]?[ ]*+$",
    regex.IGNORECASE,
)
_OFFERED = regex.compile(r"\b(?:possible|suggested)[ ](?:caption|description)s?[ ]*+:?[ ]*+$", regex.IGNORECASE)
_DEFINED_BEHIND = regex.compile(r"[ ]++(?:means|stands[ ]for)\b")


class Claim(NamedTuple):
    """Words that a text says stand in the picture, and where it says so (characters, end exclusive).

    ``led``: it says in words that they are lettered; else there are only quotation marks or capitals.
    """

    text: str
    span: tuple[int, int]
    led: bool = False


class Checked(NamedTuple):
    """A claim, how many words it has (``asked_words``), and those that the picture does not hold."""

    claim: Claim
    words: int
    missing: tuple[str, ...]


def claimed(text: str) -> tuple[Claim, ...]:
    """The claims of a text, in its order; the first ``MOST_CLAIMS``."""
    chosen = list(islice(_quoted(text), MOST_CLAIMS))
    taken = [(found.start(), found.end()) for found in islice(_QUOTED.finditer(text), 2 * MOST_CLAIMS)]
    for claim in chain(islice(_unquoted(text), MOST_CLAIMS), islice(_capitals(text), MOST_CLAIMS)):
        if not any(start < claim.span[1] and claim.span[0] < end for start, end in taken):
            taken.append(claim.span)
            chosen.append(claim)
    chosen.sort(key=lambda claim: claim.span)
    return tuple(chosen[:MOST_CLAIMS])


def checked(lettering: Lettering, text: str, *beside: str) -> tuple[Checked, ...]:
    """The claims of a text that can be checked, each with the words of it that are invented.

    Words are excused where there are places of which the engine is not sure, and room for them there: half again as
    many letters as were read without confidence, or as fit into an unreadable box; and where the picture has letters of
    a script that the claim has not, of which it may be the translation. They are not where they would have to stand
    within a line that was read. Where nothing at all could be read ("cannot read") nothing can be checked.

    Args:
        lettering: what stands in the picture.
        text: what is said of it.
        beside: what stands beside the picture: words in quotation marks that it has too may be quoted from there.
    """
    if lettering.status == "cannot read":
        return ()
    room, others = _room(lettering), scripts(lettering.text)
    found = []
    for claim in claimed(text):
        if not claim.led and beside and not left_out([line_of(claim.text)], *beside):
            continue
        lack = missing(lettering, claim.text)
        if lack and (sum(map(len, lack)) <= room or others - scripts(claim.text)):
            lack = missing_within(lettering, claim.text, _SURE)
        found.append(Checked(claim, max(len(asked_words([line_of(claim.text)])), len(lack)), lack))
    return tuple(found)


def _quoted(text: str) -> Iterator[Claim]:
    for found in _QUOTED.finditer(text):
        start, end = found.span("q")
        before = text[max(0, found.start() - 60) : found.start()]
        if _OFFERED.search(before) or _DEFINED_BEHIND.match(text, found.end(), found.end() + 20):
            continue
        led = _BEFORE_QUOTED.search(before) is not None and not _SPEECH_BEFORE.search(before)
        if not led:
            if _SPEECH_BEFORE.search(before) or _NAMING_BEFORE.search(before):
                continue
            if _SPEECH_BEHIND.match(text, found.end(), found.end() + 60):
                continue
        if word_count(text[start:end]):
            yield Claim(text[start:end].strip(" ,"), (start, end), led)


def _unquoted(text: str) -> Iterator[Claim]:
    for lead in islice(_BEFORE_UNQUOTED.finditer(text), 10 * MOST_CLAIMS):
        before = text[max(0, lead.start() - 40) : lead.end()]
        rest = _REST.match(text, lead.end(), lead.end() + 200)
        if rest is None or _SPEECH_BEFORE.search(before):
            continue
        start, end = rest.span("q")
        stated = ":" in lead[0] or text[start].isupper() or text[start].isdigit()
        if not stated and (lead["sure"] is None or _NO_START.match(text, start)):
            continue
        words = text[start:end].strip()
        if word_count(words):
            yield Claim(words, (start, start + len(text[start:end].rstrip())), True)


def _capitals(text: str) -> Iterator[Claim]:
    letters = [char for char in text[:2_000] if char.isalpha()]
    if 2 * sum(map(str.isupper, letters)) > len(letters):
        return  # then it says nothing
    for found in _CAPITALS.finditer(text):
        if len(found[0]) <= _LONGEST:
            yield Claim(found[0], found.span())


def _room(lettering: Lettering) -> float:
    """How many letters may stand where the engine is not sure."""
    unsure = sum(len("".join(line.text.split())) for line in lettering.lines if line.confidence < _SURE)
    for left, upper, right, lower in lettering.unreadable:
        long, short = max(right - left, lower - upper), min(right - left, lower - upper)
        unsure += int(3 * long / max(short, 1.0))  # written letters are a third as wide as their line is high
    return _SPARE * unsure
