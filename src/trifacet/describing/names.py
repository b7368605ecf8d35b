"""Names in a suggestion that nobody told the model: neither the page, nor the glossary, nor letters in the picture.

A name that is made up is the gravest thing that a text can hold: a reader can't see that it is wrong. So what may be
one counts as one. In English that are words that no dictionary of common words has, those that it has as names, and
capitals in mid-sentence; in other languages of scripts with capitals, capitals, also the first word of a sentence
unless it is one of those that hold sentences together. German writes all nouns with capitals, and other scripts have
none: there nothing can be told without a pipeline (``building.name_finders``), and the text counts as unchecked.

Invariant: a word is let through only for a reason that is named here; no list of names decides alone. Patterns are
linear in the text's length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import regex

from trifacet.base.name_words import WORDS_TOO, name_key
from trifacet.describing.name_lists import (
    AS_SUBJECT,
    BESIDE,
    COLOURS,
    COMMON,
    GIVEN,
    NO_WORDS,
    NOBODY,
    RARELY,
    SUBJECTS,
)

UNCHECKED = ("de", "lb", "gsw", "nds")  # nouns have capitals
_PHRASE = 4  # words of a name, at most, that is looked for as one
_LONGEST = 20_000  # characters of a text that are looked at
_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*+(?:['’][\p{L}\p{M}]++)*+(?:-[\p{L}\p{M}\p{N}]++)*+")
_SENTENCE = regex.compile(r"(?:^|[.!?:;…\n]['\"”’»)\]]*+)\s*+['\"“„«(\[¿¡]*+$")
_CASED = regex.compile(r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Armenian}]")
_LETTER = regex.compile(r"\p{L}")
_PIECE = regex.compile(r"\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}++|\p{N}++|\p{Lo}++")
_OWN = regex.compile("['’]s$|(?<=s)['’]$")
_ENGLISH = 0.7  # share of the words that the dictionary has


@dataclass(frozen=True)
class Known:
    """Where names may come from.

    Args:
        context: what stands around the picture: a name counts where it has a capital there too.
        spelled: names of the glossary, words read in the picture, file names and addresses: in any case.
    """

    context: Sequence[str] = ()
    spelled: Sequence[str] = ()

    @cached_property
    def words(self) -> frozenset[str]:
        """The words that may stand in a text as names, folded."""
        told = [word for text in self.context for word in _WORD.findall(text[:_LONGEST]) if word != word.lower()]
        told += [word for text in self.spelled for word in _WORD.findall(text[:_LONGEST])]
        told += [piece for word in [*told] for piece in _PIECE.findall(word)]  # of #AdaLovelace, ada-lovelace_2
        return frozenset(key for word in told for key in _keys(word))

    def has(self, word: str) -> bool:
        """Whether a name is told, whole or in all its parts."""
        if _keys(word) & self.words:
            return True
        parts = word.split("-")
        return len(parts) > 1 and all(_keys(part) & self.words for part in parts)


_CORE = frozenset(
    regex.findall(
        r"\w+",
        "a in it one the an of and with is are was on at to for from by his her their its near over under behind "
        "beside this that there here he she someone everyone two three who while against into",
    )
)
NameFinder = Callable[[str], Sequence[tuple[int, int]]]


def can_tell(text: str, language: str) -> bool:
    """Whether names can be told from other words by the rules alone: not where all nouns have capitals, or none has.

    ``language``: as the page says, in BCP 47; "" where it does not.
    """
    letters = _LETTER.findall(text[:_LONGEST])
    cased = sum(_CASED.fullmatch(letter) is not None for letter in letters)
    if cased < len(letters):
        return False
    return is_english(text, language) or language.lower().split("-")[0] not in UNCHECKED


def invented(
    text: str, known: Known, language: str = "", find: NameFinder | None = None, *, rules: bool = True
) -> tuple[str, ...]:
    """The names of a text that nobody told, once each, in its order.

    Args:
        text: the suggestion.
        known: where names may come from.
        language: of the page, in BCP 47; "" where it does not say.
        find: a pipeline: from a text to spans of names.
        rules: also by the rules.
    """
    text = text[:_LONGEST]
    words = list(_WORD.finditer(text))
    spans = set(_by_rules(text, words, language)) if rules else set()
    if find is not None:
        found = find(text)
        spans |= {
            word.span() for word in words if any(start < word.end() and word.start() < end for start, end in found)
        }
    names = (text[start:end] for start, end in sorted(spans))
    return tuple(dict.fromkeys(name for name in names if not known.has(name)))


def is_english(text: str, language: str = "") -> bool:
    """Whether the dictionary has most of a text's words; not of one without words.

    Of a page in another ``language`` the words that hold its sentences together are to be English ones too.
    """
    words = [word.casefold() for word in _WORD.findall(text[:_LONGEST])]
    if not words or sum(map(_is_common, words)) < _ENGLISH * len(words):
        return False
    declared = language.lower().split("-")[0]
    if declared in ("", "en"):
        return True
    own, english = (sum(word in _joining(one) for word in words) for one in (declared, "en"))
    return english >= own


def other_language(text: str, language: str) -> str:
    """English where another ``language`` was asked for, the other way round "not English"; "" where that is not clear.

    By the words that hold sentences together in one of the two and not in the other: of a text with few of them nobody
    can tell.
    """
    declared = language.lower().split("-")[0]
    others = _joining(declared) if declared != "en" else (_joining() | _joining("de")) - _CORE
    if not declared or not others:
        return ""
    words = [word.casefold() for word in _WORD.findall(text[:_LONGEST])]
    if declared == "en":
        own = sum(word in others for word in words)
        return "not English" if own >= 4 and not any(word in _CORE for word in words) else ""
    english = sum(word in _joining("en") - others for word in words)
    own = sum(word in others - _joining("en") for word in words)
    return "English" if english >= 2 and not own else ""


def _by_rules(text: str, words: Sequence[regex.Match[str]], language: str) -> list[tuple[int, int]]:
    english = is_english(text, language)
    capitals = sum(word[0][0].isupper() for word in words)
    titled = capitals >= 3 and capitals >= 0.7 * len(words)  # A Text That Is Set So: there capitals tell little
    found = []
    for at, word in enumerate(words):
        spelled, key = word[0], name_key(word[0])
        if not _LETTER.search(spelled) or key in NOBODY:
            continue
        starts = _SENTENCE.search(text, max(0, word.start() - 20), word.start()) is not None
        after = words[at + 1][0] if at + 1 < len(words) else ""
        together = at > 0 and text[words[at - 1].end() : word.start()].isspace()
        before = words[at - 1][0].casefold() if together and not starts else ""
        joining = _joining(language.lower().split("-")[0])
        if not english:
            named = spelled != spelled.lower() and not (
                starts and _OWN.sub("", spelled).casefold() in joining | SUBJECTS
            )
        else:
            named = _may_be_name(spelled, before, after, starts=starts, titled=titled)
        if named:
            found.append(word.span())
    return found + (_phrases(words) if english else [])


def _phrases(words: Sequence[regex.Match[str]]) -> list[tuple[int, int]]:
    """The words of names that consist of common ones ("golden gate bridge")."""
    found = []
    keys = [_OWN.sub("", word[0].casefold()) for word in words]
    for first in range(len(words)):
        for last in range(first + 2, min(first + _PHRASE, len(words)) + 1):
            if "_".join(keys[first:last]) in _lexicon().phrases:
                found += [word.span() for word in words[first:last]]
    return found


def _may_be_name(spelled: str, before: str, after: str, *, starts: bool, titled: bool) -> bool:
    """Whether a word of an English text may be one."""
    plain, capital = _OWN.sub("", spelled), spelled != spelled.lower()
    key = plain.casefold()
    if not _is_common(plain) or any(part[:1].isupper() for part in plain.split("-")[1:]):  # Coca-Cola
        return True
    if capital and not starts:
        return not titled or (key not in SUBJECTS | COLOURS and _has_content(key) and _is_also_name(key))
    return _stands_as_name(key, before, after, starts=starts, owns=plain != spelled)


def _has_content(word: str) -> bool:
    return word in RARELY or (word not in _CORE and _lexicon().tags.get(word, "NN")[:2] in ("NN", "VB", "JJ"))


def _is_also_name(word: str) -> bool:
    return word in WORDS_TOO | GIVEN | RARELY or word.capitalize() in _lexicon().names


def _stands_as_name(word: str, before: str, after: str, *, starts: bool, owns: bool) -> bool:
    """Whether a common word that is a name too ("Rose", "Mason") stands where a name would: bare, doing something."""
    tags, follows = _lexicon().tags, after.casefold()
    acts = not after or follows in AS_SUBJECT or tags.get(follows) == "VBZ" or owns
    if word in GIVEN:
        if word in COLOURS and after and not acts and tags.get(follows, "NN")[:2] in ("NN", "JJ"):
            return False
        return (acts or follows in BESIDE) if starts else tags.get(before, "IN")[:2] in ("IN", "TO", "VB", "CC", "RB")
    if not starts or word in SUBJECTS | COLOURS or not _has_content(word):
        return False
    singly = owns or follows in AS_SUBJECT or tags.get(follows) == "VBZ"
    if tags.get(word) == "NNS" and not owns and follows in ("had", "can", "will"):
        return False  # "Dogs had": as for one
    return bool(after) and singly  # bare, where a thing would have an article: "Puma is", "Windows has"


def _is_common(word: str) -> bool:
    """Whether the dictionary has a word as a common one, also as a form of one."""
    word = regex.sub("n['’]t$|['’](?:s|re|ve|ll|d|m)$", "", word.casefold())
    if _is_entry(word):
        return True
    if "-" in word:
        return all(_is_common(part) for part in word.split("-"))
    if word.capitalize() in _lexicon().proper:
        return False
    for ending in ("s", "es", "d", "ed", "ing", "er", "ers", "est", "ly", "y", "ish", "less", "like", "ness"):
        stem = word.removesuffix(ending)
        if len(stem) > 3 and stem != word and any(map(_is_entry, (stem, f"{stem}e", stem[:-1]))):
            return True
    return False


def _is_entry(word: str) -> bool:
    return word.isdigit() or word in COMMON or word in _lexicon().common


class _Lexicon(NamedTuple):
    """English words.

    ``common``: no names, in lower case; ``names``, and of them ``proper``, which WordNet has: as they are spelled;
    ``phrases``: names of several common words, in lower case, joined by "_"; ``tags``: parts of speech.
    """

    common: frozenset[str]
    names: frozenset[str]
    proper: frozenset[str]
    phrases: frozenset[str]
    tags: dict[str, str]


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    """Brill's lexicon, which comes with textblob, and WordNet's words; a few seconds."""
    from textblob.en import lexicon

    from trifacet.metrics.wordnet_synonyms import FILE

    lexicon.load()
    tags = {word: str(tag) for word, tag in dict.items(lexicon)}
    lemmas = set(FILE.read_text(encoding="ascii").split("\n\n\n")[1].split())
    proper = {word for word in lemmas if word[:1].isupper()}
    names = proper | {word for word, tag in tags.items() if tag.startswith("NNP") and word[:1].isupper()}
    common = {word for word, tag in tags.items() if word == word.lower() and not tag.startswith("NNP")}
    odd = {word for word in common if tags[word] == "NNS" and word.capitalize() in names and word[-1] != "s"}
    plain = {word for word in lemmas if word == word.lower()}
    phrases = {word.lower() for word in lemmas if sum(part[:1].isupper() for part in word.split("_")) > 1} - plain
    return _Lexicon(
        frozenset((common - odd | plain) - NO_WORDS), frozenset(names), frozenset(proper), frozenset(phrases), tags
    )


@lru_cache(maxsize=100)
def _joining(language: str = "") -> frozenset[str]:
    """Words that hold sentences together, of a language; of all that names can be told in, but English."""
    import stopwordsiso

    others = stopwordsiso.langs() - {"en", *UNCHECKED}
    languages = others if not language else {language} & stopwordsiso.langs()
    return frozenset(word for one in languages for word in stopwordsiso.stopwords(one))


def _keys(word: str) -> frozenset[str]:
    """What a word of a name is compared by: folded, without a possessive or a plural."""
    key = _OWN.sub("", name_key(word))
    return frozenset((key, key.removesuffix("s"))) if len(key) > 3 else frozenset((key,))
