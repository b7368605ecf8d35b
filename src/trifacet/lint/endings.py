"""How a text begins and ends: with "photo" and its kin, or in the middle of a sentence.

Invariant: the words are English ones; a text that shows another language, in which such a word ends a sentence, is let
be. Every pattern is linear in the text's length.
"""

from __future__ import annotations

import regex

from trifacet.lint.rule import Case

PICTURE = r"(?:image|picture|photo|photograph|pic|graphic|snapshot|img)"
_STARTS = regex.compile(
    rf"(?:(?:this|here|it|that)(?: is|['’]s) )?(?:an? |the )?{PICTURE}s? (?:of|showing|shows|that shows|depicting|"
    rf"depicts|features|featuring|captures|showcases|displays)\b|in (?:this|the) {PICTURE}\b"
    r"|(?:alt|alt[- ]?text|(?:image |photo )?description|image|photo|caption(?! ?: ?[\"“«„])"
    r"|id(?!.*\b(?:licen[cs]e|card|passport|badge)\b)) ?:",
    regex.IGNORECASE,
)
_SHOWN = regex.compile(  # pictures that are what the image shows
    r"(?:photo|picture|image)s of .*\b(?:hang|hung|hanging|lie|lying|pinned|taped|glued|framed"
    r"|(?:cover|line) the|on an? (?:wall|fence|table|board|phone|screen|door|fridge|desk|shelf))\b",
    regex.IGNORECASE,
)
# Kinds of pictures that are things themselves, and looks of those that are held or hung up.
_KINDS = (
    "wedding|family|class|school|group|team|passport|id|profile|cover|portrait|polaroid|instant|old|vintage|framed|faded"
    "|torn|sepia|satellite|aerial|x-ray|ultrasound|mri|ct|thermal|infrared|radar|microscope|telescope|mirror|childhood"
    "|baby|souvenir|printed"
)
_ENDS = regex.compile(  # not "posing for a picture": there the picture is what the text is about
    rf"(?<!\b(?:{_KINDS}|an?|the|this|that|these|those|my|your|his|her|its|our|their|each|every|in|of|for|one|same|to|take|takes"
    rf"|taking|took|group|’s|'s) )\b{PICTURE}s?\W*+$",
    regex.IGNORECASE,
)
# Words that cannot end an English description ("vitamin A" can), and marks that want something after them.
_CUT = regex.compile(
    r"(?<![\w'’])(?:(?<!\bletter )a|the|of|with|into|onto|its|their|my|your|our|which|while|because|between|towards?"
    r"|beside|wearing|holding|containing|including|featuring) ?(?:\.\.\.|…)?$|[,;:(\[{&–—]$|\w-$"
)
_DOTS = regex.compile(r"(?:\.\.\.|…)$")
_TRUNCATED = 40  # characters that a text has which was cut to a length; dots behind fewer are their author's
# "What it is made of", "the one she arrived with": in a clause of its own the word may stand at the end.
_STRANDED = regex.compile(
    r"\b(?:I|he|she|it|we|you|they|who|whom|what|which|that)\b(?: [\w'’-]++){0,5} (?:of|with)$", regex.IGNORECASE
)
# Words that end descriptions in other languages: "zündet eine Kerze an", "bague en or", "en svømmende and", "mỏ than".
_CUT_ENGLISH = regex.compile(r"(?<![\w'’])(?:an|and|or|than)$")
_ENGLISH = regex.compile(r"\b(?:the|is|are|with|of|from|his|their|its|this|that|which|near)\b", regex.IGNORECASE)
_ARTICLE = regex.compile(r"\ba\b", regex.IGNORECASE)  # as in French "il y a"
_NORDIC = regex.compile(r"\b(?:en|et|og|och|med|den)\b|[æøå]", regex.IGNORECASE)
_FRENCH = regex.compile(
    r"\b(?:[Uu]ne?|[Ll](?:es?|a)|[Dd](?:es|u)|et|avec|[Dd]ans|[Ss]ur|aux?|[Aa]ppareil|[Cc]adre|[Aa]lbum|[LlDd]['’])\b"
)


def starts_with_image(case: Case) -> str | None:
    """The words that say that an image is coming."""
    found = _STARTS.match(case.plain)
    return found.group() if found and not _SHOWN.match(case.plain) else None


def ends_with_image(case: Case) -> str | None:
    """The last word where it says that the image is one."""
    found = _ENDS.search(case.plain)
    return found.group()[:80] if found and not _FRENCH.search(case.plain) else None  # "une femme prend une photo"


def cut_off(case: Case) -> str | None:
    """The last word or mark where something has to follow it."""
    if (found := _CUT.search(case.plain)) and not _STRANDED.search(case.plain):
        return found.group()
    if len(case.plain) >= _TRUNCATED and (found := _DOTS.search(case.plain)):
        return found.group()
    if (found := _CUT_ENGLISH.search(case.plain)) is None:
        return None
    match word := found.group():
        case "and":
            english = not _NORDIC.search(case.plain)
        case "or":
            english = bool(_ENGLISH.search(case.plain))
        case _:
            english = bool(_ENGLISH.search(case.plain) or _ARTICLE.search(case.plain))
    return word if english else None
