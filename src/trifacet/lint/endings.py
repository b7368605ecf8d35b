"""How a text ends: with "photo" and its kin, or in the middle of a sentence.

Invariant: the words are English ones; a text that shows another language, in which such a word ends a sentence, is let
be. Every pattern is linear in the text's length.
"""

from __future__ import annotations

import regex

from trifacet.lint.rule import Case

PICTURE = r"(?:image|picture|photo|photograph|pic|graphic|snapshot|img)"
_ENDS = regex.compile(  # not "posing for a picture": there the picture is what the text is about
    rf"(?<!\b(?:an?|the|this|that|these|those|my|your|his|her|its|our|their|each|every|in|of|for|one|same|to|take|takes"
    rf"|taking|took|group|’s|'s) )\b{PICTURE}s?\W*+$",
    regex.IGNORECASE,
)
# Words that cannot end an English description ("vitamin A" can), and marks that want something after them.
_CUT = regex.compile(
    r"(?<![\w'’])(?:a|the|of|with|into|onto|its|their|my|your|our|which|while|because|between|towards?"
    r"|beside|wearing|holding|containing|including|featuring)$|(?:\.\.\.|…|[,;:(\[{&–—]|\w-)$"
)
# Words that end descriptions in other languages: "zündet eine Kerze an", "bague en or", "en svømmende and", "mỏ than".
_CUT_ENGLISH = regex.compile(r"(?<![\w'’])(?:an|and|or|than)$")
_ENGLISH = regex.compile(r"\b(?:the|is|are|with|of|from|his|their|its|this|that|which|near)\b", regex.IGNORECASE)
_ARTICLE = regex.compile(r"\ba\b", regex.IGNORECASE)  # as in French "il y a"
_NORDIC = regex.compile(r"\b(?:en|et|og|och|med|den)\b|[æøå]", regex.IGNORECASE)
_FRENCH = regex.compile(
    r"\b(?:[Uu]ne?|[Ll](?:es?|a)|[Dd](?:es|u)|et|avec|[Dd]ans|[Ss]ur|aux?|[Aa]ppareil|[Cc]adre|[Aa]lbum|[LlDd]['’])\b"
)


def ends_with_image(case: Case) -> str | None:
    """The last word where it says that the image is one."""
    found = _ENDS.search(case.plain)
    return found.group()[:80] if found and not _FRENCH.search(case.plain) else None  # "une femme prend une photo"


def cut_off(case: Case) -> str | None:
    """The last word or mark where something has to follow it."""
    if found := _CUT.search(case.plain):
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
